-- Recommenders: created, refreshed, published, changed, dropped; what is refused, and what the views show.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS tfrs_retrieval;
RESET client_min_messages;

CREATE SCHEMA shop;
CREATE TABLE shop.rating (user_id int, film_id int, stars numeric, rated timestamptz, "on" date, note json);
INSERT INTO shop.rating
SELECT i * 7 % 60, (i * i) % 101, 1 + i % 5, '2026-01-01'::timestamptz + i * interval '1 hour', '2026-01-01'::date + i
FROM generate_series(1, 3000) i;
CREATE TABLE shop.film (film_id bigint PRIMARY KEY, title text, price numeric, available boolean);
INSERT INTO shop.film SELECT i, 'Film ' || i, i, true FROM generate_series(0, 100) i;

-- What is wrong is refused at once.
CALL tfrs.create_recommender(NULL, 'shop.rating', 'user_id', 'film_id');
CALL tfrs.create_recommender('', 'shop.rating', 'user_id', 'film_id');
CALL tfrs.create_recommender(repeat('x', 300), 'shop.rating', 'user_id', 'film_id');
CALL tfrs.create_recommender('films', 'shop.ratings', 'user_id', 'film_id');
CALL tfrs.create_recommender('films', 'shop.film_pkey', 'user_id', 'film_id');
CALL tfrs.create_recommender('films', 'shop.rating', 'customer', 'film_id');
CALL tfrs.create_recommender('films', 'shop.rating', 'user_id', '');
CALL tfrs.create_recommender('films', 'shop.rating', 'user_id', 'user_id');
CALL tfrs.create_recommender('films', 'shop.rating', 'user_id', 'note');
CALL tfrs.create_recommender('films', 'shop.rating', 'stars', 'film_id');
CALL tfrs.create_recommender('films', 'shop.rating', 'user_id', 'film_id', weight => 'rated');
CALL tfrs.create_recommender('films', 'shop.rating', 'user_id', 'film_id', at => 'stars');
CALL tfrs.create_recommender('films', 'shop.rating', 'user_id', 'film_id', label => 'title');
CALL tfrs.create_recommender('films', 'shop.rating', 'user_id', 'film_id', candidates => 'shop.film', candidate_key => 'title');
CALL tfrs.create_recommender('films', 'shop.rating', 'user_id', 'film_id', candidates => 'shop.film', available => 'price');
CALL tfrs.create_recommender('films', 'shop.rating', 'user_id', 'film_id', candidates => 'shop.film', label => 'name');
CALL tfrs.create_recommender('films', 'shop.rating', 'user_id', 'film_id', candidates => 'shop.rating', candidate_key => 'movie_id');
CALL tfrs.create_recommender('films', 'shop.rating', 'user_id', 'film_id', options => '{"dims": 8}');
CALL tfrs.create_recommender('films', 'shop.rating', 'user_id', 'film_id', held_out => 0.9);
CALL tfrs.create_recommender('films', 'shop.rating', 'user_id', 'film_id', tolerance => 'NaN');
CALL tfrs.create_recommender('films', 'shop.rating', 'user_id', 'film_id', keep_versions => 0);
CALL tfrs.create_recommender('films', 'shop.rating', 'user_id', 'film_id', store => 'shop.film');
CALL tfrs.create_recommender('films', 'shop.rating', 'user_id', 'film_id', store => 'pg_temp.store');
CREATE TEMP TABLE temporary (a int, b int);
CALL tfrs.create_recommender('films', 'temporary', 'a', 'b');
CALL tfrs.refresh('films');
CALL tfrs.drop_recommender('films');
SELECT count(*) FROM tfrs.recommender_status;

-- A recommender.
CALL tfrs.create_recommender('films', interactions => 'shop.rating', query => 'user_id', candidate => 'film_id',
	weight => 'stars', at => 'rated', candidates => 'shop.film', label => 'title', available => 'available',
	options => '{"dim": 8, "history": {"steps": 20}}', keep_versions => 2);
CALL tfrs.create_recommender('films', 'shop.rating', 'user_id', 'film_id');
SELECT recommender, privilege, interactions, candidates, store, version, versions, problem FROM tfrs.recommender_status;
\d shop.films_recommender
CALL tfrs.publish('films', 1);
CALL tfrs.revert('films');
CALL tfrs.refresh('films', mode => 'hot');
CALL tfrs.refresh('films', on_running => 'retry');
CALL tfrs.refresh('films', force => NULL);

