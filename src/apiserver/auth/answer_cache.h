/* answer_cache.h: what somebody outside has answered, kept for a while and shared by all requests.
 * The oldest entries go when it is full. Any thread. */
#ifndef SAMPAN_AUTH_ANSWER_CACHE_H
#define SAMPAN_AUTH_ANSWER_CACHE_H

#include "base/base.h"

struct answer_cache;

struct answer_cache *answer_cache_new(size_t entries_max);
void answer_cache_free(struct answer_cache *c); /* NULL-safe */
/* *ret in the arena; false: it is not there, or too old. */
bool answer_cache_get(
	struct answer_cache *c, struct str key, int64_t now_ns, struct arena *a, struct str *ret);
void answer_cache_put(struct answer_cache *c, struct str key, struct str value, int64_t until_ns);

#endif
