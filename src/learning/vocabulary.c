/*
 * vocabulary.c: looking words up, and vocabularies in a model.
 */
#include "learning/vocabulary.h"

#include <math.h>
#include <string.h>

#include "base/limits.h"
#include "learning/fingerprint.h"

size_t
tfrs_vocabulary_rows(const tfrs_word_table *vocabulary)
{
	return vocabulary->words.count +
		(vocabulary->unknown_last ? 1 : vocabulary->head.reserved + vocabulary->head.slots);
}

static uint32_t
floor_modulo(int64_t integer, uint32_t slots)
{
	int64_t		rest = integer % (int64_t) slots;

	return (uint32_t) (rest < 0 ? rest + (int64_t) slots : rest);
}

/* The row of a value that is no word. */
static uint32_t
unknown_row(const tfrs_word_table *vocabulary, tfrs_id value)
{
	uint32_t	slots = vocabulary->head.slots;

	if (vocabulary->unknown_last)
		return (uint32_t) vocabulary->words.count;
	if (slots == 0)
		return TFRS_NO_ROW;
	return vocabulary->head.reserved +
		(value.kind == TFRS_ID_INTEGER ? floor_modulo(value.integer, slots)
		 : tfrs_fingerprint_bin(tfrs_fingerprint(value.bytes, value.length), slots));
}

uint32_t
tfrs_vocabulary_find(const tfrs_word_table *vocabulary, tfrs_id value, uint32_t *word)
{
	uint32_t	found = tfrs_id_view_find(&vocabulary->words, value);
	uint32_t	before = vocabulary->unknown_last ? 0
		: vocabulary->head.reserved + vocabulary->head.slots;

	if (word != NULL)
		*word = found;
	if (found == TFRS_NO_ROW)
		return unknown_row(vocabulary, value);
	return before + (vocabulary->index == NULL ? found : vocabulary->index[found]);
}

float
tfrs_vocabulary_idf(const tfrs_word_table *vocabulary, uint32_t word)
{
	if (word == TFRS_NO_ROW || vocabulary->with == NULL || vocabulary->with[word] == 0)
		return 0.0f;
	return (float) log((double) vocabulary->head.documents / (double) vocabulary->with[word]);
}

static tfrs_status
corrupt(tfrs_error *error, const char *prefix, const char *why)
{
	tfrs_fail(error, TFRS_CORRUPT, "model is corrupt");
	tfrs_error_detail(error, "The vocabulary \"%s\" %s.", prefix, why);
	return TFRS_CORRUPT;
}

/* A part of so many elements. */
static tfrs_status
find_part(const tfrs_block *block, const char *prefix, const char *name, size_t size, size_t count,
		  const void **data, tfrs_error *error)
{
	tfrs_part_name part = tfrs_part_name_of(prefix, name);

	return tfrs_block_find_exact(block, part.text, size, count, data, error);
}

/* Each is the other's inverse, so both are permutations. */
static bool
good_order(const tfrs_word_table *vocabulary)
{
	size_t		words = vocabulary->words.count;

	for (size_t i = 0; i < words; i++)
		if (vocabulary->order[i] >= words || vocabulary->index[vocabulary->order[i]] != i)
			return false;
	return true;
}

static bool
good_documents(const tfrs_word_table *vocabulary)
{
	for (size_t i = 0; i < vocabulary->words.count; i++)
		if (vocabulary->with[i] > vocabulary->head.documents)
			return false;
	return true;
}

static tfrs_status
load_head(tfrs_word_table *vocabulary, const tfrs_block *block, const char *prefix,
		  tfrs_error *error)
{
	const void *head;
	tfrs_status status = find_part(block, prefix, "head", sizeof(tfrs_vocabulary_head), 1, &head,
								   error);

	if (status != TFRS_OK)
		return status;
	memcpy(&vocabulary->head, head, sizeof(vocabulary->head));
	if (vocabulary->head.reserved > 1 || vocabulary->head.slots > TFRS_MAX_BINS)
		return corrupt(error, prefix, "has too many rows");
	return TFRS_OK;
}

static tfrs_status
load_words(tfrs_word_table *vocabulary, const tfrs_block *block, const char *prefix,
		   tfrs_error *error)
{
	const void *index;
	const void *order;
	const void *count;
	size_t		words;
	tfrs_status status = tfrs_id_view_load(&vocabulary->words, block, prefix, error);

	words = vocabulary->words.count;
	if (status == TFRS_OK)
		status = find_part(block, prefix, "index", sizeof(uint32_t), words, &index, error);
	if (status == TFRS_OK)
		status = find_part(block, prefix, "order", sizeof(uint32_t), words, &order, error);
	if (status == TFRS_OK)
		status = find_part(block, prefix, "count", sizeof(uint64_t), words, &count, error);
	if (status != TFRS_OK)
		return status;
	vocabulary->index = index;
	vocabulary->order = order;
	vocabulary->count = count;
	if (!block->trusted && !good_order(vocabulary))
		return corrupt(error, prefix, "has words in no order");
	return TFRS_OK;
}

