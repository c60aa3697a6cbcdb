/*
 * shared_file.c: disposable files that all sessions map.
 *
 * No shared memory segment, so that no preload library is needed and a crash leaves nothing behind:
 * the server clears its directory for temporary files when it starts, and after a crash unless
 * remove_temp_files_after_crash is off, in which case whole files are as good as before.
 *
 * Files are written with write(2), never through a map: on a full disk that is an error code, while
 * a store to a map would be SIGBUS, and in aligned pieces of some huge pages: file systems that can
 * (ext4 since Linux 6.16, xfs) then keep them as huge pages and map them so, and a session's first
 * search costs a page fault for 2 MB instead of one for 64 kB.  A published file is never shortened
 * or written again, only removed, which leaves its maps as they are; to shorten one takes the
 * server's own user, who could as well stop the server.  They are plain files outside of the
 * server's virtual descriptors, which would remove them at the end of the session.
 */
#include "server/host/shared_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/file_perm.h"
#include "common/file_utils.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "utils/memutils.h"

#include "server/host/compat.h"

#define DIRECTORY "base/" PG_TEMP_FILES_DIR
#define PREFIX PG_TEMP_FILE_PREFIX "_tfrs_"

/* Of records: another prefix, since they are no part of the cache. */
#define RECORDS_PREFIX PG_TEMP_FILE_PREFIX "_records_"

/* Begins the names of files that are being written. */
#define PRIVATE "private_"

/* A private file that nobody has written to for so long has lost its writer. */
#define PRIVATE_SECONDS 3600

/* Written at once: a multiple of a huge page of any common processor. */
#define WRITE_BYTES ((size_t) 4 * 1024 * 1024)

struct tfrs_shared_file
{
	char		path[MAXPGPATH];
	int			descriptor;		/* -1: closed */
	bool		published;
	size_t		bytes;			/* written */
	char	   *waiting;		/* (WRITE_BYTES) not yet written; NULL once all is */
	size_t		waiting_bytes;
	MemoryContextCallback cleanup;
};

typedef struct mapping
{
	void	   *address;
	size_t		length;
	MemoryContextCallback unmap;
} mapping;

typedef struct listed_file
{
	char		path[MAXPGPATH];
	size_t		bytes;
	time_t		used;
} listed_file;

static void
path_of(char path[MAXPGPATH], const char *name)
{
	snprintf(path, MAXPGPATH, DIRECTORY "/" PREFIX "%s", name);
}

static void
unmap(void *argument)
{
	mapping    *map = argument;

	munmap(map->address, map->length);
}

static const void *
map_descriptor(int descriptor, size_t length, MemoryContext context)
{
	mapping    *map = MemoryContextAllocZero(context, sizeof(mapping));

	map->length = length;
	map->address = mmap(NULL, length, PROT_READ, MAP_SHARED, descriptor, 0);
	if (map->address == MAP_FAILED)
	{
		pfree(map);
		return NULL;
	}
#ifdef MADV_HUGEPAGE
	/* pages that memory pressure drove out come back as huge ones */
	(void) madvise(map->address, length, MADV_HUGEPAGE);
#endif
	map->unmap.func = unmap;
	map->unmap.arg = map;
	MemoryContextRegisterResetCallback(context, &map->unmap);
	return map->address;
}

const void *
tfrs_shared_file_map(const char *name, MemoryContext context, size_t *length)
{
	char		path[MAXPGPATH];
	struct stat status;
	const void *address = NULL;
	int			descriptor;

	path_of(path, name);
	descriptor = OpenTransientFile(path, O_RDONLY | PG_BINARY);
	if (descriptor < 0)
		return NULL;
	if (fstat(descriptor, &status) == 0 && status.st_size > 0)
	{
		*length = (size_t) status.st_size;
		address = map_descriptor(descriptor, *length, context);
		if (futimens(descriptor, NULL) != 0)
			ereport(DEBUG1,
					(errcode_for_file_access(),
					 errmsg("could not set the time of file \"%s\": %m", path)));
	}
	CloseTransientFile(descriptor);
	return address;
}

bool
tfrs_shared_file_touch(const char *name)
{
	char		path[MAXPGPATH];

	path_of(path, name);
	return utimensat(AT_FDCWD, path, NULL, 0) == 0 || errno != ENOENT;
}

