/*
 * quantizer.c: centres, codes and tables of 4-bit product codes.
 *
 * Loops over the 16 centres are innermost and plain, so that compilers make vector code of them.
 */
#include "retrieval/quantizer.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/random.h"
#include "base/team.h"

#define ITERATIONS 10

/* Components of distances that a step and thread computes: some 10 ms. */
#define STEP_DISTANCES ((size_t) 1 << 23)

/* Sweeps over the groups after which score-aware codes hardly change any more. */
#define SWEEPS 3

/*
 * A group whose entries range over more than this times the mean range (of groups that are not
 * empty) has its lowest entries raised: finer steps for all are worth more than its far end.
 */
#define MOST_RANGE 3.0f

enum
{
	PURPOSE_CENTRES = 0x7175
};

/* Squared distances of a point (g) to the 16 centres (g, 16). */
static void
measure_centres(const float *point, const float *centres, size_t size, float *distance)
{
	for (size_t j = 0; j < TFRS_CENTRES; j++)
		distance[j] = 0;
	for (size_t d = 0; d < size; d++)
	{
		for (size_t j = 0; j < TFRS_CENTRES; j++)
		{
			float		difference = point[d] - centres[d * TFRS_CENTRES + j];

			distance[j] += difference * difference;
		}
	}
}

static size_t
smallest(const float *values)
{
	size_t		best = 0;

	for (size_t j = 1; j < TFRS_CENTRES; j++)
		best = values[j] < values[best] ? j : best;
	return best;
}

/* One group in training. */
typedef struct group
{
	size_t		size;			/* g */
	size_t		count;			/* n */
	float	   *points;			/* (n, g) */
	float	   *distance;		/* (n): to the nearest centre placed so far */
	float	   *sums;			/* (g, 16) */
	float	   *centres;		/* (g, 16) */
} group;

size_t
tfrs_quantizer_training_scratch(const tfrs_quantizer *quantizer, size_t count)
{
	size_t		size = quantizer->width / quantizer->codes + 1;

	return size * count + count + size * TFRS_CENTRES;
}

static void
place_centre(group *group, size_t centre, size_t point)
{
	const float *at = group->points + point * group->size;

	for (size_t d = 0; d < group->size; d++)
		group->centres[d * TFRS_CENTRES + centre] = at[d];
	for (size_t i = 0; i < group->count; i++)
	{
		float		distance = 0;

		for (size_t d = 0; d < group->size; d++)
		{
			float		difference = group->points[i * group->size + d] - at[d];

			distance += difference * difference;
		}
		if (centre == 0 || distance < group->distance[i])
			group->distance[i] = distance;
	}
}

/* k-means++: the next centre is a point drawn by its squared distance to those there are. */
static size_t
draw_point(const group *group, tfrs_random *random)
{
	double		total = 0;
	double		target;
	size_t		i = 0;

	for (size_t j = 0; j < group->count; j++)
		total += group->distance[j];
	target = total * tfrs_random_float(random);
	for (double sum = group->distance[0]; sum <= target && i + 1 < group->count;)
		sum += group->distance[++i];
	return i;
}

static void
move_centres(group *group)
{
	float		counts[TFRS_CENTRES] = {0};
	float		distance[TFRS_CENTRES];

	memset(group->sums, 0, group->size * TFRS_CENTRES * sizeof(float));
	for (size_t i = 0; i < group->count; i++)
	{
		const float *point = group->points + i * group->size;
		size_t		nearest;

		measure_centres(point, group->centres, group->size, distance);
		nearest = smallest(distance);
		counts[nearest]++;
		for (size_t d = 0; d < group->size; d++)
			group->sums[d * TFRS_CENTRES + nearest] += point[d];
	}
	for (size_t i = 0; i < group->size * TFRS_CENTRES; i++)
	{
		if (counts[i % TFRS_CENTRES] > 0)
			group->centres[i] = group->sums[i] / counts[i % TFRS_CENTRES];
	}
}

