-- The Keras losses and metrics: categorical_crossentropy, sparse_categorical_crossentropy,
-- top_k_categorical_accuracy
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS tfrs_retrieval;
RESET client_min_messages;
SET search_path = public, tfrs;

-- the examples of the Keras documentation
CREATE TABLE sample (n int, y_true float8[], label int, y_pred float8[], w float8);
INSERT INTO sample VALUES
	(1, '{0,1,0}', 1, '{0.05,0.95,0}', 0.3), (2, '{0,0,1}', 2, '{0.1,0.8,0.1}', 0.7);
SELECT round(categorical_crossentropy(y_true, y_pred)::numeric, 6) AS mean,
	   round(categorical_crossentropy(y_true, y_pred, w, NULL)::numeric, 6) AS weighted,
	   round(categorical_crossentropy(y_true, y_pred, '{"reduction": "sum"}')::numeric, 6) AS sum
FROM sample;
SELECT round(sparse_categorical_crossentropy(label, y_pred)::numeric, 6) AS mean,
	   round(sparse_categorical_crossentropy(label, y_pred, w, NULL)::numeric, 6) AS weighted,
	   round(sparse_categorical_crossentropy(label, y_pred, '{"reduction": "sum"}')::numeric, 6) AS sum
FROM sample;
CREATE TABLE top (y_true float8[], y_pred float8[], w float8);
INSERT INTO top VALUES ('{0,0,1}', '{0.1,0.9,0.8}', 0.7), ('{0,1,0}', '{0.05,0.95,0}', 0.3);
SELECT top_k_categorical_accuracy(y_true, y_pred, 1) AS mean,
	   top_k_categorical_accuracy(y_true, y_pred, 1, w) AS weighted,
	   top_k_categorical_accuracy(y_true, y_pred, 2) AS two FROM top;

-- the mean is over the rows for a loss, over the weights for a metric; a NULL weight is 1
SELECT round(categorical_crossentropy(y_true, y_pred, 10, '{}')::numeric, 6) AS ten_times,
	   round(categorical_crossentropy(y_true, y_pred, NULL, '{}')::numeric, 6) AS once,
	   categorical_crossentropy(y_true, y_pred, 0, '{}') AS none FROM sample;
SELECT top_k_categorical_accuracy(y_true, y_pred, 1, 10) AS same,
	   top_k_categorical_accuracy(y_true, y_pred, 1, NULL) AS once,
	   top_k_categorical_accuracy(y_true, y_pred, 1, 0) AS none FROM top;

-- logits: y_pred or its logarithm plus anything; label smoothing
SELECT round(categorical_crossentropy(ARRAY[0, 1], ARRAY[1, 3], '{"from_logits": true}')::numeric, 6) AS dense,
	   round(sparse_categorical_crossentropy(1, ARRAY[1, 3], '{"from_logits": true}')::numeric, 6) AS sparse,
	   round(ln(1 + exp(-2))::numeric, 6) AS by_hand;
SELECT categorical_crossentropy('{0,1}', '{-1000,1000}', '{"from_logits": true}') AS right,
	   categorical_crossentropy('{1,0}', '{-1000,1000}', '{"from_logits": true}') AS wrong;
SELECT round(categorical_crossentropy('{0,1}', '{0.2,0.8}', '{"label_smoothing": 0.1}')::numeric, 6) AS smoothed,
	   round(-0.05 * ln(0.2) - 0.95 * ln(0.8), 6) AS by_hand;
-- soft targets; y_pred is divided by its sum; certainty is clipped at 1e-7
SELECT round(categorical_crossentropy('{0.5,0.5}', '{1,3}')::numeric, 6) AS soft,
	   round(-0.5 * ln(0.25) - 0.5 * ln(0.75), 6) AS by_hand,
	   round(categorical_crossentropy('{1,0}', '{0,1}')::numeric, 4) AS wrong,
	   round(sparse_categorical_crossentropy(0, '{0,1}')::numeric, 4) AS wrong_label;

-- ties are all in the top k, the first largest of y_true is the class
SELECT top_k_categorical_accuracy('{0,1,0}', '{0.5,0.5,0.5}', 1) AS tie,
	   top_k_categorical_accuracy('{0,1,1}', '{0.1,0.9,0.95}', 1) AS first,
	   top_k_categorical_accuracy('{0,1,1}', '{0.1,0.9,0.95}', 1000000) AS all;

