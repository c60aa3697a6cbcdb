/*
 * test_layers.c: every encoder and every layer in towers that sum and in towers of layers: gradients
 * against difference quotients, and rows taken together against rows one by one.
 */
#include "check.h"

#include <string.h>

#include "base/kernels.h"
#include "base/matmul.h"
#include "learning/linear_encoder.h"
#include "learning/sequence_encoder.h"
#include "learning/tower.h"

#define ENTRIES 7
#define MANY 700
#define ITEMS 20
#define WORDS 9
#define INPUTS 3
#define STEP 0.01f

__attribute__((constructor)) static void
choose_kernels(void)
{
	tfrs_kernels_choose(true);
	tfrs_matmul_load();
}

/* What a tower has, and what its rows are. */
typedef struct scene
{
	tfrs_tensors parameters;
	tfrs_tower_shape shape;
	tfrs_tower	tower;
	uint32_t	id[ENTRIES];
	float		number[ENTRIES * INPUTS];
	tfrs_ragged list;
	size_t		start[ENTRIES + 1];
	uint32_t	item[ITEMS];
	float		weight[ITEMS];
	uint32_t	index[MANY];
	uint32_t	entry[ENTRIES];
	float	   *w;				/* (rows, D) the loss is the sum of w times the vectors */
} scene;

/* Lists of 0 to 6 items, entries in another order than numbers. */
static void
fill_cells(scene *s)
{
	static const size_t lengths[ENTRIES] = {2, 0, 5, 1, 6, 3, 2};
	tfrs_random random;

	tfrs_random_init(&random, 3, 1, 4);
	tfrs_random_fill(&random, s->number, ENTRIES * INPUTS, -1, 1);
	tfrs_random_fill(&random, s->weight, ITEMS, 0.2f, 1);
	for (size_t i = 0; i < ITEMS; i++)
		s->item[i] = tfrs_random_below(&random, WORDS);
	for (uint32_t e = 0; e < ENTRIES; e++)
	{
		s->start[e + 1] = s->start[e] + lengths[e];
		s->id[e] = e == 2 ? TFRS_NO_ROW : e % WORDS;
		s->entry[e] = (e * 3 + 1) % ENTRIES;
	}
	for (size_t row = 0; row < MANY; row++)
		s->index[row] = tfrs_random_below(&random, ENTRIES);
	s->list = (tfrs_ragged) {
		.rows = ENTRIES, .count = ITEMS, .start = s->start, .item = s->item, .weight = s->weight
	};
}

static tfrs_cells
cells_of(const scene *s)
{
	return (tfrs_cells) {
		.index = s->index, .entry = s->entry, .id = s->id, .list = &s->list, .number = s->number
	};
}

/* Another encoder; what it gives has width numbers. */
static void
add_encoder(scene *s, const tfrs_encoder_kind *kind, size_t width)
{
	tfrs_tower *tower = &s->tower;
	tfrs_tensors *parameters = &s->parameters;
	bool		sequence = kind == &tfrs_encoder_sequence;
	bool		numbers = kind == &tfrs_encoder_linear || kind == &tfrs_encoder_values;
	tfrs_encoder *encoder = &tower->encoder[tower->encoders++];

	parameters->dim = (uint32_t) width;
	*encoder = (tfrs_encoder) {
		.kind = kind, .cells = cells_of(s), .width = width, .longest = 6,
		.inputs = numbers ? INPUTS : width, .offset = tower->layers.inputs
	};
	if (!numbers)
		encoder->table = tfrs_tensors_declare(parameters, "table", WORDS, WORDS);
	if (sequence || kind == &tfrs_encoder_linear)
		encoder->kernel = tfrs_tensors_declare_dense(parameters, "kernel", encoder->inputs,
													 sequence ? 3 * width : width);
	if (sequence)
	{
		encoder->recurrent = tfrs_tensors_declare_dense(parameters, "recurrent", width, 3 * width);
		encoder->bias = tfrs_tensors_declare_dense(parameters, "bias", 2, 3 * width);
	}
	tower->together |= kind->forward_rows != NULL;
}

static void
add_layers(scene *s, size_t inputs, size_t crosses, size_t hidden, tfrs_activation activation)
{
	tfrs_layers *layers = &s->tower.layers;
	size_t		width = inputs;

	layers->inputs = inputs;
	layers->crosses = crosses;
	layers->denses = hidden + 1;
	layers->activation = activation;
	s->tower.together = true;
	for (size_t l = 0; l < crosses; l++)
	{
		layers->cross_kernel[l] = tfrs_tensors_declare_dense(&s->parameters, "cross", inputs,
															 inputs);
		layers->cross_bias[l] = tfrs_tensors_declare_dense(&s->parameters, "bias", 1, inputs);
	}
	for (size_t l = 0; l <= hidden; l++)
	{
		size_t		outputs = l == hidden ? s->shape.dim : 5 - l;

		layers->kernel[l] = tfrs_tensors_declare_dense(&s->parameters, "kernel", width, outputs);
		layers->bias[l] = tfrs_tensors_declare_dense(&s->parameters, "bias", 1, outputs);
		width = outputs;
	}
}

