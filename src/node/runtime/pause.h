/* pause.h: the first process of a PID namespace that a pod's containers share. */
#ifndef SAMPAN_RUNTIME_PAUSE_H
#define SAMPAN_RUNTIME_PAUSE_H

#include "base/base.h"

/* `sampan pause`, which only pause_start() runs. */
int pause_main(int argc, char **argv);
/* Starts it in the pod's cgroup and pins its PID namespace at ns_path. Job threads. */
int pause_start(const char *cgroup_parent, const char *ns_path, int *ret_pid, struct err *err);

#endif
