-- The demo: a shop's purchases in, recommendations out.  demo/run starts it in a server of its own;
-- elsewhere, in an empty database: psql -X -v data=demo/online_retail -f demo/demo.sql
\set QUIET on
\set ON_ERROR_STOP on
\pset pager off
\pset footer off
\pset border 1
SET client_min_messages = warning;

CREATE EXTENSION tfrs_retrieval;

CREATE TABLE item (item_id text PRIMARY KEY, description text, price numeric);
CREATE TABLE purchase (customer_id integer, item_id text, quantity integer, invoice text,
	bought_at timestamptz);

\cd :data
\copy item FROM 'items.tsv' (FORMAT csv, HEADER, DELIMITER E'\t', QUOTE E'\b')
\copy purchase FROM PROGRAM 'gzip -dc purchases.tsv.gz' (FORMAT csv, HEADER, DELIMITER E'\t', QUOTE E'\b')

-- Held out for the test: the last invoice of each customer with two or more.
CREATE TABLE last_invoice AS
SELECT DISTINCT ON (customer_id) customer_id, invoice
FROM purchase JOIN (SELECT customer_id FROM purchase
	GROUP BY 1 HAVING count(DISTINCT invoice) > 1) AS returning_customer USING (customer_id)
ORDER BY customer_id, bought_at DESC, invoice DESC;

CREATE TABLE history AS
SELECT purchase.* FROM purchase LEFT JOIN last_invoice AS held_out USING (customer_id, invoice)
WHERE held_out.invoice IS NULL;

CREATE INDEX ON history (customer_id, item_id);
VACUUM ANALYZE history;

-- Of it only what was new to the customer: what a recommendation could have found.
CREATE TABLE bought_next AS
SELECT customer_id, array_agg(item_id) AS items
FROM (SELECT customer_id, item_id FROM purchase JOIN last_invoice USING (customer_id, invoice)
	EXCEPT SELECT customer_id, item_id FROM history) AS new_to_the_customer
GROUP BY customer_id;

\echo
\echo '1. The data: a British online gift shop, December 2010 to December 2011'
\echo
SELECT to_char(count(*), 'FM999,999') AS purchases,
	to_char(count(DISTINCT customer_id), 'FM999,999') AS customers,
	to_char(count(DISTINCT item_id), 'FM999,999') AS items,
	to_char((SELECT count(*) FROM history), 'FM999,999') AS "to learn from",
	to_char((SELECT count(*) FROM bought_next), 'FM999,999') AS "customers to test on"
FROM purchase;

\echo 'Held out for the test: each customer''s last invoice.'
\echo
\echo '2. Training'
\echo
\echo '   CREATE TABLE recommender AS'
\echo '   SELECT tfrs.train(customer_id, item_id, NULL, bought_at, ''{}'') AS model FROM history;'
\echo
SELECT clock_timestamp() AS began \gset

CREATE TABLE recommender AS
SELECT tfrs.train(customer_id, item_id, NULL, bought_at, '{}') AS model FROM history;

SELECT round(extract(epoch FROM clock_timestamp() - :'began')::numeric, 1) AS seconds,
	(tfrs.model_info(model)->'bytes'->>'total')::bigint / 1000000 AS megabytes
FROM recommender \gset

SELECT epoch, round(loss_per_row::numeric, 3) AS "loss"
FROM recommender, tfrs.training_history(model) ORDER BY epoch;

\echo :seconds 'seconds; the model is one value of' :megabytes 'MB in the table.'
\echo
\echo '3. What three customers bought, and what is recommended to them'
\echo
\echo '   SELECT t.* FROM recommender, tfrs.top_k(model, 15747, k => 6) AS t;'
\echo
PREPARE show AS
SELECT left(bought.description, 34) AS "bought, last things first", '->' AS " ",
	left(found.description, 34) AS recommended, found.really AS "bought next"
FROM (SELECT row_number() OVER (ORDER BY max(bought_at) DESC, item.item_id) AS rank, description
	FROM history JOIN item USING (item_id) WHERE customer_id = $1 GROUP BY item.item_id LIMIT 6) AS bought
FULL JOIN (SELECT rank, description, CASE WHEN candidate = ANY (items) THEN 'yes' ELSE '' END AS really
	FROM recommender, tfrs.top_k(model, $1::integer, k => 6)
	JOIN item ON item_id = candidate
	JOIN bought_next ON customer_id = $1) AS found USING (rank)
ORDER BY rank;

