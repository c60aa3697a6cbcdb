-- What monitoring and BI tools read of recommenders: text, bigint, double precision, boolean and
-- timestamptz only, as some drivers fail on a row with anything else.  A role sees the recommenders
-- that it owns, may read or may use.

CREATE FUNCTION recommender_about(name text, OUT privilege text, OUT owner text, OUT store text,
								  OUT interactions text, OUT candidates text, OUT source oid, OUT problem text)
	LANGUAGE C STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'tfrs_recommender_about';
COMMENT ON FUNCTION recommender_about IS
	'what the caller may do with a recommender (own, read, use; else NULL), and what it stands on';

CREATE FUNCTION recommender_lacks(name text, version integer) RETURNS boolean
	LANGUAGE C STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'tfrs_recommender_lacks';
COMMENT ON FUNCTION recommender_lacks IS
	'whether the model of a version of a recommender is known to be gone from the table that holds its models';

CREATE VIEW training_run WITH (security_barrier) AS
SELECT n.run_id,
	r.name AS recommender,
	n.version::bigint AS version,
	n.mode,
	s.state,
	n.started_at,
	n.finished_at,
	EXTRACT(EPOCH FROM coalesce(n.finished_at,
			CASE s.state WHEN 'running' THEN pg_catalog.clock_timestamp() END) - n.started_at)::double precision AS seconds,
	n.rows,
	n.queries,
	n.candidates,
	n.held_out_rows,
	v.published_at,
	v.held_back,
	coalesce(v.version = r.current_version, false) AS in_use,
	CASE WHEN v.version IS NULL OR v.pruned_at IS NOT NULL THEN false
		ELSE NOT @extschema@.recommender_lacks(r.name, v.version) END AS kept,
	CASE WHEN a.privilege = 'own' THEN coalesce(n.error,
		CASE s.state WHEN 'abandoned' THEN 'the session ended before the run did' END) END AS error,
	n.sqlstate
FROM @extschema@.recommender_run n
JOIN @extschema@.recommender r USING (recommender_id)
CROSS JOIN LATERAL @extschema@.recommender_about(r.name) a
LEFT JOIN @extschema@.recommender_version v ON v.recommender_id = n.recommender_id
	AND v.version = n.version AND v.run_id = n.run_id
-- A run goes on while its session holds the recommender's lock (a standby doesn't see it).
CROSS JOIN LATERAL (SELECT CASE
	WHEN n.state <> 'running' OR pg_catalog.pg_is_in_recovery() OR EXISTS (
		SELECT FROM pg_catalog.pg_locks l
		WHERE l.locktype = 'object' AND l.classid = '@extschema@.recommender'::regclass::oid AND l.granted
			AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d
				WHERE d.datname = pg_catalog.current_database())
			AND l.objid::bigint = n.recommender_id AND l.pid = n.pid) THEN n.state
	ELSE 'abandoned' END AS state) s
WHERE a.privilege IS NOT NULL;

CREATE VIEW training_epoch WITH (security_barrier) AS
SELECT r.name AS recommender,
	e.run_id,
	n.version::bigint AS version,
	e.epoch::bigint AS epoch,
	e.loss,
	e.loss_per_row,
	e.validation_value
FROM @extschema@.recommender_epoch e
JOIN @extschema@.recommender_run n USING (run_id)
JOIN @extschema@.recommender r USING (recommender_id)
CROSS JOIN LATERAL @extschema@.recommender_about(r.name) a
WHERE a.privilege IS NOT NULL;

CREATE VIEW metric WITH (security_barrier) AS
SELECT r.name AS recommender,
	m.version::bigint AS version,
	m.recorded_at,
	m.split,
	m.metric,
	m.k::bigint AS k,
	m.value,
	m.popularity_value,
	m.item_item_value
FROM @extschema@.recommender_metric m
JOIN @extschema@.recommender_run n USING (run_id)
JOIN @extschema@.recommender r USING (recommender_id)
CROSS JOIN LATERAL @extschema@.recommender_about(r.name) a
WHERE a.privilege IS NOT NULL;

