/*
 * impersonate.c: Impersonate-* headers: a user who may, acts as another (apiserver
 * endpoints/filters/impersonation).
 *
 * Modes are tried in upstream's order. A constrained one takes two rights: impersonate:<mode> on
 * what the other is, and impersonate-on:<mode>:<verb> on what is asked for in his name. The last
 * one is the old verb "impersonate" alone. When no mode lets it pass, the first one's error is
 * told.
 */
#include "apiserver/auth/auth_int.h"
#include "apiserver/auth/outside.h"
#include "apiserver/auth/rbac_rules.h"
#include "apiserver/field.h"
#include "apiserver/validation/names.h"

#define EXTRA "Impersonate-Extra-"
#define NODE_NAME_KEY "authentication.kubernetes.io/node-name"

enum { MANY_CHECKS = 4 };

struct wish {
	struct auth *auth;
	struct outside *outside;
	struct arena *arena;
	const struct user_info *who; /* asks */
	const struct request_info *info;
	const struct user_info *as; /* as the headers say */
	const char *mode;           /* "user-info" …, NULL: the old way */
	struct str verb;
	bool for_any_node; /* names do not count: a node's service account acts as its own node */
};

/* --- the headers --- */

static bool is_extra(struct str header)
{
	return header.n >= sizeof(EXTRA) - 1 &&
	       str_ieq(str_sub(header, 0, sizeof(EXTRA) - 1), S(EXTRA));
}

static void add_extra(struct arena *a, struct user_info *u, struct str header, struct str value)
{
	struct str raw = str_lower(a, str_sub(header, sizeof(EXTRA) - 1, header.n)), key;
	struct user_extra e = {0};

	if (!http_unescape(a, raw, false, &key))
		key = raw;
	for (size_t i = 0; i < u->extra.n; i++) {
		if (str_eq(u->extra.v[i].key, key)) {
			ARENA_PUSH(a, &u->extra.v[i].values, value);
			return;
		}
	}
	e.key = key;
	ARENA_PUSH(a, &e.values, value);
	ARENA_PUSH(a, &u->extra, e);
}

static void read_headers(struct http_exchange *x, struct user_info *ret)
{
	*ret = (struct user_info){.name = http_get_header(x, "Impersonate-User"),
		.uid = http_get_header(x, "Impersonate-Uid")};
	for (size_t i = 0; i < x->n_headers; i++) {
		const struct http_header *h = &x->headers[i];

		if (str_ieq(h->name, S("Impersonate-Group")))
			ARENA_PUSH(&x->arena, &ret->groups, h->value);
		else if (is_extra(h->name))
			add_extra(&x->arena, ret, h->name, h->value);
	}
}

/* Go's %#v of []string, which upstream's message shows. */
static struct str go_strings(struct arena *a, const struct str_vec *v)
{
	struct str out = S("[]string{");

	if (!v->n)
		return S("[]string(nil)");
	for (size_t i = 0; i < v->n; i++)
		out = arena_fmt(a, STR_FMT "%s" STR_FMT, STR_ARG(out), i ? ", " : "",
			STR_ARG(go_quote(a, v->v[i])));
	return arena_fmt(a, STR_FMT "}", STR_ARG(out));
}

static int nobody(struct arena *a, const struct user_info *as, struct err *err)
{
	struct str extra = S("map[string][]string(nil)");

	if (as->extra.n) {
		extra = S("map[string][]string{");
		for (size_t i = 0; i < as->extra.n; i++)
			extra = arena_fmt(a, STR_FMT "%s" STR_FMT ":" STR_FMT, STR_ARG(extra),
				i ? ", " : "", STR_ARG(go_quote(a, as->extra.v[i].key)),
				STR_ARG(go_strings(a, &as->extra.v[i].values)));
		extra = arena_fmt(a, STR_FMT "}", STR_ARG(extra));
	}
	return err_bad_request(err,
		"requested &user.DefaultInfo{Name:\"\", UID:" STR_FMT ", Groups:" STR_FMT
		", Extra:" STR_FMT "} without impersonating a user name",
		STR_ARG(go_quote(a, as->uid)), STR_ARG(go_strings(a, &as->groups)), STR_ARG(extra));
}

/* --- who is it? --- */

static bool is_account(struct str user, struct str *ns, struct str *name)
{
	struct str prefix = S("system:serviceaccount:");
	struct arena a = {0};
	bool ok = str_starts(user, prefix) &&
		  str_cut(str_sub(user, prefix.n, user.n), ':', ns, name) &&
		  !is_dns1123_label(&a, *ns).n && !is_dns1123_subdomain(&a, *name).n;

	arena_release(&a);
	return ok;
}

