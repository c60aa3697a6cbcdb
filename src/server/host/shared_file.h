/*
 * shared_file.h: disposable files of all sessions: the memory of the shared cache, and records.
 *
 * A file lies in the server's directory for temporary files, base/pgsql_tmp, under a name that the
 * server removes when it starts.  It is written under a private name and then renamed, so under its
 * name there are only whole files, which nobody changes any more.  A file may be removed at any
 * time: who has it mapped keeps what it holds.
 *
 * Whatever goes wrong (no space, no right to write, no directory) is no error: the caller is told
 * and does without.
 */
#ifndef TFRS_SHARED_FILE_H
#define TFRS_SHARED_FILE_H

#include "postgres.h"

/* A name without a directory: letters, digits and underscores. */
#define TFRS_SHARED_NAME_BYTES 100

typedef struct tfrs_shared_file tfrs_shared_file;

/*
 * Maps the file read only, until context is reset, and marks it as used just now.  NULL: there is
 * none.  Pages are read in when they are touched.
 */
extern const void *tfrs_shared_file_map(const char *name, MemoryContext context, size_t *length);

/* Marks a file as used just now; false where it is no longer there. */
extern bool tfrs_shared_file_touch(const char *name);

/*
 * Begins a file of that many bytes after removing those used longest ago that would not fit beside
 * it within limit.  It is private until published, and gone with context before that.
 */
extern tfrs_shared_file *tfrs_shared_file_create(MemoryContext context, size_t bytes,
												 size_t limit);
extern bool tfrs_shared_file_append(tfrs_shared_file *file, const void *bytes, size_t count);

/* Maps what was written, until context is reset.  NULL: failed. */
extern const void *tfrs_shared_file_map_private(tfrs_shared_file *file, MemoryContext context);

/* Gives the file its name for all sessions; where that fails it stays private. */
extern void tfrs_shared_file_publish(tfrs_shared_file *file, const char *name);

/* Closes and, unless it was published, removes the file; maps of it stay. */
extern void tfrs_shared_file_close(tfrs_shared_file *file);

/* Calls visit for each published file whose name begins so. */
extern void tfrs_shared_file_list(const char *beginning,
								  void (*visit) (const char *name, size_t bytes, void *context),
								  void *context);

extern void tfrs_shared_file_remove(const char *name);

/*
 * Records: a file that is written in place, which neither list nor the limit of create knows.  put
 * makes what is missing and returns whether it wrote all bytes; get returns how many it could read,
 * of which some may be from before and some from after a put at the same time.
 */
extern bool tfrs_shared_file_put(const char *name, size_t offset, const void *bytes, size_t count);
extern size_t tfrs_shared_file_get(const char *name, size_t offset, void *bytes, size_t count);

#endif							/* TFRS_SHARED_FILE_H */
