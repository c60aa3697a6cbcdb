-- The view tfrs.progress: its columns, the rows of the own session, and that nothing stays behind
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS tfrs_retrieval;
RESET client_min_messages;
SET search_path = public, tfrs;

SELECT attname, format_type(atttypid, atttypmod), col_description(attrelid, attnum) IS NOT NULL AS explained
FROM pg_attribute WHERE attrelid = 'tfrs.progress'::regclass AND attnum > 0 ORDER BY attnum;
SELECT count(*) FROM progress WHERE pid = pg_backend_pid();

-- a look from within, at a row at which the run is older than what is never shown
CREATE TABLE seen (step serial, kind text, subject text, phase text, counted boolean, timed boolean);
CREATE FUNCTION look(i int, wait int, at int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	IF i = wait THEN PERFORM pg_sleep(.3); END IF;
	IF i = at THEN
		INSERT INTO seen (kind, subject, phase, counted, timed)
		SELECT p.kind, p.subject, p.phase, p.rows_per_second > 0, p.remaining_seconds IS NOT NULL
		FROM tfrs.progress p WHERE p.pid = pg_backend_pid();
	END IF;
	RETURN i;
END $$;
SELECT train(look(i, 1500, 2060) % 7, i % 5, '{"epochs": 1, "dim": 4, "history": false}') IS NOT NULL AS trained
FROM generate_series(1, 2100) i;
SELECT * FROM seen;
SELECT build_index(look(i, 1500, 2060), format('[%s,1]', i)::embedding) IS NOT NULL AS built FROM generate_series(1, 2100) i;
CREATE TABLE recommender AS SELECT train(i % 7, i % 5, '{"epochs": 1, "dim": 4}') AS model FROM generate_series(1, 30) i;
SELECT evaluate(model, look(i, 1500, 2060) % 7, i % 5) IS NOT NULL AS evaluated FROM recommender, generate_series(1, 2100) i;
SELECT kind, subject, phase, counted, timed FROM seen ORDER BY step;
SELECT count(*) FROM progress WHERE pid = pg_backend_pid();

-- one within another belongs to it
CREATE FUNCTION build(i int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	IF i = 2055 THEN PERFORM build_index(look(j, 1500, 2060), '[1,2]') FROM generate_series(1, 2100) j; END IF;
	RETURN i;
END $$;
TRUNCATE seen;
SELECT train(build(look(i, 1500, 2070)) % 7, i % 5, '{"epochs": 1, "dim": 4, "history": false}') IS NOT NULL AS trained
FROM generate_series(1, 2100) i;
SELECT kind, phase FROM seen ORDER BY step;

-- an error ends what was shown, also in a subtransaction
DO $$
DECLARE shown int;
BEGIN
	BEGIN
		PERFORM tfrs.train(look(i, 1500, 2060) / (2065 - i), i) FROM generate_series(1, 2100) i;
	EXCEPTION WHEN division_by_zero THEN
		SELECT count(*) INTO shown FROM tfrs.progress WHERE pid = pg_backend_pid();
		RAISE NOTICE 'after the error: %', shown;
	END;
END $$;

-- groups of a cursor: between two of them nothing is shown
BEGIN;
DECLARE groups CURSOR FOR
	SELECT i / 2100, train(look(i, 1500, 0) % 7, i % 5, '{"epochs": 1, "dim": 4, "history": false}') IS NOT NULL
	FROM generate_series(0, 6000) i GROUP BY 1 ORDER BY 1;
FETCH groups;
SELECT count(*) FROM progress WHERE pid = pg_backend_pid();
COMMIT;

-- who has no right to see others' statistics may ask
CREATE ROLE regress_tfrs_watcher;
SET ROLE regress_tfrs_watcher;
SELECT count(*) FROM tfrs.progress;
RESET ROLE;
DROP ROLE regress_tfrs_watcher;
DROP FUNCTION look, build;
DROP TABLE seen, recommender;
