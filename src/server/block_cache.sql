-- What the cache of models and indexes holds.

CREATE FUNCTION tfrs.cache_entries(OUT block text, OUT kind text, OUT bytes bigint, OUT shared boolean, OUT hits bigint)
	RETURNS SETOF record
	LANGUAGE C VOLATILE PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'tfrs_cache_entries';

CREATE VIEW tfrs.cache AS SELECT block, kind, bytes, shared, hits FROM tfrs.cache_entries();
COMMENT ON VIEW tfrs.cache IS 'models and candidate indexes in memory: digest, kind, size, whether shared by all sessions, uses';
GRANT SELECT ON tfrs.cache TO PUBLIC;

CREATE FUNCTION tfrs.clear_cache() RETURNS void
	LANGUAGE C VOLATILE PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'tfrs_clear_cache';
REVOKE EXECUTE ON FUNCTION tfrs.clear_cache() FROM PUBLIC;
COMMENT ON FUNCTION tfrs.clear_cache() IS 'drops cached models and indexes; what a running query uses goes when it ends';
