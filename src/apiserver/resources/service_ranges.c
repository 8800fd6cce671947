/* service_ranges.c: IPAddress and ServiceCIDR (pkg/registry/networking,
 * pkg/apis/networking/validation). */
#include "apiserver/resources/printers.h"
#include "apiserver/resources/rules.h"
#include "apiserver/validation/go_json.h"
#include "apiserver/validation/ip.h"

/* --- IPAddress: somebody has this address --- */

/* The canonical text of an address, whose colons no other name may have. */
static struct str_vec name_is_ip(struct arena *a, struct str name, bool prefix)
{
	struct field_errors e = {.arena = a};
	struct str_vec out = {0};

	validate_ip(name, AT(NULL, "name"), &e);
	for (size_t i = 0; i < e.n; i++)
		ARENA_PUSH(a, &out, e.v[i].detail);
	return out;
}

static void validate_segment(
	struct str v, bool required, const struct field_path *p, struct field_errors *e)
{
	if (v.n)
		field_invalid_each(e, p, v, is_path_segment_name(e->arena, v));
	else if (required)
		field_required(e, p, "");
}

static void ip_address_validate(struct strategy_ctx *ctx, const void *obj, struct field_errors *e)
{
	const struct networking_v1_ip_address *ip = obj;
	const struct networking_v1_parent_reference *ref = ip->spec.parent_ref;
	struct field_path spec = FIELD(NULL, "spec"), p = FIELD(&spec, "parentRef");

	if (!ref) {
		field_required(e, &p, "");
		return;
	}
	if (ref->group.n)
		field_invalid_each(
			e, AT(&p, "group"), ref->group, is_dns1123_subdomain(e->arena, ref->group));
	validate_segment(ref->resource, true, AT(&p, "resource"), e);
	validate_segment(ref->name, true, AT(&p, "name"), e);
	validate_segment(ref->namespace, false, AT(&p, "namespace"), e);
}

static bool same_parent(const struct networking_v1_parent_reference *a,
	const struct networking_v1_parent_reference *b)
{
	if (!a || !b)
		return a == b;
	return str_eq(a->group, b->group) && str_eq(a->resource, b->resource) &&
	       str_eq(a->namespace, b->namespace) && str_eq(a->name, b->name);
}

static void ip_address_validate_update(
	struct strategy_ctx *ctx, const void *obj, const void *old, struct field_errors *e)
{
	const struct networking_v1_ip_address *ip = obj, *was = old;
	struct field_path spec = FIELD(NULL, "spec");

	ip_address_validate(ctx, obj, e);
	if (!same_parent(ip->spec.parent_ref, was->spec.parent_ref))
		field_invalid_raw(e, AT(&spec, "parentRef"),
			ip->spec.parent_ref
				? go_json(e->arena, &networking_v1_parent_reference_schema,
					  ip->spec.parent_ref)
				: S("null"),
			"field is immutable");
}

const struct strategy ip_address_strategy = {
	.resource = &networking_v1_ip_address_resource,
	.name_errors = name_is_ip,
	.validate = ip_address_validate,
	.validate_update = ip_address_validate_update,
	.table_row = print_ip_address,
};

/* --- ServiceCIDR: where cluster IPs come from --- */

static void validate_cidrs(const struct str_vec *cidrs, struct field_errors *e)
{
	struct field_path spec = FIELD(NULL, "spec"), p = FIELD(&spec, "cidrs");

	if (cidrs->n == 0) {
		field_required(e, &p, "at least one CIDR required");
		return;
	}
	if (cidrs->n > 2) {
		struct str list = str_vec_json(e->arena, cidrs);

		field_invalid_raw(e, &p,
			arena_fmt(e->arena, "{\"CIDRs\":" STR_FMT "}", STR_ARG(list)),
			"may only hold up to 2 values");
		return;
	}
	for (size_t i = 0; i < cidrs->n; i++)
		validate_cidr(cidrs->v[i], AT_INDEX(&p, i), e);
	if (cidrs->n == 2) {
		struct ip_net a, b;

		if (ip_net_parse(cidrs->v[0], &a) && ip_net_parse(cidrs->v[1], &b) &&
			a.ip.v4 == b.ip.v4)
			field_invalid_raw(e, &p, str_vec_json(e->arena, cidrs),
				"may specify no more than one IP for each IP family, i.e "
				"192.168.0.0/24 and 2001:db8::/64");
	}
}

static void service_cidr_prepare_create(struct strategy_ctx *ctx, void *obj)
{
	struct networking_v1_service_cidr *c = obj;

	c->status = (struct networking_v1_service_cidr_status){0};
}

static void service_cidr_prepare_update(struct strategy_ctx *ctx, void *obj, const void *old)
{
	const struct networking_v1_service_cidr *was = old;
	struct networking_v1_service_cidr *c = obj;

	if (is_status(ctx))
		c->spec = was->spec;
	else
		c->status = was->status;
}

static void service_cidr_validate(struct strategy_ctx *ctx, const void *obj, struct field_errors *e)
{
	const struct networking_v1_service_cidr *c = obj;

	validate_cidrs(&c->spec.cidrs, e);
}

/* What is there stays; one more, of the other family, may come. */
static void service_cidr_validate_update(
	struct strategy_ctx *ctx, const void *obj, const void *old, struct field_errors *e)
{
	const struct str_vec *now = &((const struct networking_v1_service_cidr *)obj)->spec.cidrs,
			     *was = &((const struct networking_v1_service_cidr *)old)->spec.cidrs;
	struct field_path spec = FIELD(NULL, "spec"), p = FIELD(&spec, "cidrs");
	bool grows = was->n == 1 && now->n == 2;

	if (is_status(ctx))
		return;
	if (now->n != was->n && !grows) {
		field_invalid_raw(e, &p, now->n ? str_vec_json(e->arena, now) : S("null"),
			"field is immutable");
		return;
	}
	for (size_t i = 0; i < was->n; i++)
		if (!str_eq(was->v[i], now->v[i]))
			field_invalid(e, AT_INDEX(&p, i), now->v[i], "field is immutable");
	if (grows)
		validate_cidrs(now, e);
}

const struct strategy service_cidr_strategy = {
	.resource = &networking_v1_service_cidr_resource,
	.name_errors = name_is_dns_subdomain,
	.prepare_create = service_cidr_prepare_create,
	.prepare_update = service_cidr_prepare_update,
	.validate = service_cidr_validate,
	.validate_update = service_cidr_validate_update,
	.table_row = print_service_cidr,
};
