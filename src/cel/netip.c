/* netip.c: addresses, with the error texts of Go's net/netip. */
#include "cel/netip.h"

#include <ctype.h>
#include <stdio.h>

#include "json/quote.h"

struct reader {
	struct str in, s; /* all of it, what is left */
	struct arena *a;
	struct str *error;
};

static bool fail(struct reader *r, const char *what, struct str at)
{
	if (at.n)
		*r->error = arena_fmt(r->a, "ParseAddr(" STR_FMT "): %s (at " STR_FMT ")",
			STR_ARG(quote_text(r->a, r->in)), what, STR_ARG(quote_text(r->a, at)));
	else
		*r->error = arena_fmt(
			r->a, "ParseAddr(" STR_FMT "): %s", STR_ARG(quote_text(r->a, r->in)), what);
	return false;
}

static bool parse4(struct reader *r, struct str s, unsigned char out[4])
{
	unsigned value = 0, digits = 0, pos = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (isdigit((unsigned char)s.p[i])) {
			if (digits == 1 && value == 0)
				return fail(r, "IPv4 field has octet with leading zero", S(""));
			value = value * 10 + (s.p[i] - '0');
			digits++;
			if (value > 255)
				return fail(r, "IPv4 field has value >255", S(""));
			continue;
		}
		if (s.p[i] != '.')
			return fail(r, "unexpected character", str_sub(s, i, s.n));
		if (i == 0 || i == s.n - 1 || s.p[i - 1] == '.')
			return fail(
				r, "IPv4 field must have at least one digit", str_sub(s, i, s.n));
		if (pos == 3)
			return fail(r, "IPv4 address too long", S(""));
		out[pos++] = (unsigned char)value;
		value = digits = 0;
	}
	if (pos < 3)
		return fail(r, "IPv4 address too short", S(""));
	out[3] = (unsigned char)value;
	return true;
}

static int hex(char ch)
{
	return isdigit((unsigned char)ch) ? ch - '0' : tolower((unsigned char)ch) - 'a' + 10;
}

/* The digits of one field; *ret_n of them. */
static bool field6(struct reader *r, unsigned *ret, size_t *ret_n)
{
	size_t n = 0;
	unsigned value = 0;

	for (; n < r->s.n && isxdigit((unsigned char)r->s.p[n]); n++) {
		value = value << 4 | hex(r->s.p[n]);
		if (n > 3)
			return fail(r, "each group must have 4 or less digits", r->s);
		if (value > 0xffff)
			return fail(r, "IPv6 field has value >=2^16", r->s);
	}
	if (n == 0)
		return fail(r, "each colon-separated field must have at least one digit", r->s);
	*ret = value;
	*ret_n = n;
	return true;
}

static bool embedded4(struct reader *r, unsigned char *bytes, size_t *i, int ellipsis)
{
	if (ellipsis < 0 && *i != 12)
		return fail(r,
			"embedded IPv4 address must replace the final 2 fields of the address",
			r->s);
	if (*i + 4 > 16)
		return fail(r,
			"too many hex fields to fit an embedded IPv4 at the end of the address",
			r->s);
	if (!parse4(r, r->s, bytes + *i))
		return false;
	r->s = S("");
	*i += 4;
	return true;
}

/* Behind a field: a colon, or a second one that stands for zeros. False: failed; *ret_end: over. */
static bool colon6(struct reader *r, size_t i, int *ellipsis, bool *ret_end)
{
	*ret_end = r->s.n == 0;
	if (*ret_end)
		return true;
	if (r->s.p[0] != ':')
		return fail(r, "unexpected character, want colon", r->s);
	if (r->s.n == 1)
		return fail(r, "colon must be followed by more characters", r->s);
	r->s = str_sub(r->s, 1, r->s.n);
	if (r->s.p[0] != ':')
		return true;
	if (*ellipsis >= 0)
		return fail(r, "multiple :: in address", r->s);
	*ellipsis = (int)i;
	r->s = str_sub(r->s, 1, r->s.n);
	*ret_end = r->s.n == 0;
	return true;
}

static bool fields6(struct reader *r, unsigned char bytes[16], size_t *i, int *ellipsis)
{
	bool end = r->s.n == 0;
	unsigned value = 0;
	size_t n = 0;

	while (*i < 16 && !end) {
		if (!field6(r, &value, &n))
			return false;
		if (n < r->s.n && r->s.p[n] == '.')
			return embedded4(r, bytes, i, *ellipsis);
		bytes[(*i)++] = (unsigned char)(value >> 8);
		bytes[(*i)++] = (unsigned char)value;
		r->s = str_sub(r->s, n, r->s.n);
		if (!colon6(r, *i, ellipsis, &end))
			return false;
	}
	return true;
}

