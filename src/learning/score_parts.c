/*
 * score_parts.c: sums over a query's events, and the stored form of what they are made of.
 */
#include "learning/score_parts.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

#define SERVE_DECAY 0.5f

/* A pass over all candidates costs as much as sorting one of that many, or as listing one. */
#define SCAN_SHARE 16
#define LIST_SHARE 4

/* Where more than one candidate of so many is touched, all count as touched. */
#define ALL_SHARE 3

/* Rows of values lie anywhere: that of an event so much further on is fetched meanwhile. */
#define EVENTS_AHEAD 2
#define CACHE_LINE 64

/* Sums stay finite below these, however many events a query has. */
#define LEAST_WEIGHT 1e-20f
#define MOST_WEIGHT 1e4f
#define MOST_SCALE 1e20f

/* What decays counts in units of its weight over this. */
#define DECAYED_UNITS 65536.0f

/* Prefixes of the parts' names, as the writer keeps them. */
static const char *const prefixes[TFRS_SCORE_PARTS] = {"together.", "next.", "content."};

tfrs_score_part_shape
tfrs_score_part_of(size_t part, float weight)
{
	return (tfrs_score_part_shape) {
		.weight = weight, .decay = part == TFRS_NEXT ? SERVE_DECAY : 1.0f,
		.length = part == TFRS_NEXT ? TFRS_STATE_EVENTS : 0
	};
}

tfrs_status
tfrs_part_sums_get(tfrs_part_sums *sums, tfrs_arena *arena, size_t candidates, tfrs_error *error)
{
	tfrs_status status;

	*sums = (tfrs_part_sums) {.candidates = candidates};
	status = TFRS_GET_ZERO(arena, &sums->sum, candidates, error);
	if (status == TFRS_OK)
		status = TFRS_GET_ZERO(arena, &sums->raw, candidates, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &sums->touched, candidates + 1, error);
	return status;
}

void
tfrs_part_sums_release(tfrs_part_sums *sums, tfrs_arena *arena)
{
	tfrs_arena_release(arena, sums->sum);
	tfrs_arena_release(arena, sums->raw);
	tfrs_arena_release(arena, sums->touched);
	*sums = (tfrs_part_sums) {0};
}

/* A walk over the events of a list, the last one first. */
typedef struct event_walk
{
	const tfrs_score_part_shape *shape;
	const tfrs_event_list *list;
	size_t		first;			/* events before it are not looked at */
	size_t		next;			/* the event at hand is next - 1 */
	float		h;
} event_walk;

static event_walk
walk_of(const tfrs_score_part_shape *shape, const tfrs_event_list *list)
{
	size_t		length = shape->length > 0 ? shape->length : list->count;

	return (event_walk) {
		shape, list, list->count > length ? list->count - length : 0, list->count, shape->weight
	};
}

static void
step_back(event_walk *walk)
{
	size_t		event = --walk->next;
	const int64_t *at = walk->list->at;

	if (event > 0 && (at == NULL || at[event - 1] != at[event]))
		walk->h *= walk->shape->decay;
}

static void
add_row(const tfrs_neighbours *s, uint32_t event, float h, tfrs_part_sums *sums)
{
	size_t		count = sums->count;
	float	   *sum = sums->sum;

	for (uint64_t i = s->offsets[event]; i < s->offsets[event + 1]; i++)
	{
		uint32_t	c = s->candidate[i];

		float		value = sum[c] + h * s->scale[c] * s->value[i];

		sums->touched[count] = c;
		count += sum[c] == 0;
		sum[c] = value == 0 ? FLT_MIN : value;	/* touched, all the same */
	}
	sums->count = count;
}

static size_t
count_touched(const float *sum, size_t candidates)
{
	size_t		count = 0;

	for (size_t c = 0; c < candidates; c++)
		count += sum[c] != 0;
	return count;
}

/*
 * Lists the candidates whose sum is not 0, in their order; or all of them, where these are most: then
 * whoever adds the sums to something needs no list.
 */
static void
list_in_order(tfrs_part_sums *sums)
{
	const float *sum = sums->sum;
	uint32_t   *touched = sums->touched;
	size_t		candidates = sums->candidates;
	bool		all = count_touched(sum, candidates) * ALL_SHARE > candidates;
	size_t		count = 0;

	for (size_t c = 0; c < candidates && all; c++)
		touched[c] = (uint32_t) c;
	for (size_t c = 0; c < candidates && !all; c++)
	{
		touched[count] = (uint32_t) c;
		count += sum[c] != 0;
	}
	sums->count = all ? candidates : count;
	sums->sorted = true;
}

