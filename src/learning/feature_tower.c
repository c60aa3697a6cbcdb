/*
 * feature_tower.c: from a feature's kind to its encoder.
 */
#include "learning/feature_tower.h"

#include <stdio.h>
#include <string.h>

#include "base/assertion.h"
#include "learning/dense.h"
#include "learning/linear_encoder.h"
#include "learning/recurrent.h"
#include "learning/sequence_encoder.h"
#include "learning/streams.h"

/* TensorFlow Recommenders' Cross. */
#define CROSS_DEVIATION 0.05f

/* One side while its encoders are declared. */
typedef struct side
{
	const tfrs_feature_towers *towers;
	const tfrs_side_features *features;
	tfrs_tower *tower;
	bool		of_queries;
	bool		joined;
	uint64_t	tensors;		/* so far: each has initial values of its own */
} side;

/* What a tensor is to be called: SIDE.WHATNUMBER.PART, or without a part. */
typedef struct place
{
	const char *what;
	size_t		number;
	const char *part;
} place;

static void
name_of(const side *side, const place *place, char name[TFRS_MAX_TENSOR_NAME])
{
	snprintf(name, TFRS_MAX_TENSOR_NAME, "%s.%s%u%s%s", side->of_queries ? "query" : "candidate",
			 place->what, (unsigned) (place->number % 1000), place->part[0] == '\0' ? "" : ".",
			 place->part);
}

static tfrs_tensor *
set_initial(side *side, tfrs_tensor *tensor, tfrs_initial initial, float scale)
{
	tensor->of_queries = side->of_queries;
	tensor->stream = TFRS_STREAM_FEATURES;
	tensor->index = (uint64_t) side->of_queries << 32 | side->tensors++;
	tensor->initial = initial;
	tensor->scale = scale;
	return tensor;
}

static tfrs_tensor *
declare_dense(side *side, place place, size_t rows, size_t dim)
{
	char		name[TFRS_MAX_TENSOR_NAME];

	name_of(side, &place, name);
	return set_initial(side, tfrs_tensors_declare_dense(side->towers->parameters, name, rows, dim),
					   TFRS_INITIAL_UNIFORM, 0.0f);
}

/* As Keras's Glorot uniform. */
static tfrs_tensor *
declare_kernel(side *side, place place, size_t rows, size_t dim)
{
	tfrs_tensor *tensor = declare_dense(side, place, rows, dim);

	tensor->scale = tfrs_glorot_limit(rows, dim);
	return tensor;
}

/* Numbers that a feature gives: all of the tower's where they are summed. */
static size_t
width_of(const side *side, const tfrs_feature *feature)
{
	if (!side->joined)
		return side->tower->shape->dim;
	if (!tfrs_feature_has_table(feature->options->kind))
		return feature->summary->width;
	return feature->options->dim > 0 ? feature->options->dim : side->tower->shape->dim;
}

static tfrs_tensor *
declare_table(side *side, const tfrs_feature *feature, size_t number, size_t width)
{
	size_t		most = tfrs_feature_is_list(feature->options->kind) ? feature->rows
		: side->tower->room;
	place		place = {"f", number, ""};
	char		name[TFRS_MAX_TENSOR_NAME];
	tfrs_tensor *tensor;

	name_of(side, &place, name);
	tensor = tfrs_tensors_declare(side->towers->parameters, name, feature->rows, most);
	set_initial(side, tensor, TFRS_INITIAL_UNIFORM, tensor->scale);
	tensor->dim = width;
	tensor->has_bias = !side->joined && side->tower->shape->bias;
	return tensor;
}

/* The table of another feature, declared before, or of ids; any row of it may be touched now. */
static tfrs_tensor *
shared_table(const side *side, const tfrs_feature *feature)
{
	const tfrs_feature_towers *towers = side->towers;
	const tfrs_tower *other = feature->shares_query ? towers->query : towers->candidate;
	const tfrs_side_features *features = feature->shares_query ? towers->query_side
		: towers->candidate_side;
	tfrs_tensor *table;

	if (feature->shares_feature == TFRS_NO_ROW)
		table = feature->shares_query ? towers->query_ids : towers->candidate_ids;
	else
		table = other->encoder[tfrs_feature_tower_first(other, features) +
							   feature->shares_feature].table;
	if (table != NULL)
		table->room = table->rows;
	return table;
}

/* Items of the longest list; 0 where they are not known yet. */
static size_t
longest_list(const side *side, size_t number)
{
	const tfrs_ragged *items;
	size_t		longest = 0;

	if (side->features->encoded == NULL)
		return side->features->features->feature[number].options->most_elements;
	items = &side->features->encoded[number].items;
	for (size_t i = 0; i < items->rows; i++)
		if (tfrs_ragged_length(items, i) > longest)
			longest = tfrs_ragged_length(items, i);
	return longest;
}

