/* oidc.c: whose is this token? (apiserver plugin/pkg/authenticator/token/oidc) */
#include "apiserver/auth/oidc.h"

#include <pthread.h>

#include "apiserver/auth/jwt.h"
#include "apiserver/auth/outside.h"
#include "apiserver/auth/rbac_rules.h"
#include "apiserver/field.h"

#define WELL_KNOWN "/.well-known/openid-configuration"
#define NS_PER_S INT64_C(1000000000)

enum {
	TIMEOUT_MS = 30 * 1000,
	DISCOVERY_PAUSE_S = 10, /* after one that failed */
	KEYS_PAUSE_S = 1,       /* a token with a wrong signature does not ask more often */
	LEEWAY_S = 60,          /* of nbf */
};

struct jwt_issuer {
	struct arena arena;
	struct apiserver_v1_jwt_authenticator config; /* in the arena */
	struct str_vec algorithms;
	struct outside_server *discovery;

	pthread_mutex_t lock;             /* of what follows */
	struct outside_server *keys_from; /* NULL: not yet discovered */
	struct jwks *keys;                /* NULL: not yet fetched */
	int64_t discovery_failed_ns, keys_fetched_ns;
};

/* --- keys --- */

/* The document must be about the issuer that we know; it says where the keys are. */
static int take_discovery(struct jwt_issuer *s, struct str json, struct arena *a, struct err *err)
{
	struct json_value *v;
	struct outside_server_opts o = {
		.ca_pem = s->config.issuer.certificate_authority, .timeout_ms = TIMEOUT_MS};
	struct outside_server *keys_from;
	struct str issuer;

	if (json_parse(json, a, &v, err) < 0)
		return -EINVAL;
	issuer = json_get_str(v, "issuer");
	if (!str_eq(issuer, s->config.issuer.url))
		return err_bad_request(err,
			"oidc: issuer did not match the issuer returned by provider, "
			"expected " STR_FMT " got " STR_FMT,
			STR_ARG(go_quote(a, s->config.issuer.url)), STR_ARG(go_quote(a, issuer)));
	o.url = json_get_str(v, "jwks_uri");
	if (!str_starts(o.url, S("https://")) && !str_starts(o.url, S("http://")))
		return err_bad_request(err, "provider did not return JWKS URL");
	if (outside_server_new(&o, &keys_from, err) < 0)
		return -EINVAL;
	pthread_mutex_lock(&s->lock);
	if (s->keys_from)
		outside_server_free(keys_from); /* another request was faster */
	else
		s->keys_from = keys_from;
	pthread_mutex_unlock(&s->lock);
	return 0;
}

static int not_initialized(
	struct jwt_issuer *s, const struct token_question *q, const char *why, struct err *err)
{
	log_error("oidc authenticator: initializing plugin: %s", why);
	pthread_mutex_lock(&s->lock);
	s->discovery_failed_ns = q->now_ns;
	pthread_mutex_unlock(&s->lock);
	return err_fmt(err, 401, "Unauthorized", "oidc: authenticator not initialized");
}

/* 0: *ret is where the keys are. 1: an answer has to come first. */
static int find_provider(struct jwt_issuer *s, const struct token_question *q,
	struct outside_server **ret, struct err *err)
{
	struct err why CLEANUP(err_release) = {0};
	const struct outside_answer *answer;
	int64_t failed_ns;

	pthread_mutex_lock(&s->lock);
	*ret = s->keys_from;
	failed_ns = s->discovery_failed_ns;
	pthread_mutex_unlock(&s->lock);
	if (*ret)
		return 0;
	if (failed_ns && q->now_ns < failed_ns + DISCOVERY_PAUSE_S * NS_PER_S)
		return err_fmt(err, 401, "Unauthorized", "oidc: authenticator not initialized");
	answer = outside_get(q->outside, s->discovery, S(""), S(""));
	if (!answer)
		return 1;
	if (answer->error.n)
		return not_initialized(s, q, arena_cstr(q->arena, answer->error), err);
	if (take_discovery(s, answer->body, q->arena, &why) < 0)
		return not_initialized(s, q, err_text(&why), err);
	pthread_mutex_lock(&s->lock);
	*ret = s->keys_from;
	pthread_mutex_unlock(&s->lock);
	return 0;
}

static bool signed_by_known(
	struct jwt_issuer *s, const struct jwt *t, int64_t now_ns, bool *ret_fresh)
{
	struct jwks *keys;
	bool ok;

