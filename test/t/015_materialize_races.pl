# tfrs.materialize and other sessions: what has to wait for a load or a migration sees what that one has
# left, and writes into no other table than the one that it has checked.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use PostgreSQL::Test::Utils;
use Test::More;
use Tfrs;

my $server = new_server('main');
my $options = q{held_out => 0, options => '{"dim": 4, "history": {"steps": 5}}'};

sub sql { return $server->safe_psql('postgres', $_[0]) }

# What a statement says that has to wait for a transaction of another session; that one's statements
# come before, and it is committed when the statement waits.
sub behind
{
	my ($transaction, $statement) = @_;
	my $holder = session($server, 'postgres');
	my $waiting = session($server, 'postgres');

	say_to($holder, "BEGIN; $transaction; SELECT 'ready'");
	$holder->{harness}->pump until $holder->{out} =~ /ready/;
	say_to($waiting, $statement);
	wait_for_waiting($server, 1);
	say_to($holder, 'COMMIT');
	$holder->{harness}->finish;
	unlike($holder->{errors}, qr/ERROR/, 'the other session succeeds');
	$waiting->{harness}->finish;
	return $waiting->{errors};
}

sql(qq{
	CREATE TABLE purchase AS SELECT n % 20 AS u, n * n % 31 AS c FROM generate_series(1, 400) n;
	CREATE TABLE feed AS TABLE purchase;
	CREATE VIEW behind_view AS SELECT * FROM (SELECT u, c FROM purchase) p;
	CREATE TABLE parted (u int, c int) PARTITION BY RANGE (u);
	CREATE TABLE part PARTITION OF parted DEFAULT;
	INSERT INTO parted TABLE feed;
	CREATE TABLE article AS SELECT c, true AS available FROM generate_series(0, 30) c;
	CREATE TABLE articles AS TABLE article;
	CREATE VIEW article_view AS TABLE article;
	CALL tfrs.create_recommender('plain', 'purchase', 'u', 'c', $options);
	CALL tfrs.create_recommender('viewed', 'behind_view', 'u', 'c', $options);
	CALL tfrs.create_recommender('parted', 'parted', 'u', 'c', $options);
	CALL tfrs.create_recommender('known', 'feed', 'u', 'c', candidates => 'article_view', available => 'available', $options);
	CALL tfrs.refresh_all()});
my @loads = (
	[ 'plain', 'purchase', 'a table' ],
	[ 'viewed', 'purchase', 'the table below a view' ],
	[ 'parted', 'part', 'a partition' ]);

# A load that empties what is read, and fills it again.
foreach my $load (@loads)
{
	my ($name, $table, $what) = @$load;
	my $transaction = "TRUNCATE $table; INSERT INTO $table TABLE feed";

	sql(qq{CALL tfrs.materialize('$name', '${name}_report', k => 2)});
	foreach my $way ('', ', in_one_transaction => true')
	{
		like(behind($transaction, "CALL tfrs.materialize('$name', '${name}_report'$way)"),
			qr/for 20 queries in \S+: 0 rows added, 0 changed, 0 removed/, "a report behind a load of $what$way");
	}
	like(behind($transaction, "SET default_transaction_isolation = 'repeatable read'; CALL tfrs.materialize('$name', '${name}_report')"),
		qr/0 rows added, 0 changed, 0 removed/, '... where transactions are repeatable read');
	like(behind("$transaction; INSERT INTO $table SELECT n % 20, n % 31 FROM generate_series(1, 200) n",
			"CALL tfrs.refresh('$name', force => true)"), qr/version 2 is in use/, "a refresh behind a load of $what");
	is(sql(qq{SELECT rows FROM tfrs.training_run WHERE recommender = '$name' ORDER BY run_id DESC LIMIT 1}), 600,
		'... has all of its rows');
	like(behind($transaction, "SET default_transaction_isolation = 'repeatable read'; CALL tfrs.refresh('$name', force => true)"),
		qr/version 3 is in use/, '... where transactions are repeatable read');
	is(sql(qq{SELECT rows FROM tfrs.training_run WHERE recommender = '$name' ORDER BY run_id DESC LIMIT 1}), 400,
		'... has all of its rows');
}
sql(q{CALL tfrs.materialize('known', 'known_report', k => 2)});
like(behind('TRUNCATE article; INSERT INTO article TABLE articles', q{CALL tfrs.materialize('known', 'known_report')}),
	qr/0 rows added, 0 changed, 0 removed/, 'a report behind a load of the candidates below a view');

