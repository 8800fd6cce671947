/* namespace.c: namespaces: their finalizer, phase and label. */
#include "apiserver/resources/printers.h"
#include "apiserver/resources/rules.h"

#define NAME_LABEL "kubernetes.io/metadata.name"

static void set_label(struct strategy_ctx *ctx, struct v1_namespace *ns)
{
	str_map_put(ctx->arena, &ns->metadata.labels, S(NAME_LABEL), ns->metadata.name);
}

static void namespace_default(struct strategy_ctx *ctx, void *obj)
{
	struct v1_namespace *ns = obj;

	if (ns->metadata.name.n)
		set_label(ctx, ns);
}

static void namespace_prepare_create(struct strategy_ctx *ctx, void *obj)
{
	struct v1_namespace *ns = obj;

	ns->status = (struct v1_namespace_status){.phase = S("Active")};
	if (!str_vec_has(&ns->spec.finalizers, S("kubernetes")))
		ARENA_PUSH(ctx->arena, &ns->spec.finalizers, S("kubernetes"));
}

static void namespace_prepare_update(struct strategy_ctx *ctx, void *obj, const void *old)
{
	const struct v1_namespace *was = old;
	struct v1_namespace *ns = obj;

	if (!is_status(ctx))
		ns->status = was->status;
	if (!str_eqc(ctx->subresource, "finalize"))
		ns->spec.finalizers = was->spec.finalizers;
}

static void namespace_canonicalize(struct strategy_ctx *ctx, void *obj)
{
	set_label(ctx, obj);
}

static void validate_finalizer(struct str name, const struct field_path *p, struct field_errors *e)
{
	validate_qualified_name(name, p, e);
	if (str_chr(name, '/') < 0 && !str_eqc(name, "kubernetes") && !str_eqc(name, "orphan") &&
		!str_eqc(name, "foregroundDeletion"))
		field_invalid(e, p, name,
			"name is neither a standard finalizer name nor is it fully qualified");
}

static void namespace_validate(struct strategy_ctx *ctx, const void *obj, struct field_errors *e)
{
	const struct v1_namespace *ns = obj;
	struct field_path spec = FIELD(NULL, "spec");

	for (size_t i = 0; i < ns->spec.finalizers.n; i++)
		validate_finalizer(ns->spec.finalizers.v[i], AT(&spec, "finalizers"), e);
}

static void validate_phase(const struct v1_namespace *ns, struct field_errors *e)
{
	struct field_path status = FIELD(NULL, "status");
	bool deleted = ns->metadata.deletion_timestamp.set;

	if (!str_eqc(ns->status.phase, deleted ? "Terminating" : "Active"))
		field_invalid(e, AT(&status, "Phase"), ns->status.phase,
			"may only be '%s' if `deletionTimestamp` is %sempty",
			deleted ? "Terminating" : "Active", deleted ? "not " : "");
}

static void namespace_validate_update(
	struct strategy_ctx *ctx, const void *obj, const void *old, struct field_errors *e)
{
	const struct v1_namespace *ns = obj;
	struct field_path spec = FIELD(NULL, "spec"), finalizers = FIELD(&spec, "finalizers");

	if (is_status(ctx)) {
		validate_phase(ns, e);
	} else if (str_eqc(ctx->subresource, "finalize")) {
		for (size_t i = 0; i < ns->spec.finalizers.n; i++)
			validate_finalizer(ns->spec.finalizers.v[i], AT_INDEX(&finalizers, i), e);
	} else {
		revalidate_meta(ctx, &ns->metadata, e);
		namespace_validate(ctx, obj, e);
	}
}

const struct strategy namespace_strategy = {
	.resource = &v1_namespace_resource,
	.name_errors = name_is_dns_label,
	.default_ = namespace_default,
	.prepare_create = namespace_prepare_create,
	.prepare_update = namespace_prepare_update,
	.validate = namespace_validate,
	.validate_update = namespace_validate_update,
	.canonicalize = namespace_canonicalize,
	.table_row = print_namespace,
};