-- parameters without a type
PREPARE dense AS SELECT round(categorical_crossentropy($1, $2)::numeric, 6);
EXECUTE dense('{0,1,0}', '{0.05,0.95,0}');
PREPARE dense_options AS SELECT round(categorical_crossentropy($1, $2, $3)::numeric, 6);
EXECUTE dense_options('{0,1,0}', '{0.05,0.95,0}', '{"reduction": "sum"}');
PREPARE dense_weighted AS SELECT round(categorical_crossentropy($1, $2, $3, $4)::numeric, 6);
EXECUTE dense_weighted('{0,1,0}', '{0.05,0.95,0}', 2, NULL);
PREPARE sparse_weighted AS SELECT round(sparse_categorical_crossentropy($1, $2, $3, $4)::numeric, 6);
EXECUTE sparse_weighted(1, '{0.05,0.95,0}', 2, NULL);
PREPARE accuracy AS SELECT top_k_categorical_accuracy($1, $2, $3);
EXECUTE accuracy('{0,1,0}', '{0.05,0.95,0}', 1);
PREPARE accuracy_weighted AS SELECT top_k_categorical_accuracy($1, $2, $3, $4);
EXECUTE accuracy_weighted('{0,1,0}', '{0.05,0.95,0}', 1, 2);
SELECT round(categorical_crossentropy(ARRAY[0, 1], ARRAY[0.2, 0.8])::numeric, 6) AS numeric_array;

-- NULL rows are passed over; nothing is NULL
SELECT round(categorical_crossentropy(y_true, CASE n WHEN 2 THEN y_pred END)::numeric, 6) AS one,
	   categorical_crossentropy(NULL, y_pred) AS none,
	   sparse_categorical_crossentropy(NULL, y_pred) AS no_label,
	   top_k_categorical_accuracy(y_true, NULL, 1) AS no_scores FROM sample;
SELECT categorical_crossentropy(y_true, y_pred) FROM sample WHERE n > 2;
SELECT n, round(categorical_crossentropy(y_true, y_pred, '{}')::numeric, 6) FROM sample GROUP BY n ORDER BY n;

-- wrong use
SELECT sparse_categorical_crossentropy(3, '{0.05,0.95,0}');
SELECT sparse_categorical_crossentropy(-1, '{0.05,0.95,0}');
SELECT categorical_crossentropy('{0,1}', '{0.05,0.95,0}');
SELECT top_k_categorical_accuracy('{0,1}', '{0.05,0.95,0}', 1);
SELECT categorical_crossentropy('{}', '{}');
SELECT categorical_crossentropy('{{0,1},{1,0}}', '{{0,1},{1,0}}');
SELECT categorical_crossentropy('{0,NULL}', '{0,1}');
SELECT categorical_crossentropy('{0,1}', '{0,NaN}');
SELECT categorical_crossentropy('{0,1}', '{0,infinity}', '{"from_logits": true}');
SELECT categorical_crossentropy('{0,1}', '{0,0}');
SELECT categorical_crossentropy('{0,1}', '{-1,0.5}');
SELECT categorical_crossentropy('{0,1}', '{1,1}', -1, NULL);
SELECT sparse_categorical_crossentropy(1, '{1,1}', 'NaN', NULL);
SELECT top_k_categorical_accuracy('{0,1}', '{1,1}', 1, 'infinity');
SELECT top_k_categorical_accuracy('{0,1}', '{1,1}', 0);
SELECT top_k_categorical_accuracy('{0,1}', '{1,1}', NULL);
SELECT top_k_categorical_accuracy(y_true, y_pred, n) FROM sample;
SELECT categorical_crossentropy('{0,1}', '{1,1}', '{"from_logit": true}');
SELECT sparse_categorical_crossentropy(1, '{1,1}', '{"label_smoothing": 0.1}');
SELECT categorical_crossentropy('{0,1}', '{1,1}', '{"label_smoothing": 2}');
SELECT categorical_crossentropy(y_true, y_pred, jsonb_build_object('label_smoothing', n - 1)) FROM sample;
DO $$ BEGIN PERFORM tfrs.sparse_categorical_crossentropy(3, '{0.05,0.95,0}');
EXCEPTION WHEN numeric_value_out_of_range THEN RAISE NOTICE 'label: %', SQLSTATE; END $$;
DO $$ BEGIN PERFORM tfrs.categorical_crossentropy('{0,1}', '{1,1}', 'NaN', NULL);
EXCEPTION WHEN numeric_value_out_of_range THEN RAISE NOTICE 'weight: %', SQLSTATE; END $$;

DROP TABLE sample, top;
