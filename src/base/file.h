/* file.h: whole files, read and written at once, with an error to show. They block: for start-up and
 * worker threads, not for loops. fs.h has the same with errno, and more. */
#ifndef SAMPAN_FILE_H
#define SAMPAN_FILE_H

#include "base/base.h"

/* Writes a whole file atomically with this mode; it is on the disk then. */
int file_write(const char *path, struct str content, int mode, struct err *err);
/* A whole file into the arena; at most max bytes. -ENOENT when it is not there. */
int file_read(const char *path, size_t max, struct arena *a, struct str *ret, struct err *err);

#endif
