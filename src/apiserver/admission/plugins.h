/* plugins.h: the admission plugins, one file each or a few small ones of one subject together.
 * registry.c puts them in order. */
#ifndef SAMPAN_ADMISSION_PLUGINS_H
#define SAMPAN_ADMISSION_PLUGINS_H

#include "apiserver/admission.h"

extern const struct admission_plugin admission_always_admit, admission_always_deny,
	admission_always_pull_images, admission_certificate_approval, admission_certificate_signing,
	admission_certificate_subject_restriction, admission_default_ingress_class,
	admission_default_storage_class, admission_default_toleration_seconds,
	admission_deny_service_external_ips, admission_event_rate_limit,
	admission_extended_resource_toleration, admission_image_policy_webhook,
	admission_limit_pod_hard_anti_affinity_topology, admission_limit_ranger,
	admission_mutating_admission_policy, admission_namespace_auto_provision,
	admission_namespace_exists, admission_namespace_lifecycle,
	admission_owner_references_permission_enforcement, admission_persistent_volume_claim_resize,
	admission_pod_node_selector, admission_pod_security, admission_pod_toleration_restriction,
	admission_pod_topology_labels, admission_priority, admission_resource_quota,
	admission_runtime_class, admission_security_context_deny, admission_service_account,
	admission_storage_object_in_use_protection, admission_taint_nodes_by_condition,
	admission_validating_admission_policy, admission_validating_webhook,
	admission_mutating_webhook;

extern const struct admission_plugin admission_without_effect[5];

#endif
