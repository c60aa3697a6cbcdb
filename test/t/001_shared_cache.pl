# The cache that all sessions share: who writes a file, who maps it, and what happens when there can
# be none, when one is removed or damaged, and when the server goes down.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use PostgreSQL::Test::Utils;
use Test::More;
use Tfrs;

my $server = new_server('main');
fill($server, 30000, 'a', 'b');
my $directory = $server->data_dir . '/base/pgsql_tmp';

# What the session of an answer has in its cache: "shared hits".
sub answer_and_cache
{
	my ($name) = @_;
	my $output = $server->safe_psql('postgres',
		Tfrs::question($name) . 'SELECT shared, hits FROM tfrs.cache WHERE hits > 0;');

	return split(/\n/, $output);
}

# The first session writes, the second maps.
my ($expected, $cache) = answer_and_cache('a');
is($cache, 't|1', 'a large stored index is shared');
my @files = files($server);
is(scalar(@files), 1, 'it lies in one file');
my ($mode, $size, $modified) = (stat $files[0])[2, 7, 9];
is($mode & 07777, 0600, 'that only the server can read');
my ($again, undef) = answer_and_cache('a');
is($again, $expected, 'another session gives the same answer');
is_deeply([ files($server) ], \@files, 'from the same file');
utime(1, 1, $files[0]);
answer_and_cache('a');
cmp_ok((stat $files[0])[9], '>', 1, 'use is noted in the time of the file');

