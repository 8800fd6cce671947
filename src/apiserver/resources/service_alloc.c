/*
 * service_alloc.c: cluster IPs and node ports of services
 * (pkg/registry/core/service/storage/alloc.go).
 *
 * Runs before the service is validated, as upstream: validation then sees a complete service.
 */
#include "apiserver/resources/service.h"
#include "apiserver/resources/service_books.h"

#define TAKEN_IP "provided IP is already allocated"
#define FOREIGN_IP "the provided network does not match the current range"

enum { DRY_RUN_PORT = 32768 };

struct alloc {
	struct strategy_ctx *ctx;
	struct service_books *books;
	struct v1_service *s;
	const struct v1_service *old; /* NULL on create */
	struct field_errors *e;
	struct err *err;
	uint64_t seed;
	/* taken by this request, to be given back when it fails */
	struct str_vec ips;
	struct {
		int *v;
		size_t n;
	} ports;
};

static struct field_path spec_path = {.name = {"spec", 4}};

static int family_of(struct str family)
{
	return str_eqc(family, "IPv6") ? FAMILY_V6 : FAMILY_V4;
}

static struct str family_name(int family)
{
	return family == FAMILY_V6 ? S("IPv6") : S("IPv4");
}

static bool is_none(const struct v1_service *s)
{
	return str_eqc(s->spec.cluster_ip, "None");
}

static uint64_t next_seed(struct alloc *al)
{
	al->seed = (al->seed ^ (al->seed >> 31)) * 0x9e3779b97f4a7c15u + 1;
	return al->seed ^ (al->seed >> 29);
}

/* --- fields that follow from one another --- */

static struct str_vec one(struct arena *a, struct str s)
{
	struct str_vec v = {0};

	ARENA_PUSH(a, &v, s);
	return v;
}

static void normalize_cluster_ips(struct alloc *al)
{
	struct v1_service_spec *s = &al->s->spec;
	const struct v1_service_spec *was = al->old ? &al->old->spec : NULL;
	struct arena *a = al->ctx->arena;

	if (!was) {
		if (s->cluster_ip.n && s->cluster_ips.n == 0)
			s->cluster_ips = one(a, s->cluster_ip);
		return;
	}
	if (was->cluster_ips.n && s->cluster_ips.n == 0 && str_eq(was->cluster_ip, s->cluster_ip))
		s->cluster_ips = was->cluster_ips;
	if (str_eq(was->cluster_ip, s->cluster_ip) ||
		!str_vecs_equal(&was->cluster_ips, &s->cluster_ips))
		return;
	if (was->cluster_ip.n && s->cluster_ip.n == 0)
		s->cluster_ips = (struct str_vec){0};
	else
		s->cluster_ips = one(a, s->cluster_ip);
}

static bool has_port(const struct v1_service *s, int32_t port)
{
	for (size_t i = 0; i < s->spec.ports.n; i++)
		if (s->spec.ports.v[i].node_port == port)
			return true;
	return false;
}

/* A port that says nothing keeps the node port that one of its name had. */
static void patch_node_ports(struct v1_service *s, const struct v1_service *old)
{
	struct v1_service before = *s;

	for (size_t i = 0; i < s->spec.ports.n; i++) {
		struct v1_service_port *p = &s->spec.ports.v[i];
		int32_t had = 0;

		if (p->node_port)
			continue;
		for (size_t k = 0; k < old->spec.ports.n; k++)
			if (str_eq(old->spec.ports.v[k].name, p->name))
				had = old->spec.ports.v[k].node_port;
		if (had && !has_port(&before, had))
			p->node_port = had;
	}
}

static void patch_allocated(struct alloc *al)
{
	struct v1_service *s = al->s;
	const struct v1_service *old = al->old;

	if (service_has_cluster_ip(old) && service_has_cluster_ip(s)) {
		if (s->spec.cluster_ip.n == 0)
			s->spec.cluster_ip = old->spec.cluster_ip;
		if (s->spec.cluster_ips.n == 0)
			s->spec.cluster_ips = old->spec.cluster_ips;
	}
	if (service_wants_node_ports(old) && service_wants_node_ports(s))
		patch_node_ports(s, old);
	if (service_needs_health_check(old) && service_needs_health_check(s) &&
		s->spec.health_check_node_port == 0)
		s->spec.health_check_node_port = old->spec.health_check_node_port;
}

