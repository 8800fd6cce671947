/*
 * statefulset.c: statefulset-controller: pods with names of their own and claims that outlive them,
 * one after the other unless the policy is Parallel. Claims stay when the set shrinks or goes
 * (persistentVolumeClaimRetentionPolicy Retain, the default; Delete is not acted on).
 */
#include <inttypes.h>

#include "controllers/labels.h"
#include "controllers/replicas.h"
#include "controllers/revisions.h"

#define LABEL_POD_NAME "statefulset.kubernetes.io/pod-name"
#define LABEL_POD_INDEX "apps.kubernetes.io/pod-index"

enum { BURST = 500 };

struct member { /* a pod of the set */
	const struct object *object;
	const struct v1_pod *pod;
	int64_t ordinal;
	bool ready, available;
};

struct stateful {
	struct view *v;
	struct plan *p;
	const struct object *object;
	struct apps_v1_stateful_set *set;
	struct history history;
	struct str current, update; /* revisions' names */
	const struct v1_pod_template_spec
		*old_tmpl;  /* of `current`; the same as the set's when there is no update */
	int64_t start, end; /* ordinals that are wanted: start … end-1 */
	struct {
		struct member *v;
		size_t n;
	} members; /* by ordinal */
	size_t planned;
};

/* --- what there is --- */

/* The ordinal in "name-3"; -1: not one of ours. */
static int64_t ordinal_of(const struct stateful *s, struct str pod)
{
	struct str name = s->object->name;
	int64_t n;

	if (pod.n <= name.n + 1 || !str_starts(pod, name) || pod.p[name.n] != '-' ||
		str_to_i64(str_sub(pod, name.n + 1, pod.n), &n) < 0 || n < 0)
		return -1;
	return n;
}

static int by_ordinal(const void *va, const void *vb)
{
	const struct member *a = va, *b = vb;

	return a->ordinal < b->ordinal ? -1 : a->ordinal > b->ordinal;
}

static void load_members(struct stateful *s)
{
	struct meta_v1_owner_reference ref =
		owner_ref(s->object->resource, &s->set->metadata, s->v->arena);
	struct object_vec mine =
		claim(s->v, s->p, &v1_pod_resource, s->object, &ref, s->set->spec.selector, NULL);

	for (size_t i = 0; i < mine.n; i++) {
		struct member m = {.object = mine.v[i], .ordinal = ordinal_of(s, mine.v[i]->name)};
		int64_t wait_ms = 0;

		if (m.ordinal < 0)
			continue;
		m.pod = object_decode(m.object, s->v->arena);
		m.ready = str_eq(pod_phase(m.object), S("Running")) && pod_ready(m.pod);
		m.available = m.ready && pod_available(m.pod, s->set->spec.min_ready_seconds,
						 s->v->now_ns, &wait_ms);
		if (wait_ms)
			plan_requeue(s->p, wait_ms);
		ARENA_PUSH(s->v->arena, &s->members, m);
	}
	if (s->members.n)
		qsort(s->members.v, s->members.n, sizeof(*s->members.v), by_ordinal);
}

static const struct member *find(const struct stateful *s, int64_t ordinal)
{
	for (size_t i = 0; i < s->members.n; i++)
		if (s->members.v[i].ordinal == ordinal)
			return &s->members.v[i];
	return NULL;
}

/* The template that a revision holds; NULL when it is gone. */
static const struct v1_pod_template_spec *template_of(struct stateful *s, struct str revision)
{
	for (size_t i = 0; i < s->history.all.n; i++) {
		const struct apps_v1_controller_revision *rev = s->history.all.v[i].rev;
		void *set;

		if (str_eq(rev->metadata.name, revision) &&
			schema_decode_json(&apps_v1_stateful_set_schema, rev->data, s->v->arena,
				NULL, &set, NULL) == 0)
			return &((struct apps_v1_stateful_set *)set)->spec.template;
	}
	return NULL;
}

/* --- a pod --- */

