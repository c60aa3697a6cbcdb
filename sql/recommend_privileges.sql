-- who may do what with a recommender, and attempts to get around it
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS tfrs_retrieval;
CREATE ROLE regress_tfrs_shop;
CREATE ROLE regress_tfrs_user;
CREATE ROLE regress_tfrs_reader;
CREATE ROLE regress_tfrs_nobody;
CREATE SCHEMA shop AUTHORIZATION regress_tfrs_shop;
SET ROLE regress_tfrs_shop;
CREATE TABLE shop.item (item int PRIMARY KEY, name text, secret boolean);
INSERT INTO shop.item SELECT i, 'item ' || i, i % 10 = 0 FROM generate_series(1, 30) i;
CREATE TABLE shop.sale (buyer int, item int, sold_at timestamptz);
INSERT INTO shop.sale SELECT b, 1 + (b * 7 + n * 3) % 30, timestamptz '2026-01-01 UTC' + n * interval '1 hour'
	FROM generate_series(1, 40) b, generate_series(1, 6) n;
CREATE INDEX ON shop.sale (buyer);
CALL tfrs.create_recommender('shop', 'shop.sale', 'buyer', 'item', at => 'sold_at', candidates => 'shop.item',
	label => 'name', held_out => 0, options => '{"dim": 4, "history": {"steps": 50}}');
CALL tfrs.refresh('shop');

-- nobody but the owner, at first
SET ROLE regress_tfrs_nobody;
SELECT count(*) FROM tfrs.recommend('shop', 7);
SELECT count(*) FROM tfrs.similar('shop', 7);
SELECT count(*) FROM tfrs.explain('shop', 7, 7);
CALL tfrs.materialize('shop', 'pg_temp.mine');

-- use: the answers without the rows that he may not read, with a NOTICE once
SET ROLE regress_tfrs_shop;
CALL tfrs.grant_recommender('shop', 'regress_tfrs_user', 'use');
CALL tfrs.grant_recommender('shop', 'regress_tfrs_reader', 'read');
INSERT INTO shop.sale SELECT 7, item, now() FROM shop.item i
	WHERE NOT EXISTS (SELECT FROM shop.sale s WHERE s.buyer = 7 AND s.item = i.item) AND item <> 30;
SELECT candidate FROM tfrs.recommend('shop', 7);
SET ROLE regress_tfrs_user;
SET client_min_messages = notice;
SELECT count(*), count(label) FROM tfrs.recommend('shop', 7);
SELECT count(*), count(label) FROM tfrs.recommend('shop', 7);
SET client_min_messages = warning;
SELECT count(*) FROM tfrs.explain('shop', 7, 7);
SELECT count(model) FROM shop.shop_recommender;
SET ROLE regress_tfrs_reader;
CALL tfrs.publish('shop', 1);
CALL tfrs.materialize('shop', 'tfrs.mine');
SELECT count(*) > 0 AS stored_events FROM tfrs.explain('shop', 7, 7);

-- rights on the columns are enough, on the schema too they are needed
SET ROLE regress_tfrs_shop;
GRANT SELECT (buyer, item, sold_at) ON shop.sale TO regress_tfrs_user;
GRANT SELECT ON shop.item TO regress_tfrs_user;
SET ROLE regress_tfrs_user;
SELECT count(*), count(label) FROM tfrs.recommend('shop', 7);
SET ROLE regress_tfrs_shop;
GRANT USAGE ON SCHEMA shop TO regress_tfrs_user;
SET ROLE regress_tfrs_user;
SELECT count(*), count(label) FROM tfrs.recommend('shop', 7);
SELECT count(model) FROM shop.shop_recommender;

-- row security: nothing hidden comes back
SET ROLE regress_tfrs_shop;
ALTER TABLE shop.item ENABLE ROW LEVEL SECURITY;
CREATE POLICY no_secrets ON shop.item TO regress_tfrs_user USING (NOT secret);
ALTER TABLE shop.sale ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON shop.sale TO regress_tfrs_user USING (buyer = current_setting('shop.buyer')::int);
SELECT count(*) FROM tfrs.recommend('shop', 8, 40) WHERE candidate::int % 10 = 0;
SET ROLE regress_tfrs_user;
SET shop.buyer = 7;
SELECT count(*), count(*) FILTER (WHERE candidate::int % 10 = 0) FROM tfrs.recommend('shop', 7, 40, include_seen => true);
SELECT count(*), count(*) FILTER (WHERE candidate::int % 10 = 0) FROM tfrs.similar('shop', 10, 40);
SELECT count(*) > 0 AS own, bool_or(candidate::int % 10 = 0) AS secret FROM tfrs.explain('shop', 7, 7, 100);
SELECT count(*) AS of_another FROM tfrs.explain('shop', 8, 7, 100);
CREATE TEMP TABLE of_7 AS SELECT * FROM tfrs.recommend('shop', 7, 40);
SET shop.buyer = 8;
SELECT count(*) > (SELECT count(*) FROM of_7) AS live_events_of_another_are_not_seen FROM tfrs.recommend('shop', 7, 40);
SELECT count(*) > 0 AS own FROM tfrs.explain('shop', 8, 7, 100);
SELECT count(*) AS of_another FROM tfrs.explain('shop', 7, 7, 100);
CALL tfrs.materialize('shop', 'pg_temp.mine', k => 30, include_seen => true);
SELECT DISTINCT query FROM mine;
SELECT count(*) FROM mine WHERE candidate % 10 = 0;
DROP TABLE mine, of_7;
RESET shop.buyer;

