-- tfrs.top_k, tfrs.top_k_as and tfrs.similar
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS tfrs_retrieval;
RESET client_min_messages;
SET search_path = public, tfrs;

CREATE TABLE item (id int, e embedding(2));
INSERT INTO item VALUES (1, '[1,0]'), (2, '[0,2]'), (3, '[3,0]'), (4, '[-4,0]'), (5, '[3,0]'), (10, '[3,0]');
CREATE TABLE shelf AS
	SELECT build_index(id, e) AS by_int, build_index(id::text, e) AS by_text FROM item;

CREATE TABLE click (person int, thing text, uid uuid);
INSERT INTO click
	SELECT (i * 7919) % 97, 'thing ' || thing, lpad(thing::text, 32, '0')::uuid
	FROM generate_series(1, 3000) i, LATERAL (SELECT sqrt(i * 31 % 3001)::int AS thing) t;
CREATE TABLE recommender AS
	SELECT train(person, thing, '{"dim": 8, "epochs": 2}') AS model,
		   train(person, uid, '{"dim": 8, "epochs": 2}') AS by_uuid FROM click;

-- order: score, then the candidate, numbers by value and text by bytes
SELECT t.* FROM shelf, top_k(by_int, '[1,1]') t;
SELECT t.* FROM shelf, top_k(by_text, '[1,1]') t;

-- k
SELECT count(*) FROM shelf, top_k(by_int, '[1,1]', 0);
SELECT count(*) FROM shelf, top_k(by_int, '[1,1]', 2);
SELECT count(*) FROM shelf, top_k(by_int, '[1,1]', 1000000000);
SELECT count(*) FROM shelf, top_k(by_int, '[1,1]', -1);
SELECT count(*) FROM shelf, top_k(by_int, '[1,1]', NULL);

-- NULL is no query, no model, no filter
SELECT count(*) FROM shelf, top_k(by_int, NULL);
SELECT count(*) FROM top_k(NULL::candidate_index, '[1,1]');
SELECT count(*) FROM top_k(NULL::model, 1);
SELECT count(*) FROM recommender, top_k(model, NULL);
SELECT count(*) FROM recommender, top_k(model, NULL::int);
SELECT count(*) FROM recommender, top_k(model, 'null'::jsonb);
SELECT count(*) FROM shelf, top_k(by_int, '[1,1]', 3, NULL, NULL, NULL, NULL);
SELECT count(*) FROM recommender, top_k(model, 1, exclude => NULL, index => NULL);

-- vectors that do not fit
SELECT * FROM shelf, top_k(by_int, '[1,1,1]');
SELECT * FROM shelf, top_k(by_int, '[1,NaN]');
SELECT * FROM recommender, top_k(model, '[1,2]'::embedding);

-- exclude and among are predicates: k means k
SELECT t.* FROM shelf, top_k(by_int, '[1,1]', 2, exclude => ARRAY[3, 5, 5, NULL, 99]) t;
SELECT t.* FROM shelf, top_k(by_int, '[1,1]', 2, exclude => '{3,5}') t;
SELECT t.* FROM shelf, top_k(by_int, '[1,1]', 2, exclude => ARRAY['3', '5']) t;
SELECT t.* FROM shelf, top_k(by_int, '[1,1]', 2, exclude => '{}') t;
SELECT t.* FROM shelf, top_k(by_int, '[1,1]', among => ARRAY[4, 1, 1, NULL, 99]::bigint[]) t;
SELECT t.* FROM shelf, top_k(by_int, '[1,1]', among => '{4,1}', exclude => '{4}') t;
SELECT t.* FROM shelf, top_k(by_int, '[1,1]', among => '{}') t;
SELECT t.* FROM shelf, top_k(by_int, '[1,1]', among => ARRAY(SELECT id FROM item WHERE id > 5)) t;
SELECT t.* FROM shelf, top_k(by_text, '[1,1]', 2, exclude => ARRAY['3', '5']::varchar[]) t;
SELECT t.* FROM shelf, top_k(by_int, '[1,1]', 2, exclude => ARRAY[[3, 5], [10, 2]]) t;
SELECT * FROM shelf, top_k(by_int, '[1,1]', exclude => 3);
SELECT * FROM shelf, top_k(by_int, '[1,1]', exclude => ARRAY[3.5]);
SELECT * FROM shelf, top_k(by_int, '[1,1]', exclude => '{a}');
SELECT * FROM shelf, top_k(by_int, '[1,1]', exclude => '{3');
SELECT * FROM shelf, top_k(by_text, '[1,1]', exclude => ARRAY[3]);

