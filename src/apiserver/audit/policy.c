/* policy.c: which requests are written to the audit log, and how much of them. */
#include "apiserver/audit/audit.h"
#include "apiserver/field.h"
#include "apiserver/validation/names.h"

#define LEVELS "None", "Metadata", "Request", "RequestResponse"
#define STAGES "RequestReceived", "ResponseStarted", "ResponseComplete", "Panic"

/* --- reading --- */

static unsigned stage_bit(struct str s)
{
	static const char *const names[] = {STAGES};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (str_eqc(s, names[i]))
			return 1u << i;
	return 0;
}

static void check_stages(
	const struct str_vec *stages, const struct field_path *p, struct field_errors *e)
{
	for (size_t i = 0; i < stages->n; i++)
		if (!stage_bit(stages->v[i]))
			field_invalid(e, AT_INDEX(p, i), stages->v[i],
				"allowed stages are RequestReceived,ResponseStarted,"
				"ResponseComplete,Panic");
}

static void check_urls(
	const struct str_vec *urls, const struct field_path *p, struct field_errors *e)
{
	for (size_t i = 0; i < urls->n; i++) {
		struct str url = urls->v[i];

		if (str_eqc(url, "*"))
			continue;
		if (!str_starts(url, S("/")))
			field_invalid(e, AT_INDEX(p, i), url,
				"non-resource URL rules must begin with a '/' character");
		if (url.n && str_chr(str_sub(url, 0, url.n - 1), '*') >= 0)
			field_invalid(e, AT_INDEX(p, i), url,
				"non-resource URL wildcards '*' must be the final character of "
				"the rule");
	}
}

static struct str list_json(struct arena *a, const struct str_vec *v)
{
	struct str out = S("[");

	for (size_t i = 0; i < v->n; i++)
		out = arena_fmt(a, STR_FMT "%s" STR_FMT, STR_ARG(out), i ? "," : "",
			STR_ARG(go_quote(a, v->v[i])));
	return arena_fmt(a, STR_FMT "]", STR_ARG(out));
}

static void check_resources(const struct audit_v1_group_resources_vec *list,
	const struct field_path *p, struct field_errors *e)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct audit_v1_group_resources *g = &list->v[i];

		if (g->group.n && !str_eqc(g->group, "*"))
			field_invalid_each(e, AT(p, "group"), g->group,
				name_is_dns_subdomain(e->arena, g->group, false));
		if (g->resource_names.n && !g->resources.n)
			field_invalid_raw(e, AT(p, "resourceNames"),
				list_json(e->arena, &g->resource_names),
				"using resourceNames requires at least one resource");
	}
}

static void check_rule(
	const struct audit_v1_policy_rule *r, const struct field_path *p, struct field_errors *e)
{
	static const char *const levels[] = {LEVELS, NULL};

	if (!r->level.n)
		field_required(e, AT(p, "level"), "");
	else
		field_one_of(e, AT(p, "level"), r->level, levels);
	check_urls(&r->non_resource_urls, AT(p, "nonResourceURLs"), e);
	check_resources(&r->resources, AT(p, "resources"), e);
	check_stages(&r->omit_stages, AT(p, "omitStages"), e);
	if (r->non_resource_urls.n && (r->resources.n || r->namespaces.n))
		field_invalid_raw(e, AT(p, "nonResourceURLs"),
			list_json(e->arena, &r->non_resource_urls),
			"rules cannot apply to both regular resources and non-resource URLs");
}

static int check_policy(struct arena *a, const struct audit_v1_policy *p, struct err *err)
{
	struct field_errors errs = {.arena = a};
	struct field_path rules = FIELD(NULL, "rules");
	struct str text = S("");

	check_stages(&p->omit_stages, AT(NULL, "omitStages"), &errs);
	for (size_t i = 0; i < p->rules.n; i++)
		check_rule(&p->rules.v[i], AT_INDEX(&rules, i), &errs);
	for (size_t i = 0; i < errs.n; i++)
		text = arena_fmt(a, STR_FMT "%s" STR_FMT, STR_ARG(text), i ? ", " : "",
			STR_ARG(field_error_text(a, &errs.v[i])));
	if (errs.n)
		return err_bad_request(err, errs.n > 1 ? "[" STR_FMT "]" : STR_FMT, STR_ARG(text));
	if (!p->rules.n)
		return err_bad_request(err, "loaded illegal policy with 0 rules");
	return 0;
}

int audit_policy_parse(struct arena *a, struct str text, struct audit_v1_policy **ret,
	struct str_vec *ret_warnings, struct err *err)
{
	struct schema_decode_opts opts = {.flags = SCHEMA_DECODE_STRICT};
	struct err why CLEANUP(err_release) = {0};
	struct str json;
	void *typed;
	struct audit_v1_policy *p;
	int r;

