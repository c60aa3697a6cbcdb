/*
 * feature_settling.c: feature by feature, those of queries first.
 *
 *     weigh the entries -> observe them -> [the words: sort, choose | moments: two passes more] -> next
 *
 * An entry is a distinct value of the column, or a row where values are not numbered; it counts as
 * often as its rows do.  Quantiles come out of the same machine as vocabularies: doubles as integers
 * of the same order, counted and sorted.
 */
#include "learning/feature_settling.h"

#include <math.h>
#include <string.h>

#include "learning/words.h"

/* Entries that one step observes, and words of texts about. */
#define STEP_ENTRIES ((size_t) 1 << 14)
#define STEP_WORDS ((size_t) 1 << 15)

typedef enum settling_phase
{
	WEIGH,
	KEEP,
	OBSERVE,
	MEASURE,					/* number: the largest distance from the mean */
	SQUARE,						/* and the sum of squares */
	CHOOSE_WORDS
} settling_phase;

struct tfrs_settling
{
	tfrs_arena *arena;
	tfrs_settling_side side[2]; /* candidates, queries */
	tfrs_features features[2];
	tfrs_settled_feature *settled[2];	/* (F) */
	bool		of_queries;		/* the side that is being settled */
	uint32_t	at;				/* its feature */
	settling_phase phase;
	size_t		done;			/* entries */
	uint64_t   *weight;			/* (entries) */
	tfrs_row_room room;
	char	   *word;			/* (word_bytes) room for a word of a text */
	size_t		word_bytes;
	tfrs_word_table numbers;	/* of a bucket: its values */
	/* of a number */
	double		largest;
	double		squares;
};

static void
begin_side(tfrs_settling *settling, bool of_queries, const tfrs_settling_side *given)
{
	tfrs_features *features = &settling->features[of_queries];

	settling->side[of_queries] = *given;
	features->options = given->options;
	features->count = given->options == NULL ? 0 : given->options->features;
}

tfrs_status
tfrs_settling_begin(tfrs_settling **result, tfrs_arena *arena, const tfrs_settling_side *query,
					const tfrs_settling_side *candidate, tfrs_error *error)
{
	tfrs_settling *settling;
	tfrs_status status = TFRS_GET_ZERO(arena, result, 1, error);

	if (status != TFRS_OK)
		return status;
	settling = *result;
	settling->arena = arena;
	settling->of_queries = true;
	tfrs_row_room_init(&settling->room, arena);
	begin_side(settling, true, query);
	begin_side(settling, false, candidate);
	for (int s = 0; s < 2 && status == TFRS_OK; s++)
		status = TFRS_GET_ZERO(arena, &settling->settled[s], settling->features[s].count, error);
	if (status != TFRS_OK)
	{
		tfrs_settling_destroy(settling);
		*result = NULL;
	}
	return status;
}

void
tfrs_settling_destroy(tfrs_settling *settling)
{
	if (settling == NULL)
		return;
	for (int s = 0; s < 2; s++)
	{
		for (size_t f = 0; settling->settled[s] != NULL && f < settling->features[s].count; f++)
			tfrs_word_count_free(&settling->settled[s][f].words);
		tfrs_arena_release(settling->arena, settling->settled[s]);
	}
	tfrs_row_room_free(&settling->room);
	tfrs_arena_release(settling->arena, settling->weight);
	tfrs_arena_release(settling->arena, settling->word);
	tfrs_arena_release(settling->arena, settling);
}

const tfrs_features *
tfrs_settling_features(const tfrs_settling *settling, bool of_queries)
{
	return &settling->features[of_queries];
}

/* The side, options and results of the feature that is being settled. */
static const tfrs_settling_side *
side_of(const tfrs_settling *settling)
{
	return &settling->side[settling->of_queries];
}

static const tfrs_feature_options *
options_of(const tfrs_settling *settling)
{
	return &side_of(settling)->options->feature[settling->at];
}

static tfrs_settled_feature *
settled_of(const tfrs_settling *settling)
{
	return &settling->settled[settling->of_queries][settling->at];
}

/* The same feature of an earlier training, or NULL. */
static const tfrs_feature *
earlier_of(const tfrs_settling *settling)
{
	const tfrs_features *earlier = side_of(settling)->earlier;

	return earlier == NULL ? NULL : &earlier->feature[settling->at];
}

