#include "schema/base64.h"

static int value_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
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

size_t base64_decode(struct str s, struct arena *a, struct str *ret)
{
	char *out = arena_alloc(a, s.n / 4 * 3 + 4);
	size_t n = 0, bad = 0, i = 0;
	uint32_t group = 0;
	int have = 0;

	for (; i < s.n; i++) {
		int v = value_of(s.p[i]);

		if (v < 0 && (s.p[i] == '\r' || s.p[i] == '\n'))
			continue;
		if (v < 0 && s.p[i] == '=') {
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
	if (have && i == s.n) /* no padding */
		return s.n - have + 1;
	if (have >= 2)
		out[n++] = (char)(group >> (have == 2 ? 4 : 10));
	if (have == 3)
		out[n++] = (char)(group >> 2);
	out[n] = 0;
	*ret = str_n(out, n);
	return 0;
}

void base64_encode(struct str s, struct buf *b)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t len = (s.n + 2) / 3 * 4;
	char *out = buf_reserve(b, len);

	if (!out)
		return;
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
	b->n += len;
	b->p[b->n] = 0;
}
