-- Recommenders: created over tables or views, changed, published, given to others, dropped.
-- The procedures work with the caller's privileges; refresh is in refresh.sql.

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
