/* impersonate.c: Impersonate-* headers: a user who may, acts as another (apiserver
 * endpoints/filters/impersonation). */
#include "apiserver/auth.h"
#include "http/exchange.h"

#define EXTRA "Impersonate-Extra-"

static int may(struct auth *a, const struct user_info *who, const char *group, const char *resource,
	struct str ns, struct str name, struct str sub, struct err *err)
{
	const struct request_info info = {.is_resource = true,
		.verb = S("impersonate"),
		.group = str_c(group),
		.resource = str_c(resource),
		.subresource = sub,
		.ns = ns,
		.name = name};

	return authorize(a, &info, who, err);
}

/* "system:serviceaccount:NS:NAME" -> ns and name */
static bool service_account(struct str user, struct str *ns, struct str *name)
{
	struct str prefix = S("system:serviceaccount:");

	return str_starts(user, prefix) &&
	       str_cut(str_sub(user, prefix.n, user.n), ':', ns, name) && ns->n && name->n;
}

static void add_group(struct arena *a, struct user_info *u, struct str group)
{
	if (!user_in_group(u, group))
		ARENA_PUSH(a, &u->groups, group);
}

static int check_user(struct auth *a, struct arena *arena, const struct user_info *who,
	struct user_info *as, struct err *err)
{
	struct str ns, name;

	if (!service_account(as->name, &ns, &name))
		return may(a, who, "", "users", S(""), as->name, S(""), err);
	if (!as->groups.n) {
		ARENA_PUSH(arena, &as->groups, S("system:serviceaccounts"));
		ARENA_PUSH(arena, &as->groups,
			arena_fmt(arena, "system:serviceaccounts:" STR_FMT, STR_ARG(ns)));
	}
	return may(a, who, "", "serviceaccounts", ns, name, S(""), err);
}

static int add_extra(struct auth *a, struct arena *arena, const struct user_info *who,
	const struct http_header *h, struct user_info *as, struct err *err)
{
	struct str key = arena_str(arena, str_sub(h->name, sizeof(EXTRA) - 1, h->name.n));
	struct user_extra e = {.key = key};

	for (char *c = (char *)key.p; *c; c++)
		*c |= *c >= 'A' && *c <= 'Z' ? 0x20 : 0;
	ARENA_PUSH(arena, &e.values, h->value);
	ARENA_PUSH(arena, &as->extra, e);
	return may(a, who, "authentication.k8s.io", "userextras", S(""), h->value, key, err);
}

int impersonate(struct auth *a, struct http_exchange *x, struct user_info *user, struct err *err)
{
	struct user_info as = {.name = http_get_header(x, "Impersonate-User"),
		.uid = http_get_header(x, "Impersonate-Uid")};
	bool asked = as.name.n || as.uid.n, others = as.uid.n;
	int r = 0;

	for (size_t i = 0; i < x->n_headers; i++) {
		const struct http_header *h = &x->headers[i];

		others |= str_ieq(h->name, S("Impersonate-Group")) ||
			  (h->name.n > sizeof(EXTRA) - 1 &&
				  str_ieq(str_sub(h->name, 0, sizeof(EXTRA) - 1), S(EXTRA)));
		if (str_ieq(h->name, S("Impersonate-Group")))
			ARENA_PUSH(&x->arena, &as.groups, h->value);
	}
	if (!asked && !others)
		return 0;
	if (!as.name.n)
		return err_internal(err, "requested impersonation of groups, a uid or extras "
					 "without impersonating a user");
	for (size_t i = 0; r == 0 && i < as.groups.n; i++)
		r = may(a, user, "", "groups", S(""), as.groups.v[i], S(""), err);
	for (size_t i = 0; r == 0 && i < x->n_headers; i++)
		if (x->headers[i].name.n > sizeof(EXTRA) - 1 &&
			str_ieq(str_sub(x->headers[i].name, 0, sizeof(EXTRA) - 1), S(EXTRA)))
			r = add_extra(a, &x->arena, user, &x->headers[i], &as, err);
	if (r == 0 && as.uid.n)
		r = may(a, user, "authentication.k8s.io", "uids", S(""), as.uid, S(""), err);
	if (r == 0)
		r = check_user(a, &x->arena, user, &as, err);
	if (r < 0)
		return r;
	add_group(&x->arena, &as,
		str_eqc(as.name, "system:anonymous") ? S("system:unauthenticated")
						     : S("system:authenticated"));
	*user = as;
	return 0;
}
