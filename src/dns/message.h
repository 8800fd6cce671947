/*
 * message.h: DNS messages (RFC 1035 §4, RFC 6891): queries read, answers written. Bytes in, bytes
 * out; no socket, no allocation, no clock.
 *
 *     r = dns_query_parse(datagram, &q);           // 0, an rcode to answer with, or -EBADMSG
 *     dns_answer_begin(&w, &q, out, max);
 *     dns_answer_ip(&w, DNS_ANSWER, DNS_OWNER_QUESTION, ttl, &address);
 *     n = dns_answer_end(&w, DNS_NOERROR, DNS_AUTHORITATIVE);
 *
 * Any thread.
 */
#ifndef SAMPAN_DNS_MESSAGE_H
#define SAMPAN_DNS_MESSAGE_H

#include "base/base.h"

enum {
	DNS_NAME_MAX = 255, /* RFC 1035 §2.3.4 */
	DNS_LABEL_MAX = 63,
	DNS_HEADER = 12,
	DNS_UDP_PLAIN_MAX = 512, /* without EDNS */
	DNS_UDP_MAX = 1232,      /* with it: never fragmented */
	DNS_MESSAGE_MAX = 65535,
	DNS_POINTER_MAX = 0x3fff,
	DNS_EDNS_SIZE = 11, /* of an empty OPT record */
};

enum dns_type {
	DNS_A = 1,
	DNS_NS = 2,
	DNS_CNAME = 5,
	DNS_SOA = 6,
	DNS_PTR = 12,
	DNS_HINFO = 13,
	DNS_TXT = 16,
	DNS_AAAA = 28,
	DNS_SRV = 33,
	DNS_OPT = 41,
	DNS_AXFR = 252,
	DNS_ANY = 255,
};

enum dns_rcode {
	DNS_NOERROR,
	DNS_FORMERR,
	DNS_SERVFAIL,
	DNS_NXDOMAIN,
	DNS_NOTIMP,
	DNS_REFUSED,
	DNS_BADVERS = 16,
};

enum dns_flag {
	DNS_RESPONSE = 0x8000,
	DNS_OPCODE = 0x7800,
	DNS_AUTHORITATIVE = 0x0400,
	DNS_TRUNCATED = 0x0200,
	DNS_RECURSION_DESIRED = 0x0100,
	DNS_RECURSION_AVAILABLE = 0x0080,
	DNS_CHECKING_DISABLED = 0x0010,
};

/* --- names --- */

/* Uncompressed wire form in lower case: what names are compared in. */
struct dns_name {
	uint8_t wire[DNS_NAME_MAX];
	uint8_t n;       /* bytes, with the root label; 0: no name */
	uint8_t labels;  /* without the root */
	uint8_t at[127]; /* where each label's length byte stands */
};

static inline struct str dns_label(const struct dns_name *n, size_t i)
{
	return str_n((const char *)n->wire + n->at[i] + 1, n->wire[n->at[i]]);
}
/* "a.b.c", with or without the last dot; no escapes. -EINVAL when it is no name. */
int dns_name_from(struct str text, struct dns_name *ret);
/* Into at most DNS_NAME_MAX + 1 bytes, without the last dot; unprintable bytes as '?'. */
struct str dns_name_text(const struct dns_name *n, char *buf);
bool dns_name_eq(const struct dns_name *a, const struct dns_name *b);
/* Whether n is `zone` or lies in it. */
bool dns_name_within(const struct dns_name *n, const struct dns_name *zone);

/* --- addresses --- */

struct dns_addr {
	uint8_t n; /* 4, 16; 0: none */
	uint8_t b[16];
};
int dns_addr_parse(struct str text, struct dns_addr *ret); /* 0 or -EINVAL */
bool dns_addr_eq(const struct dns_addr *a, const struct dns_addr *b);
/* The address that a name in in-addr.arpa or ip6.arpa stands for; false when it is no such name. */
bool dns_addr_from_reverse(const struct dns_name *n, struct dns_addr *ret);

/* --- queries --- */

struct dns_query {
	uint16_t id, flags, type, class;
	struct str question; /* name, type and class as they came: borrowed from the message */
	struct dns_name name;
	bool edns, dnssec_ok;
	uint16_t udp_max; /* how large an answer the client takes over UDP */
};

/* 0; or the rcode that the sender is to be told (then id, flags and, when it could be read, the
 * question are set); or -EBADMSG: not a query, say nothing. */
int dns_query_parse(struct str message, struct dns_query *ret);
/* A query of our own to a name server; returns its size (fits 12 + 255 + 4 + 11). */
size_t dns_query_write(const struct dns_name *name, uint16_t type, uint16_t id, uint16_t flags,
	bool dnssec_ok, uint8_t *out);

/* --- answers --- */

enum dns_section { DNS_ANSWER, DNS_AUTHORITY, DNS_ADDITIONAL };

/* Where in the message a record's owner name stands. */
enum { DNS_OWNER_QUESTION = DNS_HEADER };

struct dns_answer {
	const struct dns_query *query;
	uint8_t *p;
	size_t n, max;
	uint16_t counts[3];
	bool full; /* a record did not fit */
};

/* max: at least DNS_HEADER + the question + DNS_EDNS_SIZE. The query must live until _end. */
void dns_answer_begin(
	struct dns_answer *w, const struct dns_query *q, uint8_t *out, size_t out_max);
/* Room for a record's data, to be filled at once; NULL when it does not fit. Sections in order. */
uint8_t *dns_answer_record(struct dns_answer *w, enum dns_section section, size_t owner,
	uint16_t type, uint32_t ttl, size_t data_size);
bool dns_answer_ip(struct dns_answer *w, enum dns_section section, size_t owner, uint32_t ttl,
	const struct dns_addr *ip);
/* NS, CNAME or PTR. Returns where the name stands (an owner for later records), 0 when full. */
size_t dns_answer_name(struct dns_answer *w, enum dns_section section, size_t owner, uint16_t type,
	uint32_t ttl, const struct dns_name *to);
/* Appends the answer section of another server's message, its CNAMEs and addresses, behind ours.
 * The first owner becomes `owner`. 0 or -EBADMSG. */
int dns_answer_append(struct dns_answer *w, size_t owner, struct str message, uint32_t ttl_max);
/* Writes header and OPT; the size of the message. flags: DNS_AUTHORITATIVE, …AVAILABLE. */
size_t dns_answer_end(struct dns_answer *w, enum dns_rcode rcode, uint16_t flags);

/* --- other servers' answers --- */

struct dns_record {
	uint16_t type, class;
	uint32_t ttl;
	size_t at, ttl_at, data_at, data_size; /* in the message */
	enum dns_section section;
};

struct dns_reader {
	struct str message;
	size_t at;
	uint16_t left[3];
	bool bad;
};

/* 0 when the header and one question can be read; *ret_name and *ret_type may be NULL. */
int dns_reader_init(
	struct dns_reader *r, struct str message, struct dns_name *ret_name, uint16_t *ret_type);
/* False at the end, or when the message is bad (r->bad). */
bool dns_reader_next(struct dns_reader *r, struct dns_record *ret);
/* Reads a name, following pointers backwards only; *at moves behind it. 0 or -EBADMSG. */
int dns_name_read(struct str message, size_t *at, struct dns_name *ret);
uint16_t dns_message_u16(struct str message, size_t at);

#endif
