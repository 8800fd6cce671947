/*
 * pod.h: validation of pods and of what stands in pod specs (pkg/apis/core/validation), by concept.
 * Every kind that has a pod template uses it. Errors come in upstream's order; maps are checked in
 * the order of their keys.
 */
#ifndef SAMPAN_VALIDATION_POD_H
#define SAMPAN_VALIDATION_POD_H

#include "apiserver/field.h"
#include "apiserver/validation/go_json.h"
#include "types.gen.h"

struct pod_opts {
	bool resource_is_pod; /* not a template */
	bool allow_privileged;
};

/* What the parts of a pod spec need to know of the whole. */
struct pod_check {
	struct pod_opts opts;
	const struct v1_pod_spec *spec;
	const struct meta_v1_object_meta *meta; /* of the pod; NULL in a template */
	struct str_vec volumes;                 /* names of the valid ones */
	struct str_vec claim_volumes;           /* those of them that may be block devices */
	struct str_vec claims;                  /* names of spec.resourceClaims, sorted */
	bool host_users;
	struct field_errors *errs;
};

/* pod_spec.c: whole pods and templates; metadata is the engine's, but not the annotations that mean
 * something to pods */
void validate_pod_spec(const struct v1_pod_spec *spec, const struct meta_v1_object_meta *meta,
	const struct field_path *p, struct pod_opts opts, struct field_errors *e);
void validate_pod_template_spec(const struct v1_pod_template_spec *t, const struct field_path *p,
	struct pod_opts opts, struct field_errors *e);
void validate_pod(const struct v1_pod *pod, struct pod_opts opts, struct field_errors *e);
void validate_pod_create(const struct v1_pod *pod, struct pod_opts opts, struct field_errors *e);

/* pod_annotations.c */
void validate_pod_annotations(const struct str_map *annotations, const struct v1_pod_spec *spec,
	const struct field_path *p, struct field_errors *e);
void validate_pod_annotations_update(const struct str_map *annotations, const struct str_map *old,
	const struct v1_pod_spec *spec, const struct field_path *p, struct field_errors *e);
void validate_profiles_match_annotations(const struct str_map *annotations,
	const struct v1_pod_spec *spec, const struct field_path *spec_path, struct field_errors *e);

/* pod_update.c: what a PUT of each subresource may change */
void validate_pod_update(const struct v1_pod *pod, const struct v1_pod *old, struct pod_opts opts,
	struct field_errors *e);
void validate_pod_ephemeral_update(const struct v1_pod *pod, const struct v1_pod *old,
	struct pod_opts opts, struct field_errors *e);
void validate_pod_resize(const struct v1_pod *pod, const struct v1_pod *old, struct pod_opts opts,
	struct field_errors *e);

/* pod_status.c */
void validate_pod_status_update(
	const struct v1_pod *pod, const struct v1_pod *old, struct field_errors *e);

/* containers.c */
void validate_containers(struct pod_check *c, const struct field_path *p);
void validate_init_containers(struct pod_check *c, const struct field_path *p);
void validate_ephemeral_containers(struct pod_check *c, const struct field_path *p);
/* An ephemeral container starts like a container. */
const struct v1_container *ephemeral_as_container(const struct v1_ephemeral_container *ec);
/* Calls fn for init containers, containers, ephemeral containers, in this order
 * (podutil.VisitContainersWithPath). */
void each_container(const struct v1_pod_spec *spec, const struct field_path *spec_path,
	void (*fn)(const struct v1_container *ctr, const struct field_path *p, void *user_data),
	void *user_data);
bool sidecar_container(const struct v1_container *ctr);
void validate_pull_policy(struct str policy, const struct field_path *p, struct field_errors *e);
extern const char *const port_protocols[];

/* probes.c */
void validate_lifecycle(
	const struct v1_lifecycle *l, const struct pod_check *c, const struct field_path *p);
enum probe_kind { PROBE_LIVENESS, PROBE_READINESS, PROBE_STARTUP };
void validate_probe(const struct v1_probe *probe, enum probe_kind kind, const struct pod_check *c,
	const struct field_path *p);
void validate_port_num_or_name(
	const struct int_or_string *port, const struct field_path *p, struct field_errors *e);

/* env.c */
void validate_env(
	const struct v1_env_var_vec *env, const struct field_path *p, struct field_errors *e);
void validate_env_from(const struct v1_env_from_source_vec *from, const struct field_path *p,
	struct field_errors *e);
/* fieldRef and resourceFieldRef, of the environment or of a volume */
void validate_field_ref(const struct v1_object_field_selector *ref, bool volume,
	const struct field_path *p, struct field_errors *e);
