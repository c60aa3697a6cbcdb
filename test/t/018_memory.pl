# What one statement may take: both bounds together, and a small overhead, whatever the ids are.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use PostgreSQL::Test::Utils;
use Test::More;
use Tfrs;

plan skip_all => 'the peak of a process is read from /proc' if !-r '/proc/self/status';

my $server = new_server('main');
my $peak = q{(SELECT (regexp_match(pg_read_file('/proc/self/status'), 'VmHWM:\s+(\d+)'))[1]::int / 1024)};

# The error of a statement under 64 MB each, and the megabytes that its session has taken at most.
sub measure
{
	my ($sql) = @_;
	my ($status, $out, $err) = $server->psql('postgres', qq{
		SET tfrs.max_memory = '64MB';
		SET maintenance_work_mem = '64MB';
		SELECT ($sql) IS NULL \\g /dev/null
		SELECT $peak}, on_error_stop => 0);

	return ($err, $out);
}

my %statements = (
	'texts of queries' => q{SELECT tfrs.train(repeat('x', 1900) || i, i) FROM generate_series(1, 1000000) i},
	'texts of candidates' => q{SELECT tfrs.train(i % 9, repeat('x', 1900) || i) FROM generate_series(1, 1000000) i},
	'integers' => q{SELECT tfrs.train(i, i, '{"store": false, "history": false, "dim": 1, "epochs": 1}')
		FROM generate_series(1, 5000000) i},
	'integers to retrain with' => q{SELECT tfrs.retrain(NULL::tfrs.model, i, i) FROM generate_series(1, 5000000) i},
	'vectors' => q{SELECT tfrs.build_index(i, '[1,2,3,4,5,6,7,8]'::tfrs.embedding) FROM generate_series(1, 5000000) i},
	'ids of an index' => q{SELECT tfrs.build_index(repeat('x', 1900) || i, '[1]'::tfrs.embedding)
		FROM generate_series(1, 1000000) i});

foreach my $name (sort keys %statements)
{
	my ($error, $peak) = measure($statements{$name});

	like($error, qr/than tfrs\.max_memory allows/, "$name: the error names the setting");
	# 128 MB, the server's own 20 and what malloc keeps; without a bound it was 600 and more
	cmp_ok($peak, '<', 256, "$name: the peak");
	note("$name: $peak MB");
}

# Each measuring of a refresh is bounded too.
$server->safe_psql('postgres', q{
	CREATE TABLE purchase AS SELECT i AS user_id, i % 1000 AS item_id FROM generate_series(1, 1500000) i;
	CALL tfrs.create_recommender('shop', 'purchase', 'user_id', 'item_id')});
my ($status, $out, $err) = $server->psql('postgres', qq{
	SET tfrs.max_memory = '64MB';
	SET maintenance_work_mem = '64MB';
	CALL tfrs.refresh('shop');
	SELECT $peak}, on_error_stop => 0);
like($err, qr/tfrs\.max_memory/, 'refresh: the error names the setting');
cmp_ok($out, '<', 320, 'refresh: the peak');
note("refresh: $out MB");

$server->stop;
done_testing();
