/*
 * model_type.c: input and output of tfrs.model.
 *
 * There are no comparison operators: two models are compared by the digest in tfrs.model_info.
 */
#include "server/model_type.h"

#include "learning/model.h"

static tfrs_status
check_model(const tfrs_block *block, tfrs_error *error)
{
	tfrs_model	model;

	return tfrs_model_of_block(&model, block, error);
}

const tfrs_block_type tfrs_model_type = {"tfrs.model", TFRS_BLOCK_MODEL, check_model};

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
