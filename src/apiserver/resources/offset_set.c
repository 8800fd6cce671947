#include "apiserver/resources/offset_set.h"

enum { SLOTS_MIN = 64 };

static size_t slot_of(const struct offset_set *o, uint64_t v)
{
	size_t at = (size_t)(v * 0x9e3779b97f4a7c15u) & (o->cap - 1);

	while (o->slots[at] && o->slots[at] != v)
		at = (at + 1) & (o->cap - 1);
	return at;
}

bool offset_set_has(const struct offset_set *o, uint64_t v)
{
	return o->cap && o->slots[slot_of(o, v)] == v;
}

void offset_set_add(struct offset_set *o, uint64_t v)
{
	if (offset_set_has(o, v))
		return;
	if (2 * (o->n + 1) > o->cap) {
		struct offset_set bigger = {.cap = o->cap ? 2 * o->cap : SLOTS_MIN};

		bigger.slots = xcalloc(bigger.cap, sizeof(*bigger.slots));
		for (size_t i = 0; i < o->cap; i++)
			if (o->slots[i])
				bigger.slots[slot_of(&bigger, o->slots[i])] = o->slots[i];
		bigger.n = o->n;
		free(o->slots);
		*o = bigger;
	}
	o->slots[slot_of(o, v)] = v;
	o->n++;
}

void offset_set_remove(struct offset_set *o, uint64_t v)
{
	size_t at;

	if (!offset_set_has(o, v))
		return;
	at = slot_of(o, v);
	o->slots[at] = 0;
	o->n--;
	/* What lies behind in the same run is put in anew, so that no search ends too early. */
	for (size_t i = (at + 1) & (o->cap - 1); o->slots[i]; i = (i + 1) & (o->cap - 1)) {
		uint64_t moved = o->slots[i];

		o->slots[i] = 0;
		o->slots[slot_of(o, moved)] = moved;
	}
}

void offset_set_release(struct offset_set *o)
{
	free(o->slots);
	*o = (struct offset_set){0};
}
