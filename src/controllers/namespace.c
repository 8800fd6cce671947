/*
 * namespace.c: namespace-controller: empties a namespace that is being deleted, pods first, then
 * lets it go. What is left is read from the snapshots of all namespaced resources.
 */
#include "controllers/util.h"

enum { RETRY_MS = 10 * 1000, MESSAGE_MAX = 16 * 1024, FINALIZERS_MAX = 32 };

struct remains {
	const struct schema_resource *resource;
	size_t n;         /* objects left */
	size_t to_delete; /* of these, not being deleted yet */
};

struct content {
	struct remains *v;
	size_t n, pods;
	struct {
		struct str name;
		size_t n;
	} finalizers[FINALIZERS_MAX];
	size_t n_finalizers;
};

static bool can_hold(const struct schema_resource *res)
{
	const uint32_t verbs = VERB_LIST | VERB_WATCH | VERB_DELETE;

	return res->storage && res->namespaced && (res->verbs & verbs) == verbs;
}

static void count_finalizers(struct view *v, struct content *c, const struct object *o)
{
	const struct str_vec finalizers = object_meta(o, v->arena)->finalizers;

	for (size_t i = 0; i < finalizers.n; i++) {
		size_t k = 0;

		while (k < c->n_finalizers && !str_eq(c->finalizers[k].name, finalizers.v[i]))
			k++;
		if (k == FINALIZERS_MAX)
			continue;
		if (k == c->n_finalizers)
			c->finalizers[c->n_finalizers++].name = finalizers.v[i];
		c->finalizers[k].n++;
	}
}

static struct content content_of(struct view *v, struct str ns)
{
	struct content c = {0};

	for (size_t i = 0; i < schema_n_resources; i++) {
		struct remains r = {.resource = schema_resources[i]};
		struct snapshot_iter it;
		const struct object *o;

		if (!can_hold(r.resource))
			continue;
		snapshot_iter_init(&it, view_snapshot(v, r.resource), ns, S(""), S(""));
		while ((o = snapshot_next(&it))) {
			r.n++;
			r.to_delete += o->deletion_ms == 0;
			if (o->has_finalizers)
				count_finalizers(v, &c, o);
		}
		if (r.resource == &v1_pod_resource)
			c.pods = r.n;
		if (r.n)
			ARENA_PUSH(v->arena, &c, r);
	}
	return c;
}

static struct str remaining_text(struct view *v, const struct content *c)
{
	struct buf b;

	buf_init(&b, MESSAGE_MAX);
	buf_add_c(&b, "Some resources are remaining: ");
	for (size_t i = 0; i < c->n; i++) {
		const struct schema_resource *res = c->v[i].resource;

		buf_fmt(&b, "%s%s.%s has %zu resource instances", i ? ", " : "", res->plural,
			res->group, c->v[i].n);
	}
	struct str text = arena_str(v->arena, buf_str(&b));
	buf_release(&b);
	return text;
}

static struct str finalizers_text(struct view *v, const struct content *c)
{
	struct buf b;

	buf_init(&b, MESSAGE_MAX);
	buf_add_c(&b, "Some content in the namespace has finalizers remaining: ");
	for (size_t i = 0; i < c->n_finalizers; i++)
		buf_fmt(&b, "%s" STR_FMT " in %zu resource instances", i ? ", " : "",
			STR_ARG(c->finalizers[i].name), c->finalizers[i].n);
	struct str text = arena_str(v->arena, buf_str(&b));
	buf_release(&b);
	return text;
}

/* True when it changed. */
static bool set_condition(struct view *v, struct v1_namespace *ns, const char *type, bool status,
	const char *reason, struct str message)
{
	const struct v1_namespace_condition c = {
		.type = str_c(type),
		.status = status ? S("True") : S("False"),
		.last_transition_time = view_now(v),
		.reason = str_c(reason),
		.message = message,
	};

	for (size_t i = 0; i < ns->status.conditions.n; i++) {
		struct v1_namespace_condition *old = &ns->status.conditions.v[i];

		if (!str_eq(old->type, c.type))
			continue;
		if (str_eq(old->status, c.status) && str_eq(old->reason, c.reason) &&
			str_eq(old->message, c.message))
			return false;
		*old = c;
		return true;
	}
	ARENA_PUSH(v->arena, &ns->status.conditions, c);
	return true;
}

