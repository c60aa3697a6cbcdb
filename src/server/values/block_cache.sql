-- What the cache of models and indexes holds.

CREATE FUNCTION cache_entries(OUT block text, OUT kind text, OUT bytes bigint, OUT shared boolean, OUT hits bigint)
	RETURNS SETOF record
	LANGUAGE C VOLATILE PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'tfrs_cache_entries';

CREATE VIEW cache AS SELECT block, kind, bytes, shared, hits FROM @extschema@.cache_entries();
COMMENT ON VIEW cache IS 'models and candidate indexes in memory: digest, kind, size, whether shared by all sessions, uses';
GRANT SELECT ON cache TO PUBLIC;

CREATE FUNCTION clear_cache() RETURNS void
	LANGUAGE C VOLATILE PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'tfrs_clear_cache';
REVOKE EXECUTE ON FUNCTION clear_cache() FROM PUBLIC;
COMMENT ON FUNCTION clear_cache() IS 'drops cached models and indexes; what a running query uses goes when it ends';
