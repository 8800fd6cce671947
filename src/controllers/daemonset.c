/* daemonset.c: daemonset-controller: one pod on each node that the template fits. */
#include "controllers/daemonset.h"

#include <inttypes.h>

#include "controllers/labels.h"
#include "controllers/replicas.h"

/* A failed pod is replaced, but not at once again and again. */
enum { BACKOFF_MIN_MS = 1000, BACKOFF_MAX_MS = 15 * 60 * 1000 };

struct backoff {
	int64_t until_ns, delay_ms;
};

static void *init(const struct controllers_opts *opts)
{
	return xcalloc(1, sizeof(struct map)); /* uid and node -> struct backoff */
}

static void release(void *state)
{
	struct map *m = state;

	for (struct map_entry *e = map_first(m); e; e = map_next(m, e))
		free(e->value);
	map_release(m);
	free(m);
}

/* --- what the pods are like --- */

static void tolerate(
	struct daemon *d, struct v1_toleration_vec *all, const char *key, const char *effect)
{
	const struct v1_toleration t = {
		.key = str_c(key), .operator= S("Exists"), .effect = str_c(effect)};

	for (size_t i = 0; i < all->n; i++)
		if (str_eq(all->v[i].key, t.key) && str_eq(all->v[i].effect, t.effect) &&
			str_eq(all->v[i].operator, t.operator) && !all->v[i].toleration_seconds)
			return;
	ARENA_PUSH(d->v->arena, all, t);
}

static struct v1_pod_spec spec_of(struct daemon *d)
{
	struct v1_pod_spec spec = d->ds->spec.template.spec;
	struct v1_toleration_vec all = {0};

	for (size_t i = 0; i < spec.tolerations.n; i++)
		ARENA_PUSH(d->v->arena, &all, spec.tolerations.v[i]);
	tolerate(d, &all, "node.kubernetes.io/not-ready", "NoExecute");
	tolerate(d, &all, "node.kubernetes.io/unreachable", "NoExecute");
	tolerate(d, &all, "node.kubernetes.io/disk-pressure", "NoSchedule");
	tolerate(d, &all, "node.kubernetes.io/memory-pressure", "NoSchedule");
	tolerate(d, &all, "node.kubernetes.io/pid-pressure", "NoSchedule");
	tolerate(d, &all, "node.kubernetes.io/unschedulable", "NoSchedule");
	if (spec.host_network)
		tolerate(d, &all, "node.kubernetes.io/network-unavailable", "NoSchedule");
	spec.tolerations = all;
	return spec;
}

/* The scheduler places the pod, but has no choice. */
static struct v1_affinity *affinity_to(struct daemon *d, struct str node)
{
	struct arena *a = d->v->arena;
	struct v1_affinity *affinity = ARENA_NEW(a, struct v1_affinity);
	struct v1_node_affinity *na = ARENA_NEW(a, struct v1_node_affinity);
	struct v1_node_selector *required = ARENA_NEW(a, struct v1_node_selector);
	struct v1_node_selector_requirement r = {.key = S("metadata.name"), .operator= S("In")};
	struct v1_node_selector_requirement_vec fields = {0};

	ARENA_PUSH(a, &r.values, node);
	ARENA_PUSH(a, &fields, r);
	if (d->spec.affinity)
		*affinity = *d->spec.affinity;
	if (affinity->node_affinity)
		*na = *affinity->node_affinity;
	if (na->required_during_scheduling_ignored_during_execution) {
		const struct v1_node_selector_term_vec *terms =
			&na->required_during_scheduling_ignored_during_execution
				 ->node_selector_terms;

		for (size_t i = 0; i < terms->n; i++) {
			struct v1_node_selector_term term = terms->v[i];

			term.match_fields = fields;
			ARENA_PUSH(a, &required->node_selector_terms, term);
		}
	}
	if (required->node_selector_terms.n == 0) {
		const struct v1_node_selector_term term = {.match_fields = fields};

		ARENA_PUSH(a, &required->node_selector_terms, term);
	}
	na->required_during_scheduling_ignored_during_execution = required;
	affinity->node_affinity = na;
	return affinity;
}

