/*
 * update.c: a batch through the towers, the loss and the optimizer.
 *
 * Which form of the loss is cheaper is decided by counting multiply-adds: the plain form takes
 * B B D a product, the distinct form U V D and P D for the positives.  As U, V and P are at most B,
 * plain wins only in a batch in which no row and no column repeats.
 *
 * The gradient of a step is that of the loss (divided by the rows of a full batch where the
 * reduction is mean) plus 2 l2 v for every touched row v; then its norm over both tables is
 * clipped.  What a mean divides the optimizer's constants are divided by as well, which makes it
 * the trajectory of the sum.
 */
#include "learning/update.h"

#include <math.h>
#include <string.h>

#include "base/kernels.h"
#include "learning/known_cells.h"
#include "learning/normalize.h"
#include "learning/streams.h"

/* Floats of one piece of gathering or applying: a few milliseconds. */
#define PIECE_FLOATS ((size_t) 1 << 20)

/* What is done to a batch, in this order; all but the loss in pieces, for each side. */
typedef enum update_phase
{
	GATHER,
	SPREAD,						/* plain form with copies only */
	BEGIN_LOSS,
	RUN_LOSS,
	SUM,						/* as SPREAD */
	FINISH,						/* the gradients of the tables' rows */
	APPLY
} update_phase;

enum
{
	QUERY,
	CANDIDATE,
	SIDES
};

/* One side of a batch. */
typedef struct side_vectors
{
	tfrs_table *table;
	const tfrs_batch_side *ids;
	float	   *vectors;		/* (U, D) as the loss sees them */
	float	   *gradient;		/* (U, D) */
	float	   *scale;			/* (U) of the normalization, or NULL */
	float	   *row_vectors;	/* (B, D) plain form, or NULL */
	float	   *row_gradient;	/* (B, D) plain form, or NULL */
} side_vectors;

struct tfrs_update
{
	tfrs_arena *arena;
	const tfrs_train_options *options;
	tfrs_loss_options loss_options;
	tfrs_optimizer optimizer;	/* of this step */
	const float *probability;	/* (N) or NULL */
	tfrs_batch	batch;
	tfrs_known_cells known;		/* with mask_known */
	tfrs_loss  *loss;
	side_vectors sides[SIDES];
	float	   *batch_probability;	/* (V) or (C) */
	uint32_t   *above;			/* (P) or (B) columns above each positive, or NULL */
	tfrs_batch_accuracy *accuracy;
	uint64_t	step;			/* updates begun */
	uint64_t	steps;			/* of the training */
	uint64_t	earlier_steps;
	float		share;			/* of the loss that is descended: 1, or 1 / rows for a mean */
	/* the batch under way */
	update_phase phase;
	int			side;
	size_t		done;			/* items of the side that the phase has passed */
	double		total;			/* the loss */
	double		square;			/* of the gradient's norm so far, in FINISH */
};

/* The plain form may be needed: then vectors are spread over rows. */
static bool
keeps_rows(const tfrs_train_options *options)
{
	return options->form == TFRS_FORM_PLAIN || options->loss.hard_negatives > 0;
}

static tfrs_batch_sizes
sizes_of(const tfrs_train_options *options, size_t rows, size_t queries, size_t candidates)
{
	return (tfrs_batch_sizes) {
		.rows = rows, .added = options->uniform_negatives, .all = options->full_softmax,
		.queries = queries, .candidates = candidates
	};
}

/* items: vectors of a batch, of which some may be equal. */
static tfrs_status
init_side(tfrs_update *update, side_vectors *side, size_t items, size_t distinct,
		  tfrs_error *error)
{
	size_t		row_bytes = side->table->dim * sizeof(float);
	tfrs_arena *arena = update->arena;
	tfrs_status status;

	status = tfrs_arena_get(arena, (void **) &side->vectors, distinct, row_bytes, error);
	if (status == TFRS_OK)
		status = tfrs_arena_get(arena, (void **) &side->gradient, distinct, row_bytes, error);
	if (status == TFRS_OK && update->options->normalize)
		status = TFRS_GET(arena, &side->scale, distinct, error);
	if (!keeps_rows(update->options))
		return status;
	if (status == TFRS_OK)
		status = tfrs_arena_get(arena, (void **) &side->row_vectors, items, row_bytes, error);
	if (status == TFRS_OK)
		status = tfrs_arena_get(arena, (void **) &side->row_gradient, items, row_bytes, error);
	return status;
}

