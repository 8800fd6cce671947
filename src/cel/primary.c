/* primary.c: literals, names, calls, lists, maps, and what may follow them: .field .call() [index]
 */
#include "cel/parse.h"

#include <math.h>

static struct cel_node *constant(struct cel_parser *p, uint32_t pos, struct cel_value v)
{
	struct cel_node *n = cel_node_new(p->c, CEL_NODE_CONST, pos);

	n->value = v;
	return n;
}

/* The digits of an integer token; false: beyond 64 bits. */
static bool magnitude(struct str s, uint64_t *ret)
{
	uint64_t v = 0;
	unsigned base = 10;

	if (str_starts(s, S("0x"))) {
		base = 16;
		s = str_sub(s, 2, s.n);
	}
	for (size_t i = 0; i < s.n; i++) {
		char ch = s.p[i] | 0x20;
		unsigned digit = s.p[i] <= '9' ? s.p[i] - '0' : ch - 'a' + 10;

		if (__builtin_mul_overflow(v, base, &v) || __builtin_add_overflow(v, digit, &v))
			return false;
	}
	*ret = v;
	return true;
}

static struct cel_value integer(struct str s, bool negative, bool *ret_ok)
{
	uint64_t v = 0;

	*ret_ok = magnitude(s, &v) && v <= (uint64_t)INT64_MAX + negative;
	return cel_int(negative ? (int64_t)(0 - v) : (int64_t)v);
}

static struct cel_value floating(struct cel_parser *p, struct str s, bool negative, bool *ret_ok)
{
	double d = strtod(arena_cstr(p->c->scratch, s), NULL);

	*ret_ok = !isinf(d);
	return cel_double(negative ? -d : d);
}

static struct cel_node *number(struct cel_parser *p)
{
	uint32_t pos = p->tok.pos;
	bool negative = cel_parse_take(p, CEL_TOK_MINUS), ok;
	struct str s = cel_parse_text(p, p->tok);
	struct cel_value v;
	uint64_t u = 0;

	if (p->tok.kind == CEL_TOK_INT) {
		v = integer(s, negative, &ok);
		if (!ok)
			cel_issue_at(p->c, pos, "invalid int literal");
	} else if (p->tok.kind == CEL_TOK_FLOAT) {
		v = floating(p, s, negative, &ok);
		if (!ok)
			cel_issue_at(p->c, pos, "invalid double literal");
	} else {
		ok = magnitude(str_sub(s, 0, s.n - 1), &u);
		v = cel_uint(u);
		if (!ok)
			cel_issue_at(p->c, pos, "invalid uint literal");
	}
	cel_parse_next(p);
	return constant(p, pos, v);
}

static struct cel_node *text(struct cel_parser *p)
{
	bool bytes = p->tok.kind == CEL_TOK_BYTES;
	uint32_t pos = p->tok.pos;
	struct str s = {0};
	const char *error = NULL;

	if (!cel_unescape(cel_parse_text(p, p->tok), bytes, p->c->a, &s, &error))
		cel_issue_at(p->c, pos, "%s", error);
	cel_parse_next(p);
	return constant(p, pos, bytes ? cel_bytes(s) : cel_string(s));
}

/* --- lists of expressions --- */

struct nodes {
	struct cel_node **v;
	size_t n;
};

struct marks {
	bool *v;
	size_t n;
};

static void closes(
	struct cel_parser *p, enum cel_token_kind close, const char *one, const char *both)
{
	bool commas = both && p->tok.kind != CEL_TOK_END &&
		      (p->ahead.kind == close || p->ahead.kind == CEL_TOK_COMMA);

	if (p->c->stop || cel_parse_take(p, close))
		return;
	if (both && !commas) {
		cel_parse_fail(p, "mismatched", both);
		return;
	}
	cel_parse_expect(p, close, both ? both : one);
}

static bool args(struct cel_parser *p, struct nodes *ret)
{
	p->place = CEL_PLACE_ARGS;
	if (cel_parse_take(p, CEL_TOK_RPAREN)) {
		p->place = CEL_PLACE_ANY;
		return true;
	}
	do {
		struct cel_node *n = cel_parse_expr(p);

		if (!n)
			return false;
		ARENA_PUSH(p->c->a, ret, n);
	} while (cel_parse_take(p, CEL_TOK_COMMA));
	closes(p, CEL_TOK_RPAREN, "')'", NULL);
	return !p->c->stop;
}