\echo 'Customer 15747'
EXECUTE show(15747);
\echo 'Customer 17507'
EXECUTE show(17507);
\echo 'Customer 16807'
EXECUTE show(16807);
\echo '"bought next": it was on the invoice that was held out.  These three went well; 5. is the average.'
\echo
\echo '4. Items like REGENCY CAKESTAND 3 TIER'
\echo
\echo '   SELECT t.* FROM recommender, tfrs.similar(model, ''22423'', k => 6) AS t;'
\echo
SELECT rank, description, round(score::numeric, 2) AS cosine
FROM recommender, tfrs.similar(model, '22423', k => 6) JOIN item ON item_id = candidate
ORDER BY rank;

-- Share of the held-out items among 20 recommendations, averaged over the customers.
CREATE TABLE popularity AS
SELECT item_id, count(DISTINCT customer_id) AS customers FROM history GROUP BY item_id;
CREATE INDEX ON popularity (customers DESC, item_id);
ANALYZE popularity;

\echo '5. The test: of the items new to a customer on the held-out invoice, how many were among 20'
\echo '   recommendations (as a share of the most that could be; mean of the customers)'
\echo
WITH recommended (ranking, items, candidates) AS (
	SELECT 'tfrs.top_k', items,
		ARRAY(SELECT candidate FROM tfrs.top_k(model, customer_id, k => 20))
	FROM bought_next, recommender
	UNION ALL
	SELECT 'most popular items', items,
		ARRAY(SELECT item_id FROM popularity AS p
			WHERE NOT EXISTS (SELECT FROM history AS h
				WHERE h.customer_id = n.customer_id AND h.item_id = p.item_id)
			ORDER BY customers DESC, item_id LIMIT 20)
	FROM bought_next AS n
), test AS (
	SELECT ranking, cardinality(items) AS relevant,
		(SELECT count(*) FROM unnest(candidates) AS c WHERE c = ANY (items)) AS hits
	FROM recommended
)
SELECT ranking, round(avg(hits::numeric / least(relevant, 20)), 3) AS "recall@20",
	to_char(100 * avg((hits > 0)::integer), 'FM90 %') AS "customers with a hit"
FROM test GROUP BY ranking ORDER BY 2 DESC;

\echo
\echo '6. All of it as a job: a recommender over the tables'
\echo
\echo '   CALL tfrs.create_recommender(''shop'', ''purchase'', query => ''customer_id'', candidate => ''item_id'','
\echo '        at => ''bought_at'', candidates => ''item'', label => ''description'');'
\echo '   CALL tfrs.refresh(''shop'');'
\echo
CREATE INDEX ON purchase (customer_id);
ANALYZE purchase, item;
CALL tfrs.create_recommender('shop', 'purchase', query => 'customer_id', candidate => 'item_id',
	at => 'bought_at', candidates => 'item', label => 'description');
SELECT clock_timestamp() AS began \gset
CALL tfrs.refresh('shop');
SELECT round(extract(epoch FROM clock_timestamp() - :'began')::numeric, 1) AS seconds \gset

SELECT version, metric || '@' || k AS "on held-out purchases", round(value::numeric, 3) AS value,
	round(popularity_value::numeric, 3) AS "most popular items", round(item_item_value::numeric, 3) AS "items like those bought"
FROM tfrs.metric WHERE recommender = 'shop' AND metric IN ('recall', 'ndcg') AND k = 20 ORDER BY 2;

\echo :seconds 'seconds: trained, measured and put to use.  Labels come from the table, last purchases too:'
\echo
\echo '   SELECT * FROM tfrs.recommend(''shop'', 15747, k => 3);'
\echo
SELECT rank, candidate, label, source FROM tfrs.recommend('shop', 15747, k => 3);
\echo 'The customer buys the first of them.  The next moment:'
\echo
INSERT INTO purchase SELECT 15747, candidate, 1, 'now', now() FROM tfrs.recommend('shop', 15747, k => 1);
SELECT rank, candidate, label, source FROM tfrs.recommend('shop', 15747, k => 3);

\echo 'A plain table for reports, kept up to date by its differences:'
\echo
\echo '   CALL tfrs.materialize(''shop'', ''recommendation'', k => 50);'
\echo
SELECT clock_timestamp() AS began \gset
CALL tfrs.materialize('shop', 'recommendation', k => 50);
SELECT round(extract(epoch FROM clock_timestamp() - :'began')::numeric, 1) AS seconds,
	to_char(count(*), 'FM999,999') AS rows, to_char(count(DISTINCT query), 'FM999,999') AS customers
FROM recommendation \gset
SELECT label AS "on most lists' first place", count(*) AS customers FROM recommendation WHERE rank = 1
GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 3;
\echo :rows 'rows for' :customers 'customers in' :seconds 'seconds.'
\echo
