/*
 * model_type.c: input, output and reading of tfrs.model.
 *
 * There are no comparison operators: two models are compared by the digest in tfrs.model_info.
 */
#include "server/model_type.h"

#include "server/bridge.h"

static tfrs_status
check_model(const void *bytes, size_t length, tfrs_error *error)
{
	tfrs_model	model;

	return tfrs_model_load(&model, bytes, length, error);
}

const tfrs_block_type tfrs_model_type = {"tfrs.model", TFRS_BLOCK_MODEL, check_model};

void
tfrs_model_of_value(tfrs_model *model, const void *value)
{
	tfrs_error	error;
	size_t		length;
	const void *bytes = tfrs_block_value_bytes(value, &length);

	tfrs_check(tfrs_model_load(model, bytes, length, &error), &error);
}

PG_FUNCTION_INFO_V1(tfrs_model_in);
PG_FUNCTION_INFO_V1(tfrs_model_out);
PG_FUNCTION_INFO_V1(tfrs_model_recv);
PG_FUNCTION_INFO_V1(tfrs_model_send);

Datum
tfrs_model_in(PG_FUNCTION_ARGS)
{
	return tfrs_block_type_in(fcinfo, &tfrs_model_type);
}

Datum
tfrs_model_out(PG_FUNCTION_ARGS)
{
	return tfrs_block_type_out(fcinfo);
}

Datum
tfrs_model_recv(PG_FUNCTION_ARGS)
{
	return tfrs_block_type_recv(fcinfo, &tfrs_model_type);
}

Datum
tfrs_model_send(PG_FUNCTION_ARGS)
{
	return tfrs_block_type_send(fcinfo);
}
