/* service_validate.c: what a service may be, and what may change in it (validateService). */
#include "apiserver/resources/service.h"
#include "apiserver/resources/workload.h"
#include "apiserver/validation/ip.h"

enum { AFFINITY_SECONDS_MAX = 86400 };
#define RANGES "service.beta.kubernetes.io/load-balancer-source-ranges"
#define HINTS "service.kubernetes.io/topology-aware-hints"
#define MODE "service.kubernetes.io/topology-mode"

static const char kept[] = "may not change once set";

static struct field_path spec_path = {.name = {"spec", 4}};

static struct str quote_or_null(struct arena *a, struct str s)
{
	return s.p ? go_quote(a, s) : S("null");
}

static void validate_addresses_of(const struct v1_service *s, const struct v1_service *old,
	const struct field_path *p, bool *bad, struct field_errors *e)
{
	const struct str_vec *ips = &s->spec.cluster_ips;

	for (size_t i = 0; i < ips->n; i++) {
		size_t before = e->n;

		if (i == 0 && str_eqc(ips->v[0], "None")) {
			if (ips->n > 1) {
				*bad = true;
				field_invalid_raw(e, p, str_vec_json(e->arena, ips),
					"'None' must be the first and only value");
			}
			continue;
		}
		validate_ip_legacy(
			ips->v[i], old ? &old->spec.cluster_ips : NULL, AT_INDEX(p, i), e);
		*bad = *bad || e->n != before;
	}
}

static void validate_families(const struct v1_service *s, struct field_errors *e)
{
	static const char *const families[] = {"IPv4", "IPv6", NULL};
	static const char *const policies[] = {
		"PreferDualStack", "RequireDualStack", "SingleStack", NULL};
	struct field_path p = FIELD(&spec_path, "ipFamilies");

	for (size_t i = 0; i < s->spec.ip_families.n; i++) {
		struct str f = s->spec.ip_families.v[i];

		field_one_of(e, AT_INDEX(&p, i), f, families);
		for (size_t k = 0; k < i; k++)
			if (str_eq(s->spec.ip_families.v[k], f)) {
				field_duplicate(e, AT_INDEX(&p, i), f);
				break;
			}
	}
	if (s->spec.ip_family_policy.p)
		field_one_of(
			e, AT(&spec_path, "ipFamilyPolicy"), s->spec.ip_family_policy, policies);
}

static void validate_family_match(
	const struct v1_service *s, const struct field_path *p, struct field_errors *e)
{
	for (size_t i = 0; i < s->spec.cluster_ips.n && i < s->spec.ip_families.n; i++) {
		struct str ip = s->spec.cluster_ips.v[i], f = s->spec.ip_families.v[i];
		bool v6 = ip_is_v6_text(ip);

		if ((str_eqc(f, "IPv4") && v6) || (str_eqc(f, "IPv6") && !v6))
			field_invalid(e, AT_INDEX(p, i), ip,
				"expected an " STR_FMT " value as indicated by `ipFamilies[%zu]`",
				STR_ARG(f), i);
	}
}

void validate_cluster_ips(
	const struct v1_service *s, const struct v1_service *old, struct field_errors *e)
{
	struct field_path p = FIELD(&spec_path, "clusterIPs");
	const struct str_vec *ips = &s->spec.cluster_ips;
	struct str json = str_vec_json(e->arena, ips);
	bool bad = false;

	if (service_is(s, "ExternalName"))
		return;
	if (s->spec.cluster_ip.n && ips->n == 0)
		field_required(e, &p, "");
	else if (s->spec.cluster_ip.n && !str_eq(ips->v[0], s->spec.cluster_ip))
		field_invalid_raw(e, &p, json, "first value must match `clusterIP`");
	else if (s->spec.cluster_ip.n == 0 && ips->n)
		field_invalid_raw(e, &p, json, "must be empty when `clusterIP` is not specified");
	validate_families(s, e);
	validate_addresses_of(s, old, &p, &bad, e);
	if (ips->n > 2)
		field_invalid_raw(e, &p, json, "may only hold up to 2 values");
	if (bad)
		return;
	if (ips->n > 1 && !ip_texts_dual_stack(*ips))
		field_invalid_raw(
			e, &p, json, "may specify no more than one IP for each IP family");
	if (!service_is_headless(s))
		validate_family_match(s, &p, e);
}

