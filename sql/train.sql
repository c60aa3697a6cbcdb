-- tfrs.train: rows to a model.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS tfrs_retrieval;
RESET client_min_messages;
SET search_path = tfrs, public;

-- Queries of one residue class choose candidates of that class, so that there is something to learn.
CREATE TEMP TABLE rows AS
SELECT i % 3 + 3 * (i * i % 17) AS query, 'item ' || i % 3 + 3 * (i / 7 % 11) AS candidate,
	i % 4 AS part
FROM generate_series(1, 3000) AS i;

CREATE FUNCTION pg_temp.digest(m model) RETURNS text LANGUAGE sql AS
$$ SELECT tfrs.model_info(m) ->> 'digest' $$;

-- The defaults, and what the model says about itself
CREATE TEMP TABLE models AS SELECT 'default' AS name, train(query, candidate) AS model FROM rows;
SELECT i -> 'rows' AS rows, i -> 'queries' AS queries, i -> 'candidates' AS candidates,
	i -> 'query' AS query, i -> 'candidate' AS candidate, i -> 'skipped_rows' AS skipped
FROM models, model_info(model) AS i;
SELECT count(DISTINCT query) AS queries, count(DISTINCT candidate) AS candidates FROM rows;
SELECT jsonb_object_keys(i) FROM models, model_info(model) AS i ORDER BY 1;
SELECT jsonb_object_keys(i -> 'options') FROM models, model_info(model) AS i ORDER BY 1;

-- The preset of TensorFlow Recommenders' tutorial, whatever stands beside it
SELECT jsonb_pretty(model_info(train(query, candidate, '{"preset": "tfrs"}')) -> 'options') FROM rows;
SELECT pg_temp.digest(train(query, candidate, '{"epochs": 2, "preset": "tfrs"}')) =
	pg_temp.digest(train(query, candidate, '{"preset": "tfrs", "epochs": 2}')) AS same
FROM rows;

-- It learns: the loss falls, and a query's best candidates are of its own class
SELECT count(*) AS epochs, (array_agg(loss ORDER BY epoch))[1] > (array_agg(loss ORDER BY epoch DESC))[1] AS falls
FROM models, training_history(model);
SELECT round(avg((q % 3 = substr(t.candidate, 6)::int % 3)::int), 2) AS own_class
FROM models, (SELECT DISTINCT query AS q FROM rows) AS r, top_k(model, q, k => 5, search => '{"seen": true}') AS t;

-- Notices, an epoch a line
SET tfrs.log_progress = on;
SELECT train(1, i % 2, '{"preset": "tfrs", "epochs": 2, "learning_rate": 1e-9}') IS NOT NULL AS trained
FROM generate_series(1, 2) AS i;
RESET tfrs.log_progress;

-- Every type of id; equal ids of two types of one kind are equal
CREATE TYPE mood AS ENUM ('sad', 'ok', 'glad');
CREATE DOMAIN customer AS integer CHECK (VALUE >= 0);
SELECT name, (i -> 'query' ->> 'id') AS id, (i -> 'queries')::int AS queries,
	(SELECT string_agg(value, ',') FROM vocabulary(model, 'query')) AS values