SET client_min_messages = warning;
CALL tfrs.refresh('films');
RESET client_min_messages;
SELECT version, versions, rows, estimated_new_rows >= 0 AS counted, age_seconds BETWEEN 0 AND 3600 AS fresh,
	trained_at <= published_at AS in_order, last_run_state, problem FROM tfrs.recommender_status;
SELECT version, mode, state, rows, queries, candidates, held_out_rows, published_at IS NOT NULL AS published, in_use, kept, error
FROM tfrs.training_run ORDER BY run_id;
SELECT count(*) > 0 AS epochs, min(epoch), bool_and(loss > 0) AS losses FROM tfrs.training_epoch WHERE recommender = 'films';
SELECT metric, array_agg(k ORDER BY k) AS ks, bool_and(value BETWEEN 0 AND 100) AS values,
	bool_and(popularity_value BETWEEN 0 AND 1) AS popularity, bool_and(item_item_value BETWEEN 0 AND 1) AS item_item
FROM tfrs.metric WHERE recommender = 'films' AND version = 1 AND split = 'held_out' GROUP BY metric ORDER BY metric;

-- The store is a table like any other, and its models are values.
SELECT version, tfrs.model_info(model) -> 'rows' AS rows FROM shop.films_recommender;
SELECT count(*) FROM shop.films_recommender, tfrs.top_k(model, 7, 5);

-- Nothing has changed; then a row has.
CALL tfrs.refresh('films');
SET timezone = 'Asia/Tokyo';
CALL tfrs.refresh('films');
RESET timezone;
UPDATE shop.rating SET stars = stars WHERE film_id = 0;
CALL tfrs.refresh('films');
SET client_min_messages = warning;
UPDATE shop.rating SET stars = stars + 1 WHERE ctid = (SELECT min(ctid) FROM shop.rating);
CALL tfrs.refresh('films');
INSERT INTO shop.rating VALUES (NULL, 1), (1, NULL);
RESET client_min_messages;
CALL tfrs.refresh('films');
SELECT mode, state, version FROM tfrs.training_run ORDER BY run_id;

-- The same rows and options make the same model.
SET client_min_messages = warning;
CALL tfrs.refresh('films', force => true, publish => false);
SELECT count(DISTINCT tfrs.model_info(model) ->> 'digest') FROM shop.films_recommender;
SELECT version, held_back, published_at IS NOT NULL AS published, in_use, kept FROM tfrs.training_run
WHERE state = 'succeeded' ORDER BY run_id;
SELECT version, problem FROM tfrs.recommender_status;
RESET client_min_messages;

-- By hand: any version that is kept.
CALL tfrs.publish('films', 3);
SELECT version, problem FROM tfrs.recommender_status;
CALL tfrs.revert('films');
CALL tfrs.revert('films');
CALL tfrs.publish('films', 1);
SELECT version, held_back, in_use FROM tfrs.training_run WHERE state = 'succeeded' AND kept ORDER BY run_id;

-- The version to come back to is the one published before, not the one with the number before; it is kept.
CALL tfrs.publish('films', 3);
CALL tfrs.publish('films', 2);
CALL tfrs.revert('films');
CALL tfrs.publish('films', 2);
BEGIN;
SET LOCAL client_min_messages = warning;
CALL tfrs.refresh('films', force => true, publish => false);
CALL tfrs.refresh('films', force => true, publish => false);
CALL tfrs.refresh('films', force => true);
SELECT array_agg(version ORDER BY version) FROM shop.films_recommender;
SET LOCAL client_min_messages = notice;
CALL tfrs.revert('films');
ROLLBACK;

-- Nor does a version come into use whose model somebody has deleted.
BEGIN;
DELETE FROM shop.films_recommender WHERE version = 1;
CALL tfrs.publish('films', 1);
ROLLBACK;

