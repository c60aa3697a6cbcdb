-- tfrs.materialize: a plain table of recommendations, of which only the difference is written
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS tfrs_retrieval;

CREATE TABLE thing (thing text PRIMARY KEY, title text, in_stock boolean);
INSERT INTO thing SELECT 'T' || i, 'thing ' || i, true FROM generate_series(1, 40) i;
CREATE TABLE visit (person int, thing text, seen_at timestamptz);
INSERT INTO visit
	SELECT person, 'T' || 1 + (person % 2 * 20 + (person * 7 + n * 3) % 20), timestamptz '2026-01-01 UTC' + n * interval '1 hour'
	FROM generate_series(1, 60) person, generate_series(1, 8) n;
CREATE INDEX ON visit (person);
CALL tfrs.create_recommender('things', 'visit', 'person', 'thing', at => 'seen_at', candidates => 'thing',
	label => 'title', available => 'in_stock', held_out => 0,
	options => '{"dim": 8, "history": {"steps": 300}}');
CALL tfrs.materialize('things', 'advice');
CALL tfrs.refresh('things');
RESET client_min_messages;

CALL tfrs.materialize('things', 'advice', k => 5);
SELECT column_name, data_type, is_nullable FROM information_schema.columns WHERE table_name = 'advice' ORDER BY ordinal_position;
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'advice'::regclass AND contype = 'p';
SELECT indexdef FROM pg_indexes WHERE tablename = 'advice' ORDER BY 1;
CREATE FUNCTION comment_of(target regclass) RETURNS text LANGUAGE sql AS $$
	SELECT regexp_replace(obj_description(target, 'pg_class'), 'recommender \d+$', 'recommender N') $$;
SELECT comment_of('advice'), count(col_description('advice'::regclass, attnum))
FROM pg_attribute WHERE attrelid = 'advice'::regclass AND attnum > 0;
SELECT reltuples FROM pg_class WHERE oid = 'advice'::regclass;

-- the rows are those of recommend
CREATE FUNCTION differences(k int) RETURNS TABLE (rows bigint, different bigint) LANGUAGE sql AS $$
	SELECT count(*), count(*) FILTER (WHERE a.query IS NULL OR r.person IS NULL OR
		(a.candidate, a.label, a.score, a.source, a.percentile)
		IS DISTINCT FROM (r.candidate, r.label, r.score::float8, r.source, 1 - (r.rank - 1) / r.n::float8))
	FROM (SELECT person, r.*, count(*) OVER (PARTITION BY person) AS n
		FROM (SELECT DISTINCT person FROM visit WHERE person IS NOT NULL) AS p,
			tfrs.recommend('things', person, k) AS r) AS r
	FULL JOIN advice AS a ON a.query = r.person AND a.rank = r.rank $$;
SELECT * FROM differences(5);

-- again: nothing is written
CREATE TABLE versions AS SELECT query, candidate, xmin::text AS writer, ctid AS place FROM advice;
CREATE FUNCTION rewritten() RETURNS bigint LANGUAGE sql AS $$
	SELECT count(*) FROM advice AS a LEFT JOIN versions AS v USING (query, candidate)
	WHERE (v.writer, v.place) IS DISTINCT FROM (a.xmin::text, a.ctid) $$;
CALL tfrs.materialize('things', 'public.advice', k => 5);
CALL tfrs.materialize('things', 'advice', k => 5, in_one_transaction => true);
BEGIN;
CALL tfrs.materialize('things', 'advice', k => 5);
SELECT pg_current_xact_id_if_assigned() IS NULL AS nothing_written;
COMMIT;
SELECT rewritten();

