-- tfrs.recommend, tfrs.recommend_as, tfrs.similar and tfrs.explain by a recommender's name
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS tfrs_retrieval;

CREATE TABLE thing (thing int PRIMARY KEY, title text, in_stock boolean);
INSERT INTO thing SELECT i, 'thing ' || i, true FROM generate_series(1, 40) i;
CREATE TABLE visit (person int, thing int, seen_at timestamptz);
INSERT INTO visit
	SELECT person, 1 + (person % 2 * 20 + (person * 7 + n * 3) % 20), timestamptz '2026-01-01 UTC' + n * interval '1 hour'
	FROM generate_series(1, 60) person, generate_series(1, 8) n;
CREATE INDEX ON visit (person);
CALL tfrs.create_recommender('things', 'visit', 'person', 'thing', at => 'seen_at', candidates => 'thing',
	label => 'title', available => 'in_stock', held_out => 0,
	options => '{"dim": 8, "history": {"steps": 300}}');
SELECT * FROM tfrs.recommend('things', 7);
CALL tfrs.refresh('things');
RESET client_min_messages;

-- with nothing new, the answers of the model itself; label and source beside them
CREATE FUNCTION differences(query int, k int) RETURNS bigint LANGUAGE sql AS $$
	SELECT count(*) FILTER (WHERE r.candidate IS DISTINCT FROM t.candidate OR r.score IS DISTINCT FROM t.score)
	FROM tfrs.recommend('things', query, k) r
	FULL JOIN (SELECT t.* FROM things_recommender, tfrs.top_k(model, query, k) t) t USING (rank) $$;
SELECT count(*), sum(differences(person, 7)) FROM generate_series(1, 60) person;
SELECT count(*), count(*) FILTER (WHERE label = 'thing ' || candidate), min(source), max(source)
FROM tfrs.recommend('things', 7);
SELECT count(*) FROM tfrs.recommend('things', 7) r JOIN visit v ON v.person = 7 AND v.thing::text = r.candidate;

-- the query in every way; k, exclude and among as in top_k
CREATE TABLE best AS SELECT candidate, score FROM tfrs.recommend('things', 7, 1);
SELECT r.candidate = best.candidate AND r.score = best.score AS equal FROM best, tfrs.recommend('things', '7', 1) r;
SELECT r.candidate = best.candidate AS equal FROM best, tfrs.recommend('things', 7::bigint, 1) r;
SELECT r.candidate = best.candidate AS equal FROM best, tfrs.recommend('things', '7'::text, 1) r;
SELECT r.candidate = best.candidate AS equal FROM best, tfrs.recommend('things', '7'::jsonb, 1) r;
SELECT r.candidate = best.candidate AS equal FROM best, tfrs.recommend('things'::varchar, '"7"'::jsonb, 1) r;
PREPARE untyped AS SELECT candidate FROM tfrs.recommend($1, $2, k => $3, exclude => $4::text[], version => $5);
EXECUTE untyped('things', '7', 0, NULL, 1);
PREPARE untyped_as AS SELECT count(*) FROM tfrs.recommend_as(NULL::int, $1, $2);
EXECUTE untyped_as('things', '7');
PREPARE untyped_similar AS SELECT count(*) FROM tfrs.similar($1, $2);
EXECUTE untyped_similar('things', '7');
PREPARE untyped_explain AS SELECT count(*) FROM tfrs.explain($1, $2, $3);
EXECUTE untyped_explain('things', '7', '30');
SELECT count(*) FROM tfrs.recommend('things', 7, exclude => ARRAY(SELECT generate_series(3, 40)));
SELECT count(*) FROM tfrs.recommend('things', 7, among => '{1,2,3}', include_seen => true);
SELECT count(*) FROM tfrs.recommend('things', 7, among => '{}');
SELECT count(*) FROM tfrs.recommend('things', 7, 1000);
SELECT count(*) FROM tfrs.recommend('things', 7, 1000, include_seen => true);
SELECT count(*) FROM tfrs.recommend('things', 7, 1000, min_score => 'Infinity');
SELECT pg_typeof(candidate), count(*) FROM tfrs.recommend_as(NULL::bigint, 'things', 7, k => 3) GROUP BY 1;
SELECT pg_typeof(candidate), count(*) FROM tfrs.recommend_as(NULL::int, 'things', '7', k => 3) JOIN thing ON thing = candidate GROUP BY 1;
SELECT pg_typeof(candidate), count(*) FROM tfrs.recommend_as(NULL::text, 'things', '7'::jsonb, k => 3) GROUP BY 1;
SELECT * FROM tfrs.recommend_as(NULL::uuid, 'things', 7);
SELECT count(*) FROM tfrs.recommend('things', NULL);
SELECT count(*) FROM tfrs.recommend('things', NULL::int);
SELECT count(*) FROM tfrs.recommend('things', 'null'::jsonb);
SELECT count(*) FROM tfrs.recommend(NULL, 7);
SELECT * FROM tfrs.recommend('things', 7, k => NULL);
SELECT * FROM tfrs.recommend('things', 7, k => -1);
SELECT * FROM tfrs.recommend('things', 7.5);
SELECT * FROM tfrs.recommend('things', 'seven');
SELECT * FROM tfrs.recommend('nothing', 7);
SELECT * FROM tfrs.recommend('things', 7, version => 2);
SELECT * FROM tfrs.recommend('things', 7, version => 0);
SELECT count(*) FROM tfrs.recommend('things', 7, version => 1);

