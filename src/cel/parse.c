/* parse.c: the grammar of cel-spec (CEL.g4), by recursive descent: what nests. Primary expressions
 * are in primary.c. */
#include "cel/parse.h"

struct cel_node *cel_node_new(struct cel_compile *c, enum cel_node_kind kind, uint32_t pos)
{
	struct cel_node *n = ARENA_NEW(c->a, struct cel_node);

	n->kind = kind;
	n->pos = pos;
	return n;
}

struct cel_node *cel_node_call(
	struct cel_compile *c, uint32_t pos, const char *name, size_t n_args, ...)
{
	struct cel_node *n = cel_node_new(c, CEL_NODE_CALL, pos);
	va_list ap;

	n->name = str_c(name);
	n->n_args = n_args;
	n->args = arena_alloc(c->a, (n_args + 1) * sizeof(*n->args));
	va_start(ap, n_args);
	for (size_t i = 0; i < n_args; i++) {
		n->args[i] = va_arg(ap, struct cel_node *);
		n->depth = MAX(n->depth, n->args[i]->depth);
	}
	va_end(ap);
	return n;
}

void cel_parse_next(struct cel_parser *p)
{
	p->tok = p->ahead;
	p->ahead = cel_lex(p->c, p->tok.end);
}

bool cel_parse_take(struct cel_parser *p, enum cel_token_kind kind)
{
	if (p->tok.kind != kind)
		return false;
	cel_parse_next(p);
	return true;
}

/* --- errors, in the words of upstream's parser generator --- */

struct str cel_parse_text(struct cel_parser *p, struct cel_token t)
{
	return t.kind == CEL_TOK_END ? S("<EOF>") : str_sub(p->c->text, t.pos, t.end);
}

void cel_parse_fail(struct cel_parser *p, const char *what, const char *expecting)
{
	struct str text = cel_parse_text(p, p->tok);

	cel_issue_at(p->c, p->tok.pos, "Syntax error: %s input '" STR_FMT "' expecting %s", what,
		STR_ARG(text), expecting);
	if (what[0] != 'e') /* mismatched: nothing more is to be had */
		p->c->stop = true;
}

static void internal(struct cel_parser *p, const char *message)
{
	cel_issue_at(p->c, UINT32_MAX, "%s", message);
	p->c->stop = true;
}

bool cel_parse_starts(enum cel_token_kind k)
{
	switch (k) {
	case CEL_TOK_IDENT:
	case CEL_TOK_INT:
	case CEL_TOK_UINT:
	case CEL_TOK_FLOAT:
	case CEL_TOK_STRING:
	case CEL_TOK_BYTES:
	case CEL_TOK_TRUE:
	case CEL_TOK_FALSE:
	case CEL_TOK_NULL:
	case CEL_TOK_LBRACKET:
	case CEL_TOK_LBRACE:
	case CEL_TOK_LPAREN:
	case CEL_TOK_DOT:
	case CEL_TOK_MINUS:
	case CEL_TOK_NOT:
		return true;
	default:
		return false;
	}
}

#define OPERANDS "'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}"

static const char *const operands[] = {
	[CEL_PLACE_ANY] = "{'[', '{', '(', '.', '-', '!', " OPERANDS,
	[CEL_PLACE_ARGS] = "{'[', '{', '(', ')', '.', '-', '!', " OPERANDS,
	[CEL_PLACE_INDEX] = "{'[', '{', '(', '.', '-', '!', '?', " OPERANDS,
	[CEL_PLACE_LIST] = "{'[', ']', '{', '(', '.', ',', '-', '!', '?', " OPERANDS,
	[CEL_PLACE_MAP] = "{'[', '{', '}', '(', '.', ',', '-', '!', '?', " OPERANDS,
};

/* An operand must come: one token too many is passed over. */
static bool operand_comes(struct cel_parser *p)
{
	const char *expecting = operands[p->place];

	p->place = CEL_PLACE_ANY;
	if (cel_parse_starts(p->tok.kind))
		return true;
	if (p->tok.kind == CEL_TOK_END || !cel_parse_starts(p->ahead.kind)) {
		cel_parse_fail(p, "mismatched", expecting);
		return false;
	}
	cel_parse_fail(p, "extraneous", expecting);
	cel_parse_next(p);
	return true;
}