void daemon_create_pod(struct daemon *d, struct str node)
{
	struct arena *a = d->v->arena;
	const struct meta_v1_object_meta *meta = &d->ds->metadata;
	struct meta_v1_owner_reference *ref = ARENA_NEW(a, struct meta_v1_owner_reference);
	struct str generation =
		str_map_value(&meta->annotations, S("deprecated.daemonset.template.generation"));

	*ref = owner_ref(d->object->resource, meta, a);
	struct v1_pod *pod =
		pod_from_template(d->v, &d->ds->spec.template, meta->namespace, meta->name, ref);
	pod->spec = d->spec;
	pod->spec.affinity = affinity_to(d, node);
	pod->metadata.labels =
		str_map_with(pod->metadata.labels, S(LABEL_REVISION_HASH), d->history.hash, a);
	if (generation.n)
		pod->metadata.labels = str_map_with(
			pod->metadata.labels, S("pod-template-generation"), generation, a);
	struct plan_write *w =
		plan_add(d->p, PLAN_CREATE, &v1_pod_resource, meta->namespace, pod->metadata.name);
	w->object = pod;
	w->event.about = d->object;
	w->event.reason = "SuccessfulCreate";
	w->event.text = "Created pod: ";
	w->event.fail_reason = "FailedCreate";
	w->event.fail_text = "Error creating: ";
}

void daemon_delete_pod(struct daemon *d, const struct daemon_pod *pod)
{
	const struct object *o = pod->object;
	struct plan_write *w = plan_add(d->p, PLAN_DELETE, &v1_pod_resource, o->ns, o->name);

	w->uid = o->uid;
	w->ignore_not_found = true;
	w->event.about = d->object;
	w->event.reason = "SuccessfulDelete";
	w->event.text = "Deleted pod: ";
	w->event.fail_reason = "FailedDelete";
	w->event.fail_text = "Error deleting: ";
}

/* --- what there is --- */

static struct str target_node(const struct v1_pod *pod)
{
	const struct v1_affinity *a = pod->spec.affinity;

	if (pod->spec.node_name.n || !a || !a->node_affinity ||
		!a->node_affinity->required_during_scheduling_ignored_during_execution)
		return pod->spec.node_name;
	const struct v1_node_selector_term_vec *terms =
		&a->node_affinity->required_during_scheduling_ignored_during_execution
			 ->node_selector_terms;
	for (size_t i = 0; i < terms->n; i++)
		for (size_t k = 0; k < terms->v[i].match_fields.n; k++)
			if (str_eq(terms->v[i].match_fields.v[k].key, S("metadata.name")) &&
				terms->v[i].match_fields.v[k].values.n == 1)
				return terms->v[i].match_fields.v[k].values.v[0];
	return (struct str){0};
}

static int by_node_and_age(const void *va, const void *vb)
{
	const struct daemon_pod *a = va, *b = vb;
	int c = str_cmp(a->node, b->node);

	if (c)
		return c;
	int64_t x = a->pod->metadata.creation_timestamp.sec;
	int64_t y = b->pod->metadata.creation_timestamp.sec;
	return x != y ? (x < y ? -1 : 1) : str_cmp(a->object->name, b->object->name);
}

