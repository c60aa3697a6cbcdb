-- tfrs.top_k_many: as top_k for each query
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS tfrs_retrieval;
RESET client_min_messages;
SET search_path = public, tfrs;

CREATE TABLE item AS
	SELECT i AS id, ARRAY[sin(i), cos(i * 3), sin(i * 7) * i / 1000]::embedding AS e FROM generate_series(1, 3000) i;
CREATE TABLE shelf AS
	SELECT metric, build_index(id, e, jsonb_build_object('metric', metric)) AS index
	FROM item, unnest(ARRAY['dot', 'cosine', 'l2']) metric GROUP BY metric;
CREATE TABLE click AS
	SELECT (i * 7919) % 97 AS person, 'thing ' || sqrt(i * 31 % 3001)::int AS thing FROM generate_series(1, 3000) i;
CREATE TABLE recommender AS SELECT train(person, thing, '{"dim": 8, "epochs": 2}') AS model FROM click;

-- the same rows and scores as one query at a time, in the order of the queries
CREATE VIEW asked AS SELECT array_agg(id) AS ids, array_agg(e) AS queries FROM item WHERE id % 7 = 0;
SELECT metric, count(*), count(*) FILTER (WHERE m.candidate = t.candidate AND m.score = t.score) AS equal
FROM shelf, asked, top_k_many(index, ids, queries, 5) m,
	LATERAL (SELECT t.* FROM item, top_k(index, e, 5) t WHERE id::text = m.query AND t.rank = m.rank) t
GROUP BY metric ORDER BY metric;
SELECT metric, count(*), count(*) FILTER (WHERE m.candidate = t.candidate AND m.score = t.score) AS equal
FROM shelf, asked, LATERAL (SELECT array_agg(id) AS few FROM item WHERE id < 1500) s,
	top_k_many(index, ids, queries, 5, exclude => ARRAY[1, 2, 3], among => few, min_score => 0.1) m,
	LATERAL (SELECT t.* FROM item, top_k(index, e, 5, ARRAY[1, 2, 3], few, 0.1) t WHERE id::text = m.query AND t.rank = m.rank) t
GROUP BY metric ORDER BY metric;
SELECT count(*), count(*) FILTER (WHERE m.candidate = t.candidate AND m.score = t.score) AS equal
FROM recommender, top_k_many(model, ARRAY(SELECT i FROM generate_series(-3, 99) i), 7) m,
	LATERAL (SELECT * FROM top_k(model, m.query, 7) t WHERE t.rank = m.rank) t;
SELECT array_agg(query ORDER BY n) AS in_order FROM recommender,
	top_k_many(model, '{5,3,3,11,3}', 1) WITH ORDINALITY AS t (query, rank, candidate, score, n);

-- in slices and on threads: no difference
CREATE FUNCTION digest_of_answers() RETURNS text LANGUAGE sql AS $$
	SELECT md5(string_agg(m::text, ',')) FROM shelf, asked, top_k_many(index, ids, queries, 50) m WHERE metric = 'l2' $$;
CREATE TABLE answers AS SELECT digest_of_answers() AS digest;
SET work_mem = '64kB';
INSERT INTO answers SELECT digest_of_answers();
SET tfrs.threads = 1;
INSERT INTO answers SELECT digest_of_answers();
RESET work_mem;
SET tfrs.threads = 3;
INSERT INTO answers SELECT digest_of_answers();
RESET tfrs.threads;
SELECT count(*), count(DISTINCT digest) FROM answers;

-- k, NULLs, nothing asked
SELECT count(*) FROM shelf, asked, top_k_many(index, ids, queries, 0) WHERE metric = 'dot';
SELECT count(*) FROM shelf, top_k_many(index, ARRAY[1], ARRAY['[1,2,3]']::embedding[], 1000000000) WHERE metric = 'dot';
SELECT count(*) FROM shelf, asked, top_k_many(index, ids, queries, -1);
SELECT query, count(*) FROM shelf, top_k_many(index, ARRAY[1, NULL, 3], ARRAY['[1,2,3]', '[1,2,3]', NULL]::embedding[], 2) WHERE metric = 'dot' GROUP BY query;
SELECT count(*) FROM shelf, top_k_many(index, '{}', '{}');
SELECT count(*) FROM shelf, top_k_many(index, '{a,b}', NULL);
SELECT count(*) FROM top_k_many(NULL::model, ARRAY[1]);
SELECT count(*) FROM recommender, top_k_many(model, NULL::int[]);
SELECT count(*) FROM shelf, top_k_many(index, ARRAY[1, 2], ARRAY['[1,2,3]']::embedding[]);
SELECT count(*) FROM shelf, top_k_many(index, ARRAY[1], ARRAY['[1,2]']::embedding[]);
SELECT count(*) FROM recommender, top_k_many(model, ARRAY[1.5]);

