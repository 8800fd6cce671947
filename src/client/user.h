/* user.h: who makes a request (authentication.k8s.io/v1 UserInfo). */
#ifndef SAMPAN_USER_H
#define SAMPAN_USER_H

#include "base/base.h"

struct user_extra {
	struct str key;
	struct str_vec values;
};

struct user_info {
	struct str name, uid;
	struct str_vec groups;
	struct {
		struct user_extra *v;
		size_t n;
	} extra;
};

static inline bool user_in_group(const struct user_info *u, struct str group)
{
	return str_vec_has(&u->groups, group);
}

#endif