static void
declare_sequence(side *side, tfrs_encoder *encoder, size_t number)
{
	size_t		gates = TFRS_GRU_GATES * encoder->width;

	encoder->kernel = declare_kernel(side, (place) {"f", number, "kernel"}, encoder->inputs, gates);
	encoder->recurrent = declare_dense(side, (place) {"f", number, "recurrent"}, encoder->width,
									   gates);
	encoder->recurrent->initial = TFRS_INITIAL_ORTHOGONAL;
	encoder->recurrent->scale = 1.0f;
	encoder->bias = declare_dense(side, (place) {"f", number, "bias"}, 2, gates);
	encoder->longest = longest_list(side, number);
}

static const tfrs_encoder_kind *
kind_of(const side *side, const tfrs_feature *feature)
{
	switch (feature->options->kind)
	{
		case TFRS_FEATURE_NUMBER:
		case TFRS_FEATURE_VECTOR:
			return side->joined ? &tfrs_encoder_values : &tfrs_encoder_linear;
		case TFRS_FEATURE_TEXT:
		case TFRS_FEATURE_BAG:
			return &tfrs_encoder_bag;
		case TFRS_FEATURE_SEQUENCE:
			return &tfrs_encoder_sequence;
		default:
			return &tfrs_encoder_embedding;
	}
}

/* The encoder of a feature; those that share a table get it when all are there. */
static void
declare_feature(side *side, size_t number)
{
	const tfrs_feature *feature = &side->features->features->feature[number];
	tfrs_tower *tower = side->tower;
	tfrs_encoder *encoder = &tower->encoder[tower->encoders++];
	bool		has_table = tfrs_feature_has_table(feature->options->kind);
	size_t		width = width_of(side, feature);

	*encoder = (tfrs_encoder) {
		.kind = kind_of(side, feature), .width = width,
		.inputs = has_table ? width : feature->summary->width
	};
	if (has_table && !feature->shares)
		encoder->table = declare_table(side, feature, number, width);
	if (encoder->kind == &tfrs_encoder_linear)
	{
		encoder->kernel = declare_kernel(side, (place) {"f", number, ""}, encoder->inputs, width);
		encoder->kernel->has_bias = tower->shape->bias;
	}
	tower->together |= encoder->kind->forward_rows != NULL;
}

static void
declare_features(side *side)
{
	tfrs_tower *tower = side->tower;

	for (size_t i = 0; i < tower->encoders; i++)
	{
		tower->encoder[i].of_key = true;
		tower->encoder[i].width = tower->shape->dim;
		tower->encoder[i].skips_unknown = tfrs_side_has_rows(side->features) &&
			tower->encoder[i].kind == &tfrs_encoder_embedding;
	}
	for (size_t f = 0; f < side->features->features->count; f++)
		declare_feature(side, f);
}

/* Tables that are shared, and what is as wide as they are. */
static void
link_features(side *side)
{
	size_t		first = tfrs_feature_tower_first(side->tower, side->features);

	for (size_t f = 0; f < side->features->features->count; f++)
	{
		const tfrs_feature *feature = &side->features->features->feature[f];
		tfrs_encoder *encoder = &side->tower->encoder[first + f];

		if (feature->shares)
			encoder->table = shared_table(side, feature);
		if (encoder->table != NULL)
			encoder->inputs = encoder->table->dim;
		if (feature->shares && side->joined && encoder->kind != &tfrs_encoder_sequence)
			encoder->width = encoder->inputs;
		if (encoder->kind == &tfrs_encoder_sequence)
			declare_sequence(side, encoder, f);
	}
}

static size_t
place_side_by_side(tfrs_tower *tower)
{
	size_t		width = 0;

	for (size_t i = 0; i < tower->encoders; i++)
	{
		tower->encoder[i].offset = width;
		width += tower->encoder[i].width;
	}
	return width;
}

