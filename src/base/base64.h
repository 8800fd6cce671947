/*
 * base64.h: base64 (RFC 4648) with the leniency and the errors of Go's encoding/base64: line ends are skipped, and
 * clients see the index of the byte at which a text is broken. Pure; any thread.
 *
 *     size_t bad = base64_decode(text, a, &bytes);
 *     if (bad)
 *             return err_bad_request(err, "illegal base64 data at input byte %zu", bad - 1);
 */
#ifndef SAMPAN_BASE64_H
#define SAMPAN_BASE64_H

#include "base/base.h"

/* §4, with padding. 0, or 1 + the index of the byte at which it is broken. *ret lives in the arena, is NUL-terminated
 * and never NULL. */
size_t base64_decode(struct str text, struct arena *a, struct str *ret);
void base64_encode(struct str bytes, struct buf *out);

/* §5, for URLs and JSON Web Tokens, without padding. */
size_t base64url_decode(struct str text, struct arena *a, struct str *ret);
struct str base64url_encode(struct str bytes, struct arena *a);

#endif