/* The corrected sum is over the candidates that are not the positive, in whatever column. */
static tfrs_loss_options
loss_options_of(const tfrs_train_options *options)
{
	tfrs_loss_options loss = options->loss;

	loss.leave_positive_out = options->correction == TFRS_CORRECTION_CORRECTED;
	loss.remove_accidental_hits |= loss.leave_positive_out;
	return loss;
}

static tfrs_status
init_batch(tfrs_update *update, const tfrs_update_parts *parts, tfrs_error *error)
{
	tfrs_batch_sizes sizes = sizes_of(parts->options, parts->batch_rows, parts->query->rows,
									  parts->candidate->rows - 1);
	size_t		rows = sizes.rows;
	size_t		queries = rows < sizes.queries ? rows : sizes.queries;
	size_t		columns = tfrs_batch_columns(&sizes);
	tfrs_status status = tfrs_batch_init(&update->batch, update->arena, &sizes, error);

	if (status == TFRS_OK)
		status = init_side(update, &update->sides[QUERY], rows, queries, error);
	if (status == TFRS_OK)
		status = init_side(update, &update->sides[CANDIDATE], rows + sizes.added, columns, error);
	if (status == TFRS_OK && parts->probability != NULL)
		status = TFRS_GET(update->arena, &update->batch_probability, rows + sizes.added, error);
	if (status == TFRS_OK && parts->options->batch_accuracy.count > 0)
		status = TFRS_GET(update->arena, &update->above, rows, error);
	if (status == TFRS_OK && parts->known != NULL)
		status = tfrs_known_cells_init(&update->known, update->arena, parts->known, columns,
									   error);
	return status;
}

tfrs_status
tfrs_update_create(tfrs_update **update, tfrs_arena *arena, const tfrs_update_parts *parts,
				   tfrs_error *error)
{
	tfrs_update *made;
	tfrs_status status = TFRS_GET_ZERO(arena, update, 1, error);

	if (status != TFRS_OK)
		return status;
	made = *update;
	made->arena = arena;
	made->options = parts->options;
	made->loss_options = loss_options_of(parts->options);
	made->probability = parts->probability;
	made->accuracy = parts->accuracy;
	made->steps = parts->steps;
	made->earlier_steps = parts->earlier_steps;
	made->share = parts->options->reduction == TFRS_REDUCTION_MEAN ?
		1.0f / (float) parts->batch_rows : 1.0f;
	made->sides[QUERY].table = parts->query;
	made->sides[QUERY].ids = &made->batch.query;
	made->sides[CANDIDATE].table = parts->candidate;
	made->sides[CANDIDATE].ids = &made->batch.candidate;
	status = init_batch(made, parts, error);
	if (status == TFRS_OK)
		status = tfrs_loss_create(&made->loss, arena, parts->options->threads, error);
	if (status != TFRS_OK)
	{
		tfrs_update_destroy(made);
		*update = NULL;
	}
	return status;
}

static void
free_side(tfrs_arena *arena, side_vectors *side)
{
	tfrs_arena_release(arena, side->vectors);
	tfrs_arena_release(arena, side->gradient);
	tfrs_arena_release(arena, side->scale);
	tfrs_arena_release(arena, side->row_vectors);
	tfrs_arena_release(arena, side->row_gradient);
}

uint64_t
tfrs_update_steps(const tfrs_update *update)
{
	return update->earlier_steps + update->step;
}

void
tfrs_update_destroy(tfrs_update *update)
{
	if (update == NULL)
		return;
	tfrs_loss_destroy(update->loss);
	tfrs_batch_free(&update->batch);
	tfrs_known_cells_free(&update->known);
	for (int side = 0; side < SIDES; side++)
		free_side(update->arena, &update->sides[side]);
	tfrs_arena_release(update->arena, update->batch_probability);
	tfrs_arena_release(update->arena, update->above);
	tfrs_arena_release(update->arena, update);
}

static bool
add_floats(size_t count, size_t each, size_t *bytes)
{
	size_t		mine;

	return tfrs_size_multiply(count, each, &mine) &&
		tfrs_size_multiply(mine, sizeof(float), &mine) && tfrs_size_add(*bytes, mine, bytes);
}

