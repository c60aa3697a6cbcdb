/*
 * count_regression.c: what is expected, a step, and again until steps are small.
 */
#include "learning/count_regression.h"

#include <math.h>
#include <string.h>

#define PENALTY 5.0f
#define MOST_ROUNDS 15
#define MOST_MOVE 2.0
#define SMALL_MOVE 1e-2

/* Logarithms of what is expected stay between these. */
#define MOST_LOGARITHM 8.0

/* Words of a step. */
#define STEP_WORDS ((uint64_t) 1 << 20)

void
tfrs_count_regression_size(tfrs_count_regression *regression, const tfrs_content *content,
						   int threads)
{
	memset(regression, 0, sizeof(*regression));
	regression->content = content;
	regression->threads = threads;
	regression->expects = true;
}

static tfrs_ridge_system
system_of(const tfrs_count_regression *regression)
{
	return (tfrs_ridge_system) {
		.content = regression->content, .weight = regression->expected,
		.target = regression->target, .pitch = 1, .columns = 1, .penalty = PENALTY,
		.intercept = true, .shift = regression->parameter, .threads = regression->threads
	};
}

void
tfrs_count_regression_arrays(void *object, tfrs_plan *plan)
{
	tfrs_count_regression *regression = object;

	TFRS_PLAN_ZERO(plan, &regression->expected, regression->content->candidates);
	TFRS_PLAN_ZERO(plan, &regression->target, regression->content->candidates);
	TFRS_PLAN_ZERO(plan, &regression->parameter, regression->content->vocabulary.words + 1);
}

tfrs_status
tfrs_count_regression_begin(tfrs_count_regression *regression, tfrs_arena *arena,
							const tfrs_content *content, int threads, tfrs_error *error)
{
	tfrs_status status;

	tfrs_count_regression_size(regression, content, threads);
	regression->mean = tfrs_content_mean_count(content);
	status = tfrs_plan_take(arena, tfrs_count_regression_arrays, regression, error);
	regression->arena = status == TFRS_OK ? arena : NULL;
	return status;
}

void
tfrs_count_regression_free(tfrs_count_regression *regression)
{
	if (regression->arena == NULL)
		return;
	tfrs_ridge_free(&regression->ridge);
	tfrs_plan_release(regression->arena, tfrs_count_regression_arrays, regression);
	memset(regression, 0, sizeof(*regression));
}

/* What is expected of a known candidate, and how far off that is. */
static void
expect(tfrs_count_regression *regression, size_t i)
{
	const tfrs_content *content = regression->content;
	double		logarithm = regression->parameter[content->vocabulary.words];
	double		mu;

	if (!tfrs_content_is_known(content, i))
		return;
	for (uint64_t e = content->offsets[i]; e < content->offsets[i + 1]; e++)
		logarithm += (double) content->value[e] * regression->parameter[content->word[e]];
	mu = exp(fmin(fmax(logarithm, -MOST_LOGARITHM), MOST_LOGARITHM));
	regression->expected[i] = (float) mu;
	regression->target[i] = (float) ((content->counts[i] / regression->mean - mu) / mu);
}

static tfrs_status
expect_some(tfrs_count_regression *regression)
{
	const tfrs_content *content = regression->content;
	uint64_t	work = 0;

	for (; regression->done < content->candidates && work < STEP_WORDS; regression->done++)
	{
		expect(regression, regression->done);
		work += content->offsets[regression->done + 1] - content->offsets[regression->done] + 8;
	}
	return regression->done < content->candidates ? TFRS_MORE : TFRS_OK;
}

/* Along the solution of the ridge. */
static void
move(tfrs_count_regression *regression)
{
	const float *step = regression->ridge.solution;
	double		most = 0;
	double		share;

	for (size_t w = 0; w < regression->ridge.words; w++)
		most = fmax(most, fabs(step[w]));
	share = fmin(1, MOST_MOVE / fmax(most, 1e-9));
	for (size_t w = 0; w < regression->ridge.words; w++)
		regression->parameter[w] += (float) (share * step[w]);
	regression->finished = most < SMALL_MOVE || ++regression->rounds >= MOST_ROUNDS;
}

tfrs_status
tfrs_count_regression_step(tfrs_count_regression *regression, tfrs_error *error)
{
	tfrs_ridge_system system = system_of(regression);

	if (regression->finished)
		return TFRS_OK;
	if (regression->expects)
	{
		if (expect_some(regression) == TFRS_MORE)
			return TFRS_MORE;
		regression->expects = false;
		regression->done = 0;
		if (tfrs_ridge_begin(&regression->ridge, regression->arena, &system, error) != TFRS_OK)
			return error->status;
		return TFRS_MORE;
	}
	if (tfrs_ridge_step(&regression->ridge) == TFRS_MORE)
		return TFRS_MORE;
	move(regression);
	tfrs_ridge_free(&regression->ridge);
	regression->expects = true;
	return regression->finished ? TFRS_OK : TFRS_MORE;
}
