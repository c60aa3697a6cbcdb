# Errors of a refresh are sent whole, after the memory of the refresh has ended.  The C library fills
# memory that is freed, so that whatever is read from it shows.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use PostgreSQL::Test::Utils;
use Test::More;
use Tfrs;

$ENV{MALLOC_PERTURB_} = 165;
my $server = new_server('main');

sub sql { return $server->safe_psql('postgres', $_[0]) }

# What a client is told by a session that must still answer afterwards.
sub messages_of
{
	my ($statements) = @_;
	my ($code, $answers, $messages) = $server->psql('postgres',
		"\\set VERBOSITY verbose\n$statements;\nRESET statement_timeout;\nSELECT 'still there'", on_error_stop => 0);

	is($answers, 'still there', 'the session goes on');
	unlike($messages, qr/\xa5\xa5|\x5a\x5a|message contents do not agree/, 'nothing of freed memory is sent');
	return $messages;
}

sql(q{
	CREATE TABLE event AS SELECT i % 50 AS u, (i * i) % 101 AS c FROM generate_series(1, 3000) i;
	CREATE VIEW seen AS TABLE event;
	CALL tfrs.create_recommender('films', 'seen', 'u', 'c', options => '{"dim": 4, "history": {"steps": 5}}');
	CREATE FUNCTION refuse() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused'; END $$;
	CREATE FUNCTION refuse_row() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused'; END $$});

# What makes each phase fail, and what takes that away.
my %phases = (
	'while rows are read' => [
		'CREATE OR REPLACE VIEW seen AS SELECT * FROM event WHERE refuse()',
		'CREATE OR REPLACE VIEW seen AS TABLE event'
	],
	'while the version is stored' => [
		'CREATE TRIGGER refuse BEFORE INSERT ON films_recommender FOR EACH ROW EXECUTE FUNCTION refuse_row()',
		'DROP TRIGGER refuse ON films_recommender'
	]);

foreach my $when (sort keys %phases)
{
	my ($break, $mend) = @{ $phases{$when} };

	sql($break);
	like(messages_of(q{CALL tfrs.refresh('films')}), qr/ERROR:  P0001: refused\n(.*\n)*LOCATION:  exec_stmt_raise, pl_exec\.c:\d+$/m,
		"where an error was raised $when");
	my $all = messages_of('CALL tfrs.refresh_all()');
	like($all, qr/WARNING:  P0001: recommender "films" was not refreshed: refused\nLOCATION:  \w+, refresh\.c:\d+$/m,
		"refresh_all tells of an error $when");
	like($all, qr/ERROR:  55000: 1 of 1 recommenders were not refreshed\n(.*\n)*LOCATION:  \w+, refresh\.c:\d+$/m,
		'and fails');
	is(sql(q{SELECT state || ' ' || error FROM tfrs.training_run ORDER BY run_id DESC LIMIT 1}), 'failed refused',
		'the run is recorded');
	sql($mend);
}

# A timeout in the middle of a training, which never ends by itself.
sql(q{CALL tfrs.alter_recommender('films', options => '{"history": {"steps": 100000000}}')});
foreach my $call (q{refresh('films')}, 'refresh_all()')
{
	like(messages_of("SET statement_timeout = '2s';\nCALL tfrs.$call"),
		qr/ERROR:  57014: canceling statement due to statement timeout\n(.*\n)*LOCATION:  ProcessInterrupts, postgres\.c:\d+$/m,
		"$call: a timeout");
}

$server->stop;
done_testing();
