/* lex.h: an expression's tokens, one after the other. */
#ifndef SAMPAN_CEL_LEX_H
#define SAMPAN_CEL_LEX_H

#include "cel/node.h"

enum cel_token_kind {
	CEL_TOK_END,
	CEL_TOK_IDENT,
	CEL_TOK_ESC_IDENT, /* `a-b` */
	CEL_TOK_INT,
	CEL_TOK_UINT,
	CEL_TOK_FLOAT,
	CEL_TOK_STRING,
	CEL_TOK_BYTES,
	CEL_TOK_TRUE,
	CEL_TOK_FALSE,
	CEL_TOK_NULL,
	CEL_TOK_IN,
	CEL_TOK_EQ,
	CEL_TOK_NE,
	CEL_TOK_LT,
	CEL_TOK_LE,
	CEL_TOK_GE,
	CEL_TOK_GT,
	CEL_TOK_AND,
	CEL_TOK_OR,
	CEL_TOK_LBRACKET,
	CEL_TOK_RBRACKET,
	CEL_TOK_LBRACE,
	CEL_TOK_RBRACE,
	CEL_TOK_LPAREN,
	CEL_TOK_RPAREN,
	CEL_TOK_DOT,
	CEL_TOK_COMMA,
	CEL_TOK_MINUS,
	CEL_TOK_NOT,
	CEL_TOK_QUESTION,
	CEL_TOK_COLON,
	CEL_TOK_PLUS,
	CEL_TOK_STAR,
	CEL_TOK_SLASH,
	CEL_TOK_PERCENT,
};

struct cel_token {
	enum cel_token_kind kind;
	uint32_t pos, end; /* bytes of the expression */
};

/* The token at or behind `from`, behind blanks and comments. What is no token is reported and
 * passed over. */
struct cel_token cel_lex(struct cel_compile *c, uint32_t from);

/* literal.c: the value of a string or bytes token; false and the reason when it has none. */
bool cel_unescape(
	struct str token, bool bytes, struct arena *a, struct str *ret, const char **ret_error);

#endif
