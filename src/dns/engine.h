/*
 * engine.h: a DNS server without its sockets: a query's bytes in, an answer's bytes out, or the
 * word that another server has to be asked first. One thread.
 *
 *     switch (dns_engine_query(e, datagram, max, out, &n, &ask)) {
 *     case DNS_ENGINE_DROP:   break;
 *     case DNS_ENGINE_REPLY:  send(out, n);
 *     case DNS_ENGINE_ASK:    later: n = dns_engine_reply(e, &ask, answer, max, out)
 *     }
 */
#ifndef SAMPAN_DNS_ENGINE_H
#define SAMPAN_DNS_ENGINE_H

#include "dns/cache.h"
#include "dns/zone.h"

struct dns_engine {
	struct dns_zone zone;
	struct dns_cache *cache;
	bool synced;    /* the index is whole; until then its names are SERVFAIL */
	bool recursive; /* there are other servers to ask; else their names are REFUSED */
	int64_t now_ms; /* set before each call */
	uint64_t queries, forwarded, cached;
};

enum dns_engine_result { DNS_ENGINE_DROP, DNS_ENGINE_REPLY, DNS_ENGINE_ASK };

/* A client's query that waits for another server: everything that its answer needs. */
struct dns_engine_ask {
	uint16_t id, flags, client_type, client_class;
	bool edns, dnssec_ok, chase;
	uint16_t udp_max;
	struct dns_name name; /* what to ask for, and: */
	uint16_t type;
	uint8_t question_n;
	uint8_t question[DNS_NAME_MAX]; /* the client's name as it wrote it */
};

/* udp: the answer is cut to what the client takes. out: DNS_MESSAGE_MAX bytes, or over UDP
 * DNS_UDP_MAX. */
enum dns_engine_result dns_engine_query(struct dns_engine *e, struct str message, bool udp,
	uint8_t *out, size_t *ret_n, struct dns_engine_ask *ret_ask);
/* The answer for a client that waited. message: what the other server said; empty: it did not
 * answer (SERVFAIL). */
size_t dns_engine_reply(struct dns_engine *e, const struct dns_engine_ask *ask, struct str message,
	bool udp, uint8_t *out);
/* Whether a message answers that question, from the server that was asked. */
bool dns_engine_is_answer(
	struct str message, uint16_t id, const struct dns_name *name, uint16_t type);

#endif
