#include "controllers/replicas.h"

#include "controllers/labels.h"

enum { BURST = 500 };

struct v1_pod *pod_from_template(struct view *v, const struct v1_pod_template_spec *t,
	struct str ns, struct str owner_name, const struct meta_v1_owner_reference *ref)
{
	struct v1_pod *pod = ARENA_NEW(v->arena, struct v1_pod);

	pod->metadata.generate_name = arena_fmt(v->arena, STR_FMT "-", STR_ARG(owner_name));
	pod->metadata.name = generate_name(v, pod->metadata.generate_name);
	pod->metadata.namespace = ns;
	pod->metadata.labels = t->metadata.labels;
	pod->metadata.annotations = t->metadata.annotations;
	pod->metadata.finalizers = t->metadata.finalizers;
	pod->metadata.owner_references.v = (struct meta_v1_owner_reference *)ref;
	pod->metadata.owner_references.n = 1;
	pod->spec = t->spec;
	return pod;
}

static void plan_create_pods(struct view *v, struct plan *p, const struct replicas *r, size_t n,
	struct meta_v1_owner_reference *ref)
{
	const struct apps_v1_replica_set *rs = r->rs;

	for (size_t i = 0; i < n; i++) {
		struct v1_pod *pod = pod_from_template(
			v, &rs->spec.template, rs->metadata.namespace, rs->metadata.name, ref);
		struct plan_write *w = plan_add(p, PLAN_CREATE, &v1_pod_resource,
			rs->metadata.namespace, pod->metadata.name);

		w->object = pod;
		w->event.about = r->object;
		w->event.reason = "SuccessfulCreate";
		w->event.text = "Created pod: ";
		w->event.fail_reason = "FailedCreate";
		w->event.fail_text = "Error creating: ";
	}
}

/* Pods of the replica sets that have the same controller, to spread deletions over nodes. */
static struct object_vec related_pods(
	struct view *v, const struct replicas *r, const struct object_vec *own)
{
	const struct schema_resource *res = r->object->resource;
	struct object_vec all = {0};

	if (str_empty(r->object->controller_uid) || res != &apps_v1_replica_set_resource)
		return *own;
	struct object_vec sets = view_controlled(v, res, r->object->controller_uid);
	for (size_t i = 0; i < sets.n; i++) {
		struct object_vec pods = view_controlled(v, &v1_pod_resource, sets.v[i]->uid);

		for (size_t k = 0; k < pods.n; k++)
			ARENA_PUSH(v->arena, &all, pods.v[k]);
	}
	return all;
}

static void plan_delete_pods(struct view *v, struct plan *p, const struct replicas *r,
	const struct object_vec *active, size_t n)
{
	const struct v1_pod **pods = ARENA_ARRAY(v->arena, const struct v1_pod *, active->n);
	struct object_vec related = related_pods(v, r, active);

	for (size_t i = 0; i < active->n; i++)
		pods[i] = object_decode(active->v[i], v->arena);
	if (n < active->n)
		pods_rank_for_deletion(pods, active->n, &related, v->now_ns, v->arena);
	for (size_t i = 0; i < n; i++) {
		struct plan_write *w = plan_add(p, PLAN_DELETE, &v1_pod_resource,
			pods[i]->metadata.namespace, pods[i]->metadata.name);

		w->uid = pods[i]->metadata.uid;
		w->ignore_not_found = true;
		w->event.about = r->object;
		w->event.reason = "SuccessfulDelete";
		w->event.text = "Deleted pod: ";
		w->event.fail_reason = "FailedDelete";
		w->event.fail_text = "Error deleting: ";
	}
}

static void count_pods(struct view *v, struct plan *p, const struct replicas *r,
	const struct object_vec *active, struct apps_v1_replica_set_status *s)
{
	const struct apps_v1_replica_set_spec *spec = &r->rs->spec;
	struct arena scratch; /* thousands of decoded pods at once would be much memory */

	s->replicas = (int32_t)active->n;
	s->fully_labeled_replicas = s->ready_replicas = s->available_replicas = 0;
	arena_init(&scratch);
	for (size_t i = 0; i < active->n; i++) {
		const struct object *o = active->v[i];
		int64_t wait_ms = 0;

		s->fully_labeled_replicas +=
			str_map_subset(&spec->template.metadata.labels, &o->labels);
		if (!str_eq(pod_phase(o), S("Running")))
			continue; /* cannot be ready: saves decoding what has not started */
		struct v1_pod *pod = object_decode(o, &scratch);

		s->ready_replicas += pod_ready(pod);
		s->available_replicas +=
			pod_available(pod, spec->min_ready_seconds, v->now_ns, &wait_ms);
		if (wait_ms)
			plan_requeue(p, wait_ms);
		arena_release(&scratch);
	}
}

static int32_t count_terminating(struct view *v, const struct replicas *r)
{
	struct object_vec pods = view_controlled(v, &v1_pod_resource, r->object->uid);
	int32_t n = 0;

	for (size_t i = 0; i < pods.n; i++)
		n += pods.v[i]->deletion_ms != 0 && !pod_finished(pods.v[i]) &&
		     selector_fits(r->rs->spec.selector, &pods.v[i]->labels);
	return n;
}

