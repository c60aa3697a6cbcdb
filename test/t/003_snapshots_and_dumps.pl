# Models and indexes are values: transactions see those of their snapshot, dumps restore them.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use PostgreSQL::Test::Utils;
use Test::More;
use Tfrs;

my $server = new_server('main');
fill($server, 30000, 'a');
$server->safe_psql('postgres', q{
	CREATE TABLE recommender AS
	SELECT tfrs.train(i % 97, sqrt(i * 31 % 3001)::int, '{"dim": 8, "epochs": 2}') AS model
	FROM generate_series(1, 3000) i});
my $first = answer($server, 'a');
my $replace = q{UPDATE shelf SET index = (
	SELECT tfrs.build_index(i, ARRAY[cos(i), i % 7, 1]::tfrs.embedding) FROM generate_series(1, 30000) i)};

# A transaction sees the index of its snapshot, whatever others commit, and others never see what is
# rolled back.
{
	my $reader = $server->background_psql('postgres');
	my $writer = $server->background_psql('postgres');

	$reader->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ;');
	is($reader->query_safe(Tfrs::question('a')), $first, 'a snapshot');
	$writer->query_safe("BEGIN; $replace;");
	my $second = $writer->query_safe(Tfrs::question('a'));
	isnt($second, $first, 'who replaces the index sees the new one at once');
	is(answer($server, 'a'), $first, 'nobody else does');
	$writer->query_safe('ROLLBACK;');
	is($writer->query_safe(Tfrs::question('a')), $first, 'nor he himself after a rollback');

	$writer->query_safe("$replace;");
	is(answer($server, 'a'), $second, 'after a commit everybody does');
	is($reader->query_safe(Tfrs::question('a')), $first, 'but for the old snapshot');
	$reader->query_safe('COMMIT;');
	is($reader->query_safe(Tfrs::question('a')), $second, 'until it ends');
	$server->safe_psql('postgres', 'VACUUM shelf');
	is($reader->query_safe(Tfrs::question('a')), $second, 'after VACUUM');
	$_->quit foreach $reader, $writer;
}

# Dump and restore: equal bytes, so equal answers.
{
	my $digests = q{SELECT tfrs.index_info(index) ->> 'digest', tfrs.model_info(model) ->> 'digest'
		FROM shelf, recommender};
	my $expected = $server->safe_psql('postgres', $digests);
	my $answer = answer($server, 'a');
	my $dump = $server->basedir . '/dump';

	foreach my $format ('plain', 'custom')
	{
		my $database = "copy_$format";

		$server->safe_psql('postgres', "CREATE DATABASE $database");
		$server->command_ok([ 'pg_dump', '-F', $format, '-f', $dump, '-d', $server->connstr('postgres') ],
			"pg_dump -F $format");
		$server->command_ok($format eq 'plain'
			? [ 'psql', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $server->connstr($database) ]
			: [ 'pg_restore', '-d', $server->connstr($database), $dump ],
			'restored');
		is($server->safe_psql($database, $digests), $expected, 'equal digests');
		is($server->safe_psql($database, Tfrs::question('a')), $answer, 'equal answers');
	}
	is(scalar(files($server)) >= 2, 1, 'each database has a file of its own');
}

# One role's index is not another's to read, cached or not.
{
	$server->safe_psql('postgres', q{
		CREATE ROLE reader LOGIN;
		GRANT USAGE ON SCHEMA tfrs TO reader;});
	my ($code, undef, $errors) = $server->psql('postgres', Tfrs::question('a'), extra_params => [ '-U', 'reader' ]);
	like($errors, qr/permission denied for table shelf/, 'no right to the table');
	$server->safe_psql('postgres', q{
		GRANT SELECT ON shelf TO reader;
		ALTER TABLE shelf ENABLE ROW LEVEL SECURITY;});
	is($server->safe_psql('postgres', Tfrs::question('a'), extra_params => [ '-U', 'reader' ]), '', 'a hidden row');
}

$server->stop;
done_testing();
