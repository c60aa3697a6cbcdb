# Dumps and restores of every kind: recommenders come back whole, or can be made whole.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use PostgreSQL::Test::Utils;
use Test::More;
use Tfrs;

my $server = new_server('main');
my $dump = $PostgreSQL::Test::Utils::tmp_check . '/dump';
my $settings = q{at => 'at', candidates => 'film', label => 'title', options => '{"dim": 4, "history": {"steps": 5}}'};
my $state = q{
	SELECT r.recommender, r.owner, r.interactions, r.candidates, r.store, r.version, r.versions, r.rows, r.problem,
		(SELECT count(*) FROM tfrs.training_run), (SELECT count(*) FROM tfrs.training_epoch), (SELECT count(*) FROM tfrs.metric)
	FROM tfrs.recommender_status r};
my @registry = map { "tfrs.recommender$_" } '', '_run', '_version', '_epoch', '_metric';

# What a statement of a role says.
sub says
{
	my ($database, $sql, $role) = @_;
	my ($status, $out, $errors) = $server->psql($database, $sql, on_error_stop => 0, extra_params => [ '-U', $role // 'alice' ]);

	return $errors;
}

sub dump_database
{
	my ($database, @options) = @_;

	$server->command_ok([ 'pg_dump', '-f', $dump, @options, '-d', $server->connstr($database) ], "pg_dump @options");
	return;
}

# A new database; restored into it: what it says of errors.
sub restore
{
	my ($database, @options) = @_;
	my $said = '';

	$server->safe_psql('postgres', "CREATE DATABASE $database")
	  if !$server->safe_psql('postgres', "SELECT count(*) FROM pg_database WHERE datname = '$database'");
	IPC::Run::run([ 'pg_restore', @options, '-d', $server->connstr($database), $dump ], '2>', \$said);
	return $said;
}

sub remove
{
	my ($database) = @_;

	$server->safe_psql('postgres', "DROP DATABASE $database");
	return;
}

$server->safe_psql('postgres', q{
	CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN; GRANT CREATE ON SCHEMA public TO alice});
$server->safe_psql('postgres', qq{
	CREATE TABLE event AS SELECT i % 50 AS u, (i * i) % 101 AS c, now() + i * interval '1 hour' AS at
		FROM generate_series(1, 3000) i;
	CREATE TABLE film AS SELECT c, 'film ' || c AS title FROM (SELECT DISTINCT c FROM event) e;
	CALL tfrs.create_recommender('films', 'event', 'u', 'c', $settings);
	CALL tfrs.refresh('films');
	CALL tfrs.refresh('films', force => true);
	ALTER TABLE event RENAME TO happened;
	ALTER TABLE films_recommender RENAME TO models;
	CREATE TABLE event (LIKE happened)}, extra_params => [ '-U', 'alice' ]);
my $before = $server->safe_psql('postgres', $state);
like($before, qr/^films\|alice\|public.happened\|public.film\|public.models\|2\|2\|3000\|.*renamed to public.happened/, 'a recommender');
$before =~ s/its interactions were renamed[^|]*//;
my $unchanged = qr/nothing has changed since version 2/;

# By several sessions; nothing of the table that has taken the former name.
foreach my $format ('custom', 'directory')
{
	$dump .= ".$format";
	dump_database('postgres', "--format=$format");
	is(restore('parallel', '-j', '4'), '', "restored by several sessions, $format");
	is($server->safe_psql('parallel', $state), $before, '... it is what it was, and its tables are those that were renamed');
	like(says('parallel', q{CALL tfrs.refresh('films')}), $unchanged, '... and knows that nothing has changed');
	like(says('parallel', q{CALL tfrs.refresh('films', force => true)}), qr/version 3 is in use/, '... and goes on');
	is(restore('parallel', '--clean', '--if-exists', '-j', '2'), '', 'restored over what is there');
	is($server->safe_psql('parallel', $state), $before, '... it is what it was');
	remove('parallel');
}
$dump = "$dump.file";
dump_database('postgres', '--format=custom');

# In parts.
is(restore('parts', '--schema-only'), '', 'the schema');
is($server->safe_psql('parts', $state), '', '... has no recommender');
is(restore('parts', '--data-only', '-j', '3'), '', 'the data, without --disable-triggers');
is($server->safe_psql('parts', $state), $before, '... makes it whole');
like(says('parts', q{CALL tfrs.refresh('films')}), $unchanged, '... and knows that nothing has changed');
remove('parts');
foreach my $section ('pre-data', 'data', 'post-data') { is(restore('parts', "--section=$section"), '', $section) }
is($server->safe_psql('parts', $state), $before, '... all of it');
remove('parts');

# Of another owner, without privileges, in one transaction.
is(restore('owned', '--no-owner', '--no-acl', '--role=postgres', '--single-transaction'), '', 'without owners');
like($server->safe_psql('owned', $state), qr/^films\|postgres\|/, '... it belongs to who restored it');
like(says('owned', q{CALL tfrs.refresh('films')}, 'postgres'), $unchanged, '... who refreshes it');
remove('owned');

# Beside a recommender that is there, with runs of its own.
$server->safe_psql('postgres', 'CREATE DATABASE beside');
is(restore('beside', '--schema-only'), '', 'the schema');
$server->safe_psql('beside', q{
	SET ROLE alice;
	CREATE TABLE pair AS SELECT i % 20 AS u, i % 7 AS c FROM generate_series(1, 500) i;
	CALL tfrs.create_recommender('pairs', 'pair', 'u', 'c', options => '{"dim": 4, "history": {"steps": 5}}');
	CALL tfrs.drop_recommender('pairs');
	CALL tfrs.create_recommender('pairs', 'pair', 'u', 'c', options => '{"dim": 4, "history": {"steps": 5}}')});
is(restore('beside', '--data-only'), '', 'restored beside another recommender');
is($server->safe_psql('beside', q{SELECT recommender, versions FROM tfrs.recommender_status ORDER BY 1}), "films|2\npairs|0",
	'... neither has what is the other\'s');
like(says('beside', q{CALL tfrs.refresh('pairs')}), qr/version 1 is in use/, '... the one is refreshed');
like(says('beside', q{CALL tfrs.refresh('films')}), $unchanged, '... the other too');
is($server->safe_psql('beside', q{SELECT count(*) = count(DISTINCT run_id) FROM tfrs.training_run}), 't', '... runs have numbers of their own');
remove('beside');

# Without the rows of a table of the registry.
foreach my $table (@registry)
{
	dump_database('postgres', '--format=custom', "--exclude-table-data=$table");
	is(restore('without', '-j', '2'), '', "restored without $table");
	like(says('without', qq{CALL tfrs.create_recommender('films', 'happened', 'u', 'c', $settings, store => 'models')}),
		qr/takes over table public.models and uses version 2/, '... made anew over its models')
	  if $table eq 'tfrs.recommender';
	is($server->safe_psql('without', q{SELECT count(*) FROM tfrs.recommend('films', 1, 3, include_seen => true)}), 3, '... it answers');
	unlike(says('without', q{CALL tfrs.refresh('films')}), qr/ERROR/, '... is refreshed');
	like(says('without', q{CALL tfrs.refresh('films')}), qr/nothing has changed/, '... and knows what it has');
	like(says('without', q{CALL tfrs.publish('films', 1)}), qr/uses version 1/, '... of versions that were there before, too');
	remove('without');
}

# The table of models alone, and one that is missing.
dump_database('postgres', '--format=custom', '--table=happened', '--table=film', '--table=models');
$server->safe_psql('postgres', 'CREATE DATABASE alone');
$server->safe_psql('alone', 'CREATE EXTENSION tfrs_retrieval');
is(restore('alone'), '', 'tables alone');
like(says('alone', qq{CALL tfrs.create_recommender('films', 'happened', 'u', 'c', $settings, store => 'models')}, 'bob'),
	qr/ERROR:  permission denied|ERROR:  must be owner/, '... are not for everybody');
like(says('alone', qq{CALL tfrs.create_recommender('films', 'happened', 'u', 'c', $settings, store => 'models')}),
	qr/takes over table public.models and uses version 2/, '... a recommender is made over them');
like(says('alone', q{CALL tfrs.refresh('films')}), qr/version 3 is in use/, '... and refreshed');
remove('alone');
dump_database('postgres', '--format=custom', '--exclude-table=models', '--exclude-table=film');
is(restore('missing'), '', 'restored without its tables');
is($server->safe_psql('missing', 'SELECT problem FROM tfrs.recommender_status'), 'its store, public.models, is missing', '... which it tells');
like(says('missing', q{CALL tfrs.refresh('films')}, 'postgres'), qr/ERROR:  .* its store, public.models, is missing\n.*HINT:  .*store => /s,
	'... with what to do');
$server->safe_psql('missing', q{CREATE TABLE models_again (version int PRIMARY KEY, model tfrs.model NOT NULL, created_at timestamptz DEFAULT now());
	ALTER TABLE models_again OWNER TO alice; GRANT CREATE ON SCHEMA public TO alice});
like(says('missing', q{CALL tfrs.alter_recommender('films', candidates => '-', store => 'models_again')}, 'postgres'),
	qr/takes over table public.models_again, which holds no model/, '... it gets another table');
like(says('missing', q{CALL tfrs.refresh('films')}), qr/version 3 is in use/, '... is refreshed');
is($server->safe_psql('missing', $state) =~ s/\|\d+\|\d+\|\d+$//r, 'films|alice|public.happened||public.models_again|3|1|3000|', '... and whole');
remove('missing');

dump_database('postgres', '--format=custom', '--exclude-table-data=models');
is(restore('emptied', '-j', '2'), '', 'restored without its models');
like($server->safe_psql('emptied', 'SELECT problem FROM tfrs.recommender_status'), qr/model of version 2.* missing in its store/, '... which it tells');
like(says('emptied', q{CALL tfrs.refresh('films')}), qr/version 3 is in use/, '... and trains');
remove('emptied');

# By the owner of the database, who is no superuser.
$server->safe_psql('postgres', 'CREATE DATABASE hers OWNER alice');
$server->safe_psql('hers', 'CREATE EXTENSION tfrs_retrieval');
$server->safe_psql('hers', qq{
	CREATE TABLE event AS SELECT i % 50 AS u, (i * i) % 101 AS c, now() + i * interval '1 hour' AS at FROM generate_series(1, 3000) i;
	CREATE TABLE film AS SELECT c, 'film ' || c AS title FROM (SELECT DISTINCT c FROM event) e;
	CALL tfrs.create_recommender('films', 'event', 'u', 'c', $settings);
	CALL tfrs.refresh('films')}, extra_params => [ '-U', 'alice' ]);
dump_database('hers', '--format=custom', '-U', 'alice');
is(restore('backup'), '', "the dump of the database's owner is whole");
is($server->safe_psql('backup', $state), $server->safe_psql('hers', $state), '... with what the registry has');
foreach my $table (@registry)
{
	like(says('hers', "SELECT FROM $table", 'bob'), qr/permission denied for table/, "others may not read $table");
	like(says('hers', "DELETE FROM $table"), qr/permission denied for table/, '... nor its owner write it');
}
$server->safe_psql('postgres', 'CREATE DATABASE managed OWNER alice');
$server->safe_psql('managed', 'CREATE EXTENSION tfrs_retrieval');
my $said = restore('managed', '-U', 'alice', '--no-owner');
is(join(' ', sort $said =~ /ERROR: +permission denied for table (\w+)/g), join(' ', map { s/tfrs\.//r } sort @registry),
	'a restore by the owner of the database: the registry is closed, ');
is($server->safe_psql('managed', 'SELECT count(*) FROM films_recommender'), 1, '... the models are there');
like(says('managed', qq{CALL tfrs.create_recommender('films', 'event', 'u', 'c', $settings)}),
	qr/already exists\nHINT:  store => 'public.films_recommender' takes it over/, '... which is told');
like(says('managed', qq{CALL tfrs.create_recommender('films', 'event', 'u', 'c', $settings, store => 'public.films_recommender')}),
	qr/takes over table public.films_recommender and uses version 1/, '... and taken over');
is($server->safe_psql('managed', q{SELECT count(*) FROM tfrs.recommend('films', 1, 3, include_seen => true)}), 3, '... and answers');
unlike(says('managed', q{CALL tfrs.refresh('films')}), qr/ERROR/, '... and is refreshed');

$server->stop;
done_testing();
