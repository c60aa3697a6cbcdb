/*
 * descent.c: the phases of descent.h.
 *
 * Which examples and which negatives a training has is decided here, by its options, and nowhere
 * else; behind that all trainings are alike.
 *
 * The gradient of a step is that of the loss (divided by the rows of a full batch where a mean is
 * asked for) plus 2 l2 v for every touched row v; then its norm over all tables is clipped.
 */
#include "learning/descent.h"

#include <math.h>
#include <string.h>

#include "base/assertion.h"
#include "learning/streams.h"

tfrs_tower_shape
tfrs_descent_shape(const tfrs_train_options *options)
{
	const tfrs_history_options *history = &options->history;
	bool		warm = history->on && options->loss.kind != TFRS_LOSS_CCL;
	tfrs_tower_shape shape = {
		.dim = options->dim,
		.length = history->length,
		.bias = options->candidate_bias,
		.normalize = options->normalize,
		.temperature = warm ? options->loss.temperature : 1.0f,
		.repeats = history->on && !options->mask_known
	};

	if (history->on && history->all)
		shape.decay[shape.bags++] = 0.0f;
	for (uint32_t i = 0; history->on && i < history->decays; i++)
		shape.decay[shape.bags++] = history->decay[i];
	return shape;
}

static bool
has_states(const tfrs_descent *descent)
{
	return descent->options->history.on;
}

/* The corrected sum is over the candidates that are not the positive, in whatever column. */
static tfrs_loss_options
loss_options_of(const tfrs_train_options *options)
{
	tfrs_loss_options loss = options->loss;

	loss.leave_positive_out = options->correction == TFRS_CORRECTION_CORRECTED;
	loss.remove_accidental_hits |= loss.leave_positive_out;
	if (options->history.on)
		loss.temperature = 1.0f;	/* it is the tower's */
	return loss;
}

static tfrs_negatives
negatives_of(const tfrs_train_options *options, size_t candidates)
{
	size_t		sampled = options->history.columns > 0 ? (size_t) options->history.columns : 0;
	bool		states = options->history.on && !options->history.interactions;
	tfrs_negatives negatives = {.candidates = candidates};

	if (options->full_softmax || (states && (sampled == 0 || sampled >= candidates)))
		return negatives;
	negatives.kind = states ? TFRS_NEGATIVES_SAMPLED
		: tfrs_train_options_is_plain(options) ? TFRS_NEGATIVES_REPEATED : TFRS_NEGATIVES_IN_BATCH;
	negatives.drawn = states ? sampled : options->uniform_negatives;
	negatives.corrects = !states && options->correction != TFRS_CORRECTION_NONE;
	return negatives;
}

/* Events of a batch's queries at most, of each as often as it has rows. */
static size_t
most_known(const tfrs_descent *descent, size_t rows)
{
	const tfrs_descent_counts *counts = &descent->counts;
	size_t		known;

	if (!tfrs_size_multiply(rows, counts->longest, &known))
		known = SIZE_MAX;
	return descent->interactions.has_rows || known < counts->events->count ? known
		: counts->events->count;
}

/* The examples, and the most that a batch of them has. */
static tfrs_examples_most
size_examples(tfrs_descent *descent)
{
	const tfrs_descent_counts *counts = &descent->counts;
	tfrs_state_counts states = {counts->events, counts->candidates, counts->longest};
	tfrs_examples_most most;

	if (has_states(descent))
	{
		tfrs_state_examples_size(&descent->states, descent->options, &descent->shape, &states);
		tfrs_state_examples_most(&descent->states, &most);
		return most;
	}
	tfrs_interaction_examples_size(&descent->interactions, descent->options, counts->queries,
								   counts->rows);
	descent->interactions.has_rows = tfrs_side_has_rows(&counts->query);
	tfrs_interaction_examples_most(&descent->interactions, &most);
	most.known = most_known(descent, most.rows);
	return most;
}

