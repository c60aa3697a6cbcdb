-- tfrs.factorized_top_k
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS tfrs_retrieval;
RESET client_min_messages;
SET search_path = public, tfrs;

-- the case of TFRS in test/fixtures
CREATE TABLE ftk_candidate (candidate_id int, embedding float8[]);
CREATE TABLE ftk_query ("row" int, query float8[], weight float8, positive_id int,
	positive_score float8, rank int);
CREATE TABLE ftk_expected (weighting text, k int, score_based float8, id_based float8);
\copy ftk_candidate from program 'cat "${PG_ABS_SRCDIR:-.}/test/fixtures/ftk_candidates.tsv"' with (format csv, delimiter E'\t', header, quote E'\b')
\copy ftk_query from program 'cat "${PG_ABS_SRCDIR:-.}/test/fixtures/ftk_queries.tsv"' with (format csv, delimiter E'\t', header, quote E'\b')
\copy ftk_expected from program 'cat "${PG_ABS_SRCDIR:-.}/test/fixtures/ftk_expected.tsv"' with (format csv, delimiter E'\t', header, quote E'\b')
CREATE TABLE shelf AS
	SELECT build_index(candidate_id, embedding::embedding) AS index FROM ftk_candidate;
CREATE TABLE ftk_query_vector AS
	SELECT q.query::embedding AS query, positive_id::text AS id, weight, c.embedding::embedding AS positive
	FROM ftk_query q JOIN ftk_candidate c ON candidate_id = positive_id;

WITH got AS (
	SELECT 'weighted' AS weighting,
		   factorized_top_k(query, id, weight, index, '{1,5,10,50}') AS by_id,
		   factorized_top_k(query, positive, weight, index, '{1,5,10,50}') AS by_score
	FROM ftk_query_vector, shelf
	UNION ALL
	SELECT 'unweighted',
		   factorized_top_k(query, id, NULL, index, '{1,5,10,50}'),
		   factorized_top_k(query, positive, NULL, index, '{1,5,10,50}')
	FROM ftk_query_vector, shelf)
SELECT weighting, k, round((by_score ->> k::text)::numeric, 6) AS by_score,
	   round((by_id ->> k::text)::numeric, 6) AS by_id,
	   abs((by_score ->> k::text)::float8 - score_based) < 1e-5 AND
	   abs((by_id ->> k::text)::float8 - id_based) < 1e-5 AS right
FROM ftk_expected JOIN got USING (weighting) ORDER BY weighting, k;

-- the cases by hand: ties, a positive that is not in the corpus, more than there are
CREATE TABLE hand_candidate ("position" int, candidate_id text, embedding float8[]);
CREATE TABLE hand_hit (case_id text, positive_score float8, positive_id text, k int,
	score_based bool, id_based bool);
\copy hand_candidate from program 'cat "${PG_ABS_SRCDIR:-.}/test/fixtures/hand_candidates.tsv"' with (format csv, delimiter E'\t', header, quote E'\b')
\copy hand_hit from program 'cat "${PG_ABS_SRCDIR:-.}/test/fixtures/hand_hits.tsv"' with (format csv, delimiter E'\t', header, quote E'\b')
CREATE TABLE hand_index AS SELECT build_index(candidate_id, embedding::embedding) AS index FROM hand_candidate;
SELECT case_id, k, score_based, id_based,
	   factorized_top_k('[1]', ARRAY[positive_score]::embedding, 1, index, ARRAY[k]) AS by_score,
	   factorized_top_k('[1]', positive_id, 1, index, ARRAY[k]) AS by_id
FROM hand_hit, hand_index GROUP BY case_id, positive_score, positive_id, k, score_based, id_based
ORDER BY case_id, k;

-- by score ties do not keep a candidate out, by id those before it do
CREATE TABLE tie AS
	SELECT build_index(id, '[1,1]'::embedding) AS dot,
		   build_index(id, e, '{"metric": "cosine"}') AS cosine,
		   build_index(id, e, '{"metric": "l2"}') AS l2
	FROM (VALUES (1, '[1,0]'::embedding), (2, '[3,0.1]'), (3, '[0,2]'), (4, '[0,2]')) v(id, e);
