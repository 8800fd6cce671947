/* user.h: who a container's first process is, by the CRI configuration and the image's /etc/passwd
 * and /etc/group. */
#ifndef SAMPAN_RUNTIME_USER_H
#define SAMPAN_RUNTIME_USER_H

#include "node/cri.h"

struct user_ids {
	int64_t uid, gid;
	int64_t *groups; /* supplementary, the primary one among them */
	size_t n_groups;
	struct str home; /* of passwd; "/" when unknown */
};

/* passwd and group: the files' text (empty when there is none). image_user: User of the image's
 * configuration
 * ("", "name", "1000:100" …). 400 when a name is not there. */
int user_resolve(const struct cri_user *u, struct str image_user, struct str passwd,
	struct str group, struct arena *a, struct user_ids *ret, struct err *err);

#endif
