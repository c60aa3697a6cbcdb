/*
 * metrics.c: the sums behind metrics.h.  Everything is in double and in the order of the calls, so
 * the same queries in the same order give the same bits.
 */
#include "base/metrics.h"

#include <math.h>
#include <string.h>

static double
gain(double rank)
{
	return 1.0 / log2(rank + 1.0);
}

void
tfrs_metrics_init(tfrs_metrics *metrics, size_t k)
{
	memset(metrics, 0, sizeof(*metrics));
	metrics->k = k;
}

void
tfrs_metrics_add(tfrs_metrics *metrics, const uint32_t *ranks, size_t rank_count, size_t relevant,
				 double weight)
{
	size_t		reachable = relevant < metrics->k ? relevant : metrics->k;
	size_t		hits = 0;
	double		gains = 0;
	double		ideal_gains = 0;
	double		precisions = 0;

	for (; hits < rank_count && ranks[hits] <= metrics->k; hits++)
	{
		gains += gain(ranks[hits]);
		precisions += (double) (hits + 1) / ranks[hits];
	}
	for (size_t i = 1; i <= reachable; i++)
		ideal_gains += gain((double) i);

	metrics->hit += weight * (hits > 0);
	metrics->recall += weight * (double) hits / (double) relevant;
	metrics->capped_recall += weight * (double) hits / (double) reachable;
	metrics->precision += weight * (double) hits / (double) metrics->k;
	metrics->ndcg += weight * gains / ideal_gains;
	metrics->mrr += hits > 0 ? weight / ranks[0] : 0;
	metrics->map += weight * precisions / (double) reachable;
	metrics->weight += weight;
}

void
tfrs_metrics_merge(tfrs_metrics *metrics, const tfrs_metrics *part)
{
	metrics->hit += part->hit;
	metrics->recall += part->recall;
	metrics->capped_recall += part->capped_recall;
	metrics->precision += part->precision;
	metrics->ndcg += part->ndcg;
	metrics->mrr += part->mrr;
	metrics->map += part->map;
	metrics->weight += part->weight;
}

void
tfrs_metrics_finish(tfrs_metrics *metrics)
{
	double		scale = metrics->weight > 0 ? 1.0 / metrics->weight : 0;

	metrics->hit *= scale;
	metrics->recall *= scale;
	metrics->capped_recall *= scale;
	metrics->precision *= scale;
	metrics->ndcg *= scale;
	metrics->mrr *= scale;
	metrics->map *= scale;
}
