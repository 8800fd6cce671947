/* registry.c: the list of controllers. */
#include "controllers/planner.h"

extern const struct planner daemonset_planner, deployment_planner, endpoints_planner,
	endpointslice_planner, gc_planner, namespace_planner, nodeipam_planner,
	nodelifecycle_planner, podgc_planner, replicaset_planner, replicationcontroller_planner,
	rootca_planner, serviceaccount_planner, statefulset_planner, taint_eviction_planner;

const struct planner *const planners[] = {
	&daemonset_planner,
	&deployment_planner,
	&endpoints_planner,
	&endpointslice_planner,
	&gc_planner,
	&namespace_planner,
	&nodeipam_planner,
	&nodelifecycle_planner,
	&podgc_planner,
	&replicaset_planner,
	&replicationcontroller_planner,
	&rootca_planner,
	&serviceaccount_planner,
	&statefulset_planner,
	&taint_eviction_planner,
	NULL,
};
