/*
 * pick_rules.c: arguments, columns and values of rules.
 */
#include "server/recommender/pick_rules.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"

#include "base/limits.h"
#include "server/host/bridge.h"
#include "server/host/run_as.h"
#include "server/host/settings.h"
#include "server/recommender/column_condition.h"
#include "server/recommender/live_relation.h"
#include "server/recommender/live_rows.h"
#include "server/recommender/recommender_sources.h"
#include "server/search/score_adjustment.h"
#include "server/values/row_reader.h"

enum
{
	MOST,
	DIVERSITY,
	BOOST,
	SHARE
};

#define MOST_COLUMNS 16

/* With a diversity each place is compared with all before it. */
#define MOST_DIVERSE 1000

static void *
allocate(size_t count, size_t size)
{
	return palloc_extended(count * size + 1, MCXT_ALLOC_HUGE);
}

pg_noreturn static void
refuse(const char *rule, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value of \"%s\"", rule), errhint("%s", hint)));
	pg_unreachable();
}

#define MOST_HINT "It is a JSON object of columns of the candidates and numbers of rows from 1 on: " \
	"'{\"category\": 3}'."
#define SHARE_HINT "It is a JSON object of boolean columns of the candidates and shares between 0 and 1: " \
	"'{\"sponsored\": 0.25}' is at least, and '{\"sponsored\": [0, 0.25]}' at most, a quarter."

static double
number_of(const JsonbValue *value, const char *rule, const char *hint)
{
	if (value->type != jbvNumeric)
		refuse(rule, hint);
	return DatumGetFloat8(DirectFunctionCall1(numeric_float8,
											  NumericGetDatum(value->val.numeric)));
}

static void
add_column(tfrs_pick_rules *rules, const JsonbValue *key)
{
	if (rules->columns == MOST_COLUMNS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("rules may name %d columns at most", MOST_COLUMNS)));
	rules->column[rules->columns++] = pnstrdup(key->val.string.val, key->val.string.len);
}

static JsonbIterator *
begin_object(Jsonb *object, const char *rule, const char *hint)
{
	JsonbIterator *iterator = JsonbIteratorInit(&object->root);
	JsonbValue	value;

	if (JsonbIteratorNext(&iterator, &value, true) != WJB_BEGIN_OBJECT)
		refuse(rule, hint);
	return iterator;
}

static void
read_most(tfrs_pick_rules *rules, Jsonb *most)
{
	JsonbIterator *iterator = begin_object(most, "most", MOST_HINT);
	JsonbValue	value;
	JsonbIteratorToken token;

	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		double		number;

		if (token == WJB_KEY)
			add_column(rules, &value);
		if (token != WJB_VALUE)
			continue;
		number = number_of(&value, "most", MOST_HINT);
		if (!(number >= 1 && number <= PG_INT32_MAX && number == floor(number)))
			refuse("most", MOST_HINT);
		rules->most[rules->limits++] = (uint32) number;
	}
}

/* A number, or an array of two. */
static tfrs_share_rule
share_of(const JsonbValue *value)
{
	tfrs_share_rule share = {0, 1};

	if (value->type == jbvNumeric)
		share.least = number_of(value, "share", SHARE_HINT);
	else
	{
		JsonbContainer *array = value->val.binary.data;

		if (value->type != jbvBinary || !JsonContainerIsArray(array) ||
			JsonContainerSize(array) != 2)
			refuse("share", SHARE_HINT);
		share.least = number_of(getIthJsonbValueFromContainer(array, 0), "share", SHARE_HINT);
		share.most = number_of(getIthJsonbValueFromContainer(array, 1), "share", SHARE_HINT);
	}
	if (!(share.least >= 0 && share.most <= 1 && share.least <= share.most))
		refuse("share", SHARE_HINT);
	return share;
}

static void
read_share(tfrs_pick_rules *rules, Jsonb *share)
{
	JsonbIterator *iterator = begin_object(share, "share", SHARE_HINT);
	JsonbValue	value;
	JsonbIteratorToken token;

	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			add_column(rules, &value);
		else if (token == WJB_VALUE)
			rules->share[rules->shares++] = share_of(&value);
	}
}

/* ERROR unless the candidates' relation has the column, of one of these types (or any). */
static void
check_column(const tfrs_pick_rules *rules, const char *column, const char *rule, bool boolean,
			 bool number)
{
	Oid			relation = rules->recommender->candidates;
	Oid			type = tfrs_type_of_column(relation, column);
	bool		is_number = type == INT2OID || type == INT4OID || type == INT8OID ||
		type == FLOAT4OID || type == FLOAT8OID || type == NUMERICOID;

	if (!OidIsValid(type))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("%s has no column \"%s\"", tfrs_relation_text(relation), column),
				 errhint("\"%s\" names columns of the candidates.", rule)));
	if ((boolean && type != BOOLOID) || (number && !is_number))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of %s is of type %s", column, tfrs_relation_text(relation),
						format_type_be(type)),
				 errhint("\"%s\" needs a column of %s.", rule, boolean ? "type boolean" : "numbers")));
}

