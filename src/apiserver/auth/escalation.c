#include "apiserver/auth/escalation.h"

#include "apiserver/auth/auth_int.h"
#include "apiserver/auth/rbac_index.h"
#include "apiserver/server.h"

#define API_GROUP "rbac.authorization.k8s.io"

static bool may(struct strategy_ctx *ctx, const char *verb, const char *resource, struct str ns,
	struct str name, struct str group)
{
	const struct request_info info = {.is_resource = true,
		.verb = str_c(verb),
		.group = group,
		.version = S("*"),
		.resource = str_c(resource),
		.ns = ns,
		.name = name};
	struct auth_answer answer;

	auth_ask(ctx->server->auth, ctx->outside, ctx->arena, ctx->user, &info, &answer);
	return answer.decision == AUTH_ALLOW;
}

static int compare_text(const void *a, const void *b)
{
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static struct str missing_text(struct arena *a, const struct rbac_v1_policy_rule_vec *missing)
{
	const struct rbac_v1_policy_rule_vec compact = rbac_compact(a, missing);
	struct str_vec lines = {0};
	struct buf b;
	struct str out;

	for (size_t i = 0; i < compact.n; i++)
		ARENA_PUSH(a, &lines, rbac_rule_text(a, &compact.v[i]));
	qsort(lines.v, lines.n, sizeof(*lines.v), compare_text);
	buf_init(&b, 1 << 20);
	for (size_t i = 0; i < lines.n; i++) {
		if (i && str_eq(lines.v[i], lines.v[i - 1]))
			continue;
		buf_add_char(&b, '\n');
		buf_add_str(&b, lines.v[i]);
	}
	out = arena_str(a, buf_str(&b));
	buf_release(&b);
	return out;
}

static int confirm(struct strategy_ctx *ctx, const char *plural, struct str name,
	const struct rbac_v1_policy_rule_vec *rules, struct err *err)
{
	struct arena *a = ctx->arena;
	struct str error = {0};
	const struct rbac_v1_policy_rule_vec own =
		rbac_rules_for(ctx->server->auth, a, ctx->user, ctx->ns, &error);
	const struct rbac_v1_policy_rule_vec missing = rbac_missing(a, &own, rules);
	struct str more = S("");

	if (!missing.n)
		return 0;
	if (error.n)
		more = arena_fmt(a, "; resolution errors: [" STR_FMT "]", STR_ARG(error));
	return err_forbidden(err, S(API_GROUP), str_c(plural), name,
		"user " STR_FMT " (groups=" STR_FMT
		") is attempting to grant RBAC permissions not currently held:" STR_FMT STR_FMT,
		STR_ARG(go_quote(a, ctx->user->name)),
		STR_ARG(go_quote_list(a, &ctx->user->groups)), STR_ARG(missing_text(a, &missing)),
		STR_ARG(more));
}

static bool is_master(const struct strategy_ctx *ctx)
{
	return user_in_group(ctx->user, S("system:masters"));
}

/* The name in the path: a new object has none there. */
static bool may_escalate(struct strategy_ctx *ctx, bool create)
{
	const struct schema_resource *res = ctx->resource;

	return is_master(ctx) ||
	       may(ctx, "escalate", res->plural, ctx->ns, create ? S("") : ctx->name, S(API_GROUP));
}

int check_role_escalation(struct strategy_ctx *ctx, struct str name,
	const struct rbac_v1_policy_rule_vec *rules, bool create, struct err *err)
{
	if (may_escalate(ctx, create))
		return 0;
	return confirm(ctx, ctx->resource->plural, name, rules, err);
}

int check_aggregation(struct strategy_ctx *ctx, struct str name, bool create, struct err *err)
{
	struct str star = S("*");
	const struct str_vec all = {&star, 1};
	struct rbac_v1_policy_rule full[] = {{.verbs = all, .api_groups = all, .resources = all},
		{.verbs = all, .non_resource_urls = all}};
	const struct rbac_v1_policy_rule_vec rules = {full, ARRAY_SIZE(full)};

	if (may_escalate(ctx, create) || confirm(ctx, "clusterroles", name, &rules, NULL) == 0)
		return 0;
	return err_forbidden(err, S(API_GROUP), S("clusterroles"), name,
		"must have cluster-admin privileges to use the aggregationRule");
}

static struct rbac_v1_policy_rule_vec copy_rules(
	struct arena *a, const struct rbac_v1_policy_rule_vec *from)
{
	struct rbac_v1_policy_rule_vec to = {0};

	for (size_t i = 0; i < from->n; i++)
		ARENA_PUSH(a, &to,
			*(struct rbac_v1_policy_rule *)schema_copy(
				&rbac_v1_policy_rule_schema, &from->v[i], a));
	return to;
}

int check_binding(struct strategy_ctx *ctx, struct str name, struct str ns,
	const struct rbac_v1_role_ref *ref, struct err *err)
{
	bool cluster = str_eqc(ref->kind, "ClusterRole");
	const char *resource = cluster ? "clusterroles" : "roles";
	const struct rbac_index *ix;
	const struct rbac_role *role;
	struct rbac_v1_policy_rule_vec rules = {0};

	if (is_master(ctx))
		return 0;
	if (!cluster && !str_eqc(ref->kind, "Role"))
		return err_internal(err, "unsupported role reference kind: \"" STR_FMT "\"",
			STR_ARG(ref->kind));
	if (may(ctx, "bind", resource, ns, ref->name, ref->api_group))
		return 0;
	ix = rbac_get(ctx->server->auth->rbac);
	role = cluster || ns.n ? rbac_find_role(ix, cluster ? S("") : ns, ref->name) : NULL;
	if (role)
		rules = copy_rules(ctx->arena, &role->rules);
	rbac_put(ix);
	if (!role)
		return err_not_found(err, S(API_GROUP), str_c(resource), ref->name);
	return confirm(ctx, ctx->resource->plural, name, &rules, err);
}
