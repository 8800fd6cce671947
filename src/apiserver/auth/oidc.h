/*
 * oidc.h: tokens of identity providers (OpenID Connect): --oidc-*, or the issuers in the file of --authentication-config
 * (apiserver.config.k8s.io AuthenticationConfiguration), which is followed. What an issuer's keys are, its discovery
 * document says, which is fetched when the first token comes.
 */
#ifndef SAMPAN_AUTH_OIDC_H
#define SAMPAN_AUTH_OIDC_H

#include "apiserver/auth/auth_int.h"

enum { JWT_ISSUERS_MAX = 64 };

struct jwt_issuer;
struct jwt_issuers {
	struct jwt_issuer *v[JWT_ISSUERS_MAX];
	size_t n;
	struct jwt_issuers *replaced; /* a request may still ask it: freed with the newest */
};

/* From a checked configuration; algorithms that tokens may be signed by. */
int jwt_issuer_new(const struct apiserver_v1_jwt_authenticator *c, const struct str_vec *algorithms,
	struct jwt_issuer **ret, struct err *err);
void jwt_issuers_free(struct jwt_issuers *list); /* and those it replaced; NULL-safe */

/* authn_config.c: what the flags and the file say together, with upstream's words about what does not fit. `issuers`:
 * those of service accounts, which nobody else may be. */
struct authn_config {
	struct jwt_issuers *issuers; /* NULL: none */
	bool has_anonymous, anonymous;
	struct str_vec anonymous_paths;
};
int authn_config_make(const struct auth_opts *o, struct str text, const struct str_vec *issuers,
	struct arena *a, struct authn_config *ret, struct err *err);

#endif
