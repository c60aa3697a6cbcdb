/*
 * layers.h: the layers of a tower, between what its encoders give and the end of its vector:
 *
 *     x (W) -> [cross layers (W)] -> [dense layers with an activation, dropout] -> linear -> D
 *
 * Kernels and biases are tensors.  What a batch leaves for the way back is kept for all its rows;
 * both ways go over some rows at a time, TFRS_ENCODER_ROWS at most.
 */
#ifndef TFRS_LAYERS_H
#define TFRS_LAYERS_H

#include <stddef.h>

#include "base/random.h"
#include "learning/activation.h"
#include "learning/encoder.h"
#include "learning/feature_options.h"

typedef struct tfrs_layers
{
	size_t		inputs;			/* W; 0: there are no layers */
	size_t		crosses;
	size_t		denses;			/* 1 at least, the last one being linear, to D */
	tfrs_activation activation;
	float		dropout;		/* behind the activations */
	tfrs_tensor *cross_kernel[TFRS_MAX_LAYERS]; /* (W, W) */
	tfrs_tensor *cross_bias[TFRS_MAX_LAYERS];	/* (1, W) */
	tfrs_tensor *kernel[TFRS_MAX_LAYERS + 1];	/* (inputs, outputs) */
	tfrs_tensor *bias[TFRS_MAX_LAYERS + 1]; /* (1, outputs) */
	size_t		room;			/* B rows at most */
	float	   *x;				/* (B, W) the caller's to fill */
	float	   *inner[TFRS_MAX_LAYERS]; /* (B, W) of each cross layer, and what it makes */
	float	   *crossed[TFRS_MAX_LAYERS];	/* (B, W) */
	float	   *sums[TFRS_MAX_LAYERS];	/* (B, O) of each dense layer but the last, and y */
	float	   *y[TFRS_MAX_LAYERS]; /* (B, O) */
	float	   *keep[TFRS_MAX_LAYERS];	/* (B, O) 0 or 1 / (1 - dropout), or NULL */
	/* of the rows of one call back */
	float	   *d_x;			/* (rows, W) */
	float	   *d_inner;		/* (rows, W) */
	float	   *d[2];			/* (rows, widest) */
} tfrs_layers;

/* Whether there are any. */
static inline bool
tfrs_layers_are(const tfrs_layers *layers)
{
	return layers->inputs > 0;
}

/* Multiply-adds of a row's products. */
extern size_t tfrs_layers_work(const tfrs_layers *layers);

extern void tfrs_layers_plan(tfrs_plan *plan, tfrs_layers *layers);

/* x -> vector (rows, D) of the rows [start, end); random: NULL where nothing is dropped. */
extern void tfrs_layers_forward(tfrs_layers *layers, size_t start, size_t end,
								tfrs_random *random, float *vector);

/* d_vector (rows, D), which is overwritten, -> d_x. */
extern void tfrs_layers_backward(tfrs_layers *layers, size_t start, size_t end, float *d_vector);

#endif							/* TFRS_LAYERS_H */
