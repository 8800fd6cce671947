/* regex_parse.c: the syntax of RE2 (Go's regexp/syntax) as a tree, and its error texts. */
#include "cel/regex_int.h"

#include <ctype.h>

enum { FLAG_I = 1, FLAG_M = 2, FLAG_S = 4, FLAG_U = 8 };

struct parser {
	const char *p, *end, *begin;
	struct arena *a;
	unsigned flags;
	int depth;
	struct str error; /* set: it failed */
};

static struct regex_node *alternation(struct parser *s);

uint32_t regex_rune(const char *p, const char *end, size_t *ret_len)
{
	unsigned char ch = (unsigned char)*p;
	int more = ch < 0x80 ? 0 : ch >= 0xc2 && ch < 0xe0 ? 1 : ch >= 0xe0 && ch < 0xf0 ? 2 : 3;
	uint32_t r = more == 0 ? ch : ch & (0x3f >> more);

	*ret_len = 1;
	if (ch < 0x80)
		return ch;
	if (ch < 0xc2 || ch > 0xf4 || end - p <= more)
		return 0xfffd;
	for (int i = 1; i <= more; i++) {
		if (((unsigned char)p[i] & 0xc0) != 0x80)
			return 0xfffd;
		r = r << 6 | ((unsigned char)p[i] & 0x3f);
	}
	*ret_len = more + 1;
	return r;
}

static struct regex_node *fail(struct parser *s, const char *what, const char *from, const char *to)
{
	if (!s->error.p)
		s->error = arena_fmt(
			s->a, "error parsing regexp: %s: `%.*s`", what, (int)(to - from), from);
	s->p = s->end;
	return NULL;
}

static struct regex_node *node(struct parser *s, enum regex_node_kind kind)
{
	struct regex_node *n = ARENA_NEW(s->a, struct regex_node);

	n->kind = kind;
	return n;
}

static bool take(struct parser *s, char ch)
{
	if (s->p == s->end || *s->p != ch)
		return false;
	s->p++;
	return true;
}

static uint32_t rune(struct parser *s)
{
	size_t n;
	uint32_t r = regex_rune(s->p, s->end, &n);

	s->p += n;
	return r;
}

/* --- classes --- */

static void add(struct parser *s, struct regex_class *c, uint32_t from, uint32_t to)
{
	struct regex_range r = {from, to};

	ARENA_PUSH(s->a, c, r);
}

/* A range, and of its letters the other case, too, under (?i). */
static void add_folded(struct parser *s, struct regex_class *c, uint32_t from, uint32_t to)
{
	add(s, c, from, to);
	if (!(s->flags & FLAG_I))
		return;
	for (uint32_t r = MAX(from, (uint32_t)'A'); r <= MIN(to, (uint32_t)'z'); r++)
		if (isalpha((int)r))
			add(s, c, r ^ 0x20, r ^ 0x20);
	for (uint32_t r = MAX(from, 0xe0u); r <= MIN(to, 0xfeu); r++)
		if (r != 0xf7)
			add(s, c, r - 0x20, r - 0x20);
	for (uint32_t r = MAX(from, 0xc0u); r <= MIN(to, 0xdeu); r++)
		if (r != 0xd7)
			add(s, c, r + 0x20, r + 0x20);
}

static const struct named_class {
	const char *name;
	const char *ranges; /* pairs of characters */
} named[] = {
	{"[:alnum:]", "09AZaz"},
	{"[:alpha:]", "AZaz"},
	{"[:blank:]", "\t\t  "},
	{"[:digit:]", "09"},
	{"[:graph:]", "!~"},
	{"[:lower:]", "az"},
	{"[:print:]", " ~"},
	{"[:punct:]", "!/:@[`{~"},
	{"[:space:]", "\t\r  "},
	{"[:upper:]", "AZ"},
	{"[:word:]", "09AZaz__"},
	{"[:xdigit:]", "09AFaf"},
	{"\\d", "09"},
	{"\\s", "\t\n\f\r  "},
	{"\\w", "09AZaz__"},
};

/* What the ranges leave out: they are in order and do not touch. */
static void add_complement(struct parser *s, struct regex_class *c, const char *ranges)
{
	uint32_t next = 0;

	for (; *ranges; ranges += 2) {
		if ((unsigned char)ranges[0] > next)
			add(s, c, next, (unsigned char)ranges[0] - 1);
		next = (unsigned char)ranges[1] + 1u;
	}
	add(s, c, next, 0x10ffff);
}

