/*
 * embedding_ops.c: operators, functions and aggregates of tfrs.embedding.
 *
 * Distances come from tfrs_kernels, so ORDER BY with an operator and top_k agree to the last bit.
 * A sum of squares that leaves the range where float is accurate is taken again in double: no
 * result is infinite or NaN.
 *
 * A vector of zeros: its cosine with anything is 0 (pgvector: NaN) and it normalizes to itself.
 *
 * Equality is by value: -0 equals 0, and the hash knows it.  So equal values may have different
 * bytes, and the btree operator class has no equalimage function (deduplication would mix them up).
 */
#include "server/values/embedding_type.h"

#include <float.h>
#include <math.h>

#include "common/hashfn.h"
#include "libpq/pqformat.h"
#include "utils/float.h"

#include "base/kernels.h"
#include "retrieval/corpus.h"
#include "server/host/bridge.h"

PG_FUNCTION_INFO_V1(tfrs_inner_product);
PG_FUNCTION_INFO_V1(tfrs_negative_inner_product);
PG_FUNCTION_INFO_V1(tfrs_cosine_similarity);
PG_FUNCTION_INFO_V1(tfrs_cosine_distance);
PG_FUNCTION_INFO_V1(tfrs_l2_distance);
PG_FUNCTION_INFO_V1(tfrs_l2_normalize);
PG_FUNCTION_INFO_V1(tfrs_norm);
PG_FUNCTION_INFO_V1(tfrs_dims);
PG_FUNCTION_INFO_V1(tfrs_embedding_add);
PG_FUNCTION_INFO_V1(tfrs_embedding_subtract);
PG_FUNCTION_INFO_V1(tfrs_embedding_multiply);
PG_FUNCTION_INFO_V1(tfrs_embedding_concat);
PG_FUNCTION_INFO_V1(tfrs_embedding_lt);
PG_FUNCTION_INFO_V1(tfrs_embedding_le);
PG_FUNCTION_INFO_V1(tfrs_embedding_eq);
PG_FUNCTION_INFO_V1(tfrs_embedding_ne);
PG_FUNCTION_INFO_V1(tfrs_embedding_ge);
PG_FUNCTION_INFO_V1(tfrs_embedding_gt);
PG_FUNCTION_INFO_V1(tfrs_embedding_cmp);
PG_FUNCTION_INFO_V1(tfrs_embedding_hash);
PG_FUNCTION_INFO_V1(tfrs_embedding_hash_extended);
PG_FUNCTION_INFO_V1(tfrs_embedding_accumulate);
PG_FUNCTION_INFO_V1(tfrs_embedding_combine);
PG_FUNCTION_INFO_V1(tfrs_embedding_serialize);
PG_FUNCTION_INFO_V1(tfrs_embedding_deserialize);
PG_FUNCTION_INFO_V1(tfrs_embedding_sum);
PG_FUNCTION_INFO_V1(tfrs_embedding_avg);

static double
dot_in_double(const tfrs_embedding *a, const tfrs_embedding *b)
{
	double		sum = 0;

	for (int i = 0; i < a->dim; i++)
		sum += (double) a->values[i] * b->values[i];
	return sum;
}

static double
squared_distance_in_double(const tfrs_embedding *a, const tfrs_embedding *b)
{
	double		sum = 0;

	for (int i = 0; i < a->dim; i++)
	{
		double		difference = (double) a->values[i] - b->values[i];

		sum += difference * difference;
	}
	return sum;
}

/*
 * Whether a sum of at most 16,000 squares in float is as accurate as its kernel promises: nothing
 * overflowed, and what denormal terms lost (2^-149 each) is far below the last bit.
 */
static bool
is_accurate(double sum_of_squares)
{
	return sum_of_squares >= 1e-30 && sum_of_squares <= FLT_MAX;
}

static double
inner_product(const tfrs_embedding *a, const tfrs_embedding *b)
{
	float		product;

	tfrs_embedding_check_same_dim(a->dim, b->dim);
	product = tfrs_kernels.dot(a->values, b->values, a->dim);
	return isfinite(product) ? product : dot_in_double(a, b);
}

