# Who may do what with a recommender, and attempts to get around it: another role's recommender,
# hidden rows, code in what a refresh reads and writes, search paths, names that need quoting.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use PostgreSQL::Test::Utils;
use Test::More;
use Tfrs;

my $server = new_server('main');
my $options = q{options => '{"dim": 4, "history": {"steps": 5}}'};

sub as
{
	my ($role, $sql) = @_;
	my (undef, $out, $errors) = $server->psql('postgres', $sql, on_error_stop => 0, extra_params => [ '-U', $role ]);

	return wantarray ? ($out, $errors) : $out;
}

sub root { return $server->safe_psql('postgres', $_[0]) }

sub refused
{
	my ($role, $sql, $error, $what) = @_;

	like((as($role, $sql))[1], $error, $what);
	return;
}

root(q{
	CREATE ROLE alice LOGIN; CREATE ROLE mallory LOGIN; CREATE ROLE bob LOGIN;
	CREATE SCHEMA alice AUTHORIZATION alice; CREATE SCHEMA mallory AUTHORIZATION mallory;
	GRANT USAGE ON SCHEMA alice, mallory TO PUBLIC});
as('alice', qq{
	CREATE TABLE event AS SELECT i % 50 AS u, (i * i) % 101 AS c, 'secret ' || i AS note FROM generate_series(1, 3000) i;
	CALL tfrs.create_recommender('films', 'event', 'u', 'c', $options);
	CALL tfrs.refresh('films')});
is(as('alice', 'SELECT privilege, version FROM tfrs.recommender_status'), 'own|1', 'the owner sees it');

# Of another role.
is(as('mallory', 'SELECT count(*) FROM tfrs.recommender_status'), 0, 'nobody else does');
is(as('mallory', q{
		CREATE FUNCTION mallory.leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS
		$$ BEGIN RAISE NOTICE 'leaked %', $1; RETURN true; END $$;
		SELECT count(*) FROM tfrs.recommender_status WHERE mallory.leak(recommender);
		SELECT count(*) FROM tfrs.metric WHERE mallory.leak(recommender)}), "0\n0", 'nor by a cheap function in WHERE');
unlike((as('mallory', 'SELECT count(*) FROM tfrs.training_run WHERE mallory.leak(recommender)'))[1], qr/leaked/,
	'which is not called');
my $denied = qr/ERROR:  permission denied for recommender "films"/;
refused('mallory', $_, $denied, $_) foreach (
	q{CALL tfrs.refresh('films')}, q{CALL tfrs.alter_recommender('films', tolerance => 1)},
	q{CALL tfrs.drop_recommender('films')}, q{CALL tfrs.publish('films', 1)}, q{CALL tfrs.revert('films')},
	q{CALL tfrs.grant_recommender('films', 'mallory', 'use')});
refused('mallory', 'SELECT * FROM tfrs.recommender', qr/permission denied for table recommender/, 'the registry is closed');
refused('mallory', q{INSERT INTO tfrs.recommender_run (run_id) VALUES (1)}, qr/permission denied/, 'for writing too');
refused('mallory', q{SELECT nextval('tfrs.recommender_run_id_seq')}, qr/permission denied for sequence/, 'its sequences too');
refused('mallory', q{CALL tfrs.create_recommender('mine', 'alice.event', 'u', 'c')},
	qr/permission denied for column "u" of relation alice.event/, 'interactions that one may not read');
as('alice', 'GRANT SELECT (u, c) ON event TO mallory');
refused('mallory', q{CALL tfrs.create_recommender('mine', 'alice.event', 'u', 'note')},
	qr/permission denied for column "note"/, 'a column that one may not read');
refused('mallory', q{CALL tfrs.create_recommender('mine', 'alice.event', 'u', 'c', store => 'alice.mine')},
	qr/permission denied for schema alice\nHINT:  .*store => 'schema.table'/, 'a schema where one may not create');

