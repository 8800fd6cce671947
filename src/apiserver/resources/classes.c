/* classes.c: StorageClass, PriorityClass, RuntimeClass. */
#include "apiserver/resources/printers.h"
#include "apiserver/resources/rules.h"

enum { USER_PRIORITY_MAX = 1000000000, CRITICAL_CLUSTER = 2000000000, CRITICAL_NODE = 2000001000 };

static void validate_kept(
	struct str now, struct str old, const struct field_path *p, struct field_errors *e)
{
	if (str_eq(now, old))
		return;
	field_invalid_raw(e, p, now.p ? go_quote(e->arena, now) : S("null"), "field is immutable");
}

static void storage_class_validate(
	struct strategy_ctx *ctx, const void *obj, struct field_errors *e)
{
	static const char *const policies[] = {"Delete", "Retain", NULL},
				 *const modes[] = {"Immediate", "WaitForFirstConsumer", NULL};
	const struct storage_v1_storage_class *sc = obj;

	if (sc->provisioner.n == 0)
		field_required(e, AT(NULL, "provisioner"), "");
	else
		validate_qualified_name(
			str_lower(e->arena, sc->provisioner), AT(NULL, "provisioner"), e);
	if (sc->reclaim_policy.n)
		field_one_of(e, AT(NULL, "reclaimPolicy"), sc->reclaim_policy, policies);
	if (!sc->volume_binding_mode.p)
		field_required(e, AT(NULL, "volumeBindingMode"), "");
	else
		field_one_of(e, AT(NULL, "volumeBindingMode"), sc->volume_binding_mode, modes);
}

static void storage_class_validate_update(
	struct strategy_ctx *ctx, const void *obj, const void *old, struct field_errors *e)
{
	const struct storage_v1_storage_class *sc = obj, *was = old;
	struct str now = str_map_json(e->arena, &sc->parameters),
		   then = str_map_json(e->arena, &was->parameters);

	storage_class_validate(ctx, obj, e);
	if (!str_eq(now, then))
		field_invalid_raw(e, AT(NULL, "parameters"), now, "field is immutable");
	validate_kept(sc->provisioner, was->provisioner, AT(NULL, "provisioner"), e);
	validate_kept(sc->reclaim_policy, was->reclaim_policy, AT(NULL, "reclaimPolicy"), e);
	validate_kept(sc->volume_binding_mode, was->volume_binding_mode,
		AT(NULL, "volumeBindingMode"), e);
}

const struct strategy storage_class_strategy = {
	.resource = &storage_v1_storage_class_resource,
	.name_errors = name_is_dns_subdomain,
	.validate = storage_class_validate,
	.validate_update = storage_class_validate_update,
	.table_row = print_storage_class,
};

static bool is_system_class(const struct scheduling_v1_priority_class *pc)
{
	return !pc->global_default &&
	       ((str_eqc(pc->metadata.name, "system-node-critical") &&
			pc->value == CRITICAL_NODE) ||
		       (str_eqc(pc->metadata.name, "system-cluster-critical") &&
			       pc->value == CRITICAL_CLUSTER));
}

static void priority_class_validate(
	struct strategy_ctx *ctx, const void *obj, struct field_errors *e)
{
	static const char *const policies[] = {"Never", "PreemptLowerPriority", NULL};
	const struct scheduling_v1_priority_class *pc = obj;
	struct field_path meta = FIELD(NULL, "metadata");

	if (str_starts(pc->metadata.name, S("system-"))) {
		if (!is_system_class(pc))
			field_forbidden(e, AT(&meta, "name"),
				"priority class names with 'system-' prefix are reserved for "
				"system use only. error: " STR_FMT
				" is not a known system priority class",
				STR_ARG(pc->metadata.name));
	} else if (pc->value > USER_PRIORITY_MAX) {
		field_forbidden(e, AT(NULL, "value"),
			"maximum allowed value of a user defined priority is %d",
			USER_PRIORITY_MAX);
	}
	if (pc->preemption_policy.p && pc->preemption_policy.n == 0)
		field_required(e, AT(NULL, "preemptionPolicy"), "");
	else if (pc->preemption_policy.p)
		field_one_of(e, AT(NULL, "preemptionPolicy"), pc->preemption_policy, policies);
}

static void priority_class_validate_update(
	struct strategy_ctx *ctx, const void *obj, const void *old, struct field_errors *e)
{
	const struct scheduling_v1_priority_class *pc = obj, *was = old;

	if (pc->value != was->value)
		field_forbidden(e, AT(NULL, "value"), "may not be changed in an update.");
	validate_kept(
		pc->preemption_policy, was->preemption_policy, AT(NULL, "preemptionPolicy"), e);
}

const struct strategy priority_class_strategy = {
	.resource = &scheduling_v1_priority_class_resource,
	.generate_generation = true,
	.name_errors = name_is_dns_subdomain,
	.validate = priority_class_validate,
	.validate_update = priority_class_validate_update,
	.table_row = print_priority_class,
};

static void runtime_class_validate(
	struct strategy_ctx *ctx, const void *obj, struct field_errors *e)
{
	const struct node_v1_runtime_class *rc = obj;
	struct field_path scheduling = FIELD(NULL, "scheduling");

	if (rc->handler.n == 0)
		field_required(e, AT(NULL, "handler"), "");
	else
		validate_dns1123_label(rc->handler, AT(NULL, "handler"), e);
	if (rc->overhead) {
		struct v1_resource_requirements r = {.limits = rc->overhead->pod_fixed};
		validate_container_resources(&r, NULL, AT(NULL, "overhead"), e);
	}
	if (rc->scheduling) {
		validate_labels(&rc->scheduling->node_selector, AT(&scheduling, "nodeSelector"), e);
		validate_tolerations(
			&rc->scheduling->tolerations, AT(&scheduling, "tolerations"), e);
	}
}

static void runtime_class_validate_update(
	struct strategy_ctx *ctx, const void *obj, const void *old, struct field_errors *e)
{
	const struct node_v1_runtime_class *rc = obj, *was = old;

	validate_kept(rc->handler, was->handler, AT(NULL, "handler"), e);
}

const struct strategy runtime_class_strategy = {
	.resource = &node_v1_runtime_class_resource,
	.no_unconditional_update = true,
	.name_errors = name_is_dns_subdomain,
	.validate = runtime_class_validate,
	.validate_update = runtime_class_validate_update,
	.table_row = print_runtime_class,
};