static void
size_negatives(tfrs_descent *descent, const tfrs_examples_most *most)
{
	bool		masks = descent->options->mask_known;
	bool		states = has_states(descent) && !descent->options->history.interactions;

	descent->negatives = negatives_of(descent->options, descent->counts.candidates);
	descent->negatives.chosen = descent->counts.chosen;
	descent->negatives.known = masks ? descent->counts.events : NULL;
	tfrs_negatives_size(&descent->negatives, most, masks || states);
}

/* A bag that is tied reads the candidates' table, which is the first of the list. */
static bool
is_tied(const tfrs_descent *descent, uint32_t bag)
{
	return descent->options->history.tied && descent->shape.decay[bag] == 0;
}

static bool
has_features(const tfrs_descent *descent, bool of_queries)
{
	return (of_queries ? &descent->counts.query : &descent->counts.candidate)->features != NULL;
}

static bool
is_joined(const tfrs_side_features *side)
{
	return side->features != NULL && tfrs_tower_is_joined(side->features->options);
}

static tfrs_tensor *
declare_candidates(tfrs_descent *descent, const tfrs_examples_most *most)
{
	size_t		room = descent->negatives.room;
	tfrs_tensor *tensor;

	for (uint32_t b = 0; b < descent->shape.bags; b++)
		if (is_tied(descent, b))
			room += most->items[b];
	tensor = tfrs_tensors_declare(&descent->parameters,
								  has_features(descent, false) ? "candidate.id" : "candidate",
								  descent->counts.candidates + 1, room);
	tensor->stream = TFRS_STREAM_CANDIDATE_TABLE;
	tensor->has_bias = descent->shape.bias && !is_joined(&descent->counts.candidate);
	return tensor;
}

static tfrs_tensor *
declare_queries(tfrs_descent *descent, const tfrs_examples_most *most)
{
	tfrs_tensor *tensor = tfrs_tensors_declare(&descent->parameters, "query",
											   descent->counts.queries + 1, most->items[0]);

	tensor->stream = TFRS_STREAM_QUERY_TABLE;
	tensor->of_queries = true;
	tensor->has_bias = descent->shape.bias;
	return tensor;
}

static tfrs_tensor *
declare_bag(tfrs_descent *descent, uint32_t bag, const tfrs_examples_most *most)
{
	const char *name = tfrs_model_bag_name(bag);
	tfrs_tensor *tensor;

	if (is_tied(descent, bag))
		return tfrs_descent_candidates(descent);
	tensor = tfrs_tensors_declare(&descent->parameters, name, descent->counts.candidates + 1,
								  most->items[bag]);
	tensor->stream = TFRS_STREAM_BAG_TABLE;
	tensor->index = bag + 1;
	tensor->has_bias = descent->shape.bias;
	return tensor;
}

/* Share of a batch's rows that are without their key. */
static float
key_dropout(const tfrs_side_features *side)
{
	float		share = 0.0f;

	if (tfrs_side_has_rows(side))
		share = side->features->options->id_dropout;
	return share < 0.0f ? TFRS_KEY_DROPOUT : share;
}

static void
size_candidate_tower(tfrs_descent *descent, const tfrs_examples_most *most)
{
	tfrs_tower *tower = &descent->candidate;
	tfrs_tensor *ids = declare_candidates(descent, most);

	tower->shape = &descent->shape;
	tower->of_candidates = true;
	tower->room = descent->negatives.room;
	tower->key_dropout = key_dropout(&descent->counts.candidate);
	tower->distinct = descent->negatives.kind != TFRS_NEGATIVES_REPEATED &&
		!has_features(descent, false);
	if (tfrs_side_has_id(&descent->counts.candidate))
		tower->encoder[tower->encoders++] = (tfrs_encoder) {
			.kind = &tfrs_encoder_embedding, .table = ids
		};
}

