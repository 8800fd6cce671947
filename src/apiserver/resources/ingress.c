/* ingress.c: ingresses and network policies: what a client may set, defaults, rows. Their specs are
 * not validated yet. */
#include "apiserver/resources/printers.h"
#include "apiserver/resources/rules.h"

static void ingress_prepare_create(struct strategy_ctx *ctx, void *obj)
{
	struct networking_v1_ingress *in = obj;

	in->status = (struct networking_v1_ingress_status){0};
}

static void ingress_prepare_update(struct strategy_ctx *ctx, void *obj, const void *old)
{
	const struct networking_v1_ingress *was = old;
	struct networking_v1_ingress *in = obj;

	if (is_status(ctx))
		in->spec = was->spec;
	else
		in->status = was->status;
}

const struct strategy ingress_strategy = {
	.resource = &networking_v1_ingress_resource,
	.generate_generation = true,
	.name_errors = name_is_dns_subdomain,
	.prepare_create = ingress_prepare_create,
	.prepare_update = ingress_prepare_update,
	.table_row = print_ingress,
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

const struct strategy network_policy_strategy = {
	.resource = &networking_v1_network_policy_resource,
	.generate_generation = true,
	.name_errors = name_is_dns_subdomain,
	.default_ = policy_default,
	.table_row = print_network_policy,
};
