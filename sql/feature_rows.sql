-- rows as queries and candidates: columns by name, what is said of their features, and each error

CREATE EXTENSION tfrs_retrieval;

CREATE TABLE rating (user_id integer, movie_id integer, device text, score real);
INSERT INTO rating SELECT u, m, CASE u % 2 WHEN 0 THEN 'phone' ELSE 'web' END, m
FROM generate_series(1, 10) u, generate_series(1, 5) m WHERE (u + m) % 2 = 0;
CREATE TABLE movie (movie_id integer, gone integer, title text, genres text[], price numeric,
					released timestamptz, length interval, picture real[], about json);
ALTER TABLE movie DROP COLUMN gone;
INSERT INTO movie SELECT m, 'Film number ' || m, ARRAY['a', 'g' || m % 2], m * 10,
	'2020-01-01'::timestamptz + m * interval '1 day', m * interval '1 minute', ARRAY[m, 1, 2], '{}'
FROM generate_series(1, 5) m;

-- A row whose only column is its key is a scalar.

SELECT tfrs.embed_query(tfrs.train(q, c), 4)::text =
	tfrs.embed_query(tfrs.train(r.user_id, r.movie_id), 4)::text AS same
FROM rating r, LATERAL (SELECT r.user_id) q, LATERAL (SELECT r.movie_id) c;

-- Rows that are NULL, or whose key is, are skipped as scalars are.

SELECT tfrs.model_info(tfrs.train(q, c)) -> 'skipped_rows' AS skipped
FROM rating r
LEFT JOIN LATERAL (SELECT r.user_id WHERE r.user_id <> 1) q ON true
LEFT JOIN LATERAL (SELECT nullif(r.movie_id, 4)) c(movie_id) ON r.movie_id <> 5;

SELECT tfrs.train(q, r.movie_id) IS NULL AS nothing FROM rating r
LEFT JOIN LATERAL (SELECT r.user_id) q ON false;

-- What no row can be.

SELECT tfrs.train(ROW(r.user_id, r.device), r.movie_id) FROM rating r;
SELECT tfrs.train(q, r.movie_id) FROM rating r, LATERAL (SELECT r.user_id AS a, r.device AS a) q;
SELECT tfrs.train(q, r.movie_id) FROM rating r, LATERAL (SELECT r.score, r.device) q;
SELECT tfrs.train(q, r.movie_id) FROM rating r, LATERAL (SELECT) q;
SELECT tfrs.train(r.user_id, c) FROM rating r JOIN movie c USING (movie_id);
SELECT tfrs.train(q, r.movie_id, '{"query": {"key": "nobody"}}')
FROM rating r, LATERAL (SELECT r.user_id, r.device) q;
SELECT tfrs.train(to_jsonb(q), r.movie_id) FROM rating r, LATERAL (SELECT r.user_id, r.device) q;

DO $$
BEGIN
	EXECUTE 'CREATE TABLE wide (' ||
		(SELECT string_agg('c' || i || ' integer', ', ') FROM generate_series(1, 1600) i) || ')';
END $$;
INSERT INTO wide (c1) VALUES (1);
SELECT tfrs.train(wide, 1) FROM wide;

-- What is said of features, wrong whatever the rows are.

CREATE FUNCTION said(options jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	message text;
	hint text;
	detail text;
	state text;
BEGIN
	PERFORM tfrs.train(r.user_id, c, options)
	FROM rating r
	JOIN LATERAL (SELECT movie_id, title, genres, price, released, length, picture FROM movie) c
		ON c.movie_id = r.movie_id;
	RETURN 'nothing';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT,
		detail = PG_EXCEPTION_DETAIL, state = RETURNED_SQLSTATE;
	RETURN state || ' ' || message || coalesce(E'\n' || nullif(detail, ''), '') ||
		coalesce(E'\n' || nullif(hint, ''), '');
END $$;

\pset format unaligned
\pset tuples_only on

SELECT said('{"candidate": 1}');
SELECT said('{"candidate": {"feature": {}}}');
SELECT said('{"candidate": {"features": []}}');
SELECT said('{"candidate": {"features": {"title": 7}}}');
SELECT said('{"candidate": {"features": {"title": []}}}');
SELECT said('{"candidate": {"features": {"title": true}}}');
SELECT said('{"candidate": {"features": {"title": "words"}}}');
SELECT said('{"candidate": {"features": {"title": {"kind": "words"}}}}');
SELECT said('{"candidate": {"features": {"title": {"kind": "text", "bins": 3}}}}');
SELECT said('{"candidate": {"features": {"title": {"kind": "text", "max_token": 3}}}}');
SELECT said('{"candidate": {"features": {"title": {"kind": "text", "max_tokens": 0}}}}');
SELECT said('{"candidate": {"features": {"title": "hash"}}}');
SELECT said('{"candidate": {"features": {"title": {"kind": "hash", "bins": 0}}}}');
SELECT said('{"candidate": {"features": {"title": {"kind": "hash", "bins": 5, "salt": -1}}}}');
SELECT said('{"candidate": {"features": {"title": {"kind": "hash", "bins": 5, "salt": [1]}}}}');
SELECT said('{"candidate": {"features": {"both": "cross"}}}');
SELECT said('{"candidate": {"features": {"both": {"kind": "cross", "bins": 5}}}}');
SELECT said('{"candidate": {"features": {"both": {"kind": "cross", "bins": 5, "columns": ["title"]}}}}');
SELECT said('{"candidate": {"features": {"price": {"kind": "bucket", "boundaries": ["a"]}}}}');
SELECT said('{"candidate": {"features": {"price": {"kind": "bucket", "quantiles": 1}}}}');
SELECT said('{"candidate": {"features": {"price": {"log": 1}}}}');
SELECT said('{"candidate": {"features": {"price": {"decay": 0.5}}}}');
SELECT said('{"candidate": {"layers": []}}');
SELECT said('{"candidate": {"layers": [0]}}');
SELECT said('{"candidate": {"layers": [1, 2, 3, 4, 5, 6, 7, 8, 9]}}');
SELECT said('{"candidate": {"layers": [4], "activation": "step"}}');
SELECT said('{"candidate": {"activation": "relu"}}');
SELECT said('{"candidate": {"layers": [4], "layer_dropout": 1}}');
SELECT said('{"candidate": {"id_dropout": 1.5}}');
SELECT said('{"query": {"id": false}}');
SELECT said('{"query": {"key": "user_id"}}');

-- Wrong for these rows.

SELECT said('{"candidate": {"features": {"titel": "text"}}}');
SELECT said('{"candidate": {"features": {"words": {"kind": "text", "column": "titel"}}}}');
SELECT said('{"candidate": {"features": {"both": {"kind": "cross", "bins": 5, "columns": ["title", "genre"]}}}}');
SELECT said('{"query": {"features": {"device": "id"}}}');
