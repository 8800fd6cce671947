/* deployment_sets.c: the replica sets of a deployment: which is the new one, revisions, hashes,
 * clean-up, rollback. */
#include <inttypes.h>

#include "controllers/deployment.h"
#include "controllers/labels.h"

enum { REVISION_HISTORY_MAX = 2000 }; /* characters */

int set_compare_creation(const void *va, const void *vb)
{
	const struct set *const *a = va, *const *b = vb;
	const struct meta_v1_object_meta *x = &(*a)->rs->metadata, *y = &(*b)->rs->metadata;

	if (x->creation_timestamp.sec != y->creation_timestamp.sec)
		return x->creation_timestamp.sec < y->creation_timestamp.sec ? -1 : 1;
	return str_cmp(x->name, y->name);
}

bool set_number(const struct set *s, struct str annotation, int32_t *ret)
{
	struct str text = str_map_value(&s->rs->metadata.annotations, annotation);
	int64_t n;

	if (str_empty(text) || str_to_i64(text, &n) < 0 || n < 0 || n > INT32_MAX)
		return false;
	*ret = (int32_t)n;
	return true;
}

int64_t set_revision(const struct set *s)
{
	int64_t n = 0;

	str_to_i64(str_map_value(&s->rs->metadata.annotations, S(ANN_REVISION)), &n);
	return n;
}

int32_t sets_want(const struct sets *sets)
{
	int32_t n = 0;

	for (size_t i = 0; i < sets->n; i++)
		n += *sets->v[i]->rs->spec.replicas;
	return n;
}

struct sets sets_active(const struct sets *sets, struct arena *a)
{
	struct sets r = {0};

	for (size_t i = 0; i < sets->n; i++)
		if (*sets->v[i]->rs->spec.replicas > 0)
			ARENA_PUSH(a, &r, sets->v[i]);
	return r;
}

static bool same_template(
	const struct v1_pod_template_spec *x, const struct v1_pod_template_spec *y, struct arena *a)
{
	struct v1_pod_template_spec p = *x, q = *y;

	p.metadata.labels = str_map_without(p.metadata.labels, S(LABEL_HASH), a);
	q.metadata.labels = str_map_without(q.metadata.labels, S(LABEL_HASH), a);
	return schema_equal(&v1_pod_template_spec_schema, &p, &q);
}

static bool annotation_stays(struct str key)
{
	static const char *const own[] = {ANN_LAST_APPLIED, ANN_REVISION, ANN_REVISION_HISTORY,
		ANN_DESIRED, ANN_MAX, ANN_ROLLBACK_TO};

	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		if (str_eqc(key, own[i]))
			return true;
	return false;
}

static bool annotate(struct set *s, struct str key, struct str value, struct arena *a)
{
	struct str_map *m = &s->rs->metadata.annotations;
	const struct str *old = str_map_get(m, key);

	if (old && str_eq(*old, value))
		return false;
	*m = str_map_with(*m, key, value, a);
	return true;
}

static bool annotate_replicas(const struct rollout *r, struct set *s)
{
	struct arena *a = r->v->arena;
	bool changed = annotate(s, S(ANN_DESIRED), arena_fmt(a, "%d", r->want), a);

	return annotate(s, S(ANN_MAX), arena_fmt(a, "%d", r->want + r->max_surge), a) || changed;
}

/* A set that becomes the newest again keeps the revisions that it was before, as many as fit. */
static void remember_revision(struct set *s, struct str revision, struct arena *a)
{
	struct str history = str_map_value(&s->rs->metadata.annotations, S(ANN_REVISION_HISTORY));

	while (history.n && history.n + revision.n + 1 > REVISION_HISTORY_MAX) {
		struct str first;

		str_cut(history, ',', &first, &history);
	}
	if (history.n)
		revision = arena_fmt(a, STR_FMT "," STR_FMT, STR_ARG(history), STR_ARG(revision));
	annotate(s, S(ANN_REVISION_HISTORY), revision, a);
}

static int64_t max_revision(const struct sets *sets)
{
	int64_t max = 0;

	for (size_t i = 0; i < sets->n; i++)
		max = MAX(max, set_revision(sets->v[i]));
	return max;
}