/* What the rules read is there, and may be read. */
static void
check_columns(const tfrs_pick_rules *rules)
{
	const tfrs_recommender *recommender = rules->recommender;
	tfrs_live_relation live;
	Oid			reader = tfrs_live_reader(recommender);

	if (!tfrs_live_has_candidates(recommender))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("recommender \"%s\" has no relation of candidates", recommender->name),
				 errdetail("Rules name columns of it."),
				 errhint("CALL tfrs.alter_recommender(name, candidates => ...) names one.")));
	tfrs_live_candidates_lock(recommender);
	for (int c = 0; c < rules->columns; c++)
		check_column(rules, rules->column[c], c < rules->limits ? "most" : "share",
					 c >= rules->limits, false);
	if (rules->boost != NULL)
		check_column(rules, rules->boost, "boost", false, true);
	if (!tfrs_may_read_columns(reader, recommender->candidates,
							   (const char *const *) rules->column, rules->columns) ||
		!tfrs_may_read_columns(reader, recommender->candidates,
							   (const char *const *) &rules->boost, 1) ||
		!tfrs_live_relation_open(&live, recommender, TFRS_CANDIDATES))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for the columns of %s that rules name",
						tfrs_relation_text(recommender->candidates)),
				 errhint("GRANT SELECT on it.")));
}

void
tfrs_pick_rules_read(FunctionCallInfo fcinfo, int first, const tfrs_recommender *recommender,
					 tfrs_pick_rules *rules)
{
	memset(rules, 0, sizeof(*rules));
	rules->recommender = recommender;
	rules->most = palloc(MOST_COLUMNS * sizeof(uint32));
	rules->share = palloc(MOST_COLUMNS * sizeof(tfrs_share_rule));
	rules->column = palloc(MOST_COLUMNS * sizeof(char *));
	if (!PG_ARGISNULL(first + MOST))
		read_most(rules, PG_GETARG_JSONB_P(first + MOST));
	if (!PG_ARGISNULL(first + SHARE))
		read_share(rules, PG_GETARG_JSONB_P(first + SHARE));
	if (!PG_ARGISNULL(first + BOOST))
		rules->boost = text_to_cstring(PG_GETARG_TEXT_PP(first + BOOST));
	rules->diversity = PG_ARGISNULL(first + DIVERSITY) ? 0 : PG_GETARG_FLOAT8(first + DIVERSITY);
	if (!(rules->diversity >= 0 && rules->diversity <= 1))
		refuse("diversity", "It is a number between 0 and 1: 0 minds the score alone.");
	if (rules->columns > 0 || rules->boost != NULL)
		check_columns(rules);
}

bool
tfrs_pick_rules_choose(const tfrs_pick_rules *rules)
{
	return rules->columns > 0 || rules->diversity > 0;
}

/* A boost that was read, of a row of the model's candidates. */
typedef struct boosted
{
	uint32		row;
	float		value;
} boosted;

static int
compare_boosted(const void *a, const void *b)
{
	const boosted *x = a;
	const boosted *y = b;

	if (x->row != y->row)
		return x->row < y->row ? -1 : 1;
	return x->value > y->value ? -1 : x->value < y->value;
}

/* What the statement has found.  Of a candidate with several rows the largest boost counts. */
static tfrs_adjustment
take_boosts(const tfrs_id_view *ids)
{
	TupleDesc	columns = SPI_tuptable->tupdesc;
	boosted    *found = allocate(SPI_processed, sizeof(boosted));
	tfrs_adjustment result = {allocate(SPI_processed, sizeof(uint32)),
	allocate(SPI_processed, sizeof(float)), 0};
	tfrs_id_reader reader;
	size_t		count = 0;

	tfrs_id_reader_init(&reader, SPI_gettypeid(columns, 1), "candidate");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		null;
		Datum		id = SPI_getbinval(SPI_tuptable->vals[i], columns, 1, &null);
		Datum		boost = SPI_getbinval(SPI_tuptable->vals[i], columns, 2, &null);
		uint32		row = tfrs_id_view_find(ids, tfrs_id_read_as(&reader, ids->tag, id, "candidate"));

		if (row == TFRS_NO_ROW)
			continue;
		if (!isfinite((float) DatumGetFloat8(boost)))
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("the boost of candidate \"%s\" is %g",
							SPI_getvalue(SPI_tuptable->vals[i], columns, 1), DatumGetFloat8(boost)),
					 errhint("A boost is added to scores: it is a finite number of type real.")));
		found[count++] = (boosted) {row, (float) DatumGetFloat8(boost)};
	}
	qsort(found, count, sizeof(boosted), compare_boosted);
	for (size_t i = 0; i < count; i++)
	{
		if (i > 0 && found[i - 1].row == found[i].row)
			continue;
		result.rows[result.count] = found[i].row;
		result.values[result.count++] = found[i].value;
	}
	return result;
}

