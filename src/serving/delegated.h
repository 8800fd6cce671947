/*
 * delegated.h: who asks a component, and may they? Both are the API server's to say (upstream's
 * delegated authentication and authorization): client certificates by the CA that it publishes in
 * kube-system/extension-apiserver-authentication, tokens by TokenReview, permission by
 * SubjectAccessReview for the path. Answers are kept for a while, in tables of fixed size; of
 * tokens only their hash.
 *
 * One thread: the loop's.
 */
#ifndef SAMPAN_SERVING_DELEGATED_H
#define SAMPAN_SERVING_DELEGATED_H

#include "client/client.h"

struct delegated;

struct delegated_opts {
	struct loop *loop;
	struct client *authentication; /* for TokenReviews; NULL: who shows a token is anonymous.
					  Taken over */
	struct client *authorization; /* for SubjectAccessReviews; NULL: nothing but `open_paths` is
					 allowed. Taken over; may be the same */
	struct str_vec open_paths; /* who was authenticated may see them unasked; one that ends in *
				      is all that begins so. Copied */
	int64_t token_ttl_ms, allowed_ttl_ms, denied_ttl_ms;
	void *ssl_ctx; /* gets the published client CA once it is known; NULL: it is not looked up
			*/
};

struct delegated *delegated_new(const struct delegated_opts *opts);
/* What is being asked is not answered any more. */
void delegated_free(struct delegated *d);
/* Answers 401, 403 or 500 itself, or calls go_on, now or later, unless the peer leaves. */
void delegated_ask(struct delegated *d, struct http_exchange *x,
	void (*go_on)(void *user_data, struct http_exchange *x), void *user_data);

#endif
