/* cache.c: see cache.h. */
#include "dns/cache.h"

#include "base/map.h"

enum { SOA_NUMBERS = 20, KEY_MAX = DNS_NAME_MAX + 3, ENTRY_OVERHEAD = 128 };

struct entry {
	struct entry *newer, *older; /* by use */
	int64_t since_ms, until_ms;
	size_t key_n, message_n;
	char bytes[]; /* key, message */
};

struct dns_cache {
	struct map entries;
	struct entry *newest, *oldest;
	size_t bytes, bytes_max;
};

struct dns_cache *dns_cache_new(size_t bytes_max)
{
	struct dns_cache *c = xcalloc(1, sizeof(*c));

	c->bytes_max = bytes_max;
	return c;
}

static struct str key_of(
	const struct dns_name *name, uint16_t type, bool dnssec_ok, char buf[static KEY_MAX])
{
	memcpy(buf, name->wire, name->n);
	buf[name->n] = type >> 8;
	buf[name->n + 1] = type;
	buf[name->n + 2] = dnssec_ok;
	return str_n(buf, name->n + 3);
}

static size_t size_of(const struct entry *e)
{
	return sizeof(*e) + 2 * e->key_n + e->message_n + ENTRY_OVERHEAD;
}

static void unlink_entry(struct dns_cache *c, struct entry *e)
{
	*(e->newer ? &e->newer->older : &c->newest) = e->older;
	*(e->older ? &e->older->newer : &c->oldest) = e->newer;
	e->newer = e->older = NULL;
}

static void link_newest(struct dns_cache *c, struct entry *e)
{
	e->older = c->newest;
	*(c->newest ? &c->newest->newer : &c->oldest) = e;
	c->newest = e;
}

static void drop(struct dns_cache *c, struct entry *e)
{
	unlink_entry(c, e);
	c->bytes -= size_of(e);
	map_remove(&c->entries, str_n(e->bytes, e->key_n));
	free(e);
}

void dns_cache_free(struct dns_cache *c)
{
	while (c->oldest)
		drop(c, c->oldest);
	map_release(&c->entries);
	free(c);
}

/* The last number of a SOA: how long "there is none" holds. */
static uint32_t soa_minimum(struct str message, const struct dns_record *rec)
{
	const uint8_t *p = (const uint8_t *)message.p + rec->data_at + rec->data_size - 4;

	if (rec->data_size < SOA_NUMBERS + 2)
		return 0;
	return (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
}

uint32_t dns_cache_ttl(struct str message)
{
	uint32_t positive = UINT32_MAX, negative = 0;
	struct dns_record rec;
	struct dns_reader r;
	uint16_t flags;
	bool records = false;

	if (dns_reader_init(&r, message, NULL, NULL) < 0)
		return 0;
	flags = dns_message_u16(message, 2);
	if ((flags & DNS_TRUNCATED) ||
		((flags & 15) != DNS_NOERROR && (flags & 15) != DNS_NXDOMAIN))
		return 0;
	while (dns_reader_next(&r, &rec)) {
		if (rec.type == DNS_OPT)
			continue;
		if (rec.section == DNS_ANSWER)
			records = true;
		if (rec.section == DNS_AUTHORITY && rec.type == DNS_SOA)
			negative = MIN(rec.ttl, soa_minimum(message, &rec));
		positive = MIN(positive, rec.ttl);
	}
	if (r.bad)
		return 0;
	if (!records || (flags & 15) == DNS_NXDOMAIN)
		positive = MIN(positive, negative);
	return MIN(positive, (uint32_t)DNS_CACHE_TTL_MAX_S);
}

void dns_cache_put(struct dns_cache *c, const struct dns_name *name, uint16_t type, bool dnssec_ok,
	struct str message, int64_t now_ms)
{
	char buf[KEY_MAX];
	struct str key = key_of(name, type, dnssec_ok, buf);
	struct entry *e = map_get(&c->entries, key);
	uint32_t ttl = dns_cache_ttl(message);

	if (e)
		drop(c, e);
	if (!ttl || message.n > DNS_CACHE_MESSAGE_MAX)
		return;
	e = xmalloc(sizeof(*e) + key.n + message.n);
	*e = (struct entry){.since_ms = now_ms,
		.until_ms = now_ms + ttl * 1000,
		.key_n = key.n,
		.message_n = message.n};
	memcpy(e->bytes, key.p, key.n);
	memcpy(e->bytes + key.n, message.p, message.n);
	map_set(&c->entries, key, e);
	link_newest(c, e);
	c->bytes += size_of(e);
	while (c->bytes > c->bytes_max)
		drop(c, c->oldest);
}

struct str dns_cache_get(struct dns_cache *c, const struct dns_name *name, uint16_t type,
	bool dnssec_ok, int64_t now_ms, uint32_t *ret_age_s)
{
	char buf[KEY_MAX];
	struct entry *e = map_get(&c->entries, key_of(name, type, dnssec_ok, buf));

	if (!e)
		return (struct str){0};
	if (now_ms >= e->until_ms) {
		drop(c, e);
		return (struct str){0};
	}
	unlink_entry(c, e);
	link_newest(c, e);
	*ret_age_s = (now_ms - e->since_ms) / 1000;
	return str_n(e->bytes + e->key_n, e->message_n);
}

size_t dns_cache_bytes(const struct dns_cache *c)
{
	return c->bytes;
}
