/*
 * recurrent.h: a GRU over sequences (Keras's GRU with its defaults), its last state, forward and
 * backward through time.
 *
 *     a = x W + b1,  c = h U + b2         columns z, r, n of U units each
 *     z = sigmoid(a_z + c_z)   r = sigmoid(a_r + c_r)   n = tanh(a_n + r c_n)
 *     h' = z h + (1 - z) n                h is 0 at first
 *
 * Sequences are packed by time: the longest comes first, step t holds the elements of the first
 * active[t] sequences, and active never grows.  So a step is one matrix product over those that
 * are still running, and a sequence that has ended keeps its state.  An empty sequence has state 0.
 *
 * What the layer owns and adds to is as in dense.h.
 */
#ifndef TFRS_RECURRENT_H
#define TFRS_RECURRENT_H

#include <stddef.h>

#define TFRS_GRU_GATES 3

typedef struct tfrs_gru
{
	size_t		inputs;			/* I */
	size_t		units;			/* U */
	const float *kernel;		/* W (I, 3 U) */
	const float *recurrent;		/* U (U, 3 U) */
	const float *bias;			/* b1, b2 (2, 3 U) */
} tfrs_gru;

typedef struct tfrs_gru_gradient
{
	float	   *d_kernel;		/* (I, 3 U) */
	float	   *d_recurrent;	/* (U, 3 U) */
	float	   *d_bias;			/* (2, 3 U) */
} tfrs_gru_gradient;

/* Sequences packed by time. */
typedef struct tfrs_packed
{
	size_t		rows;			/* B sequences, >= active[0] */
	size_t		steps;			/* T */
	const size_t *active;		/* (T) */
	size_t		elements;		/* S = sum of active */
	const float *x;				/* (S, I) */
} tfrs_packed;

/* What forward leaves for backward. */
typedef struct tfrs_gru_scratch
{
	float	   *gates;			/* (S, 3 U) z, r, n; then the gradient of a */
	float	   *inner;			/* (S, U) c_n */
	float	   *before;			/* (S, U) h before the step */
	float	   *sums;			/* (B, 3 U) c, or its gradient */
} tfrs_gru_scratch;

/* h (B, U) becomes the last state of each sequence. */
extern void tfrs_gru_forward(const tfrs_gru *layer, const tfrs_packed *packed,
							 const tfrs_gru_scratch *scratch, float *h);

/* d_h (B, U), of the last states, is overwritten; d_x (S, I), or NULL where nobody needs it. */
extern void tfrs_gru_backward(const tfrs_gru *layer, const tfrs_packed *packed,
							  const tfrs_gru_scratch *scratch, float *d_h,
							  const tfrs_gru_gradient *gradient, float *d_x);

#endif							/* TFRS_RECURRENT_H */
