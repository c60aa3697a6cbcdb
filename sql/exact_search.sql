-- Exact search returns what a full sort returns, on data of every kind, whatever k and the predicates
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS tfrs_retrieval;
RESET client_min_messages;
SET search_path = public, tfrs;

CREATE FUNCTION noise(i int, d int) RETURNS double precision LANGUAGE sql IMMUTABLE AS
	$$ SELECT x - floor(x) - 0.5 FROM (SELECT sin(i * 12.9898 + d * 78.233) * 43758.5453 AS x) s $$;
CREATE FUNCTION component(kind text, i int, d int) RETURNS real LANGUAGE sql IMMUTABLE AS $$
	SELECT CASE kind
		WHEN 'random' THEN noise(i, d)
		WHEN 'clustered' THEN 4 * noise(i % 40, d) + noise(i, d)
		WHEN 'duplicates' THEN noise(i % 50, d)
		WHEN 'constant' THEN 0.25
		WHEN 'equal norms' THEN sign(noise(i, d))
		WHEN 'one giant' THEN noise(i, d) * CASE i WHEN 1234 THEN 1e6 ELSE 1 END
		WHEN 'denormals' THEN CASE i % 3 WHEN 0 THEN sign(noise(i, d)) * (1 + noise(i, d)) * 1e-41 ELSE noise(i, d) END
		WHEN 'one row' THEN noise(i, d)
	END::real $$;

-- ids around 0; enough floats for a structure
CREATE TABLE item AS
	SELECT kind, i - 750 AS id, (SELECT array_agg(component(kind, i, d) ORDER BY d) FROM generate_series(1, 44) d)::embedding AS e
	FROM unnest('{random,clustered,duplicates,constant,equal norms,one giant,denormals,one row}'::text[]) kind,
		LATERAL generate_series(1, CASE kind WHEN 'one row' THEN 1 ELSE 1500 END) i;
CREATE TABLE shelf AS
	SELECT kind, metric, build_index(id, e, jsonb_build_object('metric', metric, 'kind', 'exact')) AS index
	FROM item, unnest('{dot,cosine,l2}'::text[]) metric GROUP BY 1, 2;

-- queries: of the same kind, a row, and zero
CREATE TABLE asked AS
	SELECT kind, 1 AS query, (SELECT array_agg(component(kind, 5000, d) ORDER BY d) FROM generate_series(1, 44) d)::embedding AS q
	FROM (SELECT DISTINCT kind FROM item) k
	UNION ALL SELECT kind, 2, e FROM item WHERE id IN (-743) OR kind = 'one row'
	UNION ALL SELECT DISTINCT kind, 3, array_fill(0::real, ARRAY[44])::embedding FROM item;
CREATE TABLE filter (name text, excluded int[], allowed int[], least real);
INSERT INTO filter VALUES ('none', NULL, NULL, NULL),
	('exclude', ARRAY(SELECT i FROM generate_series(-750, 750, 3) i), NULL, NULL),
	('among', NULL, ARRAY(SELECT i FROM generate_series(-749, 750, 5) i), NULL),
	('all', ARRAY(SELECT i FROM generate_series(-750, 750, 4) i), ARRAY(SELECT i FROM generate_series(-749, 750, 3) i), -1);

CREATE TABLE passing AS
	SELECT name, id, least FROM filter, generate_series(-749, 750) id
	WHERE (excluded IS NULL OR id <> ALL (excluded)) AND (allowed IS NULL OR id = ANY (allowed));
CREATE TABLE truth AS
	SELECT name, kind, metric, query, id, score,
		row_number() OVER (PARTITION BY name, kind, metric, query ORDER BY score DESC, id) AS rank
	FROM (SELECT kind, query, id, metric, score::real FROM asked JOIN item USING (kind),
			LATERAL (VALUES ('dot', inner_product(q, e)), ('cosine', cosine_similarity(q, e)), ('l2', -l2_distance(q, e))) m (metric, score)) s
		JOIN passing USING (id)
	WHERE (score >= least) IS NOT FALSE;
ALTER TABLE truth ADD PRIMARY KEY (name, kind, metric, query, rank);
ANALYZE truth;

-- every rank of every answer: the candidate, or one whose score is the same but for its last digits
CREATE TABLE compared AS
	SELECT s.kind, s.metric, a.query, f.name, k, count(t.rank) AS found,
		count(*) FILTER (WHERE t.candidate = x.id OR
			(abs(t.score - x.score) <= 1e-6 * greatest(1, abs(x.score)) AND s.metric <> 'dot')) AS right,
		least(k, (SELECT count(*) FROM truth y WHERE (y.name, y.kind, y.metric, y.query) = (f.name, s.kind, s.metric, a.query))) AS wanted
	FROM shelf s JOIN asked a USING (kind) CROSS JOIN filter f CROSS JOIN unnest('{1,10,511,1510}'::int[]) k
		LEFT JOIN LATERAL (SELECT * FROM top_k_as(NULL::int, index, q, k, excluded, allowed, least)) t ON true
		LEFT JOIN truth x ON (x.name, x.kind, x.metric, x.query, x.rank) = (f.name, s.kind, s.metric, a.query, t.rank)
	GROUP BY s.kind, s.metric, a.query, f.name, f.excluded, f.allowed, k;
SELECT kind, metric, count(*) AS searches, count(*) FILTER (WHERE found <> wanted OR "right" <> wanted) AS wrong
FROM compared GROUP BY 1, 2 ORDER BY 1, 2;
SELECT * FROM compared WHERE found <> wanted OR "right" <> wanted ORDER BY 1, 2, 3, 4, 5 LIMIT 5;

-- every candidate once, in order
SELECT count(*) FROM (
	SELECT s.kind, s.metric, query, count(*) AS rows, count(DISTINCT candidate) AS candidates, count(*) FILTER (WHERE score > before OR (score = before AND candidate < last)) AS disorder
	FROM shelf s JOIN asked a USING (kind), LATERAL (
		SELECT *, lag(score) OVER (ORDER BY rank) AS before, lag(candidate) OVER (ORDER BY rank) AS last
		FROM top_k_as(NULL::int, index, q, 5000)) t
	GROUP BY 1, 2, 3) o
WHERE rows <> candidates OR disorder > 0 OR rows <> CASE kind WHEN 'one row' THEN 1 ELSE 1500 END;

-- most like a row, by cosine, from indexes of every metric
SELECT s.kind, s.metric, count(*) AS rows,
	count(*) FILTER (WHERE abs(t.score - x.score) > 1e-6 OR t.candidate = '-743') AS wrong
FROM shelf s, LATERAL (SELECT * FROM similar(index, -743, 50)) t,
	LATERAL (SELECT cosine_similarity(i.e, j.e) AS score FROM item i, item j
			 WHERE (i.kind, i.id, j.kind) = (s.kind, -743, s.kind) AND j.id <> -743 ORDER BY 1 DESC OFFSET t.rank - 1 LIMIT 1) x
WHERE t.rank IN (1, 2, 10, 50) AND s.kind IN ('clustered', 'one giant', 'denormals') GROUP BY 1, 2 ORDER BY 1, 2;

DROP TABLE item, shelf, asked, filter, passing, truth, compared;
DROP FUNCTION component, noise;