-- min_score: at least
SELECT t.* FROM shelf, top_k(by_int, '[1,1]', min_score => 2) t;
SELECT t.* FROM shelf, top_k(by_int, '[1,1]', min_score => 'Infinity') t;
SELECT t.* FROM shelf, top_k(by_int, '[1,1]', min_score => 'NaN') t;

SELECT t.* FROM (SELECT build_index(id, e, '{"metric": "l2"}') AS i FROM item) x, top_k(i, '[3,0]', min_score => -2) t;
SELECT count(*) FROM shelf, top_k(by_int, '[1,1]', min_score => '-Infinity') t;
SELECT count(*) FROM shelf, top_k(by_int, '[1,1]', min_score => -1e30, exclude => '{1,2,3,4,5,10}') t;
SELECT t.* FROM shelf, top_k(by_int, '[1,1]', 1, exclude => '{3}', among => '{3,5,3}', min_score => 3) t;

-- ids below 0, and ids of other types, in every predicate
SELECT t.* FROM (SELECT build_index(-id, e) AS i FROM item) x, top_k(i, '[1,0]', 3, exclude => '{-3}', among => ARRAY[-10, -5, -3, 3]) t;
SELECT t.* FROM (SELECT build_index(-id::bigint * 1000000000000, e) AS i FROM item) x, top_k(i, '[1,0]', 2, exclude => ARRAY[-3000000000000]) t;
SELECT count(*), count(*) FILTER (WHERE candidate::uuid > '00000000-0000-0000-0000-000000000005') AS large FROM recommender,
	top_k(by_uuid, 1, 5, exclude => ARRAY['00000000-0000-0000-0000-000000000007']::uuid[],
		among => ARRAY(SELECT lpad(i::text, 32, '0')::uuid FROM generate_series(4, 8) i), search => '{"seen": true}');
SELECT count(*) FROM recommender, top_k(by_uuid, 1, among => ARRAY[7]);
SELECT count(*) FROM recommender, top_k(by_uuid, 1, among => '{7}');

-- search options
SELECT t.* FROM shelf, top_k(by_int, '[1,1]', 1, search => '{"exact": true, "leaves_to_search": 3, "rerank": 7}') t;
SELECT t.* FROM shelf, top_k(by_int, '[1,1]', 1, search => '{"exakt": true}') t;
SELECT t.* FROM shelf, top_k(by_int, '[1,1]', 1, search => '{"exact": 1}') t;
SELECT t.* FROM shelf, top_k(by_int, '[1,1]', 1, search => '{"unknown": "none"}') t;
SELECT t.* FROM shelf, top_k(by_int, '[1,1]', 1, search => '[1]') t;

-- the candidate in its own type
SELECT t.*, pg_typeof(candidate) FROM shelf, top_k_as(NULL::int, by_int, '[1,1]', 1) t;
SELECT t.*, pg_typeof(candidate) FROM shelf, top_k_as(NULL::smallint, by_int, '[1,1]', 1) t;
SELECT t.*, pg_typeof(candidate) FROM shelf, top_k_as(NULL::text, by_int, '[1,1]', 1) t;
SELECT t.*, pg_typeof(candidate) FROM shelf, top_k_as(NULL::varchar, by_text, '[1,1]', 1) t;
SELECT pg_typeof(candidate) FROM recommender, top_k_as(NULL::uuid, by_uuid, 1, 1) t;
SELECT id, rank FROM shelf, top_k_as(NULL::bigint, by_int, '[1,1]', 3) t JOIN item ON id = candidate ORDER BY rank;
SELECT * FROM shelf, top_k_as(NULL::uuid, by_int, '[1,1]');
SELECT * FROM shelf, top_k_as(NULL::int, by_text, '[1,1]');
SELECT * FROM recommender, top_k_as(NULL::bigint, by_uuid, 1);
SELECT * FROM shelf, top_k_as(NULL::numeric, by_int, '[1,1]');
SELECT * FROM shelf, top_k_as(NULL, by_int, '[1,1]');
SELECT t.* FROM (SELECT build_index(100000, e) i FROM item WHERE id = 1) x, top_k_as(NULL::smallint, i, '[1,1]') t;