static void
declare_layers(side *side)
{
	const tfrs_tower_options *options = side->features->features->options;
	tfrs_layers *layers = &side->tower->layers;
	size_t		inputs = place_side_by_side(side->tower);

	side->tower->together = true;
	layers->inputs = inputs;
	layers->crosses = options->cross_layers;
	layers->denses = options->layers + 1;
	layers->activation = (tfrs_activation) options->activation;
	layers->dropout = options->layer_dropout;
	for (size_t l = 0; l < layers->crosses; l++)
	{
		layers->cross_kernel[l] = declare_dense(side, (place) {"cross", l, "kernel"}, inputs,
												inputs);
		layers->cross_kernel[l]->initial = TFRS_INITIAL_NORMAL;
		layers->cross_kernel[l]->scale = CROSS_DEVIATION;
		layers->cross_bias[l] = declare_dense(side, (place) {"cross", l, "bias"}, 1, inputs);
	}
	for (size_t l = 0; l < layers->denses; l++)
	{
		size_t		outputs = l < options->layers ? options->layer[l] : side->tower->shape->dim;

		layers->kernel[l] = declare_kernel(side, (place) {"layer", l, "kernel"}, inputs, outputs);
		layers->bias[l] = declare_dense(side, (place) {"layer", l, "bias"}, 1, outputs);
		inputs = outputs;
	}
}

static side
side_of(const tfrs_feature_towers *towers, bool of_queries)
{
	side		side = {
		.towers = towers, .of_queries = of_queries,
		.features = of_queries ? towers->query_side : towers->candidate_side,
		.tower = of_queries ? towers->query : towers->candidate
	};

	if (side.features->features != NULL)
		side.joined = tfrs_tower_is_joined(side.features->features->options);
	return side;
}

void
tfrs_feature_towers_declare(const tfrs_feature_towers *towers)
{
	side		sides[2] = {side_of(towers, true), side_of(towers, false)};

	for (int i = 0; i < 2; i++)
		if (sides[i].features->features != NULL)
			declare_features(&sides[i]);
	for (int i = 0; i < 2; i++)
		if (sides[i].features->features != NULL)
			link_features(&sides[i]);
	for (int i = 0; i < 2; i++)
		if (sides[i].joined)
			declare_layers(&sides[i]);
}

/* A feature's table, but one of ids. */
static tfrs_tensor *
table_of(const side *side, size_t number)
{
	tfrs_tensor *table = side->tower->encoder[tfrs_feature_tower_first(side->tower, side->features) +
											  number].table;

	return table != NULL && table->stream == TFRS_STREAM_FEATURES ? table : NULL;
}

/* Marks the rows that are read, in the places of their gradients, which nobody believes yet. */
static void
mark_rows(const tfrs_encoded_feature *encoded, uint32_t *place)
{
	for (size_t e = 0; encoded->id != NULL && e < encoded->entries; e++)
		if (encoded->id[e] != TFRS_NO_ROW)
			place[encoded->id[e]] = 1;
	for (size_t i = 0; i < encoded->items.count; i++)
		place[encoded->items.item[i]] = 1;
}

static void
clear_rows(tfrs_tensor *table)
{
	for (size_t row = 0; row < table->rows; row++)
		if (table->place[row] == 0)
			memset(table->values + row * table->dim, 0, table->dim * sizeof(float));
}

void
tfrs_feature_towers_clear(const tfrs_feature_towers *towers)
{
	side		sides[2] = {side_of(towers, true), side_of(towers, false)};

	for (int clear = 0; clear < 2; clear++)
		for (int i = 0; i < 2; i++)
			for (size_t f = 0; f < tfrs_side_feature_count(sides[i].features); f++)
			{
				tfrs_tensor *table = table_of(&sides[i], f);

				if (table != NULL && clear)
					clear_rows(table);
				else if (table != NULL)
					mark_rows(&sides[i].features->encoded[f], table->place);
			}
}

bool
tfrs_features_share_ids(const tfrs_side_features *side, bool of_queries)
{
	for (size_t f = 0; f < tfrs_side_feature_count(side); f++)
	{
		const tfrs_feature *feature = &side->features->feature[f];

		if (feature->shares && feature->shares_query == of_queries &&
			feature->shares_feature == TFRS_NO_ROW)
			return true;
	}
	return false;
}

size_t
tfrs_feature_tower_first(const tfrs_tower *tower, const tfrs_side_features *side)
{
	return tower->encoders - tfrs_side_feature_count(side);
}

void
tfrs_feature_tower_cells(tfrs_tower *tower, const tfrs_side_features *side, const uint32_t *row)
{
	size_t		first = tfrs_feature_tower_first(tower, side);

	for (size_t f = 0; f < tfrs_side_feature_count(side); f++)
	{
		const tfrs_encoded_feature *encoded = &side->encoded[f];
		bool		is_list = tfrs_feature_is_list(side->features->feature[f].options->kind);

		tower->encoder[first + f].cells = (tfrs_cells) {
			.index = row, .entry = encoded->entry, .id = encoded->id,
			.list = is_list ? &encoded->items : NULL, .number = encoded->number
		};
	}
}
