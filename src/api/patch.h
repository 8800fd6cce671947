/*
 * patch.h: JSON patch (RFC 6902), merge patch (RFC 7386) and strategic merge patch, with upstream's
 * results and words.
 *
 * Works on JSON texts; knows nothing of storage. The result is JSON for schema_decode_json().
 */
#ifndef SAMPAN_API_PATCH_H
#define SAMPAN_API_PATCH_H

#include "base/base.h"
#include "schema/schema.h"

enum patch_type { PATCH_JSON, PATCH_MERGE, PATCH_STRATEGIC };

enum { PATCH_OPERATIONS_MAX = 10000 }; /* of a JSON patch */

/* type is needed by PATCH_STRATEGIC only (NULL: 415, as for a CRD). *ret_json lives in the arena.
 * Errors: 400 when the patch is malformed, 422 when it does not apply (a failed test, a missing
 * path), 413 for too many operations. */
int patch_apply(enum patch_type how, const struct schema_type *type, struct str original_json,
	struct str patch, struct arena *a, struct str *ret_json, struct err *err);

/* A JSON patch that no client sent but a webhook or a policy: err says what does not apply in the
 * words of the library that upstream uses ("error in remove for path: '/a': …"). -ECANCELED: a test
 * operation failed. */
int patch_apply_json(struct str original_json, struct str patch, struct arena *a,
	struct str *ret_json, struct err *err);

#endif
