/*
 * auth.h: who asks, and may they? (authentication and authorization of the request pipeline)
 *
 * Authenticators in order: in-process identity, client certificate (CN = user, O = groups), bearer token (static file,
 * then service account JWT). No credential: system:anonymous. A wrong credential: 401.
 *
 * Authorization: members of system:masters may do everything; for the others a chain of authorizers is asked in order
 * (--authorization-mode: Node, RBAC …), and the first that allows decides.
 *
 * Any I/O thread. Answers are arena-allocated in the exchange.
 */
#ifndef SAMPAN_AUTH_H
#define SAMPAN_AUTH_H

#include "apiserver/apiserver.h"
#include "apiserver/auth_opts.h"
#include "apiserver/request.h"
#include "client/user.h"

struct auth;
struct outside; /* auth/outside.h: who may have to ask elsewhere gets one; NULL: cannot wait */

int auth_new(const struct auth_opts *opts, struct auth **ret, struct err *err);
void auth_free(struct auth *a);
/* Whether "RBAC", "Node" … is in the chain. */
bool auth_has_mode(const struct auth *a, const char *mode);

/* Every function below that takes a struct outside may end with no and outside_waits(): then it is to be called again when
 * the answer is there. */

/* Fills *ret (in x->arena). 0, or -EPERM with err 401 Unauthorized. */
int authenticate(struct auth *a, struct outside *o, struct http_exchange *x, int64_t now_ns, struct user_info *ret,
	struct err *err);
/* Impersonate-User, -Group, -Uid, -Extra-*: 1: *user is now whom it asks to be; *ret_constraint the mode that let it
 * ("user-info" …; NULL: the plain right to impersonate). 0: nothing was asked. 403 when it may not. */
int impersonate(struct auth *a, struct outside *o, struct http_exchange *x, const struct request_info *info,
	struct user_info *user, const char **ret_constraint, struct err *err);
/* A token alone (TokenReview), for one of these audiences (empty: the API server's own): as above; *ret_audiences: which
 * of them it is good for. err has the reason as TokenReview shows it. */
int authenticate_token(struct auth *a, struct outside *o, struct arena *arena, struct str token,
	const struct str_vec *audiences, int64_t now_ns, struct user_info *ret, struct str_vec *ret_audiences,
	struct err *err);
/* What the chain of authorizers thinks of a request. */
enum auth_decision { AUTH_NO_OPINION, AUTH_ALLOW, AUTH_DENY };
struct auth_answer {
	enum auth_decision decision;
	struct str reason, error; /* in the arena; may be empty. error: what could not be evaluated */
};
void auth_ask(struct auth *a, struct outside *o, struct arena *arena, const struct user_info *user,
	const struct request_info *info, struct auth_answer *ret);
/* 403 in upstream's words; `why` may be empty. */
int auth_refuse(const struct user_info *user, const struct request_info *info, struct str why, struct err *err);
/* auth_ask and auth_refuse in one, faster: 0, -EACCES with err 403 Forbidden in upstream's words, or -EIO with err 500:
 * it could not be found out. */
int authorize(struct auth *a, struct outside *o, const struct request_info *info, const struct user_info *user,
	struct err *err);

/* A bound service account token (TokenRequest): JWT as upstream's, signed RS256 or ES256 by the cluster's key. */
struct token_claims {
	struct str ns, service_account, service_account_uid;
	struct str_vec audiences;              /* empty: the issuer */
	struct str pod, pod_uid, node, node_uid, secret, secret_uid; /* bound to; may be empty */
	int64_t issued_s, expires_s;
};
struct str token_sign(struct auth *a, struct arena *arena, const struct token_claims *c);
struct str auth_issuer(const struct auth *a);
int64_t auth_token_seconds_max(const struct auth *a); /* 0: none */
/* Whom tokens are for that name nobody. */
const struct str_vec *auth_audiences(const struct auth *a);
/* The node whose kubelet the user is (system:node:NAME in system:nodes); false: it is none. NAME may be empty. */
bool node_of_user(const struct user_info *user, struct str *ret);
/* What the user may do in the namespace, for SelfSubjectRulesReview. */
struct authorization_v1_subject_rules_review_status;
void auth_rules(struct auth *a, struct arena *arena, const struct user_info *user, struct str ns,
	struct authorization_v1_subject_rules_review_status *ret);
/* JSON of /openid/v1/jwks and /.well-known/openid-configuration. */
struct str auth_jwks(struct auth *a);
struct str auth_openid_configuration(struct auth *a, struct arena *arena);

#endif
