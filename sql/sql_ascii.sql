-- a database that does not know the encoding of its text: bytes are ids as they are
\set before :DBNAME
CREATE DATABASE regress_tfrs_ascii ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0;
\connect regress_tfrs_ascii
SET client_min_messages = warning;
CREATE EXTENSION tfrs_retrieval;
CREATE TABLE sale (who text, what char(9));
INSERT INTO sale SELECT E'M\xfcller ' || n % 7, CASE n % 3 WHEN 0 THEN E'\xe9t\xe9 ' WHEN 1 THEN E'\xc3\xa9t\xc3\xa9 ' ELSE 'x' END || n % 5
	FROM generate_series(1, 100) n;
CREATE INDEX ON sale (who);
CALL tfrs.create_recommender('sales', 'sale', 'who', 'what', held_out => 0, options => '{"dim": 4, "history": {"steps": 20}}');
CALL tfrs.refresh('sales');
SELECT count(*), min(source) FROM tfrs.recommend('sales', E'M\xfcller 3', 3, include_seen => true);
SELECT count(*) FROM tfrs.recommend('sales', E'M\xfcller 3', 20, include_seen => true) r JOIN sale s ON s.who = E'M\xfcller 3' AND s.what = r.candidate;
SELECT count(*), sum(octet_length(value)) FROM sales_recommender, tfrs.vocabulary(model, 'query');
SELECT count(*) FROM tfrs.similar('sales', E'\xe9t\xe9 1   ', 3, exclude => ARRAY[E'\xe9t\xe9 2']);
\connect :before
DROP DATABASE regress_tfrs_ascii;
