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

/* What a subresource's body (Binding, Eviction, TokenRequest, PodExecOptions …) has to pass: all
 * plugins, the mutating and the validating ones. obj is the body, old what was there before. `then`
 * comes once, now or later, with err NULL when it passed; attrs->obj is the body as it is now. */
struct body_type;
typedef void subresource_admitted_fn(
	struct request *r, struct admission_attrs *attrs, void *user_data, struct err *err);
void subresource_admission(struct request *r, enum admission_op op, const struct body_type *body,
	void *obj, const void *old, subresource_admitted_fn *then, void *user_data);

void handle_review(struct request *r); /* TokenReview, SubjectAccessReview … */
void handle_scale(struct request *r);
void handle_binding(struct request *r);
void handle_eviction(struct request *r);
void handle_token(struct request *r);
void handle_proxy_subresource(struct request *r); /* log, exec, attach, portforward, proxy */
void handle_metrics_api(struct request *r);       /* metrics.k8s.io */
void handle_component_statuses(struct request *r);
/* Where a node's kubelet is: "https://10.0.0.1:10250". Upstream blames a pod of the node's name when
 * the node is not there. */
int kubelet_url(struct request *r, struct str node_name, struct str *ret, struct err *err);

#endif