FROM (
	SELECT 'smallint' AS name, train(i::int2, 1 + i % 2) AS model FROM generate_series(-1, 2) AS i
	UNION ALL SELECT 'integer', train(i, 1 + i % 2) FROM generate_series(-1, 2) AS i
	UNION ALL SELECT 'bigint', train(i * 10000000000, 1 + i % 2) FROM generate_series(-1, 2) AS i
	UNION ALL SELECT 'boolean', train(i > 0, 1 + i % 2) FROM generate_series(-1, 2) AS i
	UNION ALL SELECT 'date', train(date '2024-02-28' + i, 1 + i % 2) FROM generate_series(-1, 2) AS i
	UNION ALL SELECT 'date', train(d::date, i) FROM (VALUES ('infinity', 1), ('-infinity', 2),
		('4713-01-01 BC', 1), ('5874897-12-31', 2)) AS v (d, i)
	UNION ALL SELECT 'text', train(t, i) FROM (VALUES ('b', 1), ('', 2), ('a ', 2)) AS v (t, i)
	UNION ALL SELECT 'varchar', train(t::varchar(3), i) FROM (VALUES ('b', 1), ('a', 2)) AS v (t, i)
	UNION ALL SELECT 'char', train(t::char(5), i) FROM (VALUES ('b', 1), ('a', 2), ('b ', 1)) AS v (t, i)
	UNION ALL SELECT 'uuid', train(t::uuid, i) FROM (VALUES
		('b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 1), ('A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', 2)) AS v (t, i)
	UNION ALL SELECT 'enum', train(t::mood, i) FROM (VALUES ('sad', 1), ('glad', 2)) AS v (t, i)
	UNION ALL SELECT 'domain', train(i::customer, 1 + i % 2) FROM generate_series(1, 4) AS i
) AS m, model_info(model) AS i;
SELECT pg_temp.digest(train(query::int2, candidate)) = pg_temp.digest(train(query::int8, candidate::varchar)) AS same
FROM rows;
-- untyped literals are text
SELECT (model_info(train('somebody', 'thing ' || i)) -> 'query') AS query FROM generate_series(1, 2) AS i;

-- Same rows, same options, same seed: the same bytes, whatever the order of the rows ...
SELECT setseed(0.5);
SELECT pg_temp.digest(model) = (SELECT pg_temp.digest(train(query, candidate)) FROM
	(SELECT * FROM rows ORDER BY random()) AS shuffled) AS same FROM models;
SELECT pg_temp.digest(model) = (SELECT pg_temp.digest(train(query, candidate ORDER BY part, query DESC, candidate))
	FROM rows) AS same FROM models;
-- ... but not with another seed, nor in another order where the order of input was asked for
SELECT count(DISTINCT d) FROM (
	SELECT pg_temp.digest(train(query, candidate)) AS d FROM rows
	UNION ALL SELECT pg_temp.digest(train(query, candidate, '{"history": false, "seed": 1}')) FROM rows
	UNION ALL SELECT pg_temp.digest(train(query, candidate, '{"history": false, "order": "input"}')) FROM rows
	UNION ALL SELECT pg_temp.digest(train(query, candidate ORDER BY part, query, candidate)) FROM rows
	UNION ALL SELECT pg_temp.digest(train(query, candidate, '{"history": false, "order": "input"}' ORDER BY part, query, candidate))
		FROM rows
) AS t;
-- ... the number of threads
SELECT name, pg_temp.digest(model) AS digest FROM models \gset
SET tfrs.threads = 1;
SELECT pg_temp.digest(train(query, candidate)) = :'digest' AS same FROM rows;
SET tfrs.threads = 2;
SELECT pg_temp.digest(train(query, candidate)) = :'digest' AS same FROM rows;
RESET tfrs.threads;
-- ... and the memory: 300,000 rows are 2.4 MB, and a limit on temporary files shows where they went (by its
-- SQLSTATE: the server's wording changed)
CREATE TEMP TABLE many AS
SELECT i % 251 AS query, i / 3 % 97 AS candidate FROM generate_series(1, 300000) AS i;
SET temp_file_limit = '64kB';
SET maintenance_work_mem = '64MB';
SELECT pg_temp.digest(train(query, candidate, '{"dim": 2, "epochs": 2}')) AS digest FROM many \gset
SET maintenance_work_mem = '1MB';
\set VERBOSITY sqlstate
SELECT pg_temp.digest(train(query, candidate, '{"dim": 2, "epochs": 2}')) = :'digest' AS same FROM many;
\set VERBOSITY default
RESET temp_file_limit;
SELECT pg_temp.digest(train(query, candidate, '{"dim": 2, "epochs": 2}')) = :'digest' AS same FROM many;
SELECT pg_temp.digest(train(query, candidate, '{"dim": 2, "epochs": 2}' ORDER BY candidate)) = :'digest' AS same
FROM many;
-- rows that were spooled come back in the order of input
SET maintenance_work_mem = '64MB';
SELECT pg_temp.digest(train(query, candidate, '{"history": false, "dim": 2, "epochs": 2, "order": "input"}')) AS digest FROM many \gset
SET maintenance_work_mem = '1MB';
SELECT pg_temp.digest(train(query, candidate, '{"history": false, "dim": 2, "epochs": 2, "order": "input"}')) = :'digest' AS same
FROM many;
RESET maintenance_work_mem;

-- A model a group; sorted and hashed groups give the same
CREATE TEMP TABLE alone AS
SELECT part, (SELECT train(query, candidate, '{"epochs": 2}') FROM rows AS r WHERE r.part = p.part) AS model
FROM (SELECT DISTINCT part FROM rows) AS p;
SET enable_hashagg = off;
SELECT bool_and(pg_temp.digest(a.model) = pg_temp.digest(g.model)) AS same, count(*)
FROM alone AS a JOIN (SELECT part, train(query, candidate, '{"epochs": 2}') AS model FROM rows GROUP BY part) AS g
	USING (part);
RESET enable_hashagg;
SET enable_sort = off;
EXPLAIN (COSTS off) SELECT part, train(query, candidate, '{"epochs": 2}') FROM rows GROUP BY part;
SELECT bool_and(pg_temp.digest(a.model) = pg_temp.digest(g.model)) AS same, count(*)
FROM alone AS a JOIN (SELECT part, train(query, candidate, '{"epochs": 2}') AS model FROM rows GROUP BY part) AS g
	USING (part);
-- a hashed aggregate that is read twice
SET enable_material = off;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
EXPLAIN (COSTS off) SELECT n, part, model
FROM generate_series(1, 2) AS n LEFT JOIN
	(SELECT part, train(query, candidate, '{"epochs": 2}') AS model FROM rows GROUP BY part) AS g ON true;
SELECT count(*), count(DISTINCT pg_temp.digest(model))
FROM generate_series(1, 2) AS n LEFT JOIN
	(SELECT part, train(query, candidate, '{"epochs": 2}') AS model FROM rows GROUP BY part) AS g ON true;
RESET enable_material;
RESET enable_hashjoin;
RESET enable_mergejoin;
-- hashed groups that spool, fetched one by one
SET maintenance_work_mem = '1MB';
BEGIN;
DECLARE c CURSOR FOR
SELECT half, pg_temp.digest(train(query, candidate, '{"dim": 2, "epochs": 1}')) AS digest
FROM (SELECT *, candidate % 2 AS half FROM many) AS m GROUP BY half;
SAVEPOINT s;
FETCH 1 FROM c \gset one_
ROLLBACK TO s;
FETCH 1 FROM c \gset two_
COMMIT;
RESET enable_sort;
RESET maintenance_work_mem;
SELECT count(*) AS as_alone FROM (VALUES (:one_half, :'one_digest'), (:two_half, :'two_digest')) AS v (half, digest)
WHERE digest = (SELECT pg_temp.digest(train(query, candidate, '{"dim": 2, "epochs": 1}'))
				FROM many WHERE candidate % 2 = half);

-- Transactions
BEGIN;
INSERT INTO models SELECT 'rolled back', train(query, candidate) FROM rows;
ROLLBACK;
SELECT name FROM models;

-- Weights: a row of weight 2 is two rows of weight 1, a NULL is 1, 0 counts for nothing
SELECT round((w.loss / o.loss)::numeric, 4) AS ratio
FROM (SELECT loss FROM (SELECT train(query, candidate, 2, '{"preset": "tfrs", "epochs": 1}') AS model FROM rows) AS m,
		training_history(model)) AS w,
	(SELECT loss FROM (SELECT train(query, candidate, NULL, '{"preset": "tfrs", "epochs": 1}') AS model FROM rows) AS m,
		training_history(model)) AS o;
SELECT round((w.loss / o.loss)::numeric, 4) AS ratio
FROM (SELECT loss FROM (SELECT train(query, candidate, NULL, '{"preset": "tfrs", "epochs": 1}') AS model FROM rows) AS m,
		training_history(model)) AS w,
	(SELECT loss FROM (SELECT train(query, candidate, '{"preset": "tfrs", "epochs": 1}') AS model FROM rows) AS m,
		training_history(model)) AS o;
SELECT train(query, candidate, 0, '{"history": false, "epochs": 1}') IS NULL AS nothing FROM rows;
SELECT train(query, candidate, 3e38, '{"history": false, "epochs": 1}') FROM rows;
SELECT train(query, candidate, 1e25, '{"history": false, "epochs": 1}') IS NULL AS nothing FROM rows;

-- Only the hardest negatives: with all of them kept it is the same, with fewer the loss is smaller
SELECT round((a.loss / b.loss)::numeric, 4) AS all_kept, c.loss < b.loss * 0.9 AS fewer
FROM (SELECT loss FROM (SELECT train(query, candidate, '{"preset": "tfrs", "epochs": 1, "hard_negatives": 3000}') AS model
		FROM rows) AS m, training_history(model)) AS a,
	(SELECT loss FROM (SELECT train(query, candidate, '{"preset": "tfrs", "epochs": 1}') AS model FROM rows) AS m,
		training_history(model)) AS b,
	(SELECT loss FROM (SELECT train(query, candidate, '{"preset": "tfrs", "epochs": 1, "hard_negatives": 100}') AS model
		FROM rows) AS m, training_history(model)) AS c;

-- Options from a parameter, typed or not, and as a column
PREPARE p AS SELECT model_info(train(query, candidate, $1)) -> 'dim' AS dim FROM rows;
EXECUTE p ('{"dim": 5, "epochs": 1}');
EXECUTE p (NULL);
DEALLOCATE p;
SELECT part, model_info(train(query, candidate, jsonb_build_object('dim', part + 1, 'epochs', 1))) -> 'dim' AS dim
FROM rows GROUP BY part ORDER BY part;
