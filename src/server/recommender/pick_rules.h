/*
 * pick_rules.h: the rules of recommend and materialize that ask for more than the best scores: most,
 * diversity, boost and share.
 *
 * They name columns of the candidates, which are read as they are now with the caller's privileges.
 * A boost becomes a part of the score before the search; the others choose among what a search has
 * found (retrieval/selection.h).
 */
#ifndef TFRS_PICK_RULES_H
#define TFRS_PICK_RULES_H

#include "postgres.h"

#include "fmgr.h"

#include "base/id_view.h"
#include "learning/model.h"
#include "retrieval/index.h"
#include "retrieval/selection.h"
#include "server/recommender/registry.h"

typedef struct tfrs_pick_rules
{
	const tfrs_recommender *recommender;
	char	   *boost;			/* a column, or NULL */
	double		diversity;
	int			limits;
	uint32	   *most;			/* (limits) */
	int			shares;
	tfrs_share_rule *share;		/* (shares) */
	int			columns;		/* of the limits, then of the shares */
	char	  **column;			/* (columns) */
} tfrs_pick_rules;

/* Reads the arguments most, diversity, boost and share, the first of them number first, and checks
 * them; raises where columns are missing or may not be read. */
extern void tfrs_pick_rules_read(FunctionCallInfo fcinfo, int first,
								 const tfrs_recommender *recommender, tfrs_pick_rules *rules);

/* Adds the boosts of candidates to search->adjusted. */
extern void tfrs_pick_rules_boost(const tfrs_pick_rules *rules, const tfrs_id_view *ids,
								  tfrs_search *search);

/* Whether there is something to choose by beside the score. */
extern bool tfrs_pick_rules_choose(const tfrs_pick_rules *rules);

/* The rules for k of a model's candidates; what they choose from is the caller's to add. */
extern tfrs_selection tfrs_pick_rules_selection(const tfrs_pick_rules *rules, size_t k,
												const tfrs_model *model,
												const tfrs_index *index);

/*
 * Chooses among hits (count), the best first, whose columns have those values ((count, columns) text
 * or NULL).  picked: room for k places in hits.  false: they do not suffice, and there are others.
 */
extern bool tfrs_pick_rules_run(const tfrs_pick_rules *rules, tfrs_selection *selection,
								char *const *values, uint32_t *picked, size_t *picked_count);

#endif							/* TFRS_PICK_RULES_H */