static void
size_query_tower(tfrs_descent *descent, const tfrs_examples_most *most)
{
	tfrs_tower *tower = &descent->query;

	tower->shape = &descent->shape;
	tower->room = most->rows;
	tower->dropout = descent->options->dropout;
	tower->key_dropout = key_dropout(&descent->counts.query);
	for (uint32_t b = 0; b < descent->shape.bags; b++)
		tower->encoder[tower->encoders++] = (tfrs_encoder) {
			.kind = &tfrs_encoder_bag, .table = declare_bag(descent, b, most),
			.room = most->shared[b]
		};
	if (tower->encoders > 0 || !tfrs_side_has_id(&descent->counts.query))
		return;
	tower->distinct = descent->interactions.merges && !has_features(descent, true);
	tower->encoder[tower->encoders++] = (tfrs_encoder) {
		.kind = &tfrs_encoder_embedding, .table = declare_queries(descent, most)
	};
}

static tfrs_feature_towers
feature_towers(tfrs_descent *descent)
{
	return (tfrs_feature_towers) {
		.parameters = &descent->parameters, .query = &descent->query,
		.candidate = &descent->candidate, .query_side = &descent->counts.query,
		.candidate_side = &descent->counts.candidate,
		.candidate_ids = tfrs_descent_candidates(descent),
		.query_ids = tfrs_descent_queries(descent)
	};
}

static void
size_towers(tfrs_descent *descent, const tfrs_examples_most *most)
{
	tfrs_feature_towers towers;

	size_candidate_tower(descent, most);
	size_query_tower(descent, most);
	towers = feature_towers(descent);
	tfrs_feature_towers_declare(&towers);
}

/* Whether the tables begin with what is chosen together. */
static bool
is_spectral(const tfrs_descent *descent)
{
	return has_states(descent) && descent->options->history.spectral && descent->warm == NULL;
}

static void
size_spectral(tfrs_descent *descent)
{
	tfrs_spectral_size(&descent->spectral, descent->counts.events, descent->counts.candidates,
					   tfrs_tower_width(&descent->shape));
	descent->spectral.popular = descent->counts.events->later == 0;
}

void
tfrs_descent_size(tfrs_descent *descent, const tfrs_train_options *options,
				  const tfrs_descent_counts *counts)
{
	tfrs_examples_most most;

	memset(descent, 0, sizeof(*descent));
	descent->options = options;
	descent->counts = *counts;
	descent->shape = tfrs_descent_shape(options);
	descent->loss_options = loss_options_of(options);
	descent->parameters.dim = options->dim;
	descent->parameters.slots = tfrs_optimizer_slots(&options->optimizer);
	descent->parameters.keeps_best = options->validation.on;
	if (has_states(descent))
		size_spectral(descent);
	most = size_examples(descent);
	size_negatives(descent, &most);
	size_towers(descent, &most);
	descent->loss = (tfrs_softmax_batch) {
		.rows = most.rows, .columns = descent->negatives.room, .dim = options->dim
	};
	if (descent->negatives.kind == TFRS_NEGATIVES_REPEATED &&
		descent->loss_options.remove_accidental_hits)
		descent->loss.id = (const uint32_t *) descent;	/* there will be some */
}

void
tfrs_descent_arrays(void *object, tfrs_plan *plan)
{
	tfrs_descent *descent = object;
	size_t		targets = descent->negatives.target.capacity;

	tfrs_tensors_plan(plan, &descent->parameters);
	if (has_states(descent))
		tfrs_state_examples_plan(plan, &descent->states, &descent->batch);
	else
		tfrs_interaction_examples_plan(plan, &descent->interactions, &descent->batch);
	tfrs_negatives_plan(plan, &descent->negatives);
	tfrs_tower_plan(plan, &descent->query);
	tfrs_tower_plan(plan, &descent->candidate);
	if (descent->options->batch_accuracy.count > 0)
		TFRS_PLAN(plan, &descent->above, targets);
	if (tfrs_side_has_rows(&descent->counts.candidate))
		TFRS_PLAN(plan, &descent->column_row, descent->negatives.room);
	if (tfrs_side_has_rows(&descent->counts.query))
		TFRS_PLAN(plan, &descent->query_row, descent->query.room);
	if (plan->use == TFRS_PLAN_COUNT)
		tfrs_plan_add(plan, sizeof(*descent) +
					  tfrs_softmax_bytes(&descent->loss, targets, &descent->loss_options,
										 descent->options->threads));
	if (plan->use == TFRS_PLAN_COUNT && is_spectral(descent))
		tfrs_spectral_arrays(&descent->spectral, plan);
}

