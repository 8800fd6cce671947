/* service.c: services: defaults, changes of type, warnings (pkg/registry/core/service). */
#include "apiserver/resources/printers.h"
#include "apiserver/resources/service.h"
#include "apiserver/validation/ip.h"

enum { AFFINITY_SECONDS = 10800 };

bool service_is(const struct v1_service *s, const char *type)
{
	return str_eqc(s->spec.type, type);
}

bool service_is_headless(const struct v1_service *s)
{
	return s->spec.cluster_ips.n == 1 && str_eqc(s->spec.cluster_ips.v[0], "None");
}

bool service_has_cluster_ip(const struct v1_service *s)
{
	return !service_is(s, "ExternalName");
}

bool service_has_node_ports(const struct v1_service *s)
{
	return service_is(s, "NodePort") || service_is(s, "LoadBalancer");
}

bool service_wants_node_ports(const struct v1_service *s)
{
	return service_is(s, "NodePort") ||
	       (service_is(s, "LoadBalancer") &&
		       (!s->spec.allocate_load_balancer_node_ports ||
			       *s->spec.allocate_load_balancer_node_ports));
}

bool service_needs_health_check(const struct v1_service *s)
{
	return service_is(s, "LoadBalancer") && str_eqc(s->spec.external_traffic_policy, "Local");
}

bool service_is_external(const struct v1_service *s)
{
	return service_has_node_ports(s) || (service_is(s, "ClusterIP") && s->spec.external_ips.n);
}

bool str_vecs_equal(const struct str_vec *a, const struct str_vec *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!str_eq(a->v[i], b->v[i]))
			return false;
	return true;
}

static void default_affinity(struct v1_service_spec *s, struct arena *a)
{
	struct v1_session_affinity_config *c = s->session_affinity_config;

	if (str_eqc(s->session_affinity, "None"))
		s->session_affinity_config = NULL;
	if (!str_eqc(s->session_affinity, "ClientIP") ||
		(c && c->client_ip && c->client_ip->timeout_seconds))
		return;
	c = ARENA_NEW(a, struct v1_session_affinity_config);
	c->client_ip = ARENA_NEW(a, struct v1_client_ip_config);
	c->client_ip->timeout_seconds = ARENA_NEW(a, int32_t);
	*c->client_ip->timeout_seconds = AFFINITY_SECONDS;
	s->session_affinity_config = c;
}

static void default_ports(struct v1_service_spec *s)
{
	for (size_t i = 0; i < s->ports.n; i++) {
		struct int_or_string *t = &s->ports.v[i].target_port;
		if (t->is_string ? t->s.n == 0 : t->i == 0)
			*t = (struct int_or_string){.i = s->ports.v[i].port};
	}
}

static void service_default(struct strategy_ctx *ctx, void *obj)
{
	struct v1_service *s = obj;

	default_affinity(&s->spec, ctx->arena);
	default_ports(&s->spec);
	if (service_is_external(s) && s->spec.external_traffic_policy.n == 0)
		s->spec.external_traffic_policy = S("Cluster");
	if (!s->spec.internal_traffic_policy.p &&
		(service_is(s, "ClusterIP") || service_has_node_ports(s)))
		s->spec.internal_traffic_policy = S("Cluster");
	if (!service_is(s, "LoadBalancer"))
		return;
	if (!s->spec.allocate_load_balancer_node_ports) {
		s->spec.allocate_load_balancer_node_ports = ARENA_NEW(ctx->arena, bool);
		*s->spec.allocate_load_balancer_node_ports = true;
	}
	for (size_t i = 0; i < s->status.load_balancer.ingress.n; i++) {
		struct v1_load_balancer_ingress *in = &s->status.load_balancer.ingress.v[i];
		if (in->ip.n && !in->ip_mode.p)
			in->ip_mode = S("VIP");
	}
}

static void service_prepare_create(struct strategy_ctx *ctx, void *obj)
{
	struct v1_service *s = obj;

	s->status = (struct v1_service_status){0};
}