static bool set_conditions(struct view *v, struct v1_namespace *ns, const struct content *c)
{
	const struct plan_failure *f = v->failure;
	bool changed = false;

	changed |= set_condition(v, ns, "NamespaceDeletionDiscoveryFailure", false,
		"ResourcesDiscovered", S("All resources successfully discovered"));
	changed |= set_condition(v, ns, "NamespaceDeletionGroupVersionParsingFailure", false,
		"ParsedGroupVersions", S("All legacy kube types successfully parsed"));
	if (f && f->op == PLAN_DELETE_COLLECTION)
		changed |= set_condition(v, ns, "NamespaceDeletionContentFailure", true,
			"ContentDeletionFailed",
			arena_fmt(v->arena,
				"Failed to delete all resource types, 1 remaining: " STR_FMT,
				STR_ARG(f->message)));
	else
		changed |= set_condition(v, ns, "NamespaceDeletionContentFailure", false,
			"ContentDeleted",
			S("All content successfully deleted, may be waiting on finalization"));
	changed |= c->n ? set_condition(v, ns, "NamespaceContentRemaining", true,
				  "SomeResourcesRemain", remaining_text(v, c))
			: set_condition(v, ns, "NamespaceContentRemaining", false, "ContentRemoved",
				  S("All content successfully removed"));
	changed |= c->n_finalizers ? set_condition(v, ns, "NamespaceFinalizersRemaining", true,
					     "SomeFinalizersRemain", finalizers_text(v, c))
				   : set_condition(v, ns, "NamespaceFinalizersRemaining", false,
					     "ContentHasNoFinalizers",
					     S("All content-preserving finalizers finished"));
	return changed;
}

static void plan_deletions(struct plan *p, struct str ns, const struct content *c)
{
	for (size_t i = 0; i < c->n; i++) {
		const struct schema_resource *res = c->v[i].resource;

		if (!c->v[i].to_delete || (c->pods && res != &v1_pod_resource))
			continue;
		if (!(res->verbs & VERB_DELETECOLLECTION))
			continue;
		plan_add(p, PLAN_DELETE_COLLECTION, res, ns, S(""))->propagation = "Background";
	}
}

static void plan_finalize(struct view *v, struct plan *p, struct v1_namespace *ns)
{
	struct str_vec kept = {0};

	for (size_t i = 0; i < ns->spec.finalizers.n; i++)
		if (!str_eq(ns->spec.finalizers.v[i], S("kubernetes")))
			ARENA_PUSH(v->arena, &kept, ns->spec.finalizers.v[i]);
	if (kept.n == ns->spec.finalizers.n)
		return;
	ns->spec.finalizers = kept;
	struct plan_write *w =
		plan_add(p, PLAN_UPDATE, &v1_namespace_resource, S(""), ns->metadata.name);
	w->subresource = S("finalize");
	w->object = ns;
	w->ignore_not_found = true;
}

static int reconcile(struct view *v, struct plan_key key, struct plan *p, struct err *err)
{
	struct v1_namespace *ns = view_decode(v, &v1_namespace_resource, S(""), key.name);

	if (!ns || !ns->metadata.deletion_timestamp.set)
		return 0;
	struct content c = content_of(v, key.name);
	if (c.n == 0) {
		plan_finalize(v, p, ns);
		return 0;
	}
	plan_deletions(p, key.name, &c);
	if (set_conditions(v, ns, &c)) {
		struct plan_write *w =
			plan_add(p, PLAN_UPDATE_STATUS, &v1_namespace_resource, S(""), key.name);

		w->object = ns;
		w->ignore_not_found = true;
	}
	plan_requeue(p, RETRY_MS);
	return 0;
}

static bool is_going(struct view *v, struct str ns)
{
	const struct object *o = view_get(v, &v1_namespace_resource, S(""), ns);

	return o && o->deletion_ms;
}

static void namespace_keys(
	struct view *v, const struct store_event *ev, plan_enqueue_fn *enqueue, void *user_data)
{
	if (ev->type != STORE_DELETED && ev->object->deletion_ms)
		enqueue(user_data, S(""), ev->object->name);
}

static void content_keys(
	struct view *v, const struct store_event *ev, plan_enqueue_fn *enqueue, void *user_data)
{
	if (!str_empty(ev->object->ns) && is_going(v, ev->object->ns))
		enqueue(user_data, S(""), ev->object->ns);
}

static const struct plan_watch watches[] = {
	{.resource = &v1_namespace_resource, .keys = namespace_keys},
	{0},
};

const struct planner namespace_planner = {
	.name = "namespace-controller",
	.user = "namespace-controller",
	.watches = watches,
	.watch_all = content_keys,
	.reconcile = reconcile,
};
