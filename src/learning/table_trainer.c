/*
 * table_trainer.c: the epochs over the interactions.
 *
 *     fill both tables [-> earlier parameters] -> sum the queries' weights
 *     -> per epoch: read a batch -> update (several steps) -> ...
 *     -> average the unknown slots -> normalize the tables as they are served
 *
 * Each arrow is a phase of the step machine; one step does one bounded piece of one phase.
 */
#include "learning/table_trainer.h"

#include <math.h>
#include <string.h>

#include "learning/streams.h"
#include "learning/update.h"

/* Queries whose weight one step sums. */
#define STEP_QUERIES ((size_t) 1 << 18)

typedef enum train_phase
{
	FILL,
	WARM,
	WEIGH,
	TRAIN,
	AVERAGE,
	NORMALIZE,
	TRAINED
} train_phase;

enum
{
	QUERY,
	CANDIDATE,
	SIDES
};

struct tfrs_table_trainer
{
	tfrs_arena *arena;
	const tfrs_train_options *options;
	tfrs_interactions *interactions;
	const tfrs_events *events;
	const tfrs_warm_start *warm;	/* or NULL */
	size_t		warmed;			/* rows of the table that have their earlier parameters */
	const tfrs_event_split *split;	/* or NULL */
	size_t		read;			/* rows of this epoch */
	tfrs_table	table[SIDES];
	tfrs_random random[SIDES];	/* of the initial values */
	float	   *probability;	/* (N) share of each candidate in the rows, or NULL */
	tfrs_update *update;
	tfrs_interaction *rows;		/* (batch_rows) */
	size_t		batch_rows;		/* most rows of a batch */
	train_phase phase;
	int			side;			/* which table FILL, AVERAGE and NORMALIZE are at */
	size_t		weighed;		/* queries that WEIGH has passed */
	double		weight;			/* of all rows so far, w of the option query_weight */
	size_t		batch_count;	/* rows of the next or current batch so far */
	bool		updating;		/* the batch is complete and on its way */
	tfrs_train_progress progress;
	tfrs_batch_accuracy accuracy;	/* of the epoch so far */
};

static const tfrs_id_set *
ids_of(const tfrs_table_trainer *trainer, int side)
{
	return side == QUERY ? tfrs_interactions_queries(trainer->interactions)
		: tfrs_interactions_candidates(trainer->interactions);
}

static const uint32_t *
counts_of(const tfrs_table_trainer *trainer, int side)
{
	return side == QUERY ? tfrs_interactions_query_counts(trainer->interactions)
		: tfrs_interactions_candidate_counts(trainer->interactions);
}

bool
tfrs_table_trainer_bytes(const tfrs_train_options *options, size_t queries, size_t candidates,
						 size_t rows, size_t *bytes)
{
	int			slots = tfrs_optimizer_slots(&options->optimizer);
	size_t		batch_rows = rows < options->batch_size ? rows : options->batch_size;
	tfrs_update_counts counts = {batch_rows, queries, candidates, rows};

	*bytes += batch_rows * sizeof(tfrs_interaction);
	if (options->correction != TFRS_CORRECTION_NONE)
		*bytes += candidates * sizeof(float);
	return tfrs_table_bytes(queries, options->dim, slots, bytes) &&
		tfrs_table_bytes(candidates, options->dim, slots, bytes) &&
		tfrs_update_bytes(options, &counts, bytes);
}

static tfrs_status
count_probabilities(tfrs_table_trainer *trainer, tfrs_error *error)
{
	size_t		candidates = ids_of(trainer, CANDIDATE)->count;
	const uint32_t *counts = counts_of(trainer, CANDIDATE);
	double		rows = (double) tfrs_interactions_count(trainer->interactions);
	tfrs_status status = TFRS_GET(trainer->arena, &trainer->probability, candidates, error);

	for (size_t i = 0; status == TFRS_OK && i < candidates; i++)
		trainer->probability[i] = (float) (counts[i] / rows);
	return status;
}

static uint64_t
count_steps(const tfrs_table_trainer *trainer)
{
	size_t		rows = tfrs_interactions_count(trainer->interactions);

	return (rows + trainer->batch_rows - 1) / trainer->batch_rows *
		(uint64_t) trainer->options->epochs;
}

