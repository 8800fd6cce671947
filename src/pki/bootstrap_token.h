/*
 * bootstrap_token.h: the tokens by which machines join, as kubeadm's: "abcdef.0123456789abcdef" (a
 * public id, a secret), kept as a Secret bootstrap-token-<id> in kube-system; and the detached JWS
 * (RFC 7515, HS256) with which the cluster proves to a joining machine that it knows the secret.
 *
 * Any thread; nothing here does I/O.
 */
#ifndef SAMPAN_PKI_BOOTSTRAP_TOKEN_H
#define SAMPAN_PKI_BOOTSTRAP_TOKEN_H

#include "base/base.h"

#define BOOTSTRAP_SECRET_TYPE "bootstrap.kubernetes.io/token"
#define BOOTSTRAP_SECRET_PREFIX "bootstrap-token-"
#define BOOTSTRAP_DEFAULT_GROUP "system:bootstrappers"
#define BOOTSTRAP_NODE_GROUP "system:bootstrappers:kubeadm:default-node-token"
#define BOOTSTRAP_USER_PREFIX "system:bootstrap:"
#define BOOTSTRAP_JWS_PREFIX "jws-kubeconfig-"
#define CLUSTER_INFO "cluster-info"

enum { BOOTSTRAP_ID_LEN = 6, BOOTSTRAP_SECRET_LEN = 16 };

struct bootstrap_token {
	struct str id, secret;
};

/* Views into `text`; false when it has another form. */
bool bootstrap_token_parse(struct str text, struct bootstrap_token *ret);
bool bootstrap_token_id_valid(struct str id);
bool bootstrap_group_valid(struct str group); /* system:bootstrappers:… */
/* A new one, from the system's randomness. */
struct str bootstrap_token_new(struct arena *a);

/* What the Secret of a token says. The strings are views into the secret. */
struct bootstrap_secret {
	struct bootstrap_token token;
	struct str description, groups; /* of auth-extra-groups: commas between them */
	bool expires, expired;          /* an expiration that does not parse counts as passed */
	int64_t expiration_ms;          /* Unix */
	bool for_signing, for_authentication;
};
struct v1_secret;
/* False when it is no bootstrap token: another type, a name that does not fit, no id or secret. */
bool bootstrap_secret_read(const struct v1_secret *s, int64_t now_ms, struct bootstrap_secret *ret);
/* The groups that its bearer is in, sorted, none twice; false when one is not a bootstrap group. */
bool bootstrap_secret_groups(
	const struct bootstrap_secret *s, struct arena *a, struct str_vec *ret);

/* "<protected header>..<signature>" of the content. */
struct str bootstrap_jws(struct str content, struct bootstrap_token token, struct arena *a);
bool bootstrap_jws_valid(struct str jws, struct str content, struct bootstrap_token token);

/* Not told by how long it takes where two secrets differ. */
bool secret_equal(struct str a, struct str b);

#endif