static bool is_node(struct str user, struct str *name)
{
	struct str prefix = S("system:node:");
	struct arena a = {0};
	bool ok = str_starts(user, prefix);

	if (ok) {
		*name = str_sub(user, prefix.n, user.n);
		ok = !is_dns1123_subdomain(&a, *name).n;
	}
	arena_release(&a);
	return ok;
}

static bool name_alone(const struct user_info *u)
{
	return !u->uid.n && !u->groups.n && !u->extra.n;
}

static struct str extra_value(const struct user_info *u, const char *key)
{
	for (size_t i = 0; i < u->extra.n; i++)
		if (str_eqc(u->extra.v[i].key, key) && u->extra.v[i].values.n == 1)
			return u->extra.v[i].values.v[0];
	return S("");
}

static bool fits_associated_node(const struct wish *w)
{
	struct str node, ns, name;

	return name_alone(w->as) && is_node(w->as->name, &node) &&
	       is_account(w->who->name, &ns, &name) &&
	       str_eq(extra_value(w->who, NODE_NAME_KEY), node);
}

static bool fits_any_node(const struct wish *w)
{
	struct str node;

	return name_alone(w->as) && is_node(w->as->name, &node);
}

static bool fits_account(const struct wish *w)
{
	struct str ns, name;

	return name_alone(w->as) && is_account(w->as->name, &ns, &name);
}

static bool fits_user(const struct wish *w)
{
	struct str node, ns, name;

	return !is_node(w->as->name, &node) && !is_account(w->as->name, &ns, &name);
}

/* --- may he? --- */

/* What cannot be found out is no. */
static int ask(const struct wish *w, const struct request_info *info, struct err *err)
{
	int r = authorize(w->auth, w->outside, info, w->who, err);

	return r == -EIO ? auth_refuse(w->who, info, S(""), err) : r;
}

static int may(const struct wish *w, const char *group, const char *resource, struct str ns,
	struct str name, struct str sub, struct err *err)
{
	const struct request_info info = {.is_resource = true,
		.verb = w->verb,
		.group = str_c(group),
		.version = S("v1"),
		.resource = str_c(resource),
		.subresource = sub,
		.ns = ns,
		.name = w->for_any_node ? S("*") : name};

	return ask(w, &info, err);
}

static int refuse(const struct wish *w, const char *group, const char *resource, struct str name,
	const char *why, struct err *err)
{
	const struct request_info info = {.is_resource = true,
		.verb = w->verb,
		.group = str_c(group),
		.resource = str_c(resource),
		.name = name};

	return auth_refuse(w->who, &info, str_c(why), err);
}

static const char *user_group(const struct wish *w)
{
	return w->mode ? "authentication.k8s.io" : "";
}

static void fixed_groups(struct arena *a, struct user_info *u, struct str ns)
{
	ARENA_PUSH(a, &u->groups, S("system:serviceaccounts"));
	ARENA_PUSH(a, &u->groups, arena_fmt(a, "system:serviceaccounts:" STR_FMT, STR_ARG(ns)));
}

static int check_name(const struct wish *w, struct user_info *actual, struct err *err)
{
	struct str ns, name;

	if (is_account(w->as->name, &ns, &name)) {
		if (!w->as->groups.n)
			fixed_groups(w->arena, actual, ns);
		return may(w, user_group(w), "serviceaccounts", ns, name, S(""), err);
	}
	if (w->mode && is_node(w->as->name, &name)) {
		ARENA_PUSH(w->arena, &actual->groups, S("system:nodes"));
		return may(w, user_group(w), "nodes", S(""), name, S(""), err);
	}
	return may(w, user_group(w), "users", S(""), w->as->name, S(""), err);
}

static int check_groups(const struct wish *w, struct err *err)
{
	const struct str_vec *groups = &w->as->groups;
	int r = 0;

	if (w->mode && str_vec_has(groups, S("")))
		return refuse(w, user_group(w), "groups", S(""),
			"impersonating the empty string group is not allowed", err);
	if (w->mode && str_vec_has(groups, S("system:masters")))
		return refuse(w, user_group(w), "groups", S("system:masters"),
			"impersonating the system:masters group is not allowed", err);
	if (w->mode && groups->n >= MANY_CHECKS &&
		may(w, user_group(w), "groups", S(""), S("*"), S(""), NULL) == 0)
		return 0;
	for (size_t i = 0; r == 0 && i < groups->n; i++)
		r = may(w, user_group(w), "groups", S(""), groups->v[i], S(""), err);
	return r;
}