/* Events are few, or their rows: each candidate that they touch is listed. */
static void
add_part(const tfrs_score_parts *parts, size_t p, const tfrs_event_list *list,
		 tfrs_part_sums *sums)
{
	event_walk	walk = walk_of(&parts->shape[p], list);

	for (; walk.next > walk.first; step_back(&walk))
		add_row(&parts->neighbours[p], list->candidate[walk.next - 1], walk.h, sums);
	sums->sorted = false;
}

static void
fetch_row(const tfrs_neighbours *s, uint32_t event)
{
	const char *end = (const char *) (s->candidate + s->offsets[event + 1]);

	for (const char *line = (const char *) (s->candidate + s->offsets[event]); line < end;
		 line += CACHE_LINE)
		__builtin_prefetch(line);
	__builtin_prefetch(s->value + s->offsets[event]);
}

/*
 * raw (N) += units times a row of values (count).  The compiler is told that nothing else lies in
 * raw: otherwise it would fetch what points to the row again for every value.
 */
static void
add_units(uint32_t *restrict raw, const uint32_t *restrict candidate, const int8_t *restrict value,
		  uint64_t count, uint32_t units)
{
	uint64_t	i = 0;

	for (; i + 4 <= count; i += 4)
	{
		raw[candidate[i]] += units * (uint32_t) value[i];
		raw[candidate[i + 1]] += units * (uint32_t) value[i + 1];
		raw[candidate[i + 2]] += units * (uint32_t) value[i + 2];
		raw[candidate[i + 3]] += units * (uint32_t) value[i + 3];
	}
	for (; i < count; i++)
		raw[candidate[i]] += units * (uint32_t) value[i];
}

/* sum (count) += unit times scale times raw. */
static void
add_scaled(float *restrict sum, const float *restrict scale, const uint32_t *restrict raw,
		   size_t count, float unit)
{
	for (size_t c = 0; c < count; c++)
		sum[c] += unit * scale[c] * (float) (int32_t) raw[c];
}

/*
 * Most candidates are touched: nothing is listed meanwhile, and sums are of integers, which are scaled
 * once in the end.  They wrap around past 16 million events that all mean one candidate.
 */
static void
add_whole_part(const tfrs_score_parts *parts, size_t p, const tfrs_event_list *list,
			   tfrs_part_sums *sums)
{
	const tfrs_neighbours *s = &parts->neighbours[p];
	event_walk	walk = walk_of(&parts->shape[p], list);
	float		unit = parts->shape[p].decay < 1 ? parts->shape[p].weight / DECAYED_UNITS
		: parts->shape[p].weight;

	for (; walk.next > walk.first; step_back(&walk))
	{
		uint32_t	event = list->candidate[walk.next - 1];
		uint64_t	first = s->offsets[event];

		if (walk.next > walk.first + EVENTS_AHEAD)
			fetch_row(s, list->candidate[walk.next - 1 - EVENTS_AHEAD]);
		add_units(sums->raw, s->candidate + first, s->value + first, s->offsets[event + 1] - first,
				  (uint32_t) (walk.h / unit + 0.5f));
	}
	add_scaled(sums->sum, s->scale, sums->raw, parts->candidates, unit);
	memset(sums->raw, 0, parts->candidates * sizeof(uint32_t));
}

/* Values that the events of a list have in a part. */
static uint64_t
values_of(const tfrs_score_parts *parts, size_t p, const tfrs_event_list *list)
{
	const uint64_t *offsets = parts->neighbours[p].offsets;
	event_walk	walk = walk_of(&parts->shape[p], list);
	uint64_t	values = 0;

	for (size_t e = walk.first; e < list->count; e++)
		values += offsets[list->candidate[e] + 1] - offsets[list->candidate[e]];
	return values;
}

/* Whether the part is asked for, and there is one. */
static bool
is_added(const tfrs_score_parts *parts, size_t p, size_t part)
{
	return (part == p || part == TFRS_SCORE_PARTS) && parts->shape[p].weight != 0;
}

static uint64_t
values_of_parts(const tfrs_score_parts *parts, size_t part, const tfrs_event_list *list)
{
	uint64_t	values = 0;

	for (size_t p = 0; p < TFRS_SCORE_PARTS; p++)
		if (is_added(parts, p, part))
			values += values_of(parts, p, list);
	return values;
}

size_t
tfrs_score_parts_reach(const tfrs_score_parts *parts, const tfrs_event_list *list)
{
	uint64_t	values = parts->candidates == 0 ? 0
		: values_of_parts(parts, TFRS_SCORE_PARTS, list);

	return values * ALL_SHARE > parts->candidates ? parts->candidates : (size_t) values;
}