static void validate_external_name(const struct v1_service *s, struct field_errors *e)
{
	struct str name = s->spec.external_name;

	if (s->spec.cluster_ips.n)
		field_forbidden(e, AT(&spec_path, "clusterIPs"),
			"may not be set for ExternalName services");
	if (s->spec.ip_families.n)
		field_forbidden(e, AT(&spec_path, "ipFamilies"),
			"may not be set for ExternalName services");
	if (s->spec.ip_family_policy.p)
		field_forbidden(e, AT(&spec_path, "ipFamilyPolicy"),
			"may not be set for ExternalName services");
	if (str_ends(name, S(".")))
		name.n--;
	if (name.n)
		validate_dns1123_subdomain(name, AT(&spec_path, "externalName"), e);
	else
		field_required(e, AT(&spec_path, "externalName"), "");
}

static void validate_type_fields(const struct v1_service *s, struct field_errors *e)
{
	struct field_path ips = FIELD(&spec_path, "clusterIPs");

	if (service_is(s, "ExternalName"))
		validate_external_name(s, e);
	else if (service_has_node_ports(s) && service_is_headless(s))
		field_invalid(e, AT_INDEX(&ips, 0), s->spec.cluster_ips.v[0],
			"may not be set to 'None' for " STR_FMT " services", STR_ARG(s->spec.type));
}

static void validate_port(const struct v1_service *s, size_t i, struct str_vec *names,
	const struct field_path *p, struct field_errors *e)
{
	const struct v1_service_port *port = &s->spec.ports.v[i];

	if (s->spec.ports.n > 1 && port->name.n == 0) {
		field_required(e, AT(p, "name"), "");
	} else if (port->name.n) {
		validate_dns1123_label(port->name, AT(p, "name"), e);
		if (str_vec_has(names, port->name))
			field_duplicate(e, AT(p, "name"), port->name);
		else
			ARENA_PUSH(e->arena, names, port->name);
	}
	field_invalid_int_each(e, AT(p, "port"), port->port, is_port_number(e->arena, port->port));
	if (port->protocol.n == 0)
		field_required(e, AT(p, "protocol"), "");
	else
		field_one_of(e, AT(p, "protocol"), port->protocol, port_protocols);
	validate_port_num_or_name(&port->target_port, AT(p, "targetPort"), e);
	if (port->app_protocol.p)
		validate_qualified_name(port->app_protocol, AT(p, "appProtocol"), e);
}

static void validate_affinity_of(const struct v1_service *s, struct field_errors *e)
{
	static const char *const kinds[] = {"ClientIP", "None", NULL};
	const struct v1_session_affinity_config *c = s->spec.session_affinity_config;
	struct field_path p = FIELD(&spec_path, "sessionAffinityConfig"),
			  ip = FIELD(&p, "clientIP");
	struct field_path seconds = FIELD(&ip, "timeoutSeconds");

	if (s->spec.session_affinity.n == 0)
		field_required(e, AT(&spec_path, "sessionAffinity"), "");
	else
		field_one_of(e, AT(&spec_path, "sessionAffinity"), s->spec.session_affinity, kinds);
	if (str_eqc(s->spec.session_affinity, "None") && c)
		field_forbidden(e, &p, "must not be set when session affinity is None");
	if (!str_eqc(s->spec.session_affinity, "ClientIP"))
		return;
	if (!c)
		field_required(e, &p, "when session affinity type is ClientIP");
	else if (!c->client_ip)
		field_required(e, &ip, "when session affinity type is ClientIP");
	else if (!c->client_ip->timeout_seconds)
		field_required(e, &seconds, "when session affinity type is ClientIP");
	else if (*c->client_ip->timeout_seconds <= 0 ||
		 *c->client_ip->timeout_seconds > AFFINITY_SECONDS_MAX)
		field_invalid_int(e, &seconds, *c->client_ip->timeout_seconds,
			"must be greater than 0 and less than %d", AFFINITY_SECONDS_MAX);
}

static void validate_external_ips(
	const struct v1_service *s, const struct v1_service *old, struct field_errors *e)
{
	struct field_path p = FIELD(&spec_path, "externalIPs");

	for (size_t i = 0; i < s->spec.external_ips.n; i++) {
		size_t before = e->n;

		validate_ip_legacy(s->spec.external_ips.v[i], old ? &old->spec.external_ips : NULL,
			AT_INDEX(&p, i), e);
		if (e->n == before)
			validate_endpoint_ip(s->spec.external_ips.v[i], AT_INDEX(&p, i), e);
	}
}

static struct str port_key_json(struct arena *a, const struct v1_service_port *p)
{
	struct v1_service_port key = {.protocol = p->protocol, .port = p->port};

	return go_json(a, &v1_service_port_schema, &key);
}

