/*
 * base.h: what every file may use. Strings, arenas, buffers, errors, logging, small helpers.
 *
 * Memory has four lifetimes: scratch arena (one request, one reconcile, one tick), immutable shared object
 * (reference-counted), connection or pod (an owner struct), program. An allocation that fails aborts the
 * process with one line: limits keep every request bounded, and what was acknowledged is on disk.
 */
#ifndef SAMPAN_BASE_H
#define SAMPAN_BASE_H

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "base/macros.h"

/* malloc family that never returns NULL: aborts with a line on stderr. Free with free(). */
void *xmalloc(size_t size) __attribute__((malloc, returns_nonnull));
void *xcalloc(size_t n, size_t size) __attribute__((malloc, returns_nonnull));
void *xrealloc(void *p, size_t size) __attribute__((returns_nonnull));
char *xstrdup(const char *s) __attribute__((malloc, returns_nonnull));
char *xasprintf(const char *fmt, ...) PRINTF_LIKE(1, 2) __attribute__((returns_nonnull));
void free_ptr(void *pp); /* for CLEANUP: free(*(void **)pp) */

#include "base/str.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"

#endif
