-- rows as queries and candidates: columns by name, what is said of their features, and each error

SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS tfrs_retrieval;
RESET client_min_messages;

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

-- What a value cannot be, whichever row it is in.

CREATE FUNCTION read(expression text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	message text;
	hint text;
	state text;
BEGIN
	EXECUTE format($query$
		SELECT tfrs.train(r.user_id, c)
		FROM rating r, LATERAL (SELECT r.movie_id, CASE r.movie_id WHEN 4 THEN %s END AS value) c
		$query$, expression);
	RETURN 'nothing';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT,
		state = RETURNED_SQLSTATE;
	RETURN state || ' ' || message || coalesce(E'\n' || nullif(hint, ''), '');
END $$;

\pset format unaligned
\pset tuples_only on

SELECT read($$'NaN'::real$$);
SELECT read($$'infinity'::double precision$$);
SELECT read($$1e309::numeric$$);
SELECT read($$'-infinity'::timestamptz$$);
SELECT read($$ARRAY[ARRAY['a'], ARRAY['b']]$$);
SELECT read($$ARRAY[1.5, NULL]::real[]$$);
SELECT read($$ARRAY[1, 'NaN']::real[]$$);
SELECT read($$ARRAY[1e39]::float8[]$$);
SELECT read($$ARRAY[1e309]::numeric[]$$);
SELECT read($$'{}'::real[]$$);
SELECT read($$array_fill(1::real, ARRAY[16001])$$);
SELECT read($$repeat('a', 1048577)$$);
SELECT read($$point(1, 2)$$);

SELECT tfrs.train(r.user_id, c)
FROM rating r,
	LATERAL (SELECT r.movie_id, array_fill(1::real, ARRAY[1 + r.movie_id % 2]) AS picture) c;

-- Rows of one call may be of several types: columns are found by name in each of them.

CREATE FUNCTION one_of(which integer) RETURNS record LANGUAGE sql AS $$
	SELECT CASE which WHEN 1 THEN x WHEN 2 THEN y WHEN 3 THEN z ELSE w END
	FROM (SELECT 1 AS movie_id, 'a'::text AS title, 1.5::real AS price) x,
		(SELECT 2.5::real AS price, 2 AS movie_id, 'b'::varchar(5) AS title) y,
		(SELECT 3 AS movie_id, 'c'::text AS title) z,
		(SELECT 4 AS movie_id, 'd'::text AS title, true AS price) w $$;

SELECT tfrs.train(i, one_of(least(i, 2))) IS NOT NULL AS trained FROM generate_series(1, 9) i;
SELECT tfrs.train(i, one_of(least(i, 3))) FROM generate_series(1, 9) i;
SELECT tfrs.train(i, one_of(CASE i WHEN 1 THEN 1 ELSE 4 END)) FROM generate_series(1, 9) i;

-- No CHECK of a domain is run, and dropped columns are passed over.

CREATE FUNCTION refuse(text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
	RAISE NOTICE 'the check is run';
	RETURN true;
END $$;
CREATE DOMAIN word AS text CHECK (refuse(VALUE));
CREATE TABLE named (movie_id integer, gone integer, name word);
INSERT INTO named VALUES (1, 2, 'a');
ALTER TABLE named DROP COLUMN gone;
SELECT tfrs.train(i, named) IS NOT NULL AS trained FROM named, generate_series(1, 3) i;

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
SELECT said('{"candidate": {"features": {"title": "number"}}}');
SELECT said('{"candidate": {"features": {"movie_id": "text"}}}');
SELECT said('{"candidate": {"features": {"genres": "id"}}}');
SELECT said('{"candidate": {"features": {"price": "id"}}}');
SELECT said('{"candidate": {"features": {"picture": "bucket"}}}');
SELECT said('{"candidate": {"features": {"title": ["text", "text"]}}}');
SELECT said('{"candidate": {"features": {"price": {"kind": "bucket", "boundaries": [2, 1]}}}}');
SELECT said('{"candidate": {"features": {"genres": {"share": "query.tags"}}}}');
SELECT said('{"candidate": {"features": {"genres": {"share": "candidate.movie_id"}}}}');

-- What can be said.

SELECT said('{"candidate": {"key": "movie_id", "features": {
	"title": ["text", {"kind": "hash", "bins": 10, "salt": [1, 2]}, {"kind": "text", "name": "words", "max_tokens": 99}],
	"price": ["number", {"kind": "bucket", "quantiles": 4}, {"kind": "bucket", "name": "steps", "boundaries": [1, 2.5]}],
	"length": {"log": true}, "picture": false,
	"movie_id": {"kind": "hash", "bins": 4},
	"genres": ["bag", {"kind": "sequence", "dim": 4, "max_length": 5}],
	"both": {"kind": "cross", "columns": ["movie_id", "title"], "bins": 50}},
	"layers": [8, 4], "cross_layers": 1, "activation": "tanh", "layer_dropout": 0.1, "id_dropout": 0.5}}');