bool
tfrs_update_bytes(const tfrs_train_options *options, const tfrs_update_counts *counts,
				  size_t *bytes)
{
	tfrs_batch_sizes sizes = sizes_of(options, counts->rows, counts->queries + 1,
									  counts->candidates);
	bool		rows = keeps_rows(options);
	size_t		dim = options->dim;
	size_t		u = sizes.queries < counts->rows ? sizes.queries : counts->rows;
	size_t		v = tfrs_batch_columns(&sizes);
	size_t		items = counts->rows + sizes.added;
	tfrs_loss_options used = loss_options_of(options);
	tfrs_loss_distinct loss = {
		.queries = rows ? counts->rows : u,
		.candidates = rows ? items : v,
		.pairs = counts->rows,
		.dim = dim
	};

	return tfrs_batch_bytes(&sizes, bytes) &&
		add_floats(u + v, 2 * dim + (options->normalize ? 1 : 0), bytes) &&
		add_floats(counts->rows + items, rows ? 2 * dim : 0, bytes) &&
		add_floats(items, options->correction != TFRS_CORRECTION_NONE ? 1 : 0, bytes) &&
		add_floats(counts->rows, options->batch_accuracy.count > 0 ? 1 : 0, bytes) &&
		(!options->mask_known ||
		 tfrs_known_cells_bytes(counts->rows, v, counts->queries, counts->events, bytes)) &&
		tfrs_size_add(*bytes, tfrs_loss_bytes(&loss, &used, options->threads), bytes);
}

/* At the rate that the schedule has for this step. */
static void
choose_optimizer(tfrs_update *update)
{
	update->optimizer = tfrs_train_options_optimizer(update->options, update->batch.capacity);
	update->optimizer.learning_rate *= tfrs_schedule_factor(&update->options->schedule,
															update->step, update->steps);
}

static void
add_negatives(tfrs_update *update)
{
	uint32_t	candidates = (uint32_t) (update->sides[CANDIDATE].table->rows - 1);
	tfrs_random random;

	tfrs_random_init(&random, update->options->seed, TFRS_STREAM_NEGATIVES, update->step);
	for (uint32_t i = 0; i < update->options->uniform_negatives; i++)
		tfrs_batch_add_column(&update->batch, tfrs_random_below(&random, candidates));
}

tfrs_status
tfrs_update_begin(tfrs_update *update, const tfrs_interaction *rows, size_t count,
				  tfrs_error *error)
{
	if (count < 1 || count > update->batch.capacity)
		return tfrs_fail(error, TFRS_INVALID_ARGUMENT, "a batch must have 1 to %zu rows",
						 update->batch.capacity);
	update->step++;
	tfrs_batch_assemble(&update->batch, rows, count);
	add_negatives(update);
	choose_optimizer(update);
	update->phase = GATHER;
	update->side = QUERY;
	update->done = 0;
	update->square = 0.0;
	return TFRS_OK;
}

/* Distinct ids [start, end): their vectors. */
static void
gather(side_vectors *side, size_t start, size_t end)
{
	size_t		dim = side->table->dim;
	float	   *vectors = side->vectors + start * dim;

	tfrs_table_gather(side->table, side->ids->distinct + start, end - start, vectors);
	if (side->scale != NULL)
		tfrs_normalize_forward(vectors, end - start, dim, dim, side->scale + start);
	if (side->row_gradient != NULL)
		memset(side->gradient + start * dim, 0, (end - start) * dim * sizeof(float));
}

/* Rows [start, end): vectors of distinct ids -> one a row. */
static void
spread(side_vectors *side, size_t start, size_t end)
{
	size_t		dim = side->table->dim;

	for (size_t i = start; i < end; i++)
		memcpy(side->row_vectors + i * dim, side->vectors + side->ids->number[i] * dim,
			   dim * sizeof(float));
}

/* Rows [start, end): their gradients -> sums for distinct ids. */
static void
sum(side_vectors *side, size_t start, size_t end)
{
	size_t		dim = side->table->dim;

	for (size_t i = start; i < end; i++)
	{
		float	   *total = side->gradient + side->ids->number[i] * dim;
		const float *row = side->row_gradient + i * dim;

		for (size_t j = 0; j < dim; j++)
			total[j] += row[j];
	}
}

static void
scale_floats(float *values, size_t count, float factor)
{
	for (size_t i = 0; i < count; i++)
		values[i] *= factor;
}

