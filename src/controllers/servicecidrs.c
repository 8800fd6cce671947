/*
 * servicecidrs.c: service-cidr-controller: a ServiceCIDR is ready when it is there, and keeps a
 * finalizer, so that it does not go while Services have addresses that no other ServiceCIDR has.
 */
#include <arpa/inet.h>

#include "controllers/cidr.h"
#include "controllers/util.h"
#include "json/write.h"

#define FINALIZER "networking.k8s.io/service-cidr-finalizer"
#define STRATEGIC "application/strategic-merge-patch+json"

enum {
	GRACE_MS = 10 * 1000,
	PATCH_MAX = 4096
}; /* the API servers' allocators have heard of the end then */

/* --- which ranges contain what --- */

static bool address_parse(struct str s, struct cidr *ret)
{
	char text[INET6_ADDRSTRLEN];

	if (s.n >= sizeof(text))
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = 0;
	*ret = (struct cidr){.family = str_chr(s, ':') >= 0 ? AF_INET6 : AF_INET};
	ret->bits = ret->family == AF_INET6 ? 128 : 32;
	return inet_pton(ret->family, text, ret->addr) == 1;
}

/* Neither a range's own address nor, of IPv4, that of all hosts is ever given to a Service. */
static bool is_edge(const struct cidr *range, const struct cidr *address)
{
	bool first = true, last = range->family == AF_INET;

	for (int bit = range->bits; bit < address->bits; bit++) {
		bool one = address->addr[bit / 8] & (0x80 >> (bit % 8));

		first = first && !one;
		last = last && one;
	}
	return first || last;
}

static bool contains(const struct cidr *range, const struct cidr *inner, bool is_address)
{
	return range->family == inner->family && range->bits <= inner->bits &&
	       cidr_overlap(range, inner) && !(is_address && is_edge(range, inner));
}

/* How often ServiceCIDRs contain it; *ret_other: some that is not `self`. */
static size_t count_containing(
	struct view *v, const struct cidr *inner, bool is_address, struct str self, bool *ret_other)
{
	struct snapshot_iter it;
	const struct object *o;
	size_t n = 0;

	*ret_other = false;
	snapshot_iter_init(
		&it, view_snapshot(v, &networking_v1_service_cidr_resource), S(""), S(""), S(""));
	while ((o = snapshot_next(&it))) {
		const struct networking_v1_service_cidr *c = object_decode(o, v->arena);

		for (size_t i = 0; i < c->spec.cidrs.n; i++) {
			struct cidr range;

			if (cidr_parse(c->spec.cidrs.v[i], &range) < 0 ||
				!contains(&range, inner, is_address))
				continue;
			n++;
			*ret_other = *ret_other || !str_eq(o->name, self);
		}
	}
	return n;
}

static bool is_managed(const struct object *o)
{
	const struct str *by = str_map_get(&o->labels, S("ipaddress.kubernetes.io/managed-by"));

	return by && str_eqc(*by, "ipallocator.k8s.io");
}

/* Whether an address would belong to no range without this one. */
static bool would_orphan(struct view *v, const struct networking_v1_service_cidr *c)
{
	struct snapshot_iter it;
	const struct object *o;

	snapshot_iter_init(
		&it, view_snapshot(v, &networking_v1_ip_address_resource), S(""), S(""), S(""));
	while ((o = snapshot_next(&it))) {
		struct cidr address;
		bool other, ours = false;

		if (!is_managed(o) || !address_parse(o->name, &address))
			continue;
		for (size_t i = 0; i < c->spec.cidrs.n; i++) {
			struct cidr range;

			ours = ours || (cidr_parse(c->spec.cidrs.v[i], &range) == 0 &&
					       contains(&range, &address, true));
		}
		if (ours && count_containing(v, &address, true, c->metadata.name, &other) == 1)
			return true;
	}
	return false;
}

static bool can_go(struct view *v, const struct networking_v1_service_cidr *c)
{
	bool all_covered = true;

	for (size_t i = 0; i < c->spec.cidrs.n; i++) {
		struct cidr range;
		bool other;

		if (cidr_parse(c->spec.cidrs.v[i], &range) < 0)
			continue;
		if (count_containing(v, &range, false, c->metadata.name, &other) <= 1 && !other)
			all_covered = false;
	}
	return all_covered || !would_orphan(v, c);
}