static void finish(struct cel_node *n, struct nodes *items, struct marks *optional)
{
	bool any = false;

	for (size_t i = 0; i < items->n; i++)
		n->depth = MAX(n->depth, items->v[i]->depth);
	for (size_t i = 0; i < optional->n; i++)
		any |= optional->v[i];
	n->args = items->v;
	n->n_args = items->n;
	n->optionals = any ? optional->v : NULL;
}

static struct cel_node *list(struct cel_parser *p)
{
	struct cel_node *n = cel_node_new(p->c, CEL_NODE_LIST, p->tok.pos), *item;
	struct nodes items = {0};
	struct marks optional = {0};
	bool comma = false;

	cel_parse_next(p);
	p->place = CEL_PLACE_LIST;
	if (p->tok.kind == CEL_TOK_COMMA && p->ahead.kind == CEL_TOK_RBRACKET)
		cel_parse_next(p);
	while (p->tok.kind != CEL_TOK_RBRACKET) {
		bool mark = cel_parse_take(p, CEL_TOK_QUESTION);

		item = cel_parse_expr(p);
		if (!item)
			return NULL;
		ARENA_PUSH(p->c->a, &items, item);
		ARENA_PUSH(p->c->a, &optional, mark);
		comma = cel_parse_take(p, CEL_TOK_COMMA);
		if (!comma)
			break;
	}
	p->place = CEL_PLACE_ANY;
	closes(p, CEL_TOK_RBRACKET, "']'", comma ? NULL : "{']', ','}");
	finish(n, &items, &optional);
	return n;
}

static bool entry(struct cel_parser *p, struct nodes *items, struct marks *optional)
{
	bool mark = cel_parse_take(p, CEL_TOK_QUESTION);
	struct cel_node *key = cel_parse_expr(p), *value;

	if (!key || !cel_parse_expect(p, CEL_TOK_COLON, "':'"))
		return false;
	value = cel_parse_expr(p);
	if (!value)
		return false;
	ARENA_PUSH(p->c->a, items, key);
	ARENA_PUSH(p->c->a, items, value);
	ARENA_PUSH(p->c->a, optional, mark);
	return true;
}

static struct cel_node *map(struct cel_parser *p)
{
	struct cel_node *n = cel_node_new(p->c, CEL_NODE_MAP, p->tok.pos);
	struct nodes items = {0};
	struct marks optional = {0};
	bool comma = false;

	cel_parse_next(p);
	p->place = CEL_PLACE_MAP;
	if (p->tok.kind == CEL_TOK_COMMA && p->ahead.kind == CEL_TOK_RBRACE)
		cel_parse_next(p);
	while (p->tok.kind != CEL_TOK_RBRACE) {
		if (comma && p->tok.kind == CEL_TOK_COMMA)
			break;
		if (!entry(p, &items, &optional))
			return NULL;
		comma = cel_parse_take(p, CEL_TOK_COMMA);
		if (!comma)
			break;
	}
	p->place = CEL_PLACE_ANY;
	closes(p, CEL_TOK_RBRACE, "'}'", comma ? NULL : "{'}', ','}");
	finish(n, &items, &optional);
	return n;
}

/* T{field: value}, T being the chain of names before it */
static struct cel_node *message(struct cel_parser *p, struct str name)
{
	struct cel_node *n = cel_node_new(p->c, CEL_NODE_STRUCT, p->tok.pos), *value, *field;
	struct nodes items = {0};
	struct marks optional = {0};