	pthread_mutex_lock(&s->lock);
	keys = s->keys ? jwks_ref(s->keys) : NULL;
	*ret_fresh = keys && now_ns < s->keys_fetched_ns + KEYS_PAUSE_S * NS_PER_S;
	pthread_mutex_unlock(&s->lock);
	ok = keys && jwks_signed(keys, t);
	jwks_unref(keys);
	return ok;
}

static void take_keys(struct jwt_issuer *s, struct jwks *keys, int64_t now_ns)
{
	struct jwks *old;

	pthread_mutex_lock(&s->lock);
	old = s->keys;
	s->keys = keys;
	s->keys_fetched_ns = now_ns;
	pthread_mutex_unlock(&s->lock);
	jwks_unref(old);
}

static int bad_signature(struct err *err)
{
	return err_fmt(err, 401, "Unauthorized",
		"oidc: verify token: failed to verify signature: failed to verify id token "
		"signature");
}

/* With the keys we have, then with those that the provider has now. 1: an answer has to come first.
 */
static int check_signature(
	struct jwt_issuer *s, const struct token_question *q, const struct jwt *t, struct err *err)
{
	struct err why CLEANUP(err_release) = {0};
	const struct outside_answer *answer;
	struct outside_server *from;
	struct jwks *keys;
	bool fresh, ok;
	int r;

	if (signed_by_known(s, t, q->now_ns, &fresh))
		return 0;
	r = fresh ? bad_signature(err) : find_provider(s, q, &from, err);
	if (r)
		return r;
	answer = outside_get(q->outside, from, S(""), S(""));
	if (!answer)
		return 1;
	if (answer->error.n)
		return err_fmt(err, 401, "Unauthorized",
			"oidc: verify token: failed to verify signature: fetching keys oidc: get "
			"keys failed " STR_FMT,
			STR_ARG(answer->error));
	if (jwks_parse(answer->body, &keys, &why) < 0)
		return err_fmt(err, 401, "Unauthorized",
			"oidc: verify token: failed to verify signature: fetching keys oidc: "
			"failed to decode keys: %s",
			err_text(&why));
	ok = jwks_signed(keys, t);
	take_keys(s, keys, q->now_ns);
	return ok ? 0 : bad_signature(err);
}

/* --- claims --- */

static int check_audience(
	const struct jwt_issuer *s, struct arena *a, const struct jwt *t, struct err *err)
{
	const struct str_vec *want = &s->config.issuer.audiences;
	struct str_vec have = {0};

	jwt_audiences(t->claims, a, &have);
	for (size_t i = 0; i < have.n; i++)
		if (str_vec_has(want, have.v[i]))
			return 0;
	if (want->n == 1)
		return err_fmt(err, 401, "Unauthorized",
			"oidc: verify token: oidc: expected audience " STR_FMT " got " STR_FMT,
			STR_ARG(go_quote(a, want->v[0])), STR_ARG(go_quote_list(a, &have)));
	return err_fmt(err, 401, "Unauthorized",
		"oidc: verify token: oidc: expected audience in " STR_FMT " got " STR_FMT,
		STR_ARG(go_quote_list(a, want)), STR_ARG(go_quote_list(a, &have)));
}

static int check_times(const struct jwt *t, int64_t now_ns, struct err *err)
{
	int64_t now_s = now_ns / NS_PER_S, expires_s = 0, from_s;

	jwt_time(t->claims, "exp", &expires_s);
	if (expires_s < now_s || (expires_s == now_s && now_ns % NS_PER_S))
		return err_fmt(err, 401, "Unauthorized",
			"oidc: verify token: oidc: token is expired (Token Expiry: %lld)",
			(long long)expires_s);
	if (jwt_time(t->claims, "nbf", &from_s) && now_s + LEEWAY_S < from_s)
		return err_fmt(err, 401, "Unauthorized",
			"oidc: verify token: oidc: current time %lld before the nbf (not before) "
			"time: %lld",
			(long long)now_s, (long long)from_s);
	return 0;
}

/* Go's words about a claim that is no string. */
static int string_claim(
	const struct jwt *t, struct arena *a, struct str name, struct str *ret, struct str *ret_why)
{
	static const char *const kinds[] = {"", "bool", "number", "string", "array", "object"};
	const struct json_value *v = json_get(t->claims, name);

	if (!v) {
		*ret_why = S("claim not present");
		return -ENOENT;
	}
	if (v->kind == JSON_NULL)
		*ret = S("");
	else if (v->kind == JSON_STRING)
		*ret = v->text;
	else
		*ret_why = arena_fmt(a, "json: cannot unmarshal %s into Go value of type string",
			kinds[v->kind]);
	return v->kind == JSON_NULL || v->kind == JSON_STRING ? 0 : -EINVAL;
}

