/*
 * map.h: a hash table from strings to pointers. Keys are copied; values are the caller's. Not
 * thread-safe. The order of iteration depends on what was put in, not on addresses or chance.
 */
#ifndef SAMPAN_MAP_H
#define SAMPAN_MAP_H

#include "base/base.h"

struct map_entry {
	char *key; /* NULL: free; owned */
	size_t key_len;
	uint64_t hash;
	void *value;
};

struct map {
	struct map_entry *entries;
	size_t cap, n; /* cap is 0 or a power of two */
};

void map_release(struct map *m);                    /* not the values */
void *map_get(const struct map *m, struct str key); /* NULL when absent */
/* Sets and returns what was there before, or NULL. value must not be NULL. */
void *map_set(struct map *m, struct str key, void *value);
/* Takes it out and returns it, or NULL. */
void *map_remove(struct map *m, struct str key);

/* for (struct map_entry *e = map_first(m); e; e = map_next(m, e)); the map must not change
 * meanwhile. */
struct map_entry *map_first(const struct map *m);
struct map_entry *map_next(const struct map *m, const struct map_entry *e);

#endif
