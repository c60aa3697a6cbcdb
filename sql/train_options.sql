-- tfrs.train: options of plain tables of ids.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS tfrs_retrieval;
RESET client_min_messages;
SET search_path = tfrs, public;

CREATE TEMP TABLE rows AS
SELECT i % 60 AS query, 'item ' || (i % 60 % 3 + 3 * (i * i / 7 % 20)) AS candidate
FROM generate_series(1, 3000) AS i;

-- Whether most of what a query is told is of its own class, and loss and every vector are numbers
CREATE FUNCTION pg_temp.learns(options jsonb) RETURNS boolean LANGUAGE sql AS $$
	WITH trained AS MATERIALIZED (
		SELECT train(query, candidate, '{"history": false, "dim": 8, "batch_size": 200}' || options) AS model FROM rows)
	SELECT (SELECT avg((q % 3 = substr(t.candidate, 6)::int % 3)::int) > 0.6
			FROM trained, generate_series(0, 59) AS q, top_k(model, q, k => 5, search => '{"seen": true}') AS t)
		AND (SELECT bool_and(loss_per_row BETWEEN -20 AND 20) FROM trained, training_history(model))
$$;
SELECT o AS options, pg_temp.learns(o) AS learns FROM unnest(ARRAY[
	'{"full_softmax": true}',
	'{"full_softmax": true, "mask_known": true}',
	'{"full_softmax": false, "mask_known": true}',
	'{"full_softmax": false, "mask_known": true, "hard_negatives": 20}',
	'{"full_softmax": false, "uniform_negatives": 50}',
	'{"full_softmax": false, "uniform_negatives": 50, "hard_negatives": 30}',
	'{"full_softmax": false, "sampling_correction": "corrected"}',
	'{"full_softmax": false, "uniform_negatives": 50, "sampling_correction": "corrected"}',
	'{"loss": "bsl"}',
	'{"loss": "bsl", "bsl_power": 1.2, "full_softmax": true}',
	'{"loss": "ccl"}',
	'{"loss": "ccl", "ccl_weight": 50, "ccl_margin": 0.2, "full_softmax": true}',
	'{"id_dropout": 0.2}',
	'{"l2": 0.001}',
	'{"clip_norm": 1}',
	'{"reduction": "mean"}',
	'{"schedule": "constant"}',
	'{"schedule": "linear", "final_rate": 0.1}',
	'{"schedule": "warmup", "warmup": 0.2}',
	'{"schedule": "cosine", "warmup": 0.1, "final_rate": 0}',
	'{"dropout": 0.2}',
	'{"candidate_bias": true}'
]::jsonb[]) WITH ORDINALITY AS t (o, n) ORDER BY n;

-- The same with the history tower, whose rows are states or interactions
SELECT o AS options, pg_temp.learns(o || '{"history": {"steps": 200}}') AS of_states,
	pg_temp.learns(o || '{"history": {"rows": "interaction", "steps": 200}, "learning_rate": 0.02}') AS of_interactions
FROM unnest(ARRAY[
	'{"l2": 0.0001}',
	'{"clip_norm": 1}',
	'{"hard_negatives": 10}',
	'{"loss": "bsl"}',
	'{"loss": "ccl", "normalize": true, "mask_known": false}',
	'{"id_dropout": 0.2}',
	'{"batch_accuracy": [5]}',
	'{"reduction": "sum"}',
	'{"full_softmax": true}',
	'{"average_unknown": false}',
	'{"mask_known": false}'
]::jsonb[]) WITH ORDINALITY AS t (o, n) ORDER BY n;
SELECT o AS options, pg_temp.learns(o || '{"history": {"rows": "interaction", "steps": 200}, "learning_rate": 0.02}') AS of_interactions
FROM unnest(ARRAY[
	'{"uniform_negatives": 20}',
	'{"sampling_correction": "in_batch"}',
	'{"sampling_correction": "none", "mask_known": false}',
	'{"sampling_correction": "in_batch", "remove_accidental_hits": true, "mask_known": false}'
]::jsonb[]) WITH ORDINALITY AS t (o, n) ORDER BY n;

-- Of an unknown query a tower of events says what it has learned of queries of whom nothing is seen
SELECT (embed_query(d.model, 1000)::real[])[1:7] = array_fill(0::real, ARRAY[7]) AS popularity_alone
FROM (SELECT train(query, candidate, '{"dim": 8, "id_dropout": 0.2}') AS model FROM rows) AS d;

-- A mean of the losses takes the same steps as their sum, and its loss is smaller by the rows of a batch
SELECT round(s.loss / m.loss) AS rows, abs(s.loss_per_row / m.loss_per_row / 200 - 1) < 0.001 AS same
FROM (SELECT h.* FROM (SELECT train(query, candidate, '{"preset": "tfrs", "batch_size": 200}') AS model FROM rows) AS t,
		training_history(model) AS h WHERE epoch = 3) AS s,
	(SELECT h.* FROM (SELECT train(query, candidate, '{"preset": "tfrs", "batch_size": 200, "reduction": "mean"}') AS model FROM rows) AS t,
		training_history(model) AS h WHERE epoch = 3) AS m;

-- With all candidates as columns nothing depends on the batch's other rows: the first loss is ln N
SELECT round(loss_per_row::numeric, 1) AS loss, round(ln(60)::numeric, 1) AS ln_n
FROM (SELECT train(query, candidate, '{"preset": "tfrs", "epochs": 1, "full_softmax": true, "learning_rate": 1e-6}') AS model
	FROM rows) AS t, training_history(model);

