/* replicaset.c: replicaset-controller and replicationcontroller-controller. */
#include "controllers/replicas.h"

static void rs_pod_keys(
	struct view *v, const struct store_event *ev, plan_enqueue_fn *enqueue, void *user_data)
{
	replicas_pod_keys(v, ev, &apps_v1_replica_set_resource, enqueue, user_data);
}

static int rs_reconcile(struct view *v, struct plan_key key, struct plan *p, struct err *err)
{
	const struct object *o = view_get(v, &apps_v1_replica_set_resource, key.ns, key.name);
	struct apps_v1_replica_set_status status;

	if (!o)
		return 0;
	struct apps_v1_replica_set *rs = object_decode(o, v->arena);
	const struct replicas r = {o, rs, .counts_terminating = true};

	if (!replicas_plan(v, p, &r, &status))
		return 0;
	rs->status = status;
	plan_add(p, PLAN_UPDATE_STATUS, o->resource, key.ns, key.name)->object = rs;
	return 0;
}

static const struct plan_watch rs_watches[] = {
	{.resource = &apps_v1_replica_set_resource, .indexed = true},
	{.resource = &v1_pod_resource, .keys = rs_pod_keys, .indexed = true},
	{0},
};

const struct planner replicaset_planner = {
	.name = "replicaset-controller",
	.user = "replicaset-controller",
	.watches = rs_watches,
	.reconcile = rs_reconcile,
};

static void rc_pod_keys(
	struct view *v, const struct store_event *ev, plan_enqueue_fn *enqueue, void *user_data)
{
	replicas_pod_keys(v, ev, &v1_replication_controller_resource, enqueue, user_data);
}

/* The two kinds differ in the selector, the template's pointer and the conditions' type. */
static struct apps_v1_replica_set *rs_from_rc(
	const struct v1_replication_controller *rc, struct arena *a)
{
	struct apps_v1_replica_set *rs = ARENA_NEW(a, struct apps_v1_replica_set);

	rs->metadata = rc->metadata;
	rs->spec.replicas = rc->spec.replicas;
	rs->spec.min_ready_seconds = rc->spec.min_ready_seconds;
	rs->spec.selector = ARENA_NEW(a, struct meta_v1_label_selector);
	rs->spec.selector->match_labels = rc->spec.selector;
	if (rc->spec.template)
		rs->spec.template = *rc->spec.template;
	rs->status.replicas = rc->status.replicas;
	rs->status.fully_labeled_replicas = rc->status.fully_labeled_replicas;
	rs->status.ready_replicas = rc->status.ready_replicas;
	rs->status.available_replicas = rc->status.available_replicas;
	rs->status.observed_generation = rc->status.observed_generation;
	for (size_t i = 0; i < rc->status.conditions.n; i++) {
		const struct v1_replication_controller_condition *c = &rc->status.conditions.v[i];
		const struct apps_v1_replica_set_condition as = {.type = c->type,
			.status = c->status,
			.last_transition_time = c->last_transition_time,
			.reason = c->reason,
			.message = c->message};

		ARENA_PUSH(a, &rs->status.conditions, as);
	}
	return rs;
}

static void rc_set_status(struct v1_replication_controller *rc,
	const struct apps_v1_replica_set_status *s, struct arena *a)
{
	rc->status = (struct v1_replication_controller_status){
		.replicas = s->replicas,
		.fully_labeled_replicas = s->fully_labeled_replicas,
		.ready_replicas = s->ready_replicas,
		.available_replicas = s->available_replicas,
		.observed_generation = s->observed_generation,
	};
	for (size_t i = 0; i < s->conditions.n; i++) {
		const struct apps_v1_replica_set_condition *c = &s->conditions.v[i];
		const struct v1_replication_controller_condition as = {.type = c->type,
			.status = c->status,
			.last_transition_time = c->last_transition_time,
			.reason = c->reason,
			.message = c->message};

		ARENA_PUSH(a, &rc->status.conditions, as);
	}
}

static int rc_reconcile(struct view *v, struct plan_key key, struct plan *p, struct err *err)
{
	const struct object *o = view_get(v, &v1_replication_controller_resource, key.ns, key.name);
	struct apps_v1_replica_set_status status;

	if (!o)
		return 0;
	struct v1_replication_controller *rc = object_decode(o, v->arena);
	const struct replicas r = {o, rs_from_rc(rc, v->arena), .counts_terminating = false};

	if (!replicas_plan(v, p, &r, &status))
		return 0;
	rc_set_status(rc, &status, v->arena);
	plan_add(p, PLAN_UPDATE_STATUS, o->resource, key.ns, key.name)->object = rc;
	return 0;
}

static const struct plan_watch rc_watches[] = {
	{.resource = &v1_replication_controller_resource},
	{.resource = &v1_pod_resource, .keys = rc_pod_keys, .indexed = true},
	{0},
};

const struct planner replicationcontroller_planner = {
	.name = "replicationcontroller-controller",
	.source = "replication-controller",
	.user = "replication-controller",
	.watches = rc_watches,
	.reconcile = rc_reconcile,
};
