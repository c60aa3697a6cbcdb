/*
 * softmax.c: what is added to the logits of the columns, and the steps over a batch's tiles.
 *
 * Tiles go to lanes (tile number modulo lanes) and a lane to one worker at a time, in order; each
 * lane has a d_candidate of its own and the lanes are summed in order at the end.  How many lanes
 * there are depends on the batch's sizes alone, so neither thread count nor step size shows in the
 * result.
 */
#include "learning/softmax.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/kernels.h"
#include "base/limits.h"
#include "base/matmul.h"
#include "base/team.h"
#include "learning/softmax_tile.h"

/* Lanes beyond the first, which is the caller's d_candidate, may take that much memory. */
#define MOST_LANES 16
#define LANE_BYTES ((size_t) 64 << 20)

/* Multiply-adds of a step for each thread: some 10 ms with BLAS, under 100 ms without. */
#define STEP_WORK ((size_t) 1 << 29)

/* Floats of d_candidate that one task sums over the lanes. */
#define REDUCE_FLOATS ((size_t) 65536)

struct tfrs_softmax
{
	tfrs_arena *arena;
	int			threads;
	char	   *memory;			/* of all arrays below, kept between batches */
	size_t		capacity;
	/* the batch under way */
	tfrs_softmax_problem problem;
	tfrs_softmax_shape shape;
	size_t		targets;		/* P */
	size_t		workers;
	size_t		lanes;
	size_t		done;			/* tiles */
	float	   *lane;			/* (lanes - 1, V, D) */
	char	   *scratch;		/* (workers, shape.bytes) */
	float	   *adjust;			/* (V) */
	float	   *log_gain;		/* (V) */
};

/* A step's share of the tiles, as its workers see it. */
typedef struct step
{
	tfrs_softmax *softmax;
	size_t		end;			/* tiles done .. end */
} step;

tfrs_status
tfrs_softmax_create(tfrs_softmax **softmax, tfrs_arena *arena, int threads, tfrs_error *error)
{
	tfrs_status status = TFRS_GET_ZERO(arena, softmax, 1, error);

	if (status != TFRS_OK)
		return status;
	tfrs_matmul_load();
	(*softmax)->arena = arena;
	(*softmax)->threads = threads < 1 ? 1 : threads > TFRS_MAX_THREADS ? TFRS_MAX_THREADS : threads;
	return TFRS_OK;
}

void
tfrs_softmax_destroy(tfrs_softmax *softmax)
{
	if (softmax == NULL)
		return;
	tfrs_arena_release(softmax->arena, softmax->memory);
	tfrs_arena_release(softmax->arena, softmax);
}

/* Our own arrays. */
static void
arrays(void *object, tfrs_plan *plan)
{
	tfrs_softmax *softmax = object;
	tfrs_softmax_problem *problem = &softmax->problem;
	const tfrs_softmax_batch *batch = &problem->batch;
	size_t		lanes = softmax->lanes > 1 ? softmax->lanes - 1 : 0;

	TFRS_PLAN(plan, &problem->target_logit, softmax->targets);
	TFRS_PLAN(plan, &problem->target_loss, softmax->targets);
	TFRS_PLAN(plan, &problem->target_own, softmax->targets);
	TFRS_PLAN(plan, &problem->target_factor, softmax->targets);
	TFRS_PLAN(plan, &softmax->adjust, batch->columns);
	TFRS_PLAN(plan, &softmax->log_gain, batch->columns);
	if (batch->id != NULL)
		TFRS_PLAN(plan, &problem->twins, batch->columns);
	if (batch->d_candidate != NULL)
		TFRS_PLAN_VECTORS(plan, &softmax->lane, lanes * batch->columns, batch->dim);
	tfrs_plan_array(plan, (void **) &softmax->scratch, softmax->workers, softmax->shape.bytes);
}

/* Lanes of d_candidate: as many as tiles and memory allow, the caller's own among them. */
static size_t
choose_lanes(const tfrs_softmax *softmax)
{
	const tfrs_softmax_batch *batch = &softmax->problem.batch;
	size_t		bytes = batch->columns * batch->dim * sizeof(float);
	size_t		lanes = tfrs_size_smaller(MOST_LANES, softmax->shape.tiles);

	return batch->d_candidate == NULL ? lanes : tfrs_size_smaller(lanes, 1 + LANE_BYTES / bytes);
}

/* Cuts the problem, whose sizes are set; *bytes receives what our own arrays take. */
static tfrs_status
cut(tfrs_softmax *softmax, size_t *bytes, tfrs_error *error)
{
	tfrs_status status = tfrs_softmax_shape_choose(&softmax->shape, &softmax->problem, error);

	*bytes = 0;
	if (status != TFRS_OK)
		return status;
	softmax->lanes = choose_lanes(softmax);
	softmax->workers = softmax->lanes == 0 ? 1
		: tfrs_size_smaller((size_t) softmax->threads, softmax->lanes);
	return tfrs_plan_count(arrays, softmax, bytes, error);
}

