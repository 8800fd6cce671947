/*
 * quota.h: what objects cost against a ResourceQuota (pkg/quota/v1/evaluator): used by admission,
 * which charges, and by the controller, which counts anew.
 */
#ifndef SAMPAN_API_QUOTA_H
#define SAMPAN_API_QUOTA_H

#include "api/amounts.h"
#include "schema/schema.h"

/* False for what no quota counts: events, reviews, what has no namespace. */
bool quota_applies(const struct schema_resource *res);
/* Whether objects of the resource count against a limit of that name: "pods",
 * "count/deployments.apps", "gold.storageclass.storage.k8s.io/requests.storage" … */
bool quota_counts(const struct schema_resource *res, struct str name);
/* Everything that one object costs. */
struct amounts quota_usage(
	struct arena *a, const struct schema_resource *res, const void *obj, int64_t now_ns);
/* Whether an object fits all of the scopes; a quota without any fits all. */
bool quota_in_scope(struct arena *a, const struct v1_resource_quota_spec *spec,
	const struct schema_resource *res, const void *obj);
/* What a pod leaves out though one of the limits needs it: "must specify cpu for: a,b; …"; empty:
 * nothing. */
struct str quota_missing(struct arena *a, const struct v1_pod *pod, const struct amounts *limits);
bool pod_is_terminating(const struct v1_pod *pod); /* has a deadline: the scope's meaning */

#endif
