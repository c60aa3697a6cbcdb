-- k means k under every predicate, and scores are those of the operators
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS tfrs_retrieval;
RESET client_min_messages;
SET search_path = public, tfrs;

-- 40 clusters far apart, and queries that lie between them
CREATE TABLE spot AS
	SELECT i AS id, (SELECT array_agg((6 * sin((i % 40) * 7 + d * d) + sin(i * d))::real ORDER BY d) FROM generate_series(1, 16) d)::embedding AS e
	FROM generate_series(1, 5000) i;
CREATE TABLE asked_from AS
	SELECT i AS id, (SELECT array_agg(sin(i * 11 * d + 1)::real ORDER BY d) FROM generate_series(1, 16) d)::embedding AS q FROM generate_series(1, 60) i;
CREATE TABLE rack AS
	SELECT metric, build_index(id, e, jsonb_build_object('metric', metric, 'kind', 'tree', 'target_recall', 0.9)) AS index
	FROM spot, unnest(ARRAY['dot', 'cosine', 'l2']) metric GROUP BY 1;
CREATE TABLE filter AS SELECT * FROM (VALUES
	('none', NULL::int[], NULL::int[]),
	('among all', NULL, ARRAY(SELECT generate_series(1, 5000))),
	('among half', NULL, ARRAY(SELECT generate_series(1, 2500))),
	('among some clusters', NULL, ARRAY(SELECT i FROM generate_series(1, 5000) i WHERE i % 40 < 3)),
	('exclude half', ARRAY(SELECT generate_series(1, 2500)), NULL),
	('exclude most', ARRAY(SELECT generate_series(1, 4900)), NULL)) f (name, without, allowed);
SELECT metric, name, k, count(*) FILTER (WHERE found < k) AS short
FROM rack, asked_from, filter, unnest(ARRAY[1, 10, 60]) k, LATERAL (SELECT count(*) AS found FROM top_k(index, q, k, without, allowed)) t
GROUP BY 1, 2, 3 HAVING count(*) FILTER (WHERE found < k) > 0 ORDER BY 1, 2, 3;
SELECT metric, name, count(*) FILTER (WHERE found < 10) AS short
FROM rack, filter, LATERAL (SELECT query, count(*) AS found
	FROM top_k_many(index, ARRAY(SELECT id FROM asked_from ORDER BY id), ARRAY(SELECT q FROM asked_from ORDER BY id), 10, without, allowed) GROUP BY 1) t
GROUP BY 1, 2 HAVING count(*) FILTER (WHERE found < 10) > 0 OR count(*) < 60 ORDER BY 1, 2;

-- a minimum score: as many rows as reach it, up to k
SELECT metric, count(*) AS searches, count(*) FILTER (WHERE found <> least(10, there)) AS short
FROM rack, asked_from, LATERAL (SELECT score FROM top_k(index, q, 20, search => '{"exact": true}') OFFSET id % 20 LIMIT 1) m,
	LATERAL (SELECT count(*) AS found FROM top_k(index, q, 10, min_score => m.score)) t,
	LATERAL (SELECT count(*) AS there FROM top_k(index, q, 20, min_score => m.score, search => '{"exact": true}')) x
GROUP BY 1 ORDER BY 1;

-- a score is the operator's value, to the last digit
SELECT metric, count(*) AS rows, count(*) FILTER (WHERE t.score = s::real) AS equal
FROM rack, asked_from, top_k_as(NULL::int, index, q, 10) t JOIN spot ON spot.id = candidate,
	LATERAL (SELECT CASE metric WHEN 'dot' THEN inner_product(q, e) WHEN 'cosine' THEN cosine_similarity(q, e) ELSE -l2_distance(q, e) END AS s) o
GROUP BY 1 ORDER BY 1;

-- scores that are infinite as real: in the order of the operators' values
CREATE TABLE far AS SELECT * FROM (VALUES (1, '[3e38,3e38]'::embedding), (2, '[0,0]'), (3, '[3e38,-3e38]'), (4, '[-3e38,3e38]'), (5, '[1e38,0]')) v (id, e);
SELECT metric, ARRAY(SELECT candidate FROM top_k_as(NULL::int, index, '[3e38,-3e38]', 5)) AS found,
	ARRAY(SELECT candidate FROM top_k_as(NULL::int, index, '[3e38,-3e38]', 2, exclude => ARRAY[3])) AS without,
	ARRAY(SELECT id FROM far ORDER BY CASE metric WHEN 'dot' THEN e <#> '[3e38,-3e38]' ELSE e <-> '[3e38,-3e38]' END, id) AS sorted
FROM (SELECT metric, build_index(id, e, jsonb_build_object('metric', metric)) AS index FROM far, unnest(ARRAY['dot', 'l2']) metric GROUP BY 1) s ORDER BY 1;

DROP TABLE spot, asked_from, rack, filter, far;