void
tfrs_pick_rules_boost(const tfrs_pick_rules *rules, const tfrs_id_view *ids, tfrs_search *search)
{
	const tfrs_recommender *recommender = rules->recommender;
	MemoryContext caller = CurrentMemoryContext;
	tfrs_adjustment boosts;
	tfrs_run_as scope;
	char	   *sql;

	if (rules->boost == NULL)
		return;
	sql = psprintf("SELECT %s, %s::pg_catalog.float8 FROM %s WHERE %s IS NOT NULL AND %s OPERATOR(pg_catalog.<>) 0",
				   quote_identifier(recommender->candidate_key), quote_identifier(rules->boost),
				   tfrs_relation_text(recommender->candidates),
				   quote_identifier(recommender->candidate_key), quote_identifier(rules->boost));
	tfrs_run_as_reader(&scope, tfrs_live_reader(recommender));
	if (SPI_connect() != SPI_OK_CONNECT || SPI_execute(sql, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the boosts");
	MemoryContextSwitchTo(caller);
	boosts = take_boosts(ids);
	SPI_finish();
	tfrs_run_as_end(&scope);
	MemoryContextSwitchTo(caller);
	tfrs_search_add_adjustment(search, &boosts);
}

tfrs_selection
tfrs_pick_rules_selection(const tfrs_pick_rules *rules, size_t k, const tfrs_model *model,
						  const tfrs_index *index)
{
	if (rules->diversity > 0 && k > MOST_DIVERSE)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("diversity serves k up to %d, but k is %zu", MOST_DIVERSE, k)));
	return (tfrs_selection) {
		.k = k, .limits = rules->limits, .most = rules->most, .shares = rules->shares,
		.share = rules->share, .diversity = rules->diversity, .vectors = index->vectors,
		.dim = index->dim, .width = tfrs_tower_width(model->tower)
	};
}

/* A value of a column, and where it stands. */
typedef struct placed_value
{
	const char *value;
	uint32		place;
} placed_value;

static int
compare_values(const void *a, const void *b)
{
	const placed_value *x = a;
	const placed_value *y = b;
	int			order = strcmp(x->value, y->value);

	return order != 0 ? order : x->place < y->place ? -1 : 1;
}

/* number (count, limits) of the values of a column: the place where the same stands first. */
static void
number_values(const tfrs_pick_rules *rules, char *const *values, size_t count, int limit,
			  uint32 *number)
{
	placed_value *placed = allocate(count, sizeof(placed_value));
	size_t		known = 0;

	for (size_t i = 0; i < count; i++)
	{
		number[i * rules->limits + limit] = TFRS_NO_VALUE;
		if (values[i * rules->columns + limit] != NULL)
			placed[known++] = (placed_value) {values[i * rules->columns + limit], (uint32) i};
	}
	qsort(placed, known, sizeof(placed_value), compare_values);
	for (size_t i = 0, first = 0; i < known; i++)
	{
		if (strcmp(placed[i].value, placed[first].value) != 0)
			first = i;
		number[placed[i].place * rules->limits + limit] = placed[first].place;
	}
	pfree(placed);
}

bool
tfrs_pick_rules_run(const tfrs_pick_rules *rules, tfrs_selection *selection, char *const *values,
					uint32_t *picked, size_t *picked_count)
{
	size_t		count = selection->count;
	uint32	   *number = allocate(count * rules->limits, sizeof(uint32));
	bool	   *is_true = allocate(count * rules->shares, sizeof(bool));
	tfrs_arena	arena;
	tfrs_error	error;
	tfrs_status status;

	for (int limit = 0; limit < rules->limits; limit++)
		number_values(rules, values, count, limit, number);
	for (size_t i = 0; i < count; i++)
		for (int s = 0; s < rules->shares; s++)
		{
			const char *value = values[i * rules->columns + rules->limits + s];

			is_true[i * rules->shares + s] = value != NULL && *value == 't';
		}
	selection->value = number;
	selection->is_true = is_true;
	tfrs_bridge_arena(&arena, CurrentMemoryContext, tfrs_settings_memory_bytes());
	status = tfrs_selection_run(selection, &arena, picked, picked_count, &error);
	tfrs_check(status, &error);
	tfrs_arena_free(&arena);
	pfree(number);
	pfree(is_true);
	return status == TFRS_OK;
}
