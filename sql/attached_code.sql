-- Code that others have attached to a table of recommendations, or to a store, is not run with its owner's privileges.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS tfrs_retrieval;
\set VERBOSITY terse
CREATE ROLE regress_tfrs_attacher;
CREATE SCHEMA attacher AUTHORIZATION regress_tfrs_attacher;
GRANT USAGE ON SCHEMA attacher TO PUBLIC;
CREATE TABLE pick AS SELECT n % 20 AS who, n * n % 31 AS what FROM generate_series(1, 400) n;
CALL tfrs.create_recommender('picks', 'pick', 'who', 'what', held_out => 0, options => '{"dim": 4, "history": {"steps": 5}}');
CALL tfrs.refresh('picks');
CALL tfrs.materialize('picks', 'advice', k => 2);
GRANT ALL ON advice, picks_recommender TO regress_tfrs_attacher;
SET ROLE regress_tfrs_attacher;
CREATE FUNCTION attacher.number() RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE WARNING 'number runs as %', current_user; RETURN 1; END $$;
CREATE FUNCTION attacher.number_of(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE WARNING 'number_of runs as %', current_user; RETURN n; END $$;
CREATE FUNCTION attacher.is_less(a int, b int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE WARNING 'is_less runs as %', current_user; RETURN a < b; END $$;
CREATE OPERATOR attacher.<< (LEFTARG = int, RIGHTARG = int, FUNCTION = attacher.is_less);
CREATE DOMAIN attacher.positive AS int DEFAULT attacher.number() CHECK (attacher.number_of(VALUE) > 0);
CREATE FUNCTION attacher.each_row() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'each_row runs as %', current_user; RETURN new; END $$;
-- who may create triggers is not the owner
CREATE TRIGGER attached BEFORE INSERT OR UPDATE ON advice FOR EACH ROW EXECUTE FUNCTION attacher.each_row();
CREATE TRIGGER attached BEFORE INSERT ON picks_recommender FOR EACH STATEMENT EXECUTE FUNCTION attacher.each_row();
RESET ROLE;
CALL tfrs.materialize('picks', 'advice', k => 3);
CALL tfrs.refresh('picks', force => true);
SELECT count(*) FROM advice;
DROP TRIGGER attached ON advice;
DROP TRIGGER attached ON picks_recommender;

-- what the owner has chosen, but others can change
CREATE PROCEDURE attempt(attach text, detach text) LANGUAGE plpgsql AS $$
BEGIN
	SET LOCAL client_min_messages = error;
	EXECUTE attach;
	SET LOCAL client_min_messages = warning;
	BEGIN
		CALL tfrs.materialize('picks', 'advice', k => 3);
		RAISE WARNING 'written: %', attach;
	EXCEPTION WHEN insufficient_privilege OR feature_not_supported THEN
		RAISE WARNING '%', SQLERRM;
	END;
	EXECUTE detach;
END $$;
CALL attempt('ALTER TABLE advice ADD extra int DEFAULT attacher.number()', 'ALTER TABLE advice DROP extra');
CALL attempt('ALTER TABLE advice ADD extra int GENERATED ALWAYS AS (attacher.number_of(rank)) STORED', 'ALTER TABLE advice DROP extra');
CALL attempt('ALTER TABLE advice ADD extra attacher.positive', 'ALTER TABLE advice DROP extra');
CALL attempt('ALTER TABLE advice ADD CONSTRAINT extra CHECK (attacher.number_of(rank) > 0)', 'ALTER TABLE advice DROP CONSTRAINT extra');
CALL attempt('ALTER TABLE advice ADD CONSTRAINT extra CHECK (0 OPERATOR(attacher.<<) rank)', 'ALTER TABLE advice DROP CONSTRAINT extra');
CALL attempt('CREATE INDEX extra ON advice (attacher.number_of(rank))', 'DROP INDEX extra');
CALL attempt('CREATE INDEX extra ON advice (rank) WHERE attacher.number_of(rank) > 0', 'DROP INDEX extra');
CALL attempt('CREATE STATISTICS extra ON (attacher.number_of(rank)), rank FROM advice', 'DROP STATISTICS extra');
CALL attempt('ALTER TABLE advice FORCE ROW LEVEL SECURITY, ENABLE ROW LEVEL SECURITY; CREATE POLICY extra ON advice USING (attacher.number() = 1)',
	'DROP POLICY extra ON advice; ALTER TABLE advice DISABLE ROW LEVEL SECURITY');
CALL attempt('CREATE RULE extra AS ON INSERT TO advice DO INSTEAD NOTHING', 'DROP RULE extra ON advice');
CALL attempt('CREATE TABLE part () INHERITS (advice); ALTER TABLE part OWNER TO regress_tfrs_attacher', 'DROP TABLE part');
-- what is the owner's own, or a superuser's, is run; views and references from elsewhere are no part of the table
CREATE FUNCTION own() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN new; END $$;
CREATE TRIGGER own BEFORE INSERT ON advice FOR EACH ROW EXECUTE FUNCTION own();
CREATE VIEW best AS SELECT attacher.number_of(rank) FROM advice WHERE rank = 1;
ALTER TABLE advice ADD extra int DEFAULT length('extra') CHECK (extra > 0);
CREATE TABLE noted (query int, candidate int, note text CHECK (attacher.number() > 0), FOREIGN KEY (query, candidate) REFERENCES advice ON DELETE CASCADE);
CALL tfrs.materialize('picks', 'advice', k => 3);
SELECT count(*), min(extra) FROM advice;
DROP TABLE noted;

-- a partitioned table, of which a part belongs to another role
CREATE TABLE parted (LIKE advice, PRIMARY KEY (query, candidate)) PARTITION BY RANGE (query);
COMMENT ON TABLE parted IS 'recommendations of "picks", by tfrs.materialize';
CREATE TABLE low PARTITION OF parted FOR VALUES FROM (MINVALUE) TO (10);
CREATE TABLE high PARTITION OF parted FOR VALUES FROM (10) TO (MAXVALUE);
CALL tfrs.materialize('picks', 'parted', k => 1);
SELECT count(*) FROM parted;
ALTER TABLE high OWNER TO regress_tfrs_attacher;
CALL tfrs.materialize('picks', 'parted', k => 2);
SELECT count(*) FROM parted;

CALL tfrs.drop_recommender('picks');
DROP TABLE parted, pick, advice CASCADE;
DROP FUNCTION own;
DROP PROCEDURE attempt;
DROP SCHEMA attacher CASCADE;
DROP ROLE regress_tfrs_attacher;
