-- Which relation a recommender means after its tables were renamed, moved, swapped, dropped and made again.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS tfrs_retrieval;
CREATE ROLE regress_tfrs_mart;
CREATE ROLE regress_tfrs_planter;
CREATE SCHEMA mart AUTHORIZATION regress_tfrs_mart;
CREATE SCHEMA attic AUTHORIZATION regress_tfrs_mart;
-- What a dump would say; it makes no difference whether anything was called since.
CREATE VIEW dumped AS SELECT interactions, candidates, store FROM tfrs.recommender WHERE name = 'mart';
CREATE VIEW meant AS SELECT interactions, candidates, store, problem FROM tfrs.recommender_status WHERE recommender = 'mart';
GRANT SELECT ON dumped, meant TO regress_tfrs_mart;
SELECT format('GRANT CREATE ON DATABASE %I TO regress_tfrs_mart', current_database()) \gexec
SET ROLE regress_tfrs_mart;
CREATE TABLE mart.sale (customer int, thing int, at timestamptz);
INSERT INTO mart.sale SELECT u, 1 + (u % 2) * 30 + (u * 7 + n * 11) % 30, timestamptz '2026-01-01 UTC' + n * interval '1 hour'
FROM generate_series(1, 100) u, generate_series(1, 10) n;
CREATE TABLE mart.thing (thing int PRIMARY KEY, title text);
INSERT INTO mart.thing SELECT i, 'Thing ' || i FROM generate_series(1, 60) i;
CALL tfrs.create_recommender('mart', 'mart.sale', 'customer', 'thing', at => 'at', candidates => 'mart.thing', label => 'title',
	held_out => 0, options => '{"dim": 8, "history": {"steps": 20}}');
CALL tfrs.refresh('mart');
RESET client_min_messages;

-- What is renamed or moved is still meant.
ALTER TABLE mart.sale RENAME TO "Sale";
ALTER TABLE mart.thing SET SCHEMA attic;
ALTER TABLE mart.mart_recommender RENAME TO models;
SELECT * FROM meant;
SELECT * FROM dumped;
ALTER SCHEMA mart RENAME TO shop;
SELECT * FROM dumped;
CALL tfrs.refresh('mart');
SELECT rank, label IS NOT NULL AS labelled FROM tfrs.recommend('mart', 7, 2);
ALTER SCHEMA shop RENAME TO mart;
ALTER TABLE mart."Sale" RENAME TO sale;
ALTER TABLE attic.thing SET SCHEMA mart;
CALL tfrs.refresh('mart');
SELECT * FROM meant;

-- A table that was loaded beforehand takes over the name: in one transaction, or in several.
BEGIN;
CREATE TABLE mart.sale_new AS SELECT * FROM mart.sale UNION ALL SELECT 500, i, timestamptz '2026-02-01 UTC' FROM generate_series(1, 5) i;
ALTER TABLE mart.sale RENAME TO sale_old;
ALTER TABLE mart.sale_new RENAME TO sale;
COMMIT;
SELECT * FROM meant;
SELECT * FROM dumped;
SELECT source FROM tfrs.recommend('mart', 500, 1);
CALL tfrs.refresh('mart');
CALL tfrs.refresh('mart');
SELECT rows FROM tfrs.recommender_status WHERE recommender = 'mart';
DROP TABLE mart.sale_old;
CALL tfrs.refresh('mart');
CREATE TABLE mart.sale_new AS TABLE mart.sale;
CREATE TABLE mart.thing_new AS SELECT thing, 'New ' || title AS title FROM mart.thing;
ALTER TABLE mart.sale RENAME TO sale_old;
ALTER TABLE mart.sale_new RENAME TO sale;
ALTER TABLE mart.thing RENAME TO thing_old;
ALTER TABLE mart.thing_new RENAME TO thing;
SELECT * FROM meant;
SELECT DISTINCT left(label, 3) FROM tfrs.recommend('mart', 7, 3);
CALL tfrs.refresh('mart');
DROP TABLE mart.sale_old;

-- By moving it from another schema, and a view in the place of a table.
BEGIN;
CREATE TABLE attic.sale AS TABLE mart.sale;
ALTER TABLE mart.sale RENAME TO sale_old;
ALTER TABLE attic.sale SET SCHEMA mart;
COMMIT;
SELECT * FROM meant;
DROP TABLE mart.sale_old;
CALL tfrs.refresh('mart');
CREATE VIEW mart.sale_view AS SELECT * FROM mart.sale;
ALTER TABLE mart.sale RENAME TO sale_raw;
ALTER VIEW mart.sale_view RENAME TO sale;
CALL tfrs.refresh('mart');
SELECT * FROM meant;