/* The new set carries the deployment's annotations and the highest revision. */
static bool annotate_new(const struct rollout *r, struct set *s, bool exists)
{
	struct arena *a = r->v->arena;
	const struct str_map *from = &r->d->metadata.annotations;
	int64_t revision = max_revision(&r->old) + 1, old = set_revision(s);
	struct str old_text = str_map_value(&s->rs->metadata.annotations, S(ANN_REVISION));
	bool changed = false;

	for (size_t i = 0; i < from->n; i++)
		if (!annotation_stays(from->v[i].key))
			changed |= annotate(s, from->v[i].key, from->v[i].value, a);
	if (old < revision) {
		if (old_text.n)
			remember_revision(s, old_text, a);
		annotate(s, S(ANN_REVISION), arena_fmt(a, "%" PRId64, revision), a);
		changed = true;
	}
	if (!exists)
		changed |= annotate_replicas(r, s);
	return changed;
}

static void set_deployment_revision(struct rollout *r, const struct set *s)
{
	struct str_map *m = &r->d->metadata.annotations;
	struct str revision = str_map_value(&s->rs->metadata.annotations, S(ANN_REVISION));

	if (!str_eq(str_map_value(m, S(ANN_REVISION)), revision))
		*m = str_map_with(*m, S(ANN_REVISION), revision, r->v->arena);
}

static void load_sets(struct rollout *r)
{
	struct arena *a = r->v->arena;
	struct meta_v1_owner_reference ref = owner_ref(r->object->resource, &r->d->metadata, a);
	struct object_vec mine = claim(r->v, r->p, &apps_v1_replica_set_resource, r->object, &ref,
		r->d->spec.selector, NULL);

	for (size_t i = 0; i < mine.n; i++) {
		struct set *s = ARENA_NEW(a, struct set);

		*s = (struct set){mine.v[i], object_decode(mine.v[i], a), false, -1};
		if (!s->rs->spec.replicas) {
			s->rs->spec.replicas = ARENA_NEW(a, int32_t);
			*s->rs->spec.replicas = 1;
		}
		ARENA_PUSH(a, &r->all, s);
	}
	if (r->all.n)
		qsort(r->all.v, r->all.n, sizeof(*r->all.v), set_compare_creation);
}

void rollout_load(struct rollout *r)
{
	struct arena *a = r->v->arena;

	load_sets(r);
	for (size_t i = 0; i < r->all.n; i++) {
		struct set *s = r->all.v[i];

		if (!r->new_set && same_template(&s->rs->spec.template, &r->d->spec.template, a))
			r->new_set = s;
		else
			ARENA_PUSH(a, &r->old, s);
	}
	if (!r->new_set)
		return;
	r->new_set->changed |= annotate_new(r, r->new_set, true);
	if (r->new_set->rs->spec.min_ready_seconds != r->d->spec.min_ready_seconds) {
		r->new_set->rs->spec.min_ready_seconds = r->d->spec.min_ready_seconds;
		r->new_set->changed = true;
	}
	set_deployment_revision(r, r->new_set);
	if (has_progress_deadline(r->d) && !deployment_condition(&r->d->status, "Progressing"))
		deployment_set_condition(r, &r->d->status, "Progressing", "True",
			"FoundNewReplicaSet",
			arena_fmt(a, "Found new replica set \"" STR_FMT "\"",
				STR_ARG(r->new_set->rs->metadata.name)));
}

static struct meta_v1_label_selector *selector_with_hash(
	const struct meta_v1_label_selector *s, struct str hash, struct arena *a)
{
	struct meta_v1_label_selector *with = ARENA_NEW(a, struct meta_v1_label_selector);

	*with = *s;
	with->match_labels = str_map_with(s->match_labels, S(LABEL_HASH), hash, a);
	return with;
}

static struct set *new_set(struct rollout *r, struct str hash)
{
	struct arena *a = r->v->arena;
	struct apps_v1_deployment *d = r->d;
	struct apps_v1_replica_set *rs = ARENA_NEW(a, struct apps_v1_replica_set);
	struct set *s = ARENA_NEW(a, struct set);
	size_t name_max = 253 - 1 - hash.n;

