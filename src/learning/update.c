/*
 * update.c: a batch through the towers, the loss and the optimizer.
 *
 * Which form of the loss is cheaper is decided by counting multiply-adds: the plain form takes
 * B B D a product, the distinct form U V D and P D for the positives.  As U, V and P are at most B,
 * plain wins only in a batch in which no row and no column repeats.
 */
#include "learning/update.h"

#include <math.h>
#include <string.h>

#include "learning/normalize.h"

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
	const float *probability;	/* (N) or NULL */
	tfrs_batch	batch;
	tfrs_loss  *loss;
	side_vectors sides[SIDES];
	float	   *batch_probability;	/* (V) or (B) */
	uint64_t	step;			/* updates begun */
	/* the batch under way */
	update_phase phase;
	int			side;
	size_t		done;			/* items of the side that the phase has passed */
	double		total;			/* the loss */
};

/* The plain form may be needed: then vectors are spread over rows. */
static bool
keeps_rows(const tfrs_train_options *options)
{
	return options->form == TFRS_FORM_PLAIN || options->loss.hard_negatives > 0;
}

static tfrs_status
init_side(tfrs_update *update, side_vectors *side, size_t batch_rows, tfrs_error *error)
{
	size_t		ids = side->table->rows - 1;
	size_t		distinct = ids < batch_rows ? ids : batch_rows;
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
		status = tfrs_arena_get(arena, (void **) &side->row_vectors, batch_rows, row_bytes, error);
	if (status == TFRS_OK)
		status = tfrs_arena_get(arena, (void **) &side->row_gradient, batch_rows, row_bytes,
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
	made->probability = parts->probability;
	made->sides[QUERY].table = parts->query;
	made->sides[QUERY].ids = &made->batch.query;
	made->sides[CANDIDATE].table = parts->candidate;
	made->sides[CANDIDATE].ids = &made->batch.candidate;
	status = tfrs_batch_init(&made->batch, arena, parts->batch_rows, parts->query->rows - 1,
							 parts->candidate->rows - 1, error);
	for (int side = 0; status == TFRS_OK && side < SIDES; side++)
		status = init_side(made, &made->sides[side], parts->batch_rows, error);
	if (status == TFRS_OK && parts->probability != NULL)
		status = TFRS_GET(arena, &made->batch_probability, parts->batch_rows, error);
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

void
tfrs_update_destroy(tfrs_update *update)
{
	if (update == NULL)
		return;
	tfrs_loss_destroy(update->loss);
	tfrs_batch_free(&update->batch);
	for (int side = 0; side < SIDES; side++)
		free_side(update->arena, &update->sides[side]);
	tfrs_arena_release(update->arena, update->batch_probability);
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
tfrs_update_bytes(const tfrs_train_options *options, size_t batch_rows, size_t queries,
				  size_t candidates, size_t *bytes)
{
	bool		rows = keeps_rows(options);
	size_t		dim = options->dim;
	size_t		u = queries < batch_rows ? queries : batch_rows;
	size_t		v = candidates < batch_rows ? candidates : batch_rows;
	tfrs_loss_distinct sizes = {
		.queries = rows ? batch_rows : u,
		.candidates = rows ? batch_rows : v,
		.pairs = batch_rows,
		.dim = dim
	};

	return tfrs_batch_bytes(batch_rows, queries, candidates, bytes) &&
		add_floats(u + v, 2 * dim + (options->normalize ? 1 : 0), bytes) &&
		add_floats(batch_rows, (rows ? 4 * dim : 0) +
				   (options->correction != TFRS_CORRECTION_NONE ? 1 : 0), bytes) &&
		tfrs_size_add(*bytes, tfrs_loss_bytes(&sizes, &options->loss, options->threads), bytes);
}

tfrs_status
tfrs_update_begin(tfrs_update *update, const tfrs_interaction *rows, size_t count,
				  tfrs_error *error)
{
	if (count < 1 || count > update->batch.capacity)
		return tfrs_fail(error, TFRS_INVALID_ARGUMENT, "a batch must have 1 to %zu rows",
						 update->batch.capacity);
	tfrs_batch_assemble(&update->batch, rows, count);
	update->step++;
	update->phase = GATHER;
	update->side = QUERY;
	update->done = 0;
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

/* Distinct ids [start, end): their gradients -> the table. */
static tfrs_status
apply(tfrs_update *update, side_vectors *side, size_t start, size_t end)
{
	size_t		dim = side->table->dim;
	float	   *gradient = side->gradient + start * dim;

	if (side->scale != NULL)
		tfrs_normalize_backward(side->vectors + start * dim, side->scale + start, end - start, dim,
								dim, gradient);
	return tfrs_table_apply(side->table, &update->options->optimizer, update->step,
							side->ids->distinct + start, end - start, gradient);
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
		.d_query = update->sides[QUERY].gradient,
		.d_candidate = update->sides[CANDIDATE].gradient
	};

	for (size_t i = 0; update->probability != NULL && i < batch->candidate.count; i++)
		update->batch_probability[i] = update->probability[batch->candidate.distinct[i]];
	return tfrs_loss_begin_distinct(update->loss, &loss, &update->options->loss, error);
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
		.candidates = batch->rows,
		.dim = update->options->dim,
		.heads = 1,
		.query = rows ? query->row_vectors : query->vectors,
		.candidate = rows ? candidate->row_vectors : candidate->vectors,
		.weight = batch->weight,
		.probability = update->batch_probability,
		.candidate_id = batch->candidate.number,
		.d_query = rows ? query->row_gradient : query->gradient,
		.d_candidate = rows ? candidate->row_gradient : candidate->gradient
	};

	for (size_t i = 0; update->probability != NULL && i < batch->rows; i++)
		update->batch_probability[i] =
			update->probability[batch->candidate.distinct[batch->candidate.number[i]]];
	return tfrs_loss_begin(update->loss, &loss, &update->options->loss, error);
}

static tfrs_status
begin_loss(tfrs_update *update, tfrs_error *error)
{
	const tfrs_batch *batch = &update->batch;
	bool		repeats = batch->query.count < batch->rows || batch->candidate.count < batch->rows;

	update->phase = RUN_LOSS;
	if (keeps_rows(update->options) || (update->options->form == TFRS_FORM_AUTO && !repeats))
		return begin_plain(update, error);
	return begin_distinct(update, error);
}

static tfrs_status
run_loss(tfrs_update *update, tfrs_error *error)
{
	tfrs_status status = tfrs_loss_step(update->loss, &update->total, error);

	if (status != TFRS_OK)
		return status;
	update->phase = keeps_rows(update->options) ? SUM : APPLY;
	return isfinite(update->total) ? TFRS_OK
		: tfrs_fail(error, TFRS_NOT_FINITE, "loss is not finite");
}

/* Items of a side that one call handles.  Only some optimizers allow for rows in pieces. */
static size_t
piece_of(const tfrs_update *update)
{
	if (update->phase == APPLY && !tfrs_optimizer_is_by_rows(&update->options->optimizer))
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
	size_t		count = by_row ? update->batch.rows : side->ids->count;
	size_t		start = update->done;
	size_t		end = count - start < piece_of(update) ? count : start + piece_of(update);

	update->done = end;
	if (update->phase == GATHER)
		gather(side, start, end);
	else if (update->phase == SPREAD)
		spread(side, start, end);
	else if (update->phase == SUM)
		sum(side, start, end);
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