-- Dropped and made again.
DROP VIEW mart.sale;
SELECT * FROM meant;
SELECT * FROM dumped;
CALL tfrs.refresh('mart');
SELECT count(*) FROM tfrs.recommend('mart', 7, 3);
CREATE TYPE mart.sale AS (customer int, thing int, at timestamptz);
SELECT problem FROM meant;
DROP TYPE mart.sale;
CREATE TABLE mart.sale AS SELECT customer, thing FROM mart.sale_raw;
SELECT problem FROM meant;
CALL tfrs.refresh('mart');
CALL tfrs.alter_recommender('mart', tolerance => 0.1);
DROP TABLE mart.sale;
CREATE TABLE mart.sale AS SELECT * FROM mart.sale_raw;
SELECT problem FROM meant;
CALL tfrs.refresh('mart');
DROP TABLE mart.sale_raw;

-- Another role's table is not taken, though it may have the name: it might be a trap.
GRANT CREATE, USAGE ON SCHEMA mart TO regress_tfrs_planter;
ALTER TABLE mart.sale RENAME TO sale_kept;
RESET ROLE;
SET ROLE regress_tfrs_planter;
CREATE FUNCTION mart.trap() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'trapped'; RETURN true; END $$;
CREATE VIEW mart.sale AS SELECT 1 AS customer, 1 AS thing, now() AS at WHERE mart.trap();
RESET ROLE;
SET ROLE regress_tfrs_mart;
SELECT * FROM meant;
CALL tfrs.refresh('mart');
DROP VIEW mart.sale;
ALTER TABLE mart.sale_kept RENAME TO sale;
CREATE TABLE mart.sale_new AS TABLE mart.sale;
DROP TABLE mart.sale;
RESET ROLE;
SET ROLE regress_tfrs_planter;
CREATE VIEW mart.sale AS SELECT 1 AS customer, 1 AS thing, now() AS at WHERE mart.trap();
RESET ROLE;
SET ROLE regress_tfrs_mart;
SELECT problem FROM meant;
CALL tfrs.refresh('mart');
SELECT count(*) FROM tfrs.recommend('mart', 7, 3);
DROP VIEW mart.sale;
ALTER TABLE mart.sale_new RENAME TO sale;
CALL tfrs.refresh('mart');

-- Renamed, and then another table is made under the name: who can tell?  The owner is asked until he answers.
ALTER TABLE mart.sale RENAME TO sale_2025;
CREATE TABLE mart.sale (LIKE mart.sale_2025);
INSERT INTO mart.sale VALUES (1, 1, now());
SELECT * FROM meant;
SELECT * FROM dumped;
CALL tfrs.refresh('mart');
CALL tfrs.alter_recommender('mart', tolerance => 0.2);
SELECT problem IS NOT NULL AS asked FROM meant;
CALL tfrs.alter_recommender('mart', interactions => 'mart.sale_2025');
SELECT * FROM meant;
CALL tfrs.refresh('mart');
ALTER TABLE mart.sale RENAME TO sale_2026;
ALTER TABLE mart.sale_2025 RENAME TO sale;
CALL tfrs.refresh('mart');
DROP TABLE mart.sale_2026;
-- In one transaction, too; and the answer stays the same, whatever is done with the two.
BEGIN;
ALTER TABLE mart.sale RENAME TO sale_2025;
CREATE TABLE mart.sale (LIKE mart.sale_2025);
COMMIT;
SELECT interactions, problem IS NOT NULL AS asked FROM meant;
CALL tfrs.refresh('mart');
ALTER TABLE mart.sale_2025 RENAME TO sale_archive;
SELECT interactions, problem IS NOT NULL AS asked FROM meant;
CALL tfrs.refresh('mart');
DROP TABLE mart.sale;
ALTER TABLE mart.sale_archive RENAME TO sale;
SELECT * FROM meant;
ALTER TABLE mart.sale RENAME TO sale_2025;
CREATE TABLE mart.sale AS TABLE mart.sale_2025;
CALL tfrs.alter_recommender('mart', interactions => 'mart.sale');
SELECT * FROM meant;
CALL tfrs.refresh('mart');
-- Where the renamed one goes, there is no question any more.
ALTER TABLE mart.sale RENAME TO sale_2026;
CREATE TABLE mart.sale AS TABLE mart.sale_2025;
SELECT problem IS NOT NULL AS asked FROM meant;
DROP TABLE mart.sale_2026;
SELECT * FROM meant;
CALL tfrs.refresh('mart');
-- A table without the columns is no question.
ALTER TABLE mart.sale RENAME TO sold;
CREATE TABLE mart.sale (a int);
SELECT * FROM meant;
CALL tfrs.refresh('mart');
DROP TABLE mart.sale, mart.sale_2025;
ALTER TABLE mart.sold RENAME TO sale;

