-- Indexes with a search structure: exact is exact, a tree finds what it promises
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS tfrs_retrieval;
RESET client_min_messages;
SET search_path = public, tfrs;

-- rows around 40 centres, of lengths from 1 to 3; queries are rows of another length
CREATE TABLE item AS
	SELECT i AS id, (SELECT array_agg(((sin((i % 40) * 7 + d * d) + 0.4 * sin(i * d)) * (1 + i % 3))::real) FROM generate_series(1, 16) d)::embedding AS e
	FROM generate_series(1, 8000) i;
CREATE TABLE asked AS
	SELECT i AS id, (SELECT array_agg((sin((i % 40) * 7 + d * d) + 0.5 * sin(i * d + 1))::real) FROM generate_series(1, 16) d)::embedding AS q
	FROM generate_series(1, 60) i;
CREATE TABLE shelf AS
	SELECT kind, metric, build_index(id, e, jsonb_build_object('kind', kind, 'metric', metric)) AS index
	FROM item, unnest(ARRAY['exact', 'tree']) kind, unnest(ARRAY['dot', 'cosine', 'l2']) metric GROUP BY 1, 2;
SELECT kind, metric, index_info(index) ->> 'kind' AS is, (index_info(index) ->> 'leaves')::int > 10 AS has_leaves,
	(index_info(index) ->> 'recall')::real >= 0.9 AS recall, (index_info(index) -> 'bytes' ->> 'structure')::int > 0 AS structure
FROM shelf ORDER BY 1, 2;

-- exact: what a full sort gives, with and without predicates
CREATE TABLE truth AS
	SELECT * FROM (
		SELECT metric, asked.id AS query, item.id, s::real AS score, rank() OVER (PARTITION BY metric, asked.id ORDER BY s::real DESC, item.id) AS rank
		FROM asked, item, LATERAL (VALUES ('dot', inner_product(q, e)), ('cosine', cosine_similarity(q, e)), ('l2', -l2_distance(q, e))) m (metric, s)
		WHERE asked.id % 6 = 0) t
	WHERE rank <= 200;
ALTER TABLE truth ADD PRIMARY KEY (query, metric, rank);
ANALYZE truth;
SELECT shelf.metric, count(*), count(*) FILTER (WHERE t.candidate = truth.id AND abs(t.score - truth.score) < 1e-5) AS equal
FROM shelf, asked, top_k_as(NULL::int, index, q, 20) t JOIN truth USING (rank)
WHERE kind = 'exact' AND truth.metric = shelf.metric AND truth.query = asked.id GROUP BY 1 ORDER BY 1;
SELECT shelf.metric, count(*) > 300 AS some, count(*) = count(*) FILTER (WHERE EXISTS (
		SELECT FROM truth WHERE truth.metric = shelf.metric AND query = asked.id AND id = candidate AND truth.rank > 5 AND id % 2 = 0)) AS allowed
FROM shelf, asked,
	LATERAL (SELECT array_agg(id) AS best FROM truth WHERE truth.metric = shelf.metric AND query = asked.id AND rank <= 5) b,
	LATERAL (SELECT array_agg(id) AS even FROM item WHERE id % 2 = 0) e,
	top_k_as(NULL::int, index, q, 40, exclude => best, among => even) t
WHERE asked.id % 6 = 0 AND kind = 'exact' GROUP BY 1 ORDER BY 1;

-- a tree asked to be exact is; k means k in any case
SELECT a.metric, count(*), count(*) FILTER (WHERE t.candidate = x.candidate AND t.score = x.score) AS equal
FROM shelf a JOIN shelf b USING (metric), asked,
	top_k(a.index, q, 10) x JOIN LATERAL top_k(b.index, q, 10, search => '{"exact": true}') t USING (rank)
WHERE a.kind = 'exact' AND b.kind = 'tree' GROUP BY 1 ORDER BY 1;
SELECT metric, count(*) FROM shelf, top_k(index, (SELECT q FROM asked WHERE id = 1), 8000) WHERE kind = 'tree' GROUP BY 1 ORDER BY 1;
SELECT metric, count(*) FROM shelf, asked, LATERAL (SELECT array_agg(i) AS most FROM generate_series(1, 7995) i) m,
	top_k(index, q, 10, exclude => most) WHERE kind = 'tree' AND asked.id < 4 GROUP BY 1 ORDER BY 1;