-- a function of the owner's, called by one who may do nothing, works with the owner's rights, no more
RESET ROLE;
CREATE FUNCTION shop.for_all(buyer int) RETURNS bigint LANGUAGE sql SECURITY DEFINER
	AS 'SELECT count(*) FROM tfrs.recommend(''shop'', buyer, 40)';
ALTER FUNCTION shop.for_all OWNER TO regress_tfrs_shop;
GRANT USAGE ON SCHEMA shop TO regress_tfrs_nobody;
SET ROLE regress_tfrs_nobody;
SELECT shop.for_all(8) > 0 AS works;
SELECT count(*) FROM tfrs.recommend('shop', 8);
RESET ROLE;

-- operators and functions of the caller's search path are not used
CREATE SCHEMA trap;
CREATE FUNCTION trap.equal(int, bigint) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'in the trap'; END $$;
CREATE OPERATOR trap.= (LEFTARG = int, RIGHTARG = bigint, FUNCTION = trap.equal);
CREATE TABLE trap.sale (buyer text);
CREATE TABLE trap.recommender (name text);
SET search_path = trap, pg_catalog, public;
SELECT count(*) FROM tfrs.recommend('shop', 8, 3);
CALL tfrs.materialize('shop', 'public.by_path', k => 3);
RESET search_path;
DROP TABLE by_path;

-- interactions that are a view whose function does more than read: it can't, whoever asks
CREATE TABLE stolen (who name);
GRANT INSERT ON stolen TO public;
CREATE FUNCTION shop.steal(int) RETURNS int LANGUAGE plpgsql
	AS 'BEGIN INSERT INTO public.stolen VALUES (current_user); RETURN $1; END';
CREATE FUNCTION shop.promote(int) RETURNS int LANGUAGE plpgsql
	AS 'BEGIN ALTER ROLE regress_tfrs_shop SUPERUSER; RETURN $1; END';
CREATE FUNCTION shop.unlock(int) RETURNS int LANGUAGE plpgsql
	AS 'BEGIN SET transaction_read_only = off; ALTER ROLE regress_tfrs_shop SUPERUSER; RETURN $1; END';
CREATE FUNCTION shop.become(int) RETURNS int LANGUAGE plpgsql AS 'BEGIN SET ROLE regress_tfrs_shop; RETURN $1; END';
CREATE TABLE shop.choice (trick text);
INSERT INTO shop.choice VALUES ('none');
CREATE VIEW shop.trojan AS SELECT CASE trick WHEN 'steal' THEN shop.steal(buyer) WHEN 'promote' THEN shop.promote(buyer)
	WHEN 'unlock' THEN shop.unlock(buyer) WHEN 'become' THEN shop.become(buyer) ELSE buyer END AS buyer, item
	FROM shop.sale, shop.choice;
ALTER TABLE shop.choice OWNER TO regress_tfrs_shop;
ALTER VIEW shop.trojan OWNER TO regress_tfrs_shop;
SET ROLE regress_tfrs_shop;
CALL tfrs.create_recommender('trojan', 'shop.trojan', 'buyer', 'item', held_out => 0,
	options => '{"dim": 4, "history": {"steps": 20}}');
CALL tfrs.refresh('trojan');
RESET ROLE;
SELECT count(*) FROM tfrs.recommend('trojan', 7, 3);
UPDATE shop.choice SET trick = 'steal';
SELECT count(*) FROM tfrs.recommend('trojan', 7, 3);
CALL tfrs.materialize('trojan', 'public.booty', k => 3);
UPDATE shop.choice SET trick = 'promote';
SELECT count(*) FROM tfrs.recommend('trojan', 7, 3);
CALL tfrs.materialize('trojan', 'public.booty', k => 3);
UPDATE shop.choice SET trick = 'unlock';
SELECT count(*) FROM tfrs.recommend('trojan', 7, 3);
UPDATE shop.choice SET trick = 'become';
SELECT count(*) FROM tfrs.recommend('trojan', 7, 3);
SELECT * FROM stolen;
SELECT rolsuper FROM pg_roles WHERE rolname = 'regress_tfrs_shop';
-- and the transaction can write again afterwards
UPDATE shop.choice SET trick = 'steal';
DO $$ BEGIN
	PERFORM tfrs.recommend('trojan', 7, 3);