static void load_pods(struct daemon *d)
{
	struct meta_v1_owner_reference ref =
		owner_ref(d->object->resource, &d->ds->metadata, d->v->arena);
	struct object_vec mine =
		claim(d->v, d->p, &v1_pod_resource, d->object, &ref, d->ds->spec.selector, NULL);

	for (size_t i = 0; i < mine.n; i++) {
		int64_t wait_ms = 0;
		struct daemon_pod p = {.object = mine.v[i]};

		if (mine.v[i]->deletion_ms && pod_finished(mine.v[i]))
			continue;
		p.going = mine.v[i]->deletion_ms != 0;
		p.pod = object_decode(mine.v[i], d->v->arena);
		p.node = target_node(p.pod);
		p.current = str_eq(
			str_map_value(&p.object->labels, S(LABEL_REVISION_HASH)), d->history.hash);
		p.ready = pod_ready(p.pod);
		p.available =
			pod_available(p.pod, d->ds->spec.min_ready_seconds, d->v->now_ns, &wait_ms);
		if (wait_ms)
			plan_requeue(d->p, wait_ms);
		ARENA_PUSH(d->v->arena, &d->pods, p);
	}
	if (d->pods.n)
		qsort(d->pods.v, d->pods.n, sizeof(*d->pods.v), by_node_and_age);
}

static bool has_untolerated_no_execute(const struct node_info *n, const struct v1_pod_spec *spec)
{
	struct node_info only = *n;

	for (size_t i = 0; i < n->taints.n; i++) {
		only.taints = (struct v1_taint_vec){&n->taints.v[i], 1};
		if (str_eq(n->taints.v[i].effect, S("NoExecute")) &&
			untolerated_taint(&only, spec, true))
			return true;
	}
	return false;
}

static void judge(struct daemon *d, struct daemon_node *dn, const struct object *o)
{
	const struct v1_node *node = object_decode(o, d->v->arena);
	const struct node_info n = {
		.name = o->name, .labels = node->metadata.labels, .taints = node->spec.taints};
	struct str fixed = d->ds->spec.template.spec.node_name;

	if ((fixed.n && !str_eq(fixed, o->name)) || !node_matches_required(&n, &d->spec))
		return;
	dn->should_run = !untolerated_taint(&n, &d->spec, true);
	dn->may_continue = dn->should_run || !has_untolerated_no_execute(&n, &d->spec);
}

static void load_nodes(struct daemon *d)
{
	struct snapshot_iter it;
	const struct object *o;
	size_t at = 0;

	snapshot_iter_init(&it, view_snapshot(d->v, &v1_node_resource), S(""), S(""), S(""));
	while ((o = snapshot_next(&it))) {
		struct daemon_node n = {.name = o->name};

		judge(d, &n, o);
		/* Both are in order of the node's name. */
		while (at < d->pods.n && str_cmp(d->pods.v[at].node, o->name) < 0)
			at++;
		n.pods = &d->pods.v[at];
		for (; at < d->pods.n && str_eq(d->pods.v[at].node, o->name); at++)
			n.n++;
		ARENA_PUSH(d->v->arena, &d->nodes, n);
	}
}

/* --- what is to be done --- */

/* Whether a failed pod of this node may be deleted now. */
static bool may_retry(struct daemon *d, struct str node)
{
	struct map *m = d->v->state;
	struct str key =
		arena_fmt(d->v->arena, STR_FMT "/" STR_FMT, STR_ARG(d->object->uid), STR_ARG(node));
	struct backoff *b = map_get(m, key);

	if (b && d->v->now_ns < b->until_ns) {
		plan_requeue(d->p, (b->until_ns - d->v->now_ns) / 1000000 + 1);
		return false;
	}
	if (!b) {
		b = xcalloc(1, sizeof(*b));
		map_set(m, key, b);
	}
	/* Long quiet: it begins anew. */
	bool quiet = d->v->now_ns - b->until_ns > 2 * (int64_t)BACKOFF_MAX_MS * 1000000;
	b->delay_ms = b->delay_ms && !quiet ? MIN(b->delay_ms * 2, (int64_t)BACKOFF_MAX_MS)
					    : BACKOFF_MIN_MS;
	b->until_ns = d->v->now_ns + b->delay_ms * 1000000;
	return true;
}

/* True: the pod has ended and is dealt with. */
static bool clean_up_ended(
	struct daemon *d, const struct daemon_node *n, const struct daemon_pod *pod)
{
	const struct object *o = pod->object;
	bool failed = str_eq(pod_phase(o), S("Failed"));

