# tfrs.progress: what another session sees of a training, who sees it, and what is left when the
# training ends in every way there is.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use PostgreSQL::Test::Utils;
use Test::More;
use Tfrs;

my $server = new_server('main');
my $file = $server->data_dir . '/base/pgsql_tmp/pgsql_tmp_records_progress';
$server->safe_psql('postgres', q{
	CREATE TABLE event AS
	SELECT i * 7 % 997 AS user_id, (sqrt(i * 31 % 90001))::int AS item_id,
		'2026-01-01'::timestamptz + i * interval '1 minute' AS at
	FROM generate_series(1, 20000) i;
	GRANT SELECT ON event TO PUBLIC;
	CREATE ROLE trainer LOGIN; CREATE ROLE stranger LOGIN; CREATE ROLE monitor LOGIN IN ROLE pg_read_all_stats;
	GRANT CREATE ON SCHEMA public TO trainer;
	CREATE DATABASE other;});
$server->safe_psql('other', 'CREATE EXTENSION tfrs_retrieval');

# What psql says to a query, as that role in that database.
sub ask
{
	my ($sql, $role, $database) = @_;

	return $server->safe_psql($database // 'postgres', $sql, extra_params => [ '-U', $role // 'trainer' ]);
}

# A training that nobody waits for, and its end as psql reports it.
my $endless = q{SELECT tfrs.train(user_id, item_id, NULL, at, '{"history": {"steps": 100000000}}') FROM event};

sub start
{
	my ($sql) = @_;
	my %session = (in => '', out => '', errors => '');

	$session{psql} = IPC::Run::start(
		[ 'psql', '-X', '-q', '-A', '-t', '-d', $server->connstr('postgres'), '-U', 'trainer', '-c', $sql ],
		\$session{in}, \$session{out}, \$session{errors});
	return \%session;
}

sub wait_for_row
{
	my ($kind) = @_;

	return $server->poll_query_until('postgres', "SELECT count(*) = 1 FROM tfrs.progress WHERE kind = '$kind'");
}

sub cancel
{
	my ($session) = @_;

	$server->safe_psql('postgres', 'SELECT pg_cancel_backend(pid) FROM tfrs.progress');
	$session->{psql}->finish;
	return;
}

is(ask('SELECT count(*) FROM tfrs.progress'), 0, 'nothing runs');

# A training as it is seen by its role, by a monitor, by others and from another database.
{
	my $session = start($endless);

	ok(wait_for_row('train'), 'a training has a row');
	ok($server->poll_query_until('postgres', q{SELECT phase = 'choosing weights' AND batch > 0 FROM tfrs.progress}),
		'with what it is doing');
	is(ask(q{SELECT kind, subject IS NULL, epoch IS NULL, batch > 0, done > 0, total, rows_per_second > 0,
			loss BETWEEN 0 AND 20, remaining_seconds > 1, began BETWEEN now() - interval '5 minutes' AND now()
			FROM tfrs.progress}),
		'train|t|t|t|t|25000000|t|t|t|t', 'its numbers');
	is(ask(q{SELECT count(*) FROM tfrs.progress JOIN pg_stat_activity USING (pid) WHERE state = 'active'}), 1,
		'its process');
	my $done = ask('SELECT done FROM tfrs.progress');
	ok($server->poll_query_until('postgres', "SELECT done > $done FROM tfrs.progress"), 'it goes on');
	is(ask('SELECT count(*) FROM tfrs.progress', 'monitor'), 1, 'a monitor sees it');
	is(ask('SELECT count(*) FROM tfrs.progress', 'stranger'), 0, 'a stranger does not');
	is($server->safe_psql('other', 'SELECT count(*) FROM tfrs.progress'), 0, 'nor does another database');

	my $two = start($endless);
	ok($server->poll_query_until('postgres', 'SELECT count(*) = 2 FROM tfrs.progress'), 'two trainings have two rows');
	$server->safe_psql('postgres', 'SELECT pg_terminate_backend(max(pid)) FROM tfrs.progress');
	ok($server->poll_query_until('postgres', 'SELECT count(*) = 1 FROM tfrs.progress'),
		'one that was terminated has none');
	$server->safe_psql('postgres', 'SELECT pg_cancel_backend(pid) FROM tfrs.progress');
	$_->{psql}->finish foreach $session, $two;
	is(ask('SELECT count(*) FROM tfrs.progress'), 0, 'nor has one that was cancelled');
}

# Where all weights are given, the training itself begins at once.
{
	my $session = start(q{SELECT tfrs.train(user_id, item_id, NULL, at,
		'{"history": {"steps": 100000000}, "parts": {"together": 5, "next": 0, "towers": 1, "recent": 0}}') FROM event});

	ok($server->poll_query_until('postgres', q{SELECT phase = 'training' AND batch > 0 FROM tfrs.progress}),
		'a training without a choice of weights');
	is(ask('SELECT epoch, done > 0, total, loss BETWEEN 0 AND 20 FROM tfrs.progress'), '1|t|100000000|t',
		'has its numbers');
	cancel($session);
}

# Thousands of looks meet no half-written row.
{
	my $session = start($endless);

	wait_for_row('train');
	is(ask(q{
			CREATE TEMP TABLE looks (whole bool);
			DO $$ BEGIN
				FOR i IN 1 .. 5000 LOOP
					INSERT INTO looks SELECT total IN (0, 25000000) IS NOT FALSE AND done <= total IS NOT FALSE
						AND kind = 'train' FROM tfrs.progress;
				END LOOP;
			END $$;
			SELECT count(*), bool_and(whole) FROM looks}),
		'5000|t', 'every look finds a whole row');
	cancel($session);
}

# The file is removed, cut off, or filled with something else while a training runs: it comes back.
{
	my $session = start($endless);

	wait_for_row('train');
	is((stat $file)[2] & 07777, 0600, 'only the server reads the file');
	unlink($file);
	ok(wait_for_row('train'), 'a removed file is made again');
	truncate($file, 100);
	ok(wait_for_row('train'), 'so is the row in one that was cut off');
	open(my $handle, '+<', $file) or die "could not open $file: $!";
	print $handle "\xff" x (-s $file);
	close($handle);
	ok(wait_for_row('train'), 'and in one full of something else');
	cancel($session);
	open($handle, '>', $file) or die "could not open $file: $!";
	print $handle join('', map { chr(rand(256)) } 1 .. 100000);
	close($handle);
	is(ask('SELECT count(*) FROM tfrs.progress'), 0, 'noise is no row');
	unlink($file);
}

# Where nothing can be written the work is done all the same.
SKIP:
{
	skip 'root may write anywhere', 2 if $> == 0;
	my $directory = $server->data_dir . '/base/pgsql_tmp';

	chmod(0500, $directory);
	my ($code, $out, $errors) = $server->psql('postgres', q{
		SELECT pg_column_size(tfrs.train(user_id, item_id, NULL, at, '{"history": {"steps": 200}}')) > 0,
			(SELECT count(*) FROM tfrs.progress) FROM event});
	is("$out $errors", 't|0 ', 'a directory that is read-only is no error');
	ok(!-e $file, 'and holds no file');
	chmod(0700, $directory);
}

# Builds and evaluations.
{
	my $session = start(q{
		SELECT pg_column_size(tfrs.build_index(i, ARRAY(SELECT sin(i * d)::real FROM generate_series(1, 32) d)::tfrs.embedding,
			'{"kind": "tree", "target_recall": 0.99}')) > 0 FROM generate_series(1, 300000) i});

	ok($server->poll_query_until('postgres', q{SELECT kind = 'build_index' AND phase = 'collecting rows'
			AND rows_per_second > 0 AND total IS NULL FROM tfrs.progress}), 'an index collects its rows');
	ok($server->poll_query_until('postgres', q{SELECT phase = 'building the index' AND done > 0 AND done <= total
			AND remaining_seconds >= 0 FROM tfrs.progress}), 'and is built');
	$session->{psql}->finish;
	is($session->{out}, "t\n", 'to its end');
	is(ask('SELECT count(*) FROM tfrs.progress'), 0, 'then nothing is shown');
}

# A refresh is seen from its beginning, under the name of its recommender, with what it does inside.
{
	ask('CREATE TABLE mine AS SELECT * FROM event', 'trainer');
	ask(q{CALL tfrs.create_recommender('things', 'mine', 'user_id', 'item_id', at => 'at',
		options => '{"history": {"steps": 100000000}}')}, 'trainer');
	my $session = start(q{CALL tfrs.refresh('things')});

	ok(wait_for_row('refresh'), 'a refresh has a row');
	ok($server->poll_query_until('postgres', q{SELECT phase = 'choosing weights' AND done > 0 AND loss > 0
			FROM tfrs.progress}), 'with the numbers of its training');
	is(ask('SELECT kind, subject FROM tfrs.progress'), 'refresh|things', 'and its recommender');
	cancel($session);
	like($session->{errors}, qr/canceling statement/, 'it is cancelled');
	is(ask('SELECT count(*) FROM tfrs.progress'), 0, 'then nothing is shown');
}

# A backend is killed: the server starts again, with or without what lay in its directory.
foreach my $removes ('on', 'off')
{
	$server->append_conf('postgresql.conf', "remove_temp_files_after_crash = $removes");
	$server->reload;
	my $session = start($endless);

	wait_for_row('train');
	kill('KILL', $server->safe_psql('postgres', 'SELECT pid FROM tfrs.progress'));
	$session->{psql}->finish;
	$server->poll_query_until('postgres', 'SELECT true') or die 'the server did not come back';
	is(-e $file ? 'left' : 'gone', $removes eq 'on' ? 'gone' : 'left', "removes $removes: the file");
	is(ask('SELECT count(*) FROM tfrs.progress'), 0, 'holds no row');
	$session = start($endless);
	ok(wait_for_row('train'), 'the next training has one');
	cancel($session);
}

$server->stop;
done_testing();
