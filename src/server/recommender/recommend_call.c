/*
 * recommend_call.c: the recommender, its model and the candidates that may be shown.
 */
#include "server/recommender/recommend_call.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

#include "base/limits.h"
#include "server/host/bridge.h"
#include "server/host/compat.h"
#include "server/recommender/live_rows.h"
#include "server/search/model_query.h"
#include "server/recommender/recommender_sources.h"
#include "server/values/row_reader.h"
#include "server/host/settings.h"
#include "server/search/similar.h"
#include "server/recommender/store.h"

/* Candidates looked up beyond k in the first place: some of the best may not be available. */
#define SPARE(k) ((k) / 4 + 4)

/* What is kept from one call to the next. */
typedef struct recommend_site
{
	char	   *name;			/* of the recommender; NULL: none yet */
	int			version;
	tfrs_recommender *recommender;
	MemoryContext context;		/* where these lie */
	tfrs_block_site block;
	bool		told;			/* what is said once in a statement */
} recommend_site;

static recommend_site *
site_of_call(FunctionCallInfo fcinfo)
{
	FmgrInfo   *function = fcinfo->flinfo;
	recommend_site *site = function->fn_extra;

	if (site == NULL)
	{
		site = MemoryContextAllocZero(function->fn_mcxt, sizeof(recommend_site));
		site->context = AllocSetContextCreate(function->fn_mcxt, "tfrs recommender",
											  ALLOCSET_SMALL_SIZES);
		function->fn_extra = site;
	}
	return site;
}

void
tfrs_call_open(tfrs_recommend_call *call, Datum name, int version)
{
	recommend_site *site = site_of_call(call->fcinfo);
	char	   *wanted = TextDatumGetCString(name);
	MemoryContext caller;

	if (site->name == NULL || strcmp(site->name, wanted) != 0)
	{
		site->name = NULL;
		MemoryContextReset(site->context);
		caller = MemoryContextSwitchTo(site->context);
		site->recommender = tfrs_recommender_find(wanted);
		site->name = pstrdup(wanted);
		MemoryContextSwitchTo(caller);
		site->version = -1;
	}
	call->recommender = site->recommender;
	if (site->version != version || site->block.entry == NULL)
		tfrs_store_model(site->recommender, version, &site->block, call->fcinfo->flinfo->fn_mcxt);
	site->version = version;
	call->block = tfrs_block_site_block(&site->block);
	call->model = &call->block->model;
	call->candidates = &call->block->candidates;
	tfrs_recommender_check_model(call->recommender, &call->model->query_ids, call->candidates);
}

bool
tfrs_call_first_time(const tfrs_recommend_call *call)
{
	recommend_site *site = site_of_call(call->fcinfo);
	bool		first = !site->told;

	site->told = true;
	return first;
}

bool
tfrs_call_id(FunctionCallInfo fcinfo, int argument, const tfrs_id_view *ids, const char *role,
			 tfrs_id *id)
{
	Oid			type = get_fn_expr_argtype(fcinfo->flinfo, argument);
	tfrs_id_reader reader;

	if (type == JSONBOID)
		return tfrs_id_from_json(ids->tag, PG_GETARG_JSONB_P(argument), role, id);
	tfrs_id_reader_init(&reader, type, role);
	*id = tfrs_id_read_as(&reader, ids->tag, PG_GETARG_DATUM(argument), role);
	return true;
}

bool
tfrs_call_begin(FunctionCallInfo fcinfo, tfrs_recommend_call *call, int first, int count)
{
	InitMaterializedSRF(fcinfo, 0);
	call->fcinfo = fcinfo;
	call->result = (ReturnSetInfo *) fcinfo->resultinfo;
	call->like = TFRS_NO_ROW;
	for (int i = 0; i < count; i++)
		if (PG_ARGISNULL(first + i))
			return false;
	return true;
}

void
tfrs_call_profile(const tfrs_recommend_call *call, tfrs_id id, tfrs_profile *profile)
{
	tfrs_profile_begin(profile, call->model, id, call->recommender->at_column != NULL);
	tfrs_live_events_read(call->recommender, profile);
	tfrs_profile_finish(profile);
}

static size_t
collect_scores(const tfrs_recommend_call *call, const tfrs_search *search, tfrs_hit *hits)
{
	tfrs_collector collector;

	tfrs_collector_init(&collector, search, hits, call->candidates->count);
	for (uint32 row = 0; row < call->candidates->count; row++)
	{
		if (row % 65536 == 0)
			CHECK_FOR_INTERRUPTS();
		tfrs_collector_offer(&collector, call->scores[row], row);
	}
	tfrs_topk_finish(&collector.topk);
	return collector.topk.count;
}

/* The best search->k candidates, whether or not they may be shown.  hits: room for min(k, N). */
static size_t
find_hits(const tfrs_recommend_call *call, const tfrs_search *search, tfrs_hit *hits)
{
	tfrs_arena	arena;
	tfrs_error	error;
	size_t		count;

	if (call->scores != NULL)
		return collect_scores(call, search, hits);
	if (call->like != TFRS_NO_ROW)
		return tfrs_similar_candidates(call->model, &call->block->index, call->like, search, hits);
	if (call->answer == TFRS_ANSWER_POPULAR)
		return tfrs_popular_candidates(call->model, call->candidates, search, hits);
	tfrs_bridge_arena(&arena, CurrentMemoryContext, tfrs_settings_memory_bytes());
	tfrs_check(tfrs_index_search(&call->block->index, call->query, search, &arena, hits, &count,
								 &error), &error);
	return count;
}

