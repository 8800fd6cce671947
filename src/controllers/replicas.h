/* replicas.h: what replica sets and replication controllers have in common: as many pods as wanted.
 */
#ifndef SAMPAN_CONTROLLERS_REPLICAS_H
#define SAMPAN_CONTROLLERS_REPLICAS_H

#include "controllers/util.h"

/* A replication controller is presented as a replica set, as upstream does. */
struct replicas {
	const struct object *object;
	const struct apps_v1_replica_set *rs;
	bool counts_terminating; /* status.terminatingReplicas */
};

/* Plans creations, deletions, adoptions and releases of pods; true and the new status when that has
 * to be written. */
bool replicas_plan(struct view *v, struct plan *p, const struct replicas *r,
	struct apps_v1_replica_set_status *ret_status);

/* Watch keys of pods: their controller of kind `owner`, or, for an orphan, all of `owner` whose
 * selector fits. */
void replicas_pod_keys(struct view *v, const struct store_event *ev,
	const struct schema_resource *owner, plan_enqueue_fn *enqueue, void *user_data);

/* The first n of pods to delete, in upstream's order of preference; pods is reordered. */
void pods_rank_for_deletion(const struct v1_pod **pods, size_t n, const struct object_vec *related,
	int64_t now_ns, struct arena *a);
/* A pod made from a template, with a name of its own; the reference is kept. */
struct v1_pod *pod_from_template(struct view *v, const struct v1_pod_template_spec *t,
	struct str ns, struct str owner_name, const struct meta_v1_owner_reference *ref);

#endif
