/* reader.c: the scanner. Errors are found at the same byte and worded in the same way as by Go's
 * scanner. */
#include "json/reader.h"

#include <stdio.h>

void json_reader_init(struct json_reader *r, struct str text, struct arena *a)
{
	*r = (struct json_reader){.p = text.p, .end = text.p + text.n, .arena = a};
}

static void fail_end(struct json_reader *r)
{
	if (!r->failed)
		snprintf(r->error, sizeof(r->error), "unexpected end of JSON input");
	r->failed = true;
}

/* A byte as Go quotes it: it is taken for a code point, whatever it is part of. */
static void quote_char(unsigned char c, char out[16])
{
	if (c == '\'')
		strcpy(out, "'\\''");
	else if (c == '\\')
		strcpy(out, "'\\\\'");
	else if (c >= 0x20 && c < 0x7f)
		sprintf(out, "'%c'", c);
	else if (c >= '\a' && c <= '\r')
		sprintf(out, "'\\%c'", "abtnvfr"[c - '\a']);
	else if (c < 0x80)
		sprintf(out, "'\\x%02x'", c);
	else if (c <= 0xa0 || c == 0xad)
		sprintf(out, "'\\u%04x'", c);
	else
		sprintf(out, "'%c%c'", 0xc0 | c >> 6, 0x80 | (c & 0x3f));
}

/* The byte at p does not fit; at the end of the text Go's scanner sees a blank there. */
static void fail_at(struct json_reader *r, const char *p, const char *context)
{
	char quoted[16];

	r->p = p;
	if (r->failed)
		return;
	quote_char(p < r->end ? (unsigned char)*p : ' ', quoted);
	snprintf(r->error, sizeof(r->error), "invalid character %s %s", quoted, context);
	r->failed = true;
}