static double
squared_norm(const tfrs_embedding *a)
{
	float		square = tfrs_kernels.dot(a->values, a->values, a->dim);

	return is_accurate(square) ? square : dot_in_double(a, a);
}

static double
cosine_similarity(const tfrs_embedding *a, const tfrs_embedding *b)
{
	return tfrs_vector_cosine(a->values, b->values, a->dim, inner_product(a, b));
}

static double
l2_distance(const tfrs_embedding *a, const tfrs_embedding *b)
{
	float		square;

	tfrs_embedding_check_same_dim(a->dim, b->dim);
	square = tfrs_kernels.squared_distance(a->values, b->values, a->dim);
	return sqrt(is_accurate(square) ? square : squared_distance_in_double(a, b));
}

Datum
tfrs_inner_product(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(inner_product(TFRS_GETARG_EMBEDDING(0), TFRS_GETARG_EMBEDDING(1)));
}

Datum
tfrs_negative_inner_product(PG_FUNCTION_ARGS)
{
	/* not a sign change: orthogonal vectors would show as -0 */
	PG_RETURN_FLOAT8(0 - inner_product(TFRS_GETARG_EMBEDDING(0), TFRS_GETARG_EMBEDDING(1)));
}

Datum
tfrs_cosine_similarity(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(cosine_similarity(TFRS_GETARG_EMBEDDING(0), TFRS_GETARG_EMBEDDING(1)));
}

Datum
tfrs_cosine_distance(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(1 - cosine_similarity(TFRS_GETARG_EMBEDDING(0), TFRS_GETARG_EMBEDDING(1)));
}

Datum
tfrs_l2_distance(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(l2_distance(TFRS_GETARG_EMBEDDING(0), TFRS_GETARG_EMBEDDING(1)));
}

Datum
tfrs_norm(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(sqrt(squared_norm(TFRS_GETARG_EMBEDDING(0))));
}

Datum
tfrs_l2_normalize(PG_FUNCTION_ARGS)
{
	tfrs_embedding *a = TFRS_GETARG_EMBEDDING(0);
	double		norm = sqrt(squared_norm(a));
	tfrs_embedding *result;

	if (norm == 0)
		TFRS_RETURN_EMBEDDING(a);
	result = tfrs_embedding_make(a->dim);
	for (int i = 0; i < a->dim; i++)
		result->values[i] = (float) (a->values[i] / norm);
	TFRS_RETURN_EMBEDDING(result);
}

Datum
tfrs_dims(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(TFRS_GETARG_EMBEDDING(0)->dim);
}

/* The value to be filled by an elementwise operator on a and b. */
static tfrs_embedding *
make_elementwise(const tfrs_embedding *a, const tfrs_embedding *b)
{
	tfrs_embedding_check_same_dim(a->dim, b->dim);
	return tfrs_embedding_make(a->dim);
}

/* A computed value: as with real, an infinite element is an overflow. */
static tfrs_embedding *
check_overflow(tfrs_embedding *result)
{
	for (int i = 0; i < result->dim; i++)
	{
		if (isinf(result->values[i]))
			float_overflow_error();
	}
	return result;
}

Datum
tfrs_embedding_add(PG_FUNCTION_ARGS)
{
	tfrs_embedding *a = TFRS_GETARG_EMBEDDING(0);
	tfrs_embedding *b = TFRS_GETARG_EMBEDDING(1);
	tfrs_embedding *result = make_elementwise(a, b);

	for (int i = 0; i < result->dim; i++)
		result->values[i] = a->values[i] + b->values[i];
	TFRS_RETURN_EMBEDDING(check_overflow(result));
}

Datum
tfrs_embedding_subtract(PG_FUNCTION_ARGS)
{
	tfrs_embedding *a = TFRS_GETARG_EMBEDDING(0);
	tfrs_embedding *b = TFRS_GETARG_EMBEDDING(1);
	tfrs_embedding *result = make_elementwise(a, b);

	for (int i = 0; i < result->dim; i++)
		result->values[i] = a->values[i] - b->values[i];
	TFRS_RETURN_EMBEDDING(check_overflow(result));
}

