-- A small shop: two hundred customers who like tea, or gardens.
CREATE TABLE items (item_id int PRIMARY KEY, description text, department text, in_stock bool NOT NULL DEFAULT true);
INSERT INTO items VALUES (1, 'kettle', 'tea'), (2, 'teapot', 'tea'), (3, 'tea cup', 'tea'), (4, 'tea tin', 'tea'),
	(5, 'sugar bowl', 'tea'), (6, 'cake stand', 'tea'), (7, 'spade', 'garden'), (8, 'rake', 'garden'), (9, 'hose', 'garden'),
	(10, 'flower pot', 'garden'), (11, 'seeds', 'garden'), (12, 'gloves', 'garden');
CREATE TABLE purchases (user_id int, item_id int, bought_at timestamptz);
-- Each of them buys three things of one department, and some of them one of the other.
INSERT INTO purchases
	SELECT u, 1 + u % 2 * 6 + (u / 2 + n * (1 + u % 3 % 2)) % 6, timestamptz '2026-03-01 UTC' + u * interval '6 hours' + n * interval '1 hour'
	FROM generate_series(1, 200) u, generate_series(1, 3) n;
INSERT INTO purchases
	SELECT u, 1 + (1 - u % 2) * 6 + u / 10 % 6, timestamptz '2026-03-01 UTC' + u * interval '6 hours' + interval '4 hours'
	FROM generate_series(10, 200, 10) u;
CREATE INDEX ON purchases (user_id);
-- What a page names beside them.
CREATE TABLE held_out AS SELECT user_id, 13 - item_id AS item_id FROM purchases;
CREATE TABLE documents AS SELECT i AS id, ARRAY[sin(i), cos(i), sin(2 * i)] AS vector FROM generate_series(1, 100) i;
