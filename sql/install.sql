-- The schema that the extension is created in: nobody else can put objects into it that would run as
-- whoever uses the extension.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS tfrs_retrieval CASCADE;
DROP SCHEMA IF EXISTS tfrs CASCADE;
DROP ROLE IF EXISTS regress_squatter;
CREATE ROLE regress_squatter;

-- a schema that another role owns
CREATE SCHEMA tfrs AUTHORIZATION regress_squatter;
CREATE EXTENSION tfrs_retrieval;
DROP SCHEMA tfrs;

-- one that others may create in
CREATE SCHEMA tfrs;
GRANT CREATE ON SCHEMA tfrs TO regress_squatter;
CREATE EXTENSION tfrs_retrieval;
REVOKE CREATE ON SCHEMA tfrs FROM regress_squatter;
GRANT CREATE ON SCHEMA tfrs TO PUBLIC;
CREATE EXTENSION tfrs_retrieval;
REVOKE CREATE ON SCHEMA tfrs FROM PUBLIC;

-- one that is not empty
CREATE FUNCTION tfrs.pg_partition_tree(oid) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE EXTENSION tfrs_retrieval;
DROP FUNCTION tfrs.pg_partition_tree(oid);
CREATE OPERATOR tfrs.|| (LEFTARG = text, RIGHTARG = int, FUNCTION = pg_catalog.repeat);
CREATE EXTENSION tfrs_retrieval;
DROP OPERATOR tfrs.|| (text, int);
CREATE TYPE tfrs.embedding AS ENUM ('mine');
CREATE EXTENSION tfrs_retrieval;
DROP TYPE tfrs.embedding;

-- an empty one of a superuser's is taken, and so is what an earlier extension has left
GRANT CREATE ON SCHEMA tfrs TO CURRENT_USER;
CREATE EXTENSION tfrs_retrieval;
DROP EXTENSION tfrs_retrieval;
CREATE EXTENSION tfrs_retrieval;

-- nothing in a view depends on what is found by a search path: each operator and function gets
-- arguments of just its declared types (481 makes a bigint of a number where a type is known)
SELECT c.relname, f[1]
FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class,
	regexp_matches(r.ev_action::text,
		':(?:funcid (?!481 )|relabel|coerce|convert)[^{}]*format 2', 'g') f
WHERE c.relnamespace = 'tfrs'::regnamespace;
-- and none is SECURITY DEFINER, or written in a language without a pinned search path
SELECT p.oid::regprocedure FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
WHERE p.pronamespace = 'tfrs'::regnamespace AND (p.prosecdef OR l.lanname NOT IN ('c', 'internal') AND
	(p.proconfig IS NULL OR NOT 'search_path=pg_catalog, pg_temp' = ANY (p.proconfig)));

-- a schema that was renamed
ALTER SCHEMA tfrs RENAME TO "Reco";
CALL "Reco".refresh('shop');
CALL "Reco".refresh_all();
CALL "Reco".create_recommender('shop', 'pg_class', 'oid', 'oid');
SELECT * FROM "Reco".recommend('shop', 1);
ALTER SCHEMA "Reco" RENAME TO tfrs;
DROP ROLE regress_squatter;
