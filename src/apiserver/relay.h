/*
 * relay.h: a request handed on to another server (a kubelet, a pod, a service) and its answer
 * handed back as it comes, or a connection that both ends talk over after an upgrade.
 *
 * A relay belongs to its request and ends with it. The request's loop.
 */
#ifndef SAMPAN_APISERVER_RELAY_H
#define SAMPAN_APISERVER_RELAY_H

#include "apiserver/server.h"

struct relay_target {
	struct str url;    /* "https://10.0.0.1:10250" */
	struct str path;   /* with query, percent-encoded */
	bool kubelet;      /* show the client certificate for kubelets */
	bool logs;         /* an answer that is no success becomes a Status, as of pods/log */
	struct str prefix; /* of links in pages and redirects (html_links.h); empty: they stay as
			      they are */
};

/* Sends the request's method, body and headers there and streams the answer. */
void relay_request(struct request *r, const struct relay_target *t);
/* Needs an upgrade; 400 "Upgrade request required" when the client asks for none. */
void relay_upgrade(struct request *r, const struct relay_target *t);
bool relay_is_upgrade(const struct request *r);

#endif