static void validate_port_pairs(const struct v1_service *s, struct field_errors *e)
{
	const struct v1_service_port_vec *ports = &s->spec.ports;
	struct field_path p = FIELD(&spec_path, "ports");

	for (size_t i = 0; service_is(s, "ClusterIP") && i < ports->n; i++) {
		struct field_path item = FIELD_INDEX(&p, i);
		if (ports->v[i].node_port)
			field_forbidden(e, AT(&item, "nodePort"),
				"may not be used when `type` is 'ClusterIP'");
	}
	for (size_t i = 0; i < ports->n; i++)
		for (size_t k = 0; ports->v[i].node_port && k < i; k++)
			if (ports->v[k].node_port == ports->v[i].node_port &&
				str_eq(ports->v[k].protocol, ports->v[i].protocol)) {
				struct field_path item = FIELD_INDEX(&p, i);
				field_duplicate_raw(e, AT(&item, "nodePort"),
					arena_fmt(e->arena, "%d", ports->v[i].node_port));
				break;
			}
	for (size_t i = 0; i < ports->n; i++)
		for (size_t k = 0; k < i; k++)
			if (ports->v[k].port == ports->v[i].port &&
				str_eq(ports->v[k].protocol, ports->v[i].protocol)) {
				field_duplicate_raw(
					e, AT_INDEX(&p, i), port_key_json(e->arena, &ports->v[i]));
				break;
			}
}

static void validate_ranges_annotation(
	const struct v1_service *s, const struct v1_service *old, struct field_errors *e)
{
	const struct str *v = str_map_get(&s->metadata.annotations, S(RANGES));
	const struct str *was = old ? str_map_get(&old->metadata.annotations, S(RANGES)) : NULL;
	struct field_path meta = FIELD(NULL, "metadata"), list = FIELD(&meta, "annotations");
	struct field_path p = FIELD_KEY(&list, S(RANGES));
	struct str item, rest;

	if (!v)
		return;
	if (!service_is(s, "LoadBalancer"))
		field_forbidden(e, &p, "may only be used when `type` is 'LoadBalancer'");
	rest = str_trim(*v);
	if ((was && str_eq(*was, *v)) || rest.n == 0)
		return;
	for (bool more = true; more;) {
		more = str_cut(rest, ',', &item, &rest);
		validate_cidr_legacy(str_trim(item), NULL, &p, e);
	}
}

static void validate_source_ranges(
	const struct v1_service *s, const struct v1_service *old, struct field_errors *e)
{
	struct field_path p = FIELD(&spec_path, "LoadBalancerSourceRanges");
	struct str_vec was = {0};

	if (s->spec.load_balancer_source_ranges.n == 0) {
		validate_ranges_annotation(s, old, e);
		return;
	}
	if (!service_is(s, "LoadBalancer"))
		field_forbidden(e, &p, "may only be used when `type` is 'LoadBalancer'");
	for (size_t i = 0; old && i < old->spec.load_balancer_source_ranges.n; i++)
		ARENA_PUSH(e->arena, &was, str_trim(old->spec.load_balancer_source_ranges.v[i]));
	for (size_t i = 0; i < s->spec.load_balancer_source_ranges.n; i++)
		validate_cidr_legacy(str_trim(s->spec.load_balancer_source_ranges.v[i]), &was,
			AT_INDEX(&p, i), e);
}

static void validate_balancer_class(
	const struct v1_service *s, const struct v1_service *old, struct field_errors *e)
{
	struct field_path p = FIELD(&spec_path, "loadBalancerClass");
	struct str now = s->spec.load_balancer_class;

	if (old && service_is(old, "LoadBalancer") && service_is(s, "LoadBalancer") &&
		(!now.p != !old->spec.load_balancer_class.p ||
			!str_eq(now, old->spec.load_balancer_class)))
		field_invalid_raw(e, &p, quote_or_null(e->arena, now), "%s", kept);
	if (now.p && service_is(s, "LoadBalancer"))
		validate_qualified_name(now, &p, e);
	else if (now.p)
		field_forbidden(e, &p, "may only be used when `type` is 'LoadBalancer'");
}

