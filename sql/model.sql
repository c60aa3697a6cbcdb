-- tfrs.model: text and binary form, hostile bytes, and what can be read out of a model.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS tfrs_retrieval;
RESET client_min_messages;
SET search_path = tfrs, public;

CREATE TEMP TABLE models (name text, model model);
INSERT INTO models
SELECT 'integer', train(i % 7, 'item ' || i * i % 11, '{"history": false, "mask_known": false, "dim": 3, "epochs": 2}') FROM generate_series(1, 200) AS i;
INSERT INTO models
SELECT 'text', train('user ' || i % 7, i * i % 11, '{"history": false, "mask_known": false, "dim": 3, "epochs": 2}') FROM generate_series(1, 200) AS i;
INSERT INTO models
SELECT 'uuid', train(md5((i % 3)::text)::uuid, date '2024-01-01' + i % 2, '{"preset": "tfrs", "dim": 1, "epochs": 1}')
FROM generate_series(1, 20) AS i;
INSERT INTO models
SELECT 'boolean', train(i % 2 = 0, i % 3, '{"history": false, "mask_known": false, "dim": 2, "epochs": 1}') FROM generate_series(1, 20) AS i;

-- The type
SELECT typalign, typstorage, typlen FROM pg_type WHERE oid = 'model'::regtype;
SELECT count(*) AS comparisons FROM pg_operator WHERE oprleft = 'model'::regtype;
SELECT attstorage FROM pg_attribute WHERE attrelid = 'models'::regclass AND attname = 'model';

-- Text and bytes come back as they were
SELECT name, model::text::model::text = model::text AS text,
	decode(model::text, 'base64') = model_send(model) AS binary FROM models;