/* Its memory is held while it is at work. */
static tfrs_status
begin_spectral(tfrs_descent *descent, tfrs_error *error)
{
	return is_spectral(descent) ? tfrs_spectral_begin(&descent->spectral, descent->arena,
													  descent->options->seed, error) : TFRS_OK;
}

static tfrs_status
find_start(tfrs_descent *descent)
{
	tfrs_status status;

	if (descent->spectral.arena == NULL)
		return TFRS_OK;
	status = tfrs_spectral_step(&descent->spectral, &descent->parameters);
	if (status == TFRS_OK)
		tfrs_spectral_free(&descent->spectral);
	return status;
}

/* The arrays are there. */
static tfrs_status
begin_examples(tfrs_descent *descent, const tfrs_descent_data *data, tfrs_error *error)
{
	tfrs_negatives *negatives = &descent->negatives;

	negatives->arena = descent->arena;
	tfrs_negatives_begin(negatives);
	if (has_states(descent))
	{
		tfrs_state_examples_begin(&descent->states, &descent->batch);
		negatives->frequency = descent->states.count;
		return TFRS_OK;
	}
	negatives->frequency = tfrs_interactions_candidate_counts(data->interactions);
	return tfrs_interaction_examples_begin(&descent->interactions, data->interactions,
										   data->split, error);
}

tfrs_status
tfrs_descent_begin(tfrs_descent *descent, tfrs_arena *arena, const tfrs_train_options *options,
				   const tfrs_descent_counts *counts, const tfrs_descent_data *data,
				   tfrs_error *error)
{
	tfrs_status status;

	tfrs_descent_size(descent, options, counts);
	status = tfrs_plan_take(arena, tfrs_descent_arrays, descent, error);
	if (status != TFRS_OK)
		return status;
	descent->arena = arena;
	descent->warm = data->warm;
	status = tfrs_softmax_create(&descent->softmax, arena, options->threads, error);
	if (status == TFRS_OK)
		status = begin_spectral(descent, error);
	if (status == TFRS_OK)
		status = begin_examples(descent, data, error);
	if (status != TFRS_OK)
		tfrs_descent_free(descent);
	return status;
}

void
tfrs_descent_free(tfrs_descent *descent)
{
	if (descent->arena == NULL)
		return;
	tfrs_softmax_destroy(descent->softmax);
	tfrs_spectral_free(&descent->spectral);
	tfrs_plan_release(descent->arena, tfrs_descent_arrays, descent);
	memset(descent, 0, sizeof(*descent));
}

tfrs_tensor *
tfrs_descent_candidates(tfrs_descent *descent)
{
	return &descent->parameters.tensor[0];
}

tfrs_tensor *
tfrs_descent_queries(tfrs_descent *descent)
{
	return descent->shape.bags > 0 || !tfrs_side_has_id(&descent->counts.query) ? NULL
		: descent->query.encoder[0].table;
}

const tfrs_tensor *
tfrs_descent_bag(const tfrs_descent *descent, uint32_t bag)
{
	return descent->query.encoder[bag].table;
}

uint64_t
tfrs_descent_steps(const tfrs_descent *descent)
{
	return descent->step + (descent->warm != NULL ? tfrs_warm_start_steps(descent->warm) : 0);
}

/* The id of what nobody has chosen tells nothing. */
static void
clear_new(tfrs_descent *descent)
{
	tfrs_tensor *tensor = tfrs_descent_candidates(descent);

	for (size_t c = 0; descent->counts.chosen != NULL && c < descent->counts.candidates; c++)
		if (descent->counts.chosen[c] == 0)
			memset(tensor->values + c * tensor->dim, 0, tensor->dim * sizeof(float));
}

