/*
 * profile.c: stored or live events of a query, merged.
 *
 * A candidate is an event at its first time, or, in a model that keeps repeats, at each of its
 * times; events are in the order of time, then of candidates.
 */
#include "server/recommender/profile.h"

#include "base/limits.h"
#include "server/values/candidate_ids.h"
#include "server/search/model_query.h"
#include "server/search/score_adjustment.h"

const char *
tfrs_answer_name(tfrs_answer answer, const tfrs_model *model)
{
	static const char *const names[] = {NULL, "personal", "history", "average", "popular"};

	if (answer == TFRS_ANSWER_POPULAR && tfrs_model_is_trending(model))
		return "trending";
	return names[answer];
}

#define LEAST_ROOM 16

static void
append(tfrs_profile *profile, uint32 candidate, int64 at)
{
	tfrs_profile_event event = {at, candidate};

	if (profile->count == profile->room)
	{
		profile->room *= 2;
		profile->events = repalloc_huge(profile->events,
										profile->room * sizeof(tfrs_profile_event));
	}
	profile->events[profile->count++] = event;
}

void
tfrs_profile_begin(tfrs_profile *profile, const tfrs_model *model, tfrs_id id, bool has_time)
{
	memset(profile, 0, sizeof(*profile));
	profile->model = model;
	profile->id = id;
	profile->row = tfrs_id_view_find(&model->query_ids, id);
	profile->has_time = model->has_events ? model->events.at != NULL : has_time;
	profile->room = LEAST_ROOM;
	profile->events = palloc(profile->room * sizeof(tfrs_profile_event));
}

void
tfrs_profile_set_live(tfrs_profile *profile)
{
	profile->live = true;
}

static void
add_mark(tfrs_profile *profile, uint32 candidate, bool disliked)
{
	if (profile->mark_count == profile->mark_room)
	{
		size_t		room = Max(2 * profile->mark_room, LEAST_ROOM);
		tfrs_profile_mark *marks = palloc_extended(room * sizeof(tfrs_profile_mark),
												   MCXT_ALLOC_HUGE);

		if (profile->mark_count > 0)
			memcpy(marks, profile->marks, profile->mark_count * sizeof(tfrs_profile_mark));
		profile->marks = marks;
		profile->mark_room = room;
	}
	profile->marks[profile->mark_count++] = (tfrs_profile_mark) {candidate, disliked};
}

/* Training takes weights as floats: what is rounded to 0 is 0. */
void
tfrs_profile_add(tfrs_profile *profile, uint32 candidate, int64 at, double weight)
{
	bool		counts = !((float) weight <= 0);

	profile->chosen = profile->chosen || counts;
	if (candidate == TFRS_NO_ROW)
		return;
	if (counts)
		append(profile, candidate, profile->has_time ? at : 0);
	else
		add_mark(profile, candidate, (float) weight < 0);
}

static int
compare(int64 a, int64 b)
{
	return a < b ? -1 : a > b;
}

static int
by_candidate(const void *a, const void *b)
{
	const tfrs_profile_event *x = a;
	const tfrs_profile_event *y = b;

	return x->candidate != y->candidate ? compare(x->candidate, y->candidate)
		: compare(x->at, y->at);
}

static int
by_time(const void *a, const void *b)
{
	const tfrs_profile_event *x = a;
	const tfrs_profile_event *y = b;

	return x->at != y->at ? compare(x->at, y->at) : compare(x->candidate, y->candidate);
}

/* Keeps the first of the events that are one. */
static void
drop_repeats(tfrs_profile *profile)
{
	const tfrs_tower_shape *shape = profile->model->history;
	bool		repeats = shape != NULL && shape->repeats;
	size_t		kept = 0;

	qsort(profile->events, profile->count, sizeof(tfrs_profile_event), by_candidate);
	for (size_t i = 0; i < profile->count; i++)
	{
		const tfrs_profile_event *event = &profile->events[i];
		tfrs_profile_event *last = &profile->events[kept - (kept > 0)];

		if (kept == 0 || last->candidate != event->candidate || (repeats && last->at != event->at))
			profile->events[kept++] = *event;
	}
	profile->count = kept;
}

