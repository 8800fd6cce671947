/*
 * query.h: the parameters behind the '?', decoded once per request as Go's url.ParseQuery does: '+'
 * is a space, a pair with a broken escape or a ';' is dropped.
 */
#ifndef SAMPAN_APISERVER_QUERY_H
#define SAMPAN_APISERVER_QUERY_H

#include "base/base.h"

struct query {
	struct str_pair *v;
	size_t n;
};

enum { QUERY_PAIRS_MAX = 1000 }; /* what stands behind is ignored */

/* Everything lives in the arena, or is a view into `raw`. */
void query_parse(struct arena *a, struct str raw, struct query *ret);
/* The first value of that name; {NULL, 0} when absent. */
struct str query_get(const struct query *q, const char *name);
bool query_has(const struct query *q, const char *name);
struct str_vec query_all(const struct query *q, struct arena *a, const char *name);

/* As apimachinery's conversion of parameters to bool: absent, "false" and "0" (any case) are false,
 * all else is true, also the empty value. */
bool query_bool(const struct query *q, const char *name);

/* What Go's time.ParseDuration finds wrong with a text ("time: missing unit in duration \"10\""); empty: nothing. */
struct str query_duration_problem(struct arena *a, struct str text);

#endif
