/*
 * encoder.h: what one input of a tower adds to its vector, and its gradient's way back.
 *
 *     embedding   the table's row of an id
 *     bag         the sum of the rows of weighted items
 *
 * Adding an encoder is adding a kind here and cells that it reads; towers and trainings know the
 * interface alone.  A table may be read by several encoders, of either tower (history.tied): their
 * gradients meet in it.
 */
#ifndef TFRS_ENCODER_H
#define TFRS_ENCODER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "learning/tensors.h"
#include "learning/ragged.h"

/* What the rows of a batch are to one encoder; the examples' memory. */
typedef struct tfrs_cells
{
	const uint32_t *id;			/* (B) of an embedding */
	const tfrs_ragged *list;	/* B lists of a bag */
	/* lists that several rows have in common beside their own, and which one a row has; or NULL */
	const tfrs_ragged *shared;
	const uint32_t *group;		/* (B) */
} tfrs_cells;

typedef struct tfrs_encoder tfrs_encoder;

typedef struct tfrs_encoder_kind
{
	const char *name;

	/* Adds to the sum (D) of a row, or spreads the gradient (D) of its sum; both return how many
	 * rows of the table that took. */
	size_t		(*forward) (const tfrs_encoder *encoder, size_t row, float *sum);
	size_t		(*backward) (tfrs_encoder *encoder, size_t row, const float *d_sum);
} tfrs_encoder_kind;

extern const tfrs_encoder_kind tfrs_encoder_embedding;
extern const tfrs_encoder_kind tfrs_encoder_bag;

struct tfrs_encoder
{
	const tfrs_encoder_kind *kind;
	tfrs_tensor *table;
	tfrs_cells	cells;			/* of the batch at hand */
	/* sums of the shared lists and their gradients, where there can be some: */
	size_t		room;			/* lists at most; 0: there are none */
	float	   *sum;			/* (room, D) */
	float	   *d_sum;			/* (room, D) */
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

#endif							/* TFRS_ENCODER_H */
