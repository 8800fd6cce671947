#include "api/selector.h"

#include "api/object.h"
#include "json/quote.h"
#include "schema/schema.h"
#include "types.gen.h"

/* --- keys and values (apimachinery validation: IsLabelKey, IsValidLabelValue) --- */

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_name(struct str s)
{
	if (s.n == 0 || !is_alnum(s.p[0]) || !is_alnum(s.p[s.n - 1]))
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!is_alnum(s.p[i]) && s.p[i] != '-' && s.p[i] != '_' && s.p[i] != '.')
			return false;
	return true;
}

static bool is_subdomain(struct str s)
{
	struct str label;
	bool more;

	do {
		more = str_cut(s, '.', &label, &s);
		if (label.n == 0 || label.p[0] == '-' || label.p[label.n - 1] == '-')
			return false;
		for (size_t i = 0; i < label.n; i++)
			if (!is_alnum(label.p[i]) ? label.p[i] != '-'
						  : label.p[i] >= 'A' && label.p[i] <= 'Z')
				return false;
	} while (more);
	return true;
}

#define NAME_RULE                                                                                  \
	"must consist of alphanumeric characters, '-', '_' or '.', and must start and end with "   \
	"an alphanumeric "                                                                         \
	"character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "    \
	"'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
#define SUBDOMAIN_RULE                                                                             \
	"a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' "  \
	"or '.', and must "                                                                        \
	"start and end with an alphanumeric character (e.g. 'example.com', regex used for "        \
	"validation is "                                                                           \
	"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
#define VALUE_RULE                                                                                 \
	"a valid label must be an empty string or consist of alphanumeric characters, '-', '_' "   \
	"or '.', and must "                                                                        \
	"start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or "       \
	"'12345', regex used for "                                                                 \
	"validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"

static void complain(struct buf *b, const char *what)
{
	if (b->n)
		buf_add_c(b, "; ");
	buf_add_c(b, what);
}

/* What is wrong with it, joined by "; "; empty: nothing. */
static void check_key(struct str key, struct buf *b)
{
	struct str prefix, name;

	if (!str_cut(key, '/', &prefix, &name)) {
		name = key;
	} else if (str_chr(name, '/') >= 0) {
		complain(b, "a valid label key " NAME_RULE " with an optional DNS subdomain prefix "
			    "and '/' (e.g. 'example.com/MyName')");
		return;
	} else if (prefix.n == 0) {
		complain(b, "prefix part must be non-empty");
	} else {
		if (prefix.n > 253)
			complain(b, "prefix part must be no more than 253 bytes");
		if (!is_subdomain(prefix))
			complain(b, "prefix part " SUBDOMAIN_RULE);
	}
	if (name.n == 0)
		complain(b, "name part must be non-empty");
	else if (name.n > 63)
		complain(b, "name part must be no more than 63 bytes");
	if (!is_name(name))
		complain(b, "name part " NAME_RULE);
}

static void check_value(struct str value, struct buf *b)
{
	if (value.n > 63)
		complain(b, "must be no more than 63 bytes");
	if (value.n && !is_name(value))
		complain(b, VALUE_RULE);
}

/* --- requirements --- */

/* Collects the errors of one requirement, as field.ErrorList does. */
struct problems {
	struct buf text;
	size_t n;
};

static void add_problem(struct problems *p, struct str path, struct str value, const char *detail)
{
	if (p->n++)
		buf_add_c(&p->text, ", ");
	buf_add_str(&p->text, path);
	buf_add_c(&p->text, ": Invalid value: ");
	if (value.p)
		quote_write(&p->text, value);
	else
		buf_add_c(&p->text, "null");
	buf_fmt(&p->text, ": %s", detail);
}

