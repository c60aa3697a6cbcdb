/*
 * parameters.c: values of C become parameters of SQL statements.
 */
#include "server/recommender/parameters.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

void
tfrs_parameters_add(tfrs_parameters *parameters, Oid type, Datum value, bool null)
{
	Assert(parameters->count < TFRS_MOST_PARAMETERS);
	parameters->types[parameters->count] = type;
	parameters->values[parameters->count] = value;
	parameters->nulls[parameters->count] = null ? 'n' : ' ';
	parameters->count++;
}

void
tfrs_parameters_integer(tfrs_parameters *parameters, int64 value)
{
	tfrs_parameters_add(parameters, INT8OID, Int64GetDatum(value), false);
}

void
tfrs_parameters_version(tfrs_parameters *parameters, int version)
{
	tfrs_parameters_add(parameters, INT4OID, Int32GetDatum(version), version == 0);
}

void
tfrs_parameters_float(tfrs_parameters *parameters, double value)
{
	tfrs_parameters_add(parameters, FLOAT8OID, Float8GetDatum(value), isnan(value));
}

void
tfrs_parameters_text(tfrs_parameters *parameters, const char *value)
{
	tfrs_parameters_add(parameters, TEXTOID, value == NULL ? (Datum) 0 : CStringGetTextDatum(value),
				  value == NULL);
}

void
tfrs_parameters_jsonb(tfrs_parameters *parameters, const Jsonb *value)
{
	tfrs_parameters_add(parameters, JSONBOID, JsonbPGetDatum(value), value == NULL);
}

void
tfrs_parameters_floats(tfrs_parameters *parameters, ArrayType *value)
{
	tfrs_parameters_add(parameters, FLOAT8ARRAYOID, PointerGetDatum(value), value == NULL);
}

void
tfrs_parameters_array(tfrs_parameters *parameters, ArrayType *value)
{
	tfrs_parameters_add(parameters, get_array_type(ARR_ELEMTYPE(value)), PointerGetDatum(value),
						false);
}
