/* openapi_internal.h: what openapi.c (documents, paths) and openapi_types.c (definitions) share. */
#ifndef SAMPAN_SCHEMA_OPENAPI_INTERNAL_H
#define SAMPAN_SCHEMA_OPENAPI_INTERNAL_H

#include "schema/openapi.h"

struct openapi {
	struct buf *out;
	bool v3;
	bool *wanted;      /* per type of schema_types: it has a definition */
	unsigned builtins; /* of openapi_types.c: bits of those used */
};

/* Marks a type and all that it refers to. */
void openapi_want(struct openapi *o, const struct schema_type *t);
/* {"$ref":"…"} */
void openapi_ref(struct openapi *o, const char *name);
/* The definitions of all that is wanted, as an object. */
void openapi_write_types(struct openapi *o);

#endif
