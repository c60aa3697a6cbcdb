/*
 * test_metrics.c: cases small enough to compute by hand.
 */
#include "base/metrics.h"
#include "check.h"

static tfrs_metrics
metrics_of(size_t k, const uint32_t *ranks, size_t rank_count, size_t relevant)
{
	tfrs_metrics metrics;

	tfrs_metrics_init(&metrics, k);
	tfrs_metrics_add(&metrics, ranks, rank_count, relevant, 1);
	tfrs_metrics_finish(&metrics);
	return metrics;
}

CHECK_TEST(two_relevant_at_ranks_4_and_5)
{
	static const uint32_t ranks[] = {4, 5};
	tfrs_metrics metrics = metrics_of(5, ranks, 2, 2);

	CHECK_NEAR(metrics.hit, 1, 0);
	CHECK_NEAR(metrics.recall, 1, 0);
	CHECK_NEAR(metrics.capped_recall, 1, 0);
	CHECK_NEAR(metrics.precision, 2.0 / 5, 1e-15);
	CHECK_NEAR(metrics.mrr, 1.0 / 4, 0);
	CHECK_NEAR(metrics.map, (1.0 / 4 + 2.0 / 5) / 2, 1e-15);
	CHECK_NEAR(metrics.ndcg, (1 / log2(5) + 1 / log2(6)) / (1 + 1 / log2(3)), 1e-15);
}

CHECK_TEST(ranks_behind_k_do_not_count)
{
	static const uint32_t ranks[] = {1, 4, 5};
	tfrs_metrics metrics = metrics_of(4, ranks, 3, 3);

	CHECK_NEAR(metrics.recall, 2.0 / 3, 1e-15);
	CHECK_NEAR(metrics.precision, 2.0 / 4, 1e-15);
	CHECK_NEAR(metrics.map, (1 + 2.0 / 4) / 3, 1e-15);
	metrics = metrics_of(3, ranks + 1, 2, 2);
	CHECK_NEAR(metrics.hit, 0, 0);
	CHECK_NEAR(metrics.mrr, 0, 0);
	CHECK_NEAR(metrics.ndcg, 0, 0);
}

CHECK_TEST(more_relevant_than_k_caps_the_ideal)
{
	static const uint32_t ranks[] = {1, 2, 3, 4};
	tfrs_metrics metrics = metrics_of(2, ranks, 4, 10);

	CHECK_NEAR(metrics.ndcg, 1, 1e-15);
	CHECK_NEAR(metrics.map, 1, 1e-15);
	CHECK_NEAR(metrics.capped_recall, 1, 1e-15);
	CHECK_NEAR(metrics.recall, 2.0 / 10, 1e-15);
}

CHECK_TEST(relevant_candidates_without_a_rank)
{
	tfrs_metrics metrics = metrics_of(10, NULL, 0, 3);

	CHECK_NEAR(metrics.hit + metrics.recall + metrics.ndcg + metrics.mrr + metrics.map, 0, 0);
	CHECK_NEAR(metrics.weight, 1, 0);
}

CHECK_TEST(means_are_weighted)
{
	static const uint32_t first[] = {1};
	static const uint32_t second[] = {2};
	tfrs_metrics metrics;

	tfrs_metrics_init(&metrics, 2);
	tfrs_metrics_add(&metrics, first, 1, 1, 3);
	tfrs_metrics_add(&metrics, second, 1, 1, 1);
	tfrs_metrics_add(&metrics, first, 1, 1, 0);
	tfrs_metrics_finish(&metrics);
	CHECK_NEAR(metrics.weight, 4, 0);
	CHECK_NEAR(metrics.mrr, (3 * 1 + 1 * 0.5) / 4, 1e-15);
	CHECK_NEAR(metrics.ndcg, (3 + 1 / log2(3)) / 4, 1e-15);
	CHECK_NEAR(metrics.map, (3 * 1 + 1 * 0.5) / 4, 1e-15);
	CHECK_NEAR(metrics.hit, 1, 1e-15);
	CHECK_NEAR(metrics.recall, 1, 1e-15);
	CHECK_NEAR(metrics.capped_recall, 1, 1e-15);
	CHECK_NEAR(metrics.precision, 0.5, 1e-15);
}

CHECK_TEST(nothing_added_gives_zeros)
{
	tfrs_metrics metrics;

	tfrs_metrics_init(&metrics, 10);
	tfrs_metrics_finish(&metrics);
	CHECK_NEAR(metrics.ndcg, 0, 0);
	CHECK_NEAR(metrics.weight, 0, 0);
}