static int check_email(const struct jwt *t, struct err *err)
{
	const struct json_value *v = json_getc(t->claims, "email_verified");

	if (!v)
		return 0;
	if (v->kind != JSON_BOOL)
		return err_fmt(err, 401, "Unauthorized",
			"oidc: parse 'email_verified' claim: it is no bool");
	return v->boolean ? 0 : err_fmt(err, 401, "Unauthorized", "oidc: email not verified");
}

static int read_name(const struct jwt_issuer *s, const struct jwt *t, struct arena *a,
	struct str *ret, struct err *err)
{
	const struct apiserver_v1_prefixed_claim_or_expression *m =
		&s->config.claim_mappings.username;
	struct str name, why;

	if (string_claim(t, a, m->claim, &name, &why) < 0)
		return err_fmt(err, 401, "Unauthorized",
			"oidc: parse username claims " STR_FMT ": " STR_FMT,
			STR_ARG(go_quote(a, m->claim)), STR_ARG(why));
	if (str_eqc(m->claim, "email") && check_email(t, err) < 0)
		return -EPERM;
	*ret = arena_fmt(a, STR_FMT STR_FMT, STR_ARG(m->prefix), STR_ARG(name));
	return 0;
}

/* One string, or a list of them. */
static int read_groups(const struct jwt_issuer *s, const struct jwt *t, struct arena *a,
	struct str_vec *ret, struct err *err)
{
	const struct apiserver_v1_prefixed_claim_or_expression *m =
		&s->config.claim_mappings.groups;
	const struct json_value *v = m->claim.n ? json_get(t->claims, m->claim) : NULL;
	bool good = true;

	if (!v)
		return 0;
	if (v->kind == JSON_STRING)
		ARENA_PUSH(a, ret,
			arena_fmt(a, STR_FMT STR_FMT, STR_ARG(m->prefix), STR_ARG(v->text)));
	for (size_t i = 0; v->kind == JSON_ARRAY && i < v->items.n; i++) {
		const struct json_value *one = v->items.v[i];

		good = good && one->kind == JSON_STRING;
		if (good)
			ARENA_PUSH(a, ret,
				arena_fmt(a, STR_FMT STR_FMT, STR_ARG(m->prefix),
					STR_ARG(one->text)));
	}
	if (good && (v->kind == JSON_STRING || v->kind == JSON_ARRAY || v->kind == JSON_NULL))
		return 0;
	return err_fmt(err, 401, "Unauthorized",
		"oidc: parse groups claim " STR_FMT
		": json: cannot unmarshal %s into Go value of type string",
		STR_ARG(go_quote(a, m->claim)),
		v->kind == JSON_ARRAY    ? "array"
		: v->kind == JSON_OBJECT ? "object"
		: v->kind == JSON_BOOL   ? "bool"
					 : "number");
}

static int check_required(
	const struct jwt_issuer *s, const struct jwt *t, struct arena *a, struct err *err)
{
	for (size_t i = 0; i < s->config.claim_validation_rules.n; i++) {
		const struct apiserver_v1_claim_validation_rule *rule =
			&s->config.claim_validation_rules.v[i];
		struct str value, why;
		int r = string_claim(t, a, rule->claim, &value, &why);

		if (r == -ENOENT)
			return err_fmt(err, 401, "Unauthorized",
				"oidc: required claim " STR_FMT " not present in ID token",
				STR_ARG(rule->claim));
		if (r < 0)
			return err_fmt(err, 401, "Unauthorized",
				"oidc: parse claim " STR_FMT ": " STR_FMT, STR_ARG(rule->claim),
				STR_ARG(why));
		if (!str_eq(value, rule->required_value))
			return err_fmt(err, 401, "Unauthorized",
				"oidc: required claim " STR_FMT
				" value does not match. Got = " STR_FMT ", want = " STR_FMT,
				STR_ARG(rule->claim), STR_ARG(value),
				STR_ARG(rule->required_value));
	}
	return 0;
}

static void add_credential_id(const struct jwt *t, struct arena *a, struct user_info *u)
{
	struct str id = json_get_str(t->claims, "jti");
	struct user_extra e = {.key = S("authentication.kubernetes.io/credential-id")};

	if (!id.n)
		return;
	ARENA_PUSH(a, &e.values, arena_fmt(a, "JTI=" STR_FMT, STR_ARG(id)));
	ARENA_PUSH(a, &u->extra, e);
}

