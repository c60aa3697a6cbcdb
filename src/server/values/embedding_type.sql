-- tfrs.embedding: the type, its input and output, and its casts.

-- What is not for everybody is revoked where it is defined.
GRANT USAGE ON SCHEMA @extschema@ TO PUBLIC;

CREATE TYPE embedding;

CREATE FUNCTION embedding_in(cstring, oid, integer) RETURNS embedding
	AS 'MODULE_PATHNAME', 'tfrs_embedding_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION embedding_in(cstring, oid, integer) IS 'I/O';

CREATE FUNCTION embedding_out(embedding) RETURNS cstring
	AS 'MODULE_PATHNAME', 'tfrs_embedding_out' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION embedding_out(embedding) IS 'I/O';

CREATE FUNCTION embedding_recv(internal, oid, integer) RETURNS embedding
	AS 'MODULE_PATHNAME', 'tfrs_embedding_recv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION embedding_recv(internal, oid, integer) IS 'I/O';

CREATE FUNCTION embedding_send(embedding) RETURNS bytea
	AS 'MODULE_PATHNAME', 'tfrs_embedding_send' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION embedding_send(embedding) IS 'I/O';

CREATE FUNCTION embedding_typmod_in(cstring[]) RETURNS integer
	AS 'MODULE_PATHNAME', 'tfrs_embedding_typmod_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION embedding_typmod_in(cstring[]) IS 'I/O typmod';

CREATE FUNCTION embedding_typmod_out(integer) RETURNS cstring
	AS 'MODULE_PATHNAME', 'tfrs_embedding_typmod_out' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION embedding_typmod_out(integer) IS 'I/O typmod';

CREATE TYPE embedding (
	INPUT = embedding_in,
	OUTPUT = embedding_out,
	RECEIVE = embedding_recv,
	SEND = embedding_send,
	TYPMOD_IN = embedding_typmod_in,
	TYPMOD_OUT = embedding_typmod_out,
	ALIGNMENT = int4,
	STORAGE = external
);

COMMENT ON TYPE embedding IS
	'vector of 1 to 16000 finite float4; embedding(n) fixes its dimension';

CREATE FUNCTION embedding_to_embedding(embedding, integer, boolean) RETURNS embedding
	AS 'MODULE_PATHNAME', 'tfrs_embedding_to_embedding' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION embedding_to_embedding(embedding, integer, boolean) IS
	'check that an embedding has the dimension that its column asks for';

CREATE FUNCTION array_to_embedding(real[], integer, boolean) RETURNS embedding
	AS 'MODULE_PATHNAME', 'tfrs_array_to_embedding' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION array_to_embedding(real[], integer, boolean) IS
	'convert real[] to embedding';

CREATE FUNCTION array_to_embedding(double precision[], integer, boolean) RETURNS embedding
	AS 'MODULE_PATHNAME', 'tfrs_array_to_embedding' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION array_to_embedding(double precision[], integer, boolean) IS
	'convert double precision[] to embedding';

CREATE FUNCTION array_to_embedding(numeric[], integer, boolean) RETURNS embedding
	AS 'MODULE_PATHNAME', 'tfrs_array_to_embedding' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION array_to_embedding(numeric[], integer, boolean) IS
	'convert numeric[] to embedding';

CREATE FUNCTION array_to_embedding(integer[], integer, boolean) RETURNS embedding
	AS 'MODULE_PATHNAME', 'tfrs_array_to_embedding' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION array_to_embedding(integer[], integer, boolean) IS
	'convert integer[] to embedding';

CREATE FUNCTION embedding_to_array(embedding) RETURNS real[]
	AS 'MODULE_PATHNAME', 'tfrs_embedding_to_array' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION embedding_to_array(embedding) IS 'convert embedding to real[]';

CREATE CAST (embedding AS embedding)
	WITH FUNCTION embedding_to_embedding(embedding, integer, boolean) AS IMPLICIT;

CREATE CAST (real[] AS embedding)
	WITH FUNCTION array_to_embedding(real[], integer, boolean) AS ASSIGNMENT;

CREATE CAST (double precision[] AS embedding)
	WITH FUNCTION array_to_embedding(double precision[], integer, boolean) AS ASSIGNMENT;

CREATE CAST (numeric[] AS embedding)
	WITH FUNCTION array_to_embedding(numeric[], integer, boolean) AS ASSIGNMENT;

CREATE CAST (integer[] AS embedding)
	WITH FUNCTION array_to_embedding(integer[], integer, boolean) AS ASSIGNMENT;

CREATE CAST (embedding AS real[])
	WITH FUNCTION embedding_to_array(embedding) AS IMPLICIT;

-- Direct casts between embedding and pgvector's vector, on request: we do not depend on
-- pgvector.  They go through the text form, which both types share and both check; their stored
-- forms are equal too, but a cast without a function would trust pgvector's private layout.
CREATE FUNCTION add_pgvector_casts() RETURNS void
	LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	embedding CONSTANT regtype := '@extschema@.embedding';
	vector regtype;
BEGIN
	SELECT t.oid INTO vector
	FROM pg_type t JOIN pg_extension e ON t.typnamespace = e.extnamespace
	WHERE e.extname = 'vector' AND t.typname = 'vector';
	IF vector IS NULL THEN
		RAISE EXCEPTION 'extension "vector" is not installed in this database'
			USING ERRCODE = 'undefined_object',
				HINT = 'Run CREATE EXTENSION vector first.';
	END IF;
	IF NOT EXISTS (SELECT FROM pg_cast WHERE castsource = embedding AND casttarget = vector) THEN
		EXECUTE format('CREATE CAST (%s AS %s) WITH INOUT AS ASSIGNMENT', embedding, vector);
	END IF;
	IF NOT EXISTS (SELECT FROM pg_cast WHERE castsource = vector AND casttarget = embedding) THEN
		EXECUTE format('CREATE CAST (%s AS %s) WITH INOUT AS ASSIGNMENT', vector, embedding);
	END IF;
END
$$;
COMMENT ON FUNCTION add_pgvector_casts() IS
	'creates casts between embedding and pgvector''s type vector; only an owner of the types may';
