/*
 * conntrack.h: forgets connections that lead nowhere. UDP has no end that the kernel could see: a
 * client that keeps sending from one port keeps the endpoint it was given, though that is long
 * gone, or keeps none at all, though one has come.
 */
#ifndef SAMPAN_PROXY_CONNTRACK_H
#define SAMPAN_PROXY_CONNTRACK_H

#include "base/map.h"
#include "proxy/service.h"

/* Services whose UDP endpoints have changed. */
struct conntrack_stale {
	struct map services; /* "address port" or "* nodeport" -> index + 1 in `serving` */
	struct {
		struct str_vec *v; /* "address port" of each endpoint that may stay */
		size_t n;
	} serving;
	struct arena arena;
};

/* Adds the UDP ports of a service, copied. */
void conntrack_add(struct conntrack_stale *s, const struct proxy_service *svc);
/* Deletes the kernel's entries that go to those services and not to an endpoint of theirs; how
 * many, or negative errno. Leaves *s empty. */
int conntrack_clean(struct conntrack_stale *s);
void conntrack_release(struct conntrack_stale *s);

#endif
