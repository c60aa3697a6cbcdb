-- Operators, operator classes, functions and aggregates of tfrs.embedding.
-- The distance functions cost more than the 1 of an integer comparison, so that the planner weighs
-- parallel scans rightly.

CREATE FUNCTION inner_product(embedding, embedding) RETURNS double precision
	AS 'MODULE_PATHNAME', 'tfrs_inner_product' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION inner_product(embedding, embedding) IS 'inner product of two embeddings';

CREATE FUNCTION cosine_similarity(embedding, embedding) RETURNS double precision
	AS 'MODULE_PATHNAME', 'tfrs_cosine_similarity'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION cosine_similarity(embedding, embedding) IS
	'cosine of the angle between two embeddings; 0 where one of them is all zeros';

CREATE FUNCTION l2_distance(embedding, embedding) RETURNS double precision
	AS 'MODULE_PATHNAME', 'tfrs_l2_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION l2_distance(embedding, embedding) IS 'Euclidean distance of two embeddings';

CREATE FUNCTION l2_normalize(embedding) RETURNS embedding
	AS 'MODULE_PATHNAME', 'tfrs_l2_normalize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION l2_normalize(embedding) IS
	'embedding divided by its Euclidean norm; all zeros stay as they are';

CREATE FUNCTION norm(embedding) RETURNS double precision
	AS 'MODULE_PATHNAME', 'tfrs_norm' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION norm(embedding) IS 'Euclidean norm of an embedding';

CREATE FUNCTION dims(embedding) RETURNS integer
	AS 'MODULE_PATHNAME', 'tfrs_dims' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION dims(embedding) IS 'number of dimensions of an embedding';

CREATE FUNCTION negative_inner_product(embedding, embedding) RETURNS double precision
	AS 'MODULE_PATHNAME', 'tfrs_negative_inner_product'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION negative_inner_product(embedding, embedding) IS
	'implementation of operator <#>';

CREATE FUNCTION cosine_distance(embedding, embedding) RETURNS double precision
	AS 'MODULE_PATHNAME', 'tfrs_cosine_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION cosine_distance(embedding, embedding) IS 'implementation of operator <=>';

CREATE OPERATOR <#> (
	LEFTARG = embedding, RIGHTARG = embedding, FUNCTION = negative_inner_product, COMMUTATOR = <#>
);
COMMENT ON OPERATOR <#> (embedding, embedding) IS
	'negative inner product: ascending order puts the largest inner product first';

CREATE OPERATOR <=> (
	LEFTARG = embedding, RIGHTARG = embedding, FUNCTION = cosine_distance, COMMUTATOR = <=>
);
COMMENT ON OPERATOR <=> (embedding, embedding) IS 'cosine distance: 1 - cosine similarity';

CREATE OPERATOR <-> (
	LEFTARG = embedding, RIGHTARG = embedding, FUNCTION = l2_distance, COMMUTATOR = <->
);
COMMENT ON OPERATOR <-> (embedding, embedding) IS 'Euclidean distance';

CREATE FUNCTION embedding_add(embedding, embedding) RETURNS embedding
	AS 'MODULE_PATHNAME', 'tfrs_embedding_add' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION embedding_add(embedding, embedding) IS 'implementation of operator +';

CREATE OPERATOR + (
	LEFTARG = embedding, RIGHTARG = embedding, FUNCTION = embedding_add, COMMUTATOR = +
);
COMMENT ON OPERATOR + (embedding, embedding) IS 'add elements';

CREATE FUNCTION embedding_subtract(embedding, embedding) RETURNS embedding
	AS 'MODULE_PATHNAME', 'tfrs_embedding_subtract' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION embedding_subtract(embedding, embedding) IS 'implementation of operator -';

CREATE OPERATOR - (
	LEFTARG = embedding, RIGHTARG = embedding, FUNCTION = embedding_subtract
);
COMMENT ON OPERATOR - (embedding, embedding) IS 'subtract elements';