void
tfrs_score_parts_add(const tfrs_score_parts *parts, size_t part, const tfrs_event_list *list,
					 tfrs_part_sums *sums)
{
	bool		whole = values_of_parts(parts, part, list) * LIST_SHARE > parts->candidates;

	for (size_t p = 0; p < TFRS_SCORE_PARTS; p++)
	{
		if (is_added(parts, p, part) && whole)
			add_whole_part(parts, p, list, sums);
		else if (is_added(parts, p, part))
			add_part(parts, p, list, sums);
	}
	if (whole)
		list_in_order(sums);
}

static int
compare_rows(const void *one, const void *two)
{
	uint32_t	a = *(const uint32_t *) one;
	uint32_t	b = *(const uint32_t *) two;

	return (a > b) - (a < b);
}

size_t
tfrs_part_sums_take(tfrs_part_sums *sums, uint32_t *rows, float *values)
{
	size_t		count;

	if (!sums->sorted && sums->candidates < SCAN_SHARE * sums->count)
		list_in_order(sums);
	else if (!sums->sorted)
		qsort(sums->touched, sums->count, sizeof(uint32_t), compare_rows);
	count = sums->count;
	memcpy(rows, sums->touched, count * sizeof(uint32_t));
	if (count == sums->candidates)
	{
		memcpy(values, sums->sum, count * sizeof(float));
		memset(sums->sum, 0, count * sizeof(float));
	}
	else
		for (size_t i = 0; i < count; i++)
		{
			values[i] = sums->sum[rows[i]];
			sums->sum[rows[i]] = 0;
		}
	sums->count = 0;
	return count;
}

/* S[event, candidate] */
static float
value_of(const tfrs_neighbours *s, uint32_t event, uint32_t candidate)
{
	uint64_t	low = s->offsets[event];
	uint64_t	high = s->offsets[event + 1];

	while (low < high)
	{
		uint64_t	middle = low + (high - low) / 2;

		if (s->candidate[middle] == candidate)
			return s->scale[candidate] * s->value[middle];
		if (s->candidate[middle] < candidate)
			low = middle + 1;
		else
			high = middle;
	}
	return 0;
}

void
tfrs_score_parts_contributions(const tfrs_score_parts *parts, const tfrs_event_list *list,
							   uint32_t candidate, double *contribution)
{
	for (size_t p = 0; p < TFRS_SCORE_PARTS; p++)
	{
		event_walk	walk = walk_of(&parts->shape[p], list);

		for (; parts->shape[p].weight != 0 && walk.next > walk.first; step_back(&walk))
			contribution[walk.next - 1] += walk.h *
				value_of(&parts->neighbours[p], list->candidate[walk.next - 1], candidate);
	}
}

void
tfrs_part_columns_fill(const tfrs_score_parts *parts, uint32_t candidate,
					   tfrs_part_columns *columns)
{
	for (size_t p = 0; p < TFRS_SCORE_PARTS; p++)
		for (uint32_t event = 0; parts->shape[p].weight != 0 && event < parts->candidates; event++)
			columns->value[p][event] = value_of(&parts->neighbours[p], event, candidate);
}

float
tfrs_part_columns_sum(const tfrs_score_parts *parts, const tfrs_part_columns *columns,
					  const tfrs_event_list *list)
{
	float		sum = 0;

	for (size_t p = 0; p < TFRS_SCORE_PARTS; p++)
	{
		event_walk	walk = walk_of(&parts->shape[p], list);

		for (; parts->shape[p].weight != 0 && walk.next > walk.first; step_back(&walk))
			sum += walk.h * columns->value[p][list->candidate[walk.next - 1]];
	}
	return sum;
}

static tfrs_status
save_part(const tfrs_score_parts *parts, size_t p, tfrs_block_writer *writer, tfrs_error *error)
{
	const tfrs_neighbours *s = &parts->neighbours[p];
	tfrs_status status = tfrs_block_writer_add(writer, "shape", &parts->shape[p], 1,
											   sizeof(parts->shape[p]), error);

	if (status == TFRS_OK)
		status = tfrs_block_writer_add(writer, "offsets", s->offsets, parts->candidates + 1,
									   sizeof(uint64_t), error);
	if (status == TFRS_OK)
		status = tfrs_block_writer_add(writer, "candidate", s->candidate, s->count,
									   sizeof(uint32_t), error);
	if (status == TFRS_OK)
		status = tfrs_block_writer_add(writer, "value", s->value, s->count, 1, error);
	if (status == TFRS_OK)
		status = tfrs_block_writer_add(writer, "scale", s->scale, parts->candidates,
									   sizeof(float), error);
	return status;
}

