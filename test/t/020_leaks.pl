# No function leaves memory behind: after a first round that fills caches, more rounds of the same
# calls, failing ones too, do not make the session larger.  TFRS_CALLS: calls of each (300).

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use PostgreSQL::Test::Utils;
use Test::More;
use Tfrs;

# What a session may grow by, whatever the number of calls: caches of the server fill up in steps.
my $allowed = 400 * 1024;
my $calls = $ENV{TFRS_CALLS} || 300;
my $server = new_server('main');

# One call each, as an expression or a query that gives one value.
my %statements = (
	'embedding' => q{'[1,2.5,-3]'::tfrs.embedding::text},
	'embedding, wrong' => q{'[1,2.5,'::tfrs.embedding},
	'operators' => q{(SELECT tfrs.sum(v) FROM vector)},
	'train' => q{(SELECT pg_column_size(tfrs.train(u, c, '{"dim": 4, "epochs": 1, "history": {"steps": 2}}')) FROM small)},
	'train plain tables' => q{(SELECT pg_column_size(tfrs.train(u, c, '{"dim": 4, "epochs": 1, "history": false}')) FROM small)},
	'train, wrong option' => q{(SELECT tfrs.train(u, c, '{"dimm": 4}') IS NULL FROM small)},
	'train, late error' => q{(SELECT tfrs.train(u, c, w, '{"dim": 4}') IS NULL FROM small, (VALUES (1), (-1)) v(w))},
	'retrain' => q{(SELECT pg_column_size(tfrs.retrain(model, u, c, '{"epochs": 1, "history": {"steps": 2}}')) FROM made, small)},
	'evaluate' => q{(SELECT tfrs.evaluate(model, u, c)::text FROM made, small)},
	'evaluate, wrong' => q{(SELECT tfrs.evaluate(model, u, c, '{"ks": [0]}')::text FROM made, small)},
	'evaluate_lists' => q{(SELECT tfrs.evaluate_lists(model, u, ARRAY[c], ARRAY[1])::text FROM made, small)},
	'build_index' => q{(SELECT pg_column_size(tfrs.build_index(i, v)) FROM vector)},
	'build_index, duplicate' => q{(SELECT tfrs.build_index(1, v) IS NULL FROM vector)},
	'top_k of an index' => q{(SELECT count(*) FROM shelf, tfrs.top_k(index, '[1,2,3]', 5, exclude => '{1,2}'::int[]))},
	'top_k of an index, wrong' => q{(SELECT count(*) FROM shelf, tfrs.top_k(index, '[1,2]', 5))},
	'top_k of a model' => q{(SELECT count(*) FROM made, tfrs.top_k(model, 7, 5))},
	'top_k of a model that is not stored' =>
	  q{(SELECT count(*) FROM (SELECT tfrs.train(u, c, '{"dim": 4, "history": {"steps": 2}}') AS model FROM small) m, tfrs.top_k(model, 7, 5))},
	'top_k_many' => q{(SELECT count(*) FROM made, tfrs.top_k_many(model, '{1,2,3,999}'::int[], 5))},
	'similar' => q{(SELECT count(*) FROM made, tfrs.similar(model, 5, 3))},
	'recall' => q{(SELECT tfrs.recall(index, ARRAY['[1,2,3]'::tfrs.embedding], 3)::text FROM shelf)},
	'tune_index' => q{(SELECT pg_column_size(tfrs.tune_index(index, ARRAY['[1,2,3]'::tfrs.embedding])) FROM shelf)},
	'embed' => q{(SELECT tfrs.embed_query(model, 7)::text || tfrs.embed_candidate(model, 5) || tfrs.embed_history(model, '{1,2}'::int[]) FROM made)},
	'model_info' => q{(SELECT tfrs.model_info(model)::text FROM made)},
	'index_info' => q{(SELECT tfrs.index_info(index)::text FROM shelf)},
	'vocabulary' => q{(SELECT count(*) FROM made, tfrs.vocabulary(model, 'candidate'))},
	'embeddings' => q{(SELECT count(*) FROM made, tfrs.candidate_embeddings(model))},
	'training_history' => q{(SELECT count(*) FROM made, tfrs.training_history(model))},
	'model to text and back' => q{(SELECT pg_column_size(model::text::tfrs.model) FROM made)},
	'a damaged model' => q{(SELECT pg_column_size(overlay(model::text placing 'zzzz' from 900)::tfrs.model) FROM made)},
	'retrieval_loss' => q{(SELECT tfrs.retrieval_loss(v, v) FROM vector)},
	'factorized_top_k' => q{(SELECT tfrs.factorized_top_k(v, i::text, 1.0, index, '{1,5}')::text FROM vector, shelf)},
	'crossentropy' => q{(SELECT tfrs.categorical_crossentropy('{0,1}', '{0.1,0.9}'))},
	'recommend' => q{(SELECT count(*) FROM tfrs.recommend('shop', 7, 5))},
	'recommend, no such recommender' => q{(SELECT count(*) FROM tfrs.recommend('shopp', 7, 5))},
	'explain' => q{(SELECT count(*) FROM tfrs.explain('shop', 7, 5))},
	'similar by name' => q{(SELECT count(*) FROM tfrs.similar('shop', 5, 3))},
	'recommender_status' => q{(SELECT count(*) FROM tfrs.recommender_status)},
	'other views' => q{(SELECT count(*) FROM tfrs.training_run) + (SELECT count(*) FROM tfrs.metric)
		+ (SELECT count(*) FROM tfrs.progress) + (SELECT count(*) FROM tfrs.cache)},
);
my %procedures = (
	'refresh' => q{CALL tfrs.refresh('shop', force => true)},
	'refresh, nothing new' => q{CALL tfrs.refresh('shop')},
	'refresh, no such recommender' => q{CALL tfrs.refresh('shopp')},
	'materialize' => q{CALL tfrs.materialize('shop', 'report', k => 3)},
	'materialize, wrong target' => q{CALL tfrs.materialize('shop', 'small')},
	'alter_recommender' => q{CALL tfrs.alter_recommender('shop', keep_versions => 2)},
	'publish' => q{CALL tfrs.publish('shop', 999)},
);

