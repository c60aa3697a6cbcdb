-- What stands beside the towers: a sparse item-item part, and a popularity that knows the time.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS tfrs_retrieval;
RESET client_min_messages;
SET search_path = public, tfrs;
-- Sets of five items that go together, in an order; each week has a set that everybody chooses from.
CREATE TEMP TABLE basket AS
SELECT u AS query, (s.number * 5 + i) % 60 AS candidate,
       timestamptz '2024-01-01 00:00+00' + make_interval(days => week * 7, hours => i * 3 + u % 5) AS at
FROM generate_series(1, 90) AS u
CROSS JOIN generate_series(0, 7) AS week
CROSS JOIN LATERAL (SELECT CASE WHEN (u + week) % 3 = 0 THEN week ELSE (u * 7 + week * 5) % 12 END AS number) AS s
CROSS JOIN generate_series(0, 4) AS i
WHERE (u * 31 + week * 17 + i * 13) % 4 > 0;
SELECT count(*) > 1500 AS enough, count(DISTINCT candidate) AS candidates FROM basket;

CREATE TEMP TABLE models (name text, model model);
INSERT INTO models SELECT 'all', train(query, candidate, NULL, at, '{"parts": {"together": 10, "next": 5, "towers": 0.5, "recent": 1}, "history": {"steps": 40}}') FROM basket;
INSERT INTO models SELECT 'none', train(query, candidate, NULL, at, '{"parts": false, "history": {"steps": 40}}') FROM basket;
INSERT INTO models SELECT 'chosen', train(query, candidate, NULL, at, '{"history": {"steps": 40}}') FROM basket;

-- The model tells what its score is made of, and its options say what was chosen
SELECT name, jsonb_pretty(model_info(model) -> 'score' #- '{together,values}' #- '{next,values}') AS score
FROM models WHERE name = 'all';
SELECT name, model_info(model) -> 'options' -> 'parts' AS parts FROM models WHERE name <> 'chosen' ORDER BY name;
SELECT p.key, p.value::float >= 0 AS chosen FROM models, jsonb_each_text(model_info(model) -> 'options' -> 'parts') AS p
WHERE name = 'chosen' ORDER BY 1;

-- One query and many get the same rows
SELECT name, count(*) AS rows, count(*) FILTER (WHERE one.candidate = many.candidate AND one.score = many.score) AS equal
FROM models
CROSS JOIN LATERAL (SELECT array_agg(DISTINCT query) AS ids FROM basket) AS q
CROSS JOIN LATERAL top_k_many(model, q.ids, 10) AS many
CROSS JOIN LATERAL (SELECT t.candidate, t.score FROM top_k(model, many.query::int, 10) AS t WHERE t.rank = many.rank) AS one
GROUP BY name ORDER BY name;

-- So many of the first ten are hits as evaluate counts
CREATE TEMP TABLE test AS
SELECT DISTINCT query, (candidate + 17) % 60 AS candidate FROM basket WHERE query % 3 = 0
EXCEPT SELECT query, candidate FROM basket;
WITH ranked AS (
	SELECT name, test.query, count(t.candidate)::float / count(*) AS recall
	FROM models CROSS JOIN test
	LEFT JOIN LATERAL (SELECT r.candidate FROM top_k(model, test.query, 10) AS r
					   WHERE r.candidate::int = test.candidate) AS t ON true
	GROUP BY name, test.query),
measured AS (
	SELECT name, evaluate(model, query, candidate, '{"ks": [10], "baselines": false}') -> 'recall' ->> '10' AS recall
	FROM models CROSS JOIN test GROUP BY name)
SELECT name, abs(avg(ranked.recall) - measured.recall::float) < 1e-5 AS equal, avg(ranked.recall) > 0 AS any
FROM ranked JOIN measured USING (name) GROUP BY name, measured.recall ORDER BY name;

-- What is excluded, allowed or too low means the score as a whole
SELECT count(*) FILTER (WHERE filtered.score = whole.score) = count(*) AS equal, count(*) > 20 AS several
FROM models
CROSS JOIN generate_series(1, 90, 7) AS q
CROSS JOIN LATERAL (SELECT array_agg(candidate) AS among FROM generate_series(0, 59, 4) AS candidate) AS a
CROSS JOIN LATERAL top_k(model, q, 3, among => a.among, search => '{"seen": true}') AS filtered
JOIN LATERAL (SELECT * FROM top_k(model, q, 60, search => '{"seen": true}')) AS whole USING (candidate)
WHERE name = 'all';
SELECT min(low.score) >= 4 AS none_lower, count(*) = sum((w.score >= 4)::int) AS all_of_them
FROM models CROSS JOIN generate_series(1, 90, 7) AS q
CROSS JOIN LATERAL top_k(model, q, 60, search => '{"seen": true}') AS w
LEFT JOIN LATERAL (SELECT * FROM top_k(model, q, 60, min_score => 4, search => '{"seen": true}') AS l WHERE l.candidate = w.candidate) AS low ON true
WHERE name = 'all' AND (w.score >= 4 OR low.score IS NOT NULL);
-- An index beside the model, over some of its candidates and others
WITH beside AS (
	SELECT build_index(c.id, c.embedding) AS index FROM models, candidate_embeddings(model) AS c
	WHERE name = 'all' AND c.id::int % 2 = 0)
SELECT count(*) FILTER (WHERE abs(a.score - b.score) < 1e-5) = count(*) AS equal, count(*) > 100 AS several
FROM models CROSS JOIN beside CROSS JOIN generate_series(1, 90, 7) AS q
CROSS JOIN LATERAL top_k(model, q, 30, index => beside.index, search => '{"seen": true}') AS a
JOIN LATERAL (SELECT * FROM top_k(model, q, 60, search => '{"seen": true}')) AS b USING (candidate)
WHERE name = 'all';

-- Whom nothing is known of gets what is popular now: of the last week's set
SELECT candidate, score > 0.02 AS likely FROM models, top_k(model, 1000, 3, search => '{"unknown": "popular"}')
WHERE name = 'chosen' AND model_info(model) -> 'score' ->> 'unknown' = 'trending' ORDER BY rank;

-- A training that goes on carries the weights, and takes the popularity out of the biases first
SELECT model_info(again) -> 'options' -> 'parts' = model_info(model) -> 'options' -> 'parts' AS same_weights,
	model_info(again) -> 'score' -> 'together' -> 'values' IS NOT NULL AS has_parts
FROM models, LATERAL (SELECT retrain(model, query, candidate, NULL, at, '{}') AS again FROM basket WHERE query < 5) AS r
WHERE name = 'all';
SELECT max(abs(a.score - b.score)) < 0.6 AS near
FROM models, LATERAL (SELECT retrain(model, query, candidate, NULL, at, '{"learning_rate": 1e-9}') AS again FROM basket WHERE query < 5) AS r
CROSS JOIN LATERAL top_k(model, 20, 60) AS a JOIN LATERAL top_k(again, 20, 60) AS b USING (candidate)
WHERE name = 'all';

-- What they may weigh
SELECT train(query, candidate, '{"parts": {"together": -1}}') FROM basket;
SELECT train(query, candidate, '{"parts": {"towers": 0}}') FROM basket;
SELECT train(query, candidate, '{"parts": {"recent": 2}}') FROM basket;
SELECT train(query, candidate, '{"parts": {"nearest": 2}}') FROM basket;
SELECT train(query, candidate, '{"history": false, "parts": {"together": 1}}') FROM basket;