/* Looks for states, or at the queries' weights.  What an earlier training has learned stays. */
static tfrs_status
prepare(tfrs_descent *descent)
{
	tfrs_feature_towers towers = feature_towers(descent);
	tfrs_status status;

	if (descent->warm == NULL)
		tfrs_feature_towers_clear(&towers);
	if (tfrs_side_has_id(&descent->counts.candidate))
		clear_new(descent);
	if (!has_states(descent))
	{
		descent->negatives.total = (double) descent->counts.rows;
		return tfrs_interaction_examples_prepare(&descent->interactions);
	}
	status = tfrs_state_examples_prepare(&descent->states);
	descent->negatives.total = (double) descent->states.pool[TFRS_STATE_ONE].count;
	return status;
}

static tfrs_status
draw_examples(tfrs_descent *descent, tfrs_error *error)
{
	if (!has_states(descent))
		return tfrs_interaction_examples_draw(&descent->interactions, &descent->batch, error);
	tfrs_state_examples_draw(&descent->states, &descent->batch);
	return TFRS_OK;
}

/* The row of a key, one of count; that of NULLs of one that is not known. */
static uint32_t
row_of_key(const tfrs_side_features *side, uint32_t key, size_t count)
{
	return side->row_of_key == NULL || key >= count ? side->null_row : side->row_of_key[key];
}

/* The columns' cells. */
static void
set_candidate_cells(tfrs_descent *descent, const uint32_t *candidate, size_t count)
{
	const tfrs_side_features *side = &descent->counts.candidate;

	for (size_t j = 0; descent->column_row != NULL && j < count; j++)
		descent->column_row[j] = row_of_key(side, candidate[j], descent->counts.candidates);
	if (tfrs_side_has_id(side))
		descent->candidate.encoder[0].cells.id = candidate;
	tfrs_feature_tower_cells(&descent->candidate, side, descent->column_row);
	tfrs_tower_begin(&descent->candidate, count);
}

/* The row of a query at the time of an example, or where none is told that of its key. */
static uint32_t
query_row(const tfrs_descent *descent, size_t example)
{
	const tfrs_examples *batch = &descent->batch;
	uint32_t	row = batch->query_row == NULL ? TFRS_NO_ROW : batch->query_row[example];

	return row != TFRS_NO_ROW ? row
		: row_of_key(&descent->counts.query, batch->query[example], descent->counts.queries);
}

static void
set_query_cells(tfrs_descent *descent)
{
	tfrs_tower *tower = &descent->query;
	size_t		first = tfrs_feature_tower_first(tower, &descent->counts.query);

	for (size_t r = 0; descent->query_row != NULL && r < descent->batch.rows; r++)
		descent->query_row[r] = query_row(descent, r);
	for (size_t i = 0; i < first; i++)
		tower->encoder[i].cells = descent->batch.cells[i];
	tfrs_feature_tower_cells(tower, &descent->counts.query, descent->query_row);
	tfrs_tower_begin(tower, descent->batch.rows);
}

static void
drop_keys(tfrs_descent *descent)
{
	tfrs_tower *towers[] = {&descent->query, &descent->candidate};

	for (int i = 0; i < 2; i++)
	{
		tfrs_random random;

		tfrs_random_init(&random, descent->options->seed, TFRS_STREAM_KEY_DROPOUT,
						 2 * descent->step + (uint64_t) i);
		tfrs_tower_drop_keys(towers[i], &random);
	}
}

/* A batch and its columns, and where the towers read them. */
static tfrs_status
draw(tfrs_descent *descent, tfrs_error *error)
{
	bool		samples = descent->negatives.kind == TFRS_NEGATIVES_SAMPLED;
	uint64_t	seed = descent->options->seed;
	tfrs_random uniform;
	tfrs_status status = draw_examples(descent, error);

	if (status != TFRS_OK || descent->batch.rows == 0)
		return status;
	descent->step++;
	tfrs_random_init(&descent->random, seed, TFRS_STREAM_STEP, descent->step);
	tfrs_random_init(&uniform, seed, TFRS_STREAM_NEGATIVES, descent->step);
	status = tfrs_negatives_choose(&descent->negatives, &descent->batch,
								   samples ? &descent->random : &uniform, error);
	tfrs_tensors_forget(&descent->parameters);
	set_query_cells(descent);
	set_candidate_cells(descent, descent->negatives.candidate, descent->negatives.count);
	drop_keys(descent);
	return status;
}