-- A model that is gone is a problem, whoever took it and whatever is left; answers say what is missing, and the next
-- refresh trains though nothing else has changed.
BEGIN;
SELECT version, versions FROM tfrs.recommender_status;
SAVEPOINT whole;
DELETE FROM shop.films_recommender WHERE version = (SELECT version FROM tfrs.recommender_status);
SELECT version, versions, problem FROM tfrs.recommender_status;
SELECT version, in_use, kept FROM tfrs.training_run WHERE version IS NOT NULL AND state = 'succeeded' ORDER BY run_id;
\set VERBOSITY default
SAVEPOINT before_error;
SELECT count(*) FROM tfrs.recommend('films', 7);
ROLLBACK TO before_error;
SELECT count(*) FROM tfrs.similar('films', 7);
ROLLBACK TO before_error;
\set VERBOSITY terse
CALL tfrs.publish('films', 1);
SELECT version, problem FROM tfrs.recommender_status;
ROLLBACK TO whole;
TRUNCATE shop.films_recommender;
SELECT version, versions, problem FROM tfrs.recommender_status;
SET LOCAL client_min_messages = warning;
CALL tfrs.refresh('films');
SELECT version, versions, problem FROM tfrs.recommender_status;
SELECT count(*) FROM tfrs.recommend('films', 7, 3);
ROLLBACK TO whole;
UPDATE shop.films_recommender SET version = version + 100;
SELECT versions, problem IS NOT NULL AS problem FROM tfrs.recommender_status;
ROLLBACK TO whole;
ALTER TABLE shop.films_recommender ALTER model DROP NOT NULL;
UPDATE shop.films_recommender SET model = NULL;
SELECT versions, problem IS NOT NULL AS problem FROM tfrs.recommender_status;
ROLLBACK TO whole;
ALTER TABLE shop.films_recommender RENAME model TO shape;
SELECT versions, problem IS NOT NULL AS problem FROM tfrs.recommender_status;
ROLLBACK;

-- What the guard held back is a problem until somebody decides.
BEGIN;
SET LOCAL client_min_messages = warning;
CALL tfrs.alter_recommender('films', options => '{"history": false, "learning_rate": 1e30}', tolerance => 0);
CALL tfrs.refresh('films');
CALL tfrs.refresh('films');
SELECT state FROM tfrs.training_run ORDER BY run_id DESC LIMIT 1;
SELECT version, regexp_replace(problem, '0\.\d+', '_', 'g') AS problem FROM tfrs.recommender_status;
CALL tfrs.publish('films', 2);
SELECT version, problem FROM tfrs.recommender_status;
ROLLBACK;

-- Going on from the version in use.
SET client_min_messages = warning;
CALL tfrs.refresh('films', mode => 'warm', force => true);
RESET client_min_messages;
SELECT mode, state, version, in_use FROM tfrs.training_run ORDER BY run_id DESC LIMIT 1;
SELECT array_agg(version ORDER BY version) FROM shop.films_recommender;
CALL tfrs.alter_recommender('films', at => '');
CALL tfrs.refresh('films', mode => 'warm');
SELECT state, sqlstate, error FROM tfrs.training_run ORDER BY run_id DESC LIMIT 1;
SELECT version, problem FROM tfrs.recommender_status;
CALL tfrs.alter_recommender('films', at => 'rated');

-- In a transaction: with it all is done or undone.
BEGIN;
SET LOCAL client_min_messages = warning;
CALL tfrs.refresh('films', force => true);
SELECT version FROM tfrs.recommender_status;
ROLLBACK;
SELECT version, (SELECT count(*) FROM shop.films_recommender) AS models FROM tfrs.recommender_status;

-- Changes.
CALL tfrs.alter_recommender('films', query => 'customer');
CALL tfrs.alter_recommender('films', options => '{"dims": 1}');
CALL tfrs.alter_recommender('films', candidates => '-', label => 'title');
CALL tfrs.alter_recommender('films', candidates => '-', weight => '',
	at => 'on', held_out => 0, keep_versions => 1, new_name => 'movies');
SELECT recommender, candidates, interactions FROM tfrs.recommender_status;
SET client_min_messages = warning;
CALL tfrs.refresh('movies');
RESET client_min_messages;
SELECT recommender, held_out_rows, (SELECT count(*) FROM shop.films_recommender) AS models FROM tfrs.training_run
ORDER BY run_id DESC LIMIT 1;

-- What was not held out of the version in use can't tell which of the two is better.
SET client_min_messages = warning;
CALL tfrs.alter_recommender('movies', held_out => 0.2);
CALL tfrs.refresh('movies');
SELECT DISTINCT version FROM tfrs.metric WHERE recorded_at = (SELECT max(recorded_at) FROM tfrs.metric) ORDER BY 1;
CALL tfrs.refresh('movies', force => true);
SELECT DISTINCT version FROM tfrs.metric WHERE recorded_at = (SELECT max(recorded_at) FROM tfrs.metric) ORDER BY 1;
RESET client_min_messages;

-- Several, and one without rows.
CREATE VIEW shop.none AS SELECT user_id, film_id FROM shop.rating WHERE false;
CALL tfrs.create_recommender('empty', 'shop.none', 'user_id', 'film_id');
CALL tfrs.refresh_all();
SELECT recommender, estimated_new_rows IS NULL AS no_estimate, problem FROM tfrs.recommender_status ORDER BY 1;

