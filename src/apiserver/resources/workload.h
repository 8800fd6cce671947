/* workload.h: what Deployment, ReplicaSet, ReplicationController and their kin share. */
#ifndef SAMPAN_RESOURCES_WORKLOAD_H
#define SAMPAN_RESOURCES_WORKLOAD_H

#include "apiserver/resources/rules.h"

/* A selector, and the template that must match it. what: "ReplicaSet" as in "activeDeadlineSeconds
 * in … is not Supported"; empty: "empty selector is invalid for …". */
void validate_selector_and_template(struct strategy_ctx *ctx,
	const struct meta_v1_label_selector *selector, const struct v1_pod_template_spec *t,
	const struct field_path *spec, struct field_errors *e);
void validate_restart_always(const struct v1_pod_template_spec *t, const char *what,
	const struct field_path *p, struct field_errors *e);
/* The selector may never change. */
void validate_selector_kept(const struct meta_v1_label_selector *now,
	const struct meta_v1_label_selector *old, struct field_errors *e);

/* One counter of a status; greater than status.replicas is wrong when `limited`. */
struct replica_count {
	const char *name;
	int64_t value;
	bool limited;
};
void validate_replica_counts(const struct replica_count *counts, size_t n, int32_t replicas,
	int32_t ready, int32_t available, struct field_errors *e);
/* It counts up. */
void validate_collision_count(const int32_t *now, const int32_t *old, struct field_errors *e);
void validate_int_or_percent(
	const struct int_or_string *v, const struct field_path *p, struct field_errors *e);
void validate_max_100_percent(
	const struct int_or_string *v, const struct field_path *p, struct field_errors *e);
int64_t int_or_percent_value(const struct int_or_string *v);
void field_invalid_int_or_string(struct field_errors *e, const struct field_path *p,
	const struct int_or_string *v, const char *why);

#endif
