/*
 * conformance_ranking.c: factorized top-k, the cases by hand, and ranking metrics.
 *
 * Scores come from the kernel that the index uses, rankings from topk, figures from metrics.
 */
#include <stdlib.h>
#include <string.h>

#include "base/kernels.h"
#include "base/metrics.h"
#include "base/topk.h"
#include "conformance.h"

/* A corpus in its order of ties. */
typedef struct corpus
{
	size_t		count;			/* N */
	size_t		dim;			/* D */
	const char **ids;			/* (N) */
	float	   *vectors;		/* (N, D) */
} corpus;

/* The ranking of a corpus for one query: all rows but the excluded ones, best first. */
typedef struct ranking
{
	size_t		count;
	tfrs_hit   *hits;			/* (N) */
} ranking;

#define NO_ROW SIZE_MAX

static size_t
find_row(const corpus *corpus, const char *id)
{
	for (size_t n = 0; n < corpus->count; n++)
		if (strcmp(corpus->ids[n], id) == 0)
			return n;
	return NO_ROW;
}

/* Appends the vector of one row of a file. */
static void
corpus_add(corpus *corpus, const table *table, size_t r, const char *id_column)
{
	if (corpus->count == 0)
	{
		table_vector(table, r, "embedding", &corpus->dim);
		corpus->ids = TAKE(table->rows, const char *);
		corpus->vectors = TAKE(table->rows * corpus->dim, float);
	}
	corpus->ids[corpus->count] = table_text(table, r, id_column);
	table_floats(table, r, "embedding", corpus->vectors + corpus->count * corpus->dim,
				 corpus->dim);
	corpus->count++;
}

static bool
contains(char **texts, size_t count, const char *text)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(texts[i], text) == 0)
			return true;
	return false;
}

static ranking
rank_corpus(const corpus *corpus, const float *query, char **excluded, size_t excluded_count)
{
	ranking		ranking = {0, TAKE(corpus->count, tfrs_hit)};
	tfrs_topk	topk;

	tfrs_topk_init(&topk, ranking.hits, corpus->count);
	for (size_t n = 0; n < corpus->count; n++)
		if (!contains(excluded, excluded_count, corpus->ids[n]))
			tfrs_topk_push(&topk, tfrs_kernels.dot(query, corpus->vectors + n * corpus->dim,
												   corpus->dim), (uint32_t) n);
	tfrs_topk_finish(&topk);
	ranking.count = topk.count;
	return ranking;
}

/* 1 + how many scores are strictly greater: the rank that score-based metrics go by. */
static uint32_t
rank_of_score(const ranking *ranking, float score)
{
	uint32_t	rank = 1;

	while (rank <= ranking->count && ranking->hits[rank - 1].score > score)
		rank++;
	return rank;
}

/* The place of a row, from 1; past the end where it is not in the ranking. */
static uint32_t
rank_of_row(const ranking *ranking, size_t row)
{
	uint32_t	rank = 1;

	while (rank <= ranking->count && ranking->hits[rank - 1].row != row)
		rank++;
	return rank;
}

static double
hit_rate(const uint32_t *ranks, const float *weights, size_t count, size_t k)
{
	tfrs_metrics metrics;

	tfrs_metrics_init(&metrics, k);
	for (size_t q = 0; q < count; q++)
		tfrs_metrics_add(&metrics, &ranks[q], 1, 1, weights == NULL ? 1.0 : weights[q]);
	tfrs_metrics_finish(&metrics);
	return metrics.hit;
}

/* The queries of the factorized case with the ranks of their positives. */
typedef struct factorized
{
	size_t		count;
	float	   *weight;			/* (count) */
	uint32_t   *score_rank;		/* (count) */
	uint32_t   *id_rank;		/* (count) */
} factorized;

