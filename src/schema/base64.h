/* base64.h: standard base64 with padding (RFC 4648 §4), with the leniency of Go's encoding/base64:
 * line ends are skipped. */
#ifndef SAMPAN_SCHEMA_BASE64_H
#define SAMPAN_SCHEMA_BASE64_H

#include "base/base.h"

/* 0, or 1 + the index of the byte at which it is broken. *ret lives in the arena, is NUL-terminated
 * and never NULL. */
size_t base64_decode(struct str text, struct arena *a, struct str *ret);
void base64_encode(struct str bytes, struct buf *out);

#endif
