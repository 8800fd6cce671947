/* authz.c: the chain of authorizers: may they? The first that allows or denies decides. */
#include "apiserver/auth/auth_int.h"
#include "apiserver/field.h"

static enum auth_decision allow(struct auth *a, struct arena *arena, const struct user_info *user,
	const struct request_info *info, bool explain, struct str *ret_reason)
{
	return AUTH_ALLOW;
}

static void allow_rules(struct auth *a, struct arena *arena, const struct user_info *user,
	struct str ns, struct authorization_v1_subject_rules_review_status *ret)
{
	struct str_vec all = {0};

	ARENA_PUSH(arena, &all, S("*"));
	ARENA_PUSH(arena, &ret->resource_rules,
		((struct authorization_v1_resource_rule){
			.verbs = all, .api_groups = all, .resources = all}));
	ARENA_PUSH(arena, &ret->non_resource_rules,
		((struct authorization_v1_non_resource_rule){
			.verbs = all, .non_resource_urls = all}));
}

static enum auth_decision deny(struct auth *a, struct arena *arena, const struct user_info *user,
	const struct request_info *info, bool explain, struct str *ret_reason)
{
	*ret_reason = S("Everything is forbidden.");
	return AUTH_NO_OPINION;
}

const struct authorizer always_allow_authorizer = {
	.mode = "AlwaysAllow", .authorize = allow, .rules = allow_rules};
const struct authorizer always_deny_authorizer = {.mode = "AlwaysDeny", .authorize = deny};

/* --- the chain --- */

static const struct authorizer *const known[] = {
	&always_allow_authorizer, &always_deny_authorizer, &node_authorizer, &rbac_authorizer};

static int add_mode(struct auth *a, struct str mode, struct err *err)
{
	const struct authorizer *found = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (str_eqc(mode, known[i]->mode))
			found = known[i];
	if (!found)
		return err_bad_request(err,
			"authorization-mode \"" STR_FMT
			"\" is not a valid mode: there are AlwaysAllow, AlwaysDeny, Node, RBAC",
			STR_ARG(mode));
	for (size_t i = 0; i < a->n_chain; i++)
		if (a->chain[i] == found)
			return err_bad_request(err,
				"authorization-mode \"" STR_FMT "\" is given more than once",
				STR_ARG(mode));
	a->chain[a->n_chain++] = found;
	return 0;
}

int authorizers_init(struct auth *a, const struct str_vec *modes, struct err *err)
{
	struct str both[] = {S("Node"), S("RBAC")};
	const struct str_vec standard = {both, ARRAY_SIZE(both)};
	int r = 0;

	if (!modes->n)
		modes = &standard;
	for (size_t i = 0; r == 0 && i < modes->n; i++)
		r = add_mode(a, modes->v[i], err);
	return r;
}

bool auth_has_mode(const struct auth *a, const char *mode)
{
	for (size_t i = 0; i < a->n_chain; i++)
		if (!strcmp(a->chain[i]->mode, mode))
			return true;
	return false;
}

static void ask_chain(struct auth *a, struct arena *arena, const struct user_info *user,
	const struct request_info *info, bool explain, struct auth_answer *ret)
{
	struct str reasons = {0};

	if (user_in_group(user, S("system:masters"))) {
		*ret = (struct auth_answer){.decision = AUTH_ALLOW};
		return;
	}
	for (size_t i = 0; i < a->n_chain; i++) {
		struct str why = {0};
		enum auth_decision d = a->chain[i]->authorize(a, arena, user, info, explain, &why);

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

void auth_ask(struct auth *a, struct arena *arena, const struct user_info *user,
	const struct request_info *info, struct auth_answer *ret)
{
	ask_chain(a, arena, user, info, true, ret);
}

/* What is told to a browser, too: as HTML. */
static struct str sanitize(struct arena *a, struct str s)
{
	struct buf b;
	struct str out;

	if (str_chr(s, '&') < 0 && str_chr(s, '<') < 0 && str_chr(s, '>') < 0)
		return s;
	buf_init(&b, 5 * s.n + 1);
	for (size_t i = 0; i < s.n; i++) {
		switch (s.p[i]) {
		case '&':
			buf_add_c(&b, "&amp;");
			break;
		case '<':
			buf_add_c(&b, "&lt;");
			break;
		case '>':
			buf_add_c(&b, "&gt;");
			break;
		default:
			buf_add_char(&b, s.p[i]);
		}
	}
	out = arena_str(a, buf_str(&b));
	buf_release(&b);
	return out;
}

/* User "x" cannot get resource "pods/log" in API group "" in the namespace "default": why */
static struct str refusal(struct arena *a, const struct user_info *user,
	const struct request_info *info, struct str why)
{
	struct str name = go_quote(a, user->name), what;

	if (!info->is_resource)
		what = arena_fmt(a, "User " STR_FMT " cannot " STR_FMT " path " STR_FMT,
			STR_ARG(name), STR_ARG(info->verb), STR_ARG(go_quote(a, info->path)));
	else
		what = arena_fmt(a,
			"User " STR_FMT " cannot " STR_FMT " resource " STR_FMT
			" in API group " STR_FMT " %s" STR_FMT,
			STR_ARG(name), STR_ARG(info->verb),
			STR_ARG(go_quote(
				a, arena_fmt(a, STR_FMT "%s" STR_FMT, STR_ARG(info->resource),
					   info->subresource.n ? "/" : "",
					   STR_ARG(info->subresource)))),
			STR_ARG(go_quote(a, info->group)),
			info->ns.n ? "in the namespace " : "at the cluster scope",
			STR_ARG(info->ns.n ? go_quote(a, info->ns) : S("")));
	what = sanitize(a, what);
	return why.n ? arena_fmt(a, STR_FMT ": " STR_FMT, STR_ARG(what), STR_ARG(why)) : what;
}

int auth_refuse(const struct user_info *user, const struct request_info *info, struct str why,
	struct err *err)
{
	struct arena scratch = {0};
	struct str text = refusal(&scratch, user, info, why);
	int r = info->is_resource ? err_forbidden(err, info->group, info->resource, info->name,
					    STR_FMT, STR_ARG(text))
				  : err_forbidden(err, S(""), S(""), S(""), STR_FMT, STR_ARG(text));

	arena_release(&scratch);
	return r;
}

int authorize(struct auth *a, const struct request_info *info, const struct user_info *user,
	struct err *err)
{
	struct arena scratch = {0};
	struct auth_answer answer;
	int r = 0;

	ask_chain(a, &scratch, user, info, false, &answer);
	if (answer.decision != AUTH_ALLOW)
		r = auth_refuse(user, info, answer.reason, err);
	arena_release(&scratch);
	return r;
}

void auth_rules(struct auth *a, struct arena *arena, const struct user_info *user, struct str ns,
	struct authorization_v1_subject_rules_review_status *ret)
{
	*ret = (struct authorization_v1_subject_rules_review_status){0};
	for (size_t i = 0; i < a->n_chain; i++)
		if (a->chain[i]->rules)
			a->chain[i]->rules(a, arena, user, ns, ret);
}

void auth_rules_error(
	struct arena *a, struct authorization_v1_subject_rules_review_status *ret, struct str error)
{
	ret->evaluation_error = ret->evaluation_error.n
					? arena_fmt(a, "[" STR_FMT ", " STR_FMT "]",
						  STR_ARG(ret->evaluation_error), STR_ARG(error))
					: error;
}
