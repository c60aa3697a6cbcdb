-- most, diversity, boost and share: rules beside the score, against full sorts that apply the same rule
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS tfrs_retrieval;

-- 300 candidates at random; the columns have nothing to do with who chooses what
CREATE TABLE item (item_id int PRIMARY KEY, name text, category int, brand text, sponsored boolean, fresh boolean, push real, gone boolean);
INSERT INTO item SELECT i, 'item ' || i, nullif(hashint4(i) % 7, 0), 'b' || hashint4(i + 1000) % 3, nullif(abs(hashint4(i + 2000)) % 9, 8) < 1,
	abs(hashint4(i + 3000)) % 2 = 0, CASE WHEN i % 17 = 0 THEN 1.5 WHEN i % 13 = 0 THEN -2 WHEN i % 2 = 0 THEN 0 END, i % 11 <> 0
	FROM generate_series(1, 300) i;
CREATE TABLE click (user_id int, item_id int);
INSERT INTO click SELECT DISTINCT u, 1 + abs(hashint4(u * 100 + n)) % 20 * (1 + u % 15) % 300 FROM generate_series(1, 60) u, generate_series(1, 25) n;
CREATE INDEX ON click (user_id);
CALL tfrs.create_recommender('rules', 'click', 'user_id', 'item_id', candidates => 'item', label => 'name', available => 'gone',
	held_out => 0, options => '{"dim": 16, "history": {"steps": 200}, "parts": {"together": 5}}');
CALL tfrs.refresh('rules');
RESET client_min_messages;

-- all that may be shown, with its columns and its place; and its vector without the bias
CREATE FUNCTION sorted(q int) RETURNS TABLE (place bigint, candidate text, score real, category int, brand text, sponsored boolean, fresh boolean, push real)
	LANGUAGE sql AS $$
	SELECT row_number() OVER (ORDER BY r.rank), r.candidate, r.score, i.category, i.brand, i.sponsored, i.fresh, i.push
	FROM tfrs.recommend('rules', q, 1000) r JOIN item i ON i.item_id::text = r.candidate $$;
CREATE TABLE vector AS SELECT c.id, regexp_replace(c.embedding::text, ',[^,]*\]$', ']')::tfrs.embedding AS v
	FROM rules_recommender, tfrs.candidate_embeddings(model) c;
CREATE FUNCTION ids(q int, k int, rules text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text;
BEGIN
	EXECUTE format('SELECT string_agg(candidate, '' '' ORDER BY rank) FROM tfrs.recommend(''rules'', %s, %s, %s)', q, k, rules) INTO result;
	RETURN result;
END $$;

-- most: so many of a value, the best of them; a value that is null is not limited
CREATE FUNCTION differ_most(k int, n int, rules text) RETURNS bigint LANGUAGE sql AS $$
	SELECT count(*) FROM generate_series(1, 60) q WHERE ids(q, k, rules) IS DISTINCT FROM (
		SELECT string_agg(candidate, ' ' ORDER BY place) FROM (
			SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY category ORDER BY place) AS nth FROM sorted(q)) s
			WHERE nth <= n OR category IS NULL ORDER BY place LIMIT k) s) $$;
SELECT differ_most(10, 1, $$most => '{"category": 1}'$$), differ_most(20, 3, $$most => '{"category": 3}'$$), differ_most(200, 2, $$most => '{"category": 2}'$$);
-- k is still k: the first rows of one category and brand would not do
SELECT count(*), max(n) FROM (SELECT i.brand, count(*) AS n FROM tfrs.recommend('rules', 7, 12, most => '{"brand": 4, "category": 3}') r
	JOIN item i ON i.item_id::text = r.candidate GROUP BY 1) x;
-- share: at least, at most; where fewer exist there are as many as there are
CREATE FUNCTION differ_least(k int, n int, rules text) RETURNS bigint LANGUAGE sql AS $$
	SELECT count(*) FROM generate_series(1, 60) q WHERE ids(q, k, rules) IS DISTINCT FROM (
		WITH s AS (SELECT * FROM sorted(q)), kept AS (SELECT * FROM s WHERE sponsored ORDER BY place LIMIT n),
			others AS (SELECT * FROM s WHERE place NOT IN (SELECT place FROM kept) ORDER BY place LIMIT k - (SELECT count(*) FROM kept))
		SELECT string_agg(candidate, ' ' ORDER BY place) FROM (TABLE kept UNION ALL TABLE others) x) $$;
