/* registry.c: the list of controllers. */
#include "controllers/planner.h"

extern const struct planner bootstrap_signer_planner, csr_approving_planner, csr_cleaner_planner,
	csr_signing_planner, token_cleaner_planner;
extern const struct planner cluster_role_aggregation_planner, daemonset_planner, deployment_planner,
	endpoints_planner, endpointslice_planner, gc_planner, namespace_planner, nodeipam_planner,
	nodelifecycle_planner, podgc_planner, pv_protection_planner, pvc_protection_planner,
	replicaset_planner, replicationcontroller_planner, resourcequota_planner, rootca_planner,
	serviceaccount_planner, statefulset_planner, taint_eviction_planner;
extern const struct planner endpointslicemirroring_planner, policy_status_planner,
	servicecidrs_planner, vac_protection_planner;

const struct planner *const planners[] = {
	&bootstrap_signer_planner,
	&cluster_role_aggregation_planner,
	&csr_approving_planner,
	&csr_cleaner_planner,
	&csr_signing_planner,
	&daemonset_planner,
	&deployment_planner,
	&endpoints_planner,
	&endpointslice_planner,
	&endpointslicemirroring_planner,
	&gc_planner,
	&namespace_planner,
	&nodeipam_planner,
	&nodelifecycle_planner,
	&podgc_planner,
	&policy_status_planner,
	&pv_protection_planner,
	&pvc_protection_planner,
	&replicaset_planner,
	&replicationcontroller_planner,
	&resourcequota_planner,
	&rootca_planner,
	&serviceaccount_planner,
	&servicecidrs_planner,
	&statefulset_planner,
	&taint_eviction_planner,
	&token_cleaner_planner,
	&vac_protection_planner,
	NULL,
};
