/* service_along.c: what a Service claims: its addresses and ports, with it or not at all. */
#include "apiserver/resources/node_port_record.h"
#include "apiserver/resources/service.h"
#include "apiserver/validation/ip.h"

struct networking_v1_ip_address *service_ip_address(
	struct arena *a, const struct v1_service *s, struct str ip)
{
	struct networking_v1_ip_address *o = ARENA_NEW(a, struct networking_v1_ip_address);

	o->metadata.name = arena_str(a, ip);
	ARENA_PUSH(a, &o->metadata.labels,
		((struct str_pair){S("ipaddress.kubernetes.io/ip-family"),
			ip_is_v6_text(ip) ? S("IPv6") : S("IPv4")}));
	ARENA_PUSH(a, &o->metadata.labels,
		((struct str_pair){
			S("ipaddress.kubernetes.io/managed-by"), S("ipallocator.k8s.io")}));
	o->spec.parent_ref = ARENA_NEW(a, struct networking_v1_parent_reference);
	o->spec.parent_ref->resource = S("services");
	o->spec.parent_ref->namespace = arena_str(a, s->metadata.namespace);
	o->spec.parent_ref->name = arena_str(a, s->metadata.name);
	return o;
}

static void bring(struct strategy_ctx *ctx, struct write_along *w, struct str ip, bool created,
	const struct v1_service *s)
{
	struct arena *a = ctx->arena;
	struct store_along along = {.resource = &networking_v1_ip_address_resource};
	struct networking_v1_ip_address *o;
	struct object *draft;
	struct ip_addr parsed;

	if (!ip_parse(ip, &parsed))
		return;
	along.name = ip_text(a, &parsed);
	if (created) {
		o = service_ip_address(a, s, along.name);
		o->metadata.uid = uuid_new(a, ctx->server->opts.clock);
		o->metadata.creation_timestamp = time_from_ns(ctx->now_ns);
		if (object_draft(along.resource, o, &draft, NULL) < 0)
			return;
		along.draft = object_ref_in(a, draft);
		object_unref(draft);
	}
	ARENA_PUSH(a, w, along);
}

/* An address is claimed by an IPAddress, a node port by its bit in their record, as upstream's
 * servers do (which see ours, as we see theirs). Both come with the service or not at all. */
void service_along(
	struct strategy_ctx *ctx, const void *obj, const void *old_obj, struct write_along *ret)
{
	const struct v1_service *s = obj, *old = old_obj;

	for (size_t i = 0; s && i < s->spec.cluster_ips.n; i++)
		if (!service_uses_ip(old, s->spec.cluster_ips.v[i]))
			bring(ctx, ret, s->spec.cluster_ips.v[i], true, s);
	for (size_t i = 0; old && i < old->spec.cluster_ips.n; i++)
		if (!service_uses_ip(s, old->spec.cluster_ips.v[i]))
			bring(ctx, ret, old->spec.cluster_ips.v[i], false, old);
	if (store_is_shared(ctx->store)) /* alone, we know what we gave away */
		ret->beside =
			node_port_record_change(ctx->arena, ctx->server->service_books, s, old);
}