/* Calls visit with a path and its status for each of our files. */
static void
walk(void (*visit) (const char *name, const char *path, const struct stat *status, void *context),
	 void *context)
{
	DIR		   *directory = AllocateDir(DIRECTORY);
	struct dirent *entry;

	if (directory == NULL)
		return;
	while ((entry = ReadDirExtended(directory, DIRECTORY, DEBUG1)) != NULL)
	{
		char		path[MAXPGPATH];
		struct stat status;

		if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) != 0)
			continue;
		snprintf(path, sizeof(path), DIRECTORY "/%s", entry->d_name);
		if (lstat(path, &status) == 0 && S_ISREG(status.st_mode))
			visit(entry->d_name + strlen(PREFIX), path, &status, context);
	}
	FreeDir(directory);
}

typedef struct file_list
{
	listed_file *files;
	size_t		count;
	size_t		room;
	size_t		bytes;			/* of all */
} file_list;

static bool
is_private(const char *name)
{
	return strncmp(name, PRIVATE, strlen(PRIVATE)) == 0;
}

static void
remember(const char *name, const char *path, const struct stat *status, void *context)
{
	file_list  *list = context;
	listed_file *file;

	if (is_private(name) && time(NULL) - status->st_mtime < PRIVATE_SECONDS)
		return;
	if (list->count == list->room)
	{
		list->room = list->room * 2 + 16;
		list->files = list->files == NULL ? palloc(list->room * sizeof(listed_file))
			: repalloc(list->files, list->room * sizeof(listed_file));
	}
	file = &list->files[list->count++];
	strlcpy(file->path, path, MAXPGPATH);
	file->bytes = (size_t) status->st_size;
	file->used = status->st_mtime;
	list->bytes += file->bytes;
}

static int
compare_use(const void *a, const void *b)
{
	const listed_file *left = a;
	const listed_file *right = b;

	return left->used < right->used ? -1 : left->used > right->used;
}

/* Removes the files used longest ago until bytes more fit into limit. */
static void
make_room(size_t bytes, size_t limit)
{
	file_list	list = {0};

	walk(remember, &list);
	if (list.count > 0 && list.bytes + bytes > limit)
	{
		qsort(list.files, list.count, sizeof(listed_file), compare_use);
		for (size_t i = 0; i < list.count && list.bytes + bytes > limit; i++)
		{
			unlink(list.files[i].path);
			list.bytes -= list.files[i].bytes;
		}
	}
	if (list.files != NULL)
		pfree(list.files);
}

static void
clean_up(void *argument)
{
	tfrs_shared_file_close(argument);
}

/* A plain descriptor of a file that is made where it is missing, as is its directory; -1: none. */
static int
open_to_write(const char *path, int flags)
{
	int			descriptor;

	flags |= O_RDWR | O_CREAT | PG_BINARY;
	descriptor = BasicOpenFilePerm(path, flags, S_IRUSR | S_IWUSR);
	if (descriptor < 0 && errno == ENOENT && MakePGDirectory(DIRECTORY) == 0)
		descriptor = BasicOpenFilePerm(path, flags, S_IRUSR | S_IWUSR);
	if (descriptor < 0)
		ereport(DEBUG1,
				(errcode_for_file_access(),
				 errmsg("could not create file \"%s\": %m", path)));
	return descriptor;
}

/*
 * The descriptor is a plain one, since the server closes its transient ones at the end of each
 * subtransaction; context is what closes it.
 */
tfrs_shared_file *
tfrs_shared_file_create(MemoryContext context, size_t bytes, size_t limit)
{
	tfrs_shared_file *file = MemoryContextAllocZero(context, sizeof(tfrs_shared_file));
	static uint32 number = 0;

	make_room(bytes, limit);
	snprintf(file->path, MAXPGPATH, DIRECTORY "/" PREFIX PRIVATE "%d_%u", MyProcPid, number++);
	file->descriptor = open_to_write(file->path, O_TRUNC);
	if (file->descriptor < 0)
	{
		pfree(file);
		return NULL;
	}
	file->waiting = MemoryContextAlloc(context, WRITE_BYTES);
	file->cleanup.func = clean_up;
	file->cleanup.arg = file;
	MemoryContextRegisterResetCallback(context, &file->cleanup);
	return file;
}

