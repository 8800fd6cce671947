/* network_policy.c: NetworkPolicy (pkg/apis/networking/validation). */
#include "apiserver/resources/printers.h"
#include "apiserver/resources/rules.h"
#include "apiserver/validation/ip.h"

enum { POLICY_TYPES_MAX = 2 };

/* What the checks of one policy share. */
struct policy_check {
	struct str_vec
		kept; /* blocks that stood in the policy before stay allowed, however written */
	struct field_errors *errs;
};

static void policy_default(struct strategy_ctx *ctx, void *obj)
{
	struct networking_v1_network_policy *np = obj;

	if (np->spec.policy_types.n)
		return;
	ARENA_PUSH(ctx->arena, &np->spec.policy_types, S("Ingress"));
	if (np->spec.egress.n)
		ARENA_PUSH(ctx->arena, &np->spec.policy_types, S("Egress"));
}

static void validate_policy_port(const struct networking_v1_network_policy_port *port,
	const struct field_path *p, struct field_errors *e)
{
	static const char *const protocols[] = {"TCP", "UDP", "SCTP", NULL};
	struct field_path port_path = FIELD(p, "port"), end_path = FIELD(p, "endPort");
	const int32_t *end = port->end_port;

	if (port->protocol.p)
		field_one_of(e, AT(p, "protocol"), port->protocol, protocols);
	if (!port->port) {
		if (end)
			field_invalid_int(e, &end_path, *end,
				"may not be specified when `port` is not specified");
	} else if (port->port->is_string) {
		if (end)
			field_invalid_int(e, &end_path, *end,
				"may not be specified when `port` is non-numeric");
		field_invalid_each(
			e, &port_path, port->port->s, is_port_name(e->arena, port->port->s));
	} else {
		int32_t n = port->port->i;

		field_invalid_int_each(e, &port_path, n, is_port_number(e->arena, n));
		if (!end)
			return;
		if (*end < n)
			field_invalid_int(
				e, &end_path, n, "must be greater than or equal to `port`");
		field_invalid_int_each(e, &end_path, *end, is_port_number(e->arena, *end));
	}
}

static void validate_ip_block(const struct networking_v1_ip_block *b, const struct field_path *p,
	const struct policy_check *c)
{
	struct field_path list = FIELD(p, "except");
	struct field_errors *e = c->errs;
	struct ip_net block, except;

	if (b->cidr.n == 0) {
		field_required(e, AT(p, "cidr"), "");
		return;
	}
	validate_cidr_legacy(b->cidr, &c->kept, AT(p, "cidr"), e);
	if (!ip_net_parse(b->cidr, &block))
		return;
	for (size_t i = 0; i < b->except.n; i++) {
		struct field_path item = FIELD_INDEX(&list, i);

		validate_cidr_legacy(b->except.v[i], &c->kept, &item, e);
		if (!ip_net_parse(b->except.v[i], &except))
			continue;
		if (!ip_net_contains(&block, &except.network) || block.bits >= except.bits)
			field_invalid(
				e, &item, b->except.v[i], "must be a strict subset of `cidr`");
	}
}

static void validate_peer(const struct networking_v1_network_policy_peer *peer,
	const struct field_path *p, const struct policy_check *c)
{
	bool selects = peer->pod_selector || peer->namespace_selector;

	validate_label_selector(peer->pod_selector, AT(p, "podSelector"), c->errs);
	validate_label_selector(peer->namespace_selector, AT(p, "namespaceSelector"), c->errs);
	if (peer->ip_block)
		validate_ip_block(peer->ip_block, AT(p, "ipBlock"), c);
	if (!selects && !peer->ip_block)
		field_required(c->errs, p, "must specify a peer");
	else if (selects && peer->ip_block)
		field_forbidden(c->errs, p, "may not specify both ipBlock and another peer");
}

static void validate_policy_rule(const struct networking_v1_network_policy_port_vec *ports,
	const struct networking_v1_network_policy_peer_vec *peers, struct str peers_name,
	const struct field_path *p, const struct policy_check *c)
{
	struct field_path ports_path = FIELD(p, "ports");
	struct field_path peers_path = {.parent = p, .name = peers_name};

	for (size_t i = 0; i < ports->n; i++)
		validate_policy_port(&ports->v[i], AT_INDEX(&ports_path, i), c->errs);
	for (size_t i = 0; i < peers->n; i++)
		validate_peer(&peers->v[i], AT_INDEX(&peers_path, i), c);
}

