-- a row of weight 0 counts for nothing: everything is as if it were not there
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS tfrs_retrieval;
CREATE TABLE rated (person int, thing int, weight float8, at timestamptz);
INSERT INTO rated SELECT n % 40, (n * n + n / 40) % 17 + n % 5, 1, timestamptz '2026-01-01 UTC' + n * interval '1 min' FROM generate_series(1, 500) n;
CREATE TABLE with_zeros AS SELECT * FROM rated;
INSERT INTO with_zeros SELECT 1000 + n, 99, 0, timestamptz '2026-02-01 UTC' FROM generate_series(1, 500) n;
INSERT INTO with_zeros SELECT n % 40, 98, 0, timestamptz '2026-02-01 UTC' FROM generate_series(1, 40) n;
INSERT INTO with_zeros SELECT n % 40, n % 17, 1e-60, timestamptz '2026-02-01 UTC' FROM generate_series(1, 40) n;
CREATE INDEX ON rated (person);
CREATE INDEX ON with_zeros (person);

-- the same bytes, in every way of training, and of going on
SELECT options, tfrs.model_info(a.m) ->> 'digest' = tfrs.model_info(b.m) ->> 'digest' AS equal
FROM unnest('{"{\"dim\": 4, \"history\": {\"steps\": 9}}","{\"dim\": 4, \"epochs\": 2, \"history\": false}","{\"preset\": \"tfrs\", \"dim\": 4}","{\"dim\": 4, \"mask_known\": false, \"history\": {\"steps\": 9, \"rows\": \"interaction\"}}"}'::jsonb[]) options,
	LATERAL (SELECT tfrs.train(person, thing, weight, at, options) AS m FROM rated) a,
	LATERAL (SELECT tfrs.train(person, thing, weight, at, options) AS m FROM with_zeros) b;
SELECT tfrs.model_info(a.more) ->> 'digest' = tfrs.model_info(b.more) ->> 'digest' AS equal
FROM (SELECT tfrs.train(person, thing, weight, at, '{"dim": 4, "history": {"steps": 9}}') AS m FROM rated WHERE person < 20) o,
	LATERAL (SELECT tfrs.retrain(o.m, person, thing, weight, at, '{}') AS more FROM rated) a,
	LATERAL (SELECT tfrs.retrain(o.m, person, thing, weight, at, '{}') AS more FROM with_zeros) b;

-- by a recommender: what is popular, who is known, what is held out, what was chosen
CALL tfrs.create_recommender('rated', 'with_zeros', 'person', 'thing', weight => 'weight', at => 'at', held_out => 0.2,
	options => '{"dim": 8, "history": {"steps": 50}}');
CALL tfrs.create_recommender('without', 'rated', 'person', 'thing', weight => 'weight', at => 'at', held_out => 0.2,
	options => '{"dim": 8, "history": {"steps": 50}}');
CALL tfrs.refresh('rated');
CALL tfrs.refresh('without');
SELECT rows, queries, candidates, held_out_rows, count(*) FROM tfrs.training_run GROUP BY 1, 2, 3, 4;
SELECT count(*) AS metrics, count(DISTINCT (metric, k, value, popularity_value, item_item_value)) AS distinct_ones,
	count(DISTINCT (metric, k)) AS names FROM tfrs.metric;
SELECT rank, candidate, score FROM tfrs.recommend('rated', 424242, 3);
SELECT DISTINCT source FROM tfrs.recommend('rated', 1001, 3);
SELECT count(*) FROM tfrs.explain('rated', 1001, 3);
SELECT count(*) AS differences FROM generate_series(0, 39) person,
	LATERAL (SELECT array_agg((r.candidate, r.score, r.source) ORDER BY rank) AS list FROM tfrs.recommend('rated', person, 9, include_seen => true) r) a,
	LATERAL (SELECT array_agg((r.candidate, r.score, r.source) ORDER BY rank) AS list FROM tfrs.recommend('without', person, 9, include_seen => true) r) b
WHERE a.list IS DISTINCT FROM b.list;
-- by the statistics there is nothing new
VACUUM ANALYZE with_zeros;
DO $$
DECLARE
	new_rows bigint;
BEGIN
	FOR i IN 1 .. 600 LOOP
		PERFORM pg_stat_clear_snapshot();
		SELECT estimated_new_rows INTO new_rows FROM tfrs.recommender_status WHERE recommender = 'rated';
		EXIT WHEN new_rows = 0;
		PERFORM pg_sleep(0.1);
	END LOOP;
	RAISE WARNING 'new rows: %', new_rows;
END $$;
-- what has a new row of weight 0 was seen: it is left out as what was chosen is, and changes nothing else; NULL is 1
CREATE TABLE before AS SELECT candidate, score FROM tfrs.recommend('rated', 3, 1);
INSERT INTO with_zeros SELECT 3, candidate::int, 0, now() FROM before;
SELECT count(*) AS shown FROM before, tfrs.recommend('rated', 3, 30) r WHERE r.candidate = before.candidate;
SELECT r.score = before.score AS the_same FROM before, tfrs.recommend('rated', 3, 30, include_seen => true) r WHERE r.candidate = before.candidate;
INSERT INTO with_zeros SELECT 3, candidate::int, NULL, now() FROM before;
SELECT r.candidate = before.candidate AS the_same FROM before, tfrs.recommend('rated', 3, 1) r;
CALL tfrs.materialize('rated', 'rated_recommendation', k => 3, include_seen => true);
SELECT count(DISTINCT query) AS queries, max(query) AS last FROM rated_recommendation;
-- another row of weight 0 is nothing new
DELETE FROM with_zeros WHERE weight IS NULL;
SET client_min_messages = notice;
CALL tfrs.refresh('rated');
SET client_min_messages = warning;
-- other types of numbers
ALTER TABLE with_zeros ALTER weight TYPE numeric;
SELECT DISTINCT source FROM tfrs.recommend('rated', 1001, 3);
SELECT DISTINCT source FROM tfrs.recommend('rated', 3, 3);
ALTER TABLE with_zeros ALTER weight TYPE smallint;
SELECT DISTINCT source FROM tfrs.recommend('rated', 1001, 3);
SELECT DISTINCT source FROM tfrs.recommend('rated', 3, 3);
-- nothing but such rows
UPDATE with_zeros SET weight = 0;
CALL tfrs.refresh('rated');

CALL tfrs.drop_recommender('rated');
CALL tfrs.drop_recommender('without');
DROP TABLE rated, with_zeros, before, rated_recommendation;
