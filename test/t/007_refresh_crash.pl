# kill -9 of the server at random moments of a refresh: afterwards there is one version in use, it
# recommends as before or is a whole new one, and the next refresh works.  TFRS_KILLS: how often (3).

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);
use Tfrs;

my $kills = $ENV{TFRS_KILLS} || 3;
my $server = new_server('main');

# All processes at once, as the machine would; no one ends in order.
sub crash
{
	my ($postmaster) = slurp_file($server->data_dir . '/postmaster.pid') =~ /^(\d+)/;
	my @all = (split ' ', `ps -o pid= --ppid $postmaster`);

	kill 'KILL', $postmaster, @all;
	$server->kill9;
	foreach my $pid ($postmaster, @all)
	{
		usleep(10000) while kill 0, $pid;
	}
	return;
}

$server->safe_psql('postgres', q{
	CREATE TABLE event AS
	SELECT i * 7 % 997 AS user_id, (sqrt(i * 31 % 90001))::int AS item_id,
		'2026-01-01'::timestamptz + i * interval '1 minute' AS happened
	FROM generate_series(1, 60000) i;
	CALL tfrs.create_recommender('films', 'event', 'user_id', 'item_id', at => 'happened',
		options => '{"dim": 8, "history": {"steps": 200}}');
	CALL tfrs.refresh('films')});

my $began = time;
$server->safe_psql('postgres', q{CALL tfrs.refresh('films', force => true)});
my $usual = time - $began;
my %seen;

sub value { return $server->safe_psql('postgres', $_[0]) }

# What must hold at any time.
sub check
{
	my ($when) = @_;

	is(value(q{
		SELECT count(*) FROM tfrs.recommender_status s JOIN films_recommender f USING (version),
			tfrs.top_k(f.model, 7, 5)}), 5, "$when: the version in use answers");
	is(value(q{
		SELECT count(*) FROM films_recommender f FULL JOIN (
			SELECT version FROM tfrs.recommender_version WHERE pruned_at IS NULL) v USING (version)
		WHERE f.version IS NULL OR v.version IS NULL}), 0, 'each version has its model, each model its version');
	is(value(q{SELECT count(*) FROM tfrs.training_run WHERE state = 'running'}), 0, 'no run seems to go on');
	return;
}

srand($ENV{TFRS_SEED} || time);
foreach my $i (1 .. $kills)
{
	my ($out, $errors) = ('', '');
	my $before = value('SELECT version FROM tfrs.recommender_status');
	my $session = IPC::Run::start(
		[ 'psql', '-X', '-q', '-d', $server->connstr('postgres'), '-c', q{CALL tfrs.refresh('films', force => true)} ],
		'<', \'', '>', \$out, '2>', \$errors);

	usleep(1000000 * rand(1.2 * $usual));
	crash();
	$session->finish;
	$server->start;
	my $after = value('SELECT version FROM tfrs.recommender_status');
	cmp_ok($after, '>=', $before, "kill $i: from version $before to $after");
	$seen{ value('SELECT state FROM tfrs.training_run ORDER BY run_id DESC LIMIT 1') }++;
	check("kill $i");
}
note(join ', ', map { "$_: $seen{$_}" } sort keys %seen);
$server->safe_psql('postgres', q{CALL tfrs.refresh('films', force => true)});
check('at the end');

# A store that a crash empties: that is a problem, and the next refresh trains though no row has changed.
my $lost = value('SELECT version FROM tfrs.recommender_status');
$server->safe_psql('postgres', 'ALTER TABLE films_recommender SET UNLOGGED');
crash();
$server->start;
like(value('SELECT problem FROM tfrs.recommender_status'), qr/^the model of version $lost, which is in use, is missing/,
	'an unlogged store is empty after a crash');
like(($server->psql('postgres', q{SELECT * FROM tfrs.recommend('films', 7)}))[2],
	qr/ERROR:  the model of recommender "films" is missing\n.*films_recommender.*\nHINT:.*refresh/, 'and answers say so');

$server->safe_psql('postgres', q{CALL tfrs.refresh('films')});
is(value('SELECT version > ' . $lost . ' AND problem IS NULL FROM tfrs.recommender_status'), 't', 'a refresh mends it');
is(value(q{SELECT count(*) FROM tfrs.recommend('films', 7)}), 10, 'and there are answers');

$server->stop;
done_testing();
