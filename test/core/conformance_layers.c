/*
 * conformance_layers.c: activations, dense and cross layers, and the GRU, with their gradients.
 *
 * The files are those of README_features.md in the fixtures; a gradient is that of the sum of
 * output * upstream.
 */
#include <stdio.h>
#include <string.h>

#include "conformance.h"
#include "learning/cross_layer.h"
#include "learning/recurrent.h"

#define MOST_LAYERS 8

/* A matrix of floats, read from the rows of a file. */
typedef struct matrix
{
	size_t		rows;
	size_t		columns;
	float	   *value;			/* (rows, columns) */
} matrix;

static void
append(matrix *m, const double *numbers, size_t columns)
{
	if (m->rows > 0 && columns != m->columns)
		malformed("rows of a matrix differ in length");
	m->columns = columns;
	for (size_t i = 0; i < columns; i++)
		m->value[m->rows * columns + i] = (float) numbers[i];
	m->rows++;
}

/* The vectors in a column of all rows of a case; room for as many as the file has. */
static matrix
case_matrix(const table *file, const char *id, const char *param, const char *column)
{
	matrix		result = {0, 0, NULL};

	for (size_t r = 0; r < file->rows; r++)
	{
		size_t		length;
		double	   *numbers;

		if (!table_is(file, r, "case_id", id) ||
			(param != NULL && !table_is(file, r, "param", param)))
			continue;
		numbers = table_vector(file, r, column, &length);
		if (result.value == NULL)
			result.value = TAKE(file->rows * (length + 1), float);
		append(&result, numbers, length);
	}
	return result;
}

static void
near_matrix(conformance_case *checked, const char *name, const float *got, const matrix *expected)
{
	for (size_t i = 0; i < expected->rows * expected->columns; i++)
		case_near(checked, name, got[i], expected->value[i], i / expected->columns + 1,
				  i % expected->columns + 1);
}

static float *
zeros(const matrix *like)
{
	return TAKE(like->rows * like->columns + 1, float);
}

static tfrs_activation
activation_named(const char *name)
{
	tfrs_activation found = TFRS_LINEAR;

	if (name[0] != '\0' && !tfrs_activation_find(name, &found))
		malformed("unknown activation %s", name);
	return found;
}

static void
conform_activations(void)
{
	table		file;

	if (!table_read(&file, "activations"))
		return;
	for (int a = 0; a < TFRS_ACTIVATIONS; a++)
	{
		conformance_case checked;

		case_begin(&checked, "activation", tfrs_activation_name(a));
		for (size_t r = 0; r < file.rows; r++)
		{
			float		x = (float) table_number(&file, r, "x");

			if (!table_is(&file, r, "activation", tfrs_activation_name(a)))
				continue;
			case_near(&checked, "value", tfrs_activation_value(a, x),
					  table_number(&file, r, "y"), r + 1, 0);
			case_near(&checked, "slope", tfrs_activation_slope(a, x),
					  table_number(&file, r, "derivative"), r + 1, 0);
		}
		case_end(&checked);
	}
}

/* A layer of a file with what it computed. */
typedef struct dense_run
{
	tfrs_dense	layer;
	matrix		kernel_grad;
	matrix		bias_grad;
	tfrs_dense_gradient gradient;
	float	   *x;				/* (B, I) */
	float	   *sums;			/* (B, O) */
	float	   *y;				/* (B, O) */
} dense_run;

static void
dense_read(dense_run *run, const table *params, const char *id, size_t n)
{
	char		name[32];
	matrix		kernel;
	matrix		bias;

	snprintf(name, sizeof(name), "dense%zu/kernel", n + 1);
	kernel = case_matrix(params, id, name, "value");
	run->kernel_grad = case_matrix(params, id, name, "grad");
	snprintf(name, sizeof(name), "dense%zu/bias", n + 1);
	bias = case_matrix(params, id, name, "value");
	run->bias_grad = case_matrix(params, id, name, "grad");
	run->layer = (tfrs_dense) {
		.inputs = kernel.rows, .outputs = kernel.columns, .kernel = kernel.value,
		.bias = bias.value
	};
	run->gradient = (tfrs_dense_gradient) {zeros(&kernel), zeros(&kernel)};
}

