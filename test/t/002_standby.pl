# A standby answers as its primary does, from a cache of its own, and follows what is replayed.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Tfrs;

my $primary = new_server('primary', allows_streaming => 1);
fill($primary, 30000, 'a');
$primary->safe_psql('postgres', q{
	CREATE TABLE recommender AS
	SELECT tfrs.train(i % 97, sqrt(i * 31 % 3001)::int, '{"dim": 8, "epochs": 2}') AS model
	FROM generate_series(1, 3000) i});
my $ask_model = q{SELECT string_agg(candidate || ' ' || score, ',' ORDER BY rank)
	FROM recommender, tfrs.top_k(model, 42) t};

# The primary has files when the backup is made: they are no part of it.
my $from_index = answer($primary, 'a');
my $from_model = $primary->safe_psql('postgres', $ask_model);
is(scalar(files($primary)), 1, 'the primary has a file');
$primary->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'copy', has_streaming => 1);
$standby->start;
is(scalar(files($standby)), 0, 'the standby starts without one');

is(answer($standby, 'a'), $from_index, 'the standby answers from an index');
is($standby->safe_psql('postgres', $ask_model), $from_model, 'and from a model');
is($standby->safe_psql('postgres', Tfrs::question('a') . 'SELECT shared, hits FROM tfrs.cache'),
	"$from_index\nt|1", 'and shares its cache among its sessions');

# A session that has the old index sees the new one once it is replayed, in its next statement.
{
	my $session = $standby->background_psql('postgres');

	is($session->query_safe(Tfrs::question('a')), $from_index, 'before the update');
	$primary->safe_psql('postgres', q{
		UPDATE shelf SET index = (SELECT tfrs.build_index(i, ARRAY[cos(i), i % 7, 1]::tfrs.embedding)
								  FROM generate_series(1, 30000) i)});
	$primary->wait_for_catchup($standby);
	my $new = answer($primary, 'a');
	isnt($new, $from_index, 'another index has another answer');
	is($session->query_safe(Tfrs::question('a')), $new, 'after the update');
	$primary->safe_psql('postgres', 'VACUUM FULL shelf');
	$primary->wait_for_catchup($standby);
	is($session->query_safe(Tfrs::question('a')), $new, 'after VACUUM FULL');
	$session->quit;

	$standby->promote;
	is(answer($standby, 'a'), $new, 'after promotion');
}

$standby->stop;
$primary->stop;
done_testing();