/* Whether every node port of s is one that the old service had. */
static bool node_ports_known(const struct v1_service *s, const struct v1_service *old)
{
	for (size_t i = 0; i < s->spec.ports.n; i++) {
		bool known = s->spec.ports.v[i].node_port == 0;
		for (size_t k = 0; k < old->spec.ports.n; k++)
			known = known ||
				old->spec.ports.v[k].node_port == s->spec.ports.v[i].node_port;
		if (!known)
			return false;
	}
	return true;
}

static void drop_cluster_ip_fields(struct v1_service_spec *s, const struct v1_service_spec *was)
{
	if (str_eq(s->cluster_ip, was->cluster_ip) &&
		str_vecs_equal(&s->cluster_ips, &was->cluster_ips)) {
		s->cluster_ip = (struct str){0};
		s->cluster_ips = (struct str_vec){0};
	}
	if (str_vecs_equal(&s->ip_families, &was->ip_families))
		s->ip_families = (struct str_vec){0};
	if (str_eq(s->ip_family_policy, was->ip_family_policy))
		s->ip_family_policy = (struct str){0};
}

/* A client that changes the type need not know which fields the old one had: unchanged ones go by
 * themselves. */
static void drop_type_fields(struct v1_service *s, const struct v1_service *old)
{
	bool *allocate = s->spec.allocate_load_balancer_node_ports;
	const bool *was = old->spec.allocate_load_balancer_node_ports;

	if (service_has_cluster_ip(old) && !service_has_cluster_ip(s))
		drop_cluster_ip_fields(&s->spec, &old->spec);
	if (service_has_node_ports(old) && !service_has_node_ports(s) && node_ports_known(s, old))
		for (size_t i = 0; i < s->spec.ports.n; i++)
			s->spec.ports.v[i].node_port = 0;
	if (service_needs_health_check(old) && !service_needs_health_check(s) &&
		s->spec.health_check_node_port == old->spec.health_check_node_port)
		s->spec.health_check_node_port = 0;
	if (service_is(old, "LoadBalancer") && !service_is(s, "LoadBalancer")) {
		if (allocate && was && *allocate == *was)
			s->spec.allocate_load_balancer_node_ports = NULL;
		if (str_eq(s->spec.load_balancer_class, old->spec.load_balancer_class))
			s->spec.load_balancer_class = (struct str){0};
	}
	if (service_is_external(old) && !service_is_external(s) &&
		str_eq(s->spec.external_traffic_policy, old->spec.external_traffic_policy))
		s->spec.external_traffic_policy = (struct str){0};
	if (!service_is(s, "LoadBalancer"))
		s->status.load_balancer = (struct v1_load_balancer_status){0};
}

static void service_prepare_update(struct strategy_ctx *ctx, void *obj, const void *old)
{
	const struct v1_service *was = old;
	struct v1_service *s = obj;

	if (is_status(ctx)) {
		s->spec = was->spec;
		return;
	}
	s->status = was->status;
	drop_type_fields(s, was);
}

static void service_validate(struct strategy_ctx *ctx, const void *obj, struct field_errors *e)
{
	validate_service(obj, NULL, e);
}

static void service_validate_update(
	struct strategy_ctx *ctx, const void *obj, const void *old, struct field_errors *e)
{
	if (is_status(ctx))
		validate_load_balancer_status(obj, old, e);
	else
		validate_service_update(obj, old, e);
}

/* Services without a cluster IP take no part in the traffic inside of the cluster. */
static void service_canonicalize(struct strategy_ctx *ctx, void *obj)
{
	struct v1_service *s = obj;

	if (service_is(s, "ExternalName"))
		s->spec.internal_traffic_policy = (struct str){0};
}

static void warn_ips(
	struct strategy_ctx *ctx, const struct str_vec *ips, const struct field_path *p)
{
	for (size_t i = 0; i < ips->n; i++) {
		struct str line = ip_warning(ctx->arena, AT_INDEX(p, i), ips->v[i]);
		if (line.n)
			ctx_warn(ctx, STR_FMT, STR_ARG(line));
	}
}

