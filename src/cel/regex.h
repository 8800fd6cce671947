/*
 * regex.h: regular expressions with the syntax, the semantics (leftmost, then the first of
 * alternatives) and the error texts of Go's regexp, RE2's kind: time is linear in the text,
 * whatever the pattern. An own engine: Debian's RE2 is a C++ library.
 *
 * A pattern becomes a program of an NFA whose threads are run side by side, character by character
 * (Thompson, Pike).
 */
#ifndef SAMPAN_CEL_REGEX_H
#define SAMPAN_CEL_REGEX_H

#include "base/base.h"

struct cel_regex;

/* In the arena. False: *ret_error is "error parsing regexp: missing closing ): `(`". */
bool cel_regex_compile(
	struct str pattern, struct arena *a, struct cel_regex **ret, struct str *ret_error);
/* Whether it matches anywhere. The arena holds the threads while it runs. */
bool cel_regex_match(const struct cel_regex *re, struct str text, struct arena *a);
/* The leftmost match from byte `from` on. */
bool cel_regex_find(const struct cel_regex *re, struct str text, size_t from, struct arena *a,
	size_t *ret_start, size_t *ret_end);

#endif
