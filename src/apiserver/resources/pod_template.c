/* pod_template.c: templates that stand alone. */
#include "apiserver/resources/printers.h"
#include "apiserver/resources/rules.h"

static void template_default(struct strategy_ctx *ctx, void *obj)
{
	struct v1_pod_template *t = obj;

	default_pod_spec(&t->template.spec, ctx->arena);
}

static void template_prepare_create(struct strategy_ctx *ctx, void *obj)
{
	struct v1_pod_template *t = obj;

	drop_disabled_pod_fields(&t->template.spec, NULL);
}

static void template_prepare_update(struct strategy_ctx *ctx, void *obj, const void *old)
{
	const struct v1_pod_template *was = old;
	struct v1_pod_template *t = obj;

	drop_disabled_pod_fields(&t->template.spec, &was->template.spec);
	if (!schema_equal(&v1_pod_template_spec_schema, &t->template, &was->template))
		t->metadata.generation = was->metadata.generation + 1;
}

static void template_validate(struct strategy_ctx *ctx, const void *obj, struct field_errors *e)
{
	const struct v1_pod_template *t = obj;

	validate_pod_template_spec(&t->template, AT(NULL, "template"), pod_opts_of(ctx, false), e);
}

static void template_validate_update(
	struct strategy_ctx *ctx, const void *obj, const void *old, struct field_errors *e)
{
	template_validate(ctx, obj, e);
}

static void template_warn(struct strategy_ctx *ctx, const void *obj, const void *old)
{
	const struct v1_pod_template *t = obj, *was = old;

	if (!old || t->metadata.generation != was->metadata.generation)
		warn_template(ctx, &t->template, AT(NULL, "template"));
}

const struct strategy pod_template_strategy = {
	.resource = &v1_pod_template_resource,
	.generate_generation = true,
	.name_errors = name_is_dns_subdomain,
	.default_ = template_default,
	.prepare_create = template_prepare_create,
	.prepare_update = template_prepare_update,
	.validate = template_validate,
	.validate_update = template_validate_update,
	.warn = template_warn,
	.table_row = print_pod_template,
};
