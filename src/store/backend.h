/*
 * backend.h: where a store keeps its state. All calls come from the store's commit thread (or before it starts), one at
 * a time. Every backend passes the contract test of tests/unit/store.
 */
#ifndef SAMPAN_STORE_BACKEND_H
#define SAMPAN_STORE_BACKEND_H

#include "store/store.h"

/* One committed change on its way to disk. */
struct backend_write {
	const struct schema_resource *resource;
	struct str ns, name;
	const struct object *object; /* NULL: delete */
};

struct store_backend {
	const struct store_backend_ops *ops;
};

struct store_backend_ops {
	const char *name;
	/* Calls each() for every object, in any order; *ret_revision gets the highest revision that may ever have been
	 * given out. */
	int (*load)(struct store_backend *b,
		int (*each)(void *user_data, struct str group, struct str plural, struct str json, struct err *err),
		void *user_data, uint64_t *ret_revision, struct err *err);
	/* Makes a batch durable, all or nothing, before it returns. `revision`: the highest in the batch. */
	int (*commit)(struct store_backend *b, const struct backend_write *w, size_t n, uint64_t revision,
		struct err *err);
	/* Promises that no revision above `revision` is given out without another call: for lazy writes. */
	int (*reserve)(struct store_backend *b, uint64_t revision, struct err *err);
	void (*close)(struct store_backend *b);
};

int backend_sqlite_open(const char *path, struct store_backend **ret, struct err *err);
struct store_backend *backend_memory_new(void);
/* For tests and simulation: wraps a backend and fails commits as told by fn (0 = go on, or negative errno). */
struct store_backend *backend_faulty_new(struct store_backend *inner, int (*fn)(void *user_data), void *user_data);

#endif