static void
dense_case(const table *cases, size_t c, const table *params, const table *rows)
{
	const char *id = table_text(cases, c, "case_id");
	size_t		count;
	dense_run	run[MOST_LAYERS];
	matrix		input = case_matrix(rows, id, NULL, "input");
	matrix		output = case_matrix(rows, id, NULL, "output");
	matrix		d_y = case_matrix(rows, id, NULL, "upstream");
	matrix		d_input = case_matrix(rows, id, NULL, "grad_input");
	float	   *x = input.value;
	conformance_case checked;

	case_begin(&checked, "dense", id);
	table_vector(cases, c, "layers", &count);
	for (size_t n = 0; n < count; n++)
	{
		dense_read(&run[n], params, id, n);
		run[n].layer.activation = activation_named(table_text(cases, c, n + 1 < count
															  ? "activation" : "final_activation"));
		run[n].x = x;
		run[n].sums = TAKE(input.rows * run[n].layer.outputs, float);
		run[n].y = x = TAKE(input.rows * run[n].layer.outputs, float);
		tfrs_dense_forward(&run[n].layer, run[n].x, input.rows, run[n].sums, run[n].y);
	}
	near_matrix(&checked, "output", x, &output);
	for (size_t n = count; n-- > 0;)
	{
		float	   *d_x = TAKE(input.rows * run[n].layer.inputs, float);

		tfrs_dense_backward(&run[n].layer, run[n].x, run[n].sums, input.rows, d_y.value,
							&run[n].gradient, d_x);
		d_y.value = d_x;
		near_matrix(&checked, "kernel gradient", run[n].gradient.d_kernel, &run[n].kernel_grad);
		near_matrix(&checked, "bias gradient", run[n].gradient.d_bias, &run[n].bias_grad);
	}
	near_matrix(&checked, "input gradient", d_y.value, &d_input);
	case_end(&checked);
}

static void
conform_dense(void)
{
	table		cases;
	table		params;
	table		rows;

	if (!table_read(&cases, "dense_cases") || !table_read(&params, "dense_params") ||
		!table_read(&rows, "dense_rows"))
		return;
	for (size_t c = 0; c < cases.rows; c++)
		dense_case(&cases, c, &params, &rows);
}

/* A cross layer of a file with what it computed. */
typedef struct cross_run
{
	tfrs_cross_layer layer;
	tfrs_cross_gradient gradient;
	tfrs_cross_scratch scratch;
	matrix		u_grad;
	matrix		v_grad;
	matrix		b_grad;
	float	   *x;				/* (B, W) */
	float	   *y;				/* (B, W) */
} cross_run;

/* number: "" for the only layer, else "1", "2", ... */
static void
cross_read(cross_run *run, const table *cases, size_t c, const table *params, const char *number)
{
	const char *id = table_text(cases, c, "case_id");
	char		name[3][8];
	matrix		u;
	matrix		v;
	matrix		b;

	snprintf(name[0], sizeof(name[0]), "U%s", number);
	snprintf(name[1], sizeof(name[1]), "V%s", number);
	snprintf(name[2], sizeof(name[2]), "b%s", number);
	u = case_matrix(params, id, name[0], "value");
	v = case_matrix(params, id, name[1], "value");
	b = case_matrix(params, id, name[2], "value");
	run->u_grad = case_matrix(params, id, name[0], "grad");
	run->v_grad = case_matrix(params, id, name[1], "grad");
	run->b_grad = case_matrix(params, id, name[2], "grad");
	run->layer = (tfrs_cross_layer) {
		.projects = u.value != NULL,
		.projection = {.inputs = u.rows, .outputs = u.columns, .kernel = u.value},
		.inner = {
			.inputs = v.rows, .outputs = v.columns, .kernel = v.value, .bias = b.value,
			.activation = activation_named(table_text(cases, c, "preactivation"))
		},
		.diagonal = (float) table_number(cases, c, "diag_scale")
	};
	run->gradient = (tfrs_cross_gradient) {{zeros(&u), NULL}, {zeros(&v), zeros(&v)}};
}

static void
cross_forward(cross_run *run, const float *x0, float *x, size_t rows)
{
	size_t		width = run->layer.inner.outputs;
	size_t		narrow = run->layer.projection.outputs + 1;

	run->scratch = (tfrs_cross_scratch) {
		TAKE(rows * narrow, float), TAKE(rows * width, float), TAKE(rows * width, float),
		TAKE(rows * width, float), TAKE(rows * narrow, float)
	};
	run->x = x;
	run->y = TAKE(rows * width, float);
	tfrs_cross_layer_forward(&run->layer, x0, x, rows, &run->scratch, run->y);
}

/* How many layers the case has: those whose kernels are numbered, or one. */
static size_t
cross_count(const table *params, const char *id)
{
	size_t		count = 0;
	char		name[8] = "V1";

	while (case_matrix(params, id, name, "value").value != NULL && count < MOST_LAYERS)
		snprintf(name, sizeof(name), "V%zu", ++count + 1);
	return count;
}

