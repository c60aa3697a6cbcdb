-- tfrs.audience and tfrs.similar_queries: which queries for a candidate, and which are like another
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS tfrs_retrieval;

CREATE TABLE item (item_id int PRIMARY KEY, name text, department text);
INSERT INTO item VALUES (1, 'kettle', 'tea'), (2, 'teapot', 'tea'), (3, 'tea cup', 'tea'), (4, 'tea tin', 'tea'),
	(5, 'sugar bowl', 'tea'), (6, 'cake stand', 'tea'), (7, 'spade', 'garden'), (8, 'rake', 'garden'), (9, 'hose', 'garden'),
	(10, 'flower pot', 'garden'), (11, 'seeds', 'garden'), (12, 'gloves', 'garden');
CREATE TABLE purchase (user_id int, item_id int, bought_at timestamptz);
-- of each user three things of one department, now and then one of the other
INSERT INTO purchase
	SELECT u, 1 + u % 2 * 6 + (u / 2 + n * (1 + u % 3 % 2)) % 6, timestamptz '2026-03-01 UTC' + u * interval '6 hours' + n * interval '1 hour'
	FROM generate_series(1, 200) u, generate_series(1, 3) n;
INSERT INTO purchase
	SELECT u, 1 + (1 - u % 2) * 6 + u / 10 % 6, timestamptz '2026-03-01 UTC' + u * interval '6 hours' + interval '4 hours'
	FROM generate_series(10, 200, 10) u;
CREATE INDEX ON purchase (user_id);
CALL tfrs.create_recommender('shop', 'purchase', 'user_id', 'item_id', at => 'bought_at', candidates => 'item',
	label => 'name', held_out => 0, options => '{"dim": 16, "history": {"steps": 300}, "parts": {"together": 5, "next": 2}}');
CALL tfrs.refresh('shop');
RESET client_min_messages;

-- the same rows as a sort of what recommend gives to each query; who has the candidate is left out
CREATE FUNCTION audience_differs(item text, k int) RETURNS bigint LANGUAGE sql AS $$
	SELECT count(*) FILTER (WHERE a.query IS DISTINCT FROM s.q::text AND coalesce(abs(a.score - s.score), 1) > 1e-6 OR abs(a.score - s.score) > 1e-5)
	FROM tfrs.audience('shop', item, k) a
	FULL JOIN (
		SELECT row_number() OVER (ORDER BY r.score DESC, q) AS rank, q, r.score
		FROM (SELECT DISTINCT user_id AS q FROM purchase) u, tfrs.recommend('shop', q, 12) r WHERE r.candidate = item
		ORDER BY 1 LIMIT k) s USING (rank) $$;
SELECT count(*) AS items, sum(audience_differs(item_id::text, 20)), sum(audience_differs(item_id::text, 500)) FROM item;
SELECT count(*) FROM tfrs.audience('shop', 3, 500) a JOIN purchase p ON p.user_id::text = a.query AND p.item_id = 3;
-- queries like another one: by the cosine of their vectors
SELECT count(*), count(*) FILTER (WHERE abs(s.score - tfrs.cosine_similarity(a.embedding, b.embedding)) > 1e-5), bool_or(s.query = '7') AS itself
FROM (SELECT regexp_replace(tfrs.embed_query(model, 7)::text, ',[^,]*\]$', ']')::tfrs.embedding AS embedding FROM shop_recommender) a,
	(SELECT id, regexp_replace(embedding::text, ',[^,]*\]$', ']')::tfrs.embedding AS embedding FROM shop_recommender, tfrs.query_embeddings(model)) b
	JOIN tfrs.similar_queries('shop', 7, 500) s ON s.query = b.id;

-- what is bought or deleted counts at once; a query without a row is not named
INSERT INTO purchase SELECT query::int, 3, now() FROM tfrs.audience('shop', 3, 1);
SELECT count(*) FROM tfrs.audience('shop', 3, 500);
DELETE FROM purchase WHERE user_id IN (SELECT query::int FROM tfrs.audience('shop', 3, 2));
SELECT count(*) FROM tfrs.audience('shop', 3, 500);

-- arguments
SELECT count(*) FROM tfrs.audience('shop', '3', 7);
SELECT count(*) FROM tfrs.audience('shop', 3, among => ARRAY(SELECT generate_series(1, 20)), exclude => '{2}', k => 100) WHERE query::int > 20 OR query = '2';
SELECT count(*) FROM tfrs.audience('shop', 3, min_score => 1e30);
PREPARE untyped AS SELECT count(*) FROM tfrs.audience($1, $2, $3), tfrs.similar_queries($1, $4, $3);
EXECUTE untyped('shop', '3', 2, '9');
SELECT count(*) FROM tfrs.audience('shop', 4711);
SELECT count(*) FROM tfrs.audience('shop', NULL);
SELECT count(*) FROM tfrs.similar_queries('shop', 4711);
SELECT count(*) FROM tfrs.similar_queries('shop', NULL);

-- who may only use the recommender is named the queries that he sees
CREATE ROLE regress_tfrs_mailer;
CALL tfrs.grant_recommender('shop', 'regress_tfrs_mailer', 'use');
SET client_min_messages = warning;
SET ROLE regress_tfrs_mailer;
SELECT count(*) FROM tfrs.audience('shop', 3);
SELECT count(*) FROM tfrs.similar_queries('shop', 9);
RESET ROLE;
GRANT SELECT ON purchase TO regress_tfrs_mailer;
ALTER TABLE purchase ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON purchase TO regress_tfrs_mailer USING (user_id < 20);
SET ROLE regress_tfrs_mailer;
SELECT count(*) > 0 AS some, max(query::int) < 20 AS few FROM tfrs.audience('shop', 3, 500);
SELECT count(*) > 0 AS some, max(query::int) < 20 AS few FROM tfrs.similar_queries('shop', 9, 500);
SELECT count(*) FROM tfrs.similar_queries('shop', 50, 500);
RESET ROLE;
REVOKE SELECT ON purchase FROM regress_tfrs_mailer;
CALL tfrs.grant_recommender('shop', 'regress_tfrs_mailer', 'read');
SET ROLE regress_tfrs_mailer;
SELECT count(*) FROM tfrs.audience('shop', 3, 500);
RESET ROLE;
CALL tfrs.drop_recommender('shop');
DROP TABLE item, purchase;
DROP FUNCTION audience_differs;
DROP ROLE regress_tfrs_mailer;