	if (!failed && !str_eq(pod_phase(o), S("Succeeded")))
		return false;
	if (failed && !may_retry(d, n->name))
		return true;
	if (failed)
		plan_event(d->p, d->object, "Warning", "FailedDaemonPod",
			"Found failed daemon pod " STR_FMT "/" STR_FMT " on node " STR_FMT
			", will try to kill it",
			STR_ARG(o->ns), STR_ARG(o->name), STR_ARG(n->name));
	else
		plan_event(d->p, d->object, "Normal", "SucceededDaemonPod",
			"Found succeeded daemon pod " STR_FMT "/" STR_FMT " on node " STR_FMT
			", will try to delete it",
			STR_ARG(o->ns), STR_ARG(o->name), STR_ARG(n->name));
	daemon_delete_pod(d, pod);
	return true;
}

static void manage_node(struct daemon *d, const struct daemon_node *n)
{
	const struct daemon_pod *kept[2] = {NULL, NULL}; /* old, new */
	size_t going = 0;

	if (n->should_run && n->n == 0) {
		daemon_create_pod(d, n->name);
		return;
	}
	for (size_t i = 0; i < n->n; i++) {
		const struct daemon_pod *pod = &n->pods[i];
		/* Without surge there is one place, for the oldest. */
		const struct daemon_pod **place = &kept[d->max_surge > 0 && pod->current];

		going += pod->going;
		if (pod->going || (n->may_continue && clean_up_ended(d, n, pod)))
			continue;
		if (!n->may_continue || *place)
			daemon_delete_pod(d, pod);
		else
			*place = pod;
	}
	/* With surge a node is not left without while its last pod goes. */
	if (d->max_surge > 0 && n->should_run && going == n->n)
		daemon_create_pod(d, n->name);
}

static void delete_strays(struct daemon *d)
{
	for (size_t i = 0; i < d->pods.n; i++)
		if (!d->pods.v[i].going &&
			!view_get(d->v, &v1_node_resource, S(""), d->pods.v[i].node))
			daemon_delete_pod(d, &d->pods.v[i]);
}

static bool is_live(void *user_data, struct str hash)
{
	const struct daemon *d = user_data;

	for (size_t i = 0; i < d->pods.n; i++)
		if (str_eq(str_map_value(&d->pods.v[i].object->labels, S(LABEL_REVISION_HASH)),
			    hash))
			return true;
	return false;
}

static void resolve_limits(struct daemon *d)
{
	const struct apps_v1_rolling_update_daemon_set *u =
		d->ds->spec.update_strategy.rolling_update;
	int32_t desired = 0;

	for (size_t i = 0; i < d->nodes.n; i++)
		desired += d->nodes.v[i].should_run;
	d->max_unavailable =
		u && u->max_unavailable ? int_or_percent(u->max_unavailable, desired, true) : 1;
	d->max_surge = u ? int_or_percent(u->max_surge, desired, true) : 0;
	if (desired > 0 && d->max_unavailable == 0 && d->max_surge == 0)
		d->max_unavailable = 1;
}

static void sync_status(struct daemon *d)
{
	struct apps_v1_daemon_set_status s = {
		.observed_generation = d->ds->metadata.generation,
		.collision_count = d->ds->status.collision_count,
		.conditions = d->ds->status.conditions,
	};

	for (size_t i = 0; i < d->nodes.n; i++) {
		const struct daemon_node *n = &d->nodes.v[i];

		s.desired_number_scheduled += n->should_run;
		if (n->n == 0)
			continue;
		if (!n->should_run) {
			s.number_misscheduled++;
			continue;
		}
		s.current_number_scheduled++;
		s.number_ready += n->pods[0].ready;
		s.number_available += n->pods[0].available;
		s.updated_number_scheduled += n->pods[0].current;
	}
	s.number_unavailable = s.desired_number_scheduled - s.number_available;
	if (schema_equal(&apps_v1_daemon_set_status_schema, &s, &d->ds->status))
		return;
	d->ds->status = s;
	plan_add(d->p, PLAN_UPDATE_STATUS, d->object->resource, d->object->ns, d->object->name)
		->object = d->ds;
}

