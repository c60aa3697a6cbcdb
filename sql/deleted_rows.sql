-- what the interactions no longer hold counts no longer, at once
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS tfrs_retrieval;
CREATE TABLE visit (person int, thing int, seen_at timestamptz);
INSERT INTO visit SELECT person, 1 + (person % 2 * 20 + (person * 7 + n * 3) % 20), timestamptz '2026-01-01 UTC' + n * interval '1 hour'
	FROM generate_series(1, 60) person, generate_series(1, 8) n;
CREATE INDEX ON visit (person);
CALL tfrs.create_recommender('bags', 'visit', 'person', 'thing', at => 'seen_at', held_out => 0, options => '{"dim": 8, "history": {"steps": 100}}');
CALL tfrs.create_recommender('table', 'visit', 'person', 'thing', held_out => 0, options => '{"dim": 8, "epochs": 2, "history": false}');
CALL tfrs.refresh('bags');
CALL tfrs.refresh('table');
CREATE TABLE seen AS SELECT DISTINCT thing FROM visit WHERE person = 7;
CREATE TABLE before AS SELECT candidate, score FROM tfrs.recommend('bags', 7, 40);

-- some of the rows of a query: the others alone are its profile, its reasons, and left out
DELETE FROM visit WHERE person = 7 AND seen_at < '2026-01-01 06:00 UTC';
SELECT count(*) > 0 AS scores_have_changed FROM before JOIN tfrs.recommend('bags', 7, 40) r USING (candidate) WHERE r.score <> before.score;
SELECT count(*) AS not_as_from_the_rest FROM tfrs.recommend('bags', 7, 40) r JOIN (SELECT t.* FROM bags_recommender, tfrs.top_k(model,
		tfrs.embed_history(model, ARRAY(SELECT thing FROM visit WHERE person = 7 ORDER BY seen_at, thing)), 40) t) t USING (candidate)
WHERE r.score <> t.score;
SELECT array_agg(candidate::int ORDER BY candidate::int) = (SELECT array_agg(DISTINCT thing) FROM visit WHERE person = 7) AS reasons
FROM tfrs.explain('bags', 7, 30, 100) WHERE candidate IS NOT NULL;
SELECT array_agg(thing::text ORDER BY thing) = (SELECT array_agg(candidate ORDER BY candidate::int) FROM tfrs.recommend('bags', 7, 40)
		WHERE candidate::int IN (SELECT thing FROM seen)) AS offered_again
FROM seen WHERE thing NOT IN (SELECT thing FROM visit WHERE person = 7);
SELECT array_agg(candidate ORDER BY candidate) = (SELECT array_agg(candidate ORDER BY candidate) FROM tfrs.recommend('table', 7, 40)) AS the_same
FROM tfrs.recommend('bags', 7, 40);
-- the model is as it was
SELECT count(*) FROM bags_recommender, tfrs.top_k(model, 7, 40) JOIN seen ON seen.thing::text = candidate;

-- all of them: nothing is known of the query
DELETE FROM visit WHERE person = 7;
SELECT DISTINCT source FROM tfrs.recommend('bags', 7, 40);
SELECT DISTINCT source FROM tfrs.recommend('table', 7, 40);
SELECT count(*) FROM tfrs.recommend('bags', 7, 40);
SELECT count(*) FROM tfrs.recommend('bags', 7, unknown => 'none');
SELECT * FROM tfrs.recommend('table', 7, unknown => 'error');
SELECT count(*) FROM tfrs.explain('bags', 7, 30);
CALL tfrs.materialize('bags', 'visit_recommendation', k => 3);
SELECT count(*) AS of_7, (SELECT count(DISTINCT query) FROM visit_recommendation) AS queries FROM visit_recommendation WHERE query = 7;
-- a row with a candidate that is too new for the model is something
INSERT INTO visit VALUES (7, 4711, now());
SELECT DISTINCT source FROM tfrs.recommend('bags', 7, 40);
SELECT DISTINCT source FROM tfrs.recommend('table', 7, 40);

-- who may not read the interactions gets the model's word
CREATE ROLE regress_tfrs_blind;
GRANT USAGE ON SCHEMA public TO regress_tfrs_blind;
CALL tfrs.grant_recommender('bags', 'regress_tfrs_blind', 'use');
SET ROLE regress_tfrs_blind;
SELECT DISTINCT source FROM tfrs.recommend('bags', 7, 40);
SELECT count(*) FROM tfrs.recommend('bags', 7, 40) WHERE candidate::int IN (29, 30, 31);
RESET ROLE;

CALL tfrs.drop_recommender('bags');
CALL tfrs.drop_recommender('table');
DROP TABLE visit, seen, before, visit_recommendation;
REVOKE ALL ON SCHEMA public FROM regress_tfrs_blind;
DROP ROLE regress_tfrs_blind;
