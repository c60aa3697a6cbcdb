# Recommenders after a dump and a restore, on a standby, and when the extension goes and comes back in a
# session that has used it.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use PostgreSQL::Test::Utils;
use Test::More;
use Tfrs;

my $server = new_server('main', allows_streaming => 1);
my $state = q{
	SELECT r.recommender, r.owner, r.interactions, r.candidates, r.store, r.version, r.versions, r.rows, r.last_run_state,
		(SELECT count(*) FROM tfrs.training_run), (SELECT count(*) FROM tfrs.training_epoch),
		(SELECT sum(value)::numeric(20, 6) FROM tfrs.metric)
	FROM tfrs.recommender_status r};
my $models = q{SELECT version, tfrs.model_info(model) ->> 'digest' FROM films_recommender ORDER BY 1};

$server->safe_psql('postgres', q{
	CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN; GRANT CREATE ON SCHEMA public TO alice});
$server->safe_psql('postgres', q{
	CREATE TABLE event AS SELECT i % 50 AS u, (i * i) % 101 AS c, now() + i * interval '1 hour' AS at
		FROM generate_series(1, 3000) i;
	CREATE TABLE film AS SELECT c, 'film ' || c AS title, true AS available FROM (SELECT DISTINCT c FROM event) e;
	CALL tfrs.create_recommender('films', 'event', 'u', 'c', at => 'at', candidates => 'film', label => 'title',
		available => 'available', options => '{"dim": 4, "history": {"steps": 5}}');
	CALL tfrs.grant_recommender('films', 'bob', 'use');
	CALL tfrs.refresh('films');
	CALL tfrs.refresh('films', force => true, publish => false)}, extra_params => [ '-U', 'alice' ]);
my $before = $server->safe_psql('postgres', $state);
like($before, qr/^films\|alice\|public.event\|public.film\|public.films_recommender\|1\|2\|3000\|succeeded\|2\|/, 'a recommender');

# Dump and restore, in both formats.
my $dump = $PostgreSQL::Test::Utils::tmp_check . '/dump';
foreach my $format ('plain', 'custom')
{
	$server->command_ok([ 'pg_dump', "--format=$format", "--file=$dump.$format", $server->connstr('postgres') ], "$format dump");
	$server->safe_psql('postgres', "CREATE DATABASE $format");
	$server->command_ok(
		$format eq 'plain'
		? [ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $server->connstr($format), '-f', "$dump.$format" ]
		: [ 'pg_restore', '--exit-on-error', '-d', $server->connstr($format), "$dump.$format" ], 'restored');
	is($server->safe_psql($format, $state), $before, 'a restored recommender is what it was');
	is($server->safe_psql($format, $models), $server->safe_psql('postgres', $models), 'with its models');
	is($server->safe_psql($format, 'SELECT privilege FROM tfrs.recommender_status', extra_params => [ '-U', 'bob' ]), 'use',
		'and privileges');
	my (undef, undef, $errors) = $server->psql($format, q{CALL tfrs.refresh('films')}, extra_params => [ '-U', 'alice' ]);
	like($errors, qr/nothing has changed since version 2/, 'it knows that nothing has changed');
	(undef, undef, $errors) = $server->psql($format, q{
		ALTER TABLE event RENAME TO happened;
		CALL tfrs.refresh('films', force => true)}, extra_params => [ '-U', 'postgres' ]);
	like($errors, qr/version 3 is in use/, 'and goes on, also with a table that is renamed');
	$server->safe_psql($format, q{
		CALL tfrs.create_recommender('second', 'film', 'title', 'c', options => '{"history": false, "epochs": 1}');
		CALL tfrs.refresh('second')});
	is($server->safe_psql($format, q{SELECT count(*) FROM tfrs.recommender_status}), 2, 'a new one has a number of its own');
}

# A standby shows it, and refuses to refresh.
{
	$server->backup('base');
	my $standby = PostgreSQL::Test::Cluster->new('standby');
	$standby->init_from_backup($server, 'base', has_streaming => 1);
	$standby->start;
	is($standby->safe_psql('postgres', $state), $before, 'a standby shows it');
	my (undef, undef, $errors) = $standby->psql('postgres', q{CALL tfrs.refresh('films')});
	like($errors, qr/cannot execute a refresh during recovery/, 'and does not refresh it');
	$standby->stop;
}

# The extension goes and comes back in one session.
my ($status, $out, $errors) = $server->psql('postgres', qq{
	SELECT count(*) FROM tfrs.recommender_status;
	CALL tfrs.refresh('films', force => true);
	DROP EXTENSION tfrs_retrieval CASCADE;
	CREATE EXTENSION tfrs_retrieval;
	SELECT count(*) FROM tfrs.recommender_status;
	DROP TABLE films_recommender;
	CALL tfrs.create_recommender('films', 'event', 'u', 'c', options => '{"dim": 4, "history": false, "epochs": 1}');
	CALL tfrs.refresh('films');
	SELECT recommender, version FROM tfrs.recommender_status});
is($status, 0, 'the extension is dropped and created in a session');
is($out, "1\n0\nfilms|1", 'and recommenders are new');

# It goes while a refresh runs: the refresh fails, and the session lives.
$server->safe_psql('postgres', q{CALL tfrs.alter_recommender('films', options => '{"epochs": 100000, "history": false}')});
{
	my $said = '';
	my $session = IPC::Run::start([ 'psql', '-X', '-q', '-d', $server->connstr('postgres'), '-c', "CALL tfrs.refresh('films')",
			'-c', "SELECT 'alive'" ], '<', \'', '>', \$said, '2>&1');
	$server->poll_query_until('postgres', q{SELECT count(*) = 1 FROM tfrs.training_run r JOIN pg_locks l ON l.locktype = 'object'
		AND l.classid = 'tfrs.recommender'::regclass WHERE state = 'running' AND NOT EXISTS (
			SELECT FROM pg_stat_activity a WHERE a.pid = l.pid AND a.backend_xmin IS NOT NULL)});
	$server->safe_psql('postgres', 'SELECT pg_sleep(0.5); DROP EXTENSION tfrs_retrieval CASCADE');
	$server->safe_psql('postgres', q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'CALL tfrs.refresh%'});
	$session->finish;
	like($said, qr/ERROR:  canceling statement.*alive/s, 'a refresh whose extension is dropped fails');
	is($server->safe_psql('postgres', q{SELECT count(*) FROM pg_locks WHERE locktype = 'object'}), 0, 'and leaves no lock');
}

$server->stop;
done_testing();
