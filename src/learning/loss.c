/*
 * loss.c: the two forms of a batch made one problem for loss_tile, and the steps over its tiles.
 *
 * The plain form is a problem whose row i has the one target i.  The distinct form has the pairs of
 * a query as the targets of its row.  Tiles go to lanes (tile number modulo lanes) and a lane to
 * one worker at a time, in order; each lane has a d_candidate of its own and the lanes are summed
 * in order at the end.  How many lanes there are depends on the batch's sizes alone, so neither
 * thread count nor step size shows in the result.
 */
#include "learning/loss.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/kernels.h"
#include "base/limits.h"
#include "base/matmul.h"
#include "base/team.h"
#include "learning/loss_backward.h"
#include "learning/loss_check.h"
#include "learning/loss_forward.h"

/* Lanes beyond the first, which is the caller's d_candidate, may take that much memory. */
#define MOST_LANES 16
#define LANE_BYTES ((size_t) 64 << 20)

/* Multiply-adds of a step for each thread: some 10 ms with BLAS, under 100 ms without. */
#define STEP_WORK ((size_t) 1 << 29)

/* Floats of d_candidate that one task sums over the lanes. */
#define REDUCE_FLOATS ((size_t) 65536)

struct tfrs_loss
{
	tfrs_arena *arena;
	int			threads;
	char	   *memory;			/* of all arrays below, kept between batches */
	size_t		capacity;
	/* the batch under way */
	tfrs_loss_problem problem;
	tfrs_loss_shape shape;
	size_t		targets;		/* P */
	size_t		workers;
	size_t		lanes;
	size_t		done;			/* tiles */
	float	   *d_candidate;	/* the caller's (V, D), the first lane; or NULL */
	float	   *lane;			/* (lanes - 1, V, D) */
	char	   *scratch;		/* (workers, shape.scratch.bytes) */
	uint32_t   *target_start;	/* (U + 1) */
	uint32_t   *own_column;		/* (B) the targets of the plain form */
	float	   *adjust;			/* (V) */
	float	   *log_gain;		/* (V) */
	uint64_t   *twins;			/* (V) where accidental hits are removed */
};

/* A step's share of the tiles, as its workers see it. */
typedef struct step
{
	tfrs_loss  *loss;
	size_t		end;			/* tiles done .. end */
} step;

void
tfrs_loss_options_default(tfrs_loss_options *options)
{
	memset(options, 0, sizeof(*options));
	options->bsl_power = 1.0f;
	options->ccl_margin = 0.5f;
	options->ccl_weight = 100.0f;
	options->temperature = 1.0f;
	options->probability_floor = 1e-6f;
}

const char *
tfrs_loss_options_check(const tfrs_loss_options *options)
{
	if (!(options->temperature >= FLT_MIN && options->temperature <= FLT_MAX))
		return "temperature must be a positive number";
	if (!(options->probability_floor >= FLT_MIN && options->probability_floor <= 1.0f))
		return "probability_floor must be above 0 and at most 1";
	if (options->kind < TFRS_LOSS_SOFTMAX || options->kind > TFRS_LOSS_CCL)
		return "loss must be softmax, bsl or ccl";
	if (!(options->bsl_power > 0.0f && options->bsl_power <= FLT_MAX))
		return "bsl_power must be a positive number";
	if (!(options->ccl_margin >= -1.0f && options->ccl_margin <= 1.0f))
		return "ccl_margin must be between -1 and 1";
	if (!(options->ccl_weight >= 0.0f && options->ccl_weight <= FLT_MAX))
		return "ccl_weight must be finite and not negative";
	return NULL;
}

tfrs_status
tfrs_loss_create(tfrs_loss **loss, tfrs_arena *arena, int threads, tfrs_error *error)
{
	tfrs_status status = TFRS_GET_ZERO(arena, loss, 1, error);

	if (status != TFRS_OK)
		return status;
	tfrs_matmul_load();
	(*loss)->arena = arena;
	(*loss)->threads = threads < 1 ? 1 : threads > TFRS_MAX_THREADS ? TFRS_MAX_THREADS : threads;
	return TFRS_OK;
}