-- A model of candidates that are rows: its options, ids and vectors, and what it cannot do yet.

CREATE TABLE trained AS
SELECT tfrs.train(r.user_id, c, '{"candidate": {"features": {"title": {"kind": "text", "max_tokens": 50},
	"price": ["number", "bucket"], "picture": false, "released": false}}}') AS model
FROM rating r
JOIN LATERAL (SELECT movie_id, title, genres, price, released, length, picture FROM movie) c
	ON c.movie_id = r.movie_id;
SELECT jsonb_pretty(tfrs.model_info(model) #> '{options,candidate}') FROM trained;
SELECT count(*) FROM trained, tfrs.candidate_embeddings(model);
SELECT count(*) FROM trained, tfrs.top_k(model, 3);
SELECT tfrs.retrain(model, r.user_id, r.movie_id) FROM trained, rating r;
SELECT tfrs.train(q, r.movie_id) FROM rating r, LATERAL (SELECT r.user_id, r.device) q;
SELECT tfrs.train(r.user_id, r.movie_id, '{"candidate": {"layers": [4]}}') FROM rating r;
SELECT tfrs.train(r.user_id, c) FROM rating r, LATERAL (SELECT r.movie_id, NULL::real AS price) c;
SELECT tfrs.train(r.user_id, c) FROM rating r, LATERAL (SELECT r.movie_id, NULL::real[] AS picture) c;

-- A vector may be NULL in the first row; the same rows in another order are the same model.

SELECT count(DISTINCT tfrs.model_info(model) ->> 'digest') FROM (
	SELECT tfrs.train(r.user_id, c ORDER BY r.movie_id DESC, r.user_id) AS model
	FROM rating r, LATERAL (SELECT r.movie_id, CASE WHEN r.movie_id > 2 THEN ARRAY[r.movie_id, 1::real] END AS picture) c
	UNION ALL
	SELECT tfrs.train(r.user_id, c ORDER BY r.movie_id, r.user_id)
	FROM rating r, LATERAL (SELECT r.movie_id, CASE WHEN r.movie_id > 2 THEN ARRAY[r.movie_id, 1::real] END AS picture) c) m;

-- One row of a candidate counts where the data hold several.

SELECT tfrs.train(r.user_id, c) IS NOT NULL AS trained
FROM rating r, LATERAL (SELECT r.movie_id, r.user_id % 3 AS price) c;

-- The memory of layers is counted before a training begins.

SET tfrs.max_memory = '8MB';
DO $$
BEGIN
	PERFORM tfrs.train(r.user_id, c, '{"candidate": {"layers": [4096, 4096]}}')
	FROM rating r, LATERAL (SELECT r.movie_id, r.score) c;
EXCEPTION WHEN configuration_limit_exceeded THEN
	RAISE NOTICE '%', regexp_replace(SQLERRM, '\d+', 'N');
END $$;
RESET tfrs.max_memory;
