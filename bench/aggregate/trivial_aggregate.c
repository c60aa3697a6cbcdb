/*
 * trivial_aggregate.c: what the aggregate tfrs.train is measured against.  Never installed.
 *
 * bench_trivial_step is the least that an aggregate over two bigint columns can do in C: look at its
 * arguments, touch its state.  bench_hash_step puts each column into a hash table of the server's
 * (simplehash), as anybody would who wrote this in an hour.  bench_count is a final function that looks at
 * nothing, so that collecting is measured without training.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "fmgr.h"
#include "utils/memutils.h"

PG_MODULE_MAGIC;

typedef struct id_entry
{
	int64		id;
	uint32		row;
	char		status;
} id_entry;

#define SH_PREFIX ids
#define SH_ELEMENT_TYPE id_entry
#define SH_KEY_TYPE int64
#define SH_KEY id
#define SH_HASH_KEY(table, key) ((uint32) murmurhash64((uint64) key))
#define SH_EQUAL(table, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DEFINE
#define SH_DECLARE
#if PG_VERSION_NUM < 160000
static inline uint64
murmurhash64(uint64 data)
{
	uint64		h = data;

	h ^= h >> 33;
	h *= 0xff51afd7ed558ccdULL;
	h ^= h >> 33;
	h *= 0xc4ceb9fe1a85ec53ULL;
	h ^= h >> 33;
	return h;
}
#endif
#include "lib/simplehash.h"

typedef struct bench_state
{
	int64		sum;
	ids_hash   *queries;
	ids_hash   *candidates;
} bench_state;

static bench_state *
state_of_call(FunctionCallInfo fcinfo, bool with_tables)
{
	MemoryContext context;
	bench_state *state;

	if (!PG_ARGISNULL(0))
		return (bench_state *) PG_GETARG_POINTER(0);
	if (!AggCheckCallContext(fcinfo, &context))
		elog(ERROR, "called outside of an aggregate");
	state = MemoryContextAllocZero(context, sizeof(*state));
	if (with_tables)
	{
		state->queries = ids_create(context, 1024, NULL);
		state->candidates = ids_create(context, 1024, NULL);
	}
	return state;
}

PG_FUNCTION_INFO_V1(bench_trivial_step);
PG_FUNCTION_INFO_V1(bench_hash_step);
PG_FUNCTION_INFO_V1(bench_count);

Datum
bench_trivial_step(PG_FUNCTION_ARGS)
{
	bench_state *state = state_of_call(fcinfo, false);

	if (!PG_ARGISNULL(1) && !PG_ARGISNULL(2))
		state->sum += PG_GETARG_INT64(1) ^ PG_GETARG_INT64(2);
	PG_RETURN_POINTER(state);
}

static uint32
row_of_id(ids_hash *ids, int64 id)
{
	bool		found;
	id_entry   *entry = ids_insert(ids, id, &found);

	if (!found)
		entry->row = (uint32) ids->members;
	return entry->row;
}

Datum
bench_hash_step(PG_FUNCTION_ARGS)
{
	bench_state *state = state_of_call(fcinfo, true);

	if (!PG_ARGISNULL(1) && !PG_ARGISNULL(2))
		state->sum += row_of_id(state->queries, PG_GETARG_INT64(1)) ^
			row_of_id(state->candidates, PG_GETARG_INT64(2));
	PG_RETURN_POINTER(state);
}

Datum
bench_count(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(PG_ARGISNULL(0) ? 0 : 1);
}
