/*
 * loss_forward.h: logits, masks, softmax and row losses of a tile; see loss_tile.h.
 */
#ifndef TFRS_LOSS_FORWARD_H
#define TFRS_LOSS_FORWARD_H

#include "learning/loss_tile.h"

/*
 * Fills the problem's target_logit, target_loss, target_own, target_above and logits for the tile's
 * rows, and what backward needs: cells (relative to the peak of their row and block), shares and
 * factors.
 */
extern void tfrs_loss_forward(const tfrs_loss_tile *tile);

#endif							/* TFRS_LOSS_FORWARD_H */