-- queries that the model has never seen
SELECT query, rank, candidate FROM recommender, top_k_many(model, '{-1,-2}', 2, search => '{"unknown": "popular"}');
SELECT query, count(*) FROM recommender, top_k_many(model, '{-1,0}', search => '{"unknown": "none"}') GROUP BY query;
SELECT query, count(*) FROM recommender, top_k_many(model, '{-1,0}', search => '{"unknown": "error"}') GROUP BY query;
SELECT query, count(*) FROM shelf, top_k_many(index, '{a}', '{"[1,2,3]"}', search => '{"unknown": "none"}') GROUP BY query;

-- candidates of another index
SELECT query, count(*), bool_and(candidate < 'thing 2') AS mine FROM recommender,
	LATERAL (SELECT build_index(id, embedding) AS mine FROM candidate_embeddings(model) WHERE id < 'thing 2') x,
	top_k_many(model, '{1,2}', index => mine) GROUP BY query;

-- the grid of the layer tests of TensorFlow Recommenders: one at a time or many at once, ids of text or
-- not, with exclusions or without
CREATE TABLE grid_vector AS
	SELECT i, ARRAY[sin(i), cos(i * 1.7), sin(i * 0.3), cos(i * i)]::embedding AS e FROM generate_series(0, 1100) i;
CREATE FUNCTION grid_case(k int, batch int, queries int, candidates int, text_ids boolean, excluding boolean, OUT rows bigint, OUT wrong bigint)
LANGUAGE plpgsql AS $$
DECLARE
	index candidate_index;
	excluded text[] := CASE WHEN excluding THEN ARRAY['10', '11', '99', '100', '7'] END;
BEGIN
	PERFORM set_config('work_mem', (CASE batch WHEN 3 THEN 64 ELSE 4096 END) || 'kB', true);
	IF text_ids THEN
		SELECT build_index(i::text, e) INTO index FROM grid_vector WHERE i BETWEEN 1 AND candidates;
	ELSE
		SELECT build_index(i, e) INTO index FROM grid_vector WHERE i BETWEEN 1 AND candidates;
	END IF;
	SELECT count(*), count(*) FILTER (WHERE m.candidate IS DISTINCT FROM t.candidate OR m.candidate IS DISTINCT FROM s.candidate OR m.score <> t.score)
	INTO rows, wrong
	FROM (SELECT array_agg(i) AS ids, array_agg(e) AS vectors FROM grid_vector WHERE i BETWEEN 1025 AND 1024 + grid_case.queries) q,
		top_k_many(index, ids, vectors, k, exclude => excluded) m
		LEFT JOIN LATERAL (SELECT t.* FROM grid_vector, top_k(index, e, k, exclude => excluded) t WHERE i = m.query::int) t ON t.rank = m.rank
		LEFT JOIN LATERAL (
			SELECT c.i::text AS candidate, row_number() OVER (ORDER BY inner_product(q.e, c.e)::real DESC,
				CASE WHEN text_ids THEN c.i::text END COLLATE "C", c.i) AS rank
			FROM grid_vector q, grid_vector c
			WHERE q.i = m.query::int AND c.i BETWEEN 1 AND candidates AND c.i::text <> ALL (coalesce(excluded, '{}'))) s ON s.rank = m.rank;
END $$;
SELECT count(*) AS cases, sum(rows) AS rows, sum(wrong) AS wrong, count(*) FILTER (WHERE rows <> k * queries) AS short
FROM unnest('{5,10}'::int[]) k, unnest('{3,16}'::int[]) batch, unnest('{3,15,16}'::int[]) queries, unnest('{1024,128}'::int[]) candidates,
	unnest('{f,t}'::boolean[]) text_ids, unnest('{f,t}'::boolean[]) excluding,
	grid_case(k, batch, queries, candidates, text_ids, excluding);
DROP FUNCTION grid_case;
DROP TABLE grid_vector;

DROP VIEW asked;
DROP FUNCTION digest_of_answers;
DROP TABLE item, shelf, click, recommender, answers;