tfrs_status
tfrs_score_parts_save(const tfrs_score_parts *parts, tfrs_block_writer *writer, tfrs_error *error)
{
	tfrs_status status = TFRS_OK;

	for (size_t p = 0; p < TFRS_SCORE_PARTS && status == TFRS_OK; p++)
	{
		if (parts->shape[p].weight == 0)
			continue;
		writer->prefix = prefixes[p];
		status = save_part(parts, p, writer, error);
	}
	writer->prefix = "";
	return status;
}

static tfrs_status
corrupt(tfrs_error *error, size_t p)
{
	tfrs_fail(error, TFRS_CORRUPT, "model is corrupt");
	tfrs_error_detail(error, "Its part \"%.*s\" has values out of range.",
					  (int) strlen(prefixes[p]) - 1, prefixes[p]);
	return TFRS_CORRUPT;
}

static bool
is_shape(const tfrs_score_part_shape *shape)
{
	bool		decays = shape->decay > 0 && shape->decay < 1 && shape->length > 0 &&
		shape->length <= TFRS_STATE_EVENTS;

	return shape->weight >= LEAST_WEIGHT && shape->weight <= MOST_WEIGHT &&
		(shape->decay == 1 || decays) && shape->reserved == 0;
}

static tfrs_status
check_part(const tfrs_score_parts *parts, size_t p, tfrs_error *error)
{
	const tfrs_neighbours *s = &parts->neighbours[p];

	if (!is_shape(&parts->shape[p]) || s->offsets[0] != 0 ||
		s->offsets[s->candidates] != s->count)
		return corrupt(error, p);
	for (size_t j = 0; j < s->candidates; j++)
	{
		if (s->offsets[j] > s->offsets[j + 1] || s->offsets[j + 1] > s->count ||
			!(s->scale[j] >= 0 && s->scale[j] <= MOST_SCALE))
			return corrupt(error, p);
		for (uint64_t i = s->offsets[j]; i < s->offsets[j + 1]; i++)
			if (s->candidate[i] >= s->candidates ||
				(i > s->offsets[j] && s->candidate[i] <= s->candidate[i - 1]))
				return corrupt(error, p);
	}
	return TFRS_OK;
}

static tfrs_status
load_part(tfrs_score_parts *parts, size_t p, const tfrs_block *block, tfrs_error *error)
{
	tfrs_neighbours *s = &parts->neighbours[p];
	const tfrs_score_part_shape *shape;
	tfrs_status status;

	s->candidates = parts->candidates;
	status = tfrs_block_find_exact(block, tfrs_part_name_of(prefixes[p], "shape").text,
								   sizeof(*shape), 1, (const void **) &shape, error);
	if (status == TFRS_OK)
		parts->shape[p] = *shape;
	if (status == TFRS_OK)
		status = tfrs_block_find_exact(block, tfrs_part_name_of(prefixes[p], "offsets").text,
									   sizeof(uint64_t), parts->candidates + 1,
									   (const void **) &s->offsets, error);
	if (status == TFRS_OK)
		status = tfrs_block_find(block, tfrs_part_name_of(prefixes[p], "candidate").text,
								 sizeof(uint32_t), (const void **) &s->candidate, &s->count, error);
	if (status == TFRS_OK)
		status = tfrs_block_find_exact(block, tfrs_part_name_of(prefixes[p], "value").text, 1,
									   s->count, (const void **) &s->value, error);
	if (status == TFRS_OK)
		status = tfrs_block_find_exact(block, tfrs_part_name_of(prefixes[p], "scale").text,
									   sizeof(float), parts->candidates,
									   (const void **) &s->scale, error);
	return status == TFRS_OK && !block->trusted ? check_part(parts, p, error) : status;
}

tfrs_status
tfrs_score_parts_load(tfrs_score_parts *parts, const tfrs_block *block, size_t candidates,
					  tfrs_error *error)
{
	tfrs_status status = TFRS_OK;
	bool		some = false;

	memset(parts, 0, sizeof(*parts));
	parts->candidates = candidates;
	for (size_t p = 0; p < TFRS_SCORE_PARTS && status == TFRS_OK; p++)
		if (tfrs_block_has(block, tfrs_part_name_of(prefixes[p], "shape").text))
			status = load_part(parts, p, block, error);
	for (size_t p = 0; p < TFRS_SCORE_PARTS; p++)
		some = some || parts->shape[p].weight != 0;
	if (!some)
		parts->candidates = 0;
	return status;
}
