/*
 * candidate_ids.h: ids of candidates between SQL values and the rows of an index.
 */
#ifndef TFRS_CANDIDATE_IDS_H
#define TFRS_CANDIDATE_IDS_H

#include "postgres.h"

#include "fmgr.h"
#include "utils/array.h"

#include "base/id_set.h"

/* Rows of an index, palloc'd; ascending and distinct where nothing else is said. */
typedef struct tfrs_row_list
{
	uint32_t   *rows;
	size_t		count;
	size_t		unknown;		/* ids that were given beside them, but that the index has not */
} tfrs_row_list;

/*
 * The array that a list of candidates is given as; an untyped literal, and a value of type text, is
 * read as text[].  Raises for what is no array; argument names it in errors.
 */
extern ArrayType *tfrs_candidate_array(Oid type, Datum array, const char *argument);

/*
 * The rows of the candidates in such an array, of their type or of text.  NULL elements and ids
 * that the index does not know are passed over.
 */
extern tfrs_row_list tfrs_candidate_rows(const tfrs_id_view *candidates, Oid type, Datum array,
										 const char *argument);

/* The same as they come: in the order of the array, and as often as there, but those that the index
 * does not know. */
extern tfrs_row_list tfrs_candidate_sequence(const tfrs_id_view *candidates, Oid type,
											 Datum array, const char *argument);

/* A copy of a list, with room for some more rows at its end. */
extern tfrs_row_list tfrs_row_list_copy(const uint32_t *rows, size_t count, size_t more);

/* Puts a list whose rows are in any order into order and drops repeated ones. */
extern void tfrs_row_list_sort(tfrs_row_list *list);

/* How an id becomes a value of an SQL type. */
typedef struct tfrs_id_writer
{
	bool		ready;
	uint32		tag;			/* of the ids it was made for */
	Oid			type;
	bool		direct;			/* integers to an integer type: no text between */
	FmgrInfo	input;
	Oid			input_parameter;
} tfrs_id_writer;

/* Raises where the view's ids are neither values of the type nor written as text.  context holds
 * what is looked up. */
extern void tfrs_id_writer_init(tfrs_id_writer *writer, const tfrs_id_view *view, Oid type,
								MemoryContext context);

/* Whether an id is a value of an enum, or of a type of integers; ids of other types are. */
extern bool tfrs_id_is_of_type(uint32 tag, tfrs_id id, Oid type);

/* A value in the current memory context. */
extern Datum tfrs_id_write(tfrs_id_writer *writer, tfrs_id id);

/*
 * The row that a candidate of a model (ids own) has in an index over ids of its type or their text, or
 * TFRS_NO_ROW.  Raises for ids of another type.
 */
extern uint32_t tfrs_row_in_index(const tfrs_id_view *candidates, const tfrs_id_view *own,
								  uint32_t row);

#endif							/* TFRS_CANDIDATE_IDS_H */
