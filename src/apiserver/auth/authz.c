/* authz.c: the chain of authorizers: may they? The first that allows or denies decides. */
#include "apiserver/auth/authz_chain.h"
#include "apiserver/auth/config_file.h"
#include "apiserver/auth/outside.h"
#include "loop/loop.h"

static void allow(void *self, const struct auth_question *q, struct auth_answer *ret)
{
	ret->decision = AUTH_ALLOW;
}

static void allow_rules(void *self, struct auth *a, struct arena *arena,
	const struct user_info *user, struct str ns,
	struct authorization_v1_subject_rules_review_status *ret)
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

static void deny(void *self, const struct auth_question *q, struct auth_answer *ret)
{
	ret->reason = S("Everything is forbidden.");
}

const struct authorizer always_allow_authorizer = {
	.mode = "AlwaysAllow", .authorize = allow, .rules = allow_rules};
const struct authorizer always_deny_authorizer = {.mode = "AlwaysDeny", .authorize = deny};

/* --- the chain --- */

bool auth_has_mode(const struct auth *a, const char *mode)
{
	const struct authz_chain *c = a->chain;

	for (size_t i = 0; i < c->n; i++)
		if (!strcmp(c->v[i].ops->mode, mode))
			return true;
	return false;
}

static struct str joined(struct arena *a, struct str lines, struct str more)
{
	if (!more.n || !lines.n)
		return more.n ? more : lines;
	return arena_fmt(a, STR_FMT "\n" STR_FMT, STR_ARG(lines), STR_ARG(more));
}

/* The first that has an opinion decides. Nobody has one: all that was said. */
static void ask_chain(const struct auth_question *q, struct auth_answer *ret)
{
	const struct authz_chain *c = q->auth->chain;
	struct str_vec errors = {0};
	struct str reasons = {0};

	*ret = (struct auth_answer){0};
	if (user_in_group(q->user, S("system:masters"))) {
		ret->decision = AUTH_ALLOW;
		return;
	}
	for (size_t i = 0; i < c->n; i++) {
		struct auth_answer one = {0};

		c->v[i].ops->authorize(c->v[i].self, q, &one);
		if (outside_waits(q->outside))
			return;
		if (one.decision != AUTH_NO_OPINION) {
			*ret = one;
			return;
		}
		reasons = joined(q->arena, reasons, one.reason);
		if (one.error.n)
			ARENA_PUSH(q->arena, &errors, one.error);
	}
	ret->reason = reasons;
	if (errors.n)
		ret->error = auth_aggregate(q->arena, &errors);
}

void auth_ask(struct auth *a, struct outside *o, struct arena *arena, const struct user_info *user,
	const struct request_info *info, struct auth_answer *ret)
{
	const struct auth_question q = {.auth = a,
		.outside = o,
		.arena = arena,
		.user = user,
		.info = info,
		.now_ns = o ? loop_wall_ns(o->loop) : 0,
		.explain = true};

	ask_chain(&q, ret);
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

int authorize(struct auth *a, struct outside *o, const struct request_info *info,
	const struct user_info *user, struct err *err)
{
	struct arena scratch = {0};
	const struct auth_question q = {.auth = a,
		.outside = o,
		.arena = &scratch,
		.user = user,
		.info = info,
		.now_ns = o ? loop_wall_ns(o->loop) : 0};
	struct auth_answer answer;
	int r = 0;

	ask_chain(&q, &answer);
	if (answer.decision != AUTH_ALLOW && answer.error.n)
		r = err_fmt(err, 500, "InternalError", STR_FMT, STR_ARG(answer.error));
	else if (answer.decision != AUTH_ALLOW)
		r = auth_refuse(user, info, answer.reason, err);
	arena_release(&scratch);
	return r;
}

void auth_rules(struct auth *a, struct arena *arena, const struct user_info *user, struct str ns,
	struct authorization_v1_subject_rules_review_status *ret)
{
	const struct authz_chain *c = a->chain;

	*ret = (struct authorization_v1_subject_rules_review_status){0};
	for (size_t i = 0; i < c->n; i++)
		if (c->v[i].ops->rules)
			c->v[i].ops->rules(c->v[i].self, a, arena, user, ns, ret);
}

void auth_rules_error(
	struct arena *a, struct authorization_v1_subject_rules_review_status *ret, struct str error)
{
	ret->evaluation_error = ret->evaluation_error.n
					? arena_fmt(a, "[" STR_FMT ", " STR_FMT "]",
						  STR_ARG(ret->evaluation_error), STR_ARG(error))
					: error;
}
