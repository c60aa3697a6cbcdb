# Evaluations that signals arrive in: timers fire and notifications come at any moment, also as an
# evaluation ends.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use PostgreSQL::Test::Utils;
use Test::More;
use Tfrs;

my $server = new_server('main');
$server->safe_psql('postgres', q{
	CREATE TABLE choice AS SELECT i % 300 AS u, (i::bigint * i) % 97 AS c FROM generate_series(1, 5000) i;
	CREATE TABLE made AS
	SELECT tfrs.train(u, c, '{"dim": 2, "epochs": 1, "history": {"steps": 1}}') AS model FROM choice;
	CREATE TABLE tested AS SELECT * FROM choice LIMIT 30});

# Short evaluations, each under a timeout that starts a timer, until thousands are done.  What a
# signal's handler finds on the stack must not be memory that the evaluation still hangs on.
sub evaluate_under
{
	my ($timeout, $count) = @_;
	my $sql = "SET statement_timeout = $timeout;\n"
	  . qq{SELECT length(tfrs.evaluate(model, u, c, '{"baselines": false}')::text) FROM made, tested;\n} x $count
	  . "SET statement_timeout = 0; SELECT 'alive';\n";

	return $server->psql('postgres', $sql, on_error_stop => 0);
}

foreach my $timeout (2, 5, 7)
{
	my ($status, $out) = evaluate_under($timeout, 2000);
	like($out // '', qr/alive$/, "2,000 evaluations under a timeout of $timeout ms");
}
unlike(slurp_file($server->logfile), qr/terminated by signal/, 'no evaluation takes the server down');

$server->stop;
done_testing();
