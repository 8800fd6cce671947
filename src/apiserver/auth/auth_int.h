/*
 * auth_int.h: what the files of this folder share: the server's keys and tokens, the list of
 * authenticators (authn.c) and the chain of authorizers (authz.c).
 */
#ifndef SAMPAN_AUTH_INT_H
#define SAMPAN_AUTH_INT_H

#include "apiserver/auth.h"
#include "types.gen.h"

struct authn_config;
struct authz_chain;
struct jwt_issuers;
struct node_pods;
struct rbac;
struct token_webhook;

struct static_token {
	struct str token;
	struct user_info user;
};

struct auth {
	struct arena arena;
	struct store *store;
	struct str issuer;
	struct str_vec issuers; /* all whose tokens are taken; the first is ours */
	bool no_anonymous;
	struct request_header_opts request_header;
	void *request_header_ca, *client_ca; /* X509_STORE *, NULL: no such proxies */
	struct str jwks_uri;
	int64_t token_seconds_max;
	struct str_vec audiences; /* --api-audiences: whom tokens for the API server are for */
	struct {
		struct static_token *v;
		size_t n;
	} tokens;
	bool bootstrap_tokens; /* --enable-bootstrap-token-auth */
	struct rbac *rbac;
	struct node_pods *node_pods;
	struct rbac_v1_policy_rule_vec node_rules; /* what all nodes may do alike */
	_Atomic(struct authz_chain *) chain; /* authz_chain.h */
	_Atomic(struct jwt_issuers *) issuers_jwt; /* oidc.h; NULL: none */
	struct token_webhook *token_webhook; /* or NULL */
	struct str_vec anonymous_paths; /* where anonymous may come in; none: everywhere */
	struct auth_files *files; /* configuration that is followed; or NULL */
	void *key; /* EVP_PKEY * */
	bool is_ec;
	struct {
		void **v; /* EVP_PKEY *: all that tokens may be signed by, ours first */
		size_t n;
	} verify_keys;
	struct str key_id, jwks;
};

/* --- who? --- */

struct token_question {
	struct auth *auth;
	struct outside *outside;
	struct arena *arena;
	struct str token;
	const struct str_vec *audiences; /* that the token should be for */
	int64_t now_ns;
};

/* A kind of bearer token. A new kind is a file of its own and a line in authn.c. */
struct token_authenticator {
	const char *name;
	/* 1: it is ours and good: fills *ret, and *ret_audiences when it was made for some only. 0:
	 * not one of ours, or outside_waits(). Negative: ours but no longer good; err has the
	 * reason, as TokenReview shows it. What is filled in lives in the arena or as long as the
	 * auth; system:authenticated is added by the caller. Any I/O thread; must not block. */
	int (*authenticate)(const struct token_question *q, struct user_info *ret,
		struct str_vec *ret_audiences, struct err *err);
};
extern const struct token_authenticator static_tokens, service_account_tokens, bootstrap_tokens,
	jwt_tokens, webhook_tokens;

int static_tokens_parse(struct auth *a, const char *path, struct str csv, struct err *err);
int token_keys_open(struct auth *a, struct str pem, struct str verify_pem, struct err *err);
void token_keys_close(struct auth *a);
/* What a token whose signature was verified says; results as of struct token_authenticator. */
struct json_value;
int token_claims(struct auth *a, struct arena *arena, const struct json_value *claims,
	int64_t now_ns, struct user_info *ret, struct str_vec *ret_audiences, struct err *err);
/* 1: *ret is whom a trusted proxy speaks for. 0: it is none, or names nobody. Negative: a proxy
 * that may not. */
int user_from_headers(
	struct auth *a, struct http_exchange *x, int64_t now_ns, struct user_info *ret);
int cert_store_new(struct str pem, const char *flag, void **ret, struct err *err);
void cert_store_free(void *store); /* NULL-safe */
bool cert_is_signed_by(void *store, void *x509);
/* Everyone with a credential is in system:authenticated. */
void add_authenticated(struct arena *arena, struct user_info *u);
/* False when there is no common name, or the certificate has ended since the connection began. */
bool user_from_certificate(struct arena *a, void *x509, int64_t now_ns, struct user_info *ret);

/* --- may they? --- */

struct auth_question {
	struct auth *auth;
	struct outside *outside;
	struct arena *arena;
	const struct user_info *user;
	const struct request_info *info;
	int64_t now_ns;
	bool explain; /* the reason of a yes is wanted, too */
};

struct authorizer {
	const char *mode; /* as in --authorization-mode */
	/* What it thinks of it; the decision is in *ret, which is empty before. The reason says why,
	 * when it has something to say that a user may want to know. outside_waits() after it:
	 * nothing was decided. Any I/O thread; must not block. */
	void (*authorize)(void *self, const struct auth_question *q, struct auth_answer *ret);
	/* Adds what the user may do in the namespace (SelfSubjectRulesReview); may be NULL. */
	void (*rules)(void *self, struct auth *a, struct arena *arena, const struct user_info *user,
		struct str ns, struct authorization_v1_subject_rules_review_status *ret);
	void (*free)(void *self); /* may be NULL */
};
extern const struct authorizer rbac_authorizer, node_authorizer, always_allow_authorizer,
	always_deny_authorizer, abac_authorizer, webhook_authorizer;
void node_rules_init(struct auth *a);
/* One more thing that kept auth_rules from being complete. */
void auth_rules_error(struct arena *a, struct authorization_v1_subject_rules_review_status *ret,
	struct str error);
/* What the user may do by RBAC in the namespace, copied; *ret_error: what could not be found out.
 */
struct rbac_v1_policy_rule_vec rbac_rules_for(struct auth *auth, struct arena *a,
	const struct user_info *user, struct str ns, struct str *ret_error);

#endif