static void check_count(struct problems *p, const struct label_requirement *r)
{
	static const char *const rules[] = {
		[LABEL_IN] = "for 'in', 'notin' operators, values set can't be empty",
		[LABEL_NOT_IN] = "for 'in', 'notin' operators, values set can't be empty",
		[LABEL_EQUALS] = "exact-match compatibility requires one single value",
		[LABEL_NOT_EQUALS] = "exact-match compatibility requires one single value",
		[LABEL_EXISTS] = "values set must be empty for exists and does not exist",
		[LABEL_NOT_EXISTS] = "values set must be empty for exists and does not exist",
		[LABEL_GT] = "for 'Gt', 'Lt' operators, exactly one value is required",
		[LABEL_LT] = "for 'Gt', 'Lt' operators, exactly one value is required",
	};
	bool set = r->op == LABEL_IN || r->op == LABEL_NOT_IN;
	bool none = r->op == LABEL_EXISTS || r->op == LABEL_NOT_EXISTS;

	if (set ? r->values.n > 0 : r->values.n == (none ? 0 : 1))
		return;
	if (r->values.n == 0) {
		add_problem(p, S("values"), (struct str){0}, rules[r->op]);
		return;
	}
	if (p->n++)
		buf_add_c(&p->text, ", ");
	buf_add_c(&p->text, "values: Invalid value: [");
	for (size_t i = 0; i < r->values.n; i++) {
		if (i)
			buf_add_char(&p->text, ',');
		quote_write(&p->text, r->values.v[i]);
	}
	buf_fmt(&p->text, "]: %s", rules[r->op]);
}

static void check_requirement(
	struct problems *p, const struct label_requirement *r, struct arena *a)
{
	struct buf b CLEANUP(buf_release) = {0};
	int64_t number;

	buf_init(&b, 1 << 16);
	check_key(r->key, &b);
	if (b.n)
		add_problem(p, S("key"), r->key, b.p);
	check_count(p, r);
	for (size_t i = 0; i < r->values.n; i++)
		if ((r->op == LABEL_GT || r->op == LABEL_LT) &&
			str_to_i64(r->values.v[i], &number) < 0)
			add_problem(p, arena_fmt(a, "values[%zu]", i), r->values.v[i],
				"for 'Gt', 'Lt' operators, the value must be an integer");
	for (size_t i = 0; i < r->values.n; i++) {
		buf_reset(&b);
		check_value(r->values.v[i], &b);
		if (b.n)
			add_problem(p, arena_fmt(a, "values[%zu][" STR_FMT "]", i, STR_ARG(r->key)),
				r->values.v[i], b.p);
	}
}

/* Checks r and appends it. prefix stands before the message. */
static int add_requirement(struct label_selector *s, struct label_requirement *r, struct arena *a,
	const char *prefix, struct err *err)
{
	struct problems p = {0};
	int ret = 0;

	buf_init(&p.text, 1 << 20);
	check_requirement(&p, r, a);
	if (p.n == 1)
		ret = err_bad_request(err, "%s%s", prefix, p.text.p);
	else if (p.n)
		ret = err_bad_request(err, "%s[%s]", prefix, p.text.p);
	else
		ARENA_PUSH(a, s, *r);
	buf_release(&p.text);
	return ret;
}

