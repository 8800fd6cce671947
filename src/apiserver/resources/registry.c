/* registry.c: the kinds that have rules of their own. */
#include "apiserver/resources/rules.h"

const struct strategy *const strategies[] = {
	&certificate_signing_request_strategy,
	&cluster_role_binding_strategy,
	&cluster_role_strategy,
	&component_status_strategy,
	&config_map_strategy,
	&controller_revision_strategy,
	&cron_job_strategy,
	&csi_driver_strategy,
	&csi_node_strategy,
	&csi_storage_capacity_strategy,
	&daemon_set_strategy,
	&deployment_strategy,
	&endpoint_slice_strategy,
	&endpoints_strategy,
	&event_strategy,
	&flow_schema_strategy,
	&horizontal_pod_autoscaler_strategy,
	&ingress_class_strategy,
	&ingress_strategy,
	&ip_address_strategy,
	&job_strategy,
	&lease_strategy,
	&limit_range_strategy,
	&mutating_admission_policy_binding_strategy,
	&mutating_admission_policy_strategy,
	&mutating_webhook_configuration_strategy,
	&namespace_strategy,
	&network_policy_strategy,
	&node_metrics_strategy,
	&node_strategy,
	&persistent_volume_claim_strategy,
	&persistent_volume_strategy,
	&pod_disruption_budget_strategy,
	&pod_metrics_strategy,
	&pod_strategy,
	&pod_template_strategy,
	&priority_class_strategy,
	&priority_level_configuration_strategy,
	&replica_set_strategy,
	&replication_controller_strategy,
	&resource_quota_strategy,
	&role_binding_strategy,
	&role_strategy,
	&runtime_class_strategy,
	&secret_strategy,
	&service_account_strategy,
	&service_cidr_strategy,
	&service_strategy,
	&stateful_set_strategy,
	&storage_class_strategy,
	&validating_admission_policy_binding_strategy,
	&validating_admission_policy_strategy,
	&validating_webhook_configuration_strategy,
	&volume_attachment_strategy,
	&volume_attributes_class_strategy,
	NULL,
};

const struct strategy *strategy_find(const struct schema_resource *res)
{
	for (size_t i = 0; strategies[i]; i++)
		if (strategies[i]->resource == res)
			return strategies[i];
	return NULL;
}