static bool policy_is(const struct v1_service *s, const char *policy)
{
	return str_eqc(s->spec.ip_family_policy, policy);
}

static void policy_error(struct alloc *al, const char *why)
{
	field_invalid(
		al->e, AT(&spec_path, "ipFamilyPolicy"), al->s->spec.ip_family_policy, "%s", why);
}

static void default_policy(struct alloc *al)
{
	struct v1_service_spec *s = &al->s->spec;

	if (s->ip_family_policy.p)
		return;
	if (al->old && al->old->spec.ip_family_policy.p)
		s->ip_family_policy = al->old->spec.ip_family_policy;
	else if (is_none(al->s) && s->selector.n == 0)
		s->ip_family_policy = S("RequireDualStack");
	else
		s->ip_family_policy = S("SingleStack");
}

/* From two families to one and back. */
static void check_reduction(struct alloc *al)
{
	struct v1_service_spec *s = &al->s->spec;
	const struct v1_service_spec *was = &al->old->spec;

	if (policy_is(al->s, "SingleStack")) {
		if (str_vecs_equal(&was->cluster_ips, &s->cluster_ips) && s->cluster_ips.n > 1)
			s->cluster_ips.n = 1;
		if (str_vecs_equal(&was->ip_families, &s->ip_families) && s->ip_families.n > 1)
			s->ip_families.n = 1;
		return;
	}
	if (s->cluster_ips.n && s->cluster_ips.n < was->cluster_ips.n)
		policy_error(al, "must be 'SingleStack' to release the secondary cluster IP");
	if (s->ip_families.n && s->ip_families.n < was->ip_families.n)
		policy_error(al, "must be 'SingleStack' to release the secondary IP family");
}

static void check_single_stack(struct alloc *al)
{
	if (!policy_is(al->s, "SingleStack"))
		return;
	if (al->s->spec.cluster_ips.n == 2)
		policy_error(al, "must be 'RequireDualStack' or 'PreferDualStack' when multiple "
				 "cluster IPs are "
				 "specified");
	if (al->s->spec.ip_families.n == 2)
		policy_error(al, "must be 'RequireDualStack' or 'PreferDualStack' when multiple IP "
				 "families are "
				 "specified");
}

/* A given address tells its family. */
static void families_from_ips(struct alloc *al)
{
	struct v1_service_spec *s = &al->s->spec;
	struct field_path p = FIELD(&spec_path, "clusterIPs");

	for (size_t i = 0; i < s->cluster_ips.n && !str_eqc(s->cluster_ips.v[i], "None"); i++) {
		int family = ip_is_v6_text(s->cluster_ips.v[i]) ? FAMILY_V6 : FAMILY_V4;

		if (i < s->ip_families.n)
			continue;
		if (service_books_has(al->books, family))
			ARENA_PUSH(al->ctx->arena, &s->ip_families, family_name(family));
		else
			field_invalid_raw(al->e, AT_INDEX(&p, i),
				str_vec_json(al->ctx->arena, &s->cluster_ips),
				"%s is not configured on this cluster", family_name(family).p);
	}
}

static void add_other_family(struct alloc *al)
{
	struct v1_service_spec *s = &al->s->spec;
	int first = family_of(s->ip_families.v[0]);

	ARENA_PUSH(al->ctx->arena, &s->ip_families,
		family_name(first == FAMILY_V4 ? FAMILY_V6 : FAMILY_V4));
}

static void check_configured(struct alloc *al, bool dual)
{
	struct v1_service_spec *s = &al->s->spec;
	struct field_path p = FIELD(&spec_path, "ipFamilies");

	if (policy_is(al->s, "RequireDualStack") && !dual)
		policy_error(al, "this cluster is not configured for dual-stack services");
	for (size_t i = 0; i < s->ip_families.n; i++)
		if (!service_books_has(al->books, family_of(s->ip_families.v[i])))
			field_invalid(al->e, AT_INDEX(&p, i), s->ip_families.v[i],
				"not configured on this cluster");
}

static bool is_cluster_type(const struct v1_service *s)
{
	return service_is(s, "ClusterIP") || service_is(s, "NodePort") ||
	       service_is(s, "LoadBalancer");
}

