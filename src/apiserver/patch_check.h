/*
 * patch_check.h: what upstream finds in the text of a patch before it applies it, when unknown and
 * duplicate fields matter (apiserver endpoints/handlers/patch.go).
 */
#ifndef SAMPAN_APISERVER_PATCH_CHECK_H
#define SAMPAN_APISERVER_PATCH_CHECK_H

#include "api/patch.h"

/* Appends to *unknown: 'duplicate field "data.k"', 'json patch unknown field "[0].foo"'. 400 "error
 * decoding patch: …" when the text is no patch at all. */
int patch_check(enum patch_type how, struct str patch, struct arena *a, struct str_vec *unknown,
	struct err *err);
/* A JSON object as Go prints the decoded map with %+v: "map[a:1 b:[x y]]". */
struct str patch_go_text(struct arena *a, struct str json);
/* What Go's JSON decoder says of a wrong type, in the words of the converter that upstream uses
 * after a strategic merge: "unrecognized type: int32", "cannot restore struct from: string". */
struct str patch_go_error(struct arena *a, struct str why);

#endif
