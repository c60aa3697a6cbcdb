/*
 * module.c: what happens once in each backend that loads the library.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "server/host/settings.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

void
_PG_init(void)
{
	tfrs_settings_define();
}

PG_FUNCTION_INFO_V1(tfrs_version);

Datum
tfrs_version(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(TFRS_VERSION));
}
