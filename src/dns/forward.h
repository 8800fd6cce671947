/*
 * forward.h: asks other name servers: over UDP from a socket of its own each (so a random port, and
 * only that server is heard), with a random id; again at the next server when one is silent or
 * refuses; over TCP when the answer was cut. What several clients ask at once is asked once.
 * Bounded in queries and in waiting clients. One thread: the loop's.
 */
#ifndef SAMPAN_DNS_FORWARD_H
#define SAMPAN_DNS_FORWARD_H

#include "dns/upstream.h"
#include "loop/loop.h"

enum {
	DNS_FORWARD_PENDING_MAX = 256, /* a socket each */
	DNS_FORWARD_WAITERS_MAX = 2048,
	DNS_FORWARD_ATTEMPTS = 3,
	DNS_FORWARD_TIMEOUT_MS = 1600, /* of one: all of them take less than a client's 5 s */
};

/* Embed it; it belongs to the forwarder until done. */
struct dns_waiter {
	struct dns_waiter *next;
	/* message: the answer; empty: there is none. Borrowed. */
	void (*done)(struct dns_waiter *w, struct str message);
};

struct dns_forward;

struct dns_forward *dns_forward_new(struct loop *loop);
/* Nobody who waits is told. The loop must run once more (or be freed) for the sockets to close. */
void dns_forward_free(struct dns_forward *f);
/* -EAGAIN: too many are waiting; -ENOENT: there is no server to ask. done is not called then, nor
 * ever before this returned. servers must stay until dns_forward_free; its content may change. */
int dns_forward_ask(struct dns_forward *f, struct dns_servers *servers, const struct dns_name *name,
	uint16_t type, bool dnssec_ok, struct dns_waiter *w);

#endif
