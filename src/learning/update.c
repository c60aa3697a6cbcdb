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

/* One side of a batch. */
typedef struct side_vectors
{
	tfrs_table *table;
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
	side_vectors query;
	side_vectors candidate;
	float	   *batch_probability;	/* (V) or (B) */
	bool		plain;			/* the current batch's form */
	uint64_t	step;			/* updates begun */
};

/* The plain form may be needed: then vectors are spread over rows. */
static bool
keeps_rows(const tfrs_train_options *options)
{
	return options->form == TFRS_FORM_PLAIN || options->loss.hard_negatives > 0;
}

static tfrs_status
init_side(tfrs_update *update, side_vectors *side, tfrs_table *table, size_t batch_rows,
		  tfrs_error *error)
{
	size_t		ids = table->rows - 1;
	size_t		distinct = ids < batch_rows ? ids : batch_rows;
	size_t		row_bytes = table->dim * sizeof(float);
	tfrs_arena *arena = update->arena;
	tfrs_status status;

	side->table = table;
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
	status = tfrs_batch_init(&made->batch, arena, parts->batch_rows, parts->query->rows - 1,
							 parts->candidate->rows - 1, error);
	if (status == TFRS_OK)
		status = init_side(made, &made->query, parts->query, parts->batch_rows, error);
	if (status == TFRS_OK)
		status = init_side(made, &made->candidate, parts->candidate, parts->batch_rows, error);
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
	if (update->loss != NULL)
		tfrs_loss_destroy(update->loss);
	tfrs_batch_free(&update->batch);
	free_side(update->arena, &update->query);
	free_side(update->arena, &update->candidate);
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

static void
forward_side(const side_vectors *side, const tfrs_batch_side *ids)
{
	tfrs_table_gather(side->table, ids->distinct, ids->count, side->vectors);
	if (side->scale != NULL)
		tfrs_normalize_forward(side->vectors, ids->count, side->table->dim,
							   side->table->dim, side->scale);
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
		.query = update->query.vectors,
		.candidate = update->candidate.vectors,
		.candidate_count = batch->candidate_count,
		.probability = update->batch_probability,
		.pair_query = batch->pair_query,
		.pair_candidate = batch->pair_candidate,
		.pair_weight = batch->pair_weight,
		.d_query = update->query.gradient,
		.d_candidate = update->candidate.gradient
	};

	for (size_t i = 0; update->probability != NULL && i < batch->candidate.count; i++)
		update->batch_probability[i] = update->probability[batch->candidate.distinct[i]];
	return tfrs_loss_begin_distinct(update->loss, &loss, &update->options->loss, error);
}

/* vectors of distinct ids -> one a row */
static void
spread_rows(const side_vectors *side, const tfrs_batch_side *ids, size_t rows)
{
	size_t		dim = side->table->dim;

	for (size_t i = 0; i < rows; i++)
		memcpy(side->row_vectors + i * dim, side->vectors + ids->number[i] * dim,
			   dim * sizeof(float));
}

/* gradients of rows -> sums for distinct ids */
static void
sum_rows(const side_vectors *side, const tfrs_batch_side *ids, size_t rows)
{
	size_t		dim = side->table->dim;

	memset(side->gradient, 0, ids->count * dim * sizeof(float));
	for (size_t i = 0; i < rows; i++)
	{
		float	   *sum = side->gradient + ids->number[i] * dim;
		const float *row = side->row_gradient + i * dim;

		for (size_t j = 0; j < dim; j++)
			sum[j] += row[j];
	}
}

/* In a batch without repetitions the distinct vectors are those of the rows, in their order. */
static tfrs_status
begin_plain(tfrs_update *update, tfrs_error *error)
{
	const tfrs_batch *batch = &update->batch;
	bool		spread = keeps_rows(update->options);
	tfrs_loss_batch loss = {
		.queries = batch->rows,
		.candidates = batch->rows,
		.dim = update->options->dim,
		.heads = 1,
		.query = spread ? update->query.row_vectors : update->query.vectors,
		.candidate = spread ? update->candidate.row_vectors : update->candidate.vectors,
		.weight = batch->weight,
		.probability = update->batch_probability,
		.candidate_id = batch->candidate.number,
		.d_query = spread ? update->query.row_gradient : update->query.gradient,
		.d_candidate = spread ? update->candidate.row_gradient : update->candidate.gradient
	};

	if (spread)
	{
		spread_rows(&update->query, &batch->query, batch->rows);
		spread_rows(&update->candidate, &batch->candidate, batch->rows);
	}
	for (size_t i = 0; update->probability != NULL && i < batch->rows; i++)
		update->batch_probability[i] =
			update->probability[batch->candidate.distinct[batch->candidate.number[i]]];
	return tfrs_loss_begin(update->loss, &loss, &update->options->loss, error);
}

static bool
is_plain(const tfrs_update *update)
{
	const tfrs_batch *batch = &update->batch;

	if (keeps_rows(update->options))
		return true;
	return update->options->form == TFRS_FORM_AUTO && batch->query.count == batch->rows &&
		batch->candidate.count == batch->rows;
}

tfrs_status
tfrs_update_begin(tfrs_update *update, const tfrs_interaction *rows, size_t count,
				  tfrs_error *error)
{
	tfrs_batch_assemble(&update->batch, rows, count);
	forward_side(&update->query, &update->batch.query);
	forward_side(&update->candidate, &update->batch.candidate);
	update->plain = is_plain(update);
	update->step++;
	return update->plain ? begin_plain(update, error) : begin_distinct(update, error);
}

static tfrs_status
apply_side(tfrs_update *update, side_vectors *side, const tfrs_batch_side *ids)
{
	if (update->plain && side->row_gradient != NULL)
		sum_rows(side, ids, update->batch.rows);
	if (side->scale != NULL)
		tfrs_normalize_backward(side->vectors, side->scale, ids->count, side->table->dim,
								side->table->dim,
								side->gradient);
	return tfrs_table_apply(side->table, &update->options->optimizer, update->step, ids->distinct,
							ids->count, side->gradient);
}

tfrs_status
tfrs_update_step(tfrs_update *update, double *loss, tfrs_error *error)
{
	tfrs_status status = tfrs_loss_step(update->loss, loss, error);

	if (status != TFRS_OK)
		return status;
	if (!isfinite(*loss))
		return tfrs_fail(error, TFRS_NOT_FINITE, "loss is not finite");
	status = apply_side(update, &update->query, &update->batch.query);
	if (status == TFRS_OK)
		status = apply_side(update, &update->candidate, &update->batch.candidate);
	if (status != TFRS_OK)
		return tfrs_fail(error, status, "parameters are not finite");
	return TFRS_OK;
}
