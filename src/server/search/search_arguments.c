/*
 * search_arguments.c: the arguments that every search has, to what the core wants.
 */
#include "server/search/search_arguments.h"

#include <math.h>

#include "utils/jsonb.h"

#include "base/limits.h"
#include "server/values/candidate_ids.h"
#include "server/host/compat.h"
#include "server/host/options.h"
#include "server/values/row_reader.h"

/* Arguments after k. */
enum
{
	EXCLUDE = 1,
	AMONG,
	MIN_SCORE,
	SEARCH
};

static const tfrs_option_choice unknown_choices[] = {
	{"average", TFRS_UNKNOWN_AVERAGE},
	{"popular", TFRS_UNKNOWN_POPULAR},
	{"none", TFRS_UNKNOWN_NONE},
	{"error", TFRS_UNKNOWN_ERROR},
	{NULL, 0}
};

static bool
query_is_id(const void *target)
{
	return ((const tfrs_search_options *) target)->by_id;
}

static bool
query_is_known(const void *target)
{
	return ((const tfrs_search_options *) target)->by_query;
}

#define FIELD(member) TFRS_OPTION_FIELD(tfrs_search_options, member)

static const tfrs_option_key search_keys[] = {
	{.name = "unknown", .type = TFRS_OPTION_CHOICE, FIELD(unknown), .choices = unknown_choices,
	.applies = query_is_id, .applies_to = "searches whose query is an id"},
	{.name = "exact", .type = TFRS_OPTION_BOOL, FIELD(exact)},
	{.name = "leaves_to_search", .type = TFRS_OPTION_INTEGER, FIELD(leaves_to_search),
	.low = 1, .high = TFRS_MAX_ROWS},
	{.name = "rerank", .type = TFRS_OPTION_INTEGER, FIELD(rerank),
	.low = 1, .high = TFRS_MAX_ROWS},
	{.name = "seen", .type = TFRS_OPTION_BOOL, FIELD(seen),
	.applies = query_is_known, .applies_to = "searches for one of a model's queries"},
};

static const tfrs_option_scheme search_scheme = {
	"search option", search_keys, lengthof(search_keys)
};

size_t
tfrs_search_k(FunctionCallInfo fcinfo, int argument)
{
	int64		k;

	if (PG_ARGISNULL(argument))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("k must not be null")));
	k = PG_GETARG_INT64(argument);
	if (k < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("k must not be negative, but is %lld", (long long) k)));
	if (k > PG_INT32_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("k must not be above %d, but is %lld", PG_INT32_MAX, (long long) k)));
	return (size_t) k;
}

int
tfrs_search_version(FunctionCallInfo fcinfo, int argument)
{
	int64		version = PG_ARGISNULL(argument) ? 0 : PG_GETARG_INT64(argument);

	if (version < 0 || (version == 0 && !PG_ARGISNULL(argument)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("version must be above 0, but is %lld", (long long) version)));
	if (version > PG_INT32_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("version must not be above %d, but is %lld", PG_INT32_MAX,
						(long long) version)));
	return (int) version;
}

float
tfrs_search_min_score(FunctionCallInfo fcinfo, int argument)
{
	double		score = PG_ARGISNULL(argument) ? -INFINITY : PG_GETARG_FLOAT8(argument);

	if (isnan(score))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("min_score must not be NaN")));
	if (!isinf(score) && isinf((float) score))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("min_score is out of range for type real, but scores are of that type")));
	return (float) score;
}

tfrs_unknown
tfrs_search_unknown(const char *name)
{
	for (const tfrs_option_choice *choice = unknown_choices; choice->name != NULL; choice++)
		if (strcmp(choice->name, name) == 0)
			return (tfrs_unknown) choice->value;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("\"unknown\" must not be \"%s\"", name),
			 errhint("It is \"average\", \"popular\", \"none\" or \"error\".")));
	pg_unreachable();
}

static tfrs_row_list
rows_of(FunctionCallInfo fcinfo, int argument, const tfrs_id_view *candidates, const char *name)
{
	return tfrs_candidate_rows(candidates, get_fn_expr_argtype(fcinfo->flinfo, argument),
							   PG_GETARG_DATUM(argument), name);
}

void
tfrs_search_rows(FunctionCallInfo fcinfo, int first, const tfrs_id_view *candidates,
				 tfrs_search *search)
{
	tfrs_row_list list;

	tfrs_search_default(search);
	search->k = tfrs_search_k(fcinfo, first);
	if (!PG_ARGISNULL(first + EXCLUDE))
	{
		list = rows_of(fcinfo, first + EXCLUDE, candidates, "exclude");
		search->excluded = list.rows;
		search->excluded_count = list.count;
	}
	if (!PG_ARGISNULL(first + AMONG))
	{
		list = rows_of(fcinfo, first + AMONG, candidates, "among");
		search->has_among = true;
		search->among = list.rows;
		search->among_count = list.count;
	}
}

void
tfrs_search_exclude(tfrs_search *search, const uint32_t *rows, size_t count)
{
	tfrs_row_list list = tfrs_row_list_copy(search->excluded, search->excluded_count, count);

	if (count > 0)
		memcpy(list.rows + list.count, rows, count * sizeof(uint32_t));
	list.count += count;
	tfrs_row_list_sort(&list);
	search->excluded = list.rows;
	search->excluded_count = list.count;
}

void
tfrs_search_arguments(FunctionCallInfo fcinfo, int first, const tfrs_id_view *candidates,
					  tfrs_search *search, tfrs_search_options *options)
{
	tfrs_search_rows(fcinfo, first, candidates, search);
	search->min_score = tfrs_search_min_score(fcinfo, first + MIN_SCORE);
	if (!PG_ARGISNULL(first + SEARCH))
		tfrs_options_read(&search_scheme, PG_GETARG_JSONB_P(first + SEARCH), options);
	search->exact = options->exact;
	search->leaves_to_search = options->leaves_to_search;
	search->rerank = options->rerank;
}

void
tfrs_report_unknown(const tfrs_id_view *ids, tfrs_id id, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s %s is not known", what, tfrs_id_to_cstring(ids->tag, id)),
			 errhint("\"unknown\" says what such a %s gets.", what)));
	pg_unreachable();
}