EXCEPTION WHEN OTHERS THEN
	INSERT INTO stolen VALUES ('not: ' || sqlstate);
END $$;
SELECT * FROM stolen;

-- a target with a trigger: of one's own it does what its owner may, another's is not written to
UPDATE shop.choice SET trick = 'none';
CALL tfrs.materialize('trojan', 'shop.booty', k => 3);
CREATE FUNCTION shop.on_write() RETURNS trigger LANGUAGE plpgsql
	AS 'BEGIN NEW.label := current_user; RETURN NEW; END';
CREATE TRIGGER on_write BEFORE INSERT OR UPDATE ON shop.booty FOR EACH ROW EXECUTE FUNCTION shop.on_write();
ALTER TABLE shop.booty OWNER TO regress_tfrs_shop;
CALL tfrs.materialize('trojan', 'shop.booty', k => 4);
SELECT DISTINCT label FROM shop.booty WHERE rank = 4;
CALL tfrs.grant_recommender('trojan', 'regress_tfrs_reader', 'read');
GRANT USAGE ON SCHEMA shop TO regress_tfrs_reader;
GRANT ALL ON ALL TABLES IN SCHEMA shop TO regress_tfrs_reader;
SET ROLE regress_tfrs_reader;
CALL tfrs.materialize('trojan', 'shop.booty', k => 5);
RESET ROLE;

-- row security on the store: a version that the caller's policies hide is as if it were not there
CALL tfrs.grant_recommender('shop', 'regress_tfrs_user', 'use');
ALTER TABLE shop.shop_recommender ENABLE ROW LEVEL SECURITY;
SELECT version AS in_use FROM tfrs.recommender_status WHERE recommender = 'shop' \gset
SET ROLE regress_tfrs_user;
SELECT count(*) FROM tfrs.recommend('shop', 8);
SELECT count(*) FROM tfrs.recommend('shop', 8, version => :in_use);
SELECT count(*) FROM tfrs.similar('shop', 1, version => :in_use);
SELECT count(*) FROM tfrs.explain('shop', 8, 1, version => :in_use);
RESET ROLE;
CREATE POLICY shown ON shop.shop_recommender TO regress_tfrs_user USING (version = :in_use);
SET ROLE regress_tfrs_user;
SELECT count(*) > 0 AS shown FROM tfrs.similar('shop', 1);
SET row_security = off;
SELECT count(*) > 0 AS shown FROM tfrs.similar('shop', 1);
RESET row_security;
RESET ROLE;
-- what a policy calls runs as the caller, who can write nothing there
CREATE FUNCTION shop.policy() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	IF current_user = 'regress_tfrs_user' THEN
		INSERT INTO shop.proof VALUES ('by a policy as ' || current_user);
	END IF;
	RETURN true;
END $$;
CREATE TABLE shop.proof (what text);
GRANT INSERT ON shop.proof TO regress_tfrs_user;
GRANT USAGE ON SCHEMA shop TO regress_tfrs_user;
ALTER POLICY shown ON shop.shop_recommender USING (shop.policy());
SET ROLE regress_tfrs_user;
SELECT count(*) > 0 AS shown FROM tfrs.similar('shop', 1);
RESET ROLE;
DROP POLICY shown ON shop.shop_recommender;
-- the owner and superusers pass it by, unless the owner forces it upon himself
SELECT count(*) > 0 AS shown FROM tfrs.similar('shop', 1);
ALTER TABLE shop.shop_recommender DISABLE ROW LEVEL SECURITY;
REVOKE USAGE ON SCHEMA shop FROM regress_tfrs_user;

-- a store that its owner has changed
ALTER TABLE shop.shop_recommender RENAME model TO shape;
SELECT count(*) FROM tfrs.recommend('shop', 8);
ALTER TABLE shop.shop_recommender RENAME shape TO model;
ALTER TABLE shop.shop_recommender DROP CONSTRAINT shop_recommender_pkey;
SELECT count(*) FROM tfrs.recommend('shop', 8);
DELETE FROM shop.shop_recommender;
SELECT count(*) FROM tfrs.recommend('shop', 8);

CALL tfrs.drop_recommender('trojan');
CALL tfrs.drop_recommender('shop');
DROP SCHEMA shop, trap CASCADE;
DROP TABLE stolen;
DROP ROLE regress_tfrs_shop, regress_tfrs_user, regress_tfrs_reader, regress_tfrs_nobody;
