/*
 * test_schedule.c: factors of the learning rate.
 */
#include "check.h"
#include "learning/schedule.h"

#define PI 3.141592653589793

static void
check_factors(const tfrs_schedule *schedule, uint64_t steps, const double *expected)
{
	for (uint64_t step = 1; step <= steps; step++)
		CHECK_NEAR(tfrs_schedule_factor(schedule, step, steps), expected[step - 1], 1e-6);
}

CHECK_TEST(constant_is_one)
{
	tfrs_schedule schedule = {TFRS_SCHEDULE_CONSTANT, 0.5f, 0.1f};

	check_factors(&schedule, 3, (const double[]) {1, 1, 1});
}

CHECK_TEST(linear_ends_at_its_last_value)
{
	tfrs_schedule schedule = {TFRS_SCHEDULE_LINEAR, 0.0f, 0.02f};

	check_factors(&schedule, 5, (const double[]) {1, 0.755, 0.51, 0.265, 0.02});
	check_factors(&schedule, 2, (const double[]) {1, 0.02});
	check_factors(&schedule, 1, (const double[]) {1});
}

/* A fifth of ten steps rises; the first step has a rate already. */
CHECK_TEST(warmup_rises_and_stays)
{
	tfrs_schedule schedule = {TFRS_SCHEDULE_WARMUP, 0.2f, 0.0f};

	check_factors(&schedule, 10, (const double[]) {1.0 / 3, 2.0 / 3, 1, 1, 1, 1, 1, 1, 1, 1});
	schedule.warmup = 0.0f;
	check_factors(&schedule, 2, (const double[]) {1, 1});
}

CHECK_TEST(cosine_falls_along_half_a_wave)
{
	tfrs_schedule schedule = {TFRS_SCHEDULE_COSINE, 0.25f, 0.2f};

	check_factors(&schedule, 8, (const double[]) {
		1.0 / 3, 2.0 / 3, 1, 0.2 + 0.4 * (1 + cos(PI / 5)), 0.2 + 0.4 * (1 + cos(PI * 2 / 5)),
		0.2 + 0.4 * (1 + cos(PI * 3 / 5)), 0.2 + 0.4 * (1 + cos(PI * 4 / 5)), 0.2
	});
	schedule.warmup = 0.0f;
	check_factors(&schedule, 3, (const double[]) {1, 0.6, 0.2});
}

CHECK_TEST(what_makes_no_sense_is_refused)
{
	tfrs_schedule schedule = {TFRS_SCHEDULE_COSINE, 0.5f, 0.5f};

	CHECK(tfrs_schedule_check(&schedule) == NULL);
	schedule.warmup = 1.0f;
	CHECK(tfrs_schedule_check(&schedule) != NULL);
	schedule.warmup = NAN;
	CHECK(tfrs_schedule_check(&schedule) != NULL);
	schedule.warmup = 0.0f;
	schedule.final = 1.5f;
	CHECK(tfrs_schedule_check(&schedule) != NULL);
	schedule.final = NAN;
	CHECK(tfrs_schedule_check(&schedule) != NULL);
	schedule.final = 1.0f;
	schedule.kind = (tfrs_schedule_kind) 9;
	CHECK(tfrs_schedule_check(&schedule) != NULL);
}
