-- Recommendations by the name of a recommender: the model is read as its owner, the query's last
-- events and the candidates as the caller (recommend.c).
--
-- Beside each "any" stands text: parameters without a type and literals go there.  The last four
-- arguments are rules that columns of the candidates serve (pick_rules.c).

CREATE FUNCTION recommend(name text, query "any", k bigint = 10, exclude "any" = NULL::text[],
		among "any" = NULL::text[], include_seen boolean = false,
		unknown text = 'popular', version bigint = NULL, min_score double precision = NULL,
		most jsonb = NULL, diversity double precision = NULL,
		boost text = NULL, share jsonb = NULL)
	RETURNS TABLE (rank integer, candidate text, label text, score real, source text)
	AS 'MODULE_PATHNAME', 'tfrs_recommend' LANGUAGE C STABLE PARALLEL RESTRICTED
	SUPPORT top_k_support ROWS 10 COST 30000;

CREATE FUNCTION recommend(name text, query text, k bigint = 10, exclude "any" = NULL::text[],
		among "any" = NULL::text[], include_seen boolean = false,
		unknown text = 'popular', version bigint = NULL, min_score double precision = NULL,
		most jsonb = NULL, diversity double precision = NULL,
		boost text = NULL, share jsonb = NULL)
	RETURNS TABLE (rank integer, candidate text, label text, score real, source text)
	AS 'MODULE_PATHNAME', 'tfrs_recommend' LANGUAGE C STABLE PARALLEL RESTRICTED
	SUPPORT top_k_support ROWS 10 COST 30000;

CREATE FUNCTION recommend(name text, query jsonb, k bigint = 10, exclude "any" = NULL::text[],
		among "any" = NULL::text[], include_seen boolean = false,
		unknown text = 'popular', version bigint = NULL, min_score double precision = NULL,
		most jsonb = NULL, diversity double precision = NULL,
		boost text = NULL, share jsonb = NULL)
	RETURNS TABLE (rank integer, candidate text, label text, score real, source text)
	AS 'MODULE_PATHNAME', 'tfrs_recommend' LANGUAGE C STABLE PARALLEL RESTRICTED
	SUPPORT top_k_support ROWS 10 COST 30000;

CREATE FUNCTION recommend_as(type anyelement, name text, query "any", k bigint = 10,
		exclude "any" = NULL::text[], among "any" = NULL::text[],
		include_seen boolean = false, unknown text = 'popular', version bigint = NULL,
		min_score double precision = NULL, most jsonb = NULL, diversity double precision = NULL,
		boost text = NULL, share jsonb = NULL)
	RETURNS TABLE (rank integer, candidate anyelement, label text, score real, source text)
	AS 'MODULE_PATHNAME', 'tfrs_recommend_as' LANGUAGE C STABLE PARALLEL RESTRICTED
	SUPPORT top_k_support ROWS 10 COST 30000;

CREATE FUNCTION recommend_as(type anyelement, name text, query text, k bigint = 10,
		exclude "any" = NULL::text[], among "any" = NULL::text[],
		include_seen boolean = false, unknown text = 'popular', version bigint = NULL,
		min_score double precision = NULL, most jsonb = NULL, diversity double precision = NULL,
		boost text = NULL, share jsonb = NULL)
	RETURNS TABLE (rank integer, candidate anyelement, label text, score real, source text)
	AS 'MODULE_PATHNAME', 'tfrs_recommend_as' LANGUAGE C STABLE PARALLEL RESTRICTED
	SUPPORT top_k_support ROWS 10 COST 30000;

CREATE FUNCTION recommend_as(type anyelement, name text, query jsonb, k bigint = 10,
		exclude "any" = NULL::text[], among "any" = NULL::text[],
		include_seen boolean = false, unknown text = 'popular', version bigint = NULL,
		min_score double precision = NULL, most jsonb = NULL, diversity double precision = NULL,
		boost text = NULL, share jsonb = NULL)
	RETURNS TABLE (rank integer, candidate anyelement, label text, score real, source text)
	AS 'MODULE_PATHNAME', 'tfrs_recommend_as' LANGUAGE C STABLE PARALLEL RESTRICTED
	SUPPORT top_k_support ROWS 10 COST 30000;