static void validate_policy_types(
	const struct str_vec *types, const struct field_path *p, struct field_errors *e)
{
	static const char *const known[] = {"Ingress", "Egress", NULL};

	if (types->n > POLICY_TYPES_MAX) {
		field_invalid_raw(e, p, str_vec_json(e->arena, types),
			"may not specify more than two policyTypes");
		return;
	}
	for (size_t i = 0; i < types->n; i++)
		field_one_of(e, AT_INDEX(p, i), types->v[i], known);
}

static void validate_policy(
	const struct networking_v1_network_policy *np, const struct policy_check *c)
{
	struct field_path spec = FIELD(NULL, "spec"), ingress = FIELD(&spec, "ingress"),
			  egress = FIELD(&spec, "egress");

	validate_label_selector(&np->spec.pod_selector, AT(&spec, "podSelector"), c->errs);
	for (size_t i = 0; i < np->spec.ingress.n; i++)
		validate_policy_rule(&np->spec.ingress.v[i].ports, &np->spec.ingress.v[i].from,
			S("from"), AT_INDEX(&ingress, i), c);
	for (size_t i = 0; i < np->spec.egress.n; i++)
		validate_policy_rule(&np->spec.egress.v[i].ports, &np->spec.egress.v[i].to, S("to"),
			AT_INDEX(&egress, i), c);
	validate_policy_types(&np->spec.policy_types, AT(&spec, "policyTypes"), c->errs);
}

static void policy_validate(struct strategy_ctx *ctx, const void *obj, struct field_errors *e)
{
	validate_policy(obj, &(struct policy_check){.errs = e});
}

typedef void block_fn(struct str cidr, const struct field_path *p, void *user_data);

static void each_block_of(const struct networking_v1_network_policy_peer_vec *peers,
	const struct field_path *p, block_fn *fn, void *user_data)
{
	for (size_t i = 0; i < peers->n; i++) {
		const struct networking_v1_ip_block *b = peers->v[i].ip_block;
		struct field_path item = FIELD_INDEX(p, i), block = FIELD(&item, "ipBlock"),
				  except = FIELD(&block, "except");

		if (!b)
			continue;
		fn(b->cidr, AT(&block, "cidr"), user_data);
		for (size_t k = 0; k < b->except.n; k++)
			fn(b->except.v[k], AT_INDEX(&except, k), user_data);
	}
}

static void each_block(const struct networking_v1_network_policy *np, block_fn *fn, void *user_data)
{
	struct field_path spec = FIELD(NULL, "spec"), ingress = FIELD(&spec, "ingress"),
			  egress = FIELD(&spec, "egress");

	for (size_t i = 0; i < np->spec.ingress.n; i++) {
		struct field_path rule = FIELD_INDEX(&ingress, i);

		each_block_of(&np->spec.ingress.v[i].from, AT(&rule, "from"), fn, user_data);
	}
	for (size_t i = 0; i < np->spec.egress.n; i++) {
		struct field_path rule = FIELD_INDEX(&egress, i);

		each_block_of(&np->spec.egress.v[i].to, AT(&rule, "to"), fn, user_data);
	}
}

static void keep_block(struct str cidr, const struct field_path *p, void *user_data)
{
	struct policy_check *c = user_data;

	ARENA_PUSH(c->errs->arena, &c->kept, cidr);
}

static void policy_validate_update(
	struct strategy_ctx *ctx, const void *obj, const void *old, struct field_errors *e)
{
	struct policy_check c = {.errs = e};

	each_block(old, keep_block, &c);
	validate_policy(obj, &c);
}

static void warn_block(struct str cidr, const struct field_path *p, void *user_data)
{
	struct strategy_ctx *ctx = user_data;

	warn_all(ctx, cidr_warnings(ctx->arena, p, cidr));
}

static void policy_warn(struct strategy_ctx *ctx, const void *obj, const void *old)
{
	each_block(obj, warn_block, ctx);
}

const struct strategy network_policy_strategy = {
	.resource = &networking_v1_network_policy_resource,
	.generate_generation = true,
	.name_errors = name_is_dns_subdomain,
	.default_ = policy_default,
	.validate = policy_validate,
	.validate_update = policy_validate_update,
	.warn = policy_warn,
	.table_row = print_network_policy,
};
