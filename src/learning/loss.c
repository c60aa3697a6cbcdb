/*
 * loss.c: a batch of TFRS's task as rows with one target each.
 */
#include "learning/loss.h"

#include <string.h>

#include "learning/softmax.h"

struct tfrs_loss
{
	tfrs_arena *arena;
	tfrs_softmax *softmax;
	tfrs_ragged target;			/* row i has column i */
	tfrs_ragged hidden;			/* the masked cells */
};

static void
arrays(void *object, tfrs_plan *plan)
{
	tfrs_loss  *loss = object;

	tfrs_ragged_plan(plan, &loss->target);
	tfrs_ragged_plan(plan, &loss->hidden);
}

tfrs_status
tfrs_loss_create(tfrs_loss **loss, tfrs_arena *arena, int threads, tfrs_error *error)
{
	tfrs_status status = TFRS_GET_ZERO(arena, loss, 1, error);

	if (status != TFRS_OK)
		return status;
	(*loss)->arena = arena;
	status = tfrs_softmax_create(&(*loss)->softmax, arena, threads, error);
	if (status != TFRS_OK)
		tfrs_loss_destroy(*loss);
	return status;
}

void
tfrs_loss_destroy(tfrs_loss *loss)
{
	if (loss == NULL)
		return;
	tfrs_plan_release(loss->arena, arrays, loss);
	tfrs_softmax_destroy(loss->softmax);
	tfrs_arena_release(loss->arena, loss);
}

static tfrs_status
check_masked(const tfrs_loss_batch *batch, tfrs_error *error)
{
	for (size_t k = 0; batch->masked != NULL && k < batch->masked_count; k++)
	{
		uint64_t	key = batch->masked[k];

		if (key / batch->candidates >= batch->queries || (k > 0 && key <= batch->masked[k - 1]))
			return tfrs_fail(error, TFRS_INVALID_ARGUMENT,
							 "masked cells must be ascending and inside the batch");
		if (key / batch->candidates == key % batch->candidates)
		{
			tfrs_fail(error, TFRS_INVALID_ARGUMENT, "the score mask hides the positive of row %zu",
					  (size_t) (key / batch->candidates) + 1);
			tfrs_error_hint(error, "Leave it out of the mask; a row of weight 0 is not counted.");
			return TFRS_INVALID_ARGUMENT;
		}
	}
	return TFRS_OK;
}

static tfrs_status
check(const tfrs_loss_batch *batch, const tfrs_loss_options *options, tfrs_error *error)
{
	if (batch->candidates == 0)
		return tfrs_fail(error, TFRS_INVALID_ARGUMENT, "the batch has no candidates");
	if (batch->candidates < batch->queries)
	{
		tfrs_fail(error, TFRS_INVALID_ARGUMENT, "there are more queries than candidates");
		tfrs_error_detail(error, "%zu queries need a positive candidate each, of %zu candidates.",
						  batch->queries, batch->candidates);
		tfrs_error_hint(error, "Candidate i is the positive of query i; others stand behind them.");
		return TFRS_INVALID_ARGUMENT;
	}
	if (options->remove_accidental_hits && batch->candidate_id == NULL)
	{
		tfrs_fail(error, TFRS_INVALID_ARGUMENT, "removing accidental hits needs candidate ids");
		tfrs_error_hint(error, "Give every candidate an id, or leave remove_accidental_hits out.");
		return TFRS_INVALID_ARGUMENT;
	}
	return check_masked(batch, error);
}

/* Room for the lists of this batch. */
static tfrs_status
reserve(tfrs_loss *loss, const tfrs_loss_batch *batch, tfrs_error *error)
{
	size_t		masked = batch->masked == NULL ? 0 : batch->masked_count;

	if (loss->target.start != NULL && loss->target.row_capacity >= batch->queries &&
		loss->hidden.capacity >= masked)
		return TFRS_OK;
	tfrs_plan_release(loss->arena, arrays, loss);
	loss->target = (tfrs_ragged) {.row_capacity = batch->queries,.capacity = batch->queries};
	loss->hidden = (tfrs_ragged) {.row_capacity = batch->queries,.capacity = masked};
	return tfrs_plan_take(loss->arena, arrays, loss, error);
}

static void
fill_lists(tfrs_loss *loss, const tfrs_loss_batch *batch)
{
	size_t		k = 0;

	tfrs_ragged_clear(&loss->target);
	tfrs_ragged_clear(&loss->hidden);
	for (size_t i = 0; i < batch->queries; i++)
	{
		tfrs_ragged_push(&loss->target, (uint32_t) i, 0.0f);
		tfrs_ragged_end_row(&loss->target);
		for (; batch->masked != NULL && k < batch->masked_count &&
			 batch->masked[k] / batch->candidates == i; k++)
			tfrs_ragged_push(&loss->hidden, (uint32_t) (batch->masked[k] % batch->candidates), 0.0f);
		tfrs_ragged_end_row(&loss->hidden);
	}
	loss->target.weight = (float *) batch->weight;
}

tfrs_status
tfrs_loss_begin(tfrs_loss *loss, const tfrs_loss_batch *batch, const tfrs_loss_options *options,
				tfrs_error *error)
{
	tfrs_softmax_batch same = {
		.rows = batch->queries,
		.columns = batch->candidates,
		.dim = batch->dim,
		.heads = batch->heads,
		.query = batch->query,
		.candidate = batch->candidate,
		.target = &loss->target,
		.hidden = batch->masked == NULL ? NULL : &loss->hidden,
		.probability = batch->probability,
		.id = options->remove_accidental_hits ? batch->candidate_id : NULL,
		.d_query = batch->d_query,
		.d_candidate = batch->d_candidate,
		.target_loss = batch->row_loss,
		.target_above = batch->row_above,
		.logits = batch->logits,
		.d_logits = batch->d_logits
	};
	tfrs_status status = check(batch, options, error);

	loss->target.weight = NULL;
	if (status == TFRS_OK)
		status = reserve(loss, batch, error);
	if (status != TFRS_OK)
		return status;
	fill_lists(loss, batch);
	return tfrs_softmax_begin(loss->softmax, &same, options, error);
}

tfrs_status
tfrs_loss_step(tfrs_loss *loss, double *total)
{
	return tfrs_softmax_step(loss->softmax, total);
}
