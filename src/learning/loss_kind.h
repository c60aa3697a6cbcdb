/*
 * loss_kind.h: what is made of the logits of a batch; formulas in loss.h.
 */
#ifndef TFRS_LOSS_KIND_H
#define TFRS_LOSS_KIND_H

typedef enum tfrs_loss_kind
{
	TFRS_LOSS_SOFTMAX = 0,
	TFRS_LOSS_BSL,
	TFRS_LOSS_CCL
} tfrs_loss_kind;

#endif							/* TFRS_LOSS_KIND_H */