/* Distinct ids [start, end): gradients of their vectors -> of their rows in the table. */
static void
finish(tfrs_update *update, side_vectors *side, size_t start, size_t end)
{
	size_t		dim = side->table->dim;
	float	   *gradient = side->gradient + start * dim;
	float		l2 = 2.0f * update->options->l2;

	if (side->scale != NULL)
		tfrs_normalize_backward(side->vectors + start * dim, side->scale + start, end - start, dim,
								dim, gradient);
	if (update->share != 1.0f)
		scale_floats(gradient, (end - start) * dim, update->share);
	for (size_t i = start; l2 > 0.0f && i < end; i++)
		tfrs_kernels.add_scaled(side->gradient + i * dim,
								side->table->values + side->ids->distinct[i] * dim, dim, l2);
	for (size_t i = start; update->options->clip_norm > 0.0f && i < end; i++)
		update->square += tfrs_kernels.dot(side->gradient + i * dim, side->gradient + i * dim,
										   dim);
}

/* Distinct ids [start, end): their gradients -> the table. */
static tfrs_status
apply(tfrs_update *update, side_vectors *side, size_t start, size_t end)
{
	size_t		dim = side->table->dim;
	float	   *gradient = side->gradient + start * dim;
	double		most = update->options->clip_norm;

	if (update->square > most * most)
		scale_floats(gradient, (end - start) * dim, (float) (most / sqrt(update->square)));
	return tfrs_table_apply(side->table, &update->optimizer, tfrs_update_steps(update),
							side->ids->distinct + start, end - start, gradient);
}

/* Sampling probabilities of numbered columns, or of those of the items where numbers are given. */
static void
fill_probability(tfrs_update *update, const uint32_t *number, size_t count)
{
	const tfrs_batch *batch = &update->batch;
	double		uniform = update->options->uniform_negatives;
	double		all = (double) update->sides[CANDIDATE].table->rows - 1.0;

	for (size_t i = 0; update->probability != NULL && i < count; i++)
	{
		size_t		place = number == NULL ? i : number[i];
		double		p = update->probability[batch->candidate.distinct[place]];

		update->batch_probability[i] = (float)
			((batch->rows * p + uniform / all) / (batch->rows + uniform));
	}
}

static tfrs_status
begin_distinct(tfrs_update *update, tfrs_error *error)
{
	const tfrs_batch *batch = &update->batch;
	tfrs_loss_distinct loss = {
		.queries = batch->query.count,
		.candidates = batch->candidate.count,
		.pairs = batch->pairs,
		.dim = update->options->dim,
		.query = update->sides[QUERY].vectors,
		.candidate = update->sides[CANDIDATE].vectors,
		.candidate_count = batch->candidate_count,
		.probability = update->batch_probability,
		.pair_query = batch->pair_query,
		.pair_candidate = batch->pair_candidate,
		.pair_weight = batch->pair_weight,
		.pair_above = update->above,
		.d_query = update->sides[QUERY].gradient,
		.d_candidate = update->sides[CANDIDATE].gradient
	};
	tfrs_status status = TFRS_OK;

	if (update->known.events != NULL)
		status = tfrs_known_cells_find(&update->known, batch, error);
	if (status != TFRS_OK)
		return status;
	loss.masked = update->known.cells;
	loss.masked_count = update->known.count;
	fill_probability(update, NULL, batch->candidate.count);
	return tfrs_loss_begin_distinct(update->loss, &loss, &update->loss_options, error);
}

/* In a batch without repetitions the distinct vectors are those of the rows, in their order. */
static tfrs_status
begin_plain(tfrs_update *update, tfrs_error *error)
{
	const tfrs_batch *batch = &update->batch;
	const side_vectors *query = &update->sides[QUERY];
	const side_vectors *candidate = &update->sides[CANDIDATE];
	bool		rows = keeps_rows(update->options);
	tfrs_loss_batch loss = {
		.queries = batch->rows,
		.candidates = batch->candidate.items,
		.dim = update->options->dim,
		.heads = 1,
		.query = rows ? query->row_vectors : query->vectors,
		.candidate = rows ? candidate->row_vectors : candidate->vectors,
		.weight = batch->weight,
		.probability = update->batch_probability,
		.candidate_id = batch->candidate.number,
		.row_above = update->above,
		.d_query = rows ? query->row_gradient : query->gradient,
		.d_candidate = rows ? candidate->row_gradient : candidate->gradient
	};
	tfrs_status status = TFRS_OK;

	if (update->known.events != NULL)
		status = tfrs_known_cells_find_rows(&update->known, batch, error);
	if (status != TFRS_OK)
		return status;
	loss.masked = update->known.cells;
	loss.masked_count = update->known.count;
	fill_probability(update, batch->candidate.number, batch->candidate.items);
	return tfrs_loss_begin(update->loss, &loss, &update->loss_options, error);
}