CREATE FUNCTION differ_at_most(k int, n int, rules text) RETURNS bigint LANGUAGE sql AS $$
	SELECT count(*) FROM generate_series(1, 60) q WHERE ids(q, k, rules) IS DISTINCT FROM (
		SELECT string_agg(candidate, ' ' ORDER BY place) FROM (
			SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY fresh ORDER BY place) AS nth FROM sorted(q)) s
			WHERE nth <= n OR fresh IS NOT TRUE ORDER BY place LIMIT k) s) $$;
SELECT differ_least(20, 5, $$share => '{"sponsored": 0.25}'$$), differ_least(10, 3, $$share => '{"sponsored": 0.3}'$$),
	differ_least(100, 1000, $$share => '{"sponsored": 0.9}'$$), differ_at_most(20, 2, $$share => '{"fresh": [0, 0.1]}'$$),
	differ_at_most(10, 0, $$share => '{"fresh": [0, 0]}'$$);
-- boost: added to the score, whatever way the search goes
SELECT count(*) FROM generate_series(1, 60) q, LATERAL (
	SELECT array_agg(r.candidate ORDER BY r.rank) FROM tfrs.recommend('rules', q, 15, boost => 'push') r) a(ids), LATERAL (
	SELECT array_agg(candidate ORDER BY boosted DESC, candidate::int) FROM (
		SELECT candidate, score + coalesce(push, 0) AS boosted FROM sorted(q) ORDER BY 2 DESC, candidate::int LIMIT 15) s) b(ids)
	WHERE a.ids IS DISTINCT FROM b.ids;
SELECT max(abs(b.score - a.score - coalesce(i.push, 0))) < 1e-5 AS adds_up FROM tfrs.recommend('rules', 9, 1000) a
	JOIN tfrs.recommend('rules', 9, 1000, boost => 'push') b USING (candidate) JOIN item i ON i.item_id::text = candidate;
