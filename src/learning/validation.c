/*
 * validation.c: splitting events, measuring and keeping tables.
 *
 * The tables are ranked as they would be served: a copy of the candidates is normalized; the length of
 * a plain query vector does not change its ranking, so queries are taken as they are.
 */
#include "learning/validation.h"

#include <math.h>
#include <string.h>

#include "learning/normalize.h"
#include "learning/streams.h"

/* Events or floats of one step: a few milliseconds. */
#define STEP_EVENTS ((size_t) 1 << 17)
#define STEP_FLOATS ((size_t) 1 << 20)

enum
{
	SERVE,
	LIST,
	RANK
};

enum
{
	CANDIDATE,
	QUERY,
	BAGS,
	TABLES = BAGS + TFRS_MAX_BAGS
};

static tfrs_status
init(tfrs_validation *validation, tfrs_error *error)
{
	tfrs_arena *arena = validation->arena;
	const tfrs_events *all = validation->all;
	tfrs_status status = TFRS_GET_ZERO(arena, &validation->offsets, all->queries + 1, error);

	if (status == TFRS_OK)
		status = TFRS_GET(arena, &validation->candidate, all->count, error);
	if (status == TFRS_OK && all->at != NULL)
		status = TFRS_GET(arena, &validation->at, all->count, error);
	if (status == TFRS_OK && all->weight != NULL)
		status = TFRS_GET(arena, &validation->weight, all->count, error);
	return status;
}

tfrs_status
tfrs_validation_begin(tfrs_validation *validation, tfrs_arena *arena,
					  const tfrs_train_options *options, const tfrs_events *events,
					  const uint32_t *candidate_counts, tfrs_error *error)
{
	tfrs_status status;

	memset(validation, 0, sizeof(*validation));
	if (options->validation.by == TFRS_HELD_OUT_LAST && events->at == NULL)
		return tfrs_fail(error, TFRS_INVALID_ARGUMENT,
						 "validation by the last events needs the times of events");
	validation->arena = arena;
	validation->options = options;
	validation->all = events;
	validation->candidate_counts = candidate_counts;
	tfrs_pair_set_init(&validation->held, arena);
	tfrs_pair_set_init(&validation->relevant, arena);
	status = init(validation, error);
	if (status != TFRS_OK)
		tfrs_validation_free(validation);
	return status;
}

void
tfrs_validation_free(tfrs_validation *validation)
{
	tfrs_arena *arena = validation->arena;

	if (arena == NULL)
		return;
	tfrs_evaluation_destroy(validation->evaluation);
	tfrs_pair_set_free(&validation->held);
	tfrs_pair_set_free(&validation->relevant);
	tfrs_arena_release(arena, validation->offsets);
	tfrs_arena_release(arena, validation->candidate);
	tfrs_arena_release(arena, validation->at);
	tfrs_arena_release(arena, validation->weight);
	tfrs_arena_release(arena, validation->served);
	tfrs_arena_release(arena, validation->unknown);
	for (int i = 0; i < TABLES; i++)
		tfrs_arena_release(arena, validation->kept[i]);
	memset(validation, 0, sizeof(*validation));
}

bool
tfrs_validation_bytes(const tfrs_train_options *options, size_t queries, size_t candidates,
					  size_t events, size_t *bytes)
{
	size_t		tables = options->history.on ? 2 + TFRS_MAX_BAGS : 2;
	size_t		floats;
	size_t		split;

	return tfrs_size_multiply(candidates, tables, &floats) &&
		tfrs_size_add(floats, options->history.on ? 0 : queries, &floats) &&
		tfrs_size_multiply(floats, options->dim * sizeof(float), &floats) &&
		tfrs_size_multiply(events, 4 * sizeof(uint64_t), &split) &&
		tfrs_size_add(*bytes, floats, bytes) && tfrs_size_add(*bytes, split, bytes) &&
		tfrs_size_add(*bytes, queries * sizeof(uint64_t), bytes);
}

static void
train_on(tfrs_validation *validation, uint64_t event)
{
	const tfrs_events *all = validation->all;
	size_t		to = validation->training.count++;

	validation->candidate[to] = all->candidate[event];
	if (all->at != NULL)
		validation->at[to] = all->at[event];
	if (all->weight != NULL)
		validation->weight[to] = all->weight[event];
}

/* What tfrs_events counts, of the events of one query from first on. */
static void
count_events(tfrs_validation *validation, size_t first)
{
	tfrs_events *training = &validation->training;
	size_t		count = training->count - first;

	training->several += count > 1;
	validation->squares += (double) count * (double) count;
	for (size_t e = first + 1; validation->at != NULL && e < training->count; e++)
		training->later += validation->at[e - 1] < validation->at[e];
}

