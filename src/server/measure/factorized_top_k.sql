-- factorized_top_k: TFRS's FactorizedTopK metric over the rows of a group, aggregates.
--
-- With the true candidate's id as text a row counts at k where that is among the first k of the
-- index; with its embedding, where fewer than k candidates of the index have a greater score.

CREATE FUNCTION factorized_top_k_row(internal, embedding, text, double precision, candidate_index,
									 bigint[]) RETURNS internal
	AS 'MODULE_PATHNAME', 'tfrs_factorized_top_k_id_row' LANGUAGE C STABLE PARALLEL SAFE;

CREATE FUNCTION factorized_top_k_row(internal, embedding, embedding, double precision,
									 candidate_index, bigint[]) RETURNS internal
	AS 'MODULE_PATHNAME', 'tfrs_factorized_top_k_score_row' LANGUAGE C STABLE PARALLEL SAFE;

CREATE FUNCTION factorized_top_k_finish(internal) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'tfrs_factorized_top_k_finish' LANGUAGE C STABLE PARALLEL SAFE;

CREATE AGGREGATE factorized_top_k(query embedding, true_candidate text,
		sample_weight double precision, index candidate_index, ks bigint[]) (
	SFUNC = factorized_top_k_row, STYPE = internal, SSPACE = 1048576,
	FINALFUNC = factorized_top_k_finish, FINALFUNC_MODIFY = SHAREABLE, PARALLEL = SAFE
);

CREATE AGGREGATE factorized_top_k(query embedding, true_candidate embedding,
		sample_weight double precision, index candidate_index, ks bigint[]) (
	SFUNC = factorized_top_k_row, STYPE = internal, SSPACE = 1048576,
	FINALFUNC = factorized_top_k_finish, FINALFUNC_MODIFY = SHAREABLE, PARALLEL = SAFE
);

COMMENT ON AGGREGATE factorized_top_k(embedding, text, double precision, candidate_index, bigint[])
	IS 'share of rows whose candidate is among the first k of an index, for each k';
COMMENT ON AGGREGATE factorized_top_k(embedding, embedding, double precision, candidate_index,
		bigint[])
	IS 'share of rows with fewer than k scores above that of their candidate, for each k';
