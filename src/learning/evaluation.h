/*
 * evaluation.h: how well a model ranks candidates that it was not trained on.
 *
 * Each query of the test ranks the whole catalogue; what it was trained on is left out of its
 * ranking (where the model stores events), and so is what the caller excludes (held_out.h).  A
 * query that the model does not know ranks by the unknown slot.  Figures are means over the queries
 * with at least one relevant candidate left, as base/metrics.h defines them; ranks are those of an
 * exact search (base/shortlist.h).
 *
 *     loss      mean over the relevant candidates that are known of -ln softmax of the served score
 *               over all candidates that are not left out
 *     coverage  candidates that are among the first k of any query
 *
 * The same is done for two rankings that need no training, to compare with: candidates by how many
 * queries chose them, and item-item cosine (learning/baselines.h).
 */
#ifndef TFRS_EVALUATION_H
#define TFRS_EVALUATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/metrics.h"
#include "learning/held_out.h"
#include "learning/model.h"
#include "learning/pair_set.h"

typedef struct tfrs_evaluation_options
{
	uint32_t	cutoffs[TFRS_MAX_CUTOFFS];	/* k, ascending and distinct */
	size_t		cutoff_count;	/* > 0 */
	bool		keep_seen;		/* leave nothing out but what the caller excludes */
	bool		baselines;
	int			threads;
} tfrs_evaluation_options;

extern void tfrs_evaluation_options_default(tfrs_evaluation_options *options);

/* A sentence about what is wrong, or NULL. */
extern const char *tfrs_evaluation_options_check(const tfrs_evaluation_options *options);

/*
 * Query numbers from V and candidate numbers from N on stand for what the model does not know.  The
 * sets are finished; relevant is used up.
 */
typedef struct tfrs_evaluation_test
{
	const tfrs_model *model;
	tfrs_pair_set *relevant;
	const tfrs_pair_set *excluded;	/* or NULL; candidates below N */
} tfrs_evaluation_test;

/* What one ranking is worth. */
typedef struct tfrs_figures
{
	tfrs_metrics metrics[TFRS_MAX_CUTOFFS];
	uint64_t	covered[TFRS_MAX_CUTOFFS];	/* candidates among anybody's first k */
} tfrs_figures;

typedef enum tfrs_ranking
{
	TFRS_RANKING_MODEL,
	TFRS_RANKING_POPULARITY,
	TFRS_RANKING_ITEM_ITEM,		/* only where the model stores events */
	TFRS_RANKINGS
} tfrs_ranking;

typedef struct tfrs_evaluation_result
{
	size_t		queries;		/* with at least one relevant candidate */
	size_t		unknown_queries;	/* of these */
	size_t		pairs;			/* relevant candidates of all queries */
	size_t		unknown_pairs;	/* of these, whose candidate the model does not know */
	size_t		left_out_pairs; /* relevant candidates taken out of the test */
	double		loss;			/* a pair that is known; 0 where there is none */
	bool		ranked[TFRS_RANKINGS];
	tfrs_figures figures[TFRS_RANKINGS];
} tfrs_evaluation_result;

typedef struct tfrs_evaluation tfrs_evaluation;

/* The test must stay until the end.  Errors: memory; TFRS_NOT_FINITE: scores that overflow. */
extern tfrs_status tfrs_evaluation_begin(tfrs_evaluation **evaluation, tfrs_arena *arena,
										 const tfrs_evaluation_test *test,
										 const tfrs_evaluation_options *options,
										 tfrs_error *error);

/* TFRS_MORE until done: a step does some 2^29 multiply-adds a thread. */
extern tfrs_status tfrs_evaluation_step(tfrs_evaluation *evaluation, tfrs_error *error);

/* The ranking under way, in words for the user, and how many queries have it, of those in all. */
extern const char *tfrs_evaluation_phase(const tfrs_evaluation *evaluation, uint64_t *done,
										 uint64_t *total);

/* Of a finished evaluation; its memory. */
extern const tfrs_evaluation_result *tfrs_evaluation_result_of(const tfrs_evaluation *evaluation);

/* NULL is allowed. */
extern void tfrs_evaluation_destroy(tfrs_evaluation *evaluation);

#endif							/* TFRS_EVALUATION_H */
