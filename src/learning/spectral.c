/*
 * spectral.c: the phases of spectral.h.
 *
 *     count -> [multiply -> (gram -> turn) twice] three times -> multiply -> gram -> diagonalize -> place
 *
 * A basis is made orthonormal by the Cholesky factor of its Gram matrix, twice, since products are of
 * single precision (Yamamoto et al. 2015).
 */
#include "learning/spectral.h"

#include <math.h>
#include <string.h>

#include "base/kernels.h"
#include "base/matmul.h"
#include "learning/streams.h"

/* Directions beside those that are wanted, and products that turn the basis. */
#define MORE_RANK 10
#define TURNS 3

#define SMOOTH 5.0

/* Mean square of a row's components. */
#define RMS 0.1f

/* A direction of less than this share of the first one's singular value is noise. */
#define LEAST_SINGULAR 1e-3f

/* Floats that a step passes, and rows whose product is taken at once. */
#define STEP_FLOATS ((size_t) 1 << 22)
#define BLOCK_ROWS ((size_t) 512)

/* Sweeps of Jacobi's rotations. */
#define MOST_SWEEPS 20

enum
{
	COUNT,
	MULTIPLY,
	GRAM,
	TURN,
	DIAGONALIZE,
	PLACE,
	FILLED
};

void
tfrs_spectral_size(tfrs_spectral *spectral, const tfrs_events *events, size_t candidates,
				   size_t width)
{
	memset(spectral, 0, sizeof(*spectral));
	spectral->events = events;
	spectral->candidates = candidates;
	spectral->width = width;
	spectral->rank = tfrs_size_smaller(width + MORE_RANK, candidates);
}

void
tfrs_spectral_arrays(void *object, tfrs_plan *plan)
{
	tfrs_spectral *spectral = object;
	size_t		rank = spectral->rank;

	TFRS_PLAN_ZERO(plan, &spectral->count, spectral->candidates);
	TFRS_PLAN(plan, &spectral->share, spectral->candidates);
	TFRS_PLAN_VECTORS(plan, &spectral->basis, spectral->candidates, rank);
	TFRS_PLAN_VECTORS(plan, &spectral->image, spectral->candidates, rank);
	TFRS_PLAN(plan, &spectral->sum, rank);
	TFRS_PLAN(plan, &spectral->product, rank * rank);
	TFRS_PLAN(plan, &spectral->gram, rank * rank);
	TFRS_PLAN(plan, &spectral->vector, rank * rank);
	TFRS_PLAN(plan, &spectral->turn, rank * rank);
	TFRS_PLAN(plan, &spectral->singular, rank);
}

tfrs_status
tfrs_spectral_begin(tfrs_spectral *spectral, tfrs_arena *arena, uint64_t seed, tfrs_error *error)
{
	tfrs_status status = tfrs_plan_take(arena, tfrs_spectral_arrays, spectral, error);
	tfrs_random random;

	if (status != TFRS_OK)
		return status;
	spectral->arena = arena;
	tfrs_matmul_load();
	tfrs_random_init(&random, seed, TFRS_STREAM_SPECTRAL, 0);
	tfrs_random_fill(&random, spectral->basis, spectral->candidates * spectral->rank, -1.0f, 1.0f);
	return TFRS_OK;
}

void
tfrs_spectral_free(tfrs_spectral *spectral)
{
	if (spectral->arena == NULL)
		return;
	tfrs_plan_release(spectral->arena, tfrs_spectral_arrays, spectral);
	memset(spectral, 0, sizeof(*spectral));
}

static void
count_events(tfrs_spectral *spectral)
{
	for (size_t e = 0; e < spectral->events->count; e++)
		spectral->count[spectral->events->candidate[e]]++;
	for (size_t c = 0; c < spectral->candidates; c++)
		spectral->share[c] = (float) pow(spectral->count[c] + SMOOTH, -0.25);
}

