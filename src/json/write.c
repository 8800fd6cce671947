#include "json/write.h"

#include <math.h>
#include <stdio.h>

/* What is not copied as it stands; bytes from 0x80 need a look at the whole sequence. */
static const bool special[256] = {
	[0 ... 0x1f] = true,
	['"'] = true,
	['\\'] = true,
	['<'] = true,
	['>'] = true,
	['&'] = true,
	[0x80 ... 0xff] = true,
};

static void write_escape(struct buf *b, unsigned char c)
{
	static const char letters[] = {['\b'] = 'b',
		['\f'] = 'f',
		['\n'] = 'n',
		['\r'] = 'r',
		['\t'] = 't',
		['"'] = '"',
		['\\'] = '\\'};
	char out[6] = {'\\', 'u', '0', '0', "0123456789abcdef"[c >> 4], "0123456789abcdef"[c & 15]};

	if (c < sizeof(letters) && letters[c]) {
		out[1] = letters[c];
		buf_add(b, out, 2);
	} else {
		buf_add(b, out, 6);
	}
}

/* Bytes of the well-formed sequence at s[i], 0 when it is broken. */
static size_t sequence(struct str s, size_t i)
{
	const unsigned char *p = (const unsigned char *)s.p + i;
	size_t n = p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;

	if (n == 0 || s.n - i < n)
		return 0;
	for (size_t k = 1; k < n; k++)
		if ((p[k] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
		(p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return n;
}

/* A non-ASCII sequence; returns its length. */
static size_t write_wide(struct buf *b, struct str s, size_t i)
{
	size_t n = sequence(s, i);

	if (n == 0) {
		buf_add(b, "\\ufffd", 6);
		return 1;
	}
	if (n == 3 && memcmp(s.p + i, "\xe2\x80\xa8", 3) == 0)
		buf_add(b, "\\u2028", 6);
	else if (n == 3 && memcmp(s.p + i, "\xe2\x80\xa9", 3) == 0)
		buf_add(b, "\\u2029", 6);
	else
		buf_add(b, s.p + i, n);
	return n;
}

void json_write_string(struct buf *b, struct str s)
{
	size_t from = 0, i = 0;
	char *to;

	while (i < s.n && !special[(unsigned char)s.p[i]])
		i++;
	if (i == s.n && (to = buf_reserve(b, s.n + 2))) { /* nearly every string */
		*to = '"';
		if (s.n)
			memcpy(to + 1, s.p, s.n);
		to[s.n + 1] = '"';
		to[s.n + 2] = 0;
		b->n += s.n + 2;
		return;
	}
	buf_add_char(b, '"');
	while (i < s.n) {
		unsigned char c = s.p[i];

		if (!special[c]) {
			i++;
			continue;
		}
		buf_add(b, s.p + from, i - from);
		if (c < 0x80) {
			write_escape(b, c);
			i++;
		} else {
			i += write_wide(b, s, i);
		}
		from = i;
	}
	buf_add(b, s.p + from, s.n - from);
	buf_add_char(b, '"');
}

/* The shortest text that reads back as the same number, in Go's choice of notation. */
void json_write_double(struct buf *b, double v)
{
	char text[40], plain[400], *e;
	int precision, exponent;
	double a = fabs(v);

	if (v == 0) {
		buf_add_c(b, signbit(v) ? "-0" : "0");
		return;
	}
	for (precision = 0; precision < 17; precision++) {
		snprintf(text, sizeof(text), "%.*e", precision, v);
		if (strtod(text, NULL) == v)
			break;
	}
	e = strchr(text, 'e');
	if (!e) { /* not a number that JSON has */
		buf_add_c(b, "null");
		return;
	}
	exponent = atoi(e + 1);
	if (a >= 1e-6 && a < 1e21) {
		snprintf(plain, sizeof(plain), "%.*f", MAX(precision - exponent, 0), v);
		buf_add_c(b, plain);
		return;
	}
	buf_add(b, text, e - text);
	if (exponent < 0)
		buf_fmt(b, "e-%d", -exponent);
	else
		buf_fmt(b, "e+%02d", exponent);
}

/* Copies a string literal, escaping what json.Marshal escapes in text it is given; returns the byte
 * behind it. */
static const char *copy_literal(struct buf *b, const char *p, const char *end)
{
	const char *from = p++;

	while (p < end && *p != '"') {
		bool line = end - p >= 3 && p[0] == '\xe2' && p[1] == '\x80' &&
			    (p[2] == '\xa8' || p[2] == '\xa9');

		if (*p == '<' || *p == '>' || *p == '&') {
			buf_add(b, from, p - from);
			write_escape(b, *p);
			from = ++p;
		} else if (line) {
			buf_add(b, from, p - from);
			buf_add_c(b, p[2] == '\xa8' ? "\\u2028" : "\\u2029");
			from = p += 3;
		} else {
			p += *p == '\\' && end - p > 1 ? 2 : 1;
		}
	}
	p = p < end ? p + 1 : end;
	buf_add(b, from, p - from);
	return p;
}

void json_write_compact(struct buf *b, struct str text)
{
	const char *p = text.p, *end = text.p + text.n;

	while (p < end) {
		if (*p == '"') {
			p = copy_literal(b, p, end);
		} else {
			if (*p != ' ' && *p != '\n' && *p != '\t' && *p != '\r')
				buf_add_char(b, *p);
			p++;
		}
	}
}

static void new_line(struct buf *b, int depth)
{
	buf_add_char(b, '\n');
	for (int i = 0; i < depth; i++)
		buf_add(b, "  ", 2);
}

static void indent_token(struct buf *b, char c, int *depth)
{
	if (c == '}' || c == ']')
		new_line(b, --*depth);
	buf_add_char(b, c);
	if (c == '{' || c == '[')
		new_line(b, ++*depth);
	else if (c == ',')
		new_line(b, *depth);
	else if (c == ':')
		buf_add_char(b, ' ');
}

void json_write_indent(struct buf *b, struct str text)
{
	const char *p = text.p, *end = text.p + text.n;
	int depth = 0;

	while (p < end) {
		char c = *p;

		if (c == '"') {
			p = copy_literal(b, p, end);
			continue;
		}
		p++;
		if (c == ' ' || c == '\n' || c == '\t' || c == '\r')
			continue;
		if ((c == '{' || c == '[') && p < end &&
			*p == c + 2) { /* empty: stays on the line */
			buf_add(b, p - 1, 2);
			p++;
			continue;
		}
		indent_token(b, c, &depth);
	}
}
