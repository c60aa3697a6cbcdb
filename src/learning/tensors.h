/*
 * tensors.h: what a training learns: a list of named tensors.
 *
 * A tensor is a table with a row for each id, or a dense one: the kernel or the bias of a layer.  Its
 * values lie beside what the optimizer remembers, the values of the best epoch and the gradient of a
 * step, which touches some rows of a table and all rows of a dense tensor.  The list sizes and places
 * all of them, and whatever is done to parameters (initial values, an optimizer's step, keeping and
 * restoring, warm start, saving and loading) loops over it: no other module names a tensor but to
 * declare it.
 *
 * Gradients of one row are summed where they arise; a row has its place in order of first touch.
 */
#ifndef TFRS_TENSORS_H
#define TFRS_TENSORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/plan.h"
#include "base/random.h"
#include "learning/feature_options.h"
#include "learning/history.h"
#include "learning/optimizer.h"

/* Tables of ids and bags; of each feature of both towers a table or a kernel, of sequences three
 * more; and two of each layer. */
#define TFRS_MAX_TENSORS \
	(2 + TFRS_MAX_BAGS + 2 * (4 * TFRS_MAX_FEATURES + 2 * (2 * TFRS_MAX_LAYERS + 1)))

/* Bytes of a name with its end: "candidate.f63.recurrent" and the like. */
#define TFRS_MAX_TENSOR_NAME 28

/* What a tensor begins with, as Keras has it. */
typedef enum tfrs_initial
{
	TFRS_INITIAL_UNIFORM = 0,	/* in [-scale, scale) */
	TFRS_INITIAL_NORMAL,		/* of that deviation, drawn again beyond twice of it */
	TFRS_INITIAL_ORTHOGONAL		/* rows of length 1 at right angles to each other; scale is unused */
} tfrs_initial;

typedef struct tfrs_tensor
{
	char		name[TFRS_MAX_TENSOR_NAME];	/* its parts of a model are NAME.table, NAME.slot0, ... */
	bool		of_queries;		/* a row for each query, not for each candidate */
	bool		has_bias;		/* the last number of a row starts at 0 */
	bool		dense;			/* every step touches all rows */
	tfrs_initial initial;
	float		scale;			/* of the initial values; 0: they are 0 */
	uint64_t	stream;			/* of its initial values, with the index */
	uint64_t	index;
	size_t		rows;			/* V, of a table of ids the last one for those never seen */
	size_t		dim;			/* D */
	int			slots;
	bool		keeps_best;
	size_t		room;			/* rows of a step's gradient at most */
	float	   *values;			/* (V, D) */
	float	   *slot[2];		/* (V, D), or NULL */
	float	   *best;			/* (V, D) values of the best epoch, or NULL */
	size_t		touched;		/* G rows of this step's gradient */
	uint32_t   *row;			/* (room), or NULL where dense: row g is g */
	float	   *gradient;		/* (room, D) */
	uint32_t   *place;			/* (V) believed where row[place] is the row, or NULL where dense */
} tfrs_tensor;

typedef struct tfrs_tensors
{
	size_t		count;
	tfrs_tensor tensor[TFRS_MAX_TENSORS];
	/* what every tensor declared from here on has */
	size_t		dim;			/* but for dense ones */
	int			slots;
	bool		keeps_best;
	/* the walk over them that is under way */
	size_t		at;
	size_t		done;
	tfrs_random random;
	double		square;			/* of the gradient's norm */
} tfrs_tensors;

/* How a step moves the parameters along their gradients. */
typedef struct tfrs_tensors_move
{
	tfrs_optimizer optimizer;	/* at this step's rate */
	uint64_t	number;			/* of the step, from 1, over all trainings */
	float		share;			/* gradients are multiplied by it first */
	float		l2;				/* then 2 l2 v is added for each touched row v */
	float		clip_norm;		/* then their norm over all tensors is at most that; 0: any */
} tfrs_tensors_move;

/* Another table of the list, which has a place for it and does not move; its values start uniform
 * in [-0.05, 0.05) (Keras "uniform").  room: rows that a step touches at most. */
extern tfrs_tensor *tfrs_tensors_declare(tfrs_tensors *parameters, const char *name,
										 size_t rows, size_t room);

/* Another dense tensor, which starts at 0. */
extern tfrs_tensor *tfrs_tensors_declare_dense(tfrs_tensors *parameters, const char *name,
											   size_t rows, size_t dim);

/* Its arrays, as a part of a list. */
extern void tfrs_tensors_plan(tfrs_plan *plan, tfrs_tensors *parameters);

/* Initial values, slots at their start.  TFRS_MORE until done. */
extern tfrs_status tfrs_tensors_fill_step(tfrs_tensors *parameters,
											 const tfrs_optimizer *optimizer, uint64_t seed);

/* Finishes the gradients; TFRS_MORE until done. */
extern tfrs_status tfrs_tensors_finish_step(tfrs_tensors *parameters,
											   const tfrs_tensors_move *step);

/* Moves the rows that have a gradient.  TFRS_MORE until done; TFRS_NOT_FINITE: one overflowed. */
extern tfrs_status tfrs_tensors_move_step(tfrs_tensors *parameters,
											 const tfrs_tensors_move *step);

/* The values become the best so far; the values become the best. */
extern void tfrs_tensors_keep(tfrs_tensors *parameters);
extern void tfrs_tensors_restore(tfrs_tensors *parameters);

/* Forgets the gradients of the step before. */
extern void tfrs_tensors_forget(tfrs_tensors *parameters);

/* A row's gradient (D) of a table, zero at its first touch. */
extern float *tfrs_tensor_gradient(tfrs_tensor *tensor, uint32_t row);

/* The next of distinct rows, none of which is touched: its gradient is left as it is. */
extern void tfrs_tensor_touch(tfrs_tensor *tensor, uint32_t row);

/*
 * A walk over all tensors: the rows [start, end) of count that are next of the tensor at hand; then
 * TFRS_MORE, or TFRS_OK where those were the last rows of the last tensor.
 */
extern void tfrs_tensors_piece(tfrs_tensors *parameters, size_t count, size_t *start,
								  size_t *end);
extern tfrs_status tfrs_tensors_pass(tfrs_tensors *parameters, size_t count);

/* values + row * D */
static inline const float *
tfrs_tensor_row(const tfrs_tensor *tensor, size_t row)
{
	return tensor->values + row * tensor->dim;
}

#endif							/* TFRS_TENSORS_H */