# Two sessions hold one copy: each has half of it.
SKIP:
{
	my @sessions = map { $server->background_psql('postgres') } 1 .. 2;
	my ($pid) = map { $_->query_safe(Tfrs::question('a')); $_->query_safe('SELECT pg_backend_pid();') } @sessions;
	skip 'no /proc/PID/smaps', 2 unless -r "/proc/$pid/smaps";
	my ($map) = slurp_file("/proc/$pid/smaps") =~ /^[0-9a-f]+-\S+ r--s [^\n]*pgsql_tmp_tfrs_(.*?)(?=^[0-9a-f]+-)/ms;
	my ($resident) = ($map // '') =~ /^Rss:\s+(\d+)/m;
	my ($share) = ($map // '') =~ /^Pss:\s+(\d+)/m;
	ok($resident, 'the index is mapped read only');
	cmp_ok($share, '<=', $resident * 0.6, 'by two sessions, once');
	$_->quit foreach @sessions;
}

# Removed while it is mapped: who has it goes on, the next one writes it again.
{
	my $session = $server->background_psql('postgres');

	is($session->query_safe(Tfrs::question('a')), $expected, 'mapped');
	unlink(files($server));
	is($session->query_safe(Tfrs::question('a')), $expected, 'a removed file serves who has it');
	is(scalar(files($server)), 0, 'and stays removed meanwhile');
	is(answer($server, 'a'), $expected, 'another session makes it again');
	is(scalar(files($server)), 1, 'as one file');
	$session->quit;
}

# Damaged from outside: cut off, emptied, or another block under its name.
{
	my ($file) = files($server);

	truncate($file, 1000);
	is(answer($server, 'a'), $expected, 'a file that is cut off is made again');
	is((stat $file)[7], $size, 'whole');
	truncate($file, 0);
	is(answer($server, 'a'), $expected, 'so is an empty one');
	answer($server, 'b');
	my ($other) = grep { $_ ne $file } files($server);
	PostgreSQL::Test::Utils::system_or_bail('cp', $other, $file);
	is(answer($server, 'a'), $expected, 'another block under its name is not taken for it');
}

# No right to write, no directory, no space: the session's own memory does.
SKIP:
{
	skip 'root may write anywhere', 2 if $> == 0;
	unlink(files($server));
	chmod(0500, $directory);
	is_deeply([ answer_and_cache('a') ], [ $expected, 'f|1' ], 'a read-only directory');
	chmod(0700, $directory);
	unlink(glob "$directory/*");	# what takes long leaves a file for tfrs.progress
	rmdir($directory) or die "could not remove $directory: $!";
	is_deeply([ answer_and_cache('a') ], [ $expected, 't|1' ], 'a missing directory is made');
}
SKIP:
{
	my $session = $server->background_psql('postgres');
	my $pid = $session->query_safe('SELECT pg_backend_pid();');

	skip 'no prlimit', 3 if system("prlimit --pid $pid --fsize=100000 2>/dev/null") != 0;
	unlink(files($server));
	is($session->query_safe(Tfrs::question('a')), $expected, 'no space for the file');
	is($session->query_safe('SELECT shared FROM tfrs.cache;'), 'f', 'in the session\'s memory');
	is(scalar(files($server)), 0, 'and nothing is left of it');
	$session->quit;
}

# A cancelled writer leaves nothing behind.
{
	my ($code, $output, $errors) = $server->psql('postgres',
		"SET statement_timeout = '1ms'; SELECT count(tfrs.prewarm(index)) FROM shelf, generate_series(1, 200);");
	is(scalar(grep { /private/ } files($server)), 0, 'no private file after a cancel');
}

# Two sessions that build at once, and eviction by the time of use.
{
	unlink(files($server));
	my @sessions = map { $server->background_psql('postgres') } 1 .. 3;
	$_->query_until(qr/go/, "\\echo go\nSELECT count(tfrs.prewarm(index)) FROM shelf;\n") foreach @sessions;
	like($_->query_safe(Tfrs::question('a')), qr/^\Q$expected\E$/m, 'sessions that write at once') foreach @sessions;
	$_->quit foreach @sessions;
	is(scalar(files($server)), 2, 'leave one file for each block');

	my ($old) = files($server);
	utime(1, 1, $old);
	fill($server, 30000, 'c');
	my $limit = int($size * 2.5 / 1024);
	$server->safe_psql('postgres', "SET tfrs.cache_size = '${limit}kB';" . Tfrs::question('c'));
	is(scalar(files($server)), 2, 'no more files than tfrs.cache_size');
	ok(!-e $old, 'the one used longest ago is gone');
}

# Stopped, started, and crashed in the middle of a build.
{
	$server->restart;
	is(scalar(files($server)), 0, 'a restart leaves no file');
	is(answer($server, 'a'), $expected, 'and changes no answer');
	is(scalar(files($server)), 1, 'the file is made again');

	my $session = $server->background_psql('postgres', on_error_stop => 0);
	my $pid = $session->query_safe('SELECT pg_backend_pid();');
	$session->query_until(qr/go/, "\\echo go\nSELECT count(t.rank) FROM shelf, generate_series(1, 1000000), "
		. "tfrs.top_k(index, '[1,2,3]', 5) t;\n");
	kill('KILL', $pid);
	eval { $session->quit };
	$server->poll_query_until('postgres', 'SELECT true') or die 'the server did not come back';
	is(scalar(files($server)), 0, 'a crash leaves no file');
	is(answer($server, 'a'), $expected, 'and changes no answer');

	$session = $server->background_psql('postgres', on_error_stop => 0);
	$pid = $session->query_safe('SELECT pg_backend_pid();');
	$session->query_until(qr/go/, "\\echo go\nCREATE TABLE lost AS SELECT tfrs.build_index(i, "
		. "ARRAY[sin(i), cos(i)]::tfrs.embedding) FROM generate_series(1, 5000000) i;\n");
	kill('KILL', $pid);
	eval { $session->quit };
	$server->poll_query_until('postgres', 'SELECT true') or die 'the server did not come back';
	is($server->safe_psql('postgres', "SELECT to_regclass('lost') IS NULL"), 't', 'a build is lost with its session');
	is(answer($server, 'a'), $expected, 'the others are not');
}

$server->stop;
done_testing();