SELECT factorized_top_k('[1,2]', '4', 1, dot, '{1,2,3,4,5}') AS by_id,
	   factorized_top_k('[1,2]', '[1,1]'::embedding, 1, dot, '{1,2,3,4,5}') AS by_score FROM tie;
SELECT factorized_top_k('[1,0]', '2', 1, dot, '{1,2}') AS dot,
	   factorized_top_k('[1,0]', '2', 1, cosine, '{1,2}') AS cosine,
	   factorized_top_k('[1,0]', '2', 1, l2, '{1,2}') AS l2,
	   factorized_top_k('[0,2]', '[0,9]'::embedding, 1, cosine, '{1,2}') AS parallel,
	   factorized_top_k('[0,2]', '[0,9]'::embedding, 1, l2, '{1,2,3,4}') AS far FROM tie;

-- the usual ks; ks in any order; not in the index; rows with a NULL
SELECT factorized_top_k(query, id, 1, index, NULL) = factorized_top_k(query, id, 1, index, '{100,50,1,5,10,5}') AS usual
FROM ftk_query_vector, shelf;
SELECT factorized_top_k(query, '1000', 1, index, '{1,1000}') AS unknown FROM ftk_query_vector, shelf;
SELECT factorized_top_k(query, nullif(id, '15'), weight, index, '{50}') =
	   factorized_top_k(CASE id WHEN '15' THEN NULL ELSE query END, id, weight, index, '{50}') AS same
FROM ftk_query_vector, shelf;
SELECT factorized_top_k(query, id, 0, index, '{50}') AS weightless,
	   factorized_top_k(query, NULL::text, 1, index, '{50}') AS no_candidate,
	   factorized_top_k(query, id, 1, NULL, '{50}') AS no_index FROM ftk_query_vector, shelf;
PREPARE untyped AS SELECT factorized_top_k(query, $1, $2, index, $3) FROM ftk_query_vector, shelf;
EXECUTE untyped('15', 1, '{100}');

-- more rows than are ranked at once
SELECT factorized_top_k(query, id, weight, index, '{5,50}') =
	   (SELECT factorized_top_k(query, id, weight, index, '{5,50}') FROM ftk_query_vector, shelf, generate_series(1, 200)) AS same,
	   factorized_top_k(query, id, weight, index, '{5,50}') AS once
FROM ftk_query_vector, shelf;

-- wrong use
SELECT factorized_top_k(query, id, -1, index, '{1}') FROM ftk_query_vector, shelf;
SELECT factorized_top_k(query, id, 1, index, '{}') FROM ftk_query_vector, shelf;
SELECT factorized_top_k(query, id, 1, index, '{1,0}') FROM ftk_query_vector, shelf;
SELECT factorized_top_k(query, id, 1, index, '{1,10001}') FROM ftk_query_vector, shelf;
SELECT factorized_top_k(query, id, 1, index, '{1,NULL}') FROM ftk_query_vector, shelf;
SELECT factorized_top_k(query, id, 1, index, array_fill(1, ARRAY[33])) FROM ftk_query_vector, shelf;
SELECT factorized_top_k(query, id, 1, index, CASE id WHEN '15' THEN '{1}' ELSE '{2}' END::int[]) FROM ftk_query_vector, shelf;
SELECT factorized_top_k('[1]', id, 1, index, '{1}') FROM ftk_query_vector, shelf;
SELECT factorized_top_k(query, '[1]'::embedding, 1, index, '{1}') FROM ftk_query_vector, shelf;
SELECT factorized_top_k(query, 'x', 1, index, '{1}') FROM ftk_query_vector, shelf;
SELECT factorized_top_k('[1]', '1', 1, index, '{1}') FROM (SELECT index FROM shelf UNION ALL SELECT index FROM hand_index) i;
SELECT factorized_top_k('[1]', 'a', 1, index, '{1}') FROM (SELECT index FROM hand_index UNION ALL SELECT index FROM shelf) i;

DROP TABLE ftk_candidate, ftk_query, ftk_expected, shelf, ftk_query_vector, hand_candidate, hand_hit, hand_index, tie;
