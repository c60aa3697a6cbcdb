-- tfrs.popular and tfrs.trending: rows of the interactions, counted at this moment as the caller sees them
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS tfrs_retrieval;
SET TimeZone = 'UTC';
\set SHOW_CONTEXT never

CREATE TABLE item (item_id int PRIMARY KEY, name text, department text, in_stock boolean, price numeric);
INSERT INTO item SELECT i, 'item ' || i, CASE i % 3 WHEN 0 THEN 'tea' WHEN 1 THEN 'garden' END, i <> 5, i / 2.0 FROM generate_series(1, 30) i;
CREATE TABLE purchase (user_id int, item_id int, bought_at timestamptz, quantity float8);
INSERT INTO purchase SELECT 1 + n % 50, 1 + floor(30 * (n * 7919 % 1009) / 1009.0 * (n * 104729 % 997) / 997.0)::int,
	timestamptz '2016-03-31 12:00' - n * 31337 % 1013 * interval '57 minutes', (n % 5)::float8 FROM generate_series(1, 4000) n;
INSERT INTO purchase VALUES (NULL, 1, '2016-03-31', 1), (1, NULL, '2016-03-31', 1), (1, 2, NULL, 1);
CALL tfrs.create_recommender('shop', 'purchase', 'user_id', 'item_id', at => 'bought_at', weight => 'quantity', candidates => 'item',
	label => 'name', available => 'in_stock', held_out => 0, options => '{"dim": 4, "history": {"steps": 20}}');
CREATE INDEX ON purchase (user_id);
RESET client_min_messages;

-- the same rows as a count in SQL, for any interval, filter and list; no model is needed
CREATE FUNCTION counted(after timestamptz, up_to timestamptz) RETURNS TABLE (item_id int, n bigint) LANGUAGE sql AS $$
	SELECT item_id, count(*) FROM purchase
	WHERE user_id IS NOT NULL AND item_id IS NOT NULL AND quantity > 0 AND (after IS NULL OR bought_at > after AND bought_at <= up_to)
	GROUP BY 1 $$;
CREATE FUNCTION popular_differs(since interval, up_to timestamptz, department text, exclude int[], k int) RETURNS bigint LANGUAGE sql AS $$
	SELECT count(*) FILTER (WHERE p.candidate IS DISTINCT FROM s.item_id::text OR p.count IS DISTINCT FROM s.n OR p.label IS DISTINCT FROM s.name)
	FROM tfrs.popular('shop', since, CASE WHEN department IS NOT NULL THEN jsonb_build_object('department', department) END, k, exclude, until => up_to) p
	FULL JOIN (
		SELECT row_number() OVER (ORDER BY n DESC, c.item_id) AS rank, c.item_id, n, name FROM counted(up_to - since, up_to) c JOIN item i USING (item_id)
		WHERE in_stock AND ($3 IS NULL OR i.department = $3) AND c.item_id <> ALL (exclude)
		ORDER BY 1 LIMIT k) s USING (rank) $$;
SELECT popular_differs(NULL, NULL, NULL, '{}', 40), popular_differs('7 days', '2016-03-31', NULL, '{}', 40),
	popular_differs('12 hours', '2016-03-20', 'tea', '{3,6}', 5), popular_differs('1 month', '2016-03-31', 'garden', '{}', 4);
