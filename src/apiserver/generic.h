/* generic.h: what holds for a kind about which its strategy says nothing. */
#ifndef SAMPAN_APISERVER_GENERIC_H
#define SAMPAN_APISERVER_GENERIC_H

#include "apiserver/server.h"
#include "apiserver/meta.h"

/* Upstream stores protobuf, which knows no difference between an empty list and none: what was []
 * comes back as null where a list is always written. */
void generic_drop_empty(const struct schema_type *type, void *typed);
/* status belongs to the status subresource, everything else but metadata to the object itself.
 * `old` is NULL on create. */
void generic_prepare(struct request *r, void *obj, const void *old);
/* Whether a struct member (spec, for one) is equal in both; true where the kind has none. */
bool generic_same_member(
	const struct schema_type *type, const void *a, const void *b, struct str name);
name_errors_fn *generic_name_rule(const struct request *r);

#endif