-- the planner knows k
CREATE FUNCTION planned_rows(query text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE plan json;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT json) ' || query INTO plan;
	RETURN plan #>> '{0,Plan,Plan Rows}';
END $$;
SELECT planned_rows($$SELECT * FROM tfrs.recommend('things', 42, 77)$$), planned_rows($$SELECT * FROM tfrs.recommend('things', '42')$$),
	planned_rows($$SELECT * FROM tfrs.recommend_as(NULL::int, 'things', 42, k => 7, version => 3)$$),
	planned_rows($$SELECT * FROM tfrs.similar('things', 42, 8)$$), planned_rows($$SELECT * FROM tfrs.explain('things', 42, 43, 9)$$);
DROP FUNCTION planned_rows;

-- many queries in one statement, and in a plan that is used again
SELECT count(*), count(DISTINCT person) FROM generate_series(1, 60) person, tfrs.recommend('things', person, 3);
PREPARE again AS SELECT count(*) FROM tfrs.recommend('things', $1::int, 3);
EXECUTE again(7);
EXECUTE again(8);

-- a new click counts at once: it is left out, and it changes the answer
CREATE TABLE before AS SELECT candidate, rank, score FROM tfrs.recommend('things', 7, 40);
INSERT INTO visit SELECT 7, candidate::int, now() FROM before WHERE rank = 1;
SELECT (SELECT candidate FROM tfrs.recommend('things', 7, 1)) <> candidate AS another FROM before WHERE rank = 1;
SELECT count(*) > 0 AS scores_have_changed FROM before JOIN tfrs.recommend('things', 7, 40) r USING (candidate)
WHERE r.score <> before.score;
-- as embed_history has it: the events in order, the time of a candidate being its first
SELECT count(*), count(*) FILTER (WHERE r.score = t.score)
FROM tfrs.recommend('things', 7, 5) r
JOIN (SELECT t.* FROM things_recommender, tfrs.top_k(model,
		tfrs.embed_history(model, ARRAY(SELECT thing FROM visit WHERE person = 7 ORDER BY seen_at, thing)), 40) t) t
	USING (candidate);
-- it does so for one who is new, too
INSERT INTO visit VALUES (1000, 3, now()), (1000, 5, now()), (1001, 4711, now()), (1002, NULL, NULL);
SELECT DISTINCT source FROM tfrs.recommend('things', 1000);
SELECT count(*) FROM tfrs.recommend('things', 1000, 1000) WHERE candidate IN ('3', '5');
-- one of whom nothing is known gets what is popular
SELECT rank, source FROM tfrs.recommend('things', 1001, 2);
SELECT rank, source FROM tfrs.recommend('things', 1002, 2);
SELECT rank, source FROM tfrs.recommend('things', 99, 2);
SELECT rank, source FROM tfrs.recommend('things', 99, 2, unknown => 'average');
SELECT rank, source FROM tfrs.recommend('things', 99, 2, unknown => 'none');
SELECT rank, source FROM tfrs.recommend('things', 99, 2, unknown => 'error');
SELECT rank, source FROM tfrs.recommend('things', 99, 2, unknown => 'nothing');
SELECT count(*) FROM tfrs.recommend('things', 99999999999);