# What is in use when the wait is over: of versions, names and relations.
sql(q{CALL tfrs.alter_recommender('plain', keep_versions => 5); CALL tfrs.refresh('plain', force => true, publish => false)});
like(behind(q{LOCK TABLE plain_report IN SHARE UPDATE EXCLUSIVE MODE; CALL tfrs.publish('plain', 4)},
		q{CALL tfrs.materialize('plain', 'plain_report')}), qr/version 4 of "plain"/, 'the version that is published meanwhile');
like(behind(q{LOCK TABLE purchase; CALL tfrs.publish('plain', 3)}, q{CALL tfrs.materialize('plain', 'plain_report')}),
	qr/version 3 of "plain"/, '... while the interactions are waited for');
sql(q{CREATE TABLE few AS SELECT u, c FROM feed WHERE u < 5});
like(behind(q{LOCK TABLE purchase; CALL tfrs.alter_recommender('plain', interactions => 'few')},
		q{CALL tfrs.materialize('plain', 'plain_report')}), qr/for 5 queries/, 'other interactions');
sql(q{CALL tfrs.alter_recommender('plain', interactions => 'purchase')});

# Types that change while the target, or the interactions, are waited for.
sql(q{ALTER TABLE purchase ADD text_u text, ADD text_c text; UPDATE purchase SET text_u = u, text_c = c});
my $renaming = q{ALTER TABLE purchase RENAME %1$s TO kept; ALTER TABLE purchase RENAME text_%1$s TO %1$s};
foreach my $column ('u', 'c')
{
	my $swap = $renaming =~ s/%1\$s/$column/gr;
	my $back = "ALTER TABLE purchase RENAME $column TO text_$column; ALTER TABLE purchase RENAME kept TO $column";

	like(behind("LOCK TABLE plain_report IN SHARE UPDATE EXCLUSIVE MODE; $swap", q{CALL tfrs.materialize('plain', 'plain_report')}),
		qr/ERROR:  column "$column" of public.purchase is of type text, but the model was trained on ids of type integer\nHINT:  CALL tfrs.refresh/,
		"the type of column $column changes while the target is waited for");
	sql($back);
	like(behind("LOCK TABLE purchase; $swap", q{CALL tfrs.materialize('plain', 'new_report')}),
		qr/ERROR:  column "$column" of public.purchase is of type text/, '... while the interactions are waited for');
	sql($back);
}
is(sql(q{SELECT count(*) FROM pg_class WHERE relname = 'new_report'}), 0, 'nothing is left of it');

# Another table under the target's name, while the rows are read.
sql(qq{
	CREATE ROLE mallory;
	CREATE SCHEMA mallory AUTHORIZATION mallory;
	GRANT SELECT ON feed TO mallory;
	GRANT CREATE ON DATABASE postgres TO mallory;
	SET ROLE mallory;
	CREATE VIEW mallory.slow AS SELECT u, c FROM public.feed, (SELECT pg_advisory_xact_lock_shared(7)) p;
	CALL tfrs.create_recommender('slow', 'mallory.slow', 'u', 'c', $options);
	CALL tfrs.refresh('slow');
	RESET ROLE;
	CALL tfrs.materialize('slow', 'mallory.report', k => 1)});
foreach my $way ('', ', in_one_transaction => true')
{
	my $planted = q{
		SET ROLE mallory;
		ALTER SCHEMA mallory RENAME TO renamed;
		CREATE SCHEMA mallory;
		CREATE TABLE mallory.report (query int, rank int, candidate int, label text, score float8, percentile float8,
			source text, version int, computed_at timestamptz);
		CREATE FUNCTION mallory.planted() RETURNS trigger LANGUAGE plpgsql AS
			$$ BEGIN RAISE WARNING 'the trigger runs as %', current_user; RETURN new; END $$;
		CREATE TRIGGER planted BEFORE INSERT ON mallory.report FOR EACH STATEMENT EXECUTE FUNCTION mallory.planted();
		GRANT ALL ON mallory.report TO PUBLIC; RESET ROLE;};
	my $locker = session($server, 'postgres');

	say_to($locker, q{SELECT pg_advisory_lock(7); SELECT 'ready'});
	$locker->{harness}->pump until $locker->{out} =~ /ready/;
	my $materialize = session($server, 'postgres');
	say_to($materialize, "CALL tfrs.materialize('slow', 'mallory.report', k => 2, include_seen => true$way)");
	wait_for_waiting($server, 1);
	sql($planted);
	say_to($locker, 'SELECT pg_advisory_unlock(7)');
	$locker->{harness}->finish;
	$materialize->{harness}->finish;
	unlike($materialize->{errors}, qr/the trigger runs/, "a table that is put under the target's name$way");
	is(sql('SELECT (SELECT count(*) FROM renamed.report), (SELECT count(*) FROM mallory.report)'), '40|0',
		'... is not the one that is written to');
	sql(q{DROP SCHEMA mallory CASCADE; ALTER SCHEMA renamed RENAME TO mallory; CALL tfrs.materialize('slow', 'mallory.report', k => 1)});
}

