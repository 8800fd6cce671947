#include "controllers/util.h"

#include "controllers/labels.h"
#include "schema/time.h"

struct str pod_phase(const struct object *pod)
{
	return object_field(pod, S("status.phase"));
}

struct str pod_node(const struct object *pod)
{
	return object_field(pod, S("spec.nodeName"));
}

bool pod_finished(const struct object *pod)
{
	struct str phase = pod_phase(pod);

	return str_eq(phase, S("Succeeded")) || str_eq(phase, S("Failed"));
}

bool pod_active(const struct object *pod)
{
	return pod->deletion_ms == 0 && !pod_finished(pod);
}

const struct v1_pod_condition *pod_condition_get(const struct v1_pod *pod, const char *type)
{
	for (size_t i = 0; i < pod->status.conditions.n; i++)
		if (str_eqc(pod->status.conditions.v[i].type, type))
			return &pod->status.conditions.v[i];
	return NULL;
}

bool pod_ready(const struct v1_pod *pod)
{
	const struct v1_pod_condition *c = pod_condition_get(pod, "Ready");

	return c && str_eq(c->status, S("True"));
}

bool pod_available(
	const struct v1_pod *pod, int32_t min_ready_s, int64_t now_ns, int64_t *ret_wait_ms)
{
	const struct v1_pod_condition *c = pod_condition_get(pod, "Ready");

	if (!c || !str_eq(c->status, S("True")))
		return false;
	if (min_ready_s == 0)
		return true;
	if (!c->last_transition_time.set)
		return false;
	int64_t due_ms = (c->last_transition_time.sec + min_ready_s) * 1000;
	int64_t now_ms = now_ns / 1000000;
	if (due_ms <= now_ms)
		return true;
	if (ret_wait_ms)
		*ret_wait_ms = due_ms - now_ms;
	return false;
}

void plan_disruption(struct view *v, struct plan *p, const struct object *pod, const char *phase,
	const char *reason, const char *message)
{
	struct plan_write *w = plan_add(p, PLAN_PATCH, pod->resource, pod->ns, pod->name);

	w->subresource = S("status");
	w->patch_type = "application/strategic-merge-patch+json";
	w->ignore_not_found = true;
	w->patch = arena_fmt(v->arena,
		"{\"metadata\":{\"uid\":\"" STR_FMT
		"\"},\"status\":{%s%s%s\"conditions\":[{\"type\":\"DisruptionTarget\",\"status\":"
		"\"True\","
		"\"reason\":\"%s\",\"message\":\"%s\",\"lastTransitionTime\":\"" STR_FMT "\"}]}}",
		STR_ARG(pod->uid), phase ? "\"phase\":\"" : "", phase ? phase : "",
		phase ? "\"," : "", reason, message, STR_ARG(time_format(view_now(v), v->arena)));
}

int32_t int_or_percent(const struct int_or_string *v, int32_t of, bool round_up)
{
	int64_t percent;

	if (!v)
		return 0;
	if (!v->is_string)
		return v->i;
	if (!str_ends(v->s, S("%")) || str_to_i64(str_sub(v->s, 0, v->s.n - 1), &percent) < 0)
		return 0;
	return (int32_t)((percent * of + (round_up ? 99 : 0)) / 100);
}

struct str api_version_of(const struct schema_resource *res, struct arena *a)
{
	if (!res->group[0])
		return str_c(res->version);
	return arena_fmt(a, "%s/%s", res->group, res->version);
}

struct meta_v1_owner_reference owner_ref(
	const struct schema_resource *res, const struct meta_v1_object_meta *meta, struct arena *a)
{
	struct meta_v1_owner_reference ref = {
		.api_version = api_version_of(res, a),
		.kind = str_c(res->kind),
		.name = meta->name,
		.uid = meta->uid,
	};

	ref.controller = ARENA_NEW(a, bool);
	*ref.controller = true;
	ref.block_owner_deletion = ref.controller;
	return ref;
}

const struct meta_v1_owner_reference *controller_of(const struct meta_v1_object_meta *meta)
{
	for (size_t i = 0; i < meta->owner_references.n; i++) {
		const struct meta_v1_owner_reference *ref = &meta->owner_references.v[i];

		if (ref->controller && *ref->controller)
			return ref;
	}
	return NULL;
}

static void plan_owner_patch(struct plan *p, const struct object *o, struct str reference)
{
	struct plan_write *w = plan_add(p, PLAN_PATCH, o->resource, o->ns, o->name);

	w->patch_type = "application/strategic-merge-patch+json";
	w->ignore_not_found = true;
	w->patch = arena_fmt(p->arena,
		"{\"metadata\":{\"ownerReferences\":[" STR_FMT "],\"uid\":\"" STR_FMT "\"}}",
		STR_ARG(reference), STR_ARG(o->uid));
}

