-- top_k and top_k_as: the best candidates for a query, over an index or a model.
--
-- Beside each query of type "any" stands one of text: parameters without a type and literals go
-- there.  exclude and among are arrays of the candidates' type or of text.

CREATE FUNCTION top_k_support(internal) RETURNS internal
	AS 'MODULE_PATHNAME', 'tfrs_top_k_support' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE FUNCTION top_k(index candidate_index, query embedding, k bigint = 10,
		exclude "any" = NULL::text[], among "any" = NULL::text[], min_score double precision = NULL,
		search jsonb = NULL)
	RETURNS TABLE (rank integer, candidate text, score real)
	AS 'MODULE_PATHNAME', 'tfrs_top_k_index' LANGUAGE C STABLE PARALLEL SAFE
	SUPPORT top_k_support ROWS 10 COST 20000;

CREATE FUNCTION top_k(model model, query "any", k bigint = 10,
		exclude "any" = NULL::text[], among "any" = NULL::text[], min_score double precision = NULL,
		search jsonb = NULL, index candidate_index = NULL)
	RETURNS TABLE (rank integer, candidate text, score real)
	AS 'MODULE_PATHNAME', 'tfrs_top_k_model' LANGUAGE C STABLE PARALLEL SAFE
	SUPPORT top_k_support ROWS 10 COST 20000;

CREATE FUNCTION top_k(model model, query text, k bigint = 10,
		exclude "any" = NULL::text[], among "any" = NULL::text[], min_score double precision = NULL,
		search jsonb = NULL, index candidate_index = NULL)
	RETURNS TABLE (rank integer, candidate text, score real)
	AS 'MODULE_PATHNAME', 'tfrs_top_k_model' LANGUAGE C STABLE PARALLEL SAFE
	SUPPORT top_k_support ROWS 10 COST 20000;

CREATE FUNCTION top_k(model model, query jsonb, k bigint = 10,
		exclude "any" = NULL::text[], among "any" = NULL::text[], min_score double precision = NULL,
		search jsonb = NULL, index candidate_index = NULL)
	RETURNS TABLE (rank integer, candidate text, score real)
	AS 'MODULE_PATHNAME', 'tfrs_top_k_model' LANGUAGE C STABLE PARALLEL SAFE
	SUPPORT top_k_support ROWS 10 COST 20000;

CREATE FUNCTION top_k_as(type anyelement, index candidate_index, query embedding, k bigint = 10,
		exclude "any" = NULL::text[], among "any" = NULL::text[], min_score double precision = NULL,
		search jsonb = NULL)
	RETURNS TABLE (rank integer, candidate anyelement, score real)
	AS 'MODULE_PATHNAME', 'tfrs_top_k_as_index' LANGUAGE C STABLE PARALLEL SAFE
	SUPPORT top_k_support ROWS 10 COST 20000;

CREATE FUNCTION top_k_as(type anyelement, model model, query "any", k bigint = 10,
		exclude "any" = NULL::text[], among "any" = NULL::text[], min_score double precision = NULL,
		search jsonb = NULL, index candidate_index = NULL)
	RETURNS TABLE (rank integer, candidate anyelement, score real)
	AS 'MODULE_PATHNAME', 'tfrs_top_k_as_model' LANGUAGE C STABLE PARALLEL SAFE
	SUPPORT top_k_support ROWS 10 COST 20000;

CREATE FUNCTION top_k_as(type anyelement, model model, query text, k bigint = 10,
		exclude "any" = NULL::text[], among "any" = NULL::text[], min_score double precision = NULL,
		search jsonb = NULL, index candidate_index = NULL)
	RETURNS TABLE (rank integer, candidate anyelement, score real)
	AS 'MODULE_PATHNAME', 'tfrs_top_k_as_model' LANGUAGE C STABLE PARALLEL SAFE
	SUPPORT top_k_support ROWS 10 COST 20000;

CREATE FUNCTION top_k_as(type anyelement, model model, query jsonb, k bigint = 10,
		exclude "any" = NULL::text[], among "any" = NULL::text[], min_score double precision = NULL,
		search jsonb = NULL, index candidate_index = NULL)
	RETURNS TABLE (rank integer, candidate anyelement, score real)
	AS 'MODULE_PATHNAME', 'tfrs_top_k_as_model' LANGUAGE C STABLE PARALLEL SAFE
	SUPPORT top_k_support ROWS 10 COST 20000;

-- similar: the candidates most like one of them, by cosine.

CREATE FUNCTION similar(index candidate_index, candidate "any", k bigint = 10,
		exclude "any" = NULL::text[], among "any" = NULL::text[], min_score double precision = NULL,
		search jsonb = NULL)
	RETURNS TABLE (rank integer, candidate text, score real)
	AS 'MODULE_PATHNAME', 'tfrs_similar_index' LANGUAGE C STABLE PARALLEL SAFE
	SUPPORT top_k_support ROWS 10 COST 20000;