static void plan_claims(struct stateful *s, struct v1_pod *pod)
{
	struct arena *a = s->v->arena;
	const struct v1_persistent_volume_claim_vec *claims = &s->set->spec.volume_claim_templates;
	struct v1_volume_vec volumes = {0};

	for (size_t i = 0; i < claims->n; i++) {
		struct v1_persistent_volume_claim *pvc =
			ARENA_NEW(a, struct v1_persistent_volume_claim);
		struct v1_volume volume = {.name = claims->v[i].metadata.name};
		struct str ns = s->object->ns;

		*pvc = claims->v[i];
		pvc->metadata.name = arena_fmt(a, STR_FMT "-" STR_FMT,
			STR_ARG(claims->v[i].metadata.name), STR_ARG(pod->metadata.name));
		pvc->metadata.namespace = ns;
		for (size_t k = 0; k < s->set->spec.selector->match_labels.n; k++) {
			const struct str_pair *l = &s->set->spec.selector->match_labels.v[k];

			pvc->metadata.labels =
				str_map_with(pvc->metadata.labels, l->key, l->value, a);
		}
		volume.persistent_volume_claim =
			ARENA_NEW(a, struct v1_persistent_volume_claim_volume_source);
		volume.persistent_volume_claim->claim_name = pvc->metadata.name;
		ARENA_PUSH(a, &volumes, volume);
		if (view_get(s->v, &v1_persistent_volume_claim_resource, ns, pvc->metadata.name))
			continue;
		struct plan_write *w = plan_add(s->p, PLAN_CREATE,
			&v1_persistent_volume_claim_resource, ns, pvc->metadata.name);
		w->object = pvc;
		w->ignore_exists = true;
	}
	for (size_t i = 0; i < pod->spec.volumes.n; i++) {
		bool replaced = false;

		for (size_t k = 0; k < claims->n; k++)
			replaced |= str_eq(claims->v[k].metadata.name, pod->spec.volumes.v[i].name);
		if (!replaced)
			ARENA_PUSH(a, &volumes, pod->spec.volumes.v[i]);
	}
	pod->spec.volumes = volumes;
}

/* Whether a pod that is made now still gets the old template. */
static bool is_old(const struct stateful *s, int64_t ordinal)
{
	const struct apps_v1_stateful_set_update_strategy *u = &s->set->spec.update_strategy;

	if (!str_eq(u->type, S("RollingUpdate")))
		return false;
	if (u->rolling_update && u->rolling_update->partition)
		return ordinal < s->start + *u->rolling_update->partition;
	return ordinal < s->start + s->set->status.current_replicas && !u->rolling_update;
}

static void label(struct stateful *s, struct v1_pod *pod, const char *key, struct str value)
{
	pod->metadata.labels = str_map_with(pod->metadata.labels, str_c(key), value, s->v->arena);
}

static struct str event_text(struct stateful *s, const char *verb, struct str pod)
{
	return arena_fmt(s->v->arena, "%s Pod " STR_FMT " in StatefulSet " STR_FMT " successful",
		verb, STR_ARG(pod), STR_ARG(s->object->name));
}

static const char *failure_text(struct stateful *s, const char *verb, struct str pod)
{
	return arena_fmt(s->v->arena,
		"%s Pod " STR_FMT " in StatefulSet " STR_FMT " failed error: ", verb, STR_ARG(pod),
		STR_ARG(s->object->name))
		.p;
}

static void plan_create_pod(struct stateful *s, int64_t ordinal)
{
	struct arena *a = s->v->arena;
	const struct meta_v1_object_meta *meta = &s->set->metadata;
	bool old = is_old(s, ordinal);
	struct meta_v1_owner_reference *ref = ARENA_NEW(a, struct meta_v1_owner_reference);

	*ref = owner_ref(s->object->resource, meta, a);
	struct v1_pod *pod = pod_from_template(
		s->v, old ? s->old_tmpl : &s->set->spec.template, meta->namespace, meta->name, ref);
	pod->metadata.generate_name = S("");
	pod->metadata.name = arena_fmt(a, STR_FMT "-%" PRId64, STR_ARG(meta->name), ordinal);
	label(s, pod, LABEL_POD_NAME, pod->metadata.name);
	label(s, pod, LABEL_POD_INDEX, arena_fmt(a, "%" PRId64, ordinal));
	label(s, pod, LABEL_REVISION_HASH, old ? s->current : s->update);
	pod->spec.hostname = pod->metadata.name;
	pod->spec.subdomain = s->set->spec.service_name;
	plan_claims(s, pod);
	struct plan_write *w =
		plan_add(s->p, PLAN_CREATE, &v1_pod_resource, meta->namespace, pod->metadata.name);
	w->object = pod;
	w->event.about = s->object;
	w->event.reason = "SuccessfulCreate";
	w->event.message = event_text(s, "create", pod->metadata.name);
	w->event.fail_reason = "FailedCreate";
	w->event.fail_text = failure_text(s, "create", pod->metadata.name);
	s->planned++;
}

