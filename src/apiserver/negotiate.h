/*
 * negotiate.h: which form of an answer a client accepts (apiserver endpoints/handlers/negotiation).
 */
#ifndef SAMPAN_APISERVER_NEGOTIATE_H
#define SAMPAN_APISERVER_NEGOTIATE_H

#include "base/base.h"

struct accept_clause {
	struct str type, subtype;
	struct str_pair params[8]; /* without q; more are ignored */
	size_t n_params;
	double q;
};

struct accept {
	struct accept_clause *v;
	size_t n;
};

/* The clauses of an Accept header, best first, as goautoneg orders them. */
void accept_parse(struct arena *a, struct str header, struct accept *ret);
struct str accept_param(const struct accept_clause *c, const char *name); /* {NULL, 0}: absent */
bool accept_matches(const struct accept_clause *c, const char *type, const char *subtype);

/* Whether one media range of the header is listed (NULL-terminated), or is everything: the router's
 * first, coarser look, without parameters. */
bool accept_route_matches(struct str header, const char *const *produces);

#endif