UPDATE item SET push = 1000 WHERE item_id = 61;
SELECT candidate, label FROM tfrs.recommend('rules', 9, 1, boost => 'push', include_seen => true);
SELECT candidate, source FROM tfrs.recommend('rules', 4711, 1, boost => 'push');
UPDATE item SET push = NULL WHERE item_id = 61;
-- diversity: maximal marginal relevance among the 5 k best
CREATE FUNCTION diverse(q int, k int, d float8, n int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	chosen text[] := '{}';
	best text;
BEGIN
	CREATE TEMP TABLE s ON COMMIT DROP AS SELECT s.*, v.v FROM sorted(q) s JOIN vector v ON v.id = s.candidate;
	FOR i IN 1 .. k LOOP
		SELECT p.candidate INTO best FROM (
			SELECT s.*, (SELECT coalesce(max(tfrs.cosine_similarity(s.v, c.v)), 0) FROM s c WHERE c.candidate = ANY (chosen)) AS near,
				(s.score::float8 - (SELECT score FROM s WHERE place = k)) / ((SELECT score FROM s WHERE place = 1)::float8 - (SELECT score FROM s WHERE place = k)) AS u
			FROM s WHERE s.candidate <> ALL (chosen) AND
				(s.category IS NULL OR (SELECT count(*) FROM s c WHERE c.candidate = ANY (chosen) AND c.category = s.category) < n)
			ORDER BY s.place LIMIT 5 * k) p
		ORDER BY (1 - d) * u - d * near DESC, place LIMIT 1;
		EXIT WHEN best IS NULL;
		chosen := chosen || best;
	END LOOP;
	DROP TABLE s;
	RETURN array_to_string(chosen, ' ');
END $$;
SELECT d, count(*) FILTER (WHERE ids(q, 8, 'diversity => ' || d) IS DISTINCT FROM diverse(q, 8, d, 1000)) AS differ,
	count(*) FILTER (WHERE ids(q, 8, $$most => '{"category": 2}', diversity => $$ || d) IS DISTINCT FROM diverse(q, 8, d, 2)) AS differ_with_most,
	count(*) FILTER (WHERE ids(q, 8, 'diversity => ' || d) IS DISTINCT FROM ids(q, 8, 'diversity => 0')) > 0 AS changes
	FROM unnest('{0.1,0.5,0.9}'::float8[]) d, generate_series(1, 12) q GROUP BY 1 ORDER BY 1;
-- recommend_from, recommend_as and materialize take the same rules
SELECT count(*), count(DISTINCT i.category), bool_and(coalesce(n, 0) <= 1) FROM tfrs.recommend_from('rules', '{3,5}', k => 5, most => '{"category": 1}') r
	JOIN (SELECT *, CASE WHEN category IS NOT NULL THEN 1 END AS n FROM item) i ON i.item_id::text = r.candidate;
SELECT pg_typeof(candidate), count(*) FROM tfrs.recommend_as(NULL::int, 'rules', 3, 5, share => '{"sponsored": 0.5}', boost => 'push') GROUP BY 1;
SET client_min_messages = warning;
CALL tfrs.materialize('rules', 'given', k => 6, most => '{"category": 1}', diversity => 0.3, boost => 'push', share => '{"fresh": [0.2, 0.5]}');
RESET client_min_messages;
SELECT count(*), count(*) FILTER (WHERE g.candidate::text IS DISTINCT FROM r.candidate) AS differ FROM given g, LATERAL (
	SELECT candidate FROM tfrs.recommend('rules', g.query, 6, most => '{"category": 1}', diversity => 0.3, boost => 'push', share => '{"fresh": [0.2, 0.5]}') r
	WHERE r.rank = g.rank) r;
-- what is excluded or not among stays away, and min_score is that of the boosted score
SELECT count(*) FROM tfrs.recommend('rules', 3, 10, among => '{1,2,3,4,5,6,7,8,9,10,11,12}', exclude => '{4}', include_seen => true, most => '{"brand": 2}', diversity => 0.5);
SELECT bool_and(score >= 1) FROM tfrs.recommend('rules', 3, 100, min_score => 1, boost => 'push');
-- errors
SELECT * FROM tfrs.recommend('rules', 3, most => '{"colour": 2}');
SELECT * FROM tfrs.recommend('rules', 3, most => '{"category": 0}');
SELECT * FROM tfrs.recommend('rules', 3, most => '{"category": "x"}');
SELECT * FROM tfrs.recommend('rules', 3, most => '[1]');
SELECT * FROM tfrs.recommend('rules', 3, share => '{"category": 0.5}');
SELECT * FROM tfrs.recommend('rules', 3, share => '{"fresh": [0.5, 0.1]}');
SELECT * FROM tfrs.recommend('rules', 3, share => '{"fresh": {"least": 1}}');
SELECT * FROM tfrs.recommend('rules', 3, boost => 'brand');
SELECT * FROM tfrs.recommend('rules', 3, diversity => 1.1);
SELECT * FROM tfrs.recommend('rules', 3, diversity => 'NaN');
UPDATE item SET push = 'Infinity' WHERE item_id = 100;
SELECT * FROM tfrs.recommend('rules', 3, boost => 'push');
UPDATE item SET push = NULL WHERE item_id = 100;
-- without the privilege to read a column there is no guess at it
CREATE ROLE regress_tfrs_ruler;
CALL tfrs.grant_recommender('rules', 'regress_tfrs_ruler', 'use');
GRANT SELECT (item_id, name, gone, category) ON item TO regress_tfrs_ruler;
SET client_min_messages = warning;
SET ROLE regress_tfrs_ruler;
SELECT count(*) FROM tfrs.recommend('rules', 3, 5, most => '{"category": 1}');
SELECT * FROM tfrs.recommend('rules', 3, most => '{"brand": 2}');
SELECT * FROM tfrs.recommend('rules', 3, boost => 'push');
RESET ROLE;
CALL tfrs.create_recommender('plain', 'click', 'user_id', 'item_id', held_out => 0, options => '{"dim": 8, "history": {"steps": 10}}');
CALL tfrs.refresh('plain');
SELECT * FROM tfrs.recommend('plain', 3, most => '{"category": 1}');
SELECT count(*) FROM tfrs.recommend('plain', 3, 5, diversity => 0.5);
CALL tfrs.drop_recommender('plain');
CALL tfrs.drop_recommender('rules');
DROP OWNED BY regress_tfrs_ruler;
DROP ROLE regress_tfrs_ruler;
DROP TABLE item, click, vector, given;
DROP FUNCTION sorted, ids, differ_most, differ_least, differ_at_most, diverse;
