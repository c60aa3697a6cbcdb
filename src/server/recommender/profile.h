/*
 * profile.h: what is known of one query now.
 *
 *     begin -> set_live, add each event -> finish -> answer, exclude
 *
 * Where the interactions can be read they alone say what the query has chosen, so that what is
 * deleted there counts no longer; elsewhere it is what the model has stored.  (Both were merged
 * once: then a deleted row counted until the next training.)  Events are merged as training merges
 * them (learning/event_collector.h): where the interactions have not changed since, answers are
 * those of the model alone.
 */
#ifndef TFRS_PROFILE_H
#define TFRS_PROFILE_H

#include "postgres.h"

#include "learning/model.h"
#include "retrieval/collector.h"
#include "server/search/search_arguments.h"

/* Where an answer comes from. */
typedef enum tfrs_answer
{
	TFRS_ANSWER_NOTHING,		/* the query is unknown, and such get no rows */
	TFRS_ANSWER_PERSONAL,		/* the model was trained with the query */
	TFRS_ANSWER_HISTORY,		/* it wasn't, but the query's events are known */
	TFRS_ANSWER_AVERAGE,		/* unknown: the unknown slot's vector */
	TFRS_ANSWER_POPULAR			/* unknown: candidates by how often they were chosen, no vector */
} tfrs_answer;

typedef struct tfrs_profile_event
{
	int64		at;
	uint32		candidate;
} tfrs_profile_event;

/* A candidate that was shown or disliked, and is no event. */
typedef struct tfrs_profile_mark
{
	uint32		candidate;
	bool		disliked;
} tfrs_profile_mark;

/* Lies in the current memory context of begin. */
typedef struct tfrs_profile
{
	const tfrs_model *model;
	tfrs_id		id;
	uint32		row;			/* of the model's queries, or TFRS_NO_ROW */
	bool		has_time;
	bool		live;			/* what the model has stored does not count */
	bool		chosen;			/* the query has an event, if only of an unknown candidate */
	tfrs_profile_event *events; /* (room) after finish those of the list */
	size_t		count;
	size_t		room;
	tfrs_profile_mark *marks;	/* (mark_room) */
	size_t		mark_count;
	size_t		mark_room;
	tfrs_event_list list;		/* the merged events, after finish */
} tfrs_profile;

/* The name of an answer's source by a model: "personal"; NULL for nothing. */
extern const char *tfrs_answer_name(tfrs_answer answer, const tfrs_model *model);

/* has_time: live events come with times.  The id's bytes must outlive the profile. */
extern void tfrs_profile_begin(tfrs_profile *profile, const tfrs_model *model, tfrs_id id,
							   bool has_time);

/*
 * A whole profile of nobody in particular, in place of begin to finish: the rows of candidates
 * (count), oldest first, are all that is known.
 */
extern void tfrs_profile_of_list(tfrs_profile *profile, const tfrs_model *model,
								 const uint32 *candidates, size_t count);

/* Events are those of the interactions, not those that the model has stored. */
extern void tfrs_profile_set_live(tfrs_profile *profile);

/*
 * A row of the interactions, of one of the model's candidates or TFRS_NO_ROW; at is looked at only
 * where events have times.  By its weight it is an event, or at 0 something that was seen and not
 * liked, or below 0 something that is disliked.
 */
extern void tfrs_profile_add(tfrs_profile *profile, uint32 candidate, int64 at, double weight);

extern void tfrs_profile_finish(tfrs_profile *profile);

/* Puts the query's vector into vector (D) but where the answer is nothing or what is popular. */
extern tfrs_answer tfrs_profile_answer(const tfrs_profile *profile, tfrs_unknown unknown,
									   float *vector);

/* Puts what the events add to candidates' scores beside the vector into search->adjusted. */
extern void tfrs_profile_adjust(const tfrs_profile *profile, tfrs_search *search);

/*
 * Adds to search->excluded, a new list in the current memory context, what is disliked, and, unless it
 * is to be included, what was seen: the candidates of the events and of rows of weight 0.
 */
extern void tfrs_profile_exclude(const tfrs_profile *profile, bool include_seen,
								 tfrs_search *search);

#endif							/* TFRS_PROFILE_H */
