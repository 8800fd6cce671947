/*
 * patch_types.h: the types of which mutating admission policies make their patches (apiserver
 * pkg/cel/mutation): JSONPatch, Object and Object.FIELD…, and jsonpatch.escapeKey().
 */
#ifndef SAMPAN_CEL_PATCH_TYPES_H
#define SAMPAN_CEL_PATCH_TYPES_H

#include "cel/function.h"

bool cel_is_patch_type(struct str name);
/* Its type, in the arena or for ever. */
const struct cel_type *cel_patch_type(struct str name, struct arena *a);

extern const struct cel_function cel_jsonpatch_escape_key;

#endif