/* image += X_u^T X_u basis */
static void
multiply_query(tfrs_spectral *spectral, const tfrs_event_list *list)
{
	size_t		rank = spectral->rank;

	memset(spectral->sum, 0, rank * sizeof(float));
	for (size_t i = 0; i < list->count; i++)
		tfrs_kernels.add_scaled(spectral->sum, spectral->basis + list->candidate[i] * rank, rank,
								spectral->share[list->candidate[i]]);
	for (size_t i = 0; i < list->count; i++)
		tfrs_kernels.add_scaled(spectral->image + list->candidate[i] * rank, spectral->sum, rank,
								spectral->share[list->candidate[i]] /
								((float) list->count + (float) SMOOTH));
}

static tfrs_status
multiply(tfrs_spectral *spectral)
{
	size_t		floats = 0;

	if (spectral->done == 0)
		memset(spectral->image, 0, spectral->candidates * spectral->rank * sizeof(float));
	for (; spectral->done < spectral->events->queries && floats < STEP_FLOATS; spectral->done++)
	{
		tfrs_event_list list = tfrs_events_of(spectral->events, (uint32_t) spectral->done);

		multiply_query(spectral, &list);
		floats += (2 * list.count + 1) * spectral->rank;
	}
	return spectral->done < spectral->events->queries ? TFRS_MORE : TFRS_OK;
}

/* Rows of the next block; done moves behind it. */
static size_t
next_block(tfrs_spectral *spectral, size_t *first)
{
	*first = spectral->done;
	spectral->done += tfrs_size_smaller(BLOCK_ROWS, spectral->candidates - *first);
	return spectral->done - *first;
}

/* The first TURNS products become the next basis; the last one is compared with its own. */
static bool
is_last(const tfrs_spectral *spectral)
{
	return spectral->pass == TURNS;
}

/* gram = image^T image, or basis^T image of the last product. */
static tfrs_status
sum_gram(tfrs_spectral *spectral)
{
	size_t		rank = spectral->rank;
	const float *left = is_last(spectral) ? spectral->basis : spectral->image;
	size_t		first;

	if (spectral->done == 0)
		memset(spectral->gram, 0, rank * rank * sizeof(double));
	for (size_t floats = 0; spectral->done < spectral->candidates && floats < STEP_FLOATS;
		 floats += BLOCK_ROWS * rank)
	{
		size_t		rows = next_block(spectral, &first);

		tfrs_matmul_tn(rank, rank, rows, 1.0f, left + first * rank, rank,
					   spectral->image + first * rank, rank, 0.0f, spectral->product, rank);
		for (size_t i = 0; i < rank * rank; i++)
			spectral->gram[i] += spectral->product[i];
	}
	return spectral->done < spectral->candidates ? TFRS_MORE : TFRS_OK;
}

/* gram -> its Cholesky factor L, in place; a direction that depends on earlier ones becomes 0. */
static void
factor(double *a, size_t n)
{
	for (size_t i = 0; i < n; i++)
	{
		double		whole = a[i * n + i];

		for (size_t j = 0; j <= i; j++)
		{
			double		sum = a[i * n + j];

			for (size_t k = 0; k < j; k++)
				sum -= a[i * n + k] * a[j * n + k];
			if (j < i)
				a[i * n + j] = a[j * n + j] > 0 ? sum / a[j * n + j] : 0;
			else
				a[i * n + i] = sum > 1e-12 * whole ? sqrt(sum) : 0;
		}
	}
}

/* turn = L^-T: image turn has orthonormal columns. */
static void
invert(tfrs_spectral *spectral)
{
	size_t		n = spectral->rank;
	const double *l = spectral->gram;
	double	   *x = spectral->vector;	/* L^-1 */

	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < n; j++)
		{
			double		sum = i == j;

			for (size_t k = j; k < i; k++)
				sum -= l[i * n + k] * x[k * n + j];
			x[i * n + j] = j <= i && l[i * n + i] > 0 ? sum / l[i * n + i] : 0;
			spectral->turn[j * n + i] = (float) x[i * n + j];
		}
}

