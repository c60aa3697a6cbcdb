-- History towers: embed_history, what a model tells of its events, what is chosen again.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS tfrs_retrieval;
SET search_path = tfrs, public;
RESET client_min_messages;

-- Users of two tastes, each with six of eight films of its taste, in an order of their own.
CREATE TEMP TABLE seen AS
SELECT u, CASE WHEN u % 2 = 0 THEN 'a' ELSE 'b' END || (u * 5 + i * 3) % 8 AS film,
	   timestamptz '2024-01-01 00:00:00+00' + i * interval '1 day' AS at
FROM generate_series(1, 200) u, generate_series(1, 6) i;
CREATE TEMP TABLE models AS
SELECT 'times' AS name, train(u, film, NULL, at, '{"history": {"steps": 150}, "dim": 16}') AS model
FROM seen
UNION ALL
SELECT 'no times', train(u, film, '{"history": {"steps": 150}, "dim": 16}') FROM seen
UNION ALL
SELECT 'plain', train(u, film, '{"history": false, "dim": 16}') FROM seen
UNION ALL
SELECT 'nothing stored', train(u, film, '{"history": {"steps": 20}, "dim": 16, "store": false}')
FROM seen
UNION ALL
SELECT 'repeats', train(u, film, NULL, at, '{"history": {"steps": 20}, "dim": 16,
	"mask_known": false}')
FROM (SELECT * FROM seen UNION ALL SELECT u, film, at + interval '9 days' FROM seen) s;

SELECT name, model_info(model) -> 'history' AS history, model_info(model) -> 'events' AS events
FROM models ORDER BY name;

-- A list decides about what is recommended, whoever it comes from; unknown films are passed over.
SELECT name, list, bool_and(candidate LIKE left(list[1], 1) || '%') AS of_the_taste
FROM models, (VALUES (ARRAY['a1', 'a2', 'a3']), (ARRAY['b1', 'zz', 'b2', NULL, 'b7'])) v (list),
	 LATERAL top_k(model, embed_history(model, list), k => 4) t
WHERE name <> 'nothing stored' AND name <> 'repeats' GROUP BY 1, 2 ORDER BY 1, 2;

-- The stored events of a query, given as a list, have its vector: without times the order does not
-- matter, with times it does.
SELECT name,
	   embed_history(model, ARRAY(SELECT film FROM seen WHERE u = 7 ORDER BY at)) <->
	   embed_query(model, 7) < 1e-5 AS oldest_first,
	   embed_history(model, ARRAY(SELECT film FROM seen WHERE u = 7 ORDER BY at DESC)) <->
	   embed_query(model, 7) < 1e-5 AS newest_first
FROM models WHERE name IN ('times', 'no times') ORDER BY 1;

-- Nothing: the vector of an unknown query.
SELECT name,
	   embed_history(model, '{}'::text[]) = embed_query(model, -1) AS empty,
	   embed_history(model, NULL::text[]) = embed_query(model, -1) AS nothing,
	   embed_history(model, ARRAY['zz']) = embed_query(model, -1) AS unknown,
	   embed_history(NULL::model, ARRAY['a1']) IS NULL AS no_model
FROM models ORDER BY 1;

-- A film is an event at its first time, unless the model learned that films are chosen again.
SELECT name, embed_history(model, ARRAY['a1', 'a2', 'a1']) = embed_history(model, ARRAY['a1', 'a2'])
FROM models WHERE name IN ('times', 'plain', 'repeats') ORDER BY 1;

-- The array may be of any type that the ids can be read from.
CREATE TEMP TABLE numbers AS
SELECT train(u, i, '{"history": {"steps": 5}, "dim": 4}') AS model
FROM generate_series(1, 20) u, generate_series(1, 5) i;
SELECT embed_history(model, ARRAY[1, 2]) = embed_history(model, ARRAY[1, 2]::bigint[]) AS bigint,
	   embed_history(model, ARRAY[1, 2]) = embed_history(model, ARRAY['1', '2']) AS text,
	   embed_history(model, ARRAY[1, 2]) = embed_history(model, '{1,2}') AS literal,
	   embed_history(model, ARRAY[1, 2]) = embed_history(model, ARRAY[[1], [2]]) AS nested
FROM numbers;
PREPARE by_parameter AS SELECT dims(embed_history(model, $1::text[])) FROM numbers;
EXECUTE by_parameter('{1,2}');
SELECT embed_history(model, ARRAY[1.5]) FROM numbers;
SELECT embed_history(model, ARRAY['x']) FROM numbers;

-- query_embeddings and vocabulary have the vectors that queries are answered with.
SELECT name, count(*), bool_and(e.embedding = embed_query(model, e.id)) AS same
FROM models, query_embeddings(model) e GROUP BY 1 ORDER BY 1;
SELECT name, count(*), sum(v.count), bool_and(v.embedding = embed_query(model, v.value)) AS same
FROM models, vocabulary(model, 'query') v GROUP BY 1 ORDER BY 1;

-- What is stored for a query is left out of its answer, unless it is asked for.
SELECT name, count(*) FILTER (WHERE candidate IN (SELECT film FROM seen WHERE u = 7)) AS seen
FROM models, top_k(model, 7, k => 16) GROUP BY 1 ORDER BY 1;
SELECT name, count(*) FILTER (WHERE candidate IN (SELECT film FROM seen WHERE u = 7)) AS seen
FROM models, top_k(model, 7, k => 16, search => '{"seen": true}') GROUP BY 1 ORDER BY 1;

-- Options of the masks and weights.
SELECT model_info(train(u, film, o)) #> ARRAY['options', k]
FROM seen, (VALUES ('mask_known', '{"mask_known": false, "history": {"steps": 2}}'::jsonb),
				   ('query_weight', '{"query_weight": 0.25, "history": {"steps": 2}}'),
				   ('query_weight', '{"query_weight": 1, "history": false, "epochs": 1}')) v (k, o)
GROUP BY k, o ORDER BY k, o;
SELECT train(u, film, '{"query_weight": 1.5}') FROM seen;

-- A softmax row may be one interaction.
SELECT bool_and(candidate LIKE 'a%') AS of_the_taste
FROM (SELECT train(u, film, NULL, at, '{"history": {"rows": "interaction", "steps": 100}, "dim": 16,
	"batch_size": 64}') AS model FROM seen) m, top_k(model, embed_history(model, ARRAY['a1', 'a2', 'a3']), k => 4);
SELECT train(u, film, '{"history": {"rows": "interaction", "hide_share": 0.5}}') FROM seen;
SELECT train(u, film, '{"history": {"rows": "user"}}') FROM seen;
