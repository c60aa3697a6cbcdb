/*
 * spool.c: BufFile behind the core's spool functions.
 *
 * A BufFile has one position for reading and writing, so both seek first; a seek within its buffer
 * costs nothing.  Errors of the file system are raised by BufFile itself: the core holds arena
 * memory only, so it may be left by a jump.
 */
#include "server/host/spool.h"

#include "storage/buffile.h"

#include "server/host/compat.h"

typedef struct spool
{
	BufFile    *file;
	size_t		size;			/* bytes appended so far */
} spool;

static void *
spool_create(void *context)
{
	tfrs_spools *spools = context;
	MemoryContext old_context = MemoryContextSwitchTo(spools->context);
	ResourceOwner old_owner = CurrentResourceOwner;
	spool	   *result = palloc0(sizeof(*result));

	if (!spools->lasting)
		CurrentResourceOwner = spools->owner;
	result->file = BufFileCreateTemp(spools->lasting);
	CurrentResourceOwner = old_owner;
	MemoryContextSwitchTo(old_context);
	return result;
}

static bool
spool_append(void *handle, const void *bytes, size_t count)
{
	spool	   *spool = handle;

	if (BufFileSeek(spool->file, 0, (off_t) spool->size, SEEK_SET) != 0)
		return false;
	BufFileWrite(spool->file, (void *) bytes, count);
	spool->size += count;
	return true;
}

static bool
spool_read(void *handle, size_t offset, void *bytes, size_t count)
{
	spool	   *spool = handle;

	return BufFileSeek(spool->file, 0, (off_t) offset, SEEK_SET) == 0 &&
		BufFileRead(spool->file, bytes, count) == count;
}

static void
spool_close(void *handle)
{
	spool	   *spool = handle;

	BufFileClose(spool->file);
	pfree(spool);
}

void
tfrs_spools_init(tfrs_spools *spools, MemoryContext context, bool lasting)
{
	spools->functions = (tfrs_spool_functions) {
		spools, spool_create, spool_append, spool_read, spool_close
	};
	spools->context = context;
	spools->owner = CurrentResourceOwner;
	spools->lasting = lasting;
}
