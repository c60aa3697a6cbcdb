/*
 * tower.h: encoders to a vector, and the end of it: dropout, L2, temperature, bias.
 *
 *     x = keep * sum of the encoders, or what layers make of all of them side by side;
 *     s = 1 / sqrt(max(sum x^2, 1e-12)), or 1;  y = s x / T
 *     d_x = s / T (d_y - T^2 y (y . d_y)), and s / T d_y where the floor holds or s is 1
 *
 * The last of the D components is the candidate bias where there is one: a candidate's own number,
 * and 1 of a query.  Temperature is the query's alone.  The same end serves a training, which walks
 * over the rows of a batch, and queries that are encoded one by one.
 */
#ifndef TFRS_TOWER_H
#define TFRS_TOWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/random.h"
#include "learning/encoder.h"
#include "learning/history.h"
#include "learning/layers.h"

/* Of a tower: an id or bags of what was chosen, and features. */
#define TFRS_MAX_ENCODERS (TFRS_MAX_BAGS + TFRS_MAX_FEATURES)

/* A query tower as a model keeps it. */
typedef struct tfrs_tower_shape
{
	uint32_t	dim;			/* D, the bias component included */
	uint32_t	bags;			/* of its events; 0: an embedding of its id */
	float		decay[TFRS_MAX_BAGS];	/* of each bag; 0: the bag of all events */
	uint32_t	length;			/* events that a decaying bag sees */
	uint32_t	bias;			/* 1: the last component is the candidate bias */
	uint32_t	normalize;		/* 1: L2 on both sides (Keras UnitNormalization) */
	float		temperature;
	uint32_t	repeats;		/* 1: what is chosen again is another event */
} tfrs_tower_shape;

/* Components that the encoders fill: D without the bias. */
static inline size_t
tfrs_tower_width(const tfrs_tower_shape *shape)
{
	return shape->dim - shape->bias;
}

static inline tfrs_bag
tfrs_tower_bag(const tfrs_tower_shape *shape, uint32_t bag)
{
	return (tfrs_bag) {shape->decay[bag], shape->length};
}

/* Sum of encoders (D) -> query vector (D), in place.  A zero sum stays zero but for the bias. */
extern void tfrs_tower_finish(const tfrs_tower_shape *shape, float *vector);

/* Candidate vectors (count, D) as they are served, in place; length (count) receives those of the
 * rows before, or is NULL. */
extern void tfrs_tower_finish_candidates(const tfrs_tower_shape *shape, float *vectors,
										 size_t count, float *length);

/* The query vector (D) of a list of events: bags of all of them, each from a table (N, D). */
extern void tfrs_tower_encode(const tfrs_tower_shape *shape, const float *const *tables,
							  const tfrs_event_list *list, float *vector);

/*
 * What each event of the list adds to the inner product of the query vector with that of a
 * candidate (D): contribution (count), in the list's order.  With the candidate's bias, where there
 * is one, they add up to the product, for the vector is a multiple of the sum of the events' rows.
 * vector (D): room, receives the query vector.
 */
extern void tfrs_tower_contributions(const tfrs_tower_shape *shape, const float *const *tables,
									 const tfrs_event_list *list, const float *candidate,
									 float *vector, double *contribution);

/* A tower in training. */
typedef struct tfrs_tower
{
	const tfrs_tower_shape *shape;
	bool		of_candidates;
	float		dropout;		/* of components, before the end */
	float		key_dropout;	/* share of a batch's rows that encoders of the key are left out of */
	size_t		encoders;
	tfrs_encoder encoder[TFRS_MAX_ENCODERS];
	bool		distinct;		/* one embedding of ids that differ: its gradient is the table's */
	bool		together;		/* some encoders make rows together, or there are layers */
	tfrs_layers layers;			/* none: encoders are summed */
	size_t		room;			/* rows of a batch at most */
	size_t		rows;			/* B of the batch at hand */
	uint8_t    *keyless;		/* (B) whether the key is left out, or NULL: of none */
	float	   *vector;			/* (B, D) */
	float	   *d_vector;		/* (B, D), or NULL where the table has it */
	float	   *scale;			/* (B) of the L2 norm, or NULL */
	float	   *keep;			/* (B, D) 0 or 1 / (1 - dropout), or NULL */
	/* the walk under way */
	size_t		shared;			/* lists done, of all encoders */
	size_t		done;			/* rows */
} tfrs_tower;

extern void tfrs_tower_plan(tfrs_plan *plan, tfrs_tower *tower);

/* The batch has these rows, whose cells the encoders have. */
extern void tfrs_tower_begin(tfrs_tower *tower, size_t rows);

/* Draws which of them are without their key; where none ever is, random is not looked at. */
extern void tfrs_tower_drop_keys(tfrs_tower *tower, tfrs_random *random);

/* Vectors of the rows, then from the gradient of the vectors to those of the tables: TFRS_MORE until
 * done, some milliseconds each; random: NULL where nothing is dropped.  A table whose gradient is handed over comes before its others. */
extern tfrs_status tfrs_tower_forward_step(tfrs_tower *tower, tfrs_random *random);
extern tfrs_status tfrs_tower_backward_step(tfrs_tower *tower);

/* Where the gradient of the vectors (B, D) belongs. */
extern float *tfrs_tower_gradient(const tfrs_tower *tower);

#endif							/* TFRS_TOWER_H */
