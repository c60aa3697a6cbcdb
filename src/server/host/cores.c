/*
 * cores.c: the affinity mask and the CPU quota of the control groups above this process.
 *
 * /proc/self/cgroup names the group, once for version 2 ("0::/path") and once a hierarchy for
 * version 1 ("4:cpu,cpuacct:/path").  Every group from there up to the root may have a quota; the
 * smallest counts.  In a container the path may name groups that are not visible: they are skipped,
 * and the visible root is read all the same.  A file that is not there or not understood is no
 * quota.  The answer is kept: neither mask nor quota changes often, and a batch job should not
 * change its number of threads in the middle.
 */
#include "postgres.h"

#include <math.h>
#include <sched.h>
#include <unistd.h>

#include "storage/fd.h"

#include "server/host/cores.h"

static int
cores_by_affinity(void)
{
#ifdef CPU_COUNT
	cpu_set_t	set;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		return CPU_COUNT(&set);
#endif
	return (int) sysconf(_SC_NPROCESSORS_ONLN);
}

/* The first line of a file, or false. */
static bool
read_line(const char *path, char *line, size_t size)
{
	FILE	   *file = AllocateFile(path, "r");
	bool		found;

	if (file == NULL)
		return false;
	found = fgets(line, (int) size, file) != NULL;
	FreeFile(file);
	return found;
}

/* Cores that the group in this directory allows, INFINITY where it sets no quota. */
static double
quota_of_group(const char *directory, bool version_1)
{
	char		path[MAXPGPATH + 32];
	char		line[128];
	double		quota = -1;
	double		period = 0;

	if (version_1)
	{
		snprintf(path, sizeof(path), "%s/cpu.cfs_quota_us", directory);
		if (read_line(path, line, sizeof(line)))
			quota = strtod(line, NULL);
		snprintf(path, sizeof(path), "%s/cpu.cfs_period_us", directory);
		if (read_line(path, line, sizeof(line)))
			period = strtod(line, NULL);
	}
	else
	{
		/* "max 100000" or "150000 100000" */
		snprintf(path, sizeof(path), "%s/cpu.max", directory);
		if (read_line(path, line, sizeof(line)) && sscanf(line, "%lf %lf", &quota, &period) != 2)
			quota = -1;
	}
	return quota > 0 && period > 0 ? quota / period : INFINITY;
}

/* The smallest quota of the group and of all above it; root is where the hierarchy is mounted. */
static double
quota_of_path(const char *root, const char *group, bool version_1)
{
	char		directory[MAXPGPATH];
	double		least = INFINITY;

	snprintf(directory, sizeof(directory), "%s%s", root, group);
	for (;;)
	{
		char	   *slash;

		least = Min(least, quota_of_group(directory, version_1));
		slash = strrchr(directory, '/');
		if (strlen(directory) <= strlen(root) || slash == NULL)
			return least;
		*slash = '\0';
	}
}

/* true where the comma-separated list of controllers holds "cpu". */
static bool
controls_cpu(const char *controllers)
{
	const char *at = controllers;

	while (*at != '\0')
	{
		size_t		length = strcspn(at, ",");

		if (length == 3 && strncmp(at, "cpu", 3) == 0)
			return true;
		at += length + (at[length] == ',');
	}
	return false;
}

static double
cores_by_quota(void)
{
	FILE	   *file = AllocateFile("/proc/self/cgroup", "r");
	char		line[MAXPGPATH];
	double		least = INFINITY;

	if (file == NULL)
		return least;
	while (fgets(line, sizeof(line), file) != NULL)
	{
		char	   *controllers = strchr(line, ':');
		char	   *group = controllers == NULL ? NULL : strchr(controllers + 1, ':');

		if (group == NULL)
			continue;
		*controllers++ = '\0';
		*group++ = '\0';
		group[strcspn(group, "\n")] = '\0';
		if (*controllers == '\0')
			least = Min(least, quota_of_path("/sys/fs/cgroup", group, false));
		else if (controls_cpu(controllers))
			least = Min(least, quota_of_path("/sys/fs/cgroup/cpu", group, true));
	}
	FreeFile(file);
	return least;
}

int
tfrs_cores(void)
{
	static int	cores = 0;

	if (cores == 0)
	{
		double		quota = ceil(cores_by_quota());
		int			affinity = Max(1, cores_by_affinity());

		cores = quota < affinity ? Max(1, (int) quota) : affinity;
	}
	return cores;
}
