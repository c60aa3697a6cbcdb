/*
 * part_fit.c: one part after the other.
 */
#include "learning/part_fit.h"

#include <string.h>

enum
{
	POPULARITY = TFRS_SCORE_PARTS,
	FITTED
};

/* One part is fitted after the other; of the first the values stay. */
bool
tfrs_part_fit_bytes(const tfrs_events *events, size_t candidates, int threads, size_t *bytes)
{
	tfrs_neighbour_kind last = events->later > 0 ? TFRS_NEXT : TFRS_TOGETHER;
	double		values = tfrs_neighbours_most((double) candidates) * 5;
	size_t		neighbours = 0;
	size_t		popularity = 0;

	if (!tfrs_neighbour_fit_bytes(last, events, candidates, threads, &neighbours) ||
		(last == TFRS_NEXT && !tfrs_popularity_fit_bytes(events->count, candidates, &popularity)))
		return false;
	neighbours = popularity > neighbours ? popularity : neighbours;
	return tfrs_size_add(*bytes, neighbours, bytes) &&
		tfrs_size_add(*bytes, (size_t) values + 16 * candidates, bytes);
}

void
tfrs_part_fit_begin(tfrs_part_fit *fit, tfrs_arena *arena, const tfrs_part_fit_data *data)
{
	memset(fit, 0, sizeof(*fit));
	fit->arena = arena;
	fit->data = *data;
}

void
tfrs_part_fit_free(tfrs_part_fit *fit)
{
	if (fit->arena == NULL)
		return;
	for (size_t p = 0; p < TFRS_LIKE_CONTENT; p++)
		tfrs_neighbour_fit_free(&fit->fit[p]);
	tfrs_content_fit_free(&fit->content);
	tfrs_popularity_fit_free(&fit->popularity);
	memset(fit, 0, sizeof(*fit));
}

static bool
is_wanted(const tfrs_part_fit *fit)
{
	const tfrs_part_fit_data *data = &fit->data;
	bool		timed = data->events->at != NULL;

	switch (fit->phase)
	{
		case POPULARITY:
			return timed;
		case TFRS_LIKE_CONTENT:
			return data->wanted[TFRS_LIKE_CONTENT] && data->content != NULL;
		case TFRS_NEXT:
			return data->wanted[TFRS_NEXT] && timed;
		default:
			return data->wanted[fit->phase];
	}
}

static tfrs_status
begin(tfrs_part_fit *fit, tfrs_error *error)
{
	const tfrs_part_fit_data *data = &fit->data;

	fit->begun = true;
	if (fit->phase == POPULARITY)
		return tfrs_popularity_fit_begin(&fit->popularity, fit->arena, data->events,
										 data->candidates, error);
	if (fit->phase == TFRS_LIKE_CONTENT)
		return tfrs_content_fit_begin(&fit->content, fit->arena, data->content, data->events,
									  data->threads, error);
	return tfrs_neighbour_fit_begin(&fit->fit[fit->phase], fit->arena,
									(tfrs_neighbour_kind) fit->phase, data->events,
									data->candidates, data->threads, error);
}

static tfrs_status
step(tfrs_part_fit *fit, tfrs_error *error)
{
	tfrs_status status;

	if (!fit->begun)
	{
		status = begin(fit, error);
		return status == TFRS_OK ? TFRS_MORE : status;
	}
	if (fit->phase < TFRS_LIKE_CONTENT)
		return tfrs_neighbour_fit_step(&fit->fit[fit->phase], &fit->neighbours[fit->phase], error);
	if (fit->phase == TFRS_LIKE_CONTENT)
		return tfrs_content_fit_step(&fit->content, &fit->neighbours[fit->phase], error);
	status = tfrs_popularity_fit_step(&fit->popularity);
	if (status == TFRS_OK)
		fit->recent = &fit->popularity.result;
	return status;
}

tfrs_status
tfrs_part_fit_step(tfrs_part_fit *fit, tfrs_error *error)
{
	tfrs_status status = TFRS_OK;

	if (fit->phase == FITTED)
		return TFRS_OK;
	if (is_wanted(fit))
		status = step(fit, error);
	if (status != TFRS_OK)
		return status;
	fit->phase++;
	fit->begun = false;
	return fit->phase < FITTED ? TFRS_MORE : TFRS_OK;
}
