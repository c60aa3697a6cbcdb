-- columns whose type was changed after the recommender was created: one clear error everywhere, and a problem in the status
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS tfrs_retrieval;
CREATE TABLE item (item int, name text, in_stock boolean);
INSERT INTO item SELECT n, 'item ' || n, true FROM generate_series(1, 20) n;
CREATE TABLE sale (buyer int, item int, stars float8, at timestamptz);
INSERT INTO sale SELECT u, 1 + (u * 7 + n * 3) % 20, 1, timestamptz '2026-01-01 UTC' + n * interval '1 hour'
	FROM generate_series(1, 50) u, generate_series(1, 6) n;
CREATE INDEX ON sale (buyer);
CREATE INDEX ON item (item);
CALL tfrs.create_recommender('sales', 'sale', 'buyer', 'item', weight => 'stars', at => 'at', candidates => 'item', label => 'name',
	available => 'in_stock', held_out => 0, options => '{"dim": 4, "history": {"steps": 20}}');
CALL tfrs.refresh('sales');

CREATE FUNCTION error_of(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
	RETURN 'works';
EXCEPTION WHEN OTHERS THEN
	RETURN sqlstate || ' ' || sqlerrm;
END $$;
CREATE FUNCTION errors() RETURNS TABLE (error text, "of" text) LANGUAGE sql AS $$
	SELECT error_of(statement), string_agg(name, ', ' ORDER BY name COLLATE "C")
	FROM (VALUES ('recommend', 'SELECT * FROM tfrs.recommend(''sales'', 7)'), ('similar', 'SELECT * FROM tfrs.similar(''sales'', 7)'),
		('recommend_as', 'SELECT * FROM tfrs.recommend_as(NULL::text, ''sales'', 7)'),
		('explain', 'SELECT * FROM tfrs.explain(''sales'', 7, 3)'),
		('materialize', 'CALL tfrs.materialize(''sales'', ''public.sale_recommendation'')'),
		('refresh', 'CALL tfrs.refresh(''sales'', force => true)')) f (name, statement)
	GROUP BY 1 $$;

BEGIN; ALTER TABLE sale ALTER at TYPE text; SELECT problem FROM tfrs.recommender_status; SELECT * FROM errors(); ROLLBACK;
BEGIN; ALTER TABLE sale ALTER at TYPE bigint USING 1; SELECT problem FROM tfrs.recommender_status; SELECT * FROM errors(); ROLLBACK;
BEGIN; ALTER TABLE sale ALTER at TYPE time USING '12:00'; SELECT problem FROM tfrs.recommender_status; SELECT * FROM errors(); ROLLBACK;
BEGIN; ALTER TABLE sale ALTER stars TYPE text; SELECT problem FROM tfrs.recommender_status; SELECT * FROM errors(); ROLLBACK;
BEGIN; ALTER TABLE sale ALTER stars TYPE money USING 1; SELECT problem FROM tfrs.recommender_status; SELECT * FROM errors(); ROLLBACK;
BEGIN; ALTER TABLE sale ALTER buyer TYPE numeric; SELECT problem FROM tfrs.recommender_status; SELECT * FROM errors(); ROLLBACK;
BEGIN; ALTER TABLE sale ALTER item TYPE int[] USING ARRAY[item]; SELECT problem FROM tfrs.recommender_status; SELECT * FROM errors(); ROLLBACK;
BEGIN; ALTER TABLE item ALTER item TYPE numeric; SELECT problem FROM tfrs.recommender_status; SELECT * FROM errors(); ROLLBACK;
BEGIN; ALTER TABLE item ALTER item TYPE text; SELECT problem FROM tfrs.recommender_status; SELECT * FROM errors(); ROLLBACK;
BEGIN; ALTER TABLE item ALTER in_stock TYPE int USING 1; SELECT problem FROM tfrs.recommender_status; SELECT * FROM errors(); ROLLBACK;
BEGIN; ALTER TABLE item ALTER in_stock TYPE text; SELECT problem FROM tfrs.recommender_status; SELECT * FROM errors(); ROLLBACK;
-- types that serve as well
CREATE DOMAIN moment AS timestamptz;
CREATE DOMAIN yes AS boolean;
BEGIN; ALTER TABLE sale ALTER at TYPE date, ALTER stars TYPE numeric, ALTER buyer TYPE bigint; ALTER TABLE item ALTER name TYPE jsonb USING to_jsonb(name);
SELECT problem FROM tfrs.recommender_status; SELECT * FROM errors(); ROLLBACK;
BEGIN; ALTER TABLE sale ALTER at TYPE moment; ALTER TABLE item ALTER in_stock TYPE yes; SELECT problem FROM tfrs.recommender_status; SELECT * FROM errors(); ROLLBACK;
-- ids of another type: the next refresh learns them
BEGIN; ALTER TABLE sale ALTER buyer TYPE text; SELECT problem FROM tfrs.recommender_status; SELECT * FROM errors(); ROLLBACK;
BEGIN; ALTER TABLE sale ALTER buyer TYPE char(9); CALL tfrs.refresh('sales'); ALTER TABLE sale ALTER buyer TYPE varchar; SELECT count(*) FROM tfrs.recommend('sales', '7 ', 3); ROLLBACK;
BEGIN; ALTER TABLE sale ALTER item TYPE text; ALTER TABLE item ALTER item TYPE text; SELECT problem FROM tfrs.recommender_status; SELECT * FROM errors(); ROLLBACK;
-- and at creation
CALL tfrs.create_recommender('bad', 'sale', 'buyer', 'item', at => 'stars');
CALL tfrs.create_recommender('bad', 'sale', 'buyer', 'item', weight => 'at');
CALL tfrs.create_recommender('bad', 'sale', 'buyer', 'item', candidates => 'item', available => 'name');
CALL tfrs.drop_recommender('sales');
DROP TABLE sale, item;
DROP DOMAIN moment, yes;
DROP FUNCTION error_of, errors;
