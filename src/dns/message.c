/* message.c: the header, the question, records. */
#include "dns/message.h"

enum { CLASS_IN = 1, CLASS_ANY = 255, EDNS_DO = 0x8000 };

static uint16_t get16(const uint8_t *p)
{
	return p[0] << 8 | p[1];
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = v >> 8;
	p[1] = v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

uint16_t dns_message_u16(struct str message, size_t at)
{
	return get16((const uint8_t *)message.p + at);
}

/* --- reading --- */

int dns_reader_init(
	struct dns_reader *r, struct str message, struct dns_name *ret_name, uint16_t *ret_type)
{
	const uint8_t *p = (const uint8_t *)message.p;
	struct dns_name name;

	*r = (struct dns_reader){.message = message, .at = DNS_HEADER};
	if (message.n < DNS_HEADER || get16(p + 4) != 1)
		return -EBADMSG;
	if (dns_name_read(message, &r->at, &name) < 0 || r->at + 4 > message.n)
		return -EBADMSG;
	if (ret_name)
		*ret_name = name;
	if (ret_type)
		*ret_type = get16(p + r->at);
	r->at += 4;
	for (int i = 0; i < 3; i++)
		r->left[i] = get16(p + 6 + 2 * i);
	return 0;
}

bool dns_reader_next(struct dns_reader *r, struct dns_record *ret)
{
	const uint8_t *p = (const uint8_t *)r->message.p;
	enum dns_section s = DNS_ANSWER;
	struct dns_record rec = {0};
	struct dns_name owner;
	size_t at = r->at;

	while (s <= DNS_ADDITIONAL && !r->left[s])
		s++;
	if (s > DNS_ADDITIONAL || r->bad)
		return false;
	r->bad = true;
	if (dns_name_read(r->message, &at, &owner) < 0 || at + 10 > r->message.n)
		return false;
	rec.at = r->at;
	rec.section = s;
	rec.type = get16(p + at);
	rec.class = get16(p + at + 2);
	rec.ttl_at = at + 4;
	rec.ttl = get32(p + at + 4);
	rec.data_size = get16(p + at + 8);
	rec.data_at = at + 10;
	if (rec.data_at + rec.data_size > r->message.n)
		return false;
	r->bad = false;
	r->at = rec.data_at + rec.data_size;
	r->left[s]--;
	*ret = rec;
	return true;
}

/* The OPT record, and that every record can be read. */
static int read_options(struct dns_reader *r, struct dns_query *q)
{
	struct dns_record rec;
	int version = 0;

	while (dns_reader_next(r, &rec)) {
		if (rec.type != DNS_OPT || rec.section != DNS_ADDITIONAL)
			continue;
		if (q->edns) /* RFC 6891 §6.1.1: one at most */
			return DNS_FORMERR;
		q->edns = true;
		q->udp_max = MIN(MAX(rec.class, (uint16_t)DNS_UDP_PLAIN_MAX), DNS_UDP_MAX);
		q->dnssec_ok = rec.ttl & EDNS_DO;
		version = rec.ttl >> 16 & 0xff;
	}
	return r->bad ? DNS_FORMERR : version ? DNS_BADVERS : 0;
}

int dns_query_parse(struct str message, struct dns_query *ret)
{
	const uint8_t *p = (const uint8_t *)message.p;
	struct dns_reader r;
	int rcode;

	memset(ret, 0, offsetof(struct dns_query, name));
	ret->edns = ret->dnssec_ok = false;
	ret->udp_max = DNS_UDP_PLAIN_MAX;
	if (message.n < DNS_HEADER)
		return -EBADMSG;
	ret->id = get16(p);
	ret->flags = get16(p + 2);
	if (ret->flags & DNS_RESPONSE)
		return -EBADMSG; /* two servers must not talk to each other for ever */
	if (ret->flags & DNS_OPCODE)
		return DNS_NOTIMP;
	if (dns_reader_init(&r, message, &ret->name, &ret->type) < 0)
		return DNS_FORMERR;
	ret->class = get16(p + r.at - 2);
	ret->question = str_sub(message, DNS_HEADER, r.at);
	/* written without pointers, or its size in the answer would not be its size here */
	if (ret->question.n != ret->name.n + 4u)
		return ret->question = (struct str){0}, DNS_FORMERR;
	rcode = read_options(&r, ret);
	if (rcode)
		return rcode;
	if (ret->type == DNS_AXFR || ret->type == DNS_AXFR - 1)
		return DNS_REFUSED;
	return ret->class == CLASS_IN || ret->class == CLASS_ANY ? 0 : DNS_REFUSED;
}

/* --- writing --- */

static void write_opt(uint8_t *p, unsigned rcode_high, bool dnssec_ok)
{
	p[0] = 0;
	put16(p + 1, DNS_OPT);
	put16(p + 3, DNS_UDP_MAX);
	p[5] = rcode_high;
	p[6] = 0;
	put16(p + 7, dnssec_ok ? EDNS_DO : 0);
	put16(p + 9, 0);
}

size_t dns_query_write(const struct dns_name *name, uint16_t type, uint16_t id, uint16_t flags,
	bool dnssec_ok, uint8_t *out)
{
	size_t n = DNS_HEADER;

	memset(out, 0, DNS_HEADER);
	put16(out, id);
	put16(out + 2, flags);
	put16(out + 4, 1);
	put16(out + 10, 1);
	memcpy(out + n, name->wire, name->n);
	n += name->n;
	put16(out + n, type);
	put16(out + n + 2, CLASS_IN);
	write_opt(out + n + 4, 0, dnssec_ok);
	return n + 4 + DNS_EDNS_SIZE;
}

void dns_answer_begin(struct dns_answer *w, const struct dns_query *q, uint8_t *out, size_t out_max)
{
	*w = (struct dns_answer){.query = q, .p = out, .n = DNS_HEADER, .max = out_max};
	if (q->edns)
		w->max -= DNS_EDNS_SIZE;
	assert(w->n + q->question.n <= w->max);
	if (q->question.n)
		memcpy(out + w->n, q->question.p, q->question.n);
	w->n += q->question.n;
}

uint8_t *dns_answer_record(struct dns_answer *w, enum dns_section section, size_t owner,
	uint16_t type, uint32_t ttl, size_t data_size)
{
	uint8_t *p = w->p + w->n;

	assert(owner >= DNS_HEADER && owner <= DNS_POINTER_MAX);
	if (w->full || w->n + 12 + data_size > w->max || w->counts[section] == UINT16_MAX) {
		/* without the additional records an answer is still whole */
		w->full |= section != DNS_ADDITIONAL;
		return NULL;
	}
	put16(p, 0xc000 | owner);
	put16(p + 2, type);
	put16(p + 4, CLASS_IN);
	put32(p + 6, ttl);
	put16(p + 10, data_size);
	w->n += 12 + data_size;
	w->counts[section]++;
	return p + 12;
}

bool dns_answer_ip(struct dns_answer *w, enum dns_section section, size_t owner, uint32_t ttl,
	const struct dns_addr *ip)
{
	uint8_t *p =
		dns_answer_record(w, section, owner, ip->n == 4 ? DNS_A : DNS_AAAA, ttl, ip->n);

	if (p)
		memcpy(p, ip->b, ip->n);
	return p;
}

size_t dns_answer_name(struct dns_answer *w, enum dns_section section, size_t owner, uint16_t type,
	uint32_t ttl, const struct dns_name *to)
{
	uint8_t *p = dns_answer_record(w, section, owner, type, ttl, to->n);

	if (!p)
		return 0;
	memcpy(p, to->wire, to->n);
	return p - w->p;
}

/* Where in our answer a name of the other message's answer section stands. */
struct known_name {
	struct dns_name name;
	size_t at;
};

int dns_answer_append(struct dns_answer *w, size_t owner, struct str message, uint32_t ttl_max)
{
	enum { CHAIN_MAX = 16 };
	struct known_name known;
	struct dns_reader r;
	struct dns_record rec;

	/* the chain is followed from the question on: records of other names are not passed on */
	if (dns_reader_init(&r, message, &known.name, NULL) < 0)
		return -EBADMSG;
	known.at = owner;
	for (int i = 0; dns_reader_next(&r, &rec) && rec.section == DNS_ANSWER;) {
		size_t at = rec.at, to = rec.data_at;
		uint32_t ttl = MIN(rec.ttl, ttl_max);
		struct dns_name name, target;
		struct dns_addr ip = {.n = rec.data_size == 4 ? 4 : 16};

		if (dns_name_read(message, &at, &name) < 0 || !dns_name_eq(&name, &known.name) ||
			known.at > DNS_POINTER_MAX)
			continue;
		if (rec.type == DNS_CNAME && i++ < CHAIN_MAX) {
			if (dns_name_read(message, &to, &target) < 0)
				return -EBADMSG;
			known.at =
				dns_answer_name(w, DNS_ANSWER, known.at, DNS_CNAME, ttl, &target);
			known.name = target;
			if (!known.at)
				break;
		} else if ((rec.type == DNS_A && rec.data_size == 4) ||
			   (rec.type == DNS_AAAA && rec.data_size == 16)) {
			memcpy(ip.b, message.p + rec.data_at, rec.data_size);
			dns_answer_ip(w, DNS_ANSWER, known.at, ttl, &ip);
		}
	}
	return r.bad ? -EBADMSG : 0;
}

size_t dns_answer_end(struct dns_answer *w, enum dns_rcode rcode, uint16_t flags)
{
	const struct dns_query *q = w->query;
	uint16_t kept = q->flags & (DNS_OPCODE | DNS_RECURSION_DESIRED | DNS_CHECKING_DISABLED);

	put16(w->p, q->id);
	put16(w->p + 2, DNS_RESPONSE | kept | flags | (w->full ? DNS_TRUNCATED : 0) | (rcode & 15));
	put16(w->p + 4, q->question.n > 0);
	for (int i = 0; i < 3; i++)
		put16(w->p + 6 + 2 * i, w->counts[i]);
	if (q->edns) {
		write_opt(w->p + w->n, rcode >> 4, q->dnssec_ok);
		put16(w->p + 10, w->counts[DNS_ADDITIONAL] + 1);
		w->n += DNS_EDNS_SIZE;
	}
	return w->n;
}
