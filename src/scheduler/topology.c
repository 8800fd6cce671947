#include "scheduler/topology.h"

enum { CELLS_MIN = 64 };

static struct topology_cell *probe(
	const struct topology *t, size_t group, struct str key, struct str value)
{
	size_t i = (str_hash(value) * 31 + str_hash(key) + group * 0x9e3779b9) & (t->cap - 1);

	for (;; i = (i + 1) & (t->cap - 1)) {
		struct topology_cell *c = &t->cells[i];

		if (!c->used ||
			(c->group == group && str_eq(c->value, value) && str_eq(c->key, key)))
			return c;
	}
}

static void grow(struct topology *t)
{
	struct topology bigger = *t;

	bigger.cap = t->cap ? t->cap * 2 : CELLS_MIN;
	bigger.cells = ARENA_ARRAY(t->arena, struct topology_cell, bigger.cap);
	for (size_t i = 0; i < t->cap; i++)
		if (t->cells[i].used)
			*probe(&bigger, t->cells[i].group, t->cells[i].key, t->cells[i].value) =
				t->cells[i];
	*t = bigger;
}

struct topology_cell *topology_at(
	struct topology *t, size_t group, struct str key, struct str value)
{
	if (t->n * 4 >= t->cap * 3)
		grow(t);
	struct topology_cell *c = probe(t, group, key, value);

	if (!c->used) {
		*c = (struct topology_cell){group, key, value, 0, true};
		t->n++;
	}
	return c;
}

const struct topology_cell *topology_find(
	const struct topology *t, size_t group, struct str key, struct str value)
{
	const struct topology_cell *c = t->cap ? probe(t, group, key, value) : NULL;

	return c && c->used ? c : NULL;
}

int64_t topology_get(const struct topology *t, size_t group, struct str key, struct str value)
{
	const struct topology_cell *c = topology_find(t, group, key, value);

	return c ? c->n : 0;
}
