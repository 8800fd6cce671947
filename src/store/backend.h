/*
 * backend.h: where a store keeps its state. All calls come from the store's commit thread (or
 * before it starts), one at a time. Every backend passes the contract test of tests/unit/store.
 */
#ifndef SAMPAN_STORE_BACKEND_H
#define SAMPAN_STORE_BACKEND_H

#include "store/store.h"

/* One committed change on its way to disk. A row is identified by the revision that created the key
 * (object->created): new objects are appended, and no second index has to be kept up to date on
 * disk. */
struct backend_write {
	const struct schema_resource *resource;
	uint64_t created;
	uint64_t revision;           /* of this change */
	const struct object *object; /* NULL: delete */
};

/* What load() finds, in any order. */
struct backend_loader {
	/* One object. json is valid during the call. */
	int (*object)(struct backend_loader *l, uint64_t created, struct str group,
		struct str plural, struct str json, struct err *err);
	/* The newest deletion of a resource that is known. */
	void (*deleted)(
		struct backend_loader *l, struct str group, struct str plural, uint64_t revision);
};

struct store_backend {
	const struct store_backend_ops *ops;
};

struct store_backend_ops {
	const char *name;
	/* Hands over the whole state; *ret_reserved gets the last value that reserve() recorded, 0
	 * when there is none. */
	int (*load)(struct store_backend *b, struct backend_loader *l, uint64_t *ret_reserved,
		struct err *err);
	/* Makes a batch durable, all or nothing, before it returns. -ENOSPC, -EIO: nothing of it
	 * may be visible after a later load, unless the machine stopped during the call. */
	int (*commit)(
		struct store_backend *b, const struct backend_write *w, size_t n, struct err *err);
	/* Records durably that revisions up to `revision` may have been given out, though no row
	 * shows them. */
	int (*reserve)(struct store_backend *b, uint64_t revision, struct err *err);
	void (*close)(struct store_backend *b);
};

/* A database file, created 0600 when it is not there. A lock file beside it (path.lock) keeps a
 * second server out: -EBUSY, also within one process. */
int backend_sqlite_open(const char *path, struct store_backend **ret, struct err *err);

struct store_backend *backend_memory_new(void);
/* What a memory backend calls durable, so that a simulated machine can crash and come back with it.
 * Not thread-safe; at most one backend at a time; must outlive it. */
struct memory_disk;
struct memory_disk *memory_disk_new(void);
void memory_disk_free(struct memory_disk *d);
struct store_backend *backend_memory_on(struct memory_disk *d);

/* For tests and simulation: wraps a backend and fails commit and reserve as told by fn (0 = go on,
 * or negative errno). */
struct store_backend *backend_faulty_new(
	struct store_backend *inner, int (*fn)(void *user_data), void *user_data);

#endif
