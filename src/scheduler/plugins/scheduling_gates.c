/* scheduling_gates.c: SchedulingGates: a pod with gates waits until somebody removes them. */
#include "scheduler/framework.h"

static const char *pre_enqueue(const struct pod_info *pod)
{
	return pod->pod->spec.scheduling_gates.n
		       ? "Scheduling is blocked due to non-empty scheduling gates"
		       : NULL;
}

const struct plugin scheduling_gates_plugin = {
	.name = "SchedulingGates",
	.pre_enqueue = pre_enqueue,
};
