/*
 * storage_protection.c: persistentvolumeclaim-protection-controller,
 * persistentvolume-protection-controller and volumeattributesclass-protection-controller: a claim
 * that pods on nodes use, a volume that is bound, and a class that claims or volumes have keep a
 * finalizer, so that their deletion waits.
 */
#include "controllers/util.h"

#define CLAIM_FINALIZER "kubernetes.io/pvc-protection"
#define VOLUME_FINALIZER "kubernetes.io/pv-protection"
#define CLASS_FINALIZER "kubernetes.io/vac-protection"

/* Writes the object with or without the finalizer. */
static void plan_finalizer(struct view *v, struct plan *p, const struct object *o,
	struct meta_v1_object_meta *m, void *typed, struct str finalizer, bool wanted)
{
	struct plan_write *w;
	struct str_vec kept = {0};

	if (str_vec_has(&m->finalizers, finalizer) == wanted)
		return;
	for (size_t i = 0; i < m->finalizers.n; i++)
		if (!str_eq(m->finalizers.v[i], finalizer))
			ARENA_PUSH(v->arena, &kept, m->finalizers.v[i]);
	if (wanted)
		ARENA_PUSH(v->arena, &kept, finalizer);
	m->finalizers = kept;
	w = plan_add(p, PLAN_UPDATE, o->resource, o->ns, o->name);
	w->object = typed;
	w->ignore_not_found = true;
}

/* --- claims --- */

static bool mounts(const struct v1_pod *pod, const struct object *claim)
{
	bool finished =
		str_eqc(pod->status.phase, "Succeeded") || str_eqc(pod->status.phase, "Failed");

	for (size_t i = 0; i < pod->spec.volumes.n; i++) {
		const struct v1_volume *vol = &pod->spec.volumes.v[i];

		if (vol->persistent_volume_claim &&
			str_eq(vol->persistent_volume_claim->claim_name, claim->name))
			return true;
		if (vol->ephemeral && !finished &&
			str_eq(claim->controller_uid, pod->metadata.uid) &&
			str_ends(claim->name, vol->name))
			return true;
	}
	return false;
}

/* By a pod that is on a node: others will not be started with a claim that is being deleted. */
static bool is_used(struct view *v, const struct object *claim)
{
	struct snapshot_iter it;
	const struct object *o;
	bool used = false;

	snapshot_iter_init(&it, view_snapshot(v, &v1_pod_resource), claim->ns, S(""), S(""));
	while (!used && (o = snapshot_next(&it))) {
		struct arena scratch = {0};

		if (pod_node(o).n)
			used = mounts(object_decode(o, &scratch), claim);
		arena_release(&scratch);
	}
	return used;
}

static int reconcile_claim(struct view *v, struct plan_key key, struct plan *p, struct err *err)
{
	const struct object *o =
		view_get(v, &v1_persistent_volume_claim_resource, key.ns, key.name);
	struct v1_persistent_volume_claim *claim;

	if (!o)
		return 0;
	claim = object_decode(o, v->arena);
	plan_finalizer(v, p, o, &claim->metadata, claim, S(CLAIM_FINALIZER),
		!o->deletion_ms || is_used(v, o));
	return 0;
}

/* Pods matter to claims that wait for their end. */
static void claims_waiting(
	struct view *v, const struct store_event *ev, plan_enqueue_fn *enqueue, void *user_data)
{
	struct snapshot_iter it;
	const struct object *o;

	snapshot_iter_init(&it, view_snapshot(v, &v1_persistent_volume_claim_resource),
		ev->object->ns, S(""), S(""));
	while ((o = snapshot_next(&it)))
		if (o->deletion_ms)
			enqueue(user_data, o->ns, o->name);
}

static const struct plan_watch claim_watches[] = {
	{.resource = &v1_persistent_volume_claim_resource},
	{.resource = &v1_pod_resource, .keys = claims_waiting},
	{0},
};

