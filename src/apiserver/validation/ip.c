/* ip.c: addresses and CIDRs: parsing as Go does it, canonical text, and what a field may hold. */

#include "apiserver/validation/ip.h"

static bool parse_v4(struct str s, struct ip_addr *ret)
{
	struct str part, rest = s;

	for (int i = 0; i < 4; i++) {
		bool more = str_cut(rest, '.', &part, &rest);
		unsigned v = 0;

		if (more != (i < 3) || part.n == 0)
			return false;
		for (size_t k = 0; k < part.n; k++) {
			if (part.p[k] < '0' || part.p[k] > '9')
				return false;
			v = v * 10 + (unsigned)(part.p[k] - '0');
			if (v > 255)
				return false;
		}
		if (part.n > 1 && part.p[0] == '0')
			ret->leading_zero = true;
		ret->b[i] = (uint8_t)v;
	}
	ret->v4 = true;
	return true;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* One group of up to four hex digits at s[*at]; false when there is none. */
static bool parse_group(struct str s, size_t *at, unsigned *v)
{
	size_t start = *at;

	*v = 0;
	while (*at < s.n && *at - start < 5 && hex_value(s.p[*at]) >= 0)
		*v = *v << 4 | (unsigned)hex_value(s.p[(*at)++]);
	return *at > start && *at - start <= 4;
}

/* What remains may be a dotted IPv4 tail; true when it was, with its four bytes at out[n]. */
static bool parse_v4_tail(struct str s, size_t at, uint8_t *out, size_t n, bool *leading_zero)
{
	struct ip_addr tail = {0};

	if (n > 12 || str_chr(str_sub(s, at, s.n), '.') < 0 ||
		!parse_v4(str_sub(s, at, s.n), &tail))
		return false;
	memcpy(out + n, tail.b, 4);
	*leading_zero = *leading_zero || tail.leading_zero;
	return true;
}

static bool parse_v6(struct str s, struct ip_addr *ret)
{
	uint8_t out[16] = {0};
	size_t n = 0, at = 0;
	ssize_t gap = -1;

	if (s.n >= 2 && s.p[0] == ':' && s.p[1] == ':') {
		gap = 0;
		at = 2;
	}
	while (at < s.n) {
		unsigned v;

		if (n >= 16)
			return false;
		if (parse_v4_tail(s, at, out, n, &ret->leading_zero)) {
			n += 4;
			at = s.n;
			break;
		}
		if (!parse_group(s, &at, &v))
			return false;
		out[n++] = (uint8_t)(v >> 8);
		out[n++] = (uint8_t)v;
		if (at == s.n)
			break;
		if (s.p[at] != ':' || at + 1 == s.n)
			return false;
		at++;
		if (s.p[at] == ':') {
			if (gap >= 0)
				return false;
			gap = (ssize_t)n;
			at++;
		}
	}
	if (gap < 0 ? n != 16 : n >= 16)
		return false;
	if (gap >= 0) {
		memmove(out + 16 - (n - (size_t)gap), out + gap, n - (size_t)gap);
		memset(out + gap, 0, 16 - n);
	}
	memcpy(ret->b, out, 16);
	return true;
}

bool ip_parse(struct str text, struct ip_addr *ret)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	*ret = (struct ip_addr){0};
	if (str_chr(text, ':') < 0)
		return parse_v4(text, ret);
	if (!parse_v6(text, ret))
		return false;
	if (memcmp(ret->b, mapped, sizeof(mapped)) == 0) {
		memmove(ret->b, ret->b + 12, 4);
		memset(ret->b + 4, 0, 12);
		ret->v4 = ret->mapped = true;
	}
	return true;
}

static void clear_host_bits(struct ip_addr *ip, int bits)
{
	for (int i = 0; i < 16; i++) {
		int keep = bits - 8 * i;
		if (keep <= 0)
			ip->b[i] = 0;
		else if (keep < 8)
			ip->b[i] &= (uint8_t)(0xff << (8 - keep));
	}
}

bool ip_net_parse(struct str text, struct ip_net *ret)
{
	struct str addr, len;
	uint64_t bits;

	*ret = (struct ip_net){0};
	if (!str_cut(text, '/', &addr, &len) || !ip_parse(addr, &ret->ip))
		return false;
	for (size_t i = 0; i < len.n; i++)
		if (len.p[i] < '0' || len.p[i] > '9')
			return false;
	if (len.n == 0 || str_to_u64(len, &bits) < 0)
		return false;
	ret->leading_zero = len.n > 1 && len.p[0] == '0';
	if (bits > (ret->ip.v4 && !ret->ip.mapped ? 32 : 128))
		return false;
	if (ret->ip.mapped)
		bits = bits < 96 ? 0 : bits - 96;
	ret->bits = (int)bits;
	ret->network = ret->ip;
	clear_host_bits(&ret->network, ret->bits);
	return true;
}

