-- Type tfrs.embedding: text and binary form, type modifier, casts.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS tfrs_retrieval;
RESET client_min_messages;
SET search_path = tfrs, public;

-- What a failing statement says; NULL where it succeeds.
CREATE FUNCTION pg_temp.failure(statement text, OUT code text, OUT message text, OUT detail text)
LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
		detail = PG_EXCEPTION_DETAIL;
END $$;

-- Text form
SELECT '[1,2.5,-3]'::embedding, E' \t\n[ 1 ,\r2.5\f, -3 ] '::embedding, '[7]'::embedding;
SELECT '[1e3,-1E-3,.5,5.,+6,0x10,-0,00012]'::embedding;
SELECT '[3.4028235e38,-3.4028235e38,1.1754944e-38,1e-45,16777217,0.1,0.30000001]'::embedding;
SET extra_float_digits = -15;
SELECT '[0.1,0.30000001,123456789]'::embedding;
RESET extra_float_digits;

-- every float survives its text form and the way through an array
SELECT count(*), count(DISTINCT e) > 9000 AS distinct_enough,
	bool_and(e::text::embedding::text = e::text AND e::text::embedding = e
			 AND e::real[]::embedding = e) AS same
FROM (SELECT ARRAY[(sin(i) * 10.0 ^ (i % 76 - 38))::real,
				   (cos(i) * 2.0 ^ (i % 200 - 100))::real]::embedding
	  FROM generate_series(1, 10000) i) t (e);

SELECT i AS input, f.*
FROM unnest(ARRAY[
	'', ' ', '[', ']', '[]', '[ ]', '1', '1,2', '[1', '1]', '[1,]', '[,1]', '[1,,2]', '[1 2]',
	'[1,2]3', '[1,2],', '[[1,2]]', '[[1],[2]]', '{1,2}', '(1,2)', '[a]', '[1,b]', '[1,2b]', '[1;2]', '[1,NULL]',
	'[--1]', '[1e]', '[1e5', '["1"]', '[1.2.3]', '[,]', '[,,,]', ']1[', '[-]', '[1]]',
	'[nan]', '[1,NaN]', '[inf]', '[1,-Infinity]', '[infinit]', '[1e39,2]', '[-1e39]', '[1,1e-60]']) i,
	pg_temp.failure(format('SELECT %L::embedding', i)) f;

-- long input
SELECT f.code, f.message, length(f.message) AS length, f.detail
FROM (VALUES (repeat('[', 100000)), ('[' || repeat('1,', 16000) || '1]'), ('[' || repeat('1,', 1000000) || '1]'),
			 (repeat(',', 100000)), ('[1,' || repeat('9', 100000) || ']'), ('[1' || repeat(' ', 1000000) || ',2)'),
			 ('[0.' || repeat('0', 100000) || '1]')) t (input),
	pg_temp.failure(format('SELECT %L::embedding', input)) f;
SELECT ('[1.' || repeat('0', 1000000) || ',' || repeat(' ', 1000000) || repeat('0', 1000000) || '2]')::embedding;

-- the largest
CREATE TEMP TABLE large AS
	SELECT array_agg((i / 7.0)::real ORDER BY i)::embedding AS e FROM generate_series(1, 16000) i;
SELECT dims(e), (e::real[])[1], (e::real[])[16000], pg_column_size(e), e::text::embedding = e AS same
FROM large;

-- soft errors, where the server has them
SELECT current_setting('server_version_num')::int >= 160000 AS soft \gset
\if :soft
SELECT NOT pg_input_is_valid('[1,x]', 'embedding') AND NOT pg_input_is_valid('[1,nan]', 'embedding')
	AND NOT pg_input_is_valid('[1e99]', 'embedding') AND NOT pg_input_is_valid('[]', 'embedding')
	AND NOT pg_input_is_valid('[1]', 'embedding(2)') AND pg_input_is_valid('[1,2]', 'embedding(2)')
	AND (pg_input_error_info('[1,x]', 'embedding')).sql_error_code = '22P02' AS right \gset
\else
\set right t
\endif
\echo soft errors are right: :right

-- Type modifier
CREATE TEMP TABLE item (id int, e embedding(3));
SELECT format_type(atttypid, atttypmod), attstorage FROM pg_attribute
WHERE attrelid = 'item'::regclass AND attname = 'e';
INSERT INTO item VALUES (1, '[1,2,3]'), (2, ARRAY[1, 2, 3]), (3, '{1.5,2.5,3.5}'::float8[]),
	(4, '{1e-3,2,3}'::numeric[]), (5, '{4,5,6}'::real[]), (6, '[7,8,9]'::embedding), (7, NULL),
	(8, '[7,8,9]'::embedding(3));
