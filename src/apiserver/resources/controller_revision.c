/* controller_revision.c: what a daemon set or stateful set was (pkg/apis/apps/validation). */
#include "apiserver/resources/printers.h"
#include "apiserver/resources/rules.h"

static void validate_number(const struct apps_v1_controller_revision *c, struct field_errors *e)
{
	validate_nonnegative(c->revision, AT(NULL, "revision"), e);
}

/* The decoder has seen that it is JSON. */
static void revision_validate(struct strategy_ctx *ctx, const void *obj, struct field_errors *e)
{
	const struct apps_v1_controller_revision *c = obj;

	validate_number(c, e);
	if (!c->data.n || str_eqc(c->data, "null"))
		field_required(e, AT(NULL, "data"), "data is mandatory");
	else if (c->data.p[0] != '{')
		field_required(e, AT(NULL, "data"), "data must be a valid JSON object");
}

static void revision_validate_update(
	struct strategy_ctx *ctx, const void *obj, const void *old, struct field_errors *e)
{
	const struct apps_v1_controller_revision *c = obj, *was = old;

	validate_number(c, e);
	if (!str_eq(c->data, was->data))
		field_invalid_raw(
			e, AT(NULL, "data"), c->data.n ? c->data : S("null"), "field is immutable");
}

static const struct meta_v1_owner_reference *controller(const struct meta_v1_object_meta *m)
{
	for (size_t i = 0; i < m->owner_references.n; i++)
		if (m->owner_references.v[i].controller && *m->owner_references.v[i].controller)
			return &m->owner_references.v[i];
	return NULL;
}

static void print_controller_revision(
	struct arena *a, const void *obj, int64_t now_ns, struct buf *cells)
{
	const struct apps_v1_controller_revision *c = obj;
	const struct meta_v1_owner_reference *owner = controller(&c->metadata);
	struct row r = {.a = a, .out = cells, .now_ns = now_ns};
	struct str group = S(""), version;

	row_str(&r, c->metadata.name);
	if (owner && str_cut(owner->api_version, '/', &group, &version))
		row_fmt(&r, STR_FMT "." STR_FMT "/" STR_FMT, STR_ARG(str_lower(a, owner->kind)),
			STR_ARG(group), STR_ARG(owner->name));
	else if (owner)
		row_fmt(&r, STR_FMT "/" STR_FMT, STR_ARG(str_lower(a, owner->kind)),
			STR_ARG(owner->name));
	else
		row_strc(&r, "<none>");
	row_int(&r, c->revision);
	row_age(&r, &c->metadata.creation_timestamp);
}

const struct strategy controller_revision_strategy = {
	.resource = &apps_v1_controller_revision_resource,
	.name_errors = name_is_dns_subdomain,
	.validate = revision_validate,
	.validate_update = revision_validate_update,
	.table_row = print_controller_revision,
};
