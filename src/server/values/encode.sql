-- The vector of a query or candidate, as the model serves it.
--
-- "any" takes values of every id type; text is there for untyped parameters, which "any" cannot take,
-- and is read as the model's type; jsonb is there for drivers that cannot bind a row.

CREATE FUNCTION embed_query(model model, query "any") RETURNS embedding
	AS 'MODULE_PATHNAME', 'tfrs_embed_query' LANGUAGE C STABLE STRICT PARALLEL SAFE;

CREATE FUNCTION embed_query(model model, query text) RETURNS embedding
	AS 'MODULE_PATHNAME', 'tfrs_embed_query' LANGUAGE C STABLE STRICT PARALLEL SAFE;

CREATE FUNCTION embed_query(model model, query jsonb) RETURNS embedding
	AS 'MODULE_PATHNAME', 'tfrs_embed_query' LANGUAGE C STABLE STRICT PARALLEL SAFE;

CREATE FUNCTION embed_candidate(model model, candidate "any") RETURNS embedding
	AS 'MODULE_PATHNAME', 'tfrs_embed_candidate' LANGUAGE C STABLE STRICT PARALLEL SAFE;

CREATE FUNCTION embed_candidate(model model, candidate text) RETURNS embedding
	AS 'MODULE_PATHNAME', 'tfrs_embed_candidate' LANGUAGE C STABLE STRICT PARALLEL SAFE;

CREATE FUNCTION embed_candidate(model model, candidate jsonb) RETURNS embedding
	AS 'MODULE_PATHNAME', 'tfrs_embed_candidate' LANGUAGE C STABLE STRICT PARALLEL SAFE;

-- The vector of anybody's history, oldest first.

CREATE FUNCTION embed_history(model model, candidates anycompatiblearray) RETURNS embedding
	AS 'MODULE_PATHNAME', 'tfrs_embed_history' LANGUAGE C STABLE PARALLEL SAFE;

COMMENT ON FUNCTION embed_query(model, "any") IS
	'vector of a query; an unknown one has the vector of the unknown slot';
COMMENT ON FUNCTION embed_query(model, text) IS
	'vector of a query, given as text of any id type';
COMMENT ON FUNCTION embed_query(model, jsonb) IS
	'vector of a query, given as a JSON string, number or boolean';
COMMENT ON FUNCTION embed_candidate(model, "any") IS
	'vector of a candidate; an unknown one has the vector of the unknown slot';
COMMENT ON FUNCTION embed_candidate(model, text) IS
	'vector of a candidate, given as text of any id type';
COMMENT ON FUNCTION embed_candidate(model, jsonb) IS
	'vector of a candidate, given as a JSON string, number or boolean';
COMMENT ON FUNCTION embed_history(model, anycompatiblearray) IS
	'query vector of a list of candidates, oldest first; unknown ones are passed over, an empty list has the vector of the unknown query';
