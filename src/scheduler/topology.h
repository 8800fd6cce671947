/* topology.h: numbers per (topology key, value), for spreading and affinity. In an arena. */
#ifndef SAMPAN_SCHEDULER_TOPOLOGY_H
#define SAMPAN_SCHEDULER_TOPOLOGY_H

#include "base/base.h"

struct topology_cell {
	size_t group; /* which constraint or term */
	struct str key, value;
	int64_t n;
	bool used;
};

struct topology {
	struct arena *arena;
	struct topology_cell *cells;
	size_t n, cap;
};

/* The cell, made when it is not there. Views into key and value are kept. Valid until the next one
 * is made. */
struct topology_cell *topology_at(
	struct topology *t, size_t group, struct str key, struct str value);
int64_t topology_get(
	const struct topology *t, size_t group, struct str key, struct str value); /* 0: none */
/* NULL: there is no such cell. */
const struct topology_cell *topology_find(
	const struct topology *t, size_t group, struct str key, struct str value);

#endif
