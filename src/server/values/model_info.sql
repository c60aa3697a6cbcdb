-- What is in a model.

CREATE FUNCTION model_info(model model) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'tfrs_model_info' LANGUAGE C STABLE STRICT PARALLEL SAFE;

CREATE FUNCTION training_history(model model)
	RETURNS TABLE (epoch integer, loss double precision, loss_per_row double precision,
				   batch_accuracy jsonb, validation double precision)
	AS 'MODULE_PATHNAME', 'tfrs_training_history' LANGUAGE C STABLE STRICT PARALLEL SAFE ROWS 10;

CREATE FUNCTION vocabulary(model model, tower text, feature text DEFAULT 'id')
	RETURNS TABLE (value text, count bigint, embedding embedding)
	AS 'MODULE_PATHNAME', 'tfrs_vocabulary' LANGUAGE C STABLE STRICT PARALLEL SAFE ROWS 10000;

CREATE FUNCTION query_embeddings(model model)
	RETURNS TABLE (id text, embedding embedding)
	AS 'MODULE_PATHNAME', 'tfrs_query_embeddings' LANGUAGE C STABLE STRICT PARALLEL SAFE ROWS 10000;

CREATE FUNCTION candidate_embeddings(model model)
	RETURNS TABLE (id text, embedding embedding)
	AS 'MODULE_PATHNAME', 'tfrs_candidate_embeddings' LANGUAGE C STABLE STRICT PARALLEL SAFE
	ROWS 10000;

COMMENT ON FUNCTION model_info(model) IS
	'options as used, counts, skipped rows by reason, sizes in bytes, format and digest of a model';
COMMENT ON FUNCTION training_history(model) IS
	'the loss of each epoch and, where asked for, the share of rows whose positive was among the first k of its batch, and the metric of the events that were held out';
COMMENT ON FUNCTION vocabulary(model, text, text) IS
	'values of a feature of the query or candidate tower, how often each was seen, its embedding';
COMMENT ON FUNCTION query_embeddings(model) IS
	'the vector of every query that the model was trained on';
COMMENT ON FUNCTION candidate_embeddings(model) IS
	'the vector of every candidate that the model was trained on';
