-- What is being trained, built and evaluated at the moment.

CREATE FUNCTION progress_entries(OUT pid integer, OUT kind text, OUT subject text, OUT phase text, OUT epoch integer,
		OUT batch bigint, OUT rows_per_second double precision, OUT loss double precision,
		OUT remaining_seconds double precision, OUT done bigint, OUT total bigint, OUT began timestamptz)
	RETURNS SETOF record
	LANGUAGE C VOLATILE PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'tfrs_progress_entries';
COMMENT ON FUNCTION progress_entries() IS 'the rows of tfrs.progress';

CREATE VIEW progress AS
	SELECT pid, kind, subject, phase, epoch, batch, rows_per_second, loss, remaining_seconds, done, total, began
	FROM @extschema@.progress_entries();
COMMENT ON VIEW progress IS
	'trainings and builds that run in this database, own ones and, with pg_read_all_stats, those of others';
COMMENT ON COLUMN progress.pid IS 'process of the session, as in pg_stat_activity';
COMMENT ON COLUMN progress.kind IS 'train, build_index, tune_index, evaluate or refresh';
COMMENT ON COLUMN progress.subject IS 'recommender that the work is for; null: none';
COMMENT ON COLUMN progress.phase IS 'what is being done';
COMMENT ON COLUMN progress.epoch IS 'epoch of a training, from 1';
COMMENT ON COLUMN progress.batch IS 'batches that the epoch has had';
COMMENT ON COLUMN progress.rows_per_second IS 'rows of a training, with their repetitions, or of an index';
COMMENT ON COLUMN progress.loss IS 'loss per row of the epoch so far';
COMMENT ON COLUMN progress.remaining_seconds IS 'as far as can be told from done and total';
COMMENT ON COLUMN progress.done IS 'of total: work in units of its own kind';
COMMENT ON COLUMN progress.total IS 'work in all, before an early stop; null: not known yet';
COMMENT ON COLUMN progress.began IS 'since when';
GRANT SELECT ON progress TO PUBLIC;
