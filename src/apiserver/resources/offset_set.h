/*
 * offset_set.h: a set of numbers above 0, such as offsets into a range of addresses. Zeroed, it is
 * empty.
 */
#ifndef SAMPAN_RESOURCES_OFFSET_SET_H
#define SAMPAN_RESOURCES_OFFSET_SET_H

#include "base/base.h"

struct offset_set {
	uint64_t *slots; /* an open hash table; 0 = free */
	size_t cap, n;
};

bool offset_set_has(const struct offset_set *o, uint64_t v);
void offset_set_add(struct offset_set *o, uint64_t v); /* again: nothing */
void offset_set_remove(struct offset_set *o, uint64_t v);
void offset_set_release(struct offset_set *o);

#endif