-- what is not available is never shown, and k means k
DELETE FROM visit WHERE person = 7 AND seen_at = (SELECT max(seen_at) FROM visit WHERE person = 7);
UPDATE thing SET in_stock = false WHERE thing <= 15;
DELETE FROM thing WHERE thing IN (16, 17);
UPDATE thing SET in_stock = NULL WHERE thing = 18;
SELECT count(*), count(*) FILTER (WHERE candidate::int <= 17), count(*) FILTER (WHERE candidate = '18')
FROM tfrs.recommend('things', 7, 40, include_seen => true);
SELECT count(*) FROM tfrs.recommend('things', 8, 5);
SELECT count(*), count(label) FROM tfrs.recommend('things', 99, 23);
SELECT count(*), count(*) FILTER (WHERE candidate::int <= 17) FROM tfrs.similar('things', 1, 40);
UPDATE thing SET in_stock = false;
SELECT count(*) FROM tfrs.recommend('things', 7, 5);
UPDATE thing SET in_stock = true;

-- similar
SELECT count(*), count(*) FILTER (WHERE r.candidate = t.candidate AND r.score = t.score AND label = 'thing ' || t.candidate)
FROM tfrs.similar('things', 30, 5) r, (SELECT t.* FROM things_recommender, tfrs.similar(model, 30, 5) t) t
WHERE r.rank = t.rank;
SELECT count(*) FROM tfrs.similar('things', '30', 3, version => 1);
SELECT count(*) FROM tfrs.similar('things', 30, among => '{21,22}', exclude => '{21}');
SELECT count(*) FROM tfrs.similar('things', 4711);
SELECT count(*) FROM tfrs.similar('things', NULL);

-- explain: explain.sql has what its figures mean
SELECT count(*), bool_and(e.candidate::int IN (SELECT thing FROM visit WHERE person = 8)) AS chosen, bool_and(label IS NOT NULL) AS labels
FROM tfrs.explain('things', 8, '30') e;
SELECT count(*) FROM tfrs.explain('things', '8', 30, 3);
SELECT count(*) FROM tfrs.explain('things', '8', '30', k => 2, version => 1);
SELECT count(*) FROM tfrs.explain('things', 99, 30);
SELECT count(*) FROM tfrs.explain('things', 8, 4711);
SELECT count(*) FROM tfrs.explain('things', NULL, 4711);

-- no index: said once
DROP INDEX visit_person_idx;
CALL tfrs.alter_recommender('things', label => '');
SELECT count(*), count(label) FROM tfrs.recommend('things', 8, 5);
SELECT count(*), count(label) FROM tfrs.recommend('things', 8, 5);
CREATE INDEX ON visit (person);

-- a column renamed, a relation renamed, dropped
ALTER TABLE visit RENAME TO visits;
SELECT count(*) FROM tfrs.recommend('things', 8, 5);
ALTER TABLE visits RENAME person TO who;
SELECT count(*) FROM tfrs.recommend('things', 8, 5);
ALTER TABLE visits RENAME who TO person;
DROP TABLE thing;
SELECT count(*), count(label) FROM tfrs.recommend('things', 8, 5);
DROP TABLE visits;
SELECT count(*), count(label) FROM tfrs.recommend('things', 8, 5);
SELECT count(*) FROM tfrs.recommend('things', 8, 5);
DROP TABLE things_recommender;
SELECT count(*) FROM tfrs.recommend('things', 8, 5);
CALL tfrs.drop_recommender('things');

-- other types of ids, and names that need quotes
SET client_min_messages = warning;
CREATE SCHEMA "Od""d";
CREATE TYPE "Od""d"."Mo od" AS ENUM ('happy', 'sad', 'so "so"');
CREATE DOMAIN "Od""d".code AS varchar(10);
CREATE TABLE "Od""d"."Vi sit" ("Wh""o" "Od""d"."Mo od", "It em" "Od""d".code, "At" date);
INSERT INTO "Od""d"."Vi sit" SELECT (enum_range(NULL::"Od""d"."Mo od"))[1 + n % 2], 'Item ' || n % 7, date '2026-01-01' + n
	FROM generate_series(1, 9) n;
CREATE VIEW "Od""d"."It ems" AS SELECT DISTINCT "It em"::"char"::text || substr("It em", 2) AS "It em", 5 AS "La bel" FROM "Od""d"."Vi sit";
CALL tfrs.create_recommender('Od"d one''s', '"Od""d"."Vi sit"', 'Wh"o', 'It em', at => 'At', candidates => '"Od""d"."It ems"',
	label => 'La bel', held_out => 0, options => '{"dim": 4, "history": {"steps": 20}}');