-- a model answers as a full sort of its vectors does, in every form of the query
CREATE VIEW sorted AS
	SELECT q.person, row_number() OVER (PARTITION BY q.person ORDER BY s DESC, c.id COLLATE "C") AS rank, c.id, s::real
	FROM (SELECT DISTINCT person FROM click) q, recommender,
		LATERAL (SELECT id, inner_product(embed_query(model, q.person), embedding) AS s
				 FROM candidate_embeddings(model)) c;
SELECT count(*), count(*) FILTER (WHERE t.candidate = s.id AND t.score = s.s) AS equal
FROM recommender, (SELECT DISTINCT person FROM click) q, top_k(model, person, 57, search => '{"seen": true}') t
	JOIN sorted s USING (rank) WHERE s.person = q.person;
CREATE VIEW answers AS
	SELECT x.form, string_agg(candidate || ' ' || score, ',' ORDER BY rank) AS answer
	FROM recommender, LATERAL (
		SELECT 'int' AS form, t.* FROM top_k(model, 42, search => '{"seen": true}') t UNION ALL
		SELECT 'bigint', t.* FROM top_k(model, 42::bigint, search => '{"seen": true}') t UNION ALL
		SELECT 'smallint', t.* FROM top_k(model, 42::smallint, search => '{"seen": true}') t UNION ALL
		SELECT 'literal', t.* FROM top_k(model, '42', search => '{"seen": true}') t UNION ALL
		SELECT 'text', t.* FROM top_k(model, ' 42'::text, search => '{"seen": true}') t UNION ALL
		SELECT 'varchar', t.* FROM top_k(model, '42'::varchar, search => '{"seen": true}') t UNION ALL
		SELECT 'jsonb number', t.* FROM top_k(model, '42'::jsonb, search => '{"seen": true}') t UNION ALL
		SELECT 'jsonb string', t.* FROM top_k(model, '"42"'::jsonb, search => '{"seen": true}') t UNION ALL
		SELECT 'vector', t.* FROM top_k(model, embed_query(model, 42)) t UNION ALL
		SELECT 'as', t.* FROM top_k_as(NULL::text, model, 42, search => '{"seen": true}') t) x
	GROUP BY x.form;
SELECT count(DISTINCT answer) AS answers, count(*) AS forms FROM answers;
SELECT count(*) FROM recommender, top_k(model, 'forty-two');
SELECT count(*) FROM recommender, top_k(model, 42.5);
SELECT count(*) FROM recommender, top_k(model, true);
SELECT count(*) FROM recommender, top_k(model, ROW(42));
SELECT count(*) FROM recommender, top_k(model, ARRAY[42]);
SELECT count(*) FROM recommender, top_k(model, '{"person": 42}'::jsonb);

-- parameters without a type
PREPARE untyped AS SELECT count(*) FROM recommender, top_k(model, $1);
EXECUTE untyped ('42');
PREPARE with_k AS SELECT count(*) FROM recommender, top_k(model, $1, $2, exclude => $3::text[], min_score => $4, search => $5);
EXECUTE with_k ('42', 5, '{thing 1}', -1000, '{"exact": true}');
PREPARE on_index AS SELECT t.* FROM shelf, top_k(by_int, $1, $2) t;
EXECUTE on_index ('[1,1]', 1);
PREPARE excluding AS SELECT count(*) FROM recommender, top_k(model, $1, exclude => $2);

-- candidates of an index of one's own
SELECT candidate FROM recommender,
	LATERAL (SELECT build_index(id, embedding) i FROM candidate_embeddings(model)
			 WHERE id IN ('thing 4', 'thing 9')) x,
	LATERAL (SELECT array_agg(candidate ORDER BY candidate) AS candidate FROM top_k(model, 42, index => i)) t;
