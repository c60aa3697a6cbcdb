-- What a refresh trains on, what it holds out to measure, and what keeps a new version from use.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS tfrs_retrieval;
CREATE SCHEMA refreshed;
SET search_path = refreshed, public;

CREATE FUNCTION last_run(name text, OUT version bigint, OUT rows bigint, OUT queries bigint, OUT candidates bigint,
	OUT held_out boolean, OUT held_back text, OUT in_use boolean)
	LANGUAGE SQL AS $$ SELECT version, rows, queries, candidates, held_out_rows > 0, regexp_replace(held_back, '\d\.\d+', '_', 'g'), in_use
	FROM tfrs.training_run WHERE recommender = name ORDER BY run_id DESC LIMIT 1 $$;

-- What was held out to measure a version is in it: it is the same as one that was not measured.
CREATE TABLE watched (person int, film int, at timestamptz);
INSERT INTO watched SELECT u, (u * 7 + n * 3) % 30, timestamptz '2026-01-01 UTC' + n * interval '1 day'
FROM generate_series(1, 300) u, generate_series(1, 9) n;
INSERT INTO watched SELECT u, 1000 + u % 5, timestamptz '2026-02-01 UTC' + u * interval '1 minute' FROM generate_series(1, 300) u;
CREATE INDEX ON watched (person);
CALL tfrs.create_recommender('films', 'watched', 'person', 'film', at => 'at', options => '{"dim": 8, "history": {"steps": 100}}');
CALL tfrs.create_recommender('unmeasured', 'watched', 'person', 'film', at => 'at', held_out => 0,
	options => '{"dim": 8, "history": {"steps": 100}}');
CALL tfrs.refresh_all();
SELECT * FROM last_run('films');
SELECT * FROM last_run('unmeasured');
SELECT (SELECT tfrs.model_info(model) ->> 'digest' FROM films_recommender) =
	(SELECT tfrs.model_info(model) ->> 'digest' FROM unmeasured_recommender) AS same;
-- ... so the newest items are known and recommended.
SELECT count(*) AS vocabulary FROM tfrs.vocabulary((SELECT model FROM films_recommender), 'candidate');
SELECT count(*) > 0 AS recommended FROM generate_series(1, 300) u, tfrs.recommend('films', u, 35) r WHERE r.candidate::int >= 1000;
SELECT count(*) AS similar FROM tfrs.similar('films', 1002, 3);
SELECT count(*) AS problems FROM tfrs.recommender_status WHERE problem IS NOT NULL;
SELECT rows FROM tfrs.recommender_status WHERE recommender = 'films';
CALL tfrs.drop_recommender('unmeasured');

-- Two dates a query hold out the share, not half of the rows; neither do queries of two rows.
CREATE TABLE dated AS SELECT u, (u * 7 + n) % 40 AS c, date '2026-01-01' + n % 2 AS day FROM generate_series(1, 400) u, generate_series(1, 10) n;
CALL tfrs.create_recommender('dated', 'dated', 'u', 'c', at => 'day', options => '{"dim": 4, "history": {"steps": 5}}');
CALL tfrs.refresh('dated');
SELECT held_out_rows BETWEEN rows / 20 AND rows / 6 AS share FROM tfrs.training_run WHERE recommender = 'dated';
DELETE FROM dated WHERE (c - u * 7 + 4000) % 40 > 2;
CALL tfrs.alter_recommender('dated', least_share => 0);
CALL tfrs.refresh('dated');
SELECT rows, held_out_rows BETWEEN rows / 20 AND rows / 6 AS share FROM tfrs.training_run WHERE recommender = 'dated' ORDER BY run_id DESC LIMIT 1;
CALL tfrs.drop_recommender('dated');

-- A version whose rows, queries or candidates have shrunk too far is held back: the table may be about to be filled.
CREATE TABLE feed AS TABLE watched;
TRUNCATE watched;
INSERT INTO watched SELECT * FROM feed WHERE person <= 10;
CALL tfrs.refresh('films');
SELECT * FROM last_run('films');
SELECT version, problem FROM tfrs.recommender_status;
CALL tfrs.refresh('films');
SELECT state FROM tfrs.training_run ORDER BY run_id DESC LIMIT 1;
TRUNCATE watched;
INSERT INTO watched SELECT person % 10, film, at + person * interval '1 s' FROM feed;
CALL tfrs.refresh('films');
SELECT * FROM last_run('films');
TRUNCATE watched;
INSERT INTO watched SELECT person, film % 5, at FROM feed;
CALL tfrs.refresh('films');
SELECT * FROM last_run('films');
-- By hand, by force, or where the recommender allows it, it comes into use.
BEGIN;
CALL tfrs.publish('films', 2);
SELECT version, problem FROM tfrs.recommender_status;
ROLLBACK;
BEGIN;
CALL tfrs.refresh('films', force => true);
SELECT held_back, in_use FROM last_run('films');
SELECT version, problem FROM tfrs.recommender_status;
ROLLBACK;
BEGIN;
DELETE FROM watched;
INSERT INTO watched SELECT * FROM feed WHERE person <= 100;
CALL tfrs.alter_recommender('films', least_share => 0.3, tolerance => 1);
CALL tfrs.refresh('films');
SELECT held_back, in_use FROM last_run('films');
ROLLBACK;
CALL tfrs.alter_recommender('films', least_share => 1.5);
CALL tfrs.alter_recommender('films', least_share => 'NaN');
-- The same rows as at first: the version in use stays, and its like comes into use.
TRUNCATE watched;
INSERT INTO watched TABLE feed;
CALL tfrs.refresh('films');
SELECT * FROM last_run('films');
SELECT problem FROM tfrs.recommender_status;

