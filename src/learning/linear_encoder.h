/*
 * linear_encoder.h: encoders of numbers (encoder.h): what a number or a vector gives to a tower.
 *
 *     values   x as it is, W = inputs: for the layers of a tower
 *     linear   x K without a bias, K (inputs, W): for a tower that sums
 */
#ifndef TFRS_LINEAR_ENCODER_H
#define TFRS_LINEAR_ENCODER_H

#include "learning/encoder.h"

extern const tfrs_encoder_kind tfrs_encoder_values;
extern const tfrs_encoder_kind tfrs_encoder_linear;

#endif							/* TFRS_LINEAR_ENCODER_H */