static void add_named(struct parser *s, struct regex_class *c, const char *ranges, bool negated)
{
	if (negated) {
		add_complement(s, c, ranges);
		return;
	}
	for (; *ranges; ranges += 2)
		add_folded(s, c, (unsigned char)ranges[0], (unsigned char)ranges[1]);
}

/* \d \D \s \S \w \W at s->p; false when it is none of them. */
static bool perl_class(struct parser *s, struct regex_class *c)
{
	if (s->end - s->p < 2 || s->p[0] != '\\' || !strchr("dDsSwW", s->p[1]))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(named); i++)
		if (named[i].name[0] == '\\' && named[i].name[1] == tolower(s->p[1]))
			add_named(s, c, named[i].ranges, isupper((unsigned char)s->p[1]));
	s->p += 2;
	return true;
}

static bool posix_class(struct parser *s, struct regex_class *c)
{
	struct str rest = str_n(s->p, s->end - s->p);
	bool negated;
	const char *close;

	if (!str_starts(rest, S("[:")))
		return false;
	close = memmem(s->p + 2, rest.n - 2, ":]", 2);
	if (!close)
		return false;
	negated = s->p[2] == '^';
	for (size_t i = 0; i < ARRAY_SIZE(named); i++) {
		size_t n = strlen(named[i].name);

		if (named[i].name[0] == '[' && n + negated == (size_t)(close + 2 - s->p) &&
			memcmp(s->p + 2 + negated, named[i].name + 2, n - 2) == 0) {
			add_named(s, c, named[i].ranges, negated);
			s->p = close + 2;
			return true;
		}
	}
	fail(s, "invalid character class range", s->p, close + 2);
	return true;
}

static int hex(char ch)
{
	return isdigit((unsigned char)ch) ? ch - '0' : tolower((unsigned char)ch) - 'a' + 10;
}

static bool hex_escape(struct parser *s, const char *from, uint32_t *ret)
{
	uint32_t v = 0;
	int n = 0;

	if (take(s, '{')) {
		for (; s->p < s->end && isxdigit((unsigned char)*s->p) && v <= 0x10ffff; n++)
			v = v * 16 + hex(*s->p++);
		if (n == 0 || v > 0x10ffff || !take(s, '}')) {
			fail(s, "invalid escape sequence", from, MIN(s->p + 1, s->end));
			return false;
		}
	} else {
		for (; n < 2 && s->p < s->end && isxdigit((unsigned char)*s->p); n++)
			v = v * 16 + hex(*s->p++);
		if (n < 2) {
			fail(s, "invalid escape sequence", from, MIN(s->p + 1, s->end));
			return false;
		}
	}
	*ret = v;
	return true;
}

/* An escaped character, behind the backslash at `from`. */
static bool escape(struct parser *s, uint32_t *ret)
{
	static const char letters[] = "afnrtv", values[] = "\a\f\n\r\t\v";
	const char *from = s->p++, *at;
	uint32_t r;

	if (s->p == s->end) {
		s->error = S("error parsing regexp: trailing backslash at end of expression: ``");
		return false;
	}
	r = rune(s);
	if (r < 0x80 && ispunct((int)r)) {
		*ret = r;
		return true;
	}
	at = r < 0x80 ? strchr(letters, (int)r) : NULL;
	if (at) {
		*ret = (unsigned char)values[at - letters];
		return true;
	}
	if (r == 'x')
		return hex_escape(s, from, ret);
	if (r == '0' || (r >= '1' && r <= '7' && s->p < s->end && *s->p >= '0' && *s->p <= '7')) {
		*ret = r - '0';
		for (int i = 0; i < 2 && s->p < s->end && *s->p >= '0' && *s->p <= '7'; i++)
			*ret = *ret * 8 + (*s->p++ - '0');
		return true;
	}
	fail(s, "invalid escape sequence", from, s->p);
	return false;
}

static bool class_char(struct parser *s, const char *open, uint32_t *ret)
{
	if (s->p == s->end) {
		fail(s, "missing closing ]", open, s->end);
		return false;
	}
	if (*s->p == '\\')
		return escape(s, ret);
	*ret = rune(s);
	return true;
}

static struct regex_node *class(struct parser *s)
{
	struct regex_node *n = node(s, REGEX_CLASS);
	const char *open = s->p++, *range;
	bool first = true;
	uint32_t from, to;

