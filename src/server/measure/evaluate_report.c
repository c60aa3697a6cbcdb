/*
 * evaluate_report.c: figures of an evaluation as JSON.
 *
 *     {"hit": {"1": .., "5": ..}, "recall": {..}, .., "coverage": {..}, "loss_per_row": ..,
 *      "queries": .., .., "popularity": {"hit": {..}, ..}, "item_item": {"hit": {..}, ..}}
 *
 * A figure that is a mean over nothing is null.
 */
#include "server/measure/evaluate_report.h"

#include <math.h>

#include "common/shortest_dec.h"
#include "lib/stringinfo.h"

#include "server/host/bridge.h"
#include "server/host/compat.h"

/* The k by which rankings are compared, where it is among those asked for. */
#define COMPARED_CUTOFF 10

typedef struct figure
{
	const char *name;
	size_t		offset;			/* in tfrs_metrics */
} figure;

static const figure figure_table[] = {
	{"hit", offsetof(tfrs_metrics, hit)},
	{"recall", offsetof(tfrs_metrics, recall)},
	{"capped_recall", offsetof(tfrs_metrics, capped_recall)},
	{"precision", offsetof(tfrs_metrics, precision)},
	{"ndcg", offsetof(tfrs_metrics, ndcg)},
	{"mrr", offsetof(tfrs_metrics, mrr)},
	{"map", offsetof(tfrs_metrics, map)},
};

static const char *const ranking_names[TFRS_RANKINGS] = {
	[TFRS_RANKING_POPULARITY] = "popularity",
	[TFRS_RANKING_ITEM_ITEM] = "item_item"
};

static void
write_number(StringInfo json, double number)
{
	char		text[DOUBLE_SHORTEST_DECIMAL_LEN];

	double_to_shortest_decimal_buf(number, text);
	appendStringInfoString(json, text);
}

static void
write_mean(StringInfo json, double mean, size_t count)
{
	if (count == 0)
		appendStringInfoString(json, "null");
	else
		write_number(json, mean);
}

/* "name": {"k": value, ...} for each figure, without braces around them. */
static void
write_figures(StringInfo json, const tfrs_figures *figures, const tfrs_evaluation_options *options,
			  size_t queries, size_t candidates)
{
	for (size_t f = 0; f < lengthof(figure_table); f++)
	{
		appendStringInfo(json, "%s\"%s\": {", f > 0 ? ", " : "", figure_table[f].name);
		for (size_t i = 0; i < options->cutoff_count; i++)
		{
			const char *metrics = (const char *) &figures->metrics[i];

			appendStringInfo(json, "%s\"%u\": ", i > 0 ? ", " : "", options->cutoffs[i]);
			write_mean(json, *(const double *) (metrics + figure_table[f].offset), queries);
		}
		appendStringInfoChar(json, '}');
	}
	appendStringInfoString(json, ", \"coverage\": {");
	for (size_t i = 0; i < options->cutoff_count; i++)
	{
		appendStringInfo(json, "%s\"%u\": ", i > 0 ? ", " : "", options->cutoffs[i]);
		write_mean(json, (double) figures->covered[i] / (double) candidates, queries);
	}
	appendStringInfoChar(json, '}');
}

static void
write_baselines(StringInfo json, const tfrs_evaluation_result *result,
				const tfrs_evaluation_options *options, size_t candidates)
{
	for (int ranking = TFRS_RANKING_POPULARITY; ranking < TFRS_RANKINGS; ranking++)
	{
		appendStringInfo(json, ", \"%s\": ", ranking_names[ranking]);
		if (!result->ranked[ranking])
		{
			appendStringInfo(json, "null, \"%s_reason\": \"the model stores no events\"",
							 ranking_names[ranking]);
			continue;
		}
		appendStringInfoChar(json, '{');
		write_figures(json, &result->figures[ranking], options, result->queries, candidates);
		appendStringInfoChar(json, '}');
	}
}

char *
tfrs_evaluate_report(const tfrs_evaluation_result *result, const tfrs_evaluation_options *options,
					 const tfrs_evaluate_rows *rows, size_t candidates)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	write_figures(&json, &result->figures[TFRS_RANKING_MODEL], options, result->queries,
				  candidates);
	appendStringInfoString(&json, ", \"loss_per_row\": ");
	write_mean(&json, result->loss, result->pairs - result->unknown_pairs);
	appendStringInfo(&json, ", \"candidates\": %zu, \"queries\": %zu, \"unknown_queries\": %zu",
					 candidates, result->queries, result->unknown_queries);
	appendStringInfo(&json, ", \"rows\": %zu, \"unknown_candidates\": %zu", result->pairs,
					 result->unknown_pairs);
	appendStringInfo(&json, ", \"left_out_rows\": %zu, \"repeated_rows\": " UINT64_FORMAT
					 ", \"null_rows\": " UINT64_FORMAT,
					 result->left_out_pairs, rows->rows - rows->distinct, rows->skipped);
	if (options->baselines)
		write_baselines(&json, result, options, candidates);
	appendStringInfoChar(&json, '}');
	return json.data;
}

/* The cutoff by which rankings are compared: 10, else the next above it, else the largest. */
static size_t
compared_cutoff(const tfrs_evaluation_options *options)
{
	size_t		i = 0;

	while (i + 1 < options->cutoff_count && options->cutoffs[i] < COMPARED_CUTOFF)
		i++;
	return i;
}

void
tfrs_evaluate_notice(const tfrs_evaluation_result *result, const tfrs_evaluation_options *options,
					 FunctionCallInfo fcinfo)
{
	static const char *const names[TFRS_RANKINGS] = {
		[TFRS_RANKING_POPULARITY] = "the popularity ranking",
		[TFRS_RANKING_ITEM_ITEM] = "item-item cosine"
	};
	size_t		cutoff = compared_cutoff(options);
	double		own = result->figures[TFRS_RANKING_MODEL].metrics[cutoff].ndcg;
	int			best = TFRS_RANKING_MODEL;

	for (int ranking = TFRS_RANKING_POPULARITY; ranking < TFRS_RANKINGS; ranking++)
		if (result->ranked[ranking] && result->figures[ranking].metrics[cutoff].ndcg >
			result->figures[best].metrics[cutoff].ndcg)
			best = ranking;
	if (best == TFRS_RANKING_MODEL || !tfrs_bridge_first_notice(fcinfo, 0))
		return;
	ereport(NOTICE,
			(errmsg("%s is better than the model: NDCG@%u %.4f against %.4f", names[best],
					options->cutoffs[cutoff], result->figures[best].metrics[cutoff].ndcg, own),
			 errhint("Train with other options, on more rows, or use %s.", names[best])));
}