static tfrs_softmax_problem
problem_of(const tfrs_softmax_batch *batch, const tfrs_loss_options *options)
{
	tfrs_softmax_problem problem = {
		.batch = *batch,
		.kind = options->kind,
		.inverse_temperature = options->kind == TFRS_LOSS_CCL ? 1.0f : 1.0f / options->temperature,
		.power = options->kind == TFRS_LOSS_BSL ? options->bsl_power : 1.0f,
		.margin = options->ccl_margin,
		.hinge_weight = options->ccl_weight,
		.own_once = options->remove_accidental_hits && batch->id == NULL,
		.leave_target_out = options->leave_positive_out
	};

	if (batch->heads == 0)
		problem.batch.heads = 1;
	if (options->hard_negatives < batch->columns - 1)
		problem.hard_negatives = options->hard_negatives;
	return problem;
}

size_t
tfrs_softmax_bytes(const tfrs_softmax_batch *most, size_t targets, const tfrs_loss_options *options,
				   int threads)
{
	tfrs_softmax softmax = {
		.threads = threads, .targets = targets, .problem = problem_of(most, options)
	};
	size_t		bytes;

	softmax.problem.batch.d_candidate = (float *) &softmax; /* there are gradients */
	return cut(&softmax, &bytes, NULL) == TFRS_OK ? bytes : SIZE_MAX;
}

/* Finds memory for our own arrays. */
static tfrs_status
prepare(tfrs_softmax *softmax, tfrs_error *error)
{
	size_t		bytes;
	tfrs_status status = cut(softmax, &bytes, error);

	if (status == TFRS_OK && bytes > softmax->capacity)
	{
		tfrs_arena_release(softmax->arena, softmax->memory);
		softmax->memory = NULL;
		softmax->capacity = 0;
		status = TFRS_GET(softmax->arena, &softmax->memory, bytes, error);
		softmax->capacity = status == TFRS_OK ? bytes : 0;
	}
	if (status == TFRS_OK)
		tfrs_plan_place(softmax->memory, arrays, softmax);
	return status;
}

/* How many columns of the batch are not a given positive: at least 1, for the logarithm. */
static double
other_columns(const tfrs_softmax_batch *batch)
{
	double		others = -1.0;

	if (batch->count == NULL)
		others += (double) batch->columns;
	for (size_t j = 0; batch->count != NULL && j < batch->columns; j++)
		others += batch->count[j];
	return others > 1.0 ? others : 1.0;
}

/* -ln p of a column, as TFRS clips it. */
static float
correction_of(const tfrs_softmax_batch *batch, size_t j, const tfrs_loss_options *options)
{
	if (batch->probability == NULL)
		return 0.0f;
	return -logf(fminf(fmaxf(batch->probability[j], options->probability_floor), 1.0f));
}

/*
 * What is added to a column's logits before targets are taken from them (adjust: -ln p in the order
 * of TFRS) and after that (log_gain: ln count, and -ln (n p) where the positive is no sample).
 */
static void
fill_columns(tfrs_softmax *softmax, const tfrs_loss_options *options)
{
	tfrs_softmax_problem *problem = &softmax->problem;
	const tfrs_softmax_batch *batch = &problem->batch;
	const float *count = batch->count;
	bool		late = options->leave_positive_out;
	float		base = late ? (float) -log(other_columns(batch)) : 0.0f;

	for (size_t j = 0; j < batch->columns; j++)
	{
		float		correction = correction_of(batch, j, options);

		softmax->adjust[j] = late ? 0.0f : correction;
		softmax->log_gain[j] = late ? base + correction : 0.0f;
		if (count != NULL)
			softmax->log_gain[j] += count[j] > 0.0f ? logf(count[j]) : TFRS_SOFTMAX_HIDDEN;
	}
	problem->adjust = late || batch->probability == NULL ? NULL : softmax->adjust;
	problem->log_gain = late || count != NULL ? softmax->log_gain : NULL;
}

/* Weights of the columns in ccl's mean; they need the same arrays. */
static void
fill_weights(tfrs_softmax *softmax, const tfrs_loss_options *options)
{
	const tfrs_softmax_batch *batch = &softmax->problem.batch;
	float	   *weight = softmax->adjust;
	double		sum = 0.0;

	for (size_t j = 0; j < batch->columns; j++)
	{
		weight[j] = expf(correction_of(batch, j, options)) *
			(batch->count == NULL ? 1.0f : batch->count[j]);
		sum += weight[j];
	}
	for (size_t j = 0; j < batch->columns && sum > 0.0; j++)
		weight[j] = (float) (weight[j] / sum);
	softmax->problem.weight = weight;
}

static int
compare_keys(const void *a, const void *b)
{
	uint64_t	x = *(const uint64_t *) a;
	uint64_t	y = *(const uint64_t *) b;

	return (x > y) - (x < y);
}