static tfrs_status
init(tfrs_table_trainer *trainer, tfrs_error *error)
{
	const tfrs_train_options *options = trainer->options;
	int			slots = tfrs_optimizer_slots(&options->optimizer);
	tfrs_update_parts parts = {
		.options = options, .batch_rows = trainer->batch_rows, .steps = count_steps(trainer),
		.known = options->mask_known ? trainer->events : NULL
	};
	tfrs_status status = TFRS_GET(trainer->arena, &trainer->rows, trainer->batch_rows, error);

	for (int side = 0; status == TFRS_OK && side < SIDES; side++)
	{
		tfrs_random_init(&trainer->random[side], options->seed,
						 side == QUERY ? TFRS_STREAM_QUERY_TABLE : TFRS_STREAM_CANDIDATE_TABLE, 0);
		status = tfrs_table_init(&trainer->table[side], trainer->arena,
								 ids_of(trainer, side)->count, options->dim, slots, error);
		if (status == TFRS_OK && options->keep_optimizer_state && options->normalize)
			status = tfrs_table_keep_lengths(&trainer->table[side], error);
	}
	if (status == TFRS_OK && options->correction != TFRS_CORRECTION_NONE)
		status = count_probabilities(trainer, error);
	parts.query = &trainer->table[QUERY];
	parts.candidate = &trainer->table[CANDIDATE];
	parts.probability = trainer->probability;
	parts.earlier_steps = trainer->warm != NULL ? tfrs_warm_start_steps(trainer->warm) : 0;
	parts.accuracy = &trainer->accuracy;
	if (status == TFRS_OK)
		status = tfrs_update_create(&trainer->update, trainer->arena, &parts, error);
	return status;
}

tfrs_status
tfrs_table_trainer_begin(tfrs_table_trainer **trainer, tfrs_arena *arena,
						 const tfrs_table_training *training, tfrs_error *error)
{
	const tfrs_train_options *options = training->options;
	size_t		rows = tfrs_interactions_count(training->interactions);
	tfrs_table_trainer *made;
	tfrs_status status;

	*trainer = NULL;
	status = TFRS_GET_ZERO(arena, &made, 1, error);
	if (status != TFRS_OK)
		return status;
	made->arena = arena;
	made->options = options;
	made->interactions = training->interactions;
	made->events = training->events;
	made->warm = training->warm;
	made->batch_rows = rows < options->batch_size ? rows : options->batch_size;
	made->progress.epoch = 1;
	status = init(made, error);
	if (status == TFRS_OK)
		status = tfrs_interactions_rewind(made->interactions, 0, error);
	if (status != TFRS_OK)
		tfrs_table_trainer_destroy(made);
	else
		*trainer = made;
	return status;
}

void
tfrs_table_trainer_destroy(tfrs_table_trainer *trainer)
{
	if (trainer == NULL)
		return;
	tfrs_update_destroy(trainer->update);
	for (int side = 0; side < SIDES; side++)
		tfrs_table_free(&trainer->table[side]);
	tfrs_arena_release(trainer->arena, trainer->probability);
	tfrs_arena_release(trainer->arena, trainer->rows);
	tfrs_arena_release(trainer->arena, trainer);
}

/* Moves a phase that walks over both tables on: to the other table, then to the next phase. */
static tfrs_status
pass_side(tfrs_table_trainer *trainer, tfrs_status status, train_phase next)
{
	if (status != TFRS_OK)
		return status;
	trainer->side++;
	if (trainer->side == SIDES)
	{
		trainer->side = 0;
		trainer->phase = next;
	}
	return TFRS_MORE;
}

/* Earlier parameters in place of the initial ones. */
static tfrs_status
warm_table(tfrs_table_trainer *trainer)
{
	tfrs_table *table = &trainer->table[trainer->side];
	tfrs_status status;

	if (trainer->warm == NULL)
		return TFRS_OK;
	status = trainer->side == QUERY
		? tfrs_warm_start_queries(trainer->warm, table, &trainer->warmed)
		: tfrs_warm_start_candidates(trainer->warm, table, false, &trainer->warmed);
	if (status == TFRS_OK)
		trainer->warmed = 0;
	return status;
}

