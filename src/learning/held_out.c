/*
 * held_out.c: sorting out the test of held_out.h.
 *
 * Which of a query's candidates are left out is looked up in its two lists each time; nothing is
 * kept for all queries, since the events of all of them may be as large as the model.
 */
#include "learning/held_out.h"

#include <math.h>

tfrs_left_out
tfrs_held_out_left_out(const tfrs_held_out *test, uint32_t query)
{
	tfrs_left_out out = {0};
	size_t		list;

	if (test->events != NULL && !test->keep_seen && query < test->events->queries)
	{
		tfrs_event_list events = tfrs_events_of(test->events, query);

		out.seen = events.candidate;
		out.seen_count = events.count;
	}
	if (test->excluded != NULL && tfrs_pair_set_find(test->excluded, query, &list))
	{
		out.excluded = test->excluded->pairs + test->excluded->start[list];
		out.excluded_count = test->excluded->start[list + 1] - test->excluded->start[list];
	}
	return out;
}

void
tfrs_left_out_mark(const tfrs_left_out *out, uint64_t *marked)
{
	for (size_t i = 0; i < out->seen_count; i++)
		tfrs_mark(marked, out->seen[i]);
	for (size_t i = 0; i < out->excluded_count; i++)
		tfrs_mark(marked, tfrs_pair_candidate(out->excluded[i]));
}

void
tfrs_left_out_unmark(const tfrs_left_out *out, uint64_t *marked)
{
	for (size_t i = 0; i < out->seen_count; i++)
		tfrs_unmark(marked, out->seen[i]);
	for (size_t i = 0; i < out->excluded_count; i++)
		tfrs_unmark(marked, tfrs_pair_candidate(out->excluded[i]));
}

void
tfrs_left_out_hide(const tfrs_left_out *out, float *scores, size_t first, size_t count)
{
	for (size_t i = 0; i < out->seen_count; i++)
		if (out->seen[i] - first < count)
			scores[out->seen[i] - first] = -INFINITY;
	for (size_t i = 0; i < out->excluded_count; i++)
		if (tfrs_pair_candidate(out->excluded[i]) - first < count)
			scores[tfrs_pair_candidate(out->excluded[i]) - first] = -INFINITY;
}

size_t
tfrs_held_out_take(tfrs_held_out *test, size_t list, uint64_t *marked)
{
	uint64_t   *pairs = tfrs_held_out_relevant(test, list);
	size_t		count = test->relevant->start[list + 1] - test->relevant->start[list];
	tfrs_left_out out = tfrs_held_out_left_out(test, tfrs_held_out_query_of(test, list));
	tfrs_held_out_query *left = &test->left[list];

	*left = (tfrs_held_out_query) {0, 0};
	tfrs_left_out_mark(&out, marked);
	for (size_t i = 0; i < count; i++)
	{
		uint32_t	candidate = tfrs_pair_candidate(pairs[i]);

		if (candidate >= test->candidates)
			left->unknown++;
		else if (!tfrs_is_marked(marked, candidate))
			pairs[left->known++] = pairs[i];
	}
	tfrs_left_out_unmark(&out, marked);
	return count - left->known - left->unknown;
}