static void
cross_backward(conformance_case *checked, cross_run *run, size_t count, const float *x0,
			   matrix *d_y, float *d_x0)
{
	for (size_t n = count; n-- > 0;)
	{
		float	   *d_x = zeros(d_y);

		tfrs_cross_layer_backward(&run[n].layer, x0, run[n].x, d_y->rows, &run[n].scratch,
								  d_y->value, &run[n].gradient, d_x0, d_x);
		d_y->value = d_x;
		near_matrix(checked, "U gradient", run[n].gradient.projection.d_kernel, &run[n].u_grad);
		near_matrix(checked, "V gradient", run[n].gradient.inner.d_kernel, &run[n].v_grad);
		near_matrix(checked, "b gradient", run[n].gradient.inner.d_bias, &run[n].b_grad);
	}
}

static void
cross_case(const table *cases, size_t c, const table *params, const table *rows)
{
	const char *id = table_text(cases, c, "case_id");
	bool		two = table_flag(cases, c, "two_inputs");
	size_t		numbered = cross_count(params, id);
	size_t		count = numbered > 0 ? numbered : 1;
	cross_run	run[MOST_LAYERS];
	matrix		x0 = case_matrix(rows, id, NULL, "x0");
	matrix		x = two ? case_matrix(rows, id, NULL, "x") : x0;
	matrix		output = case_matrix(rows, id, NULL, "output");
	matrix		d_y = case_matrix(rows, id, NULL, "upstream");
	matrix		expected_x0 = case_matrix(rows, id, NULL, "grad_x0");
	float	   *d_x0 = zeros(&x0);
	conformance_case checked;

	case_begin(&checked, "cross", id);
	for (size_t n = 0; n < count; n++)
	{
		char		number[8] = "";

		if (numbered > 0)
			snprintf(number, sizeof(number), "%zu", n + 1);
		cross_read(&run[n], cases, c, params, number);
		cross_forward(&run[n], x0.value, n == 0 ? x.value : run[n - 1].y, x0.rows);
	}
	near_matrix(&checked, "output", run[count - 1].y, &output);
	cross_backward(&checked, run, count, x0.value, &d_y, d_x0);
	if (two)
	{
		matrix		expected_x = case_matrix(rows, id, NULL, "grad_x");

		near_matrix(&checked, "x gradient", d_y.value, &expected_x);
	}
	else
		for (size_t i = 0; i < x0.rows * x0.columns; i++)
			d_x0[i] += d_y.value[i];
	near_matrix(&checked, "x0 gradient", d_x0, &expected_x0);
	case_end(&checked);
}

static void
conform_cross(void)
{
	table		cases;
	table		params;
	table		rows;

	if (!table_read(&cases, "cross_cases") || !table_read(&params, "cross_params") ||
		!table_read(&rows, "cross_rows"))
		return;
	for (size_t c = 0; c < cases.rows; c++)
		cross_case(&cases, c, &params, &rows);
}

/* The sequences of a case, packed by time. */
typedef struct sequences
{
	size_t		count;			/* B */
	size_t	   *file_row;		/* (B) the longest first */
	size_t	   *length;			/* (B) */
	double	  **ids;			/* (B) */
	tfrs_packed packed;
	size_t	   *id_of;			/* (S) the embedding row of each element */
} sequences;

static void
read_sequences(sequences *all, const table *rows, const char *id)
{
	*all = (sequences) {
		.file_row = TAKE(rows->rows, size_t), .length = TAKE(rows->rows, size_t),
		.ids = TAKE(rows->rows, double *)
	};
	for (size_t r = 0; r < rows->rows; r++)
	{
		size_t		length;
		double	   *ids;
		size_t		at = all->count;

		if (!table_is(rows, r, "case_id", id))
			continue;
		ids = table_vector(rows, r, "steps", &length);
		for (; at > 0 && all->length[at - 1] < length; at--)
		{
			all->file_row[at] = all->file_row[at - 1];
			all->length[at] = all->length[at - 1];
			all->ids[at] = all->ids[at - 1];
		}
		all->file_row[at] = r;
		all->length[at] = length;
		all->ids[at] = ids;
		all->count++;
	}
}