SELECT count(*) FROM recommender, shelf, top_k(model, 42, index => by_int);

-- a query that the model has never seen
SELECT count(*), min(score) = max(score) AS constant FROM recommender, top_k(model, 4200) t;
SELECT (SELECT array_agg(candidate) FROM top_k(model, 4200)) =
	   (SELECT array_agg(candidate) FROM top_k(model, 4200, search => '{"unknown": "average"}')) AS same FROM recommender;
SELECT count(*) FROM recommender, top_k(model, 4200, search => '{"unknown": "none"}');
SELECT count(*) FROM recommender, top_k(model, 4200, search => '{"unknown": "error"}');
SELECT bool_and(t.candidate = s.thing AND t.score = s.n) AS by_count
FROM recommender, top_k(model, 4200, 60, search => '{"unknown": "popular"}') t
	JOIN (SELECT thing, count(*) n, row_number() OVER (ORDER BY count(*) DESC, thing COLLATE "C") AS rank
		  FROM click GROUP BY thing) s USING (rank);

-- what the model has stored for the query is left out
SELECT count(*) AS answers, count(*) FILTER (WHERE seen) AS seen
FROM recommender, (SELECT DISTINCT person FROM click) q, top_k(model, person, 57) t,
	LATERAL (SELECT EXISTS (SELECT FROM click c WHERE c.person = q.person AND c.thing = t.candidate) AS seen) s;
SELECT count(DISTINCT (person, thing)) AS pairs, 97 * count(DISTINCT thing) AS all_pairs FROM click;
SELECT count(*) AS answers, count(*) FILTER (WHERE seen) AS seen
FROM recommender, LATERAL (SELECT build_index(id, embedding) AS i FROM candidate_embeddings(model) WHERE id < 'thing 3') x,
	top_k(model, 42, 57, exclude => '{thing 1}', index => i) t,
	LATERAL (SELECT EXISTS (SELECT FROM click c WHERE c.person = 42 AND c.thing = t.candidate) AS seen) s;
-- ... from an index over the text of its ids too, and never silently kept
SELECT count(*) AS answers, count(*) FILTER (WHERE seen) AS seen
FROM (SELECT train(person, split_part(thing, ' ', 2)::int, '{"dim": 4, "epochs": 1}') AS model FROM click) m,
	LATERAL (SELECT build_index(id, embedding) AS i FROM candidate_embeddings(model)) x,
	top_k(model, 42, 57, index => i) t,
	LATERAL (SELECT EXISTS (SELECT FROM click c WHERE c.person = 42 AND c.thing = 'thing ' || t.candidate) AS seen) s;
SELECT count(*) FROM recommender, LATERAL (SELECT build_index(row_number, embedding) AS i
	FROM (SELECT row_number() OVER (), embedding FROM candidate_embeddings(model)) numbered) x, top_k(model, 42, index => i);
SELECT count(*) > 10 AS all FROM recommender, top_k(model, 42, 57, search => '{"seen": true}') t;
SELECT count(*) FROM (SELECT train(person, thing, '{"preset": "tfrs"}') AS model FROM click) m, top_k(model, 42, 57);
SELECT count(*) FROM shelf, top_k(by_int, '[1,1]', search => '{"seen": true}');
SELECT count(*) FROM shelf, similar(by_int, 3, search => '{"seen": true}');

-- item to item, by cosine, without itself
SELECT rank, candidate, round(score::numeric, 4) AS score FROM shelf, similar(by_int, 3) t;
SELECT count(*) FROM shelf, similar(by_int, '3'::jsonb);
SELECT count(*) FROM shelf, similar(by_int, 'null'::jsonb);
SELECT similar(by_int, '{}'::jsonb) FROM shelf;
SELECT rank, candidate, round(score::numeric, 4) AS score FROM shelf, similar(by_text, '2', 2, exclude => '{1}') t;
CREATE TABLE kinds AS
	SELECT kind, train(person, thing, options::jsonb) AS model FROM click, (VALUES
		('history', '{"dim": 8, "epochs": 2}'), ('any length', '{"dim": 8, "epochs": 2, "normalize": false}'),
		('table', '{"dim": 8, "epochs": 2, "preset": "tfrs"}')) k (kind, options) GROUP BY kind;