CREATE FUNCTION embedding_multiply(embedding, embedding) RETURNS embedding
	AS 'MODULE_PATHNAME', 'tfrs_embedding_multiply' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION embedding_multiply(embedding, embedding) IS 'implementation of operator *';

CREATE OPERATOR * (
	LEFTARG = embedding, RIGHTARG = embedding, FUNCTION = embedding_multiply, COMMUTATOR = *
);
COMMENT ON OPERATOR * (embedding, embedding) IS 'multiply elements';

CREATE FUNCTION embedding_concat(embedding, embedding) RETURNS embedding
	AS 'MODULE_PATHNAME', 'tfrs_embedding_concat' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION embedding_concat(embedding, embedding) IS 'implementation of operator ||';

CREATE OPERATOR || (
	LEFTARG = embedding, RIGHTARG = embedding, FUNCTION = embedding_concat
);
COMMENT ON OPERATOR || (embedding, embedding) IS 'concatenate';

-- Order: element by element, then the shorter first.

CREATE FUNCTION embedding_lt(embedding, embedding) RETURNS boolean
	AS 'MODULE_PATHNAME', 'tfrs_embedding_lt' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION embedding_lt(embedding, embedding) IS 'implementation of operator <';

CREATE FUNCTION embedding_le(embedding, embedding) RETURNS boolean
	AS 'MODULE_PATHNAME', 'tfrs_embedding_le' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION embedding_le(embedding, embedding) IS 'implementation of operator <=';

CREATE FUNCTION embedding_eq(embedding, embedding) RETURNS boolean
	AS 'MODULE_PATHNAME', 'tfrs_embedding_eq' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION embedding_eq(embedding, embedding) IS 'implementation of operator =';

CREATE FUNCTION embedding_ne(embedding, embedding) RETURNS boolean
	AS 'MODULE_PATHNAME', 'tfrs_embedding_ne' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION embedding_ne(embedding, embedding) IS 'implementation of operator <>';

CREATE FUNCTION embedding_ge(embedding, embedding) RETURNS boolean
	AS 'MODULE_PATHNAME', 'tfrs_embedding_ge' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION embedding_ge(embedding, embedding) IS 'implementation of operator >=';

CREATE FUNCTION embedding_gt(embedding, embedding) RETURNS boolean
	AS 'MODULE_PATHNAME', 'tfrs_embedding_gt' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION embedding_gt(embedding, embedding) IS 'implementation of operator >';