bool cel_parse_expect(struct cel_parser *p, enum cel_token_kind kind, const char *shown)
{
	struct str text = cel_parse_text(p, p->tok);

	if (p->c->stop)
		return false;
	if (cel_parse_take(p, kind))
		return true;
	if (p->ahead.kind == kind && p->tok.kind != CEL_TOK_END) {
		cel_parse_fail(p, "extraneous", shown);
		cel_parse_next(p);
		cel_parse_next(p);
		return true;
	}
	if ((p->tok.kind == CEL_TOK_END) == (kind != CEL_TOK_COLON)) {
		cel_issue_at(p->c, p->tok.pos, "Syntax error: missing %s at '" STR_FMT "'", shown,
			STR_ARG(text));
		p->c->stop = true;
	} else {
		cel_parse_fail(p, "mismatched", shown);
	}
	return false;
}

/* --- operators --- */

struct cel_node *cel_parse_deeper(struct cel_parser *p, struct cel_node *n, unsigned below)
{
	n->depth = below + 1;
	if (n->depth > CEL_DEPTH_MAX && !p->c->stop)
		internal(p, "max recursion depth exceeded");
	return n;
}

static struct cel_node *binary(struct cel_parser *p, uint32_t pos, const char *name,
	struct cel_node *x, struct cel_node *y)
{
	struct cel_node *n = cel_node_call(p->c, pos, name, 2, x, y);

	return cel_parse_deeper(p, n, n->depth);
}

/* Behind a minus, which then begins nothing. */
static struct cel_node *no_way(struct cel_parser *p, struct cel_token at)
{
	struct str text = cel_parse_text(p, at);

	cel_issue_at(p->c, at.pos, "Syntax error: no viable alternative at input '-" STR_FMT "'",
		STR_ARG(text));
	p->c->stop = true;
	return NULL;
}

static struct cel_node *unary(struct cel_parser *p)
{
	struct cel_node *n;
	enum cel_token_kind op = p->tok.kind;
	uint32_t pos = p->tok.pos;
	unsigned count = 0;

	if (!operand_comes(p))
		return NULL;
	op = p->tok.kind;
	if (op == CEL_TOK_MINUS && (p->ahead.kind == CEL_TOK_INT || p->ahead.kind == CEL_TOK_FLOAT))
		return cel_parse_member(p);
	if (op != CEL_TOK_MINUS && op != CEL_TOK_NOT)
		return cel_parse_member(p);
	for (; p->tok.kind == op; count++)
		cel_parse_next(p);
	if (op == CEL_TOK_MINUS && p->tok.kind == CEL_TOK_NOT)
		return no_way(p, p->tok);
	if (!operand_comes(p))
		return NULL;
	if (p->tok.kind == CEL_TOK_MINUS && p->ahead.kind != CEL_TOK_INT &&
		p->ahead.kind != CEL_TOK_FLOAT)
		return no_way(p, p->ahead);
	n = cel_parse_member(p);
	if (!n || count % 2 == 0)
		return n;
	return cel_node_call(p->c, pos, op == CEL_TOK_NOT ? "!_" : "-_", 1, n);
}

static const char *const product_ops[] = {
	[CEL_TOK_STAR] = "_*_",
	[CEL_TOK_SLASH] = "_/_",
	[CEL_TOK_PERCENT] = "_%_",
};

static struct cel_node *product(struct cel_parser *p)
{
	struct cel_node *n = unary(p), *right;

	while (n && !p->c->stop && p->tok.kind < ARRAY_SIZE(product_ops) &&
		product_ops[p->tok.kind]) {
		struct cel_token op = p->tok;

		cel_parse_next(p);
		right = unary(p);
		if (!right)
			return NULL;
		n = binary(p, op.pos, product_ops[op.kind], n, right);
	}
	return n;
}

