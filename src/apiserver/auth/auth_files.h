/* auth_files.h: who decides and whose tokens are taken, as flags or files say; the files are looked
 * at again while requests come, as upstream reloads them. */
#ifndef SAMPAN_AUTH_AUTH_FILES_H
#define SAMPAN_AUTH_AUTH_FILES_H

#include "apiserver/auth/auth_int.h"

struct auth_files;

/* Fills a->chain, a->issuers_jwt and what is said of anonymous requests. */
int auth_files_open(struct auth *a, const struct auth_opts *opts, struct err *err);
/* At most once a second: takes what has changed. A file that is wrong changes nothing. Any I/O
 * thread. */
void auth_files_follow(struct auth *a, int64_t now_ns);
void auth_files_close(struct auth_files *f); /* NULL-safe */

#endif