CREATE FUNCTION trending_differs(since interval, up_to timestamptz, shrink float8, k int) RETURNS bigint LANGUAGE sql AS $$
	WITH recent AS (SELECT * FROM counted(up_to - since, up_to)), before AS (SELECT * FROM counted(up_to - since - since, up_to - since)),
	grown AS (
		SELECT item_id, coalesce(r.n, 0) AS n, coalesce(b.n, 0) AS before, (coalesce(r.n, 0) + shrink) /
			(coalesce(b.n, 0) * (SELECT sum(n)::float8 FROM recent) / (SELECT sum(n) FROM before) + shrink) AS growth
		FROM recent r FULL JOIN before b USING (item_id)
	)
	SELECT count(*) FILTER (WHERE t.candidate IS DISTINCT FROM s.item_id::text OR t.count IS DISTINCT FROM s.n OR
		t.before IS DISTINCT FROM s.before OR abs(t.growth - s.growth) > 1e-5)
	FROM tfrs.trending('shop', since, k => k, until => up_to, shrink => shrink) t
	FULL JOIN (SELECT row_number() OVER (ORDER BY growth::real DESC, item_id) AS rank, grown.* FROM grown JOIN item USING (item_id)
		WHERE in_stock AND growth > 1.0000001 ORDER BY 1 LIMIT k) s USING (rank) $$;
SELECT trending_differs('7 days', '2016-03-31', 10, 40), trending_differs('3 days', '2016-03-25', 1, 5), trending_differs('1 day', '2016-03-12', 100, 40);
SELECT count(*) > 0 AS rows, bool_and(growth > 1) AS all_grow FROM tfrs.trending('shop', until => '2016-03-31', k => 40);

-- what is new counts at once, also a candidate that no model knows; now() is the end where none is given
INSERT INTO item VALUES (100, 'novelty', 'tea', true, 1);
INSERT INTO purchase SELECT n, 100, now() - interval '1 minute', 1 FROM generate_series(1, 9) n;
INSERT INTO purchase SELECT n, 1, now() + interval '1 hour', 1 FROM generate_series(1, 9) n;
SELECT * FROM tfrs.popular('shop', since => '1 day');
SELECT * FROM tfrs.trending('shop', since => '1 day');
DELETE FROM purchase WHERE bought_at > '2016-04-01';
SELECT * FROM tfrs.popular('shop', since => '1 day');
-- fewer rows make less of a trend
SELECT label, round(growth::numeric, 2) AS growth, count, before FROM tfrs.trending('shop', '2 days', '{"department": "tea"}', until => '2016-03-31', k => 2);
SELECT label, round(growth::numeric, 2) AS growth, count, before FROM tfrs.trending('shop', '2 days', '{"department": "tea"}', until => '2016-03-31', k => 2, shrink => 1000);

-- within: columns of any type, several of them, NULL; and together with among
SELECT count(*) FROM tfrs.popular('shop', within => '{"price": 1.50}');
SELECT count(*) FROM tfrs.popular('shop', within => '{"price": "1.5", "department": "tea"}');
SELECT count(*) FROM tfrs.popular('shop', within => '{"in_stock": true, "department": null}', k => 40);
SELECT count(*) FROM tfrs.popular('shop', within => '{}', k => 40);
SELECT candidate FROM tfrs.popular('shop', within => '{"department": "tea"}', among => '{2,3,6}') ORDER BY 1;
SELECT count(*) FROM tfrs.popular('shop', within => '{"department": "''; DROP TABLE item; --"}');
SELECT count(*) FROM tfrs.popular('shop', within => '{"price": "cheap"}');
SELECT count(*) FROM tfrs.popular('shop', within => '{"colour": "red"}');
SELECT count(*) FROM tfrs.popular('shop', within => '{"ctid": "red"}');
SELECT count(*) FROM tfrs.popular('shop', within => '{"department": ["tea"]}');
SELECT count(*) FROM tfrs.popular('shop', within => '["department"]');

-- arguments
PREPARE untyped AS SELECT count(*) FROM tfrs.popular($1, $2, $3, $4, until => $5);
EXECUTE untyped('shop', '7 days', '{"department": "tea"}', 3, '2016-03-31');
SELECT count(*) FROM tfrs.popular(NULL);
SELECT count(*) FROM tfrs.popular('shop', k => 0);
SELECT * FROM tfrs.popular('nothing');
SELECT * FROM tfrs.popular('shop', k => -1);
SELECT * FROM tfrs.popular('shop', since => '0');
SELECT * FROM tfrs.popular('shop', since => '-1 day');
SELECT * FROM tfrs.trending('shop', since => NULL);
SELECT * FROM tfrs.trending('shop', shrink => 0);
SELECT * FROM tfrs.trending('shop', shrink => 'NaN');
SELECT count(*) FROM tfrs.trending('shop', until => '-infinity');