struct str ip_text(struct arena *a, const struct ip_addr *ip)
{
	unsigned g[8];
	int best = -1, best_n = 1;
	struct str out = S("");

	if (ip->v4)
		return arena_fmt(a, "%u.%u.%u.%u", ip->b[0], ip->b[1], ip->b[2], ip->b[3]);
	for (int i = 0; i < 8; i++)
		g[i] = (unsigned)ip->b[2 * i] << 8 | ip->b[2 * i + 1];
	for (int i = 0; i < 8; i++) {
		int n = 0;
		while (i + n < 8 && g[i + n] == 0)
			n++;
		if (n > best_n) {
			best = i;
			best_n = n;
		}
	}
	for (int i = 0; i < 8; i++) {
		if (i == best) {
			out = arena_fmt(a, STR_FMT "::", STR_ARG(out));
			i += best_n - 1;
			continue;
		}
		out = arena_fmt(a, STR_FMT "%s%x", STR_ARG(out),
			out.n && out.p[out.n - 1] != ':' ? ":" : "", g[i]);
	}
	return out;
}

struct str ip_net_text(struct arena *a, const struct ip_net *net)
{
	struct str ip = ip_text(a, &net->network);

	return arena_fmt(a, STR_FMT "/%d", STR_ARG(ip), net->bits);
}

bool ip_is_v6_text(struct str text)
{
	struct ip_addr ip;

	return ip_parse(text, &ip) && !ip.v4;
}

bool ip_net_contains(const struct ip_net *net, const struct ip_addr *ip)
{
	struct ip_addr masked = *ip;

	if (net->network.v4 != ip->v4)
		return false;
	clear_host_bits(&masked, net->bits);
	return memcmp(masked.b, net->network.b, 16) == 0;
}

bool ip_texts_dual_stack(struct str_vec texts)
{
	bool v4 = false, v6 = false;

	for (size_t i = 0; i < texts.n; i++) {
		struct ip_addr ip;
		struct ip_net net;

		if (ip_parse(texts.v[i], &ip))
			*(ip.v4 ? &v4 : &v6) = true;
		else if (ip_net_parse(texts.v[i], &net))
			*(net.ip.v4 ? &v4 : &v6) = true;
		else
			return false;
	}
	return v4 && v6;
}

/* Common part: true when it parsed and nothing was added. */
static bool check_ip(
	struct str v, struct ip_addr *ip, const struct field_path *p, struct field_errors *e)
{
	if (!ip_parse(v, ip)) {
		field_invalid(
			e, p, v, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
		return false;
	}
	if (ip->leading_zero)
		field_invalid(e, p, v, "must not have leading 0s");
	else if (ip->mapped)
		field_invalid(e, p, v, "must not be an IPv4-mapped IPv6 address");
	return !ip->leading_zero && !ip->mapped;
}

void validate_ip_legacy(
	struct str v, const struct str_vec *old, const struct field_path *p, struct field_errors *e)
{
	struct ip_addr ip;

	if (!old || !str_vec_has(old, v))
		check_ip(v, &ip, p, e);
}

void validate_ip(struct str v, const struct field_path *p, struct field_errors *e)
{
	struct ip_addr ip;
	struct str text;

	if (!check_ip(v, &ip, p, e))
		return;
	text = ip_text(e->arena, &ip);
	if (!str_eq(text, v))
		field_invalid(
			e, p, v, "must be in canonical form (\"" STR_FMT "\")", STR_ARG(text));
}

static bool check_cidr(
	struct str v, struct ip_net *net, const struct field_path *p, struct field_errors *e)
{
	if (!ip_net_parse(v, net)) {
		field_invalid(
			e, p, v, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)");
		return false;
	}
	if (net->ip.leading_zero || net->leading_zero)
		field_invalid(e, p, v, "must not have leading 0s in IP or prefix length");
	else if (net->ip.mapped)
		field_invalid(e, p, v, "must not have an IPv4-mapped IPv6 address");
	else if (memcmp(net->ip.b, net->network.b, 16) != 0)
		field_invalid(e, p, v, "must not have bits set beyond the prefix length");
	else
		return true;
	return false;
}

void validate_cidr_legacy(
	struct str v, const struct str_vec *old, const struct field_path *p, struct field_errors *e)
{
	struct ip_net net;

