#include "base/base64.h"

static const char standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
		  for_urls[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static int value_of(const char *digits, char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == digits[62] ? 62 : c == digits[63] ? 63 : -1;
}

static size_t skip_lines(struct str s, size_t i)
{
	while (i < s.n && (s.p[i] == '\r' || s.p[i] == '\n'))
		i++;
	return i;
}

/* Behind the '=' at s[i-1], which is character number `have` of its group of four: checks that the
 * text ends there. */
static size_t check_padding(struct str s, size_t i, int have)
{
	if (have < 2)
		return i;
	if (have == 2) {
		i = skip_lines(s, i);
		if (i == s.n)
			return s.n + 1;
		if (s.p[i] != '=')
			return i;
		i++;
	}
	i = skip_lines(s, i);
	return i < s.n ? i + 1 : 0;
}

static size_t decode(
	const char *digits, bool padded, struct str s, struct arena *a, struct str *ret)
{
	char *out = arena_alloc(a, s.n / 4 * 3 + 4);
	size_t n = 0, bad = 0, i = 0;
	uint32_t group = 0;
	int have = 0;

	for (; i < s.n; i++) {
		int v = value_of(digits, s.p[i]);

		if (v < 0 && (s.p[i] == '\r' || s.p[i] == '\n'))
			continue;
		if (v < 0 && s.p[i] == '=' && padded) {
			bad = check_padding(s, i + 1, have);
			if (bad)
				return bad;
			break;
		}
		if (v < 0)
			return i + 1;
		group = group << 6 | (uint32_t)v;
		if (++have == 4) {
			out[n++] = (char)(group >> 16);
			out[n++] = (char)(group >> 8);
			out[n++] = (char)group;
			have = 0;
		}
	}
	if (have && i == s.n && (padded || have == 1)) /* no padding, or half a byte */
		return s.n - have + 1;
	if (have >= 2)
		out[n++] = (char)(group >> (have == 2 ? 4 : 10));
	if (have == 3)
		out[n++] = (char)(group >> 2);
	out[n] = 0;
	*ret = str_n(out, n);
	return 0;
}

size_t base64_decode(struct str s, struct arena *a, struct str *ret)
{
	return decode(standard, true, s, a, ret);
}

size_t base64url_decode(struct str s, struct arena *a, struct str *ret)
{
	return decode(for_urls, false, s, a, ret);
}

/* Writes whole groups of four, the last one padded. */
static void encode(const char *digits, struct str s, char *out)
{
	for (size_t i = 0; i < s.n; i += 3) {
		uint32_t g = (uint32_t)(unsigned char)s.p[i] << 16;

		if (i + 1 < s.n)
			g |= (uint32_t)(unsigned char)s.p[i + 1] << 8;
		if (i + 2 < s.n)
			g |= (unsigned char)s.p[i + 2];
		*out++ = digits[g >> 18];
		*out++ = digits[g >> 12 & 63];
		*out++ = i + 1 < s.n ? digits[g >> 6 & 63] : '=';
		*out++ = i + 2 < s.n ? digits[g & 63] : '=';
	}
}

void base64_encode(struct str s, struct buf *b)
{
	size_t len = (s.n + 2) / 3 * 4;
	char *out = buf_reserve(b, len);

	if (!out)
		return;
	encode(standard, s, out);
	b->n += len;
	b->p[b->n] = 0;
}

struct str base64url_encode(struct str s, struct arena *a)
{
	char *out = arena_alloc(a, (s.n + 2) / 3 * 4 + 1);
	size_t len = (s.n * 4 + 2) / 3;

	encode(for_urls, s, out);
	out[len] = 0;
	return str_n(out, len);
}
