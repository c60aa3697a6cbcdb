-- Training a recommender anew: a job that holds no snapshot while it trains (refresh.c).
-- These procedures carry no SET clause and no SECURITY DEFINER: with them they could not commit.

CREATE PROCEDURE refresh(name text, mode text DEFAULT 'full', publish boolean DEFAULT true,
						 force boolean DEFAULT false, on_running text DEFAULT 'wait')
	LANGUAGE C AS 'MODULE_PATHNAME', 'tfrs_refresh';
COMMENT ON PROCEDURE refresh IS
	'trains a recommender on its interactions, measures the new version and puts it to use unless it is worse';

CREATE PROCEDURE refresh_all(mode text DEFAULT 'full', publish boolean DEFAULT true,
							 force boolean DEFAULT false, on_running text DEFAULT 'skip')
	LANGUAGE C AS 'MODULE_PATHNAME', 'tfrs_refresh_all';
COMMENT ON PROCEDURE refresh_all IS 'refreshes each recommender that the caller owns, one after the other';
