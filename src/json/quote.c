#include "json/quote.h"

/* Decodes the sequence at p; its length, 0 when it is broken. */
static size_t decode(const unsigned char *p, size_t left, uint32_t *ret)
{
	size_t n = p[0] < 0x80   ? 1
		   : p[0] < 0xc2 ? 0
		   : p[0] < 0xe0 ? 2
		   : p[0] < 0xf0 ? 3
		   : p[0] < 0xf5 ? 4
				 : 0;
	uint32_t c;

	if (n == 0 || n > left)
		return 0;
	c = n == 1 ? p[0] : p[0] & (0x7f >> n);
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if ((n == 3 && (c < 0x800 || (c >= 0xd800 && c < 0xe000))) ||
		(n == 4 && (c < 0x10000 || c > 0x10ffff)))
		return 0;
	*ret = c;
	return n;
}

/* Go's IsPrint, as far as it matters: controls, blanks other than ' ', format characters, private
 * use, non-characters. */
static bool is_shown(uint32_t c)
{
	if (c < 0x20 || (c >= 0x7f && c <= 0xa0) || c == 0xad || c == 0x1680 || c == 0x180e)
		return false;
	if ((c >= 0x2000 && c <= 0x200f) || (c >= 0x2028 && c <= 0x202f) ||
		(c >= 0x205f && c <= 0x206f))
		return false;
	return c != 0x3000 && c != 0xfeff && !(c >= 0xe000 && c <= 0xf8ff) &&
	       !(c >= 0xfff0 && c <= 0xfffb) && (c & 0xfffe) != 0xfffe && c < 0xe0000;
}

static void write_rune(struct buf *b, const char *bytes, size_t n, uint32_t c)
{
	static const char letters[] = "abtnvfr";

	if (c == '"' || c == '\\') {
		buf_add_char(b, '\\');
		buf_add_char(b, (char)c);
	} else if (is_shown(c)) {
		buf_add(b, bytes, n);
	} else if (c >= '\a' && c <= '\r') {
		buf_add_char(b, '\\');
		buf_add_char(b, letters[c - '\a']);
	} else if (c < 0x80) {
		buf_fmt(b, "\\x%02x", c);
	} else {
		buf_fmt(b, c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
	}
}

void quote_write(struct buf *b, struct str s)
{
	buf_add_char(b, '"');
	for (size_t i = 0; i < s.n;) {
		uint32_t c;
		size_t n = decode((const unsigned char *)s.p + i, s.n - i, &c);

		if (n)
			write_rune(b, s.p + i, n, c);
		else
			buf_fmt(b, "\\x%02x", (unsigned char)s.p[i]);
		i += n ? n : 1;
	}
	buf_add_char(b, '"');
}

struct str quote_text(struct arena *a, struct str s)
{
	struct buf b CLEANUP(buf_release) = {0};

	buf_init(&b, SIZE_MAX / 2);
	quote_write(&b, s);
	return arena_str(a, buf_str(&b));
}
