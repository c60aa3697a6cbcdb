/*
 * loss_backward.h: gradients of a tile after its forward pass; see loss_tile.h.
 */
#ifndef TFRS_LOSS_BACKWARD_H
#define TFRS_LOSS_BACKWARD_H

#include "learning/loss_tile.h"

/* Writes d_query and d_logits of the tile's rows and adds to the tile's d_candidate, each unless
 * NULL.  The shares are used up. */
extern void tfrs_loss_backward(const tfrs_loss_tile *tile);

#endif							/* TFRS_LOSS_BACKWARD_H */