static void plan_delete_pod(struct stateful *s, const struct member *m)
{
	struct plan_write *w =
		plan_add(s->p, PLAN_DELETE, &v1_pod_resource, m->object->ns, m->object->name);

	w->uid = m->object->uid;
	w->ignore_not_found = true;
	w->event.about = s->object;
	w->event.reason = "SuccessfulDelete";
	w->event.message = event_text(s, "delete", m->object->name);
	w->event.fail_reason = "FailedDelete";
	w->event.fail_text = failure_text(s, "delete", m->object->name);
	s->planned++;
}

/* --- bringing the set forward --- */

/* Creates what is missing and replaces what has ended. True: wait before anything else is done. */
static bool bring_up(struct stateful *s, bool in_order)
{
	bool wait = false;

	for (int64_t i = s->start; i < s->end && s->planned < BURST; i++) {
		const struct member *m = find(s, i);

		if (!m) {
			plan_create_pod(s, i);
			wait = true;
		} else if (pod_finished(m->object)) {
			if (!m->object->deletion_ms)
				plan_delete_pod(s, m);
			wait = true;
		} else if (m->object->deletion_ms || !m->available) {
			if (!in_order)
				continue;
			return true;
		}
		if (wait && in_order)
			return true;
	}
	return wait;
}

static bool is_well(const struct member *m)
{
	return m->available && !m->object->deletion_ms;
}

/* Removes what is beyond the end, the highest first; in order, one that is not well only when all
 * below it are: the lowest of those must be seen to first. True: wait. */
static bool bring_down(struct stateful *s, bool in_order)
{
	const struct member *first_ill = NULL;
	bool wait = false;

	for (size_t k = 0; k < s->members.n && !first_ill; k++)
		if (!is_well(&s->members.v[k]))
			first_ill = &s->members.v[k];
	for (size_t k = s->members.n; k-- > 0;) {
		const struct member *m = &s->members.v[k];

		if (m->ordinal >= s->start && m->ordinal < s->end)
			continue;
		wait = true;
		if (!m->object->deletion_ms && (!in_order || is_well(m) || m == first_ill))
			plan_delete_pod(s, m);
		if (in_order)
			return true;
	}
	return wait;
}

/* Replaces pods of the old revision, the highest ordinal first, one when all above are well. */
static void roll(struct stateful *s)
{
	const struct apps_v1_rolling_update_stateful_set_strategy *u =
		s->set->spec.update_strategy.rolling_update;
	int64_t partition = u && u->partition ? *u->partition : 0;

	for (int64_t i = s->end; i-- > s->start + partition;) {
		const struct member *m = find(s, i);

		if (!m)
			return;
		if (!m->object->deletion_ms &&
			!str_eq(str_map_value(&m->object->labels, S(LABEL_REVISION_HASH)),
				s->update)) {
			plan_delete_pod(s, m);
			return;
		}
		if (!m->available || m->object->deletion_ms)
			return;
	}
}

/* --- status --- */

static void count(struct stateful *s, struct apps_v1_stateful_set_status *st)
{
	for (size_t i = 0; i < s->members.n; i++) {
		const struct member *m = &s->members.v[i];
		struct str revision = str_map_value(&m->object->labels, S(LABEL_REVISION_HASH));

		st->replicas++;
		st->ready_replicas += m->ready;
		st->available_replicas += m->available;
		if (m->object->deletion_ms)
			continue;
		st->current_replicas += str_eq(revision, s->current);
		st->updated_replicas += str_eq(revision, s->update);
	}
}