tfrs_status
tfrs_vocabulary_load(tfrs_word_table *vocabulary, const tfrs_block *block, const char *prefix,
					 tfrs_error *error)
{
	const void *with;
	tfrs_status status;

	memset(vocabulary, 0, sizeof(*vocabulary));
	status = load_head(vocabulary, block, prefix, error);
	if (status == TFRS_OK)
		status = load_words(vocabulary, block, prefix, error);
	if (status != TFRS_OK || !tfrs_block_has(block, tfrs_part_name_of(prefix, "with").text))
		return status;
	status = find_part(block, prefix, "with", sizeof(uint64_t), vocabulary->words.count, &with,
					   error);
	if (status != TFRS_OK)
		return status;
	vocabulary->with = with;
	if (!block->trusted && !good_documents(vocabulary))
		return corrupt(error, prefix, "has a word in more rows than there are");
	return TFRS_OK;
}

tfrs_status
tfrs_vocabulary_save(const tfrs_word_table *vocabulary, uint32_t kind[2],
					 tfrs_block_writer *writer, const char *prefix, tfrs_error *error)
{
	size_t		words = vocabulary->words.count;
	const char *outer = writer->prefix;
	tfrs_status status = tfrs_id_view_save(&vocabulary->words, kind, writer, prefix, error);

	writer->prefix = prefix;
	if (status == TFRS_OK)
		status = tfrs_block_writer_add(writer, "head", &vocabulary->head, 1,
									   sizeof(vocabulary->head), error);
	if (status == TFRS_OK)
		status = tfrs_block_writer_add(writer, "index", vocabulary->index, words,
									   sizeof(uint32_t), error);
	if (status == TFRS_OK)
		status = tfrs_block_writer_add(writer, "order", vocabulary->order, words,
									   sizeof(uint32_t), error);
	if (status == TFRS_OK)
		status = tfrs_block_writer_add(writer, "count", vocabulary->count, words,
									   sizeof(uint64_t), error);
	if (status == TFRS_OK && vocabulary->with != NULL)
		status = tfrs_block_writer_add(writer, "with", vocabulary->with, words, sizeof(uint64_t),
									   error);
	writer->prefix = outer;
	return status;
}

/* Words that one step passes. */
#define STEP_WORDS ((size_t) 1 << 16)

#define DIGIT_BITS 11
#define DIGITS (1 << DIGIT_BITS)

tfrs_status
tfrs_word_count_begin(tfrs_word_count *words, tfrs_arena *arena,
					  const tfrs_vocabulary_options *options, tfrs_error *error)
{
	tfrs_status status;

	memset(words, 0, sizeof(*words));
	words->arena = arena;
	words->options = *options;
	words->times = 1;
	status = tfrs_id_set_init(&words->seen, arena, options->kind, options->tag, error);
	if (status != TFRS_OK)
		tfrs_word_count_free(words);
	return status;
}

/* What only counting and choosing need. */
static void
free_scratch(tfrs_word_count *words)
{
	tfrs_id_sort_end(&words->sort);
	if (words->seen.arena != NULL)
		tfrs_id_set_free(&words->seen);
	tfrs_arena_release(words->arena, words->word);
	tfrs_arena_release(words->arena, words->new_row);
	tfrs_arena_release(words->arena, words->arrival);
	tfrs_arena_release(words->arena, words->rank);
	tfrs_arena_release(words->arena, words->other);
	tfrs_arena_release(words->arena, words->place);
	words->word = NULL;
	words->new_row = words->arrival = words->rank = words->other = words->place = NULL;
}

void
tfrs_word_count_free(tfrs_word_count *words)
{
	if (words->arena == NULL)
		return;
	free_scratch(words);
	if (words->words.arena != NULL)
		tfrs_id_set_free(&words->words);
	tfrs_arena_release(words->arena, words->index);
	tfrs_arena_release(words->arena, words->order);
	tfrs_arena_release(words->arena, words->count);
	tfrs_arena_release(words->arena, words->with);
	memset(words, 0, sizeof(*words));
}

/* The word's number of arrival; what belongs to a new one is zero. */
static tfrs_status
see(tfrs_word_count *words, tfrs_id word, uint32_t *row, tfrs_error *error)
{
	size_t		before = words->seen.count;
	size_t		capacity = words->capacity == 0 ? 64 : 2 * words->capacity;
	tfrs_status status = TFRS_OK;

	if (before == words->capacity)
		status = TFRS_RESIZE(words->arena, &words->word, capacity, error);
	if (status != TFRS_OK)
		return status;
	words->capacity = before == words->capacity ? capacity : words->capacity;
	status = tfrs_id_set_add(&words->seen, word, row, error);
	if (status == TFRS_OK && words->seen.count > before)
		memset(&words->word[*row], 0, sizeof(words->word[*row]));
	return status;
}