-- times of other types
CREATE TABLE day_purchase AS SELECT user_id, item_id::text, bought_at::date AS day, bought_at::timestamp AS moment FROM purchase WHERE quantity > 0;
SET client_min_messages = warning;
CALL tfrs.create_recommender('by_day', 'day_purchase', 'user_id', 'item_id', at => 'day');
CALL tfrs.create_recommender('by_moment', 'day_purchase', 'user_id', 'item_id', at => 'moment');
CALL tfrs.create_recommender('timeless', 'day_purchase', 'user_id', 'item_id');
RESET client_min_messages;
SELECT sum(count) = (SELECT count(*) FROM day_purchase WHERE day IN ('2016-03-30', '2016-03-31') AND user_id IS NOT NULL AND item_id IS NOT NULL) AS days
FROM tfrs.popular('by_day', '2 days', k => 1000, until => '2016-03-31');
SELECT count(*), count(*) FILTER (WHERE p.count = q.count) FROM tfrs.popular('by_moment', '2 days', k => 5, until => '2016-03-31') p
JOIN tfrs.popular('shop', '2 days', k => 40, until => '2016-03-31') q USING (candidate);
SELECT sum(count) = (SELECT count(*) FROM day_purchase WHERE user_id IS NOT NULL AND item_id IS NOT NULL) AS all_rows FROM tfrs.popular('timeless', k => 1000);
SELECT * FROM tfrs.popular('timeless', '1 day');
SELECT * FROM tfrs.trending('timeless');
SELECT * FROM tfrs.popular('timeless', within => '{"department": "tea"}');

-- the caller's own privileges and row security
CREATE ROLE regress_tfrs_counter;
SET ROLE regress_tfrs_counter;
SELECT * FROM tfrs.popular('shop');
RESET ROLE;
CALL tfrs.grant_recommender('shop', 'regress_tfrs_counter', 'use');
SET ROLE regress_tfrs_counter;
SELECT * FROM tfrs.popular('shop');
RESET ROLE;
GRANT SELECT ON purchase TO regress_tfrs_counter;
SET ROLE regress_tfrs_counter;
SELECT count(*), count(label) FROM tfrs.popular('shop', k => 3);
SELECT count(*) FROM tfrs.popular('shop', within => '{"department": "tea"}');
RESET ROLE;
GRANT SELECT ON item TO regress_tfrs_counter;
ALTER TABLE purchase ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON purchase TO regress_tfrs_counter USING (user_id = 7);
ALTER TABLE item ENABLE ROW LEVEL SECURITY;
CREATE POLICY even ON item TO regress_tfrs_counter USING (item_id % 2 = 0);
SET ROLE regress_tfrs_counter;
SELECT sum(count) = (SELECT count(*) FROM purchase WHERE quantity > 0 AND item_id % 2 = 0) AS own, bool_and(label IS NOT NULL) AS labels,
	count(*) FILTER (WHERE candidate::int % 2 = 1) AS hidden FROM tfrs.popular('shop', k => 40);
RESET ROLE;

SET client_min_messages = warning;
DROP TABLE purchase;
SELECT * FROM tfrs.popular('shop');
CALL tfrs.drop_recommender('shop');
CALL tfrs.drop_recommender('by_day');
CALL tfrs.drop_recommender('by_moment');
CALL tfrs.drop_recommender('timeless');
DROP FUNCTION popular_differs, trending_differs, counted;
DROP TABLE item, day_purchase;
DROP ROLE regress_tfrs_counter;
