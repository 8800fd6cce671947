/* lease.c: leases: heartbeats and leadership (pkg/apis/coordination/validation). */
#include "apiserver/resources/printers.h"
#include "apiserver/resources/rules.h"

static void lease_prepare_create(struct strategy_ctx *ctx, void *obj)
{
	struct coordination_v1_lease *l = obj;

	/* CoordinatedLeaderElection is off in v1.36 */
	l->spec.strategy = l->spec.preferred_holder = (struct str){0};
}

static void lease_prepare_update(struct strategy_ctx *ctx, void *obj, const void *old)
{
	const struct coordination_v1_lease *was = old;
	struct coordination_v1_lease *l = obj;

	if (!was->spec.strategy.p)
		l->spec.strategy = (struct str){0};
	if (!was->spec.preferred_holder.p)
		l->spec.preferred_holder = (struct str){0};
}

static void lease_validate(struct strategy_ctx *ctx, const void *obj, struct field_errors *e)
{
	const struct coordination_v1_lease *l = obj;
	struct field_path p = FIELD(NULL, "spec");

	if (l->spec.lease_duration_seconds && *l->spec.lease_duration_seconds <= 0)
		field_invalid_int(e, AT(&p, "leaseDurationSeconds"),
			*l->spec.lease_duration_seconds, "must be greater than 0");
	if (l->spec.lease_transitions && *l->spec.lease_transitions < 0)
		field_invalid_int(e, AT(&p, "leaseTransitions"), *l->spec.lease_transitions,
			"must be greater than or equal to 0");
	if (l->spec.preferred_holder.n && l->spec.strategy.n == 0)
		field_forbidden(e, AT(&p, "preferredHolder"),
			"may only be specified if `strategy` is defined");
}

static void lease_validate_update(
	struct strategy_ctx *ctx, const void *obj, const void *old, struct field_errors *e)
{
	lease_validate(ctx, obj, e);
}

const struct strategy lease_strategy = {
	.resource = &coordination_v1_lease_resource,
	.create_on_update = true,
	.no_unconditional_update = true,
	.name_errors = name_is_dns_subdomain,
	.prepare_create = lease_prepare_create,
	.prepare_update = lease_prepare_update,
	.validate = lease_validate,
	.validate_update = lease_validate_update,
	.table_row = print_lease,
};