tfrs_status
tfrs_word_count_keep(tfrs_word_count *words, tfrs_id word, uint64_t count, uint64_t with,
					 tfrs_error *error)
{
	uint32_t	row;
	tfrs_status status = see(words, word, &row, error);

	if (status == TFRS_OK)
		words->word[row] = (tfrs_counted_word) {.count = count,.with = with,.kept = true};
	return status;
}

static tfrs_status
add_count(uint64_t *count, uint64_t times, tfrs_error *error)
{
	if (__builtin_add_overflow(*count, times, count))
		return tfrs_fail(error, TFRS_TOO_LARGE, "a count of words overflows");
	return TFRS_OK;
}

tfrs_status
tfrs_word_count_document(tfrs_word_count *words, uint64_t times, tfrs_error *error)
{
	words->document++;
	words->times = times;
	return add_count(&words->documents, times, error);
}

tfrs_status
tfrs_word_count_add(tfrs_word_count *words, tfrs_id word, tfrs_error *error)
{
	tfrs_counted_word *counted;
	uint32_t	row;
	tfrs_status status;

	if (word.kind == TFRS_ID_BYTES && word.length > TFRS_MAX_ID_BYTES)
		return TFRS_OK;
	status = see(words, word, &row, error);
	if (status != TFRS_OK)
		return status;
	counted = &words->word[row];
	if (counted->last != words->document)
		status = add_count(&counted->with, words->times, error);
	counted->last = words->document;
	return status == TFRS_OK ? add_count(&counted->count, words->times, error) : status;
}

/* The end of the piece that comes next. */
static size_t
end_of_piece(const tfrs_word_count *words, size_t count)
{
	return words->done + tfrs_size_smaller(count - words->done, STEP_WORDS);
}

static tfrs_status
begin_sort(tfrs_word_count *words, tfrs_error *error)
{
	size_t		count = words->seen.count;
	tfrs_status status = TFRS_GET(words->arena, &words->new_row, count, error);

	if (status == TFRS_OK)
		status = TFRS_GET(words->arena, &words->arrival, count, error);
	if (status == TFRS_OK)
		status = TFRS_GET(words->arena, &words->rank, count, error);
	if (status == TFRS_OK)
		status = TFRS_GET(words->arena, &words->other, count, error);
	if (status == TFRS_OK)
		status = TFRS_GET(words->arena, &words->place, count, error);
	if (status == TFRS_OK)
		status = tfrs_id_sort_begin(&words->sort, &words->seen, words->new_row, error);
	words->phase = TFRS_WORDS_SORT;
	return status;
}

/* Ranks begin with the greatest value; sorting by count, which is stable, leaves ties so. */
static void
begin_rank(tfrs_word_count *words)
{
	size_t		count = words->seen.count;

	tfrs_id_sort_end(&words->sort);
	for (uint32_t i = 0; i < count; i++)
	{
		words->arrival[words->new_row[i]] = i;
		words->rank[count - 1 - words->new_row[i]] = i;
		words->largest = words->word[i].count > words->largest ? words->word[i].count
			: words->largest;
	}
	words->phase = TFRS_WORDS_RANK;
}

/* One pass of a radix sort by count, the largest first. */
static void
rank_digit(tfrs_word_count *words)
{
	uint32_t	shift = words->digit * DIGIT_BITS;
	size_t		start[DIGITS + 1] = {0};
	uint32_t   *ranked = words->rank;

	if (shift >= 64 || words->largest >> shift == 0)
	{
		words->phase = TFRS_WORDS_CHOOSE;
		return;
	}
	for (size_t i = 0; i < words->seen.count; i++)
		start[DIGITS - (words->word[i].count >> shift) % DIGITS]++;
	for (size_t d = 1; d <= DIGITS; d++)
		start[d] += start[d - 1];
	for (size_t i = 0; i < words->seen.count; i++)
	{
		uint64_t	count = words->word[ranked[i]].count;

		words->other[start[DIGITS - 1 - (count >> shift) % DIGITS]++] = ranked[i];
	}
	words->rank = words->other;
	words->other = ranked;
	words->digit++;
}

/* How many words the table has room for beside those that are kept. */
static size_t
room_for_others(const tfrs_word_count *words)
{
	uint64_t	reserved = (uint64_t) words->options.reserved + words->options.slots;
	size_t		kept = 0;

	if (words->options.most_rows == 0)
		return SIZE_MAX;
	for (size_t i = 0; i < words->seen.count; i++)
		kept += words->word[i].kept;
	return words->options.most_rows > reserved + kept
		? (size_t) (words->options.most_rows - reserved - kept) : 0;
}

