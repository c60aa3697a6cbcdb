-- Recommenders: what is configured of them, and how they are created over tables or views, changed,
-- published, given to others and dropped.  The fields are those of recommender_fields.h.
--
-- The procedures work with the caller's privileges; refresh is in refresh.sql.  The table is one of
-- those that registry.sql tells about.

CREATE TABLE recommender (
	recommender_id integer PRIMARY KEY,
	name text COLLATE "C" NOT NULL UNIQUE,
	store relation_reference NOT NULL,
	interactions relation_reference NOT NULL,
	query_column text NOT NULL,
	candidate_column text NOT NULL,
	weight_column text,
	at_column text,
	candidates relation_reference,
	candidate_key text,
	label_column text,
	available_column text,
	options jsonb NOT NULL,
	held_out double precision NOT NULL,
	tolerance double precision NOT NULL,
	least_share double precision NOT NULL,
	keep_versions integer NOT NULL,
	current_version integer,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);

COMMENT ON TABLE recommender IS 'recommenders; read tfrs.recommender_status';
GRANT SELECT ON recommender TO pg_database_owner;
SELECT pg_catalog.pg_extension_config_dump('@extschema@.recommender', '');

CREATE PROCEDURE create_recommender(
	name text, interactions regclass, query text, candidate text,
	weight text DEFAULT NULL, at text DEFAULT NULL,
	candidates regclass DEFAULT NULL, candidate_key text DEFAULT NULL,
	label text DEFAULT NULL, available text DEFAULT NULL,
	options jsonb DEFAULT '{}', held_out double precision DEFAULT 0.1,
	tolerance double precision DEFAULT 0.05, least_share double precision DEFAULT 0.5,
	keep_versions bigint DEFAULT 3,
	store text DEFAULT NULL)
	LANGUAGE C AS 'MODULE_PATHNAME', 'tfrs_create_recommender';
COMMENT ON PROCEDURE create_recommender IS
	'creates a recommender over a table or view of interactions, and the table that will hold its models, or takes over such a table';

CREATE PROCEDURE alter_recommender(
	name text, interactions regclass DEFAULT NULL, query text DEFAULT NULL, candidate text DEFAULT NULL,
	weight text DEFAULT NULL, at text DEFAULT NULL,
	candidates regclass DEFAULT NULL, candidate_key text DEFAULT NULL,
	label text DEFAULT NULL, available text DEFAULT NULL,
	options jsonb DEFAULT NULL, held_out double precision DEFAULT NULL,
	tolerance double precision DEFAULT NULL, least_share double precision DEFAULT NULL,
	keep_versions bigint DEFAULT NULL,
	new_name text DEFAULT NULL, store text DEFAULT NULL)
	LANGUAGE C AS 'MODULE_PATHNAME', 'tfrs_alter_recommender';
COMMENT ON PROCEDURE alter_recommender IS
	'changes what is given; '''' takes a column away, ''-'' the candidates; the next refresh uses it';

CREATE PROCEDURE drop_recommender(name text)
	LANGUAGE C AS 'MODULE_PATHNAME', 'tfrs_drop_recommender';
COMMENT ON PROCEDURE drop_recommender IS
	'drops a recommender, the table of its models and what is recorded of its runs';

CREATE PROCEDURE publish(name text, version bigint)
	LANGUAGE C AS 'MODULE_PATHNAME', 'tfrs_publish';
COMMENT ON PROCEDURE publish IS 'makes a version of a recommender the one in use';

CREATE PROCEDURE revert(name text)
	LANGUAGE C AS 'MODULE_PATHNAME', 'tfrs_revert';
COMMENT ON PROCEDURE revert IS 'takes back the version of a recommender that is in use: the one published before it is used again';

CREATE PROCEDURE grant_recommender(name text, role text, privilege text)
	LANGUAGE C AS 'MODULE_PATHNAME', 'tfrs_grant_recommender';
COMMENT ON PROCEDURE grant_recommender IS
	'gives a role, or public, a recommender: use (recommendations), read (its weights too), none';