/* The sum over all rows of count(query)^-w. */
static tfrs_status
weigh_queries(tfrs_table_trainer *trainer)
{
	const uint32_t *counts = counts_of(trainer, QUERY);
	size_t		queries = ids_of(trainer, QUERY)->count;
	size_t		left = queries - trainer->weighed;
	size_t		end = left < STEP_QUERIES ? queries : trainer->weighed + STEP_QUERIES;

	if (trainer->options->query_weight > 0.0f)
		for (size_t q = trainer->weighed; q < end; q++)
			trainer->weight += counts[q] == 0 ? 0
			: pow(counts[q], 1.0 - trainer->options->query_weight);
	trainer->weighed = end;
	if (end == queries)
		trainer->phase = TRAIN;
	return TFRS_MORE;
}

/* Rows weigh count(query)^-w times their own weight, 1 on the average. */
static void
weigh_rows(tfrs_table_trainer *trainer)
{
	const uint32_t *counts = counts_of(trainer, QUERY);
	double		mean = trainer->weight / (double) tfrs_interactions_count(trainer->interactions);

	for (size_t i = 0; i < trainer->batch_count; i++)
	{
		tfrs_interaction *row = &trainer->rows[i];

		row->weight *= (float) (pow(counts[row->query], -trainer->options->query_weight) / mean);
	}
}

/* Takes a share of the batch's queries for unknown ones, so that their row
 * learns what all share. */
static void
drop_ids(tfrs_table_trainer *trainer)
{
	const tfrs_train_progress *progress = &trainer->progress;
	uint32_t	unknown = (uint32_t) ids_of(trainer, QUERY)->count;
	tfrs_random random;

	tfrs_random_init(&random, trainer->options->seed, TFRS_STREAM_ID_DROPOUT,
					 (uint64_t) progress->epoch << 32 | progress->batch);
	for (size_t i = 0; i < trainer->batch_count; i++)
		if (tfrs_random_float(&random) < trainer->options->id_dropout)
			trainer->rows[i].query = unknown;
}

/* Moves those of count rows that are trained on to the front; returns how many. */
static size_t
drop_held_out(const tfrs_table_trainer *trainer, tfrs_interaction *rows, size_t count)
{
	size_t		kept = 0;

	if (trainer->split == NULL)
		return count;
	for (size_t i = 0; i < count; i++)
		if (!tfrs_event_split_holds(trainer->split, rows[i].query, rows[i].candidate))
			rows[kept++] = rows[i];
	return kept;
}

static tfrs_status end_epoch(tfrs_table_trainer *trainer, tfrs_error *error);

/* Reads on, across the borders of what the interactions hold together, and begins the batch once
 * it is full or the epoch's last. */
static tfrs_status
read_batch(tfrs_table_trainer *trainer, tfrs_error *error)
{
	size_t		room = trainer->batch_rows - trainer->batch_count;
	size_t		more;
	tfrs_status status = tfrs_interactions_read(trainer->interactions,
												trainer->rows + trainer->batch_count, room, &more,
												error);

	if (status != TFRS_OK)
		return status;
	trainer->read += more;
	trainer->batch_count += drop_held_out(trainer, trainer->rows + trainer->batch_count, more);
	if (trainer->batch_count < trainer->batch_rows &&
		trainer->read < tfrs_interactions_count(trainer->interactions))
		return TFRS_OK;
	if (trainer->batch_count == 0)
		return end_epoch(trainer, error);
	trainer->updating = true;
	if (trainer->options->query_weight > 0.0f)
		weigh_rows(trainer);
	if (trainer->options->id_dropout > 0.0f)
		drop_ids(trainer);
	return tfrs_update_begin(trainer->update, trainer->rows, trainer->batch_count, error);
}

void
tfrs_table_trainer_hold_out(tfrs_table_trainer *trainer, const tfrs_event_split *split)
{
	trainer->split = split;
}

tfrs_table *
tfrs_table_trainer_table(tfrs_table_trainer *trainer, bool candidates)
{
	return &trainer->table[candidates ? CANDIDATE : QUERY];
}

void
tfrs_table_trainer_stop(tfrs_table_trainer *trainer)
{
	trainer->phase = trainer->options->average_unknown ? AVERAGE : NORMALIZE;
}

/* Another epoch, or what follows the last one. */
static tfrs_status
end_epoch(tfrs_table_trainer *trainer, tfrs_error *error)
{
	tfrs_train_progress *progress = &trainer->progress;

	trainer->read = 0;
	progress->epoch_finished = true;
	if (progress->epoch < trainer->options->epochs)
		return tfrs_interactions_rewind(trainer->interactions, progress->epoch, error);
	tfrs_table_trainer_stop(trainer);
	return TFRS_OK;
}