/* PreferDualStack before and after with nothing changed: left as it is. */
static bool prefers_the_same(const struct alloc *al)
{
	const struct v1_service *s = al->s, *old = al->old;

	return old && s->spec.ip_family_policy.p && str_eq(old->spec.type, s->spec.type) &&
	       is_cluster_type(s) && policy_is(s, "PreferDualStack") &&
	       (!old->spec.ip_family_policy.p || policy_is(old, "PreferDualStack")) &&
	       str_vecs_equal(&old->spec.cluster_ips, &s->spec.cluster_ips) &&
	       str_vecs_equal(&old->spec.ip_families, &s->spec.ip_families);
}

static void init_families(struct alloc *al)
{
	struct v1_service_spec *s = &al->s->spec;
	bool dual =
		service_books_has(al->books, FAMILY_V4) && service_books_has(al->books, FAMILY_V6);

	if (service_is(al->s, "ExternalName") || prefers_the_same(al))
		return;
	default_policy(al);
	validate_cluster_ips(al->s, al->old, al->e);
	if (al->e->n)
		return;
	if (al->old)
		check_reduction(al);
	check_single_stack(al);
	families_from_ips(al);
	if (al->e->n)
		return;
	bool headless = is_none(al->s) && s->selector.n == 0;
	if (!headless)
		check_configured(al, dual);
	if (al->e->n)
		return;
	if (s->ip_families.n == 0)
		s->ip_families = one(al->ctx->arena, family_name(service_books_primary(al->books)));
	if (s->ip_families.n == 1 && !policy_is(al->s, "SingleStack") && (headless || dual))
		add_other_family(al);
}

/* --- addresses --- */

static struct str ip_problem(struct alloc *al, struct str given, int family, enum book_result r)
{
	struct ip_net net;
	struct str range;

	if (r == BOOK_TAKEN)
		return S(TAKEN_IP);
	if (!al->ctx->dry_run)
		return S(FOREIGN_IP);
	service_books_range(al->books, family, &net);
	range = ip_net_text(al->ctx->arena, &net);
	return arena_fmt(al->ctx->arena,
		"the provided IP (" STR_FMT
		") is not in the valid range. The range of valid IPs is " STR_FMT,
		STR_ARG(given), STR_ARG(range));
}

/* Any address of the family. In a dry run that is the network's own, which nobody can have. */
static int any_ip(struct alloc *al, int family, struct ip_addr *ip)
{
	struct ip_net net;

	if (al->ctx->dry_run) {
		service_books_range(al->books, family, &net);
		*ip = net.network;
		return 0;
	}
	if (service_books_next_ip(al->books, family, next_seed(al), ip) == BOOK_OK)
		return 0;
	return err_internal(al->err,
		"failed to allocate a serviceIP for Service \"" STR_FMT "\": range is full",
		STR_ARG(al->s->metadata.name));
}

/* The i-th address: a given one, or any of the i-th family. */
static int allocate_ip(struct alloc *al, size_t i)
{
	struct v1_service_spec *s = &al->s->spec;
	struct arena *a = al->ctx->arena;
	struct str given = s->cluster_ips.v[i];
	int family = family_of(s->ip_families.v[i]);
	enum book_result r = BOOK_OUT_OF_RANGE;
	struct ip_addr ip;

	if (given.n == 0) {
		if (any_ip(al, family, &ip) < 0)
			return -EIO;
		s->cluster_ips.v[i] = ip_text(a, &ip);
	} else {
		if (ip_parse(given, &ip))
			r = service_books_take_ip(al->books, &ip, al->ctx->dry_run);
		if (r != BOOK_OK) {
			struct str why = ip_problem(al, given, family, r);
			field_invalid_raw(al->e, AT(&spec_path, "clusterIPs"),
				str_vec_json(a, &s->cluster_ips),
				"failed to allocate IP " STR_FMT ": " STR_FMT, STR_ARG(given),
				STR_ARG(why));
			return -EINVAL;
		}
	}
	if (i == 0)
		s->cluster_ip = s->cluster_ips.v[0];
	ARENA_PUSH(a, &al->ips, s->cluster_ips.v[i]);
	return 0;
}

