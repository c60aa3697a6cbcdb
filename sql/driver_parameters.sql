-- what drivers send: bigint for every integer, double precision for every number with a fraction, untyped text
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS tfrs_retrieval;
CREATE TABLE purchase (user_id int, item_id int);
INSERT INTO purchase SELECT u, 1 + (u % 2) * 30 + (u * 7 + n * 11) % 30 FROM generate_series(1, 60) u, generate_series(1, 10) n;
CREATE INDEX ON purchase (user_id);
CALL tfrs.create_recommender('shop', 'purchase', 'user_id', 'item_id', held_out => 0, keep_versions => 3::bigint,
	options => '{"dim": 8, "history": {"steps": 20}}');
CALL tfrs.refresh('shop');
CREATE TABLE built AS SELECT tfrs.build_index(v.id, v.embedding) AS index FROM shop_recommender, tfrs.candidate_embeddings(model) v;

PREPARE by_name(bigint, bigint, float8) AS SELECT
	(SELECT count(*) FROM tfrs.recommend('shop', $1, k => $2, min_score => $3, version => s.version)) AS recommend,
	(SELECT count(*) FROM tfrs.recommend_as(NULL::int, 'shop', $1, k => $2, min_score => $3, version => s.version)) AS "as",
	(SELECT count(*) FROM tfrs.similar('shop', $1, k => $2, min_score => $3, version => s.version)) AS similar,
	(SELECT count(*) > 0 FROM tfrs.explain('shop', $1, 3, k => $2, version => s.version)) AS explain
FROM tfrs.recommender_status s;
EXECUTE by_name(3, 4, -1e30);
PREPARE by_value(bigint, bigint, float8) AS SELECT
	(SELECT count(*) FROM tfrs.top_k(model, $1, $2, min_score => $3)) AS top_k,
	(SELECT count(*) FROM tfrs.top_k_as(NULL::int, model, $1, $2, min_score => $3)) AS "as",
	(SELECT count(*) FROM tfrs.top_k_many(model, ARRAY[$1], $2, min_score => $3)) AS many,
	(SELECT count(*) FROM tfrs.similar(model, $1, $2, min_score => $3)) AS similar,
	(SELECT count(*) FROM tfrs.top_k(index, tfrs.embed_query(model, $1), $2, min_score => $3)) AS by_index,
	(SELECT count(*) FROM tfrs.similar(index, $1::text, $2, min_score => $3)) AS similar_by_index,
	(SELECT recall FROM tfrs.recall(index, ARRAY[tfrs.embed_query(model, $1)], $2)) AS recall,
	tfrs.tune_index(index, ARRAY[tfrs.embed_query(model, $1)], 0.5::float8, $2) IS NOT NULL AS tune_index
FROM shop_recommender, built;
EXECUTE by_value(3, 4, -1e30);
SELECT tfrs.factorized_top_k(tfrs.embed_query(model, 3), '3'::text, 1, index, '{5,10}'::bigint[]) IS NOT NULL AS factorized_top_k,
	tfrs.top_k_categorical_accuracy('{0,1}', '{0.1,0.9}', 1::bigint) AS accuracy,
	tfrs.sparse_categorical_crossentropy(1::bigint, '{0.5,0.5}') > 0 AS crossentropy
FROM shop_recommender, built;

-- untyped, and the types that there were before
PREPARE untyped AS SELECT count(*) FROM tfrs.recommend($1, $2, $3, min_score => $4, version => $5);
EXECUTE untyped('shop', '3', '4', '-1e30', '1');
PREPARE untyped_model AS SELECT count(*) FROM shop_recommender, tfrs.top_k(model, $1, $2, min_score => $3);
EXECUTE untyped_model('3', '4', '-1e30');
SELECT count(*) FROM tfrs.recommend('shop', 3, 4::smallint, min_score => (-1000)::real, version => 1);
SELECT count(*) FROM tfrs.recommend('shop', 3, 4, min_score => -1000.5);
SELECT count(*) FROM tfrs.recommend('shop', '3'::jsonb, 4::bigint);
SELECT count(*) FROM tfrs.recommend('shop', NULL, 4::bigint);
SELECT count(*) FROM shop_recommender, tfrs.top_k(model, '00000000-0000-0000-0000-000000000003'::uuid, 4);
SELECT count(*) FROM tfrs.recommend('shop', 3.0, 4);
SELECT count(*) FROM tfrs.recommend('shop', ROW(3), 4);
-- a score that is read as double precision finds its own row: it is compared as scores are
SELECT count(*) FROM (SELECT score::text::float8 AS score FROM tfrs.recommend('shop', 3, 4) WHERE rank = 4) s,
	tfrs.recommend('shop', 3, 9, min_score => s.score) r WHERE rank = 4;

-- out of range
SELECT * FROM tfrs.recommend('shop', 3, 3000000000);
SELECT * FROM tfrs.recommend('shop', 3, -3000000000);
SELECT * FROM tfrs.recommend('shop', 3, version => 3000000000);
SELECT * FROM tfrs.recommend('shop', 3, min_score => 1e39);
SELECT * FROM tfrs.recommend('shop', 3, min_score => 'NaN');
SELECT count(*) FROM tfrs.recommend('shop', 3, min_score => '-Infinity');
SELECT * FROM shop_recommender, tfrs.top_k(model, 3, 3000000000);
CALL tfrs.materialize('shop', 'shop_recommendation', k => 3000000000);
CALL tfrs.materialize('shop', 'shop_recommendation', version => 3000000000);
CALL tfrs.materialize('shop', 'shop_recommendation', k => 2::bigint, version => 1::bigint);
SELECT count(*) FROM shop_recommendation;
CALL tfrs.publish('shop', 1::bigint);
CALL tfrs.publish('shop', 3000000000);
CALL tfrs.alter_recommender('shop', keep_versions => 3000000000);
SELECT tfrs.sparse_categorical_crossentropy(3000000000, '{0.5,0.5}');

CALL tfrs.drop_recommender('shop');
DROP TABLE purchase, built, shop_recommendation;
