/*
 * block_type.c: input and output of values that are blocks.
 *
 * A value may have 640 MB, so text is made and read in pieces with a look at a cancel between them,
 * and a block is read in straight into the value that is returned.  Base64 is the server's own, in
 * the form without line ends: with them, and with the escape of each in COPY, the text of the
 * largest block would come closer to 1 GB than is good.
 *
 * What the input functions do not trust: the length, the encoding, the header and the table of
 * parts (tfrs_block_open), the digest (a value with a wrong digest could pass for another one in a
 * cache), and the meaning of every part (the type's own check).
 */
#include "server/values/block_type.h"

#include "common/base64.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "nodes/nodes.h"
#include "utils/builtins.h"

/* Bytes of a block that are encoded or decoded between two looks at a cancel; a multiple of 3, so
 * that only the last piece has padding. */
#define PIECE_BYTES ((size_t) 3 * 1024 * 1024)
#define PIECE_TEXT (PIECE_BYTES / 3 * 4)

tfrs_block_value *
tfrs_block_value_make(size_t bytes)
{
	tfrs_block_value *value;

	Assert(bytes <= TFRS_MAX_BLOCK_BYTES);
	value = palloc(TFRS_BLOCK_VALUE_HEADER + bytes);
	SET_VARSIZE(value, TFRS_BLOCK_VALUE_HEADER + bytes);
	value->zero = 0;
	return value;
}

tfrs_status
tfrs_block_value_verify(const tfrs_block *block, tfrs_error *error)
{
	tfrs_block_check check;
	tfrs_status status;

	tfrs_block_check_begin(&check, block);
	while ((status = tfrs_block_check_step(&check, error)) == TFRS_MORE)
		CHECK_FOR_INTERRUPTS();
	return status;
}

char *
tfrs_block_digest_text(const uint8_t digest[TFRS_DIGEST_BYTES])
{
	char	   *text = palloc0(2 * TFRS_DIGEST_BYTES + 1);

	hex_encode((const char *) digest, TFRS_DIGEST_BYTES, text);
	return text;
}

static tfrs_status
check_block(const tfrs_block_type *type, const void *bytes, size_t length, tfrs_error *error)
{
	tfrs_block	block;
	tfrs_status status = tfrs_block_open(&block, bytes, length, type->kind, error);

	if (status == TFRS_OK)
		status = tfrs_block_value_verify(&block, error);
	if (status == TFRS_OK)
		status = type->check(&block, error);
	return status;
}

/* The one wording of a refusal.  sqlstate: the text or the binary form's. */
static Datum
refuse(const tfrs_block_type *type, Node *context, int sqlstate, const tfrs_error *error)
{
	if (error->status == TFRS_NEWER_FORMAT)
		ereturn(context, (Datum) 0,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("%s", error->message),
				 errhint("%s", error->hint)));
	ereturn(context, (Datum) 0,
			(errcode(sqlstate),
			 errmsg("invalid %s value", type->name),
			 error->detail[0] != '\0' ? errdetail("%s", error->detail)
			 : errdetail("%c%s.", pg_toupper((unsigned char) error->message[0]),
						 error->message + 1),
			 type->hint == NULL ? 0 : errhint("%s", type->hint)));
}

/* A refusal by this module; why is a sentence. */
static tfrs_status
fail(tfrs_error *error, const char *why)
{
	tfrs_fail(error, TFRS_CORRUPT, "invalid value");
	tfrs_error_detail(error, "%s", why);
	return TFRS_CORRUPT;
}

static tfrs_status
check_length(size_t bytes, tfrs_error *error)
{
	if (bytes <= TFRS_MAX_BLOCK_BYTES)
		return TFRS_OK;
	return fail(error, psprintf("It has %zu bytes; at most %zu are allowed.", bytes,
								TFRS_MAX_BLOCK_BYTES));
}