/* --- what is written --- */

static void plan_patch(
	struct plan *p, const struct object *o, const char *subresource, struct str patch)
{
	struct plan_write *w = plan_add(p, PLAN_PATCH, o->resource, S(""), o->name);

	w->subresource = str_c(subresource);
	w->patch = patch;
	w->patch_type = STRATEGIC;
	w->ignore_not_found = true;
}

static void plan_condition(struct view *v, struct plan *p, const struct object *o,
	const struct networking_v1_service_cidr *c, bool ready, const char *reason,
	const char *message)
{
	const char *status = ready ? "True" : "False";
	struct buf b;

	for (size_t i = 0; i < c->status.conditions.n; i++) {
		const struct meta_v1_condition *now = &c->status.conditions.v[i];

		if (str_eqc(now->type, "Ready") && str_eqc(now->status, status) &&
			str_eqc(now->reason, reason) && str_eqc(now->message, message))
			return;
	}
	buf_init(&b, PATCH_MAX);
	buf_fmt(&b,
		"{\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"%s\",\"reason\":\"%"
		"s\","
		"\"message\":",
		status, reason);
	json_write_string(&b, str_c(message));
	buf_fmt(&b, ",\"lastTransitionTime\":\"" STR_FMT "\"}]}}",
		STR_ARG(time_format(view_now(v), v->arena)));
	plan_patch(p, o, "status", arena_str(v->arena, buf_str(&b)));
	buf_release(&b);
}

static void reconcile_end(struct view *v, struct plan *p, const struct object *o,
	const struct networking_v1_service_cidr *c)
{
	int64_t left_ms = o->deletion_ms + GRACE_MS - v->now_ns / 1000000;

	if (!can_go(v, c))
		plan_condition(v, p, o, c, false, "Terminating",
			"There are still IPAddresses referencing the ServiceCIDR, please remove "
			"them or create a new ServiceCIDR");
	else if (left_ms > 0)
		plan_requeue(p, left_ms);
	else if (str_vec_has(&c->metadata.finalizers, S(FINALIZER)))
		plan_patch(p, o, "",
			S("{\"metadata\":{\"$deleteFromPrimitiveList/finalizers\":[\"" FINALIZER
			  "\"]}}"));
}

static int reconcile(struct view *v, struct plan_key key, struct plan *p, struct err *err)
{
	const struct object *o = view_get(v, &networking_v1_service_cidr_resource, S(""), key.name);
	const struct networking_v1_service_cidr *c;

	if (!o)
		return 0;
	c = object_decode(o, v->arena);
	if (o->deletion_ms) {
		reconcile_end(v, p, o, c);
		return 0;
	}
	if (!str_vec_has(&c->metadata.finalizers, S(FINALIZER)))
		plan_patch(p, o, "", S("{\"metadata\":{\"finalizers\":[\"" FINALIZER "\"]}}"));
	plan_condition(v, p, o, c, true, "", "Kubernetes Service CIDR is ready");
	return 0;
}

/* Another range, or one address less, may let go those that wait for their end. */
static void ranges_waiting(
	struct view *v, const struct store_event *ev, plan_enqueue_fn *enqueue, void *user_data)
{
	struct snapshot_iter it;
	const struct object *o;

	if (ev->object->resource == &networking_v1_service_cidr_resource)
		enqueue(user_data, S(""), ev->object->name);
	snapshot_iter_init(
		&it, view_snapshot(v, &networking_v1_service_cidr_resource), S(""), S(""), S(""));
	while ((o = snapshot_next(&it)))
		if (o->deletion_ms)
			enqueue(user_data, S(""), o->name);
}

static const struct plan_watch watches[] = {
	{.resource = &networking_v1_service_cidr_resource, .keys = ranges_waiting},
	{.resource = &networking_v1_ip_address_resource, .keys = ranges_waiting},
	{0},
};

const struct planner servicecidrs_planner = {
	.name = "service-cidr-controller",
	.user = "service-cidrs-controller",
	.watches = watches,
	.reconcile = reconcile,
};
