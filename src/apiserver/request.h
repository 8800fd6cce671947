/*
 * request.h: what a request asks for, read from its method, path and query alone (apiserver
 * endpoints/request RequestInfo). Authorization decides on it, the router dispatches on it.
 *
 *     GET  /api/v1/namespaces/default/pods/web/log   get pods/log "web" in "default"
 *     GET  /apis/apps/v1/deployments?watch=1         watch deployments.apps
 *     GET  /healthz                                  not a resource: verb "get", path "/healthz"
 */
#ifndef SAMPAN_APISERVER_REQUEST_H
#define SAMPAN_APISERVER_REQUEST_H

#include "apiserver/query.h"
#include "http/exchange.h"

struct request_info {
	bool is_resource;
	struct str path; /* decoded */
	/* Resources: get list watch create update patch delete deletecollection, or "proxy" in the
	 * old form /api/v1/proxy/…; "" for a method that the API does not have. Else the method in
	 * lower case. */
	struct str verb;
	struct str api_prefix; /* "api" or "apis" */
	struct str group, version;
	struct str ns; /* of GET /api/v1/namespaces/x, too */
	struct str resource, subresource;
	struct str name;      /* a list restricted by fieldSelector=metadata.name=x has it, too */
	struct str_vec parts; /* resource, name, subresource, and what follows (pods/x/proxy/a/b) */
	struct str field_selector, label_selector; /* raw, of list, watch and deletecollection */
	bool verb_in_path;                         /* /api/v1/watch/… */
};

/* Fills *ret with views into the exchange and its arena. -EIO with err: 500 "unable to determine
 * kind and namespace from url, …" for /api/v1/watch alone. */
int request_info_from(struct http_exchange *x, struct request_info *ret, struct err *err);
/* The same from the parts, with views into them and `a`. */
int request_info_parse(struct arena *a, struct str method, struct str path,
	const struct query *query, struct request_info *ret, struct err *err);

/* The name that a field selector asks for exactly (metadata.name=x, once); else absent. */
struct str request_selector_name(struct str field_selector);

#endif