-- a view that depends on it and a grant stay; of the rows those are written that have changed
CREATE ROLE regress_tfrs_bi;
GRANT SELECT ON advice TO regress_tfrs_bi;
CREATE VIEW best AS SELECT query, candidate, label FROM advice WHERE rank = 1;
GRANT SELECT ON best TO regress_tfrs_bi;
SET client_min_messages = warning;
UPDATE thing SET title = 'THING 3' WHERE thing = 'T3';
CALL tfrs.materialize('things', 'advice', k => 5);
RESET client_min_messages;
SELECT rewritten() = count(*) AS only_those FROM advice WHERE candidate = 'T3';
UPDATE thing SET in_stock = false WHERE thing IN ('T3', 'T24');
SET client_min_messages = warning;
INSERT INTO visit VALUES (1000, 'T5', now()), (1001, 'unknown', now()), (7, NULL, now()), (NULL, 'T1', now());
CALL tfrs.materialize('things', 'advice', k => 5);
RESET client_min_messages;
SELECT * FROM differences(5);
SELECT count(*) FROM advice WHERE candidate IN ('T3', 'T24');
SELECT source, count(DISTINCT query), count(*) FROM advice GROUP BY 1 ORDER BY 1;
SELECT rewritten() BETWEEN 10 AND 200 AS some;
SET ROLE regress_tfrs_bi;
SELECT count(*) FROM advice;
SELECT count(*) FROM best;
RESET ROLE;

-- a query that is gone, at the beginning, in the middle, at the end; all of them
DELETE FROM visit WHERE person IN (1, 30, 1001);
CALL tfrs.materialize('things', 'advice', k => 5);
SELECT * FROM differences(5);
CREATE TABLE kept AS TABLE visit;
DELETE FROM visit;
CALL tfrs.materialize('things', 'advice', k => 5);
INSERT INTO visit TABLE kept;
CALL tfrs.materialize('things', 'advice', k => 5);
SELECT * FROM differences(5);

-- more or fewer of each; more than one slice, of which queries go that were first or last
CALL tfrs.materialize('things', 'advice', k => 40);
INSERT INTO visit SELECT person, 'T' || 1 + (person + n) % 40, now() FROM generate_series(10001, 11500) person, generate_series(1, 2) n;
CALL tfrs.materialize('things', 'advice', k => 40);
SELECT * FROM differences(40);
DELETE FROM visit WHERE person BETWEEN 10400 AND 11490;
CALL tfrs.materialize('things', 'advice', k => 40);
SELECT * FROM differences(40);
DELETE FROM visit WHERE person > 10000;
SET client_min_messages = warning;
CALL tfrs.materialize('things', 'advice', k => 2, include_seen => true);
RESET client_min_messages;
SELECT count(*), count(*) FILTER (WHERE EXISTS (SELECT FROM visit AS v WHERE v.person = query AND v.thing = candidate)) > 0 AS seen FROM advice;
CALL tfrs.materialize('things', 'advice', k => 0);
SELECT count(*) FROM advice;

-- most candidates hidden: the other way to leave them out
UPDATE thing SET in_stock = thing IN ('T1', 'T2', 'T30');
CALL tfrs.materialize('things', 'advice', k => 5);
SELECT * FROM differences(5);
UPDATE thing SET in_stock = true;

SET client_min_messages = warning;
-- scores within the tolerance are the same
CALL tfrs.materialize('things', 'advice', k => 5);
RESET client_min_messages;
UPDATE advice SET score = score + 0.5;
CALL tfrs.materialize('things', 'advice', k => 5, tolerance => 0.6);
CALL tfrs.materialize('things', 'advice', k => 5);
SELECT * FROM differences(5);

-- in a transaction all or nothing
BEGIN;
CALL tfrs.materialize('things', 'advice', k => 1);
SELECT count(*) FROM advice;
ROLLBACK;
SELECT count(*) FROM advice;
DO $$ BEGIN CALL tfrs.materialize('things', 'advice', k => 1); END $$;
SELECT count(*) FROM advice;
-- undone with the block that it is called in, and no lock is left
DO $$
BEGIN
	CALL tfrs.materialize('things', 'advice', k => 3);
	RAISE 'undone';
EXCEPTION WHEN raise_exception THEN
	NULL;
END $$;
SELECT max(rank) FROM advice;
SELECT count(*) FROM pg_locks WHERE relation = 'advice'::regclass AND mode = 'ShareUpdateExclusiveLock';
CREATE PROCEDURE twice() LANGUAGE plpgsql AS $$
DECLARE r record;
BEGIN
	FOR r IN SELECT 2 + n AS k FROM generate_series(1, 2) n LOOP
		CALL tfrs.materialize('things', 'advice', k => r.k);
		COMMIT;
	END LOOP;
END $$;
CALL twice();

