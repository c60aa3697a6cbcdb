/*
 * schedule.h: how the learning rate changes over the steps of a training.
 *
 *     constant   the same at every step
 *     linear     falls linearly to final times the rate at the last step
 *     warmup     rises linearly over the first share of the steps, then stays
 *     cosine     rises like warmup, then falls to final times the rate along half a cosine
 */
#ifndef TFRS_SCHEDULE_H
#define TFRS_SCHEDULE_H

#include <stdint.h>

typedef enum tfrs_schedule_kind
{
	TFRS_SCHEDULE_CONSTANT = 0,
	TFRS_SCHEDULE_LINEAR,
	TFRS_SCHEDULE_WARMUP,
	TFRS_SCHEDULE_COSINE
} tfrs_schedule_kind;

typedef struct tfrs_schedule
{
	tfrs_schedule_kind kind;
	float		warmup;			/* share of the steps that rise, 0 .. 1 */
	float		final;			/* share of the rate at the last step, 0 .. 1 */
} tfrs_schedule;

/* The factor of the learning rate at step (from 1) of steps. */
extern float tfrs_schedule_factor(const tfrs_schedule *schedule, uint64_t step, uint64_t steps);

extern const char *tfrs_schedule_check(const tfrs_schedule *schedule);

#endif							/* TFRS_SCHEDULE_H */