SELECT metric, count(*) FROM shelf, asked, top_k(index, q, 10, among => ARRAY[3, 5, 7]) WHERE kind = 'tree' AND asked.id < 4 GROUP BY 1 ORDER BY 1;

-- recall: as good as it says; a search that looks at less finds less
SELECT metric, r.recall >= 0.9 AND r.recall BETWEEN r.low AND r.high AS good
FROM shelf, recall(index, ARRAY(SELECT q FROM asked)) r WHERE kind = 'tree' ORDER BY 1;
SELECT metric, r.recall FROM shelf, recall(index, ARRAY(SELECT q FROM asked)) r WHERE kind = 'exact' ORDER BY 1;
SELECT avg(hit::int) < 1 AS misses
FROM shelf, asked, top_k(index, q, 10) t,
	LATERAL (SELECT EXISTS (SELECT FROM top_k(index, q, 10, search => '{"leaves_to_search": 1, "rerank": 10}') u WHERE u.candidate = t.candidate) AS hit) h
WHERE kind = 'tree' AND metric = 'dot';

-- tuned on real queries: the same rows, another effort
CREATE TABLE tuned AS
	SELECT target, tune_index(index, ARRAY(SELECT q FROM asked), target) AS index
	FROM shelf, unnest(ARRAY[0.5, 0.999]::real[]) target WHERE kind = 'tree' AND metric = 'dot';
SELECT target, (index_info(index) ->> 'recall')::real >= target AS reached FROM tuned ORDER BY 1;
SELECT a.info ->> 'digest' <> b.info ->> 'digest' AS differ, a.info - '{digest,recall,rerank,leaves_to_search,reach}'::text[] = b.info - '{digest,recall,rerank,leaves_to_search,reach}'::text[] AS otherwise_same,
	(a.info ->> 'recall')::real < (b.info ->> 'recall')::real AS less
FROM (SELECT index_info(index) AS info FROM tuned WHERE target < 0.6) a, (SELECT index_info(index) AS info FROM tuned WHERE target > 0.6) b;
SELECT count(tune_index(index, '{}')) FROM shelf WHERE kind = 'tree';
SELECT count(tune_index(index, '{"[1,2]"}')) FROM shelf WHERE kind = 'tree';
SELECT count(tune_index(index, ARRAY(SELECT q FROM asked), 1.5)) FROM shelf;
SELECT index_info(tune_index(i, '{"[1]"}')) ->> 'kind' AS kind FROM (SELECT build_index(1, '[1]') i) s;

-- equal bytes, whatever the order of the rows and the number of threads
SET tfrs.threads = 1;
SELECT (SELECT build_index(id, e, '{"kind": "tree"}' ORDER BY id) FROM item)::text = index::text AS same FROM shelf WHERE kind = 'tree' AND metric = 'dot';
SET tfrs.threads = 3;
SELECT (SELECT build_index(id, e, '{"kind": "tree"}' ORDER BY id DESC) FROM item)::text = index::text AS same FROM shelf WHERE kind = 'tree' AND metric = 'dot';
RESET tfrs.threads;

-- settings by hand
SELECT i -> 'leaves' AS leaves, i -> 'leaves_to_search' AS searched, i -> 'rerank' AS rerank FROM (
	SELECT index_info(build_index(id, e, '{"kind": "tree", "leaves": 50, "leaves_to_search": 4, "rerank": 40}')) AS i FROM item) s;
SELECT build_index(id, e, '{"leaves": 0}') FROM item;

-- a model of many candidates carries a structure, and answers as a full sort does
CREATE TABLE recommender AS
	SELECT train(i % 50, i * 7919 % 70001, '{"preset": "tfrs", "epochs": 1, "batch_size": 70001}') AS model FROM generate_series(1, 70001) i;
SELECT count(*), count(*) FILTER (WHERE t.candidate = truth.id AND t.score = truth.score) AS equal
FROM recommender, generate_series(1, 3) person, top_k_as(NULL::int, model, person, 20) t,
	LATERAL (SELECT id::int, inner_product(embed_query(model, person), embedding)::real AS score
			 FROM candidate_embeddings(model) ORDER BY 2 DESC, 1 OFFSET t.rank - 1 LIMIT 1) truth
WHERE t.rank IN (1, 2, 7, 20);

DROP TABLE item, asked, shelf, truth, tuned, recommender;
