/*
 * go_json.h: texts that upstream's messages have from Go: internal structs as JSON, unified
 * differences.
 */
#ifndef SAMPAN_VALIDATION_GO_JSON_H
#define SAMPAN_VALIDATION_GO_JSON_H

#include "base/base.h"
#include "schema/schema.h"

/* A value of an internal type, compact. */
struct str go_json(struct arena *a, const struct schema_type *type, const void *v);
/* The unified difference of the indented forms of two values. */
struct str go_diff(
	struct arena *a, const struct schema_type *type, const void *old, const void *now);
struct str str_vec_json(struct arena *a, const struct str_vec *v);
struct str str_map_json(struct arena *a, const struct str_map *m);

/* The unified difference of two texts, three lines of context, no file names; lines are matched as
 * Python's difflib (and go-difflib) does it, so that the hunks are the same. */
struct str unified_diff(struct arena *a, struct str old, struct str now);

#endif
