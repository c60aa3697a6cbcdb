-- tfrs.materialize: which tables are written to, and what their columns are
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS tfrs_retrieval;
CREATE ROLE regress_tfrs_other;
CREATE ROLE regress_tfrs_group;
CREATE FUNCTION columns_of(target regclass) RETURNS TABLE (name name, type text) LANGUAGE sql AS $$
	SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
	WHERE attrelid = target AND attname IN ('query', 'candidate') ORDER BY attnum $$;

-- domains over every type of ids: the columns are of the base types, and no CHECK is called
CREATE FUNCTION refuses(value anyelement) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	IF current_setting('regress.refuse', true) = 'on' THEN
		RAISE 'a CHECK was called for %', value;
	END IF;
	RETURN true;
END $$;
CREATE TYPE shade AS ENUM ('dark', 'light', 'none');
DO $$
DECLARE
	base text;
BEGIN
	FOREACH base IN ARRAY ARRAY['int2', 'int4', 'int8', 'text', 'varchar(40)', 'char(40)', 'uuid', 'bool', 'date', 'shade'] LOOP
		EXECUTE format('CREATE DOMAIN inner_domain AS %s', base);
		EXECUTE 'CREATE DOMAIN id_domain AS inner_domain CHECK (refuses(VALUE))';
		EXECUTE format('CREATE TABLE pick AS SELECT (enum_range(NULL::shade))[1 + n %% 3] AS shade, n %% 2 = 0 AS bool, n %% 5 AS int4 FROM generate_series(1, 60) n');
		EXECUTE format('ALTER TABLE pick ADD who id_domain, ADD what id_domain');
		EXECUTE format('UPDATE pick SET who = %1$s, what = %1$s', CASE base WHEN 'bool' THEN 'bool' WHEN 'shade' THEN 'shade'
			WHEN 'uuid' THEN 'md5(int4::text)::uuid' WHEN 'date' THEN 'date ''2026-01-01'' + int4' ELSE format('int4::%s', base) END);
		CALL tfrs.create_recommender('picks', 'pick', 'who', 'what', held_out => 0, options => '{"dim": 4, "history": {"steps": 5}}');
		CALL tfrs.refresh('picks');
		PERFORM set_config('regress.refuse', 'on', true);
		CALL tfrs.materialize('picks', 'pick_advice', k => 2, include_seen => true);
		CALL tfrs.materialize('picks', 'pick_advice', k => 1, include_seen => true);
		RAISE WARNING '% becomes %: % rows', base, (SELECT string_agg(DISTINCT type, ', ') FROM columns_of('pick_advice')),
			(SELECT count(*) FROM pick_advice);
		PERFORM set_config('regress.refuse', 'off', true);
		CALL tfrs.drop_recommender('picks');
		DROP TABLE pick, pick_advice;
		DROP DOMAIN id_domain, inner_domain;
	END LOOP;
END $$;
DROP FUNCTION refuses;

-- a table that has columns of domains, or of other types, is refused with what is to be done
CREATE TABLE visit (person varchar(4), thing varchar(4), mood shade, number int);
INSERT INTO visit SELECT 'p' || n % 20, 't' || (n * 7 + n / 20) % 13, (enum_range(NULL::shade))[1 + n % 3], n % 20 FROM generate_series(1, 200) n;
CALL tfrs.create_recommender('things', 'visit', 'person', 'thing', held_out => 0, options => '{"dim": 4, "history": {"steps": 20}}');
CALL tfrs.refresh('things');
CALL tfrs.materialize('things', 'advice', k => 2);
SELECT * FROM columns_of('advice');
CREATE DOMAIN short AS varchar(4);
ALTER TABLE advice ALTER query TYPE short;
CALL tfrs.materialize('things', 'advice');
ALTER TABLE advice ALTER query TYPE varchar;
CREATE DOMAIN number AS float8;
ALTER TABLE advice ALTER score TYPE number;
CALL tfrs.materialize('things', 'advice');
ALTER TABLE advice ALTER score TYPE float8;
ALTER TABLE advice ALTER candidate TYPE text;
CALL tfrs.materialize('things', 'advice');
ALTER TABLE advice ALTER candidate TYPE varchar(4);
CALL tfrs.materialize('things', 'advice');

