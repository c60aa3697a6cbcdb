-- tfrs.explain: what a score is made of
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS tfrs_retrieval;
CREATE TABLE thing (thing int PRIMARY KEY, title text, in_stock boolean DEFAULT true);
INSERT INTO thing SELECT n, 'thing ' || n FROM generate_series(1, 40) n;
CREATE TABLE visit (person int, thing int, seen_at timestamptz);
INSERT INTO visit SELECT person, 1 + (person * 7 + n * n) % (1 + person % 39), timestamptz '2026-01-01 UTC' + n * interval '1 hour'
	FROM generate_series(1, 60) person, generate_series(1, 14) n;
CREATE INDEX ON visit (person);
CALL tfrs.create_recommender('biased', 'visit', 'person', 'thing', at => 'seen_at', candidates => 'thing', label => 'title',
	available => 'in_stock', held_out => 0, options => '{"dim": 8, "history": {"steps": 200}}');
CALL tfrs.create_recommender('plain', 'visit', 'person', 'thing', held_out => 0,
	options => '{"dim": 8, "candidate_bias": false, "normalize": false, "history": {"steps": 200}}');
CALL tfrs.create_recommender('repeated', 'visit', 'person', 'thing', at => 'seen_at', held_out => 0,
	options => '{"dim": 8, "mask_known": false, "history": {"steps": 200, "length": 5}}');
CALL tfrs.refresh('biased');
CALL tfrs.refresh('plain');
CALL tfrs.refresh('repeated');

-- contributions add up to the score of every candidate, shares are between 0 and 1 and add up to 1, ranks count, whatever k
CREATE FUNCTION explained(recommender text, how_many bigint) RETURNS TABLE (scores bigint, adds_up boolean, shares boolean,
	shares_add_up boolean, ranks boolean, ordered boolean) LANGUAGE sql AS $$
	SELECT count(*), bool_and(abs(total - score) <= 1e-5 * greatest(1, size)), bool_and(lowest >= 0 AND highest <= 1),
		bool_and(abs(shares - 1) < 1e-5), bool_and(ranks), bool_and(ordered)
	FROM generate_series(2, 60, 9) person, tfrs.recommend(recommender, person, 100, include_seen => true) r,
		LATERAL (SELECT sum(contribution) AS total, sum(abs(contribution)) AS size, min(share) AS lowest, max(share) AS highest,
				sum(share) AS shares, count(DISTINCT rank) = count(*) AND max(rank) = count(*) AND min(rank) = 1 AS ranks,
				array_agg(contribution ORDER BY rank) FILTER (WHERE rest IS NOT TRUE) =
				array_agg(contribution ORDER BY contribution DESC) FILTER (WHERE rest IS NOT TRUE) AS ordered
			FROM (SELECT *, candidate IS NULL AND label = 'everything else' AS rest
				FROM tfrs.explain(recommender, person, r.candidate, how_many)) p) e
	WHERE r.source = 'personal' $$;
SELECT name, k, e.* FROM unnest('{biased,plain,repeated}'::text[]) name, unnest('{1,3,10,1000}'::bigint[]) k, explained(name, k) e
ORDER BY name, k;

-- the candidate's own part is "popular in general"; k is how many of the chosen candidates are named
SELECT count(*) FILTER (WHERE candidate IS NOT NULL) AS chosen, count(*) FILTER (WHERE label = 'popular in general') AS own,
	count(*) FILTER (WHERE label = 'everything else') AS rest FROM tfrs.explain('biased', 38, 3, 2);
SELECT count(*) FILTER (WHERE candidate IS NOT NULL) > 5 AS chosen, count(*) FILTER (WHERE label = 'popular in general') AS own,
	count(*) FILTER (WHERE label = 'everything else') AS rest FROM tfrs.explain('biased', 38, 3, 1000);
SELECT abs(e.contribution - v[array_length(v, 1)]) < 1e-6 AS is_the_bias
FROM biased_recommender, LATERAL (SELECT tfrs.embed_candidate(model, 3)::real[] AS v) c, tfrs.explain('biased', 38, 3) e
WHERE e.label = 'popular in general';
SELECT count(*) FROM tfrs.explain('plain', 38, 3) WHERE label = 'popular in general';
SELECT count(*) FROM tfrs.explain('biased', 38, 3, 0);
SELECT count(*) FROM tfrs.explain('biased', 4711, 3);

-- what is not available is not named, but is a part all the same
UPDATE thing SET in_stock = false WHERE thing IN (SELECT e.candidate::int FROM tfrs.explain('biased', 38, 3, 2) e);
SELECT scores > 0 AS scores, adds_up, shares, shares_add_up FROM explained('biased', 1000);
SELECT count(*) FROM tfrs.explain('biased', 38, 3, 1000) e JOIN thing t ON t.thing::text = e.candidate WHERE NOT t.in_stock;
UPDATE thing SET in_stock = true;

CALL tfrs.drop_recommender('biased');
CALL tfrs.drop_recommender('plain');
CALL tfrs.drop_recommender('repeated');
DROP FUNCTION explained;
DROP TABLE visit, thing;
