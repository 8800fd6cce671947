/* engine.c: see engine.h. */
#include "dns/engine.h"

static uint16_t recursion_flag(const struct dns_engine *e)
{
	return e->recursive ? DNS_RECURSION_AVAILABLE : 0;
}

static size_t out_max(const struct dns_query *q, bool udp)
{
	return udp ? q->udp_max : DNS_MESSAGE_MAX;
}

static enum dns_engine_result reply_code(struct dns_engine *e, const struct dns_query *q,
	enum dns_rcode rcode, uint8_t *out, size_t *ret_n)
{
	struct dns_answer w;

	dns_answer_begin(&w, q, out, DNS_UDP_PLAIN_MAX);
	*ret_n = dns_answer_end(&w, rcode, recursion_flag(e));
	return DNS_ENGINE_REPLY;
}

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = v >> 8;
	p[1] = v;
}

/* --- what others answered --- */

/* Records live the shorter the longer they lay here. Returns where the OPT record stands (that one
 * was between the two servers, and additional records behind it are not worth the trouble), the end
 * when there is none, DNS_HEADER when it cannot be read. */
static size_t age_records(uint8_t *p, size_t n, uint32_t age_s, uint16_t *ret_additional)
{
	struct dns_record rec;
	struct dns_reader r;

	*ret_additional = 0;
	if (dns_reader_init(&r, str_n((char *)p, n), NULL, NULL) < 0)
		return DNS_HEADER;
	while (dns_reader_next(&r, &rec)) {
		uint32_t ttl = MIN(rec.ttl - MIN(rec.ttl, age_s), (uint32_t)DNS_CACHE_TTL_MAX_S);

		if (rec.type == DNS_OPT)
			return rec.section == DNS_ADDITIONAL ? rec.at : DNS_HEADER;
		put16(p + rec.ttl_at, ttl >> 16);
		put16(p + rec.ttl_at + 2, ttl);
		*ret_additional += rec.section == DNS_ADDITIONAL;
	}
	return r.bad ? DNS_HEADER : r.at;
}

static void put_opt(uint8_t *p, bool dnssec_ok)
{
	memcpy(p, (uint8_t[DNS_EDNS_SIZE]){0, 0, DNS_OPT, DNS_UDP_MAX >> 8, DNS_UDP_MAX & 0xff},
		DNS_EDNS_SIZE);
	p[7] = dnssec_ok ? 0x80 : 0;
}

/* Another server's message made into ours for this client. */
static size_t pass_on(struct dns_engine *e, const struct dns_query *q, struct str message,
	uint32_t age_s, size_t max, uint8_t *out)
{
	uint16_t flags = dns_message_u16(message, 2), additional;
	size_t n = MIN(message.n, (size_t)DNS_MESSAGE_MAX - DNS_EDNS_SIZE);
	struct dns_answer w;

	memcpy(out, message.p, n);
	n = age_records(out, n, age_s, &additional);
	if (n < DNS_HEADER + q->question.n)
		return dns_answer_begin(&w, q, out, max),
		       dns_answer_end(&w, DNS_SERVFAIL, recursion_flag(e));
	if (n + (q->edns ? DNS_EDNS_SIZE : 0) > max) { /* to be asked again over TCP */
		dns_answer_begin(&w, q, out, max);
		w.full = true;
		return dns_answer_end(&w, flags & 15, recursion_flag(e));
	}
	memcpy(out + DNS_HEADER, q->question.p, q->question.n - 4); /* in the client's spelling */
	put16(out, q->id);
	put16(out + 2, (flags & 0x003f) | DNS_RESPONSE | (q->flags & DNS_RECURSION_DESIRED) |
			       recursion_flag(e));
	if (q->edns) {
		put_opt(out + n, q->dnssec_ok);
		n += DNS_EDNS_SIZE;
		additional++;
	}
	put16(out + 10, additional);
	return n;
}

/* --- a client's query --- */

static void make_ask(const struct dns_query *q, const struct dns_name *name, bool chase,
	struct dns_engine_ask *ret)
{
	ret->id = q->id;
	ret->flags = q->flags;
	ret->client_type = q->type;
	ret->client_class = q->class;
	ret->edns = q->edns;
	ret->dnssec_ok = q->dnssec_ok;
	ret->udp_max = q->udp_max;
	ret->chase = chase;
	ret->name = *name;
	ret->type = q->type;
	ret->question_n = q->question.n - 4;
	memcpy(ret->question, q->question.p, ret->question_n);
}

static struct str cached(
	struct dns_engine *e, const struct dns_name *name, const struct dns_query *q, uint32_t *age)
{
	struct str m = dns_cache_get(e->cache, name, q->type, q->dnssec_ok, e->now_ms, age);

	e->cached += m.n > 0;
	return m;
}

static enum dns_engine_result query_elsewhere(struct dns_engine *e, const struct dns_query *q,
	bool udp, uint8_t *out, size_t *ret_n, struct dns_engine_ask *ret_ask)
{
	uint32_t age;
	struct str m;

	if (!e->recursive)
		return reply_code(e, q, DNS_REFUSED, out, ret_n);
	m = cached(e, &q->name, q, &age);
	if (m.n) {
		*ret_n = pass_on(e, q, m, age, out_max(q, udp), out);
		return DNS_ENGINE_REPLY;
	}
	e->forwarded++;
	make_ask(q, &q->name, false, ret_ask);
	return DNS_ENGINE_ASK;
}