SELECT kind, bias, count(*),
	count(*) FILTER (WHERE abs(t.score - s.cosine) < 1e-5) AS equal, bool_and(in_order) AS in_order
FROM kinds,
	LATERAL (SELECT *, score <= coalesce(lag(score) OVER (ORDER BY rank), 1) AS in_order
			 FROM similar(model, 'thing 4', 60)) t,
	LATERAL (SELECT model_info(model) -> 'options' ->> 'candidate_bias' AS bias, CASE WHEN kind = 'table' THEN 8 ELSE 7 END AS width) w,
	LATERAL (SELECT cosine_similarity((o.embedding::real[])[:width]::embedding, (c.embedding::real[])[:width]::embedding) AS cosine
			 FROM candidate_embeddings(model) o, candidate_embeddings(model) c
			 WHERE o.id = 'thing 4' AND c.id = t.candidate) s
GROUP BY kind, bias ORDER BY kind;
SELECT count(*) FROM shelf, similar(by_int, 77);
SELECT count(*) FROM shelf, similar(by_int, 77, search => '{"unknown": "error"}');
SELECT count(*) FROM shelf, similar(by_int, NULL);

-- a set can be given up, and used wherever sets can
SELECT top_k(by_int, '[1,1]', 2) FROM shelf;
SELECT (top_k(by_int, e, 3)).candidate FROM shelf, item LIMIT 4;
SELECT id, (SELECT candidate FROM top_k(by_int, e, 1)) AS best FROM shelf, item ORDER BY id;
SELECT to_json(t) FROM shelf, top_k(by_int, '[1,1]', 1) t;
SELECT i.id, t.candidate FROM item i, LATERAL (SELECT * FROM shelf, top_k(by_int, i.e, 2) LIMIT 1) t ORDER BY 1;
CREATE FUNCTION best(q embedding) RETURNS text LANGUAGE plpgsql STABLE AS
	$$ BEGIN RETURN (SELECT candidate FROM shelf, top_k(by_int, q, 1)); END $$;
SELECT best('[1,1]'), best('[-1,1]');

-- domains count as what they are over
CREATE DOMAIN key AS int;
CREATE DOMAIN vector8 AS embedding(8);
CREATE DOMAIN keys AS int[];
SELECT count(*) FROM recommender, top_k(model, 42::key, 3);
SELECT count(*) FROM recommender, top_k(model, embed_query(model, 42)::vector8, 3);
SELECT t.candidate, pg_typeof(candidate) FROM shelf, top_k_as(NULL::key, by_int, '[1,1]', 1, exclude => ARRAY[3]::keys) t;
DROP DOMAIN key, vector8, keys;

-- the planner knows k
CREATE FUNCTION plan(statement text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN ' || statement LOOP
		IF line ~ 'top_k' THEN
			RETURN NEXT regexp_replace(ltrim(line), '\(cost=.*rows=(\d+).*', 'rows=\1');
		END IF;
	END LOOP;
END $$;
SELECT plan('SELECT * FROM shelf, top_k(by_int, ''[1,1]'', 33)');
SELECT plan('SELECT * FROM shelf, top_k(by_int, ''[1,1]'')');
SELECT plan('SELECT * FROM recommender, top_k_as(NULL::text, model, 1, 2 + 3)');
SELECT plan('SELECT * FROM recommender, top_k(model, 1, (SELECT 3))');
SELECT provolatile, proparallel, proretset, count(*) FROM pg_proc
WHERE pronamespace = 'tfrs'::regnamespace AND proname IN ('top_k', 'top_k_as', 'similar') GROUP BY 1, 2, 3;
SELECT count(*) FILTER (WHERE prosecdef) AS definers FROM pg_proc WHERE pronamespace = 'tfrs'::regnamespace;

DROP FUNCTION best, plan;
DROP VIEW sorted, answers;
DROP TABLE item, shelf, click, recommender, kinds;
