/*
 * encoder.h: what one input of a tower gives to it, and its gradient's way back.
 *
 *     embedding   the table's row of an id
 *     bag         the sum of the rows of weighted items
 *     values      numbers as they are (linear_encoder.h)
 *     linear      numbers through a kernel (linear_encoder.h)
 *     sequence    the rows of items in order, through a GRU (sequence_encoder.h)
 *
 * Adding an encoder is adding a kind and cells that it reads; towers and trainings know the
 * interface alone.  A table may be read by several encoders, of either tower (history.tied, share):
 * their gradients meet in it.
 */
#ifndef TFRS_ENCODER_H
#define TFRS_ENCODER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "learning/tensors.h"
#include "learning/ragged.h"

/* Rows that kinds which make rows together get at a time, and items of their lists; but one row may
 * have any number of items. */
#define TFRS_ENCODER_ROWS 256
#define TFRS_ENCODER_ITEMS 4096

/*
 * What the rows of a batch are to one encoder; others' memory.  Equal rows have one entry: that of a
 * row is entry[index[row]], where an array that is NULL leaves the number as it is.
 */
typedef struct tfrs_cells
{
	const uint32_t *index;		/* (B) or NULL */
	const uint32_t *entry;		/* or NULL */
	const uint32_t *id;			/* (entries) of an embedding; TFRS_NO_ROW: a zero vector */
	const tfrs_ragged *list;	/* (entries) of a bag or a sequence */
	const float *number;		/* (entries, inputs) of numbers */
	/* lists that several rows have in common beside their own, and which one a row has; or NULL */
	const tfrs_ragged *shared;
	const uint32_t *group;		/* (B) */
} tfrs_cells;

typedef struct tfrs_encoder tfrs_encoder;

typedef struct tfrs_encoder_kind
{
	const char *name;

	/* Adds to what a row gives (W), or spreads the gradient (W) of it; both return how many rows of
	 * the table that took.  NULL where rows are made together. */
	size_t		(*forward) (const tfrs_encoder *encoder, size_t row, float *out);
	size_t		(*backward) (tfrs_encoder *encoder, size_t row, const float *d_out);

	/* The same for the rows [start, end), TFRS_ENCODER_ROWS at most; out: that of row start, pitch
	 * floats from one to the next.  NULL where they are made one by one. */
	void		(*forward_rows) (tfrs_encoder *encoder, size_t start, size_t end, float *out,
								 size_t pitch);
	void		(*backward_rows) (tfrs_encoder *encoder, size_t start, size_t end,
								  const float *d_out, size_t pitch);
	void		(*plan) (tfrs_plan *plan, tfrs_encoder *encoder);	/* scratch for that, or NULL */
} tfrs_encoder_kind;

extern const tfrs_encoder_kind tfrs_encoder_embedding;
extern const tfrs_encoder_kind tfrs_encoder_bag;

/* Scratch of kinds that make rows together. */
typedef struct tfrs_encoder_scratch
{
	size_t		items;			/* S of the rows of one call at most */
	float	   *x;				/* (rows, inputs) of linear, (S, inputs) of sequences */
	float	   *d_x;			/* (S, inputs) */
	float	   *gates;			/* (S, 3 W) */
	float	   *inner;			/* (S, W) */
	float	   *before;			/* (S, W) */
	float	   *sums;			/* (rows, 3 W) */
	float	   *state;			/* (rows, W) */
	size_t	   *active;			/* (S) sequences that are still running at each step */
	size_t	   *order;			/* (rows) of the call, the longest first */
} tfrs_encoder_scratch;

struct tfrs_encoder
{
	const tfrs_encoder_kind *kind;
	tfrs_tensor *table;			/* of embeddings, bags and sequences */
	tfrs_cells	cells;			/* of the batch at hand */
	size_t		offset;			/* where it writes into what the tower's layers take */
	bool		of_key;			/* left out of rows whose key is (tower.h) */
	bool		skips_unknown;	/* the table's last row gives nothing */
	/* sums of the shared lists and their gradients, where there can be some: */
	size_t		room;			/* lists at most; 0: there are none */
	float	   *sum;			/* (room, D) */
	float	   *d_sum;			/* (room, D) */
	/* kinds that make rows together: */
	size_t		inputs;			/* numbers of an entry, or of an item's row */
	size_t		width;			/* W that it gives */
	size_t		longest;		/* items of a list at most */
	tfrs_tensor *kernel;		/* linear (inputs, W), sequence (inputs, 3 W) */
	tfrs_tensor *recurrent;		/* (W, 3 W) */
	tfrs_tensor *bias;			/* (2, 3 W) */
	tfrs_encoder_scratch scratch;
};

extern void tfrs_encoder_plan(tfrs_plan *plan, tfrs_encoder *encoder);

/* The sum of a shared list, before the rows' forward; its gradient's way, after their backward.
 * Both return how many rows of the table that took. */
extern size_t tfrs_encoder_share(tfrs_encoder *encoder, size_t list);
extern size_t tfrs_encoder_share_backward(tfrs_encoder *encoder, size_t list);

/* Shared lists of the batch at hand. */
static inline size_t
tfrs_encoder_shared(const tfrs_encoder *encoder)
{
	return encoder->cells.shared == NULL ? 0 : encoder->cells.shared->rows;
}

/* Where a row's value is among those of the cells. */
static inline size_t
tfrs_encoder_entry(const tfrs_encoder *encoder, size_t row)
{
	size_t		number = encoder->cells.index == NULL ? row : encoder->cells.index[row];

	return encoder->cells.entry == NULL ? number : encoder->cells.entry[number];
}

#endif							/* TFRS_ENCODER_H */
