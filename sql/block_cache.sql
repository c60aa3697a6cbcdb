-- The cache of models and indexes: what is in it, when it is read, what it may hold
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS tfrs_retrieval;
RESET client_min_messages;
SET search_path = public, tfrs;
SELECT clear_cache();

CREATE TABLE shelf (name text, index candidate_index);
INSERT INTO shelf SELECT 'a', build_index(i, format('[%s,%s]', i, 1)::embedding) FROM generate_series(1, 2000) i;

-- a stored value is read once, then known by where it is stored
CREATE VIEW reads AS SELECT coalesce(toast_blks_hit + toast_blks_read, 0) AS blocks
	FROM pg_statio_all_tables WHERE relid = 'shelf'::regclass;
CREATE FUNCTION flush() RETURNS void LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_stat_force_next_flush(); EXCEPTION WHEN undefined_function THEN PERFORM pg_sleep(1.1); END $$;
SELECT kind, hits FROM cache;
SELECT candidate FROM shelf, top_k(index, '[1,0]', 1);
SELECT kind, bytes > 16000 AS whole, hits FROM cache;
SELECT flush();
SELECT blocks AS before FROM reads \gset
SELECT candidate FROM shelf, top_k(index, '[1,0]', 1);
SELECT flush();
SELECT blocks - :before BETWEEN 1 AND 8 AS one_chunk_read FROM reads;

-- in a join it is not looked up again
SELECT flush();
SELECT blocks AS before FROM reads \gset
SELECT count(*) FROM shelf, generate_series(1, 10000) i, top_k(index, format('[%s,1]', i)::embedding, 3);
SELECT flush();
SELECT blocks - :before BETWEEN 1 AND 8 AS one_chunk_read FROM reads;
SELECT kind, hits FROM cache;

-- a changed value is another one, a rolled back one was never there
BEGIN;
UPDATE shelf SET index = (SELECT build_index(i, format('[%s,%s]', -i, 1)::embedding) FROM generate_series(1, 2000) i);
SELECT candidate FROM shelf, top_k(index, '[1,0]', 1);
ROLLBACK;
SELECT candidate FROM shelf, top_k(index, '[1,0]', 1);
SELECT count(*) FROM cache;
UPDATE shelf SET index = (SELECT build_index(i, format('[%s,%s]', i % 7, 1)::embedding) FROM generate_series(1, 2000) i);
SELECT candidate FROM shelf, top_k(index, '[1,0]', 1);

-- a table rewritten, vacuumed, compressed
VACUUM FULL shelf;
SELECT candidate FROM shelf, top_k(index, '[1,0]', 1);
ALTER TABLE shelf ALTER COLUMN name TYPE varchar(1), ALTER COLUMN index SET STORAGE extended;
SELECT candidate FROM shelf, top_k(index, '[1,0]', 1);
INSERT INTO shelf SELECT 'z', build_index(i, '[0,0]') FROM generate_series(1, 2000) i;
SELECT pg_column_size(index) < 16000 AS compressed, candidate FROM shelf, top_k(index, '[1,0]', 1) WHERE name = 'z';
DELETE FROM shelf WHERE name = 'z';

-- values that are not stored, or too small to be stored apart
SELECT clear_cache();
WITH built AS MATERIALIZED (SELECT build_index(i, format('[%s,1]', i)::embedding) AS index FROM generate_series(1, 2000) i)
SELECT count(*), max(candidate::int) FROM built, generate_series(1, 20), top_k(index, '[1,0]', 1);
INSERT INTO shelf SELECT 's', build_index(i, format('[%s,1]', i)::embedding) FROM generate_series(1, 3) i;
SELECT candidate FROM shelf, top_k(index, '[1,0]', 1) WHERE name = 's';
SELECT candidate FROM shelf, top_k(index::text::candidate_index, '[1,0]', 1) WHERE name = 's';
SELECT t.candidate FROM (SELECT array_agg(index) AS all FROM shelf) s, unnest(s.all) i, top_k(i, '[1,0]', 1) t ORDER BY 1;
SELECT t.candidate FROM (SELECT shelf AS row FROM shelf WHERE name = 'a') s, top_k((s.row).index, '[1,0]', 1) t;
SELECT kind, hits FROM cache ORDER BY hits;
DELETE FROM shelf WHERE name = 's';

-- least recently used out first, what is in use stays, what is larger than all serves its query
SELECT clear_cache();
INSERT INTO shelf SELECT name, build_index(i, format('[%s,%s]', i % n, 1)::embedding)
	FROM (VALUES ('b', 11), ('c', 13), ('d', 17)) v (name, n), generate_series(1, 20000) i GROUP BY name;