-- recommend_from: the list of candidates, and that of those to avoid, are arrays.  A text is read as
-- the literal of an array, so that parameters without a type serve.  Where avoid is text it has no
-- default, for otherwise two functions would fit a call without it.

CREATE FUNCTION recommend_from(name text, candidates "any", avoid "any" = NULL::text[],
		k bigint = 10, exclude "any" = NULL::text[], among "any" = NULL::text[],
		min_score double precision = NULL, version bigint = NULL, most jsonb = NULL, diversity double precision = NULL,
		boost text = NULL, share jsonb = NULL)
	RETURNS TABLE (rank integer, candidate text, label text, score real, source text)
	AS 'MODULE_PATHNAME', 'tfrs_recommend_from' LANGUAGE C STABLE PARALLEL RESTRICTED
	SUPPORT top_k_support ROWS 10 COST 30000;

CREATE FUNCTION recommend_from(name text, candidates "any", avoid text,
		k bigint = 10, exclude "any" = NULL::text[], among "any" = NULL::text[],
		min_score double precision = NULL, version bigint = NULL, most jsonb = NULL, diversity double precision = NULL,
		boost text = NULL, share jsonb = NULL)
	RETURNS TABLE (rank integer, candidate text, label text, score real, source text)
	AS 'MODULE_PATHNAME', 'tfrs_recommend_from' LANGUAGE C STABLE PARALLEL RESTRICTED
	SUPPORT top_k_support ROWS 10 COST 30000;

CREATE FUNCTION recommend_from(name text, candidates text, avoid "any" = NULL::text[],
		k bigint = 10, exclude "any" = NULL::text[], among "any" = NULL::text[],
		min_score double precision = NULL, version bigint = NULL, most jsonb = NULL, diversity double precision = NULL,
		boost text = NULL, share jsonb = NULL)
	RETURNS TABLE (rank integer, candidate text, label text, score real, source text)
	AS 'MODULE_PATHNAME', 'tfrs_recommend_from' LANGUAGE C STABLE PARALLEL RESTRICTED
	SUPPORT top_k_support ROWS 10 COST 30000;

CREATE FUNCTION recommend_from(name text, candidates text, avoid text,
		k bigint = 10, exclude "any" = NULL::text[], among "any" = NULL::text[],
		min_score double precision = NULL, version bigint = NULL, most jsonb = NULL, diversity double precision = NULL,
		boost text = NULL, share jsonb = NULL)
	RETURNS TABLE (rank integer, candidate text, label text, score real, source text)
	AS 'MODULE_PATHNAME', 'tfrs_recommend_from' LANGUAGE C STABLE PARALLEL RESTRICTED
	SUPPORT top_k_support ROWS 10 COST 30000;

CREATE FUNCTION recommend_from_as(type anyelement, name text, candidates "any", avoid "any" = NULL::text[],
		k bigint = 10, exclude "any" = NULL::text[], among "any" = NULL::text[],
		min_score double precision = NULL, version bigint = NULL, most jsonb = NULL, diversity double precision = NULL,
		boost text = NULL, share jsonb = NULL)
	RETURNS TABLE (rank integer, candidate anyelement, label text, score real, source text)
	AS 'MODULE_PATHNAME', 'tfrs_recommend_from_as' LANGUAGE C STABLE PARALLEL RESTRICTED
	SUPPORT top_k_support ROWS 10 COST 30000;

CREATE FUNCTION recommend_from_as(type anyelement, name text, candidates "any", avoid text,
		k bigint = 10, exclude "any" = NULL::text[], among "any" = NULL::text[],
		min_score double precision = NULL, version bigint = NULL, most jsonb = NULL, diversity double precision = NULL,
		boost text = NULL, share jsonb = NULL)
	RETURNS TABLE (rank integer, candidate anyelement, label text, score real, source text)
	AS 'MODULE_PATHNAME', 'tfrs_recommend_from_as' LANGUAGE C STABLE PARALLEL RESTRICTED
	SUPPORT top_k_support ROWS 10 COST 30000;

CREATE FUNCTION recommend_from_as(type anyelement, name text, candidates text, avoid "any" = NULL::text[],
		k bigint = 10, exclude "any" = NULL::text[], among "any" = NULL::text[],
		min_score double precision = NULL, version bigint = NULL, most jsonb = NULL, diversity double precision = NULL,
		boost text = NULL, share jsonb = NULL)
	RETURNS TABLE (rank integer, candidate anyelement, label text, score real, source text)
	AS 'MODULE_PATHNAME', 'tfrs_recommend_from_as' LANGUAGE C STABLE PARALLEL RESTRICTED
	SUPPORT top_k_support ROWS 10 COST 30000;

