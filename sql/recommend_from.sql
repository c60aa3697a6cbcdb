-- tfrs.recommend_from: recommendations for one who chose the candidates of a list
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS tfrs_retrieval;

CREATE TABLE thing (thing int PRIMARY KEY, title text, in_stock boolean);
INSERT INTO thing SELECT i, 'thing ' || i, true FROM generate_series(1, 40) i;
CREATE TABLE visit (person int, thing int, seen_at timestamptz);
INSERT INTO visit
	SELECT person, 1 + (person % 2 * 20 + (person * 7 + n * 3) % 20), timestamptz '2026-01-01 UTC' + n * interval '1 hour'
	FROM generate_series(1, 60) person, generate_series(1, 8) n;
CREATE INDEX ON visit (person);
CALL tfrs.create_recommender('things', 'visit', 'person', 'thing', at => 'seen_at', candidates => 'thing',
	label => 'title', available => 'in_stock', held_out => 0,
	options => '{"dim": 8, "history": {"steps": 300}}');
CALL tfrs.refresh('things');
CALL tfrs.create_recommender('tables', 'visit', 'person', 'thing', held_out => 0,
	options => '{"dim": 8, "history": false, "epochs": 5}');
CALL tfrs.refresh('tables');
RESET client_min_messages;

-- the answer is that of a person who chose the list in this order, at times of their own
INSERT INTO visit VALUES (1000, 9, '2026-02-01'), (1000, 3, '2026-02-02'), (1000, 25, '2026-02-03');
SELECT count(*), count(*) FILTER (WHERE f IS DISTINCT FROM r)
FROM tfrs.recommend_from('things', ARRAY[9, 3, 25], k => 40) f FULL JOIN tfrs.recommend('things', 1000, 40) r USING (rank);
SELECT count(*), count(*) FILTER (WHERE f IS DISTINCT FROM r)
FROM tfrs.recommend_from('tables', ARRAY[9, 3, 25], k => 40) f FULL JOIN tfrs.recommend('tables', 1000, 40) r USING (rank);
SELECT count(*), min(source), max(source), count(label) FROM tfrs.recommend_from('things', ARRAY[9, 3, 25], k => 40)
WHERE candidate NOT IN ('9', '3', '25');
-- the order counts, and a candidate counts where it first stands
SELECT f.score <> r.score AS order_counts FROM tfrs.recommend_from('things', ARRAY[9, 3, 25], k => 1, among => '{30}') f,
	tfrs.recommend_from('things', ARRAY[25, 3, 9], k => 1, among => '{30}') r;
SELECT count(*), count(*) FILTER (WHERE f IS DISTINCT FROM r)
FROM tfrs.recommend_from('things', ARRAY[9, 3, 9, 25, 3, NULL], k => 40) f
FULL JOIN tfrs.recommend('things', 1000, 40) r USING (rank);

-- the same rows as a sort of all candidates in SQL that applies the same rules, on random lists
CREATE FUNCTION without_bias(tfrs.embedding) RETURNS tfrs.embedding LANGUAGE sql
	AS $$ SELECT regexp_replace($1::text, ',[^,]*\]$', ']')::tfrs.embedding $$;
CREATE FUNCTION sorted(name text, model tfrs.model, list int[], avoid int[], exclude int[], among int[], biased boolean)
	RETURNS TABLE (rank bigint, candidate text, score float8) LANGUAGE sql AS $$
	WITH candidate AS MATERIALIZED (
		SELECT id, embedding, CASE WHEN biased THEN without_bias(embedding) ELSE embedding END AS narrow
		FROM tfrs.candidate_embeddings(model)
	), query AS MATERIALIZED (
		SELECT q AS embedding, CASE WHEN biased THEN without_bias(q) ELSE q END AS narrow
		FROM tfrs.embed_history(model, list) q
	), scored AS (
		SELECT id, tfrs.inner_product(query.embedding, c.embedding) - 0.25 * tfrs.norm(query.narrow) *
			coalesce((SELECT avg(tfrs.inner_product(tfrs.l2_normalize(a.narrow), c.narrow)) FROM candidate a WHERE a.id::int = ANY (avoid)), 0) AS score
		FROM candidate c, query
	)
	SELECT row_number() OVER (ORDER BY score DESC), id, score FROM scored JOIN thing ON thing = id::int
	WHERE in_stock AND thing <> ALL (list || avoid || exclude) AND thing = ANY (among) $$;