static tfrs_status
begin_loss(tfrs_descent *descent, tfrs_error *error)
{
	const tfrs_negatives *negatives = &descent->negatives;

	descent->loss = (tfrs_softmax_batch) {
		.rows = descent->batch.rows,
		.columns = negatives->count,
		.dim = descent->shape.dim,
		.query = descent->query.vector,
		.candidate = descent->candidate.vector,
		.target = &negatives->target,
		.hidden = negatives->hides ? &negatives->hidden : NULL,
		.count = negatives->weight,
		.probability = negatives->probability,
		.id = descent->loss_options.remove_accidental_hits ? negatives->number : NULL,
		.d_query = tfrs_tower_gradient(&descent->query),
		.d_candidate = tfrs_tower_gradient(&descent->candidate),
		.target_above = descent->above
	};
	return tfrs_softmax_begin(descent->softmax, &descent->loss, &descent->loss_options, error);
}

static void
count_hits(tfrs_descent *descent)
{
	const tfrs_cutoffs *cutoffs = &descent->options->batch_accuracy;
	const tfrs_ragged *target = &descent->negatives.target;

	for (size_t t = 0; cutoffs->count > 0 && t < target->count; t++)
	{
		descent->accuracy.weight += target->weight[t];
		for (uint32_t k = 0; k < cutoffs->count; k++)
			if (descent->above[t] < cutoffs->k[k])
				descent->accuracy.hits[k] += target->weight[t];
	}
}

/* What the loss is multiplied by.  The weights of interactions are given, those of states sum to 1. */
static float
share(const tfrs_descent *descent)
{
	bool		mean = descent->options->reduction == TFRS_REDUCTION_MEAN;

	if (has_states(descent))
		return mean ? 1.0f : (float) descent->batch.rows;
	return mean ? 1.0f / (float) descent->interactions.capacity : 1.0f;
}

static tfrs_status
run_loss(tfrs_descent *descent, tfrs_error *error)
{
	tfrs_status status = tfrs_softmax_step(descent->softmax, &descent->total);

	if (status != TFRS_OK)
		return status;
	count_hits(descent);
	descent->total *= share(descent);
	return isfinite(descent->total) ? TFRS_OK
		: tfrs_fail(error, TFRS_NOT_FINITE, "loss is not finite");
}

/* Steps of the whole training. */
static uint64_t
all_steps(const tfrs_descent *descent)
{
	size_t		rows = descent->counts.rows;
	size_t		batch = descent->interactions.capacity;

	if (has_states(descent))
		return descent->options->history.steps;
	return (rows + batch - 1) / batch * (uint64_t) descent->options->epochs;
}

/* How the parameters move, at the rate that the schedule has for this step. */
static tfrs_tensors_move
move_of(const tfrs_descent *descent)
{
	const tfrs_train_options *options = descent->options;
	tfrs_tensors_move step = {
		.optimizer = tfrs_train_options_optimizer(options, descent->interactions.capacity),
		.number = tfrs_descent_steps(descent), .share = share(descent), .l2 = options->l2,
		.clip_norm = options->clip_norm
	};

	step.optimizer.learning_rate *= tfrs_schedule_factor(&options->schedule, descent->step,
														 all_steps(descent));
	return step;
}

static tfrs_status
move(tfrs_descent *descent, tfrs_error *error)
{
	tfrs_tensors_move step = move_of(descent);
	tfrs_status status = tfrs_tensors_move_step(&descent->parameters, &step);

	return status == TFRS_NOT_FINITE ? tfrs_fail(error, status, "a parameter is not finite")
		: status;
}

static tfrs_status
finish(tfrs_descent *descent)
{
	tfrs_tensors_move step = move_of(descent);

	return tfrs_tensors_finish_step(&descent->parameters, &step);
}

static tfrs_status
fill(tfrs_descent *descent)
{
	tfrs_optimizer optimizer = tfrs_train_options_optimizer(descent->options,
															descent->interactions.capacity);

	return tfrs_tensors_fill_step(&descent->parameters, &optimizer, descent->options->seed);
}