/* A positive outside the corpus has the score of the file and no rank by id. */
static void
rank_positive(factorized *all, const corpus *corpus, const table *queries, size_t r,
			  conformance_case *checked)
{
	float	   *query = TAKE(corpus->dim, float);
	size_t		row = find_row(corpus, table_text(queries, r, "positive_id"));
	double		expected = table_number(queries, r, "positive_score");
	float		score = (float) expected;
	ranking		ranking;

	table_floats(queries, r, "query", query, corpus->dim);
	ranking = rank_corpus(corpus, query, NULL, 0);
	if (row != NO_ROW)
		score = tfrs_kernels.dot(query, corpus->vectors + row * corpus->dim, corpus->dim);
	all->weight[r] = (float) table_number_or(queries, r, "weight", 1.0);
	all->score_rank[r] = rank_of_score(&ranking, score);
	all->id_rank[r] = row == NO_ROW ? UINT32_MAX : rank_of_row(&ranking, row);
	case_near(checked, "positive_score", score, expected, r + 1, 0);
	if (!table_null(queries, r, "rank") && table_count(queries, r, "rank") !=
		(row == NO_ROW ? all->score_rank[r] : all->id_rank[r]))
		case_problem(checked, "the rank of query %zu is %u, not %zu", r + 1, all->id_rank[r],
					 table_count(queries, r, "rank"));
}

static void
conform_accuracy(const factorized *all, const table *expected, size_t r)
{
	const char *weighting = table_text(expected, r, "weighting");
	const float *weights = strcmp(weighting, "weighted") == 0 ? all->weight : NULL;
	size_t		k = table_count(expected, r, "k");
	char	   *id = TAKE(strlen(weighting) + 32, char);
	conformance_case checked;

	strcat(strcat(strcpy(id, weighting), ", k = "), table_text(expected, r, "k"));
	case_begin(&checked, "factorized top-k", id);
	case_near(&checked, "score_based", hit_rate(all->score_rank, weights, all->count, k),
			  table_number(expected, r, "score_based"), 0, 0);
	case_near(&checked, "id_based", hit_rate(all->id_rank, weights, all->count, k),
			  table_number(expected, r, "id_based"), 0, 0);
	case_end(&checked);
}

void
conform_factorized(void)
{
	table		candidates;
	table		queries;
	table		expected;
	corpus		corpus = {0};
	factorized	all = {0};
	conformance_case checked;

	if (!table_read(&candidates, "ftk_candidates") || !table_read(&queries, "ftk_queries") ||
		!table_read(&expected, "ftk_expected"))
		return;
	for (size_t r = 0; r < candidates.rows; r++)
		corpus_add(&corpus, &candidates, r, "candidate_id");
	all.count = queries.rows;
	all.weight = TAKE(all.count, float);
	all.score_rank = TAKE(all.count, uint32_t);
	all.id_rank = TAKE(all.count, uint32_t);
	case_begin(&checked, "factorized top-k", "ranks");
	for (size_t r = 0; r < queries.rows; r++)
		rank_positive(&all, &corpus, &queries, r, &checked);
	case_end(&checked);
	for (size_t r = 0; r < expected.rows; r++)
		conform_accuracy(&all, &expected, r);
}

static void
compare_top(conformance_case *checked, const corpus *corpus, const ranking *ranking, size_t k,
			char **expected, size_t expected_count)
{
	size_t		count = ranking->count < k ? ranking->count : k;

	if (count != expected_count)
		case_problem(checked, "there are %zu rows, not %zu", count, expected_count);
	for (size_t i = 0; i < count && i < expected_count; i++)
	{
		checked->comparisons++;
		if (strcmp(corpus->ids[ranking->hits[i].row], expected[i]) != 0)
			case_problem(checked, "place %zu is %s, not %s", i + 1,
						 corpus->ids[ranking->hits[i].row], expected[i]);
	}
}

static void
conform_hand_topk(const corpus *corpus, const float *query, const table *cases, size_t r)
{
	size_t		excluded_count;
	size_t		expected_count;
	size_t		score_count;
	char	  **excluded = table_texts(cases, r, "exclude", &excluded_count);
	char	  **expected = table_texts(cases, r, "ids", &expected_count);
	double	   *scores = table_vector(cases, r, "scores", &score_count);
	ranking		ranking = rank_corpus(corpus, query, excluded, excluded_count);
	conformance_case checked;

	case_begin(&checked, "hand", table_text(cases, r, "case_id"));
	compare_top(&checked, corpus, &ranking, table_count(cases, r, "k"), expected, expected_count);
	for (size_t i = 0; i < score_count && i < ranking.count; i++)
		case_near(&checked, "score", ranking.hits[i].score, scores[i], i + 1, 0);
	case_end(&checked);
}