static const tfrs_column *
column_of(const tfrs_settling *settling)
{
	return &side_of(settling)->options->column[options_of(settling)->column[0]];
}

static bool
is_own_vocabulary(const tfrs_feature_options *options)
{
	return tfrs_feature_has_vocabulary(options->kind) && options->share[0] == '\0';
}

/* Whether values are counted: words, or numbers that quantiles are taken of. */
static bool
counts_words(const tfrs_settling *settling)
{
	const tfrs_feature_options *options = options_of(settling);

	return is_own_vocabulary(options) ||
		(options->kind == TFRS_FEATURE_BUCKET && options->quantiles > 0 &&
		 earlier_of(settling) == NULL);
}

static tfrs_status
begin_words(tfrs_settling *settling, tfrs_error *error)
{
	const tfrs_feature_options *options = options_of(settling);
	const tfrs_column *column = column_of(settling);
	tfrs_vocabulary_options words = {.kind = TFRS_ID_INTEGER};

	if (is_own_vocabulary(options))
		words = (tfrs_vocabulary_options) {
			.kind = (tfrs_id_kind) column->kind, .tag = column->tag,
			.reserved = options->kind == TFRS_FEATURE_TEXT,
			.slots = options->unknown_slots, .min_count = options->min_count,
			.most_rows = options->most_values,
			.with_documents = options->combiner == TFRS_COMBINER_IDF
		};
	return tfrs_word_count_begin(&settled_of(settling)->words, settling->arena, &words, error);
}

/* How often each entry counts. */
static tfrs_status
weigh(tfrs_settling *settling, tfrs_error *error)
{
	const tfrs_settling_side *side = side_of(settling);
	const tfrs_feature_options *options = options_of(settling);
	size_t		entries = tfrs_feature_entries(&side->view, options);
	bool		by_value = options->columns == 1 && tfrs_column_has_set(column_of(settling));
	tfrs_status status = TFRS_OK;

	tfrs_arena_release(settling->arena, settling->weight);
	settling->weight = NULL;
	status = TFRS_GET_ZERO(settling->arena, &settling->weight, entries, error);
	for (size_t row = 0; row < side->view.count && status == TFRS_OK; row++)
	{
		uint32_t	entry = (uint32_t) row;

		if (by_value)
			entry = tfrs_rows_value_number(&side->view, options->column[0], entry);
		settling->weight[entry == TFRS_NO_ROW ? entries - 1 : entry] += side->row_count[row];
	}
	if (status == TFRS_OK && counts_words(settling))
		status = begin_words(settling, error);
	settling->phase = counts_words(settling) && earlier_of(settling) != NULL ? KEEP : OBSERVE;
	return status;
}

/* Some words of an earlier vocabulary. */
static tfrs_status
keep_words(tfrs_settling *settling, tfrs_error *error)
{
	const tfrs_word_table *earlier = &earlier_of(settling)->vocabulary;
	tfrs_word_count *words = &settled_of(settling)->words;
	bool		anew = side_of(settling)->counts_anew;
	size_t		end = settling->done +
		tfrs_size_smaller(earlier->words.count - settling->done, STEP_WORDS);
	tfrs_status status = TFRS_OK;

	for (; settling->done < end && status == TFRS_OK; settling->done++)
	{
		size_t		w = settling->done;

		status = tfrs_word_count_keep(words, tfrs_id_view_get(&earlier->words, (uint32_t) w),
									  anew ? 0 : earlier->count[w],
									  anew || earlier->with == NULL ? 0 : earlier->with[w], error);
	}
	if (status != TFRS_OK || settling->done < earlier->words.count)
		return status;
	words->documents = anew ? 0 : earlier->head.documents;
	settling->done = 0;
	settling->phase = OBSERVE;
	return TFRS_OK;
}

