# Trainings by whom, beside what, and until when: groups, roles, rollback, memory, cancel.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use Tfrs;

my $server = new_server('main');
my $digest = q{tfrs.model_info(model) ->> 'digest'};
$server->safe_psql('postgres', q{
	CREATE TABLE event AS
	SELECT i % 3 AS tenant, i * 7 % 997 AS user_id, (sqrt(i * 31 % 90001))::int AS item_id,
		'2026-01-01'::timestamptz + i * interval '1 minute' AS at
	FROM generate_series(1, 60000) i});

# GROUP BY trains a model a group, the same as each group alone.
{
	$server->safe_psql('postgres', q{
		CREATE TABLE tenants AS
		SELECT tenant, tfrs.train(user_id, item_id, NULL, at, '{"epochs": 1, "dim": 8}') AS model
		FROM event GROUP BY tenant});
	my $alone = join "\n", map {
		$server->safe_psql('postgres', qq{
			SELECT $digest FROM (
				SELECT tfrs.train(user_id, item_id, NULL, at, '{"epochs": 1, "dim": 8}') AS model
				FROM event WHERE tenant = $_) t})
	} 0 .. 2;
	is($server->safe_psql('postgres', "SELECT $digest FROM tenants ORDER BY tenant"), $alone,
		'models of groups are those of the groups alone');
	is($server->safe_psql('postgres', q{
			SET enable_sort = off; SET maintenance_work_mem = '1MB';
			SELECT string_agg(} . $digest . q{, e'\n' ORDER BY tenant) FROM (
				SELECT tenant, tfrs.train(user_id, item_id, NULL, at, '{"epochs": 1, "dim": 8}') AS model
				FROM event GROUP BY tenant) t}), $alone,
		'by hashing and with rows in temporary files too');
}

# A training that is rolled back leaves nothing.
{
	my $before = $server->safe_psql('postgres', "SELECT $digest FROM tenants ORDER BY tenant");

	$server->safe_psql('postgres', q{
		BEGIN;
		UPDATE tenants SET model = (SELECT tfrs.train(item_id, user_id, '{"epochs": 1}') FROM event);
		CREATE TABLE another AS SELECT tfrs.train(user_id, item_id, '{"epochs": 1}') AS model FROM event;
		ROLLBACK});
	is($server->safe_psql('postgres', "SELECT $digest FROM tenants ORDER BY tenant"), $before, 'rollback');
	is($server->safe_psql('postgres', q{SELECT to_regclass('another') IS NULL}), 't', 'no table is left');
}

# A role without any privilege but its own tables.
{
	$server->safe_psql('postgres', q{
		CREATE ROLE analyst LOGIN;
		CREATE SCHEMA analyst AUTHORIZATION analyst;
		GRANT SELECT ON event TO analyst});
	my @as_analyst = (extra_params => [ '-U', 'analyst' ]);
	my $sql = q{
		CREATE TABLE analyst.recommender AS
		SELECT tfrs.train(user_id, item_id, NULL, at, '{"epochs": 1, "dim": 8}') AS model FROM event};

	is($server->psql('postgres', $sql, @as_analyst), 0, 'anybody trains on what he may read');
	is($server->safe_psql('postgres',
			'SELECT count(*) FROM analyst.recommender, tfrs.top_k(model, 42, 5)', @as_analyst),
		5, 'and gets recommendations');
	my (undef, undef, $errors) = $server->psql('postgres', 'SELECT tfrs.clear_cache()', @as_analyst);
	like($errors, qr/permission denied for function clear_cache/, 'but administers nothing');
	(undef, undef, $errors) = $server->psql('postgres', "SELECT tfrs.version(); SET tfrs.max_memory = '1TB'", @as_analyst);
	like($errors, qr/permission denied to set parameter/, 'nor lifts a limit');
	is($server->safe_psql('postgres',
			"SET tfrs.max_memory = '1TB'; SELECT tfrs.version() \\g /dev/null\nSHOW tfrs.max_memory", @as_analyst),
		'4GB', 'also not before the library is loaded');
	(undef, undef, $errors) = $server->psql('postgres', 'SELECT count(*) FROM tenants, tfrs.top_k(model, 42)', @as_analyst);
	like($errors, qr/permission denied for table tenants/, 'nor reads the models of others');
}

# A training that would take hours ends soon after a timeout, in each of its phases, leaves no
# temporary file, and the session goes on.
{
	my %endless = (
		'while rows are collected' => q{
			SELECT tfrs.train(i % 1000, i % 999) FROM generate_series(1, 1000000000) i},
		'while rows go to temporary files' => q{
			SET maintenance_work_mem = '1MB';
			SELECT tfrs.train(i, i * 7) FROM generate_series(1, 1000000000) i},
		'while a history tower is trained' => q{
			SELECT tfrs.train(user_id, item_id, NULL, at, '{"history": {"steps": 100000000}}') FROM event},
		'while tables are trained' => q{
			SELECT tfrs.train(user_id, item_id, '{"preset": "tfrs", "epochs": 100000}') FROM event});

	foreach my $when (sort keys %endless)
	{
		my $began = time;
		my (undef, $out, $errors) = $server->psql('postgres', qq{
			\\set VERBOSITY sqlstate
			SET statement_timeout = '2s';
			$endless{$when};
			RESET statement_timeout;
			SELECT 'alive'}, on_error_stop => 0);
		my $seconds = time - $began;

		like($errors, qr/ERROR:  57014/, "cancelled $when");
		like($out, qr/alive/, 'the session lives');
		cmp_ok($seconds, '<', 30, sprintf('it ended after %.1f s', $seconds));
		is(scalar(@{[ glob($server->data_dir . '/base/pgsql_tmp/pgsql_tmp[0-9]*') ]}), 0,
			'no temporary file is left');
	}
}

# Another session's cancel, then the end of the backend.
foreach my $function ('pg_cancel_backend', 'pg_terminate_backend')
{
	my $training = q{pid FROM pg_stat_activity WHERE query LIKE '%"steps": 100000000%' AND pid <> pg_backend_pid()};
	my ($in, $out, $errors) = ('', '', '');
	my $harness = IPC::Run::start(
		[ 'psql', '-X', '-q', '-d', $server->connstr('postgres'), '-c',
			q{SELECT tfrs.train(user_id, item_id, NULL, at, '{"history": {"steps": 100000000}}') FROM event} ],
		\$in, \$out, \$errors);

	$server->poll_query_until('postgres', "SELECT count(*) = 1 FROM (SELECT $training) t");
	$server->safe_psql('postgres', 'SELECT pg_sleep(1)');
	$server->safe_psql('postgres', "SELECT $function($training" =~ s/\bFROM/) FROM/r);
	ok($server->poll_query_until('postgres', "SELECT count(*) = 0 FROM (SELECT $training AND state = 'active') t"),
		"$function ends a training");
	$harness->finish;
	like($errors, qr/canceling statement|terminating connection/, 'and says so');
}

$server->stop;
done_testing();