static tfrs_status
split_query(tfrs_validation *validation, tfrs_error *error)
{
	const tfrs_validation_options *options = &validation->options->validation;
	const tfrs_events *all = validation->all;
	uint32_t	query = validation->query++;
	uint64_t	end = all->offsets[query + 1];
	size_t		count = (size_t) (end - all->offsets[query]);
	size_t		last = (size_t) fmax(1.0, floor(options->fraction * (double) count));
	size_t		first = validation->training.count;
	tfrs_status status = TFRS_OK;
	tfrs_random random;

	tfrs_random_init(&random, validation->options->seed, TFRS_STREAM_VALIDATION, query);
	for (uint64_t e = all->offsets[query]; e < end && status == TFRS_OK; e++)
	{
		bool		held = options->by == TFRS_HELD_OUT_LAST ? end - e <= last
			: tfrs_random_float(&random) < options->fraction;

		/* the first one, or the last one where nothing else is left to be trained on */
		if (options->by == TFRS_HELD_OUT_LAST ? e == all->offsets[query]
			: e + 1 == end && validation->training.count == first)
			held = false;
		if (held)
			status = tfrs_pair_set_add(&validation->held, query, all->candidate[e], error);
		else
			train_on(validation, e);
	}
	validation->offsets[query + 1] = validation->training.count;
	count_events(validation, first);
	return status;
}

tfrs_status
tfrs_validation_split_step(tfrs_validation *validation, size_t candidates, tfrs_error *error)
{
	const tfrs_events *all = validation->all;
	tfrs_events *training = &validation->training;
	size_t		events = 0;
	tfrs_status status = TFRS_OK;

	validation->candidates = candidates;
	if (validation->query == all->queries)
	{
		training->queries = all->queries;
		training->offsets = validation->offsets;
		training->candidate = validation->candidate;
		training->at = validation->at;
		training->weight = validation->weight;
		training->length = validation->squares / (double) training->count;
		return tfrs_pair_set_finish_step(&validation->held, error);
	}
	while (validation->query < all->queries && events < STEP_EVENTS && status == TFRS_OK)
	{
		events += 1 + all->offsets[validation->query + 1] - all->offsets[validation->query];
		status = split_query(validation, error);
	}
	return status == TFRS_OK ? TFRS_MORE : status;
}

bool
tfrs_validation_holds(const tfrs_validation *validation, uint32_t query, uint32_t candidate)
{
	const tfrs_pair_set *held = &validation->held;
	uint64_t	pair = (uint64_t) query << 32 | candidate;
	size_t		low = 0;
	size_t		high = held->count;

	while (low < high)
	{
		size_t		middle = low + (high - low) / 2;

		if (held->pairs[middle] < pair)
			low = middle + 1;
		else
			high = middle;
	}
	return low < held->count && held->pairs[low] == pair;
}

bool
tfrs_validation_is_due(const tfrs_validation *validation, uint32_t epoch)
{
	return validation->held.count > 0 && (epoch % validation->options->validation.every == 0 ||
										  epoch == validation->options->epochs);
}

/* The candidates as they would be served; TFRS_OK once all are. */
static tfrs_status
serve(tfrs_validation *validation, const tfrs_validation_tables *tables, tfrs_error *error)
{
	size_t		dim = validation->options->dim;
	size_t		width = tables->history != NULL ? tfrs_history_width(tables->history) : dim;
	size_t		rows = validation->candidates + 1;
	size_t		count = rows - validation->done;
	float	   *served;
	tfrs_status status = TFRS_OK;

	if (validation->served == NULL)
		status = tfrs_arena_get(validation->arena, (void **) &validation->served, rows,
								dim * sizeof(float), error);
	if (status == TFRS_OK && validation->unknown == NULL)
		status = TFRS_GET_ZERO(validation->arena, &validation->unknown, dim, error);
	if (status != TFRS_OK)
		return status;
	if (count > STEP_FLOATS / dim + 1)
		count = STEP_FLOATS / dim + 1;
	served = validation->served + validation->done * dim;
	memcpy(served, tables->candidate + validation->done * dim, count * dim * sizeof(float));
	if (validation->options->normalize)
		tfrs_normalize_forward(served, count, width, dim, NULL);
	validation->done += count;
	return validation->done < rows ? TFRS_MORE : TFRS_OK;
}

/* The held-out pairs again, since an evaluation uses them up. */
static tfrs_status
list_pairs(tfrs_validation *validation, tfrs_error *error)
{
	tfrs_pair_set *relevant = &validation->relevant;
	tfrs_status status = TFRS_OK;

	if (!validation->listing)
	{
		tfrs_pair_set_free(relevant);
		for (size_t i = 0; i < validation->held.count && status == TFRS_OK; i++)
		{
			uint64_t	pair = validation->held.pairs[i];

			status = tfrs_pair_set_add(relevant, tfrs_pair_query(pair),
									   tfrs_pair_candidate(pair), error);
		}
		validation->listing = true;
	}
	if (status == TFRS_OK)
		status = tfrs_pair_set_finish_step(relevant, error);
	validation->listing = status == TFRS_MORE;
	return status;
}

