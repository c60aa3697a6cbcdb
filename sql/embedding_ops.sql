-- Operators, operator classes and functions of tfrs.embedding.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS tfrs_retrieval;
RESET client_min_messages;
SET search_path = tfrs, public;

CREATE FUNCTION pg_temp.failure(statement text, OUT code text, OUT message text)
LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
END $$;

-- whether a query's plan has this node
CREATE FUNCTION pg_temp.plan_has(query text, node text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT json) ' || query INTO plan;
	RETURN plan::text LIKE '%"Node Type": "' || node || '"%';
END $$;

-- Distances
SELECT inner_product('[1,2,3]', '[4,5,6]'), '[1,2,3]'::embedding <#> '[4,5,6]' AS negative,
	l2_distance('[1,2]', '[4,6]'), '[1,2]'::embedding <-> '[4,6]' AS l2,
	'[1,0]'::embedding <#> '[0,1]' AS orthogonal;
SELECT cosine_similarity('[1,2]', '[2,4]') AS same, cosine_similarity('[1,0]', '[0,5]') AS orthogonal,
	cosine_similarity('[1,1]', '[-2,-2]') AS opposite, '[1,1]'::embedding <=> '[-2,-2]' AS distance,
	cosine_similarity('[0,0]', '[1,2]') AS zero, '[0,0]'::embedding <=> '[0,0]' AS zero_distance;
SELECT norm('[3,4]'), dims('[3,4]'), l2_normalize('[3,4]'), l2_normalize('[0,0]'), norm('[0,0]');
SELECT '[1,2]' OPERATOR(tfrs.<->) '[1,4]'::embedding AS qualified, NULL::embedding <-> '[1]' AS nothing;

-- where float alone would overflow, underflow or give NaN
SELECT inner_product('[3e38,3e38]', '[3e38,-3e38]') AS cancels,
	round((inner_product('[1e30]', '[1e30]') / 1e60)::numeric, 4) AS large,
	round((norm('[3e30,4e30]') / 1e30)::numeric, 4) AS large_norm,
	round((norm('[3e-30,4e-30]') / 1e-30)::numeric, 4) AS small_norm,
	round((l2_distance('[3e38]', '[-3e38]') / 1e38)::numeric, 4) AS far,
	round((l2_distance('[2e-30]', '[1e-30]') / 1e-30)::numeric, 4) AS near,
	l2_distance('[0.1,0.2]', '[0.1,0.2]') AS same;
SELECT a, b, round(cosine_similarity(a, b)::numeric, 5) AS cosine
FROM (VALUES ('[1e-30,0]'::embedding, '[1e-30,1e-30]'::embedding), ('[1e30,0]', '[1e30,1e30]'), ('[3e38,3e38]', '[1e-45,0]'),
			 ('[1e-45,1e-45]', '[1e-45,0]'), ('[3e38,3e38]', '[3e38,-3e38]'), ('[1e19,1e-19]', '[1,1]')) t (a, b);
SELECT l2_normalize('[3e38,3e38]'), l2_normalize('[1e-45,0]'), l2_normalize('[-2e-30]'), l2_normalize('[1e38,1e-38]');

-- random vectors of 1 to 67 dimensions against the definitions
CREATE TEMP TABLE pair AS
SELECT id, 1 + id % 67 AS d,
	array_agg((sin(id * 91.7 + i * 12.9) * 3)::real)::embedding AS a,
	array_agg((sin(id * 37.3 + i * 78.2) * 2)::real)::embedding AS b