-- Whether a batch's positives come out on top: of 60 candidates all are among the first 60
SELECT epoch, batch_accuracy -> '60' AS among_60, (batch_accuracy ->> '1')::float8 < (batch_accuracy ->> '5')::float8 AS more_at_5
FROM (SELECT train(query, candidate, '{"history": false, "full_softmax": true, "epochs": 2, "batch_accuracy": [1, 5, 60]}') AS model
	FROM rows) AS t, training_history(model);
SELECT batch_accuracy FROM (SELECT train(query, candidate, '{"preset": "tfrs", "epochs": 1}') AS model FROM rows) AS t,
	training_history(model);
SELECT model_info(train(query, candidate, '{"preset": "tfrs", "epochs": 1, "batch_accuracy": [10, 5]}')) -> 'options' -> 'batch_accuracy' AS ks
FROM rows;

-- A query that was taken for an unknown one often enough teaches the unknown slot
SELECT embed_query(train(query, candidate, '{"preset": "tfrs", "epochs": 1, "id_dropout": 0.5}'), 'nobody') <>
	embed_query(train(query, candidate, '{"preset": "tfrs", "epochs": 1}'), 'nobody') AS differs
FROM (SELECT query::text, candidate FROM rows) AS r;

-- Events that are held out tell when to stop, and the best epoch is kept
SELECT kind, count(*) < 200 AS stopped, count(validation) = count(*) / every AS measured, bool_and(validation BETWEEN 0 AND 1) AS shares
FROM (
	SELECT 'tables' AS kind, 2 AS every, train(query, candidate, NULL, at,
		'{"history": false, "dim": 4, "epochs": 200, "learning_rate": 1, "validation": {"fraction": 0.2, "patience": 2, "every": 2}}') AS model
	FROM (SELECT *, NULL::timestamptz AS at FROM rows) AS r
	UNION ALL
	SELECT 'histories', 1, train(query, candidate, NULL, at,
		'{"dim": 4, "epochs": 200, "validation": {"by": "last", "metric": "recall", "k": 5, "patience": 1}}')
	FROM (SELECT *, timestamptz '2024-01-01' + candidate_number * interval '1 day' AS at
		FROM (SELECT *, substr(candidate, 6)::int AS candidate_number FROM rows) AS n) AS r
) AS t, training_history(model) GROUP BY kind, every ORDER BY kind;
-- whole queries: none of their rows is trained on, all have a vector in the end
SELECT count(validation) > 0 AS measured, bool_and(validation BETWEEN 0 AND 1) AS shares FROM (
	SELECT train(query, candidate, '{"dim": 4, "validation": {"by": "query", "fraction": 0.3}}') AS model FROM rows
) AS t, training_history(model);
SELECT i -> 'rows' AS rows, i -> 'queries' AS queries, i #> '{options,validation}' AS validation FROM (
	SELECT model_info(train(query, candidate, NULL, 'epoch'::timestamptz + n * interval '1 day',
		'{"dim": 4, "validation": {"by": "query", "fraction": 0.3}}')) AS i
	FROM (SELECT *, row_number() OVER (ORDER BY query, candidate) AS n FROM rows) AS t) AS t;
SELECT count(validation) FROM (SELECT train(query, candidate, '{"validation": false}') AS model FROM rows) AS t, training_history(model);

-- The same bytes with another number of threads
SET tfrs.threads = 1;
SELECT md5(train(query, candidate, '{"history": false, "full_softmax": false, "uniform_negatives": 30, "mask_known": true}')::text) AS digest
FROM rows \gset
SET tfrs.threads = 2;
SELECT md5(train(query, candidate, '{"history": false, "full_softmax": false, "uniform_negatives": 30, "mask_known": true}')::text)
	= :'digest' AS same FROM rows;
RESET tfrs.threads;

-- What does not go together
SELECT train(query, candidate, '{"uniform_negatives": 10}') FROM rows;
SELECT train(query, candidate, '{"sampling_correction": "in_batch"}') FROM rows;
SELECT train(query, candidate, '{"remove_accidental_hits": true}') FROM rows;
SELECT train(query, candidate, '{"full_softmax": true, "history": {"columns": 5}}') FROM rows;
SELECT train(query, candidate, '{"history": false, "full_softmax": true, "uniform_negatives": 10}') FROM rows;
SELECT train(query, candidate, '{"history": false, "full_softmax": true, "sampling_correction": "in_batch"}') FROM rows;
SELECT train(query, candidate, '{"history": false, "full_softmax": true, "hard_negatives": 10}') FROM rows;
SELECT train(query, candidate, '{"history": false, "loss": "ccl", "temperature": 1}') FROM rows;
SELECT train(query, candidate, '{"preset": "tfrs", "loss": "ccl"}') FROM rows;
SELECT train(query, candidate, '{"history": false, "loss": "bsl", "ccl_margin": 0}') FROM rows;
SELECT train(query, candidate, '{"history": false, "batch_accuracy": []}') FROM rows;
SELECT train(query, candidate, '{"history": false, "id_dropout": 1}') FROM rows;
SELECT train(query, candidate, '{"validation": {"by": "last"}}') FROM rows;
SELECT train(query, candidate, '{"history": false, "validation": {"by": "query"}}') FROM rows;
SELECT train(query, candidate, '{"validation": {"fraction": 1}}') FROM rows;
SELECT train(query, candidate, '{"validation": {"metric": "ndcg@10"}}') FROM rows;
SELECT train(query, candidate, '{"validation": true}') FROM rows;
SELECT train(query, candidate, '{"history": false, "l2": -1}') FROM rows;
SELECT train(query, candidate, '{"history": false, "clip_norm": "a"}') FROM rows;
SELECT train(query, candidate, '{"history": false, "reduction": "median"}') FROM rows;
SELECT train(query, candidate, '{"history": false, "warmup": 1}') FROM rows;