static void
conform_hand_hit(const corpus *corpus, const float *query, const table *cases, size_t r)
{
	ranking		ranking = rank_corpus(corpus, query, NULL, 0);
	float		score = (float) table_number(cases, r, "positive_score");
	size_t		row = find_row(corpus, table_text(cases, r, "positive_id"));
	size_t		k = table_count(cases, r, "k");
	const char *name = table_text(cases, r, "case_id");
	char	   *id = TAKE(strlen(name) + 32, char);
	conformance_case checked;

	strcat(strcat(strcpy(id, name), ", k = "), table_text(cases, r, "k"));
	case_begin(&checked, "hand", id);
	case_near(&checked, "score_based", rank_of_score(&ranking, score) <= k,
			  table_flag(cases, r, "score_based"), 0, 0);
	case_near(&checked, "id_based", row != NO_ROW && rank_of_row(&ranking, row) <= k,
			  table_flag(cases, r, "id_based"), 0, 0);
	case_end(&checked);
}

/* The query of all cases is (1): the score is the candidate's only number. */
void
conform_hand(void)
{
	table		candidates;
	table		cases;
	corpus		corpus = {0};
	const float query[1] = {1.0f};

	if (!table_read(&candidates, "hand_candidates"))
		return;
	for (size_t r = 0; r < candidates.rows; r++)
		corpus_add(&corpus, &candidates, r, "candidate_id");
	if (corpus.dim != 1)
		malformed("hand_candidates are not of one dimension");
	if (table_read(&cases, "hand_topk"))
		for (size_t r = 0; r < cases.rows; r++)
			conform_hand_topk(&corpus, query, &cases, r);
	if (table_read(&cases, "hand_hits"))
		for (size_t r = 0; r < cases.rows; r++)
			conform_hand_hit(&corpus, query, &cases, r);
}

/* Places a case's items in the order of ties: lower id first, numbers by value. */
static void
read_items(corpus *corpus, const table *items, const char *case_id)
{
	for (size_t r = 0; r < items->rows; r++)
		if (table_is(items, r, "case_id", case_id))
			corpus_add(corpus, items, r, "item_id");
	for (size_t n = 1; n < corpus->count; n++)
		if (strtod(corpus->ids[n - 1], NULL) >= strtod(corpus->ids[n], NULL))
			malformed("items of %s are not in the order of their ids", case_id);
}

static int
compare_ranks(const void *a, const void *b)
{
	uint32_t	x = *(const uint32_t *) a;
	uint32_t	y = *(const uint32_t *) b;

	return (x > y) - (x < y);
}

/* The ranks of a user's positives, ascending; those that no rank reaches are left out. */
static size_t
positive_ranks(const corpus *corpus, const ranking *ranking, char **positives, size_t count,
			   uint32_t *ranks)
{
	size_t		found = 0;

	for (size_t i = 0; i < count; i++)
	{
		uint32_t	rank = rank_of_row(ranking, find_row(corpus, positives[i]));

		if (rank <= ranking->count)
			ranks[found++] = rank;
	}
	qsort(ranks, found, sizeof(*ranks), compare_ranks);
	return found;
}

static void
compare_metrics(conformance_case *checked, const tfrs_metrics *metrics, const table *expected,
				size_t r)
{
	size_t		k = table_count(expected, r, "k");

	case_near(checked, "hit", metrics->hit, table_number(expected, r, "hit"), k, 0);
	case_near(checked, "recall", metrics->recall, table_number(expected, r, "recall"), k, 0);
	case_near(checked, "precision", metrics->precision, table_number(expected, r, "precision"), k,
			  0);
	case_near(checked, "ndcg", metrics->ndcg, table_number(expected, r, "ndcg"), k, 0);
	case_near(checked, "mrr", metrics->mrr, table_number(expected, r, "mrr"), k, 0);
	case_near(checked, "map", metrics->map, table_number(expected, r, "map"), k, 0);
}

