-- What a default training makes of data that tell little, beside popularity (README.md).
--
--     psql -f sparse.sql
--
-- In each case a query's candidates are drawn by a power law, two thirds of them (unless said) in one of 20
-- groups; the last one of each query is the test.
\set ON_ERROR_STOP on
SET client_min_messages = error;
SET tfrs.threads = 1;
SELECT setseed(0.25) \gset
CREATE TEMP TABLE drawn AS
SELECT query, position, ((g * 7 + CASE WHEN random() < share THEN (random() ^ 2 * 50)::int * 20
					ELSE (random() ^ 2 * 1000)::int END) % 1000)::int AS candidate, share
FROM (VALUES (0.67), (0.0)) AS shares(share),
	LATERAL (SELECT query, query % 20 AS g, generate_series(1, 12) AS position
			FROM generate_series(1, 4000) AS query) AS rows;
CREATE TEMP TABLE cases (name text, query int, candidate int, at timestamptz, test bool);
INSERT INTO cases SELECT '1 to 3 events each', query, candidate, NULL, position = 4
FROM drawn WHERE share > 0 AND (position <= 1 + query % 3 OR position = 4);
INSERT INTO cases SELECT '1 to 3 events each, no groups', query, candidate, NULL, position = 4
FROM drawn WHERE share = 0 AND (position <= 1 + query % 3 OR position = 4);
INSERT INTO cases SELECT '1 to 3 events each, with times', query, candidate, timestamptz '2020-01-01' + position * interval '1 day', position = 4
FROM drawn WHERE share > 0 AND (position <= 1 + query % 3 OR position = 4);
INSERT INTO cases SELECT '11 events each, all at one time', query, candidate, timestamptz '2020-01-01', position = 12
FROM drawn WHERE share > 0;
INSERT INTO cases SELECT '11 events each, no groups', query, candidate, NULL, position = 12 FROM drawn WHERE share = 0;
INSERT INTO cases SELECT 'one query with everything', query, candidate, NULL::timestamptz, position = 4
FROM drawn WHERE share > 0 AND (position <= 3 OR position = 4)
UNION ALL SELECT 'one query with everything', 0, generate_series(0, 999), NULL::timestamptz, false;
INSERT INTO cases SELECT 'half of the events of candidates seen once', query,
	CASE WHEN position % 2 = 0 THEN candidate ELSE 1000 + query * 12 + position END, NULL, position = 12
FROM drawn WHERE share > 0;
INSERT INTO cases SELECT 'nobody has two', query, candidate, NULL, position = 2
FROM drawn WHERE share > 0 AND position <= 2;
CREATE TEMP TABLE figures AS
SELECT name, tfrs.evaluate(model, query, candidate) AS f
FROM (SELECT name, tfrs.train(query, candidate) AS model FROM cases WHERE NOT test AND at IS NULL GROUP BY name
		UNION ALL SELECT name, tfrs.train(query, candidate, NULL, at, '{}') FROM cases
		WHERE NOT test AND at IS NOT NULL GROUP BY name) AS models JOIN cases USING (name)
WHERE test GROUP BY name;
SELECT name, f -> 'queries' AS queries, round((f -> 'ndcg' -> '10')::numeric, 4) AS ndcg,
	round((f -> 'popularity' -> 'ndcg' -> '10')::numeric, 4) AS popularity,
	round((f -> 'item_item' -> 'ndcg' -> '10')::numeric, 4) AS item_item
FROM figures ORDER BY name;
