/*
 * rules.h: what the files of this folder share: the strategies, and what all kinds with pods in
 * them do alike.
 */
#ifndef SAMPAN_RESOURCES_RULES_H
#define SAMPAN_RESOURCES_RULES_H

#include "apiserver/apiserver.h"
#include "apiserver/meta.h"
#include "apiserver/server.h"
#include "apiserver/strategy.h"
#include "apiserver/validation/names.h"
#include "apiserver/validation/pod.h"

/* pod_defaults.c: what the schema cannot say because it depends on other fields */
void default_pod_spec(struct v1_pod_spec *spec, struct arena *a);
void default_pod(struct v1_pod *pod, struct arena *a);
/* Rounds quantities up to thousandths, as every ResourceList is when it comes in. */
void default_resource_list(struct str_map *m, struct arena *a);
/* Removes fields whose feature is off in this version; old NULL on create. */
void drop_disabled_pod_fields(struct v1_pod_spec *spec, const struct v1_pod_spec *old);

/* template.c */
struct pod_opts pod_opts_of(const struct strategy_ctx *ctx, bool is_pod);
void warn_template(
	struct strategy_ctx *ctx, const struct v1_pod_template_spec *t, const struct field_path *p);
/* "metadata.name: this is used in Pod names and hostnames …" */
void warn_pod_names(struct strategy_ctx *ctx, struct str name, const char *what);
void warn_all(struct strategy_ctx *ctx, struct str_vec lines);

/* ObjectMeta once more, where upstream's validation of an update checks the whole object again */
void revalidate_meta(const struct strategy_ctx *ctx, const struct meta_v1_object_meta *m,
	struct field_errors *errs);
bool is_status(const struct strategy_ctx *ctx);
void validate_immutable_str(
	struct str now, struct str old, const struct field_path *p, struct field_errors *e);

extern const struct strategy certificate_signing_request_strategy, config_map_strategy,
	priority_class_strategy, runtime_class_strategy,
	storage_class_strategy, horizontal_pod_autoscaler_strategy, ingress_strategy,
	ingress_class_strategy, network_policy_strategy,
	persistent_volume_strategy, persistent_volume_claim_strategy,
	pod_disruption_budget_strategy, cron_job_strategy, daemon_set_strategy, deployment_strategy,
	job_strategy, stateful_set_strategy, endpoint_slice_strategy, endpoints_strategy,
	event_strategy, lease_strategy, limit_range_strategy, mutating_webhook_configuration_strategy, mutating_admission_policy_strategy,
	mutating_admission_policy_binding_strategy, validating_admission_policy_strategy,
	validating_admission_policy_binding_strategy,
	validating_webhook_configuration_strategy, namespace_strategy, node_strategy,
	pod_strategy, pod_template_strategy, replica_set_strategy, replication_controller_strategy,
	resource_quota_strategy, secret_strategy, service_account_strategy, service_strategy,
	role_strategy, cluster_role_strategy, role_binding_strategy, cluster_role_binding_strategy,
	ip_address_strategy, service_cidr_strategy, controller_revision_strategy;

/* rows.c: only how rows look */
extern const struct strategy csi_driver_strategy, csi_node_strategy, csi_storage_capacity_strategy,
	volume_attachment_strategy, volume_attributes_class_strategy, flow_schema_strategy,
	priority_level_configuration_strategy;

/* metrics.c: only how rows look */
extern const struct strategy component_status_strategy, node_metrics_strategy, pod_metrics_strategy;

#endif
