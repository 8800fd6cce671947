/*
 * Who may do what before RBAC: a table of the cluster's own identities and what each needs, read
 * top to bottom; the first row that fits allows. What no row allows is forbidden.
 */
#include "apiserver/auth/auth_int.h"
#include "types.gen.h"

enum who {
	ANYONE, /* also system:anonymous */
	AUTHENTICATED,
	GROUP,
	USER,
	CONTROLLERS, /* system:serviceaccount:kube-system:*-controller and the like */
};

struct rule {
	enum who who;
	const char *name;      /* of the group or user */
	const char *verbs;     /* space-separated, "*" */
	const char *groups;    /* API groups, comma-separated, core is ""; "*" */
	const char *resources; /* space-separated, "pods/log", "*"; NULL: the row is about paths */
	const char *paths;     /* space-separated, "/api/…*" */
};

#define ALL_READ "get list watch"
#define EVENTS "create patch update"

static const struct rule rules[] = {
	{GROUP, "system:masters", "*", "*", "*", NULL},
	{GROUP, "system:masters", "*", NULL, NULL, "*"},

	{ANYONE, NULL, "get", NULL, NULL, "/healthz /livez /readyz /version /version/"},
	{AUTHENTICATED, NULL, "get", NULL, NULL, "/api /api/* /apis /apis/* /openapi /openapi/*"},
	{GROUP, "system:serviceaccounts", "get", NULL, NULL,
		"/.well-known/openid-configuration /openid/v1/jwks*"},
	{AUTHENTICATED, NULL, "create", "authorization.k8s.io",
		"selfsubjectaccessreviews selfsubjectrulesreviews", NULL},
	{AUTHENTICATED, NULL, "create", "authentication.k8s.io", "selfsubjectreviews", NULL},

	/* the node agent */
	{GROUP, "system:nodes", "get list watch create update patch", "", "nodes nodes/status",
		NULL},
	{GROUP, "system:nodes", ALL_READ, "",
		"pods services endpoints configmaps secrets persistentvolumeclaims "
		"persistentvolumes serviceaccounts namespaces",
		NULL},
	{GROUP, "system:nodes", "create delete", "", "pods", NULL},
	{GROUP, "system:nodes", "update patch", "", "pods/status", NULL},
	{GROUP, "system:nodes", "create", "", "pods/eviction serviceaccounts/token", NULL},
	{GROUP, "system:nodes", EVENTS, ",events.k8s.io", "events", NULL},
	{GROUP, "system:nodes", "get list watch create update patch delete", "coordination.k8s.io",
		"leases", NULL},
	{GROUP, "system:nodes", ALL_READ, "discovery.k8s.io", "endpointslices", NULL},
	{GROUP, "system:nodes", ALL_READ, "node.k8s.io", "runtimeclasses", NULL},
	{GROUP, "system:nodes", "create", "authentication.k8s.io", "tokenreviews", NULL},
	{GROUP, "system:nodes", "create", "authorization.k8s.io",
		"subjectaccessreviews localsubjectaccessreviews", NULL},
	{GROUP, "system:nodes", "create get list watch", "certificates.k8s.io",
		"certificatesigningrequests", NULL},
	{GROUP, "system:nodes", "get list watch create update patch delete", "storage.k8s.io",
		"csinodes csidrivers volumeattachments storageclasses", NULL},

	{USER, "system:kube-proxy", ALL_READ, "", "nodes services endpoints", NULL},
	{USER, "system:kube-proxy", ALL_READ, "discovery.k8s.io", "endpointslices", NULL},
	{USER, "system:kube-proxy", EVENTS, ",events.k8s.io", "events", NULL},

	{USER, "system:kube-scheduler", ALL_READ, "*", "*", NULL},
	{USER, "system:kube-scheduler", "create", "", "pods/binding bindings", NULL},
	{USER, "system:kube-scheduler", "delete", "", "pods", NULL},
	{USER, "system:kube-scheduler", "update patch", "", "pods/status", NULL},
	{USER, "system:kube-scheduler", EVENTS, ",events.k8s.io", "events", NULL},
	{USER, "system:kube-scheduler", "create get update patch", "coordination.k8s.io", "leases",
		NULL},

	{USER, "system:kube-controller-manager", "*", "*", "*", NULL},
	{CONTROLLERS, NULL, "*", "*", "*", NULL},
};

/* Whether `list` (words separated by sep) holds the word, or "*"; a word ending in * matches what
 * begins like it. */
static bool listed(const char *list, char sep, struct str word)
{
	struct str rest = str_c(list), one;
	bool more = true;

	while (more) {
		more = str_cut(rest, sep, &one, &rest);
		if (str_eq(one, word) || (one.n && one.p[one.n - 1] == '*' &&
						 str_starts(word, str_sub(one, 0, one.n - 1))))
			return true;
	}
	return false;
}

static bool is_controller(const struct user_info *user)
{
	return str_starts(user->name, S("system:serviceaccount:kube-system:")) &&
	       (str_ends(user->name, S("-controller")) || str_ends(user->name, S("-collector")) ||
		       str_ends(user->name, S("-publisher")));
}

static bool is_who(const struct rule *r, const struct user_info *user)
{
	switch (r->who) {
	case ANYONE:
		return true;
	case AUTHENTICATED:
		return user_in_group(user, S("system:authenticated"));
	case GROUP:
		return user_in_group(user, str_c(r->name));
	case USER:
		return str_eqc(user->name, r->name);
	case CONTROLLERS:
		return is_controller(user);
	}
	return false;
}

static bool allows(const struct rule *r, const struct request_info *info, struct str resource)
{
	if (!listed(r->verbs, ' ', info->verb))
		return false;
	if (!info->is_resource)
		return r->paths && listed(r->paths, ' ', info->path);
	return r->resources && listed(r->groups, ',', info->group) &&
	       listed(r->resources, ' ', resource);
}

static enum auth_decision provisional(struct auth *auth, struct arena *arena,
	const struct user_info *user, const struct request_info *info, struct str *ret_reason)
{
	struct str resource = info->resource;

	if (info->is_resource && info->subresource.n)
		resource = arena_fmt(arena, STR_FMT "/" STR_FMT, STR_ARG(info->resource),
			STR_ARG(info->subresource));
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		if (is_who(&rules[i], user) && allows(&rules[i], info, resource))
			return AUTH_ALLOW;
	return AUTH_NO_OPINION;
}

static struct str_vec words(struct arena *a, const char *list, char sep)
{
	struct str rest = str_c(list), one;
	struct str_vec out = {0};
	bool more = true;

	while (more) {
		more = str_cut(rest, sep, &one, &rest);
		ARENA_PUSH(a, &out, one);
	}
	return out;
}

static void provisional_rules(struct auth *auth, struct arena *a, const struct user_info *user,
	struct str ns, struct authorization_v1_subject_rules_review_status *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		const struct rule *r = &rules[i];

		if (!is_who(r, user))
			continue;
		if (r->resources)
			ARENA_PUSH(a, &ret->resource_rules,
				((struct authorization_v1_resource_rule){
					.verbs = words(a, r->verbs, ' '),
					.api_groups = words(a, r->groups, ','),
					.resources = words(a, r->resources, ' ')}));
		else
			ARENA_PUSH(a, &ret->non_resource_rules,
				((struct authorization_v1_non_resource_rule){
					.verbs = words(a, r->verbs, ' '),
					.non_resource_urls = words(a, r->paths, ' ')}));
	}
}

const struct authorizer provisional_authorizer = {
	.mode = "RBAC", .authorize = provisional, .rules = provisional_rules};