	n->name = name;
	cel_parse_next(p);
	while (p->tok.kind != CEL_TOK_RBRACE && p->tok.kind != CEL_TOK_COMMA) {
		bool mark = cel_parse_take(p, CEL_TOK_QUESTION);

		field = cel_node_new(p->c, CEL_NODE_CONST, p->tok.pos);
		field->value = cel_string(cel_parse_text(p, p->tok));
		if (!cel_parse_expect(p, CEL_TOK_IDENT, "{'?', IDENTIFIER, ESC_IDENTIFIER}") ||
			!cel_parse_expect(p, CEL_TOK_COLON, "':'"))
			return NULL;
		value = cel_parse_expr(p);
		if (!value)
			return NULL;
		ARENA_PUSH(p->c->a, &items, field);
		ARENA_PUSH(p->c->a, &items, value);
		ARENA_PUSH(p->c->a, &optional, mark);
		if (!cel_parse_take(p, CEL_TOK_COMMA))
			break;
	}
	cel_parse_take(p, CEL_TOK_COMMA);
	closes(p, CEL_TOK_RBRACE, "'}'", "{'}', ','}");
	finish(n, &items, &optional);
	return n;
}

/* --- names and calls --- */

static bool reserved(struct str s)
{
	static const char *const words[] = {"as", "break", "const", "continue", "else", "false",
		"for", "function", "if", "import", "in", "let", "loop", "package", "namespace",
		"null", "return", "true", "var", "void", "while"};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (str_eqc(s, words[i]))
			return true;
	return false;
}

static struct cel_node *call(
	struct cel_parser *p, uint32_t pos, struct str name, struct cel_node *target)
{
	struct nodes list_ = {0}, all = {0};
	struct cel_node *n;

	if (!args(p, &list_))
		return NULL;
	n = cel_macro(p->c, pos, name, target, list_.v, list_.n);
	if (!n) {
		n = cel_node_new(p->c, CEL_NODE_CALL, pos);
		n->name = name;
		n->member = target != NULL;
		if (target)
			ARENA_PUSH(p->c->a, &all, target);
		for (size_t i = 0; i < list_.n; i++)
			ARENA_PUSH(p->c->a, &all, list_.v[i]);
		finish(n, &all, &(struct marks){0});
		return target ? cel_parse_deeper(p, n, n->depth) : n;
	}
	for (size_t i = 0; i < list_.n; i++)
		n->depth = MAX(n->depth, list_.v[i]->depth);
	return target ? cel_parse_deeper(p, n, MAX(n->depth, target->depth)) : n;
}

static struct cel_node *name(struct cel_parser *p)
{
	uint32_t start = p->tok.pos, pos;
	bool dot = cel_parse_take(p, CEL_TOK_DOT);
	struct str id = cel_parse_text(p, p->tok);
	struct cel_node *n;

	if (p->tok.kind != CEL_TOK_IDENT) {
		cel_issue_at(p->c, p->tok.pos,
			"Syntax error: mismatched input '" STR_FMT "' expecting IDENTIFIER",
			STR_ARG(id));
		p->c->stop = true;
		return NULL;
	}
	pos = p->tok.pos;
	if (reserved(id))
		cel_issue_at(p->c, start, "reserved identifier: " STR_FMT, STR_ARG(id));
	cel_parse_next(p);
	if (dot)
		id = arena_fmt(p->c->a, "." STR_FMT, STR_ARG(id));
	if (p->tok.kind == CEL_TOK_LPAREN) {
		pos = p->tok.pos;
		cel_parse_next(p);
		return call(p, pos, id, NULL);
	}
	n = cel_node_new(p->c, CEL_NODE_IDENT, pos);
	n->name = id;
	return n;
}

static struct cel_node *primary(struct cel_parser *p)
{
	struct cel_node *n;

	switch (p->tok.kind) {
	case CEL_TOK_MINUS:
	case CEL_TOK_INT:
	case CEL_TOK_UINT:
	case CEL_TOK_FLOAT:
		return number(p);
	case CEL_TOK_STRING:
	case CEL_TOK_BYTES:
		return text(p);
	case CEL_TOK_TRUE:
	case CEL_TOK_FALSE:
		n = constant(p, p->tok.pos, cel_bool(p->tok.kind == CEL_TOK_TRUE));
		cel_parse_next(p);
		return n;
	case CEL_TOK_NULL:
		n = constant(p, p->tok.pos, cel_null());
		cel_parse_next(p);
		return n;
	case CEL_TOK_LBRACKET:
		return list(p);
	case CEL_TOK_LBRACE:
		return map(p);
	case CEL_TOK_LPAREN:
		cel_parse_next(p);
		n = cel_parse_expr(p);
		if (n)
			closes(p, CEL_TOK_RPAREN, "')'", NULL);
		return n;
	default:
		return name(p);
	}
}