static const char *bad_extra(struct arena *a, const struct user_info *u)
{
	for (size_t i = 0; i < u->extra.n; i++) {
		const struct user_extra *e = &u->extra.v[i];
		struct field_errors errs = {.arena = a};
		struct field_path p = FIELD(NULL, "extra"), key = FIELD(&p, "key");

		if (!e->key.n)
			return "impersonating the empty string key in extra is not allowed";
		validate_domain_prefixed_path(e->key, &key, &errs);
		if (errs.n)
			return arena_fmt(a,
				"impersonating an invalid key in extra is not allowed: " STR_FMT,
				STR_ARG(field_error_text(a, &errs.v[0])))
				.p;
		if (str_vec_has(&e->values, S("")))
			return "impersonating the empty string value in extra is not allowed";
	}
	return NULL;
}

static int check_extra(const struct wish *w, struct err *err)
{
	const char *bad = w->mode ? bad_extra(w->arena, w->as) : NULL;
	int r = 0;

	if (bad)
		return refuse(w, "authentication.k8s.io", "userextras", S(""), bad, err);
	for (size_t i = 0; i < w->as->extra.n; i++) {
		const struct user_extra *e = &w->as->extra.v[i];

		for (size_t k = 0; r == 0 && k < e->values.n; k++)
			r = may(w, "authentication.k8s.io", "userextras", S(""), e->values.v[k],
				e->key, err);
	}
	return r;
}

static int check_mode(const struct wish *w, struct user_info *actual, struct err *err)
{
	int r = check_name(w, actual, err);

	if (r == 0 && w->as->uid.n)
		r = may(w, "authentication.k8s.io", "uids", S(""), w->as->uid, S(""), err);
	if (r == 0)
		r = check_groups(w, err);
	if (r == 0)
		r = check_extra(w, err);
	return r;
}

static int check_on(const struct wish *w, struct err *err)
{
	struct request_info info = *w->info;

	info.verb =
		arena_fmt(w->arena, "impersonate-on:%s:" STR_FMT, w->mode, STR_ARG(w->info->verb));
	return ask(w, &info, err);
}

static const struct mode {
	const char *name; /* NULL: the old way */
	bool (*fits)(const struct wish *w);
	bool for_any_node;
} modes[] = {
	{"associated-node", fits_associated_node, true},
	{"arbitrary-node", fits_any_node},
	{"serviceaccount", fits_account},
	{"user-info", fits_user},
	{NULL},
};

static int try_mode(
	const struct wish *wish, const struct mode *m, struct user_info *actual, struct err *err)
{
	struct wish w = *wish;
	int r;

	w.mode = m->name;
	if (!m->name) {
		w.verb = S("impersonate");
		return check_mode(&w, actual, err);
	}
	w.verb = arena_fmt(w.arena, "impersonate:%s", m->name);
	r = check_on(&w, err);
	w.for_any_node = m->for_any_node;
	return r < 0 ? r : check_mode(&w, actual, err);
}

static struct user_info copy_of(struct arena *a, const struct user_info *u)
{
	struct user_info out = *u;

	out.groups = (struct str_vec){0};
	for (size_t i = 0; i < u->groups.n; i++)
		ARENA_PUSH(a, &out.groups, u->groups.v[i]);
	return out;
}

int impersonate(struct auth *a, struct outside *o, struct http_exchange *x,
	const struct request_info *info, struct user_info *user, const char **ret_constraint,
	struct err *err)
{
	struct user_info as;
	struct wish w = {
		.auth = a, .outside = o, .arena = &x->arena, .who = user, .info = info, .as = &as};
	struct err first CLEANUP(err_release) = {0};

	read_headers(x, &as);
	if (!as.name.n)
		return name_alone(&as) ? 0 : nobody(w.arena, &as, err);
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		struct err why CLEANUP(err_release) = {0};
		struct user_info actual = copy_of(w.arena, &as);

		if (modes[i].fits && !modes[i].fits(&w))
			continue;
		if (try_mode(&w, &modes[i], &actual, &why) < 0) {
			if (outside_waits(o))
				return -EACCES;
			if (!err_set(&first))
				err_move(&first, &why);
			continue;
		}
		if (str_eqc(actual.name, "system:anonymous")) {
			if (!user_in_group(&actual, S("system:unauthenticated")))
				ARENA_PUSH(w.arena, &actual.groups, S("system:unauthenticated"));
		} else {
			add_authenticated(w.arena, &actual);
		}
		*user = actual;
		*ret_constraint = modes[i].name;
		return 1;
	}
	err_move(err, &first);
	return -EACCES;
}
