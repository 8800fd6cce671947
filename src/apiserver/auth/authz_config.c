/* authz_config.c: the authorizers as a file has them (apiserver pkg/apis/apiserver/validation). */
#include "apiserver/auth/authz_chain.h"
#include "apiserver/auth/config_file.h"
#include "apiserver/auth/match_conditions.h"
#include "apiserver/validation/names.h"
#include "base/flags.h"

enum {
	TIMEOUT_MS_MAX = 30 * 1000,
	CONDITIONS_MAX = 64,
	ALLOWED_TTL_MS = 5 * 60 * 1000,
	REFUSED_TTL_MS = 30 * 1000,
};

static const struct config_kind kind = {"AuthorizationConfiguration",
	&apiserver_v1_authorization_configuration_schema,
	"k8s.io/apiserver/pkg/apis/apiserver/load/load.go:32"};

/* --- durations --- */

static int check_duration(struct str text, struct err *err)
{
	struct arena a = {0};
	int64_t ms;
	int r = 0;

	if (text.n && duration_parse(text, &ms) < 0)
		r = err_bad_request(
			err, "time: invalid duration " STR_FMT, STR_ARG(go_quote(&a, text)));
	arena_release(&a);
	return r;
}

static int check_durations(
	const struct apiserver_v1_authorization_configuration *c, struct err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->authorizers.n; i++) {
		const struct apiserver_v1_webhook_configuration *w = c->authorizers.v[i].webhook;

		if (!w)
			continue;
		r = check_duration(w->authorized_ttl, err);
		if (r == 0)
			r = check_duration(w->unauthorized_ttl, err);
		if (r == 0)
			r = check_duration(w->timeout, err);
	}
	return r;
}

/* Nothing, and "0s", mean the default. */
static int64_t duration_ms(struct str text, int64_t otherwise)
{
	int64_t ms = 0;

	if (text.n && duration_parse(text, &ms) == 0 && ms)
		return ms;
	return otherwise;
}

/* --- checking --- */

static void check_connection(const struct apiserver_v1_webhook_connection_info *c,
	const struct field_path *p, struct field_errors *e)
{
	static const char *const types[] = {"InClusterConfig", "KubeConfigFile", NULL};
	struct field_path info = FIELD(p, "connectionInfo"), file = FIELD(&info, "kubeConfigFile");
	struct str path = c->kube_config_file;
	struct stat st;

	if (!c->type.n) {
		field_required(e, AT(&info, "type"), "%s", "");
	} else if (str_eqc(c->type, "InClusterConfig")) {
		if (path.p)
			field_invalid(e, &file, path, "can only be set when type=KubeConfigFile");
	} else if (!str_eqc(c->type, "KubeConfigFile")) {
		field_not_supported(e, AT(&info, "type"), c->type, types);
	} else if (!path.n) {
		field_required(e, &file, "%s", "");
	} else if (path.p[0] != '/') {
		field_invalid(e, &file, path, "must be an absolute path");
	} else if (stat(arena_cstr(e->arena, path), &st) < 0) {
		field_invalid(e, &file, path, "error loading file: stat " STR_FMT ": %s",
			STR_ARG(path),
			errno == ENOENT ? "no such file or directory" : strerror(errno));
	} else if (!S_ISREG(st.st_mode)) {
		field_invalid(e, &file, path, "must be a regular file");
	}
}

static void check_ttl(struct str text, const struct field_path *p, struct field_errors *e)
{
	if (duration_ms(text, 1) < 0)
		field_invalid(e, p, text, "must be > 0s");
}

static void check_conditions(const struct apiserver_v1_webhook_configuration *w,
	const struct field_path *p, struct field_errors *e)
{
	struct field_path list = FIELD(p, "matchConditions");
	struct str_vec seen = {0};
	struct str why;

	if (w->match_conditions.n > CONDITIONS_MAX) {
		field_too_many(e, &list, w->match_conditions.n, CONDITIONS_MAX);
		return;
	}
	for (size_t i = 0; i < w->match_conditions.n; i++) {
		struct str text = w->match_conditions.v[i].expression;
		struct field_path at = FIELD_INDEX(&list, i), expression = FIELD(&at, "expression");

		if (!str_trim(text).n)
			field_required(e, &expression, "%s", "");
		else if (str_vec_has(&seen, text))
			field_duplicate(e, &expression, text);
		else if (match_condition_compile(text, e->arena, NULL, &why) < 0)
			field_invalid(e, &expression, text, STR_FMT, STR_ARG(why));
		ARENA_PUSH(e->arena, &seen, text);
	}
}