/* Which words stay, and where they are in the table. */
static tfrs_status
choose(tfrs_word_count *words, tfrs_error *error)
{
	size_t		room = room_for_others(words);
	tfrs_status status;

	for (size_t i = 0; i < words->seen.count; i++)
	{
		uint32_t	row = words->rank[i];
		const tfrs_counted_word *word = &words->word[row];
		bool		stays = word->kept || (room > 0 && word->count >= words->options.min_count);

		words->place[row] = stays ? (uint32_t) words->chosen++ : TFRS_NO_ROW;
		room -= stays && !word->kept;
	}
	status = TFRS_GET(words->arena, &words->index, words->chosen, error);
	if (status == TFRS_OK)
		status = TFRS_GET(words->arena, &words->order, words->chosen, error);
	if (status == TFRS_OK)
		status = TFRS_GET(words->arena, &words->count, words->chosen, error);
	if (status == TFRS_OK && words->options.with_documents)
		status = TFRS_GET(words->arena, &words->with, words->chosen, error);
	if (status == TFRS_OK)
		status = tfrs_id_set_init(&words->words, words->arena, words->options.kind,
								  words->options.tag, error);
	words->phase = TFRS_WORDS_PUT;
	return status;
}

/* Some of the words that stay, in the order of their values. */
static tfrs_status
put_words(tfrs_word_count *words, tfrs_error *error)
{
	tfrs_id_view seen = tfrs_id_set_view(&words->seen);
	size_t		end = end_of_piece(words, seen.count);
	tfrs_status status = TFRS_OK;

	for (; words->done < end && status == TFRS_OK; words->done++)
	{
		uint32_t	arrival = words->arrival[words->done];
		const tfrs_counted_word *word = &words->word[arrival];
		uint32_t	row;

		if (words->place[arrival] == TFRS_NO_ROW)
			continue;
		status = tfrs_id_set_add(&words->words,
								 tfrs_id_view_get(&seen, (uint32_t) words->done), &row, error);
		if (status != TFRS_OK)
			break;
		words->index[row] = words->place[arrival];
		words->order[words->place[arrival]] = row;
		words->count[row] = word->count;
		if (words->with != NULL)
			words->with[row] = word->with;
	}
	if (status == TFRS_OK && words->done == seen.count)
		words->phase = TFRS_WORDS_KNOWN;
	return status;
}

static tfrs_word_table
vocabulary_of(const tfrs_word_count *words)
{
	return (tfrs_word_table) {
		.head = {words->options.reserved, words->options.slots, words->documents},
		.words = tfrs_id_set_view(&words->words), .index = words->index, .order = words->order,
		.count = words->count, .with = words->with
	};
}

tfrs_status
tfrs_word_count_step(tfrs_word_count *words, tfrs_word_table *vocabulary, tfrs_error *error)
{
	tfrs_status status = TFRS_OK;

	switch (words->phase)
	{
		case TFRS_WORDS_COUNT:
			status = begin_sort(words, error);
			break;
		case TFRS_WORDS_SORT:
			status = tfrs_id_sort_step(&words->sort, error);
			if (status == TFRS_OK)
				begin_rank(words);
			status = status == TFRS_MORE ? TFRS_OK : status;
			break;
		case TFRS_WORDS_RANK:
			rank_digit(words);
			break;
		case TFRS_WORDS_CHOOSE:
			status = choose(words, error);
			break;
		case TFRS_WORDS_PUT:
			status = put_words(words, error);
			break;
		case TFRS_WORDS_KNOWN:
			break;
	}
	if (status != TFRS_OK || words->phase != TFRS_WORDS_KNOWN)
		return status == TFRS_OK ? TFRS_MORE : status;
	free_scratch(words);
	*vocabulary = vocabulary_of(words);
	return TFRS_OK;
}

/* Counts that fall by one from word to word give the order in which they came. */
tfrs_status
tfrs_word_count_give(tfrs_word_count *words, const tfrs_id *word, size_t count,
					 tfrs_word_table *vocabulary, tfrs_error *error)
{
	tfrs_status status = TFRS_OK;

	for (size_t i = 0; i < count && status == TFRS_OK; i++)
	{
		status = tfrs_word_count_keep(words, word[i], count - i, 0, error);
		if (status == TFRS_OK && words->seen.count != i + 1)
			return tfrs_fail(error, TFRS_INVALID_ARGUMENT, "a word of the vocabulary is there twice");
	}
	while (status == TFRS_OK)
	{
		status = tfrs_word_count_step(words, vocabulary, error);
		if (status == TFRS_OK)
			break;
		status = status == TFRS_MORE ? TFRS_OK : status;
	}
	return status;
}
