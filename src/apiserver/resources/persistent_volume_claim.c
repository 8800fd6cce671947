/* persistent_volume_claim.c: claims (pkg/registry/core/persistentvolumeclaim). */
#include "apiserver/resources/printers.h"
#include "apiserver/resources/rules.h"
#include "apiserver/validation/storage.h"
#include "schema/quantity.h"

static void pvc_default(struct strategy_ctx *ctx, void *obj)
{
	struct v1_persistent_volume_claim *c = obj;

	default_resource_list(&c->spec.resources.limits, ctx->arena);
	default_resource_list(&c->spec.resources.requests, ctx->arena);
}

/* Old and new way to say what a volume starts with, each made from the other. */
static void normalize_sources(struct v1_persistent_volume_claim_spec *s, struct arena *a)
{
	if (s->data_source && !s->data_source_ref) {
		s->data_source_ref = ARENA_NEW(a, struct v1_typed_object_reference);
		s->data_source_ref->api_group = s->data_source->api_group;
		s->data_source_ref->kind = s->data_source->kind;
		s->data_source_ref->name = s->data_source->name;
	} else if (s->data_source_ref && !s->data_source && !s->data_source_ref->namespace.n) {
		s->data_source = ARENA_NEW(a, struct v1_typed_local_object_reference);
		s->data_source->api_group = s->data_source_ref->api_group;
		s->data_source->kind = s->data_source_ref->kind;
		s->data_source->name = s->data_source_ref->name;
	}
}

static void pvc_prepare_create(struct strategy_ctx *ctx, void *obj)
{
	struct v1_persistent_volume_claim *c = obj;

	/* Reading it back makes an empty phase Pending. */
	c->status = (struct v1_persistent_volume_claim_status){.phase = S("Pending")};
	normalize_sources(&c->spec, ctx->arena);
}

static void pvc_prepare_update(struct strategy_ctx *ctx, void *obj, const void *old)
{
	const struct v1_persistent_volume_claim *was = old;
	struct v1_persistent_volume_claim *c = obj;

	if (is_status(ctx)) {
		c->spec = was->spec;
		return;
	}
	c->status = was->status;
	normalize_sources(&c->spec, ctx->arena);
}

static void pvc_validate(struct strategy_ctx *ctx, const void *obj, struct field_errors *e)
{
	const struct v1_persistent_volume_claim *c = obj;

	validate_claim_spec(&c->spec, false, AT(NULL, "spec"), e);
}

static struct quantity storage_of(const struct str_map *m)
{
	const struct str *v = str_map_get(m, S("storage"));

	return quantity_of(v ? *v : S("0"));
}

/* What of a spec may change is made equal; the rest must be. */
static void validate_spec_kept(const struct v1_persistent_volume_claim *c,
	const struct v1_persistent_volume_claim *was, struct field_errors *e)
{
	const struct schema_type *type = &v1_persistent_volume_claim_spec_schema;
	struct v1_persistent_volume_claim_spec now = c->spec, old = was->spec;
	struct str_map requests = {0};

	if (old.volume_name.n == 0)
		old.volume_name = now.volume_name;
	/* A default class comes later when there was none. */
	if (!old.storage_class_name.p && now.storage_class_name.p)
		now.storage_class_name = old.storage_class_name;
	if (str_eqc(c->status.phase, "Bound") && now.resources.requests.n) {
		const struct str *size = str_map_get(&old.resources.requests, S("storage"));
		for (size_t i = 0; i < now.resources.requests.n; i++)
			str_map_put(e->arena, &requests, now.resources.requests.v[i].key,
				now.resources.requests.v[i].value);
		str_map_put(e->arena, &requests, S("storage"), size ? *size : S("0"));
		now.resources.requests = requests;
	}
	if (str_eqc(c->status.phase, "Bound"))
		now.volume_attributes_class_name = old.volume_attributes_class_name;
	if (!schema_equal(type, &now, &old)) {
		struct str diff = go_diff(e->arena, type, &old, &now);
		field_forbidden(e, AT(NULL, "spec"),
			"spec is immutable after creation except resources.requests and "
			"volumeAttributesClassName for bound claims\n" STR_FMT,
			STR_ARG(diff));
	}
}

static void validate_spec_update(const struct v1_persistent_volume_claim *c,
	const struct v1_persistent_volume_claim *was, struct field_errors *e)
{
	struct field_path spec = FIELD(NULL, "spec"), resources = FIELD(&spec, "resources"),
			  requests = FIELD(&resources, "requests");
	struct field_path class = FIELD(&spec, "volumeAttributesClassName");
	struct str now_class = c->spec.volume_attributes_class_name,
		   old_class = was->spec.volume_attributes_class_name;
	struct quantity now = storage_of(&c->spec.resources.requests),
			old = storage_of(&was->spec.resources.requests),
			has = storage_of(&was->status.capacity);

	validate_spec_kept(c, was, e);
	if (quantity_cmp(&now, &old) < 0 && quantity_cmp(&now, &has) <= 0)
		field_forbidden(
			e, AT(&requests, "storage"), "field can not be less than status.capacity");
	validate_immutable_str(
		c->spec.volume_mode, was->spec.volume_mode, AT(NULL, "volumeMode"), e);
	if ((!now_class.p == !old_class.p && str_eq(now_class, old_class)) ||
		!was->status.current_volume_attributes_class_name.p)
		return;
	if (!now_class.p)
		field_forbidden(e, &class,
			"update to nil is forbidden when status.currentVolumeAttributesClassName "
			"is not nil");
	else if (!now_class.n)
		field_forbidden(e, &class,
			"update to empty string is forbidden when "
			"status.currentVolumeAttributesClassName is not nil");
}

static void pvc_validate_update(
	struct strategy_ctx *ctx, const void *obj, const void *old, struct field_errors *e)
{
	const struct v1_persistent_volume_claim *c = obj, *was = old;
	struct field_path status = FIELD(NULL, "status"), capacity = FIELD(&status, "capacity");

	if (!is_status(ctx)) {
		pvc_validate(ctx, c, e);
		validate_spec_update(c, was, e);
		return;
	}
	for (size_t i = 0; i < c->status.capacity.n; i++)
		validate_positive_quantity(c->status.capacity.v[i].value,
			AT_KEY(&capacity, c->status.capacity.v[i].key), e);
}

const struct strategy persistent_volume_claim_strategy = {
	.resource = &v1_persistent_volume_claim_resource,
	.name_errors = name_is_dns_subdomain,
	.default_ = pvc_default,
	.prepare_create = pvc_prepare_create,
	.prepare_update = pvc_prepare_update,
	.validate = pvc_validate,
	.validate_update = pvc_validate_update,
	.table_row = print_persistent_volume_claim,
};
