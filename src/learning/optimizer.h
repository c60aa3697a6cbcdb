/*
 * optimizer.h: steps of SGD, Adagrad, Adam and ClippyAdagrad on rows of a table, as in Keras.
 *
 * A gradient touches some rows of a table; gradients of one row are summed before they come here,
 * so a row appears once.  Formulas (test/fixtures/README):
 *     sgd       v -= lr g
 *     adagrad   a += g^2;  v -= lr g / sqrt(a + eps)
 *     adam      Keras: eps outside the root and not bias corrected; every row decays in every step,
 *               touched or not, unless lazy
 *     clippy_adagrad   Adagrad whose step is shrunk as a whole so that no parameter moves by more
 *               than variable_relative |v| + accumulator_relative r + absolute
 */
#ifndef TFRS_OPTIMIZER_H
#define TFRS_OPTIMIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

typedef enum tfrs_optimizer_kind
{
	TFRS_SGD = 1,
	TFRS_ADAGRAD,
	TFRS_ADAM,
	TFRS_CLIPPY_ADAGRAD
} tfrs_optimizer_kind;

typedef struct tfrs_optimizer
{
	tfrs_optimizer_kind kind;
	float		learning_rate;
	float		initial_accumulator_value;	/* adagrad, clippy: 0.1 */
	float		epsilon;		/* 1e-7 */
	float		beta_1;			/* adam: 0.9 */
	float		beta_2;			/* adam: 0.999 */
	bool		lazy;			/* adam: only touched rows decay and move */
	float		variable_relative_threshold;	/* clippy: 0.1 */
	float		accumulator_relative_threshold; /* clippy: 0 */
	float		absolute_threshold; /* clippy: 1e-7 */
	bool		clip_accumulator_update;	/* clippy: false */
	bool		use_standard_accumulator_update;	/* clippy: false */
} tfrs_optimizer;

extern void tfrs_optimizer_default(tfrs_optimizer *optimizer, tfrs_optimizer_kind kind);
extern const char *tfrs_optimizer_check(const tfrs_optimizer *optimizer);

/* Slots (arrays as large as the table) that the kind needs: 0, 1 or 2. */
extern int	tfrs_optimizer_slots(const tfrs_optimizer *optimizer);

/* The value that slot number slot (0 or 1) starts with. */
extern float tfrs_optimizer_initial(const tfrs_optimizer *optimizer, int slot);

/* One table and its gradient of this step. */
typedef struct tfrs_optimizer_table
{
	size_t		rows;			/* V */
	size_t		dim;			/* D */
	float	   *values;			/* (V, D) */
	float	   *slot[2];		/* (V, D) or NULL */
	size_t		touched;		/* G rows with a gradient */
	const uint32_t *touched_row;	/* (G), distinct; NULL: row g is g (dense) */
	const float *gradient;		/* (G, D) */
} tfrs_optimizer_table;

/*
 * One step, number step (from 1).  Returns the factor that ClippyAdagrad shrank it by, else 1.
 * Rows do not influence each other except through that factor.
 */
extern float tfrs_optimizer_apply(const tfrs_optimizer *optimizer, uint64_t step,
								  const tfrs_optimizer_table *table);

/* Whether the touched rows of one step may as well come in several calls with the same number. */
extern bool tfrs_optimizer_is_by_rows(const tfrs_optimizer *optimizer);

/* The bound of ClippyAdagrad: sum over r of factor[r] |reference[r][i]|, plus absolute. */
typedef struct tfrs_optimizer_limit
{
	size_t		references;
	const float *const *reference;	/* (references) arrays of the deltas' length */
	const float *factor;		/* (references) */
	float		absolute;
} tfrs_optimizer_limit;

/* The largest factor <= 1 that keeps every delta (count) within its bound. */
extern float tfrs_optimizer_shrink(const float *delta, size_t count,
								   const tfrs_optimizer_limit *limit);

#endif							/* TFRS_OPTIMIZER_H */
