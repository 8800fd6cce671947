/* check.h: the state of one check. */
#ifndef SAMPAN_CEL_CHECK_H
#define SAMPAN_CEL_CHECK_H

#include "cel/node.h"
#include "cel/type.h"

struct cel_local {
	struct str name;
	const struct cel_type *type;
	uint32_t slot;
	const struct cel_local *outer;
};

struct cel_checker {
	struct cel_compile *c;
	struct cel_bindings types;
	const struct cel_local *locals;
	bool *used; /* variables, by index */
};

const struct cel_type *cel_check_overload(
	struct cel_checker *k, struct cel_node *n, const struct cel_function *f);

/* validate.c: literals that upstream's validators refuse: durations, times and patterns that can
 * never be read, lists and maps of mixed types (but within arguments of format()). */
void cel_validate(struct cel_checker *k, struct cel_node *n, bool in_format);

/* validate_format.c: 'text'.format([…]): that the clauses fit the arguments. */
void cel_validate_format(struct cel_checker *k, const struct cel_node *call);

#endif
