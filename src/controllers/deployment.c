/* deployment.c: deployment-controller: which way a deployment is brought forward, and what is
 * written at the end. */
#include "controllers/deployment.h"

#include "controllers/labels.h"

static void resolve_limits(struct rollout *r)
{
	const struct apps_v1_rolling_update_deployment *u = r->d->spec.strategy.rolling_update;

	r->want = r->d->spec.replicas ? *r->d->spec.replicas : 1;
	r->rolling = str_eq(r->d->spec.strategy.type, S("RollingUpdate"));
	if (!r->rolling)
		return;
	if (u) {
		r->max_surge = int_or_percent(u->max_surge, r->want, true);
		r->max_unavailable = int_or_percent(u->max_unavailable, r->want, false);
	}
	if (r->max_surge == 0 && r->max_unavailable == 0)
		r->max_unavailable = 1;
	r->max_unavailable = MIN(r->max_unavailable, r->want);
}

static void write_sets(struct rollout *r)
{
	for (size_t i = 0; i < r->all.n; i++) {
		struct set *s = r->all.v[i];

		if (!s->object || !s->changed)
			continue;
		struct plan_write *w = plan_add(r->p, PLAN_UPDATE, s->object->resource,
			r->object->ns, s->rs->metadata.name);
		w->object = s->rs;
		if (s->scaled_from < 0)
			continue;
		w->event.about = r->object;
		w->event.reason = "ScalingReplicaSet";
		w->event.message = arena_fmt(r->v->arena,
			"Scaled %s replica set " STR_FMT " from %d to %d",
			s->scaled_from < *s->rs->spec.replicas ? "up" : "down",
			STR_ARG(s->rs->metadata.name), s->scaled_from, *s->rs->spec.replicas);
	}
}

static bool same_map(const struct str_map *a, const struct str_map *b)
{
	return a->n == b->n && str_map_subset(a, b);
}

static void write_all(struct rollout *r)
{
	write_sets(r);
	if (schema_equal(&apps_v1_deployment_status_schema, &r->was, &r->d->status) &&
		same_map(&r->annotations_was, &r->d->metadata.annotations))
		return;
	plan_add(r->p, PLAN_UPDATE_STATUS, r->object->resource, r->object->ns, r->object->name)
		->object = r->d;
}

static void scale_and_sync(struct rollout *r)
{
	rollout_scale_proportionally(r);
	if (r->d->spec.paused)
		rollout_cleanup(r);
	rollout_sync_status(r);
}

static int reconcile(struct view *v, struct plan_key key, struct plan *p, struct err *err)
{
	const struct object *o = view_get(v, &apps_v1_deployment_resource, key.ns, key.name);
	int64_t rollback_to;

	if (!o)
		return 0;
	struct rollout r = {.v = v, .p = p, .object = o, .d = object_decode(o, v->arena)};
	r.was = r.d->status;
	r.annotations_was = r.d->metadata.annotations;
	if (!r.d->spec.selector || selector_is_empty(r.d->spec.selector)) {
		plan_event(p, o, "Warning", "SelectingAll",
			"This deployment is selecting all pods. A non-empty selector is required.");
		r.d->status.observed_generation = r.d->metadata.generation;
		write_all(&r);
		return 0;
	}
	resolve_limits(&r);
	rollout_load(&r);
	struct str to = str_map_value(&r.d->metadata.annotations, S(ANN_ROLLBACK_TO));
	if (o->deletion_ms) {
		rollout_sync_status(&r);
		write_all(&r);
		return 0;
	}
	rollout_check_paused(&r);
	if (r.d->spec.paused) {
		scale_and_sync(&r);
	} else if (to.n && str_to_i64(to, &rollback_to) == 0) {
		rollout_rollback(&r, rollback_to);
		return 0;
	} else if (rollout_is_scaling(&r)) {
		scale_and_sync(&r);
	} else if (r.rolling) {
		rollout_rolling(&r);
	} else {
		rollout_recreate(&r);
	}
	write_all(&r);
	return 0;
}

/* --- what concerns which deployment --- */

static void enqueue_controller(
	struct view *v, const struct object *set, plan_enqueue_fn *enqueue, void *user_data)
{
	const struct meta_v1_owner_reference *ref = controller_of(object_meta(set, v->arena));

	if (ref && str_eq(ref->kind, S("Deployment")) && str_eq(ref->api_version, S("apps/v1")))
		enqueue(user_data, set->ns, ref->name);
}

static void set_keys(
	struct view *v, const struct store_event *ev, plan_enqueue_fn *enqueue, void *user_data)
{
	const struct object *o = ev->object, *prev = ev->prev, *deployment;
	struct snapshot_iter it;

	if (prev && !str_empty(prev->controller_uid) &&
		!str_eq(prev->controller_uid, o->controller_uid))
		enqueue_controller(v, prev, enqueue, user_data);
	if (!str_empty(o->controller_uid)) {
		enqueue_controller(v, o, enqueue, user_data);
		return;
	}
	if (ev->type == STORE_DELETED || o->labels.n == 0)
		return;
	snapshot_iter_init(
		&it, view_snapshot(v, &apps_v1_deployment_resource), o->ns, S(""), S(""));
	while ((deployment = snapshot_next(&it))) {
		struct apps_v1_deployment *d = object_decode(deployment, v->arena);

		if (!selector_is_empty(d->spec.selector) &&
			selector_fits(d->spec.selector, &o->labels))
			enqueue(user_data, deployment->ns, deployment->name);
	}
}

/* Only one that is recreated waits for its last old pod to go. */
static void pod_keys(
	struct view *v, const struct store_event *ev, plan_enqueue_fn *enqueue, void *user_data)
{
	const struct object *o = ev->object;

	if (str_empty(o->controller_uid) || (ev->type != STORE_DELETED && !pod_finished(o)))
		return;
	const struct meta_v1_owner_reference *ref = controller_of(object_meta(o, v->arena));
	if (!ref || !str_eq(ref->kind, S("ReplicaSet")))
		return;
	const struct object *set = view_get(v, &apps_v1_replica_set_resource, o->ns, ref->name);
	ref = set ? controller_of(object_meta(set, v->arena)) : NULL;
	if (!ref || !str_eq(ref->kind, S("Deployment")))
		return;
	struct apps_v1_deployment *d =
		view_decode(v, &apps_v1_deployment_resource, o->ns, ref->name);
	if (d && str_eq(d->spec.strategy.type, S("Recreate")))
		enqueue(user_data, o->ns, ref->name);
}

static const struct plan_watch watches[] = {
	{.resource = &apps_v1_deployment_resource},
	{.resource = &apps_v1_replica_set_resource, .keys = set_keys, .indexed = true},
	{.resource = &v1_pod_resource, .keys = pod_keys, .indexed = true},
	{0},
};

const struct planner deployment_planner = {
	.name = "deployment-controller",
	.user = "deployment-controller",
	.watches = watches,
	.reconcile = reconcile,
};
