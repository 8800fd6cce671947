/* parse.h: what the files of the parser share. */
#ifndef SAMPAN_CEL_PARSE_H
#define SAMPAN_CEL_PARSE_H

#include "cel/lex.h"

/* Where an operand is expected: what else could come there, for the error's text. */
enum cel_place {
	CEL_PLACE_ANY,
	CEL_PLACE_ARGS,
	CEL_PLACE_INDEX,
	CEL_PLACE_LIST,
	CEL_PLACE_MAP,
};

struct cel_parser {
	struct cel_compile *c;
	struct cel_token tok, ahead;
	enum cel_place place; /* of the next operand */
	unsigned nesting;
};

struct cel_node *cel_parse_expr(struct cel_parser *p);
struct cel_node *cel_parse_member(struct cel_parser *p);
void cel_parse_next(struct cel_parser *p);
bool cel_parse_take(struct cel_parser *p, enum cel_token_kind kind);
bool cel_parse_expect(struct cel_parser *p, enum cel_token_kind kind, const char *shown);
bool cel_parse_starts(enum cel_token_kind k);
/* "mismatched" ends the parse, "extraneous" does not. */
void cel_parse_fail(struct cel_parser *p, const char *what, const char *expecting);
struct str cel_parse_text(struct cel_parser *p, struct cel_token t);
/* Sets the node's depth to one more than `below`, within the limit. */
struct cel_node *cel_parse_deeper(struct cel_parser *p, struct cel_node *n, unsigned below);

#endif