Datum
tfrs_embedding_multiply(PG_FUNCTION_ARGS)
{
	tfrs_embedding *a = TFRS_GETARG_EMBEDDING(0);
	tfrs_embedding *b = TFRS_GETARG_EMBEDDING(1);
	tfrs_embedding *result = make_elementwise(a, b);

	for (int i = 0; i < result->dim; i++)
		result->values[i] = a->values[i] * b->values[i];
	TFRS_RETURN_EMBEDDING(check_overflow(result));
}

Datum
tfrs_embedding_concat(PG_FUNCTION_ARGS)
{
	tfrs_embedding *a = TFRS_GETARG_EMBEDDING(0);
	tfrs_embedding *b = TFRS_GETARG_EMBEDDING(1);
	tfrs_embedding *result = tfrs_embedding_make(a->dim + b->dim);

	memcpy(result->values, a->values, a->dim * sizeof(float));
	memcpy(result->values + a->dim, b->values, b->dim * sizeof(float));
	TFRS_RETURN_EMBEDDING(result);
}

/* Element by element, then the shorter first, as arrays compare. */
static int
compare_values(const tfrs_embedding *a, const tfrs_embedding *b)
{
	int			shared = Min(a->dim, b->dim);

	for (int i = 0; i < shared; i++)
	{
		if (a->values[i] != b->values[i])
			return a->values[i] < b->values[i] ? -1 : 1;
	}
	return (a->dim > b->dim) - (a->dim < b->dim);
}

/* Sorts and index searches call it in contexts that live long: detoasted copies are given back. */
static int
compare(FunctionCallInfo fcinfo)
{
	tfrs_embedding *a = TFRS_GETARG_EMBEDDING(0);
	tfrs_embedding *b = TFRS_GETARG_EMBEDDING(1);
	int			result = compare_values(a, b);

	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	return result;
}

Datum
tfrs_embedding_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) < 0);
}

Datum
tfrs_embedding_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) <= 0);
}

Datum
tfrs_embedding_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) == 0);
}

Datum
tfrs_embedding_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) != 0);
}

Datum
tfrs_embedding_ge(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) >= 0);
}

Datum
tfrs_embedding_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) > 0);
}

Datum
tfrs_embedding_cmp(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(compare(fcinfo));
}

/* The elements as bytes that are equal when the values are: -0 + 0 is 0.  (D) */
static float *
hashable_elements(const tfrs_embedding *a)
{
	float	   *elements = palloc(a->dim * sizeof(float));

	for (int i = 0; i < a->dim; i++)
		elements[i] = a->values[i] + 0.0f;
	return elements;
}

Datum
tfrs_embedding_hash(PG_FUNCTION_ARGS)
{
	tfrs_embedding *a = TFRS_GETARG_EMBEDDING(0);
	float	   *elements = hashable_elements(a);
	Datum		hash = hash_any((unsigned char *) elements, a->dim * sizeof(float));

	pfree(elements);
	PG_FREE_IF_COPY(a, 0);
	return hash;
}

Datum
tfrs_embedding_hash_extended(PG_FUNCTION_ARGS)
{
	tfrs_embedding *a = TFRS_GETARG_EMBEDDING(0);
	float	   *elements = hashable_elements(a);
	Datum		hash = hash_any_extended((unsigned char *) elements, a->dim * sizeof(float),
										 PG_GETARG_INT64(1));

	pfree(elements);
	PG_FREE_IF_COPY(a, 0);
	return hash;
}

/* State of avg and sum.  In double: a float sum of a million vectors would lose three digits. */
typedef struct embedding_sums
{
	int64		count;			/* rows */
	int			dim;			/* D */
	double		sums[FLEXIBLE_ARRAY_MEMBER];	/* (D) */
} embedding_sums;

static embedding_sums *
make_sums(MemoryContext context, int dim)
{
	embedding_sums *state;

	state = MemoryContextAllocZero(context,
								   offsetof(embedding_sums, sums) + dim * sizeof(double));
	state->dim = dim;
	return state;
}

