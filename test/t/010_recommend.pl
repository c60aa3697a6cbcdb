# Recommendations while recommenders are refreshed and materialized: whoever reads sees one version or
# the next, never an error and never an empty answer.  And from a standby, and after a dump.
#
# TFRS_ROUNDS=50 does it fifty times.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Tfrs;

my $rounds = $ENV{TFRS_ROUNDS} // 4;
$ENV{PGOPTIONS} = '-c client_min_messages=warning';
my $primary = new_server('primary', allows_streaming => 1);
$primary->safe_psql('postgres', q{
	CREATE TABLE thing (thing int PRIMARY KEY, title text, in_stock boolean DEFAULT true);
	INSERT INTO thing SELECT i, 'thing ' || i FROM generate_series(1, 200) i;
	CREATE TABLE visit (person int, thing int, seen_at timestamptz);
	INSERT INTO visit SELECT person, 1 + (person % 4 * 50 + (person * 7 + n * n) % 50), timestamptz '2026-01-01' + n * interval '1 hour'
	FROM generate_series(1, 400) person, generate_series(1, 12) n;
	CREATE INDEX ON visit (person);
	CALL tfrs.create_recommender('things', 'visit', 'person', 'thing', at => 'seen_at', candidates => 'thing', label => 'title',
		available => 'in_stock', keep_versions => 1, tolerance => 1, options => '{"dim": 8, "history": {"steps": 60}}');
	CALL tfrs.refresh('things');
	CALL tfrs.materialize('things', 'advice', k => 10, tolerance => 0);

	CREATE SEQUENCE r;

	-- readers raise where an answer isn't whole
	CREATE FUNCTION look(who int) RETURNS void LANGUAGE plpgsql AS $$
	DECLARE
		found text;
	BEGIN
		SELECT string_agg(rank::text, ',' ORDER BY rank) INTO found
		FROM tfrs.recommend('things', who) WHERE label = 'thing ' || candidate;
		IF found IS DISTINCT FROM '1,2,3,4,5,6,7,8,9,10' THEN
			RAISE 'recommend for % has ranks %', who, found;
		END IF;
		SELECT string_agg(rank::text, ',' ORDER BY rank) INTO found FROM advice WHERE query = who;
		IF found IS DISTINCT FROM '1,2,3,4,5,6,7,8,9,10' THEN
			RAISE 'the table for % has ranks %', who, found;
		END IF;
	END $$;

	-- and where two looks in one transaction differ
	CREATE PROCEDURE look_twice(who int) LANGUAGE plpgsql AS $$
	DECLARE
		first text;
		second text;
	BEGIN
		SELECT string_agg(r::text, ',') INTO first FROM tfrs.recommend('things', who) r;
		PERFORM pg_sleep(0.01);
		SELECT string_agg(r::text, ',') INTO second FROM tfrs.recommend('things', who) r;
		IF first IS DISTINCT FROM second THEN
			RAISE 'two answers in one snapshot: % and %', first, second;
		END IF;
	END $$;
});

# Readers, one in each isolation level, until they are told to stop.
my %script = (
	'read committed' => 'SELECT look((1 + random() * 399)::int), nextval(chr(114)) \watch 0.003',
	'repeatable read' => 'CALL look_twice((1 + random() * 399)::int) \watch 0.003');
my %reader;
foreach my $level (sort keys %script)
{
	my $file = $primary->basedir . '/' . $level =~ tr/ /_/r;

	append_to_file("$file.sql", "SET default_transaction_isolation = '$level';\n$script{$level}\n");
	$reader{$level} = {
		output => "$file.out",
		process => IPC::Run::start([ 'psql', '-XAt', '-v', 'ON_ERROR_STOP=1', '-d', $primary->connstr('postgres') ],
			'<', "$file.sql", '>', "$file.out", '2>&1')
	};
}

my @versions;
foreach my $round (1 .. $rounds)
{
	$primary->safe_psql('postgres', qq{
		INSERT INTO visit SELECT 1 + random() * 399, 1 + random() * 199, now() FROM generate_series(1, 40);
		UPDATE thing SET in_stock = thing % 20 <> $round % 20;
		CALL tfrs.refresh('things', force => true);
		CALL tfrs.materialize('things', 'advice', k => 10, tolerance => 0);
	});
	push @versions, $primary->safe_psql('postgres', 'SELECT string_agg(version::text, chr(44)) FROM things_recommender');
}
is_deeply(\@versions, [ map { $_ + 1 } 1 .. $rounds ], 'each round is another version, the one before is gone');
foreach my $level (sort keys %reader)
{
	my ($process, $output) = @{ $reader{$level} }{ 'process', 'output' };

	ok($process->pumpable, "a reader in $level goes on");
	$process->kill_kill;
	unlike(slurp_file($output), qr/ERROR/, 'without an error');
}
cmp_ok($primary->safe_psql('postgres', 'SELECT last_value FROM r'), '>', 10 * $rounds, 'and has read much');