/* An ExternalName leads out of the cluster; w holds its CNAME. */
static enum dns_engine_result query_chase(struct dns_engine *e, const struct dns_query *q,
	struct dns_answer *w, const struct dns_zone_answer *za, size_t *ret_n,
	struct dns_engine_ask *ret_ask)
{
	uint32_t age;
	struct str m;

	if (e->recursive && !w->full) {
		m = cached(e, &za->target, q, &age);
		if (!m.n) {
			e->forwarded++;
			make_ask(q, &za->target, true, ret_ask);
			return DNS_ENGINE_ASK;
		}
		dns_answer_append(w, za->target_at, m, DNS_CACHE_TTL_MAX_S);
	}
	*ret_n = dns_answer_end(w, DNS_NOERROR, DNS_AUTHORITATIVE | recursion_flag(e));
	return DNS_ENGINE_REPLY;
}

enum dns_engine_result dns_engine_query(struct dns_engine *e, struct str message, bool udp,
	uint8_t *out, size_t *ret_n, struct dns_engine_ask *ret_ask)
{
	struct dns_zone_answer za;
	struct dns_answer w;
	struct dns_query q;
	int r = dns_query_parse(message, &q);

	e->queries++;
	if (r < 0)
		return DNS_ENGINE_DROP;
	if (r > 0)
		return reply_code(e, &q, r, out, ret_n);
	if (!e->synced && dns_name_within(&q.name, &e->zone.origin))
		return reply_code(e, &q, DNS_SERVFAIL, out, ret_n);
	dns_answer_begin(&w, &q, out, out_max(&q, udp));
	dns_zone_ask(&e->zone, &q, &w, &za);
	if (za.result == DNS_ZONE_NOT_OURS)
		return query_elsewhere(e, &q, udp, out, ret_n, ret_ask);
	if (za.result == DNS_ZONE_CHASE)
		return query_chase(e, &q, &w, &za, ret_n, ret_ask);
	*ret_n = dns_answer_end(&w, za.rcode, DNS_AUTHORITATIVE | recursion_flag(e));
	return DNS_ENGINE_REPLY;
}

/* --- the answer that was waited for --- */

static size_t reply_chased(struct dns_engine *e, const struct dns_query *q, struct str message,
	size_t max, uint8_t *out)
{
	struct dns_zone_answer za;
	struct dns_answer w;
	uint16_t rcode = DNS_SERVFAIL;

	dns_answer_begin(&w, q, out, max);
	dns_zone_ask(&e->zone, q, &w, &za); /* again: it may have changed meanwhile */
	if (za.result == DNS_ZONE_CHASE && message.n &&
		dns_answer_append(&w, za.target_at, message, DNS_CACHE_TTL_MAX_S) == 0)
		rcode = dns_message_u16(message, 2) & 15;
	else if (za.result == DNS_ZONE_ANSWERED)
		rcode = za.rcode;
	return dns_answer_end(&w, rcode, DNS_AUTHORITATIVE | recursion_flag(e));
}

size_t dns_engine_reply(struct dns_engine *e, const struct dns_engine_ask *ask, struct str message,
	bool udp, uint8_t *out)
{
	uint8_t question[DNS_NAME_MAX + 4];
	struct dns_query q = {.id = ask->id,
		.flags = ask->flags,
		.type = ask->client_type,
		.class = ask->client_class,
		.edns = ask->edns,
		.dnssec_ok = ask->dnssec_ok,
		.udp_max = ask->udp_max};
	size_t at = 0, max = out_max(&q, udp), n;

	memcpy(question, ask->question, ask->question_n);
	put16(question + ask->question_n, q.type);
	put16(question + ask->question_n + 2, q.class);
	q.question = str_n((char *)question, ask->question_n + 4u);
	if (ask->chase) {
		char framed[DNS_HEADER + DNS_NAME_MAX] = {0};

		memcpy(framed + DNS_HEADER, question, ask->question_n);
		at = DNS_HEADER;
		if (dns_name_read(str_n(framed, DNS_HEADER + ask->question_n), &at, &q.name) == 0)
			return reply_chased(e, &q, message, max, out);
	}
	if (!message.n)
		return reply_code(e, &q, DNS_SERVFAIL, out, &n), n;
	return pass_on(e, &q, message, 0, max, out);
}

bool dns_engine_is_answer(
	struct str message, uint16_t id, const struct dns_name *name, uint16_t type)
{
	struct dns_reader r;
	struct dns_name said;
	uint16_t said_type;

	return message.n >= DNS_HEADER && dns_message_u16(message, 0) == id &&
	       (dns_message_u16(message, 2) & DNS_RESPONSE) &&
	       dns_reader_init(&r, message, &said, &said_type) == 0 && said_type == type &&
	       dns_name_eq(&said, name) && r.at == DNS_HEADER + name->n + 4u;
}