static void sync_status(struct stateful *s)
{
	int32_t want = (int32_t)(s->end - s->start);
	struct apps_v1_stateful_set_status st = {
		.observed_generation = s->set->metadata.generation,
		.current_revision = s->current,
		.update_revision = s->update,
		.collision_count = s->set->status.collision_count,
		.conditions = s->set->status.conditions,
	};

	if (!st.collision_count)
		st.collision_count = ARENA_NEW(s->v->arena, int32_t);
	count(s, &st);
	if (str_eq(s->set->spec.update_strategy.type, S("RollingUpdate")) &&
		st.updated_replicas == want && st.ready_replicas == want && st.replicas == want) {
		st.current_replicas = st.updated_replicas;
		st.current_revision = s->update;
	}
	if (schema_equal(&apps_v1_stateful_set_status_schema, &st, &s->set->status))
		return;
	s->set->status = st;
	plan_add(s->p, PLAN_UPDATE_STATUS, s->object->resource, s->object->ns, s->object->name)
		->object = s->set;
}

static bool is_live(void *user_data, struct str hash)
{
	const struct stateful *s = user_data;

	if (str_ends(s->current, hash) || str_ends(s->update, hash))
		return true;
	for (size_t i = 0; i < s->members.n; i++)
		if (str_ends(str_map_value(&s->members.v[i].object->labels, S(LABEL_REVISION_HASH)),
			    hash))
			return true;
	return false;
}

/* --- the whole --- */

static void choose_revisions(struct stateful *s)
{
	s->update = s->history.current.rev->metadata.name;
	s->current = s->set->status.current_revision;
	s->old_tmpl = str_empty(s->current) || str_eq(s->current, s->update)
			      ? NULL
			      : template_of(s, s->current);
	if (!s->old_tmpl) {
		s->current = s->update;
		s->old_tmpl = &s->set->spec.template;
	}
}

static void manage(struct stateful *s)
{
	bool in_order = !str_eq(s->set->spec.pod_management_policy, S("Parallel"));
	const int32_t *limit = s->set->spec.revision_history_limit;

	if (!bring_up(s, in_order) || !in_order) {
		bool wait = bring_down(s, in_order);

		if (!(wait && in_order) && s->planned == 0 &&
			str_eq(s->set->spec.update_strategy.type, S("RollingUpdate")))
			roll(s);
	}
	history_trim(&s->history, limit ? *limit : 10, is_live, s);
}

static int reconcile(struct view *v, struct plan_key key, struct plan *p, struct err *err)
{
	const struct object *o = view_get(v, &apps_v1_stateful_set_resource, key.ns, key.name);
	int32_t *collisions = NULL;

	if (!o)
		return 0;
	struct stateful s = {.v = v, .p = p, .object = o, .set = object_decode(o, v->arena)};
	if (selector_is_empty(s.set->spec.selector))
		return 0;
	s.history = (struct history){.v = v,
		.p = p,
		.owner = o,
		.meta = &s.set->metadata,
		.selector = s.set->spec.selector,
		.tmpl = &s.set->spec.template,
		.collisions = s.set->status.collision_count};
	if (o->deletion_ms == 0 && !history_sync(&s.history, &collisions)) {
		s.set->status.collision_count = collisions;
		plan_add(p, PLAN_UPDATE_STATUS, o->resource, key.ns, key.name)->object = s.set;
		return 0;
	}
	if (o->deletion_ms)
		return 0;
	s.start = s.set->spec.ordinals ? s.set->spec.ordinals->start : 0;
	s.end = s.start + (s.set->spec.replicas ? *s.set->spec.replicas : 1);
	choose_revisions(&s);
	load_members(&s);
	manage(&s);
	sync_status(&s);
	return 0;
}

static void pod_keys(
	struct view *v, const struct store_event *ev, plan_enqueue_fn *enqueue, void *user_data)
{
	replicas_pod_keys(v, ev, &apps_v1_stateful_set_resource, enqueue, user_data);
}

static const struct plan_watch watches[] = {
	{.resource = &apps_v1_stateful_set_resource},
	{.resource = &v1_pod_resource, .keys = pod_keys, .indexed = true},
	{.resource = &apps_v1_controller_revision_resource, .indexed = true, .silent = true},
	{.resource = &v1_persistent_volume_claim_resource, .silent = true},
	{0},
};

const struct planner statefulset_planner = {
	.name = "statefulset-controller",
	.user = "statefulset-controller",
	.watches = watches,
	.reconcile = reconcile,
};