CREATE VIEW recommender_status WITH (security_barrier) AS
SELECT r.name AS recommender,
	a.owner,
	a.privilege,
	a.interactions,
	a.candidates,
	a.store,
	r.current_version::bigint AS version,
	(SELECT pg_catalog.count(*) FROM @extschema@.recommender_version k
		WHERE k.recommender_id = r.recommender_id AND k.pruned_at IS NULL
			AND NOT @extschema@.recommender_lacks(r.name, k.version)) AS versions,
	v.created_at AS trained_at,
	v.published_at,
	EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() - v.created_at)::double precision AS age_seconds,
	n.rows AS rows,
	(SELECT CASE WHEN s.live < n.rows + coalesce(n.left_out_rows, 0) THEN 0
			ELSE s.live - n.rows - coalesce(n.left_out_rows, 0) END
		FROM (SELECT pg_catalog.sum(pg_catalog.pg_stat_get_live_tuples(t.relid))::bigint AS live
			FROM (SELECT a.source AS relid UNION SELECT p.relid::oid
				FROM pg_catalog.pg_partition_tree(a.source::regclass) p) t
			WHERE a.source IS NOT NULL) s) AS estimated_new_rows,
	l.state AS last_run_state,
	l.started_at AS last_run_at,
	coalesce(a.problem,
		CASE WHEN l.state IN ('failed', 'cancelled', 'abandoned') THEN 'the last refresh ' || CASE l.state
			WHEN 'abandoned' THEN 'was abandoned' WHEN 'cancelled' THEN 'was cancelled'
			ELSE 'failed' || coalesce(': ' || l.error, '') END END,
		CASE WHEN r.current_version IS NULL THEN 'no version is published' END,
		'version ' || h.version::text || ' was held back: ' || h.held_back) AS problem
FROM @extschema@.recommender r
CROSS JOIN LATERAL @extschema@.recommender_about(r.name) a
LEFT JOIN @extschema@.recommender_version v ON v.recommender_id = r.recommender_id
	AND v.version = r.current_version
LEFT JOIN @extschema@.recommender_run n ON n.run_id = v.run_id
LEFT JOIN LATERAL (
	SELECT t.state, t.started_at, t.error
	FROM @extschema@.training_run t WHERE t.recommender = r.name ORDER BY t.run_id DESC LIMIT 1) l ON true
-- The last version, where the guard kept it from use and nobody has decided about versions since.
LEFT JOIN LATERAL (
	SELECT k.version, k.held_back, k.deliberate, k.created_at
	FROM @extschema@.recommender_version k WHERE k.recommender_id = r.recommender_id
	ORDER BY k.version DESC LIMIT 1) h ON NOT h.deliberate AND h.created_at > v.published_at
WHERE a.privilege IS NOT NULL;

GRANT SELECT ON recommender_status, training_run, training_epoch, metric TO PUBLIC;

COMMENT ON VIEW recommender_status IS
	'one row a recommender: the version in use, its age, rows since it was trained, what is wrong';
COMMENT ON COLUMN recommender_status.recommender IS 'its name';
COMMENT ON COLUMN recommender_status.owner IS 'the owner of the table that holds its models';
COMMENT ON COLUMN recommender_status.privilege IS 'what you may do: own, read or use it';
COMMENT ON COLUMN recommender_status.interactions IS 'table or view of what each query chose';
COMMENT ON COLUMN recommender_status.candidates IS 'table or view of the candidates, where there is one';
COMMENT ON COLUMN recommender_status.store IS 'table that holds its models';
COMMENT ON COLUMN recommender_status.version IS 'the version in use';
COMMENT ON COLUMN recommender_status.versions IS 'how many versions are kept';
COMMENT ON COLUMN recommender_status.trained_at IS 'when the version in use was trained';
COMMENT ON COLUMN recommender_status.published_at IS 'when it was put to use';
COMMENT ON COLUMN recommender_status.age_seconds IS 'seconds since the version in use was trained';
COMMENT ON COLUMN recommender_status.rows IS
	'interactions that there were then, but for those without a query or a candidate, or of a weight of 0 or below';