	if (yaml_to_json(text, a, &json, NULL, &why) < 0 ||
		schema_decode_json(&audit_v1_policy_schema, json, a, &opts, &typed, &why) < 0)
		return err_bad_request(err, "failed decoding: %s", err_text(&why));
	p = typed;
	if (!p->kind.n || !p->api_version.n)
		return err_bad_request(err,
			"failed decoding: Object '%s' is missing in '" STR_FMT "'",
			p->kind.n ? "apiVersion" : "Kind", STR_ARG(json));
	if (!str_eqc(p->api_version, "audit.k8s.io/v1") || !str_eqc(p->kind, "Policy"))
		return err_bad_request(err,
			"unknown group version field " STR_FMT ", Kind=" STR_FMT " in policy",
			STR_ARG(p->api_version), STR_ARG(p->kind));
	r = check_policy(a, p, err);
	if (r < 0)
		return r;
	*ret_warnings = opts.warnings;
	*ret = p;
	return 0;
}

/* --- deciding --- */

static bool in_groups(const struct audit_v1_policy_rule *r, const struct user_info *user)
{
	for (size_t i = 0; user && i < user->groups.n; i++)
		if (str_vec_has(&r->user_groups, user->groups.v[i]))
			return true;
	return false;
}

static bool fits_path(const struct str_vec *urls, const struct request_info *info)
{
	for (size_t i = 0; !info->is_resource && i < urls->n; i++) {
		struct str s = urls->v[i];

		if (str_eqc(s, "*") || str_eq(s, info->path))
			return true;
		if (!str_ends(s, S("*")))
			continue;
		while (str_ends(s, S("*")))
			s.n--;
		if (str_starts(info->path, s))
			return true;
	}
	return false;
}

/* "pods", "pods/log", "pods" with any subresource, any resource with "log" */
static bool fits_resource(struct str want, const struct request_info *info)
{
	struct str head, tail;

	if (str_eqc(want, "*"))
		return true;
	if (!str_cut(want, '/', &head, &tail))
		return !info->subresource.n && str_eq(head, info->resource);
	if (str_eqc(tail, "*") && str_eq(head, info->resource))
		return true;
	return info->subresource.n && str_eq(tail, info->subresource) &&
	       (str_eqc(head, "*") || str_eq(head, info->resource));
}

static bool fits_group(const struct audit_v1_group_resources *g, const struct request_info *info)
{
	if (!str_eq(g->group, info->group) && !str_eqc(g->group, "*"))
		return false;
	if (!g->resources.n)
		return true;
	if (g->resource_names.n && !str_vec_has(&g->resource_names, info->name))
		return false;
	for (size_t i = 0; i < g->resources.n; i++)
		if (fits_resource(g->resources.v[i], info))
			return true;
	return false;
}

static bool fits_object(const struct audit_v1_policy_rule *r, const struct request_info *info)
{
	if (!info->is_resource || (r->namespaces.n && !str_vec_has(&r->namespaces, info->ns)))
		return false;
	for (size_t i = 0; i < r->resources.n; i++)
		if (fits_group(&r->resources.v[i], info))
			return true;
	return !r->resources.n;
}

static bool fits(const struct audit_v1_policy_rule *r, const struct user_info *user,
	const struct request_info *info)
{
	if (r->users.n && (!user || !str_vec_has(&r->users, user->name)))
		return false;
	if (r->user_groups.n && !in_groups(r, user))
		return false;
	if (r->verbs.n && !str_vec_has(&r->verbs, info->verb))
		return false;
	if (r->namespaces.n || r->resources.n)
		return fits_object(r, info);
	return !r->non_resource_urls.n || fits_path(&r->non_resource_urls, info);
}

static enum audit_level level_of(struct str s)
{
	static const char *const names[] = {LEVELS};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (str_eqc(s, names[i]))
			return i;
	assert(!"the policy was checked");
	return AUDIT_NONE;
}

static unsigned stage_bits(const struct str_vec *v)
{
	unsigned bits = 0;

	for (size_t i = 0; i < v->n; i++)
		bits |= stage_bit(v->v[i]);
	return bits;
}

struct audit_verdict audit_policy_decide(const struct audit_v1_policy *p,
	const struct user_info *user, const struct request_info *info)
{
	unsigned omit = stage_bits(&p->omit_stages);

	for (size_t i = 0; i < p->rules.n; i++) {
		const struct audit_v1_policy_rule *r = &p->rules.v[i];

		if (fits(r, user, info))
			return (struct audit_verdict){level_of(r->level),
				omit | stage_bits(&r->omit_stages),
				r->omit_managed_fields ? *r->omit_managed_fields
						       : p->omit_managed_fields};
	}
	return (struct audit_verdict){AUDIT_NONE, omit, p->omit_managed_fields};
}