-- tables that aren't ours
CREATE TABLE other AS SELECT 1 AS query;
CALL tfrs.materialize('things', 'other');
SELECT * FROM other;
CREATE TABLE "like" (LIKE advice);
CALL tfrs.materialize('things', 'like');
COMMENT ON TABLE "like" IS 'recommendations of "things", by tfrs.materialize; mine';
CALL tfrs.materialize('things', 'like', k => 1);
ALTER TABLE "like" DROP label;
CALL tfrs.materialize('things', 'like');
CALL tfrs.materialize('things', 'best');
CALL tfrs.materialize('things', 'no_schema.advice');
CALL tfrs.materialize('things', 'a.b.c.d');
CALL tfrs.materialize('things', NULL);
CALL tfrs.materialize('things', 'advice', k => -1);
-- Without k it is as before.
CALL tfrs.materialize('things', 'ten', k => 3);
CALL tfrs.materialize('things', 'ten');
SELECT max(rank), comment_of('ten') FROM ten;
CALL tfrs.materialize('things', 'ten', k => 2);
CALL tfrs.materialize('things', 'ten');
SELECT max(rank), comment_of('ten') FROM ten;
COMMENT ON TABLE ten IS 'recommendations of "things", by tfrs.materialize; mine';
CALL tfrs.materialize('things', 'ten', k => 3);
SELECT max(rank), comment_of('ten') FROM ten;
DROP TABLE ten;
CALL tfrs.materialize('things', 'advice', tolerance => -1);
CALL tfrs.materialize('things', 'advice', tolerance => 'NaN');
CALL tfrs.materialize('things', 'advice', version => 7);
CALL tfrs.materialize('nothing', 'advice');
SELECT tfrs.materialize('things', 'advice');

-- where nothing may be written
BEGIN READ ONLY;
CALL tfrs.materialize('things', 'advice');
ROLLBACK;
-- what fails leaves no plan in the session
SET client_min_messages = warning;
CREATE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'stop'; END $$;
CREATE TRIGGER fails BEFORE INSERT ON advice FOR EACH STATEMENT EXECUTE FUNCTION fails();
DO $$
BEGIN
	CALL tfrs.materialize('things', 'advice');
EXCEPTION WHEN raise_exception THEN
	RAISE WARNING '%', SQLERRM;
END $$;
SELECT count(*) FROM pg_backend_memory_contexts WHERE ident LIKE 'WITH new AS%';
DROP FUNCTION fails CASCADE;
-- names that need quotes, ids of other types
SET client_min_messages = warning;
CREATE SCHEMA "Od""d";
CREATE TYPE "Od""d"."Mo od" AS ENUM ('happy', 'sad', 'so "so"');
CREATE DOMAIN "Od""d".code AS varchar(10) COLLATE "C";
CREATE TABLE "Od""d"."Vi sit" ("Wh""o" "Od""d"."Mo od", "It em" "Od""d".code);
INSERT INTO "Od""d"."Vi sit" SELECT (enum_range(NULL::"Od""d"."Mo od"))[1 + n % 3], 'Item ' || n % 7 FROM generate_series(1, 9) n;
CALL tfrs.create_recommender('Od"d one''s', '"Od""d"."Vi sit"', 'Wh"o', 'It em', held_out => 0,
	options => '{"dim": 4, "history": {"steps": 20}}');
CALL tfrs.refresh('Od"d one''s');
RESET client_min_messages;
CALL tfrs.materialize('Od"d one''s', '"Od""d"."Ad vice"', k => 2);
CALL tfrs.materialize('Od"d one''s', '"Od""d"."Ad vice"', k => 2);
SELECT attname, format_type(atttypid, atttypmod), attcollation::regcollation FROM pg_attribute
WHERE attrelid = '"Od""d"."Ad vice"'::regclass AND attname IN ('query', 'candidate') ORDER BY attnum;
SELECT comment_of('"Od""d"."Ad vice"');
SET client_min_messages = warning;
CALL tfrs.drop_recommender('Od"d one''s');
DROP SCHEMA "Od""d" CASCADE;
CALL tfrs.drop_recommender('things');
DROP TABLE advice, visit, thing, kept, other, "like", versions CASCADE;
DROP FUNCTION differences, rewritten, comment_of;
DROP PROCEDURE twice;
DROP ROLE regress_tfrs_bi;