CREATE FUNCTION similar(index candidate_index, candidate text, k bigint = 10,
		exclude "any" = NULL::text[], among "any" = NULL::text[], min_score double precision = NULL,
		search jsonb = NULL)
	RETURNS TABLE (rank integer, candidate text, score real)
	AS 'MODULE_PATHNAME', 'tfrs_similar_index' LANGUAGE C STABLE PARALLEL SAFE
	SUPPORT top_k_support ROWS 10 COST 20000;

CREATE FUNCTION similar(model model, candidate "any", k bigint = 10,
		exclude "any" = NULL::text[], among "any" = NULL::text[], min_score double precision = NULL,
		search jsonb = NULL)
	RETURNS TABLE (rank integer, candidate text, score real)
	AS 'MODULE_PATHNAME', 'tfrs_similar_model' LANGUAGE C STABLE PARALLEL SAFE
	SUPPORT top_k_support ROWS 10 COST 20000;

CREATE FUNCTION similar(model model, candidate text, k bigint = 10,
		exclude "any" = NULL::text[], among "any" = NULL::text[], min_score double precision = NULL,
		search jsonb = NULL)
	RETURNS TABLE (rank integer, candidate text, score real)
	AS 'MODULE_PATHNAME', 'tfrs_similar_model' LANGUAGE C STABLE PARALLEL SAFE
	SUPPORT top_k_support ROWS 10 COST 20000;

-- top_k_many: the best candidates for many queries at once; ids name the queries in the rows.

CREATE FUNCTION top_k_many(index candidate_index, ids anycompatiblearray, queries embedding[],
		k bigint = 10, exclude "any" = NULL::text[], among "any" = NULL::text[],
		min_score double precision = NULL, search jsonb = NULL)
	RETURNS TABLE (query text, rank integer, candidate text, score real)
	AS 'MODULE_PATHNAME', 'tfrs_top_k_many_index' LANGUAGE C STABLE PARALLEL RESTRICTED
	SUPPORT top_k_support ROWS 1000 COST 200000;

CREATE FUNCTION top_k_many(model model, ids anycompatiblearray, k bigint = 10,
		exclude "any" = NULL::text[], among "any" = NULL::text[], min_score double precision = NULL,
		search jsonb = NULL, index candidate_index = NULL)
	RETURNS TABLE (query text, rank integer, candidate text, score real)
	AS 'MODULE_PATHNAME', 'tfrs_top_k_many_model' LANGUAGE C STABLE PARALLEL RESTRICTED
	SUPPORT top_k_support ROWS 1000 COST 200000;

COMMENT ON FUNCTION top_k(candidate_index, embedding, bigint, "any", "any", double precision, jsonb) IS
	'the best k candidates of an index for a vector';
COMMENT ON FUNCTION top_k(model, "any", bigint, "any", "any", double precision, jsonb, candidate_index) IS
	'the best k candidates for a query of a model, or for a finished query vector';
COMMENT ON FUNCTION top_k(model, text, bigint, "any", "any", double precision, jsonb, candidate_index) IS
	'the best k candidates for a query, given as text of any id type';
COMMENT ON FUNCTION top_k(model, jsonb, bigint, "any", "any", double precision, jsonb, candidate_index) IS
	'the best k candidates for a query, given as a JSON string, number or boolean';
COMMENT ON FUNCTION top_k_as(anyelement, candidate_index, embedding, bigint, "any", "any", double precision, jsonb) IS
	'as top_k, with candidates of the type of the first argument';
COMMENT ON FUNCTION top_k_as(anyelement, model, "any", bigint, "any", "any", double precision, jsonb, candidate_index) IS
	'as top_k, with candidates of the type of the first argument';
COMMENT ON FUNCTION top_k_as(anyelement, model, text, bigint, "any", "any", double precision, jsonb, candidate_index) IS
	'as top_k, with candidates of the type of the first argument';
COMMENT ON FUNCTION top_k_as(anyelement, model, jsonb, bigint, "any", "any", double precision, jsonb, candidate_index) IS
	'as top_k, with candidates of the type of the first argument';
COMMENT ON FUNCTION similar(candidate_index, "any", bigint, "any", "any", double precision, jsonb) IS
	'the candidates of an index most like one of them, by cosine';
COMMENT ON FUNCTION similar(candidate_index, text, bigint, "any", "any", double precision, jsonb) IS
	'the candidates of an index most like one of them, given as text of any id type';
COMMENT ON FUNCTION similar(model, "any", bigint, "any", "any", double precision, jsonb) IS
	'the candidates of a model most like one of them, by cosine, any bias left out';
COMMENT ON FUNCTION similar(model, text, bigint, "any", "any", double precision, jsonb) IS
	'the candidates of a model most like one of them, given as text of any id type';
COMMENT ON FUNCTION top_k_many(candidate_index, anycompatiblearray, embedding[], bigint, "any", "any", double precision, jsonb) IS
	'the best k candidates for each of many vectors, named by ids';
COMMENT ON FUNCTION top_k_many(model, anycompatiblearray, bigint, "any", "any", double precision, jsonb, candidate_index) IS
	'the best k candidates for each of many queries of a model';
