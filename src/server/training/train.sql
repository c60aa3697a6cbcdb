-- tfrs.train: an aggregate over interactions; its result is a tfrs.model.  tfrs.retrain goes on from one.
--
-- One pair of C functions serves all forms: they look at the number of arguments.  The state's size
-- is declared large so that GROUP BY sorts rather than holds all groups at once.  Without a combine
-- function the aggregate is not split among workers; the scan below it may be.

CREATE FUNCTION train_collect(internal, "any", "any") RETURNS internal
	AS 'MODULE_PATHNAME', 'tfrs_train_collect' LANGUAGE C PARALLEL RESTRICTED;

CREATE FUNCTION train_collect(internal, "any", "any", jsonb) RETURNS internal
	AS 'MODULE_PATHNAME', 'tfrs_train_collect' LANGUAGE C PARALLEL RESTRICTED;

CREATE FUNCTION train_collect(internal, "any", "any", double precision, jsonb) RETURNS internal
	AS 'MODULE_PATHNAME', 'tfrs_train_collect' LANGUAGE C PARALLEL RESTRICTED;

CREATE FUNCTION train_collect(internal, "any", "any", double precision, timestamptz, jsonb)
	RETURNS internal
	AS 'MODULE_PATHNAME', 'tfrs_train_collect' LANGUAGE C PARALLEL RESTRICTED;

CREATE FUNCTION train_fit(internal) RETURNS model
	AS 'MODULE_PATHNAME', 'tfrs_train_fit' LANGUAGE C PARALLEL RESTRICTED;

CREATE AGGREGATE train(query "any", candidate "any") (
	SFUNC = train_collect, STYPE = internal, SSPACE = 67108864,
	FINALFUNC = train_fit, FINALFUNC_MODIFY = READ_WRITE, PARALLEL = RESTRICTED
);

CREATE AGGREGATE train(query "any", candidate "any", options jsonb) (
	SFUNC = train_collect, STYPE = internal, SSPACE = 67108864,
	FINALFUNC = train_fit, FINALFUNC_MODIFY = READ_WRITE, PARALLEL = RESTRICTED
);

CREATE AGGREGATE train(query "any", candidate "any", weight double precision, options jsonb) (
	SFUNC = train_collect, STYPE = internal, SSPACE = 67108864,
	FINALFUNC = train_fit, FINALFUNC_MODIFY = READ_WRITE, PARALLEL = RESTRICTED
);

CREATE AGGREGATE train(query "any", candidate "any", weight double precision, at timestamptz,
					   options jsonb) (
	SFUNC = train_collect, STYPE = internal, SSPACE = 67108864,
	FINALFUNC = train_fit, FINALFUNC_MODIFY = READ_WRITE, PARALLEL = RESTRICTED
);

COMMENT ON AGGREGATE train("any", "any") IS
	'trains a retrieval model over (query, candidate) rows with the default options';
COMMENT ON AGGREGATE train("any", "any", jsonb) IS
	'trains a retrieval model over (query, candidate) rows';
COMMENT ON AGGREGATE train("any", "any", double precision, jsonb) IS
	'trains a retrieval model over (query, candidate) rows with a weight each';
COMMENT ON AGGREGATE train("any", "any", double precision, timestamptz, jsonb) IS
	'trains a retrieval model over (query, candidate) rows with a weight and a time each';

-- The rows are those that are new; what the model has stored is merged with them.

CREATE FUNCTION retrain_collect(internal, model, "any", "any") RETURNS internal
	AS 'MODULE_PATHNAME', 'tfrs_retrain_collect' LANGUAGE C PARALLEL RESTRICTED;

CREATE FUNCTION retrain_collect(internal, model, "any", "any", jsonb) RETURNS internal
	AS 'MODULE_PATHNAME', 'tfrs_retrain_collect' LANGUAGE C PARALLEL RESTRICTED;

CREATE FUNCTION retrain_collect(internal, model, "any", "any", double precision, jsonb) RETURNS internal
	AS 'MODULE_PATHNAME', 'tfrs_retrain_collect' LANGUAGE C PARALLEL RESTRICTED;

CREATE FUNCTION retrain_collect(internal, model, "any", "any", double precision, timestamptz, jsonb)
	RETURNS internal
	AS 'MODULE_PATHNAME', 'tfrs_retrain_collect' LANGUAGE C PARALLEL RESTRICTED;

CREATE AGGREGATE retrain(model model, query "any", candidate "any") (
	SFUNC = retrain_collect, STYPE = internal, SSPACE = 67108864,
	FINALFUNC = train_fit, FINALFUNC_MODIFY = READ_WRITE, PARALLEL = RESTRICTED
);

CREATE AGGREGATE retrain(model model, query "any", candidate "any", options jsonb) (
	SFUNC = retrain_collect, STYPE = internal, SSPACE = 67108864,
	FINALFUNC = train_fit, FINALFUNC_MODIFY = READ_WRITE, PARALLEL = RESTRICTED
);

CREATE AGGREGATE retrain(model model, query "any", candidate "any", weight double precision, options jsonb) (
	SFUNC = retrain_collect, STYPE = internal, SSPACE = 67108864,
	FINALFUNC = train_fit, FINALFUNC_MODIFY = READ_WRITE, PARALLEL = RESTRICTED
);

CREATE AGGREGATE retrain(model model, query "any", candidate "any", weight double precision,
						 at timestamptz, options jsonb) (
	SFUNC = retrain_collect, STYPE = internal, SSPACE = 67108864,
	FINALFUNC = train_fit, FINALFUNC_MODIFY = READ_WRITE, PARALLEL = RESTRICTED
);

COMMENT ON AGGREGATE retrain(model, "any", "any") IS
	'goes on training a model over new (query, candidate) rows';
COMMENT ON AGGREGATE retrain(model, "any", "any", jsonb) IS
	'goes on training a model over new (query, candidate) rows, with options that differ from its own';
COMMENT ON AGGREGATE retrain(model, "any", "any", double precision, jsonb) IS
	'goes on training a model over new (query, candidate) rows with a weight each';
COMMENT ON AGGREGATE retrain(model, "any", "any", double precision, timestamptz, jsonb) IS
	'goes on training a model over new (query, candidate) rows with a weight and a time each';
