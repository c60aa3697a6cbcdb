/*
 * embedding_type.c: input, output, type modifier and casts of tfrs.embedding.
 *
 * Text form [1,2.5,-3]: white space is allowed around brackets, commas and numbers; a number is
 * what type real takes.  Output has the fewest digits that read back to the same float, whatever
 * extra_float_digits says: rounding for display is not worth a vector that changes in a dump.
 *
 * Binary form: int16 dimension, int16 zero, float4 elements, all in network order.  It is
 * pgvector's, so that its client codecs read it.
 *
 * An element of another type is converted as the server's cast to real does it, errors included.
 */
#include "server/values/embedding_type.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/shortest_dec.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "parser/scansup.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

/* Bytes of the input that a message repeats: 16,000 numbers would hide the message. */
#define MAX_QUOTED_INPUT 100

PG_FUNCTION_INFO_V1(tfrs_embedding_in);
PG_FUNCTION_INFO_V1(tfrs_embedding_out);
PG_FUNCTION_INFO_V1(tfrs_embedding_recv);
PG_FUNCTION_INFO_V1(tfrs_embedding_send);
PG_FUNCTION_INFO_V1(tfrs_embedding_typmod_in);
PG_FUNCTION_INFO_V1(tfrs_embedding_typmod_out);
PG_FUNCTION_INFO_V1(tfrs_embedding_to_embedding);
PG_FUNCTION_INFO_V1(tfrs_array_to_embedding);
PG_FUNCTION_INFO_V1(tfrs_embedding_to_array);

bool
tfrs_embedding_check_dim(int dim, Node *escontext)
{
	if (dim < 1)
		ereturn(escontext, false,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("an embedding must have at least 1 dimension")));
	if (dim > TFRS_MAX_DIM)
		ereturn(escontext, false,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("an embedding cannot have more than %d dimensions", TFRS_MAX_DIM)));
	return true;
}

bool
tfrs_embedding_check_typmod(int dim, int32 typmod, Node *escontext)
{
	if (typmod != -1 && typmod != dim)
		ereturn(escontext, false,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("expected an embedding of dimension %d, not %d", typmod, dim)));
	return true;
}

bool
tfrs_embedding_check_finite(const float *values, int dim, Node *escontext)
{
	for (int i = 0; i < dim; i++)
	{
		if (!isfinite(values[i]))
			ereturn(escontext, false,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("every element of an embedding must be finite"),
					 errdetail("Element %d is %s.", i + 1,
							   isnan(values[i]) ? "NaN" : "infinite")));
	}
	return true;
}

void
tfrs_embedding_check_same_dim(int a, int b)
{
	if (a != b)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("different embedding dimensions %d and %d", a, b)));
}

tfrs_embedding *
tfrs_embedding_of_datum(Datum datum)
{
	tfrs_embedding *embedding = (tfrs_embedding *) PG_DETOAST_DATUM(datum);

	if (VARSIZE(embedding) < TFRS_EMBEDDING_SIZE(1) ||
		VARSIZE(embedding) != TFRS_EMBEDDING_SIZE(embedding->dim))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("the size of an embedding does not match its dimension")));
	return embedding;
}

tfrs_embedding *
tfrs_embedding_make(int dim)
{
	tfrs_embedding *embedding;

	tfrs_embedding_check_dim(dim, NULL);
	embedding = palloc(TFRS_EMBEDDING_SIZE(dim));
	SET_VARSIZE(embedding, TFRS_EMBEDDING_SIZE(dim));
	embedding->dim = dim;
	embedding->unused = 0;
	return embedding;
}

tfrs_embedding *
tfrs_embedding_copy(const float *values, int dim)
{
	tfrs_embedding *embedding = tfrs_embedding_make(dim);

	tfrs_embedding_check_finite(values, dim, NULL);
	memcpy(embedding->values, values, dim * sizeof(float));
	return embedding;
}

/* For a message: the text, or its beginning. */
static char *
quoted_input(const char *text, size_t length)
{
	int			kept = pg_mbcliplen(text, (int) Min(length, MAX_QUOTED_INPUT + 8),
									MAX_QUOTED_INPUT);

	return psprintf("%.*s%s", kept, text, (size_t) kept < length ? "..." : "");
}

