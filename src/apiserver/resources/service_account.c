/* service_account.c: service accounts. */
#include "apiserver/resources/printers.h"
#include "apiserver/resources/rules.h"

#define ENFORCE "kubernetes.io/enforce-mountable-secrets"

/* Of a reference to a secret only the name is kept. */
static void clean_references(struct v1_service_account *sa)
{
	for (size_t i = 0; i < sa->secrets.n; i++)
		sa->secrets.v[i] = (struct v1_object_reference){.name = sa->secrets.v[i].name};
}

static void sa_prepare_create(struct strategy_ctx *ctx, void *obj)
{
	clean_references(obj);
}

static void sa_prepare_update(struct strategy_ctx *ctx, void *obj, const void *old)
{
	clean_references(obj);
}

static void sa_validate_update(
	struct strategy_ctx *ctx, const void *obj, const void *old, struct field_errors *e)
{
	const struct v1_service_account *sa = obj;

	revalidate_meta(ctx, &sa->metadata, e);
}

static void sa_warn(struct strategy_ctx *ctx, const void *obj, const void *old)
{
	const struct v1_service_account *sa = obj, *was = old;

	if ((!was || !str_map_get(&was->metadata.annotations, S(ENFORCE))) &&
		str_map_get(&sa->metadata.annotations, S(ENFORCE)))
		ctx_warn(ctx,
			"metadata.annotations[" ENFORCE
			"]: deprecated in v1.32+; prefer separate namespaces to isolate access to "
			"mounted secrets");
}

const struct strategy service_account_strategy = {
	.resource = &v1_service_account_resource,
	.name_errors = name_is_dns_subdomain,
	.prepare_create = sa_prepare_create,
	.prepare_update = sa_prepare_update,
	.validate_update = sa_validate_update,
	.warn = sa_warn,
	.table_row = print_service_account,
};
