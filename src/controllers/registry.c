/* registry.c: the list of controllers. */
#include "controllers/planner.h"

extern const struct planner replicaset_planner, replicationcontroller_planner, deployment_planner;

const struct planner *const planners[] = {
	&deployment_planner,
	&replicaset_planner,
	&replicationcontroller_planner,
	NULL,
};
