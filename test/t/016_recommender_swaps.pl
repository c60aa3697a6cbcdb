# Tables that are swapped at the wrong moment of a refresh, and what is in doubt over crashes and on a standby.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use PostgreSQL::Test::Utils;
use Test::More;
use Tfrs;

my $server = new_server('main', allows_streaming => 1);
my $options = q{held_out => 0, options => '{"dim": 4, "history": {"steps": 5}}'};
my $rows = q{SELECT interactions || ' ' || rows FROM tfrs.recommender_status};

sub sql { return $server->safe_psql('postgres', $_[0]) }
sub as_alice { return $server->safe_psql('postgres', $_[0], extra_params => [ '-U', 'alice' ]) }

sql('CREATE ROLE alice LOGIN; GRANT CREATE ON SCHEMA public TO alice');
as_alice(qq{
	CREATE TABLE event AS SELECT i % 50 AS u, (i * i) % 101 AS c FROM generate_series(1, 3000) i;
	CALL tfrs.create_recommender('films', 'event', 'u', 'c', $options);
	CALL tfrs.refresh('films')});
is(sql($rows), 'public.event 3000', 'a recommender');

# While a refresh waits for the table.
{
	my $loader = session($server, 'alice');
	my $refresh = session($server, 'alice');

	say_to($loader, q{BEGIN; CREATE TABLE event_new AS SELECT * FROM event UNION ALL SELECT 99, i FROM generate_series(1, 10) i;
		ALTER TABLE event RENAME TO event_old; ALTER TABLE event_new RENAME TO event});
	$server->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE state = 'idle in transaction'});
	say_to($refresh, q{CALL tfrs.refresh('films')});
	wait_for_waiting($server, 1);
	say_to($loader, 'COMMIT');
	$loader->{harness}->finish;
	$refresh->{harness}->finish;
	like($refresh->{errors}, qr/version 2 is in use/, 'a swap that a refresh waits for');
	is(sql($rows), 'public.event 3010', '... is what it trains on');
	like(($server->psql('postgres', q{CALL tfrs.refresh('films')}))[2], qr/nothing has changed since version 2/, '... and so is the next one');
	as_alice('DROP TABLE event_old');
}

# What is asked is asked until it is answered.
as_alice(q{BEGIN; ALTER TABLE event RENAME TO happened; CREATE TABLE event (LIKE happened); COMMIT});
like(($server->psql('postgres', q{CALL tfrs.refresh('films')}))[2], qr/WARNING:  .*renamed to public.happened/, 'what is in doubt is told');
$server->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($server, 'base', has_streaming => 1);
$standby->start;
my $asked = q{SELECT interactions || ' ' || (problem LIKE '%which one is meant') FROM tfrs.recommender_status};
is($standby->safe_psql('postgres', $asked), 'public.happened true', '... on a standby');
$standby->stop;
$server->stop('immediate');
$server->start;
is(sql($asked), 'public.happened true', '... after a crash');
sql('VACUUM FREEZE pg_type; VACUUM FREEZE pg_class; VACUUM FREEZE pg_attribute');
is(sql($asked), 'public.happened true', '... and after the catalogs were frozen');
as_alice(q{CALL tfrs.alter_recommender('films', interactions => 'happened')});
is(sql(q{SELECT interactions || ' ' || (problem IS NULL) FROM tfrs.recommender_status}), 'public.happened true', '... until it is answered');

# A table of models is the store of one recommender, also where two sessions take it at once.
{
	my $first = session($server, 'alice');
	my $second = session($server, 'alice');
	my $take = q{CALL tfrs.create_recommender('%s', 'happened', 'u', 'c', store => 'loose')};

	as_alice('CREATE TABLE loose (LIKE films_recommender INCLUDING ALL)');
	say_to($first, 'BEGIN; ' . sprintf($take, 'one'));
	$server->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE state = 'idle in transaction'});
	say_to($second, sprintf($take, 'two'));
	wait_for_waiting($server, 1);
	say_to($first, 'COMMIT');
	$first->{harness}->finish;
	$second->{harness}->finish;
	like($second->{errors}, qr/table public.loose holds the models of recommender "one"/, 'a store of two recommenders is refused');
}

$server->stop;
done_testing();
