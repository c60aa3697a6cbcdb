/*
 * parameters.h: parameters of an SQL statement, in the form that the SPI takes.
 */
#ifndef TFRS_PARAMETERS_H
#define TFRS_PARAMETERS_H

#include "postgres.h"

#include "utils/array.h"
#include "utils/jsonb.h"

#define TFRS_MOST_PARAMETERS 40

typedef struct tfrs_parameters
{
	int			count;
	Oid			types[TFRS_MOST_PARAMETERS];
	Datum		values[TFRS_MOST_PARAMETERS];
	char		nulls[TFRS_MOST_PARAMETERS];
} tfrs_parameters;

extern void tfrs_parameters_add(tfrs_parameters *parameters, Oid type, Datum value, bool null);

/* A NULL pointer, a NaN and a version of 0 are SQL NULL. */
extern void tfrs_parameters_integer(tfrs_parameters *parameters, int64 value);
extern void tfrs_parameters_version(tfrs_parameters *parameters, int version);
extern void tfrs_parameters_float(tfrs_parameters *parameters, double value);
extern void tfrs_parameters_text(tfrs_parameters *parameters, const char *value);
extern void tfrs_parameters_floats(tfrs_parameters *parameters, ArrayType *value);
extern void tfrs_parameters_array(tfrs_parameters *parameters, ArrayType *value);	/* not NULL */
extern void tfrs_parameters_jsonb(tfrs_parameters *parameters, const Jsonb *value);

#endif							/* TFRS_PARAMETERS_H */