/* All words, those too that are too late to be read, as Keras counts them. */
static tfrs_status
observe_text(tfrs_settling *settling, const tfrs_value *text, size_t *seen, tfrs_error *error)
{
	tfrs_words	words;
	tfrs_status status = TFRS_OK;

	if (text->id.length > settling->word_bytes || settling->word == NULL)
	{
		tfrs_arena_release(settling->arena, settling->word);
		settling->word = NULL;
		settling->word_bytes = 2 * (size_t) text->id.length + 64;
		status = TFRS_GET(settling->arena, &settling->word, settling->word_bytes, error);
	}
	if (status != TFRS_OK)
		return status;
	tfrs_words_begin(&words, text->id.bytes, text->id.length, settling->word);
	for (; status == TFRS_OK && tfrs_words_next(&words); ++*seen)
		status = tfrs_word_count_add(&settled_of(settling)->words,
									 tfrs_id_of_bytes(words.word, words.length), error);
	return status;
}

static tfrs_status
observe_list(tfrs_settling *settling, const tfrs_value *list, size_t *seen, tfrs_error *error)
{
	size_t		most = options_of(settling)->most_elements;
	tfrs_status status = TFRS_OK;

	for (size_t i = most > 0 && list->count > most ? list->count - most : 0;
		 i < list->count && status == TFRS_OK; i++, ++*seen)
		status = tfrs_word_count_add(&settled_of(settling)->words, list->element[i], error);
	return status;
}

/* A double as an integer of the same order, and back. */
static int64_t
ordered_integer(double number)
{
	int64_t		bits;

	memcpy(&bits, &number, sizeof(bits));
	return bits < 0 ? INT64_MIN - bits - 1 : bits;
}

static double
ordered_double(int64_t integer)
{
	int64_t		bits = integer < 0 ? INT64_MIN - (integer + 1) : integer;
	double		number;

	memcpy(&number, &bits, sizeof(number));
	return number;
}

/* The first pass of moments: the mean, and the range. */
static void
observe_number(tfrs_feature_summary *summary, double x, uint64_t times)
{
	uint64_t	known = summary->rows - summary->nulls;	/* with this one */

	summary->least = known == times ? x : fmin(summary->least, x);
	summary->most = known == times ? x : fmax(summary->most, x);
	summary->moments.mean += (x - summary->moments.mean) * ((double) times / (double) known);
}

/* A value that is not NULL. */
static tfrs_status
observe_value(tfrs_settling *settling, const tfrs_value *value, uint64_t times, size_t *seen,
			  tfrs_error *error)
{
	tfrs_settled_feature *settled = settled_of(settling);
	const tfrs_feature_options *options = options_of(settling);
	bool		is_number = options->kind == TFRS_FEATURE_NUMBER ||
		options->kind == TFRS_FEATURE_BUCKET;
	double		x = is_number ? tfrs_feature_number(options, column_of(settling), value) : 0;
	tfrs_status status = TFRS_OK;

	if (is_number)
		observe_number(&settled->summary, x, times);
	if (!counts_words(settling))
		return TFRS_OK;
	status = tfrs_word_count_document(&settled->words, times, error);
	if (status != TFRS_OK)
		return status;
	if (options->kind == TFRS_FEATURE_TEXT)
		return observe_text(settling, value, seen, error);
	if (tfrs_feature_is_list(options->kind))
		return observe_list(settling, value, seen, error);
	return tfrs_word_count_add(&settled->words, is_number
							   ? tfrs_id_of_integer(ordered_integer(x)) : value->id, error);
}

static bool
is_null(const tfrs_feature_options *options, const tfrs_value *value)
{
	for (uint32_t i = 0; i < options->columns; i++)
		if (value[options->column[i]].is_null)
			return true;
	return false;
}

static tfrs_status
fail_all_null(const tfrs_settling *settling, tfrs_error *error)
{
	tfrs_fail(error, TFRS_INVALID_ARGUMENT, "column \"%s\" of the %s is NULL in every row",
			  column_of(settling)->name, settling->of_queries ? "queries" : "candidates");
	tfrs_error_hint(error, "Leave the feature \"%s\" out, or give the column values.",
					options_of(settling)->name);
	return TFRS_INVALID_ARGUMENT;
}

