-- build_index: candidates and their embeddings to an index, an aggregate.

CREATE FUNCTION build_index_add(internal, "any", embedding) RETURNS internal
	AS 'MODULE_PATHNAME', 'tfrs_build_index_add' LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE FUNCTION build_index_add(internal, "any", embedding, jsonb) RETURNS internal
	AS 'MODULE_PATHNAME', 'tfrs_build_index_add' LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE FUNCTION build_index_finish(internal) RETURNS candidate_index
	AS 'MODULE_PATHNAME', 'tfrs_build_index_finish' LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE AGGREGATE build_index(candidate "any", embedding embedding) (
	SFUNC = build_index_add,
	STYPE = internal,
	SSPACE = 67108864,
	FINALFUNC = build_index_finish,
	FINALFUNC_MODIFY = READ_WRITE,
	PARALLEL = SAFE
);

CREATE AGGREGATE build_index(candidate "any", embedding embedding, options jsonb) (
	SFUNC = build_index_add,
	STYPE = internal,
	SSPACE = 67108864,
	FINALFUNC = build_index_finish,
	FINALFUNC_MODIFY = READ_WRITE,
	PARALLEL = SAFE
);

COMMENT ON AGGREGATE build_index("any", embedding) IS
	'candidate index of ids and embeddings: exact, inner product';
COMMENT ON AGGREGATE build_index("any", embedding, jsonb) IS
	'candidate index of ids and embeddings';