static void
arrays(void *object, tfrs_plan *plan)
{
	scene	   *s = object;

	tfrs_tensors_plan(plan, &s->parameters);
	tfrs_tower_plan(plan, &s->tower);
	TFRS_PLAN_VECTORS(plan, &s->w, s->tower.room, s->shape.dim);
}

static void
begin(scene *s)
{
	memset(s, 0, sizeof(*s));
	s->shape = (tfrs_tower_shape) {.dim = 4,.bias = 1,.temperature = 0.5f};
	s->tower.shape = &s->shape;
	fill_cells(s);
}

static void
take_arrays(scene *s, size_t rows)
{
	tfrs_random random;

	s->tower.room = rows;
	CHECK_OK(tfrs_plan_take(check_arena(), arrays, s, &check_error));
	tfrs_random_init(&random, 7, 8, 9);
	for (size_t t = 0; t < s->parameters.count; t++)
	{
		tfrs_tensor *tensor = &s->parameters.tensor[t];

		tfrs_random_fill(&random, tensor->values, tensor->rows * tensor->dim, -0.8f, 0.8f);
	}
	tfrs_random_fill(&random, s->w, rows * s->shape.dim, -1, 1);
}

static void
end(scene *s)
{
	tfrs_plan_release(check_arena(), arrays, s);
}

static double
forward(scene *s)
{
	tfrs_tower *tower = &s->tower;
	tfrs_random random;
	tfrs_status status;
	double		loss = 0;

	tfrs_random_init(&random, 1, 2, 3);
	tfrs_tower_begin(tower, tower->room);
	tfrs_tower_drop_keys(tower, &random);
	while ((status = tfrs_tower_forward_step(tower, &random)) == TFRS_MORE)
		;
	CHECK_OK(status);
	for (size_t i = 0; i < tower->room * s->shape.dim; i++)
		loss += (double) s->w[i] * (double) tower->vector[i];
	return loss;
}

static void
backward(scene *s)
{
	tfrs_tower *tower = &s->tower;
	tfrs_status status;

	tfrs_tensors_forget(&s->parameters);
	forward(s);
	memcpy(tower->d_vector, s->w, tower->room * s->shape.dim * sizeof(float));
	while ((status = tfrs_tower_backward_step(tower)) == TFRS_MORE)
		;
	CHECK_OK(status);
}

/* The gradient of one parameter, 0 for a row that no one touched. */
static double
gradient_of(const tfrs_tensor *tensor, size_t row, size_t d)
{
	size_t		place = tensor->dense ? row : tensor->place[row];

	if (!tensor->dense && (place >= tensor->touched || tensor->row[place] != row))
		return 0;
	return tensor->gradient[place * tensor->dim + d];
}

static double
quotient(scene *s, float *parameter, float step)
{
	float		kept = *parameter;
	double		up;
	double		down;

	*parameter = kept + step;
	up = forward(s);
	*parameter = kept - step;
	down = forward(s);
	*parameter = kept;
	return (up - down) / ((double) (kept + step) - (double) (kept - step));
}

/* Two quotients to one without the error of the second order (Richardson). */
static double
derivative(scene *s, float *parameter)
{
	return (4 * quotient(s, parameter, STEP) - quotient(s, parameter, 2 * STEP)) / 3;
}

/* All parameters of all tensors. */
static void
check_gradients(scene *s)
{
	size_t		moved = 0;

	backward(s);
	for (size_t t = 0; t < s->parameters.count; t++)
	{
		tfrs_tensor *tensor = &s->parameters.tensor[t];

		for (size_t i = 0; i < tensor->rows * tensor->dim; i++)
		{
			double		expected = derivative(s, tensor->values + i);

			moved += fabs(expected) > 1e-3;
			CHECK_NEAR(gradient_of(tensor, i / tensor->dim, i % tensor->dim), expected,
					   4e-3 + 4e-3 * fabs(expected));
		}
	}
	CHECK(moved > 0);
}

static const tfrs_encoder_kind *const kinds[] = {
	&tfrs_encoder_embedding, &tfrs_encoder_bag, &tfrs_encoder_linear, &tfrs_encoder_sequence
};

CHECK_TEST(gradients_of_each_encoder_of_a_sum)
{
	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
		for (uint32_t normalize = 0; normalize < 2; normalize++)
		{
			scene		s;

			begin(&s);
			s.shape.normalize = normalize;
			add_encoder(&s, &tfrs_encoder_embedding, 4);
			add_encoder(&s, kinds[k], 4);
			take_arrays(&s, 12);
			check_gradients(&s);
			end(&s);
		}
}

static void
add_all_side_by_side(scene *s)
{
	static const size_t widths[] = {2, 3, INPUTS, 2};

	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
	{
		add_encoder(s, k == 2 ? &tfrs_encoder_values : kinds[k], widths[k]);
		s->tower.layers.inputs += widths[k];
	}
}

