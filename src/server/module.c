/*
 * module.c: what happens once in each backend that loads the library.
 */
#include "postgres.h"

#include "fmgr.h"

#include "server/settings.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

void
_PG_init(void)
{
	tfrs_settings_define();
}
