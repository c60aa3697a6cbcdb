/*
 * descent_size.c: what a training consists of: the sizes and the arrays of descent.h.
 *
 * Which examples, negatives, tensors and encoders a training has is decided here, by its options,
 * and nowhere else; behind that all trainings are alike.
 */
#include "learning/descent.h"

#include <string.h>

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

	if (tfrs_descent_has_states(descent))
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
	bool		states = tfrs_descent_has_states(descent) &&
		!descent->options->history.interactions;

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

tfrs_feature_towers
tfrs_descent_feature_towers(tfrs_descent *descent)
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
	towers = tfrs_descent_feature_towers(descent);
	tfrs_feature_towers_declare(&towers);
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
	if (tfrs_descent_has_states(descent))
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
	if (tfrs_descent_has_states(descent))
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
	if (plan->use == TFRS_PLAN_COUNT && tfrs_descent_is_spectral(descent))
		tfrs_spectral_arrays(&descent->spectral, plan);
}
