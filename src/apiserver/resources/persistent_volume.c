/* persistent_volume.c: volumes (pkg/registry/core/persistentvolume). Of the kinds of volumes only
 * those without a cloud behind them are looked into. */
#include "apiserver/resources/printers.h"
#include "apiserver/resources/rules.h"
#include "apiserver/validation/storage.h"
#include "schema/time.h"

enum { NS_PER_MS = 1000000 };

static void pv_default(struct strategy_ctx *ctx, void *obj)
{
	struct v1_persistent_volume *pv = obj;

	default_resource_list(&pv->spec.capacity, ctx->arena);
}

static void pv_prepare_create(struct strategy_ctx *ctx, void *obj)
{
	struct v1_persistent_volume *pv = obj;

	pv->status = (struct v1_persistent_volume_status){.phase = S("Pending"),
		.last_phase_transition_time = k8s_time_from_ms(ctx->now_ns / NS_PER_MS)};
}

static void pv_prepare_update(struct strategy_ctx *ctx, void *obj, const void *old)
{
	const struct v1_persistent_volume *was = old;
	struct v1_persistent_volume *pv = obj;
	struct k8s_time *now = &pv->status.last_phase_transition_time;
	const struct k8s_time *then = &was->status.last_phase_transition_time;

	if (!is_status(ctx)) {
		pv->status = was->status;
		return;
	}
	pv->spec = was->spec;
	if (str_eq(pv->status.phase, was->status.phase)) {
		if (!now->set)
			*now = *then;
	} else if (!now->set || (then->set && now->sec == then->sec)) {
		*now = k8s_time_from_ms(ctx->now_ns / NS_PER_MS);
	}
}

static void validate_capacity(
	const struct str_map *capacity, const struct field_path *p, struct field_errors *e)
{
	if (capacity->n == 0)
		field_required(e, p, "");
	if (!str_map_get(capacity, S("storage")) || capacity->n > 1)
		field_add(e, FIELD_NOT_SUPPORTED, p, str_map_json(e->arena, capacity),
			"supported values: \"storage\"");
	for (size_t i = 0; i < capacity->n; i++)
		validate_positive_quantity(capacity->v[i].value, AT_KEY(p, capacity->v[i].key), e);
}

#define SOURCE(member_, name_)                                                                     \
	{                                                                                          \
		offsetof(struct v1_persistent_volume_spec, member_), name_                         \
	}
static const struct {
	size_t offset;
	const char *name;
} sources[] = {
	SOURCE(host_path, "hostPath"),
	SOURCE(gce_persistent_disk, "gcePersistentDisk"),
	SOURCE(aws_elastic_block_store, "awsElasticBlockStore"),
	SOURCE(glusterfs, "glusterfs"),
	SOURCE(flocker, "flocker"),
	SOURCE(nfs, "nfs"),
	SOURCE(rbd, "rbd"),
	SOURCE(quobyte, "quobyte"),
	SOURCE(cephfs, "cephFS"),
	SOURCE(iscsi, "iscsi"),
	SOURCE(cinder, "cinder"),
	SOURCE(fc, "fc"),
	SOURCE(flex_volume, "flexVolume"),
	SOURCE(azure_file, "azureFile"),
	SOURCE(vsphere_volume, "vsphereVolume"),
	SOURCE(photon_persistent_disk, "photonPersistentDisk"),
	SOURCE(portworx_volume, "portworxVolume"),
	SOURCE(azure_disk, "azureDisk"),
	SOURCE(scale_io, "scaleIO"),
	SOURCE(local, "local"),
	SOURCE(storageos, "storageos"),
	SOURCE(csi, "csi"),
};

static void validate_source(const struct v1_persistent_volume_spec *s, const struct field_path *p,
	struct field_errors *e)
{
	bool placed = s->node_affinity && s->node_affinity->required;
	struct field_path local = FIELD(p, "local"), csi = FIELD(p, "csi");
	size_t n = 0, first = 0;

	for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
		struct field_path at = {.parent = p, .name = str_c(sources[i].name)};
		void *const *source = (void *const *)((const char *)s + sources[i].offset);
		if (!*source)
			continue;
		if (volume_first_of(&n, true, &at, e))
			first = sources[i].offset;
	}
	if (n == 0)
		field_required(e, p, "must specify a volume type");
	if (first == offsetof(struct v1_persistent_volume_spec, host_path) && s->host_path)
		validate_host_path(s->host_path, AT(p, "hostPath"), e);
	if (first == offsetof(struct v1_persistent_volume_spec, nfs))
		validate_nfs(s->nfs, AT(p, "nfs"), e);
	if (s->local && s->local->path.n == 0)
		field_required(e, AT(&local, "path"), "");
	else if (s->local)
		validate_path_no_backsteps(s->local->path, AT(&local, "path"), e);
	if (s->local && !placed)
		field_required(e, AT(p, "nodeAffinity"), "Local volume requires node affinity");
	if (s->csi) {
		validate_csi_driver_name(s->csi->driver, AT(&csi, "driver"), e);
		if (s->csi->volume_handle.n == 0)
			field_required(e, AT(&csi, "volumeHandle"), "");
	}
}

