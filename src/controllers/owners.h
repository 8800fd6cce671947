/*
 * owners.h: an index of objects by who controls them, kept from the events of a watch: the pods of
 * a replica set without looking at all pods of its namespace.
 *
 * One thread. Holds references on the objects.
 */
#ifndef SAMPAN_OWNERS_H
#define SAMPAN_OWNERS_H

#include "store/store.h"

struct owner_index;

struct owner_index *owner_index_new(void);
void owner_index_free(struct owner_index *x);
void owner_index_apply(struct owner_index *x, const struct store_event *ev);

/* The objects of `res` that the owner with this uid controls; with an empty uid, those in `ns`
 * without a controller. Borrowed until the next apply; in no particular order. */
const struct object *const *owner_index_get(const struct owner_index *x,
	const struct schema_resource *res, struct str uid, struct str ns, size_t *ret_n);

#endif