$server->safe_psql('postgres', q{
	CREATE TABLE small AS SELECT i % 20 AS u, (i * i) % 31 AS c FROM generate_series(1, 200) i;
	CREATE INDEX ON small (u);
	CREATE TABLE vector AS SELECT i, ARRAY[sin(i), cos(i), sin(3 * i)]::tfrs.embedding AS v FROM generate_series(1, 50) i;
	CREATE TABLE made AS SELECT tfrs.train(u, c, '{"dim": 4, "history": {"steps": 2}}') AS model FROM small;
	CREATE TABLE shelf AS SELECT tfrs.build_index(i, v) AS index FROM vector;
	CALL tfrs.create_recommender('shop', 'small', 'u', 'c', held_out => 0, keep_versions => 1,
		options => '{"dim": 4, "history": {"steps": 2}}');
	CALL tfrs.refresh('shop')});

# A session repeats a statement; bytes() are those of its memory contexts, without those that live
# as long as a statement, and without the cache of blocks, whose limit is tfrs.cache_size.
my $prepare = q{
	SET client_min_messages = error;
	CREATE FUNCTION pg_temp.bytes() RETURNS bigint LANGUAGE sql AS $$
		SELECT sum(total_bytes)::bigint FROM pg_backend_memory_contexts
		WHERE name NOT IN ('ExprContext', 'ExecutorState', 'PortalContext', 'MessageContext', 'ErrorContext')
			AND name NOT LIKE 'tfrs block%' $$;
	CREATE PROCEDURE pg_temp.again(statement text, calls int) LANGUAGE plpgsql AS $$
	BEGIN
		FOR i IN 1 .. calls LOOP
			BEGIN EXECUTE statement; EXCEPTION WHEN OTHERS THEN NULL; END;
		END LOOP;
	END $$;
};

# Bytes by which the session is larger after the last round than after the first.
sub growth
{
	my ($round) = @_;
	my $out = $server->safe_psql('postgres', "$prepare\n$round\nSELECT pg_temp.bytes();\n$round\nSELECT pg_temp.bytes();");
	my ($before, $after) = $out =~ /^(\d+)$/mg;

	return $after - $before;
}

# Tuning takes a third of a second.
my %share = ('tune_index' => 20);

foreach my $name (sort keys %statements)
{
	my $times = int($calls / ($share{$name} || 1)) + 1;
	my $grown = growth("CALL pg_temp.again(\$q\$SELECT $statements{$name}\$q\$, $times);");

	cmp_ok($grown, '<', $allowed, "$name: $times calls leave $grown bytes");
}

# Procedures commit, so psql repeats them; their errors end nothing.
my $times = $calls < 3000 ? 10 : $calls / 100;
foreach my $name (sort keys %procedures)
{
	my $in = "$prepare\n" . "$procedures{$name};\n" x $times . "SELECT 'bytes ' || pg_temp.bytes();\n";
	$in .= "$procedures{$name};\n" x $times . "SELECT 'bytes ' || pg_temp.bytes();\n";
	my (undef, $out) = $server->psql('postgres', $in, on_error_stop => 0);
	my ($before, $after) = $out =~ /^bytes (\d+)$/mg;

	cmp_ok($after - $before, '<', $allowed, "$name: $times calls leave " . ($after - $before) . ' bytes');
}

$server->stop;
done_testing();
