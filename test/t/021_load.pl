# 32 clients that ask, beside refreshes, reports, changes and recommenders that are dropped and made
# again: nobody gets an internal error, nobody's connection ends, each answer is whole.  TFRS_SECONDS: how
# long (5).

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use PostgreSQL::Test::Utils;
use Test::More;
use Tfrs;

my $seconds = $ENV{TFRS_SECONDS} || 5;
my $server = new_server('main');
my $small = q{options => '{"dim": 4, "history": {"steps": 5}}'};

$server->safe_psql('postgres', qq{
	CREATE TABLE event AS SELECT i % 97 AS u, (i * i) % 61 AS c FROM generate_series(1, 3000) i;
	CREATE INDEX ON event (u);
	CALL tfrs.create_recommender('steady', 'event', 'u', 'c', $small);
	CALL tfrs.create_recommender('fleeting', 'event', 'u', 'c', held_out => 0, $small);
	CALL tfrs.refresh_all();
	CALL tfrs.materialize('steady', 'steady_report', k => 5)});

# What clients may be told: that something was dropped, is not there yet, or is busy.
my @allowed = qw(undefined_object undefined_table object_not_in_prerequisite_state duplicate_object duplicate_table
	lock_not_available object_in_use deadlock_detected serialization_failure no_data_found undefined_column);

# A statement of one client as a file for pgbench.
sub script
{
	my ($name, $statement, $is_query) = @_;
	my $file = "${PostgreSQL::Test::Utils::tmp_check}/$name.sql";
	my $handler = join ' OR ', @allowed;

	$statement = "PERFORM * FROM $statement" if $is_query;
	append_to_file($file, $is_query
		? "DO \$do\$ BEGIN $statement; EXCEPTION WHEN $handler THEN NULL; END \$do\$;\n"
		: "$statement;\n");
	return $file;
}

sub pgbench
{
	my ($clients, @files) = @_;
	my %run = (out => '');

	$run{harness} = IPC::Run::start(
		[ 'pgbench', '-n', '-c', $clients, '-j', 2, '-T', $seconds, (map { ('-f', $_) } @files),
			'-h', $server->host, '-p', $server->port, '-U', 'postgres', 'postgres' ],
		'<', \'', '>&', \$run{out});
	return \%run;
}

# Repeats a statement in a session of its own; errors are looked at afterwards.
sub repeat
{
	my ($statement, $role) = @_;
	my %run = (out => '', ended => time + $seconds);
	my $file = "${PostgreSQL::Test::Utils::tmp_check}/repeat_" . scalar(localtime) =~ s/\W//gr . int(rand(1e6));

	append_to_file($file, "SET client_min_messages = error;\n\\set VERBOSITY verbose\n" . "$statement;\n" x (40 * $seconds));
	$run{harness} = IPC::Run::start(
		[ 'timeout', $seconds, 'psql', '-X', '-q', '-h', $server->host, '-p', $server->port, '-U', 'postgres', '-d', 'postgres', '-f', $file ],
		'<', \'', '>&', \$run{out});
	return \%run;
}

my $asking = pgbench(32,
	script('recommend', q{tfrs.recommend('steady', (random() * 120)::int, 5)}, 1),
	script('recommend_fleeting', q{tfrs.recommend('fleeting', (random() * 120)::int, 5)}, 1),
	script('explain', q{tfrs.explain('fleeting', (random() * 96)::int, 5)}, 1),
	script('similar', q{tfrs.similar('steady', (random() * 60)::int, 5)}, 1),
	script('top_k', q{steady_recommender f, tfrs.top_k(f.model, (random() * 96)::int, 5)}, 1),
	script('status', q{tfrs.recommender_status}, 1),
	script('runs', q{tfrs.training_run}, 1),
	script('insert', q{INSERT INTO event VALUES ((random() * 96)::int, (random() * 60)::int)}, 0));
my @working = map { repeat($_) } (
	q{CALL tfrs.refresh('steady', force => true)},
	q{CALL tfrs.refresh_all(force => true)},
	q{CALL tfrs.materialize('steady', 'steady_report', k => 5)},
	q{CALL tfrs.materialize('fleeting', 'fleeting_report', k => 5)},
	q{CALL tfrs.alter_recommender('steady', keep_versions => 2)},
	qq{CALL tfrs.drop_recommender('fleeting'); CALL tfrs.create_recommender('fleeting', 'event', 'u', 'c', held_out => 0, $small); CALL tfrs.refresh('fleeting')},
	q{SELECT tfrs.clear_cache()});

$asking->{harness}->finish;
$_->{harness}->finish foreach @working;
unlike($asking->{out}, qr/aborted|error/i, 'no client is turned away with another error') or diag($asking->{out});
like($asking->{out}, qr/number of transactions actually processed: [1-9]/, 'clients are answered');
my @internal = grep { /\bXX\d\d\d\b/ } map { split /\n/, $_->{out} } @working;
is("@internal[0 .. ($#internal < 5 ? $#internal : 5)]", '', 'no internal errors');
my %told;
$told{$_}++ foreach grep { s/.*ERROR:  (\w{5}): (.*)/$1 $2/ } map { split /\n/, $_->{out} } @working;
note("$told{$_} times $_") foreach sort keys %told;
unlike(slurp_file($server->logfile), qr/terminated by signal|PANIC/, 'no process crashes');

# Afterwards all works.
my $end = sub { return $server->safe_psql('postgres', $_[0]) };
$end->(q{CALL tfrs.refresh('steady', force => true); CALL tfrs.materialize('steady', 'steady_report', k => 5)});
is($end->(q{SELECT count(*) FROM tfrs.recommend('steady', 7, 5)}), 5, 'the recommender answers');
is($end->(q{SELECT count(*) FROM steady_report WHERE query = 7}), 5, 'the report is whole');
is($end->(q{SELECT count(*) FROM tfrs.training_run WHERE state = 'running'}), 0, 'no run seems to go on');

$server->stop;
done_testing();