/* Whether the distinct form can and should be taken. */
static bool
is_distinct(const tfrs_update *update)
{
	const tfrs_train_options *options = update->options;
	const tfrs_batch *batch = &update->batch;

	if (keeps_rows(options))
		return false;
	return options->form == TFRS_FORM_DISTINCT || options->full_softmax ||
		batch->query.count < batch->rows || batch->candidate.count < batch->candidate.items;
}

static tfrs_status
begin_loss(tfrs_update *update, tfrs_error *error)
{
	update->phase = RUN_LOSS;
	return is_distinct(update) ? begin_distinct(update, error) : begin_plain(update, error);
}

static void
count_hits(tfrs_update *update)
{
	const tfrs_cutoffs *cutoffs = &update->options->batch_accuracy;
	bool		pairs = is_distinct(update);
	const float *weight = pairs ? update->batch.pair_weight : update->batch.weight;
	size_t		count = pairs ? update->batch.pairs : update->batch.rows;

	for (size_t i = 0; i < count; i++)
	{
		update->accuracy->weight += weight[i];
		for (uint32_t k = 0; k < cutoffs->count; k++)
			if (update->above[i] < cutoffs->k[k])
				update->accuracy->hits[k] += weight[i];
	}
}

static tfrs_status
run_loss(tfrs_update *update, tfrs_error *error)
{
	tfrs_status status = tfrs_loss_step(update->loss, &update->total, error);

	if (status != TFRS_OK)
		return status;
	if (update->above != NULL)
		count_hits(update);
	update->phase = keeps_rows(update->options) ? SUM : FINISH;
	update->total *= update->share;
	return isfinite(update->total) ? TFRS_OK
		: tfrs_fail(error, TFRS_NOT_FINITE, "loss is not finite");
}

/* Items of a side that one call handles.  Only some optimizers allow for rows in pieces. */
static size_t
piece_of(const tfrs_update *update)
{
	if (update->phase == APPLY && !tfrs_optimizer_is_by_rows(&update->optimizer))
		return SIZE_MAX;
	return PIECE_FLOATS / update->options->dim + 1;
}

/* Behind the last piece of a side comes the other one, then the next phase. */
static void
pass_side(tfrs_update *update)
{
	update->done = 0;
	update->side++;
	if (update->side < SIDES)
		return;
	update->side = QUERY;
	update->phase++;
	if (update->phase == SPREAD && !keeps_rows(update->options))
		update->phase++;
}

static tfrs_status
run_piece(tfrs_update *update, tfrs_error *error)
{
	side_vectors *side = &update->sides[update->side];
	bool		by_row = update->phase == SPREAD || update->phase == SUM;
	size_t		count = by_row ? side->ids->items : side->ids->count;
	size_t		start = update->done;
	size_t		end = count - start < piece_of(update) ? count : start + piece_of(update);

	update->done = end;
	if (update->phase == GATHER)
		gather(side, start, end);
	else if (update->phase == SPREAD)
		spread(side, start, end);
	else if (update->phase == SUM)
		sum(side, start, end);
	else if (update->phase == FINISH)
		finish(update, side, start, end);
	else if (apply(update, side, start, end) != TFRS_OK)
		return tfrs_fail(error, TFRS_NOT_FINITE, "a parameter is not finite");
	if (end == count)
		pass_side(update);
	return TFRS_OK;
}

tfrs_status
tfrs_update_step(tfrs_update *update, double *loss, tfrs_error *error)
{
	tfrs_status status;

	if (update->phase == BEGIN_LOSS)
		status = begin_loss(update, error);
	else if (update->phase == RUN_LOSS)
		status = run_loss(update, error);
	else
		status = run_piece(update, error);
	if (status != TFRS_OK)
		return status;
	*loss = update->total;
	return update->phase > APPLY ? TFRS_OK : TFRS_MORE;
}
