-- What the registry of recommenders names relations with (relation_reference.h).

CREATE TYPE relation_reference;

CREATE FUNCTION relation_reference_in(cstring) RETURNS relation_reference
	AS 'MODULE_PATHNAME', 'tfrs_relation_reference_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE FUNCTION relation_reference_out(relation_reference) RETURNS cstring
	AS 'MODULE_PATHNAME', 'tfrs_relation_reference_out' LANGUAGE C STABLE STRICT PARALLEL SAFE;

CREATE TYPE relation_reference (
	INPUT = relation_reference_in,
	OUTPUT = relation_reference_out,
	ALIGNMENT = int4,
	STORAGE = plain
);

COMMENT ON TYPE relation_reference IS 'a relation that a recommender rests on, under the name that it has now';