CREATE FUNCTION recommend_from_as(type anyelement, name text, candidates text, avoid text,
		k bigint = 10, exclude "any" = NULL::text[], among "any" = NULL::text[],
		min_score double precision = NULL, version bigint = NULL, most jsonb = NULL, diversity double precision = NULL,
		boost text = NULL, share jsonb = NULL)
	RETURNS TABLE (rank integer, candidate anyelement, label text, score real, source text)
	AS 'MODULE_PATHNAME', 'tfrs_recommend_from_as' LANGUAGE C STABLE PARALLEL RESTRICTED
	SUPPORT top_k_support ROWS 10 COST 30000;

CREATE FUNCTION similar(name text, candidate "any", k bigint = 10, exclude "any" = NULL::text[],
		among "any" = NULL::text[], min_score double precision = NULL, version bigint = NULL)
	RETURNS TABLE (rank integer, candidate text, label text, score real)
	AS 'MODULE_PATHNAME', 'tfrs_similar_recommender' LANGUAGE C STABLE PARALLEL RESTRICTED
	SUPPORT top_k_support ROWS 10 COST 30000;

CREATE FUNCTION similar(name text, candidate text, k bigint = 10, exclude "any" = NULL::text[],
		among "any" = NULL::text[], min_score double precision = NULL, version bigint = NULL)
	RETURNS TABLE (rank integer, candidate text, label text, score real)
	AS 'MODULE_PATHNAME', 'tfrs_similar_recommender' LANGUAGE C STABLE PARALLEL RESTRICTED
	SUPPORT top_k_support ROWS 10 COST 30000;

CREATE FUNCTION explain(name text, query "any", candidate "any", k bigint = 10, version bigint = NULL)
	RETURNS TABLE (rank integer, candidate text, label text, contribution real, share real)
	AS 'MODULE_PATHNAME', 'tfrs_explain' LANGUAGE C STABLE PARALLEL RESTRICTED
	SUPPORT top_k_support ROWS 10 COST 30000;

CREATE FUNCTION explain(name text, query "any", candidate text, k bigint = 10, version bigint = NULL)
	RETURNS TABLE (rank integer, candidate text, label text, contribution real, share real)
	AS 'MODULE_PATHNAME', 'tfrs_explain' LANGUAGE C STABLE PARALLEL RESTRICTED
	SUPPORT top_k_support ROWS 10 COST 30000;

CREATE FUNCTION explain(name text, query text, candidate "any", k bigint = 10, version bigint = NULL)
	RETURNS TABLE (rank integer, candidate text, label text, contribution real, share real)
	AS 'MODULE_PATHNAME', 'tfrs_explain' LANGUAGE C STABLE PARALLEL RESTRICTED
	SUPPORT top_k_support ROWS 10 COST 30000;

CREATE FUNCTION explain(name text, query text, candidate text, k bigint = 10, version bigint = NULL)
	RETURNS TABLE (rank integer, candidate text, label text, contribution real, share real)
	AS 'MODULE_PATHNAME', 'tfrs_explain' LANGUAGE C STABLE PARALLEL RESTRICTED
	SUPPORT top_k_support ROWS 10 COST 30000;

COMMENT ON FUNCTION recommend(text, "any", bigint, "any", "any", boolean, text, bigint, double precision, jsonb, double precision, text, jsonb) IS
	'the best candidates of a recommender for a query; what it has chosen is left out';
COMMENT ON FUNCTION recommend(text, text, bigint, "any", "any", boolean, text, bigint, double precision, jsonb, double precision, text, jsonb) IS
	'the best candidates of a recommender for a query, given as text of any id type; what it has chosen is left out';
COMMENT ON FUNCTION recommend(text, jsonb, bigint, "any", "any", boolean, text, bigint, double precision, jsonb, double precision, text, jsonb) IS
	'the best candidates of a recommender for a query, given as a JSON string, number or boolean; what it has chosen is left out';