FROM generate_series(1, 670) id, generate_series(1, 1 + id % 67) i
GROUP BY id;
SELECT count(*), bool_and(dims(a) = d) AS dims,
	max(abs(inner_product(a, b) - s.ab) / sqrt(s.aa * s.bb)) < 1e-5 AS inner_product,
	max(abs(cosine_similarity(a, b) - s.ab / sqrt(s.aa * s.bb))) < 1e-5 AS cosine,
	max(abs(l2_distance(a, b) / sqrt(s.dd) - 1)) < 1e-5 AS l2,
	max(abs(norm(a) / sqrt(s.aa) - 1)) < 1e-5 AS norm,
	max(abs(norm(l2_normalize(a)) - 1)) < 1e-5 AS normalized,
	min(a <=> l2_normalize(a)) >= 0 AS not_negative,
	bool_and((a <#> b) = -inner_product(a, b) AND (a <=> b) = 1 - cosine_similarity(a, b)
			 AND (a <-> b) = l2_distance(a, b)) AS operators,
	bool_and((a <#> b) = (b <#> a) AND (a <=> b) = (b <=> a) AND (a <-> b) = (b <-> a)) AS commute
FROM pair, LATERAL (
	SELECT sum(x * y) AS ab, sum(x * x) AS aa, sum(y * y) AS bb, sum((x - y) ^ 2) AS dd
	FROM unnest(a::real[]::float8[], b::real[]::float8[]) u (x, y)) s;

-- Elementwise
SELECT '[1,2]'::embedding + '[3,-5]' AS sum, '[1,2]'::embedding - '[3,-5]' AS difference,
	'[1,2]'::embedding * '[3,-5]' AS product, '[1,2]'::embedding || '[3]' AS concatenation,
	'[1e-30]'::embedding * '[1e-30]' AS underflow;
SELECT count(*), bool_and((a + b)::real[] = s.plus AND (a - b)::real[] = s.minus AND (a * b)::real[] = s.times
						  AND (a || b)::real[] = a::real[] || b::real[]) AS same
FROM pair, LATERAL (
	SELECT array_agg(x + y ORDER BY i) AS plus, array_agg(x - y ORDER BY i) AS minus, array_agg(x * y ORDER BY i) AS times
	FROM unnest(a::real[], b::real[]) WITH ORDINALITY u (x, y, i)) s;

SELECT s AS expression, f.*
FROM unnest(ARRAY[
	$$inner_product('[1,2,3]', '[1,2,3,4]')$$, $$'[1]'::embedding <#> '[1,2]'$$,
	$$cosine_similarity('[1]', '[1,2]')$$, $$'[1]'::embedding <=> '[1,2]'$$,
	$$l2_distance('[1]', '[1,2]')$$, $$'[1]'::embedding <-> '[1,2]'$$,
	$$'[1]'::embedding + '[1,2]'$$, $$'[1]'::embedding - '[1,2]'$$, $$'[1]'::embedding * '[1,2]'$$,
	$$'[1,3e38]'::embedding + '[1,3e38]'$$, $$'[1,3e38]'::embedding - '[1,-3e38]'$$, $$'[1e20]'::embedding * '[-1e20]'$$,
	$$array_fill(1::real, ARRAY[8000])::embedding || array_fill(1::real, ARRAY[8001])::embedding$$]) s,
	pg_temp.failure('SELECT ' || s) f;

-- Order: element by element, then the shorter first; -0 equals 0
SELECT a, b, a < b AS lt, a <= b AS le, a = b AS eq, a <> b AS ne, a >= b AS ge, a > b AS gt, embedding_cmp(a, b) AS cmp
FROM (VALUES ('[1,2]'::embedding, '[1,3]'::embedding), ('[1,3]', '[1,2]'), ('[1,2]', '[1,2]'), ('[1]', '[1,0]'),
			 ('[1,0]', '[1]'), ('[2]', '[1,9]'), ('[-0,1]', '[0,1]'), ('[-1]', '[1e-45]'), ('[1]', NULL)) t (a, b);
SELECT embedding_hash('[-0,1]') = embedding_hash('[0,1]') AS zeros,
	embedding_hash('[0,1]') = embedding_hash('[1,0]') AS order_counts,
	embedding_hash('[0]') = embedding_hash('[0,0]') AS dims_count,
	embedding_hash_extended('[-0,1]', 7) = embedding_hash_extended('[0,1]', 7) AS zeros_extended,
	embedding_hash_extended('[1]', 7) = embedding_hash_extended('[1]', 8) AS seed_counts,
	embedding_hash_extended('[1,2]', 0)::bit(32) = embedding_hash('[1,2]')::bit(32) AS same_low_bits;

CREATE TABLE embedding_table (id int, e embedding);
INSERT INTO embedding_table VALUES (1, '[2,1]'), (2, '[-0]'), (3, '[1,5]'), (4, NULL), (5, '[0]'),
	(6, '[1,5,0]'), (7, '[2,1]'), (8, '[-3,4]'), (9, NULL), (10, '[1]');
SELECT id, e FROM embedding_table ORDER BY e, id;
SELECT id, e FROM embedding_table ORDER BY e DESC NULLS LAST, id LIMIT 3;
SET enable_sort = off;
SELECT pg_temp.plan_has('SELECT DISTINCT e FROM embedding_table', 'Aggregate') AS hashed;
SELECT count(*) FROM (SELECT DISTINCT e FROM embedding_table) t;
RESET enable_sort;
SET enable_hashagg = off;
SELECT pg_temp.plan_has('SELECT DISTINCT e FROM embedding_table', 'Sort') AS sorted;
SELECT count(*) FROM (SELECT DISTINCT e FROM embedding_table) t;
RESET enable_hashagg;
SELECT min(id), count(*) FROM embedding_table GROUP BY e ORDER BY 1;
SELECT id FROM embedding_table WHERE e IN ('[0]', '[1,5,0]', '[7]') ORDER BY id;

-- hash join and merge join agree with a nested loop
CREATE TEMP TABLE joined (method text, rows bigint, checksum numeric);
CREATE FUNCTION pg_temp.self_join(method text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('enable_hashjoin', (method = 'Hash Join')::text, true),
		set_config('enable_mergejoin', (method = 'Merge Join')::text, true),
		set_config('enable_nestloop', (method = 'Nested Loop')::text, true);
	INSERT INTO joined SELECT method, count(*), sum(a.id * 100 + b.id) FROM many a JOIN many b USING (e);
	RETURN pg_temp.plan_has('SELECT FROM many a JOIN many b USING (e)', method);
END $$;
CREATE TABLE many AS
SELECT id, ARRAY[id % 50, -(id % 3), 0 * (id % 2 - 0.5)]::float8[]::embedding AS e FROM generate_series(1, 600) id;
ANALYZE many;
SELECT m, pg_temp.self_join(m) AS used FROM unnest(ARRAY['Hash Join', 'Merge Join', 'Nested Loop']) m;
SELECT count(*), count(DISTINCT (rows, checksum)), min(rows) FROM joined;

-- btree and hash indexes
CREATE INDEX many_btree ON many USING btree (e);
CREATE INDEX many_hash ON many USING hash (e);
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SELECT pg_temp.plan_has($$SELECT FROM many WHERE e > '[48,-2,0]'$$, 'Index Only Scan')
	OR pg_temp.plan_has($$SELECT FROM many WHERE e > '[48,-2,0]'$$, 'Index Scan') AS indexed;
SELECT count(*) FROM many WHERE e > '[48,-2,0]' AND e <= '[49,-1]';
SELECT count(*) FROM many WHERE e = '[49,-1,0]';
SELECT count(*) FROM (SELECT e, lag(e) OVER () AS before FROM (SELECT e FROM many ORDER BY e) t) u WHERE before > e;
DROP INDEX many_btree;
SELECT pg_temp.plan_has($$SELECT FROM many WHERE e = '[49,-1,-0]'$$, 'Index Scan') AS indexed;
SELECT count(*) FROM many WHERE e = '[49,-1,-0]';
RESET enable_seqscan;
RESET enable_bitmapscan;
CREATE TEMP TABLE uniquely (e embedding UNIQUE);
INSERT INTO uniquely VALUES ('[0,1]'), ('[0]'), ('[0,1,2]');
SELECT * FROM pg_temp.failure($$INSERT INTO uniquely VALUES ('[-0,1]')$$);

-- nearest neighbours by a full sort
SELECT id, round((e <-> '[10,-1,0]')::numeric, 4) AS distance FROM many ORDER BY e <-> '[10,-1,0]', id LIMIT 3;
SELECT id, round((e <#> '[1,0,0]')::numeric, 4) AS negative FROM many ORDER BY e <#> '[1,0,0]', id LIMIT 3;

-- every operator knows its commutator and negator, and everything is parallel safe
SELECT o.oprname, c.oprname AS commutator, n.oprname AS negator, o.oprrest, o.oprjoin, o.oprcanhash, o.oprcanmerge
FROM pg_operator o LEFT JOIN pg_operator c ON c.oid = o.oprcom LEFT JOIN pg_operator n ON n.oid = o.oprnegate
WHERE o.oprleft = 'embedding'::regtype AND o.oprright = 'embedding'::regtype ORDER BY o.oprname COLLATE "C";
SELECT proname FROM pg_proc
WHERE 'embedding'::regtype IN (prorettype, proargtypes[0]) AND proname LIKE 'embedding%'
	AND (proparallel <> 's' OR provolatile <> 'i');

DROP TABLE embedding_table, many;
