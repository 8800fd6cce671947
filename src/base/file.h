/* file.h: whole files, read and written at once. They block: for start-up and worker threads, not for loops. */
#ifndef SAMPAN_FILE_H
#define SAMPAN_FILE_H

#include "base/base.h"

/* Writes a whole file atomically (temporary file, fsync, rename) with this mode. */
int file_write(const char *path, struct str content, int mode, struct err *err);
/* A whole file into the arena; at most max bytes. -ENOENT when it is not there. */
int file_read(const char *path, size_t max, struct arena *a, struct str *ret, struct err *err);

#endif
