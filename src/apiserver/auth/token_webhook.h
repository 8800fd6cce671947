/* token_webhook.h: --authentication-token-webhook-*: a server outside that knows tokens. */
#ifndef SAMPAN_AUTH_TOKEN_WEBHOOK_H
#define SAMPAN_AUTH_TOKEN_WEBHOOK_H

#include "apiserver/auth/auth_int.h"

/* version: "v1", "v1beta1", empty: the latter. ttl_ms 0: answers are not kept. */
int token_webhook_new(const char *kubeconfig, struct str version, int64_t ttl_ms,
	struct token_webhook **ret, struct err *err);
void token_webhook_free(struct token_webhook *w); /* NULL-safe */

#endif
