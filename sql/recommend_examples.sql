-- the examples of the reference: a small shop whose customers like tea, or gardens
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
	label => 'name', held_out => 0, options => '{"dim": 16, "history": {"steps": 300}}');
CALL tfrs.refresh('shop');
RESET client_min_messages;

-- recommend_from: a visitor who has looked at a kettle and then at a spade; and does not want a rake
SELECT rank, candidate, label, source FROM tfrs.recommend_from('shop', ARRAY[1, 7], k => 4);
SELECT rank, candidate, label, source FROM tfrs.recommend_from('shop', ARRAY[1, 7], avoid => ARRAY[8], k => 4);

-- popular and trending: in the last weeks of the table, tea cups are bought more and more
INSERT INTO purchase SELECT u, 3, timestamptz '2026-04-19 UTC' + u * interval '10 minutes' FROM generate_series(1, 30) u;
SELECT * FROM tfrs.popular('shop', k => 3);
SELECT * FROM tfrs.popular('shop', since => '7 days', within => '{"department": "tea"}', k => 3, until => '2026-04-20 UTC');
SELECT * FROM tfrs.trending('shop', since => '7 days', k => 3, until => '2026-04-20 UTC');

SET client_min_messages = warning;
CALL tfrs.drop_recommender('shop');
DROP TABLE item, purchase;
