/* name.c: names and addresses in their wire forms. */
#include <arpa/inet.h>

#include "dns/message.h"

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? c + 'a' - 'A' : c;
}

/* One label more; false when the name gets too long. */
static bool add_label(struct dns_name *n, const uint8_t *p, size_t size)
{
	/* the root label needs its byte, too */
	if (size == 0 || size > DNS_LABEL_MAX || n->n + size + 2 > DNS_NAME_MAX)
		return false;
	n->at[n->labels++] = n->n;
	n->wire[n->n++] = size;
	for (size_t i = 0; i < size; i++)
		n->wire[n->n++] = lower(p[i]);
	return true;
}

static void add_root(struct dns_name *n)
{
	n->wire[n->n++] = 0;
}

int dns_name_from(struct str text, struct dns_name *ret)
{
	struct dns_name n = {0};
	struct str rest = text, label;

	if (rest.n && rest.p[rest.n - 1] == '.')
		rest.n--;
	while (rest.n) {
		bool more = str_cut(rest, '.', &label, &rest);

		if (!add_label(&n, (const uint8_t *)label.p, label.n) || (more && !rest.n))
			return -EINVAL;
	}
	add_root(&n);
	*ret = n;
	return 0;
}

struct str dns_name_text(const struct dns_name *n, char *buf)
{
	size_t at = 0;

	for (size_t i = 0; i < n->labels; i++) {
		struct str l = dns_label(n, i);

		if (i)
			buf[at++] = '.';
		for (size_t c = 0; c < l.n; c++)
			buf[at++] = l.p[c] > ' ' && l.p[c] < 0x7f ? l.p[c] : '?';
	}
	buf[at] = 0;
	return str_n(buf, at);
}

bool dns_name_eq(const struct dns_name *a, const struct dns_name *b)
{
	return a->n == b->n && memcmp(a->wire, b->wire, a->n) == 0;
}

bool dns_name_within(const struct dns_name *n, const struct dns_name *zone)
{
	size_t at;

	if (n->labels < zone->labels || n->n < zone->n)
		return false;
	at = n->n - zone->n;
	/* the suffix must begin at a label */
	if (n->labels > zone->labels && n->at[n->labels - zone->labels] != at)
		return false;
	return memcmp(n->wire + at, zone->wire, zone->n) == 0;
}

int dns_name_read(struct str message, size_t *at, struct dns_name *ret)
{
	const uint8_t *p = (const uint8_t *)message.p;
	size_t i = *at, end = 0, limit = message.n;

	ret->n = ret->labels = 0;
	for (;;) {
		if (i >= limit)
			return -EBADMSG;
		if (p[i] == 0)
			break;
		if ((p[i] & 0xc0) == 0xc0) {
			size_t to;

			if (i + 1 >= message.n)
				return -EBADMSG;
			to = (p[i] & 0x3f) << 8 | p[i + 1];
			if (!end)
				end = i + 2;
			/* always further to the front, so this ends */
			if (to >= i || to < DNS_HEADER)
				return -EBADMSG;
			limit = i;
			i = to;
			continue;
		}
		if (p[i] > DNS_LABEL_MAX || i + 1 + p[i] > message.n ||
			!add_label(ret, p + i + 1, p[i]))
			return -EBADMSG;
		i += 1 + p[i];
	}
	add_root(ret);
	*at = end ? end : i + 1;
	return 0;
}

int dns_addr_parse(struct str text, struct dns_addr *ret)
{
	char buf[INET6_ADDRSTRLEN];
	struct dns_addr a = {0};
	bool v6 = str_chr(text, ':') >= 0;

	if (text.n == 0 || text.n >= sizeof(buf))
		return -EINVAL;
	memcpy(buf, text.p, text.n);
	buf[text.n] = 0;
	if (inet_pton(v6 ? AF_INET6 : AF_INET, buf, a.b) != 1)
		return -EINVAL;
	a.n = v6 ? 16 : 4;
	*ret = a;
	return 0;
}

bool dns_addr_eq(const struct dns_addr *a, const struct dns_addr *b)
{
	return a->n == b->n && memcmp(a->b, b->b, a->n) == 0;
}

static bool ends_in(const struct dns_name *n, const char *first, size_t labels)
{
	return n->labels == labels + 2 && str_eqc(dns_label(n, labels), first) &&
	       str_eqc(dns_label(n, labels + 1), "arpa");
}

static int hex_of(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool dns_addr_from_reverse(const struct dns_name *n, struct dns_addr *ret)
{
	struct dns_addr a = {0};

	if (ends_in(n, "in-addr", 4)) {
		for (size_t i = 0; i < 4; i++) {
			struct str l = dns_label(n, i);
			uint64_t v;

			if (l.n > 3 || str_to_u64(l, &v) < 0 || v > 255)
				return false;
			a.b[3 - i] = v;
		}
		a.n = 4;
	} else if (ends_in(n, "ip6", 32)) {
		for (size_t i = 0; i < 32; i++) {
			struct str l = dns_label(n, i);
			int v = l.n == 1 ? hex_of(l.p[0]) : -1;

			if (v < 0)
				return false;
			a.b[15 - i / 2] |= i % 2 ? v << 4 : v;
		}
		a.n = 16;
	} else {
		return false;
	}
	*ret = a;
	return true;
}