/* A piece of the phase; TFRS_OK where that was its last one. */
static tfrs_status
run_phase(tfrs_descent *descent, tfrs_error *error)
{
	switch (descent->phase)
	{
		case TFRS_DESCENT_FILL:
			return fill(descent);
		case TFRS_DESCENT_SPECTRAL:
			return find_start(descent);
		case TFRS_DESCENT_WARM:
			return descent->warm == NULL ? TFRS_OK
				: tfrs_warm_start_copy_step(descent->warm, &descent->parameters);
		case TFRS_DESCENT_PREPARE:
			return prepare(descent);
		case TFRS_DESCENT_DRAW:
			return draw(descent, error);
		case TFRS_DESCENT_COLUMNS:
			return tfrs_tower_forward_step(&descent->candidate, &descent->random);
		case TFRS_DESCENT_ROWS:
			return tfrs_tower_forward_step(&descent->query, &descent->random);
		case TFRS_DESCENT_BEGIN_LOSS:
			return begin_loss(descent, error);
		case TFRS_DESCENT_RUN_LOSS:
			return run_loss(descent, error);
		case TFRS_DESCENT_COLUMNS_BACK:
			return tfrs_tower_backward_step(&descent->candidate);
		case TFRS_DESCENT_ROWS_BACK:
			return tfrs_tower_backward_step(&descent->query);
		case TFRS_DESCENT_FINISH:
			return finish(descent);
		case TFRS_DESCENT_MOVE:
			return move(descent, error);
	}
	return TFRS_OK;
}

tfrs_status
tfrs_descent_step(tfrs_descent *descent, bool *stepped, tfrs_error *error)
{
	tfrs_status status = run_phase(descent, error);
	bool		empty = descent->phase == TFRS_DESCENT_DRAW && descent->batch.rows == 0;

	*stepped = status == TFRS_OK && (descent->phase == TFRS_DESCENT_MOVE || empty);
	if (status != TFRS_OK)
		return status;
	descent->phase = *stepped ? TFRS_DESCENT_DRAW : descent->phase + 1;
	return *stepped && descent->batch.done == descent->batch.total ? TFRS_OK : TFRS_MORE;
}

/* All rows of the batch at hand, without any dropout. */
static void
run_tower(tfrs_tower *tower)
{
	if (tower->keyless != NULL)
		memset(tower->keyless, 0, tower->rows);
	while (tfrs_tower_forward_step(tower, NULL) == TFRS_MORE)
		;
}

void
tfrs_descent_serve_candidates(tfrs_descent *descent, size_t first, size_t count, float *vectors)
{
	tfrs_tower *tower = &descent->candidate;
	size_t		dim = descent->shape.dim;
	uint32_t	candidate[TFRS_ENCODER_ROWS];

	TFRS_ASSERT(count <= TFRS_ENCODER_ROWS);
	for (size_t done = 0; done < count; done += tower->rows)
	{
		size_t		rows = tfrs_size_smaller(count - done, tower->room);

		for (size_t i = 0; i < rows; i++)
			candidate[i] = (uint32_t) (first + done + i);
		set_candidate_cells(descent, candidate, rows);
		run_tower(tower);
		memcpy(vectors + done * dim, tower->vector, rows * dim * sizeof(float));
	}
}

void
tfrs_descent_serve_query(tfrs_descent *descent, uint32_t query, uint32_t row,
						 const tfrs_ragged *bags, float *vector)
{
	tfrs_tower *tower = &descent->query;
	size_t		first = tfrs_feature_tower_first(tower, &descent->counts.query);

	for (size_t i = 0; i < first; i++)
		tower->encoder[i].cells = descent->shape.bags == 0 ? (tfrs_cells) {.id = &query}
		: (tfrs_cells) {.list = &bags[i]};
	tfrs_feature_tower_cells(tower, &descent->counts.query, &row);
	tfrs_tower_begin(tower, 1);
	run_tower(tower);
	memcpy(vector, tower->vector, descent->shape.dim * sizeof(float));
}
