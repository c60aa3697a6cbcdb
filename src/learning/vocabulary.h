/*
 * vocabulary.h: the words of a feature and their rows in its table, as Keras's lookups have them.
 *
 * StringLookup, IntegerLookup and TextVectorization put the rows of a table in this order:
 *
 *     reserved rows (text: one, for padding) | unknown slots | words
 *
 * Words are ordered by count descending, equal counts by value descending (integers by value, others
 * as memcmp).  A word that is not there has the unknown slot FarmHash64(bytes) mod slots, an integer
 * floormod(integer, slots); where there are no slots it has no row.  What is longer than
 * TFRS_MAX_ID_BYTES is never a word.  A vocabulary that was given keeps its order.
 *
 * Stored as parts (with a prefix): those of id_view.h in the order of the values, "index" uint32 (W)
 * the place of each in the order of the table and "order" uint32 (W) the word at each place, "count"
 * uint64 (W), where weights need it "with" uint64 (W) rows that have the word, and "head"
 * tfrs_vocabulary_head.
 */
#ifndef TFRS_VOCABULARY_H
#define TFRS_VOCABULARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/id_set.h"
#include "base/id_sort.h"

typedef struct tfrs_vocabulary_head
{
	uint32_t	reserved;		/* rows before the unknown slots */
	uint32_t	slots;			/* unknown ones */
	uint64_t	documents;		/* rows that words were counted in */
} tfrs_vocabulary_head;

/* For reading: while a training runs, or in a model. */
typedef struct tfrs_word_table
{
	tfrs_vocabulary_head head;
	tfrs_id_view words;			/* W, in the order of their values */
	const uint32_t *index;		/* (W) place in the order of the table, from 0; NULL: as they are */
	const uint32_t *order;		/* (W) the word at each place, or NULL likewise */
	const uint64_t *count;		/* (W); NULL: of ids, which are counted elsewhere */
	const uint64_t *with;		/* (W) documents that have the word, or NULL */
	bool		unknown_last;	/* one slot, behind the words: a table of ids */
} tfrs_word_table;

/* Rows of the table: reserved, slots and words. */
extern size_t tfrs_vocabulary_rows(const tfrs_word_table *vocabulary);

/* The table's row of a value; TFRS_NO_ROW where it is unknown and there are no slots.  *word: its
 * number among the words, TFRS_NO_ROW where it is unknown; may be NULL. */
extern uint32_t tfrs_vocabulary_find(const tfrs_word_table *vocabulary, tfrs_id value,
									 uint32_t *word);

/* ln(documents / those with it) of a word; 0 where it is unknown or in none. */
extern float tfrs_vocabulary_idf(const tfrs_word_table *vocabulary, uint32_t word);

/* Checks everything, as bytes from outside. */
extern tfrs_status tfrs_vocabulary_load(tfrs_word_table *vocabulary, const tfrs_block *block,
										const char *prefix, tfrs_error *error);

/* What the vocabulary and kind point to must outlive the writer. */
extern tfrs_status tfrs_vocabulary_save(const tfrs_word_table *vocabulary, uint32_t kind[2],
										tfrs_block_writer *writer, const char *prefix,
										tfrs_error *error);

typedef struct tfrs_vocabulary_options
{
	tfrs_id_kind kind;
	uint32_t	tag;
	uint32_t	reserved;
	uint32_t	slots;
	uint64_t	min_count;		/* rarer words are unknown */
	uint64_t	most_rows;		/* of the table, reserved ones and slots too; 0: any number */
	bool		with_documents;
} tfrs_vocabulary_options;

typedef enum tfrs_word_phase
{
	TFRS_WORDS_COUNT = 0,
	TFRS_WORDS_SORT,
	TFRS_WORDS_RANK,
	TFRS_WORDS_CHOOSE,
	TFRS_WORDS_PUT,
	TFRS_WORDS_KNOWN
} tfrs_word_phase;

/* A word that is being counted. */
typedef struct tfrs_counted_word
{
	uint64_t	count;
	uint64_t	with;			/* documents that have it, each by its weight */
	uint64_t	last;			/* the one that it was in last, from 1 */
	bool		kept;			/* of an earlier vocabulary */
} tfrs_counted_word;

typedef struct tfrs_word_count
{
	tfrs_arena *arena;
	tfrs_vocabulary_options options;
	tfrs_id_set seen;			/* S words by number of arrival, then in order */
	size_t		capacity;
	tfrs_counted_word *word;	/* (S) by number of arrival */
	uint64_t	document;		/* the one at hand */
	uint64_t	times;			/* its weight */
	uint64_t	documents;		/* weights of all of them */
	/* finishing */
	tfrs_word_phase phase;
	size_t		done;			/* words that the phase has passed */
	tfrs_id_sort sort;
	uint32_t   *new_row;		/* (S) in the order of values, by arrival */
	uint32_t   *arrival;		/* (S) the other way */
	uint32_t   *rank;			/* (S) words from the most frequent one, by number of arrival */
	uint32_t   *other;			/* (S) */
	uint32_t	digit;			/* of the counts that words are being sorted by */
	uint64_t	largest;		/* count */
	uint32_t   *place;			/* (S) in the table, by arrival; TFRS_NO_ROW: not chosen */
	/* the result, until free */
	tfrs_id_set words;			/* W */
	uint32_t   *index;			/* (W) */
	uint32_t   *order;			/* (W) */
	uint64_t   *count;			/* (W) */
	uint64_t   *with;			/* (W) or NULL */
	size_t		chosen;			/* W */
} tfrs_word_count;

extern tfrs_status tfrs_word_count_begin(tfrs_word_count *words, tfrs_arena *arena,
										 const tfrs_vocabulary_options *options,
										 tfrs_error *error);
extern void tfrs_word_count_free(tfrs_word_count *words);

/* Before all others: a word of an earlier vocabulary, which stays one whatever its count is. */
extern tfrs_status tfrs_word_count_keep(tfrs_word_count *words, tfrs_id word, uint64_t count,
										uint64_t with, tfrs_error *error);

/* Words from here on are in another document, which counts so many times. */
extern tfrs_status tfrs_word_count_document(tfrs_word_count *words, uint64_t times,
											tfrs_error *error);

/* Errors of tfrs_id_set_add; TFRS_TOO_LARGE where a count would overflow. */
extern tfrs_status tfrs_word_count_add(tfrs_word_count *words, tfrs_id word, tfrs_error *error);

/* TFRS_MORE until the words are chosen; then vocabulary points into the count. */
extern tfrs_status tfrs_word_count_step(tfrs_word_count *words, tfrs_word_table *vocabulary,
										tfrs_error *error);

/* A vocabulary in the order given.  TFRS_INVALID_ARGUMENT for a word that is there twice. */
extern tfrs_status tfrs_word_count_give(tfrs_word_count *words, const tfrs_id *word, size_t count,
										tfrs_word_table *vocabulary, tfrs_error *error);

#endif							/* TFRS_VOCABULARY_H */
