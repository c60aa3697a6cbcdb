# What the TAP tests share: a server with the extension, a table of indexes, and looks at the files
# of the shared cache.
package Tfrs;

use strict;
use warnings;

use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

our @EXPORT = qw(new_cluster new_server fill answer files session say_to wait_for_waiting);

# The superuser is called postgres whoever runs the tests; without this, initdb and psql would take
# the name of that user.
$ENV{PGUSER} = 'postgres';

# A server that has not been started; options go to init.
sub new_cluster
{
	my ($name, @options) = @_;
	my $server = PostgreSQL::Test::Cluster->new($name);

	$server->init(extra => [ '-U', 'postgres' ], @options);
	return $server;
}

# A running server with the extension; options go to init.
sub new_server
{
	my ($name, @options) = @_;
	my $server = new_cluster($name, @options);

	$server->append_conf('postgresql.conf', "restart_after_crash = on");
	$server->start;
	$server->safe_psql('postgres', 'CREATE EXTENSION tfrs_retrieval');
	return $server;
}

# shelf(name, index): one index of $count candidates for each name, no two of them alike.
sub fill
{
	my ($server, $count, @names) = @_;

	$server->safe_psql('postgres', 'CREATE TABLE IF NOT EXISTS shelf (name text, index tfrs.candidate_index)');
	foreach my $name (@names)
	{
		$server->safe_psql('postgres', qq{
			INSERT INTO shelf
			SELECT '$name', tfrs.build_index(i, ARRAY[sin(i * ascii('$name')), cos(i), sin(3 * i)]::tfrs.embedding)
			FROM generate_series(1, $count) i});
	}
	return;
}

# The SQL that asks the index of that name, and what it answers in a new session.
sub question
{
	my ($name) = @_;

	return "SELECT string_agg(t.candidate || ' ' || t.score, ',' ORDER BY rank) "
	  . "FROM shelf, tfrs.top_k(index, '[1,2,3]', 5) t WHERE name = '$name';";
}

sub answer
{
	my ($server, $name) = @_;

	return $server->safe_psql('postgres', question($name));
}

# Paths of the shared cache's files.
sub files
{
	my ($server) = @_;

	my @paths = glob($server->data_dir . '/base/pgsql_tmp/pgsql_tmp_tfrs_*');

	return @paths;
}

# A session that stays: statements go in with say_to, and end with the finish of its harness.
sub session
{
	my ($server, $role) = @_;
	my %session = (in => '', out => '', errors => '');

	$session{harness} = IPC::Run::start(
		[ 'psql', '-X', '-q', '-A', '-t', '-d', $server->connstr('postgres'), '-U', $role ],
		'<', \$session{in}, '>', \$session{out}, '2>', \$session{errors});
	return \%session;
}

sub say_to
{
	my ($session, $statement) = @_;

	$session->{in} .= "$statement;\n";
	$session->{harness}->pump_nb;
	return;
}

# Waits until so many sessions wait for a lock.
sub wait_for_waiting
{
	my ($server, $count) = @_;

	return $server->poll_query_until('postgres',
		"SELECT count(DISTINCT pid) = $count FROM pg_locks WHERE NOT granted");
}

1;