static void validate_external_policy(const struct v1_service *s, struct field_errors *e)
{
	static const char *const policies[] = {"Cluster", "Local", NULL};
	struct field_path p = FIELD(&spec_path, "externalTrafficPolicy");
	struct field_path hc = FIELD(&spec_path, "healthCheckNodePort");
	int32_t port = s->spec.health_check_node_port;

	if (!service_is_external(s)) {
		if (s->spec.external_traffic_policy.n)
			field_invalid(e, &p, s->spec.external_traffic_policy,
				"may only be set for externally-accessible services");
	} else if (s->spec.external_traffic_policy.n == 0) {
		field_required(e, &p, "");
	} else {
		field_one_of(e, &p, s->spec.external_traffic_policy, policies);
	}
	if (!service_needs_health_check(s)) {
		if (port)
			field_invalid_int(e, &hc, port,
				"may only be set when `type` is 'LoadBalancer' and "
				"`externalTrafficPolicy` "
				"is 'Local'");
	} else if (port == 0) {
		field_required(e, &hc, "");
	} else {
		field_invalid_int_each(e, &hc, port, is_port_number(e->arena, port));
	}
}

static void validate_internal_policy(const struct v1_service *s, struct field_errors *e)
{
	static const char *const policies[] = {"Cluster", "Local", NULL};
	static const char *const distributions[] = {
		"PreferClose", "PreferSameZone", "PreferSameNode", NULL};
	struct field_path p = FIELD(&spec_path, "internalTrafficPolicy");

	if (!s->spec.internal_traffic_policy.p) {
		if (service_is(s, "ClusterIP") || service_has_node_ports(s))
			field_required(e, &p, "");
	} else {
		field_one_of(e, &p, s->spec.internal_traffic_policy, policies);
	}
	if (s->spec.traffic_distribution.p)
		field_one_of(e, AT(&spec_path, "trafficDistribution"), s->spec.traffic_distribution,
			distributions);
}

static void validate_topology(const struct v1_service *s, struct field_errors *e)
{
	const struct str *hints = str_map_get(&s->metadata.annotations, S(HINTS));
	const struct str *mode = str_map_get(&s->metadata.annotations, S(MODE));
	struct field_path meta = FIELD(NULL, "metadata"), p = FIELD(&meta, "annotations");

	if (hints && mode && !str_eq(*hints, *mode))
		field_invalid(e, AT_KEY(&p, S(MODE)), *mode,
			"must match annotations[" HINTS "] when both are specified");
}

static void validate_balancer_ports(const struct v1_service *s, struct field_errors *e)
{
	if (s->spec.allocate_load_balancer_node_ports && !service_is(s, "LoadBalancer"))
		field_forbidden(e, AT(&spec_path, "allocateLoadBalancerNodePorts"),
			"may only be used when `type` is 'LoadBalancer'");
	if (!s->spec.allocate_load_balancer_node_ports && service_is(s, "LoadBalancer"))
		field_required(e, AT(NULL, "allocateLoadBalancerNodePorts"), "");
}

void validate_service(
	const struct v1_service *s, const struct v1_service *old, struct field_errors *e)
{
	static const char *const types[] = {
		"ClusterIP", "ExternalName", "LoadBalancer", "NodePort", NULL};
	struct field_path ports = FIELD(&spec_path, "ports");
	struct str_vec names = {0};

	validate_topology(s, e);
	if (s->spec.ports.n == 0 && !service_is_headless(s) && !service_is(s, "ExternalName"))
		field_required(e, &ports, "");
	validate_type_fields(s, e);
	for (size_t i = 0; i < s->spec.ports.n; i++)
		validate_port(s, i, &names, AT_INDEX(&ports, i), e);
	validate_labels(&s->spec.selector, AT(&spec_path, "selector"), e);
	validate_affinity_of(s, e);
	validate_cluster_ips(s, old, e);
	validate_external_ips(s, old, e);
	if (s->spec.type.n == 0)
		field_required(e, AT(&spec_path, "type"), "");
	else
		field_one_of(e, AT(&spec_path, "type"), s->spec.type, types);
	validate_port_pairs(s, e);
	validate_source_ranges(s, old, e);
	validate_balancer_ports(s, e);
	validate_balancer_class(s, NULL, e);
	validate_external_policy(s, e);
	validate_internal_policy(s, e);
}

static void release_needs_single_stack(
	const struct v1_service *s, const char *what, struct field_errors *e)
{
	if (!str_eqc(s->spec.ip_family_policy, "SingleStack"))
		field_invalid_raw(e, AT(&spec_path, "ipFamilyPolicy"),
			quote_or_null(e->arena, s->spec.ip_family_policy),
			"must be set to 'SingleStack' when releasing the secondary %s", what);
}

