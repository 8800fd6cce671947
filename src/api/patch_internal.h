/* patch_internal.h: the three kinds of patches, on trees that they may change. Private to patch*.c.
 */
#ifndef SAMPAN_API_PATCH_INTERNAL_H
#define SAMPAN_API_PATCH_INTERNAL_H

#include "json/value.h"
#include "schema/schema.h"

int patch_json(
	struct json_value **doc, const struct json_value *ops, struct arena *a, struct err *err);
int patch_strategic(const struct schema_type *type, struct json_value **doc,
	struct json_value *patch, struct arena *a, struct err *err);
/* Members in the order of their keys: where a patch has looked into an object, upstream writes it
 * so. */
void patch_sort(struct json_value *object);

#endif
