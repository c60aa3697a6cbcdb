# A refresh while others work, and what is left of one that ends early: the snapshot it holds, two at
# once, errors, cancels and the end of the session in each phase.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use PostgreSQL::Test::Utils;
use Test::More;
use Tfrs;

my $server = new_server('main');

# A training that takes longer than any test waits, and one that doesn't.
my $endless = q{'{"history": {"steps": 100000000}}'};
my $short = q{'{"dim": 8, "history": {"steps": 20}}'};

sub sql { return $server->safe_psql('postgres', $_[0]) }
sub errors_of { return ($server->psql('postgres', $_[0]))[2] }

sub run_of
{
	return sql(q{SELECT state || coalesce(' ' || sqlstate, '') || coalesce(' ' || version, '')
		FROM tfrs.training_run WHERE recommender = 'films' ORDER BY run_id DESC LIMIT 1});
}

# Starts a statement in a session of its own, where rows go to temporary files.
sub begin
{
	my ($statement) = @_;
	my %session = (out => '', errors => '');

	local $ENV{PGOPTIONS} = '-c maintenance_work_mem=1MB';
	$session{harness} = IPC::Run::start(
		[ 'psql', '-X', '-q', '-d', $server->connstr('postgres'), '-c', $statement ],
		'<', \'', '>', \$session{out}, '2>', \$session{errors});
	return \%session;
}

# Waits for the refresh that runs to be in a phase, by a condition on its row of pg_stat_activity.
sub wait_for
{
	my ($condition) = @_;

	return $server->poll_query_until('postgres', qq{
		SELECT count(*) = 1 FROM tfrs.training_run r
		JOIN pg_locks l ON l.locktype = 'object' AND l.classid = 'tfrs.recommender'::regclass AND l.granted
		JOIN pg_stat_activity a USING (pid) WHERE r.state = 'running' AND $condition});
}

sub pid { return sql(q{SELECT pid FROM pg_locks WHERE locktype = 'object'
	AND classid = 'tfrs.recommender'::regclass AND granted}) }

sub clean
{
	my ($when) = @_;

	is(sql(q{SELECT count(*) FROM pg_locks WHERE locktype = 'object' AND classid = 'tfrs.recommender'::regclass}),
		0, "no lock is left $when");
	is(scalar(@{[ glob($server->data_dir . '/base/pgsql_tmp/pgsql_tmp[0-9]*') ]}), 0,
		"no temporary file is left $when");
	is(sql('SELECT version FROM tfrs.recommender_status'), 1, "version 1 is in use $when");
	return;
}

sql(qq{
	CREATE TABLE event AS
	SELECT i * 7 % 997 AS user_id, (sqrt(i * 31 % 90001))::int AS item_id,
		'2026-01-01'::timestamptz + i * interval '1 minute' AS happened
	FROM generate_series(1, 60000) i;
	CREATE VIEW seen AS SELECT * FROM event;
	CALL tfrs.create_recommender('films', 'seen', 'user_id', 'item_id', at => 'happened', options => $short);
	CALL tfrs.refresh('films')});
is(run_of(), 'succeeded 1', 'a refresh');
clean('after it');