void
tfrs_loss_destroy(tfrs_loss *loss)
{
	tfrs_arena *arena;

	if (loss == NULL)
		return;
	arena = loss->arena;
	tfrs_arena_release(arena, loss->memory);
	tfrs_arena_release(arena, loss);
}

static size_t
smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Lanes of d_candidate: as many as tiles and memory allow, the caller's own among them. */
static size_t
choose_lanes(const tfrs_loss *loss)
{
	size_t		bytes = loss->problem.columns * loss->problem.dim * sizeof(float);
	size_t		lanes = smaller(MOST_LANES, loss->shape.tiles);

	return loss->d_candidate == NULL ? lanes : smaller(lanes, 1 + LANE_BYTES / bytes);
}

/* Where our own arrays lie in the memory. */
typedef struct places
{
	size_t		target_start;
	size_t		own_column;
	size_t		target_logit;
	size_t		target_loss;
	size_t		target_own;
	size_t		adjust;
	size_t		log_gain;
	size_t		twins;
	size_t		lane;
	size_t		scratch;
} places;

/* Cuts the problem, whose sizes and caller's arrays are set, and places our own arrays. */
static tfrs_layout
place_arrays(tfrs_loss *loss, bool has_twins, places *at)
{
	const tfrs_loss_problem *problem = &loss->problem;
	tfrs_layout layout = {0, true};
	size_t		lanes = 0;		/* of our own */

	tfrs_loss_shape_choose(&loss->shape, problem);
	loss->lanes = choose_lanes(loss);
	loss->workers = loss->lanes == 0 ? 1 : smaller(loss->threads, loss->lanes);
	if (loss->d_candidate != NULL && loss->lanes > 1)
		lanes = loss->lanes - 1;
	at->target_start = tfrs_layout_place(&layout, problem->rows + 1, sizeof(uint32_t));
	at->own_column = tfrs_layout_place(&layout, problem->rows, sizeof(uint32_t));
	at->target_logit = tfrs_layout_place(&layout, loss->targets, sizeof(float));
	at->target_loss = tfrs_layout_place(&layout, loss->targets, sizeof(double));
	at->target_own = tfrs_layout_place(&layout, loss->targets, sizeof(float));
	at->adjust = tfrs_layout_place(&layout, problem->columns, sizeof(float));
	at->log_gain = tfrs_layout_place(&layout, problem->columns, sizeof(float));
	at->twins = tfrs_layout_place(&layout, has_twins ? problem->columns : 0, sizeof(uint64_t));
	at->lane = tfrs_layout_place(&layout, lanes * problem->columns, problem->dim * sizeof(float));
	at->scratch = tfrs_layout_place(&layout, loss->workers, loss->shape.scratch.bytes);
	layout.fits = layout.fits && loss->shape.scratch.fits;
	return layout;
}

size_t
tfrs_loss_bytes(const tfrs_loss_distinct *sizes, const tfrs_loss_options *options, int threads)
{
	tfrs_loss	loss = {.threads = threads,.targets = sizes->pairs};
	places		at;
	tfrs_layout layout;

	loss.problem.rows = sizes->queries;
	loss.problem.heads = 1;
	loss.problem.columns = sizes->candidates;
	loss.problem.dim = sizes->dim;
	loss.problem.hard_negatives = options->hard_negatives;
	loss.d_candidate = (float *) &loss; /* there are gradients; nothing is read or written */
	layout = place_arrays(&loss, options->remove_accidental_hits, &at);
	return layout.fits ? layout.bytes : SIZE_MAX;
}

static void
point(tfrs_loss *loss, const places *at)
{
	tfrs_loss_problem *problem = &loss->problem;
	char	   *memory = loss->memory;

	loss->target_start = (uint32_t *) (memory + at->target_start);
	loss->own_column = (uint32_t *) (memory + at->own_column);
	problem->target_logit = (float *) (memory + at->target_logit);
	if (problem->target_loss == NULL)
		problem->target_loss = (double *) (memory + at->target_loss);
	problem->target_own = (float *) (memory + at->target_own);
	loss->adjust = (float *) (memory + at->adjust);
	loss->log_gain = (float *) (memory + at->log_gain);
	loss->twins = (uint64_t *) (memory + at->twins);
	loss->lane = (float *) (memory + at->lane);
	loss->scratch = memory + at->scratch;
	problem->target_start = loss->target_start;
}

