/*
 * admission.h: what looks at each write between decoding and commit (apiserver pkg/admission).
 *
 * Plugins run in the order of the table, first all admit() (may change attrs->obj), then, after
 * validation, all validate() (may not). They run on an I/O thread, must not block, and read other
 * objects through snapshots of attrs->store.
 */
#ifndef SAMPAN_ADMISSION_H
#define SAMPAN_ADMISSION_H

#include "client/user.h"
#include "store/store.h"
#include "types.gen.h"

struct apiserver;

enum admission_op {
	ADMIT_CREATE = 1 << 0,
	ADMIT_UPDATE = 1 << 1,
	ADMIT_DELETE = 1 << 2,
	ADMIT_CONNECT = 1 << 3, /* exec, attach, portforward, proxy */
};

struct admission_attrs {
	struct apiserver *server;
	struct arena *arena;
	struct store *store;
	enum admission_op op;
	const struct schema_resource *resource; /* the storage resource */
	struct str subresource;
	struct str ns, name; /* of the request; name may be empty on create (generateName) */
	void *obj; /* resource->type, or the subresource's own (binding: struct v1_binding); NULL on
		      delete */
	const void *old; /* NULL on create */
	const struct user_info *user;
	int64_t now_ns;
	bool dry_run;
	struct str_vec *warnings;
};

struct admission_plugin {
	const char *name; /* as in --enable-admission-plugins: "NamespaceLifecycle" */
	uint32_t ops;     /* enum admission_op */
	/* 0, or negative errno with err (a whole Status, see admission_forbidden). Either may be
	 * NULL. */
	int (*admit)(struct admission_attrs *attrs, struct err *err);
	int (*validate)(struct admission_attrs *attrs, struct err *err);
};

/* admission/registry.c: in the order in which they run; NULL-terminated. */
extern const struct admission_plugin *const admission_plugins[];

/* 403 in the words of admission.NewForbidden: 'pods "x" is forbidden: why'. */
int admission_forbidden(const struct admission_attrs *attrs, struct err *err, const char *fmt, ...)
	PRINTF_LIKE(3, 4);

/* All that are enabled in the server. */
int admission_admit(struct admission_attrs *attrs, struct err *err);
int admission_validate(struct admission_attrs *attrs, struct err *err);

#endif