COMMENT ON FUNCTION recommend_as(anyelement, text, "any", bigint, "any", "any", boolean, text, bigint, double precision, jsonb, double precision, text, jsonb) IS
	'as recommend, with candidates of the type of the first argument';
COMMENT ON FUNCTION recommend_as(anyelement, text, text, bigint, "any", "any", boolean, text, bigint, double precision, jsonb, double precision, text, jsonb) IS
	'as recommend, with candidates of the type of the first argument';
COMMENT ON FUNCTION recommend_as(anyelement, text, jsonb, bigint, "any", "any", boolean, text, bigint, double precision, jsonb, double precision, text, jsonb) IS
	'as recommend, with candidates of the type of the first argument';
COMMENT ON FUNCTION recommend_from(text, "any", "any", bigint, "any", "any", double precision, bigint, jsonb, double precision, text, jsonb) IS
	'the best candidates of a recommender for one who chose the candidates of a list, oldest first, and who dislikes those of another; neither are among them';
COMMENT ON FUNCTION recommend_from(text, "any", text, bigint, "any", "any", double precision, bigint, jsonb, double precision, text, jsonb) IS
	'the best candidates of a recommender for one who chose the candidates of a list, oldest first, and who dislikes those of another; neither are among them';
COMMENT ON FUNCTION recommend_from(text, text, "any", bigint, "any", "any", double precision, bigint, jsonb, double precision, text, jsonb) IS
	'the best candidates of a recommender for one who chose the candidates of a list, oldest first, and who dislikes those of another; neither are among them';
COMMENT ON FUNCTION recommend_from(text, text, text, bigint, "any", "any", double precision, bigint, jsonb, double precision, text, jsonb) IS
	'the best candidates of a recommender for one who chose the candidates of a list, oldest first, and who dislikes those of another; neither are among them';
COMMENT ON FUNCTION recommend_from_as(anyelement, text, "any", "any", bigint, "any", "any", double precision, bigint, jsonb, double precision, text, jsonb) IS
	'as recommend_from, with candidates of the type of the first argument';
COMMENT ON FUNCTION recommend_from_as(anyelement, text, "any", text, bigint, "any", "any", double precision, bigint, jsonb, double precision, text, jsonb) IS
	'as recommend_from, with candidates of the type of the first argument';
COMMENT ON FUNCTION recommend_from_as(anyelement, text, text, "any", bigint, "any", "any", double precision, bigint, jsonb, double precision, text, jsonb) IS
	'as recommend_from, with candidates of the type of the first argument';
COMMENT ON FUNCTION recommend_from_as(anyelement, text, text, text, bigint, "any", "any", double precision, bigint, jsonb, double precision, text, jsonb) IS
	'as recommend_from, with candidates of the type of the first argument';
COMMENT ON FUNCTION similar(text, "any", bigint, "any", "any", double precision, bigint) IS
	'the candidates of a recommender most like one of them, by cosine, any bias left out; no rows for one that the model does not know';
COMMENT ON FUNCTION similar(text, text, bigint, "any", "any", double precision, bigint) IS
	'the candidates of a recommender most like one of them, by cosine, any bias left out; no rows for one that the model does not know';
COMMENT ON FUNCTION explain(text, "any", "any", bigint, bigint) IS
	'what the score of a candidate is made of, in parts that add up to it: the k chosen candidates that speak most for it, what is popular in general, and everything else; the shares of the parts'' sizes add up to 1; no rows for a candidate that the model does not know';
COMMENT ON FUNCTION explain(text, "any", text, bigint, bigint) IS
	'what the score of a candidate is made of, in parts that add up to it: the k chosen candidates that speak most for it, what is popular in general, and everything else; the shares of the parts'' sizes add up to 1; no rows for a candidate that the model does not know';
COMMENT ON FUNCTION explain(text, text, "any", bigint, bigint) IS
	'what the score of a candidate is made of, in parts that add up to it: the k chosen candidates that speak most for it, what is popular in general, and everything else; the shares of the parts'' sizes add up to 1; no rows for a candidate that the model does not know';
COMMENT ON FUNCTION explain(text, text, text, bigint, bigint) IS
	'what the score of a candidate is made of, in parts that add up to it: the k chosen candidates that speak most for it, what is popular in general, and everything else; the shares of the parts'' sizes add up to 1; no rows for a candidate that the model does not know';
