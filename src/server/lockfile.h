/* lockfile.h: a file that a running program holds locked, with its pid in it. */
#ifndef SAMPAN_LOCKFILE_H
#define SAMPAN_LOCKFILE_H

#include "base/base.h"

/* A descriptor that holds the lock until it is closed, or -EBUSY: another one runs (err names its
 * pid). */
int lockfile_take(const char *path, struct err *err);
/* The pid of the holder, 0 when nobody holds it. */
pid_t lockfile_holder(const char *path);
/* Waits until nobody holds it, at most timeout_ms; 0 or -ETIMEDOUT. */
int lockfile_wait_free(const char *path, int timeout_ms);

#endif
