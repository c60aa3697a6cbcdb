/*
 * evaluate_report.h: what tfrs.evaluate returns and says.
 */
#ifndef TFRS_EVALUATE_REPORT_H
#define TFRS_EVALUATE_REPORT_H

#include "postgres.h"

#include "fmgr.h"

#include "learning/evaluation.h"

/* What was counted while rows were collected. */
typedef struct tfrs_evaluate_rows
{
	uint64		rows;			/* (query, candidate) rows that are not NULL */
	uint64		skipped;		/* rows, or elements of arrays, left out for a NULL */
	size_t		distinct;		/* distinct pairs among them */
} tfrs_evaluate_rows;

/*
 * The result as JSON text, palloc'd: figures of the model by metric and k, the counts, and the same
 * figures of the baselines where they were asked for.
 */
extern char *tfrs_evaluate_report(const tfrs_evaluation_result *result,
								  const tfrs_evaluation_options *options,
								  const tfrs_evaluate_rows *rows, size_t candidates);

/* A NOTICE where a ranking that needs no training is better than the model.  fcinfo: of the
 * aggregate's final function, or NULL. */
extern void tfrs_evaluate_notice(const tfrs_evaluation_result *result,
								 const tfrs_evaluation_options *options, FunctionCallInfo fcinfo);

/* The number of these notices, for tfrs_bridge_first_notice. */
#define TFRS_EVALUATE_NOTICES 1

#endif							/* TFRS_EVALUATE_REPORT_H */