static void
fill_twins(tfrs_softmax *softmax)
{
	const tfrs_softmax_batch *batch = &softmax->problem.batch;
	uint64_t   *twins = softmax->problem.twins;

	for (size_t j = 0; j < batch->columns; j++)
		twins[j] = (uint64_t) batch->id[j] << 32 | j;
	qsort(twins, batch->columns, sizeof(*twins), compare_keys);
}

/* The batch may be stepped from here on; the first tile of a lane overwrites its gradient. */
static void
start(tfrs_softmax *softmax)
{
	const tfrs_softmax_batch *batch = &softmax->problem.batch;

	softmax->done = 0;
	if (batch->target_loss != NULL)
		softmax->problem.target_loss = batch->target_loss;
	if (batch->d_candidate != NULL && batch->rows == 0)
		memset(batch->d_candidate, 0, batch->columns * batch->dim * sizeof(float));
}

tfrs_status
tfrs_softmax_begin(tfrs_softmax *softmax, const tfrs_softmax_batch *batch,
				   const tfrs_loss_options *options, tfrs_error *error)
{
	tfrs_status status;

	softmax->problem = problem_of(batch, options);
	softmax->targets = batch->target->count;
	status = tfrs_softmax_check(&softmax->problem, error);
	if (status == TFRS_OK)
		status = prepare(softmax, error);
	if (status != TFRS_OK)
		return status;
	if (options->kind == TFRS_LOSS_CCL)
		fill_weights(softmax, options);
	else
		fill_columns(softmax, options);
	if (batch->id != NULL)
		fill_twins(softmax);
	start(softmax);
	return TFRS_OK;
}

static float *
lane_of(const tfrs_softmax *softmax, size_t lane)
{
	const tfrs_softmax_batch *batch = &softmax->problem.batch;

	if (lane == 0 || batch->d_candidate == NULL)
		return batch->d_candidate;
	return softmax->lane + (lane - 1) * batch->columns * batch->dim;
}

/* The tiles of one lane in this step. */
static void
run_lane(void *context, int worker, size_t lane)
{
	const step *step = context;
	const tfrs_softmax *softmax = step->softmax;
	size_t		skipped = (softmax->lanes - softmax->done % softmax->lanes + lane) % softmax->lanes;

	for (size_t number = softmax->done + skipped; number < step->end; number += softmax->lanes)
	{
		tfrs_softmax_tile tile;

		tfrs_softmax_tile_init(&tile, &softmax->problem, &softmax->shape, number,
							   softmax->scratch + (size_t) worker * softmax->shape.bytes);
		tile.d_candidate = lane_of(softmax, lane);
		tile.is_first = number == lane;
		tfrs_softmax_forward(&tile);
		tfrs_softmax_backward(&tile);
	}
}

/* Sums one stretch of d_candidate over the lanes, in their order. */
static void
reduce_stretch(void *context, int worker, size_t stretch)
{
	const tfrs_softmax *softmax = context;
	const tfrs_softmax_batch *batch = &softmax->problem.batch;
	size_t		from = stretch * REDUCE_FLOATS;
	size_t		count = tfrs_size_smaller(REDUCE_FLOATS, batch->columns * batch->dim - from);

	(void) worker;
	for (size_t l = 1; l < softmax->lanes; l++)
		tfrs_kernels.add_scaled(batch->d_candidate + from, lane_of(softmax, l) + from, count, 1.0f);
}

static double
weighted_total(const tfrs_softmax *softmax)
{
	const float *weight = softmax->problem.batch.target->weight;
	double		total = 0.0;

	for (size_t t = 0; t < softmax->targets; t++)
		total += (weight == NULL ? 1.0 : weight[t]) * softmax->problem.target_loss[t];
	return total;
}

tfrs_status
tfrs_softmax_step(tfrs_softmax *softmax, double *total)
{
	const tfrs_softmax_batch *batch = &softmax->problem.batch;
	double		tile_work = 3.0 * (double) softmax->shape.tile_rows * (double) batch->heads *
		(double) batch->columns * (double) batch->dim;
	size_t		tiles = (size_t) ((double) STEP_WORK * (double) softmax->workers / tile_work) + 1;
	step		step = {softmax, tfrs_size_smaller(softmax->shape.tiles, softmax->done + tiles)};
	size_t		floats = batch->columns * batch->dim;

	tfrs_team_run((int) softmax->workers, softmax->lanes, run_lane, &step);
	softmax->done = step.end;
	if (softmax->done < softmax->shape.tiles)
		return TFRS_MORE;
	if (batch->d_candidate != NULL && softmax->lanes > 1)
		tfrs_team_run((int) softmax->workers, (floats + REDUCE_FLOATS - 1) / REDUCE_FLOATS,
					  reduce_stretch, softmax);
	*total = weighted_total(softmax);
	return TFRS_OK;
}
