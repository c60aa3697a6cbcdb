# Upgrades: every way from a released version to this one leads to the objects that a new installation
# has.  src/upgrades holds the scripts, test/fixtures/releases the install scripts of what was released.
#
# A release that is made up, this version without one function, shows that the comparison sees a script
# that forgets something.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use PostgreSQL::Test::Utils;
use Test::More;
use Tfrs;

my $server = new_cluster('main');
$server->start;
my $directory = $server->safe_psql('postgres', "SELECT setting || '/extension' FROM pg_config WHERE name = 'SHAREDIR'");
my $version = $server->safe_psql('postgres',
	"SELECT default_version FROM pg_available_extensions WHERE name = 'tfrs_retrieval'");

# What belongs to the extension, with its definition, privileges and comment.
my $objects = q{
	SELECT pg_describe_object(d.classid, d.objid, 0),
		CASE d.classid
			WHEN 'pg_proc'::regclass THEN (SELECT CASE p.prokind
				WHEN 'a' THEN (SELECT format('%s %s %s %s %s', to_jsonb(a) - ARRAY['aggfnoid', 'aggtranstype'],
					format_type(a.aggtranstype, NULL), pg_get_function_result(p.oid), p.proparallel, p.proacl)
					FROM pg_aggregate a WHERE a.aggfnoid = p.oid)
				ELSE pg_get_functiondef(p.oid) || coalesce(p.proacl::text, '') END FROM pg_proc p WHERE p.oid = d.objid)
			WHEN 'pg_class'::regclass THEN (SELECT c.relkind::text || coalesce(c.relacl::text, '')
				|| CASE c.relkind WHEN 'v' THEN pg_get_viewdef(c.oid) ELSE '' END || coalesce((SELECT string_agg(format('%s %s %s %s', a.attname,
					format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(x.adbin, x.adrelid)), ',' ORDER BY a.attnum)
				FROM pg_attribute a LEFT JOIN pg_attrdef x ON (x.adrelid, x.adnum) = (a.attrelid, a.attnum)
				WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), '')
				|| coalesce((SELECT string_agg(pg_get_constraintdef(n.oid), ',' ORDER BY n.conname) FROM pg_constraint n
					WHERE n.conrelid = c.oid), '')
				FROM pg_class c WHERE c.oid = d.objid)
			WHEN 'pg_type'::regclass THEN (SELECT (to_jsonb(t) - ARRAY['oid', 'typrelid', 'typarray', 'typnamespace'])::text FROM pg_type t
				WHERE t.oid = d.objid AND t.typrelid = 0 AND t.typelem = 0)
		END,
		obj_description(d.objid, (SELECT relname FROM pg_class WHERE oid = d.classid))
	FROM pg_depend d JOIN pg_extension e ON d.refobjid = e.oid AND d.refclassid = 'pg_extension'::regclass
	WHERE e.extname = 'tfrs_retrieval' AND d.deptype = 'e'
	ORDER BY 1};

# What is there after these statements, in a database of its own.
sub objects_after
{
	my ($statements) = @_;

	$server->safe_psql('postgres', 'CREATE DATABASE one');
	$server->safe_psql('one', $statements);
	my $found = $server->safe_psql('one', $objects);
	$server->safe_psql('postgres', 'DROP DATABASE one');
	return $found;
}

my $new = objects_after('CREATE EXTENSION tfrs_retrieval');
cmp_ok(scalar(split(/\n/, $new)), '>', 100, "a new installation of $version has objects");

my @ways = split(/\n/, $server->safe_psql('postgres', qq{
	SELECT p.source FROM pg_extension_update_paths('tfrs_retrieval') p
	JOIN pg_available_extension_versions v ON v.name = 'tfrs_retrieval' AND v.version = p.source
	WHERE p.target = '$version' AND p.path IS NOT NULL}));
is(objects_after("CREATE EXTENSION tfrs_retrieval VERSION '$_'; ALTER EXTENSION tfrs_retrieval UPDATE"), $new,
	"from $_ to $version")
	foreach @ways;

# The release that is made up, with an upgrade that is complete and one that is not.
my $install = slurp_file("$directory/tfrs_retrieval--$version.sql");
my ($function) = $install =~ /^(CREATE FUNCTION version\(\).*?;\n\nCOMMENT ON FUNCTION version\(\).*?;)$/ms;
ok($function, 'the function that the release lacks');
(my $older = $install) =~ s/\Q$function\E//;
my @files = ("$directory/tfrs_retrieval--0.tfrs_test.sql", "$directory/tfrs_retrieval--0.tfrs_test--$version.sql");
append_to_file($files[0], $older);
foreach my $complete (1, 0)
{
	unlink $files[1];
	append_to_file($files[1], $complete ? "$function\n" : "SELECT 1;\n");
	my $upgraded = objects_after(
		q{CREATE EXTENSION tfrs_retrieval VERSION '0.tfrs_test'; ALTER EXTENSION tfrs_retrieval UPDATE});
	is($upgraded eq $new, $complete == 1, $complete ? 'a complete upgrade is equal' : 'one that forgets something is not');
}
unlink @files;

done_testing();
