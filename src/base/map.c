#include "base/map.h"

/* Open addressing with linear probing; removal moves the following entries back, so there are no
 * tombstones. */

static bool same(const struct map_entry *e, struct str key, uint64_t hash)
{
	return e->hash == hash && e->key_len == key.n &&
	       memcmp(e->key, key.p ? key.p : "", key.n) == 0;
}

static size_t slot_of(const struct map *m, struct str key, uint64_t hash)
{
	size_t at = hash & (m->cap - 1);

	while (m->entries[at].key && !same(&m->entries[at], key, hash))
		at = (at + 1) & (m->cap - 1);
	return at;
}

static void grow(struct map *m)
{
	struct map old = *m;

	m->cap = old.cap ? old.cap * 2 : 16;
	m->entries = xcalloc(m->cap, sizeof(*m->entries));
	for (size_t i = 0; i < old.cap; i++) {
		struct map_entry *e = &old.entries[i];

		if (e->key)
			m->entries[slot_of(m, str_n(e->key, e->key_len), e->hash)] = *e;
	}
	free(old.entries);
}

void map_release(struct map *m)
{
	for (size_t i = 0; i < m->cap; i++)
		free(m->entries[i].key);
	free(m->entries);
	*m = (struct map){0};
}

void *map_get(const struct map *m, struct str key)
{
	return m->cap ? m->entries[slot_of(m, key, str_hash(key))].value : NULL;
}

void *map_set(struct map *m, struct str key, void *value)
{
	uint64_t hash = str_hash(key);
	struct map_entry *e;
	void *old;

	assert(value);
	if ((m->n + 1) * 4 > m->cap * 3)
		grow(m);
	e = &m->entries[slot_of(m, key, hash)];
	old = e->value;
	if (!e->key) {
		e->key = xmalloc(key.n + 1);
		memcpy(e->key, key.p ? key.p : "", key.n);
		e->key[key.n] = 0;
		e->key_len = key.n;
		e->hash = hash;
		m->n++;
	}
	e->value = value;
	return old;
}

void *map_remove(struct map *m, struct str key)
{
	size_t at, next;
	void *old;

	if (!m->cap)
		return NULL;
	at = slot_of(m, key, str_hash(key));
	old = m->entries[at].value;
	if (!m->entries[at].key)
		return NULL;
	free(m->entries[at].key);
	m->n--;
	for (next = (at + 1) & (m->cap - 1); m->entries[next].key;
		next = (next + 1) & (m->cap - 1)) {
		size_t home = m->entries[next].hash & (m->cap - 1);

		/* move back what would no longer be found past the hole */
		if (((next - home) & (m->cap - 1)) >= ((next - at) & (m->cap - 1))) {
			m->entries[at] = m->entries[next];
			at = next;
		}
	}
	m->entries[at] = (struct map_entry){0};
	return old;
}

static struct map_entry *from(const struct map *m, size_t at)
{
	for (; at < m->cap; at++)
		if (m->entries[at].key)
			return &m->entries[at];
	return NULL;
}

struct map_entry *map_first(const struct map *m)
{
	return from(m, 0);
}

struct map_entry *map_next(const struct map *m, const struct map_entry *e)
{
	return from(m, e - m->entries + 1);
}
