# What other sessions do at the wrong moment of a refresh, and failures that can't be recorded.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use PostgreSQL::Test::Utils;
use Test::More;
use Tfrs;

my $server = new_server('main');
my $options = q{options => '{"dim": 4, "history": {"steps": 5}}'};

sub sql { return $server->safe_psql('postgres', $_[0]) }

sql(qq{
	CREATE ROLE alice LOGIN; GRANT CREATE ON SCHEMA public TO alice; SET ROLE alice;
	CREATE TABLE event AS SELECT i % 50 AS u, (i * i) % 101 AS c FROM generate_series(1, 3000) i;
	CALL tfrs.create_recommender('films', 'event', 'u', 'c', keep_versions => 1, $options);
	CALL tfrs.refresh('films')});

# Dropped between the look-up of the relations and that of their names.
foreach my $dropped ('copy', 'copies_recommender')
{
	sql(q{SET ROLE alice; CREATE TABLE copy AS TABLE event});
	sql(qq{SET ROLE alice; CALL tfrs.create_recommender('copies', 'copy', 'u', 'c', $options)});
	my $holder = session($server, 'postgres');
	my $refresh = session($server, 'alice');

	say_to($holder, 'BEGIN; LOCK TABLE tfrs.recommender_run IN EXCLUSIVE MODE');
	$server->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_locks
		WHERE relation = 'tfrs.recommender_run'::regclass AND mode = 'ExclusiveLock'});
	say_to($refresh, q{CALL tfrs.refresh('copies')});
	wait_for_waiting($server, 1);
	sql("DROP TABLE $dropped");
	$holder->{harness}->finish;
	$refresh->{harness}->finish;
	like($refresh->{errors}, qr/ERROR:  public\.$dropped was dropped meanwhile/, "$dropped is dropped as a refresh begins");
	sql(q{CALL tfrs.drop_recommender('copies'); DROP TABLE IF EXISTS copy});
}

# Whoever has all of a store locked does not keep monitoring waiting.
{
	my $holder = session($server, 'alice');

	say_to($holder, 'BEGIN; LOCK TABLE films_recommender');
	$server->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_locks
		WHERE relation = 'films_recommender'::regclass AND mode = 'AccessExclusiveLock' AND granted});
	is(sql(q{SELECT versions, problem IS NULL FROM tfrs.recommender_status WHERE recommender = 'films'}), '1|t',
		'the status of a recommender whose store is locked');
	$holder->{harness}->finish;
}

# A version that is published as a refresh would forget it.
{
	my $publisher = session($server, 'alice');
	my $refresh = session($server, 'alice');

	sql(q{SET ROLE alice; CALL tfrs.alter_recommender('films', keep_versions => 2); CALL tfrs.refresh('films', force => true)});
	sql(q{SET ROLE alice; CALL tfrs.alter_recommender('films', keep_versions => 1)});
	say_to($publisher, q{BEGIN; CALL tfrs.publish('films', 1)});
	$server->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE state = 'idle in transaction'});
	say_to($refresh, q{CALL tfrs.refresh('films', force => true, publish => false)});
	wait_for_waiting($server, 1);
	say_to($publisher, 'COMMIT');
	$publisher->{harness}->finish;
	$refresh->{harness}->finish;
	like($refresh->{errors}, qr/version 3 is held back/, 'a refresh while another version is published');
	is(sql(q{SELECT r.version || ' ' || string_agg(m.version::text, ',' ORDER BY m.version)
			FROM tfrs.recommender_status r, films_recommender m GROUP BY r.version}), '1 1,3', '... keeps that one');
	is(sql(q{SELECT count(*) FROM tfrs.recommend('films', 1, 3, include_seen => true)}), 3, '... which answers');
}

# A store that does not keep what it is given.
sql(q{SET ROLE alice;
	CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
	CREATE TRIGGER refuse BEFORE INSERT ON films_recommender FOR EACH ROW EXECUTE FUNCTION refuse()});
like(($server->psql('postgres', q{CALL tfrs.refresh('films', force => true)}))[2],
	qr/ERROR:  public.films_recommender did not take the model/, 'a store that takes no row');
is(sql('SELECT version FROM tfrs.recommender_status'), 1, '... does not lose the version in use');
sql('DROP FUNCTION refuse CASCADE');

# An error of any length; one that can't be recorded ends neither refresh_all nor the caller's role.
sql(q{SET ROLE alice;
	CREATE FUNCTION boom() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '%', repeat('ä', 100000); END $$;
	CREATE VIEW broken AS SELECT * FROM event WHERE public.boom();
	CALL tfrs.alter_recommender('films', interactions => 'broken')});
$server->psql('postgres', q{CALL tfrs.refresh('films')});
is(sql(q{SELECT state || ' ' || octet_length(error) FROM tfrs.training_run ORDER BY run_id DESC LIMIT 1}), 'failed 4099',
	'a long error is clipped');
sql(qq{
	CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN RAISE EXCEPTION 'no record'; END \$\$;
	CREATE TRIGGER fail BEFORE UPDATE ON tfrs.recommender_run FOR EACH ROW WHEN (new.state = 'failed') EXECUTE FUNCTION public.fail();
	SET ROLE alice; CALL tfrs.create_recommender('songs', 'event', 'u', 'c', $options)});
my (undef, $out, $errors) = $server->psql('postgres', q{CALL tfrs.refresh_all(); SELECT current_user; ALTER ROLE alice SUPERUSER},
	on_error_stop => 0, extra_params => [ '-U', 'alice' ]);
like($errors, qr/WARNING:  recommender "films" was not refreshed: ä.*"songs": version 1 is in use.*1 of 2 recommenders/s,
	'refresh_all goes on');
is($out, 'alice', '... and the session is still that of its user');
is(sql(q{SELECT rolsuper FROM pg_roles WHERE rolname = 'alice'}), 'f', '... who is no superuser');
is(sql(q{SELECT state FROM tfrs.training_run WHERE recommender = 'films' ORDER BY run_id DESC LIMIT 1}), 'abandoned',
	'... and the run counts as abandoned');

$server->stop;
done_testing();
