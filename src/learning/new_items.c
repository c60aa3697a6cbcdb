/*
 * new_items.c: a ridge for each table and one for the vectors, the counts, the biases, the rows.
 */
#include "learning/new_items.h"

#include <math.h>
#include <string.h>

#include "base/kernels.h"

#define PENALTY 4.0f
#define BLEND 0.5f

/* Candidates of a step. */
#define STEP_CANDIDATES ((size_t) 1 << 14)

enum
{
	FILL_TABLES,
	MAP_VECTORS,
	COUNT,
	MAP_BIAS,
	FILL_ROWS,
	FILLED
};

bool
tfrs_new_items_bytes(size_t candidates, size_t words, size_t dim, size_t *bytes)
{
	tfrs_layout layout = {*bytes, true};

	/* a ridge has four times what the map has; the counts have less */
	tfrs_layout_place(&layout, words + 1, 5 * dim * sizeof(float));
	tfrs_layout_place(&layout, candidates, 4 * sizeof(float));
	*bytes = layout.bytes;
	return layout.fits;
}

/* The fourth root of each count; their mean over the known candidates is 1. */
static void
weigh(tfrs_new_items *items)
{
	const tfrs_content *content = items->data.content;
	double		sum = 0;
	size_t		known = 0;

	for (size_t i = 0; i < content->candidates; i++)
	{
		items->weight[i] = sqrtf(sqrtf((float) content->counts[i]));
		sum += items->weight[i];
		known += tfrs_content_is_known(content, i);
	}
	for (size_t i = 0; i < content->candidates && known > 0; i++)
		items->weight[i] *= (float) ((double) known / sum);
}

tfrs_status
tfrs_new_items_begin(tfrs_new_items *items, tfrs_arena *arena, const tfrs_new_items_data *data,
					 tfrs_error *error)
{
	const tfrs_content *content = data->content;
	tfrs_status status;

	memset(items, 0, sizeof(*items));
	items->arena = arena;
	items->data = *data;
	status = TFRS_GET(arena, &items->weight, content->candidates, error);
	if (status == TFRS_OK)
		status = TFRS_GET_ZERO(arena, &items->result,
							   (content->vocabulary.words + 1) * data->dim, error);
	if (status == TFRS_OK)
		status = TFRS_GET_ZERO(arena, &items->vector, data->dim, error);
	if (status != TFRS_OK)
	{
		tfrs_new_items_free(items);
		return status;
	}
	weigh(items);
	return TFRS_OK;
}

void
tfrs_new_items_free(tfrs_new_items *items)
{
	if (items->arena == NULL)
		return;
	tfrs_ridge_free(&items->ridge);
	tfrs_count_regression_free(&items->counts);
	tfrs_arena_release(items->arena, items->weight);
	tfrs_arena_release(items->arena, items->result);
	tfrs_arena_release(items->arena, items->vector);
	memset(items, 0, sizeof(*items));
}

/* Components of a vector, without the bias. */
static size_t
width_of(const tfrs_new_items_data *data)
{
	return data->dim - data->bias;
}

/* A step of the ridge onto the first columns of a table (N, D): TFRS_OK when it is solved. */
static tfrs_status
regress(tfrs_new_items *items, const float *table, size_t columns, tfrs_error *error)
{
	tfrs_ridge_system system = {
		.content = items->data.content, .weight = items->weight, .target = table,
		.pitch = items->data.dim, .columns = columns, .penalty = PENALTY,
		.threads = items->data.threads
	};

	if (items->ridge.arena != NULL)
		return tfrs_ridge_step(&items->ridge);
	if (tfrs_ridge_begin(&items->ridge, items->arena, &system, error) != TFRS_OK)
		return error->status;
	return TFRS_MORE;
}

/* row (columns) = P_i table */
static void
map_words(const tfrs_content_words *words, const float *table, size_t columns, float *row)
{
	memset(row, 0, columns * sizeof(float));
	for (size_t w = 0; w < words->count; w++)
		tfrs_kernels.add_scaled(row, table + words->word[w] * columns, columns, words->value[w]);
}

static tfrs_content_words
words_of(const tfrs_content *content, size_t candidate)
{
	uint64_t	at = content->offsets[candidate];

	return (tfrs_content_words) {
		content->offsets[candidate + 1] - at, content->word + at, content->value + at
	};
}

/* Rows of new candidates in the table at hand. */
static tfrs_status
fill_table(tfrs_new_items *items)
{
	const tfrs_content *content = items->data.content;
	size_t		left = content->candidates - items->done;
	size_t		end = items->done + tfrs_size_smaller(STEP_CANDIDATES, left);
	size_t		dim = items->data.dim;

	for (; items->done < end; items->done++)
	{
		tfrs_content_words words = words_of(content, items->done);

		if (!tfrs_content_is_known(content, items->done))
			map_words(&words, items->ridge.solution, dim,
					  items->data.table[items->table_at] + items->done * dim);
	}
	return end < content->candidates ? TFRS_MORE : TFRS_OK;
}

static tfrs_status
fill_tables(tfrs_new_items *items, tfrs_error *error)
{
	tfrs_status status;

	if (items->table_at == items->data.tables)
		return TFRS_OK;
	if (items->done == 0)
	{
		status = regress(items, items->data.table[items->table_at], items->data.dim, error);
		if (status != TFRS_OK)
			return status;
	}
	if (fill_table(items) == TFRS_MORE)
		return TFRS_MORE;
	tfrs_ridge_free(&items->ridge);
	items->done = 0;
	items->table_at++;
	return TFRS_MORE;
}

