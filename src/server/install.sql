-- The ground that the extension is built on: a schema that nobody but a superuser can create in.
--
-- This script runs as a superuser, and what it creates is used by everybody.  Whoever can create an
-- object in the schema could therefore put a function or operator of his own beside ours, with
-- arguments that fit a call better, and it would run as whoever reads a view or calls by that name.
-- So the schema must belong to the role that runs the script, or to another superuser, nobody else
-- may have the privilege to create in it, and it must be empty.
--
-- Audit of the names in this script.  Views, defaults and checks are parsed here once and keep what
-- they mean.  They write each function and relation with its schema, and give each operator
-- operands of just its declared types: then pg_catalog, which is searched first, has the exact match,
-- and no other schema is asked.  There is one function in a language (add_pgvector_casts), which
-- pins its search path; all others are C, and run their statements with the search path pg_catalog,
-- pg_temp (run_as.c).  No function is SECURITY DEFINER.

SET LOCAL search_path TO pg_catalog, pg_temp;

DO $$
DECLARE
	schema CONSTANT oid := '@extschema@'::regnamespace;
	extension CONSTANT oid := (SELECT oid FROM pg_extension WHERE extname = 'tfrs_retrieval');
	other name;
	whom text;
	object text;
BEGIN
	SELECT r.rolname INTO other
	FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner
	WHERE n.oid = schema AND NOT r.rolsuper AND r.rolname <> current_user;
	IF FOUND THEN
		RAISE EXCEPTION 'schema "@extschema@" belongs to role "%"', other
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = 'The owner of the schema could replace what the extension''s users call.',
				HINT = 'Drop the schema, or rename it and keep it under another name.';
	END IF;
	SELECT coalesce(quote_ident(r.rolname), 'PUBLIC') INTO whom
	FROM pg_namespace n
	CROSS JOIN LATERAL aclexplode(n.nspacl) a
	LEFT JOIN pg_roles r ON r.oid = a.grantee
	WHERE n.oid = schema AND a.privilege_type = 'CREATE' AND r.rolsuper IS NOT TRUE
		AND a.grantee <> n.nspowner
	LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION '% may create objects in schema "@extschema@"', whom
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = 'Its objects could stand in for those of the extension.',
				HINT = format('REVOKE CREATE ON SCHEMA @extschema@ FROM %s.', whom);
	END IF;
	SELECT pg_describe_object(classid, objid, objsubid) INTO object
	FROM pg_depend
	WHERE refclassid = 'pg_namespace'::regclass AND refobjid = schema
		AND NOT (classid = 'pg_extension'::regclass AND objid = extension)
	LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'schema "@extschema@" is not empty: it contains %', object
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = 'The extension needs a schema of its own.',
				HINT = 'Drop what is in the schema, or move it to another schema.';
	END IF;
END
$$;

SET LOCAL search_path TO @extschema@, pg_temp;