SELECT * FROM item;
SELECT s AS statement, f.code, f.message
FROM unnest(ARRAY[
	$$INSERT INTO item VALUES (9, '[1,2]')$$,
	$$INSERT INTO item VALUES (9, '[1,2]'::embedding)$$,
	$$INSERT INTO item VALUES (9, ARRAY[1,2,3,4])$$,
	$$UPDATE item SET e = e || e$$,
	$$SELECT '[1,2,3]'::embedding(2)$$,
	$$SELECT '[1,2,3]'::embedding::embedding(2)$$,
	$$SELECT '{1,2,3}'::real[]::embedding(2)$$,
	$$SELECT NULL::embedding(0)$$,
	$$SELECT NULL::embedding(-1)$$,
	$$SELECT NULL::embedding(16001)$$,
	$$SELECT NULL::embedding(2147483647)$$,
	$$SELECT NULL::embedding(1, 2)$$,
	$$SELECT NULL::embedding(a)$$,
	$$ALTER TABLE item ALTER e TYPE embedding(4)$$]) s,
	pg_temp.failure(s) f;
ALTER TABLE item ALTER e TYPE embedding;
INSERT INTO item VALUES (9, '[1,2]');
SELECT NULL::embedding(16000);

-- Casts
CREATE FUNCTION pg_temp.first(real[]) RETURNS real LANGUAGE sql AS 'SELECT $1[1]';
SELECT '[1,2.5]'::embedding::real[], pg_temp.first('[3,2]'::embedding) AS implicit,
	'[1,2]'::embedding = ARRAY[1,2]::real[]::embedding AS equal;
SELECT ARRAY[1,-2]::embedding, '{1.5,2}'::float8[]::embedding, '{16777217,1e-3}'::numeric[]::embedding,
	'{1,2}'::real[]::embedding, '[5:7]={1,2,3}'::int[]::embedding;
SELECT s AS statement, f.code, left(f.message, 60) AS message, f.detail
FROM unnest(ARRAY[
	$$SELECT '{}'::real[]::embedding$$,
	$$SELECT '{{1,2},{3,4}}'::real[]::embedding$$,
	$$SELECT '{1,NULL}'::int[]::embedding$$,
	$$SELECT '{1,NULL}'::numeric[]::embedding$$,
	$$SELECT '{1,NaN}'::real[]::embedding$$,
	$$SELECT '{1,2,-Infinity}'::float8[]::embedding$$,
	$$SELECT '{NaN}'::numeric[]::embedding$$,
	$$SELECT '{1e300}'::float8[]::embedding$$,
	$$SELECT '{1e300}'::numeric[]::embedding$$,
	$$SELECT array_fill(1::real, ARRAY[16001])::embedding$$,
	$$SELECT array_fill(1, ARRAY[10000000])::embedding$$,
	$$SELECT ARRAY['a']::embedding$$,
	$$SELECT 1::embedding$$]) s,
	pg_temp.failure(s) f;

-- in arrays, composites and domains
SELECT ARRAY['[1,2]', '[3]', NULL]::embedding[], ('{"[1,2]","[3]"}'::embedding[])[1];
CREATE TYPE pair AS (id int, e embedding(2));
SELECT ROW(1, '[1,2]')::pair, ('(1,"[3,4]")'::pair).e;
SELECT * FROM pg_temp.failure($$SELECT '(1,"[3]")'::pair$$);
CREATE DOMAIN unit AS embedding(2) CHECK (abs(norm(VALUE) - 1) < 1e-6);
SELECT '[0.6,0.8]'::unit, dims('[0.6,0.8]'::unit), '[0.6,0.8]'::unit + '[1,1]' AS sum;
SELECT s AS statement, f.code, f.message
FROM unnest(ARRAY[$$SELECT '[1,2]'::unit$$, $$SELECT '[1]'::unit$$]) s, pg_temp.failure(s) f;
SELECT embedding_in(NULL, 0, -1), NULL::embedding::real[], NULL::real[]::embedding;

