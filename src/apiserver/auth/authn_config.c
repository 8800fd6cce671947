/* authn_config.c: issuers and anonymous access, from flags or a file (apiserver
 * pkg/apis/apiserver/validation). */
#include "apiserver/auth/config_file.h"
#include "apiserver/auth/jwt.h"
#include "apiserver/auth/oidc.h"
#include "apiserver/validation/names.h"

#define NO_EXPRESSIONS "expressions are not evaluated here yet"

static const struct config_kind kind = {"AuthenticationConfiguration",
	&apiserver_v1_authentication_configuration_schema,
	"kubernetes/pkg/kubeapiserver/options/authentication.go:879"};

/* --- checking --- */

/* [a b], Go's %s of a list, sorted */
static struct str list_text(struct arena *a, const struct str_vec *v)
{
	struct str_vec sorted = {0};
	struct str out = S("[");

	for (size_t i = 0; i < v->n; i++) {
		size_t at;

		ARENA_PUSH(a, &sorted, v->v[i]);
		for (at = sorted.n - 1; at > 0 && str_cmp(sorted.v[at - 1], v->v[i]) > 0; at--)
			sorted.v[at] = sorted.v[at - 1];
		sorted.v[at] = v->v[i];
	}
	for (size_t i = 0; i < sorted.n; i++)
		out = arena_fmt(
			a, STR_FMT "%s" STR_FMT, STR_ARG(out), i ? " " : "", STR_ARG(sorted.v[i]));
	return arena_fmt(a, STR_FMT "]", STR_ARG(out));
}

static void check_url(struct str url, const struct str_vec *taken, const struct field_path *p,
	struct field_errors *e)
{
	struct str rest = url, authority, fragment, query;
	bool has_fragment, has_query;

	if (taken && str_vec_has(taken, url))
		field_invalid(e, p, url, "URL must not overlap with disallowed issuers: " STR_FMT,
			STR_ARG(list_text(e->arena, taken)));
	if (!str_starts(url, S("https://")))
		field_invalid(e, p, url, "URL scheme must be https");
	if (str_find(rest, S("://")) >= 0)
		rest = str_sub(rest, (size_t)str_find(rest, S("://")) + 3, rest.n);
	has_fragment = str_cut(rest, '#', &rest, &fragment) && fragment.n;
	has_query = str_cut(rest, '?', &rest, &query) && query.n;
	str_cut(rest, '/', &authority, &rest);
	if (str_chr(authority, '@') >= 0)
		field_invalid(e, p, url, "URL must not contain a username or password");
	if (has_query)
		field_invalid(e, p, url, "URL must not contain a query");
	if (has_fragment)
		field_invalid(e, p, url, "URL must not contain a fragment");
}

static struct str without_slashes(struct str s)
{
	while (s.n && s.p[s.n - 1] == '/')
		s.n--;
	return s;
}

static void check_audiences(
	const struct apiserver_v1_issuer *s, const struct field_path *p, struct field_errors *e)
{
	struct field_path list = FIELD(p, "audiences"), policy = FIELD(p, "audienceMatchPolicy");
	struct str_vec seen = {0};
	bool any = str_eqc(s->audience_match_policy, "MatchAny");

	if (!s->audiences.n) {
		field_required(e, &list, "at least one " STR_FMT " is required",
			STR_ARG(field_path_text(e->arena, &list)));
		return;
	}
	for (size_t i = 0; i < s->audiences.n; i++) {
		if (!s->audiences.v[i].n)
			field_required(e, AT_INDEX(&list, i), "%s", "");
		if (str_vec_has(&seen, s->audiences.v[i]))
			field_duplicate(e, AT_INDEX(&list, i), s->audiences.v[i]);
		ARENA_PUSH(e->arena, &seen, s->audiences.v[i]);
	}
	if (s->audiences.n > 1 && !any)
		field_invalid(e, &policy, s->audience_match_policy,
			"audienceMatchPolicy must be MatchAny for multiple audiences");
	if (s->audiences.n == 1 && s->audience_match_policy.n && !any)
		field_invalid(e, &policy, s->audience_match_policy,
			"audienceMatchPolicy must be empty or MatchAny for single audience");
}

