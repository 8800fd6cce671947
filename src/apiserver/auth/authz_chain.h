/*
 * authz_chain.h: who decides, in order: from --authorization-mode and the flags beside it, or from the file of
 * --authorization-config (apiserver.config.k8s.io AuthorizationConfiguration), which is followed.
 */
#ifndef SAMPAN_AUTH_AUTHZ_CHAIN_H
#define SAMPAN_AUTH_AUTHZ_CHAIN_H

#include "apiserver/auth/auth_int.h"

enum { AUTHORIZERS_MAX = 64 };

struct authz_chain {
	struct {
		const struct authorizer *ops;
		void *self;
		bool owned; /* else by one that this chain replaced */
	} v[AUTHORIZERS_MAX];
	size_t n;
	struct authz_chain *replaced; /* a request may still ask it: freed with the newest */
};

const struct authorizer *authorizer_find(struct str mode); /* NULL: there is none */
/* Upstream's words about modes and files that do not go together; several as Go's aggregate. */
int authz_opts_check(const struct authz_opts *o, struct err *err);
int authz_chain_new(const struct authz_opts *o, struct authz_chain **ret, struct err *err);
/* The same from the text of a configuration file; `old` (or NULL): what stays must stay. */
int authz_chain_from_config(const struct authz_opts *o, struct str text,
	const struct authz_chain *old, struct authz_chain **ret, struct err *err);
void authz_chain_add(struct authz_chain *c, const struct authorizer *ops, void *self, bool owned);
void authz_chain_free(struct authz_chain *c); /* and those it replaced; NULL-safe */

/* A webhook's configuration, checked. */
struct authz_webhook_opts {
	struct str name, version; /* "v1", "v1beta1" */
	const char *kubeconfig; /* NULL: as a pod of the cluster that the server runs in */
	int timeout_ms;
	int64_t allowed_ttl_ms, refused_ttl_ms; /* 0: not kept */
	bool deny_on_error;
	struct str_vec conditions; /* match_conditions.h */
};
int authz_webhook_new(const struct authz_webhook_opts *o, void **ret, struct err *err);
/* The policies in the lines of a file. */
int abac_new(const char *path, void **ret, struct err *err);
int abac_from_text(const char *path, struct str text, void **ret, struct err *err); /* path: for errors */

#endif
