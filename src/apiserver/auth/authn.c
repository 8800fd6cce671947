/* authn.c: the list of authenticators: who asks? */
#include "apiserver/auth/auth_files.h"
#include "apiserver/auth/authz_chain.h"
#include "apiserver/auth/config_file.h"
#include "apiserver/auth/node_pods.h"
#include "apiserver/auth/oidc.h"
#include "apiserver/auth/outside.h"
#include "apiserver/auth/rbac_index.h"
#include "apiserver/auth/rbac_rules.h"
#include "apiserver/auth/token_webhook.h"
#include "apiserver/field.h"

/* In this order, which is upstream's. */
static const struct token_authenticator *const token_authenticators[] = {
	&static_tokens,
	&service_account_tokens,
	&bootstrap_tokens,
	&jwt_tokens,
	&webhook_tokens,
};

static void add_copies(struct auth *a, const struct str_vec *from, struct str_vec *to)
{
	for (size_t i = 0; i < from->n; i++)
		ARENA_PUSH(&a->arena, to, arena_str(&a->arena, from->v[i]));
}

static int open_request_header(struct auth *a, const struct auth_opts *opts, struct err *err)
{
	const struct request_header_opts *from = &opts->request_header;
	struct request_header_opts *to = &a->request_header;
	int r;

	if (!from->ca_pem.n)
		return 0;
	add_copies(a, &from->allowed_names, &to->allowed_names);
	add_copies(a, &from->username_headers, &to->username_headers);
	add_copies(a, &from->uid_headers, &to->uid_headers);
	add_copies(a, &from->group_headers, &to->group_headers);
	add_copies(a, &from->extra_prefixes, &to->extra_prefixes);
	r = cert_store_new(
		from->ca_pem, "--requestheader-client-ca-file", &a->request_header_ca, err);
	return r < 0 ? r
		     : cert_store_new(opts->client_ca_pem, "--client-ca-file", &a->client_ca, err);
}

int auth_new(const struct auth_opts *opts, struct auth **ret, struct err *err)
{
	struct auth *a = xcalloc(1, sizeof(*a));
	int r = static_tokens_parse(
		a, opts->token_auth_path ? opts->token_auth_path : "", opts->token_auth_csv, err);

	a->store = opts->store;
	a->bootstrap_tokens = opts->bootstrap_tokens;
	a->rbac = rbac_new(opts->store);
	a->node_pods = node_pods_new(opts->store);
	node_rules_init(a);
	a->issuer = arena_strc(&a->arena, opts->service_account_issuer
						  ? opts->service_account_issuer
						  : "https://kubernetes.default.svc");
	ARENA_PUSH(&a->arena, &a->issuers, a->issuer);
	add_copies(a, &opts->service_account_issuers, &a->issuers);
	add_copies(a, &opts->api_audiences, &a->audiences);
	if (!a->audiences.n)
		add_copies(a, &a->issuers, &a->audiences);
	a->no_anonymous = opts->no_anonymous;
	a->jwks_uri = arena_strc(&a->arena, opts->jwks_uri);
	a->token_seconds_max = opts->token_seconds_max;
	if (r == 0)
		r = open_request_header(a, opts, err);
	if (r == 0)
		r = token_keys_open(
			a, opts->service_account_key_pem, opts->service_account_verify_pem, err);
	if (r == 0 && opts->token_webhook_file)
		r = token_webhook_new(opts->token_webhook_file, opts->token_webhook_version,
			opts->token_webhook_ttl_ms, &a->token_webhook, err);
	if (r == 0)
		r = auth_files_open(a, opts, err);
	if (r < 0) {
		auth_free(a);
		return r;
	}
	*ret = a;
	return 0;
}

void auth_free(struct auth *a)
{
	token_keys_close(a);
	cert_store_free(a->request_header_ca);
	cert_store_free(a->client_ca);
	auth_files_close(a->files);
	authz_chain_free(a->chain);
	jwt_issuers_free(a->issuers_jwt);
	token_webhook_free(a->token_webhook);
	rbac_free(a->rbac);
	node_pods_free(a->node_pods);
	arena_release(&a->arena);
	free(a);
}

/* Everyone with a credential is in system:authenticated. The groups may be shared, so they are
 * copied. */
void add_authenticated(struct arena *arena, struct user_info *u)
{
	const struct str_vec from = u->groups;

	if (str_vec_has(&from, S("system:authenticated")) ||
		str_vec_has(&from, S("system:unauthenticated")))
		return;
	u->groups = (struct str_vec){0};
	for (size_t i = 0; i < from.n; i++)
		ARENA_PUSH(arena, &u->groups, from.v[i]);
	ARENA_PUSH(arena, &u->groups, S("system:authenticated"));
}

