/*
 * ridge.c: a round of conjugate gradients is three walks: the product of the system with the direction,
 * row by row; its square; and the move along the direction.
 */
#include "learning/ridge.h"

#include <string.h>

#include "base/team.h"

/* Columns of a task. */
#define SLICE ((size_t) 16)

/* Multiply-adds of a step and thread: some milliseconds. */
#define STEP_WORK ((size_t) 1 << 22)

/* The residual that is small enough, as a share of the first one; rounds at most. */
#define TOLERANCE 1e-3
#define MOST_ROUNDS 100

/* Of the intercept: only that there is a solution where no row is weighed. */
#define INTERCEPT_PENALTY 1e-6f

enum
{
	RIGHT,						/* product = P' w target */
	START,						/* residual = direction = product - penalty S */
	SCALE,						/* product = penalty direction */
	MULTIPLY,					/* product += P' w P direction */
	CURVE,						/* change = direction . product */
	MOVE,						/* along the direction; change = |residual|^2 */
	TURN,						/* the next direction */
	SOLVED
};

void
tfrs_ridge_size(tfrs_ridge *ridge, const tfrs_ridge_system *system)
{
	memset(ridge, 0, sizeof(*ridge));
	ridge->system = *system;
	ridge->words = system->content->vocabulary.words + system->intercept;
}

void
tfrs_ridge_arrays(void *object, tfrs_plan *plan)
{
	tfrs_ridge *ridge = object;
	size_t		columns = ridge->system.columns;

	tfrs_plan_array_zero(plan, (void **) &ridge->solution, ridge->words, columns * sizeof(float));
	tfrs_plan_array_zero(plan, (void **) &ridge->product, ridge->words, columns * sizeof(float));
	TFRS_PLAN_VECTORS(plan, &ridge->residual, ridge->words, columns);
	TFRS_PLAN_VECTORS(plan, &ridge->direction, ridge->words, columns);
	TFRS_PLAN_ZERO(plan, &ridge->square, columns);
	TFRS_PLAN_ZERO(plan, &ridge->enough, columns);
	TFRS_PLAN_ZERO(plan, &ridge->change, columns);
	TFRS_PLAN_ZERO(plan, &ridge->factor, columns);
}

tfrs_status
tfrs_ridge_begin(tfrs_ridge *ridge, tfrs_arena *arena, const tfrs_ridge_system *system,
				 tfrs_error *error)
{
	tfrs_status status;

	tfrs_ridge_size(ridge, system);
	status = tfrs_plan_take(arena, tfrs_ridge_arrays, ridge, error);
	ridge->arena = status == TFRS_OK ? arena : NULL;
	return status;
}

void
tfrs_ridge_free(tfrs_ridge *ridge)
{
	if (ridge->arena == NULL)
		return;
	tfrs_plan_release(ridge->arena, tfrs_ridge_arrays, ridge);
	memset(ridge, 0, sizeof(*ridge));
}

/* sum (count) += value * row (count) */
static inline void
add(float *sum, const float *row, size_t count, float value)
{
	for (size_t c = 0; c < count; c++)
		sum[c] += value * row[c];
}

/* Columns [start, start + count) of P_i direction. */
static void
read_row(const tfrs_ridge *ridge, size_t i, size_t start, size_t count, float *sum)
{
	const tfrs_content *content = ridge->system.content;
	const float *from = ridge->direction + start;
	size_t		columns = ridge->system.columns;

	memset(sum, 0, SLICE * sizeof(float));
	for (uint64_t e = content->offsets[i]; e < content->offsets[i + 1]; e++)
		add(sum, from + content->word[e] * columns, count, content->value[e]);
	if (ridge->system.intercept)
		add(sum, from + (ridge->words - 1) * columns, count, 1);
}

/* product += P_i' weight * sum */
static void
spread_row(tfrs_ridge *ridge, size_t i, size_t start, size_t count, const float *sum)
{
	const tfrs_content *content = ridge->system.content;
	float	   *to = ridge->product + start;
	float		weight = ridge->system.weight[i];
	size_t		columns = ridge->system.columns;

	for (uint64_t e = content->offsets[i]; e < content->offsets[i + 1]; e++)
		add(to + content->word[e] * columns, sum, count, weight * content->value[e]);
	if (ridge->system.intercept)
		add(to + (ridge->words - 1) * columns, sum, count, weight);
}

/* A task: some columns of the rows of the step. */
static void
multiply(void *context, int worker, size_t task)
{
	tfrs_ridge *ridge = context;
	const tfrs_ridge_system *system = &ridge->system;
	size_t		start = task * SLICE;
	size_t		count = tfrs_size_smaller(SLICE, system->columns - start);
	float		sum[SLICE];

	(void) worker;
	for (size_t i = ridge->first; i < ridge->done; i++)
	{
		if (system->weight[i] == 0)
			continue;
		if (ridge->phase == RIGHT)
			memcpy(sum, system->target + i * system->pitch + start, count * sizeof(float));
		else
			read_row(ridge, i, start, count, sum);
		spread_row(ridge, i, start, count, sum);
	}
}

