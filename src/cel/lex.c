/* lex.c: tokens: the longest match of the grammar's lexer rules at a place. */
#include "cel/lex.h"

#include <ctype.h>

static bool ident_start(char ch)
{
	return isalpha((unsigned char)ch) || ch == '_';
}

static bool ident_part(char ch)
{
	return isalnum((unsigned char)ch) || ch == '_';
}

/* The expression is NUL-terminated, so that looking one character ahead is always safe. */
static const char *skip_blanks(const char *p, const char *end)
{
	while (p < end) {
		if (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n' || *p == '\f') {
			p++;
		} else if (*p == '/' && p[1] == '/') {
			while (p < end && *p != '\n')
				p++;
		} else {
			break;
		}
	}
	return p;
}

static const char *digits(const char *p)
{
	while (isdigit((unsigned char)*p))
		p++;
	return p;
}

static const char *exponent(const char *p)
{
	const char *d;

	if (*p != 'e' && *p != 'E')
		return p;
	d = p + 1 + (p[1] == '+' || p[1] == '-');
	return isdigit((unsigned char)*d) ? digits(d) : p;
}

static const char *number(const char *p, enum cel_token_kind *ret)
{
	const char *q;

	*ret = CEL_TOK_INT;
	if (p[0] == '0' && p[1] == 'x' && isxdigit((unsigned char)p[2])) {
		for (p += 2; isxdigit((unsigned char)*p); p++)
			;
	} else {
		p = digits(p);
		q = p;
		if (*p == '.' && isdigit((unsigned char)p[1]))
			q = digits(p + 1);
		q = exponent(q);
		if (q != p) {
			*ret = CEL_TOK_FLOAT;
			return q;
		}
	}
	if (*p == 'u' || *p == 'U') {
		*ret = CEL_TOK_UINT;
		p++;
	}
	return p;
}

/* The length of an escape sequence at p (a backslash); 0 when it is none, *ret_bad is then the
 * character that it cannot go on with. */
static size_t escape(const char *p, const char **ret_bad)
{
	size_t n;

	*ret_bad = p + 1;
	if (p[1] && strchr("abfnrtv\"\\'?`", p[1]))
		return 2;
	if (p[1] >= '0' && p[1] <= '3') {
		for (n = 2; n < 4 && p[n] >= '0' && p[n] <= '7'; n++)
			;
		*ret_bad = p + n;
		return n == 4 ? n : 0;
	}
	n = p[1] == 'x' || p[1] == 'X' ? 2 : p[1] == 'u' ? 4 : p[1] == 'U' ? 8 : 0;
	for (size_t i = 0; i < n; i++) {
		*ret_bad = p + 2 + i;
		if (!isxdigit((unsigned char)p[2 + i]))
			return 0;
	}
	return n ? 2 + n : 0;
}

/* A string from its opening quote to behind its closing one; NULL when it does not close, *ret_bad
 * is then where it went wrong. */
static const char *quoted(const char *p, const char *end, bool raw, const char **ret_bad)
{
	char quote = *p;
	bool triple = p[1] == quote && p[2] == quote;
	const char *empty = triple ? p + 2 : NULL; /* what is left of three that do not close */
	size_t n;

	for (p += triple ? 3 : 1; p < end;) {
		if (*p == quote && (!triple || (p[1] == quote && p[2] == quote)))
			return p + (triple ? 3 : 1);
		if (!triple && (*p == '\n' || *p == '\r'))
			break;
		if (*p != '\\' || raw) {
			p++;
			continue;
		}
		n = escape(p, ret_bad);
		if (n == 0)
			return empty;
		p += n;
	}
	*ret_bad = p;
	return empty;
}

/* A string or bytes literal at p, with its prefix; NULL when there is none, *ret_bad as above. */
static const char *literal(
	const char *p, const char *end, enum cel_token_kind *ret, const char **ret_bad)
{
	bool raw = false;

	*ret_bad = NULL;
	*ret = CEL_TOK_STRING;
	if (*p == 'b' || *p == 'B') {
		*ret = CEL_TOK_BYTES;
		p++;
	}
	if (*p == 'r' || *p == 'R') {
		raw = true;
		p++;
	}
	return *p == '"' || *p == '\'' ? quoted(p, end, raw, ret_bad) : NULL;
}