/* Some entries. */
static tfrs_status
observe(tfrs_settling *settling, tfrs_error *error)
{
	const tfrs_settling_side *side = side_of(settling);
	const tfrs_feature_options *options = options_of(settling);
	tfrs_feature_summary *summary = &settled_of(settling)->summary;
	size_t		entries = tfrs_feature_entries(&side->view, options);
	tfrs_value	value[TFRS_MAX_COLUMNS];
	size_t		seen = 0;
	tfrs_status status = TFRS_OK;

	for (size_t n = 0; n < STEP_ENTRIES && seen < STEP_WORDS && settling->done < entries &&
		 status == TFRS_OK; n++, settling->done++)
	{
		uint64_t	times = settling->weight[settling->done];

		if (times == 0)
			continue;
		status = tfrs_feature_entry(&side->view, options, settling->done, &settling->room, value,
									error);
		summary->rows += times;
		if (status == TFRS_OK && is_null(options, value))
			summary->nulls += times;
		else if (status == TFRS_OK)
			status = observe_value(settling, &value[options->column[0]], times, &seen, error);
	}
	if (status != TFRS_OK || settling->done < entries)
		return status;
	if (summary->rows > 0 && summary->nulls == summary->rows && earlier_of(settling) == NULL)
		return fail_all_null(settling, error);
	settling->done = 0;
	settling->largest = settling->squares = 0;
	settling->phase = options->kind == TFRS_FEATURE_NUMBER ? MEASURE : CHOOSE_WORDS;
	return TFRS_OK;
}

/* The second and third pass of moments, by some entries. */
static tfrs_status
measure(tfrs_settling *settling, tfrs_error *error)
{
	const tfrs_settling_side *side = side_of(settling);
	const tfrs_feature_options *options = options_of(settling);
	double		mean = settled_of(settling)->summary.moments.mean;
	size_t		entries = tfrs_feature_entries(&side->view, options);
	size_t		end = settling->done + tfrs_size_smaller(entries - settling->done, STEP_ENTRIES);
	tfrs_value	value[TFRS_MAX_COLUMNS];
	tfrs_status status = TFRS_OK;

	for (; settling->done < end && status == TFRS_OK; settling->done++)
	{
		uint64_t	times = settling->weight[settling->done];
		double		x;

		status = tfrs_feature_entry(&side->view, options, settling->done, &settling->room, value,
									error);
		if (status != TFRS_OK || times == 0 || is_null(options, value))
			continue;
		x = tfrs_feature_number(options, column_of(settling), &value[options->column[0]]) - mean;
		if (settling->phase == MEASURE)
			settling->largest = fmax(settling->largest, fabs(x));
		else if (settling->largest > 0)
			settling->squares += (double) times * (x / settling->largest) * (x / settling->largest);
	}
	if (status != TFRS_OK || end < entries)
		return status;
	settling->done = 0;
	settling->phase++;
	return TFRS_OK;
}

static tfrs_status
fail_overflow(const tfrs_settling *settling, tfrs_error *error)
{
	tfrs_fail(error, TFRS_OUT_OF_RANGE, "the numbers of column \"%s\" are too far apart",
			  column_of(settling)->name);
	tfrs_error_detail(error, "Their mean or variance overflows.");
	tfrs_error_hint(error, "Divide them by a constant, or set \"log\": true.");
	return TFRS_OUT_OF_RANGE;
}

/* Moments of a number, or those of an earlier training. */
static tfrs_status
end_number(tfrs_settling *settling, tfrs_error *error)
{
	const tfrs_feature *earlier = earlier_of(settling);
	tfrs_feature_summary *summary = &settled_of(settling)->summary;
	uint64_t	known = summary->rows - summary->nulls;

	summary->width = summary->nulls > 0 ? 2 : 1;
	summary->moments.variance = settling->squares / (double) (known > 0 ? known : 1) *
		settling->largest * settling->largest;
	if (earlier != NULL)
	{
		summary->width = earlier->summary->width;
		summary->moments = earlier->summary->moments;
	}
	return isfinite(summary->moments.mean) && isfinite(summary->moments.variance) ? TFRS_OK
		: fail_overflow(settling, error);
}

