-- Aggregates avg and sum of tfrs.embedding.
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

SELECT avg(e), sum(e), count(e) FROM (VALUES ('[1,2]'::embedding), (NULL), ('[4,-5]')) t (e);
SELECT avg(e) IS NULL AS avg, sum(e) IS NULL AS sum FROM (VALUES (NULL::embedding), (NULL)) t (e);
SELECT avg(e) IS NULL AS avg, sum(e) IS NULL AS sum FROM (SELECT '[1]'::embedding WHERE false) t (e);
SELECT g, avg(e), sum(e) FILTER (WHERE e > '[2]'), sum(DISTINCT e)
FROM (VALUES ('a', '[1,2]'::embedding), ('b', '[7]'), ('a', '[4,-5]'), ('a', '[4,-5]'), ('c', NULL)) t (g, e)
GROUP BY g ORDER BY g;

-- in double inside: a float sum would lose every 1
SELECT sum(e), avg(e)
FROM (SELECT '[16777216,3e38]'::embedding UNION ALL SELECT '[1,0]' FROM generate_series(1, 10)
	  UNION ALL SELECT '[-16777216,-3e38]') t (e);
SELECT avg(e) FROM unnest(ARRAY['[3e38]', '[3e38]', '[3e38]']::embedding[]) e;

SELECT s AS statement, f.*
FROM unnest(ARRAY[
	$$SELECT sum(e) FROM unnest(ARRAY['[3e38]', '[3e38]']::embedding[]) e$$,
	$$SELECT avg(e) FROM unnest(ARRAY['[1,2,3]', '[1,2,3,4]']::embedding[]) e$$,
	$$SELECT sum(e) FROM unnest(ARRAY['[1]', NULL, '[1,2]']::embedding[]) e$$]) s,
	pg_temp.failure(s) f;

-- window frames
SELECT i, sum(e) OVER (ORDER BY i ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS moving, avg(e) OVER (ORDER BY i) AS running
FROM (VALUES (1, '[1,1]'::embedding), (2, '[3,5]'), (3, NULL), (4, '[8,0]')) t (i, e);

-- parallel: the same as one process, groups and a mistake included
CREATE TABLE vectors AS
SELECT id, id % 5 AS g, ARRAY[id, id % 7, -1]::real[]::embedding AS e FROM generate_series(1, 20000) id;
ANALYZE vectors;
CREATE FUNCTION pg_temp.is_parallel(query text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT json) ' || query INTO plan;
	RETURN plan::text LIKE '%"Node Type": "Gather%' AND plan::text LIKE '%"Partial Mode": "Partial"%';
END $$;
CREATE TEMP TABLE alone AS SELECT g, avg(e), sum(e) FROM vectors GROUP BY g;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
SELECT pg_temp.is_parallel('SELECT avg(e), sum(e) FROM vectors') AS plain,
	pg_temp.is_parallel('SELECT g, avg(e), sum(e) FROM vectors GROUP BY g') AS grouped;
SELECT avg(e), sum(e) FROM vectors;
SELECT count(*), bool_and(a.avg = p.avg AND a.sum = p.sum) AS same
FROM alone a JOIN (SELECT g, avg(e), sum(e) FROM vectors GROUP BY g) p USING (g);
SET parallel_leader_participation = off;
SELECT avg(e), sum(e) FROM vectors;
SELECT avg(e) IS NULL AS nothing FROM vectors WHERE id < 0;
INSERT INTO vectors VALUES (0, 0, '[1]');
SELECT f.code, f.message IN ('different embedding dimensions 3 and 1', 'different embedding dimensions 1 and 3') AS right
FROM pg_temp.failure('SELECT avg(e) FROM vectors') f;
DROP TABLE vectors;
