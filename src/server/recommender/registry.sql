-- Recommenders: what is known of them, but for what is configured, which is in recommender.sql.
-- Models lie in a table of each recommender's owner (the store), not here; C code reads and writes
-- these tables (registry.h), and the views in recommender_views.sql show them.
--
-- A dump has their rows.  They have no foreign keys, as rows are restored in any order and some of
-- them may be left out; numbers that are new are above all that there are, so the sequence is not
-- dumped.  Who dumps must read them: pg_dump turns row security off, so it can be no policy that
-- divides them.  The database's owner may read them, and nobody else.

CREATE SEQUENCE recommender_run_id_seq;

CREATE TABLE recommender_run (
	run_id bigint PRIMARY KEY,
	recommender_id integer NOT NULL,
	version integer,
	mode text NOT NULL,
	state text NOT NULL CHECK (state IN ('running', 'succeeded', 'unchanged', 'failed', 'cancelled', 'abandoned')),
	started_at timestamptz NOT NULL,
	finished_at timestamptz,
	pid integer NOT NULL,
	rows bigint,
	queries bigint,
	candidates bigint,
	held_out_rows bigint,
	split text,
	fingerprint text,
	error text,
	sqlstate text,
	left_out_rows bigint	-- for a NULL or a weight of 0
);
CREATE INDEX recommender_run_recommender_id_idx ON recommender_run (recommender_id, run_id);

CREATE TABLE recommender_version (
	recommender_id integer,
	version integer,
	run_id bigint,
	created_at timestamptz NOT NULL,
	published_at timestamptz,
	held_back text,
	deliberate boolean NOT NULL DEFAULT false,
	pruned_at timestamptz,
	query_tag integer,		-- the types of ids that it was trained on, as row_reader.h numbers them
	candidate_tag integer,
	PRIMARY KEY (recommender_id, version)
);

CREATE TABLE recommender_epoch (
	run_id bigint,
	epoch integer,
	loss double precision,
	loss_per_row double precision,
	validation_value double precision,
	PRIMARY KEY (run_id, epoch)
);

CREATE TABLE recommender_metric (
	run_id bigint,
	version integer,
	recorded_at timestamptz NOT NULL,
	split text,
	metric text,
	k integer,
	value double precision,
	popularity_value double precision,
	item_item_value double precision,
	PRIMARY KEY (run_id, version, split, metric, k)
);

COMMENT ON TABLE recommender_run IS 'runs of tfrs.refresh; read tfrs.training_run';
COMMENT ON TABLE recommender_version IS 'versions of the models of recommenders; read tfrs.training_run';
COMMENT ON TABLE recommender_epoch IS 'figures of the epochs of a run; read tfrs.training_epoch';
COMMENT ON TABLE recommender_metric IS 'quality of versions; read tfrs.metric';

GRANT SELECT ON recommender_run, recommender_version, recommender_epoch, recommender_metric
	TO pg_database_owner;

SELECT pg_catalog.pg_extension_config_dump('@extschema@.recommender_run', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.recommender_version', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.recommender_epoch', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.recommender_metric', '');