static int by_text(const void *a, const void *b)
{
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static int by_key(const void *a, const void *b)
{
	return str_cmp(((const struct label_requirement *)a)->key,
		((const struct label_requirement *)b)->key);
}

/* Stable, for a handful of items. */
static void sort_requirements(struct label_selector *s)
{
	for (size_t i = 1; i < s->n; i++)
		for (size_t j = i; j > 0 && by_key(&s->v[j - 1], &s->v[j]) > 0; j--) {
			struct label_requirement swap = s->v[j];

			s->v[j] = s->v[j - 1];
			s->v[j - 1] = swap;
		}
}

static void add_value(struct arena *a, struct str_vec *values, struct str s)
{
	if (!s.p)
		s = S("");
	if (!str_vec_has(values, s))
		ARENA_PUSH(a, values, s);
}

/* --- the string form --- */

enum token {
	T_ERROR,
	T_END,
	T_CLOSE,
	T_COMMA,
	T_NOT,
	T_EQEQ,
	T_EQ,
	T_GT,
	T_IDENT,
	T_IN,
	T_LT,
	T_NE,
	T_NOTIN,
	T_OPEN
};

struct parser {
	struct str s;
	size_t pos;
	struct arena *a;
	enum token tok; /* the one that comes next */
	struct str lit;
};

static bool is_symbol(char c)
{
	return c && strchr("=!(),><", c);
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static enum token symbol(struct str s)
{
	static const struct {
		const char *text;
		enum token tok;
	} symbols[] = {{")", T_CLOSE}, {",", T_COMMA}, {"!", T_NOT}, {"==", T_EQEQ}, {"=", T_EQ},
		{">", T_GT}, {"<", T_LT}, {"!=", T_NE}, {"(", T_OPEN}, {"in", T_IN},
		{"notin", T_NOTIN}};

	for (size_t i = 0; i < ARRAY_SIZE(symbols); i++)
		if (str_eqc(s, symbols[i].text))
			return symbols[i].tok;
	return T_ERROR;
}

/* Reads the next token. A symbol is the longest that the table has; an identifier ends at a blank
 * or a symbol. */
static void lex(struct parser *p)
{
	size_t start, n;

	while (p->pos < p->s.n && is_space(p->s.p[p->pos]))
		p->pos++;
	start = p->pos;
	p->lit = str_n("", 0);
	if (start >= p->s.n || p->s.p[start] == 0) {
		p->tok = T_END;
		return;
	}
	if (!is_symbol(p->s.p[start])) {
		while (p->pos < p->s.n && p->s.p[p->pos] && !is_symbol(p->s.p[p->pos]) &&
			!is_space(p->s.p[p->pos]))
			p->pos++;
		p->lit = str_sub(p->s, start, p->pos);
		p->tok = symbol(p->lit);
		if (p->tok == T_ERROR)
			p->tok = T_IDENT;
		return;
	}
	n = start + 1 < p->s.n && symbol(str_sub(p->s, start, start + 2)) ? 2 : 1;
	p->pos += n;
	p->lit = str_sub(p->s, start, p->pos);
	p->tok = symbol(p->lit);
}

/* Where values may stand, the words "in" and "notin" are identifiers. */
static enum token as_value(enum token t)
{
	return t == T_IN || t == T_NOTIN ? T_IDENT : t;
}

static bool parse_operator(struct parser *p, enum label_op *ret)
{
	switch (p->tok) {
	case T_IN:
		*ret = LABEL_IN;
		break;
	case T_NOTIN:
		*ret = LABEL_NOT_IN;
		break;
	case T_EQ:
	case T_EQEQ:
		*ret = LABEL_EQUALS;
		break;
	case T_NE:
		*ret = LABEL_NOT_EQUALS;
		break;
	case T_GT:
		*ret = LABEL_GT;
		break;
	case T_LT:
		*ret = LABEL_LT;
		break;
	default:
		return false;
	}
	return true;
}

#define PARSE_FAIL(p, err, wanted)                                                                 \
	err_bad_request((err), "unable to parse requirement: found '" STR_FMT "'" wanted,          \
		STR_ARG((p)->lit))

/* "a,b)": empty places are empty values. */
static int parse_list(struct parser *p, struct str_vec *values, struct err *err)
{
	for (;;) {
		switch (as_value(p->tok)) {
		case T_IDENT:
			add_value(p->a, values, p->lit);
			lex(p);
			if (p->tok == T_CLOSE)
				return 0;
			if (p->tok != T_COMMA)
				return PARSE_FAIL(p, err, ", expected: ',' or ')'");
			break;
		case T_COMMA:
			if (values->n == 0)
				add_value(p->a, values, S(""));
			lex(p);
			if (p->tok == T_CLOSE || p->tok == T_COMMA)
				add_value(p->a, values, S(""));
			if (p->tok == T_CLOSE)
				return 0;
			break;
		default:
			return PARSE_FAIL(p, err, ", expected: ',', or identifier");
		}
	}
}

static int parse_values(struct parser *p, struct str_vec *values, struct err *err)
{
	int r = 0;

	if (p->tok != T_OPEN)
		return PARSE_FAIL(p, err, " expected: '('");
	lex(p);
	if (p->tok == T_CLOSE)
		add_value(p->a, values, S(""));
	else if (as_value(p->tok) == T_IDENT || p->tok == T_COMMA)
		r = parse_list(p, values, err);
	else
		return PARSE_FAIL(p, err, ", expected: ',', ')' or identifier");
	if (r < 0)
		return r;
	lex(p);
	return 0;
}

static int parse_requirement(struct parser *p, struct label_selector *s, struct err *err)
{
	struct label_requirement r = {.op = LABEL_EXISTS};
	struct buf b CLEANUP(buf_release) = {0};
	struct str quoted;
	bool negated = p->tok == T_NOT;
	int ret = 0;

	if (negated)
		lex(p);
	if (as_value(p->tok) != T_IDENT)
		return PARSE_FAIL(p, err, ", expected: identifier");
	r.key = p->lit;
	buf_init(&b, 1 << 16);
	check_key(r.key, &b);
	quoted = quote_text(p->a, r.key);
	if (b.n)
		return err_bad_request(err,
			"unable to parse requirement: <nil>: Invalid value: " STR_FMT ": %s",
			STR_ARG(quoted), b.p);
	lex(p);
	if (negated)
		r.op = LABEL_NOT_EXISTS;
	else if (p->tok != T_END && p->tok != T_COMMA) {
		if (!parse_operator(p, &r.op))
			return PARSE_FAIL(p, err, ", expected: in, notin, =, ==, !=, gt, lt");
		lex(p);
		if (r.op == LABEL_IN || r.op == LABEL_NOT_IN) {
			ret = parse_values(p, &r.values, err);
		} else if (p->tok == T_END || p->tok == T_COMMA) {
			add_value(p->a, &r.values, S(""));
		} else if (as_value(p->tok) == T_IDENT) {
			add_value(p->a, &r.values, p->lit);
			lex(p);
		} else {
			return PARSE_FAIL(p, err, ", expected: identifier");
		}
	}
	if (ret < 0)
		return ret;
	if (r.values.n)
		qsort(r.values.v, r.values.n, sizeof(struct str), by_text);
	return add_requirement(s, &r, p->a, "unable to parse requirement: ", err);
}

int label_selector_parse(
	struct str text, struct arena *a, struct label_selector *ret, struct err *err)
{
	struct parser p = {.s = text, .a = a};
	struct label_selector s = {0};
	int r;

	lex(&p);
	if (as_value(p.tok) != T_IDENT && p.tok != T_NOT && p.tok != T_END)
		return err_bad_request(err,
			"found '" STR_FMT "', expected: !, identifier, or 'end of string'",
			STR_ARG(p.lit));
	while (p.tok != T_END) {
		r = parse_requirement(&p, &s, err);
		if (r < 0)
			return r;
		if (p.tok == T_END)
			break;
		if (p.tok != T_COMMA)
			return err_bad_request(err,
				"found '" STR_FMT "', expected: ',' or 'end of string'",
				STR_ARG(p.lit));
		lex(&p);
		if (as_value(p.tok) != T_IDENT && p.tok != T_NOT)
			return err_bad_request(err,
				"found '" STR_FMT "', expected: identifier after ','",
				STR_ARG(p.lit));
	}
	sort_requirements(&s);
	*ret = s;
	return 0;
}

/* --- other forms --- */

static bool struct_operator(struct str name, enum label_op *ret)
{
	static const struct {
		const char *name;
		enum label_op op;
	} ops[] = {{"In", LABEL_IN}, {"NotIn", LABEL_NOT_IN}, {"Exists", LABEL_EXISTS},
		{"DoesNotExist", LABEL_NOT_EXISTS}};

	for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
		if (str_eqc(name, ops[i].name)) {
			*ret = ops[i].op;
			return true;
		}
	return false;
}

int label_selector_from(const struct meta_v1_label_selector *from, struct arena *a,
	struct label_selector *ret, struct err *err)
{
	struct label_selector s = {.nothing = !from};
	int r = 0;

	for (size_t i = 0; from && i < from->match_labels.n && r == 0; i++) {
		struct label_requirement q = {
			.key = from->match_labels.v[i].key, .op = LABEL_EQUALS};

		add_value(a, &q.values, from->match_labels.v[i].value);
		r = add_requirement(&s, &q, a, "", err);
	}
	for (size_t i = 0; from && i < from->match_expressions.n && r == 0; i++) {
		const struct meta_v1_label_selector_requirement *e = &from->match_expressions.v[i];
		struct label_requirement q = {.key = e->key};
		struct str quoted;

		if (!struct_operator(e->operator, & q.op)) {
			quoted = quote_text(a, e->operator);
			return err_bad_request(err,
				STR_FMT " is not a valid label selector operator", STR_ARG(quoted));
		}
		for (size_t k = 0; k < e->values.n; k++)
			ARENA_PUSH(a, &q.values, e->values.v[k]);
		r = add_requirement(&s, &q, a, "", err);
		if (r == 0 && q.values.n)
			qsort(s.v[s.n - 1].values.v, q.values.n, sizeof(struct str), by_text);
	}
	if (r < 0)
		return r;
	sort_requirements(&s);
	*ret = s;
	return 0;
}

struct label_selector label_selector_from_map(const struct str_map *m, struct arena *a)
{
	struct label_selector s = {0};

	for (size_t i = 0; i < m->n; i++) {
		struct label_requirement q = {.key = m->v[i].key, .op = LABEL_EQUALS};

		add_value(a, &q.values, m->v[i].value);
		ARENA_PUSH(a, &s, q);
	}
	return s;
}

static bool compare_numbers(const struct label_requirement *r, struct str value)
{
	int64_t have, want;

	if (str_to_i64(value, &have) < 0 || str_to_i64(r->values.v[0], &want) < 0)
		return false;
	return r->op == LABEL_GT ? have > want : have < want;
}

bool label_selector_matches(const struct label_selector *s, const struct str_map *labels)
{
	if (s->nothing)
		return false;
	for (size_t i = 0; i < s->n; i++) {
		const struct label_requirement *r = &s->v[i];
		const struct str *value = str_map_get(labels, r->key);
		bool ok = false;

		switch (r->op) {
		case LABEL_EQUALS:
		case LABEL_IN:
			ok = value && str_vec_has(&r->values, *value);
			break;
		case LABEL_NOT_EQUALS:
		case LABEL_NOT_IN:
			ok = !value || !str_vec_has(&r->values, *value);
			break;
		case LABEL_EXISTS:
			ok = value;
			break;
		case LABEL_NOT_EXISTS:
			ok = !value;
			break;
		case LABEL_GT:
		case LABEL_LT:
			ok = value && compare_numbers(r, *value);
			break;
		}
		if (!ok)
			return false;
	}
	return true;
}

struct str label_selector_text(const struct label_selector *s, struct arena *a)
{
	static const char *const signs[] = {
		[LABEL_EQUALS] = "=",
		[LABEL_NOT_EQUALS] = "!=",
		[LABEL_IN] = " in (",
		[LABEL_NOT_IN] = " notin (",
		[LABEL_EXISTS] = "",
		[LABEL_NOT_EXISTS] = "",
		[LABEL_GT] = ">",
		[LABEL_LT] = "<",
	};
	struct buf b CLEANUP(buf_release) = {0};

	buf_init(&b, SIZE_MAX / 2);
	for (size_t i = 0; i < s->n; i++) {
		const struct label_requirement *r = &s->v[i];

		if (i)
			buf_add_char(&b, ',');
		if (r->op == LABEL_NOT_EXISTS)
			buf_add_char(&b, '!');
		buf_add_str(&b, r->key);
		buf_add_c(&b, signs[r->op]);
		for (size_t k = 0; k < r->values.n; k++) {
			if (k)
				buf_add_char(&b, ',');
			buf_add_str(&b, r->values.v[k]);
		}
		if (r->op == LABEL_IN || r->op == LABEL_NOT_IN)
			buf_add_char(&b, ')');
	}
	return b.n ? arena_str(a, buf_str(&b)) : S("");
}
