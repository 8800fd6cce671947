#include "apiserver/auth/rbac_rules.h"

#include "apiserver/field.h"

static bool has(const struct str_vec *v, const char *all, struct str s)
{
	for (size_t i = 0; i < v->n; i++)
		if (str_eq(v->v[i], s) || str_eqc(v->v[i], all))
			return true;
	return false;
}

/* "pods", "pods/log", "*" and "*" "/log" */
static bool resource_matches(const struct str_vec *v, struct str resource, struct str subresource)
{
	for (size_t i = 0; i < v->n; i++) {
		struct str head, tail;
		bool slash;

		if (str_eqc(v->v[i], "*"))
			return true;
		slash = str_cut(v->v[i], '/', &head, &tail);
		if (!subresource.n ? !slash && str_eq(head, resource)
				   : slash && str_eq(tail, subresource) &&
					     (str_eq(head, resource) || str_eqc(head, "*")))
			return true;
	}
	return false;
}

static struct str without_stars(struct str s)
{
	while (s.n && s.p[s.n - 1] == '*')
		s.n--;
	return s;
}

static bool path_matches(const struct str_vec *v, struct str path)
{
	for (size_t i = 0; i < v->n; i++) {
		struct str s = v->v[i];

		if (str_eqc(s, "*") || str_eq(s, path) ||
			(str_ends(s, S("*")) && str_starts(path, without_stars(s))))
			return true;
	}
	return false;
}

bool rbac_rule_allows(const struct rbac_v1_policy_rule *r, const struct request_info *info)
{
	if (!has(&r->verbs, "*", info->verb))
		return false;
	if (!info->is_resource)
		return path_matches(&r->non_resource_urls, info->path);
	return resource_matches(&r->resources, info->resource, info->subresource) &&
	       has(&r->api_groups, "*", info->group) &&
	       (!r->resource_names.n || str_vec_has(&r->resource_names, info->name));
}

/* --- covering --- */

static bool covers_resource(const struct str_vec *have, struct str want)
{
	struct str head, tail;

	if (has(have, "*", want))
		return true;
	if (!str_cut(want, '/', &head, &tail))
		return false;
	for (size_t i = 0; i < have->n; i++)
		if (str_starts(have->v[i], S("*/")) &&
			str_eq(str_sub(have->v[i], 2, have->v[i].n), tail))
			return true;
	return false;
}

static bool covers_path(const struct str_vec *have, struct str want)
{
	for (size_t i = 0; i < have->n; i++)
		if (str_eq(have->v[i], want) ||
			(str_ends(have->v[i], S("*")) &&
				str_starts(want, without_stars(have->v[i]))))
			return true;
	return false;
}

/* `want` has at most one of each. */
static bool covers(const struct rbac_v1_policy_rule *have, const struct rbac_v1_policy_rule *want)
{
	if (!has(&have->verbs, "*", want->verbs.v[0]))
		return false;
	if (want->non_resource_urls.n)
		return covers_path(&have->non_resource_urls, want->non_resource_urls.v[0]);
	if (!has(&have->api_groups, "*", want->api_groups.v[0]) ||
		!covers_resource(&have->resources, want->resources.v[0]))
		return false;
	return !have->resource_names.n ||
	       (want->resource_names.n &&
		       str_vec_has(&have->resource_names, want->resource_names.v[0]));
}

struct missing {
	struct arena *arena;
	const struct rbac_v1_policy_rule_vec *have;
	struct rbac_v1_policy_rule_vec out;
};

static struct str_vec one(struct arena *a, const struct str *s)
{
	struct str_vec v = {0};

	if (s)
		ARENA_PUSH(a, &v, *s);
	return v;
}

static void check(struct missing *m, const struct str *verb, const struct str *group,
	const struct str *resource, const struct str *name, const struct str *url)
{
	const struct rbac_v1_policy_rule views = {.verbs = {(struct str *)verb, 1},
		.api_groups = {(struct str *)group, group ? 1 : 0},
		.resources = {(struct str *)resource, resource ? 1 : 0},
		.resource_names = {(struct str *)name, name ? 1 : 0},
		.non_resource_urls = {(struct str *)url, url ? 1 : 0}};
	struct rbac_v1_policy_rule rule;

	for (size_t i = 0; i < m->have->n; i++)
		if (covers(&m->have->v[i], &views))
			return;
	rule = (struct rbac_v1_policy_rule){.verbs = one(m->arena, verb),
		.api_groups = one(m->arena, group),
		.resources = one(m->arena, resource),
		.resource_names = one(m->arena, name),
		.non_resource_urls = one(m->arena, url)};
	ARENA_PUSH(m->arena, &m->out, rule);
}

