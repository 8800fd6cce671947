/*
 * html_links.h: pages on their way through the API server's proxy. What a server behind …/proxy
 * calls
 * "/page" is "…/proxy/page" for who came through the proxy, so absolute links to that server, in
 * HTML and in Location, get the proxy's path in front (apimachinery util/proxy/transport.go). All
 * else of a page stays as it is, byte for byte.
 */
#ifndef SAMPAN_APISERVER_HTML_LINKS_H
#define SAMPAN_APISERVER_HTML_LINKS_H

#include "base/base.h"

struct link_base {
	struct str prefix;       /* "/api/v1/namespaces/ns/pods/p/proxy" */
	struct str host;         /* of the server: "10.0.0.1:80" */
	struct str request_host; /* what the client's Host header says */
};

/* The link as it has to be: itself, when it leads elsewhere or is relative; else in the arena. */
struct str link_rewrite(struct arena *a, const struct link_base *base, struct str link);

/* A page in pieces, in and out. A tag longer than 64 KiB goes through as it is. */
struct html_links {
	const struct link_base *base;
	struct buf held;        /* the beginning of a tag or comment whose end is yet to come */
	const char *raw_inside; /* "script", "style" …: what is no markup until it is closed */
};

void html_links_init(struct html_links *h, const struct link_base *base);
void html_links_release(struct html_links *h);
/* Appends what is complete to `out`; with `last`, all that is left. */
void html_links_feed(struct html_links *h, struct str bytes, bool last, struct buf *out);

#endif