const struct planner pvc_protection_planner = {
	.name = "persistentvolumeclaim-protection-controller",
	.user = "pvc-protection-controller",
	.watches = claim_watches,
	.reconcile = reconcile_claim,
};

/* --- volumes --- */

static int reconcile_volume(struct view *v, struct plan_key key, struct plan *p, struct err *err)
{
	const struct object *o = view_get(v, &v1_persistent_volume_resource, S(""), key.name);
	struct v1_persistent_volume *volume;

	if (!o)
		return 0;
	volume = object_decode(o, v->arena);
	plan_finalizer(v, p, o, &volume->metadata, volume, S(VOLUME_FINALIZER),
		!o->deletion_ms || str_eqc(volume->status.phase, "Bound"));
	return 0;
}

static const struct plan_watch volume_watches[] = {
	{.resource = &v1_persistent_volume_resource},
	{0},
};

const struct planner pv_protection_planner = {
	.name = "persistentvolume-protection-controller",
	.user = "pv-protection-controller",
	.watches = volume_watches,
	.reconcile = reconcile_volume,
};

/* --- classes of attributes --- */

static bool claim_has(const struct object *o, struct arena *a, struct str class)
{
	const struct v1_persistent_volume_claim *c = object_decode(o, a);
	const struct v1_modify_volume_status *modify = c->status.modify_volume_status;

	return str_eq(c->spec.volume_attributes_class_name, class) ||
	       str_eq(c->status.current_volume_attributes_class_name, class) ||
	       (modify && str_eq(modify->target_volume_attributes_class_name, class));
}

static bool volume_has(const struct object *o, struct arena *a, struct str class)
{
	const struct v1_persistent_volume *volume = object_decode(o, a);

	return str_eq(volume->spec.volume_attributes_class_name, class);
}

static bool some_has(struct view *v, const struct schema_resource *res, struct str class,
	bool (*has)(const struct object *o, struct arena *a, struct str class))
{
	struct snapshot_iter it;
	const struct object *o;
	bool found = false;

	snapshot_iter_init(&it, view_snapshot(v, res), S(""), S(""), S(""));
	while (!found && (o = snapshot_next(&it))) {
		struct arena scratch = {0};

		found = has(o, &scratch, class);
		arena_release(&scratch);
	}
	return found;
}

static int reconcile_class(struct view *v, struct plan_key key, struct plan *p, struct err *err)
{
	const struct object *o =
		view_get(v, &storage_v1_volume_attributes_class_resource, S(""), key.name);
	struct storage_v1_volume_attributes_class *class;

	if (!o)
		return 0;
	class = object_decode(o, v->arena);
	plan_finalizer(v, p, o, &class->metadata, class, S(CLASS_FINALIZER),
		!o->deletion_ms ||
			some_has(v, &v1_persistent_volume_claim_resource, o->name, claim_has) ||
			some_has(v, &v1_persistent_volume_resource, o->name, volume_has));
	return 0;
}

/* Claims and volumes matter to classes that wait for their end. */
static void classes_waiting(
	struct view *v, const struct store_event *ev, plan_enqueue_fn *enqueue, void *user_data)
{
	struct snapshot_iter it;
	const struct object *o;

	snapshot_iter_init(&it, view_snapshot(v, &storage_v1_volume_attributes_class_resource),
		S(""), S(""), S(""));
	while ((o = snapshot_next(&it)))
		if (o->deletion_ms)
			enqueue(user_data, S(""), o->name);
}

static const struct plan_watch class_watches[] = {
	{.resource = &storage_v1_volume_attributes_class_resource},
	{.resource = &v1_persistent_volume_claim_resource, .keys = classes_waiting},
	{.resource = &v1_persistent_volume_resource, .keys = classes_waiting},
	{0},
};

const struct planner vac_protection_planner = {
	.name = "volumeattributesclass-protection-controller",
	.user = "volumeattributesclass-protection-controller",
	.watches = class_watches,
	.reconcile = reconcile_class,
};
