// Node's pg; see run.
'use strict';

const assert = require('assert');
const { Client } = require('pg');

const BI_VIEWS = ['metric', 'recommender_status', 'training_epoch', 'training_run'];
// text, bigint, double precision, boolean, timestamptz
const PLAIN_TYPES = [25, 20, 701, 16, 1184];

function check(what, condition) {
	assert(condition, what);
	console.log('ok      node:', what);
}

async function main() {
	const client = new Client();

	await client.connect();
	const views = (await client.query(
		"SELECT table_name FROM information_schema.views WHERE table_schema = 'tfrs' ORDER BY 1"))
		.rows.map((row) => row.table_name);
	check('the views of recommenders are listed', BI_VIEWS.every((view) => views.includes(view)));

	for (const view of views) {
		const result = await client.query(`SELECT * FROM tfrs.${client.escapeIdentifier(view)}`);
		const plain = result.fields.every((field) => PLAIN_TYPES.includes(field.dataTypeID));

		check(`tfrs.${view} is read`, !BI_VIEWS.includes(view) || (plain && result.rows.length > 0));
	}
	check('the materialized table is read',
		(await client.query('SELECT * FROM movie_recommendations')).rows.length === 300);
	const best = await client.query("SELECT * FROM tfrs.recommend('movies', $1, k => 3)", [7]);
	check('recommendations for a parameter', best.rows.map((row) => row.rank).join() === '1,2,3');

	await client.query('BEGIN');
	await client.query('INSERT INTO note VALUES (2, $1)', ['[0.5,0,1e-3]']);
	await client.query('INSERT INTO note VALUES (3, $1::real[])', [[0.25, 4, -1]]);
	const found = await client.query('SELECT vector FROM note ORDER BY id');
	check('embeddings are sent and fetched',
		found.rows.map((row) => row.vector).join(' ') === '[1,2.5,-3] [0.5,0,0.001] [0.25,4,-1]');
	await client.query('ROLLBACK');
	await client.end();
}

main();
