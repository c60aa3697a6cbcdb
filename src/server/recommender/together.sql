-- What is chosen together with one or several candidates (together.c).
--
-- Beside "any" stands text: parameters without a type and literals go there.

CREATE FUNCTION together(name text, candidates "any", k bigint = 10, exclude "any" = NULL::text[],
		among "any" = NULL::text[], min_count bigint = 2, by text = NULL, version bigint = NULL)
	RETURNS TABLE (rank integer, candidate text, label text, score real, count bigint)
	AS 'MODULE_PATHNAME', 'tfrs_together' LANGUAGE C STABLE PARALLEL RESTRICTED
	SUPPORT top_k_support ROWS 10 COST 100000;

CREATE FUNCTION together(name text, candidates text, k bigint = 10, exclude "any" = NULL::text[],
		among "any" = NULL::text[], min_count bigint = 2, by text = NULL, version bigint = NULL)
	RETURNS TABLE (rank integer, candidate text, label text, score real, count bigint)
	AS 'MODULE_PATHNAME', 'tfrs_together' LANGUAGE C STABLE PARALLEL RESTRICTED
	SUPPORT top_k_support ROWS 10 COST 100000;

COMMENT ON FUNCTION together(text, "any", bigint, "any", "any", bigint, text, bigint) IS
	'what is chosen together with a candidate, or with several: of all queries, at one time, with the number of these baskets';
COMMENT ON FUNCTION together(text, text, bigint, "any", "any", bigint, text, bigint) IS
	'what is chosen together with a candidate, or with several: of all queries, at one time, with the number of these baskets';