CREATE OPERATOR < (
	LEFTARG = embedding, RIGHTARG = embedding, FUNCTION = embedding_lt,
	COMMUTATOR = >, NEGATOR = >=, RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
COMMENT ON OPERATOR < (embedding, embedding) IS 'less than';

CREATE OPERATOR <= (
	LEFTARG = embedding, RIGHTARG = embedding, FUNCTION = embedding_le,
	COMMUTATOR = >=, NEGATOR = >, RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
COMMENT ON OPERATOR <= (embedding, embedding) IS 'less than or equal';

CREATE OPERATOR = (
	LEFTARG = embedding, RIGHTARG = embedding, FUNCTION = embedding_eq,
	COMMUTATOR = =, NEGATOR = <>, RESTRICT = eqsel, JOIN = eqjoinsel,
	HASHES, MERGES
);
COMMENT ON OPERATOR = (embedding, embedding) IS 'equal';

CREATE OPERATOR <> (
	LEFTARG = embedding, RIGHTARG = embedding, FUNCTION = embedding_ne,
	COMMUTATOR = <>, NEGATOR = =, RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR <> (embedding, embedding) IS 'not equal';

CREATE OPERATOR >= (
	LEFTARG = embedding, RIGHTARG = embedding, FUNCTION = embedding_ge,
	COMMUTATOR = <=, NEGATOR = <, RESTRICT = scalargesel, JOIN = scalargejoinsel
);
COMMENT ON OPERATOR >= (embedding, embedding) IS 'greater than or equal';

CREATE OPERATOR > (
	LEFTARG = embedding, RIGHTARG = embedding, FUNCTION = embedding_gt,
	COMMUTATOR = <, NEGATOR = <=, RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);
COMMENT ON OPERATOR > (embedding, embedding) IS 'greater than';

CREATE FUNCTION embedding_cmp(embedding, embedding) RETURNS integer
	AS 'MODULE_PATHNAME', 'tfrs_embedding_cmp' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION embedding_cmp(embedding, embedding) IS
	'order of two embeddings: -1, 0 or 1';

-- No equalimage function: -0 and 0 are equal and have different bytes.
CREATE OPERATOR CLASS embedding_ops DEFAULT FOR TYPE embedding USING btree AS
	OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >,
	FUNCTION 1 embedding_cmp(embedding, embedding);

CREATE FUNCTION embedding_hash(embedding) RETURNS integer
	AS 'MODULE_PATHNAME', 'tfrs_embedding_hash' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION embedding_hash(embedding) IS 'hash';

CREATE FUNCTION embedding_hash_extended(embedding, bigint) RETURNS bigint
	AS 'MODULE_PATHNAME', 'tfrs_embedding_hash_extended' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION embedding_hash_extended(embedding, bigint) IS 'hash with a seed';

CREATE OPERATOR CLASS embedding_ops DEFAULT FOR TYPE embedding USING hash AS
	OPERATOR 1 =,
	FUNCTION 1 embedding_hash(embedding),
	FUNCTION 2 embedding_hash_extended(embedding, bigint);

-- Aggregates.

CREATE FUNCTION embedding_accumulate(internal, embedding) RETURNS internal
	AS 'MODULE_PATHNAME', 'tfrs_embedding_accumulate' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION embedding_accumulate(internal, embedding) IS
	'transition function of avg and sum';

CREATE FUNCTION embedding_combine(internal, internal) RETURNS internal
	AS 'MODULE_PATHNAME', 'tfrs_embedding_combine' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION embedding_combine(internal, internal) IS 'combine function of avg and sum';

CREATE FUNCTION embedding_serialize(internal) RETURNS bytea
	AS 'MODULE_PATHNAME', 'tfrs_embedding_serialize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION embedding_serialize(internal) IS
	'serialization of the state of avg and sum';

CREATE FUNCTION embedding_deserialize(bytea, internal) RETURNS internal
	AS 'MODULE_PATHNAME', 'tfrs_embedding_deserialize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION embedding_deserialize(bytea, internal) IS
	'deserialization of the state of avg and sum';

CREATE FUNCTION embedding_sum(internal) RETURNS embedding
	AS 'MODULE_PATHNAME', 'tfrs_embedding_sum' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION embedding_sum(internal) IS 'final function of sum';

CREATE FUNCTION embedding_avg(internal) RETURNS embedding
	AS 'MODULE_PATHNAME', 'tfrs_embedding_avg' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION embedding_avg(internal) IS 'final function of avg';

CREATE AGGREGATE sum(embedding) (
	SFUNC = embedding_accumulate, STYPE = internal, SSPACE = 1024,
	FINALFUNC = embedding_sum, COMBINEFUNC = embedding_combine,
	SERIALFUNC = embedding_serialize, DESERIALFUNC = embedding_deserialize, PARALLEL = SAFE
);
COMMENT ON AGGREGATE sum(embedding) IS 'sum of embeddings, element by element';

CREATE AGGREGATE avg(embedding) (
	SFUNC = embedding_accumulate, STYPE = internal, SSPACE = 1024,
	FINALFUNC = embedding_avg, COMBINEFUNC = embedding_combine,
	SERIALFUNC = embedding_serialize, DESERIALFUNC = embedding_deserialize, PARALLEL = SAFE
);
COMMENT ON AGGREGATE avg(embedding) IS 'mean of embeddings, element by element';
