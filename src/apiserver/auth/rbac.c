/* rbac.c: the RBAC authorizer: the first rule of any role that the user is bound to allows. */
#include "apiserver/auth/auth_int.h"
#include "apiserver/auth/config_file.h"
#include "apiserver/auth/rbac_index.h"
#include "apiserver/field.h"

struct question {
	const struct request_info *info;
	struct arena *arena;
	const struct rbac_binding *by; /* what allows */
	const struct rbac_v1_subject *subject;
	struct str_vec missing; /* roles that bindings name and nobody made */
};

static struct str missing_role(struct arena *a, const struct rbac_binding *b)
{
	if (!str_eqc(b->role_kind, "Role") && !str_eqc(b->role_kind, "ClusterRole"))
		return arena_fmt(a, "unsupported role reference kind: \"" STR_FMT "\"",
			STR_ARG(b->role_kind));
	return arena_fmt(a, "%s.rbac.authorization.k8s.io \"" STR_FMT "\" not found",
		str_eqc(b->role_kind, "Role") ? "role" : "clusterrole", STR_ARG(b->role_name));
}

static bool ask(void *state, const struct rbac_binding *b, const struct rbac_v1_subject *subject,
	const struct rbac_role *role)
{
	struct question *q = state;

	if (!role) {
		struct str text = missing_role(q->arena, b);

		if (!str_vec_has(&q->missing, text))
			ARENA_PUSH(q->arena, &q->missing, text);
		return true;
	}
	for (size_t i = 0; i < role->rules.n; i++) {
		if (rbac_rule_allows(&role->rules.v[i], q->info)) {
			q->by = b;
			q->subject = subject;
			return false;
		}
	}
	return true;
}

/* RoleBinding "b/ns" of Role "r" to ServiceAccount "name/ns" */
static struct str describe(
	struct arena *a, const struct rbac_binding *b, const struct rbac_v1_subject *s)
{
	bool account = str_eqc(s->kind, "ServiceAccount");
	struct str ns = s->namespace.n ? s->namespace : b->ns;

	return arena_fmt(a,
		"%s \"" STR_FMT "%s" STR_FMT "\" of " STR_FMT " \"" STR_FMT "\" to " STR_FMT
		" \"" STR_FMT "%s" STR_FMT "\"",
		b->ns.n ? "RoleBinding" : "ClusterRoleBinding", STR_ARG(b->name),
		b->ns.n ? "/" : "", STR_ARG(b->ns), STR_ARG(b->role_kind), STR_ARG(b->role_name),
		STR_ARG(s->kind), STR_ARG(s->name), account ? "/" : "",
		STR_ARG(account ? ns : S("")));
}

static void authorize_rbac(void *self, const struct auth_question *asked, struct auth_answer *ret)
{
	struct arena *arena = asked->arena;
	struct question q = {.info = asked->info, .arena = arena};
	const struct rbac_index *ix = rbac_get(asked->auth->rbac);

	rbac_each(ix, asked->user, asked->info->ns, ask, &q);
	if (q.by && asked->explain)
		ret->reason = arena_fmt(arena, "RBAC: allowed by " STR_FMT,
			STR_ARG(describe(arena, q.by, q.subject)));
	else if (!q.by && q.missing.n)
		ret->reason = arena_fmt(
			arena, "RBAC: " STR_FMT, STR_ARG(auth_aggregate(arena, &q.missing)));
	rbac_put(ix);
	ret->decision = q.by ? AUTH_ALLOW : AUTH_NO_OPINION;
}

/* --- all that the user may do --- */

struct collect {
	struct arena *arena;
	struct rbac_v1_policy_rule_vec rules;
	struct str_vec missing;
};

static struct str_vec copy_list(struct arena *a, const struct str_vec *from)
{
	struct str_vec to = {0};

	for (size_t i = 0; i < from->n; i++)
		ARENA_PUSH(a, &to, arena_str(a, from->v[i]));
	return to;
}

static bool collect(void *state, const struct rbac_binding *b, const struct rbac_v1_subject *s,
	const struct rbac_role *role)
{
	struct collect *c = state;
	struct arena *a = c->arena;

	if (!role) {
		ARENA_PUSH(a, &c->missing, missing_role(a, b));
		return true;
	}
	for (size_t i = 0; i < role->rules.n; i++) {
		const struct rbac_v1_policy_rule *r = &role->rules.v[i];

		ARENA_PUSH(a, &c->rules,
			((struct rbac_v1_policy_rule){.verbs = copy_list(a, &r->verbs),
				.api_groups = copy_list(a, &r->api_groups),
				.resources = copy_list(a, &r->resources),
				.resource_names = copy_list(a, &r->resource_names),
				.non_resource_urls = copy_list(a, &r->non_resource_urls)}));
	}
	return true;
}

struct rbac_v1_policy_rule_vec rbac_rules_for(struct auth *auth, struct arena *a,
	const struct user_info *user, struct str ns, struct str *ret_error)
{
	struct collect c = {.arena = a};
	const struct rbac_index *ix = rbac_get(auth->rbac);

	rbac_each_binding(ix, user, ns, collect, &c);
	rbac_put(ix);
	if (c.missing.n)
		*ret_error = auth_aggregate(a, &c.missing);
	return c.rules;
}

static void list_rules(void *self, struct auth *auth, struct arena *a, const struct user_info *user,
	struct str ns, struct authorization_v1_subject_rules_review_status *ret)
{
	struct str error = {0};
	struct rbac_v1_policy_rule_vec rules = rbac_rules_for(auth, a, user, ns, &error);

	for (size_t i = 0; i < rules.n; i++) {
		const struct rbac_v1_policy_rule *r = &rules.v[i];

		if (r->resources.n)
			ARENA_PUSH(a, &ret->resource_rules,
				((struct authorization_v1_resource_rule){.verbs = r->verbs,
					.api_groups = r->api_groups,
					.resources = r->resources,
					.resource_names = r->resource_names}));
		if (r->non_resource_urls.n)
			ARENA_PUSH(a, &ret->non_resource_rules,
				((struct authorization_v1_non_resource_rule){.verbs = r->verbs,
					.non_resource_urls = r->non_resource_urls}));
	}
	if (error.n)
		auth_rules_error(a, ret, error);
}

const struct authorizer rbac_authorizer = {
	.mode = "RBAC", .authorize = authorize_rbac, .rules = list_rules};