static embedding_sums *
get_sums(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : (embedding_sums *) PG_GETARG_POINTER(n);
}

Datum
tfrs_embedding_accumulate(PG_FUNCTION_ARGS)
{
	MemoryContext context = tfrs_bridge_aggregate(fcinfo, true);
	embedding_sums *state = get_sums(fcinfo, 0);
	tfrs_embedding *value;

	if (PG_ARGISNULL(1))
	{
		if (state == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(state);
	}
	value = TFRS_GETARG_EMBEDDING(1);
	if (state == NULL)
		state = make_sums(context, value->dim);
	tfrs_embedding_check_same_dim(state->dim, value->dim);
	state->count++;
	for (int i = 0; i < value->dim; i++)
		state->sums[i] += value->values[i];
	PG_RETURN_POINTER(state);
}

Datum
tfrs_embedding_combine(PG_FUNCTION_ARGS)
{
	MemoryContext context = tfrs_bridge_aggregate(fcinfo, true);
	embedding_sums *state = get_sums(fcinfo, 0);
	embedding_sums *other = get_sums(fcinfo, 1);

	if (other == NULL)
	{
		if (state == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(state);
	}
	/* other lives only as long as this call */
	if (state == NULL)
		state = make_sums(context, other->dim);
	tfrs_embedding_check_same_dim(state->dim, other->dim);
	state->count += other->count;
	for (int i = 0; i < state->dim; i++)
		state->sums[i] += other->sums[i];
	PG_RETURN_POINTER(state);
}

Datum
tfrs_embedding_serialize(PG_FUNCTION_ARGS)
{
	embedding_sums *state = get_sums(fcinfo, 0);
	StringInfoData message;

	tfrs_bridge_aggregate(fcinfo, true);
	pq_begintypsend(&message);
	pq_sendint64(&message, state->count);
	pq_sendint32(&message, state->dim);
	for (int i = 0; i < state->dim; i++)
		pq_sendfloat8(&message, state->sums[i]);
	PG_RETURN_BYTEA_P(pq_endtypsend(&message));
}

Datum
tfrs_embedding_deserialize(PG_FUNCTION_ARGS)
{
	bytea	   *bytes = PG_GETARG_BYTEA_PP(0);
	StringInfoData message;
	int64		count;
	int			dim;
	embedding_sums *state;

	tfrs_bridge_aggregate(fcinfo, true);
	initStringInfo(&message);
	appendBinaryStringInfo(&message, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
	count = pq_getmsgint64(&message);
	dim = pq_getmsgint(&message, 4);
	tfrs_embedding_check_dim(dim, NULL);
	state = make_sums(CurrentMemoryContext, dim);
	state->count = count;
	for (int i = 0; i < dim; i++)
		state->sums[i] = pq_getmsgfloat8(&message);
	pq_getmsgend(&message);
	pfree(message.data);
	PG_RETURN_POINTER(state);
}

/* The sums over divisor as an embedding. */
static tfrs_embedding *
finish_sums(const embedding_sums *state, double divisor)
{
	tfrs_embedding *result = tfrs_embedding_make(state->dim);

	for (int i = 0; i < state->dim; i++)
		result->values[i] = (float) (state->sums[i] / divisor);
	return check_overflow(result);
}

Datum
tfrs_embedding_sum(PG_FUNCTION_ARGS)
{
	embedding_sums *state = get_sums(fcinfo, 0);

	tfrs_bridge_aggregate(fcinfo, true);
	if (state == NULL)
		PG_RETURN_NULL();
	TFRS_RETURN_EMBEDDING(finish_sums(state, 1));
}

Datum
tfrs_embedding_avg(PG_FUNCTION_ARGS)
{
	embedding_sums *state = get_sums(fcinfo, 0);

	tfrs_bridge_aggregate(fcinfo, true);
	if (state == NULL)
		PG_RETURN_NULL();
	TFRS_RETURN_EMBEDDING(finish_sums(state, state->count));
}