static inline void skip_blanks(struct json_reader *r)
{
	const char *p = r->p;

	while (p < r->end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r'))
		p++;
	r->p = p;
}

/* Between tokens a blank at the end is fine for Go, so there the text is merely too short. */
static bool fail_between(struct json_reader *r, const char *context)
{
	if (r->p >= r->end)
		fail_end(r);
	else
		fail_at(r, r->p, context);
	return false;
}

char json_peek(struct json_reader *r)
{
	if (r->failed)
		return 0;
	skip_blanks(r);
	if (r->p >= r->end) {
		fail_end(r);
		return 0;
	}
	switch (*r->p) {
	case '{':
	case '[':
	case '"':
	case 't':
	case 'f':
	case 'n':
	case '-':
	case '0' ... '9':
		return *r->p;
	}
	fail_at(r, r->p, "looking for beginning of value");
	return 0;
}

bool json_enter(struct json_reader *r, char open)
{
	if (r->failed)
		return false;
	assert(r->p < r->end && *r->p == open);
	if (r->depth >= JSON_DEPTH_MAX) {
		fail_at(r, r->p, "exceeded max depth");
		return false;
	}
	r->depth++;
	r->p++;
	r->first = true;
	return true;
}

static bool leave(struct json_reader *r)
{
	r->p++;
	r->depth--;
	r->first = false;
	return false;
}

bool json_next_key(struct json_reader *r, struct str *ret_key)
{
	if (r->failed)
		return false;
	skip_blanks(r);
	if (r->p < r->end && *r->p == '}')
		return leave(r);
	if (!r->first) {
		if (r->p >= r->end || *r->p != ',')
			return fail_between(r, "after object key:value pair");
		r->p++;
		skip_blanks(r);
	}
	r->first = false;
	if (r->p >= r->end || *r->p != '"')
		return fail_between(r, "looking for beginning of object key string");
	if (!json_read_string(r, ret_key))
		return false;
	skip_blanks(r);
	if (r->p >= r->end || *r->p != ':')
		return fail_between(r, "after object key");
	r->p++;
	return true;
}

bool json_next_item(struct json_reader *r)
{
	if (r->failed)
		return false;
	skip_blanks(r);
	if (r->p < r->end && *r->p == ']')
		return leave(r);
	if (!r->first) {
		if (r->p >= r->end || *r->p != ',')
			return fail_between(r, "after array element");
		r->p++;
	}
	r->first = false;
	return json_peek(r) != 0;
}

/* Whether one of eight bytes ends the fast run: a quote, a backslash, a control or a non-ASCII
 * byte. */
static inline bool word_is_special(uint64_t w)
{
	const uint64_t ones = 0x0101010101010101, high = 0x8080808080808080;
	uint64_t quote = w ^ ones * '"', slash = w ^ ones * '\\';

	return (((quote - ones) & ~quote) | ((slash - ones) & ~slash) | (w - ones * 0x20) | w) &
	       high;
}

static inline const char *plain_run(const char *p, const char *end)
{
	while (end - p >= 8) {
		uint64_t w;

		memcpy(&w, p, 8);
		if (word_is_special(w))
			break;
		p += 8;
	}
	while (p < end && *p != '"' && *p != '\\' && (unsigned char)*p >= 0x20 &&
		(unsigned char)*p < 0x80)
		p++;
	return p;
}

/* Length of the well-formed UTF-8 sequence at p (RFC 3629), 0 when it is broken. */
static size_t utf8_len(const char *s, const char *end)
{
	const unsigned char *p = (const unsigned char *)s;
	unsigned char lo = 0x80, hi = 0xbf;
	size_t n;

	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if ((size_t)(end - s) < n)
		return 0;
	if (p[0] == 0xe0)
		lo = 0xa0;
	else if (p[0] == 0xed)
		hi = 0x9f;
	else if (p[0] == 0xf0)
		lo = 0x90;
	else if (p[0] == 0xf4)
		hi = 0x8f;
	if (p[1] < lo || p[1] > hi)
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

static uint32_t hex4(const char *p)
{
	uint32_t v = 0;

	for (int i = 0; i < 4; i++)
		v = v << 4 | (uint32_t)(p[i] <= '9' ? p[i] - '0' : (p[i] | 0x20) - 'a' + 10);
	return v;
}

static char *put_utf8(char *out, uint32_t c)
{
	if (c < 0x80) {
		*out++ = c;
		return out;
	}
	if (c < 0x800) {
		*out++ = 0xc0 | c >> 6;
	} else if (c < 0x10000) {
		*out++ = 0xe0 | c >> 12;
		*out++ = 0x80 | (c >> 6 & 0x3f);
	} else {
		*out++ = 0xf0 | c >> 18;
		*out++ = 0x80 | (c >> 12 & 0x3f);
		*out++ = 0x80 | (c >> 6 & 0x3f);
	}
	*out++ = 0x80 | (c & 0x3f);
	return out;
}

/* \uXXXX at p (already checked): a surrogate pair counts as one, a lone surrogate is U+FFFD. */
static const char *unescape_u(const char *p, const char *end, char **out)
{
	uint32_t c = hex4(p + 2);

	p += 6;
	if (c >= 0xd800 && c < 0xdc00 && end - p >= 6 && p[0] == '\\' && p[1] == 'u') {
		uint32_t low = hex4(p + 2);

		if (low >= 0xdc00 && low < 0xe000) {
			*out = put_utf8(*out, 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00));
			return p + 6;
		}
	}
	*out = put_utf8(*out, c >= 0xd800 && c < 0xe000 ? 0xfffd : c);
	return p;
}

static char unescape_letter(char c)
{
	switch (c) {
	case 'b':
		return '\b';
	case 'f':
		return '\f';
	case 'n':
		return '\n';
	case 'r':
		return '\r';
	case 't':
		return '\t';
	}
	return c;
}

/* The checked content of a string literal, unescaped. A broken byte grows to three, nothing else
 * grows. */
static struct str unquote(struct json_reader *r, const char *p, const char *end, size_t broken)
{
	char *start = arena_alloc(r->arena, (size_t)(end - p) + 2 * broken + 1), *out = start;

	while (p < end) {
		const char *run = plain_run(p, end);
		size_t n;

		memcpy(out, p, run - p);
		out += run - p;
		p = run;
		if (p >= end)
			break;
		if (*p == '\\' && p[1] == 'u') {
			p = unescape_u(p, end, &out);
		} else if (*p == '\\') {
			*out++ = unescape_letter(p[1]);
			p += 2;
		} else if ((n = utf8_len(p, end))) {
			memcpy(out, p, n);
			out += n;
			p += n;
		} else {
			out = put_utf8(out, 0xfffd);
			p++;
		}
	}
	*out = 0;
	return (struct str){start, out - start};
}

/* Passes over an escape at p; NULL when it is malformed (then failed). */
static const char *check_escape(struct json_reader *r, const char *p)
{
	p++;
	if (p >= r->end || !memchr("\"\\/bfnrtu", *p, 9)) {
		fail_at(r, p, "in string escape code");
		return NULL;
	}
	if (*p != 'u')
		return p + 1;
	for (int i = 1; i <= 4; i++) {
		char c = p + i < r->end ? p[i] : ' ';

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))) {
			fail_at(r, p + i, "in \\u hexadecimal character escape");
			return NULL;
		}
	}
	return p + 5;
}

