/* siblings.h: how many pods of each controller are where. Kept by the cache, so that spreading
 * costs nothing per pod. */
#ifndef SAMPAN_SCHEDULER_SIBLINGS_H
#define SAMPAN_SCHEDULER_SIBLINGS_H

#include "base/base.h"

struct siblings;

struct siblings *siblings_new(void);
void siblings_free(struct siblings *s);
/* owner: the hash of the controller's uid; place: of siblings_node() or siblings_zone(). by: 1 or
 * -1. */
void siblings_count(struct siblings *s, uint64_t owner, uint64_t place, int by);
int64_t siblings_at(const struct siblings *s, uint64_t owner, uint64_t place);
static inline uint64_t siblings_node(struct str name)
{
	return str_hash(name) << 1;
}
static inline uint64_t siblings_zone(struct str name)
{
	return str_hash(name) << 1 | 1;
}

#endif
