/*
 * request.h: what a request asks for, read from its method, path and query alone (apiserver endpoints/request
 * RequestInfo). Authorization decides on it, the router dispatches on it.
 *
 *     GET  /api/v1/namespaces/default/pods/web/log   get pods/log "web" in "default"
 *     GET  /apis/apps/v1/deployments?watch=1         watch deployments.apps
 *     GET  /healthz                                  not a resource: verb "get", path "/healthz"
 */
#ifndef SAMPAN_APISERVER_REQUEST_H
#define SAMPAN_APISERVER_REQUEST_H

#include "base/base.h"
#include "http/exchange.h"

struct request_info {
	bool is_resource;
	struct str path;        /* decoded */
	/* Resources: get list watch create update patch delete deletecollection, "proxy" never, "" for a method that the
	 * API does not have. Else the method in lower case. */
	struct str verb;
	struct str api_prefix;  /* "api" or "apis" */
	struct str group, version;
	struct str ns;          /* of GET /api/v1/namespaces/x, too */
	struct str resource, subresource;
	struct str name;        /* a list restricted to one by fieldSelector=metadata.name=x has it, too */
	struct str_vec parts;   /* resource, name, subresource, and what follows (pods/x/proxy/a/b) */
	struct str field_selector, label_selector; /* raw, of list, watch and deletecollection */
};

/* Fills *ret with views into the exchange and its arena. -EINVAL with err: 500 "unable to determine kind and namespace
 * from url, …" for /api/v1/watch alone. */
int request_info_from(struct http_exchange *x, struct request_info *ret, struct err *err);

/* The name behind `fieldSelector=metadata.name=x` when the selector asks for exactly one; else absent. */
struct str request_selector_name(struct str field_selector);

#endif