/* Finds memory for our own arrays. */
static tfrs_status
prepare(tfrs_loss *loss, bool has_twins, tfrs_error *error)
{
	places		at;
	tfrs_layout layout = place_arrays(loss, has_twins, &at);
	tfrs_status status;

	if (!layout.fits)
		return tfrs_fail(error, TFRS_TOO_LARGE, "the batch is too large");
	if (layout.bytes > loss->capacity)
	{
		tfrs_arena_release(loss->arena, loss->memory);
		loss->capacity = 0;
		status = TFRS_GET(loss->arena, &loss->memory, layout.bytes, error);
		if (status != TFRS_OK)
			return status;
		loss->capacity = layout.bytes;
	}
	point(loss, &at);
	return TFRS_OK;
}

/* Zeroes the sums; the batch may be stepped from here on. */
static void
start(tfrs_loss *loss)
{
	size_t		floats = loss->problem.columns * loss->problem.dim;

	loss->done = 0;
	if (loss->d_candidate == NULL)
		return;
	memset(loss->d_candidate, 0, floats * sizeof(float));
	if (loss->lanes > 1)
		memset(loss->lane, 0, (loss->lanes - 1) * floats * sizeof(float));
}

/* How many columns of the batch are not a given positive: at least 1, for the logarithm. */
static double
other_columns(const tfrs_loss_problem *problem)
{
	double		others = -1.0;

	if (problem->count == NULL)
		others += problem->columns;
	for (size_t j = 0; problem->count != NULL && j < problem->columns; j++)
		others += problem->count[j];
	return others > 1.0 ? others : 1.0;
}

/*
 * What is added to a column's logits before targets are taken from them (adjust: -ln p in the order
 * of TFRS) and after that (log_gain: ln count, and -ln (n p) where the positive is no sample).
 */
static void
fill_columns(tfrs_loss *loss, const float *probability, const tfrs_loss_options *options)
{
	tfrs_loss_problem *problem = &loss->problem;
	const float *count = problem->count;
	bool		late = options->leave_positive_out;
	float		base = late ? (float) -log(other_columns(problem)) : 0.0f;

	for (size_t j = 0; j < problem->columns; j++)
	{
		float		correction = 0.0f;

		if (probability != NULL)
			correction = -logf(fminf(fmaxf(probability[j], options->probability_floor), 1.0f));
		loss->adjust[j] = late ? 0.0f : correction;
		loss->log_gain[j] = late ? base + correction : 0.0f;
		if (count != NULL)
			loss->log_gain[j] += count[j] > 0.0f ? logf(count[j]) : TFRS_LOSS_HIDDEN;
		problem->has_zero_count |= count != NULL && count[j] == 0.0f;
	}
	problem->leave_target_out = late;
	problem->adjust = probability != NULL && !late ? loss->adjust : NULL;
	problem->log_gain = count != NULL || late ? loss->log_gain : NULL;
}

/* The negatives' weights in the mean of ccl, in log_gain's place. */
static void
fill_weights(tfrs_loss *loss, const float *probability, const tfrs_loss_options *options)
{
	tfrs_loss_problem *problem = &loss->problem;
	double		sum = 0.0;

	for (size_t j = 0; j < problem->columns; j++)
	{
		float		weight = problem->count == NULL ? 1.0f : problem->count[j];

		if (probability != NULL)
			weight /= fminf(fmaxf(probability[j], options->probability_floor), 1.0f);
		loss->log_gain[j] = weight;
		sum += weight;
	}
	for (size_t j = 0; j < problem->columns && sum > 0.0; j++)
		loss->log_gain[j] = (float) (loss->log_gain[j] / sum);
	problem->weight = loss->log_gain;
}