static bool
fail_syntax(const char *text, const char *detail, Node *escontext)
{
	ereturn(escontext, false,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			 errmsg("invalid input syntax for type %s: \"%s\"", "embedding",
					quoted_input(text, strlen(text))),
			 errdetail("%s", detail)));
}

static const char *
skip_space(const char *p)
{
	while (scanner_isspace(*p))
		p++;
	return p;
}

/* The number at *p as type real takes it; moves *p behind it.  The server keeps LC_NUMERIC C. */
static bool
parse_element(const char *text, const char **p, float *value, Node *escontext)
{
	char	   *end;

	errno = 0;
	*value = strtof(*p, &end);
	if (end == *p)
		return fail_syntax(text, "A number is missing or malformed.", escontext);
	if (errno == ERANGE && (*value == 0 || isinf(*value)))
		ereturn(escontext, false,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("\"%s\" is out of range for type %s",
						quoted_input(*p, end - *p), "real")));
	*p = end;
	return true;
}

/* Commas + 1, counted up to max + 1: no valid text has another number of elements. */
static int
count_elements(const char *text, int max)
{
	int			count = 1;

	for (const char *p = text; count <= max && (p = strchr(p, ',')) != NULL; p++)
		count++;
	return count;
}

/* Fills the embedding, whose dim is the number of commas + 1, from its text. */
static bool
parse_elements(const char *text, tfrs_embedding *embedding, Node *escontext)
{
	const char *p = skip_space(text);
	int			dim = 0;
	char		after;

	if (*p++ != '[')
		return fail_syntax(text, "An embedding must start with \"[\".", escontext);
	do
	{
		p = skip_space(p);
		if (!parse_element(text, &p, &embedding->values[dim++], escontext))
			return false;
		p = skip_space(p);
		after = *p++;
	} while (after == ',');
	if (after != ']')
		return fail_syntax(text, "A number must be followed by \",\" or \"]\".", escontext);
	if (*skip_space(p) != '\0')
		return fail_syntax(text, "Nothing may follow the closing \"]\".", escontext);
	Assert(dim == embedding->dim);
	return true;
}

static bool
is_empty(const char *text)
{
	const char *p = skip_space(text);

	return *p == '[' && *skip_space(p + 1) == ']';
}

Datum
tfrs_embedding_in(PG_FUNCTION_ARGS)
{
	const char *text = PG_GETARG_CSTRING(0);
	int32		typmod = PG_GETARG_INT32(2);
	Node	   *escontext = fcinfo->context;
	int			dim = is_empty(text) ? 0 : count_elements(text, TFRS_MAX_DIM);
	tfrs_embedding *embedding;

	if (!tfrs_embedding_check_dim(dim, escontext))
		PG_RETURN_NULL();
	embedding = tfrs_embedding_make(dim);
	if (!parse_elements(text, embedding, escontext) ||
		!tfrs_embedding_check_finite(embedding->values, dim, escontext) ||
		!tfrs_embedding_check_typmod(dim, typmod, escontext))
		PG_RETURN_NULL();
	TFRS_RETURN_EMBEDDING(embedding);
}

Datum
tfrs_embedding_out(PG_FUNCTION_ARGS)
{
	tfrs_embedding *embedding = TFRS_GETARG_EMBEDDING(0);
	char	   *text = palloc((Size) embedding->dim * FLOAT_SHORTEST_DECIMAL_LEN + 2);
	char	   *p = text;

	*p++ = '[';
	for (int i = 0; i < embedding->dim; i++)
	{
		if (i > 0)
			*p++ = ',';
		p += float_to_shortest_decimal_bufn(embedding->values[i], p);
	}
	*p++ = ']';
	*p = '\0';
	PG_RETURN_CSTRING(text);
}

Datum
tfrs_embedding_recv(PG_FUNCTION_ARGS)
{
	StringInfo	message = (StringInfo) PG_GETARG_POINTER(0);
	int32		typmod = PG_GETARG_INT32(2);
	int			dim = (int16) pq_getmsgint(message, 2);
	int			unused = pq_getmsgint(message, 2);
	tfrs_embedding *embedding;

	if (unused != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid binary form of an embedding"),
				 errdetail("The second field must be 0, not %d.", unused)));
	embedding = tfrs_embedding_make(dim);
	for (int i = 0; i < dim; i++)
		embedding->values[i] = pq_getmsgfloat4(message);
	tfrs_embedding_check_finite(embedding->values, dim, NULL);
	tfrs_embedding_check_typmod(dim, typmod, NULL);
	TFRS_RETURN_EMBEDDING(embedding);
}