/* The expected rows of one user (or of the mean, which has no user), each against its own k. */
typedef struct ranking_tables
{
	table		items;
	table		users;
	table		expected;
	tfrs_metrics *means;		/* one for each expected row that is a mean */
} ranking_tables;

static void
conform_user(ranking_tables *tables, const corpus *corpus, size_t u)
{
	const table *users = &tables->users;
	const table *expected = &tables->expected;
	const char *case_id = table_text(users, u, "case_id");
	const char *user = table_text(users, u, "user_id");
	char	   *id = TAKE(strlen(case_id) + strlen(user) + 16, char);
	float	   *query = TAKE(corpus->dim, float);
	size_t		count;
	size_t		excluded_count;
	size_t		top_count;
	char	  **positives = table_texts(users, u, "positives", &count);
	char	  **excluded = table_texts(users, u, "exclude", &excluded_count);
	char	  **top = table_texts(users, u, "top10", &top_count);
	uint32_t   *ranks = TAKE(count, uint32_t);
	size_t		found;
	ranking		ranking;
	conformance_case checked;

	strcat(strcat(strcpy(id, case_id), ", user "), user);
	case_begin(&checked, "ranking", id);
	table_floats(users, u, "embedding", query, corpus->dim);
	ranking = rank_corpus(corpus, query, excluded, excluded_count);
	found = positive_ranks(corpus, &ranking, positives, count, ranks);
	compare_top(&checked, corpus, &ranking, 10, top, top_count);
	for (size_t r = 0; r < expected->rows; r++)
	{
		tfrs_metrics metrics;

		if (!table_is(expected, r, "case_id", case_id))
			continue;
		if (table_null(expected, r, "user_id"))
			tfrs_metrics_add(&tables->means[r], ranks, found, count, 1.0);
		if (!table_is(expected, r, "user_id", user))
			continue;
		tfrs_metrics_init(&metrics, table_count(expected, r, "k"));
		tfrs_metrics_add(&metrics, ranks, found, count, 1.0);
		tfrs_metrics_finish(&metrics);
		compare_metrics(&checked, &metrics, expected, r);
	}
	case_end(&checked);
}

/* The users of the case in the order of the file, whose items are read once. */
static void
conform_users(ranking_tables *tables)
{
	const char *case_id = "";
	corpus		corpus = {0};

	for (size_t u = 0; u < tables->users.rows; u++)
	{
		if (!table_is(&tables->users, u, "case_id", case_id))
		{
			case_id = table_text(&tables->users, u, "case_id");
			memset(&corpus, 0, sizeof(corpus));
			read_items(&corpus, &tables->items, case_id);
		}
		conform_user(tables, &corpus, u);
	}
}

void
conform_ranking(void)
{
	ranking_tables tables;
	const table *expected = &tables.expected;

	if (!table_read(&tables.items, "ranking_items") ||
		!table_read(&tables.users, "ranking_users") ||
		!table_read(&tables.expected, "ranking_expected"))
		return;
	tables.means = TAKE(expected->rows, tfrs_metrics);
	for (size_t r = 0; r < expected->rows; r++)
		tfrs_metrics_init(&tables.means[r], table_count(expected, r, "k"));
	conform_users(&tables);
	for (size_t r = 0; r < expected->rows; r++)
	{
		conformance_case checked;
		char	   *id;

		if (!table_null(expected, r, "user_id"))
			continue;
		id = TAKE(strlen(table_text(expected, r, "case_id")) + 48, char);
		strcat(strcat(strcpy(id, table_text(expected, r, "case_id")), ", mean, k = "),
			   table_text(expected, r, "k"));
		case_begin(&checked, "ranking", id);
		tfrs_metrics_finish(&tables.means[r]);
		compare_metrics(&checked, &tables.means[r], expected, r);
		case_end(&checked);
	}
}