# Privileges given, and what they are good for.
as('alice', q{CALL tfrs.grant_recommender('films', 'bob', 'use')});
is(as('bob', 'SELECT privilege FROM tfrs.recommender_status'), 'use', 'use');
refused('bob', q{CALL tfrs.refresh('films')}, $denied, '... but not refresh');
refused('bob', q{SELECT model FROM alice.films_recommender}, qr/permission denied for table films_recommender/, '... nor read weights');
as('alice', q{CALL tfrs.grant_recommender('films', 'bob', 'read')});
is(as('bob', q{SELECT tfrs.model_info(model) ->> 'digest' IS NOT NULL FROM alice.films_recommender}), 't', 'read');
as('alice', q{CALL tfrs.grant_recommender('films', 'bob', 'none')});
is(as('bob', 'SELECT count(*) FROM tfrs.recommender_status'), 0, 'none');
refused('alice', q{CALL tfrs.grant_recommender('films', 'nobody', 'use')}, qr/role "nobody" does not exist/, 'no such role');
refused('alice', q{CALL tfrs.grant_recommender('films', 'bob; DROP TABLE event', 'use')}, qr/role "bob; DROP TABLE event" does not exist/,
	'a role is a name');

# An error's text is the owner's.
as('alice', q{
	CALL tfrs.grant_recommender('films', 'bob', 'use');
	ALTER TABLE event ADD CHECK (true);
	CREATE VIEW broken AS SELECT u, (note || '')::integer AS c FROM event;
	CALL tfrs.alter_recommender('films', interactions => 'broken');
	CALL tfrs.refresh('films')});
like(as('alice', 'SELECT problem FROM tfrs.recommender_status'), qr/the last refresh failed: .*secret/, 'the owner is told why it failed');
is(as('bob', 'SELECT problem FROM tfrs.recommender_status'), 'the last refresh failed', 'others only that it did');
is(as('bob', q{SELECT count(error) FROM tfrs.training_run}), 0, 'in the runs too');
as('alice', q{CALL tfrs.alter_recommender('films', interactions => 'event')});

# What the owner may no longer read, and rows that are hidden from it.
as('mallory', qq{CALL tfrs.create_recommender('mine', 'alice.event', 'u', 'c', store => 'mallory.mine', $options); CALL tfrs.refresh('mine')});
is(as('mallory', 'SELECT version FROM tfrs.recommender_status'), 1, 'a recommender over what one may read');
as('alice', 'REVOKE SELECT (u) ON event FROM mallory');
my ($out, $errors) = as('postgres', q{CALL tfrs.refresh('mine', force => true)});
like($errors, qr/permission denied for relation alice.event\n.*owner of recommender "mine".*\n.*GRANT SELECT ON alice.event TO mallory/, 'a superuser refreshes with the privileges of the owner');
is(as('mallory', q{SELECT state FROM tfrs.training_run ORDER BY run_id DESC LIMIT 1}), 'failed', 'and the run failed');
as('alice', q{
	GRANT SELECT ON event TO mallory;
	ALTER TABLE event ENABLE ROW LEVEL SECURITY;
	CREATE POLICY visible ON event TO mallory USING (c < 50)});
root(q{CALL tfrs.refresh('mine', force => true)});
is(as('mallory', q{SELECT max(v.value::int) < 50 FROM mallory.mine, tfrs.vocabulary(model, 'candidate') v WHERE version = 2}),
	't', 'hidden rows are not in the model');

