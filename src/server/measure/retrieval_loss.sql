-- retrieval_loss: the loss of TFRS's Retrieval task over the rows of a group as one batch.
--
-- Each row is a query and its positive, which is a negative of all other rows; a row with a NULL
-- query is an extra candidate.  There is no form with three arguments and a weight: an untyped
-- '{...}' would be read as a number.

CREATE FUNCTION retrieval_loss_row(internal, embedding, embedding) RETURNS internal
	AS 'MODULE_PATHNAME', 'tfrs_retrieval_loss_row' LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE FUNCTION retrieval_loss_row(internal, embedding, embedding, jsonb) RETURNS internal
	AS 'MODULE_PATHNAME', 'tfrs_retrieval_loss_row' LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE FUNCTION retrieval_loss_row(internal, embedding, embedding, double precision,
								   double precision, text, jsonb) RETURNS internal
	AS 'MODULE_PATHNAME', 'tfrs_retrieval_loss_row' LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE FUNCTION retrieval_loss_finish(internal) RETURNS double precision
	AS 'MODULE_PATHNAME', 'tfrs_retrieval_loss_finish' LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE AGGREGATE retrieval_loss(query embedding, candidate embedding) (
	SFUNC = retrieval_loss_row, STYPE = internal, SSPACE = 1048576,
	FINALFUNC = retrieval_loss_finish, FINALFUNC_MODIFY = READ_WRITE, PARALLEL = SAFE
);

CREATE AGGREGATE retrieval_loss(query embedding, candidate embedding, options jsonb) (
	SFUNC = retrieval_loss_row, STYPE = internal, SSPACE = 1048576,
	FINALFUNC = retrieval_loss_finish, FINALFUNC_MODIFY = READ_WRITE, PARALLEL = SAFE
);

CREATE AGGREGATE retrieval_loss(query embedding, candidate embedding,
		sample_weight double precision, sampling_probability double precision, candidate_id text,
		options jsonb) (
	SFUNC = retrieval_loss_row, STYPE = internal, SSPACE = 1048576,
	FINALFUNC = retrieval_loss_finish, FINALFUNC_MODIFY = READ_WRITE, PARALLEL = SAFE
);

COMMENT ON AGGREGATE retrieval_loss(embedding, embedding) IS
	'in-batch softmax loss of queries and their positive candidates, summed';
COMMENT ON AGGREGATE retrieval_loss(embedding, embedding, jsonb) IS
	'in-batch softmax loss of queries and their positive candidates';
COMMENT ON AGGREGATE retrieval_loss(embedding, embedding, double precision, double precision, text,
		jsonb) IS
	'in-batch softmax loss with sample weights, sampling probabilities and candidate ids';