/* basis = image turn */
static tfrs_status
turn(tfrs_spectral *spectral)
{
	size_t		rank = spectral->rank;
	size_t		first;

	if (spectral->done == 0)
	{
		factor(spectral->gram, rank);
		invert(spectral);
	}
	for (size_t floats = 0; spectral->done < spectral->candidates && floats < STEP_FLOATS;
		 floats += BLOCK_ROWS * rank)
	{
		size_t		rows = next_block(spectral, &first);

		tfrs_matmul_nn(rows, rank, rank, 1.0f, spectral->image + first * rank, rank,
					   spectral->turn, rank, 0.0f, spectral->basis + first * rank, rank);
	}
	return spectral->done < spectral->candidates ? TFRS_MORE : TFRS_OK;
}

/* Turns two rows (step 1) or two columns (step n) of a matrix (n, n). */
static void
rotate_pair(double *one, double *other, size_t n, size_t step, const double rotation[2])
{
	for (size_t k = 0; k < n * step; k += step)
	{
		double		before = one[k];

		one[k] = rotation[0] * before - rotation[1] * other[k];
		other[k] = rotation[1] * before + rotation[0] * other[k];
	}
}

/* Makes a[p][q] zero; the rows of v turn likewise. */
static void
rotate(double *a, double *v, size_t n, size_t p, size_t q)
{
	double		theta = (a[q * n + q] - a[p * n + p]) / (2 * a[p * n + q]);
	double		t = (theta >= 0 ? 1 : -1) / (fabs(theta) + sqrt(theta * theta + 1));
	double		cosine = 1 / sqrt(t * t + 1);
	double		rotation[2] = {cosine, t * cosine};

	rotate_pair(a + p * n, a + q * n, n, 1, rotation);
	rotate_pair(a + p, a + q, n, n, rotation);
	rotate_pair(v + p * n, v + q * n, n, 1, rotation);
}

/* A sweep of Jacobi's method over gram; TFRS_OK where it is diagonal. */
static tfrs_status
sweep(tfrs_spectral *spectral)
{
	size_t		n = spectral->rank;
	double	   *a = spectral->gram;
	double		largest = 0;
	tfrs_status status = TFRS_OK;

	for (size_t i = 0; i < n; i++)
		largest = fmax(largest, fabs(a[i * n + i]));
	for (size_t p = 0; p < n; p++)
		for (size_t q = p + 1; q < n; q++)
			if (fabs(a[p * n + q]) > 1e-9 * largest)
			{
				rotate(a, spectral->vector, n, p, q);
				status = TFRS_MORE;
			}
	return status;
}

/* Eigenvectors by descending eigenvalues become the columns of turn (K, width), squares singular. */
static void
sort(tfrs_spectral *spectral)
{
	size_t		n = spectral->rank;
	double	   *a = spectral->gram;

	for (size_t d = 0; d < n; d++)
	{
		size_t		best = 0;

		for (size_t i = 1; i < n; i++)
			if (a[i * n + i] > a[best * n + best])
				best = i;
		spectral->singular[d] = (float) sqrt(fmax(a[best * n + best], 0));
		a[best * n + best] = -1;
		for (size_t k = 0; k < n && d < spectral->width; k++)
			spectral->turn[k * spectral->width + d] = (float) spectral->vector[best * n + k];
	}
}

/* done counts sweeps. */
static tfrs_status
diagonalize(tfrs_spectral *spectral)
{
	size_t		n = spectral->rank;

	if (spectral->done == 0)
	{
		memset(spectral->vector, 0, n * n * sizeof(double));
		for (size_t i = 0; i < n; i++)
			spectral->vector[i * n + i] = 1;
	}
	if (spectral->done++ < MOST_SWEEPS && sweep(spectral) == TFRS_MORE)
		return TFRS_MORE;
	sort(spectral);
	return TFRS_OK;
}