/* Bytes that base64 text of that length stands for. */
static tfrs_status
decoded_length(const char *text, size_t length, size_t *bytes, tfrs_error *error)
{
	if (length == 0 || length % 4 != 0)
		return fail(error, "The text is not base64, or it is cut off.");
	*bytes = length / 4 * 3 - (text[length - 1] == '=') - (text[length - 2] == '=');
	return check_length(*bytes, error);
}

static tfrs_status
decode(const char *text, char *target, size_t bytes, tfrs_error *error)
{
	for (size_t done = 0; done < bytes; done += PIECE_BYTES)
	{
		size_t		want = Min(PIECE_BYTES, bytes - done);
		void	   *piece = target + done;

		CHECK_FOR_INTERRUPTS();
		if (pg_b64_decode(text, (int) ((want + 2) / 3 * 4), piece, (int) want) != (int) want)
			return fail(error, "The text is not base64.");
		text += PIECE_TEXT;
	}
	return TFRS_OK;
}

Datum
tfrs_block_type_in(FunctionCallInfo fcinfo, const tfrs_block_type *type)
{
	const char *text = PG_GETARG_CSTRING(0);
	tfrs_block_value *value = NULL;
	size_t		bytes = 0;
	tfrs_error	error = {0};
	tfrs_status status = decoded_length(text, strlen(text), &bytes, &error);

	if (status == TFRS_OK)
	{
		value = tfrs_block_value_make(bytes);
		status = decode(text, (char *) value->block, bytes, &error);
	}
	if (status == TFRS_OK)
		status = check_block(type, value->block, bytes, &error);
	if (status != TFRS_OK)
		return refuse(type, fcinfo->context, ERRCODE_INVALID_TEXT_REPRESENTATION, &error);
	PG_RETURN_POINTER(value);
}

Datum
tfrs_block_type_out(FunctionCallInfo fcinfo)
{
	const void *value = PG_DETOAST_DATUM(PG_GETARG_DATUM(0));
	size_t		bytes;
	const char *block = tfrs_block_value_bytes(value, &bytes);
	size_t		length = (bytes + 2) / 3 * 4;
	char	   *text = palloc(length + 1);
	char	   *target = text;

	for (size_t done = 0; done < bytes; done += PIECE_BYTES)
	{
		int			piece = (int) Min(PIECE_BYTES, bytes - done);
		const void *source = block + done;

		CHECK_FOR_INTERRUPTS();
		target += pg_b64_encode(source, piece, target, (piece + 2) / 3 * 4);
	}
	text[length] = '\0';
	PG_RETURN_CSTRING(text);
}

Datum
tfrs_block_type_recv(FunctionCallInfo fcinfo, const tfrs_block_type *type)
{
	StringInfo	message = (StringInfo) PG_GETARG_POINTER(0);
	size_t		bytes = (size_t) (message->len - message->cursor);
	tfrs_block_value *value = NULL;
	tfrs_error	error = {0};
	tfrs_status status = check_length(bytes, &error);

	if (status == TFRS_OK)
	{
		value = tfrs_block_value_make(bytes);
		pq_copymsgbytes(message, (char *) value->block, (int) bytes);
		status = check_block(type, value->block, bytes, &error);
	}
	if (status != TFRS_OK)
		return refuse(type, fcinfo->context, ERRCODE_INVALID_BINARY_REPRESENTATION, &error);
	PG_RETURN_POINTER(value);
}

/* A bytea of the block alone: the four zero bytes are of this server's memory, not of the value. */
Datum
tfrs_block_type_send(FunctionCallInfo fcinfo)
{
	const void *value = PG_DETOAST_DATUM(PG_GETARG_DATUM(0));
	size_t		bytes;
	const char *block = tfrs_block_value_bytes(value, &bytes);
	bytea	   *result = palloc(VARHDRSZ + bytes);

	SET_VARSIZE(result, VARHDRSZ + bytes);
	memcpy(VARDATA(result), block, bytes);
	PG_RETURN_BYTEA_P(result);
}
