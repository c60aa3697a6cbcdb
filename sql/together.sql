-- tfrs.together: what is chosen with one or several candidates, against a join of the interactions
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS tfrs_retrieval;

CREATE TABLE item (item_id int PRIMARY KEY, name text, in_stock boolean);
INSERT INTO item SELECT i, 'item ' || i, i <> 7 FROM generate_series(1, 60) i;
-- 200 customers with two invoices of some articles each; nobody buys an article twice
CREATE TABLE bought (customer int, item_id int, at timestamptz);
INSERT INTO bought SELECT DISTINCT ON (c, item) c, item, timestamptz '2026-03-01 UTC' + invoice * interval '1 day'
	FROM (SELECT c, 1 + abs(hashint4(c * 50 + n)) % 10 * (1 + c % 6) AS item, n % 2 AS invoice FROM generate_series(1, 200) c, generate_series(1, 12) n) x
	ORDER BY c, item, invoice;
CREATE INDEX ON bought (customer);
CALL tfrs.create_recommender('shop', 'bought', 'customer', 'item_id', at => 'at', candidates => 'item', label => 'name', available => 'in_stock',
	held_out => 0, options => '{"dim": 8, "history": {"steps": 20}}');
CALL tfrs.refresh('shop');
RESET client_min_messages;

CREATE FUNCTION counted(list int[], by_time boolean) RETURNS TABLE (candidate int, score float8, count bigint) LANGUAGE sql AS $$
	WITH b AS (SELECT DISTINCT item_id, customer || CASE WHEN by_time THEN ' ' || at ELSE '' END AS basket FROM bought),
		n AS (SELECT item_id, count(*)::float8 AS n FROM b GROUP BY 1),
		pair AS (SELECT j.item_id AS j, c.item_id AS c, count(*)::float8 AS n_both FROM b j JOIN b c USING (basket) WHERE j.item_id = ANY (list) GROUP BY 1, 2)
	SELECT c, sum(CASE WHEN cardinality(list) < 3 THEN n_both / nj.n ELSE n_both / sqrt((nj.n + 5) * (nc.n + 5)) END) / cardinality(list),
		(SELECT count(DISTINCT x.basket) FROM b x JOIN b y USING (basket) WHERE x.item_id = c AND y.item_id = ANY (list))
	FROM pair JOIN n nj ON nj.item_id = j JOIN n nc ON nc.item_id = c WHERE c <> ALL (list) GROUP BY c $$;
CREATE FUNCTION differ(list int[], by_time boolean, k int, few int) RETURNS bigint LANGUAGE sql AS $$
	SELECT d.count FROM (SELECT array_agg(DISTINCT i) AS list FROM unnest(list) i JOIN bought ON item_id = i) known, LATERAL (SELECT
		count(*) FROM tfrs.together('shop', known.list, k, min_count => few, by => CASE WHEN by_time THEN 'time' ELSE 'query' END) t
	FULL JOIN (SELECT row_number() OVER (ORDER BY score::real DESC, candidate) AS rank, c.* FROM counted(known.list, by_time) c
		WHERE count >= few AND candidate <> 7 LIMIT k) s USING (rank)
	WHERE t.candidate IS DISTINCT FROM s.candidate::text OR abs(t.score - s.score) > 1e-5 OR t.count <> s.count) d $$;
SELECT sum(differ(ARRAY[i], true, 10, 2)) AS one, sum(differ(ARRAY[i, i % 10 + 3], true, 10, 1)) AS two,
	sum(differ(ARRAY[i, i % 10 + 12, i % 7 + 23], true, 100, 3)) AS three, sum(differ(ARRAY[i], false, 10, 2)) AS of_all
	FROM generate_series(1, 10) i WHERE EXISTS (SELECT FROM bought WHERE item_id = i);
SELECT rank, label, round(score::numeric, 3) AS score, count FROM tfrs.together('shop', 4, 3);
-- the ways of giving candidates, and what the others ask
SELECT count(DISTINCT list) FROM (SELECT array_agg(candidate) AS list FROM tfrs.together('shop', 4) UNION ALL SELECT array_agg(candidate) FROM tfrs.together('shop', '4')
	UNION ALL SELECT array_agg(candidate) FROM tfrs.together('shop', '{4}') UNION ALL SELECT array_agg(candidate) FROM tfrs.together('shop', ARRAY['4'])) x;
PREPARE untyped AS SELECT count(*) FROM tfrs.together($1, $2, $3);
EXECUTE untyped('shop', '{4,8}', 3);
SELECT count(*) FROM tfrs.together('shop', 4, 50, exclude => '{8}', among => '{8,10,12}') WHERE candidate = '8';
SELECT count(*) FROM tfrs.together('shop', 4711);
SELECT count(*) FROM tfrs.together('shop', '{}');
SELECT count(*) FROM tfrs.together('shop', NULL::int);
SELECT count(*) FROM tfrs.together('shop', 4, min_count => 100000);
-- by default a basket is what shares a time, unless times tell nothing
SELECT count(*) FROM tfrs.together('shop', 4, 5) a FULL JOIN tfrs.together('shop', 4, 5, by => 'time') b USING (rank) WHERE a.candidate IS DISTINCT FROM b.candidate;
CALL tfrs.alter_recommender('shop', at => '');
SET client_min_messages = warning;
CALL tfrs.refresh('shop');
SELECT sum(differ(ARRAY[i], false, 10, 2)) FROM generate_series(1, 10) i WHERE EXISTS (SELECT FROM bought WHERE item_id = i);
-- who may use the recommender needs nothing else
CREATE ROLE regress_tfrs_basket;
CALL tfrs.grant_recommender('shop', 'regress_tfrs_basket', 'use');
SET ROLE regress_tfrs_basket;
SELECT count(*) FROM tfrs.together('shop', 4, 3);
RESET ROLE;
-- errors
SELECT * FROM tfrs.together('shop', 4, by => 'year');
SELECT * FROM tfrs.together('shop', 4, min_count => 0);
SELECT * FROM tfrs.together('shop', ARRAY(SELECT item_id FROM item));
SELECT * FROM tfrs.together('shop', 4, -1);
SELECT * FROM tfrs.together('nobody', 4);
CALL tfrs.alter_recommender('shop', options => '{"dim": 8, "store": false, "history": {"steps": 20}}');
CALL tfrs.refresh('shop');
SELECT * FROM tfrs.together('shop', 4);
CALL tfrs.drop_recommender('shop');
DROP OWNED BY regress_tfrs_basket;
DROP ROLE regress_tfrs_basket;
DROP TABLE item, bought;
DROP FUNCTION counted, differ;