	n->class.negated = take(s, '^');
	while (s->p == s->end || *s->p != ']' || first) {
		range = s->p;
		first = false;
		if (s->p < s->end && (posix_class(s, &n->class) || perl_class(s, &n->class))) {
			if (s->error.p)
				return NULL;
			continue;
		}
		if (!class_char(s, open, &from))
			return NULL;
		to = from;
		if (s->end - s->p >= 2 && s->p[0] == '-' && s->p[1] != ']') {
			s->p++;
			if (!class_char(s, open, &to))
				return NULL;
			if (to < from)
				return fail(s, "invalid character class range", range, s->p);
		}
		add_folded(s, &n->class, from, to);
	}
	s->p++;
	return n;
}

/* --- one item --- */

static struct regex_node *literal(struct parser *s, uint32_t r)
{
	struct regex_node *n = node(s, REGEX_CLASS);

	add_folded(s, &n->class, r, r);
	return n;
}

static struct regex_node *assertion(struct parser *s, enum regex_assert what)
{
	struct regex_node *n = node(s, REGEX_ASSERT);

	n->assert = what;
	return n;
}

static struct regex_node *dot(struct parser *s)
{
	struct regex_node *n = node(s, REGEX_CLASS);

	if (s->flags & FLAG_S) {
		add(s, &n->class, 0, 0x10ffff);
		return n;
	}
	add(s, &n->class, 0, '\n' - 1);
	add(s, &n->class, '\n' + 1, 0x10ffff);
	return n;
}

static struct regex_node *backslash(struct parser *s)
{
	static const struct {
		char letter;
		enum regex_assert assert;
	} asserts[] = {{'A', REGEX_BEGIN_TEXT}, {'z', REGEX_END_TEXT}, {'b', REGEX_WORD},
		{'B', REGEX_NOT_WORD}};
	struct regex_node *n;
	uint32_t r;

	if (s->end - s->p >= 2) {
		for (size_t i = 0; i < ARRAY_SIZE(asserts); i++) {
			if (s->p[1] == asserts[i].letter) {
				s->p += 2;
				return assertion(s, asserts[i].assert);
			}
		}
		n = node(s, REGEX_CLASS);
		if (perl_class(s, &n->class))
			return n;
	}
	return escape(s, &r) ? literal(s, r) : NULL;
}

/* \Q…\E */
static struct regex_node *quoted(struct parser *s)
{
	struct regex_node *n = node(s, REGEX_CONCAT), *one;
	const char *end = memmem(s->p, s->end - s->p, "\\E", 2), *to = end ? end : s->end;

	s->p += 2;
	while (s->p < to) {
		one = literal(s, rune(s));
		ARENA_PUSH(s->a, &n->subs, one);
	}
	s->p = end ? end + 2 : s->end;
	return n;
}

/* Behind "(?": flags up to ) or :, or a name. False: failed. *ret_group: a group follows. */
static bool group_flags(struct parser *s, const char *open, bool *ret_group)
{
	static const char letters[] = "imsU";
	bool negative = false, any = false;
	const char *at;

	*ret_group = true;
	if (take(s, 'P') || (s->p < s->end && *s->p == '<')) {
		at = s->p < s->end ? memchr(s->p, '>', s->end - s->p) : NULL;
		if (!take(s, '<') || !at || at == s->p) {
			fail(s, "invalid named capture", open, at ? at + 1 : s->end);
			return false;
		}
		s->p = at + 1;
		return true;
	}
	for (; s->p < s->end; s->p++) {
		at = strchr(letters, *s->p);
		if (at && *s->p) {
			any = true;
			if (negative)
				s->flags &= ~(1u << (at - letters));
			else
				s->flags |= 1u << (at - letters);
		} else if (*s->p == '-' && !negative) {
			negative = true;
			any = false;
		} else {
			break;
		}
	}
	if (s->p == s->end)
		fail(s, "missing closing )", s->begin, s->end);
	else if (!(*s->p == ')' || *s->p == ':') || (negative && !any))
		fail(s, "invalid or unsupported Perl syntax", open, s->p + 1);
	*ret_group = s->p < s->end && *s->p++ == ':';
	return !s->error.p;
}

static struct regex_node *group(struct parser *s)
{
	const char *open = s->p++;
	unsigned outer = s->flags;
	bool is_group = true;
	struct regex_node *n;

	if (take(s, '?') && !group_flags(s, open, &is_group))
		return NULL;
	if (!is_group)
		return node(s, REGEX_EMPTY); /* the flags hold to the end of the group around */
	n = alternation(s);
	if (!n)
		return NULL;
	if (!take(s, ')'))
		return fail(s, "missing closing )", s->begin, s->end);
	s->flags = outer;
	return n;
}

