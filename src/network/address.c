#include "network/address.h"

#include <arpa/inet.h>
#include <stdio.h>

int addr_parse(struct str text, struct ip_addr *ret)
{
	char c[IP_TEXT_MAX];
	struct ip_addr ip = {0};

	if (!text.n || text.n >= sizeof(c) || memchr(text.p, 0, text.n))
		return -EINVAL;
	memcpy(c, text.p, text.n);
	c[text.n] = 0;
	ip.family = memchr(c, ':', text.n) ? AF_INET6 : AF_INET;
	if (inet_pton(ip.family, c, ip.b) != 1)
		return -EINVAL;
	*ret = ip;
	return 0;
}

static void cut_host_bits(struct ip_prefix *p)
{
	for (int i = p->bits; i < addr_bits(&p->addr); i++)
		p->addr.b[i / 8] &= ~(0x80 >> i % 8);
}

int ip_prefix_parse(struct str text, struct ip_prefix *ret)
{
	struct ip_prefix p = {0};
	struct str addr, bits;
	int64_t n;

	if (!str_cut(text, '/', &addr, &bits) || addr_parse(addr, &p.addr) < 0 ||
		str_to_i64(bits, &n) < 0 || n < 0 || n > addr_bits(&p.addr))
		return -EINVAL;
	p.bits = (int)n;
	cut_host_bits(&p);
	*ret = p;
	return 0;
}

const char *addr_text(const struct ip_addr *ip, char buf[IP_TEXT_MAX])
{
	if (!ip->family || !inet_ntop(ip->family, ip->b, buf, IP_TEXT_MAX))
		buf[0] = 0;
	return buf;
}

const char *ip_prefix_text(const struct ip_prefix *p, char buf[IP_TEXT_MAX])
{
	size_t n;

	addr_text(&p->addr, buf);
	n = strlen(buf);
	snprintf(buf + n, IP_TEXT_MAX - n, "/%d", p->bits);
	return buf;
}

struct str addr_str(const struct ip_addr *ip, struct arena *a)
{
	char buf[IP_TEXT_MAX];

	return arena_strc(a, addr_text(ip, buf));
}

size_t addr_size(const struct ip_addr *ip)
{
	return ip->family == AF_INET6 ? 16 : ip->family == AF_INET ? 4 : 0;
}

int addr_bits(const struct ip_addr *ip)
{
	return (int)addr_size(ip) * 8;
}

bool addr_eq(const struct ip_addr *a, const struct ip_addr *b)
{
	return a->family == b->family && memcmp(a->b, b->b, addr_size(a)) == 0;
}

bool ip_prefix_eq(const struct ip_prefix *a, const struct ip_prefix *b)
{
	return a->bits == b->bits && addr_eq(&a->addr, &b->addr);
}

bool ip_prefix_has(const struct ip_prefix *p, const struct ip_addr *ip)
{
	struct ip_prefix q = {*ip, p->bits};

	if (p->addr.family != ip->family)
		return false;
	cut_host_bits(&q);
	return addr_eq(&p->addr, &q.addr);
}

bool ip_prefixes_overlap(const struct ip_prefix *a, const struct ip_prefix *b)
{
	return a->bits < b->bits ? ip_prefix_has(a, &b->addr) : ip_prefix_has(b, &a->addr);
}

struct ip_addr ip_prefix_at(const struct ip_prefix *p, uint32_t offset)
{
	struct ip_addr ip = p->addr;
	uint64_t carry = offset;

	for (size_t i = addr_size(&ip); i-- > 0 && carry;) {
		carry += ip.b[i];
		ip.b[i] = (uint8_t)carry;
		carry >>= 8;
	}
	return ip;
}

uint32_t ip_prefix_offset(const struct ip_prefix *p, const struct ip_addr *ip)
{
	uint64_t at = 0;
	size_t size = addr_size(ip);

	if (!ip_prefix_has(p, ip))
		return UINT32_MAX;
	for (size_t i = 0; i < size; i++) {
		if (at >> 24)
			return UINT32_MAX;
		at = at << 8 | (uint8_t)(ip->b[i] - p->addr.b[i]); /* no borrow: host bits are 0 */
	}
	return (uint32_t)at;
}

uint32_t ip_prefix_size(const struct ip_prefix *p)
{
	int host = addr_bits(&p->addr) - p->bits;

	return host >= 32 ? UINT32_MAX : 1u << host;
}

struct ip_addr ip_prefix_gateway(const struct ip_prefix *p)
{
	return ip_prefix_at(p, 1);
}

void addr_mac(const struct ip_addr *ip, uint8_t mac[MAC_LEN])
{
	struct str bytes = str_n((const char *)ip->b, addr_size(ip));
	uint32_t tail = (uint32_t)str_hash(bytes);

	mac[0] = 0x0a;
	mac[1] = ip->family == AF_INET ? 0x58 : 0x59;
	memcpy(mac + 2, ip->family == AF_INET ? (const void *)ip->b : &tail, 4);
}