void validate_resource_field_ref(const struct v1_resource_field_selector *ref, bool volume,
	const struct field_path *p, struct field_errors *e);

/* volumes.c, volume_sources.c, volume_projected.c */
void validate_volumes(struct pod_check *c, const struct field_path *p);
void validate_volume_source(
	const struct v1_volume *v, const struct pod_check *c, const struct field_path *p);
void validate_volume_mounts(
	const struct v1_container *ctr, const struct pod_check *c, const struct field_path *p);
void validate_volume_devices(
	const struct v1_container *ctr, const struct pod_check *c, const struct field_path *p);
void validate_projected(const struct v1_projected_volume_source *v, const struct field_path *p,
	struct field_errors *e);
void validate_downward_api_file(const struct v1_downward_api_volume_file *f,
	const struct field_path *p, struct field_errors *e);
void validate_key_to_path(
	const struct v1_key_to_path *kp, const struct field_path *p, struct field_errors *e);
void validate_file_mode(const int32_t *mode, const struct field_path *p, struct field_errors *e);
void validate_path_no_backsteps(
	struct str path, const struct field_path *p, struct field_errors *e);
void validate_local_descending_path(
	struct str path, const struct field_path *p, struct field_errors *e);
void validate_local_non_reserved_path(
	struct str path, const struct field_path *p, struct field_errors *e);
void validate_csi_driver_name(struct str name, const struct field_path *p, struct field_errors *e);

/* security_context.c, windows.c */
void validate_security_context(const struct v1_security_context *sc, const struct pod_check *c,
	const struct field_path *p);
void validate_pod_security_context(const struct pod_check *c, const struct field_path *p);
void validate_pod_os(const struct pod_check *c, const struct field_path *spec_path);
void validate_windows_options(const struct v1_windows_security_context_options *w,
	const struct field_path *p, struct field_errors *e);
void validate_windows_host_process(const struct pod_check *c, const struct field_path *spec_path);

/* affinity.c */
void validate_affinity(
	const struct v1_affinity *a, const struct field_path *p, struct field_errors *e);
void validate_topology_spread(const struct v1_topology_spread_constraint_vec *v,
	const struct field_path *p, struct field_errors *e);
void validate_node_selector(
	const struct v1_node_selector *s, const struct field_path *p, struct field_errors *e);
void validate_label_selector(
	const struct meta_v1_label_selector *s, const struct field_path *p, struct field_errors *e);

/* tolerations.c */
void validate_tolerations(
	const struct v1_toleration_vec *t, const struct field_path *p, struct field_errors *e);
void validate_taint_effect(
	struct str effect, bool allow_empty, const struct field_path *p, struct field_errors *e);
void validate_only_added_tolerations(const struct v1_toleration_vec *t,
	const struct v1_toleration_vec *old, const struct field_path *p, struct field_errors *e);

/* resources.c */
void validate_container_resources(const struct v1_resource_requirements *r,
	const struct str_vec *claims, const struct field_path *p, struct field_errors *e);
void validate_pod_resources(const struct pod_check *c, const struct field_path *spec_path);
void validate_resource_name(struct str name, const struct field_path *p, struct field_errors *e);
void validate_container_resource_name(
	struct str name, const struct field_path *p, struct field_errors *e);
void validate_resource_quantity(
	struct str name, struct str quantity, const struct field_path *p, struct field_errors *e);
void validate_positive_quantity(
	struct str quantity, const struct field_path *p, struct field_errors *e);
bool resource_is_standard(struct str name);
bool resource_is_native(struct str name);
bool resource_is_extended(struct str name);
bool resource_is_huge_page(struct str name);
bool resource_overcommit_allowed(struct str name);
bool resource_is_pod_level(struct str name);
/* Requests (or limits) of all containers of a pod together (component-helpers/resource). */
struct str_map pod_aggregate_requests(const struct v1_pod_spec *spec, struct arena *a);
struct str_map pod_aggregate_limits(const struct v1_pod_spec *spec, struct arena *a);
void str_map_put(struct arena *a, struct str_map *m, struct str key, struct str value);
void str_map_remove(struct str_map *m, struct str key);
struct str pod_qos_class(const struct v1_pod *pod, struct arena *a);

/* pod_warnings.c: lines of Warning headers. p: of a template, NULL for a pod. */
struct str_vec pod_warnings(const struct v1_pod_spec *spec, const struct meta_v1_object_meta *meta,
	const struct field_path *p, struct arena *a);

#endif
