-- What a shop has after three refreshes: the demo's purchases came in three parts.
\set ON_ERROR_STOP on
SET client_min_messages = warning;

CREATE EXTENSION tfrs_retrieval;
CREATE ROLE analyst LOGIN;

CREATE TABLE item (item_id text PRIMARY KEY, description text, price numeric);
CREATE TABLE purchase (customer_id integer, item_id text, quantity integer, invoice text,
	bought_at timestamptz);
CREATE INDEX ON purchase (customer_id, item_id);
CREATE TEMPORARY TABLE arrival (LIKE purchase);

\copy item FROM 'online_retail/items.tsv' (FORMAT csv, HEADER, DELIMITER E'\t', QUOTE E'\b')
\copy arrival FROM PROGRAM 'gzip -dc online_retail/purchases.tsv.gz' (FORMAT csv, HEADER, DELIMITER E'\t', QUOTE E'\b')

CALL tfrs.create_recommender('shop', interactions => 'purchase', query => 'customer_id',
	candidate => 'item_id', at => 'bought_at', candidates => 'item', label => 'description');

INSERT INTO purchase SELECT * FROM arrival WHERE bought_at < '2011-06-01';
CALL tfrs.refresh('shop');
INSERT INTO purchase
SELECT * FROM arrival WHERE bought_at >= '2011-06-01' AND bought_at < '2011-09-01';
CALL tfrs.refresh('shop');
INSERT INTO purchase
SELECT * FROM arrival WHERE bought_at >= '2011-09-01' AND bought_at < '2011-12-01';
CALL tfrs.refresh('shop');
CALL tfrs.materialize('shop', 'recommendation', k => 50);

-- The next refresh will find what came since.
INSERT INTO purchase SELECT * FROM arrival WHERE bought_at >= '2011-12-01';
CALL tfrs.grant_recommender('shop', 'analyst', 'use');
GRANT SELECT ON item, purchase, recommendation TO analyst;
