/* authz.c: the chain of authorizers: may they? The first that allows or denies decides. */
#include "apiserver/auth/auth_int.h"
#include "types.gen.h"

static const struct authorizer *const chain[] = {&provisional_authorizer};

void auth_ask(struct auth *a, struct arena *arena, const struct user_info *user,
	const struct request_info *info, struct auth_answer *ret)
{
	struct str reasons = {0};

	if (user_in_group(user, S("system:masters"))) {
		*ret = (struct auth_answer){.decision = AUTH_ALLOW};
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(chain); i++) {
		struct str why = {0};
		enum auth_decision d = chain[i]->authorize(a, arena, user, info, &why);

		if (d != AUTH_NO_OPINION) {
			*ret = (struct auth_answer){d, why};
			return;
		}
		if (why.n)
			reasons = reasons.n ? arena_fmt(arena, STR_FMT "\n" STR_FMT,
						      STR_ARG(reasons), STR_ARG(why))
					    : why;
	}
	*ret = (struct auth_answer){AUTH_NO_OPINION, reasons};
}

/* "User "x" cannot get resource "pods/log" in API group "" in the namespace "default": why" */
static struct str refusal(struct arena *a, const struct user_info *user,
	const struct request_info *info, struct str why)
{
	struct str what;

	if (!info->is_resource)
		what = arena_fmt(a, "User \"" STR_FMT "\" cannot " STR_FMT " path \"" STR_FMT "\"",
			STR_ARG(user->name), STR_ARG(info->verb), STR_ARG(info->path));
	else
		what = arena_fmt(a,
			"User \"" STR_FMT "\" cannot " STR_FMT " resource \"" STR_FMT "%s" STR_FMT
			"\" in API group \"" STR_FMT "\" %s" STR_FMT "%s",
			STR_ARG(user->name), STR_ARG(info->verb), STR_ARG(info->resource),
			info->subresource.n ? "/" : "", STR_ARG(info->subresource),
			STR_ARG(info->group),
			info->ns.n ? "in the namespace \"" : "at the cluster scope",
			STR_ARG(info->ns), info->ns.n ? "\"" : "");
	return why.n ? arena_fmt(a, STR_FMT ": " STR_FMT, STR_ARG(what), STR_ARG(why)) : what;
}

int authorize(struct auth *a, const struct request_info *info, const struct user_info *user,
	struct err *err)
{
	struct arena scratch = {0};
	struct auth_answer answer;
	int r = 0;

	auth_ask(a, &scratch, user, info, &answer);
	if (answer.decision != AUTH_ALLOW) {
		struct str why = refusal(&scratch, user, info, answer.reason);

		r = info->is_resource
			    ? err_forbidden(err, info->group, info->resource, info->name, STR_FMT,
				      STR_ARG(why))
			    : err_forbidden(err, S(""), S(""), S(""), STR_FMT, STR_ARG(why));
	}
	arena_release(&scratch);
	return r;
}

void auth_rules(struct auth *a, struct arena *arena, const struct user_info *user, struct str ns,
	struct authorization_v1_subject_rules_review_status *ret)
{
	*ret = (struct authorization_v1_subject_rules_review_status){0};
	for (size_t i = 0; i < ARRAY_SIZE(chain); i++)
		if (chain[i]->rules)
			chain[i]->rules(a, arena, user, ns, ret);
}
