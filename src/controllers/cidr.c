#include "controllers/cidr.h"

#include <arpa/inet.h>

static int max_bits(int family)
{
	return family == AF_INET ? 32 : 128;
}

static bool get_bit(const uint8_t *addr, int i)
{
	return addr[i / 8] >> (7 - i % 8) & 1;
}

static void set_bit(uint8_t *addr, int i, bool on)
{
	uint8_t mask = 1 << (7 - i % 8);

	addr[i / 8] = on ? addr[i / 8] | mask : addr[i / 8] & ~mask;
}

int cidr_parse(struct str s, struct cidr *ret)
{
	struct cidr c = {0};
	struct str ip, bits;
	char text[INET6_ADDRSTRLEN];
	int64_t n;

	if (!str_cut(s, '/', &ip, &bits) || ip.n >= sizeof(text) || str_to_i64(bits, &n) < 0)
		return -EINVAL;
	memcpy(text, ip.p, ip.n);
	text[ip.n] = 0;
	c.family = str_chr(ip, ':') < 0 ? AF_INET : AF_INET6;
	if (inet_pton(c.family, text, c.addr) != 1 || n < 0 || n > max_bits(c.family))
		return -EINVAL;
	c.bits = (int)n;
	for (int i = c.bits; i < max_bits(c.family); i++)
		set_bit(c.addr, i, false);
	*ret = c;
	return 0;
}

int cidrs_parse(struct str s, struct cidr ret[CIDRS_MAX], struct err *err)
{
	int n = 0;

	while (!str_empty(s)) {
		struct str one;

		str_cut(s, ',', &one, &s);
		if (n == CIDRS_MAX || cidr_parse(one, &ret[n]) < 0)
			return err_bad_request(err, "invalid CIDR \"" STR_FMT "\"", STR_ARG(one));
		n++;
	}
	if (n == 2 && ret[0].family == ret[1].family)
		return err_bad_request(err, "two CIDRs must be of different IP families");
	if (n == 0)
		return err_bad_request(err, "a cluster CIDR is needed");
	return n;
}

uint32_t cidr_count(const struct cidr *c, int bits)
{
	if (bits < c->bits)
		return 0;
	return bits - c->bits >= 16 ? 65536 : 1U << (bits - c->bits);
}

struct cidr cidr_sub(const struct cidr *c, int bits, uint32_t index)
{
	struct cidr s = *c;

	s.bits = bits;
	for (int i = bits - 1; i >= c->bits; i--, index >>= 1)
		set_bit(s.addr, i, index & 1);
	return s;
}

int64_t cidr_index(const struct cidr *c, const struct cidr *s, int bits)
{
	int64_t index = 0;

	if (c->family != s->family || s->bits != bits || bits < c->bits)
		return -1;
	for (int i = 0; i < c->bits; i++)
		if (get_bit(c->addr, i) != get_bit(s->addr, i))
			return -1;
	for (int i = c->bits; i < bits; i++) {
		index = index << 1 | get_bit(s->addr, i);
		if (index >= 65536)
			return -1;
	}
	return index;
}

bool cidr_overlap(const struct cidr *a, const struct cidr *b)
{
	if (a->family != b->family)
		return false;
	for (int i = 0; i < MIN(a->bits, b->bits); i++)
		if (get_bit(a->addr, i) != get_bit(b->addr, i))
			return false;
	return true;
}

bool cidr_span(const struct cidr *c, const struct cidr *s, int bits, uint32_t *ret_first,
	uint32_t *ret_last)
{
	uint64_t first = 0;

	if (bits < c->bits || !cidr_overlap(c, s))
		return false;
	if (s->bits <= c->bits) {
		*ret_first = 0;
		*ret_last = cidr_count(c, bits) - 1;
		return true;
	}
	for (int i = c->bits; i < MIN(bits, s->bits); i++)
		first = first << 1 | get_bit(s->addr, i);
	if (s->bits < bits) /* it is larger than a sub-range */
		first <<= MIN(bits - s->bits, 32);
	if (first >= cidr_count(c, bits))
		return false;
	*ret_first = (uint32_t)first;
	*ret_last = (uint32_t)first;
	if (s->bits < bits)
		*ret_last = (uint32_t)MIN(first + (1ULL << MIN(bits - s->bits, 32)) - 1,
			(uint64_t)cidr_count(c, bits) - 1);
	return true;
}

int cidr_check_mask(const struct cidr *c, int bits, struct err *err)
{
	if (bits < c->bits || bits > max_bits(c->family))
		return err_bad_request(err,
			"Controller: Invalid --cluster-cidr, mask size of cluster CIDR must be less "
			"than or equal to --node-cidr-mask-size configured for CIDR family");
	if (bits - c->bits > 16)
		return err_bad_request(
			err, "New CIDR set failed; the node CIDR size is too big");
	return 0;
}

int cidrs_check_apart(struct str pods, struct str services, struct err *err)
{
	struct cidr p[CIDRS_MAX], s[CIDRS_MAX];
	int n_p = cidrs_parse(pods, p, err), n_s = n_p < 0 ? n_p : cidrs_parse(services, s, err);

	if (n_s < 0)
		return n_s;
	for (int i = 0; i < n_p; i++)
		for (int k = 0; k < n_s; k++)
			if (cidr_overlap(&p[i], &s[k]))
				return err_bad_request(err,
					"the addresses of pods (--cluster-cidr=" STR_FMT
					") and of services (--service-cluster-ip-range=" STR_FMT
					") overlap: give one of them another range",
					STR_ARG(pods), STR_ARG(services));
	return 0;
}

struct str cidr_format(const struct cidr *c, struct arena *a)
{
	char text[INET6_ADDRSTRLEN];

	inet_ntop(c->family, c->addr, text, sizeof(text));
	return arena_fmt(a, "%s/%d", text, c->bits);
}
