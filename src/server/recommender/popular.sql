-- What is chosen most, and what more and more: rows of the interactions, counted as the caller sees
-- them (popular.c).

CREATE FUNCTION popular(name text, since interval = NULL, within jsonb = NULL, k bigint = 10,
		exclude "any" = NULL::text[], among "any" = NULL::text[], until timestamptz = NULL)
	RETURNS TABLE (rank integer, candidate text, label text, count bigint)
	AS 'MODULE_PATHNAME', 'tfrs_popular' LANGUAGE C STABLE PARALLEL RESTRICTED
	SUPPORT top_k_support ROWS 10 COST 30000;

CREATE FUNCTION trending(name text, since interval = '7 days', within jsonb = NULL, k bigint = 10,
		exclude "any" = NULL::text[], among "any" = NULL::text[], until timestamptz = NULL,
		shrink double precision = 10)
	RETURNS TABLE (rank integer, candidate text, label text, growth real, count bigint,
		before bigint)
	AS 'MODULE_PATHNAME', 'tfrs_trending' LANGUAGE C STABLE PARALLEL RESTRICTED
	SUPPORT top_k_support ROWS 10 COST 30000;

COMMENT ON FUNCTION popular(text, interval, jsonb, bigint, "any", "any", timestamptz) IS
	'the candidates with most rows in the interactions, of the interval before now or until, and within those whose columns have the values of a JSON object';
COMMENT ON FUNCTION trending(text, interval, jsonb, bigint, "any", "any", timestamptz, double precision) IS
	'the candidates whose share of all rows has grown most: that of the last interval over that of the interval before, shrunk by counts';