/* A tensor's row from that of V: times s of the candidates, then to its length. */
static void
place_row(const tfrs_spectral *spectral, const float *v, bool of_candidates, float *row)
{
	float		least = LEAST_SINGULAR * spectral->singular[0];
	size_t		width = spectral->width;
	bool		known = tfrs_kernels.dot(v, v, width) > 0;
	float		square;

	for (size_t d = 0; d < width && known; d++)
		if (spectral->singular[d] > least)
			row[d] = v[d] * (of_candidates ? spectral->singular[d] : 1.0f);
	square = tfrs_kernels.dot(row, row, width);
	for (size_t d = 0; d < width && square > 0; d++)
		row[d] *= RMS * sqrtf((float) width / square);
}

static float
bias_of(const tfrs_spectral *spectral, size_t candidate, uint32_t most)
{
	return spectral->popular ? logf((spectral->count[candidate] + 0.5f) / (most + 0.5f)) : 0;
}

static uint32_t
largest_count(const tfrs_spectral *spectral)
{
	uint32_t	most = 0;

	for (size_t c = 0; c < spectral->candidates; c++)
		most = spectral->count[c] > most ? spectral->count[c] : most;
	return most;
}

static tfrs_status
place(tfrs_spectral *spectral, tfrs_tensors *tensors)
{
	size_t		width = spectral->width;
	uint32_t	most = largest_count(spectral);
	size_t		first;
	size_t		rows = next_block(spectral, &first);
	float	   *v = spectral->image;	/* which is needed no more */

	tfrs_matmul_nn(rows, width, spectral->rank, 1.0f, spectral->basis + first * spectral->rank,
				   spectral->rank, spectral->turn, width, 0.0f, v, width);
	for (size_t t = 0; t < tensors->count; t++)
	{
		tfrs_tensor *tensor = &tensors->tensor[t];
		bool		of_candidates = tensor->stream == TFRS_STREAM_CANDIDATE_TABLE;

		if (!of_candidates && tensor->stream != TFRS_STREAM_BAG_TABLE)
			continue;
		for (size_t r = 0; r < rows; r++)
		{
			float	   *row = tensor->values + (first + r) * tensor->dim;

			place_row(spectral, v + r * width, of_candidates, row);
			if (of_candidates && tensor->has_bias)
				row[tensor->dim - 1] = bias_of(spectral, first + r, most);
		}
	}
	return spectral->done < spectral->candidates ? TFRS_MORE : TFRS_OK;
}

/* A phase is over: which one is next. */
static void
advance(tfrs_spectral *spectral)
{
	spectral->done = 0;
	if (spectral->phase == MULTIPLY)
		spectral->round = 0;
	if (spectral->phase == GRAM && is_last(spectral))
		spectral->phase = TURN;
	else if (spectral->phase == TURN && ++spectral->round < 2)
	{
		float	   *turned = spectral->basis;

		spectral->basis = spectral->image;
		spectral->image = turned;
		spectral->phase = MULTIPLY;
	}
	else if (spectral->phase == TURN)
	{
		spectral->pass++;
		spectral->phase = COUNT;
	}
	spectral->phase++;
}

tfrs_status
tfrs_spectral_step(tfrs_spectral *spectral, tfrs_tensors *tensors)
{
	tfrs_status status = TFRS_OK;

	switch (spectral->phase)
	{
		case COUNT:
			count_events(spectral);
			break;
		case MULTIPLY:
			status = multiply(spectral);
			break;
		case GRAM:
			status = sum_gram(spectral);
			break;
		case TURN:
			status = turn(spectral);
			break;
		case DIAGONALIZE:
			status = diagonalize(spectral);
			break;
		case PLACE:
			status = place(spectral, tensors);
			break;
		default:
			return TFRS_OK;
	}
	if (status == TFRS_OK)
		advance(spectral);
	return spectral->phase < FILLED ? TFRS_MORE : TFRS_OK;
}