-- What is dropped is reported, and can be dropped or replaced.
DROP VIEW shop.none;
CALL tfrs.refresh('empty');
SELECT state, error FROM tfrs.training_run WHERE recommender = 'empty' ORDER BY run_id DESC LIMIT 1;
SELECT problem FROM tfrs.recommender_status WHERE recommender = 'empty';
CALL tfrs.alter_recommender('empty', interactions => 'shop.rating');
SELECT problem FROM tfrs.recommender_status WHERE recommender = 'empty';
SET client_min_messages = warning;
CALL tfrs.refresh('empty');
CALL tfrs.refresh('movies', force => true);
RESET client_min_messages;
ALTER TABLE shop.rating RENAME film_id TO movie_id;
CALL tfrs.refresh('empty');
SELECT count(*) FROM tfrs.recommend('empty', 7);
SELECT problem FROM tfrs.recommender_status WHERE recommender = 'empty';
ALTER TABLE shop.rating RENAME movie_id TO film_id;
CALL tfrs.alter_recommender('empty', candidates => 'shop.film', label => 'title');
ALTER TABLE shop.film RENAME title TO name;
SELECT count(*) FROM tfrs.recommend('empty', 7);
SELECT problem FROM tfrs.recommender_status WHERE recommender = 'empty';
ALTER TABLE shop.film RENAME name TO title;
SELECT problem FROM tfrs.recommender_status WHERE recommender = 'empty';

-- What is said of wrong ids, of a weight, and of rows that are left out.
\set VERBOSITY default
\set SHOW_CONTEXT never
SELECT * FROM tfrs.recommend('empty', 'seven');
SELECT * FROM tfrs.recommend('empty', 7, among => ARRAY['a']);
SELECT * FROM tfrs.top_k('empty', 7);
CALL tfrs.alter_recommender('empty', weight => 'stars', options => '{"dim": 8, "history": {"steps": 20}}', held_out => 0);
BEGIN;
CALL tfrs.refresh('empty');
ROLLBACK;
UPDATE shop.rating SET stars = 'NaN' WHERE ctid = (SELECT max(ctid) FROM shop.rating WHERE film_id = 1 AND user_id = 7);
CALL tfrs.refresh('empty');
\set VERBOSITY terse

-- The primary key of the candidates, where they have no column of the candidates' name.
CREATE TABLE shop.item (id int PRIMARY KEY, name text);
CALL tfrs.create_recommender('keyed', 'shop.rating', 'user_id', 'film_id', candidates => 'shop.item', label => 'name');
SELECT candidate_key FROM tfrs.recommender WHERE name = 'keyed';
CALL tfrs.drop_recommender('keyed');
CREATE TABLE shop.pair (a int, b int, PRIMARY KEY (a, b));
CALL tfrs.create_recommender('keyed', 'shop.rating', 'user_id', 'film_id', candidates => 'shop.pair');

DROP TABLE shop.empty_recommender;
SELECT problem, owner IS NULL AS no_owner FROM tfrs.recommender_status WHERE recommender = 'empty';
CALL tfrs.refresh('empty');
CALL tfrs.publish('empty', 1);
CALL tfrs.drop_recommender('empty');
CALL tfrs.grant_recommender('movies', 'public', 'everything');
CALL tfrs.drop_recommender('movies');
CALL tfrs.refresh_all();
SELECT (SELECT count(*) FROM tfrs.recommender_status) AS recommenders, (SELECT count(*) FROM tfrs.training_run) AS runs,
	(SELECT count(*) FROM tfrs.metric) AS metrics, to_regclass('shop.films_recommender') AS store;

-- Views for BI tools: plain types only, and a comment on every object.
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod) AS type, col_description(c.oid, a.attnum) IS NULL AS no_comment
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.oid IN ('tfrs.recommender_status'::regclass, 'tfrs.training_run'::regclass, 'tfrs.training_epoch'::regclass,
		'tfrs.metric'::regclass)
	AND (a.atttypid NOT IN ('text'::regtype, 'bigint'::regtype, 'double precision'::regtype, 'boolean'::regtype, 'timestamptz'::regtype)
		OR col_description(c.oid, a.attnum) IS NULL) AND a.attnum > 0;
SELECT p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace = 'tfrs'::regnamespace AND p.prokind = 'p'
	AND obj_description(p.oid, 'pg_proc') IS NULL;
SELECT count(*) FROM pg_class c WHERE c.relnamespace = 'tfrs'::regnamespace AND c.relkind IN ('r', 'S')
	AND has_table_privilege('public', c.oid, 'SELECT');

DROP SCHEMA shop CASCADE;
