-- tfrs.build_index and the type tfrs.candidate_index
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS tfrs_retrieval;
RESET client_min_messages;
SET search_path = public, tfrs;

CREATE TABLE item (id int, label text, e embedding(3));
INSERT INTO item VALUES
	(1, 'one', '[1,0,0]'), (2, 'two', '[0,2,0]'), (3, 'three', '[0,0,3]'),
	(4, 'four', '[-4,0,0]'), (5, 'five', '[1,1,1]'), (6, 'six', '[1,1,1]');

-- an index is a value; its bytes depend on the rows, not on their order
CREATE TABLE shelf AS SELECT build_index(id, e) AS index FROM item;
SELECT pg_typeof(index), count(*) FROM shelf GROUP BY 1;
SELECT (SELECT build_index(id, e ORDER BY id) FROM item)::text =
	   (SELECT build_index(id, e ORDER BY id DESC) FROM item)::text AS same_bytes;
SELECT (SELECT build_index(id, e) FROM item)::text =
	   (SELECT build_index(id, e) FROM item WHERE id > 1)::text AS same_bytes;

-- text and binary forms; what comes in is checked
SELECT index::text::candidate_index::text = index::text AS same FROM shelf;
CREATE TEMP TABLE copied (index candidate_index);
\copy (SELECT index FROM shelf) TO 'results/build_index.copy' (FORMAT binary)
\copy copied FROM 'results/build_index.copy' (FORMAT binary)
SELECT c.index::text = s.index::text AS same FROM copied c, shelf s;
SELECT ''::candidate_index;
SELECT 'AAAA'::candidate_index;
SELECT 'not base64'::candidate_index;
SELECT left(index::text, 400)::candidate_index FROM shelf;
SELECT overlay(index::text PLACING 'AAAA' FROM 1)::candidate_index FROM shelf;
SELECT overlay(index::text PLACING 'zzzz' FROM 2001)::candidate_index FROM shelf;
-- a digest that is right over a head that is not
DO $$ BEGIN
	PERFORM 'VEZSU0JMT0sBAAAABAMCAQIAAAAFAAAAwAIAAAAAAACX7x9xtSTp170RXHVeBNr7AAAAAAAAAAAAAAAAAAAAAGNhbmRpZGF0ZS5pZHMAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAACAAQAAAAAAAAgAAAAAAAAACAAAAAAAAABjYW5kaWRhdGUua2luZAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAwAEAAAAAAAAIAAAAAAAAAAQAAAAAAAAAY2FuZGlkYXRlLnNsb3RzAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAACAAAAAAAACAAAAAAAAAAEAAAAAAAAAGluZGV4LmhlYWQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABAAgAAAAAAADAAAAAAAAAAMAAAAAAAAABpbmRleC52ZWN0b3JzAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAgAIAAAAAAAAEAAAAAAAAAAQAAAAAAAAAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAEAAAABAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAQAAAGMAAAABAAAAAAAAAAEAAAAAAAAAAAAAAAEAAAAAAIA/AAAAAAAAAAAAAIA/AAAAAAAAAAAAAAAAAAAAAAAAgD8AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA='::candidate_index;
EXCEPTION WHEN invalid_text_representation THEN
	DECLARE why text; BEGIN GET STACKED DIAGNOSTICS why = PG_EXCEPTION_DETAIL; RAISE NOTICE '%: %', SQLERRM, why; END;
END $$;

-- ids of every type
SELECT t.* FROM (SELECT build_index(label, e) i FROM item) x, top_k(i, '[1,2,3]') t;
SELECT t.* FROM (SELECT build_index(id::bigint, e) i FROM item) x, top_k(i, '[1,2,3]', 2) t;
SELECT t.* FROM (SELECT build_index(id::smallint, e) i FROM item) x, top_k(i, '[1,2,3]', 2) t;
SELECT t.* FROM (SELECT build_index(label::varchar(9), e) i FROM item) x, top_k(i, '[1,2,3]', 2) t;
SELECT t.* FROM (SELECT build_index(label::char(9), e) i FROM item) x, top_k(i, '[1,2,3]', 2) t;
SELECT t.* FROM (SELECT build_index(lpad(id::text, 32, '0')::uuid, e) i FROM item) x, top_k(i, '[1,2,3]', 2) t;
SELECT t.* FROM (SELECT build_index(date '2024-02-27' + id, e) i FROM item) x, top_k(i, '[1,2,3]', 3) t;
SELECT t.* FROM (SELECT build_index(id = 1, e) i FROM item WHERE id < 3) x, top_k(i, '[1,2,3]', 2) t;
CREATE TYPE size AS ENUM ('small', 'large');
SELECT t.* FROM (SELECT build_index(CASE id WHEN 1 THEN 'small' ELSE 'large' END::size, e) i FROM item WHERE id < 3) x,
	top_k_as(NULL::size, i, '[1,2,3]', 2) t;
SELECT build_index(id::numeric, e) FROM item;
SELECT build_index(now(), e) FROM item;
SELECT build_index(item, e) FROM item;

-- rows without an id or a vector are passed over; nothing left is NULL
SELECT t.* FROM (SELECT build_index(id, e) i FROM
		(SELECT nullif(id, 1) AS id, CASE WHEN id <> 2 THEN e END AS e FROM item) s) x,
	top_k(i, '[1,1,1]') t;
SELECT build_index(id, e) IS NULL AS nothing FROM item WHERE false;
SELECT build_index(NULL::int, e) IS NULL AS nothing FROM item;

