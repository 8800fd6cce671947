/* pod_disruption_budget.c: disruption budgets (pkg/registry/policy, pkg/apis/policy/validation). */
#include "apiserver/resources/printers.h"
#include "apiserver/resources/workload.h"

static void pdb_prepare_create(struct strategy_ctx *ctx, void *obj)
{
	struct policy_v1_pod_disruption_budget *pdb = obj;

	pdb->status = (struct policy_v1_pod_disruption_budget_status){0};
}

static void pdb_prepare_update(struct strategy_ctx *ctx, void *obj, const void *old)
{
	const struct policy_v1_pod_disruption_budget *was = old;
	struct policy_v1_pod_disruption_budget *pdb = obj;

	if (is_status(ctx))
		pdb->spec = was->spec;
	else
		pdb->status = was->status;
}

static void validate_share(
	const struct int_or_string *v, const struct field_path *p, struct field_errors *e)
{
	if (!v)
		return;
	validate_int_or_percent(v, p, e);
	validate_max_100_percent(v, p, e);
}

static void pdb_validate(struct strategy_ctx *ctx, const void *obj, struct field_errors *e)
{
	static const char *const policies[] = {"AlwaysAllow", "IfHealthyBudget", NULL};
	const struct policy_v1_pod_disruption_budget *pdb = obj;
	const struct policy_v1_pod_disruption_budget_spec *s = &pdb->spec;
	struct field_path p = FIELD(NULL, "spec");

	if (s->min_available && s->max_unavailable)
		field_invalid_raw(e, &p,
			go_json(e->arena, &policy_v1_pod_disruption_budget_spec_schema, s),
			"minAvailable and maxUnavailable cannot be both set");
	validate_share(s->min_available, AT(&p, "minAvailable"), e);
	validate_share(s->max_unavailable, AT(&p, "maxUnavailable"), e);
	if (s->selector)
		validate_label_selector(s->selector, AT(&p, "selector"), e);
	if (s->unhealthy_pod_eviction_policy.p)
		field_one_of(e, AT(&p, "unhealthyPodEvictionPolicy"),
			s->unhealthy_pod_eviction_policy, policies);
}

static void pdb_validate_update(
	struct strategy_ctx *ctx, const void *obj, const void *old, struct field_errors *e)
{
	const struct policy_v1_pod_disruption_budget *pdb = obj;
	struct field_path p = FIELD(NULL, "status");

	if (!is_status(ctx)) {
		pdb_validate(ctx, obj, e);
		return;
	}
	validate_nonnegative(pdb->status.disruptions_allowed, AT(&p, "disruptionsAllowed"), e);
	validate_nonnegative(pdb->status.current_healthy, AT(&p, "currentHealthy"), e);
	validate_nonnegative(pdb->status.desired_healthy, AT(&p, "desiredHealthy"), e);
	validate_nonnegative(pdb->status.expected_pods, AT(&p, "expectedPods"), e);
}

const struct strategy pod_disruption_budget_strategy = {
	.resource = &policy_v1_pod_disruption_budget_resource,
	.no_unconditional_update = true,
	.generate_generation = true,
	.name_errors = name_is_dns_subdomain,
	.prepare_create = pdb_prepare_create,
	.prepare_update = pdb_prepare_update,
	.validate = pdb_validate,
	.validate_update = pdb_validate_update,
	.table_row = print_pod_disruption_budget,
};
