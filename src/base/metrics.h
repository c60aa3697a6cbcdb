/*
 * metrics.h: ranking metrics as accumulators over queries.
 *
 * One list a query: the ranks (1-based, ascending) at which its relevant candidates stand in the
 * ranking after exclusions, and the number of relevant candidates (also those that no rank can
 * reach).  Definitions as in test/fixtures/README: recall = hits / |P|, precision = hits / k,
 * ndcg = sum over hits of 1 / log2(rank + 1) over the same sum for min(|P|, k) leading hits,
 * mrr = 1 / rank of the first hit within k, map = sum over hits of the precision at their rank /
 * min(|P|, k), hit = any hit within k, capped_recall = hits / min(|P|, k).  Means over queries,
 * weighted.
 */
#ifndef TFRS_METRICS_H
#define TFRS_METRICS_H

#include <stddef.h>
#include <stdint.h>

typedef struct tfrs_metrics
{
	size_t		k;
	double		hit;
	double		recall;
	double		capped_recall;
	double		precision;
	double		ndcg;
	double		mrr;
	double		map;
	double		weight;			/* of the queries added */
} tfrs_metrics;

/* k > 0 */
extern void tfrs_metrics_init(tfrs_metrics *metrics, size_t k);

/* ranks (rank_count), ascending, 1-based; relevant >= rank_count, > 0; weight >= 0. */
extern void tfrs_metrics_add(tfrs_metrics *metrics, const uint32_t *ranks, size_t rank_count,
							 size_t relevant, double weight);

/* Adds the sums of another part of the queries; neither is finished. */
extern void tfrs_metrics_merge(tfrs_metrics *metrics, const tfrs_metrics *part);

/* Turns the sums into means (0 where nothing was added). */
extern void tfrs_metrics_finish(tfrs_metrics *metrics);

#endif							/* TFRS_METRICS_H */