	rs->spec.template = d->spec.template;
	rs->spec.template.metadata.labels =
		str_map_with(d->spec.template.metadata.labels, S(LABEL_HASH), hash, a);
	rs->spec.selector = selector_with_hash(d->spec.selector, hash, a);
	rs->spec.min_ready_seconds = d->spec.min_ready_seconds;
	rs->spec.replicas = ARENA_NEW(a, int32_t);
	rs->metadata.name = arena_fmt(a, "%.*s-" STR_FMT, (int)MIN(d->metadata.name.n, name_max),
		d->metadata.name.p, STR_ARG(hash));
	rs->metadata.namespace = d->metadata.namespace;
	rs->metadata.labels = rs->spec.template.metadata.labels;
	ARENA_PUSH(
		a, &rs->metadata.owner_references, owner_ref(r->object->resource, &d->metadata, a));
	*s = (struct set){NULL, rs, false, -1};
	return s;
}

/* When the name is taken by a set that is not ours or has another template: a collision of hashes.
 * True: the status with the raised count is written first, and the creation comes with the next
 * round. */
static bool raise_collisions(struct rollout *r, const struct set *s)
{
	const struct plan_failure *f = r->v->failure;

	if (!f || f->op != PLAN_CREATE || f->resource != &apps_v1_replica_set_resource ||
		!str_eq(f->reason, S("AlreadyExists")) || !str_eq(f->name, s->rs->metadata.name) ||
		!view_get(r->v, &apps_v1_replica_set_resource, r->object->ns, s->rs->metadata.name))
		return false;
	int32_t *count = ARENA_NEW(r->v->arena, int32_t);

	*count = (r->d->status.collision_count ? *r->d->status.collision_count : 0) + 1;
	r->d->status.collision_count = count;
	return true;
}

static void creation_condition(struct rollout *r, struct str name)
{
	const struct plan_failure *f = r->v->failure;
	struct arena *a = r->v->arena;

	if (!has_progress_deadline(r->d))
		return;
	if (f && f->op == PLAN_CREATE)
		deployment_set_condition(r, &r->d->status, "Progressing", "False",
			"ReplicaSetCreateError",
			arena_fmt(a, "Failed to create new replica set \"" STR_FMT "\": " STR_FMT,
				STR_ARG(name), STR_ARG(f->message)));
	else
		deployment_set_condition(r, &r->d->status, "Progressing", "True",
			"NewReplicaSetCreated",
			arena_fmt(a, "Created new replica set \"" STR_FMT "\"", STR_ARG(name)));
}

/* How many replicas a set that becomes the new one starts with, so that maxSurge holds. */
static int32_t initial_replicas(const struct rollout *r)
{
	int32_t room = r->want + r->max_surge - sets_want(&r->old);

	if (!r->rolling)
		return r->want;
	return room <= 0 ? 0 : MIN(room, r->want);
}

void rollout_create_set(struct rollout *r)
{
	struct arena *a = r->v->arena;
	struct str hash = template_hash(&r->d->spec.template, r->d->status.collision_count, a);
	struct set *s = new_set(r, hash);
	struct str name = s->rs->metadata.name;

	if (raise_collisions(r, s))
		return;
	*s->rs->spec.replicas = initial_replicas(r);
	annotate_new(r, s, false);
	struct plan_write *w =
		plan_add(r->p, PLAN_CREATE, &apps_v1_replica_set_resource, r->object->ns, name);
	w->object = s->rs;
	w->event.about = r->object;
	if (*s->rs->spec.replicas > 0) {
		w->event.reason = "ScalingReplicaSet";
		w->event.message = arena_fmt(a, "Scaled up replica set " STR_FMT " from 0 to %d",
			STR_ARG(name), *s->rs->spec.replicas);
	}
	w->event.fail_reason = "ReplicaSetCreateError";
	w->event.fail_text =
		arena_fmt(a, "Failed to create new replica set \"" STR_FMT "\": ", STR_ARG(name)).p;
	plan_next_wave(r->p);
	set_deployment_revision(r, s);
	creation_condition(r, name);
	r->new_set = s;
	ARENA_PUSH(a, &r->all, s);
}

void rollout_scale(struct rollout *r, struct set *s, int32_t replicas, bool force)
{
	int32_t was = *s->rs->spec.replicas;

	if (was == replicas && !force)
		return;
	s->changed |= annotate_replicas(r, s);
	if (was == replicas)
		return;
	if (s->scaled_from < 0)
		s->scaled_from = was;
	s->rs->spec.replicas = ARENA_NEW(r->v->arena, int32_t);
	*s->rs->spec.replicas = replicas;
	s->changed = true;
}

