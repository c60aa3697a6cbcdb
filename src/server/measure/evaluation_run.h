/*
 * evaluation_run.h: the test of a model by ids, and the loop around the core's evaluation.
 *
 * What tfrs.evaluate and tfrs.refresh have in common.  Ids that the model does not know get numbers
 * behind its own.
 */
#ifndef TFRS_EVALUATION_RUN_H
#define TFRS_EVALUATION_RUN_H

#include "postgres.h"

#include "base/id_set.h"
#include "learning/evaluation.h"

typedef struct tfrs_evaluation_run
{
	MemoryContext context;
	const tfrs_model *model;
	tfrs_arena	arena;			/* for what is collected */
	const char *setting;		/* that bounds it */
	tfrs_id_set unknown_queries;
	tfrs_id_set unknown_candidates;
	tfrs_pair_set relevant;
	tfrs_pair_set excluded;
	tfrs_arena	ranking_arena;	/* for the evaluation, which keeps its address */
	tfrs_evaluation *evaluation;
} tfrs_evaluation_run;

/* Memory of context; what is collected takes at most the bytes that the setting allows
 * (maintenance_work_mem or tfrs.max_memory), else there is an ERROR that names it.  The model must
 * outlive the run. */
extern void tfrs_evaluation_run_begin(tfrs_evaluation_run *run, MemoryContext context,
									  const tfrs_model *model, const char *setting);

/* The number of a query, for the calls below. */
extern uint32 tfrs_evaluation_run_query(tfrs_evaluation_run *run, tfrs_id id);

extern void tfrs_evaluation_run_add_relevant(tfrs_evaluation_run *run, uint32 query, tfrs_id id);

/* A candidate by its row in the model. */
extern void tfrs_evaluation_run_add_excluded(tfrs_evaluation_run *run, uint32 query, uint32 row);

/*
 * Evaluates what was collected, within tfrs.max_memory; open to a cancel.  The result stays until
 * the end, or until the context goes.  distinct: receives the number of distinct relevant pairs.
 */
extern const tfrs_evaluation_result *
tfrs_evaluation_run_finish(tfrs_evaluation_run *run, const tfrs_evaluation_options *options,
						   size_t *distinct);
extern void tfrs_evaluation_run_end(tfrs_evaluation_run *run);

#endif							/* TFRS_EVALUATION_RUN_H */