static void
pack(sequences *all, const matrix *embedding)
{
	size_t		steps = all->count > 0 ? all->length[0] : 0;
	size_t	   *active = TAKE(steps + 1, size_t);
	float	   *x = TAKE(all->count * (steps + 1) * embedding->columns, float);
	size_t		elements = 0;

	all->id_of = TAKE(all->count * (steps + 1), size_t);
	for (size_t t = 0; t < steps; t++)
		for (; active[t] < all->count && all->length[active[t]] > t; active[t]++, elements++)
		{
			all->id_of[elements] = (size_t) all->ids[active[t]][t];
			memcpy(x + elements * embedding->columns,
				   embedding->value + all->id_of[elements] * embedding->columns,
				   embedding->columns * sizeof(float));
		}
	all->packed = (tfrs_packed) {all->count, steps, active, elements, x};
}

/* A column of the file in the order of the sequences. */
static matrix
sequence_matrix(const sequences *all, const table *rows, const char *column)
{
	matrix		result = {0, 0, NULL};

	for (size_t b = 0; b < all->count; b++)
	{
		size_t		length;
		double	   *numbers = table_vector(rows, all->file_row[b], column, &length);

		if (result.value == NULL)
			result.value = TAKE(all->count * length, float);
		append(&result, numbers, length);
	}
	return result;
}

static void
gru_case(const char *id, const table *params, const table *rows)
{
	matrix		embedding = case_matrix(params, id, "embedding", "value");
	matrix		kernel = case_matrix(params, id, "kernel", "value");
	matrix		recurrent = case_matrix(params, id, "recurrent_kernel", "value");
	matrix		bias = case_matrix(params, id, "bias", "value");
	matrix		d_kernel = case_matrix(params, id, "kernel", "grad");
	matrix		d_recurrent = case_matrix(params, id, "recurrent_kernel", "grad");
	matrix		d_bias = case_matrix(params, id, "bias", "grad");
	matrix		d_embedding = case_matrix(params, id, "embedding", "grad");
	size_t		units = recurrent.rows;
	tfrs_gru	layer = {kernel.rows, units, kernel.value, recurrent.value, bias.value};
	tfrs_gru_gradient gradient = {zeros(&kernel), zeros(&recurrent), zeros(&bias)};
	sequences	all;
	matrix		output;
	matrix		d_h;
	float	   *got_embedding = zeros(&embedding);
	float	   *d_x;
	float	   *h;
	tfrs_gru_scratch scratch;
	conformance_case checked;

	case_begin(&checked, "gru", id);
	read_sequences(&all, rows, id);
	pack(&all, &embedding);
	output = sequence_matrix(&all, rows, "output");
	d_h = sequence_matrix(&all, rows, "upstream");
	h = TAKE(all.count * units, float);
	d_x = TAKE(all.packed.elements * layer.inputs + 1, float);
	scratch = (tfrs_gru_scratch) {
		TAKE(all.packed.elements * 3 * units + 1, float),
		TAKE(all.packed.elements * units + 1, float),
		TAKE(all.packed.elements * units + 1, float), TAKE(all.count * 3 * units, float)
	};
	tfrs_gru_forward(&layer, &all.packed, &scratch, h);
	near_matrix(&checked, "output", h, &output);
	tfrs_gru_backward(&layer, &all.packed, &scratch, d_h.value, &gradient, d_x);
	for (size_t s = 0; s < all.packed.elements; s++)
		for (size_t i = 0; i < layer.inputs; i++)
			got_embedding[all.id_of[s] * layer.inputs + i] += d_x[s * layer.inputs + i];
	near_matrix(&checked, "kernel gradient", gradient.d_kernel, &d_kernel);
	near_matrix(&checked, "recurrent gradient", gradient.d_recurrent, &d_recurrent);
	near_matrix(&checked, "bias gradient", gradient.d_bias, &d_bias);
	near_matrix(&checked, "embedding gradient", got_embedding, &d_embedding);
	case_end(&checked);
}

static void
conform_recurrent(void)
{
	table		cases;
	table		params;
	table		rows;

	if (!table_read(&cases, "recurrent_cases") || !table_read(&params, "recurrent_params") ||
		!table_read(&rows, "recurrent_rows"))
		return;
	for (size_t c = 0; c < cases.rows; c++)
	{
		const char *id = table_text(&cases, c, "case_id");

		if (table_is(&cases, c, "kind", "gru") && table_flag(&cases, c, "reset_after"))
			gru_case(id, &params, &rows);
		else
			case_skip("gru", id, "a sequence is a GRU with Keras's defaults here");
	}
}

void
conform_layers(void)
{
	conform_activations();
	conform_dense();
	conform_cross();
	conform_recurrent();
}
