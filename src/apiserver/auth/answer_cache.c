#include "apiserver/auth/answer_cache.h"

#include <pthread.h>

#include "base/map.h"

struct entry {
	struct entry *next; /* the one that came after it */
	int64_t until_ns;
	size_t key_n, value_n;
	char bytes[]; /* key, value */
};

struct answer_cache {
	pthread_mutex_t lock;
	struct map map; /* key -> the newest entry for it */
	struct entry *oldest, *newest;
	size_t n, max;
};

static struct str key_of(const struct entry *e)
{
	return str_n(e->bytes, e->key_n);
}

struct answer_cache *answer_cache_new(size_t max)
{
	struct answer_cache *c = xcalloc(1, sizeof(*c));

	pthread_mutex_init(&c->lock, NULL);
	c->max = max;
	return c;
}

static void drop_oldest(struct answer_cache *c)
{
	struct entry *e = c->oldest;

	c->oldest = e->next;
	c->n--;
	if (map_get(&c->map, key_of(e)) == e)
		map_remove(&c->map, key_of(e));
	free(e);
}

void answer_cache_free(struct answer_cache *c)
{
	if (!c)
		return;
	while (c->oldest)
		drop_oldest(c);
	map_release(&c->map);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

bool answer_cache_get(
	struct answer_cache *c, struct str key, int64_t now_ns, struct arena *a, struct str *ret)
{
	const struct entry *e;
	bool found;

	pthread_mutex_lock(&c->lock);
	e = map_get(&c->map, key);
	found = e && now_ns < e->until_ns;
	if (found)
		*ret = arena_str(a, str_n(e->bytes + e->key_n, e->value_n));
	pthread_mutex_unlock(&c->lock);
	return found;
}

void answer_cache_put(struct answer_cache *c, struct str key, struct str value, int64_t until_ns)
{
	struct entry *e = xmalloc(sizeof(*e) + key.n + value.n);

	*e = (struct entry){.until_ns = until_ns, .key_n = key.n, .value_n = value.n};
	memcpy(e->bytes, key.p, key.n);
	if (value.n)
		memcpy(e->bytes + key.n, value.p, value.n);
	pthread_mutex_lock(&c->lock);
	while (c->n >= c->max)
		drop_oldest(c);
	if (c->oldest)
		c->newest->next = e;
	else
		c->oldest = e;
	c->newest = e;
	c->n++;
	map_set(&c->map, key, e);
	pthread_mutex_unlock(&c->lock);
}
