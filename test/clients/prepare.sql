-- What the clients find: a recommender with a version, a materialized table, a table of embeddings.
\set ON_ERROR_STOP on
SET client_min_messages = warning;

CREATE EXTENSION tfrs_retrieval;
CREATE ROLE analyst LOGIN PASSWORD :'password';
GRANT pg_monitor TO analyst;

CREATE TABLE rating (user_id integer, movie_id bigint, rated_at timestamptz);
INSERT INTO rating
SELECT u, (u * 7 + i * (i + 1) / 2) % 41,
	'2026-01-01'::timestamptz + u * interval '1 hour' + i * interval '1 day'
FROM generate_series(1, 60) AS u, generate_series(1, 12) AS i;
CREATE INDEX ON rating (user_id, movie_id);

CALL tfrs.create_recommender('movies', interactions => 'rating', query => 'user_id',
	candidate => 'movie_id', at => 'rated_at');
CALL tfrs.refresh('movies');
CALL tfrs.materialize('movies', 'movie_recommendations', k => 5);

CREATE TABLE note (id integer PRIMARY KEY, vector tfrs.embedding(3));
COMMENT ON COLUMN note.vector IS 'what the note is about';
INSERT INTO note VALUES (1, '[1,2.5,-3]');

CALL tfrs.grant_recommender('movies', 'analyst', 'use');
GRANT SELECT ON rating, movie_recommendations TO analyst;
GRANT SELECT, INSERT ON note TO analyst;
