-- tfrs.evaluate and tfrs.evaluate_lists
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS tfrs_retrieval;
SET search_path = public, tfrs;

-- 60 people, 150 things of which each has a taste; the last of each person's things are the test
CREATE TABLE click AS
	SELECT DISTINCT person, (person % 3 * 50 + (person * 7919 + i * i * 31) % (20 + i)) % 150 AS thing,
		   min(i) AS n
	FROM generate_series(1, 60) person, generate_series(1, 30) i GROUP BY 1, 2;
CREATE TABLE test AS
	SELECT person, thing FROM (SELECT *, row_number() OVER (PARTITION BY person ORDER BY n DESC, thing) AS r
							   FROM click) AS numbered WHERE r <= 3;
CREATE TABLE training AS SELECT person, thing FROM click EXCEPT SELECT person, thing FROM test;
CREATE TABLE recommender (name text, model model);
INSERT INTO recommender SELECT 'history', train(person, thing, '{"dim": 8}') FROM training;
INSERT INTO recommender SELECT 'tfrs', train(person, thing, '{"preset": "tfrs", "dim": 8}') FROM training;
-- test rows beside the plain ones: seen in training, repeated, not known, NULL
CREATE TABLE odd_test AS
	SELECT person, thing FROM test
	UNION ALL (SELECT person, thing FROM training WHERE person <= 20 ORDER BY person, thing LIMIT 7)
	UNION ALL (SELECT person, thing FROM test ORDER BY person, thing LIMIT 5)
	UNION ALL VALUES (1, 1000), (1, 1001), (2, 1000), (900, 1002), (901, 51), (902, 1), (NULL, 5), (3, NULL);
RESET client_min_messages;

-- the same figures read off top_k
CREATE FUNCTION by_top_k(wanted text, seen bool, k int) RETURNS jsonb LANGUAGE sql AS $$
	WITH relevant AS (
		SELECT DISTINCT person, thing FROM odd_test o
		WHERE person IS NOT NULL AND thing IS NOT NULL AND
			  (seen OR NOT EXISTS (SELECT FROM training t WHERE (t.person, t.thing) = (o.person, o.thing)))),
	ranking AS (
		SELECT person, rank, candidate::int AS thing
		FROM recommender, (SELECT DISTINCT person FROM relevant) AS person,
			 top_k(model, person, by_top_k.k, search => jsonb_build_object('seen', seen))
		WHERE name = wanted),
	hit AS (
		SELECT person, rank, row_number() OVER (PARTITION BY person ORDER BY rank) AS nth
		FROM ranking JOIN relevant USING (person, thing)),
	query AS (
		SELECT count(rank)::float8 AS hits, n, coalesce(sum(ln(2) / ln(rank + 1)), 0) AS gain,
			   (SELECT sum(ln(2) / ln(i + 1)) FROM generate_series(1, least(n, by_top_k.k)) i) AS ideal,
			   coalesce(1.0 / min(rank), 0) AS first, coalesce(sum(nth::float8 / rank), 0) AS precisions
		FROM (SELECT person, count(*) AS n FROM relevant GROUP BY person) AS person LEFT JOIN hit USING (person)
		GROUP BY person, n)
	SELECT jsonb_build_object('hit', avg((hits > 0)::int), 'recall', avg(hits / n),
							  'capped_recall', avg(hits / least(n, by_top_k.k)), 'precision', avg(hits / by_top_k.k),
							  'ndcg', avg(gain / ideal), 'mrr', avg(first),
							  'map', avg(precisions / least(n, by_top_k.k)),
							  'coverage', (SELECT count(DISTINCT thing) FROM ranking)::float8 /
										  (SELECT count(DISTINCT thing) FROM training))
	FROM query;
$$;
CREATE FUNCTION differences(figures jsonb, wanted text, seen bool, VARIADIC ks int[]) RETURNS TABLE (k int, wrong bigint)
LANGUAGE sql AS $$
	SELECT k, (SELECT count(*) FROM jsonb_each_text(by_top_k(wanted, seen, k)) AS e
			   WHERE NOT coalesce(abs((figures -> key ->> k::text)::float8 - value::float8) < 1e-9, false))
	FROM unnest(ks) AS k;
$$;
CREATE TABLE result AS
	SELECT name, seen, evaluate(model, person, thing, jsonb_build_object('ks', ARRAY[1, 10, 1000], 'seen', seen,
																		'baselines', false)) AS figures
	FROM recommender, odd_test, (VALUES (false), (true)) v(seen) GROUP BY name, seen;
SELECT name, seen, d.* FROM result, differences(figures, name, seen OR name = 'tfrs', 1, 10, 1000) d
ORDER BY name, seen, k;
SELECT name, seen, figures - '{hit,recall,capped_recall,precision,ndcg,mrr,map,coverage,loss_per_row}'::text[] AS counts
FROM result ORDER BY name, seen;