static void check_webhook(const struct apiserver_v1_webhook_configuration *w,
	const struct field_path *p, struct field_errors *e)
{
	static const char *const versions[] = {"v1", "v1beta1", NULL}, *const v1[] = {"v1", NULL},
				 *const policies[] = {"NoOpinion", "Deny", NULL};
	struct str conditions_version = w->match_condition_subject_access_review_version;
	int64_t timeout_ms = duration_ms(w->timeout, 0);

	if (!timeout_ms)
		field_required(e, AT(p, "timeout"), "%s", "");
	else if (timeout_ms < 0 || timeout_ms > TIMEOUT_MS_MAX)
		field_invalid(e, AT(p, "timeout"), w->timeout, "must be > 0s and <= 30s");
	check_ttl(w->authorized_ttl, AT(p, "authorizedTTL"), e);
	check_ttl(w->unauthorized_ttl, AT(p, "unauthorizedTTL"), e);
	if (!w->subject_access_review_version.n)
		field_required(e, AT(p, "subjectAccessReviewVersion"), "%s", "");
	else
		field_one_of(e, AT(p, "subjectAccessReviewVersion"),
			w->subject_access_review_version, versions);
	if (conditions_version.n)
		field_one_of(e, AT(p, "matchConditionSubjectAccessReviewVersion"),
			conditions_version, v1);
	else if (w->match_conditions.n)
		field_required(e, AT(p, "matchConditionSubjectAccessReviewVersion"),
			"required if match conditions are specified");
	if (!w->failure_policy.n)
		field_required(e, AT(p, "failurePolicy"), "%s", "");
	else
		field_one_of(e, AT(p, "failurePolicy"), w->failure_policy, policies);
	check_connection(&w->connection_info, p, e);
	check_conditions(w, p, e);
}

static void check_name(struct str name, const struct str_vec *seen, const struct field_path *p,
	struct field_errors *e)
{
	struct str_vec wrong = is_dns1123_subdomain(e->arena, name);

	if (!name.n)
		field_required(e, p, "%s", "");
	else if (str_vec_has(seen, name))
		field_duplicate(e, p, name);
	else if (wrong.n)
		field_invalid(
			e, p, name, "authorizer name is invalid: " STR_FMT, STR_ARG(wrong.v[0]));
}

static void check_authorizer(const struct apiserver_v1_authorizer_configuration *a,
	const struct field_path *p, struct str_vec *types, struct str_vec *names,
	struct field_errors *e)
{
	static const char *const known[] = {
		"ABAC", "AlwaysAllow", "AlwaysDeny", "Node", "RBAC", "Webhook", NULL};
	bool webhook = str_eqc(a->type, "Webhook");

	if (!a->type.n) {
		field_required(e, AT(p, "type"), "%s", "");
		return;
	}
	if (!field_one_of(e, AT(p, "type"), a->type, known))
		return;
	if (!webhook && str_vec_has(types, a->type)) {
		field_duplicate(e, AT(p, "type"), a->type);
		return;
	}
	ARENA_PUSH(e->arena, types, a->type);
	check_name(a->name, names, AT(p, "name"), e);
	ARENA_PUSH(e->arena, names, a->name);
	if (webhook && !a->webhook)
		field_required(e, AT(p, "webhook"), "required when type=Webhook");
	else if (webhook)
		check_webhook(a->webhook, p, e);
	else if (a->webhook)
		field_invalid(e, AT(p, "webhook"), S("non-null"),
			"may only be specified when type=Webhook");
}

/* Those that are not webhooks are called by their type in lower case. */
static int check_names(const struct apiserver_v1_authorization_configuration *c, struct arena *a,
	const struct authz_chain *old, struct err *err)
{
	struct str_vec errors = {0}, missing = {0};

	for (size_t i = 0; i < c->authorizers.n; i++) {
		const struct apiserver_v1_authorizer_configuration *z = &c->authorizers.v[i];
		struct str want = str_lower(a, z->type);

		if (!str_eqc(z->type, "Webhook") && !str_eq(want, z->name))
			ARENA_PUSH(a, &errors,
				arena_fmt(a,
					"expected name " STR_FMT " for authorizer " STR_FMT
					" instead of " STR_FMT,
					STR_ARG(want), STR_ARG(z->type), STR_ARG(z->name)));
	}
	for (size_t i = 0; old && i < old->n; i++) {
		bool there = old->v[i].ops == &webhook_authorizer;

		for (size_t k = 0; !there && k < c->authorizers.n; k++)
			there = str_eqc(c->authorizers.v[k].type, old->v[i].ops->mode);
		if (!there)
			ARENA_PUSH(a, &missing, str_c(old->v[i].ops->mode));
	}
	for (size_t i = 0; i < missing.n; i++)
		ARENA_PUSH(a, &errors,
			arena_fmt(
				a, "missing required types: [" STR_FMT "]", STR_ARG(missing.v[i])));
	return errors.n ? err_bad_request(err, STR_FMT, STR_ARG(auth_aggregate(a, &errors))) : 0;
}