static void
train_group(void *context, int worker, size_t task)
{
	const tfrs_quantizer_training *training = context;
	const tfrs_quantizer *quantizer = training->quantizer;
	size_t		number = training->groups_done + task;
	size_t		first = tfrs_quantizer_group(quantizer, number);
	group		group;
	tfrs_random random;

	group.size = tfrs_quantizer_group(quantizer, number + 1) - first;
	group.count = training->count;
	group.points = training->scratch +
		worker * tfrs_quantizer_training_scratch(quantizer, training->count);
	group.distance = group.points + group.count * group.size;
	group.sums = group.distance + group.count;
	group.centres = training->centres + first * TFRS_CENTRES;
	for (size_t i = 0; i < group.count; i++)
		memcpy(group.points + i * group.size, training->sample + i * quantizer->width + first,
			   group.size * sizeof(float));
	tfrs_random_init(&random, training->seed, PURPOSE_CENTRES, number);
	place_centre(&group, 0, tfrs_random_below(&random, (uint32_t) group.count));
	for (size_t centre = 1; centre < TFRS_CENTRES; centre++)
		place_centre(&group, centre, draw_point(&group, &random));
	for (int i = 0; i < ITERATIONS; i++)
		move_centres(&group);
}

tfrs_status
tfrs_quantizer_training_step(tfrs_quantizer_training *training)
{
	const tfrs_quantizer *quantizer = training->quantizer;
	size_t		size = quantizer->width / quantizer->codes + 1;
	size_t		cost = training->count * size * TFRS_CENTRES * (ITERATIONS + 1);
	size_t		most = (STEP_DISTANCES / cost + 1) * (size_t) training->threads;
	size_t		left = quantizer->codes - training->groups_done;
	size_t		tasks = tfrs_size_smaller(left, most);

	tfrs_team_run(training->threads, tasks, train_group, training);
	training->groups_done += tasks;
	return training->groups_done < quantizer->codes ? TFRS_MORE : TFRS_OK;
}

/*
 * For each group and centre: squares (M, 16), the squared error, and along (M, 16), the error's
 * part along the row.
 */
static void
measure_groups(const tfrs_quantizer *quantizer, const float *vector, const float *row,
			   float *squares, float *along)
{
	float		norm = 0;

	for (size_t w = 0; along != NULL && w < quantizer->width; w++)
		norm += row[w] * row[w];
	norm = norm > 0 ? 1 / sqrtf(norm) : 0;
	for (size_t m = 0; m < quantizer->codes; m++)
	{
		size_t		first = tfrs_quantizer_group(quantizer, m);
		size_t		size = tfrs_quantizer_group(quantizer, m + 1) - first;
		const float *centres = quantizer->centres + first * TFRS_CENTRES;

		measure_centres(vector + first, centres, size, squares + m * TFRS_CENTRES);
		if (along == NULL)
			continue;
		for (size_t j = 0; j < TFRS_CENTRES; j++)
			along[m * TFRS_CENTRES + j] = 0;
		for (size_t d = 0; d < size; d++)
		{
			for (size_t j = 0; j < TFRS_CENTRES; j++)
				along[m * TFRS_CENTRES + j] += norm * row[first + d] *
					(vector[first + d] - centres[d * TFRS_CENTRES + j]);
		}
	}
}

/* Coordinate descent on |error|^2 + (eta - 1) (error along the row)^2, one group after another. */
static void
improve_codes(const tfrs_quantizer *quantizer, const float *squares, const float *along, float eta,
			  uint8_t *codes)
{
	float		total = 0;

	for (size_t m = 0; m < quantizer->codes; m++)
		total += along[m * TFRS_CENTRES + codes[m]];
	for (int sweep = 0; sweep < SWEEPS; sweep++)
	{
		bool		changed = false;

		for (size_t m = 0; m < quantizer->codes; m++)
		{
			const float *part = along + m * TFRS_CENTRES;
			float		others = total - part[codes[m]];
			float		loss[TFRS_CENTRES];
			size_t		best;

			for (size_t j = 0; j < TFRS_CENTRES; j++)
				loss[j] = squares[m * TFRS_CENTRES + j] +
					(eta - 1) * (others + part[j]) * (others + part[j]);
			best = smallest(loss);
			changed |= best != codes[m];
			codes[m] = (uint8_t) best;
			total = others + part[best];
		}
		if (!changed)
			break;
	}
}