/* The tables as a model, as far as a ranking looks at one. */
static void
view_tables(tfrs_validation *validation, const tfrs_validation_tables *tables)
{
	tfrs_model *model = &validation->model;

	validation->shape.dim = validation->options->dim;
	validation->shape.temperature = validation->options->loss.temperature;
	model->shape = &validation->shape;
	model->query_ids.count = validation->training.queries;
	model->candidate_ids.count = validation->candidates;
	model->candidate_counts = validation->candidate_counts;
	model->candidate_table = validation->served;
	model->query_table = tables->query;
	model->has_events = true;
	model->events = validation->training;
	model->history = tables->history;
	memcpy(model->bag_table, tables->read, sizeof(model->bag_table));
	model->unknown_query = validation->unknown;
}

static tfrs_status
begin_ranking(tfrs_validation *validation, const tfrs_validation_tables *tables,
			  tfrs_error *error)
{
	tfrs_evaluation_test test = {.model = &validation->model,.relevant = &validation->relevant};
	tfrs_evaluation_options options;

	view_tables(validation, tables);
	tfrs_evaluation_options_default(&options);
	options.cutoffs[0] = validation->options->validation.k;
	options.cutoff_count = 1;
	options.baselines = false;
	options.threads = validation->options->threads;
	return tfrs_evaluation_begin(&validation->evaluation, validation->arena, &test, &options,
								 error);
}

/* The tables that are learned and how many floats they have; NULL where there is none. */
static float *
learned_table(const tfrs_validation *validation, const tfrs_validation_tables *tables, int number,
			  size_t *floats)
{
	size_t		rows = number == QUERY ? validation->training.queries : validation->candidates;

	*floats = (rows + 1) * validation->options->dim;
	if (number == CANDIDATE)
		return tables->candidate;
	return number == QUERY ? tables->query : tables->bag[number - BAGS];
}

static tfrs_status
keep_tables(tfrs_validation *validation, const tfrs_validation_tables *tables, tfrs_error *error)
{
	tfrs_status status = TFRS_OK;

	for (int i = 0; i < TABLES && status == TFRS_OK; i++)
	{
		size_t		floats;
		const float *table = learned_table(validation, tables, i, &floats);

		if (table == NULL)
			continue;
		if (validation->kept[i] == NULL)
			status = TFRS_GET(validation->arena, &validation->kept[i], floats, error);
		if (status == TFRS_OK)
			memcpy(validation->kept[i], table, floats * sizeof(float));
	}
	return status;
}

static tfrs_status
finish_ranking(tfrs_validation *validation, const tfrs_validation_tables *tables, uint32_t epoch,
			   tfrs_error *error)
{
	const tfrs_evaluation_result *result = tfrs_evaluation_result_of(validation->evaluation);
	const tfrs_metrics *metrics = &result->figures[TFRS_RANKING_MODEL].metrics[0];

	validation->value = validation->options->validation.metric == TFRS_METRIC_NDCG
		? metrics->ndcg : metrics->recall;
	tfrs_evaluation_destroy(validation->evaluation);
	validation->evaluation = NULL;
	validation->phase = SERVE;
	validation->done = 0;
	validation->worse++;
	if (validation->best_epoch > 0 && validation->value <= validation->best)
		return TFRS_OK;
	validation->best = validation->value;
	validation->best_epoch = epoch;
	validation->worse = 0;
	return keep_tables(validation, tables, error);
}

tfrs_status
tfrs_validation_measure_step(tfrs_validation *validation, const tfrs_validation_tables *tables,
							 uint32_t epoch, tfrs_error *error)
{
	tfrs_status status;

	if (validation->phase == SERVE)
		status = serve(validation, tables, error);
	else if (validation->phase == LIST)
	{
		status = list_pairs(validation, error);
		if (status == TFRS_OK)
			status = begin_ranking(validation, tables, error);
	}
	else
	{
		status = tfrs_evaluation_step(validation->evaluation, error);
		return status == TFRS_OK ? finish_ranking(validation, tables, epoch, error) : status;
	}
	if (status != TFRS_OK)
		return status;
	validation->phase++;
	return TFRS_MORE;
}

bool
tfrs_validation_is_over(const tfrs_validation *validation)
{
	uint32_t	patience = validation->options->validation.patience;

	return patience > 0 && validation->worse >= patience;
}

void
tfrs_validation_restore(const tfrs_validation *validation, const tfrs_validation_tables *tables)
{
	for (int i = 0; i < TABLES; i++)
	{
		size_t		floats;
		float	   *table = learned_table(validation, tables, i, &floats);

		if (table != NULL && validation->kept[i] != NULL)
			memcpy(table, validation->kept[i], floats * sizeof(float));
	}
}