static int
rule_columns(const tfrs_recommend_call *call)
{
	return call->rules == NULL ? 0 : call->rules->columns;
}

/* Moves what is known of a place of the list to another one. */
static void
move(tfrs_shown_list *list, size_t to, size_t from, int columns)
{
	list->hits[to] = list->hits[from];
	list->labels[to] = list->labels[from];
	if (columns > 0)
		memmove(list->values + to * columns, list->values + from * columns,
				columns * sizeof(char *));
}

void
tfrs_call_keep_available(const tfrs_recommend_call *call, tfrs_shown_list *list, size_t k)
{
	int			columns = rule_columns(call);
	uint32	   *rows = palloc_extended(list->count * sizeof(uint32) + 1, MCXT_ALLOC_HUGE);
	bool	   *available = palloc_extended(list->count + 1, MCXT_ALLOC_HUGE);
	size_t		kept = 0;
	tfrs_shown	shown;

	list->labels = palloc_extended(list->count * sizeof(char *) + 1, MCXT_ALLOC_HUGE);
	list->values = palloc_extended(list->count * columns * sizeof(char *) + 1, MCXT_ALLOC_HUGE);
	shown = (tfrs_shown) {available, list->labels, columns,
	columns == 0 ? NULL : call->rules->column, list->values};
	for (size_t i = 0; i < list->count; i++)
		rows[i] = list->hits[i].row;
	if (call->of_queries)
		tfrs_live_queries_read(call->recommender, call->candidates, rows, list->count, &shown);
	else
		tfrs_live_candidates_read(call->recommender, call->candidates, rows, list->count, &shown);
	for (size_t i = 0; i < list->count && kept < k; i++)
		if (available[i])
			move(list, kept++, i, columns);
	list->count = kept;
}

/* Keeps of the list what the rules choose, in the order of the choice; false: it does not suffice. */
static bool
choose(const tfrs_recommend_call *call, tfrs_shown_list *list, size_t k, bool is_all)
{
	tfrs_selection selection = tfrs_pick_rules_selection(call->rules, k, call->model,
														 &call->block->index);
	uint32	   *picked = palloc_extended(k * sizeof(uint32) + 1, MCXT_ALLOC_HUGE);
	tfrs_hit   *hits = palloc_extended(k * sizeof(tfrs_hit) + 1, MCXT_ALLOC_HUGE);
	char	  **labels = palloc_extended(k * sizeof(char *) + 1, MCXT_ALLOC_HUGE);
	size_t		count;

	selection.hits = list->hits;
	selection.count = list->count;
	selection.is_all = is_all;
	if (!tfrs_pick_rules_run(call->rules, &selection, list->values, picked, &count))
		return false;
	for (size_t i = 0; i < count; i++)
	{
		hits[i] = list->hits[picked[i]];
		labels[i] = list->labels[picked[i]];
	}
	list->hits = hits;
	list->labels = labels;
	list->count = count;
	return true;
}

/* How many candidates are searched for in the first place. */
static size_t
first_ask(const tfrs_recommend_call *call, size_t k, bool looks_up, bool chooses)
{
	tfrs_selection selection;
	size_t		ask = k;

	if (chooses)
	{
		selection = tfrs_pick_rules_selection(call->rules, k, call->model, &call->block->index);
		ask = tfrs_selection_ask(&selection);
	}
	return looks_up && k > 0 ? ask + SPARE(k) : ask;
}

tfrs_shown_list
tfrs_call_find(const tfrs_recommend_call *call)
{
	size_t		all = call->candidates->count;
	size_t		k = Min(call->search.k, all);
	bool		looks_up = call->of_queries || tfrs_live_has_candidates(call->recommender);
	bool		chooses = call->rules != NULL && tfrs_pick_rules_choose(call->rules);
	size_t		ask = first_ask(call, k, looks_up, chooses);
	tfrs_shown_list list;

	for (;; ask *= 4)
	{
		tfrs_search search = call->search;
		size_t		found;
		bool		is_all;

		search.k = ask = Min(ask, all);
		list.hits = palloc_extended(ask * sizeof(tfrs_hit) + 1, MCXT_ALLOC_HUGE);
		found = list.count = find_hits(call, &search, list.hits);
		is_all = found < ask || ask == all;
		tfrs_call_keep_available(call, &list, chooses ? found : k);
		if (chooses ? choose(call, &list, k, is_all) : list.count == k || is_all)
			return list;
		pfree(list.hits);
	}
}

void
tfrs_call_put(tfrs_recommend_call *call, const tfrs_shown_list *list, const char *source)
{
	Datum		values[5] = {0};
	bool		nulls[5] = {false};

	tfrs_id_writer_init(&call->writer, call->candidates,
						TupleDescAttr(call->result->setDesc, 1)->atttypid, CurrentMemoryContext);
	if (source != NULL)
		values[4] = CStringGetTextDatum(source);
	for (size_t i = 0; i < list->count; i++)
	{
		const char *label = list->labels[i];

		values[0] = Int32GetDatum((int32) i + 1);
		values[1] = tfrs_id_write(&call->writer,
								  tfrs_id_view_get(call->candidates, list->hits[i].row));
		nulls[2] = label == NULL;
		values[2] = label == NULL ? (Datum) 0 : CStringGetTextDatum(label);
		values[3] = Float4GetDatum(list->hits[i].score);
		tuplestore_putvalues(call->result->setResult, call->result->setDesc, values, nulls);
	}
}