bool json_read_string(struct json_reader *r, struct str *ret)
{
	const char *start = r->p + 1, *p = start;
	size_t broken = 0, n;
	bool escaped = false;

	if (r->failed)
		return false;
	for (;;) {
		p = plain_run(p, r->end);
		if (p >= r->end) {
			r->p = p;
			fail_end(r);
			return false;
		}
		if (*p == '"')
			break;
		if (*p == '\\') {
			escaped = true;
			p = check_escape(r, p);
			if (!p)
				return false;
		} else if ((unsigned char)*p < 0x20) {
			fail_at(r, p, "in string literal");
			return false;
		} else {
			n = utf8_len(p, r->end);
			broken += n == 0;
			p += n ? n : 1;
		}
	}
	r->p = p + 1;
	if (ret)
		*ret = escaped || broken ? unquote(r, start, p, broken) : str_n(start, p - start);
	return true;
}

static const char *digits(const char *p, const char *end)
{
	while (p < end && *p >= '0' && *p <= '9')
		p++;
	return p;
}

static bool need_digit(struct json_reader *r, const char *p, const char *context)
{
	if (p < r->end && *p >= '0' && *p <= '9')
		return true;
	fail_at(r, p, context);
	return false;
}

bool json_read_number(struct json_reader *r, struct str *ret)
{
	const char *p = r->p;

	if (r->failed)
		return false;
	if (*p == '-')
		p++;
	if (!need_digit(r, p, "in numeric literal"))
		return false;
	p = *p == '0' ? p + 1 : digits(p, r->end);
	if (p < r->end && *p == '.') {
		p++;
		if (!need_digit(r, p, "after decimal point in numeric literal"))
			return false;
		p = digits(p, r->end);
	}
	if (p < r->end && (*p | 0x20) == 'e') {
		p++;
		if (p < r->end && (*p == '+' || *p == '-'))
			p++;
		if (!need_digit(r, p, "in exponent of numeric literal"))
			return false;
		p = digits(p, r->end);
	}
	if (ret)
		*ret = str_n(r->p, p - r->p);
	r->p = p;
	return true;
}

bool json_read_word(struct json_reader *r, char *ret)
{
	const char *word;

	if (r->failed)
		return false;
	word = *r->p == 't' ? "true" : *r->p == 'f' ? "false" : "null";
	for (size_t i = 1; word[i]; i++)
		if (r->p + i >= r->end || r->p[i] != word[i]) {
			char context[48];

			snprintf(context, sizeof(context), "in literal %s (expecting '%c')", word,
				word[i]);
			fail_at(r, r->p + i, context);
			return false;
		}
	r->p += strlen(word);
	if (ret)
		*ret = *word;
	return true;
}

static bool skip_scalar(struct json_reader *r, char c)
{
	switch (c) {
	case '"':
		return json_read_string(r, NULL);
	case 't':
	case 'f':
	case 'n':
		return json_read_word(r, NULL);
	case 0:
		return false;
	}
	return json_read_number(r, NULL);
}

/* Without recursion: a bit per open bracket says whether it is an object's. */
static bool skip_container(struct json_reader *r, char c)
{
	uint64_t objects[JSON_DEPTH_MAX / 64 + 1];
	int base = r->depth;

	for (;;) {
		if (c == '{' || c == '[') {
			uint64_t bit;

			if (!json_enter(r, c))
				return false;
			bit = UINT64_C(1) << r->depth % 64;
			if (c == '{')
				objects[r->depth / 64] |= bit;
			else
				objects[r->depth / 64] &= ~bit;
		} else if (!skip_scalar(r, c)) {
			return false;
		}
		for (;;) { /* leave what ends here, until there is another value */
			bool object = objects[r->depth / 64] >> r->depth % 64 & 1;

			if (object ? json_next_key(r, NULL) : json_next_item(r))
				break;
			if (r->failed)
				return false;
			if (r->depth == base)
				return true;
		}
		c = json_peek(r);
	}
}

bool json_skip(struct json_reader *r, struct str *ret)
{
	char c = json_peek(r);
	const char *start = r->p;

	if (c == '{' || c == '[' ? !skip_container(r, c) : !skip_scalar(r, c))
		return false;
	if (ret)
		*ret = str_n(start, r->p - start);
	return true;
}

bool json_finish(struct json_reader *r)
{
	if (r->failed)
		return false;
	skip_blanks(r);
	if (r->p < r->end)
		fail_at(r, r->p, "after top-level value");
	return !r->failed;
}

bool json_valid(struct str text, char error[96])
{
	struct json_reader r;

	json_reader_init(&r, text, NULL);
	json_skip(&r, NULL);
	json_finish(&r);
	if (r.failed && error)
		memcpy(error, r.error, sizeof(r.error));
	return !r.failed;
}
