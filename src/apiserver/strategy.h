/*
 * strategy.h: what one kind adds to the generic engine: defaults that depend on other fields, what a client may not set,
 * validation, allocation, deletion rules. A kind without rules of its own has no strategy.
 *
 * The engine (crud.c) decodes a body, fills the schema's constant defaults, and calls, in upstream's order
 * (registry/generic/registry/store.go, rest/create.go, rest/update.go):
 *   create  default_ -> mutating admission -> allocate -> prepare_create -> validate -> canonicalize
 *           -> validating admission -> commit (release when any of these fails)
 *   update  default_ -> mutating admission -> allocate -> prepare_update -> validate + validate_update -> … -> commit
 *   status  the same with subresource "status": ctx->subresource tells
 *   delete  delete_grace, then removal or a deletionTimestamp
 * ObjectMeta (names, labels, annotations, owner references, finalizers, generation, immutability) is the engine's.
 * Objects are typed structs of the resource in the request's arena. The functions run on an I/O thread, must not block,
 * and read other objects through ctx->store snapshots.
 */
#ifndef SAMPAN_STRATEGY_H
#define SAMPAN_STRATEGY_H

#include "apiserver/field.h"
#include "client/user.h"
#include "store/store.h"
#include "types.gen.h"

struct apiserver;

struct write_along {
	struct store_along *v;
	size_t n;
	const struct store_beside *beside;
};

struct outside;
struct strategy_ctx {
	struct apiserver *server;
	struct arena *arena;
	struct store *store;
	const struct schema_resource *resource; /* the storage resource */
	const struct schema_resource *addressed; /* the view the client used, NULL = resource */
	struct str subresource;                 /* "", "status", "ephemeralcontainers", "resize", "scale" … */
	const struct user_info *user;
	struct str ns, name;
	int64_t now_ns;
	bool dry_run;
	struct outside *outside; /* auth.h: for authorize; or NULL */
	struct str_vec *warnings;               /* Warning headers to send; add with ctx_warn */
};
void ctx_warn(struct strategy_ctx *ctx, const char *fmt, ...) PRINTF_LIKE(2, 3);

struct strategy {
	const struct schema_resource *resource;
	bool create_on_update;          /* PUT of something that is not there creates it (Lease, Event, Service …) */
	bool no_unconditional_update;   /* PUT needs a resourceVersion */
	bool generate_generation;       /* metadata.generation follows changes of spec */
	/* How metadata.name is checked; NULL = DNS-1123 subdomain. Returns messages ("a lowercase RFC 1123 label …"). */
	struct str_vec (*name_errors)(struct arena *a, struct str name, bool prefix);
	void (*default_)(struct strategy_ctx *ctx, void *obj);
	/* Whether this user may write this content, beyond the right to write the kind (RBAC: nobody grants what he
	 * does not have); asked before everything below. 0, or err. old NULL on create. */
	int (*authorize)(struct strategy_ctx *ctx, const void *obj, const void *old, struct err *err);
	void (*prepare_create)(struct strategy_ctx *ctx, void *obj);
	void (*prepare_update)(struct strategy_ctx *ctx, void *obj, const void *old);
	void (*validate)(struct strategy_ctx *ctx, const void *obj, struct field_errors *errs);
	void (*validate_update)(struct strategy_ctx *ctx, const void *obj, const void *old, struct field_errors *errs);
	void (*canonicalize)(struct strategy_ctx *ctx, void *obj);
	void (*warn)(struct strategy_ctx *ctx, const void *obj, const void *old); /* old NULL on create */
	/* Takes what must be unique in the cluster (cluster IPs, node ports), before prepare and validate, which see it; 0,
	 * or errors in err (a whole Status) or errs (422). release gives back what allocate took when the commit did not happen. old NULL on create. */
	int (*allocate)(struct strategy_ctx *ctx, void *obj, const void *old, struct field_errors *errs, struct err *err);
	void (*release)(struct strategy_ctx *ctx, const void *obj, const void *old);
	/* After a commit: obj NULL = deleted. For allocators' books. */
	void (*committed)(struct strategy_ctx *ctx, const void *obj, const void *old);
	/* What the change from old (NULL: created) to obj (NULL: deleted) brings along and claims (store.h), appended in
	 * ctx->arena. A claim that is contested is allocated anew. */
	void (*along)(struct strategy_ctx *ctx, const void *obj, const void *old, struct write_along *ret);
	/* Graceful deletion: sets *grace_s (in: what the client asked for, -1 = nothing) to what shall be; 0 = at once.
	 * May mark the object (pod: deletionTimestamp is the engine's). NULL = always at once. */
	void (*delete_grace)(struct strategy_ctx *ctx, const void *obj, int64_t *grace_s);
	/* Whether the object may be deleted at all now; 0 or err. */
	int (*check_delete)(struct strategy_ctx *ctx, const void *obj, struct err *err);
	/* The row of kubectl get: one JSON value per column of resource->columns, appended to a JSON array by the caller.
	 * NULL = name and age. See table.h. */
	void (*table_row)(struct arena *a, const void *obj, int64_t now_ns, struct buf *cells);
};

/* registry.c: NULL when the kind has no rules of its own. */
const struct strategy *strategy_find(const struct schema_resource *res);
extern const struct strategy *const strategies[]; /* NULL-terminated */

#endif