static void check_issuer(const struct apiserver_v1_issuer *s, const struct str_vec *taken,
	const struct field_path *p, struct field_errors *e)
{
	void *store;

	if (!s->url.n)
		field_required(e, AT(p, "url"), "%s", "");
	else
		check_url(s->url, taken, AT(p, "url"), e);
	if (s->discovery_url.n) {
		if (s->url.n && str_eq(without_slashes(s->url), without_slashes(s->discovery_url)))
			field_invalid(e, AT(p, "discoveryURL"), s->discovery_url,
				"discoveryURL must be different from URL");
		check_url(s->discovery_url, NULL, AT(p, "discoveryURL"), e);
	}
	check_audiences(s, p, e);
	if (s->certificate_authority.n) {
		if (cert_store_new(s->certificate_authority, "", &store, NULL) < 0)
			field_invalid(e, AT(p, "certificateAuthority"), S("<omitted>"),
				"data does not contain any valid RSA or ECDSA certificates");
		else
			cert_store_free(store);
	}
	if (s->egress_selector_type.n && !str_eqc(s->egress_selector_type, "controlplane") &&
		!str_eqc(s->egress_selector_type, "cluster"))
		field_invalid(e, AT(p, "egressSelectorType"), s->egress_selector_type,
			"egress selector must be either controlplane or cluster");
}

static void check_rules(const struct apiserver_v1_claim_validation_rule_vec *rules,
	const struct field_path *p, struct field_errors *e)
{
	struct str_vec seen = {0};

	for (size_t i = 0; i < rules->n; i++) {
		const struct apiserver_v1_claim_validation_rule *r = &rules->v[i];
		struct field_path at = FIELD_INDEX(p, i);

		if (r->claim.n && r->expression.n) {
			field_invalid(e, &at, r->claim, "claim and expression can't both be set");
		} else if (r->expression.n) {
			if (r->required_value.n)
				field_invalid(e, AT(&at, "requiredValue"), r->required_value,
					"may not be specified when expression is set");
			field_forbidden(e, AT(&at, "expression"), NO_EXPRESSIONS);
		} else if (!r->claim.n) {
			field_required(e, &at, "claim or expression is required");
		} else {
			if (r->message.n)
				field_invalid(e, AT(&at, "message"), r->message,
					"may not be specified when claim is set");
			if (str_vec_has(&seen, r->claim))
				field_duplicate(e, AT(&at, "claim"), r->claim);
			ARENA_PUSH(e->arena, &seen, r->claim);
		}
	}
}

static void check_mapping(const struct apiserver_v1_prefixed_claim_or_expression *m, bool required,
	const struct field_path *p, struct field_errors *e)
{
	if (m->claim.n && m->expression.n)
		field_invalid(e, p, S(""), "claim and expression can't both be set");
	else if (m->expression.n)
		field_forbidden(e, AT(p, "expression"), NO_EXPRESSIONS);
	else if (!m->claim.n && required)
		field_required(e, p, "claim or expression is required");
	else if (m->claim.n && !m->prefix.p)
		field_required(e, AT(p, "prefix"),
			"prefix is required when claim is set. It can be set to an empty string to "
			"disable prefixing");
}

static bool is_reserved(struct str key)
{
	struct str domain, rest;

	if (!str_cut(key, '/', &domain, &rest))
		return false;
	return str_eqc(domain, "kubernetes.io") || str_ends(domain, S(".kubernetes.io")) ||
	       str_eqc(domain, "k8s.io") || str_ends(domain, S(".k8s.io"));
}

static void check_extra(const struct apiserver_v1_extra_mapping_vec *list,
	const struct field_path *p, struct field_errors *e)
{
	struct str_vec seen = {0};

	for (size_t i = 0; i < list->n; i++) {
		struct str key = list->v[i].key;
		struct field_path at = FIELD_INDEX(p, i), name = FIELD(&at, "key");

		validate_domain_prefixed_path(key, &name, e);
		if (!str_eq(key, str_lower(e->arena, key)))
			field_invalid(e, &name, key, "must be lowercase");
		if (is_reserved(key))
			field_invalid(e, &name, key,
				"k8s.io, kubernetes.io and their subdomains are reserved for "
				"Kubernetes use");
		if (str_vec_has(&seen, key))
			field_duplicate(e, &name, key);
		else if (!list->v[i].value_expression.n)
			field_required(e, AT(&at, "valueExpression"), "%s", "");
		else
			field_forbidden(e, AT(&at, "valueExpression"), NO_EXPRESSIONS);
		ARENA_PUSH(e->arena, &seen, key);
	}
}