/* What the loss is to make of the cells, and of each column. */
static void
choose_loss(tfrs_loss *loss, const float *probability, const tfrs_loss_options *options)
{
	tfrs_loss_problem *problem = &loss->problem;

	problem->kind = options->kind;
	problem->power = options->kind == TFRS_LOSS_BSL ? options->bsl_power : 1.0f;
	problem->margin = options->ccl_margin;
	problem->hinge_weight = options->ccl_weight;
	if (options->kind == TFRS_LOSS_CCL)
		fill_weights(loss, probability, options);
	else
		fill_columns(loss, probability, options);
}

static int
compare_keys(const void *a, const void *b)
{
	uint64_t	x = *(const uint64_t *) a;
	uint64_t	y = *(const uint64_t *) b;

	return (x > y) - (x < y);
}

static void
fill_twins(tfrs_loss *loss, const uint32_t *candidate_id)
{
	size_t		count = loss->problem.columns;

	for (size_t j = 0; j < count; j++)
		loss->twins[j] = (uint64_t) candidate_id[j] << 32 | j;
	qsort(loss->twins, count, sizeof(*loss->twins), compare_keys);
	loss->problem.twins = loss->twins;
	loss->problem.twin_count = count;
	loss->problem.id = candidate_id;
}

static float
inverse_temperature(const tfrs_loss_options *options)
{
	return options->kind == TFRS_LOSS_CCL ? 1.0f : 1.0f / options->temperature;
}

static tfrs_status
check_plain(const tfrs_loss_batch *batch, const tfrs_loss_options *options, tfrs_error *error)
{
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
	return TFRS_OK;
}

tfrs_status
tfrs_loss_begin(tfrs_loss *loss, const tfrs_loss_batch *batch, const tfrs_loss_options *options,
				tfrs_error *error)
{
	tfrs_loss_problem problem = {
		.rows = batch->queries,
		.heads = batch->heads,
		.columns = batch->candidates,
		.dim = batch->dim,
		.inverse_temperature = inverse_temperature(options),
		.query = batch->query,
		.candidate = batch->candidate,
		.target_weight = batch->weight,
		.masked = batch->masked,
		.masked_count = batch->masked_count,
		.target_loss = batch->row_loss,
		.d_query = batch->d_query,
		.target_above = batch->row_above,
		.logits = batch->logits,
		.d_logits = batch->d_logits
	};
	tfrs_status status;

	if (options->hard_negatives < batch->candidates - 1)
		problem.hard_negatives = options->hard_negatives;
	loss->problem = problem;
	loss->targets = batch->queries;
	loss->d_candidate = batch->d_candidate;
	status = check_plain(batch, options, error);
	if (status == TFRS_OK)
		status = tfrs_loss_check(&problem, batch->queries, batch->probability, true, error);
	if (status == TFRS_OK)
		status = prepare(loss, options->remove_accidental_hits, error);
	if (status != TFRS_OK)
		return status;
	for (size_t i = 0; i < batch->queries; i++)
		loss->target_start[i] = loss->own_column[i] = (uint32_t) i;
	loss->target_start[batch->queries] = (uint32_t) batch->queries;
	loss->problem.target_column = loss->own_column;
	choose_loss(loss, batch->probability, options);
	if (options->remove_accidental_hits)
		fill_twins(loss, batch->candidate_id);
	start(loss);
	return TFRS_OK;
}

static tfrs_status
check_distinct(const tfrs_loss_distinct *batch, const tfrs_loss_options *options,
			   tfrs_error *error)
{
	if (options->hard_negatives > 0)
		return tfrs_fail(error, TFRS_UNSUPPORTED, "hard negatives need the plain form");
	for (size_t p = 0; p < batch->pairs; p++)
		if (batch->pair_query[p] >= batch->queries ||
			batch->pair_candidate[p] >= batch->candidates ||
			(p > 0 && batch->pair_query[p] < batch->pair_query[p - 1]))
			return tfrs_fail(error, TFRS_INVALID_ARGUMENT,
							 "pairs must be ascending by query and inside the batch");
	return TFRS_OK;
}