static void warn_headless(struct strategy_ctx *ctx, const struct v1_service_spec *s)
{
	if (s->load_balancer_ip.n)
		ctx_warn(ctx, "spec.loadBalancerIP is ignored for headless services");
	if (s->external_ips.n)
		ctx_warn(ctx, "spec.externalIPs is ignored for headless services");
	if (!str_eqc(s->session_affinity, "None"))
		ctx_warn(ctx, "spec.SessionAffinity is ignored for headless services");
}

static void warn_external(struct strategy_ctx *ctx, const struct v1_service *s, bool headless)
{
	struct field_path spec = FIELD(NULL, "spec"),
			  ranges = FIELD(&spec, "loadBalancerSourceRanges");
	struct str line;

	warn_ips(ctx, &s->spec.external_ips, AT(&spec, "externalIPs"));
	if (s->spec.external_ips.n && !headless && !service_is(s, "ExternalName"))
		ctx_warn(ctx, "spec.externalIPs is deprecated and may no longer be implemented in "
			      "some clusters");
	line = ip_warning(ctx->arena, AT(&spec, "loadBalancerIP"), s->spec.load_balancer_ip);
	if (line.n)
		ctx_warn(ctx, STR_FMT, STR_ARG(line));
	for (size_t i = 0; i < s->spec.load_balancer_source_ranges.n; i++)
		warn_all(ctx, cidr_warnings(ctx->arena, AT_INDEX(&ranges, i),
				      s->spec.load_balancer_source_ranges.v[i]));
	if (service_is(s, "ExternalName") && s->spec.external_ips.n)
		ctx_warn(ctx, "spec.externalIPs is ignored when spec.type is \"ExternalName\"");
	if (!service_is(s, "ExternalName") && s->spec.external_name.n)
		ctx_warn(
			ctx, "spec.externalName is ignored when spec.type is not \"ExternalName\"");
}

static void service_warn(struct strategy_ctx *ctx, const void *obj, const void *old)
{
	struct field_path spec = FIELD(NULL, "spec"), status = FIELD(NULL, "status");
	struct field_path lb = FIELD(&status, "loadBalancer"), ingress = FIELD(&lb, "ingress");
	const struct v1_service *s = obj;
	bool headless = service_is(s, "ClusterIP") && str_eqc(s->spec.cluster_ip, "None");

	if (is_status(ctx)) {
		for (size_t i = 0; i < s->status.load_balancer.ingress.n; i++) {
			struct str line = ip_warning(ctx->arena, AT_INDEX(&ingress, i),
				s->status.load_balancer.ingress.v[i].ip);
			if (line.n)
				ctx_warn(ctx, STR_FMT, STR_ARG(line));
		}
		return;
	}
	if (str_map_get(&s->metadata.annotations, S("service.kubernetes.io/topology-aware-hints")))
		ctx_warn(ctx, "annotation service.kubernetes.io/topology-aware-hints is "
			      "deprecated, please "
			      "use service.kubernetes.io/topology-mode instead");
	if (s->spec.cluster_ip.n && !str_eqc(s->spec.cluster_ip, "None"))
		warn_ips(ctx, &s->spec.cluster_ips, AT(&spec, "clusterIPs"));
	if (headless)
		warn_headless(ctx, &s->spec);
	warn_external(ctx, s, headless);
	if (str_eqc(s->spec.traffic_distribution, "PreferClose"))
		ctx_warn(ctx, "spec.trafficDistribution: \"PreferClose\" is deprecated; use "
			      "\"PreferSameZone\"");
}

const struct strategy service_strategy = {
	.resource = &v1_service_resource,
	.create_on_update = true,
	.name_errors = name_is_dns_label,
	.default_ = service_default,
	.prepare_create = service_prepare_create,
	.prepare_update = service_prepare_update,
	.validate = service_validate,
	.validate_update = service_validate_update,
	.canonicalize = service_canonicalize,
	.warn = service_warn,
	.allocate = service_allocate,
	.release = service_release,
	.committed = service_committed,
	.along = service_along,
	.table_row = print_service,
};
