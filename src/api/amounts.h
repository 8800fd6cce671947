/*
 * amounts.h: lists of resources as numbers, for what adds and compares them (LimitRanger,
 * ResourceQuota). Sorted by name; everything in an arena.
 */
#ifndef SAMPAN_API_AMOUNTS_H
#define SAMPAN_API_AMOUNTS_H

#include "schema/quantity.h"
#include "types.gen.h"

struct amount {
	struct str name;
	struct quantity q;
};

struct amounts {
	struct amount *v;
	size_t n;
};

struct amounts amounts_of(struct arena *a, const struct str_map *m);
struct str_map amounts_map(struct arena *a, const struct amounts *v);
const struct quantity *amounts_get(const struct amounts *v, struct str name); /* NULL: absent */
void amounts_set(struct arena *a, struct amounts *v, struct str name, struct quantity q);
void amounts_add_one(struct arena *a, struct amounts *v, struct str name, struct quantity q);
void amounts_add(struct arena *a, struct amounts *v, const struct amounts *more);
void amounts_max(struct arena *a, struct amounts *v, const struct amounts *more);

/* Differences of the resources in v; what would be negative is zero. */
struct amounts amounts_sub(struct arena *a, const struct amounts *v, const struct amounts *less);
/* Those of v whose names stand in `names`. */
struct amounts amounts_mask(struct arena *a, const struct amounts *v, const struct amounts *names);
bool amounts_equal(const struct amounts *a, const struct amounts *b);

/* What a pod as a whole asks for (limits: may use): containers, init containers and sidecars,
 * pod-level resources; overhead when wanted; what running containers were given while they are
 * resized counts too, when `status` is wanted (component-helpers resource.PodRequests). */
struct pod_amounts_opts {
	bool limits, overhead, status;
};
struct amounts pod_amounts(struct arena *a, const struct v1_pod *pod, struct pod_amounts_opts opts);

/* "a", or "[a, b]": several errors as Go's Aggregate prints them, each once. */
struct str aggregate_text(struct arena *a, const struct str_vec *errors);

#endif
