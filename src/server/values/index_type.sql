-- tfrs.candidate_index: candidates and their vectors, ready to be searched, as a value.

CREATE TYPE candidate_index;

CREATE FUNCTION candidate_index_in(cstring) RETURNS candidate_index
	AS 'MODULE_PATHNAME', 'tfrs_candidate_index_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE FUNCTION candidate_index_out(candidate_index) RETURNS cstring
	AS 'MODULE_PATHNAME', 'tfrs_candidate_index_out' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE FUNCTION candidate_index_recv(internal) RETURNS candidate_index
	AS 'MODULE_PATHNAME', 'tfrs_candidate_index_recv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE FUNCTION candidate_index_send(candidate_index) RETURNS bytea
	AS 'MODULE_PATHNAME', 'tfrs_candidate_index_send' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE TYPE candidate_index (
	INPUT = candidate_index_in,
	OUTPUT = candidate_index_out,
	RECEIVE = candidate_index_recv,
	SEND = candidate_index_send,
	ALIGNMENT = double,
	STORAGE = external
);

COMMENT ON TYPE candidate_index IS 'candidates and their vectors, ready to be searched';