static struct regex_node *item(struct parser *s)
{
	struct str rest = str_n(s->p, s->end - s->p);

	switch (*s->p) {
	case '(':
		return group(s);
	case '[':
		return class(s);
	case '.':
		s->p++;
		return dot(s);
	case '^':
		s->p++;
		return assertion(s, s->flags & FLAG_M ? REGEX_BEGIN_LINE : REGEX_BEGIN_TEXT);
	case '$':
		s->p++;
		return assertion(s, s->flags & FLAG_M ? REGEX_END_LINE : REGEX_END_TEXT);
	case '\\':
		return str_starts(rest, S("\\Q")) ? quoted(s) : backslash(s);
	case '*':
	case '+':
	case '?':
		return fail(s, "missing argument to repetition operator", s->p, s->p + 1);
	default:
		return literal(s, rune(s));
	}
}

/* --- repetition --- */

static int count(const char **p, const char *end)
{
	int v = 0;
	const char *from = *p;

	for (; *p < end && isdigit((unsigned char)**p); (*p)++)
		v = MIN(v * 10 + (**p - '0'), 100000);
	return *p == from ? -1 : v;
}

/* {n}, {n,}, {n,m} at p; NULL when it is none and so a literal. */
static const char *braces(const char *p, const char *end, int *ret_min, int *ret_max)
{
	p++;
	*ret_min = *ret_max = count(&p, end);
	if (*ret_min < 0)
		return NULL;
	if (p < end && *p == ',') {
		p++;
		*ret_max = count(&p, end);
	}
	return p < end && *p == '}' ? p + 1 : NULL;
}

static const char *operator(struct parser *s, int *ret_min, int *ret_max)
{
	*ret_min = 0;
	*ret_max = -1;
	switch (*s->p) {
	case '*':
		return s->p + 1;
	case '+':
		*ret_min = 1;
		return s->p + 1;
	case '?':
		*ret_max = 1;
		return s->p + 1;
	case '{':
		return braces(s->p, s->end, ret_min, ret_max);
	default:
		return NULL;
	}
}

static struct regex_node *repeated(struct parser *s, struct regex_node *n)
{
	int min, max;
	const char *to, *last = NULL;

	while (n && s->p < s->end && (to = operator(s, &min, &max))) {
		struct regex_node *r;
		const char *from = s->p;

		if (min > REGEX_REPEAT_MAX || max > REGEX_REPEAT_MAX || (max >= 0 && min > max))
			return fail(s, "invalid repeat count", from, to);
		if (to < s->end && *to == '?')
			to++;
		if (last)
			return fail(s, "invalid nested repetition operator", last, to);
		r = node(s, REGEX_REPEAT);
		r->min = min;
		r->max = max;
		r->lazy = (to[-1] == '?' && to - from > 1) != ((s->flags & FLAG_U) != 0);
		ARENA_PUSH(s->a, &r->subs, n);
		last = from;
		s->p = to;
		n = r;
	}
	return n;
}

static struct regex_node *sequence(struct parser *s)
{
	struct regex_node *n = node(s, REGEX_CONCAT), *one;

	while (s->p < s->end && *s->p != '|' && *s->p != ')') {
		one = repeated(s, item(s));
		if (!one)
			return NULL;
		ARENA_PUSH(s->a, &n->subs, one);
	}
	return n;
}

static struct regex_node *alternation(struct parser *s)
{
	struct regex_node *n = node(s, REGEX_ALTERNATE), *one;

	if (++s->depth > REGEX_DEPTH_MAX)
		return fail(s, "expression nests too deeply", s->begin, s->end);
	do {
		one = sequence(s);
		if (!one)
			return NULL;
		ARENA_PUSH(s->a, &n->subs, one);
	} while (take(s, '|'));
	s->depth--;
	return n;
}

struct regex_node *regex_parse(struct str pattern, struct arena *a, struct str *ret_error)
{
	struct parser s = {
		.p = pattern.p, .begin = pattern.p, .end = pattern.p + pattern.n, .a = a};
	struct regex_node *n = pattern.n ? alternation(&s) : node(&s, REGEX_EMPTY);

	if (n && s.p < s.end) /* only a ) is left over */
		n = fail(&s, "unexpected )", s.begin, s.end);
	if (!n)
		*ret_error = s.error;
	return n;
}
