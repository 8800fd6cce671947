/* template.c: what all kinds that make pods have in common. */
#include "apiserver/resources/rules.h"

struct pod_opts pod_opts_of(const struct strategy_ctx *ctx, bool is_pod)
{
	return (struct pod_opts){
		.resource_is_pod = is_pod, .allow_privileged = ctx->server->opts.allow_privileged};
}

void warn_all(struct strategy_ctx *ctx, struct str_vec lines)
{
	for (size_t i = 0; i < lines.n; i++)
		ctx_warn(ctx, STR_FMT, STR_ARG(lines.v[i]));
}

void warn_template(
	struct strategy_ctx *ctx, const struct v1_pod_template_spec *t, const struct field_path *p)
{
	warn_all(ctx, pod_warnings(&t->spec, &t->metadata, p, ctx->arena));
}

void warn_pod_names(struct strategy_ctx *ctx, struct str name, const char *what)
{
	struct str_vec msgs = is_dns1123_label(ctx->arena, name);
	struct str list = S("");

	for (size_t i = 0; i < msgs.n; i++)
		list = arena_fmt(ctx->arena, STR_FMT "%s" STR_FMT, STR_ARG(list), i ? " " : "",
			STR_ARG(msgs.v[i]));
	if (msgs.n)
		ctx_warn(ctx,
			"metadata.name: this is used in %s, which can result in surprising "
			"behavior; a "
			"DNS label is recommended: [" STR_FMT "]",
			what, STR_ARG(list));
}

void revalidate_meta(const struct strategy_ctx *ctx, const struct meta_v1_object_meta *m,
	struct field_errors *errs)
{
	const struct strategy *st = strategy_find(ctx->resource);

	meta_validate(m, ctx->resource->namespaced,
		st && st->name_errors ? st->name_errors : name_is_dns_subdomain, errs);
	meta_validate_finalizers(m, errs);
}

bool is_status(const struct strategy_ctx *ctx)
{
	return str_eqc(ctx->subresource, "status");
}

void validate_immutable_str(
	struct str now, struct str old, const struct field_path *p, struct field_errors *e)
{
	if (!str_eq(now, old))
		field_invalid(e, p, now, "field is immutable");
}