-- Binary form: int16 dimension, int16 zero, float4 in network order
SELECT embedding_send('[1,-2.5,0]');
CREATE TEMP TABLE copied (LIKE item);
\copy item TO 'results/embedding.copy' (FORMAT binary)
\copy copied FROM 'results/embedding.copy' (FORMAT binary)
SELECT count(*), bool_and(c.e IS NOT DISTINCT FROM i.e) AS same FROM copied c JOIN item i USING (id);
CREATE TEMP TABLE copied_large (e embedding(16000));
\copy large TO 'results/embedding.copy' (FORMAT binary)
\copy copied_large FROM 'results/embedding.copy' (FORMAT binary)
SELECT c.e = l.e AS same FROM copied_large c, large l;

-- bytes that are no embedding: a file of one row with these bytes as its only column
CREATE TEMP TABLE file (id oid);
CREATE FUNCTION pg_temp.copy_file(value bytea) RETURNS oid LANGUAGE sql AS $$
	INSERT INTO file
	SELECT lo_from_bytea(0, '\x5047434f50590aff0d0a000000000000000000' || int2send(1::int2)
						 || int4send(length(value)) || value || int2send((-1)::int2))
	RETURNING id
$$;
CREATE TEMP TABLE received (e embedding);
SELECT pg_temp.copy_file('\x00020000' || float4send(1) || float4send(-2)) AS file \gset
\lo_export :file 'results/embedding.copy'
\copy received FROM 'results/embedding.copy' (FORMAT binary)
SELECT * FROM received;
\set SHOW_CONTEXT never
-- nothing; half a dimension; no zero field; dimension 0, -1, 16001; a second field that is not 0
SELECT pg_temp.copy_file('') AS file \gset
\lo_export :file 'results/embedding.copy'
\copy received FROM 'results/embedding.copy' (FORMAT binary)
SELECT pg_temp.copy_file('\x00') AS file \gset
\lo_export :file 'results/embedding.copy'
\copy received FROM 'results/embedding.copy' (FORMAT binary)
SELECT pg_temp.copy_file('\x0001') AS file \gset
\lo_export :file 'results/embedding.copy'
\copy received FROM 'results/embedding.copy' (FORMAT binary)
SELECT pg_temp.copy_file('\x00000000') AS file \gset
\lo_export :file 'results/embedding.copy'
\copy received FROM 'results/embedding.copy' (FORMAT binary)
SELECT pg_temp.copy_file('\xffff0000' || float4send(1)) AS file \gset
\lo_export :file 'results/embedding.copy'
\copy received FROM 'results/embedding.copy' (FORMAT binary)
SELECT pg_temp.copy_file('\x3e810000' || float4send(1)) AS file \gset
\lo_export :file 'results/embedding.copy'
\copy received FROM 'results/embedding.copy' (FORMAT binary)
SELECT pg_temp.copy_file('\x00010001' || float4send(1)) AS file \gset
\lo_export :file 'results/embedding.copy'
\copy received FROM 'results/embedding.copy' (FORMAT binary)
-- too few elements, too many, not finite
SELECT pg_temp.copy_file('\x00020000' || float4send(1)) AS file \gset
\lo_export :file 'results/embedding.copy'
\copy received FROM 'results/embedding.copy' (FORMAT binary)
SELECT pg_temp.copy_file('\x00010000' || float4send(1) || float4send(1)) AS file \gset
\lo_export :file 'results/embedding.copy'
\copy received FROM 'results/embedding.copy' (FORMAT binary)
SELECT pg_temp.copy_file('\x00010000' || float4send('NaN')) AS file \gset
\lo_export :file 'results/embedding.copy'
\copy received FROM 'results/embedding.copy' (FORMAT binary)
SELECT pg_temp.copy_file('\x00020000' || float4send(1) || float4send('-Infinity')) AS file \gset
\lo_export :file 'results/embedding.copy'
\copy received FROM 'results/embedding.copy' (FORMAT binary)
-- the wrong dimension for its column
SELECT pg_temp.copy_file('\x00010000' || float4send(1)) AS file \gset
\lo_export :file 'results/embedding.copy'
\copy copied_large FROM 'results/embedding.copy' (FORMAT binary)

SELECT count(lo_unlink(id)) FROM file;

-- pgvector is not needed; asked for without it:
SELECT * FROM pg_temp.failure('SELECT add_pgvector_casts()');

-- anybody may use the type
CREATE ROLE regress_tfrs_reader;
SET ROLE regress_tfrs_reader;
SELECT '[1,2]'::embedding + '[3,4]' AS sum;
RESET ROLE;
DROP ROLE regress_tfrs_reader;

DROP DOMAIN unit;
DROP TYPE pair;
