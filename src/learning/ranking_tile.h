/*
 * ranking_tile.h: a tile of queries against all candidates of a model: rankings and cross
 * entropies.
 *
 * The queries' vectors meet block after block of candidates by matrix product; each block's cells
 * are fed to the shortlist of their query and to its sum of exponentials while they are in the
 * second-level cache.  B x N numbers are never held.
 */
#ifndef TFRS_RANKING_TILE_H
#define TFRS_RANKING_TILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/shortlist.h"
#include "learning/held_out.h"
#include "learning/model.h"

/* How tiles are cut; depends on the model's sizes and the depth alone. */
typedef struct tfrs_ranking_shape
{
	const tfrs_model *model;
	size_t		candidates;		/* N */
	size_t		dim;			/* D */
	size_t		depth;			/* K: places of a ranking that are wanted, <= N */
	size_t		rows;			/* R: queries of a tile */
	size_t		row_work;		/* multiply-adds of one query, or what takes as long */
	size_t		width;			/* candidates of a block */
	size_t		stride;			/* distance of its rows */
	float		longest;		/* max |x| */
	float		inverse_temperature;	/* 1 where query vectors hold it already */
} tfrs_ranking_shape;

extern void tfrs_ranking_shape_choose(tfrs_ranking_shape *shape, const tfrs_model *model,
									  size_t depth);

/* A worker's tile. */
typedef struct tfrs_ranking_tile
{
	const tfrs_ranking_shape *shape;
	float	   *vector;			/* (R, D) */
	float	   *cell;			/* (R, stride) */
	float	   *addend;			/* (R, N) sparse parts of the scores; NULL where there are none */
	tfrs_part_sums sums;
	tfrs_shortlist *list;		/* (R) */
	uint64_t   *keys;			/* (R + 1, room of a shortlist): one for all to sort in */
	float	   *peak;			/* (R) largest logit so far */
	double	   *total;			/* (R) sum of exp(logit - peak) */
} tfrs_ranking_tile;

/* Takes its memory; what is not given back goes with the arena. */
extern tfrs_status tfrs_ranking_tile_get(tfrs_ranking_tile *tile, tfrs_arena *arena,
										 const tfrs_ranking_shape *shape, tfrs_error *error);

/*
 * Ranks the queries of lists first .. first + rows (<= R) of a test whose lists have been taken;
 * those with nothing to test are passed over.  false where a score might overflow: nothing is
 * ranked then.
 */
extern bool tfrs_ranking_tile_run(tfrs_ranking_tile *tile, const tfrs_held_out *test, size_t first,
								  size_t rows);

/* The first places of row r, into top (K); returns how many there are.  Once a row. */
extern size_t tfrs_ranking_tile_top(tfrs_ranking_tile *tile, size_t r, uint32_t *top);

/* Sum over count relevant candidates of row r, as pairs, of -ln softmax of their score. */
extern double tfrs_ranking_tile_loss(const tfrs_ranking_tile *tile, size_t r,
									 const uint64_t *pairs, size_t count);

#endif							/* TFRS_RANKING_TILE_H */