-- one row; equal rows; dimensions
SELECT t.* FROM (SELECT build_index(id, e) i FROM item WHERE id = 3) x, top_k(i, '[1,1,1]') t;
SELECT build_index(id, e) FROM (SELECT id, e::embedding FROM item UNION ALL SELECT 7, '[1,2]') s;
SELECT build_index(1, e) FROM item;
SELECT t.* FROM (SELECT build_index(1, e, '{"duplicates": "first"}' ORDER BY id) i FROM item) x,
	top_k(i, '[1,0,0]') t;

-- metrics; a zero vector is like nothing
SELECT m.metric, rank, candidate, round(score::numeric, 4) AS score FROM (VALUES ('dot'), ('cosine'), ('l2')) m (metric),
	LATERAL (SELECT build_index(id, e, jsonb_build_object('metric', m.metric)) i
			 FROM (SELECT id, e::embedding FROM item UNION ALL SELECT 0, '[0,0,0]') s) x,
	top_k(i, '[3,4,0]', 3) t
ORDER BY metric, rank;

-- options
SELECT build_index(id, e, '{"kind": "exact", "seed": 1, "k": 5, "target_recall": 0.9}') IS NOT NULL AS built FROM item;
SELECT build_index(id, e, '{}')::text = (SELECT build_index(id, e) FROM item)::text AS same FROM item;
SELECT build_index(id, e, '{"metrik": "dot"}') FROM item;
SELECT build_index(id, e, '{"metric": "hamming"}') FROM item;
SELECT build_index(id, e, '{"target_recall": 0}') FROM item;
SELECT build_index(id, e, '{"k": 0}') FROM item;
SELECT build_index(id, e, '[]') FROM item;
SELECT build_index(id, e, '{"quantization": "int4"}') FROM item;
SELECT build_index(id, e, '{"quantization": "none", "kind": "tree"}') FROM item;
WITH built AS (SELECT q, build_index(i, ARRAY[i % 7, sqrt(i), sin(i)]::embedding, jsonb_build_object('quantization', q)) AS index
	FROM generate_series(1, 30000) i, unnest('{none,pq4,int8}'::text[]) q GROUP BY q)
SELECT q, index_info(index) ->> 'quantization' AS quantization, index_info(index) ? 'codes' AS codes,
	ARRAY(SELECT candidate FROM top_k(index, '[1,-0.5,2]', 5)) AS best FROM built ORDER BY q;
SELECT build_index(id, e, jsonb_build_object('seed', id)) FROM item;

-- what is in it, how well it finds
SELECT jsonb_pretty(index_info(index) - 'digest' - 'bytes') AS info, index_info(index) -> 'bytes' ->> 'vectors' AS vectors,
	length(index_info(index) ->> 'digest') AS digest FROM shelf;
SELECT index_info(build_index(label, e, '{"metric": "l2"}')) - 'digest' - 'bytes' AS info FROM item;
SELECT r.recall, round(r.low::numeric, 3) AS low, r.high
FROM shelf, recall(index, (SELECT array_agg(e::embedding) FROM item, generate_series(1, 10)), 3) r;
SELECT r.* FROM shelf, recall(index, '{}', 3) r;
SELECT r.* FROM shelf, recall(index, ARRAY[NULL, '[1,2]']::embedding[]) r;
SELECT r.* FROM shelf, recall(index, '{"[1,2,3]"}', -1) r;
SELECT prewarm(index) = (index_info(index) -> 'bytes' ->> 'total')::bigint AS whole FROM shelf;

-- one index a group, and not in a window
SELECT id % 2 AS odd, t.* FROM (SELECT id % 2 AS id, build_index(id, e) i FROM item GROUP BY 1) x,
	top_k(i, '[0,1,0]', 1) t ORDER BY odd;
SELECT build_index(id, e) OVER () FROM item;

-- hashed groups that are read again, without being filled again
SET enable_sort = off;
SET enable_material = off;
SELECT x, count(*), count(DISTINCT built) FROM generate_series(1, 2) x LEFT JOIN
	(SELECT id % 2 AS odd, build_index(id, e)::text AS built FROM item GROUP BY 1 OFFSET 0) b ON odd < x
	GROUP BY x ORDER BY x;
RESET enable_sort;
RESET enable_material;

-- memory is bounded
SET tfrs.max_memory = '64kB';
SELECT build_index(i, ARRAY[i, 1]::embedding) FROM generate_series(1, 10000) i;
RESET tfrs.max_memory;

DROP TABLE item, shelf;
DROP TYPE size;

-- The operator and the index have one formula: among vectors of one direction the best one, as real, then by id, is the same
SELECT count(*) AS differences FROM generate_series(1, 300) q,
	LATERAL (SELECT build_index(i, (array[i * q * 0.37]::real[])::embedding, '{"metric": "cosine", "kind": "exact"}') AS index
		FROM generate_series(1, 5) i) x,
	LATERAL (SELECT * FROM top_k_as(NULL::int, index, (array[q * 1.13]::real[])::embedding, 1)) t,
	LATERAL (SELECT i AS best, s FROM generate_series(1, 5) i, LATERAL (SELECT cosine_similarity((array[i * q * 0.37]::real[])::embedding,
		(array[q * 1.13]::real[])::embedding)::real AS s) c ORDER BY s DESC, i LIMIT 1) s
WHERE candidate <> best OR score <> s;
