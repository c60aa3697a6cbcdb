# What the documentation says can be typed: every SQL block of every page is run, in the order of the
# page, and where its result is printed, the result is that.
#
#     <!-- tables: NAME -->    the page's database is made by documentation/NAME.sql
#     ```sql                   is run; a plain ``` after it with nothing between is its output
#     ``` and SELECT or CALL   a statement up to its semicolon, then its output
#     ```sql (...)             is not run: it needs what is said in the parentheses

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use PostgreSQL::Test::Utils;
use Test::More;
use Tfrs;

my $server = new_cluster('main');
$server->append_conf('postgresql.conf', "wal_level = logical\ntimezone = 'UTC'");
$server->start;

# The blocks of a page: line, info string, text, whether only blank lines stand before it.
sub blocks
{
	my ($page) = @_;
	my (@blocks, $open);
	my ($number, $close) = (0, 1);

	foreach my $line (split(/\n/, $page))
	{
		$number++;
		if (!$open && $line =~ /^```(.*)$/)
		{
			$open = { line => $number, info => $1, text => '', follows => $close };
		}
		elsif ($open && $line eq '```')
		{
			push @blocks, $open;
			($open, $close) = (undef, 1);
		}
		elsif ($open)
		{
			$open->{text} .= "$line\n";
		}
		elsif ($line ne '')
		{
			$close = 0;
		}
	}
	return @blocks;
}

# What a page says: statements, with the output where there is one.
sub examples
{
	my @examples;

	foreach my $block (blocks(@_))
	{
		if ($block->{info} eq 'sql')
		{
			push @examples, { line => $block->{line}, sql => $block->{text} };
		}
		elsif ($block->{info} eq '' && $block->{text} =~ /\A((?:SELECT|CALL)\b.*?;)[^\n]*\n(.*)\z/s)
		{
			push @examples, { line => $block->{line}, sql => $1, output => $2 };
		}
		elsif ($block->{info} eq '' && $block->{follows} && @examples && !$examples[-1]{output}
			&& $block->{text} =~ /^-+(\+-+)*$/m)
		{
			$examples[-1]{output} = $block->{text};
		}
	}
	return @examples;
}

# Blanks at the ends of lines and empty lines at the end don't count.
sub trimmed
{
	my ($text) = @_;

	$text =~ s/ +$//mg;
	$text =~ s/\(\d+ rows?\)\n//g;
	$text =~ s/\s+\z//;
	return $text;
}

sub try_example
{
	my ($database, $page, $example) = @_;
	my ($output, $error) = ('', '');
	my $status = $server->psql($database, $example->{sql}, stdout => \$output, stderr => \$error, on_error_stop => 1,
		extra_params => [ '--pset=format=aligned', '--pset=tuples_only=off' ]);
	my $name = "$page, line $example->{line}";

	is($status, 0, $name) or diag($error);
	is(trimmed($output), trimmed($example->{output}), "$name: its output") if defined $example->{output};
	return;
}

my $tried = 0;
foreach my $path (sort glob("$ENV{TFRS_PAGES}/*.md"))
{
	my $page = slurp_file($path);
	my ($file) = $path =~ /([^\/]+)$/;
	my ($tables) = $page =~ /^<!-- tables: (\w+) -->$/m;
	my @examples = examples($page);

	next if !@examples;
	(my $database = lc $file) =~ s/\W/_/g;
	$server->safe_psql('postgres', "CREATE DATABASE $database");
	$server->safe_psql($database, "\\i $FindBin::RealBin/documentation/$tables.sql") if $tables;
	try_example($database, $file, $_) foreach @examples;
	$tried += @examples;
}
cmp_ok($tried, '>', 10, 'examples were found');

done_testing();
