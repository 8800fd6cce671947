/*
 * subresource.h: what a request for a subresource does when it is not the resource's own read or
 * write: scale, binding, eviction, token, log, exec …
 */
#ifndef SAMPAN_APISERVER_SUBRESOURCE_H
#define SAMPAN_APISERVER_SUBRESOURCE_H

#include "apiserver/server.h"

/* True when it took the request: false for status, ephemeralcontainers, resize, approval, finalize,
 * which are updates of the object itself. */
bool handle_subresource(struct request *r);
/* Resources that are not stored: reviews, bindings, componentstatuses. True when it took the
 * request. */
bool handle_virtual(struct request *r);

void handle_review(struct request *r); /* TokenReview, SubjectAccessReview … */
void handle_scale(struct request *r);
void handle_binding(struct request *r);
void handle_eviction(struct request *r);
void handle_token(struct request *r);
void handle_proxy_subresource(struct request *r); /* log, exec, attach, portforward, proxy */

#endif
