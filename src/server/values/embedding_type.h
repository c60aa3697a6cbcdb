/*
 * embedding_type.h: the SQL type tfrs.embedding, a vector of 1 to 16,000 finite float4.
 *
 * The checking functions hold the one wording of each mistake; other modules call them rather than
 * raise their own.  Those that input functions use take an escontext: NULL raises, an
 * ErrorSaveContext (16 and later) takes the error and the function returns false.
 */
#ifndef TFRS_EMBEDDING_TYPE_H
#define TFRS_EMBEDDING_TYPE_H

#include "postgres.h"

#include "fmgr.h"
#include "nodes/nodes.h"

#include "base/limits.h"
#include "server/host/compat.h"

/* The stored form: a varlena, aligned to 4, never compressed (floats do not compress). */
typedef struct tfrs_embedding
{
	int32		vl_len_;		/* do not touch: SET_VARSIZE, VARSIZE */
	int16		dim;			/* D, 1 to TFRS_MAX_DIM */
	int16		unused;			/* zero */
	float		values[FLEXIBLE_ARRAY_MEMBER];	/* (D), all finite */
} tfrs_embedding;

#define TFRS_EMBEDDING_SIZE(dim) (offsetof(tfrs_embedding, values) + (Size) (dim) * sizeof(float))

/* The detoasted value; checks that its size is that of its dimension, so that damaged bytes on
 * disk cannot lead past its end. */
extern tfrs_embedding *tfrs_embedding_of_datum(Datum datum);

#define TFRS_GETARG_EMBEDDING(n) tfrs_embedding_of_datum(PG_GETARG_DATUM(n))
#define TFRS_RETURN_EMBEDDING(embedding) PG_RETURN_POINTER(embedding)

/* A new value with dim checked; its elements are the caller's to fill. */
extern tfrs_embedding *tfrs_embedding_make(int dim);

/* A new value with a copy of these elements, checked to be finite. */
extern tfrs_embedding *tfrs_embedding_copy(const float *values, int dim);

/* 1 <= dim <= TFRS_MAX_DIM */
extern bool tfrs_embedding_check_dim(int dim, Node *escontext);

/* typmod -1, or equal to dim */
extern bool tfrs_embedding_check_typmod(int dim, int32 typmod, Node *escontext);

/* no NaN, no infinity: for elements that come from outside */
extern bool tfrs_embedding_check_finite(const float *values, int dim, Node *escontext);

/* equal dimensions */
extern void tfrs_embedding_check_same_dim(int a, int b);

#endif							/* TFRS_EMBEDDING_TYPE_H */
