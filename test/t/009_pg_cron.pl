# Refreshes by pg_cron, where the distribution has it for this server: by a connection of its own
# and by a background worker.  What the scheduler notes and tfrs.training_run shows belong together.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Tfrs;

chomp(my $libraries = qx(pg_config --pkglibdir));
plan skip_all => 'no pg_cron for this server' unless -e "$libraries/pg_cron.so";

# A shop whose owner, no superuser, has a recommender that can be trained and one that can't.
sub new_shop
{
	my ($name, $setting) = @_;
	my $server = new_cluster($name);

	$server->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_cron'\n"
		. "cron.host = '" . $server->host . "'\n$setting");
	$server->start;
	$server->safe_psql('postgres', q{
		CREATE EXTENSION tfrs_retrieval;
		CREATE EXTENSION pg_cron;
		CREATE ROLE shop LOGIN;
		GRANT USAGE ON SCHEMA cron TO shop;
		CREATE SCHEMA AUTHORIZATION shop;
		SET ROLE shop;
		CREATE TABLE rating AS
		SELECT u AS user_id, (u * 7 + i * (i + 1) / 2) % 41 AS movie_id,
			'2026-01-01'::timestamptz + i * interval '1 day' AS rated_at
		FROM generate_series(1, 60) u, generate_series(1, 12) i;
		CREATE TABLE visit AS SELECT user_id, movie_id AS page FROM rating;
		CALL tfrs.create_recommender('movies', interactions => 'rating', query => 'user_id',
			candidate => 'movie_id', at => 'rated_at', options => '{"epochs": 1}');
		CALL tfrs.create_recommender('pages', interactions => 'visit', query => 'user_id',
			candidate => 'page');
		TRUNCATE visit;
		SELECT cron.schedule('movies', '* * * * *', $$DO $job$ BEGIN
				CALL tfrs.refresh('movies', force => true);
				CALL tfrs.materialize('movies', 'shop.movie_recommendations', k => 5);
			END $job$ $$),
			cron.schedule('pages', '* * * * *', $$CALL tfrs.refresh('pages')$$)});
	return $server;
}

sub test_shop
{
	my ($server) = @_;
	my $name = $server->name;
	my $ended = q{SELECT count(DISTINCT jobid) = 2 FROM cron.job_run_details
		WHERE status IN ('succeeded', 'failed')};

	ok($server->poll_query_until('postgres', $ended), "$name: both jobs have run");
	is($server->safe_psql('postgres', q{
			SELECT DISTINCT jobname, status, username
			FROM cron.job_run_details JOIN cron.job USING (jobid, username)
			WHERE status IN ('succeeded', 'failed') ORDER BY 1}),
		"movies|succeeded|shop\npages|failed|shop", "$name: as the scheduler says");
	is($server->safe_psql('postgres', q{
			SELECT DISTINCT ON (recommender) recommender, state, version, error IS NOT NULL, sqlstate
			FROM tfrs.training_run WHERE state <> 'running' ORDER BY recommender, run_id}),
		"movies|succeeded|1|f|\npages|failed||t|P0002", "$name: as the runs say");
	is($server->safe_psql('postgres', q{
			SELECT return_message LIKE '%' || error || '%'
			FROM tfrs.training_run, cron.job_run_details
			WHERE recommender = 'pages' AND status = 'failed' LIMIT 1}),
		't', "$name: and why");
	is($server->safe_psql('postgres', q{
			SELECT version > 0, problem FROM tfrs.recommender_status WHERE recommender = 'movies'}),
		't|', "$name: the recommender has a version in use");
	is($server->safe_psql('postgres', q{
			SELECT count(*), count(DISTINCT query) FROM shop.movie_recommendations}),
		'300|60', "$name: and a table of its recommendations");
	return;
}

my @shops = (new_shop('connection', ''), new_shop('worker', 'cron.use_background_workers = on'));
test_shop($_) foreach @shops;

done_testing();
