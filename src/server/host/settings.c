/*
 * settings.c: the parameters tfrs.*.
 *
 * What one user may take from all others (threads, memory, cache) is capped by parameters that only
 * a superuser sets (or a role granted SET on them, from 15 on); the rest is anybody's.  None of
 * them changes a result beyond the last bits of a float (tfrs.kernels).
 */
#include "server/host/settings.h"

#include <limits.h>

#include "miscadmin.h"
#include "utils/guc.h"

#include "base/kernels.h"
#include "base/limits.h"
#include "base/matmul.h"
#include "server/host/compat.h"
#include "server/host/cores.h"

/* Room for a largest block and what else is used beside it: what does not fit is read anew. */
#define CACHE_SIZE_KB (1024 * 1024)

typedef enum kernel_choice
{
	KERNELS_AUTO,
	KERNELS_REFERENCE
} kernel_choice;

static const struct config_enum_entry kernel_choices[] = {
	{"auto", KERNELS_AUTO, false},
	{"reference", KERNELS_REFERENCE, false},
	{NULL, 0, false}
};

static int	threads = 0;
static int	max_threads = TFRS_MAX_THREADS;
static int	max_memory_kb = 4 * 1024 * 1024;
static int	cache_size_kb = CACHE_SIZE_KB;
static bool log_progress = false;
static int	kernels = KERNELS_AUTO;

static void
assign_kernels(int value, void *extra)
{
	(void) extra;
	tfrs_kernels_choose(value == KERNELS_AUTO);
	tfrs_matmul_use_blas(value == KERNELS_AUTO);
}

static void
define_shares(void)
{
	DefineCustomIntVariable("tfrs.threads",
							"Threads for training, building an index and tfrs.top_k_many.",
							"0 means 1 + max_parallel_maintenance_workers, at most the cores. "
							"The number never changes a result.",
							&threads, 0, 0, TFRS_MAX_THREADS,
							PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("tfrs.max_threads",
							"Limit of tfrs.threads.",
							NULL,
							&max_threads, TFRS_MAX_THREADS, 1, TFRS_MAX_THREADS,
							PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("tfrs.max_memory",
							"Memory that one training, evaluation, index build or search may take "
							"beside the rows it collects (those are bounded by "
							"maintenance_work_mem).",
							"The distinct ids of the rows count. 0 means no limit.",
							&max_memory_kb, 4 * 1024 * 1024, 0, MAX_KILOBYTES,
							PGC_SUSET, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable("tfrs.cache_size",
							"Memory for models and indexes that are kept ready for use.",
							NULL,
							&cache_size_kb, CACHE_SIZE_KB, 0, MAX_KILOBYTES,
							PGC_SUSET, GUC_UNIT_KB, NULL, NULL, NULL);
}

void
tfrs_settings_define(void)
{
	define_shares();
	DefineCustomBoolVariable("tfrs.log_progress",
							 "Sends a notice after each epoch of a training.",
							 NULL,
							 &log_progress, false,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomEnumVariable("tfrs.kernels",
							 "Inner loops: the fastest for this processor, or the plain C ones.",
							 "\"reference\" gives the same bits on every processor.",
							 &kernels, KERNELS_AUTO, kernel_choices,
							 PGC_USERSET, 0, NULL, assign_kernels, NULL);
	MarkGUCPrefixReserved("tfrs");
}

int
tfrs_settings_threads(void)
{
	int			wanted = threads > 0 ? threads : 1 + max_parallel_maintenance_workers;

	return Max(1, Min(Min(wanted, max_threads), Min(tfrs_cores(), TFRS_MAX_THREADS)));
}

size_t
tfrs_settings_memory_bytes(void)
{
	return max_memory_kb == 0 ? SIZE_MAX : (size_t) max_memory_kb * 1024;
}

size_t
tfrs_settings_cache_bytes(void)
{
	return (size_t) cache_size_kb * 1024;
}

bool
tfrs_settings_log_progress(void)
{
	return log_progress;
}
