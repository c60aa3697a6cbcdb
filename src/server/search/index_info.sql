-- What is in a candidate index, how well it finds, and making it ready.

CREATE FUNCTION index_info(index candidate_index) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'tfrs_index_info' LANGUAGE C STABLE STRICT PARALLEL SAFE;

CREATE FUNCTION recall(index candidate_index, queries embedding[], k bigint = 10,
		OUT recall double precision, OUT low double precision, OUT high double precision)
	AS 'MODULE_PATHNAME', 'tfrs_recall' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 1000000;

CREATE FUNCTION prewarm(index candidate_index) RETURNS bigint
	AS 'MODULE_PATHNAME', 'tfrs_prewarm_index' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 100000;

CREATE FUNCTION prewarm(model model) RETURNS bigint
	AS 'MODULE_PATHNAME', 'tfrs_prewarm_model' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 100000;

COMMENT ON FUNCTION index_info(candidate_index) IS
	'kind, metric, counts, sizes in bytes, format and digest of a candidate index';
COMMENT ON FUNCTION recall(candidate_index, embedding[], bigint) IS
	'share of the true best k that a search finds, mean over the queries, with its interval of 99 %';
COMMENT ON FUNCTION prewarm(candidate_index) IS
	'reads a candidate index into the cache; the size of its block in bytes';
COMMENT ON FUNCTION prewarm(model) IS
	'reads a model into the cache; the size of its block in bytes';
