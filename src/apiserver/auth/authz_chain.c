/* authz_chain.c: from flags to the authorizers, in their order. authz_config.c reads them from a
 * file. */
#include "apiserver/auth/authz_chain.h"
#include "apiserver/auth/config_file.h"

enum { WEBHOOK_TIMEOUT_MS = 30 * 1000 };

static const struct authorizer *const known[] = {&abac_authorizer, &always_allow_authorizer,
	&always_deny_authorizer, &node_authorizer, &rbac_authorizer, &webhook_authorizer};

const struct authorizer *authorizer_find(struct str mode)
{
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (str_eqc(mode, known[i]->mode))
			return known[i];
	return NULL;
}

static struct str_vec modes_of(const struct authz_opts *o)
{
	static struct str both[] = {{"Node", 4}, {"RBAC", 4}};

	return o->modes.n ? o->modes : (struct str_vec){both, ARRAY_SIZE(both)};
}

/* ["a" "b"], Go's %q of a list */
static struct str quoted(struct arena *a, const struct str_vec *v)
{
	struct str out = S("[");

	for (size_t i = 0; i < v->n; i++)
		out = arena_fmt(a, STR_FMT "%s" STR_FMT, STR_ARG(out), i ? " " : "",
			STR_ARG(go_quote(a, v->v[i])));
	return arena_fmt(a, STR_FMT "]", STR_ARG(out));
}

static void check_mode(
	const struct authz_opts *o, struct str mode, struct arena *a, struct str_vec *errors)
{
	if (!authorizer_find(mode))
		ARENA_PUSH(a, errors,
			arena_fmt(a, "authorization-mode " STR_FMT " is not a valid mode",
				STR_ARG(go_quote(a, mode))));
	if (str_eqc(mode, "ABAC") && !o->policy_file)
		ARENA_PUSH(a, errors,
			S("authorization-mode ABAC's authorization policy file not passed"));
	if (str_eqc(mode, "Webhook") && !o->webhook_file)
		ARENA_PUSH(a, errors,
			S("authorization-mode Webhook's authorization config file not passed"));
}

static bool has_twice(const struct str_vec *v)
{
	for (size_t i = 0; i < v->n; i++)
		for (size_t k = 0; k < i; k++)
			if (str_eq(v->v[i], v->v[k]))
				return true;
	return false;
}

int authz_opts_check(const struct authz_opts *o, struct err *err)
{
	const struct str_vec modes = modes_of(o);
	struct str_vec errors = {0};
	struct arena a = {0};
	int r = 0;

	if (o->config_file)
		return !o->modes_given
			       ? 0
			       : err_bad_request(err,
					 "--authorization-config can not be specified when "
					 "--authorization-mode or --authorization-webhook-* flags "
					 "are defined");
	for (size_t i = 0; i < modes.n; i++)
		check_mode(o, modes.v[i], &a, &errors);
	if (o->policy_file && !str_vec_has(&modes, S("ABAC")))
		ARENA_PUSH(&a, &errors,
			S("cannot specify --authorization-policy-file without mode ABAC"));
	if (o->webhook_file && !str_vec_has(&modes, S("Webhook")))
		ARENA_PUSH(&a, &errors,
			S("cannot specify --authorization-webhook-config-file without mode "
			  "Webhook"));
	if (has_twice(&modes))
		ARENA_PUSH(&a, &errors,
			arena_fmt(&a,
				"authorization-mode " STR_FMT " has mode specified more than once",
				STR_ARG(quoted(&a, &modes))));
	if (errors.n)
		r = err_bad_request(err, STR_FMT, STR_ARG(auth_aggregate(&a, &errors)));
	arena_release(&a);
	return r;
}

static int make_self(
	const struct authz_opts *o, const struct authorizer *ops, void **ret, struct err *err)
{
	const struct authz_webhook_opts webhook = {.name = S("default"),
		.version = o->webhook_version.n ? o->webhook_version : S("v1beta1"),
		.kubeconfig = o->webhook_file,
		.timeout_ms = WEBHOOK_TIMEOUT_MS,
		.allowed_ttl_ms = o->allowed_ttl_ms,
		.refused_ttl_ms = o->refused_ttl_ms};

	if (ops == &abac_authorizer)
		return abac_new(o->policy_file, ret, err);
	return ops == &webhook_authorizer ? authz_webhook_new(&webhook, ret, err) : 0;
}

int authz_chain_new(const struct authz_opts *o, struct authz_chain **ret, struct err *err)
{
	const struct str_vec modes = modes_of(o);
	struct err why CLEANUP(err_release) = {0};
	struct authz_chain *c;
	int r = authz_opts_check(o, err);

	if (r < 0)
		return r;
	c = xcalloc(1, sizeof(*c));
	for (size_t i = 0; r >= 0 && i < modes.n; i++) {
		void *self = NULL;
		const struct authorizer *ops = authorizer_find(modes.v[i]);

		r = make_self(o, ops, &self, &why);
		if (r >= 0)
			authz_chain_add(c, ops, self, true);
	}
	if (r < 0) {
		authz_chain_free(c);
		return err_bad_request(err, "invalid authorization config: %s", err_text(&why));
	}
	*ret = c;
	return 0;
}

void authz_chain_add(struct authz_chain *c, const struct authorizer *ops, void *self, bool owned)
{
	assert(c->n < AUTHORIZERS_MAX);
	c->v[c->n].ops = ops;
	c->v[c->n].owned = owned;
	c->v[c->n++].self = self;
}

void authz_chain_free(struct authz_chain *c)
{
	while (c) {
		struct authz_chain *replaced = c->replaced;

		for (size_t i = 0; i < c->n; i++)
			if (c->v[i].owned && c->v[i].self && c->v[i].ops->free)
				c->v[i].ops->free(c->v[i].self);
		free(c);
		c = replaced;
	}
}