static void pv_validate(struct strategy_ctx *ctx, const void *obj, struct field_errors *e)
{
	static const char *const policies[] = {"Delete", "Recycle", "Retain", NULL},
				 *const modes[] = {"Block", "Filesystem", NULL};
	const struct v1_persistent_volume_spec *s =
		&((const struct v1_persistent_volume *)obj)->spec;
	struct field_path p = FIELD(NULL, "spec"), affinity = FIELD(&p, "nodeAffinity");
	struct str class = s->storage_class_name, attributes = s->volume_attributes_class_name;

	if (s->access_modes.n == 0)
		field_required(e, AT(&p, "accessModes"), "");
	validate_access_modes(&s->access_modes, AT(&p, "accessModes"), e);
	validate_capacity(&s->capacity, AT(&p, "capacity"), e);
	if (s->persistent_volume_reclaim_policy.n)
		field_one_of(e, AT(&p, "persistentVolumeReclaimPolicy"),
			s->persistent_volume_reclaim_policy, policies);
	if (s->node_affinity && !s->node_affinity->required)
		field_required(
			e, AT(&affinity, "required"), "must specify required node constraints");
	else if (s->node_affinity)
		validate_node_selector(s->node_affinity->required, AT(&affinity, "required"), e);
	validate_source(s, &p, e);
	if (class.n)
		field_invalid_each(e, AT(&p, "storageClassName"), class,
			name_is_dns_subdomain(e->arena, class, false));
	if (s->volume_mode.p)
		field_one_of(e, AT(&p, "volumeMode"), s->volume_mode, modes);
	if (!attributes.p)
		return;
	if (attributes.n == 0)
		field_required(
			e, AT(&p, "volumeAttributesClassName"), "an empty string is disallowed");
	else
		field_invalid_each(e, AT(&p, "volumeAttributesClassName"), attributes,
			name_is_dns_subdomain(e->arena, attributes, false));
	if (!s->csi)
		field_required(e, AT(&p, "csi"),
			"has to be specified when using volumeAttributesClassName");
}

static void pv_validate_update(
	struct strategy_ctx *ctx, const void *obj, const void *old, struct field_errors *e)
{
	const struct v1_persistent_volume *pv = obj, *was = old;
	struct v1_persistent_volume_spec now = {0}, then = {0};
	struct field_path spec = FIELD(NULL, "spec");

	if (is_status(ctx))
		return;
	pv_validate(ctx, pv, e);
	for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
		size_t at = sources[i].offset;
		memcpy((char *)&now + at, (const char *)&pv->spec + at, sizeof(void *));
		memcpy((char *)&then + at, (const char *)&was->spec + at, sizeof(void *));
	}
	if (!schema_equal(&v1_persistent_volume_spec_schema, &now, &then)) {
		struct str diff = go_diff(e->arena, &v1_persistent_volume_spec_schema, &then, &now);
		field_forbidden(e, AT(&spec, "persistentvolumesource"),
			"spec.persistentvolumesource is immutable after creation\n" STR_FMT,
			STR_ARG(diff));
	}
	validate_immutable_str(
		pv->spec.volume_mode, was->spec.volume_mode, AT(NULL, "volumeMode"), e);
	if (was->spec.volume_attributes_class_name.p && !pv->spec.volume_attributes_class_name.p)
		field_forbidden(e, AT(&spec, "volumeAttributesClassName"),
			"update from non-nil value to nil is forbidden");
}

static void pv_warn(struct strategy_ctx *ctx, const void *obj, const void *old)
{
	const struct v1_persistent_volume *pv = obj;

	if (!is_status(ctx) && str_eqc(pv->spec.persistent_volume_reclaim_policy, "Recycle"))
		ctx_warn(ctx, "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is "
			      "deprecated. Instead, the recommended approach is to use dynamic "
			      "provisioning.");
}

const struct strategy persistent_volume_strategy = {
	.resource = &v1_persistent_volume_resource,
	.name_errors = name_is_dns_subdomain,
	.default_ = pv_default,
	.prepare_create = pv_prepare_create,
	.prepare_update = pv_prepare_update,
	.validate = pv_validate,
	.validate_update = pv_validate_update,
	.warn = pv_warn,
	.table_row = print_persistent_volume,
};
