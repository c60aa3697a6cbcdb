/*
 * schedule.c: factors of schedule.h.
 */
#include "learning/schedule.h"

#include <math.h>
#include <stddef.h>

/* Position of step within first .. last, 0 at first and 1 at last. */
static double
position(double step, double first, double last)
{
	return last > first ? (step - first) / (last - first) : 1.0;
}

float
tfrs_schedule_factor(const tfrs_schedule *schedule, uint64_t step, uint64_t steps)
{
	double		rising = floor(schedule->warmup * (double) steps);
	double		done;

	if (schedule->kind == TFRS_SCHEDULE_CONSTANT)
		return 1.0f;
	if (schedule->kind == TFRS_SCHEDULE_LINEAR)
	{
		done = steps > 1 ? position((double) step, 1.0, (double) steps) : 0.0;
		return (float) (1.0 + (schedule->final - 1.0) * done);
	}
	if ((double) step <= rising)
		return (float) ((double) step / (rising + 1.0));
	if (schedule->kind == TFRS_SCHEDULE_WARMUP)
		return 1.0f;
	done = position((double) step, rising + 1.0, (double) steps);
	done = 0.5 * (1.0 + cos(3.141592653589793 * done));
	return (float) (schedule->final + (1.0 - schedule->final) * done);
}

const char *
tfrs_schedule_check(const tfrs_schedule *schedule)
{
	if (schedule->kind < TFRS_SCHEDULE_CONSTANT || schedule->kind > TFRS_SCHEDULE_COSINE)
		return "schedule must be constant, linear, warmup or cosine";
	if (!(schedule->warmup >= 0.0f && schedule->warmup < 1.0f))
		return "warmup must be at least 0 and below 1";
	if (!(schedule->final >= 0.0f && schedule->final <= 1.0f))
		return "final_rate must be between 0 and 1";
	return NULL;
}