static void check_mappings(const struct apiserver_v1_claim_mappings *m, const struct field_path *p,
	struct field_errors *e)
{
	check_mapping(&m->username, true, AT(p, "username"), e);
	check_mapping(&m->groups, false, AT(p, "groups"), e);
	if (m->uid.claim.n && m->uid.expression.n)
		field_invalid(e, AT(p, "uid"), S(""), "claim and expression can't both be set");
	else if (m->uid.expression.n)
		field_forbidden(e, AT(AT(p, "uid"), "expression"), NO_EXPRESSIONS);
	check_extra(&m->extra, AT(p, "extra"), e);
}

static void check_jwt(const struct apiserver_v1_jwt_authenticator *j, const struct str_vec *taken,
	const struct field_path *p, struct field_errors *e)
{
	struct field_path users = FIELD(p, "userValidationRules");

	check_issuer(&j->issuer, taken, AT(p, "issuer"), e);
	check_rules(&j->claim_validation_rules, AT(p, "claimValidationRules"), e);
	check_mappings(&j->claim_mappings, AT(p, "claimMappings"), e);
	for (size_t i = 0; i < j->user_validation_rules.n; i++) {
		struct field_path at = FIELD_INDEX(&users, i),
				  expression = FIELD(&at, "expression");

		if (!j->user_validation_rules.v[i].expression.n)
			field_required(e, &expression, "%s", "");
		else
			field_forbidden(e, &expression, NO_EXPRESSIONS);
	}
}

static void check_anonymous(
	const struct apiserver_v1_anonymous_auth_config *c, struct field_errors *e)
{
	struct field_path p = FIELD(NULL, "anonymous");
	struct str text = S("[");

	if (!c || c->enabled || !c->conditions.n)
		return;
	for (size_t i = 0; i < c->conditions.n; i++)
		text = arena_fmt(e->arena, STR_FMT "%s{\"Path\":" STR_FMT "}", STR_ARG(text),
			i ? "," : "", STR_ARG(go_quote(e->arena, c->conditions.v[i].path)));
	field_invalid_raw(e, AT(&p, "conditions"), arena_fmt(e->arena, STR_FMT "]", STR_ARG(text)),
		"enabled should be set to true when conditions are defined");
}

static int check(const struct apiserver_v1_authentication_configuration *c,
	const struct str_vec *taken, struct arena *a, struct err *err)
{
	struct field_errors e = {.arena = a};
	struct field_path list = FIELD(NULL, "jwt");
	struct str_vec urls = {0}, discovery = {0};
	struct err why CLEANUP(err_release) = {0};

	if (c->jwt.n > JWT_ISSUERS_MAX)
		field_too_many(&e, &list, c->jwt.n, JWT_ISSUERS_MAX);
	for (size_t i = 0; i < c->jwt.n && c->jwt.n <= JWT_ISSUERS_MAX; i++) {
		const struct apiserver_v1_issuer *s = &c->jwt.v[i].issuer;
		struct field_path at = FIELD_INDEX(&list, i), issuer = FIELD(&at, "issuer");

		check_jwt(&c->jwt.v[i], taken, &at, &e);
		if (str_vec_has(&urls, s->url))
			field_duplicate(&e, AT(&issuer, "url"), s->url);
		if (s->discovery_url.n && str_vec_has(&discovery, s->discovery_url))
			field_duplicate(&e, AT(&issuer, "discoveryURL"), s->discovery_url);
		ARENA_PUSH(a, &urls, s->url);
		ARENA_PUSH(a, &discovery, s->discovery_url);
	}
	check_anonymous(c->anonymous, &e);
	if (config_errors(&e, &why) < 0)
		return err_bad_request(
			err, "invalid authentication configuration: %s", err_text(&why));
	return 0;
}

/* --- from flags --- */

/* A claim that is not unique in the world gets its issuer in front, as in the first days. */
static struct str name_prefix(const struct oidc_opts *o, struct arena *a)
{
	if (str_eqc(o->username_prefix, "-"))
		return S("");
	if (!o->username_prefix.n && !str_eqc(o->username_claim, "email"))
		return arena_fmt(a, STR_FMT "#", STR_ARG(o->issuer_url));
	return o->username_prefix.n ? o->username_prefix : S("");
}

static void config_from_flags(const struct oidc_opts *o, struct arena *a,
	struct apiserver_v1_authentication_configuration *ret)
{
	struct apiserver_v1_jwt_authenticator j = {
		.issuer = {.url = o->issuer_url, .certificate_authority = o->ca_pem}};