static const struct {
	const char *text;
	enum cel_token_kind kind;
} punctuation[] = {
	{"==", CEL_TOK_EQ},
	{"!=", CEL_TOK_NE},
	{"<=", CEL_TOK_LE},
	{">=", CEL_TOK_GE},
	{"&&", CEL_TOK_AND},
	{"||", CEL_TOK_OR},
	{"<", CEL_TOK_LT},
	{">", CEL_TOK_GT},
	{"[", CEL_TOK_LBRACKET},
	{"]", CEL_TOK_RBRACKET},
	{"{", CEL_TOK_LBRACE},
	{"}", CEL_TOK_RBRACE},
	{"(", CEL_TOK_LPAREN},
	{")", CEL_TOK_RPAREN},
	{".", CEL_TOK_DOT},
	{",", CEL_TOK_COMMA},
	{"-", CEL_TOK_MINUS},
	{"!", CEL_TOK_NOT},
	{"?", CEL_TOK_QUESTION},
	{":", CEL_TOK_COLON},
	{"+", CEL_TOK_PLUS},
	{"*", CEL_TOK_STAR},
	{"/", CEL_TOK_SLASH},
	{"%", CEL_TOK_PERCENT},
};

static enum cel_token_kind keyword(struct str s)
{
	static const struct {
		const char *text;
		enum cel_token_kind kind;
	} words[] = {
		{"true", CEL_TOK_TRUE},
		{"false", CEL_TOK_FALSE},
		{"null", CEL_TOK_NULL},
		{"in", CEL_TOK_IN},
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (str_eqc(s, words[i].text))
			return words[i].kind;
	return CEL_TOK_IDENT;
}

static const char *escaped_ident(const char *p)
{
	const char *q = p + 1;

	while (isalnum((unsigned char)*q) || (*q && strchr("_.-/ ", *q)))
		q++;
	return *q == '`' && q > p + 1 ? q + 1 : NULL;
}

/* Behind the token at p; NULL when there is none. */
static const char *token(const char *p, const char *end, enum cel_token_kind *ret, const char **bad)
{
	const char *q = literal(p, end, ret, bad);

	if (q)
		return q;
	if (isdigit((unsigned char)*p))
		return number(p, ret);
	if (*p == '.' && isdigit((unsigned char)p[1])) {
		*ret = CEL_TOK_FLOAT;
		return exponent(digits(p + 1));
	}
	if (ident_start(*p)) {
		for (q = p; ident_part(*q); q++)
			;
		*ret = keyword(str_n(p, q - p));
		*bad = NULL;
		return q;
	}
	if (*p == '`' && (q = escaped_ident(p))) {
		*ret = CEL_TOK_ESC_IDENT;
		return q;
	}
	for (size_t i = 0; i < ARRAY_SIZE(punctuation); i++) {
		size_t n = strlen(punctuation[i].text);

		if (strncmp(p, punctuation[i].text, n) == 0) {
			*ret = punctuation[i].kind;
			return p + n;
		}
	}
	return NULL;
}

static size_t utf8_len(const char *p, const char *end)
{
	const char *q = p + 1;

	while (q < end && ((unsigned char)*q & 0xc0) == 0x80)
		q++;
	return q - p;
}

struct cel_token cel_lex(struct cel_compile *c, uint32_t from)
{
	const char *start = c->text.p, *end = start + c->text.n, *p = start + from, *q, *bad;
	struct cel_token t = {.kind = CEL_TOK_END};

	for (;;) {
		p = skip_blanks(p, end);
		if (p >= end) {
			t.kind = CEL_TOK_END;
			t.pos = t.end = c->text.n;
			return t;
		}
		bad = NULL;
		q = token(p, end, &t.kind, &bad);
		if (q)
			break;
		/* as upstream's lexer tells it: with the character at which it gave up */
		q = bad ? bad : *p == '=' || *p == '&' || *p == '|' ? p + 1 : p;
		if (q < end)
			q += utf8_len(q, end);
		cel_issue_at(c, p - start, "Syntax error: token recognition error at: '%.*s'",
			(int)(q - p), p);
		p = q;
	}
	t.pos = p - start;
	t.end = q - start;
	return t;
}