-- ids that get longer go on to fit where the column has no length; else it is told before anything is written
ALTER TABLE visit ALTER person TYPE varchar(20);
INSERT INTO visit VALUES ('longer-person', 't1', 'dark', 1);
CALL tfrs.materialize('things', 'advice');
SELECT count(*) FROM advice WHERE query = 'longer-person';
ALTER TABLE visit ALTER thing TYPE varchar(20);
DELETE FROM visit WHERE person = 'p1';
CALL tfrs.materialize('things', 'advice');
SELECT count(*) FROM advice WHERE query = 'p1';
ALTER TABLE advice ALTER candidate TYPE varchar(20);
CALL tfrs.materialize('things', 'advice');
SELECT count(*) FROM advice WHERE query = 'p1';

-- a candidate that its type has lost
CALL tfrs.create_recommender('moods', 'visit', 'person', 'mood', held_out => 0, options => '{"dim": 4, "history": {"steps": 20}}');
CALL tfrs.refresh('moods');
CALL tfrs.materialize('moods', 'mood_advice', k => 3, include_seen => true);
ALTER TYPE shade RENAME VALUE 'light' TO 'bright';
CALL tfrs.materialize('moods', 'mood_advice', include_seen => true);
CALL tfrs.refresh('moods');
CALL tfrs.materialize('moods', 'mood_advice', include_seen => true);
SELECT DISTINCT candidate FROM mood_advice ORDER BY 1;
-- columns of another type than the model's
ALTER TABLE visit RENAME person TO person_text;
ALTER TABLE visit RENAME number TO person;
CALL tfrs.materialize('things', 'advice');
ALTER TABLE visit RENAME person TO number;
ALTER TABLE visit RENAME person_text TO person;

-- the table of a recommender that is renamed stays its table; that of another one is not taken
CALL tfrs.alter_recommender('things', new_name => 'articles');
CALL tfrs.materialize('articles', 'advice');
SELECT regexp_replace(obj_description('advice'::regclass), '\d+$', 'N');
CALL tfrs.alter_recommender('articles', new_name => 'goods');
CALL tfrs.create_recommender('articles', 'visit', 'person', 'thing', store => 'second_store', held_out => 0, options => '{"dim": 4, "history": {"steps": 20}}');
CALL tfrs.refresh('articles');
CALL tfrs.materialize('articles', 'advice');
CALL tfrs.materialize('goods', 'advice');
-- when that one is dropped, the name counts
CALL tfrs.alter_recommender('articles', new_name => 'things');
CALL tfrs.drop_recommender('goods');
COMMENT ON TABLE advice IS 'recommendations of "things", by tfrs.materialize, k = 2, recommender 123456789';
CALL tfrs.materialize('things', 'advice');
SELECT regexp_replace(obj_description('advice'::regclass), '\d+$', 'N');
-- a comment that was replaced is told
COMMENT ON TABLE advice IS 'for the sales team';
CALL tfrs.materialize('things', 'advice');
COMMENT ON TABLE public.advice IS 'recommendations of "things", by tfrs.materialize';
CALL tfrs.materialize('things', 'advice');

-- a comment is no proof: the table belongs to the caller or to the recommender's owner
ALTER TABLE advice OWNER TO regress_tfrs_other;
CALL tfrs.materialize('things', 'advice');
GRANT regress_tfrs_group TO regress_tfrs_other;
ALTER TABLE advice OWNER TO regress_tfrs_group;
GRANT SELECT ON visit TO regress_tfrs_other;
CALL tfrs.grant_recommender('things', 'regress_tfrs_other', 'use');
GRANT CREATE ON SCHEMA public TO regress_tfrs_other;
SET ROLE regress_tfrs_other;
CALL tfrs.materialize('things', 'advice');
CALL tfrs.materialize('things', 'own_advice', k => 1);
SELECT count(*) FROM own_advice;
RESET ROLE;
CALL tfrs.materialize('things', 'own_advice');
ALTER TABLE second_store OWNER TO regress_tfrs_other;
CALL tfrs.materialize('things', 'own_advice');
SELECT count(*) FROM own_advice;

CALL tfrs.drop_recommender('things');
CALL tfrs.drop_recommender('moods');
DROP TABLE advice, own_advice, mood_advice, visit;
DROP FUNCTION columns_of;
DROP DOMAIN short, number;
DROP TYPE shade;
REVOKE CREATE ON SCHEMA public FROM regress_tfrs_other;
DROP ROLE regress_tfrs_other, regress_tfrs_group;