/* The events that the model has stored. */
static void
add_stored(tfrs_profile *profile)
{
	const tfrs_events *events = &profile->model->events;
	tfrs_event_list stored;

	if (!profile->model->has_events || profile->row == TFRS_NO_ROW)
		return;
	stored = tfrs_events_of(events, profile->row);
	for (size_t i = 0; i < stored.count; i++)
		append(profile, stored.candidate[i], stored.at == NULL ? 0 : stored.at[i]);
}

void
tfrs_profile_finish(tfrs_profile *profile)
{
	uint32	   *candidates;
	int64	   *times;

	if (!profile->live)
		add_stored(profile);
	drop_repeats(profile);
	qsort(profile->events, profile->count, sizeof(tfrs_profile_event), by_time);
	candidates = palloc_extended(profile->count * sizeof(uint32) + 1, MCXT_ALLOC_HUGE);
	times = palloc_extended(profile->count * sizeof(int64) + 1, MCXT_ALLOC_HUGE);
	for (size_t i = 0; i < profile->count; i++)
	{
		candidates[i] = profile->events[i].candidate;
		times[i] = profile->events[i].at;
	}
	profile->list.count = profile->count;
	profile->list.candidate = candidates;
	profile->list.at = profile->has_time ? times : NULL;
}

/* The place in the list stands for the time, until the events are merged. */
void
tfrs_profile_of_list(tfrs_profile *profile, const tfrs_model *model, const uint32 *candidates,
					 size_t count)
{
	memset(profile, 0, sizeof(*profile));
	profile->model = model;
	profile->row = TFRS_NO_ROW;
	profile->live = true;
	profile->room = Max(count, LEAST_ROOM);
	profile->events = palloc_extended(profile->room * sizeof(tfrs_profile_event), MCXT_ALLOC_HUGE);
	for (size_t i = 0; i < count; i++)
		append(profile, candidates[i], (int64) i);
	tfrs_profile_finish(profile);
}

static tfrs_answer
answer_unknown(const tfrs_profile *profile, tfrs_unknown unknown, float *vector)
{
	switch (unknown)
	{
		case TFRS_UNKNOWN_POPULAR:
			return TFRS_ANSWER_POPULAR;
		case TFRS_UNKNOWN_NONE:
			return TFRS_ANSWER_NOTHING;
		case TFRS_UNKNOWN_ERROR:
			tfrs_report_unknown(&profile->model->query_ids, profile->id, "query");
		default:
			tfrs_model_query(profile->model, TFRS_NO_ROW, vector);
			return TFRS_ANSWER_AVERAGE;
	}
}

tfrs_answer
tfrs_profile_answer(const tfrs_profile *profile, tfrs_unknown unknown, float *vector)
{
	bool		known = profile->row != TFRS_NO_ROW;

	/* a vector of its own is nothing known of one who has nothing left in the interactions */
	if (known && profile->model->history == NULL && (profile->chosen || !profile->live))
		tfrs_model_query(profile->model, profile->row, vector);
	else if (profile->list.count > 0)
		tfrs_model_history(profile->model, &profile->list, vector);
	else
		return answer_unknown(profile, unknown, vector);
	return known ? TFRS_ANSWER_PERSONAL : TFRS_ANSWER_HISTORY;
}

void
tfrs_profile_adjust(const tfrs_profile *profile, tfrs_search *search)
{
	tfrs_search_adjust(profile->model, &profile->model->candidate_ids, &profile->list, search);
}

void
tfrs_profile_exclude(const tfrs_profile *profile, bool include_seen, tfrs_search *search)
{
	uint32_t   *rows = palloc_extended(profile->mark_count * sizeof(uint32_t) + 1,
									   MCXT_ALLOC_HUGE);
	size_t		count = 0;

	for (size_t i = 0; i < profile->mark_count; i++)
		if (profile->marks[i].disliked || !include_seen)
			rows[count++] = profile->marks[i].candidate;
	if (count > 0)
		tfrs_search_exclude(search, rows, count);
	if (!include_seen)
		tfrs_search_exclude(search, profile->list.candidate, profile->list.count);
}
