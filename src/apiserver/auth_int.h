/* auth_int.h: what authn.c and token.c share. */
#ifndef SAMPAN_AUTH_INT_H
#define SAMPAN_AUTH_INT_H

#include "apiserver/auth.h"

struct static_token {
	struct str token;
	struct user_info user;
};

struct auth {
	struct arena arena;
	struct store *store;
	struct str issuer;
	struct {
		struct static_token *v;
		size_t n;
	} tokens;
	void *key;        /* EVP_PKEY * */
	bool is_ec;
	struct str key_id, jwks;
};

int token_keys_open(struct auth *a, struct str pem, struct err *err);
void token_keys_close(struct auth *a);
/* A service account token: signature, times, and that what it is bound to still exists. err has the reason, as
 * TokenReview shows it. */
int token_verify(struct auth *a, struct arena *arena, struct str token, int64_t now_ns, struct user_info *ret,
	struct str_vec *ret_audiences, struct err *err);

#endif