static int allocate_ips(struct alloc *al, size_t from)
{
	struct v1_service_spec *s = &al->s->spec;
	struct str_vec list = {0};
	int r = 0;

	if (service_is(al->s, "ExternalName") ||
		(s->cluster_ips.n && str_eqc(s->cluster_ips.v[0], "None")))
		return 0;
	/* A list of its own: it may have been the old object's. */
	for (size_t i = 0; i < MAX(s->ip_families.n, s->cluster_ips.n); i++)
		ARENA_PUSH(
			al->ctx->arena, &list, i < s->cluster_ips.n ? s->cluster_ips.v[i] : S(""));
	s->cluster_ips = list;
	for (size_t i = from; r == 0 && i < s->ip_families.n; i++)
		r = allocate_ip(al, i);
	return r;
}

static int update_ips(struct alloc *al)
{
	const struct v1_service *old = al->old;

	if (prefers_the_same(al))
		return 0;
	if (service_is(old, "ExternalName"))
		return allocate_ips(al, 0);
	if (old->spec.cluster_ips.n && str_eqc(old->spec.cluster_ips.v[0], "None"))
		return 0;
	if (old->spec.ip_families.n == 1 && al->s->spec.ip_families.n == 2)
		return allocate_ips(al, 1);
	return 0;
}

/* --- ports --- */

static bool took_port(const struct alloc *al, int port)
{
	for (size_t i = 0; i < al->ports.n; i++)
		if (al->ports.v[i] == port)
			return true;
	return false;
}

static struct str port_problem(struct alloc *al, enum book_result r)
{
	int min, max;

	if (r == BOOK_TAKEN)
		return S("provided port is already allocated");
	service_books_port_range(al->books, &min, &max);
	return arena_fmt(al->ctx->arena,
		"provided port is not in the valid range. The range of valid ports is %d-%d", min,
		max);
}

static enum book_result take_port(struct alloc *al, int port)
{
	enum book_result r = took_port(al, port)
				     ? BOOK_TAKEN
				     : service_books_take_port(al->books, port, al->ctx->dry_run);

	if (al->ctx->dry_run && r == BOOK_OUT_OF_RANGE)
		r = BOOK_OK; /* upstream's dry run looks only whether it is taken */
	if (r == BOOK_OK)
		ARENA_PUSH(al->ctx->arena, &al->ports, port);
	return r;
}

static int next_port(struct alloc *al, int *ret)
{
	if (al->ctx->dry_run) {
		/* Not a real one, and none twice */
		*ret = DRY_RUN_PORT;
		for (size_t i = 0; i < al->ports.n; i++)
			*ret = i == 0 || al->ports.v[i] >= *ret ? al->ports.v[i] + 1 : *ret;
	} else if (service_books_next_port(al->books, next_seed(al), ret) != BOOK_OK) {
		return err_internal(al->err, "failed to allocate a nodePort: range is full");
	}
	ARENA_PUSH(al->ctx->arena, &al->ports, *ret);
	return 0;
}

static int given_port(struct alloc *al, size_t i, int port)
{
	struct field_path list = FIELD(&spec_path, "ports"), item = FIELD_INDEX(&list, i);
	enum book_result r = take_port(al, port);

	if (r == BOOK_OK)
		return 0;
	field_invalid_int(
		al->e, AT(&item, "nodePort"), port, STR_FMT, STR_ARG(port_problem(al, r)));
	return -EINVAL;
}

/* What the first ports before the i-th with the same service port got. */
static int shared_port(const struct v1_service *s, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (s->spec.ports.v[k].port == s->spec.ports.v[i].port &&
			s->spec.ports.v[k].node_port)
			return s->spec.ports.v[k].node_port;
	return 0;
}

static int requested_port(const struct v1_service *s, int32_t port)
{
	for (size_t i = 0; i < s->spec.ports.n; i++)
		if (s->spec.ports.v[i].port == port && s->spec.ports.v[i].node_port)
			return s->spec.ports.v[i].node_port;
	return 0;
}

static int create_port(struct alloc *al, size_t i)
{
	struct v1_service_port *p = &al->s->spec.ports.v[i];
	int shared = shared_port(al->s, i), asked = requested_port(al->s, p->port), r;

	if (p->node_port == 0 && !service_wants_node_ports(al->s))
		return 0;
	if (shared && p->node_port == shared)
		return 0;
	if (shared && p->node_port)
		return given_port(al, i, p->node_port);
	if (shared) {
		p->node_port = shared; /* TCP and UDP of one service port share one */
		return 0;
	}
	r = asked ? given_port(al, i, asked) : next_port(al, &asked);
	if (r == 0)
		p->node_port = asked;
	return r;
}

