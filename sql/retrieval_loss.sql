-- tfrs.retrieval_loss
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS tfrs_retrieval;
RESET client_min_messages;
SET search_path = public, tfrs;

-- the cases of TFRS in test/fixtures: every one without a score mask and with one vector a query
-- (probabilities outside (0, 1], which TFRS clips and SQL refuses, are clipped here)
CREATE TABLE loss_case (case_id text, source text, b int, c int, d int, heads int,
	temperature float8, has_p bool, accidental_hits bool, has_mask bool, hard_negatives int,
	has_weight bool, loss float8, batch_top1 float8);
CREATE TABLE loss_query (case_id text, "row" int, head int, query float8[], weight float8,
	row_loss float8, grad float8[]);
CREATE TABLE loss_candidate (case_id text, col int, candidate float8[], p float8,
	candidate_id text, grad float8[]);
\copy loss_case from program 'cat "${PG_ABS_SRCDIR:-.}/test/fixtures/loss_cases.tsv"' with (format csv, delimiter E'\t', header, quote E'\b')
\copy loss_query from program 'cat "${PG_ABS_SRCDIR:-.}/test/fixtures/loss_queries.tsv"' with (format csv, delimiter E'\t', header, quote E'\b')
\copy loss_candidate from program 'cat "${PG_ABS_SRCDIR:-.}/test/fixtures/loss_candidates.tsv"' with (format csv, delimiter E'\t', header, quote E'\b')

CREATE VIEW loss_row AS
	SELECT k.case_id, k.loss, k.b, q.query::embedding AS query, c.candidate::embedding AS candidate,
		   q.weight, CASE WHEN has_p THEN least(greatest(c.p, 1e-6), 1) END AS p, c.candidate_id,
		   jsonb_strip_nulls(jsonb_build_object('temperature', temperature,
				'remove_accidental_hits', accidental_hits, 'hard_negatives', hard_negatives)) AS options
	FROM loss_case k
	JOIN loss_candidate c USING (case_id)
	LEFT JOIN loss_query q ON q.case_id = c.case_id AND q."row" = c.col
	WHERE NOT has_mask AND heads = 0 AND k.case_id <> 'D7_k0_quirk';

SELECT count(*) AS cases,
	   count(*) FILTER (WHERE abs(got - loss) > 1e-5 * greatest(1, abs(loss))) AS wrong,
	   count(*) FILTER (WHERE abs(mean - loss / b) > 1e-5 * greatest(1, abs(loss / b))) AS wrong_mean
FROM (SELECT case_id, loss, b, retrieval_loss(query, candidate, weight, p, candidate_id, options) AS got,
			 retrieval_loss(query, candidate, weight, p, candidate_id,
							options || '{"reduction": "mean"}') AS mean
	  FROM loss_row GROUP BY case_id, loss, b) AS result;

-- the short forms
CREATE TABLE batch (n int, q embedding, c embedding, w float8, p float8, id text);
INSERT INTO batch VALUES
	(1, '[1,0]', '[2,0]', 1, 0.5, 'a'), (2, '[0,1]', '[0,1]', 2, 0.25, 'b'), (3, NULL, '[1,1]', 7, 0.25, 'a');
SELECT round(retrieval_loss(q, c)::numeric, 5) AS loss,
	   round(retrieval_loss(q, c, NULL)::numeric, 5) AS no_options,
	   round(retrieval_loss(q, c, '{}')::numeric, 5) AS no_keys,
	   round(retrieval_loss(q, c, '{"reduction": "mean"}')::numeric, 5) AS mean,
	   round(retrieval_loss(q, c, '{"temperature": 0.5}')::numeric, 5) AS sharper,
	   round(retrieval_loss(q, c, '{"hard_negatives": 1}')::numeric, 5) AS hard
FROM batch;
SELECT round((ln(1 + exp(-2) + exp(-1)) + ln(1 + exp(-1) + exp(0)))::numeric, 5) AS by_hand;
SELECT round(retrieval_loss(q, c, w, NULL, NULL, NULL)::numeric, 5) AS weighted,
	   round(retrieval_loss(q, c, NULL, p, NULL, NULL)::numeric, 5) AS corrected,
	   round(retrieval_loss(q, c, NULL, NULL, id, '{"remove_accidental_hits": true}')::numeric, 5) AS hits,
	   round(retrieval_loss(q, c, 1, 0.1, 'same', '{}')::numeric, 5) AS literals
FROM batch;
-- probabilities below the floor count as the floor
SELECT round(retrieval_loss(q, c, NULL, p / 1e9, NULL, NULL)::numeric, 5) AS usual,
	   round(retrieval_loss(q, c, NULL, p, NULL, '{"probability_floor": 1}')::numeric, 5) AS highest
