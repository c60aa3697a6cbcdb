-- Time and memory of a default training by the number of rows, on generated data (README.md).
--
--     psql -v rows=1000000 [-v options='{"history": {"steps": 200}}'] -f sizes.sql
--
-- A query has some 30 events, many have few and a few have hundreds; three quarters of them are in one of
-- 50 groups of candidates.  Candidates are chosen by a power law, 400 at 10,000 rows, 25,000 at 10 million.
\set ON_ERROR_STOP on
\if :{?options}
\else
\set options {}
\endif
SET tfrs.threads = 1;
SET max_parallel_workers_per_gather = 0;
SET client_min_messages = warning;
CREATE TEMP TABLE size AS
SELECT :rows AS n, greatest(1, :rows / 30) AS queries, (400 * (:rows / 10000.0) ^ 0.6)::int AS candidates;
SELECT setseed(0.5) \gset
CREATE TEMP TABLE generated AS
SELECT q::int AS query,
	((g * 37 + CASE WHEN random() < 0.75 THEN (random() ^ 3 * candidates / 50)::int * 50
					ELSE (random() ^ 3 * candidates)::int END) % candidates)::int AS candidate,
	to_timestamp(1.6e9 + random() * 3e7) AS at
FROM size, LATERAL (SELECT (queries * random() ^ 1.5)::int AS q, generate_series(1, n)) AS row,
	LATERAL (SELECT q % 50 AS g) AS of_query;
SELECT count(*) AS rows, count(DISTINCT query) AS queries, count(DISTINCT candidate) AS candidates FROM generated;
\timing on
CREATE TEMP TABLE without_times AS SELECT tfrs.train(query, candidate, :'options') AS model FROM generated;
CREATE TEMP TABLE with_times AS SELECT tfrs.train(query, candidate, NULL, at, :'options') AS model FROM generated;
\timing off
SELECT o -> 'dim' AS dim, o -> 'history' -> 'steps' AS steps, o -> 'history' -> 'columns' AS columns,
	o -> 'history' -> 'tied' AS tied, round((o -> 'temperature')::numeric, 3) AS temperature, pg_size_pretty(size::bigint) AS size
FROM (SELECT tfrs.model_info(model) -> 'options' AS o, pg_column_size(model) AS size FROM without_times
	UNION ALL SELECT tfrs.model_info(model) -> 'options', pg_column_size(model) FROM with_times) AS models;
SELECT regexp_replace(pg_read_file('/proc/self/status'), '.*VmHWM:\s*(\d+) kB.*', '\1')::bigint / 1024 AS peak_mb;
