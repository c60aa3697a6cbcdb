-- The same with a recommender that has learned from it.
\ir purchases.sql
CREATE EXTENSION tfrs_retrieval;
CALL tfrs.create_recommender('shop', 'purchases', 'user_id', 'item_id', at => 'bought_at', candidates => 'items',
	label => 'description', held_out => 0, options => '{"dim": 16, "history": {"steps": 300}}');
CALL tfrs.refresh('shop');
-- In the last weeks tea cups are bought more and more.
INSERT INTO purchases SELECT u, 3, timestamptz '2026-04-19 UTC' + u * interval '10 minutes' FROM generate_series(1, 30) u;
CREATE TABLE recommender AS SELECT tfrs.train(user_id, item_id, NULL, bought_at, '{"dim": 16}') AS model FROM purchases;
CALL tfrs.materialize('shop', 'recommendation', k => 5);