CREATE TEMP TABLE copied (LIKE models);
-- (COPY in the binary format, without a file)
CREATE FUNCTION pg_temp.receive(value bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
	stream bytea := '\x5047434f50590aff0d0a0000000000000000000002ffffffff'::bytea
		|| int4send(length(value)) || value || '\xffff'::bytea;
BEGIN
	EXECUTE format('COPY copied FROM PROGRAM %L (FORMAT binary)',
		'echo ' || replace(encode(stream, 'base64'), E'\n', '') || ' | base64 -d');
	RETURN 'received';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN SQLSTATE || ' ' || SQLERRM || ': ' || detail;
END $$;
SELECT name, pg_temp.receive(model_send(model)) FROM models;
SELECT count(*) FROM copied JOIN models ON copied.model::text = models.model::text;

-- Hostile text
SELECT ''::model;
SELECT 'a'::model;
SELECT '===='::model;
SELECT 'AAAA====AAAA'::model;
SELECT 'AAA='::model;
SELECT '!!!!'::model;
SELECT repeat('A', 4000)::model;
SELECT (left(model::text, 100) || ' ' || substr(model::text, 102))::model FROM models WHERE name = 'uuid';
SELECT replace(encode(decode(model::text, 'base64') || '\x000000', 'base64'), E'\n', '')::model FROM models WHERE name = 'uuid';
SELECT left(model::text, -4)::model FROM models WHERE name = 'uuid';
-- and bytes
SELECT pg_temp.receive('');
SELECT pg_temp.receive('\x00');
SELECT pg_temp.receive(substring(model_send(model), 1, 64)) FROM models WHERE name = 'uuid';
SELECT pg_temp.receive(model_send(model) || '\x00') FROM models WHERE name = 'uuid';
SELECT pg_temp.receive(set_byte(model_send(model), 0, 0)) FROM models WHERE name = 'uuid';
-- a later format, the other kind, another digest
SELECT pg_temp.receive(set_byte(model_send(model), 8, 2)) FROM models WHERE name = 'uuid';
SELECT pg_temp.receive(set_byte(model_send(model), 16, 2)) FROM models WHERE name = 'uuid';
SELECT pg_temp.receive(set_byte(model_send(model), 40, get_byte(model_send(model), 40) # 1)) FROM models
WHERE name = 'uuid';
-- every byte matters, wherever it is, and so does every length
CREATE FUNCTION pg_temp.accepted(value bytea) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	PERFORM replace(encode(value, 'base64'), E'\n', '')::tfrs.model;
	RETURN true;
EXCEPTION WHEN invalid_text_representation OR feature_not_supported THEN
	RETURN false;
END $$;
SELECT count(*) FILTER (WHERE pg_temp.accepted(set_byte(b, i, get_byte(b, i) # (1 << i % 8)))) AS flipped,
	count(*) FILTER (WHERE pg_temp.accepted(substring(b, 1, i))) AS cut_off,
	pg_temp.accepted(b) AS as_it_is
FROM models, model_send(model) AS b, generate_series(0, length(b) - 1) AS i WHERE name = 'uuid' GROUP BY b;

-- Vectors: the arguments of every form mean the same
CREATE FUNCTION pg_temp.same(VARIADIC e embedding[]) RETURNS boolean LANGUAGE sql AS
$$ SELECT count(DISTINCT v::text) = 1 AND count(*) = count(v) FROM unnest(e) AS v $$;
PREPARE by_parameter AS SELECT embed_query(model, $1) FROM models WHERE name = 'integer';
EXECUTE by_parameter (NULL);
PREPARE typed (int) AS SELECT pg_temp.same(embed_query(model, $1), embed_query(model, '3')) FROM models WHERE name = 'integer';
EXECUTE typed (3);
DEALLOCATE ALL;
SELECT pg_temp.same(embed_query(model, 3), embed_query(model, 3::int2), embed_query(model, 3::int8),
	embed_query(model, '3'), embed_query(model, '3'::text), embed_query(model, ' 3'::varchar), embed_query(model, '3'::char(4)),
	embed_query(model, '3'::jsonb), embed_query(model, '"3"'::jsonb)) AS same
FROM models WHERE name = 'integer';
SELECT pg_temp.same(embed_candidate(model, 'item 1'), embed_candidate(model, 'item 1'::text),
	embed_candidate(model, 'item 1'::char(20)), embed_candidate(model, '"item 1"'::jsonb)) AS same
FROM models WHERE name = 'integer';
SELECT pg_temp.same(embed_query(model, md5('0')::uuid), embed_query(model, md5('0')), embed_query(model, upper(md5('0')))) AS same,
	pg_temp.same(embed_candidate(model, date '2024-01-02'), embed_candidate(model, '2024-01-02'),
		embed_candidate(model, '"20240102"'::jsonb)) AS same
FROM models WHERE name = 'uuid';
SELECT pg_temp.same(embed_query(model, true), embed_query(model, 'yes'), embed_query(model, 'true'::jsonb)) AS same
FROM models WHERE name = 'boolean';
-- different ids have different vectors, unknown ones that of the unknown slot
SELECT count(DISTINCT embed_query(model, i)::text) FROM models, generate_series(0, 6) AS i WHERE name = 'integer';
SELECT pg_temp.same(embed_query(model, 99), embed_query(model, '-1'), embed_query(model, 9223372036854775807)) AS same,
	pg_temp.same(embed_query(model, 99), embed_query(model, 3)) AS known
FROM models WHERE name = 'integer';
SELECT pg_temp.same(embed_candidate(model, ''), embed_candidate(model, 'item'), embed_candidate(model, repeat('x', 5000))) AS same
FROM models WHERE name = 'integer';
SELECT dims(embed_query(model, 3)), dims(embed_candidate(model, 'item 1')) FROM models WHERE name = 'integer';
-- NULL in, NULL out
SELECT embed_query(NULL, 1) IS NULL, embed_query(model, NULL) IS NULL, embed_query(model, NULL::int) IS NULL,
	embed_query(model, 'null'::jsonb) IS NULL, embed_candidate(model, NULL::text) IS NULL
FROM models WHERE name = 'integer';
-- wrong types and texts
SELECT embed_query(model, true) FROM models WHERE name = 'integer';
SELECT embed_query(model, 3) FROM models WHERE name = 'text';
SELECT embed_query(model, 1.5) FROM models WHERE name = 'integer';
SELECT embed_query(model, '1.5') FROM models WHERE name = 'integer';
SELECT embed_query(model, 'somebody') FROM models WHERE name = 'uuid';
SELECT embed_candidate(model, 'yesterday evening') FROM models WHERE name = 'uuid';
SELECT embed_query(model, '{"id": 3}'::jsonb) FROM models WHERE name = 'integer';
SELECT embed_query(model, '[3]'::jsonb) FROM models WHERE name = 'integer';
SELECT embed_query(model, ROW(3)) FROM models WHERE name = 'integer';
SELECT embed_candidate(model, ARRAY[3]) FROM models WHERE name = 'integer';
-- many models in one scan
SELECT name, count(DISTINCT e::text) FROM (
	SELECT name, embed_query(model, CASE name WHEN 'text' THEN 'user ' || i ELSE i::text END) AS e
	FROM generate_series(0, 6) AS i, models WHERE name IN ('text', 'integer')) AS t
GROUP BY name ORDER BY name;

-- What is in a model
SELECT name, i -> 'rows' AS rows, i -> 'queries' AS queries, i -> 'candidates' AS candidates, i -> 'dim' AS dim,
	i -> 'query' ->> 'id' AS query, i -> 'candidate' ->> 'id' AS candidate, i -> 'options' -> 'epochs' AS epochs,
	(i -> 'bytes' ->> 'total')::int = length(model_send(model)) AS bytes, i -> 'bytes' -> 'vectors' AS vectors,
	i -> 'format' AS format
FROM models, model_info(model) AS i;
SELECT name, i ->> 'digest' = encode(substring(model_send(model), 33, 16), 'hex') AS digest
FROM models, model_info(model) AS i;
SELECT name, epoch, round((loss / loss_per_row)::numeric, 3) AS rows FROM models, training_history(model);
SELECT v.value, v.count, dims(v.embedding), pg_temp.same(v.embedding, embed_query(model, v.value)) AS same
FROM models, vocabulary(model, 'query', 'id') AS v WHERE name = 'integer';
SELECT value, count FROM models, vocabulary(model, 'candidate') WHERE name = 'integer' ORDER BY value;
SELECT i * i % 11 AS value, count(*) FROM generate_series(1, 200) AS i GROUP BY 1 ORDER BY 1;
SELECT count(*), bool_and(pg_temp.same(e.embedding, embed_candidate(model, e.id))) AS same
FROM models, candidate_embeddings(model) AS e;
SELECT count(*), bool_and(pg_temp.same(e.embedding, embed_query(model, e.id))) AS same
FROM models, query_embeddings(model) AS e;
SELECT (vocabulary(model, 'query')).value FROM models WHERE name = 'boolean' LIMIT 1;
-- dates have one form, whatever the session writes
SET datestyle = 'SQL, DMY';
SELECT id, date '2024-01-02' AS session FROM models, candidate_embeddings(model) WHERE name = 'uuid';
RESET datestyle;
SELECT vocabulary(model, 'user') FROM models WHERE name = 'boolean';
SELECT vocabulary(model, 'query', 'age') FROM models WHERE name = 'boolean';
SELECT count(*) FROM training_history(NULL), vocabulary(NULL, 'query', 'id'), query_embeddings(NULL), candidate_embeddings(NULL);
SELECT model_info(NULL);

-- The same rows in a database of another encoding give the same model, and it is read there
SET client_min_messages = warning;
DROP DATABASE IF EXISTS tfrs_regress_latin1;
CREATE DATABASE tfrs_regress_latin1 TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C';
DROP DATABASE IF EXISTS tfrs_regress_utf8;
CREATE DATABASE tfrs_regress_utf8 TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C';
SELECT current_database() AS here \gset
\c tfrs_regress_utf8
SET client_min_messages = warning;
CREATE EXTENSION tfrs_retrieval;
SELECT tfrs.train(chr(228 + i % 3), i % 2, '{"history": false, "epochs": 1, "dim": 1}') AS model FROM generate_series(1, 30) AS i \gset
\c tfrs_regress_latin1
SET client_min_messages = warning;
CREATE EXTENSION tfrs_retrieval;
SELECT tfrs.train(chr(228 + i % 3), i % 2, '{"history": false, "epochs": 1, "dim": 1}')::text = :'model' AS same FROM generate_series(1, 30) AS i;
SELECT octet_length(value), ascii(value), tfrs.embed_query(:'model', value)::text = embedding::text AS same
FROM tfrs.vocabulary(:'model', 'query');
\c :here
SET client_min_messages = warning;
DROP DATABASE tfrs_regress_latin1;
DROP DATABASE tfrs_regress_utf8;