static tfrs_status
multiply_rows(tfrs_ridge *ridge)
{
	const tfrs_content *content = ridge->system.content;
	size_t		most = STEP_WORK * (size_t) ridge->system.threads / ridge->system.columns + 1;
	size_t		work = 0;

	ridge->first = ridge->done;
	for (; ridge->done < content->candidates && work < most; ridge->done++)
		work += content->offsets[ridge->done + 1] - content->offsets[ridge->done] + 2;
	tfrs_team_run(ridge->system.threads, (ridge->system.columns + SLICE - 1) / SLICE, multiply,
				  ridge);
	return ridge->done < content->candidates ? TFRS_MORE : TFRS_OK;
}

static float
penalty_of(const tfrs_ridge *ridge, size_t word)
{
	return ridge->system.intercept && word == ridge->words - 1 ? INTERCEPT_PENALTY
		: ridge->system.penalty;
}

static void
start_word(tfrs_ridge *ridge, size_t word)
{
	size_t		at = word * ridge->system.columns;
	const float *shift = ridge->system.shift;

	for (size_t c = 0; c < ridge->system.columns; c++)
	{
		float		right = ridge->product[at + c];

		if (shift != NULL)
			right -= penalty_of(ridge, word) * shift[at + c];
		ridge->residual[at + c] = ridge->direction[at + c] = right;
		ridge->change[c] += (double) right * right;
	}
}

static void
scale_word(tfrs_ridge *ridge, size_t word)
{
	size_t		at = word * ridge->system.columns;

	for (size_t c = 0; c < ridge->system.columns; c++)
		ridge->product[at + c] = penalty_of(ridge, word) * ridge->direction[at + c];
}

static void
curve_word(tfrs_ridge *ridge, size_t word)
{
	size_t		at = word * ridge->system.columns;

	for (size_t c = 0; c < ridge->system.columns; c++)
		ridge->change[c] += (double) ridge->direction[at + c] * ridge->product[at + c];
}

static void
move_word(tfrs_ridge *ridge, size_t word)
{
	size_t		at = word * ridge->system.columns;

	for (size_t c = 0; c < ridge->system.columns; c++)
	{
		float		residual = ridge->residual[at + c] - ridge->factor[c] * ridge->product[at + c];

		ridge->solution[at + c] += ridge->factor[c] * ridge->direction[at + c];
		ridge->residual[at + c] = residual;
		ridge->change[c] += (double) residual * residual;
	}
}

static void
turn_word(tfrs_ridge *ridge, size_t word)
{
	size_t		at = word * ridge->system.columns;

	for (size_t c = 0; c < ridge->system.columns; c++)
		ridge->direction[at + c] = ridge->residual[at + c] +
			ridge->factor[c] * ridge->direction[at + c];
}

/* The sums of a walk are known: what the next one multiplies with.  Columns that are solved stay. */
static void
take_sums(tfrs_ridge *ridge)
{
	for (size_t c = 0; c < ridge->system.columns; c++)
	{
		double		change = ridge->change[c];
		bool		open = ridge->square[c] > ridge->enough[c];

		ridge->change[c] = 0;
		if (ridge->phase == CURVE)
			ridge->factor[c] = open && change > 0 ? (float) (ridge->square[c] / change) : 0;
		else if (ridge->phase == MOVE)
			ridge->factor[c] = open ? (float) (change / ridge->square[c]) : 0;
		else if (ridge->phase == START)
			ridge->enough[c] = TOLERANCE * TOLERANCE * change;
		if (ridge->phase != CURVE)
			ridge->square[c] = change;
	}
}

static bool
is_solved(const tfrs_ridge *ridge)
{
	bool		open = false;

	for (size_t c = 0; c < ridge->system.columns; c++)
		open = open || ridge->square[c] > ridge->enough[c];
	return !open || ridge->rounds >= MOST_ROUNDS;
}

static tfrs_status
walk_words(tfrs_ridge *ridge, void (*visit) (tfrs_ridge *, size_t))
{
	size_t		left = ridge->words - ridge->done;
	size_t		piece = STEP_WORK / 4 / ridge->system.columns + 1;
	size_t		end = ridge->done + tfrs_size_smaller(piece, left);

	for (; ridge->done < end; ridge->done++)
		visit(ridge, ridge->done);
	return ridge->done < ridge->words ? TFRS_MORE : TFRS_OK;
}

static tfrs_status
run_phase(tfrs_ridge *ridge)
{
	static void (*const visit[]) (tfrs_ridge *, size_t) = {
		[START] = start_word, [SCALE] = scale_word, [CURVE] = curve_word, [MOVE] = move_word,
		[TURN] = turn_word
	};

	if (ridge->phase == RIGHT || ridge->phase == MULTIPLY)
		return multiply_rows(ridge);
	return walk_words(ridge, visit[ridge->phase]);
}

tfrs_status
tfrs_ridge_step(tfrs_ridge *ridge)
{
	if (ridge->phase == SOLVED || ridge->system.columns == 0 || ridge->words == 0)
		return TFRS_OK;
	if (run_phase(ridge) == TFRS_MORE)
		return TFRS_MORE;
	ridge->done = 0;
	if (ridge->phase == START || ridge->phase == CURVE || ridge->phase == MOVE)
		take_sums(ridge);
	ridge->rounds += ridge->phase == MULTIPLY;
	if (ridge->phase == TURN)
		ridge->phase = SCALE;
	else if ((ridge->phase == START || ridge->phase == MOVE) && is_solved(ridge))
		ridge->phase = SOLVED;
	else
		ridge->phase++;
	return ridge->phase < SOLVED ? TFRS_MORE : TFRS_OK;
}