void plan_adopt(struct plan *p, const struct object *o, const struct meta_v1_owner_reference *ref)
{
	plan_owner_patch(p, o,
		arena_fmt(p->arena,
			"{\"apiVersion\":\"" STR_FMT "\",\"kind\":\"" STR_FMT
			"\",\"name\":\"" STR_FMT "\",\"uid\":\"" STR_FMT
			"\",\"controller\":true,\"blockOwnerDeletion\":true}",
			STR_ARG(ref->api_version), STR_ARG(ref->kind), STR_ARG(ref->name),
			STR_ARG(ref->uid)));
}

void plan_release(struct plan *p, const struct object *o, struct str owner_uid)
{
	plan_owner_patch(p, o,
		arena_fmt(p->arena, "{\"$patch\":\"delete\",\"uid\":\"" STR_FMT "\"}",
			STR_ARG(owner_uid)));
}

static int by_name(const void *a, const void *b)
{
	const struct object *const *x = a, *const *y = b;

	return str_cmp((*x)->name, (*y)->name);
}

struct object_vec claim(struct view *v, struct plan *p, const struct schema_resource *res,
	const struct object *owner, const struct meta_v1_owner_reference *ref,
	const struct meta_v1_label_selector *selector, bool (*wanted)(const struct object *o))
{
	struct object_vec mine = view_controlled(v, res, owner->uid), claimed = {0};
	struct object_vec orphans = {0};
	size_t writes = p->writes.n;

	for (size_t i = 0; i < mine.n; i++) {
		if (wanted && !wanted(mine.v[i]))
			continue;
		if (selector_fits(selector, &mine.v[i]->labels))
			ARENA_PUSH(v->arena, &claimed, mine.v[i]);
		else if (owner->deletion_ms == 0)
			plan_release(p, mine.v[i], owner->uid);
	}
	if (owner->deletion_ms == 0)
		orphans = view_orphans(v, res, owner->ns);
	for (size_t i = 0; i < orphans.n; i++) {
		const struct object *o = orphans.v[i];

		if (o->deletion_ms || (wanted && !wanted(o)) ||
			!selector_fits(selector, &o->labels))
			continue;
		plan_adopt(p, o, ref);
		ARENA_PUSH(v->arena, &claimed, o);
	}
	if (p->writes.n > writes)
		plan_next_wave(p);
	if (claimed.n)
		qsort(claimed.v, claimed.n, sizeof(*claimed.v), by_name);
	return claimed;
}

struct str random_suffix(struct view *v, size_t n)
{
	static const char alphabet[] = "bcdfghjklmnpqrstvwxz2456789";
	char text[32];

	assert(n < sizeof(text));
	for (size_t i = 0; i < n; i++)
		text[i] = alphabet[view_random(v) % (sizeof(alphabet) - 1)];
	return arena_str(v->arena, str_n(text, n));
}

struct str generate_name(struct view *v, struct str prefix)
{
	enum { NAME_MAX_LEN = 63, SUFFIX = 5 };
	struct str suffix = random_suffix(v, SUFFIX);

	prefix.n = MIN(prefix.n, (size_t)(NAME_MAX_LEN - SUFFIX));
	return arena_fmt(v->arena, STR_FMT STR_FMT, STR_ARG(prefix), STR_ARG(suffix));
}

struct str time_format(struct k8s_time t, struct arena *a)
{
	char text[K8S_TIME_TEXT_MAX];

	return arena_str(a, str_n(text, k8s_time_format(&t, false, text)));
}

struct str_map str_map_without(struct str_map m, struct str key, struct arena *a)
{
	struct str_map r = {ARENA_ARRAY(a, struct str_pair, MAX(m.n, 1)), 0};

	for (size_t i = 0; i < m.n; i++)
		if (!str_eq(m.v[i].key, key))
			r.v[r.n++] = m.v[i];
	return r;
}

struct str_map str_map_with(struct str_map m, struct str key, struct str value, struct arena *a)
{
	struct str_map r = {ARENA_ARRAY(a, struct str_pair, m.n + 1), 0};
	size_t i = 0;

	while (i < m.n && str_cmp(m.v[i].key, key) < 0)
		r.v[r.n++] = m.v[i++];
	r.v[r.n++] = (struct str_pair){key, value};
	if (i < m.n && str_eq(m.v[i].key, key))
		i++;
	while (i < m.n)
		r.v[r.n++] = m.v[i++];
	return r;
}

struct str str_map_value(const struct str_map *m, struct str key)
{
	const struct str *v = str_map_get(m, key);

	return v ? *v : (struct str){0};
}

bool str_map_subset(const struct str_map *sub, const struct str_map *of)
{
	for (size_t i = 0; i < sub->n; i++) {
		const struct str *v = str_map_get(of, sub->v[i].key);

		if (!v || !str_eq(*v, sub->v[i].value))
			return false;
	}
	return true;
}
