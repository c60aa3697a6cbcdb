/*
 * loss_check.h: checks of a batch; the errors are listed at tfrs_loss_begin.
 */
#ifndef TFRS_LOSS_CHECK_H
#define TFRS_LOSS_CHECK_H

#include "base/status.h"
#include "learning/loss_tile.h"

/*
 * problem: the caller's numbers, before memory of our own.  probability (V) or NULL.  In the plain
 * form target i is column i, which no mask may hide.
 */
extern tfrs_status tfrs_loss_check(const tfrs_loss_problem *problem, size_t targets,
								   const float *probability, bool plain, tfrs_error *error);

#endif							/* TFRS_LOSS_CHECK_H */
