/*
 * history.c: walks over the bags of history.h.
 */
#include "learning/history.h"

#include <math.h>

size_t
tfrs_events_longest(const tfrs_events *events)
{
	size_t		longest = 0;

	for (size_t q = 0; q < events->queries; q++)
	{
		size_t		count = tfrs_events_of(events, (uint32_t) q).count;

		longest = count > longest ? count : longest;
	}
	return longest;
}

/* Whether event i is followed by a later one, so that what lies before it is a step older. */
static bool
starts_group(const tfrs_event_list *list, size_t i)
{
	return i > 0 && (list->at == NULL || list->at[i - 1] != list->at[i]);
}

static float
weight_before(const tfrs_bag_walk *walk, size_t i, float weight)
{
	return walk->decay > 0 && starts_group(walk->list, i) ? weight * walk->decay : weight;
}

tfrs_bag_walk
tfrs_bag_begin(tfrs_bag bag, const tfrs_event_list *list)
{
	tfrs_bag_walk walk = {
		.list = list, .decay = bag.decay, .first = list->count - tfrs_bag_size(bag, list->count),
		.event = list->count, .next = 1.0f
	};
	float		weight = 1.0f;
	double		sum = 0;

	for (size_t i = list->count; i-- > walk.first;)
	{
		sum += weight;
		weight = weight_before(&walk, i, weight);
	}
	walk.scale = sum > 0 ? (float) (1.0 / sqrt(sum)) : 0.0f;
	return walk;
}

bool
tfrs_bag_next(tfrs_bag_walk *walk)
{
	if (walk->event == walk->first)
		return false;
	walk->event--;
	walk->weight = walk->next * walk->scale;
	walk->next = weight_before(walk, walk->event, walk->next);
	return true;
}

void
tfrs_bag_push(tfrs_bag bag, const tfrs_event_list *list, float dropout, tfrs_random *random,
			  tfrs_ragged *out)
{
	tfrs_bag_walk walk = tfrs_bag_begin(bag, list);

	walk.scale /= 1.0f - dropout;
	while (tfrs_bag_next(&walk))
		if (dropout == 0 || tfrs_random_float(random) >= dropout)
			tfrs_ragged_push(out, list->candidate[walk.event], walk.weight);
}
