/*
 * softmax.h: the loss of a training: rows with one or several targets, against columns.
 *
 *     S = Q X^T / T + offsets;  hidden cells out;  L = sum over targets t of w_t l(S_t, the others)
 *
 * with l one of loss_options.h.  A column may stand for several (count) or be there as a target
 * alone (count 0), and may have been sampled with a probability that is corrected (logQ).  A hidden
 * column is no negative of its row.  A target that is hidden too counts in its own loss only: with
 * all targets of a row hidden, the loss of one is -ln e_t / (e_t + Z), Z over what is not hidden.
 *
 * U x V numbers are never held: a tile of rows meets all columns, is turned into dL/dS in place and
 * consumed by two more products (softmax_tile.h).  Results do not depend on the number of threads.
 *
 * Rows of an in-batch softmax whose queries are equal are one row with several targets here, and
 * equal candidates one column with a count: the same loss and gradients for a fraction of the
 * logits.  loss.h is the same softmax in the literal form of TFRS's task.
 */
#ifndef TFRS_SOFTMAX_H
#define TFRS_SOFTMAX_H

#include "base/arena.h"
#include "learning/loss_options.h"
#include "learning/softmax_batch.h"

typedef struct tfrs_softmax tfrs_softmax;

/* threads as in team.h.  It keeps its scratch memory between batches. */
extern tfrs_status tfrs_softmax_create(tfrs_softmax **softmax, tfrs_arena *arena, int threads,
									   tfrs_error *error);
extern void tfrs_softmax_destroy(tfrs_softmax *softmax);

/*
 * Begin checks the batch (TFRS_INVALID_ARGUMENT: numbers that make no sense; TFRS_NOT_FINITE:
 * vectors that overflow; TFRS_UNSUPPORTED: hard negatives of a row with several targets none of
 * which is hidden).  A step does some 2^29 multiply-adds a thread and returns TFRS_MORE until the
 * batch is done; then *total is the weighted sum of the losses.  What the batch points to must stay
 * until then.
 */
extern tfrs_status tfrs_softmax_begin(tfrs_softmax *softmax, const tfrs_softmax_batch *batch,
									  const tfrs_loss_options *options, tfrs_error *error);
extern tfrs_status tfrs_softmax_step(tfrs_softmax *softmax, double *total);

/*
 * What batches of at most these sizes and so many targets take, as a part of a list of arrays; the
 * batch's arrays are not looked at.  A batch of fewer columns may be cut into larger tiles and take
 * a little more.
 */
extern size_t tfrs_softmax_bytes(const tfrs_softmax_batch *most, size_t targets,
								 const tfrs_loss_options *options, int threads);

#endif							/* TFRS_SOFTMAX_H */
