/*
 * partition.h: rows into leaves, by k-means.
 *
 * Lloyd's iterations on a sample, squared Euclidean distance, then every row goes to its nearest
 * centroid.  Distance decides here also where the inner product decides at query time: leaves by
 * inner product (spherical k-means) gather the long rows badly and six times as many leaves must be
 * searched.
 */
#ifndef TFRS_PARTITION_H
#define TFRS_PARTITION_H

#include <stdint.h>

#include "base/arena.h"
#include "retrieval/space.h"

typedef struct tfrs_partition_builder
{
	tfrs_arena *arena;
	const tfrs_space *space;
	const tfrs_corpus *corpus;
	size_t		leaves;			/* L <= N */
	int			threads;
	uint64_t	seed;
	float	   *centroids;		/* (L, W + 1): the last is -|centroid|^2 / 2 */
	uint32_t   *leaf_of;		/* (N), valid when the last step returned TFRS_OK */
	/* private */
	size_t		sample_count;
	uint32_t   *sample;			/* (S) rows, ascending */
	uint32_t   *sample_leaf;	/* (S) */
	float	   *scratch;		/* (threads, ...) */
	size_t		scratch_stride;
	size_t		tile_rows;
	int			iteration;
	int			phase;
	size_t		done;			/* rows assigned in this iteration */
	size_t		moved;			/* rows or leaves passed in a phase that moves centroids */
} tfrs_partition_builder;

/* Space and corpus stay the caller's.  Rows are finite. */
extern tfrs_status tfrs_partition_begin(tfrs_partition_builder *builder, tfrs_arena *arena,
										const tfrs_space *space, const tfrs_corpus *corpus,
										tfrs_error *error);

/* TFRS_MORE until leaf_of is complete; a step takes some 10 ms. */
extern tfrs_status tfrs_partition_step(tfrs_partition_builder *builder);
extern double tfrs_partition_share_done(const tfrs_partition_builder *builder);

/* Gives the memory back; may be called twice. */
extern void tfrs_partition_free(tfrs_partition_builder *builder);

#endif							/* TFRS_PARTITION_H */