	if (!old || !str_vec_has(old, v))
		check_cidr(v, &net, p, e);
}

void validate_cidr(struct str v, const struct field_path *p, struct field_errors *e)
{
	struct ip_net net;
	struct str text;

	if (!check_cidr(v, &net, p, e))
		return;
	text = ip_net_text(e->arena, &net);
	if (!str_eq(text, v))
		field_invalid(
			e, p, v, "must be in canonical form (\"" STR_FMT "\")", STR_ARG(text));
}

static bool ip_is_loopback(const struct ip_addr *ip)
{
	static const uint8_t v6[16] = {[15] = 1};

	return ip->v4 ? ip->b[0] == 127 : memcmp(ip->b, v6, 16) == 0;
}

static bool ip_is_link_local(const struct ip_addr *ip)
{
	return ip->v4 ? ip->b[0] == 169 && ip->b[1] == 254
		      : ip->b[0] == 0xfe && (ip->b[1] & 0xc0) == 0x80;
}

static bool ip_is_link_local_multicast(const struct ip_addr *ip)
{
	return ip->v4 ? ip->b[0] == 224 && ip->b[1] == 0 && ip->b[2] == 0
		      : ip->b[0] == 0xff && (ip->b[1] & 0x0f) == 0x02;
}

void validate_endpoint_ip(struct str v, const struct field_path *p, struct field_errors *e)
{
	static const uint8_t zero[16];
	struct ip_addr ip;

	if (!ip_parse(v, &ip)) {
		field_invalid(e, p, v, "must be a valid IP address");
		return;
	}
	if (memcmp(ip.b, zero, 16) == 0)
		field_invalid(e, p, v, "may not be unspecified (" STR_FMT ")", STR_ARG(v));
	if (ip_is_loopback(&ip))
		field_invalid(e, p, v, "may not be in the loopback range (127.0.0.0/8, ::1/128)");
	if (ip_is_link_local(&ip))
		field_invalid(
			e, p, v, "may not be in the link-local range (169.254.0.0/16, fe80::/10)");
	if (ip_is_link_local_multicast(&ip))
		field_invalid(e, p, v,
			"may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)");
}

struct str ip_warning(struct arena *a, const struct field_path *p, struct str v)
{
	struct str path = field_path_text(a, p), quoted = go_quote(a, v), text;
	struct ip_addr ip;

	if (!ip_parse(v, &ip))
		return (struct str){0};
	text = ip_text(a, &ip);
	if (ip.leading_zero || ip.mapped)
		return arena_fmt(a,
			STR_FMT ": non-standard IP address " STR_FMT " is invalid: use \"" STR_FMT
				"\"",
			STR_ARG(path), STR_ARG(quoted), STR_ARG(text));
	if (!ip.v4 && !str_eq(text, v))
		return arena_fmt(a,
			STR_FMT ": IPv6 address " STR_FMT
				" should be in RFC 5952 canonical format (\"" STR_FMT "\")",
			STR_ARG(path), STR_ARG(quoted), STR_ARG(text));
	return (struct str){0};
}

struct str_vec cidr_warnings(struct arena *a, const struct field_path *p, struct str v)
{
	struct str path = field_path_text(a, p), quoted = go_quote(a, v), text, ip;
	struct str_vec out = {0};
	struct ip_net net;

	if (!ip_net_parse(v, &net))
		return out;
	text = ip_net_text(a, &net);
	ip = ip_text(a, &net.ip);
	if (memcmp(net.ip.b, net.network.b, 16) != 0)
		ARENA_PUSH(a, &out,
			arena_fmt(a,
				STR_FMT ": CIDR value " STR_FMT
					" is ambiguous in this context (should be \"" STR_FMT
					"\" or \"" STR_FMT "/%d\"?)",
				STR_ARG(path), STR_ARG(quoted), STR_ARG(text), STR_ARG(ip),
				net.bits));
	if (net.ip.leading_zero || net.leading_zero || net.ip.mapped)
		ARENA_PUSH(a, &out,
			arena_fmt(a,
				STR_FMT ": non-standard CIDR value " STR_FMT
					" is invalid: use \"" STR_FMT "\"",
				STR_ARG(path), STR_ARG(quoted), STR_ARG(text)));
	if (out.n == 0 && !net.ip.v4 && !str_eq(text, v))
		ARENA_PUSH(a, &out,
			arena_fmt(a,
				STR_FMT ": IPv6 CIDR value " STR_FMT
					" should be in RFC 5952 canonical format (\"" STR_FMT "\")",
				STR_ARG(path), STR_ARG(quoted), STR_ARG(text)));
	return out;
}