static void validate_cluster_ips_kept(
	const struct v1_service *s, const struct v1_service *old, struct field_errors *e)
{
	struct field_path p = FIELD(&spec_path, "clusterIPs");
	const struct str_vec *now = &s->spec.cluster_ips, *was = &old->spec.cluster_ips;
	struct str json = str_vec_json(e->arena, now);

	if (service_is_headless(old) && service_is_headless(s))
		return;
	if (was->n == now->n) {
		for (size_t i = 0; i < was->n; i++)
			if (!str_eq(was->v[i], now->v[i]))
				field_invalid_raw(e, AT_INDEX(&p, i), json, "%s", kept);
		return;
	}
	if (was->n > now->n && now->n == 0)
		field_invalid_raw(e, AT_INDEX(&p, 0), json, "primary clusterIP can not be unset");
	if (was->n && now->n && !str_eq(now->v[0], was->v[0]))
		field_invalid_raw(e, AT_INDEX(&p, 0), json, "%s", kept);
	if (was->n > now->n && now->n == 1)
		release_needs_single_stack(s, "clusterIP", e);
}

static void validate_families_kept(
	const struct v1_service *s, const struct v1_service *old, struct field_errors *e)
{
	struct field_path p = FIELD(&spec_path, "ipFamilies");
	const struct str_vec *now = &s->spec.ip_families, *was = &old->spec.ip_families;

	if (service_is_headless(old) || service_is_headless(s))
		return;
	if (was->n == now->n) {
		for (size_t i = 0; i < was->n; i++)
			if (!str_eq(was->v[i], now->v[i]))
				field_invalid_raw(e, AT_INDEX(&p, 0), str_vec_json(e->arena, now),
					"%s", kept);
		return;
	}
	if (was->n > now->n && s->spec.cluster_ips.n == 0)
		field_invalid_raw(e, AT_INDEX(&p, 0), str_vec_json(e->arena, now),
			"primary ipFamily can not be unset");
	if (was->n && now->n && !str_eq(now->v[0], was->v[0]))
		field_invalid_raw(e, AT_INDEX(&p, 0), str_vec_json(e->arena, &s->spec.cluster_ips),
			"%s", kept);
	if (was->n > now->n && now->n == 1)
		release_needs_single_stack(s, "ipFamily", e);
}

void validate_service_update(
	const struct v1_service *s, const struct v1_service *old, struct field_errors *e)
{
	if (!service_is(s, "ExternalName") && !service_is(old, "ExternalName")) {
		validate_cluster_ips_kept(s, old, e);
		validate_families_kept(s, old, e);
	}
	validate_balancer_class(s, old, e);
	if (service_needs_health_check(old) && service_needs_health_check(s) &&
		s->spec.health_check_node_port != old->spec.health_check_node_port)
		field_forbidden(e, AT(&spec_path, "healthCheckNodePort"), "field is immutable");
	validate_service(s, old, e);
}

static void validate_ingress(const struct v1_load_balancer_ingress *in,
	const struct str_vec *old_ips, const struct field_path *p, struct field_errors *e)
{
	static const char *const modes[] = {"Proxy", "VIP", NULL};
	struct ip_addr ip;

	if (in->ip.n)
		validate_ip_legacy(in->ip, old_ips, AT(p, "ip"), e);
	if (!in->ip_mode.p && in->ip.n)
		field_required(e, AT(p, "ipMode"), "must be specified when `ip` is set");
	else if (in->ip_mode.p && in->ip.n == 0)
		field_forbidden(e, AT(p, "ipMode"), "may not be specified when `ip` is not set");
	else if (in->ip_mode.p)
		field_one_of(e, AT(p, "ipMode"), in->ip_mode, modes);
	if (in->hostname.n == 0)
		return;
	validate_dns1123_subdomain(in->hostname, AT(p, "hostname"), e);
	if (ip_parse(in->hostname, &ip))
		field_invalid(e, AT(p, "hostname"), in->hostname,
			"must be a DNS name, not an IP address");
}

void validate_load_balancer_status(
	const struct v1_service *s, const struct v1_service *old, struct field_errors *e)
{
	const struct v1_load_balancer_ingress_vec *list = &s->status.load_balancer.ingress;
	struct field_path status = FIELD(NULL, "status"), lb = FIELD(&status, "loadBalancer");
	struct field_path p = FIELD(&lb, "ingress");
	struct str_vec ips = {0};

	if (!service_is(s, "LoadBalancer")) {
		if (list->n)
			field_forbidden(
				e, &p, "may only be used when `spec.type` is 'LoadBalancer'");
		return;
	}
	for (size_t i = 0; i < old->status.load_balancer.ingress.n; i++)
		ARENA_PUSH(e->arena, &ips, old->status.load_balancer.ingress.v[i].ip);
	for (size_t i = 0; i < list->n; i++)
		validate_ingress(&list->v[i], &ips, AT_INDEX(&p, i), e);
}
