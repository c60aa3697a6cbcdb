/*
 * run_record.h: what the registry keeps of a refresh: its run, versions, epochs and metrics.
 *
 * The SPI is connected; nothing here commits.
 */
#ifndef TFRS_RUN_RECORD_H
#define TFRS_RUN_RECORD_H

#include "postgres.h"

#include "learning/model.h"
#include "server/recommender/registry.h"

/* A run from its beginning.  Runs that began before and whose session is gone become abandoned. */
extern int64 tfrs_run_begin(const tfrs_recommender *recommender, const char *mode);

/* What a run was made of. */
typedef struct tfrs_run_counts
{
	uint64		rows;			/* that the version was trained on */
	uint64		queries;
	uint64		candidates;
	uint64		held_out_rows;	/* of them, at first, to measure it */
	uint64		left_out_rows;	/* for a NULL or a weight of 0 */
	const char *split;			/* how they were chosen */
	const char *fingerprint;	/* equal ones: there was the same to learn */
} tfrs_run_counts;

/* The version that the last run with that fingerprint made, where no other was made since and it is
 * still kept; else 0. */
extern int	tfrs_run_same_version(const tfrs_recommender *recommender, const char *fingerprint);

/* What is known of how a version was made. */
typedef struct tfrs_run_version
{
	double		rows;			/* NaN: unknown, as of the next two */
	double		queries;
	double		candidates;
	char	   *split;			/* how rows were held out to measure it; NULL: unknown */
	double		ndcg;			/* at cutoff, on these; NaN: not measured */
} tfrs_run_version;

extern void tfrs_run_of_version(const tfrs_recommender *recommender, int version, int cutoff,
								tfrs_run_version *made);

extern void tfrs_run_unchanged(int64 run, int version, const tfrs_run_counts *counts);
extern void tfrs_run_succeeded(int64 run, int version, const tfrs_run_counts *counts);

/* state: failed or cancelled. */
extern void tfrs_run_failed(int64 run, const char *state, const ErrorData *error);

/* One above all versions that the recommender has had. */
extern int	tfrs_run_next_version(const tfrs_recommender *recommender);

/* Adds the version that a run made; held_back: why it is not the one in use from now on, or NULL;
 * deliberate: because somebody wanted it so.  And the types of ids that it was trained on. */
extern void tfrs_run_note_tags(const tfrs_recommender *recommender, int version, uint32 query_tag,
							   uint32 candidate_tag);
extern void tfrs_run_add_version(const tfrs_recommender *recommender, int64 run, int version,
								 const char *held_back, bool deliberate);

/* Versions of the store, and when each was made: those that the registry does not have become
 * known. */
extern void tfrs_run_know_versions(const tfrs_recommender *recommender, ArrayType *versions,
								   ArrayType *created);

/* The same for a store that was taken over: what is not in it is forgotten, and where that is the
 * version in use, the last one is used from now on.  Returns the version in use, 0: none. */
extern int	tfrs_run_take_versions(const tfrs_recommender *recommender, ArrayType *versions,
								   ArrayType *created);

/* Forgets a recommender with all that is recorded of it. */
extern void tfrs_run_forget(const tfrs_recommender *recommender);

/* The version that was published before the one in use, is kept and was not taken back; 0: none. */
extern int	tfrs_run_version_before(const tfrs_recommender *recommender);
extern void tfrs_run_add_epochs(int64 run, const tfrs_model *model);

/* report: what tfrs.evaluate returns, with baselines, or NULL: nothing is added. */
extern void tfrs_run_add_metrics(int64 run, int version, const char *split, const char *report);

/* Forgets old runs, and old versions but for the one in use and (unless only one is to be kept) the
 * one published before it; returns the versions that went. */
extern int *tfrs_run_prune(const tfrs_recommender *recommender, int *count);

/* NOTIFY tfrs_refresh at the end of the transaction; version 0: none. */
extern void tfrs_run_notify(const tfrs_recommender *recommender, int64 run, const char *state,
							int version);

#endif							/* TFRS_RUN_RECORD_H */
