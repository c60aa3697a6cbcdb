/*
 * cores.h: how many processors this process may use.
 */
#ifndef TFRS_CORES_H
#define TFRS_CORES_H

/* At least 1: the affinity mask, and where a control group has a CPU quota at most that, rounded
 * up.  The host's own number is never asked: in a container it is somebody else's. */
extern int	tfrs_cores(void);

#endif							/* TFRS_CORES_H */