/* --- what follows --- */

static struct cel_node *no_field(struct cel_parser *p)
{
	struct str got = p->tok.kind == CEL_TOK_END ? S("") : cel_parse_text(p, p->tok);

	if (p->tok.kind == CEL_TOK_TRUE || p->tok.kind == CEL_TOK_FALSE ||
		p->tok.kind == CEL_TOK_NULL)
		cel_issue_at(p->c, p->tok.pos,
			"Syntax error: mismatched input '" STR_FMT "' expecting IDENTIFIER",
			STR_ARG(got));
	else
		cel_issue_at(p->c, p->tok.pos,
			"Syntax error: no viable alternative at input '." STR_FMT "'",
			STR_ARG(got));
	p->c->stop = true;
	return NULL;
}

static struct cel_node *field(struct cel_parser *p, struct cel_node *operand)
{
	uint32_t pos = p->tok.pos, open;
	bool optional;
	struct cel_token id;
	struct cel_node *n;

	cel_parse_next(p);
	optional = cel_parse_take(p, CEL_TOK_QUESTION);
	id = p->tok;
	if (id.kind != CEL_TOK_IDENT && id.kind != CEL_TOK_ESC_IDENT)
		return no_field(p);
	if (id.kind == CEL_TOK_ESC_IDENT)
		cel_issue_at(p->c, id.pos, "unsupported syntax: '`'");
	cel_parse_next(p);
	if (p->tok.kind == CEL_TOK_LPAREN && !optional && id.kind == CEL_TOK_IDENT) {
		open = p->tok.pos;
		cel_parse_next(p);
		return call(p, open, cel_parse_text(p, id), operand);
	}
	n = cel_node_new(p->c, CEL_NODE_SELECT, pos);
	n->name = cel_parse_text(p, id);
	n->optional = optional;
	n->args = arena_memdup(p->c->a, &operand, sizeof(operand));
	n->n_args = 1;
	return cel_parse_deeper(p, n, operand->depth);
}

static struct cel_node *element(struct cel_parser *p, struct cel_node *operand)
{
	uint32_t pos = p->tok.pos;
	struct cel_node *index, *n;
	bool optional;

	cel_parse_next(p);
	p->place = CEL_PLACE_INDEX;
	optional = cel_parse_take(p, CEL_TOK_QUESTION);
	index = cel_parse_expr(p);
	if (!index)
		return NULL;
	closes(p, CEL_TOK_RBRACKET, "']'", NULL);
	n = cel_node_call(p->c, pos, optional ? "_[?_]" : "_[_]", 2, operand, index);
	n->kind = CEL_NODE_INDEX;
	n->optional = optional;
	return cel_parse_deeper(p, n, n->depth);
}

/* "a.b.c" of a chain of names, for a.b.c{…}; empty when it is none */
static struct str qualified(struct cel_parser *p, const struct cel_node *n)
{
	struct str left;

	if (n->kind == CEL_NODE_IDENT)
		return n->name;
	if (n->kind != CEL_NODE_SELECT || n->optional)
		return S("");
	left = qualified(p, n->args[0]);
	return left.n ? arena_fmt(p->c->a, STR_FMT "." STR_FMT, STR_ARG(left), STR_ARG(n->name))
		      : left;
}

struct cel_node *cel_parse_member(struct cel_parser *p)
{
	struct cel_node *n = primary(p);
	struct str type;

	while (n && !p->c->stop) {
		if (p->tok.kind == CEL_TOK_DOT) {
			n = field(p, n);
		} else if (p->tok.kind == CEL_TOK_LBRACKET) {
			n = element(p, n);
		} else if (p->tok.kind == CEL_TOK_LBRACE) {
			type = qualified(p, n);
			if (type.n == 0)
				return n;
			n = message(p, type);
		} else {
			return n;
		}
	}
	return n;
}