tfrs_status
tfrs_loss_begin_distinct(tfrs_loss *loss, const tfrs_loss_distinct *batch,
						 const tfrs_loss_options *options, tfrs_error *error)
{
	tfrs_loss_problem problem = {
		.rows = batch->queries,
		.heads = 1,
		.columns = batch->candidates,
		.dim = batch->dim,
		.inverse_temperature = inverse_temperature(options),
		.query = batch->query,
		.candidate = batch->candidate,
		.count = batch->candidate_count,
		.own_once = options->remove_accidental_hits,
		.target_column = batch->pair_candidate,
		.target_weight = batch->pair_weight,
		.masked = batch->masked,
		.masked_count = batch->masked_count,
		.target_loss = batch->pair_loss,
		.target_above = batch->pair_above,
		.d_query = batch->d_query
	};
	size_t		pair = 0;
	tfrs_status status;

	loss->problem = problem;
	loss->targets = batch->pairs;
	loss->d_candidate = batch->d_candidate;
	status = check_distinct(batch, options, error);
	if (status == TFRS_OK)
		status = tfrs_loss_check(&problem, batch->pairs, batch->probability, false, error);
	if (status == TFRS_OK)
		status = prepare(loss, false, error);
	if (status != TFRS_OK)
		return status;
	for (size_t u = 0; u <= batch->queries; u++)
	{
		while (pair < batch->pairs && batch->pair_query[pair] < u)
			pair++;
		loss->target_start[u] = (uint32_t) pair;
	}
	choose_loss(loss, batch->probability, options);
	start(loss);
	return TFRS_OK;
}

static float *
lane_of(const tfrs_loss *loss, size_t lane)
{
	if (lane == 0 || loss->d_candidate == NULL)
		return loss->d_candidate;
	return loss->lane + (lane - 1) * loss->problem.columns * loss->problem.dim;
}

/* The tiles of one lane in this step. */
static void
run_lane(void *context, int worker, size_t lane)
{
	const step *step = context;
	const tfrs_loss *loss = step->loss;
	size_t		skipped = (loss->lanes - loss->done % loss->lanes + lane) % loss->lanes;

	for (size_t number = loss->done + skipped; number < step->end; number += loss->lanes)
	{
		tfrs_loss_tile tile;

		tfrs_loss_tile_init(&tile, &loss->problem, &loss->shape, number,
							loss->scratch + worker * loss->shape.scratch.bytes);
		tile.d_candidate = lane_of(loss, lane);
		tfrs_loss_forward(&tile);
		tfrs_loss_backward(&tile);
	}
}

/* Sums one stretch of d_candidate over the lanes, in their order. */
static void
reduce_stretch(void *context, int worker, size_t stretch)
{
	const tfrs_loss *loss = context;
	size_t		floats = loss->problem.columns * loss->problem.dim;
	size_t		from = stretch * REDUCE_FLOATS;
	size_t		count = smaller(REDUCE_FLOATS, floats - from);

	(void) worker;
	for (size_t l = 1; l < loss->lanes; l++)
		tfrs_kernels.add_scaled(loss->d_candidate + from, lane_of(loss, l) + from, count, 1.0f);
}

static double
weighted_total(const tfrs_loss *loss)
{
	const float *weight = loss->problem.target_weight;
	double		total = 0.0;

	for (size_t t = 0; t < loss->targets; t++)
		total += (weight == NULL ? 1.0 : weight[t]) * loss->problem.target_loss[t];
	return total;
}

tfrs_status
tfrs_loss_step(tfrs_loss *loss, double *total, tfrs_error *error)
{
	const tfrs_loss_problem *problem = &loss->problem;
	double		tile_work = 3.0 * loss->shape.tile_rows * problem->heads * problem->columns *
		problem->dim;
	size_t		tiles = (size_t) ((double) STEP_WORK * loss->workers / tile_work) + 1;
	step		step = {loss, smaller(loss->shape.tiles, loss->done + tiles)};
	size_t		floats = problem->columns * problem->dim;

	(void) error;
	tfrs_team_run(loss->workers, loss->lanes, run_lane, &step);
	loss->done = step.end;
	if (loss->done < loss->shape.tiles)
		return TFRS_MORE;
	if (loss->d_candidate != NULL && loss->lanes > 1)
		tfrs_team_run(loss->workers, (floats + REDUCE_FLOATS - 1) / REDUCE_FLOATS,
					  reduce_stretch, loss);
	*total = weighted_total(loss);
	return TFRS_OK;
}