FROM batch;
PREPARE untyped AS SELECT round(retrieval_loss(q, c, $1, $2, $3, $4)::numeric, 5) FROM batch;
EXECUTE untyped(1, 0.5, 'x', '{}');
PREPARE untyped_options AS SELECT round(retrieval_loss(q, c, $1)::numeric, 5) FROM batch;
EXECUTE untyped_options('{"temperature": 0.5}');

-- nothing to compute: no rows, no queries; rows without a candidate are passed over
SELECT retrieval_loss(q, c) FROM batch WHERE n > 3;
SELECT retrieval_loss(q, c) FROM batch WHERE n = 3;
SELECT retrieval_loss(q, CASE n WHEN 2 THEN NULL ELSE c END) =
	   (SELECT retrieval_loss(q, c) FROM batch WHERE n <> 2) AS same FROM batch;
SELECT n % 2 AS odd, round(retrieval_loss(q, c)::numeric, 5) FROM batch GROUP BY 1 ORDER BY 1;

-- wrong use
SELECT retrieval_loss(q, c, '{"remove_accidental_hits": true}') FROM batch;
SELECT retrieval_loss(q, c, 1, NULL, nullif(id, 'b'), '{"remove_accidental_hits": true}') FROM batch;
SELECT retrieval_loss(q, c, 1, p - 0.25, id, '{}') FROM batch;
SELECT retrieval_loss(q, c, 1, p * 4, id, '{}') FROM batch;
SELECT retrieval_loss(q, c, 1, 'NaN', id, '{}') FROM batch;
SELECT retrieval_loss(q, c, 1, nullif(p, 0.5), id, '{}') FROM batch;
SELECT retrieval_loss(q, c, -w, p, id, '{}') FROM batch;
SELECT retrieval_loss(q, c, 'NaN', p, id, '{}') FROM batch;
SELECT retrieval_loss(q, c, 'infinity', p, id, '{}') FROM batch;
SELECT retrieval_loss(q, '[1,2,3]') FROM batch;
SELECT retrieval_loss('[1,2,3]', c) FROM batch;
SELECT retrieval_loss(q, CASE n WHEN 1 THEN c ELSE '[1]' END) FROM batch;
SELECT retrieval_loss('[1e30,0]', '[1e30,0]') FROM batch;
SELECT retrieval_loss(q, c, '{"temperature": 0}') FROM batch;
SELECT retrieval_loss(q, c, '{"hard_negatives": -1}') FROM batch;
SELECT retrieval_loss(q, c, '{"reduction": "none"}') FROM batch;
SELECT retrieval_loss(q, c, '{"temprature": 1}') FROM batch;
SELECT retrieval_loss(q, c, '[]') FROM batch;
SELECT retrieval_loss(q, c, jsonb_build_object('temperature', n)) FROM batch;

-- the SQLSTATE of each
CREATE FUNCTION pg_temp.code(arguments text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('SELECT retrieval_loss(%s) FROM batch', arguments);
	RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END $$;
SELECT a AS arguments, pg_temp.code(a) FROM unnest(ARRAY[
	$$q, c, '{"remove_accidental_hits": true}'$$, $$q, c, 1, 0, id, '{}'$$, $$q, c, 1, 1.01, id, '{}'$$,
	$$q, c, 1, 'NaN', id, '{}'$$, $$q, c, 1, nullif(p, 0.5), id, '{}'$$, $$q, c, -1e-9, p, id, '{}'$$,
	$$q, c, 'NaN', p, id, '{}'$$, $$q, '[1,2,3]'$$, $$'[1e30,0]', '[1e30,0]'$$, $$q, c, '{"temperature": -1}'$$]) AS a;

-- memory
SET maintenance_work_mem = '1MB';
SELECT retrieval_loss(array_fill(1, ARRAY[1000])::embedding, array_fill(1, ARRAY[1000])::embedding)
FROM generate_series(1, 1000);
RESET maintenance_work_mem;

-- a loss over a batch of a thousand rows, whatever the order
CREATE TABLE large AS
	SELECT i, ARRAY[sin(i), cos(i)]::embedding AS q, ARRAY[cos(i), sin(i * 3)]::embedding AS c
	FROM generate_series(1, 1200) i;
SELECT round(retrieval_loss(q, c)::numeric, 1) AS loss,
	   round(retrieval_loss(q, c ORDER BY i DESC)::numeric, 1) AS reversed FROM large;
SELECT round(sum(ln(total) - own)::numeric, 1) AS by_hand
FROM (SELECT inner_product(a.q, a.c)::float8 AS own, sum(exp(inner_product(a.q, b.c)::float8)) AS total
	  FROM large a, large b GROUP BY a.i, a.q, a.c) AS row_loss;

DROP TABLE loss_case, loss_query, loss_candidate, batch, large CASCADE;
