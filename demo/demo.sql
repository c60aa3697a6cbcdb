-- The demo: purchases of an online shop, in; recommendations, out.  Run by demo/run; to run it
-- elsewhere: psql -v data=demo/online_retail -f demo/demo.sql in an empty database.
\set QUIET on
\set ON_ERROR_STOP on
\pset footer off
\pset null ''
\pset linestyle ascii
\pset border 1
SET client_min_messages = warning;

SELECT clock_timestamp() AS began \gset

CREATE EXTENSION tfrs_retrieval;

CREATE TABLE item (item_id text PRIMARY KEY, description text, price numeric);
CREATE TABLE purchase (customer_id integer, item_id text, quantity integer, invoice text,
	bought_at timestamptz);

\cd :data
\copy item FROM 'items.tsv' (FORMAT csv, HEADER, DELIMITER E'\t', QUOTE E'\b')
\copy purchase FROM PROGRAM 'gzip -dc purchases.tsv.gz' (FORMAT csv, HEADER, DELIMITER E'\t', QUOTE E'\b')

-- Each customer's last invoice is held out, for customers with two or more.
CREATE TABLE last_invoice AS
SELECT DISTINCT ON (customer_id) customer_id, invoice
FROM purchase JOIN (SELECT customer_id FROM purchase
	GROUP BY 1 HAVING count(DISTINCT invoice) > 1) AS returning_customer USING (customer_id)
ORDER BY customer_id, bought_at DESC, invoice DESC;

CREATE TABLE known_purchase AS
SELECT * FROM purchase WHERE (customer_id, invoice) NOT IN (SELECT customer_id, invoice FROM last_invoice);

CREATE INDEX ON known_purchase (customer_id, item_id);
VACUUM ANALYZE known_purchase;

-- What was new to its customer on the held-out invoice is what a recommendation could have found.
CREATE TABLE new_purchase AS
SELECT customer_id, array_agg(DISTINCT item_id) AS items
FROM purchase JOIN last_invoice USING (customer_id, invoice)
WHERE (customer_id, item_id) NOT IN (SELECT customer_id, item_id FROM known_purchase)
GROUP BY customer_id;

\echo
\echo 'THE DATA: a British online gift shop, December 2010 to December 2011 (UCI, CC0)'
\echo
SELECT to_char(count(*), 'FM999,999') AS purchases,
	to_char(count(DISTINCT customer_id), 'FM999,999') AS customers,
	to_char(count(DISTINCT item_id), 'FM999,999') AS items,
	to_char((SELECT count(*) FROM known_purchase), 'FM999,999') AS "to learn from",
	to_char((SELECT count(*) FROM new_purchase), 'FM999,999') AS "customers to test on"
FROM purchase;

\echo 'Held out for the test: the last invoice of every customer.'
\echo
\echo 'TRAINING, one SQL statement:'
\echo
\echo '    CREATE TABLE recommender AS'
\echo '    SELECT tfrs.train(customer_id, item_id, NULL, bought_at, ''{}'') AS model FROM known_purchase;'
\echo
SELECT clock_timestamp() AS training_began \gset
CREATE TABLE recommender AS
SELECT tfrs.train(customer_id, item_id, NULL, bought_at, '{}') AS model FROM known_purchase;
SELECT round(extract(epoch FROM clock_timestamp() - :'training_began')::numeric, 1) AS seconds \gset

SELECT epoch, round(loss_per_row::numeric, 3) AS "loss per row",
	repeat('#', round(40 * loss_per_row / max(loss_per_row) OVER ())::integer) AS " "
FROM recommender, tfrs.training_history(model) ORDER BY epoch;
\echo :seconds 'seconds.'

\echo
\echo 'WHAT THREE CUSTOMERS BOUGHT LAST, AND WHAT IS RECOMMENDED TO THEM'
\echo '    SELECT * FROM recommender, tfrs.top_k(model, 12347, k => 6);'
\echo '(* the customer did buy it, on the invoice that was held out)'
\echo

PREPARE show_customer AS
SELECT b.description AS "bought", r.description AS "recommended", r.hit AS "*"
FROM (SELECT row_number() OVER (ORDER BY max(bought_at) DESC, item_id) AS rank, description
	FROM known_purchase JOIN item USING (item_id) WHERE customer_id = $1 GROUP BY item_id LIMIT 6) AS b
FULL JOIN (SELECT rank, description,
		CASE WHEN candidate = ANY ((SELECT items FROM new_purchase WHERE customer_id = $1)) THEN '*' END AS hit
	FROM recommender, tfrs.top_k(model, $1, k => 6) JOIN item ON item_id = candidate) AS r USING (rank)
ORDER BY rank;