static int compare_revision(const void *a, const void *b)
{
	int64_t x = set_revision(*(struct set *const *)a),
		y = set_revision(*(struct set *const *)b);

	if (x != y)
		return x < y ? -1 : 1;
	return set_compare_creation(a, b);
}

void rollout_cleanup(struct rollout *r)
{
	const int32_t *limit = r->d->spec.revision_history_limit;
	struct sets alive = {0};

	if (!limit || *limit == INT32_MAX)
		return;
	for (size_t i = 0; i < r->old.n; i++)
		if (r->old.v[i]->object->deletion_ms == 0)
			ARENA_PUSH(r->v->arena, &alive, r->old.v[i]);
	if (alive.n <= (size_t)*limit)
		return;
	qsort(alive.v, alive.n, sizeof(*alive.v), compare_revision);
	for (size_t i = 0; i < alive.n - *limit; i++) {
		const struct apps_v1_replica_set *rs = alive.v[i]->rs;

		if (rs->status.replicas || *rs->spec.replicas ||
			rs->metadata.generation > rs->status.observed_generation)
			continue;
		struct plan_write *w = plan_add(r->p, PLAN_DELETE, &apps_v1_replica_set_resource,
			r->object->ns, rs->metadata.name);
		w->uid = rs->metadata.uid;
		w->ignore_not_found = true;
	}
}

/* --- rollback by the annotation of old clients --- */

static const struct set *find_revision(const struct rollout *r, int64_t revision)
{
	for (size_t i = 0; i < r->all.n; i++)
		if (set_revision(r->all.v[i]) == revision)
			return r->all.v[i];
	return NULL;
}

static int64_t last_revision(const struct sets *sets)
{
	int64_t max = 0, second = 0;

	for (size_t i = 0; i < sets->n; i++) {
		int64_t n = set_revision(sets->v[i]);

		if (n >= max) {
			second = max;
			max = n;
		} else if (n > second) {
			second = n;
		}
	}
	return second;
}

/* The deployment gets the set's annotations back, so that the change cause is that of the revision.
 */
static void take_template(struct rollout *r, const struct set *s)
{
	struct arena *a = r->v->arena;
	struct str_map kept = {0};
	const struct str_map *own = &r->d->metadata.annotations,
			     *from = &s->rs->metadata.annotations;

	for (size_t i = 0; i < own->n; i++)
		if (annotation_stays(own->v[i].key))
			kept = str_map_with(kept, own->v[i].key, own->v[i].value, a);
	for (size_t i = 0; i < from->n; i++)
		if (!annotation_stays(from->v[i].key))
			kept = str_map_with(kept, from->v[i].key, from->v[i].value, a);
	r->d->metadata.annotations = kept;
	r->d->spec.template = s->rs->spec.template;
	r->d->spec.template.metadata.labels =
		str_map_without(s->rs->spec.template.metadata.labels, S(LABEL_HASH), a);
}

void rollout_rollback(struct rollout *r, int64_t revision)
{
	struct arena *a = r->v->arena;
	const struct set *s;

	if (revision == 0)
		revision = last_revision(&r->all);
	s = revision ? find_revision(r, revision) : NULL;
	if (!s) {
		plan_event(r->p, r->object, "Warning", "DeploymentRollbackRevisionNotFound", "%s",
			revision ? "Unable to find the revision to rollback to."
				 : "Unable to find last revision.");
	} else if (same_template(&s->rs->spec.template, &r->d->spec.template, a)) {
		plan_event(r->p, r->object, "Warning", "DeploymentRollbackTemplateUnchanged",
			"The rollback revision contains the same template as current deployment "
			"\"" STR_FMT "\"",
			STR_ARG(r->object->name));
	} else {
		take_template(r, s);
		plan_event(r->p, r->object, "Normal", "DeploymentRollback",
			"Rolled back deployment \"" STR_FMT "\" to revision %" PRId64,
			STR_ARG(r->object->name), revision);
	}
	r->d->metadata.annotations =
		str_map_without(r->d->metadata.annotations, S(ANN_ROLLBACK_TO), a);
	plan_add(r->p, PLAN_UPDATE, r->object->resource, r->object->ns, r->object->name)->object =
		r->d;
}
