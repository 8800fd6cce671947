/* schema_type.h: the kinds of the API as CEL's types, for checking expressions against them. */
#ifndef SAMPAN_CEL_SCHEMA_TYPE_H
#define SAMPAN_CEL_SCHEMA_TYPE_H

#include "cel/cel.h"
#include "schema/schema.h"

/* A struct type of that name, whose fields have types as upstream derives them from OpenAPI:
 * quantities and what contains them are not there, an IntOrString is anything. Lives, like all that
 * is looked up in it, in the arena. */
const struct cel_type *cel_type_of_schema(
	const struct schema_type *t, struct str name, struct arena *a);

#endif
