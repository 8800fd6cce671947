/* string_format.h: the clauses of string.format(), for the function and for its check when
 * compiling. */
#ifndef SAMPAN_CEL_STRING_FORMAT_H
#define SAMPAN_CEL_STRING_FORMAT_H

#include "cel/eval.h"

enum { CEL_FORMAT_PRECISION = 6 };

struct cel_clause {
	struct str text; /* what stands before it */
	char verb;       /* s d f e b x X o; 0: the end */
	int precision;
};

/* The next clause from *at on. -1: *ret_error, which needs no argument ("unexpected end of
 * string"); -2: *ret_error, but a missing argument comes first. */
int cel_clause_next(struct str format, size_t *at, struct arena *a, struct cel_clause *ret,
	struct str *ret_error);
/* What is wrong with an argument of the kind for the verb: the text up to "was given "; NULL:
 * nothing. */
const char *cel_clause_refuses(char verb, enum cel_kind kind);

#endif