static int read_user(const struct jwt_issuer *s, const struct jwt *t, struct arena *a,
	struct user_info *ret, struct err *err)
{
	struct str uid = s->config.claim_mappings.uid.claim, why;
	struct user_info u = {0};
	int r = read_name(s, t, a, &u.name, err);

	if (r == 0)
		r = read_groups(s, t, a, &u.groups, err);
	if (r == 0 && uid.n && string_claim(t, a, uid, &u.uid, &why) < 0)
		r = err_fmt(err, 401, "Unauthorized", "oidc: parse uid claim " STR_FMT ": " STR_FMT,
			STR_ARG(go_quote(a, uid)), STR_ARG(why));
	if (r == 0)
		r = check_required(s, t, a, err);
	if (r < 0)
		return r;
	add_credential_id(t, a, &u);
	*ret = u;
	return 0;
}

/* --- the authenticator --- */

static bool is_issuer(const struct jwt_issuer *s, struct str iss)
{
	return str_eq(s->config.issuer.url, iss) ||
	       (str_eqc(iss, "accounts.google.com") &&
		       str_eqc(s->config.issuer.url, "https://accounts.google.com"));
}

static int ask_issuer(struct jwt_issuer *s, const struct token_question *q, const struct jwt *t,
	struct user_info *ret, struct err *err)
{
	int r;

	if (!str_vec_has(&s->algorithms, t->alg))
		return err_fmt(err, 401, "Unauthorized",
			"oidc: verify token: oidc: id token signed with unsupported algorithm, "
			"expected " STR_FMT " got " STR_FMT,
			STR_ARG(go_quote_list(q->arena, &s->algorithms)),
			STR_ARG(go_quote(q->arena, t->alg)));
	r = check_signature(s, q, t, err);
	if (r > 0)
		return 0; /* outside_waits() */
	if (r == 0)
		r = check_audience(s, q->arena, t, err);
	if (r == 0)
		r = check_times(t, q->now_ns, err);
	if (r == 0)
		r = read_user(s, t, q->arena, ret, err);
	return r < 0 ? r : 1;
}

static int authenticate_jwt(const struct token_question *q, struct user_info *ret,
	struct str_vec *ret_audiences, struct err *err)
{
	struct jwt_issuers *list = q->auth->issuers_jwt;
	struct jwt t;

	if (!list || jwt_parse(q->token, q->arena, &t, NULL) < 0)
		return 0;
	for (size_t i = 0; i < list->n; i++)
		if (is_issuer(list->v[i], json_get_str(t.claims, "iss")))
			return ask_issuer(list->v[i], q, &t, ret, err);
	return 0;
}

const struct token_authenticator jwt_tokens = {
	.name = "OpenID Connect", .authenticate = authenticate_jwt};

/* --- life --- */

static void issuer_free(struct jwt_issuer *s)
{
	outside_server_free(s->discovery);
	outside_server_free(s->keys_from);
	jwks_unref(s->keys);
	pthread_mutex_destroy(&s->lock);
	arena_release(&s->arena);
	free(s);
}

int jwt_issuer_new(const struct apiserver_v1_jwt_authenticator *c, const struct str_vec *algorithms,
	struct jwt_issuer **ret, struct err *err)
{
	struct jwt_issuer *s = xcalloc(1, sizeof(*s));
	struct outside_server_opts o = {
		.ca_pem = c->issuer.certificate_authority, .timeout_ms = TIMEOUT_MS};
	struct str url = c->issuer.url;
	int r;

	pthread_mutex_init(&s->lock, NULL);
	s->config = *(struct apiserver_v1_jwt_authenticator *)schema_copy(
		&apiserver_v1_jwt_authenticator_schema, c, &s->arena);
	for (size_t i = 0; i < algorithms->n; i++)
		ARENA_PUSH(&s->arena, &s->algorithms, arena_str(&s->arena, algorithms->v[i]));
	if (str_ends(url, S("/")))
		url.n--;
	o.url = c->issuer.discovery_url.n ? c->issuer.discovery_url
					  : arena_fmt(&s->arena, STR_FMT WELL_KNOWN, STR_ARG(url));
	r = outside_server_new(&o, &s->discovery, err);
	if (r < 0) {
		issuer_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void jwt_issuers_free(struct jwt_issuers *list)
{
	while (list) {
		struct jwt_issuers *replaced = list->replaced;

		for (size_t i = 0; i < list->n; i++)
			issuer_free(list->v[i]);
		free(list);
		list = replaced;
	}
}