/* Writes what waits. */
static bool
flush(tfrs_shared_file *file)
{
	const char *next = file->waiting;
	size_t		count = file->waiting_bytes;

	while (count > 0)
	{
		ssize_t		written = write(file->descriptor, next, count);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
		{
			ereport(DEBUG1,
					(errcode_for_file_access(),
					 errmsg("could not write to file \"%s\": %m", file->path)));
			return false;
		}
		next += written;
		count -= (size_t) written;
	}
	file->bytes += file->waiting_bytes;
	file->waiting_bytes = 0;
	return true;
}

bool
tfrs_shared_file_append(tfrs_shared_file *file, const void *bytes, size_t count)
{
	const char *next = bytes;

	while (count > 0)
	{
		size_t		piece = Min(count, WRITE_BYTES - file->waiting_bytes);

		memcpy(file->waiting + file->waiting_bytes, next, piece);
		file->waiting_bytes += piece;
		next += piece;
		count -= piece;
		if (file->waiting_bytes == WRITE_BYTES && !flush(file))
			return false;
	}
	return true;
}

const void *
tfrs_shared_file_map_private(tfrs_shared_file *file, MemoryContext context)
{
	if (!flush(file))
		return NULL;
	pfree(file->waiting);
	file->waiting = NULL;
	return map_descriptor(file->descriptor, file->bytes, context);
}

void
tfrs_shared_file_publish(tfrs_shared_file *file, const char *name)
{
	char		path[MAXPGPATH];

	path_of(path, name);
	if (rename(file->path, path) == 0)
		file->published = true;
	else
		ereport(DEBUG1,
				(errcode_for_file_access(),
				 errmsg("could not rename file \"%s\" to \"%s\": %m", file->path, path)));
}

void
tfrs_shared_file_close(tfrs_shared_file *file)
{
	if (file->descriptor < 0)
		return;
	close(file->descriptor);
	file->descriptor = -1;
	if (!file->published)
		unlink(file->path);
	if (file->waiting != NULL)
		pfree(file->waiting);
	file->waiting = NULL;
}

typedef struct visitor
{
	const char *beginning;
	void		(*visit) (const char *name, size_t bytes, void *context);
	void	   *context;
} visitor;

static void
visit_published(const char *name, const char *path, const struct stat *status, void *context)
{
	const visitor *target = context;

	if (!is_private(name) && strncmp(name, target->beginning, strlen(target->beginning)) == 0)
		target->visit(name, (size_t) status->st_size, target->context);
}

void
tfrs_shared_file_list(const char *beginning,
					  void (*visit) (const char *name, size_t bytes, void *context),
					  void *context)
{
	visitor		target = {beginning, visit, context};

	walk(visit_published, &target);
}

void
tfrs_shared_file_remove(const char *name)
{
	char		path[MAXPGPATH];

	path_of(path, name);
	unlink(path);
}

static void
path_of_records(char path[MAXPGPATH], const char *name)
{
	snprintf(path, MAXPGPATH, DIRECTORY "/" RECORDS_PREFIX "%s", name);
}

/* Raises nothing, also where a transaction is being aborted. */
bool
tfrs_shared_file_put(const char *name, size_t offset, const void *bytes, size_t count)
{
	char		path[MAXPGPATH];
	ssize_t		written;
	int			descriptor;

	path_of_records(path, name);
	descriptor = open_to_write(path, 0);
	if (descriptor < 0)
		return false;
	written = pwrite(descriptor, bytes, count, (off_t) offset);
	if (written != (ssize_t) count)
		ereport(DEBUG1,
				(errcode_for_file_access(),
				 errmsg("could not write to file \"%s\": %m", path)));
	close(descriptor);
	return written == (ssize_t) count;
}

size_t
tfrs_shared_file_get(const char *name, size_t offset, void *bytes, size_t count)
{
	char		path[MAXPGPATH];
	ssize_t		got;
	int			descriptor;

	path_of_records(path, name);
	descriptor = BasicOpenFile(path, O_RDONLY | PG_BINARY);
	if (descriptor < 0)
		return 0;
	got = pread(descriptor, bytes, count, (off_t) offset);
	close(descriptor);
	return got > 0 ? (size_t) got : 0;
}