static tfrs_status
end_batch(tfrs_table_trainer *trainer, double loss, tfrs_error *error)
{
	tfrs_train_progress *progress = &trainer->progress;
	uint64_t	count = tfrs_interactions_count(trainer->interactions);

	progress->batch++;
	progress->rows_done += trainer->batch_count;
	progress->rows += trainer->batch_count;
	progress->batch_loss = loss;
	progress->loss += loss;
	progress->loss_per_row = progress->loss / fmax((double) progress->rows_done, 1.0);
	progress->done = (progress->epoch - 1) * count + trainer->read;
	progress->total = trainer->options->epochs * count;
	trainer->batch_count = 0;
	trainer->updating = false;
	if (trainer->read < count)
		return TFRS_OK;
	return end_epoch(trainer, error);
}

/* Figures of the epoch that the last step finished make room for those of the next. */
static void
begin_epoch(tfrs_table_trainer *trainer)
{
	tfrs_train_progress *progress = &trainer->progress;

	memset(&trainer->accuracy, 0, sizeof(trainer->accuracy));
	progress->epoch_finished = false;
	progress->epoch++;
	progress->batch = 0;
	progress->rows_done = 0;
	progress->loss = 0;
	progress->loss_per_row = 0;
}

static tfrs_status
train_step(tfrs_table_trainer *trainer, tfrs_error *error)
{
	double		loss;
	tfrs_status status;

	if (trainer->progress.epoch_finished)
		begin_epoch(trainer);
	if (!trainer->updating)
	{
		status = read_batch(trainer, error);
		return status == TFRS_OK ? TFRS_MORE : status;
	}
	status = tfrs_update_step(trainer->update, &loss, error);
	if (status == TFRS_OK)
		status = end_batch(trainer, loss, error);
	return status == TFRS_OK ? TFRS_MORE : status;
}

/* Rows of all trainings. */
static const uint32_t *
all_counts_of(const tfrs_table_trainer *trainer, int side)
{
	if (trainer->warm == NULL)
		return counts_of(trainer, side);
	return side == QUERY ? trainer->warm->query_rows : trainer->warm->candidate_rows;
}

/* An unknown slot that was trained stays as it is. */
static tfrs_status
average(tfrs_table_trainer *trainer)
{
	int			side = trainer->side;

	if (side == QUERY && trainer->options->id_dropout > 0.0f)
		return TFRS_OK;
	return tfrs_table_average_step(&trainer->table[side], all_counts_of(trainer, side));
}

static tfrs_status
step(tfrs_table_trainer *trainer, tfrs_error *error)
{
	int			side = trainer->side;
	tfrs_table *table = &trainer->table[side];
	tfrs_optimizer optimizer = tfrs_train_options_optimizer(trainer->options, trainer->batch_rows);

	switch (trainer->phase)
	{
		case FILL:
			return pass_side(trainer,
							 tfrs_table_fill_step(table, &optimizer,
												  &trainer->random[side]), WARM);
		case WARM:
			return pass_side(trainer, warm_table(trainer), WEIGH);
		case WEIGH:
			return weigh_queries(trainer);
		case TRAIN:
			return train_step(trainer, error);
		case AVERAGE:
			trainer->progress.epoch_finished = false;
			return pass_side(trainer, average(trainer), NORMALIZE);
		case NORMALIZE:
			trainer->progress.epoch_finished = false;
			return pass_side(trainer,
							 trainer->options->normalize
							 ? tfrs_table_normalize_step(table, table->dim) : TFRS_OK, TRAINED);
		default:
			return TFRS_OK;
	}
}

tfrs_status
tfrs_table_trainer_step(tfrs_table_trainer *trainer, tfrs_train_progress *progress,
						tfrs_error *error)
{
	tfrs_status status = step(trainer, error);

	*progress = trainer->progress;
	return status;
}

const tfrs_batch_accuracy *
tfrs_table_trainer_accuracy(const tfrs_table_trainer *trainer)
{
	return &trainer->accuracy;
}

const tfrs_table *
tfrs_table_trainer_queries(const tfrs_table_trainer *trainer)
{
	return &trainer->table[QUERY];
}

const tfrs_table *
tfrs_table_trainer_candidates(const tfrs_table_trainer *trainer)
{
	return &trainer->table[CANDIDATE];
}

uint64_t
tfrs_table_trainer_steps(const tfrs_table_trainer *trainer)
{
	return tfrs_update_steps(trainer->update);
}