static int update_port(struct alloc *al, size_t i)
{
	struct v1_service_port *p = &al->s->spec.ports.v[i];
	int port = p->node_port, r;

	if (port == 0 && !service_wants_node_ports(al->s))
		return 0;
	if (port)
		return has_port(al->old, port) || took_port(al, port) ? 0 : given_port(al, i, port);
	r = next_port(al, &port);
	if (r == 0)
		p->node_port = port;
	return r;
}

static int allocate_ports(struct alloc *al)
{
	int r = 0;

	if (!service_has_node_ports(al->s))
		return 0;
	for (size_t i = 0; r == 0 && i < al->s->spec.ports.n; i++)
		r = al->old ? update_port(al, i) : create_port(al, i);
	return r;
}

static int allocate_health_check(struct alloc *al)
{
	int port = al->s->spec.health_check_node_port, r;
	enum book_result taken;

	if (!service_needs_health_check(al->s) || (al->old && service_needs_health_check(al->old)))
		return 0;
	if (port == 0) {
		r = next_port(al, &port);
		if (r == 0)
			al->s->spec.health_check_node_port = port;
		return r;
	}
	taken = take_port(al, port);
	if (taken == BOOK_OK)
		return 0;
	return err_internal(al->err,
		"failed to allocate requested HealthCheck NodePort %d: " STR_FMT, port,
		STR_ARG(port_problem(al, taken)));
}

/* --- the hooks --- */

static void give_back(struct alloc *al)
{
	for (size_t i = 0; !al->ctx->dry_run && i < al->ips.n; i++) {
		struct ip_addr ip;
		if (ip_parse(al->ips.v[i], &ip))
			service_books_release_ip(al->books, &ip);
	}
	for (size_t i = 0; !al->ctx->dry_run && i < al->ports.n; i++)
		service_books_release_port(al->books, al->ports.v[i]);
}

int service_allocate(struct strategy_ctx *ctx, void *obj, const void *old,
	struct field_errors *errs, struct err *err)
{
	struct alloc al = {.ctx = ctx,
		.books = ctx->server->service_books,
		.s = obj,
		.old = old,
		.e = errs,
		.err = err};
	int r;

	if (ctx->subresource.n)
		return 0;
	al.seed = str_hash(al.s->metadata.name) ^ (str_hash(al.s->metadata.namespace) << 1) ^
		  (uint64_t)ctx->now_ns;
	service_books_load(al.books, ctx->store);
	if (old)
		patch_allocated(&al);
	normalize_cluster_ips(&al);
	init_families(&al);
	if (errs->n)
		return -EINVAL;
	r = old ? update_ips(&al) : allocate_ips(&al, 0);
	if (r == 0)
		r = allocate_ports(&al);
	if (r == 0)
		r = allocate_health_check(&al);
	if (r < 0)
		give_back(&al);
	return r;
}

bool service_uses_ip(const struct v1_service *s, struct str ip)
{
	return s && str_vec_has(&s->spec.cluster_ips, ip);
}

bool service_uses_port(const struct v1_service *s, int port)
{
	return s && (has_port(s, port) || s->spec.health_check_node_port == port);
}

/* Gives back what `s` has and `kept` has not. */
static void release_difference(
	struct service_books *b, const struct v1_service *s, const struct v1_service *kept)
{
	struct ip_addr ip;

	for (size_t i = 0; i < s->spec.cluster_ips.n; i++)
		if (!service_uses_ip(kept, s->spec.cluster_ips.v[i]) &&
			ip_parse(s->spec.cluster_ips.v[i], &ip))
			service_books_release_ip(b, &ip);
	for (size_t i = 0; i < s->spec.ports.n; i++)
		if (!service_uses_port(kept, s->spec.ports.v[i].node_port))
			service_books_release_port(b, s->spec.ports.v[i].node_port);
	if (!service_uses_port(kept, s->spec.health_check_node_port))
		service_books_release_port(b, s->spec.health_check_node_port);
}

void service_release(struct strategy_ctx *ctx, const void *obj, const void *old)
{
	if (!ctx->dry_run && ctx->subresource.n == 0)
		release_difference(ctx->server->service_books, obj, old);
}

void service_committed(struct strategy_ctx *ctx, const void *obj, const void *old)
{
	if (!ctx->dry_run && old)
		release_difference(ctx->server->service_books, old, obj);
}