-- The table of the models: named again, where it went out of sight; or restored.
CALL tfrs.refresh('mart', force => true);
CREATE TABLE mart.saved AS TABLE mart.models;
DROP TABLE mart.models;
SELECT problem FROM meant;
CALL tfrs.refresh('mart');
CALL tfrs.alter_recommender('mart', store => 'mart.thing');
CALL tfrs.alter_recommender('mart', store => 'mart.saved');
ALTER TABLE mart.saved ADD PRIMARY KEY (version);
CALL tfrs.alter_recommender('mart', store => 'mart.nothing');
-- A superuser's table does not make it the superuser's: the owner has defined what is read.
RESET ROLE;
CREATE TABLE mart.models (LIKE mart.saved INCLUDING ALL);
SELECT privilege, regexp_replace(problem, 'belongs to .*', 'belongs to ...') AS problem FROM tfrs.recommender_status WHERE recommender = 'mart';
DO $$ BEGIN CALL tfrs.alter_recommender('mart', store => 'mart.models'); EXCEPTION WHEN object_not_in_prerequisite_state THEN
	RAISE NOTICE '%', regexp_replace(SQLERRM, 'belongs to [^,]*', 'belongs to ...'); END $$;
DROP TABLE mart.models;
SET ROLE regress_tfrs_mart;
CALL tfrs.alter_recommender('mart', store => 'mart.saved');
SELECT * FROM meant;
CALL tfrs.refresh('mart');
SELECT count(*) FROM tfrs.recommend('mart', 7, 3);
CREATE TABLE mart.copied (LIKE mart.saved INCLUDING ALL);
INSERT INTO mart.copied SELECT * FROM mart.saved ORDER BY version LIMIT 1;
CALL tfrs.alter_recommender('mart', store => 'mart.copied');
SELECT r.version = m.version AS known, r.versions FROM tfrs.recommender_status r, mart.copied m WHERE recommender = 'mart';
CALL tfrs.alter_recommender('mart', store => 'mart.saved');
DROP TABLE mart.saved;
ALTER TABLE mart.copied RENAME TO saved;
SELECT store, problem FROM meant;
SELECT count(*) FROM tfrs.recommend('mart', 7, 3);

-- A recommender over a table of models that is there already, of nobody else's.
CREATE TABLE mart.third_recommender (version int);
\set VERBOSITY default
CALL tfrs.create_recommender('third', 'mart.sale', 'customer', 'thing');
CREATE TABLE mart.fourth_recommender (LIKE mart.saved INCLUDING ALL);
CALL tfrs.create_recommender('fourth', 'mart.sale', 'customer', 'thing');
\set VERBOSITY terse
CALL tfrs.create_recommender('other', 'mart.sale', 'customer', 'thing', store => 'mart.saved');
CREATE TABLE mart.other_recommender (LIKE mart.saved INCLUDING ALL);
CALL tfrs.create_recommender('other', 'mart.sale', 'customer', 'thing');
\set VERBOSITY default
CALL tfrs.create_recommender('other', 'mart.sale', 'customer', 'thing', store => 'mart.thing');
\set VERBOSITY terse
GRANT SELECT ON mart.sale TO regress_tfrs_planter;
RESET ROLE;
SET ROLE regress_tfrs_planter;
CALL tfrs.create_recommender('other', 'mart.sale', 'customer', 'thing', store => 'mart.other_recommender');
RESET ROLE;
SET ROLE regress_tfrs_mart;
CALL tfrs.create_recommender('other', 'mart.sale', 'customer', 'thing', at => 'at', held_out => 0,
	options => '{"dim": 8, "history": {"steps": 20}}', store => 'mart.other_recommender');
CALL tfrs.refresh('other');
CALL tfrs.drop_recommender('other');
CREATE TABLE mart.other_recommender (LIKE mart.saved INCLUDING ALL);
INSERT INTO mart.other_recommender SELECT 7, model, '2026-01-01 UTC' FROM mart.saved;
INSERT INTO mart.other_recommender SELECT 5, model, '2026-01-02 UTC' FROM mart.saved;
CALL tfrs.create_recommender('other', 'mart.sale', 'customer', 'thing', at => 'at', held_out => 0,
	options => '{"dim": 8, "history": {"steps": 20}}', store => 'mart.other_recommender');
SELECT version, versions, trained_at AT TIME ZONE 'UTC' AS trained_at, problem FROM tfrs.recommender_status WHERE recommender = 'other';
CALL tfrs.publish('other', 5);
CALL tfrs.revert('other');
CALL tfrs.refresh('other');
SELECT version, versions FROM tfrs.recommender_status WHERE recommender = 'other';

SET client_min_messages = warning;
CALL tfrs.drop_recommender('other');
CALL tfrs.drop_recommender('mart');
RESET ROLE;
-- Nothing is left of them.
SELECT count(*) FROM tfrs.recommender_run WHERE recommender_id NOT IN (SELECT recommender_id FROM tfrs.recommender);
SELECT count(*) FROM tfrs.recommender_version WHERE recommender_id NOT IN (SELECT recommender_id FROM tfrs.recommender);
SELECT count(*) FROM tfrs.recommender_epoch WHERE run_id NOT IN (SELECT run_id FROM tfrs.recommender_run);
SELECT count(*) FROM tfrs.recommender_metric WHERE run_id NOT IN (SELECT run_id FROM tfrs.recommender_run);
DROP VIEW meant, dumped;
DROP SCHEMA mart, attic CASCADE;
DROP OWNED BY regress_tfrs_planter, regress_tfrs_mart;
DROP ROLE regress_tfrs_planter, regress_tfrs_mart;