/* The condition ReplicaFailure: there while creating or deleting pods failed last time. */
static void set_failure_condition(struct view *v, const struct replicas *r, int64_t diff,
	struct apps_v1_replica_set_status *s)
{
	const struct plan_failure *f = v->failure;
	struct apps_v1_replica_set_condition_vec kept = {0};
	bool there = false;
	bool failed = f && f->resource == &v1_pod_resource && diff != 0 &&
		      (f->op == PLAN_CREATE || f->op == PLAN_DELETE);

	for (size_t i = 0; i < s->conditions.n; i++) {
		bool is_it = str_eq(s->conditions.v[i].type, S("ReplicaFailure"));

		there |= is_it;
		if (!is_it || failed)
			ARENA_PUSH(v->arena, &kept, s->conditions.v[i]);
	}
	s->conditions = kept;
	if (!failed || there)
		return;
	struct apps_v1_replica_set_condition c = {
		.type = S("ReplicaFailure"),
		.status = S("True"),
		.last_transition_time = view_now(v),
		.reason = diff < 0 ? S("FailedCreate") : S("FailedDelete"),
		.message = arena_str(v->arena, f->message),
	};
	ARENA_PUSH(v->arena, &s->conditions, c);
}

static bool status_changed(
	const struct apps_v1_replica_set *rs, const struct apps_v1_replica_set_status *now)
{
	struct apps_v1_replica_set_status was = rs->status;

	was.observed_generation = now->observed_generation;
	return rs->metadata.generation != rs->status.observed_generation ||
	       !schema_equal(&apps_v1_replica_set_status_schema, &was, now);
}

bool replicas_plan(struct view *v, struct plan *p, const struct replicas *r,
	struct apps_v1_replica_set_status *ret_status)
{
	const struct apps_v1_replica_set *rs = r->rs;
	struct meta_v1_owner_reference *ref = ARENA_NEW(v->arena, struct meta_v1_owner_reference);
	struct apps_v1_replica_set_status s = rs->status;

	if (selector_is_empty(rs->spec.selector))
		return false; /* validation does not let it through: it would never see its own pods
			       */
	*ref = owner_ref(r->object->resource, &rs->metadata, v->arena);
	struct object_vec active =
		claim(v, p, &v1_pod_resource, r->object, ref, rs->spec.selector, pod_active);
	int64_t want = rs->spec.replicas ? *rs->spec.replicas : 1;
	int64_t diff = (int64_t)active.n - want;
	if (r->object->deletion_ms == 0) {
		if (diff < 0)
			plan_create_pods(v, p, r, MIN(-diff, (int64_t)BURST), ref);
		else if (diff > 0)
			plan_delete_pods(v, p, r, &active, MIN(diff, (int64_t)BURST));
	}
	count_pods(v, p, r, &active, &s);
	if (r->counts_terminating) {
		s.terminating_replicas = ARENA_NEW(v->arena, int32_t);
		*s.terminating_replicas = count_terminating(v, r);
	}
	set_failure_condition(v, r, diff, &s);
	s.observed_generation = rs->metadata.generation;
	*ret_status = s;
	return status_changed(rs, &s);
}

/* The selector of any kind that has one at spec.selector. */
static struct meta_v1_label_selector selector_of(const struct object *o, struct arena *a)
{
	if (o->resource == &v1_replication_controller_resource) {
		struct v1_replication_controller *rc = object_decode(o, a);

		return (struct meta_v1_label_selector){.match_labels = rc->spec.selector};
	}
	if (o->resource == &apps_v1_daemon_set_resource) {
		struct apps_v1_daemon_set *ds = object_decode(o, a);

		return ds->spec.selector ? *ds->spec.selector : (struct meta_v1_label_selector){0};
	}
	if (o->resource == &apps_v1_stateful_set_resource) {
		struct apps_v1_stateful_set *set = object_decode(o, a);

		return set->spec.selector ? *set->spec.selector
					  : (struct meta_v1_label_selector){0};
	}
	struct apps_v1_replica_set *rs = object_decode(o, a);

	return rs->spec.selector ? *rs->spec.selector : (struct meta_v1_label_selector){0};
}

static void enqueue_controller(struct view *v, const struct object *pod,
	const struct schema_resource *owner, plan_enqueue_fn *enqueue, void *user_data)
{
	const struct meta_v1_owner_reference *ref = controller_of(object_meta(pod, v->arena));

	if (ref && str_eqc(ref->kind, owner->kind) &&
		str_eq(ref->api_version, api_version_of(owner, v->arena)))
		enqueue(user_data, pod->ns, ref->name);
}

void replicas_pod_keys(struct view *v, const struct store_event *ev,
	const struct schema_resource *owner, plan_enqueue_fn *enqueue, void *user_data)
{
	const struct object *o = ev->object, *prev = ev->prev;

	if (prev && !str_empty(prev->controller_uid) &&
		!str_eq(prev->controller_uid, o->controller_uid))
		enqueue_controller(v, prev, owner, enqueue, user_data);
	if (!str_empty(o->controller_uid)) {
		enqueue_controller(v, o, owner, enqueue, user_data);
		return;
	}
	if (ev->type == STORE_DELETED || o->labels.n == 0)
		return;
	struct snapshot_iter it;
	const struct object *set;

	snapshot_iter_init(&it, view_snapshot(v, owner), o->ns, S(""), S(""));
	while ((set = snapshot_next(&it))) {
		struct meta_v1_label_selector s = selector_of(set, v->arena);

		if (!selector_is_empty(&s) && selector_fits(&s, &o->labels))
			enqueue(user_data, set->ns, set->name);
	}
}
