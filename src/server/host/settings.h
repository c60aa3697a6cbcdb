/*
 * settings.h: the configuration parameters; only this module defines any.
 */
#ifndef TFRS_SETTINGS_H
#define TFRS_SETTINGS_H

#include "postgres.h"

extern void tfrs_settings_define(void);

/* Threads for training, building and top_k_many: tfrs.threads within tfrs.max_threads and the
 * cores this process may use (affinity and cgroup quota). */
extern int	tfrs_settings_threads(void);

/* tfrs.max_memory: bytes that one training or build may take beside the rows it collects; SIZE_MAX
 * where there is no limit. */
extern size_t tfrs_settings_memory_bytes(void);

/* Bytes the session cache of models and indexes may hold. */
extern size_t tfrs_settings_cache_bytes(void);

/* tfrs.log_progress: one NOTICE an epoch. */
extern bool tfrs_settings_log_progress(void);

#endif							/* TFRS_SETTINGS_H */