CREATE TABLE digest AS SELECT name, index_info(index) ->> 'digest' AS block FROM shelf;
SELECT clear_cache();
SET tfrs.cache_size = '1300kB';
CREATE VIEW held AS
	SELECT string_agg(name, '' ORDER BY name) AS names
	FROM cache JOIN digest ON digest.block = cache.block WHERE hits > 0;
SELECT count(*) FROM shelf WHERE name = 'b' AND prewarm(index) > 300000;
SELECT count(*) FROM shelf WHERE name = 'c' AND prewarm(index) > 300000;
SELECT names FROM held;
SELECT count(*) FROM shelf WHERE name = 'b' AND prewarm(index) > 300000;
SELECT count(*) FROM shelf WHERE name = 'd' AND prewarm(index) > 300000;
SELECT names FROM held;
-- what a cursor has open stays, then it goes
BEGIN;
DECLARE open CURSOR FOR SELECT name, t.candidate FROM shelf, top_k(index, '[1,0]', 1) t WHERE name = 'c';
FETCH open;
SELECT count(*) FROM shelf WHERE name = 'd' AND prewarm(index) > 300000;
SELECT names FROM held;
SELECT clear_cache();
SELECT names FROM held;
COMMIT;
SELECT names FROM held;
SET tfrs.cache_size = '128kB';
SELECT candidate FROM shelf, top_k(index, '[1,0]', 1) WHERE name = 'b';
SELECT count(*) FROM cache;
RESET tfrs.cache_size;

-- a large stored block lies in one file for all sessions: another one reads but the first chunk
SELECT clear_cache();
SELECT candidate FROM shelf, top_k(index, '[1,0]', 1) WHERE name = 'b';
SELECT name, kind, shared, hits FROM cache JOIN digest USING (block);
SELECT count(*) AS files, min(size) > 300000 AS whole FROM pg_ls_dir('base/pgsql_tmp') f, pg_stat_file('base/pgsql_tmp/' || f) s
WHERE f LIKE (SELECT 'pgsql\_tmp\_tfrs\_' || oid || '\_%' FROM pg_database WHERE datname = current_database());
SELECT flush();
\c
SET search_path = public, tfrs;
SELECT name, kind, shared, hits FROM cache JOIN digest USING (block);
SELECT blocks AS before FROM reads \gset
SELECT candidate FROM shelf, top_k(index, '[1,0]', 1) WHERE name = 'b';
SELECT flush();
SELECT blocks - :before BETWEEN 1 AND 8 AS one_chunk_read FROM reads;
SELECT name, kind, shared, hits FROM cache JOIN digest USING (block);

-- the same content elsewhere is another block: a digest alone opens nothing
CREATE TABLE copy AS SELECT * FROM shelf WHERE name = 'b';
SELECT candidate FROM copy, top_k(index, '[1,0]', 1);
SELECT name, kind, shared, hits FROM cache JOIN digest USING (block);
DROP TABLE copy;

-- a value that is not stored has no file
SELECT clear_cache();
SELECT t.candidate FROM (SELECT array_agg(index) AS all FROM shelf WHERE name = 'b') s, top_k(s.all[1], '[1,0]', 1) t;
SELECT shared, hits FROM cache;

-- an error in the middle unpins
SELECT 1 / (candidate::int - candidate::int) FROM shelf, top_k(index, '[1,0]', 1) WHERE name = 'b';
SELECT clear_cache();
SELECT count(*) FROM cache;

-- the cache is emptied by a superuser, or who was given the right
CREATE ROLE regress_tfrs_reader;
GRANT SELECT ON shelf TO regress_tfrs_reader;
GRANT USAGE ON SCHEMA public TO regress_tfrs_reader;
SET ROLE regress_tfrs_reader;
SELECT candidate FROM shelf, top_k(index, '[1,0]', 1) WHERE name = 'b';
SELECT kind, shared, hits FROM cache;
SELECT clear_cache();
\c
SET search_path = public, tfrs;
SELECT count(*) > 0 AS files FROM cache;
SET ROLE regress_tfrs_reader;
SELECT count(*) > 0 AS files FROM cache;
RESET ROLE;
REVOKE SELECT ON shelf FROM regress_tfrs_reader;
SET ROLE regress_tfrs_reader;
SELECT candidate FROM shelf, top_k(index, '[1,0]', 1) WHERE name = 'b';
RESET ROLE;

DROP VIEW held, reads;
DROP FUNCTION flush;
DROP TABLE shelf, digest;
REVOKE USAGE ON SCHEMA public FROM regress_tfrs_reader;
DROP ROLE regress_tfrs_reader;