static int check(const struct apiserver_v1_authorization_configuration *c, struct arena *a,
	const struct authz_chain *old, struct err *err)
{
	struct field_errors e = {.arena = a};
	struct field_path list = FIELD(NULL, "authorizers");
	struct str_vec types = {0}, names = {0};
	int r;

	if (!c->authorizers.n)
		field_required(&e, &list, "at least one authorization mode must be defined");
	if (c->authorizers.n > AUTHORIZERS_MAX)
		field_too_many(&e, &list, c->authorizers.n, AUTHORIZERS_MAX);
	for (size_t i = 0; i < c->authorizers.n; i++)
		check_authorizer(&c->authorizers.v[i], AT_INDEX(&list, i), &types, &names, &e);
	r = config_errors(&e, err);
	return r < 0 ? r : check_names(c, a, old, err);
}

/* --- making --- */

static int add_webhook(struct authz_chain *chain,
	const struct apiserver_v1_authorizer_configuration *z, struct arena *a, struct err *err)
{
	const struct apiserver_v1_webhook_configuration *w = z->webhook;
	bool keep_yes = !w->cache_authorized_requests || *w->cache_authorized_requests;
	bool keep_no = !w->cache_unauthorized_requests || *w->cache_unauthorized_requests;
	struct authz_webhook_opts o = {.name = z->name,
		.version = w->subject_access_review_version,
		.kubeconfig = w->connection_info.kube_config_file.n
				      ? arena_cstr(a, w->connection_info.kube_config_file)
				      : NULL,
		.timeout_ms = (int)duration_ms(w->timeout, TIMEOUT_MS_MAX),
		.allowed_ttl_ms = keep_yes ? duration_ms(w->authorized_ttl, ALLOWED_TTL_MS) : 0,
		.refused_ttl_ms = keep_no ? duration_ms(w->unauthorized_ttl, REFUSED_TTL_MS) : 0,
		.deny_on_error = str_eqc(w->failure_policy, "Deny")};
	void *self;
	int r;

	for (size_t i = 0; i < w->match_conditions.n; i++)
		ARENA_PUSH(a, &o.conditions, w->match_conditions.v[i].expression);
	r = authz_webhook_new(&o, &self, err);

	if (r >= 0)
		authz_chain_add(chain, &webhook_authorizer, self, true);
	return r;
}

/* The policies of ABAC are read once. */
static int add_abac(struct authz_chain *chain, const struct authz_opts *o,
	const struct authz_chain *old, struct err *err)
{
	void *self;
	int r;

	for (size_t i = 0; old && i < old->n; i++) {
		if (old->v[i].ops == &abac_authorizer) {
			authz_chain_add(chain, &abac_authorizer, old->v[i].self, false);
			return 0;
		}
	}
	r = abac_new(o->policy_file ? o->policy_file : "", &self, err);
	if (r >= 0)
		authz_chain_add(chain, &abac_authorizer, self, true);
	return r;
}

static int add(struct authz_chain *chain, const struct authz_opts *o,
	const struct apiserver_v1_authorizer_configuration *z, const struct authz_chain *old,
	struct arena *a, struct err *err)
{
	const struct authorizer *ops = authorizer_find(z->type);

	if (ops == &webhook_authorizer)
		return add_webhook(chain, z, a, err);
	if (ops == &abac_authorizer)
		return add_abac(chain, o, old, err);
	authz_chain_add(chain, ops, NULL, true);
	return 0;
}

static int read_config(struct str text, struct arena *a, const struct authz_chain *old,
	struct apiserver_v1_authorization_configuration **ret, struct err *err)
{
	struct err why CLEANUP(err_release) = {0};
	int r;

	*ret = ARENA_NEW(a, struct apiserver_v1_authorization_configuration);
	r = text.n ? config_decode(&kind, text, a, (void **)ret, &why) : 0;
	if (r >= 0)
		r = check_durations(*ret, &why);
	if (r < 0)
		return err_bad_request(err,
			"failed to load AuthorizationConfiguration from file: %s", err_text(&why));
	return check(*ret, a, old, err);
}

int authz_chain_from_config(const struct authz_opts *o, struct str text,
	const struct authz_chain *old, struct authz_chain **ret, struct err *err)
{
	struct apiserver_v1_authorization_configuration *config;
	struct err why CLEANUP(err_release) = {0};
	struct authz_chain *c = NULL;
	struct arena a = {0};
	int r = read_config(text, &a, old, &config, err);

	if (r >= 0)
		c = xcalloc(1, sizeof(*c));
	for (size_t i = 0; c && r >= 0 && i < config->authorizers.n; i++)
		r = add(c, o, &config->authorizers.v[i], old, &a, &why);
	if (c && r < 0) {
		authz_chain_free(c);
		err_bad_request(err, "invalid authorization config: %s", err_text(&why));
	} else if (r >= 0) {
		*ret = c;
	}
	arena_release(&a);
	return r;
}