/* Quantiles of the numbers that were counted. */
static tfrs_status
take_quantiles(tfrs_settling *settling, tfrs_error *error)
{
	tfrs_settled_feature *settled = settled_of(settling);
	const tfrs_word_table *numbers = &settling->numbers;
	size_t		count = numbers->words.count;
	uint64_t   *through = settled->words.count;
	double	   *sorted;
	tfrs_status status = TFRS_GET(settling->arena, &sorted, count, error);

	if (status != TFRS_OK)
		return status;
	for (size_t i = 0; i < count; i++)
	{
		sorted[i] = ordered_double(numbers->words.integers[i]);
		through[i] += i > 0 ? through[i - 1] : 0;
	}
	settled->summary.boundaries = (uint32_t) tfrs_quantiles(sorted, through, count,
															options_of(settling)->quantiles,
															settled->boundary);
	tfrs_arena_release(settling->arena, sorted);
	tfrs_word_count_free(&settled->words);
	for (uint32_t i = 0; i < settled->summary.boundaries; i++)
		if (!isfinite(settled->boundary[i]))
			return fail_overflow(settling, error);
	return TFRS_OK;
}

static tfrs_status
end_bucket(tfrs_settling *settling, tfrs_error *error)
{
	const tfrs_feature_options *options = options_of(settling);
	const tfrs_feature *earlier = earlier_of(settling);
	tfrs_settled_feature *settled = settled_of(settling);

	settled->summary.moments = (tfrs_moments) {0};	/* which only a number has */
	if (counts_words(settling))
		return take_quantiles(settling, error);
	settled->summary.boundaries = earlier != NULL ? earlier->summary->boundaries
		: options->boundaries;
	memcpy(settled->boundary, earlier != NULL ? earlier->boundary : options->boundary,
		   settled->summary.boundaries * sizeof(double));
	return TFRS_OK;
}

/* All is known of the feature. */
static tfrs_status
end_feature(tfrs_settling *settling, tfrs_error *error)
{
	const tfrs_feature_options *options = options_of(settling);
	tfrs_feature *feature = &settling->features[settling->of_queries].feature[settling->at];
	tfrs_settled_feature *settled = settled_of(settling);
	tfrs_status status = TFRS_OK;

	if (options->kind == TFRS_FEATURE_NUMBER)
		status = end_number(settling, error);
	else if (options->kind == TFRS_FEATURE_BUCKET)
		status = end_bucket(settling, error);
	else if (options->kind == TFRS_FEATURE_VECTOR)
		settled->summary.width = column_of(settling)->dim;
	feature->options = options;
	feature->columns = side_of(settling)->options->column;
	feature->summary = &settled->summary;
	feature->boundary = settled->boundary;
	if (options->share[0] == '\0')
		tfrs_feature_size(feature);
	settling->phase = WEIGH;
	settling->at++;
	return status;
}

/* The words of a feature that has some; then its end. */
static tfrs_status
choose_words(tfrs_settling *settling, tfrs_error *error)
{
	bool		is_own = is_own_vocabulary(options_of(settling));
	tfrs_feature *feature = &settling->features[settling->of_queries].feature[settling->at];
	tfrs_status status = TFRS_OK;

	if (counts_words(settling))
		status = tfrs_word_count_step(&settled_of(settling)->words,
									  is_own ? &feature->vocabulary : &settling->numbers, error);
	return status == TFRS_OK ? end_feature(settling, error) : status;
}

static tfrs_status
link_shares(tfrs_settling *settling, tfrs_error *error)
{
	return tfrs_features_link(&settling->features[1], &settling->features[0],
							  settling->side[1].keys, settling->side[0].keys, error);
}

static tfrs_status
run_phase(tfrs_settling *settling, tfrs_error *error)
{
	switch (settling->phase)
	{
		case WEIGH:
			return weigh(settling, error);
		case KEEP:
			return keep_words(settling, error);
		case OBSERVE:
			return observe(settling, error);
		case MEASURE:
		case SQUARE:
			return measure(settling, error);
		default:
			return choose_words(settling, error);
	}
}

tfrs_status
tfrs_settling_step(tfrs_settling *settling, tfrs_error *error)
{
	tfrs_status status;

	if (settling->at == settling->features[settling->of_queries].count)
	{
		if (!settling->of_queries)
			return link_shares(settling, error);
		settling->of_queries = false;
		settling->at = 0;
		return TFRS_MORE;
	}
	status = run_phase(settling, error);
	return status == TFRS_OK ? TFRS_MORE : status;
}