static bool parse6(struct reader *r, struct str *ret_zone, unsigned char bytes[16])
{
	ssize_t percent = str_chr(r->s, '%');
	int ellipsis = -1;
	size_t i = 0;

	if (percent >= 0) {
		*ret_zone = str_sub(r->s, percent + 1, r->s.n);
		if (ret_zone->n == 0)
			return fail(r, "zone must be a non-empty string", S(""));
		r->s = str_sub(r->s, 0, percent);
	}
	if (str_starts(r->s, S("::"))) {
		ellipsis = 0;
		r->s = str_sub(r->s, 2, r->s.n);
	}
	if (!fields6(r, bytes, &i, &ellipsis))
		return false;
	if (r->s.n)
		return fail(r, "trailing garbage after address", r->s);
	if (i < 16) {
		if (ellipsis < 0)
			return fail(r, "address string too short", S(""));
		memmove(bytes + 16 - (i - ellipsis), bytes + ellipsis, i - ellipsis);
		memset(bytes + ellipsis, 0, 16 - i);
	} else if (ellipsis >= 0) {
		return fail(r, "the :: must expand to at least one field of zeros", S(""));
	}
	return true;
}

bool cel_netip_parse(struct str s, struct arena *a, struct cel_net *ret, struct str *ret_zone,
	struct str *ret_error)
{
	struct reader r = {.in = s, .s = s, .a = a, .error = ret_error};

	memset(ret, 0, sizeof(*ret));
	*ret_zone = S("");
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '.') {
			ret->bits = 32;
			return parse4(&r, s, ret->bytes);
		}
		if (s.p[i] == ':') {
			ret->bits = 128;
			return parse6(&r, ret_zone, ret->bytes);
		}
		if (s.p[i] == '%')
			return fail(&r, "missing IPv6 address", S(""));
	}
	return fail(&r, "unable to parse IP", S(""));
}

bool cel_netip_parse_prefix(
	struct str s, struct arena *a, struct cel_net *ret, struct str *ret_error)
{
	ssize_t slash = str_rchr(s, '/');
	struct str bits, zone, why = S("no '/'"), q = quote_text(a, s);
	uint64_t n = 0;

	if (slash >= 0 && cel_netip_parse(str_sub(s, 0, slash), a, ret, &zone, &why)) {
		bits = str_sub(s, slash + 1, s.n);
		if (zone.n)
			why = S("IPv6 zones cannot be present in a prefix");
		else if (bits.n == 0 || (bits.n > 1 && (bits.p[0] < '1' || bits.p[0] > '9')) ||
			 str_to_u64(bits, &n) < 0)
			why = arena_fmt(
				a, "bad bits after slash: " STR_FMT, STR_ARG(quote_text(a, bits)));
		else if (n > ret->bits)
			why = S("prefix length out of range");
		else {
			ret->prefix = (uint8_t)n;
			return true;
		}
	}
	*ret_error =
		arena_fmt(a, "netip.ParsePrefix(" STR_FMT "): " STR_FMT, STR_ARG(q), STR_ARG(why));
	return false;
}

bool cel_netip_is_4in6(const struct cel_net *net)
{
	static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};

	return net->bits == 128 && memcmp(net->bytes, mapped, sizeof(mapped)) == 0;
}

/* The longest run of two and more zero fields; the first of equals. */
static void zero_run(const unsigned char b[16], int *ret_from, int *ret_to)
{
	*ret_from = *ret_to = 16;
	for (int i = 0; i < 16; i += 2) {
		int k = i;

		while (k < 16 && b[k] == 0 && b[k + 1] == 0)
			k += 2;
		if (k - i > 2 && k - i > *ret_to - *ret_from) {
			*ret_from = i;
			*ret_to = k;
		}
	}
}

struct str cel_netip_text(const struct cel_net *net, struct arena *a)
{
	const unsigned char *b = net->bytes;
	char text[48];
	int from, to, n = 0;

	if (net->bits == 32)
		return arena_fmt(a, "%d.%d.%d.%d", b[0], b[1], b[2], b[3]);
	zero_run(b, &from, &to);
	for (int i = 0; i < 16; i += 2) {
		if (i == from) {
			n += sprintf(text + n, "::");
			i = to;
			if (i >= 16)
				break;
		} else if (i > 0) {
			text[n++] = ':';
		}
		n += sprintf(text + n, "%x", b[i] << 8 | b[i + 1]);
	}
	return arena_str(a, str_n(text, n));
}
