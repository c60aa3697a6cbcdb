-- tfrs.retrain: a model that goes on with new rows.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS tfrs_retrieval;
RESET client_min_messages;
SET search_path = tfrs, public;

-- Users of two tastes; some users and films come later.
CREATE TEMP TABLE rows AS
SELECT u, CASE WHEN u % 2 = 0 THEN 'a' ELSE 'b' END || (u * 5 + i) % (6 + day * 3) AS film,
	   timestamptz '2024-01-01 00:00:00+00' + day * interval '10 days' + i * interval '1 day' AS at, day
FROM generate_series(0, 1) day, generate_series(1, 100 + day * 50) u, generate_series(1, 4) i;
CREATE TEMP TABLE models AS
SELECT 'history' AS name, train(u, film, NULL, at, '{"dim": 16, "history": {"steps": 60}}') AS model
FROM rows WHERE day = 0
UNION ALL
SELECT 'plain', train(u, film, NULL, at, '{"dim": 16, "history": false, "epochs": 5,
	"keep_optimizer_state": true}') FROM rows WHERE day = 0;
INSERT INTO models
SELECT name || ' again', retrain(model, u, film, NULL, at, '{"epochs": 3}')
FROM models, rows WHERE day = 1 GROUP BY name;

-- New ids have rows, counts add up, and stored events are merged.
SELECT name, i -> 'queries' AS queries, i -> 'candidates' AS candidates, i -> 'rows' AS rows,
	   i -> 'events' AS events, i -> 'epochs' AS epochs
FROM (SELECT name, model_info(model) AS i FROM models) m ORDER BY name;
SELECT count(*) AS rows, count(DISTINCT (u, film)) AS pairs FROM rows;

-- It has the options of the model but for those that are given; how long to train is chosen anew.
SELECT name, i -> 'dim' AS dim, i -> 'epochs' AS epochs,
	   i -> 'keep_optimizer_state' AS kept, i -> 'history' = 'false' AS plain
FROM (SELECT name, model_info(model) -> 'options' AS i FROM models) m ORDER BY name;

-- Everybody, old and new, gets films of his taste.
SELECT name, count(*) AS users, sum(right_ones) > 1.9 * count(*) AS right_ones
FROM (SELECT name, query, count(*) FILTER (WHERE (candidate LIKE 'a%') = (query::int % 2 = 0)) AS right_ones
	  FROM models, top_k_many(model, ARRAY(SELECT DISTINCT u FROM rows), k => 2,
							  search => '{"seen": true}')
	  WHERE name LIKE '%again' GROUP BY 1, 2) t GROUP BY 1 ORDER BY 1;

-- Rows that are stored already count once, whatever way they come.
SELECT name, model_info(again) -> 'rows' = model_info(model) -> 'rows' AS same_rows,
	   model_info(again) -> 'events' = model_info(model) -> 'events' AS same_events
FROM (SELECT name, (array_agg(model))[1] AS model,
			 retrain(model, u, film, NULL, at, '{"epochs": 1}') AS again
	  FROM models, rows WHERE day = 0 AND name LIKE '%again' GROUP BY name) r ORDER BY name;

-- The same rows give the same bytes, in any order.
SELECT (SELECT retrain(model, u, film, NULL, at, '{"epochs": 1}') FROM rows, models
		WHERE name = 'history' AND day = 1)::text =
	   (SELECT retrain(model, u, film, NULL, at, '{"epochs": 1}')
		FROM (SELECT * FROM rows, models WHERE name = 'history' AND day = 1
			  ORDER BY film, u DESC) r)::text AS same_bytes;

-- Without a model it begins as train does; without rows the model stays as it is.
SELECT retrain(NULL::model, u, film, '{"dim": 4, "history": {"steps": 3}}')::text =
	   train(u, film, '{"dim": 4, "history": {"steps": 3}}')::text AS from_the_beginning
FROM rows;
SELECT retrain(model, NULL::int, film, NULL, at, '{}')::text = (array_agg(model))[1]::text AS unchanged
FROM rows, models WHERE name = 'history';
SELECT retrain(model, u, film, NULL, at, '{}') IS NULL AS nothing
FROM rows, models WHERE name = 'nobody';

-- The other forms.
CREATE TEMP TABLE timeless AS
SELECT train(u, film, '{"dim": 4, "history": {"steps": 3}}') AS model FROM rows WHERE day = 0;
SELECT model_info(retrain(model, u, film)) -> 'rows' AS rows FROM rows, timeless WHERE day = 1;
SELECT model_info(retrain(model, u, film, '{"history": {"steps": 2}}')) #> '{options,history,steps}' AS steps
FROM rows, timeless WHERE day = 1;
SELECT model_info(retrain(model, u, film, 2.0, '{"history": {"steps": 2}}')) -> 'rows' AS rows
FROM rows, timeless WHERE day = 1;

-- What it refuses.
SELECT retrain(model, u, film) FROM rows, models WHERE name = 'history';
SELECT retrain(model, u, film, NULL, at, '{}') FROM rows, timeless;
SELECT retrain(model, u, film, NULL, at, '{"dim": 8}') FROM rows, models WHERE name = 'history';
SELECT retrain(model, u, film, NULL, at, '{"history": false}') FROM rows, models WHERE name = 'history';
SELECT retrain(model, u, film, NULL, at, '{"history": {"decay": [0.3]}}') FROM rows, models
WHERE name = 'history';
SELECT retrain(model, u::text, film, NULL, at, '{}') FROM rows, models WHERE name = 'history';
SELECT retrain(model, u, 7, NULL, at, '{}') FROM rows, models WHERE name = 'history';
SELECT retrain(model, u, film, NULL, at, '{}') IS NULL FROM rows, models;
SELECT retrain(model, u, film, NULL, at, '{"epoch": 2}') FROM rows, models WHERE name = 'history';
