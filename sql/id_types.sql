-- ids of char(n): blanks at the end count nowhere, as in the server's own comparisons
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS tfrs_retrieval;
CREATE TABLE sold (customer char(8), sku char(8), at timestamptz);
INSERT INTO sold SELECT 'C' || n % 50, 'P' || (n * 7 + n / 50) % 30, timestamptz '2026-01-01 UTC' + n * interval '1 min'
	FROM generate_series(1, 400) n;
CREATE INDEX ON sold (customer);
CREATE TABLE product (sku text PRIMARY KEY, name text);
INSERT INTO product SELECT 'P' || n, 'product ' || n FROM generate_series(0, 29) n;
CALL tfrs.create_recommender('skus', 'sold', 'customer', 'sku', at => 'at', candidates => 'product', label => 'name', held_out => 0,
	options => '{"dim": 8, "history": {"steps": 50}}');
CALL tfrs.refresh('skus');
CREATE VIEW shop AS SELECT model FROM skus_recommender;

-- the same answer for "p" with and without its blanks, as text, as an untyped literal and as char(8)
CREATE FUNCTION same(of text, VARIADIC given text[]) RETURNS TABLE (what text, rows int, equal boolean)
	LANGUAGE plpgsql AS $$
DECLARE
	plain text;
	other text;
BEGIN
	what := of;
	equal := true;
	FOR i IN 1 .. cardinality(given) LOOP
		EXECUTE format('SELECT count(*), string_agg(a::text, '' '') FROM %s a', given[i]) INTO rows, other;
		plain := coalesce(plain, other);
		equal := equal AND plain = other;
	END LOOP;
	RETURN NEXT;
END $$;
SELECT * FROM same('recommend', 'tfrs.recommend(''skus'', ''C3'', 5)', 'tfrs.recommend(''skus'', ''C3      '', 5)',
	'tfrs.recommend(''skus'', ''C3      ''::text, 5)', 'tfrs.recommend(''skus'', ''C3''::char(8), 5)',
	'tfrs.recommend(''skus'', ''C3''::bpchar, 5)', 'tfrs.recommend(''skus'', ''C3   ''::varchar, 5)',
	'tfrs.recommend(''skus'', ''"C3      "''::jsonb, 5)')
UNION ALL
SELECT * FROM same('recommend, exclude', 'tfrs.recommend(''skus'', ''C3'', 30, exclude => ''{P4,P5}''::text[])',
	'tfrs.recommend(''skus'', ''C3'', 30, exclude => ''{"P4      ","P5 "}''::text[])',
	'tfrs.recommend(''skus'', ''C3'', 30, exclude => ''{P4,P5}''::char(8)[])')
UNION ALL
SELECT * FROM same('recommend, among', 'tfrs.recommend(''skus'', ''C3'', 30, among => ''{P4,P5}''::text[])',
	'tfrs.recommend(''skus'', ''C3'', 30, among => ''{"P4      ","P5 "}''::text[])',
	'tfrs.recommend(''skus'', ''C3'', 30, among => ''{P4,P5}''::char(8)[])')
UNION ALL
SELECT * FROM same('recommend_as', 'tfrs.recommend_as(NULL::char(8), ''skus'', ''C3'', 5)',
	'tfrs.recommend_as(NULL::char(8), ''skus'', ''C3      '', 5)')
UNION ALL
SELECT * FROM same('similar', 'tfrs.similar(''skus'', ''P3'', 3)', 'tfrs.similar(''skus'', ''P3      '', 3)',
	'tfrs.similar(''skus'', ''P3''::char(8), 3)')
UNION ALL
SELECT * FROM same('explain', 'tfrs.explain(''skus'', ''C3'', ''P3'')', 'tfrs.explain(''skus'', ''C3      '', ''P3      '')',
	'tfrs.explain(''skus'', ''C3''::char(8), ''P3''::char(8))')
UNION ALL
SELECT * FROM same('top_k', '(SELECT t.* FROM shop, tfrs.top_k(model, ''C3'', 5) t)',
	'(SELECT t.* FROM shop, tfrs.top_k(model, ''C3      '', 5) t)',
	'(SELECT t.* FROM shop, tfrs.top_k(model, ''"C3      "''::jsonb, 5) t)')
UNION ALL
SELECT * FROM same('top_k_many', '(SELECT t.* FROM shop, tfrs.top_k_many(model, ''{C3}''::text[], 5) t)',
	'(SELECT t.* FROM shop, tfrs.top_k_many(model, ''{"C3      "}''::text[], 5) t)',
	'(SELECT t.* FROM shop, tfrs.top_k_many(model, ''{C3}''::char(8)[], 5) t)')
UNION ALL
SELECT * FROM same('similar by model', '(SELECT t.* FROM shop, tfrs.similar(model, ''P3'', 5) t)',
	'(SELECT t.* FROM shop, tfrs.similar(model, ''P3      '', 5) t)')
UNION ALL
SELECT * FROM same('embed', '(SELECT tfrs.embed_query(model, ''C3''), tfrs.embed_candidate(model, ''P3''),
		tfrs.embed_history(model, ''{P3}''::text[]) FROM shop)',
	'(SELECT tfrs.embed_query(model, ''C3      ''), tfrs.embed_candidate(model, ''P3      ''),
		tfrs.embed_history(model, ''{"P3      "}''::text[]) FROM shop)')
UNION ALL
SELECT * FROM same('evaluate', '(SELECT tfrs.evaluate(model, ''C3''::text, ''P29''::text) - ''seconds'' FROM shop)',
	'(SELECT tfrs.evaluate(model, ''C3      ''::text, ''P29    ''::text) - ''seconds'' FROM shop)',
	'(SELECT tfrs.evaluate(model, ''C3''::char(8), ''P29''::char(8)) - ''seconds'' FROM shop)');
