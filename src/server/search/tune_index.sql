-- tune_index: the same index with its effort tuned on real queries.

CREATE FUNCTION tune_index(index candidate_index, queries embedding[], target_recall double precision = 0.97,
		k bigint = 10)
	RETURNS candidate_index
	AS 'MODULE_PATHNAME', 'tfrs_tune_index' LANGUAGE C STABLE STRICT PARALLEL RESTRICTED
	COST 10000000;

COMMENT ON FUNCTION tune_index(candidate_index, embedding[], double precision, bigint) IS
	'the index with the least effort that finds so much of the true best k of these queries';