/* R becomes the map's, whose rows have the bias beside it. */
static tfrs_status
map_vectors(tfrs_new_items *items, tfrs_error *error)
{
	size_t		width = width_of(&items->data);
	tfrs_status status = regress(items, items->data.candidates, width, error);

	if (status != TFRS_OK)
		return status;
	for (size_t w = 0; w < items->ridge.words; w++)
		memcpy(items->result + w * items->data.dim, items->ridge.solution + w * width,
			   width * sizeof(float));
	tfrs_ridge_free(&items->ridge);
	return TFRS_OK;
}

static tfrs_status
count(tfrs_new_items *items, tfrs_error *error)
{
	if (!items->data.bias)
		return TFRS_OK;
	if (items->counts.arena != NULL)
		return tfrs_count_regression_step(&items->counts, error);
	if (tfrs_count_regression_begin(&items->counts, items->arena, items->data.content,
									items->data.threads, error) != TFRS_OK)
		return error->status;
	return TFRS_MORE;
}

/* P_i g of a candidate. */
static double
counted(const tfrs_new_items *items, size_t candidate)
{
	const tfrs_content *content = items->data.content;
	double		sum = 0;

	for (uint64_t e = content->offsets[candidate]; e < content->offsets[candidate + 1]; e++)
		sum += (double) content->value[e] * items->counts.parameter[content->word[e]];
	return sum;
}

/* What is added to P_i g. */
static double
level_of(const tfrs_new_items *items)
{
	const tfrs_content *content = items->data.content;
	size_t		dim = items->data.dim;
	double		sum = 0;
	size_t		known = 0;

	for (size_t i = 0; i < content->candidates; i++)
	{
		if (!tfrs_content_is_known(content, i))
			continue;
		sum += (double) items->data.candidates[i * dim + dim - 1] - counted(items, i);
		known++;
	}
	return known > 0 ? sum / (double) known : 0;
}

static tfrs_status
map_bias(tfrs_new_items *items)
{
	size_t		dim = items->data.dim;
	size_t		words = items->data.content->vocabulary.words;

	if (!items->data.bias)
		return TFRS_OK;
	for (size_t w = 0; w < words; w++)
		items->result[w * dim + dim - 1] = items->counts.parameter[w];
	items->result[words * dim + dim - 1] = (float) level_of(items);
	tfrs_count_regression_free(&items->counts);
	return TFRS_OK;
}

static tfrs_content_map
map_of(const tfrs_new_items *items)
{
	return (tfrs_content_map) {
		items->data.content->vocabulary.words, items->data.dim, items->data.bias,
		items->data.normalize, items->result
	};
}

/* A vector that says nothing stays zero. */
static void
make_unit(float *vector, size_t width)
{
	float		square = tfrs_kernels.dot(vector, vector, width);
	float		scale = square > 1e-12f ? 1 / sqrtf(square) : 0;

	for (size_t d = 0; d < width; d++)
		vector[d] *= scale;
}

void
tfrs_content_map_row(const tfrs_content_map *map, const tfrs_content_words *words, bool tower,
					 float *vector, float *row)
{
	size_t		width = map->dim - map->bias;
	float		share = tower ? 0.5f : 1;

	map_words(words, map->table, map->dim, vector);
	if (map->normalize)
		make_unit(vector, width);
	for (size_t d = 0; d < width; d++)
		row[d] = tower ? row[d] + BLEND * vector[d] : vector[d];
	if (map->normalize)
		make_unit(row, width);
	else if (tower)
		for (size_t d = 0; d < width; d++)
			row[d] /= 1 + BLEND;
	if (map->bias)
		row[width] = share * (vector[width] + map->table[map->words * map->dim + width]) +
			(tower ? share * row[width] : 0);
}

static tfrs_status
fill_rows(tfrs_new_items *items)
{
	const tfrs_content *content = items->data.content;
	tfrs_content_map map = map_of(items);
	size_t		left = content->candidates - items->done;
	size_t		end = items->done + tfrs_size_smaller(STEP_CANDIDATES, left);

	for (; items->done < end; items->done++)
	{
		tfrs_content_words words = words_of(content, items->done);

		if (!tfrs_content_is_known(content, items->done))
			tfrs_content_map_row(&map, &words, items->data.tower, items->vector,
								 items->data.candidates + items->done * items->data.dim);
	}
	return end < content->candidates ? TFRS_MORE : TFRS_OK;
}

static tfrs_status
step(tfrs_new_items *items, tfrs_error *error)
{
	switch (items->phase)
	{
		case FILL_TABLES:
			return fill_tables(items, error);
		case MAP_VECTORS:
			return map_vectors(items, error);
		case COUNT:
			return count(items, error);
		case MAP_BIAS:
			return map_bias(items);
		case FILL_ROWS:
			return fill_rows(items);
		default:
			return TFRS_OK;
	}
}

tfrs_status
tfrs_new_items_step(tfrs_new_items *items, tfrs_content_map *map, tfrs_error *error)
{
	tfrs_status status = step(items, error);

	if (status != TFRS_OK)
		return status;
	if (items->phase < FILLED)
	{
		items->phase++;
		items->done = 0;
		return TFRS_MORE;
	}
	*map = map_of(items);
	return TFRS_OK;
}
