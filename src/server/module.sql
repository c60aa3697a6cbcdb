-- What is loaded.

CREATE FUNCTION version() RETURNS text
	AS 'MODULE_PATHNAME', 'tfrs_version' LANGUAGE C STABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION version() IS
	'release of the library that is loaded; that of the SQL objects is in pg_extension';