static struct cel_node *sum(struct cel_parser *p)
{
	struct cel_node *n = product(p), *right;

	while (n && !p->c->stop && (p->tok.kind == CEL_TOK_PLUS || p->tok.kind == CEL_TOK_MINUS)) {
		struct cel_token op = p->tok;

		cel_parse_next(p);
		right = product(p);
		if (!right)
			return NULL;
		n = binary(p, op.pos, op.kind == CEL_TOK_PLUS ? "_+_" : "_-_", n, right);
	}
	return n;
}

static const char *const relation_ops[] = {
	[CEL_TOK_IN] = "@in",
	[CEL_TOK_EQ] = "_==_",
	[CEL_TOK_NE] = "_!=_",
	[CEL_TOK_LT] = "_<_",
	[CEL_TOK_LE] = "_<=_",
	[CEL_TOK_GE] = "_>=_",
	[CEL_TOK_GT] = "_>_",
};

static struct cel_node *relation(struct cel_parser *p)
{
	struct cel_node *n = sum(p), *right;

	while (n && !p->c->stop && p->tok.kind < ARRAY_SIZE(relation_ops) &&
		relation_ops[p->tok.kind]) {
		struct cel_token op = p->tok;

		cel_parse_next(p);
		right = sum(p);
		if (!right)
			return NULL;
		n = binary(p, op.pos, relation_ops[op.kind], n, right);
	}
	return n;
}

/* x && y && z, x || y || z: one node of all terms. */
static struct cel_node *logic(struct cel_parser *p, enum cel_token_kind op)
{
	struct cel_node *first = op == CEL_TOK_OR ? logic(p, CEL_TOK_AND) : relation(p), *n, *term;
	struct {
		struct cel_node **v;
		size_t n;
	} terms = {0};

	if (!first || p->tok.kind != op || p->c->stop)
		return first;
	n = cel_node_new(p->c, op == CEL_TOK_OR ? CEL_NODE_OR : CEL_NODE_AND, p->tok.pos);
	for (term = first;;) {
		ARENA_PUSH(p->c->a, &terms, term);
		n->depth = MAX(n->depth, term->depth);
		if (p->c->stop || !cel_parse_take(p, op))
			break;
		term = op == CEL_TOK_OR ? logic(p, CEL_TOK_AND) : relation(p);
		if (!term)
			return NULL;
	}
	n->args = terms.v;
	n->n_args = terms.n;
	return n;
}

static struct cel_node *conditional(struct cel_parser *p)
{
	struct cel_node *cond = logic(p, CEL_TOK_OR), *yes, *no, *n;
	uint32_t pos = p->tok.pos;

	if (!cond || p->c->stop || !cel_parse_take(p, CEL_TOK_QUESTION))
		return cond;
	yes = logic(p, CEL_TOK_OR);
	if (!yes || !cel_parse_expect(p, CEL_TOK_COLON, "':'"))
		return NULL;
	no = cel_parse_expr(p);
	if (!no)
		return NULL;
	n = cel_node_call(p->c, pos, "_?_:_", 3, cond, yes, no);
	n->kind = CEL_NODE_COND;
	return cel_parse_deeper(p, n, n->depth);
}

struct cel_node *cel_parse_expr(struct cel_parser *p)
{
	struct cel_node *n;

	if (p->c->stop)
		return NULL;
	if (++p->nesting > CEL_DEPTH_MAX) {
		internal(p, "expression recursion limit exceeded: 250");
		return NULL;
	}
	n = conditional(p);
	p->nesting--;
	return p->c->stop ? NULL : n;
}

struct cel_node *cel_parse(struct cel_compile *c)
{
	struct cel_parser p = {.c = c};
	struct cel_node *n;

	p.ahead = cel_lex(c, 0);
	cel_parse_next(&p);
	n = cel_parse_expr(&p);
	if (n && !c->stop && p.tok.kind != CEL_TOK_END)
		cel_parse_fail(
			&p, p.ahead.kind == CEL_TOK_END ? "extraneous" : "mismatched", "<EOF>");
	return n;
}
