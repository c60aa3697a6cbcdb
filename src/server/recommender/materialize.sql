-- The recommendations of all queries as a plain table for BI, brought up to date in place.

CREATE PROCEDURE materialize(name text, target text, k bigint DEFAULT NULL,
		include_seen boolean DEFAULT false, in_one_transaction boolean DEFAULT false,
		tolerance double precision DEFAULT 1e-4, version bigint DEFAULT NULL, most jsonb DEFAULT NULL,
		diversity double precision DEFAULT NULL, boost text DEFAULT NULL, share jsonb DEFAULT NULL)
	LANGUAGE C AS 'MODULE_PATHNAME', 'tfrs_materialize';
COMMENT ON PROCEDURE materialize IS
	'writes the best k candidates of every query into a plain table, which is made when it is missing; rows that have not changed are left alone; k is as it was the last time, 10 the first time';
