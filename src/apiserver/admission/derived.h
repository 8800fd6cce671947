/*
 * derived.h: what plugins make of stored objects (compiled expressions, parsed selectors) once for
 * each object instead of once for each request.
 *
 * What was made of an object lives until the object is replaced and nobody uses it any more. A
 * question when nothing has changed costs one comparison of snapshots; one about a resource of
 * which there are no objects, less than that.
 */
#ifndef SAMPAN_ADMISSION_DERIVED_H
#define SAMPAN_ADMISSION_DERIVED_H

#include "store/store.h"

struct derived;

/* What is made of `o`, in the arena, which lives as long as it does; `o`, too. */
typedef void *derived_make_fn(const struct object *o, struct arena *a);

struct derived *derived_new(
	struct store *store, const struct schema_resource *res, derived_make_fn *make);
void derived_free(struct derived *d); /* NULL-safe; nobody may use it any more */

struct derived_all {
	void *const *v;
	size_t n;
};

/* Of every object there is now, in the order of their names; valid as long as the arena. Any
 * thread; blocks while another one makes them. */
struct derived_all derived_all(struct derived *d, struct arena *a);

#endif