static void check_resource(struct missing *m, const struct rbac_v1_policy_rule *r,
	const struct str *group, const struct str *resource)
{
	for (size_t v = 0; v < r->verbs.n; v++) {
		if (!r->resource_names.n)
			check(m, &r->verbs.v[v], group, resource, NULL, NULL);
		for (size_t n = 0; n < r->resource_names.n; n++)
			check(m, &r->verbs.v[v], group, resource, &r->resource_names.v[n], NULL);
	}
}

struct rbac_v1_policy_rule_vec rbac_missing(struct arena *a,
	const struct rbac_v1_policy_rule_vec *have, const struct rbac_v1_policy_rule_vec *want)
{
	struct missing m = {.arena = a, .have = have};

	for (size_t i = 0; i < want->n; i++) {
		const struct rbac_v1_policy_rule *r = &want->v[i];

		for (size_t g = 0; g < r->api_groups.n; g++)
			for (size_t k = 0; k < r->resources.n; k++)
				check_resource(&m, r, &r->api_groups.v[g], &r->resources.v[k]);
		for (size_t u = 0; u < r->non_resource_urls.n; u++)
			for (size_t v = 0; v < r->verbs.n; v++)
				check(&m, &r->verbs.v[v], NULL, NULL, NULL,
					&r->non_resource_urls.v[u]);
	}
	return m.out;
}

/* --- text --- */

static bool is_simple(const struct rbac_v1_policy_rule *r)
{
	return !r->non_resource_urls.n && r->resource_names.n <= 1 && r->api_groups.n == 1 &&
	       r->resources.n == 1;
}

static bool same_but_verbs(const struct rbac_v1_policy_rule *a, const struct rbac_v1_policy_rule *b)
{
	return str_eq(a->api_groups.v[0], b->api_groups.v[0]) &&
	       str_eq(a->resources.v[0], b->resources.v[0]) &&
	       a->resource_names.n == b->resource_names.n &&
	       (!a->resource_names.n || str_eq(a->resource_names.v[0], b->resource_names.v[0]));
}

struct rbac_v1_policy_rule_vec rbac_compact(
	struct arena *a, const struct rbac_v1_policy_rule_vec *rules)
{
	struct rbac_v1_policy_rule_vec out = {0};

	for (size_t i = 0; i < rules->n; i++) {
		const struct rbac_v1_policy_rule *r = &rules->v[i];
		struct rbac_v1_policy_rule *to = NULL, copy = *r;

		for (size_t k = 0; is_simple(r) && !to && k < out.n; k++)
			if (is_simple(&out.v[k]) && same_but_verbs(&out.v[k], r))
				to = &out.v[k];
		if (!to) {
			copy.verbs = (struct str_vec){0};
			ARENA_PUSH(a, &out, copy);
			to = &out.v[out.n - 1];
		}
		for (size_t v = 0; v < r->verbs.n; v++)
			ARENA_PUSH(a, &to->verbs, r->verbs.v[v]);
	}
	return out;
}

struct str go_quote_list(struct arena *a, const struct str_vec *v)
{
	struct str out, text;
	struct buf b;

	buf_init(&b, 4 << 20);
	buf_add_char(&b, '[');
	for (size_t i = 0; i < v->n; i++) {
		text = go_quote(a, v->v[i]);
		buf_add_c(&b, i ? " " : "");
		buf_add_str(&b, text);
	}
	buf_add_char(&b, ']');
	out = arena_str(a, buf_str(&b));
	buf_release(&b);
	return out;
}

struct str rbac_rule_text(struct arena *a, const struct rbac_v1_policy_rule *r)
{
	const struct {
		const char *name;
		const struct str_vec *v;
	} parts[] = {{"APIGroups", &r->api_groups}, {"Resources", &r->resources},
		{"NonResourceURLs", &r->non_resource_urls}, {"ResourceNames", &r->resource_names},
		{"Verbs", &r->verbs}};
	struct str out = S("{");

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (parts[i].v->n)
			out = arena_fmt(a, STR_FMT "%s%s:" STR_FMT, STR_ARG(out),
				out.n > 1 ? ", " : "", parts[i].name,
				STR_ARG(go_quote_list(a, parts[i].v)));
	return arena_fmt(a, STR_FMT "}", STR_ARG(out));
}