# While it trains, it holds no snapshot and no transaction id, and VACUUM does its work.
{
	sql(qq{CALL tfrs.alter_recommender('films', options => $endless)});
	sql('CREATE TABLE rubbish AS SELECT i FROM generate_series(1, 10000) i');
	my $session = begin(q{CALL tfrs.refresh('films')});

	wait_for('a.backend_xmin IS NULL AND a.backend_xid IS NULL');
	sql('SELECT pg_sleep(1)');
	is(sql('SELECT backend_xmin IS NULL AND backend_xid IS NULL FROM pg_stat_activity WHERE pid = ' . pid()),
		't', 'no snapshot is held while it trains');
	sql('DELETE FROM rubbish');
	sql('VACUUM rubbish');
	is(sql(q{SELECT pg_relation_size('rubbish')}), 0, 'VACUUM removes what was deleted meanwhile');
	is(sql(q{SELECT last_run_state FROM tfrs.recommender_status}), 'running', 'and is shown as running');

	# Another one waits, or does not.
	like(errors_of(q{CALL tfrs.refresh('films', on_running => 'error')}),
		qr/ERROR:  recommender "films" is being refreshed by another session/, 'a second one: error');
	like(errors_of(q{CALL tfrs.refresh('films', on_running => 'skip')}), qr/NOTICE:.*skipped/,
		'a second one: skip');
	like(errors_of(q{BEGIN; SET LOCAL lock_timeout = '100ms'; CALL tfrs.refresh('films')}),
		qr/canceling statement due to lock timeout/, 'a second one: wait, in a transaction');
	my $second = begin(q{CALL tfrs.refresh('films')});
	ok($server->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_locks l
		JOIN pg_stat_activity a USING (pid) WHERE NOT l.granted AND a.backend_xmin IS NULL}),
		'a second one waits without a snapshot');

	sql('SELECT pg_cancel_backend(' . pid() . ')');
	$session->{harness}->finish;
	like($session->{errors}, qr/canceling statement due to user request/, 'the cancel is reported');
	ok($server->poll_query_until('postgres',
			q{SELECT state = 'cancelled' AND error LIKE 'canceling%' AND finished_at IS NOT NULL
			FROM tfrs.training_run ORDER BY run_id DESC OFFSET 1 LIMIT 1}), 'and recorded');
	wait_for('a.backend_xmin IS NULL');
	sql('SELECT pg_cancel_backend(' . pid() . ')');
	$second->{harness}->finish;
	is(run_of(), 'cancelled 57014', 'the second one came after it');
	clean('after a cancel');
}

# The end of the session while it trains: shown at once, recorded by the next.
foreach my $how ('pg_terminate_backend', 'kill')
{
	my $session = begin(q{CALL tfrs.refresh('films')});

	wait_for('a.backend_xmin IS NULL');
	sql('SELECT pg_sleep(0.5)');
	if ($how eq 'kill')
	{
		kill 'KILL', pid();
	}
	else
	{
		sql('SELECT pg_terminate_backend(' . pid() . ')');
	}
	$session->{harness}->finish;
	$server->poll_query_until('postgres', 'SELECT true');
	ok($server->poll_query_until('postgres',
			q{SELECT state = 'abandoned' FROM tfrs.training_run ORDER BY run_id DESC LIMIT 1}),
		"$how: the run is abandoned");
	like(sql('SELECT problem FROM tfrs.recommender_status'), qr/the last refresh was abandoned/, 'and that a problem');
	clean("after $how") if $how ne 'kill';
	is(sql('SELECT version FROM tfrs.recommender_status'), 1, 'the old version is in use');
}
sql(qq{CALL tfrs.alter_recommender('films', options => $short); CALL tfrs.refresh('films')});
is(sql(q{SELECT count(*) FROM tfrs.recommender_run WHERE state = 'abandoned' AND finished_at IS NOT NULL}), 2,
	'the next run records them');
is(run_of(), 'unchanged 1', 'and finds nothing new');

# Errors and cancels in the other phases, which run code of the owner's.
my $boom = q{
	CREATE OR REPLACE FUNCTION boom() RETURNS boolean LANGUAGE plpgsql AS
	$$ BEGIN PERFORM 1 / (count(*) - count(*)) FROM event; RETURN true; END $$;};
my $sleep = q{
	CREATE OR REPLACE FUNCTION boom() RETURNS boolean LANGUAGE plpgsql AS
	$$ BEGIN PERFORM pg_catalog.pg_sleep(1000); RETURN true; END $$;};
my %phases = (
	'while rows are read' => [
		q{CREATE OR REPLACE VIEW seen AS SELECT * FROM event WHERE boom()},
		q{CREATE OR REPLACE VIEW seen AS SELECT * FROM event}
	],
	'while the version is stored' => [
		q{CREATE FUNCTION on_store() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM public.boom(); RETURN new; END $$;
		CREATE TRIGGER on_store BEFORE INSERT ON films_recommender FOR EACH ROW EXECUTE FUNCTION on_store()},
		q{DROP FUNCTION on_store CASCADE}
	]);

