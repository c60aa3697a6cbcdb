-- tfrs.train: bad input, each with its one answer.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS tfrs_retrieval;
RESET client_min_messages;
SET search_path = tfrs, public;
\set VERBOSITY default

CREATE TEMP TABLE rows AS
SELECT i % 7 AS query, i % 11 AS candidate FROM generate_series(1, 100) AS i;

-- The SQLSTATE of a failing statement
CREATE FUNCTION pg_temp.code(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
	RETURN 'no error';
EXCEPTION WHEN OTHERS OR query_canceled THEN
	RETURN SQLSTATE;
END $$;

-- Nothing to learn from
SELECT train(query, candidate) IS NULL AS nothing FROM rows WHERE false;
SELECT train(NULL::int, candidate) IS NULL AS nothing FROM rows;
SELECT train(query, NULL::text) IS NULL AS nothing FROM rows;
SELECT train(NULL, NULL) IS NULL AS nothing FROM rows;
SELECT model_info(train(query, candidate)) -> 'rows' AS rows FROM rows LIMIT 1;
SELECT model_info(train(1, 2)) -> 'rows' AS rows;
SELECT model_info(train(query, candidate, '{"store": false, "epochs": 1}')) -> 'rows' AS rows FROM rows;
SELECT model_info(train(query, 'the only one'::text)) -> 'candidates' AS candidates FROM rows;
-- rows with a NULL are left out and counted
SELECT i -> 'rows' AS rows, i -> 'skipped_rows' AS skipped
FROM (SELECT model_info(train(nullif(query, 0), nullif(candidate, 0))) AS i FROM rows) AS t;
SELECT count(*) FILTER (WHERE query = 0), count(*) FILTER (WHERE query <> 0 AND candidate = 0) FROM rows;

-- Types
SELECT train(query::numeric, candidate) FROM rows;
SELECT train(query::real, candidate) FROM rows;
SELECT train(query, candidate::float8) FROM rows;
SELECT train(now(), candidate) FROM rows;
SELECT train(query, localtimestamp) FROM rows;
SELECT train(interval '1 day', candidate) FROM rows;
SELECT train(ARRAY[query], candidate) FROM rows;
SELECT train('{"a": 1}'::jsonb, candidate) FROM rows;
SELECT train(query, point(1, 2)) FROM rows;
SELECT train(rows, candidate) FROM rows;
SELECT train(query, ROW(candidate)) FROM rows;
CREATE DOMAIN pg_temp.price AS numeric;
SELECT train(query::pg_temp.price, candidate) FROM rows;
-- also where there is no row that would be read
SELECT train(NULL::numeric, candidate) FROM rows;
SELECT train(query, repeat('x', 2049)) FROM rows;

-- Options
SELECT train(query, candidate, '[]') FROM rows;
SELECT train(query, candidate, '3') FROM rows;
SELECT train(query, candidate, 'null') FROM rows;
SELECT train(query, candidate, '"dim"') FROM rows;
SELECT train(query, candidate, '{"epoch": 3}') FROM rows;
SELECT train(query, candidate, '{"": 3}') FROM rows;
SELECT train(query, candidate, '{"Dim": 3}') FROM rows;
SELECT train(query, candidate, '{"dim": 0}') FROM rows;
SELECT train(query, candidate, '{"dim": 20000}') FROM rows;
SELECT train(query, candidate, '{"dim": -1}') FROM rows;
SELECT train(query, candidate, '{"dim": 1.5}') FROM rows;
SELECT train(query, candidate, '{"dim": "32"}') FROM rows;
SELECT train(query, candidate, '{"dim": null}') FROM rows;
SELECT train(query, candidate, '{"dim": [32]}') FROM rows;
SELECT train(query, candidate, '{"epochs": 0}') FROM rows;
SELECT train(query, candidate, '{"epochs": 1e400}') FROM rows;
SELECT train(query, candidate, '{"batch_size": 0}') FROM rows;
SELECT train(query, candidate, '{"seed": -1}') FROM rows;
SELECT train(query, candidate, '{"seed": 9007199254740993}') FROM rows;
SELECT train(query, candidate, '{"learning_rate": 0}') FROM rows;
SELECT train(query, candidate, '{"learning_rate": -0.1}') FROM rows;
SELECT train(query, candidate, '{"learning_rate": 1e39}') FROM rows;
SELECT train(query, candidate, '{"temperature": 0}') FROM rows;
SELECT train(query, candidate, '{"temperature": 1e-50}') FROM rows;
SELECT train(query, candidate, '{"normalize": "yes"}') FROM rows;
SELECT train(query, candidate, '{"optimizer": "adagard"}') FROM rows;
SELECT train(query, candidate, '{"optimizer": 1}') FROM rows;
SELECT train(query, candidate, '{"preset": "keras"}') FROM rows;
SELECT train(query, candidate, '{"order": "random"}') FROM rows;
SELECT train(query, candidate, '{"optimizer": "sgd", "epsilon": 1e-7}') FROM rows;
SELECT train(query, candidate, '{"optimizer": "sgd", "beta_1": 0.9}') FROM rows;
-- not the same for all rows; the same value in another form is the same
SELECT train(query, candidate, jsonb_build_object('dim', 2 + query % 2)) FROM rows;
SELECT train(query, candidate, CASE WHEN query > 0 THEN '{"dim": 2}'::jsonb END) FROM rows;
SELECT train(query, candidate, CASE WHEN query = 0 THEN '{"dim": 2}'::jsonb END) FROM rows;
SELECT model_info(train(query, candidate, CASE WHEN query > 0 THEN '{"dim": 2, "seed": 1}'::jsonb
	ELSE jsonb_build_object('seed', 1.0, 'dim', 2) END)) -> 'dim' AS dim FROM rows;

-- An id that is too long says whose it is and how it begins
SELECT train(repeat('y', 2049), 1, '{"dim": 2}');
SELECT build_index(repeat('z', 2049), '[1]');
CREATE TABLE long_id AS SELECT n % 5 AS u, CASE n WHEN 7 THEN repeat('x', 3000) ELSE 'i' || n % 4 END AS i FROM generate_series(1, 50) n;
CALL tfrs.create_recommender('long', 'long_id', 'u', 'i');
CALL tfrs.refresh('long');
CALL tfrs.drop_recommender('long');
DROP TABLE long_id;
-- Of many groups one is told
SELECT count(m) FROM (SELECT train(g, 1, '{"dim": 2}') AS m FROM generate_series(1, 50) g GROUP BY g) s;
SELECT count(m) FROM (SELECT train(NULLIF(g, g), 1, '{"dim": 2}') AS m FROM generate_series(1, 50) g GROUP BY g) s;
SELECT count(i) FROM (SELECT build_index(g, NULL) AS i FROM generate_series(1, 50) g GROUP BY g) s;
SELECT count(f) FROM (SELECT evaluate(NULL, 1, g) AS f FROM generate_series(1, 50) g GROUP BY g) s;
-- Weights
SELECT train(query, candidate, 'NaN', '{}') FROM rows;
SELECT train(query, candidate, 'Infinity', '{}') FROM rows;
SELECT train(query, candidate, -1, '{}') FROM rows;
SELECT train(query, candidate, 1e300, '{}') FROM rows;

-- A loss that is not finite
SELECT train(query, candidate, '{"preset": "tfrs", "learning_rate": 1e30}') FROM rows;

-- Limits, before any work
SELECT train(i, i, '{"dim": 16000, "epochs": 100000}') FROM generate_series(1, 6000) AS i;
CREATE FUNCTION pg_temp.message(statement text, OUT message text, OUT detail text, OUT hint text) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	message := regexp_replace(message, '\d+', 'N');	-- the need depends on the machine
END $$;
SET tfrs.max_memory = '1MB';
\x
SELECT m.* FROM pg_temp.message(
	$$SELECT tfrs.train(i, i, '{"dim": 1000}') FROM generate_series(1, 1000) AS i$$) AS m;
-- distinct ids stay in memory, whatever maintenance_work_mem is: past tfrs.max_memory they are refused while they come
SET maintenance_work_mem = '1MB';
SELECT m.message, m.hint FROM unnest(ARRAY[
	$$SELECT tfrs.train(i, i % 10) FROM generate_series(1, 500000) AS i$$,
	$$SELECT tfrs.train(i % 10, i) FROM generate_series(1, 500000) AS i$$,
	$$SELECT tfrs.train(repeat('x', 1900) || i, i) FROM generate_series(1, 5000) AS i$$,
	$$SELECT tfrs.retrain(NULL::tfrs.model, i, i % 10) FROM generate_series(1, 500000) AS i$$,
	$$SELECT tfrs.retrain((SELECT tfrs.train(1, 2, '{"history": false}')), i, i) FROM generate_series(1, 500000) AS i$$])
	AS s, pg_temp.message(s) AS m;
-- and many rows of few ids go to temporary files
SET tfrs.max_memory = '16MB';
SELECT tfrs.train(i % 30, i % 7, '{"history": false, "epochs": 1, "dim": 4}') IS NOT NULL AS trained
FROM generate_series(1, 300000) AS i;
RESET maintenance_work_mem;
\x
RESET tfrs.max_memory;
SELECT pg_temp.code(s) FROM unnest(ARRAY[
	$$SELECT tfrs.train(i, i, '{"dim": 16000}') FROM generate_series(1, 6000) AS i$$,
	$$SET LOCAL tfrs.max_memory = '1MB'; SELECT tfrs.train(i, i, '{"dim": 1000}') FROM generate_series(1, 1000) AS i$$,
	$$SELECT tfrs.train(query, candidate, '{"preset": "tfrs", "learning_rate": 1e30}') FROM rows$$,
	$$SELECT tfrs.train(query, candidate, '{"epoch": 1}') FROM rows$$,
	$$SELECT tfrs.train(query::numeric, candidate) FROM rows$$,
	$$SELECT tfrs.train(rows, candidate) FROM rows$$]) AS s;

-- Wrong places
SELECT train(query, candidate) OVER () FROM rows;
SELECT tfrs.train_collect(NULL, 1, 2);
SELECT tfrs.train_fit(NULL);

-- Cancel acts at once: this training would take an hour
CREATE TEMP TABLE many AS SELECT i % 5000 AS query, i * 7 % 5003 AS candidate FROM generate_series(1, 100000) AS i;
CREATE FUNCTION pg_temp.cancelled(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	start timestamptz := clock_timestamp();
BEGIN
	EXECUTE statement;
	RETURN 'not cancelled';
EXCEPTION WHEN query_canceled THEN
	RETURN SQLSTATE || CASE WHEN clock_timestamp() < start + interval '1.5 seconds' THEN ', at once' ELSE ', late' END;
END $$;
SET statement_timeout = '500ms';
SELECT pg_temp.cancelled($$SELECT tfrs.train(query, candidate, '{"dim": 64, "epochs": 100000}') FROM many$$);
SELECT pg_temp.cancelled($$SELECT tfrs.train(i % 1000, i % 999) FROM generate_series(1, 1000000000) AS i$$);
RESET statement_timeout;

-- Settings
SET tfrs.threads = 65;
SET tfrs.kernels = 'fast';