Datum
tfrs_embedding_send(PG_FUNCTION_ARGS)
{
	tfrs_embedding *embedding = TFRS_GETARG_EMBEDDING(0);
	StringInfoData message;

	pq_begintypsend(&message);
	pq_sendint16(&message, embedding->dim);
	pq_sendint16(&message, 0);
	for (int i = 0; i < embedding->dim; i++)
		pq_sendfloat4(&message, embedding->values[i]);
	PG_RETURN_BYTEA_P(pq_endtypsend(&message));
}

Datum
tfrs_embedding_typmod_in(PG_FUNCTION_ARGS)
{
	int			count;
	int32	   *modifiers = ArrayGetIntegerTypmods(PG_GETARG_ARRAYTYPE_P(0), &count);

	if (count != 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("type embedding takes one modifier, its dimension")));
	if (modifiers[0] < 1 || modifiers[0] > TFRS_MAX_DIM)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the dimension of type embedding must be between 1 and %d, not %d",
						TFRS_MAX_DIM, modifiers[0])));
	PG_RETURN_INT32(modifiers[0]);
}

Datum
tfrs_embedding_typmod_out(PG_FUNCTION_ARGS)
{
	PG_RETURN_CSTRING(psprintf("(%d)", PG_GETARG_INT32(0)));
}

/* embedding -> embedding(n) */
Datum
tfrs_embedding_to_embedding(PG_FUNCTION_ARGS)
{
	tfrs_embedding *embedding = TFRS_GETARG_EMBEDDING(0);

	tfrs_embedding_check_typmod(embedding->dim, PG_GETARG_INT32(1), NULL);
	TFRS_RETURN_EMBEDDING(embedding);
}

static void
check_array(ArrayType *array)
{
	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("only a one-dimensional array can become an embedding")));
	if (array_contains_nulls(array))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("an embedding cannot have NULL elements")));
	tfrs_embedding_check_dim(ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)), NULL);
}

static float
element_to_float(Datum element, Oid type)
{
	switch (type)
	{
		case FLOAT4OID:
			return DatumGetFloat4(element);
		case FLOAT8OID:
			return DatumGetFloat4(DirectFunctionCall1(dtof, element));
		case INT4OID:
			return DatumGetFloat4(DirectFunctionCall1(i4tof, element));
		case NUMERICOID:
			return DatumGetFloat4(DirectFunctionCall1(numeric_float4, element));
	}
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("an array of type %s cannot become an embedding", format_type_be(type))));
}

/* real[], double precision[], numeric[], integer[] -> embedding(n) */
Datum
tfrs_array_to_embedding(PG_FUNCTION_ARGS)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(0);
	Oid			type = ARR_ELEMTYPE(array);
	int16		length;
	bool		by_value;
	char		alignment;
	Datum	   *elements;
	int			dim;
	tfrs_embedding *embedding;

	check_array(array);
	get_typlenbyvalalign(type, &length, &by_value, &alignment);
	deconstruct_array(array, type, length, by_value, alignment, &elements, NULL, &dim);
	tfrs_embedding_check_typmod(dim, PG_GETARG_INT32(1), NULL);
	embedding = tfrs_embedding_make(dim);
	for (int i = 0; i < dim; i++)
		embedding->values[i] = element_to_float(elements[i], type);
	tfrs_embedding_check_finite(embedding->values, dim, NULL);
	TFRS_RETURN_EMBEDDING(embedding);
}

/* embedding -> real[] */
Datum
tfrs_embedding_to_array(PG_FUNCTION_ARGS)
{
	tfrs_embedding *embedding = TFRS_GETARG_EMBEDDING(0);
	Datum	   *elements = palloc(embedding->dim * sizeof(Datum));

	for (int i = 0; i < embedding->dim; i++)
		elements[i] = Float4GetDatum(embedding->values[i]);
	PG_RETURN_ARRAYTYPE_P(construct_array(elements, embedding->dim, FLOAT4OID, sizeof(float4),
										  true, TYPALIGN_INT));
}