UPDATE thing SET in_stock = thing % 7 <> 0;
SELECT setseed(0.5);
CREATE TABLE random_list AS SELECT i, ARRAY(SELECT thing FROM thing WHERE i > 0 ORDER BY random() LIMIT 1 + i % 5) AS list,
	ARRAY(SELECT thing FROM thing WHERE i > 0 ORDER BY random() LIMIT i % 4) AS avoid,
	ARRAY(SELECT thing FROM thing WHERE i > 0 ORDER BY random() LIMIT i % 3 * 5) AS exclude,
	ARRAY(SELECT thing FROM thing WHERE i > 0 ORDER BY random() LIMIT 12 + i) AS among FROM generate_series(1, 25) i;
SELECT count(*) > 150 AS many, count(*) FILTER (WHERE f.candidate IS DISTINCT FROM s.candidate AND coalesce(abs(f.score - s.score), 1) > 1e-6) AS others,
	count(*) FILTER (WHERE abs(f.score - s.score) > 1e-4) AS other_scores
FROM random_list l, things_recommender, LATERAL (
	SELECT * FROM tfrs.recommend_from('things', list, avoid, 9, exclude, among) f
	FULL JOIN (SELECT * FROM sorted('things', model, list, avoid, exclude, among, true) WHERE rank <= 9) s USING (rank)) both_of(rank, candidate, label, score, source, sorted_candidate, sorted_score),
	LATERAL (SELECT candidate, score) f, LATERAL (SELECT sorted_candidate AS candidate, sorted_score AS score) s;
SELECT count(*) > 150 AS many, count(*) FILTER (WHERE f.candidate IS DISTINCT FROM s.candidate AND coalesce(abs(f.score - s.score), 1) > 1e-6) AS others,
	count(*) FILTER (WHERE abs(f.score - s.score) > 1e-4) AS other_scores
FROM random_list l, tables_recommender, LATERAL (
	SELECT * FROM tfrs.recommend_from('tables', list, avoid, 40, exclude, ARRAY(SELECT thing FROM thing WHERE in_stock AND thing = ANY (among))) f
	FULL JOIN sorted('tables', model, list, avoid, exclude, among, false) s USING (rank)) both_of(rank, candidate, label, score, source, sorted_candidate, sorted_score),
	LATERAL (SELECT candidate, score) f, LATERAL (SELECT sorted_candidate AS candidate, sorted_score AS score) s;
UPDATE thing SET in_stock = true;

-- what is avoided is never shown, and what is like it comes later
SELECT count(*), count(*) FILTER (WHERE candidate IN ('6', '8')) FROM tfrs.recommend_from('things', ARRAY[9, 3], ARRAY[6, 8], 40);
SELECT pushed.score < plain.score AND pushed.rank >= plain.rank AS later
FROM tfrs.similar('things', 6, 1, exclude => ARRAY[9, 3])
JOIN tfrs.recommend_from('things', ARRAY[9, 3], k => 40, exclude => ARRAY[6]) plain USING (candidate)
JOIN tfrs.recommend_from('things', ARRAY[9, 3], ARRAY[6], 40) pushed USING (candidate);
SELECT count(*) FROM tfrs.recommend_from('things', ARRAY[9, 3], '{}'::int[], 40) f JOIN tfrs.recommend_from('things', ARRAY[9, 3], k => 40) r
	USING (rank, candidate, score);

-- lists in every way
CREATE TABLE best AS SELECT candidate, score FROM tfrs.recommend_from('things', ARRAY[9, 3], ARRAY[6], 1);
SELECT count(*) FROM best JOIN tfrs.recommend_from('things', '{9,3}', '{6}', 1) USING (candidate, score);
SELECT count(*) FROM best JOIN tfrs.recommend_from('things', '{9,3}'::text[], '{6}'::bigint[], 1) USING (candidate, score);
SELECT count(*) FROM best JOIN tfrs.recommend_from('things', '{9,3}'::text, ARRAY[6::smallint], 1) USING (candidate, score);
SELECT count(*) FROM best JOIN tfrs.recommend_from('things', ARRAY[9, 3], '{6}', 1) USING (candidate, score);
PREPARE untyped AS SELECT count(*) FROM best JOIN tfrs.recommend_from($1, $2, $3, $4) USING (candidate, score);
EXECUTE untyped('things', '{9,3}', '{6}', 1);
EXECUTE untyped('things', '{9,3}', NULL, 1);
PREPARE untyped_list AS SELECT count(*) FROM tfrs.recommend_from($1, $2, k => $3);
EXECUTE untyped_list('things', '{9,3}', 3);
PREPARE typed(bigint[], bigint[], bigint, float8, bigint) AS
	SELECT count(*) FROM tfrs.recommend_from('things', $1, $2, k => $3, min_score => $4, version => $5);