COMMENT ON COLUMN recommender_status.estimated_new_rows IS
	'interactions since then, by the statistics; NULL for a view';
COMMENT ON COLUMN recommender_status.last_run_state IS
	'running, succeeded, unchanged, failed, cancelled or abandoned';
COMMENT ON COLUMN recommender_status.last_run_at IS 'when the last refresh began';
COMMENT ON COLUMN recommender_status.problem IS 'what needs somebody''s attention; NULL: nothing';

COMMENT ON VIEW training_run IS
	'one row a refresh, running ones included, in no order: ORDER BY run_id';
COMMENT ON COLUMN training_run.run_id IS 'number of the run';
COMMENT ON COLUMN training_run.recommender IS 'name of the recommender';
COMMENT ON COLUMN training_run.version IS 'the version that it made';
COMMENT ON COLUMN training_run.mode IS 'full, or warm: went on from the version in use';
COMMENT ON COLUMN training_run.state IS
	'running, succeeded, unchanged (there was nothing to learn), failed, cancelled or abandoned';
COMMENT ON COLUMN training_run.started_at IS 'when it began';
COMMENT ON COLUMN training_run.finished_at IS 'when it ended';
COMMENT ON COLUMN training_run.seconds IS 'how long it took, or has been running';
COMMENT ON COLUMN training_run.rows IS
	'interactions that there were: its version is trained on all of them';
COMMENT ON COLUMN training_run.queries IS 'distinct queries among them';
COMMENT ON COLUMN training_run.candidates IS 'distinct candidates among them';
COMMENT ON COLUMN training_run.held_out_rows IS
	'how many of them were held out at first: its figures are those of a training without them';
COMMENT ON COLUMN training_run.published_at IS 'when its version was put to use; NULL: never';
COMMENT ON COLUMN training_run.held_back IS 'why its version is not in use';
COMMENT ON COLUMN training_run.in_use IS 'whether its version is the one in use';
COMMENT ON COLUMN training_run.kept IS 'whether the model of its version is still there, to be put to use';
COMMENT ON COLUMN training_run.error IS 'what went wrong; for the owner''s eyes';
COMMENT ON COLUMN training_run.sqlstate IS 'the error''s SQLSTATE';

COMMENT ON VIEW training_epoch IS 'one row an epoch of each run, in no order: ORDER BY run_id, epoch';
COMMENT ON COLUMN training_epoch.recommender IS 'name of the recommender';
COMMENT ON COLUMN training_epoch.run_id IS 'number of the run';
COMMENT ON COLUMN training_epoch.version IS 'the version that it made';
COMMENT ON COLUMN training_epoch.epoch IS 'number of the epoch, from 1';
COMMENT ON COLUMN training_epoch.loss IS
	'sum of the losses of the epoch''s steps; it depends on how many there are';
COMMENT ON COLUMN training_epoch.loss_per_row IS
	'the loss to look at: mean of the steps (histories) or of the rows (plain tables)';
COMMENT ON COLUMN training_epoch.validation_value IS 'the metric of option validation, where it was measured';

COMMENT ON VIEW metric IS
	'quality of each version, and of two rankings that need no training, in no order: ORDER BY recorded_at';
COMMENT ON COLUMN metric.recommender IS 'name of the recommender';
COMMENT ON COLUMN metric.version IS 'the version that was measured';
COMMENT ON COLUMN metric.recorded_at IS 'when; versions measured at the same time can be compared';
COMMENT ON COLUMN metric.split IS
	'what was ranked: held_out; or unseen, the part of it that neither version was trained on, where two are compared';
COMMENT ON COLUMN metric.metric IS 'hit, recall, capped_recall, precision, ndcg, mrr, map, coverage or loss_per_row';
COMMENT ON COLUMN metric.k IS 'over the first k recommendations; 0: over all';
COMMENT ON COLUMN metric.value IS 'its value';
COMMENT ON COLUMN metric.popularity_value IS 'the value for the most popular candidates';
COMMENT ON COLUMN metric.item_item_value IS 'the value for item-item cosine';