-- Where nothing can be measured the new version is held back too, unless nothing is to be measured.
BEGIN;
UPDATE watched SET at = '2026-03-01';
CALL tfrs.refresh('films');
SELECT held_out, held_back, in_use FROM last_run('films');
SELECT version, problem FROM tfrs.recommender_status;
SAVEPOINT held;
CALL tfrs.refresh('films', force => true);
SELECT held_out, held_back, in_use FROM last_run('films');
ROLLBACK TO held;
CALL tfrs.alter_recommender('films', held_out => 0);
CALL tfrs.refresh('films');
SELECT held_out, held_back, in_use FROM last_run('films');
ROLLBACK;
-- A first version is used in any case, and so is one where that in use is gone.
BEGIN;
DELETE FROM films_recommender WHERE version = (SELECT version FROM tfrs.recommender_status);
DELETE FROM watched WHERE person > 10;
CALL tfrs.refresh('films');
SELECT held_back, in_use FROM last_run('films');
ROLLBACK;

-- Little is new: the figure counts that the version in use had when it was made.
BEGIN;
INSERT INTO watched SELECT u, u % 30, '2026-02-02' FROM generate_series(1, 30) u;
CALL tfrs.alter_recommender('films', tolerance => 1);
CALL tfrs.refresh('films');
SELECT split, count(DISTINCT version) AS versions FROM tfrs.metric
WHERE recorded_at = (SELECT max(recorded_at) FROM tfrs.metric) GROUP BY 1 ORDER BY 1;
ROLLBACK;
-- Much is new: both versions rank what neither was trained on, and one that is worse there is held back.
BEGIN;
INSERT INTO watched SELECT u, (u * 7 + 30) % 30, '2026-02-02' FROM generate_series(1, 300) u;
CALL tfrs.alter_recommender('films', tolerance => 1);
CALL tfrs.refresh('films');
SELECT split, array_agg(DISTINCT version) AS versions FROM tfrs.metric
WHERE recorded_at = (SELECT max(recorded_at) FROM tfrs.metric) GROUP BY 1 ORDER BY 1;
SELECT held_out, in_use FROM last_run('films');
ROLLBACK;
BEGIN;
INSERT INTO watched SELECT u, (u * 7 + 30) % 30, '2026-02-02' FROM generate_series(1, 300) u;
CALL tfrs.alter_recommender('films', options => '{"history": false, "learning_rate": 1e30}');
CALL tfrs.refresh('films');
SELECT held_out, held_back, in_use FROM last_run('films');
ROLLBACK;

-- Going on from the version in use, what that one has seen is no test, and fewer rows are no shrinkage.
BEGIN;
CALL tfrs.alter_recommender('films', tolerance => 1);
DELETE FROM watched;
INSERT INTO watched SELECT u, (u * 7 + n) % 30, timestamptz '2026-02-02 UTC' + n * interval '1 day'
FROM generate_series(1, 300) u, generate_series(28, 30) n;
CALL tfrs.refresh('films', mode => 'warm');
SELECT rows, queries, candidates, held_out, in_use FROM last_run('films');
SELECT split, array_agg(DISTINCT version) AS versions FROM tfrs.metric
WHERE recorded_at = (SELECT max(recorded_at) FROM tfrs.metric) GROUP BY 1 ORDER BY 1;
DELETE FROM watched WHERE at < '2026-03-04 UTC';
CALL tfrs.refresh('films', mode => 'warm');
SELECT rows, queries, candidates, held_out, in_use FROM last_run('films');
ROLLBACK;

-- Without times, pairs are held out, and all of them are in the version.
CALL tfrs.alter_recommender('films', at => '');
CALL tfrs.refresh('films', force => true);
SELECT version, rows, held_out, in_use FROM last_run('films');

CALL tfrs.drop_recommender('films');
DROP SCHEMA refreshed CASCADE;