foreach my $when (sort keys %phases)
{
	my ($break, $mend) = @{ $phases{$when} };

	sql($boom =~ s/FROM event/FROM public.event/r);
	sql($break);
	like(errors_of(q{CALL tfrs.refresh('films', force => true)}), qr/division by zero.*refresh of recommender "films"/s,
		"an error $when");
	is(run_of(), 'failed 22012', 'is recorded');
	clean("after an error $when");
	is(sql('SELECT count(*) FROM films_recommender'), 1, 'nothing else is stored');
	sql($sleep);
	my $session = begin(q{CALL tfrs.refresh('films', force => true)});
	wait_for(q{a.wait_event = 'PgSleep'});
	sql('SELECT pg_cancel_backend(' . pid() . ')');
	$session->{harness}->finish;
	is(run_of(), 'cancelled 57014', "a cancel $when is recorded");
	clean("after a cancel $when");
	sql($mend);
}

# A training that can't succeed.
sql(q{CALL tfrs.alter_recommender('films', options => '{"preset": "tfrs", "learning_rate": 1e37}')});
like(errors_of(q{CALL tfrs.refresh('films')}), qr/ERROR:  loss is not finite in epoch 1/, 'a loss that explodes');
is(run_of(), 'failed 22P01', 'is recorded');
clean('after it');

# Within the caller's transaction nothing is left of a failure; the session goes on in any case.
like(errors_of(q{BEGIN; CALL tfrs.refresh('films')}), qr/NOTICE:  the refresh is part of the transaction/,
	'in a transaction');
is(sql(q{SELECT count(*) FROM tfrs.training_run WHERE state = 'failed'}), 3, 'a failed run leaves no row');
clean('after a failure in a transaction');

# The guard: what is worse than the version in use does not take its place.
sql(q{CALL tfrs.alter_recommender('films', options => '{"history": false, "learning_rate": 1e30}')});
like(errors_of(q{CALL tfrs.refresh('films')}), qr/version 2 is held back: NDCG\@10 is 0.0\d+, and 0.\d+ for version 1/,
	'a worse version is held back');
is(run_of(), 'succeeded 2', 'its run has succeeded');
clean('after it');

like(($server->psql('postgres', qq{
		CALL tfrs.refresh('films');
		CALL tfrs.alter_recommender('films', options => $short);
		DO \$\$ BEGIN CALL tfrs.refresh('films', force => true); EXCEPTION WHEN division_by_zero THEN NULL; END \$\$;
		CALL tfrs.refresh('films', force => true);
		SELECT version FROM tfrs.recommender_status}, on_error_stop => 0))[1], qr/^4$/m,
	'a session goes on after an error, a refresh in an exception block, and another');

# All that a role owns; one that fails is told of, and the others are refreshed.
sql(q{
	CREATE TABLE nothing (a int, b int);
	CALL tfrs.create_recommender('empty', 'nothing', 'a', 'b')});
my $all = errors_of('CALL tfrs.refresh_all(force => true)');
like($all, qr/WARNING:  recommender "empty" was not refreshed: public.nothing has no row/, 'refresh_all tells of an error');
like($all, qr/NOTICE:  recommender "films": version 5 is in use: NDCG\@10 is 0\.\d{3} \(popular 0\.\d{3}, item-item 0\.\d{3}\)$/m,
	'and refreshes the others, and tells what they are worth');
like($all, qr/ERROR:  1 of 2 recommenders were not refreshed/, 'and fails at its end');

# NOTIFY of both outcomes.
like($server->safe_psql('postgres', q{
		LISTEN tfrs_refresh;
		CALL tfrs.refresh('films', force => true) \g /dev/null
		SELECT 1 \g /dev/null}),
	qr/"tfrs_refresh" with payload "\{"recommender": "films", "run_id": \d+, "state": "succeeded", "version": 6\}"/,
	'NOTIFY');

$server->stop;
done_testing();