CALL tfrs.refresh('Od"d one''s');
RESET client_min_messages;
SELECT count(*), min(label), max(source) FROM tfrs.recommend('Od"d one''s', 'happy', include_seen => true);
SELECT count(*), min(label), max(source) FROM tfrs.recommend('Od"d one''s', 'so "so"'::"Od""d"."Mo od");
SELECT count(*), min(label), max(source) FROM tfrs.recommend('Od"d one''s', 'never a mood');
INSERT INTO "Od""d"."Vi sit" VALUES ('so "so"', 'Item 3', '2026-03-01');
SELECT count(*), min(label), max(source) FROM tfrs.recommend('Od"d one''s', 'so "so"');
SELECT count(*) FROM tfrs.explain('Od"d one''s', 'happy', 'Item 1');
SET client_min_messages = warning;
CALL tfrs.drop_recommender('Od"d one''s');
DROP SCHEMA "Od""d" CASCADE;

-- times without a zone mean the same in every session, dates too; with repeats and without
CREATE TABLE visit AS SELECT n % 9 AS person, n * 7 % 11 AS thing, timestamp '2026-03-29 00:00' + n * interval '20 minutes' AS seen_at,
	date '2026-03-20' + n AS seen_on FROM generate_series(1, 90) n;
INSERT INTO visit SELECT person, thing, NULL, 'infinity' FROM visit WHERE person = 3;
-- a date that no timestamp can hold is the latest for both
UPDATE visit SET seen_on = '5874897-12-31' WHERE person = 4 AND thing IN (1, 2, 3);
CREATE INDEX ON visit (person);
SET timezone = 'Europe/Berlin';
CALL tfrs.create_recommender('zoned', 'visit', 'person', 'thing', at => 'seen_at', held_out => 0,
	options => '{"dim": 8, "history": {"steps": 40}}');
CALL tfrs.create_recommender('dated', 'visit', 'person', 'thing', at => 'seen_on', held_out => 0,
	options => '{"dim": 8, "mask_known": false, "history": {"steps": 40}}');
CALL tfrs.refresh('zoned');
CALL tfrs.refresh('dated');
SET timezone = 'America/New_York';
SELECT name, count(*), count(*) FILTER (WHERE r.candidate = t.candidate AND r.score = t.score) AS equal
FROM (SELECT 'zoned' AS name, model FROM zoned_recommender UNION ALL SELECT 'dated', model FROM dated_recommender) AS s,
	generate_series(0, 8) AS person, tfrs.recommend(name, person, 11, include_seen => true) AS r,
	LATERAL (SELECT t.* FROM tfrs.top_k(model, person, 11, search => '{"seen": true}') AS t WHERE t.rank = r.rank) AS t
GROUP BY 1 ORDER BY 1;
RESET timezone;
CALL tfrs.drop_recommender('zoned');
CALL tfrs.drop_recommender('dated');
DROP TABLE visit;

-- plain tables tell nothing of why, and have a row of their own
CREATE TABLE visit AS SELECT lpad((n % 9)::text, 32, '0')::uuid AS person, (n * 7 % 11)::text AS thing FROM generate_series(1, 60) n;
CREATE INDEX ON visit (person);
CALL tfrs.create_recommender('plain', 'visit', 'person', 'thing', held_out => 0,
	options => '{"dim": 4, "epochs": 2, "history": false}');
CALL tfrs.refresh('plain');
RESET client_min_messages;
SELECT DISTINCT source FROM tfrs.recommend('plain', '00000000-0000-0000-0000-000000000003', include_seen => true);
SELECT DISTINCT source FROM tfrs.recommend('plain', '00000000-0000-0000-0000-000000000003'::uuid, include_seen => true);
INSERT INTO visit VALUES ('11111111-0000-0000-0000-000000000000', '3');
SELECT DISTINCT source FROM tfrs.recommend('plain', '11111111-0000-0000-0000-000000000000'::uuid);
SELECT * FROM tfrs.explain('plain', '00000000-0000-0000-0000-000000000003'::uuid, '3');
SET client_min_messages = warning;
CALL tfrs.drop_recommender('plain');
DROP TABLE visit, best, before;
DROP FUNCTION differences;