-- loss: cross entropy of the softmax over everything that is not left out; a plain model's scores are
-- divided by its temperature
INSERT INTO recommender
	SELECT 'warm', train(person, thing, '{"history": false, "dim": 4, "epochs": 5, "temperature": 0.5}') FROM training;
SELECT name, abs((evaluate(model, person, thing, '{"baselines": false}') ->> 'loss_per_row')::float8 -
				 (SELECT avg(ln(total) - own) FROM test, LATERAL (
					SELECT sum(exp(score / temperature)) AS total,
						   max(score / temperature) FILTER (WHERE candidate = thing::text) AS own
					FROM recommender AS r, top_k(model, person, 1000) WHERE r.name = recommender.name) AS s
				  WHERE own IS NOT NULL)) < 1e-4 AS same
FROM recommender JOIN (VALUES ('history', 1), ('warm', 0.5)) v(name, temperature) USING (name), test
GROUP BY name, temperature ORDER BY name;
DELETE FROM recommender WHERE name = 'warm';

-- lists: a row a query
SELECT name, (SELECT evaluate_lists(model, person, things, NULL::int[], '{"baselines": false}')
			  FROM (SELECT person, array_agg(thing) AS things FROM odd_test GROUP BY person) AS lists) =
			 (SELECT evaluate(model, person, thing, '{"baselines": false}') FROM odd_test) AS same
FROM recommender ORDER BY name;
-- what a model does not store can be excluded
SELECT a - '{left_out_rows}'::text[] = b - '{left_out_rows}'::text[] AS same, a -> 'left_out_rows' AS a, b -> 'left_out_rows' AS b
FROM (SELECT (SELECT evaluate_lists(model, person, things, excluded, '{"seen": true, "baselines": false}') AS a
			  FROM (SELECT person, array_agg(thing::text) AS things FROM test GROUP BY person) AS lists
			  JOIN (SELECT person, array_agg(thing) AS excluded FROM training GROUP BY person) AS seen USING (person)),
			 (SELECT evaluate(model, person, thing, '{"baselines": false}') AS b FROM test)
	  FROM recommender WHERE name = 'history') AS figures;
SELECT evaluate_lists(model, 1, '{51,52}', '{52,1000,NULL}') -> 'left_out_rows' AS left_out,
	   evaluate_lists(model, 1, ARRAY[]::int[], NULL::text[]) -> 'queries' AS nothing FROM recommender WHERE name = 'tfrs';

-- baselines, and what is said where one wins
SELECT round((figures -> 'popularity' -> 'ndcg' ->> '10')::numeric, 4) AS popularity,
	   round((figures -> 'item_item' -> 'ndcg' ->> '10')::numeric, 4) AS item_item,
	   round((figures -> 'popularity' -> 'coverage' ->> '10')::numeric, 4) AS popular_things,
	   round((figures -> 'item_item' -> 'coverage' ->> '10')::numeric, 4) AS near_things
FROM (SELECT evaluate(model, person, thing) AS figures FROM recommender, test WHERE name = 'history') AS f;
WITH popular AS (
	SELECT thing, row_number() OVER (ORDER BY count(*) DESC, thing) AS place FROM training GROUP BY thing),
ranking AS (
	SELECT q.person, p.thing, row_number() OVER (PARTITION BY q.person ORDER BY place) AS rank
	FROM (SELECT DISTINCT person FROM test) q, popular p
	WHERE NOT EXISTS (SELECT FROM training t WHERE (t.person, t.thing) = (q.person, p.thing)))
SELECT round(avg(recall), 6) AS by_hand,
	   (SELECT round((evaluate(model, person, thing) -> 'popularity' -> 'recall' ->> '10')::numeric, 6)
		FROM recommender, test WHERE name = 'history') AS popularity
FROM (SELECT person, avg(coalesce(rank <= 10, false)::int) AS recall
	  FROM test LEFT JOIN ranking USING (person, thing) GROUP BY person) AS r;
CREATE TABLE untaught AS
	SELECT train(person, thing, '{"preset": "tfrs", "dim": 2, "epochs": 1, "learning_rate": 1e-6}') AS model FROM training;
\set VERBOSITY terse
SELECT f -> 'item_item' AS item_item, f -> 'item_item_reason' AS reason, f ? 'popularity' AS popularity
FROM (SELECT evaluate(model, person, thing, '{"ks": [10]}') AS f FROM untaught, training) AS figures;
\set VERBOSITY default
SELECT evaluate(model, person, thing, '{"ks": [10], "baselines": false}') ? 'popularity' AS popularity FROM untaught, training;

