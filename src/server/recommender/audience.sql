-- The other direction: which queries for a candidate, and which are like another one (audience.c).
--
-- Beside each "any" stands text: parameters without a type and literals go there.

CREATE FUNCTION audience(name text, candidate "any", k bigint = 10, exclude "any" = NULL::text[],
		among "any" = NULL::text[], min_score double precision = NULL, version bigint = NULL)
	RETURNS TABLE (rank integer, query text, score real)
	AS 'MODULE_PATHNAME', 'tfrs_audience' LANGUAGE C STABLE PARALLEL RESTRICTED
	SUPPORT top_k_support ROWS 10 COST 200000;

CREATE FUNCTION audience(name text, candidate text, k bigint = 10, exclude "any" = NULL::text[],
		among "any" = NULL::text[], min_score double precision = NULL, version bigint = NULL)
	RETURNS TABLE (rank integer, query text, score real)
	AS 'MODULE_PATHNAME', 'tfrs_audience' LANGUAGE C STABLE PARALLEL RESTRICTED
	SUPPORT top_k_support ROWS 10 COST 200000;

CREATE FUNCTION similar_queries(name text, query "any", k bigint = 10, exclude "any" = NULL::text[],
		among "any" = NULL::text[], min_score double precision = NULL, version bigint = NULL)
	RETURNS TABLE (rank integer, query text, score real)
	AS 'MODULE_PATHNAME', 'tfrs_similar_queries' LANGUAGE C STABLE PARALLEL RESTRICTED
	SUPPORT top_k_support ROWS 10 COST 200000;

CREATE FUNCTION similar_queries(name text, query text, k bigint = 10, exclude "any" = NULL::text[],
		among "any" = NULL::text[], min_score double precision = NULL, version bigint = NULL)
	RETURNS TABLE (rank integer, query text, score real)
	AS 'MODULE_PATHNAME', 'tfrs_similar_queries' LANGUAGE C STABLE PARALLEL RESTRICTED
	SUPPORT top_k_support ROWS 10 COST 200000;

COMMENT ON FUNCTION audience(text, "any", bigint, "any", "any", double precision, bigint) IS
	'the queries of a recommender that score highest with a candidate; who has chosen it is left out';
COMMENT ON FUNCTION audience(text, text, bigint, "any", "any", double precision, bigint) IS
	'the queries of a recommender that score highest with a candidate; who has chosen it is left out';
COMMENT ON FUNCTION similar_queries(text, "any", bigint, "any", "any", double precision, bigint) IS
	'the queries of a recommender most like one of them, by cosine';
COMMENT ON FUNCTION similar_queries(text, text, bigint, "any", "any", double precision, bigint) IS
	'the queries of a recommender most like one of them, by cosine';
