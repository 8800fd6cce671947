/* patch_internal.h: the three kinds of patches, on trees that they may change. Private to patch*.c.
 */
#ifndef SAMPAN_API_PATCH_INTERNAL_H
#define SAMPAN_API_PATCH_INTERNAL_H

#include "json/value.h"
#include "schema/schema.h"

/* How the text ends that says that a test operation failed. */
#define PATCH_TEST_FAILED ": test failed"

/* Why it does not apply, in the words of the library that upstream uses; empty: it did. */
struct str patch_json(struct json_value **doc, const struct json_value *ops, struct arena *a);
int patch_strategic(const struct schema_type *type, struct json_value **doc,
	struct json_value *patch, struct arena *a, struct err *err);
/* Members in the order of their keys: where a patch has looked into an object, upstream writes it
 * so. */
void patch_sort(struct json_value *object);

#endif
