/*
 * openapi.h: the OpenAPI documents of the served resources, written from the tables (JSON).
 *
 * The API server serves them at /openapi/v2, /openapi/v3 (the index), /openapi/v3/api/v1 and
 * /openapi/v3/apis/<group>/<version>. They are constant: write once, keep, and serve the bytes.
 * Writing one takes milliseconds. Thread-safe.
 */
#ifndef SAMPAN_SCHEMA_OPENAPI_H
#define SAMPAN_SCHEMA_OPENAPI_H

#include "schema/schema.h"

/* One document with all group-versions (Swagger 2.0). version: "v1.36.2". */
void openapi_v2_write(const char *version, struct buf *out);
/* The same document from its JSON as gnostic's protobuf (openapi.v2.Document), which kubectl asks
 * for where it validates by itself. 400. */
int openapi_v2_to_proto(struct str json, struct buf *out, struct err *err);
/* OpenAPI 3.0 of one group-version ("" is the core group); false when nothing of it is served. */
bool openapi_v3_write(
	struct str group, struct str group_version, const char *version, struct buf *out);
/* {"paths":{"api/v1":{"serverRelativeURL":"/openapi/v3/api/v1?hash=…"},…}}: the hash is that of the
 * document. */
void openapi_v3_write_index(const char *version, struct buf *out);

#endif