/* But of relu, at whose kink a difference quotient says nothing: the fixtures have it. */
CHECK_TEST(gradients_of_towers_of_layers)
{
	for (tfrs_activation activation = TFRS_LINEAR; activation < TFRS_ACTIVATIONS; activation++)
		for (size_t crosses = 0; crosses < 3; crosses++)
		{
			scene		s;

			if (activation == TFRS_RELU || (crosses > 0 && activation > TFRS_TANH))
				continue;
			begin(&s);
			add_all_side_by_side(&s);
			add_layers(&s, s.tower.layers.inputs, crosses, crosses == 1 ? 0 : 2, activation);
			s.shape.normalize = activation == TFRS_TANH;
			s.tower.layers.dropout = activation == TFRS_TANH ? 0.3f : 0.0f;
			take_arrays(&s, 9);
			check_gradients(&s);
			end(&s);
		}
}

/* Rows whose key is left out: their key's row has no gradient, and nothing but it changes. */
CHECK_TEST(rows_without_their_key)
{
	for (int layers = 0; layers < 2; layers++)
	{
		scene		s;
		size_t		keyless = 0;

		begin(&s);
		add_encoder(&s, &tfrs_encoder_embedding, 4);
		s.tower.encoder[0].of_key = true;
		s.tower.key_dropout = 0.5f;
		if (layers)
			s.tower.layers.inputs = 4;
		add_encoder(&s, &tfrs_encoder_bag, 4);
		if (layers)
			add_layers(&s, 8, 1, 1, TFRS_TANH);
		take_arrays(&s, 20);
		check_gradients(&s);
		for (size_t row = 0; row < 20; row++)
			keyless += s.tower.keyless[row];
		CHECK(keyless > 2 && keyless < 18);
		memset(s.tower.keyless, 1, 20);
		tfrs_tensors_forget(&s.parameters);
		s.tower.key_dropout = 1.0f;
		backward(&s);
		CHECK_EQUAL(s.tower.encoder[0].table->touched, 0);
		end(&s);
	}
}

/* An unknown id gives nothing where the encoder passes it over, and its row where it does not. */
CHECK_TEST(the_unknown_row_gives_nothing_beside_features)
{
	for (int skips = 0; skips < 2; skips++)
	{
		scene		s;
		double		sum = 0;

		begin(&s);
		add_encoder(&s, &tfrs_encoder_embedding, 4);
		s.tower.encoder[0].skips_unknown = skips;
		for (size_t e = 0; e < ENTRIES; e++)
			s.id[e] = WORDS - 1;
		take_arrays(&s, 3);
		backward(&s);
		for (size_t d = 0; d < 3; d++)
			sum += fabs((double) s.tower.vector[d]);
		CHECK((sum == 0) == (skips == 1));
		CHECK_EQUAL(s.tower.encoder[0].table->touched, !skips);
		end(&s);
	}
}

/* More rows than are taken at a time, and more items: the vectors are those of each row alone. */
CHECK_TEST(rows_together_are_rows_one_by_one)
{
	scene		s;
	scene		one;

	begin(&s);
	add_all_side_by_side(&s);
	add_layers(&s, s.tower.layers.inputs, 1, 1, TFRS_GELU);
	take_arrays(&s, MANY);
	forward(&s);
	begin(&one);
	add_all_side_by_side(&one);
	add_layers(&one, one.tower.layers.inputs, 1, 1, TFRS_GELU);
	take_arrays(&one, 1);
	for (size_t row = 0; row < MANY; row++)
	{
		for (size_t i = 0; i < one.tower.encoders; i++)
			one.tower.encoder[i].cells.index = s.index + row;
		forward(&one);
		for (size_t d = 0; d < 4; d++)
			CHECK_NEAR(one.tower.vector[d], s.tower.vector[row * 4 + d], 1e-5);
	}
	end(&one);
	end(&s);
}

/* A list that is longer than what is taken at a time is taken alone. */
CHECK_TEST(long_sequences)
{
	static size_t start[4] = {0, 5000, 9096, 9099};
	static uint32_t item[9099];
	static uint32_t three[3] = {0, 1, 2};
	const tfrs_ragged lists = {.rows = 3,.count = 9099,.start = start,.item = item};
	scene		s;

	begin(&s);
	for (uint32_t i = 0; i < 9099; i++)
		item[i] = i % WORDS;
	add_encoder(&s, &tfrs_encoder_sequence, 4);
	s.tower.encoder[0].cells = (tfrs_cells) {.index = three,.list = &lists};
	s.tower.encoder[0].longest = 5000;
	take_arrays(&s, 3);
	backward(&s);
	for (size_t i = 0; i < 12; i++)
		CHECK(isfinite(s.tower.vector[i]));
	CHECK_EQUAL(s.tower.encoder[0].table->touched, WORDS);
	end(&s);
}
