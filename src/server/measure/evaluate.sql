-- evaluate, evaluate_lists: how well a model ranks what it was not trained on, aggregates.

CREATE FUNCTION evaluate_row(internal, model, "any", "any") RETURNS internal
	AS 'MODULE_PATHNAME', 'tfrs_evaluate_row' LANGUAGE C PARALLEL RESTRICTED;

CREATE FUNCTION evaluate_row(internal, model, "any", "any", jsonb) RETURNS internal
	AS 'MODULE_PATHNAME', 'tfrs_evaluate_row' LANGUAGE C PARALLEL RESTRICTED;

CREATE FUNCTION evaluate_lists_row(internal, model, "any", "any", "any") RETURNS internal
	AS 'MODULE_PATHNAME', 'tfrs_evaluate_lists_row' LANGUAGE C PARALLEL RESTRICTED;

CREATE FUNCTION evaluate_lists_row(internal, model, "any", "any", "any", jsonb) RETURNS internal
	AS 'MODULE_PATHNAME', 'tfrs_evaluate_lists_row' LANGUAGE C PARALLEL RESTRICTED;

CREATE FUNCTION evaluate_finish(internal) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'tfrs_evaluate_finish' LANGUAGE C PARALLEL RESTRICTED;

CREATE AGGREGATE evaluate(model model, query "any", candidate "any") (
	SFUNC = evaluate_row, STYPE = internal, SSPACE = 67108864,
	FINALFUNC = evaluate_finish, FINALFUNC_MODIFY = READ_WRITE, PARALLEL = RESTRICTED
);

CREATE AGGREGATE evaluate(model model, query "any", candidate "any", options jsonb) (
	SFUNC = evaluate_row, STYPE = internal, SSPACE = 67108864,
	FINALFUNC = evaluate_finish, FINALFUNC_MODIFY = READ_WRITE, PARALLEL = RESTRICTED
);

CREATE AGGREGATE evaluate_lists(model model, query "any", relevant "any", exclude "any") (
	SFUNC = evaluate_lists_row, STYPE = internal, SSPACE = 67108864,
	FINALFUNC = evaluate_finish, FINALFUNC_MODIFY = READ_WRITE, PARALLEL = RESTRICTED
);

CREATE AGGREGATE evaluate_lists(model model, query "any", relevant "any", exclude "any",
								options jsonb) (
	SFUNC = evaluate_lists_row, STYPE = internal, SSPACE = 67108864,
	FINALFUNC = evaluate_finish, FINALFUNC_MODIFY = READ_WRITE, PARALLEL = RESTRICTED
);

COMMENT ON AGGREGATE evaluate(model, "any", "any") IS
	'ranking metrics of a model over (query, candidate) rows that it was not trained on';
COMMENT ON AGGREGATE evaluate(model, "any", "any", jsonb) IS
	'ranking metrics of a model over (query, candidate) rows that it was not trained on';
COMMENT ON AGGREGATE evaluate_lists(model, "any", "any", "any") IS
	'ranking metrics of a model, a row a query: arrays of relevant and of excluded candidates';
COMMENT ON AGGREGATE evaluate_lists(model, "any", "any", "any", jsonb) IS
	'ranking metrics of a model, a row a query: arrays of relevant and of excluded candidates';
