/* What claims and volumes get and may not: DefaultStorageClass, StorageObjectInUseProtection,
 * PersistentVolumeClaimResize. */
#include "apiserver/admission/plugins.h"
#include "apiserver/server.h"
#include "schema/quantity.h"

#define BETA_CLASS "volume.beta.kubernetes.io/storage-class"
#define IS_DEFAULT "storageclass.kubernetes.io/is-default-class"
#define IS_DEFAULT_BETA "storageclass.beta.kubernetes.io/is-default-class"

/* --- DefaultStorageClass --- */

static bool is_true(const struct str_map *annotations, struct str key)
{
	const struct str *v = str_map_get(annotations, key);

	return v && str_eqc(*v, "true");
}

/* The newest of those marked as default; of one age, the first by name. */
static struct str default_class(const struct admission_attrs *attrs)
{
	struct snapshot *s = store_snapshot(attrs->store, &storage_v1_storage_class_resource);
	const struct meta_v1_object_meta *best = NULL;
	struct snapshot_iter it;
	const struct object *o;

	snapshot_iter_init(&it, s, S(""), S(""), S(""));
	while ((o = snapshot_next(&it))) {
		const struct meta_v1_object_meta *m =
			object_meta(object_ref_in(attrs->arena, o), attrs->arena);

		if (!is_true(&m->annotations, S(IS_DEFAULT)) &&
			!is_true(&m->annotations, S(IS_DEFAULT_BETA)))
			continue;
		if (!best || m->creation_timestamp.sec > best->creation_timestamp.sec)
			best = m;
	}
	snapshot_unref(s);
	return best ? best->name : (struct str){0};
}

static int set_class(struct admission_attrs *attrs, struct err *err)
{
	struct v1_persistent_volume_claim *claim = attrs->obj;

	if (!admission_is(attrs, &v1_persistent_volume_claim_resource) ||
		claim->spec.storage_class_name.p ||
		str_map_get(&claim->metadata.annotations, S(BETA_CLASS)))
		return 0;
	claim->spec.storage_class_name = default_class(attrs);
	return 0;
}

const struct admission_plugin admission_default_storage_class = {
	.name = "DefaultStorageClass",
	.ops = ADMIT_CREATE,
	.admit = set_class,
};

/* --- StorageObjectInUseProtection --- */

static int protect(struct admission_attrs *attrs, struct err *err)
{
	static const struct {
		const struct schema_resource *resource;
		struct str finalizer;
	} protections[] = {
		{&v1_persistent_volume_resource, {"kubernetes.io/pv-protection", 27}},
		{&v1_persistent_volume_claim_resource, {"kubernetes.io/pvc-protection", 28}},
		{&storage_v1_volume_attributes_class_resource,
			{"kubernetes.io/vac-protection", 28}},
	};

	for (size_t i = 0; i < ARRAY_SIZE(protections); i++) {
		struct meta_v1_object_meta *m;

		if (!admission_is(attrs, protections[i].resource))
			continue;
		m = meta_of(attrs->resource, attrs->obj);
		if (!str_vec_has(&m->finalizers, protections[i].finalizer))
			ARENA_PUSH(attrs->arena, &m->finalizers, protections[i].finalizer);
	}
	return 0;
}

const struct admission_plugin admission_storage_object_in_use_protection = {
	.name = "StorageObjectInUseProtection",
	.ops = ADMIT_CREATE,
	.admit = protect,
};

/* --- PersistentVolumeClaimResize --- */

static struct quantity size_of(const struct v1_persistent_volume_claim *c)
{
	const struct str *size = str_map_get(&c->spec.resources.requests, S("storage"));

	return quantity_of(size ? *size : S(""));
}

static struct str class_of(const struct v1_persistent_volume_claim *c)
{
	const struct str *beta = str_map_get(&c->metadata.annotations, S(BETA_CLASS));

	return beta ? *beta : c->spec.storage_class_name;
}

static bool may_grow(const struct admission_attrs *attrs, struct str class)
{
	const struct storage_v1_storage_class *sc;

	if (!class.n)
		return false;
	sc = admission_get(attrs, &storage_v1_storage_class_resource, S(""), class);
	return sc && sc->allow_volume_expansion && *sc->allow_volume_expansion;
}

static int check_resize(struct admission_attrs *attrs, struct err *err)
{
	const struct v1_persistent_volume_claim *now = attrs->obj, *old = attrs->old;
	struct quantity size, was;

	if (!admission_is(attrs, &v1_persistent_volume_claim_resource))
		return 0;
	size = size_of(now);
	was = size_of(old);
	if (quantity_cmp(&size, &was) <= 0)
		return 0;
	if (!str_eqc(old->status.phase, "Bound"))
		return admission_forbidden(
			attrs, err, "Only bound persistent volume claims can be expanded");
	if (!str_eq(class_of(now), class_of(old)) || !may_grow(attrs, class_of(now)))
		return admission_forbidden(attrs, err,
			"only dynamically provisioned pvc can be resized and the storageclass that "
			"provisions the pvc must support resize");
	return 0;
}

const struct admission_plugin admission_persistent_volume_claim_resize = {
	.name = "PersistentVolumeClaimResize",
	.ops = ADMIT_UPDATE,
	.validate = check_resize,
};
