-- MovieLens 100K by time: a default training beside simple rankings and the tutorial's model (README.md).
--
--     cd ml-100k && psql -f .../by_time.sql      # where u.data is; in a database with the extension
--
-- Held out is the last tenth of each user's ratings, rounded down, one at least; those of one time
-- are in the order of the file.
\set ON_ERROR_STOP on
\set QUIET on
SET client_min_messages = warning;
CREATE TEMP TABLE rating (user_id integer, item_id integer, rating real, seconds bigint, line serial);
\copy rating (user_id, item_id, rating, seconds) FROM u.data
CREATE TEMP TABLE split AS
SELECT user_id, item_id, to_timestamp(seconds) AS at,
	row_number() OVER (PARTITION BY user_id ORDER BY seconds DESC, line DESC)
		<= greatest(1, count(*) OVER (PARTITION BY user_id) / 10) AS held_out
FROM rating;
CREATE TEMP TABLE trained AS
SELECT name, tfrs.train(user_id, item_id, NULL, at, options) AS model
FROM split, (VALUES ('defaults', '{}'::jsonb), ('tutorial', '{"preset": "tfrs"}'),
	('tutorial, seen items left out', '{"preset": "tfrs", "store": true}')) AS wanted (name, options)
WHERE NOT held_out GROUP BY name;
SELECT name, round((f -> 'ndcg' ->> '10')::numeric, 3) AS "NDCG@10",
	round((f -> 'popularity' -> 'ndcg' ->> '10')::numeric, 3) AS popularity,
	round((f -> 'item_item' -> 'ndcg' ->> '10')::numeric, 3) AS "item-item"
FROM (SELECT name, tfrs.evaluate(model, user_id, item_id) AS f FROM trained, split
	WHERE held_out GROUP BY name) AS figures
ORDER BY name;
