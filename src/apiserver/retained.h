/*
 * retained.h: the snapshots that continue tokens point into, so that a paged list sees one state.
 *
 * Bounded in number and age; the oldest go first, and their tokens get 410 Expired. Any thread.
 */
#ifndef SAMPAN_APISERVER_RETAINED_H
#define SAMPAN_APISERVER_RETAINED_H

#include "store/store.h"

struct retained;

struct retained *retained_new(void);
void retained_free(struct retained *r);
/* Takes a reference of its own. Keeping one that is kept renews its age. */
void retained_keep(
	struct retained *r, struct snapshot *s, const struct schema_resource *res, int64_t now_ns);
/* A reference the caller owns, or NULL: gone. */
struct snapshot *retained_get(
	struct retained *r, const struct schema_resource *res, uint64_t revision, int64_t now_ns);
/* Whether a revision is so old that nobody may ask for it any more, as if the store had been
 * compacted every five minutes to what it was five minutes before: clients that page slowly learn
 * to begin anew, whatever we could still tell them. */
bool retained_is_compacted(struct retained *r, uint64_t revision, uint64_t current, int64_t now_ns);
/* The state at an earlier revision, found by taking back what happened since. NULL: the history
 * does not go back that far. The caller owns the reference. `loop`: the calling thread's. */
struct snapshot *snapshot_rewind(struct store *store, const struct schema_resource *res,
	uint64_t revision, struct loop *loop);

#endif