-- neither threads nor the order of rows shows; groups; a model that is not stored
SET client_min_messages = warning;
SET tfrs.threads = 1;
CREATE TABLE alone AS SELECT name, evaluate(model, person, thing ORDER BY thing, person) AS figures
	FROM recommender, odd_test GROUP BY name;
SET tfrs.threads = 2;
SELECT name, evaluate(model, person, thing ORDER BY person DESC, thing DESC) =
	   (SELECT figures FROM alone WHERE alone.name = recommender.name) AS same
FROM recommender, odd_test GROUP BY name ORDER BY name;
RESET tfrs.threads;
WITH fresh AS MATERIALIZED (SELECT train(person, thing, '{"preset": "tfrs", "dim": 8}') AS model FROM training)
SELECT evaluate(model, person, thing) = (SELECT figures FROM alone WHERE name = 'tfrs') AS same FROM fresh, odd_test;
RESET client_min_messages;

-- ids of other types, JSON, literals, parameters
CREATE TABLE by_text AS
	SELECT train('p' || person, lpad(thing::text, 32, '0')::uuid, '{"preset": "tfrs", "dim": 4}') AS model FROM training;
SELECT evaluate(model, 'p' || person, lpad(thing::text, 32, '0')::uuid) =
	   evaluate(model, to_jsonb('p' || person), lpad(thing::text, 32, '0')) AS same FROM by_text, test;
SELECT evaluate(model, 'p1', '00000000-0000-0000-0000-000000000051', '{"ks": [150]}') -> 'hit' AS literals FROM by_text;
PREPARE untyped AS SELECT evaluate(model, person, thing, $1) -> 'queries' FROM recommender, test WHERE name = 'tfrs';
EXECUTE untyped('{"ks": [7, 3, 7]}');

-- nothing to evaluate
SELECT evaluate(model, person, thing) FROM recommender, test WHERE false;
SELECT evaluate(NULL::model, person, thing) FROM test;
SELECT evaluate(model, NULL::int, thing) FROM recommender, test WHERE name = 'tfrs';
SELECT f -> 'queries' AS queries, f -> 'left_out_rows' AS left_out, f -> 'ndcg' -> '10' AS ndcg, f -> 'loss_per_row' AS loss
FROM (SELECT evaluate(model, person, thing) AS f FROM recommender, training WHERE name = 'history') AS figures;

-- wrong use
SELECT evaluate(model, person, thing) FROM recommender, test;
SELECT evaluate(model, person::text || 'x', thing) FROM recommender, test WHERE name = 'tfrs';
SELECT evaluate(model, person, thing::numeric) FROM recommender, test WHERE name = 'tfrs';
SELECT evaluate(model, person, now()) FROM recommender, test WHERE name = 'tfrs';
SELECT evaluate(model, jsonb_build_object('person', person), thing) FROM recommender, test WHERE name = 'tfrs';
SELECT evaluate_lists(model, person, thing, NULL::int[]) FROM recommender, test WHERE name = 'tfrs';
SELECT evaluate_lists(model, person, ARRAY[thing], thing) FROM recommender, test WHERE name = 'tfrs';
SELECT evaluate_lists(model, person, ARRAY[true], NULL::int[]) FROM recommender, test WHERE name = 'tfrs';
SELECT evaluate(model, person, thing, '{"k": [10]}') FROM recommender, test WHERE name = 'tfrs';
SELECT evaluate(model, person, thing, '{"ks": 10}') FROM recommender, test WHERE name = 'tfrs';
SELECT evaluate(model, person, thing, '{"ks": []}') FROM recommender, test WHERE name = 'tfrs';
SELECT evaluate(model, person, thing, '{"ks": [0]}') FROM recommender, test WHERE name = 'tfrs';
SELECT evaluate(model, person, thing, '{"ks": [1.5]}') FROM recommender, test WHERE name = 'tfrs';
SELECT evaluate(model, person, thing, '{"seen": 1}') FROM recommender, test WHERE name = 'tfrs';
SELECT evaluate(model, person, thing, jsonb_build_object('ks', ARRAY[person])) FROM recommender, test WHERE name = 'tfrs';

-- memory
SET maintenance_work_mem = '1MB';
SELECT evaluate(model, person % 60, person) FROM recommender, generate_series(1, 200000) person WHERE name = 'tfrs';
RESET maintenance_work_mem;
SET tfrs.max_memory = '1MB';
\set VERBOSITY terse
SELECT evaluate(model, person, thing) FROM recommender, test WHERE name = 'history';
\set VERBOSITY default
RESET tfrs.max_memory;

DROP FUNCTION by_top_k, differences;
DROP TABLE click, test, training, recommender, odd_test, result, alone, untaught, by_text;