/* The audiences that both lists have; false when there is none. */
static bool intersect(struct arena *a, const struct str_vec *want, const struct str_vec *have,
	struct str_vec *ret)
{
	struct str_vec both = {0};

	for (size_t i = 0; i < want->n; i++)
		if (str_vec_has(have, want->v[i]))
			ARENA_PUSH(a, &both, want->v[i]);
	*ret = both;
	return both.n > 0;
}

static int wrong_audience(
	struct arena *a, const struct str_vec *want, const struct str_vec *have, struct err *err)
{
	return err_fmt(err, 401, "Unauthorized",
		"token audiences " STR_FMT " is invalid for the target audiences " STR_FMT,
		STR_ARG(go_quote_list(a, have)), STR_ARG(go_quote_list(a, want)));
}

int authenticate_token(struct auth *a, struct outside *o, struct arena *arena, struct str token,
	const struct str_vec *want, int64_t now_ns, struct user_info *ret,
	struct str_vec *ret_audiences, struct err *err)
{
	struct token_question q = {.auth = a,
		.outside = o,
		.arena = arena,
		.token = token,
		.audiences = want->n ? want : &a->audiences,
		.now_ns = now_ns};
	struct str_vec errors = {0};

	for (size_t i = 0; i < ARRAY_SIZE(token_authenticators); i++) {
		struct err why CLEANUP(err_release) = {0};
		struct str_vec audiences = {0}, both;
		struct user_info user = {0};
		int r = token_authenticators[i]->authenticate(&q, &user, &audiences, &why);

		if (outside_waits(o))
			return -EPERM;
		if (r > 0 && !intersect(arena, q.audiences,
				     audiences.n ? &audiences : &a->audiences, &both)) {
			r = 0;
			if (audiences.n)
				wrong_audience(arena, q.audiences, &audiences, &why);
		}
		if (err_set(&why))
			ARENA_PUSH(arena, &errors, arena_strc(arena, err_text(&why)));
		if (r <= 0)
			continue;
		add_authenticated(arena, &user);
		*ret = user;
		*ret_audiences = both;
		return 0;
	}
	if (errors.n)
		return err_fmt(
			err, 401, "Unauthorized", STR_FMT, STR_ARG(auth_aggregate(arena, &errors)));
	return err_fmt(err, 401, "Unauthorized", "invalid bearer token");
}

static int unauthorized(struct err *err)
{
	return err_fmt(err, 401, "Unauthorized", "Unauthorized");
}

/* The token of "Authorization: Bearer …", or of the WebSocket subprotocol
 * base64url.bearer.authorization.k8s.io.…; absent when the client sent none (any other scheme
 * counts as none). */
static struct str bearer(struct http_exchange *x)
{
	struct str h = http_get_header(x, "Authorization"), scheme, rest;

	h = str_trim(h);
	str_cut(h, ' ', &scheme, &rest);
	return str_ieq(scheme, S("Bearer")) ? str_trim(rest) : (struct str){0};
}

/* TLS has verified the certificate; when proxies have a CA of their own, it remains to be seen
 * which CA's it is. */
static bool is_client(const struct auth *a, const struct http_exchange *x)
{
	return x->peer.x509 && (!a->client_ca || cert_is_signed_by(a->client_ca, x->peer.x509));
}

static bool anonymous_may_ask(const struct auth *a, struct str path)
{
	return !a->no_anonymous &&
	       (!a->anonymous_paths.n || str_vec_has(&a->anonymous_paths, path));
}

int authenticate(struct auth *a, struct outside *o, struct http_exchange *x, int64_t now_ns,
	struct user_info *ret, struct err *err)
{
	struct str token;
	struct str_vec audiences = {0};
	int proxied;

	if (x->peer.user) {
		*ret = *x->peer.user;
		return 0;
	}
	auth_files_follow(a, now_ns);
	proxied = user_from_headers(a, x, now_ns, ret);
	if (proxied <= 0 && is_client(a, x) &&
		user_from_certificate(&x->arena, x->peer.x509, now_ns, ret))
		proxied = 1;
	if (proxied > 0) {
		add_authenticated(&x->arena, ret);
		return 0;
	}
	token = bearer(x);
	if (token.n) {
		struct err why CLEANUP(err_release) = {0};

		if (authenticate_token(a, o, &x->arena, token, &a->audiences, now_ns, ret,
			    &audiences, &why) < 0)
			return unauthorized(err);
		return 0;
	}
	if (proxied < 0 || !anonymous_may_ask(a, x->path))
		return unauthorized(err);
	*ret = (struct user_info){.name = S("system:anonymous")};
	ARENA_PUSH(&x->arena, &ret->groups, S("system:unauthenticated"));
	return 0;
}
