/*
 * row_store.h: rows of interactions as packed bytes, in blocks that lie in memory or in a spool.
 *
 * A store owns the blocks of any number of lists and one spool, made at first use.  A list grows at
 * its end; when the store holds more than its limit, the list that wants to grow gives its oldest
 * blocks to the spool.  So a list is a run of spooled blocks followed by a run of blocks in memory,
 * and reading gives the rows in the order in which they were put.
 *
 *     stored row:  query uint32 | candidate uint32 | row uint32, if kept | weight float, if kept
 *                  | at int64, if kept
 *
 * Bytes in a spool are trusted: the host's temporary files are private to it.
 */
#ifndef TFRS_ROW_STORE_H
#define TFRS_ROW_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"

/* One row.  Times are microseconds since 2000-01-01 UTC, INT64_MIN where unknown. */
typedef struct tfrs_interaction
{
	uint32_t	query;
	uint32_t	candidate;
	float		weight;
	uint32_t	row;			/* the number of the query's row (feature_rows.h), or TFRS_NO_ROW */
	int64_t		at;
} tfrs_interaction;

/*
 * A byte file of the host: grows at its end, is read anywhere, in any alternation.  The functions
 * may jump out (the core holds arena memory only).
 */
typedef struct tfrs_spool_functions
{
	void	   *context;
	void	   *(*create) (void *context);	/* NULL: failed */
	bool		(*append) (void *spool, const void *bytes, size_t count);
	bool		(*read) (void *spool, size_t offset, void *bytes, size_t count);
	void		(*close) (void *spool);
} tfrs_spool_functions;

/* What a stored row consists of. */
typedef struct tfrs_row_format
{
	bool		has_weight;
	bool		has_time;
	bool		has_row;
} tfrs_row_format;

static inline size_t
tfrs_row_width(tfrs_row_format format)
{
	return 2 * sizeof(uint32_t) + (format.has_row ? sizeof(uint32_t) : 0) +
		(format.has_weight ? sizeof(float) : 0) + (format.has_time ? sizeof(int64_t) : 0);
}

/* What is not kept reads as weight 1, an unknown time and no row. */
extern void tfrs_row_pack(tfrs_row_format format, uint8_t *bytes, const tfrs_interaction *row);
extern void tfrs_row_unpack(tfrs_row_format format, const uint8_t *bytes, tfrs_interaction *row);

typedef struct tfrs_row_block
{
	struct tfrs_row_block *next;
	size_t		capacity;		/* rows; all but a list's last block are full */
	uint8_t		bytes[];
} tfrs_row_block;

typedef struct tfrs_row_store
{
	tfrs_arena *arena;
	const tfrs_spool_functions *spools; /* NULL: passing the limit is an error */
	tfrs_row_format format;
	size_t		width;			/* bytes of a row */
	size_t		first_rows;		/* capacity of a list's first block; later ones double it */
	size_t		most_rows;		/* up to this */
	size_t		limit;			/* bytes of blocks in memory; a list's last block is always kept */
	size_t		held;			/* bytes of blocks in memory now */
	void	   *spool;			/* NULL until the first block goes there */
	size_t		spool_bytes;
	uint8_t    *scratch;		/* (most_rows) rows: a spooled block being read */
} tfrs_row_store;

/* Where a block lies in the spool. */
typedef struct tfrs_row_place
{
	size_t		offset;
	size_t		rows;
} tfrs_row_place;

/* All zero is an empty list. */
typedef struct tfrs_row_queue
{
	size_t		rows;			/* in all blocks */
	tfrs_row_place *places;		/* (place_count), oldest first */
	size_t		place_count;
	size_t		place_capacity;
	tfrs_row_block *first;		/* blocks in memory */
	tfrs_row_block *last;
	uint8_t    *cursor;			/* free space of last: [cursor, end) */
	uint8_t    *end;
} tfrs_row_queue;

extern void tfrs_row_store_init(tfrs_row_store *store, tfrs_arena *arena, tfrs_row_format format,
								const tfrs_spool_functions *spools);

/* Closes the spool; lists are freed one by one before. */
extern void tfrs_row_store_free(tfrs_row_store *store);
extern void tfrs_row_queue_free(tfrs_row_store *store, tfrs_row_queue *list);

/* Adds an empty block at the end, after spooling what the limit asks for.  Errors: memory,
 * TFRS_OVER_BUDGET without spools, TFRS_IO_ERROR. */
extern tfrs_status tfrs_row_queue_grow(tfrs_row_store *store, tfrs_row_queue *list,
									  tfrs_error *error);

static inline tfrs_status
tfrs_row_queue_put(tfrs_row_store *store, tfrs_row_queue *list, const tfrs_interaction *row,
				  tfrs_error *error)
{
	if (list->cursor == list->end)
	{
		tfrs_status status = tfrs_row_queue_grow(store, list, error);

		if (status != TFRS_OK)
			return status;
	}
	tfrs_row_pack(store->format, list->cursor, row);
	list->cursor += store->width;
	list->rows++;
	return TFRS_OK;
}

/* Sends every block but the last to the spool. */
extern tfrs_status tfrs_row_queue_spool(tfrs_row_store *store, tfrs_row_queue *list,
									   tfrs_error *error);

/*
 * Reads a list block by block.  The list may not grow meanwhile.  A consuming reader gives each
 * block's memory back when it asks for the next one.
 */
typedef struct tfrs_row_reader
{
	tfrs_row_store *store;
	tfrs_row_queue *list;
	bool		consume;
	size_t		place;			/* next spooled block */
	tfrs_row_block *given;		/* the block in memory that was given last, or NULL */
	tfrs_row_block *next;		/* and the one after it */
} tfrs_row_reader;

extern void tfrs_row_reader_begin(tfrs_row_reader *reader, tfrs_row_store *store,
								  tfrs_row_queue *list, bool consume);

/* *count packed rows at *bytes, valid until the next call on a reader of this store; 0 at the end
 * and whenever it is asked again. */
extern tfrs_status tfrs_row_reader_next(tfrs_row_reader *reader, const uint8_t **bytes,
										size_t *count, tfrs_error *error);

#endif							/* TFRS_ROW_STORE_H */