	ARENA_PUSH(a, &j.issuer.audiences, o->client_id);
	j.claim_mappings.username.claim = o->username_claim;
	j.claim_mappings.username.prefix = name_prefix(o, a);
	if (o->groups_claim.n) {
		j.claim_mappings.groups.claim = o->groups_claim;
		j.claim_mappings.groups.prefix = o->groups_prefix.n ? o->groups_prefix : S("");
	}
	for (size_t i = 0; i < o->required_claims.n; i++)
		ARENA_PUSH(a, &j.claim_validation_rules,
			((struct apiserver_v1_claim_validation_rule){
				.claim = o->required_claims.v[i].key,
				.required_value = o->required_claims.v[i].value}));
	ARENA_PUSH(a, &ret->jwt, j);
}

static int check_flags(const struct auth_opts *o, struct err *err)
{
	if (o->authn_config_file && o->oidc.given)
		return err_bad_request(
			err, "authentication-config file and oidc-* flags are mutually exclusive");
	if (o->oidc.given && (!o->oidc.issuer_url.n || !o->oidc.client_id.n))
		return err_bad_request(err, "oidc-issuer-url and oidc-client-id must be specified "
					    "together when any oidc-* flags are set");
	for (size_t i = 0; i < o->oidc.signing_algs.n; i++)
		if (!jwt_algorithm_known(o->oidc.signing_algs.v[i]))
			return err_bad_request(err,
				"oidc: unsupported signing alg: \"" STR_FMT "\"",
				STR_ARG(o->oidc.signing_algs.v[i]));
	return 0;
}

/* --- making --- */

static struct str_vec algorithms_of(const struct auth_opts *o, struct arena *a)
{
	static const char *const all[] = {
		"ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512"};
	struct str_vec out = {0};

	if (!o->authn_config_file && o->oidc.signing_algs.n)
		return o->oidc.signing_algs;
	for (size_t i = 0; o->authn_config_file && i < ARRAY_SIZE(all); i++)
		ARENA_PUSH(a, &out, str_c(all[i]));
	if (!out.n)
		ARENA_PUSH(a, &out, S("RS256"));
	return out;
}

static int make_issuers(const struct apiserver_v1_authentication_configuration *c,
	const struct str_vec *algorithms, struct jwt_issuers **ret, struct err *err)
{
	struct jwt_issuers *list;
	int r = 0;

	*ret = NULL;
	if (!c->jwt.n)
		return 0;
	list = xcalloc(1, sizeof(*list));
	for (size_t i = 0; r >= 0 && i < c->jwt.n; i++) {
		r = jwt_issuer_new(&c->jwt.v[i], algorithms, &list->v[list->n], err);
		if (r >= 0)
			list->n++;
	}
	if (r < 0)
		jwt_issuers_free(list);
	else
		*ret = list;
	return r;
}

static int read_config(const struct auth_opts *o, struct str text, struct arena *a,
	struct apiserver_v1_authentication_configuration **ret, struct err *err)
{
	struct err why CLEANUP(err_release) = {0};
	int r;

	*ret = ARENA_NEW(a, struct apiserver_v1_authentication_configuration);
	if (o->authn_config_file) {
		r = text.n ? config_decode(&kind, text, a, (void **)ret, &why)
			   : err_bad_request(&why, "empty config data");
		return r < 0 ? err_bad_request(err,
				       "failed to load authentication configuration from file "
				       "\"%s\": %s",
				       o->authn_config_file, err_text(&why))
			     : 0;
	}
	if (o->oidc.given)
		config_from_flags(&o->oidc, a, *ret);
	return 0;
}

int authn_config_make(const struct auth_opts *o, struct str text, const struct str_vec *issuers,
	struct arena *a, struct authn_config *ret, struct err *err)
{
	struct apiserver_v1_authentication_configuration *c;
	struct authn_config out = {0};
	struct str_vec algorithms = algorithms_of(o, a);
	int r = check_flags(o, err);

	if (r == 0)
		r = read_config(o, text, a, &c, err);
	if (r == 0 && c->anonymous && o->anonymous_given)
		r = err_bad_request(err,
			"anonymous: Forbidden: --anonymous-auth flag cannot be set when "
			"anonymous field is configured in authentication configuration "
			"file");
	if (r == 0)
		r = check(c, issuers, a, err);
	if (r == 0)
		r = make_issuers(c, &algorithms, &out.issuers, err);
	if (r < 0)
		return r;
	out.has_anonymous = c->anonymous != NULL;
	out.anonymous = c->anonymous && c->anonymous->enabled;
	for (size_t i = 0; out.anonymous && i < c->anonymous->conditions.n; i++)
		ARENA_PUSH(a, &out.anonymous_paths, c->anonymous->conditions.v[i].path);
	*ret = out;
	return 0;
}
