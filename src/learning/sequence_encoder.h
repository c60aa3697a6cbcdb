/*
 * sequence_encoder.h: an encoder (encoder.h) of lists in order: the table's rows of the items run
 * through a GRU (recurrent.h), and its last state is what a row gives.
 *
 * Lists hold real elements only (Keras's masked form), and an empty one gives 0.  Weights of items
 * are not looked at.  The states of a batch are not kept: going back runs through the lists again,
 * which costs a third more and needs memory for a few thousand elements instead of all of a batch.
 */
#ifndef TFRS_SEQUENCE_ENCODER_H
#define TFRS_SEQUENCE_ENCODER_H

#include "learning/encoder.h"

extern const tfrs_encoder_kind tfrs_encoder_sequence;

#endif							/* TFRS_SEQUENCE_ENCODER_H */