# The rows that readers saw are those of recommend.
my $different = q{
	SELECT count(*), count(*) FILTER (WHERE a.score IS DISTINCT FROM r.score::float8 OR a.candidate::text <> r.candidate)
	FROM (SELECT query, r.* FROM (SELECT DISTINCT query FROM advice) q, tfrs.recommend('things', query) r) r
	FULL JOIN advice a USING (query, rank)};
is($primary->safe_psql('postgres', $different), '4000|0', 'the table has what recommend answers');

# Two materializations at once: one waits for the other.
{
	my @sessions = map { $primary->background_psql('postgres') } 1 .. 2;

	$sessions[0]->query_safe('BEGIN; CALL tfrs.materialize(\'things\', \'advice\', k => 3);');
	$sessions[1]->query_until(qr/begun/, "\\echo begun\nCALL tfrs.materialize('things', 'advice', k => 4);\n");
	ok($primary->poll_query_until('postgres',
		q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'CALL tfrs.materialize%'}),
		'the second waits');
	$sessions[0]->query_safe('COMMIT;');
	$sessions[1]->query_safe('SELECT 1;');
	is($primary->safe_psql('postgres', 'SELECT count(*) FROM advice'), '1600', 'and then writes');
	$_->quit foreach @sessions;
}

# A cancel in the middle leaves whole queries, no lock and no open cursor.
{
	my ($code, $out, $error) = $primary->psql('postgres', q{
		UPDATE thing SET in_stock = true;
		SET statement_timeout = 1;
		CALL tfrs.materialize('things', 'advice', k => 50);
		RESET statement_timeout;
		SELECT count(*) FROM pg_locks WHERE mode = 'ShareUpdateExclusiveLock';
		SELECT count(*) FROM pg_cursors;
		SELECT count(*) FROM (SELECT count(*) FROM advice GROUP BY query HAVING count(*) NOT IN (4, 50)) t;
		CALL tfrs.materialize('things', 'advice', k => 10, tolerance => 0);
	}, on_error_stop => 0);
	like($error, qr/canceling statement due to statement timeout/, 'cancelled');
	is($out, "0\n0\n0", 'nothing is left of it');
	is($primary->safe_psql('postgres', $different), '4000|0', 'the next one writes all');
}

# A standby answers, and follows clicks and refreshes as they are replayed.
my $ask = q{SELECT string_agg(rank || ' ' || candidate || ' ' || label || ' ' || score || ' ' || source, ',' ORDER BY rank)
	FROM tfrs.recommend('things', 42) UNION ALL
	SELECT string_agg(candidate || ' ' || score, ',' ORDER BY rank) FROM tfrs.similar('things', 42) UNION ALL
	SELECT string_agg(candidate || ' ' || contribution, ',' ORDER BY rank) FROM tfrs.explain('things', 42, 42)};
$primary->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'copy', has_streaming => 1);
$standby->start;
my $before = $primary->safe_psql('postgres', $ask);
$primary->wait_for_catchup($standby);
is($standby->safe_psql('postgres', $ask), $before, 'the standby answers as the primary does');
$primary->safe_psql('postgres', q{INSERT INTO visit VALUES (42, 3, now())});
$primary->wait_for_catchup($standby);
my $after = $standby->safe_psql('postgres', $ask);
isnt($after, $before, 'it sees a click');
is($after, $primary->safe_psql('postgres', $ask), 'as the primary does');
$primary->safe_psql('postgres', q{CALL tfrs.refresh('things', force => true)});
$primary->wait_for_catchup($standby);
is($standby->safe_psql('postgres', $ask), $primary->safe_psql('postgres', $ask), 'and another version');
my ($code, $out, $error) = $standby->psql('postgres', q{CALL tfrs.materialize('things', 'advice')});
like($error, qr/read-only|recovery/, 'nothing is written there');
$standby->stop;

# In a worker's leader, under a parallel plan.
is($primary->safe_psql('postgres', q{
	SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
	SET max_parallel_workers_per_gather = 2;
	SELECT count(*) FROM (SELECT count(*) FROM visit v, tfrs.recommend('things', 7, 3) GROUP BY person) t}), '400',
	'beside parallel workers');

# A restored table is still known as ours.
{
	my $dump = $primary->basedir . '/dump';

	$primary->command_ok([ 'pg_dump', '-Fc', '-f', $dump, '-d', $primary->connstr('postgres') ], 'dump');
	$primary->safe_psql('postgres', 'CREATE DATABASE restored');
	$primary->command_ok([ 'pg_restore', '-d', $primary->connstr('restored'), $dump ], 'restore');
	is($primary->safe_psql('restored', $ask), $primary->safe_psql('postgres', $ask), 'the same answers');
	$primary->safe_psql('restored', q{CALL tfrs.materialize('things', 'advice', k => 10, tolerance => 0)});
	is($primary->safe_psql('restored', $different), '4000|0', 'and the table is brought up to date');
}

$primary->stop;
done_testing();