# A loop of the caller's own, whose query goes on as he has begun it.
sql(q{
	CREATE TABLE log (n int, who text DEFAULT current_user, path text DEFAULT current_setting('search_path'));
	CREATE FUNCTION noted(n int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log VALUES (n); RETURN n; END $$;
	CREATE ROLE caller; GRANT ALL ON log, feed TO caller; GRANT CREATE ON SCHEMA public TO caller;
	CALL tfrs.grant_recommender('known', 'caller', 'use')});
foreach my $isolation ('read committed', 'repeatable read')
{
	sql(qq{
		SET default_transaction_isolation = '$isolation'; SET ROLE caller; SET search_path = public;
		DO \$\$
		DECLARE
			n int;
		BEGIN
			FOR n IN SELECT noted(g) FROM generate_series(1, 30) g LOOP
				IF n % 10 = 1 THEN
					CALL tfrs.materialize('known', 'caller_report');
				END IF;
			END LOOP;
		END \$\$});
	is(sql('SELECT count(*), min(who), max(who), min(path), max(path) FROM log'), '30|caller|caller|public|public',
		"the rest of a loop's query runs as the caller ($isolation)");
	sql('TRUNCATE log');
}

# Collations: the order of the interactions, and that of the table.
SKIP:
{
	skip 'no ICU', 10 unless sql(q{SELECT count(*) > 0 FROM pg_collation WHERE collname = 'en-US-x-icu'}) eq 't';
	sql(q{
		CREATE COLLATION caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
		CREATE TABLE named (customer text COLLATE "C", item text);
		INSERT INTO named
			SELECT CASE n % 2 WHEN 0 THEN 'a' ELSE 'A' END || lpad((n % 6000)::text, 5, '0') || CASE n % 3 WHEN 0 THEN '-' ELSE '_' END,
				CASE n % 2 WHEN 0 THEN 'i' ELSE 'I' END || n * 7 % 30
			FROM generate_series(1, 18000) n;
		CREATE INDEX ON named (customer)});
	sql(qq{CALL tfrs.create_recommender('named', 'named', 'customer', 'item', $options); CALL tfrs.refresh('named')});
	my @collations = ('"C"', '"en-US-x-icu"', '"default"', 'public.caseless');

	foreach my $made (@collations)
	{
		sql(qq{ALTER TABLE named ALTER customer TYPE text COLLATE $made, ALTER item TYPE text COLLATE $made;
			CALL tfrs.materialize('named', 'named_report', k => 1, include_seen => true)});
		foreach my $collation (@collations)
		{
			sql(qq{ALTER TABLE named ALTER customer TYPE text COLLATE $collation, ALTER item TYPE text COLLATE $collation});
			like(($server->psql('postgres', q{CALL tfrs.materialize('named', 'named_report', include_seen => true)}))[2],
				qr/for 6000 queries in \S+: 0 rows added, 0 changed, 0 removed/, "a table in $made of interactions in $collation");
		}
		is(sql('SELECT count(DISTINCT query COLLATE "C"), count(*) FROM named_report'), '6000|6000', '... has all queries');
		sql('DROP TABLE named_report');
	}
	sql(q{CALL tfrs.materialize('named', 'named_report', k => 1); ALTER TABLE named_report ALTER query TYPE text COLLATE caseless});
	like(($server->psql('postgres', q{CALL tfrs.materialize('named', 'named_report')}))[2],
		qr/ERROR:  column "query" of public.named_report has the nondeterministic collation public.caseless/,
		'a table whose collation takes two queries for one');
}

$server->stop;
done_testing();
