/*
 * cache.h: what other name servers answered, for a little while. Bounded in bytes; what was used
 * longest ago goes first. One thread.
 */
#ifndef SAMPAN_DNS_CACHE_H
#define SAMPAN_DNS_CACHE_H

#include "dns/message.h"

enum {
	DNS_CACHE_TTL_MAX_S = 30, /* however long its owner says: a name that moves is seen soon */
	DNS_CACHE_BYTES_MAX = 2 << 20,
	DNS_CACHE_MESSAGE_MAX = 16384,
};

struct dns_cache;

struct dns_cache *dns_cache_new(size_t bytes_max);
void dns_cache_free(struct dns_cache *c);

/* message: a whole answer. Kept as long as its records' lives allow: NOERROR with records by the
 * shortest of them, NXDOMAIN and "no such record" by the SOA (RFC 2308 §5); nothing else is kept.
 */
void dns_cache_put(struct dns_cache *c, const struct dns_name *name, uint16_t type, bool dnssec_ok,
	struct str message, int64_t now_ms);
/* The message, and how many seconds old it is; {NULL, 0} when there is none. Valid until the next
 * put. */
struct str dns_cache_get(struct dns_cache *c, const struct dns_name *name, uint16_t type,
	bool dnssec_ok, int64_t now_ms, uint32_t *ret_age_s);
size_t dns_cache_bytes(const struct dns_cache *c);

/* How long an answer may be kept, in seconds; 0: not at all. */
uint32_t dns_cache_ttl(struct str message);

#endif