static void manage(struct daemon *d)
{
	const int32_t *limit = d->ds->spec.revision_history_limit;

	for (size_t i = 0; i < d->nodes.n; i++)
		manage_node(d, &d->nodes.v[i]);
	delete_strays(d);
	/* One thing after the other: what was created or deleted is seen before pods are replaced.
	 */
	if (d->p->writes.n == 0 && str_eq(d->ds->spec.update_strategy.type, S("RollingUpdate")))
		daemon_rolling_update(d);
	history_trim(&d->history, limit ? *limit : 10, is_live, d);
}

static int reconcile(struct view *v, struct plan_key key, struct plan *p, struct err *err)
{
	const struct object *o = view_get(v, &apps_v1_daemon_set_resource, key.ns, key.name);
	int32_t *collisions = NULL;

	if (!o)
		return 0;
	struct daemon d = {.v = v, .p = p, .object = o, .ds = object_decode(o, v->arena)};
	if (!d.ds->spec.selector || selector_is_empty(d.ds->spec.selector)) {
		plan_event(p, o, "Warning", "SelectingAll",
			"This daemon set is selecting all pods. A non-empty selector is required.");
		return 0;
	}
	if (o->deletion_ms)
		return 0;
	d.spec = spec_of(&d);
	d.history = (struct history){.v = v,
		.p = p,
		.owner = o,
		.meta = &d.ds->metadata,
		.selector = d.ds->spec.selector,
		.tmpl = &d.ds->spec.template,
		.collisions = d.ds->status.collision_count};
	if (!history_sync(&d.history, &collisions)) {
		d.ds->status.collision_count = collisions;
		plan_add(p, PLAN_UPDATE_STATUS, o->resource, key.ns, key.name)->object = d.ds;
		return 0;
	}
	load_pods(&d);
	load_nodes(&d);
	resolve_limits(&d);
	manage(&d);
	sync_status(&d);
	return 0;
}

/* --- what concerns which set --- */

static void pod_keys(
	struct view *v, const struct store_event *ev, plan_enqueue_fn *enqueue, void *user_data)
{
	replicas_pod_keys(v, ev, &apps_v1_daemon_set_resource, enqueue, user_data);
}

static bool same_place(struct view *v, const struct store_event *ev)
{
	if (ev->type != STORE_MODIFIED || !ev->prev)
		return false;
	const struct v1_node *a = object_decode(ev->prev, v->arena);
	const struct v1_node *b = object_decode(ev->object, v->arena);

	return schema_equal(&v1_node_spec_schema, &a->spec, &b->spec) &&
	       a->metadata.labels.n == b->metadata.labels.n &&
	       str_map_subset(&a->metadata.labels, &b->metadata.labels);
}

static void node_keys(
	struct view *v, const struct store_event *ev, plan_enqueue_fn *enqueue, void *user_data)
{
	struct snapshot *s = view_snapshot(v, &apps_v1_daemon_set_resource);
	struct snapshot_iter it;
	const struct object *o;

	if (snapshot_count(s) == 0 || same_place(v, ev))
		return;
	snapshot_iter_init(&it, s, S(""), S(""), S(""));
	while ((o = snapshot_next(&it)))
		enqueue(user_data, o->ns, o->name);
}

static const struct plan_watch watches[] = {
	{.resource = &apps_v1_daemon_set_resource},
	{.resource = &v1_pod_resource, .keys = pod_keys, .indexed = true},
	{.resource = &v1_node_resource, .keys = node_keys},
	{.resource = &apps_v1_controller_revision_resource, .indexed = true, .silent = true},
	{0},
};

const struct planner daemonset_planner = {
	.name = "daemonset-controller",
	.user = "daemon-set-controller",
	.watches = watches,
	.init = init,
	.free = release,
	.reconcile = reconcile,
};
