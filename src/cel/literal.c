/* literal.c: what a string or bytes token says. */
#include "cel/lex.h"

#include <ctype.h>

static const char cannot[] = "unable to unescape string";

static size_t put_rune(char *to, uint32_t r)
{
	if (r < 0x80) {
		to[0] = (char)r;
		return 1;
	}
	if (r < 0x800) {
		to[0] = (char)(0xc0 | r >> 6);
		to[1] = (char)(0x80 | (r & 0x3f));
		return 2;
	}
	if (r < 0x10000) {
		to[0] = (char)(0xe0 | r >> 12);
		to[1] = (char)(0x80 | (r >> 6 & 0x3f));
		to[2] = (char)(0x80 | (r & 0x3f));
		return 3;
	}
	to[0] = (char)(0xf0 | r >> 18);
	to[1] = (char)(0x80 | (r >> 12 & 0x3f));
	to[2] = (char)(0x80 | (r >> 6 & 0x3f));
	to[3] = (char)(0x80 | (r & 0x3f));
	return 4;
}

static bool simple_escape(char ch, char *ret)
{
	static const char from[] = "abfnrtv\\'\"`?", to[] = "\a\b\f\n\r\t\v\\'\"`?";
	const char *p = ch ? strchr(from, ch) : NULL;

	if (p)
		*ret = to[p - from];
	return p != NULL;
}

static uint32_t read_number(const char *p, size_t n, int base)
{
	uint32_t v = 0;

	for (size_t i = 0; i < n; i++) {
		int ch = tolower((unsigned char)p[i]);

		v = v * base + (isdigit(ch) ? ch - '0' : ch - 'a' + 10);
	}
	return v;
}

/* The lexer has seen to it that sequences are whole. Returns the bytes read; 0: no such one. */
static size_t unescape_one(
	const char *p, bool bytes, char *to, size_t *ret_n, const char **ret_error)
{
	size_t n;
	uint32_t r;

	*ret_n = 1;
	if (simple_escape(p[1], to))
		return 2;
	if (p[1] >= '0' && p[1] <= '3') {
		n = 4;
		r = read_number(p + 1, 3, 8);
	} else {
		n = p[1] == 'u' ? 6 : p[1] == 'U' ? 10 : 4;
		if (bytes && n > 4) {
			*ret_error = cannot;
			return 0;
		}
		r = read_number(p + 2, n - 2, 16);
	}
	if (!bytes && (r > 0x10ffff || (r >= 0xd800 && r < 0xe000))) {
		*ret_error = "invalid unicode code point";
		return 0;
	}
	if (bytes)
		to[0] = (char)r;
	else
		*ret_n = put_rune(to, r);
	return n;
}

/* Line ends become \n, in raw strings, too. */
static struct str normalized(struct str s, struct arena *a)
{
	char *out;
	size_t n = 0;

	if (!memchr(s.p, '\r', s.n))
		return s;
	out = arena_alloc(a, s.n + 1);
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\r' && i + 1 < s.n && s.p[i + 1] == '\n')
			continue;
		out[n++] = s.p[i] == '\r' ? '\n' : s.p[i];
	}
	return str_n(out, n);
}

bool cel_unescape(
	struct str token, bool bytes, struct arena *a, struct str *ret, const char **ret_error)
{
	bool raw;
	size_t quotes, n = 0;
	char *out;

	if (bytes)
		token = str_sub(token, 1, token.n);
	raw = token.p[0] == 'r' || token.p[0] == 'R';
	if (raw)
		token = str_sub(token, 1, token.n);
	quotes = token.n >= 6 && token.p[1] == token.p[0] && token.p[2] == token.p[0] ? 3 : 1;
	token = normalized(str_sub(token, quotes, token.n - quotes), a);
	if (raw || token.n == 0 || !memchr(token.p, '\\', token.n)) {
		*ret = token;
		return true;
	}
	out = arena_alloc(a, token.n + 1);
	for (size_t i = 0; i < token.n;) {
		size_t read = 1, wrote = 1;

		if (token.p[i] != '\\')
			out[n] = token.p[i];
		else
			read = unescape_one(token.p + i, bytes, out + n, &wrote, ret_error);
		if (read == 0)
			return false;
		i += read;
		n += wrote;
	}
	*ret = str_n(out, n);
	return true;
}