SELECT DISTINCT source, label IS NOT NULL AS labelled FROM tfrs.recommend('skus', 'C3', 5);
SELECT value, octet_length(value) FROM shop, tfrs.vocabulary(model, 'candidate') ORDER BY 1 LIMIT 1;

-- an index over such ids, and one over their text, which serves a model of such ids
CREATE TABLE built AS SELECT tfrs.build_index(v.id::char(8), v.embedding) AS padded, tfrs.build_index(v.id, v.embedding) AS plain
FROM shop, tfrs.candidate_embeddings(model) v;
SELECT * FROM same('index', '(SELECT t.* FROM built, tfrs.similar(padded, ''P3'', 5) t)',
	'(SELECT t.* FROM built, tfrs.similar(padded, ''P3      '', 5) t)')
UNION ALL
SELECT * FROM same('index, among', '(SELECT t.* FROM built, shop, tfrs.top_k(model, ''C3'', 5, among => ''{P4,P5}''::text[], index => padded) t)',
	'(SELECT t.* FROM built, shop, tfrs.top_k(model, ''C3 '', 5, among => ''{"P4 ","P5   "}''::text[], index => padded) t)',
	'(SELECT t.* FROM built, shop, tfrs.top_k(model, ''C3'', 5, among => ''{P4,P5}''::text[], index => plain) t)')
UNION ALL
SELECT * FROM same('seen', '(SELECT t.* FROM shop, tfrs.top_k(model, ''C3'', 30) t)',
	'(SELECT t.* FROM built, shop, tfrs.top_k(model, ''C3'', 30, index => padded) t)',
	'(SELECT t.* FROM built, shop, tfrs.top_k(model, ''C3'', 30, index => plain) t)');

-- going on with padded text adds no second "C3" and "P3"
SELECT (SELECT count(*) FROM tfrs.vocabulary(more, 'query')) AS queries,
	(SELECT count(*) FROM tfrs.vocabulary(more, 'candidate')) AS candidates
FROM (SELECT tfrs.retrain(model, 'C' || n % 50 || '   ', 'P' || n % 30 || ' ', 1, now(), '{}') AS more
	FROM shop, generate_series(1, 100) n) m;
-- blanks in ids of type text do count
SELECT (SELECT count(*) FROM tfrs.vocabulary(m, 'query')) AS queries, (SELECT count(*) FROM tfrs.similar(m, 'a', 5)) AS a,
	(SELECT count(*) FROM tfrs.similar(m, 'a  ', 5)) AS unknown
FROM (SELECT tfrs.train(q, c, '{"dim": 2}') AS m FROM (VALUES ('q', 'a'), ('q ', 'a '), ('q', 'b')) r (q, c)) t;

DROP VIEW shop;
CALL tfrs.drop_recommender('skus');
DROP TABLE sold, product, built;
DROP FUNCTION same;

-- domains over enums, and over domains, are what they are over
CREATE TYPE color AS ENUM ('red', 'green', 'blue', 'black');
CREATE DOMAIN dcolor AS color;
CREATE DOMAIN ddcolor AS dcolor CHECK (value::color <> 'black');
CREATE DOMAIN code AS char(6);
CREATE TABLE swatch (shade ddcolor, name code);
INSERT INTO swatch VALUES ('red', 'r'), ('green', 'g'), ('blue', 'b');
CREATE TABLE choice (who dcolor, what ddcolor, code code, at timestamptz);
INSERT INTO choice SELECT (enum_range(NULL::color))[1 + n % 4], (enum_range(NULL::color))[1 + n % 3], 'c' || n % 5,
	timestamptz '2026-01-01 UTC' + n * interval '1 min' FROM generate_series(1, 60) n;
CREATE INDEX ON choice (who);
CREATE INDEX ON choice (code);
CREATE INDEX ON swatch (shade);
CALL tfrs.create_recommender('colors', 'choice', 'who', 'what', at => 'at', candidates => 'swatch', candidate_key => 'shade',
	label => 'name', held_out => 0, options => '{"dim": 4, "history": {"steps": 20}}');
CALL tfrs.create_recommender('codes', 'choice', 'code', 'what', at => 'at', held_out => 0, options => '{"dim": 4, "history": {"steps": 20}}');
CALL tfrs.refresh('colors');
CALL tfrs.refresh('codes');
SELECT count(*), count(label), min(source) FROM tfrs.recommend('colors', 'red', 3, include_seen => true);
SELECT count(*) FROM tfrs.recommend('colors', 'red'::dcolor, 3, include_seen => true);
SELECT candidate FROM tfrs.recommend('colors', 'red'::ddcolor, 3, include_seen => true, exclude => '{red,blue}'::ddcolor[]);
SELECT candidate FROM tfrs.recommend('colors', 'red', 3, include_seen => true, among => '{red}'::dcolor[]);
SELECT candidate, pg_typeof(candidate) FROM tfrs.recommend_as(NULL::ddcolor, 'colors', 'red', 3, include_seen => true, among => '{red}'::color[]);
SELECT count(*) FROM tfrs.similar('colors', 'red'::ddcolor, 3);
SELECT count(*) > 0 AS explained FROM tfrs.explain('colors', 'red'::dcolor, 'green'::ddcolor);
SELECT count(*), min(source) FROM tfrs.recommend('codes', 'c1    ', 3, include_seen => true);
CALL tfrs.drop_recommender('colors');
CALL tfrs.drop_recommender('codes');
DROP TABLE choice, swatch;
DROP DOMAIN ddcolor, dcolor, code;
DROP TYPE color;
