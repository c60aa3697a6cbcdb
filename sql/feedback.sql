-- rows of the interactions that are no choices: a weight of 0 was seen and not liked, one below 0 is a dislike
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS tfrs_retrieval;

CREATE TABLE act (person int, thing int, weight float8, at timestamptz);
INSERT INTO act SELECT n % 40, (n * n + n / 40) % 17 + n % 5, 1, timestamptz '2026-01-01 UTC' + n * interval '1 min' FROM generate_series(1, 500) n;
CREATE TABLE chosen AS SELECT * FROM act;
-- each person sees one thing and dislikes another one that he has not chosen
CREATE TABLE other AS SELECT person, (array_agg(thing ORDER BY hashint4(person * 31 + thing)))[1:2] AS things
	FROM generate_series(0, 39) person, (SELECT DISTINCT thing FROM chosen) t
	WHERE NOT EXISTS (SELECT FROM chosen c WHERE c.person = person.person AND c.thing = t.thing) GROUP BY 1;
INSERT INTO act SELECT person, things[1], 0, timestamptz '2026-02-01 UTC' FROM other;
INSERT INTO act SELECT person, things[2], -2, timestamptz '2026-02-01 UTC' FROM other;
CREATE INDEX ON act (person);
CREATE INDEX ON chosen (person);
CALL tfrs.create_recommender('act', 'act', 'person', 'thing', weight => 'weight', at => 'at', options => '{"dim": 8, "history": {"steps": 50}}');
CALL tfrs.create_recommender('chosen', 'chosen', 'person', 'thing', weight => 'weight', at => 'at', options => '{"dim": 8, "history": {"steps": 50}}');
CALL tfrs.refresh('act');
CALL tfrs.refresh('chosen');
-- training, what it measures and histories know the choices only
SELECT tfrs.model_info(a.model) ->> 'digest' = tfrs.model_info(b.model) ->> 'digest' AS equal FROM act_recommender a, chosen_recommender b;
SELECT count(DISTINCT (rows, queries, candidates, held_out_rows)) FROM tfrs.training_run;
-- what was seen is left out as what was chosen is; what is disliked is never given
SELECT count(*) AS rows, count(*) FILTER (WHERE r.candidate::int = ANY (things)) AS seen_or_disliked
	FROM other, LATERAL tfrs.recommend('act', person, 30) r;
SELECT count(*) FILTER (WHERE r.candidate::int = things[1]) AS seen, count(*) FILTER (WHERE r.candidate::int = things[2]) AS disliked
	FROM other, LATERAL tfrs.recommend('act', person, 30, include_seen => true) r;
-- and all else is as it was
SELECT count(*) AS differences FROM other,
	LATERAL (SELECT array_agg((candidate, score, source) ORDER BY rank) AS list FROM tfrs.recommend('act', person, 30)) a,
	LATERAL (SELECT array_agg((candidate, score, source) ORDER BY rank) AS list FROM tfrs.recommend('chosen', person, 30, exclude => things)) b
	WHERE a.list IS DISTINCT FROM b.list;
SELECT count(*) AS differences FROM other,
	LATERAL (SELECT array_agg((candidate, contribution)) AS list FROM tfrs.explain('act', person, 3)) a,
	LATERAL (SELECT array_agg((candidate, contribution)) AS list FROM tfrs.explain('chosen', person, 3)) b
	WHERE a.list IS DISTINCT FROM b.list;
-- an audience has nobody who dislikes it, or has seen it
SELECT count(*) FROM (SELECT DISTINCT thing FROM chosen) t, LATERAL tfrs.audience('act', thing, 100) a JOIN other o ON o.person::text = a.query WHERE t.thing = ANY (o.things);
-- materialize gives what recommend gives
CALL tfrs.materialize('act', 'given', k => 30);
CALL tfrs.materialize('act', 'given_seen', k => 30, include_seen => true);
SELECT count(*) > 0 AS some, count(*) FILTER (WHERE g.candidate::text IS DISTINCT FROM r.candidate) AS differ
	FROM given g LEFT JOIN LATERAL (SELECT * FROM tfrs.recommend('act', g.query, 30)) r USING (rank);
SELECT count(*) > 0 AS some, count(*) FILTER (WHERE g.candidate::text IS DISTINCT FROM r.candidate) AS differ
	FROM given_seen g LEFT JOIN LATERAL (SELECT * FROM tfrs.recommend('act', g.query, 30, include_seen => true)) r USING (rank);
-- somebody of whom only dislikes are known gets what is popular without these, and no rows in the table
INSERT INTO act VALUES (100, 3, -1, now()), (100, 4, -1e-60, now()), (100, 5, 0, now());
SELECT count(*) FILTER (WHERE candidate IN ('3', '4', '5')), min(source) IN ('popular', 'trending') FROM tfrs.recommend('act', 100, 30);
SELECT string_agg(candidate, ' ' ORDER BY candidate) FROM tfrs.recommend('act', 100, 30, include_seen => true) WHERE candidate IN ('3', '4', '5');
-- somebody who has chosen only what the model does not know likewise, in the table too
INSERT INTO act VALUES (101, 4711, 1, now()), (101, 3, -1, now());
CALL tfrs.materialize('act', 'given', k => 30);
SELECT query, count(*) > 5 AS rows, count(*) FILTER (WHERE candidate = 3) AS disliked FROM given WHERE query >= 100 GROUP BY 1;
-- a dislike that is taken back no longer counts, at once
DELETE FROM act WHERE weight < 0 AND person = 7;
SELECT count(*) FROM other, LATERAL tfrs.recommend('act', person, 30, include_seen => true) r WHERE person = 7 AND r.candidate::int = things[2];
-- the aggregates take no dislikes
SELECT tfrs.train(person, thing, weight, at, '{}') FROM act;
CALL tfrs.drop_recommender('act');
CALL tfrs.drop_recommender('chosen');
DROP TABLE act, chosen, other, given, given_seen;
