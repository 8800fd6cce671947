/* volume_claims.c: what a claim for storage may ask for. */
#include "apiserver/validation/names.h"
#include "apiserver/validation/pod.h"
#include "apiserver/validation/storage.h"

static const char *const access_modes[] = {
	"ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod", NULL};
static const char *const volume_modes[] = {"Block", "Filesystem", NULL};

void validate_access_modes(
	const struct str_vec *modes, const struct field_path *p, struct field_errors *e)
{
	bool once_pod = false, other = false;

	for (size_t i = 0; i < modes->n; i++) {
		bool known = field_one_of(e, p, modes->v[i], access_modes);

		if (str_eqc(modes->v[i], "ReadWriteOncePod"))
			once_pod = true;
		else if (known)
			other = true;
	}
	if (once_pod && other)
		field_forbidden(e, p, "may not use ReadWriteOncePod with other access modes");
}

static void validate_data_source(struct str group, struct str kind, struct str name,
	bool allow_invalid_group, const struct field_path *p, struct field_errors *e)
{
	if (name.n == 0)
		field_required(e, AT(p, "name"), "");
	if (kind.n == 0)
		field_required(e, AT(p, "kind"), "");
	if (group.n == 0 && !str_eqc(kind, "PersistentVolumeClaim"))
		field_invalid(e, p, kind,
			"must be 'PersistentVolumeClaim' when referencing the default apiGroup");
	if (group.n && !allow_invalid_group)
		validate_dns1123_subdomain(group, AT(p, "apiGroup"), e);
}

static void validate_sources(const struct v1_persistent_volume_claim_spec *spec,
	bool allow_invalid_group, const struct field_path *p, struct field_errors *e)
{
	const struct v1_typed_local_object_reference *ds = spec->data_source;
	const struct v1_typed_object_reference *ref = spec->data_source_ref;
	struct field_path ref_path = FIELD(p, "dataSourceRef");

	if (ds)
		validate_data_source(ds->api_group, ds->kind, ds->name, allow_invalid_group,
			AT(p, "dataSource"), e);
	if (!ref)
		return;
	validate_data_source(
		ref->api_group, ref->kind, ref->name, allow_invalid_group, &ref_path, e);
	if (ref->namespace.n)
		validate_dns1123_label(ref->namespace, AT(&ref_path, "namespace"), e);
	/* Upstream puts the path itself, an empty struct in JSON, where the value belongs. */
	if (ds && ref->namespace.n)
		field_invalid_raw(e, p, S("{}"),
			"may not be specified when dataSourceRef.namespace is specified");
	else if (ds && (!str_eq(ds->api_group, ref->api_group) || !str_eq(ds->kind, ref->kind) ||
			       !str_eq(ds->name, ref->name)))
		field_invalid_raw(e, p, S("{}"), "must match dataSourceRef");
}

void validate_claim_spec(const struct v1_persistent_volume_claim_spec *spec,
	bool allow_invalid_api_group, const struct field_path *p, struct field_errors *e)
{
	struct field_path resources = FIELD(p, "resources"),
			  storage = FIELD_KEY(&resources, S("storage"));
	const struct str *size = str_map_get(&spec->resources.requests, S("storage"));

	if (spec->access_modes.n == 0)
		field_required(e, AT(p, "accessModes"), "at least 1 access mode is required");
	validate_label_selector(spec->selector, AT(p, "selector"), e);
	validate_access_modes(&spec->access_modes, AT(p, "accessModes"), e);
	if (!size)
		field_required(e, &storage, "");
	else
		validate_positive_quantity(*size, &storage, e);
	if (spec->storage_class_name.n)
		validate_dns1123_subdomain(spec->storage_class_name, AT(p, "storageClassName"), e);
	if (spec->volume_mode.p)
		field_one_of(e, AT(p, "volumeMode"), spec->volume_mode, volume_modes);
	validate_sources(spec, allow_invalid_api_group, p, e);
	if (spec->volume_attributes_class_name.n)
		validate_dns1123_subdomain(
			spec->volume_attributes_class_name, AT(p, "volumeAttributesClassName"), e);
}

static void forbid(bool present, const struct field_path *p, struct field_errors *e)
{
	if (present)
		field_forbidden(e, p, "cannot be set");
}

/* Only labels and annotations of a template's metadata mean anything. */
static void validate_template_meta(
	const struct meta_v1_object_meta *m, const struct field_path *p, struct field_errors *e)
{
	validate_annotations(&m->annotations, AT(p, "annotations"), e);
	validate_labels(&m->labels, AT(p, "labels"), e);
	forbid(m->name.n, AT(p, "name"), e);
	forbid(m->generate_name.n, AT(p, "generateName"), e);
	forbid(m->namespace.n, AT(p, "namespace"), e);
	forbid(m->self_link.n, AT(p, "selfLink"), e);
	forbid(m->uid.n, AT(p, "uID"), e);
	forbid(m->resource_version.n, AT(p, "resourceVersion"), e);
	forbid(m->generation, AT(p, "generation"), e);
	forbid(m->creation_timestamp.set, AT(p, "creationTimestamp"), e);
	forbid(m->deletion_timestamp.set, AT(p, "deletionTimestamp"), e);
	forbid(m->deletion_grace_period_seconds, AT(p, "deletionGracePeriodSeconds"), e);
	forbid(m->owner_references.v, AT(p, "ownerReferences"), e);
	forbid(m->finalizers.v, AT(p, "finalizers"), e);
	forbid(m->managed_fields.v, AT(p, "managedFields"), e);
}

void validate_claim_template(const struct v1_persistent_volume_claim_template *t,
	const struct field_path *p, struct field_errors *e)
{
	validate_template_meta(&t->metadata, AT(p, "metadata"), e);
	validate_claim_spec(&t->spec, false, AT(p, "spec"), e);
}