float
tfrs_quantizer_encode(const tfrs_quantizer *quantizer, const float *vector, const float *row,
					  float eta, float *scratch, uint8_t *codes)
{
	float	   *squares = scratch;
	float	   *along = eta > 1 ? scratch + quantizer->codes * TFRS_CENTRES : NULL;
	double		error = 0;

	measure_groups(quantizer, vector, row, squares, along);
	for (size_t m = 0; m < quantizer->codes; m++)
		codes[m] = (uint8_t) smallest(squares + m * TFRS_CENTRES);
	if (along != NULL)
		improve_codes(quantizer, squares, along, eta, codes);
	for (size_t m = 0; m < quantizer->codes; m++)
		error += squares[m * TFRS_CENTRES + codes[m]];
	return (float) sqrt(error);
}

void
tfrs_quantizer_store(const tfrs_quantizer *quantizer, const uint8_t *codes, size_t row,
					 uint8_t *block)
{
	size_t		byte = row < 16 ? 2 * row : 2 * (row - 16) + 1;

	for (size_t m = 0; m < quantizer->codes; m++)
		block[m / 2 * TFRS_CODE_ROWS + byte] |= (uint8_t) (codes[m] << (m % 2 * 4));
}

/* products (M, 16) of a query's groups with their centres. */
static void
multiply_centres(const tfrs_quantizer *quantizer, const float *query, float *products)
{
	memset(products, 0, quantizer->codes * TFRS_CENTRES * sizeof(float));
	for (size_t m = 0; m < quantizer->codes; m++)
	{
		float	   *to = products + m * TFRS_CENTRES;
		size_t		end = tfrs_quantizer_group(quantizer, m + 1);

		for (size_t w = tfrs_quantizer_group(quantizer, m); w < end; w++)
		{
			for (size_t j = 0; j < TFRS_CENTRES; j++)
				to[j] += query[w] * quantizer->centres[w * TFRS_CENTRES + j];
		}
	}
}

static void
find_range(const float *values, float *lowest, float *highest)
{
	*lowest = *highest = values[0];
	for (size_t j = 1; j < TFRS_CENTRES; j++)
	{
		*lowest = values[j] < *lowest ? values[j] : *lowest;
		*highest = values[j] > *highest ? values[j] : *highest;
	}
}

/* Entries of one group, rounded up: 255 for the highest, 0 for what is 255 steps below or less. */
static void
fill_entries(const float *products, float highest, float step, uint8_t *entries)
{
	for (size_t j = 0; j < TFRS_CENTRES; j++)
	{
		float		below = (highest - products[j]) / step;

		entries[j] = below < 255 ? (uint8_t) (255 - (int) below) : 0;
	}
}

void
tfrs_quantizer_tabulate(const tfrs_quantizer *quantizer, const float *query, float *scratch,
						tfrs_quantizer_tables *tables)
{
	float		widest = 0;
	float		total = 0;
	size_t		groups;
	float		lowest;
	float		highest;
	double		offset = 0;

	multiply_centres(quantizer, query, scratch);
	for (size_t m = 0; m < quantizer->codes; m++)
	{
		find_range(scratch + m * TFRS_CENTRES, &lowest, &highest);
		widest = highest - lowest > widest ? highest - lowest : widest;
		total += highest - lowest;
	}
	groups = tfrs_size_smaller(quantizer->codes, quantizer->width);
	widest = fminf(widest, MOST_RANGE * total / (float) groups);
	tables->step = widest > FLT_MIN * 256 ? widest / 255 : FLT_MIN;
	for (size_t m = 0; m < quantizer->codes; m++)
	{
		find_range(scratch + m * TFRS_CENTRES, &lowest, &highest);
		fill_entries(scratch + m * TFRS_CENTRES, highest, tables->step,
					 tables->entries + m * TFRS_CENTRES);
		offset += (double) highest - 255.0 * tables->step;
	}
	tables->offset = (float) offset;
}