EXECUTE typed('{9,3}', '{6}', 3, -1e30, 1);
EXECUTE typed('{9,3}', NULL, 3, 1e30, 1);
SELECT pg_typeof(candidate), count(*) FROM tfrs.recommend_from_as(NULL::bigint, 'things', ARRAY[9, 3], k => 3) GROUP BY 1;
SELECT pg_typeof(candidate), count(*) FROM tfrs.recommend_from_as(NULL::int, 'things', '{9,3}', '{6}', k => 3) GROUP BY 1;
SELECT count(*) FROM tfrs.recommend_from(NULL, ARRAY[9, 3]);
SELECT count(*) FROM tfrs.recommend_from('things', ARRAY[9, 3], k => 0);
SELECT count(*) FROM (VALUES (ARRAY[9, 3]), (ARRAY[30]), (NULL)) basket(list), tfrs.recommend_from('things', list, k => 3);
SELECT * FROM tfrs.recommend_from('nothing', ARRAY[9, 3]);
SELECT * FROM tfrs.recommend_from('things', 9);
SELECT * FROM tfrs.recommend_from('things', ARRAY[9, 3], 5);
SELECT * FROM tfrs.recommend_from('things', '9,3');
SELECT * FROM tfrs.recommend_from('things', ARRAY['nine']);
SELECT * FROM tfrs.recommend_from('things', ARRAY[1.5]);
SELECT * FROM tfrs.recommend_from('things', ARRAY[9, 3], k => -1);
SELECT * FROM tfrs.recommend_from('things', ARRAY[9, 3], min_score => 'NaN');
SELECT * FROM tfrs.recommend_from('things', ARRAY[9, 3], version => 2);

-- ids that the model does not know are told once in a statement, and count for nothing
SELECT count(*) FROM tfrs.recommend_from('things', ARRAY[9, 4711, 3, 4712], k => 40) f
	JOIN tfrs.recommend_from('things', ARRAY[9, 3], k => 40) r USING (rank, candidate, score);
SELECT count(*) FROM tfrs.recommend_from('things', ARRAY[9, 3], ARRAY[4711], 3);
SELECT count(*) FROM generate_series(1, 3), tfrs.recommend_from('things', '{4711,3}', k => 2);
-- of nothing known there is what is popular, but what is avoided
SELECT rank, source FROM tfrs.recommend_from('things', '{}', k => 2);
SELECT rank, source FROM tfrs.recommend_from('things', NULL, k => 2);
SELECT rank, source FROM tfrs.recommend_from('things', '{4711}'::int[], k => 2);
SELECT count(*) FROM tfrs.recommend_from('things', '{}', '{1,2}', 40) WHERE candidate IN ('1', '2');

-- the planner knows k, whatever is an array
CREATE FUNCTION planned_rows(query text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE plan json;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT json) ' || query INTO plan;
	RETURN plan #>> '{0,Plan,Plan Rows}';
END $$;
SELECT planned_rows($$SELECT * FROM tfrs.recommend_from('things', ARRAY[1, 2, 3], k => 7)$$),
	planned_rows($$SELECT * FROM tfrs.recommend_from_as(NULL::int, 'things', ARRAY[1, 2, 3], ARRAY[4, 5])$$);

-- privilege "use" is enough; labels and availability are the caller's own
CREATE ROLE regress_tfrs_visitor;
SET ROLE regress_tfrs_visitor;
SELECT * FROM tfrs.recommend_from('things', ARRAY[9, 3], k => 2);
RESET ROLE;
CALL tfrs.grant_recommender('things', 'regress_tfrs_visitor', 'use');
ALTER TABLE thing ENABLE ROW LEVEL SECURITY;
CREATE POLICY even ON thing TO regress_tfrs_visitor USING (thing % 2 = 0);
SET ROLE regress_tfrs_visitor;
SELECT count(*), count(label) FROM tfrs.recommend_from('things', ARRAY[9, 3], ARRAY[6], k => 2);
RESET ROLE;
GRANT SELECT ON thing TO regress_tfrs_visitor;
SET ROLE regress_tfrs_visitor;
SELECT count(*), count(label), count(*) FILTER (WHERE candidate::int % 2 = 1) FROM tfrs.recommend_from('things', ARRAY[9, 3], k => 40);
RESET ROLE;

SET client_min_messages = warning;
CALL tfrs.drop_recommender('things');
CALL tfrs.drop_recommender('tables');
DROP TABLE thing, visit, best, random_list;
DROP FUNCTION sorted, without_bias, planned_rows;
DROP ROLE regress_tfrs_visitor;