# Code of the owner's in what a refresh reads and writes, while a superuser calls.
as('mallory', q{
	CREATE TABLE log (place text, who name, path text);
	CREATE FUNCTION attack(place text) RETURNS boolean LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO mallory.log VALUES (place, current_user, current_setting('search_path'));
		BEGIN
			EXECUTE 'ALTER ROLE mallory SUPERUSER';
			INSERT INTO mallory.log VALUES (place, 'succeeded');
		EXCEPTION WHEN insufficient_privilege THEN NULL;
		END;
		BEGIN
			EXECUTE 'RESET ROLE';
			INSERT INTO mallory.log VALUES (place, 'succeeded');
		EXCEPTION WHEN insufficient_privilege THEN NULL;
		END;
		BEGIN
			EXECUTE 'CREATE TEMP TABLE recommender (a int)';
			INSERT INTO mallory.log VALUES (place, 'succeeded');
		EXCEPTION WHEN insufficient_privilege THEN NULL;
		END;
		PERFORM set_config('search_path', 'mallory', false), set_config('work_mem', '64kB', false);
		RETURN true;
	END $$;
	CREATE FUNCTION spy() RETURNS boolean LANGUAGE plpgsql AS $$
	DECLARE
		attempt text;
	BEGIN
		RAISE NOTICE 'the view is met by %', current_user;
		FOREACH attempt IN ARRAY ARRAY['INSERT INTO mallory.log VALUES (''view'')', 'ALTER ROLE mallory SUPERUSER', 'RESET ROLE',
			'SET transaction_read_only = off', 'CREATE TEMP TABLE recommender (a int)'] LOOP
			BEGIN
				EXECUTE attempt;
				RAISE NOTICE 'succeeded: %', attempt;
			EXCEPTION WHEN others THEN NULL;
			END;
		END LOOP;
		RETURN true;
	END $$;
	CREATE VIEW trap AS SELECT u, c FROM alice.event WHERE mallory.spy() AND c > 40;
	CREATE FUNCTION on_store() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM mallory.attack('trigger'); RETURN new; END $$;
	CREATE TRIGGER trap BEFORE INSERT OR DELETE ON mine FOR EACH ROW EXECUTE FUNCTION on_store();
	CREATE FUNCTION pure(version int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM mallory.attack('index'); RETURN 1; END $$;
	CREATE INDEX trap_index ON mine (mallory.pure(version));
	CREATE FUNCTION default_time() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN PERFORM mallory.attack('default'); RETURN now(); END $$;
	ALTER TABLE mine ALTER created_at SET DEFAULT mallory.default_time();
	TRUNCATE log;
	CALL tfrs.alter_recommender('mine', interactions => 'trap')});
($out, $errors) = as('postgres', q{
	SET work_mem = '5MB';
	CALL tfrs.refresh('mine', force => true);
	SELECT current_user, current_setting('search_path'), current_setting('work_mem')});
like($errors, qr/version 3 is in use/, 'a refresh with traps');
like($errors, qr/the view is met by mallory/, 'its view is read as the owner');
unlike($errors, qr/succeeded: /, 'who can only read then');
like($out, qr/^postgres\|"\$user", public\|5MB$/m, 'leaves role and settings as they were');
is(as('mallory', q{SELECT string_agg(DISTINCT place, ' ' ORDER BY place) FROM log}), 'default index trigger', 'the traps were met');
is(as('mallory', q{SELECT string_agg(DISTINCT who::text, ' ') FROM log}), 'mallory', 'as their owner, without effect');
is(as('mallory', q{SELECT count(*) FROM log WHERE path NOT IN ('pg_catalog, pg_temp', 'mallory')}), 0, 'and with a search path of their own');
is(root(q{SELECT rolsuper FROM pg_roles WHERE rolname = 'mallory'}), 'f', 'no superuser was made');
($out, $errors) = as('postgres', q{
	SELECT count(*) FROM tfrs.recommend('mine', 1);
	CALL tfrs.materialize('mine', 'mallory.advice');
	SELECT current_user});
like($errors, qr/the view is met by mallory.*queries in mallory.advice/s, 'what a superuser asks for is read as the owner too');
unlike($errors, qr/met by postgres|succeeded: /, '... and never as a superuser');
like($out, qr/^postgres$/m, '... who stays one');

# What would happen at the commit, when the role is the caller's again.
as('mallory', q{
	CREATE FUNCTION later() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM mallory.attack('deferred'); RETURN new; END $$;
	CREATE CONSTRAINT TRIGGER later AFTER INSERT ON mine DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION later()});
($out, $errors) = as('postgres', q{CALL tfrs.refresh('mine', force => true)});
like($errors, qr/cannot fire deferred trigger within security-restricted operation/, 'a deferred trigger is refused');
as('mallory', 'DROP TRIGGER later ON mine');

# A search path of traps: the caller's own, as a superuser might have it.
root(q{
	CREATE FUNCTION mallory.trapped(text, text) RETURNS boolean LANGUAGE plpgsql AS
		$$ BEGIN RAISE EXCEPTION 'trapped'; END $$;
	CREATE OPERATOR mallory.= (LEFTARG = text, RIGHTARG = text, FUNCTION = mallory.trapped);
	CREATE FUNCTION mallory.now() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trapped'; END $$;
	CREATE FUNCTION mallory.clock_timestamp() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trapped'; END $$;
	CREATE FUNCTION mallory.jsonb_each(jsonb) RETURNS SETOF record LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trapped'; END $$;
	CREATE TYPE mallory.int4 AS (a int); CREATE TYPE mallory.timestamptz AS (a int)});
($out, $errors) = as('postgres', qq{
	SET search_path = mallory, pg_catalog, public;
	CALL tfrs.refresh('films', force => true);
	CALL tfrs.alter_recommender('films', tolerance => 0.5);
	CALL tfrs.publish('films', 2);
	CALL tfrs.revert('films');
	CALL tfrs.grant_recommender('films', 'bob', 'read');
	CALL tfrs.create_recommender('path', 'alice.event', 'u', 'c', store => 'public.path', $options);
	CALL tfrs.refresh('path');
	SELECT count(*) FROM tfrs.recommender_status, tfrs.training_run, tfrs.metric;
	CALL tfrs.drop_recommender('path')});
unlike($errors, qr/ERROR/, "nothing is taken from the caller's search path");

# SECURITY DEFINER: the definer's privileges, within the caller's transaction.
as('alice', q{
	CREATE FUNCTION alice.renew() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS
		$$ BEGIN CALL tfrs.refresh('films', force => true); END $$});
like((as('bob', 'SELECT alice.renew()'))[1], qr/version 3 is in use/, 'as the definer');
as('mallory', q{
	CREATE FUNCTION mallory.renew() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS
		$$ BEGIN CALL tfrs.refresh('films', force => true); END $$});
like((as('alice', 'SELECT mallory.renew()'))[1], $denied, 'not as who calls it');
like((as('postgres', 'SELECT mallory.renew()'))[1], $denied, 'not even a superuser');

# Another table in the place of a store, of interactions.
as('alice', 'DROP TABLE films_recommender');
root(q{CREATE TABLE alice.films_recommender (version int, model tfrs.model, created_at timestamptz DEFAULT now());
	ALTER TABLE alice.films_recommender OWNER TO mallory});
refused('mallory', q{CALL tfrs.refresh('films')}, $denied, "a table of the store's name is not the store");
refused('alice', q{CALL tfrs.refresh('films')}, qr/recommender "films" is broken: its store, alice.films_recommender, was dropped, and what has that name now belongs to mallory/,
	'which is reported');
as('alice', q{CALL tfrs.drop_recommender('films')});
is(as('alice', 'SELECT count(*) FROM tfrs.recommender_status'), 0, 'and dropping the recommender works');
is(root(q{SELECT count(*) FROM pg_class WHERE relname = 'films_recommender'}), 1, 'without the other table');

# Given to another role: with what the former owner read, nothing is made.
root(q{CREATE TABLE shared AS SELECT u, c FROM alice.event; GRANT SELECT ON shared TO alice});
as('alice', qq{CALL tfrs.create_recommender('given', 'public.shared', 'u', 'c', store => 'alice.given', $options); CALL tfrs.refresh('given')});
root('ALTER TABLE alice.given OWNER TO bob; GRANT USAGE, CREATE ON SCHEMA alice TO bob');
refused('alice', q{CALL tfrs.refresh('given')}, qr/permission denied for recommender "given"/, 'the owner is who owns the store');
refused('bob', q{CALL tfrs.refresh('given')}, qr/permission denied for relation public.shared/, 'with what that role may read');
as('bob', q{CALL tfrs.drop_recommender('given')});

# Names.
as('alice', q{
	CREATE SCHEMA IF NOT EXISTS alice;
	CREATE TABLE alice."Inter ""actions"".x" ("user" int, "C'est; --" text, "A t" date, "WEIGHT" numeric);
	INSERT INTO alice."Inter ""actions"".x" SELECT i % 40, 'é' || i % 31, '2026-01-01'::date + i, 1 FROM generate_series(1, 2000) i;
	CREATE TABLE alice."Films" ("C'est; --" varchar, "Ti""tle" text);
	CALL tfrs.create_recommender('it''s "odd"; --', 'alice."Inter ""actions"".x"', 'user', 'C''est; --', weight => 'WEIGHT',
		at => 'A t', candidates => 'alice."Films"', label => 'Ti"tle', store => 'alice."St ""ore."', } . $options . q{);
	CALL tfrs.refresh('it''s "odd"; --')});
is(as('alice', 'SELECT recommender, interactions, store, version FROM tfrs.recommender_status'),
	q{it's "odd"; --|alice."Inter ""actions"".x"|alice."St ""ore."|1}, 'names that need quoting');
as('alice', q{ALTER TABLE alice."Inter ""actions"".x" RENAME TO plain; CALL tfrs.refresh('it''s "odd"; --', force => true)});
is(as('alice', 'SELECT interactions, version FROM tfrs.recommender_status'), 'alice.plain|2', 'a table that is renamed is still meant');
as('alice', q{CALL tfrs.drop_recommender('it''s "odd"; --')});
is(root(q{SELECT count(*) FROM pg_class WHERE relname = 'St "ore.'}), 0, 'the store is dropped');

$server->stop;
done_testing();
