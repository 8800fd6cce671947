/*
 * node_port_record.h: which node ports are given away, as upstream's API servers record it where several share a store: one
 * RangeAllocation, ranges/servicenodeports, with a bit for each port (pkg/registry/core/service/allocator). A port is taken
 * in the transaction of the Service that has it, so ours can neither take one twice nor lose one; upstream's servers take it
 * before they write the Service, so a bit alone is a port that is taken.
 */
#ifndef SAMPAN_RESOURCES_NODE_PORT_RECORD_H
#define SAMPAN_RESOURCES_NODE_PORT_RECORD_H

#include "apiserver/resources/service_books.h"
#include "loop/loop.h"
#include "types.gen.h"

#define NODE_PORT_RECORD "servicenodeports"

/* One byte a port of the range, 0 or 1; false: the record is of another range, or broken. */
bool node_port_record_read(const struct v1_range_allocation *r, int min, int max, uint8_t *ret);
struct v1_range_allocation *node_port_record_make(struct arena *a, int min, int max, const uint8_t *ports);

/* What the change from old (NULL: created) to s (NULL: deleted) does to the record; NULL: nothing. In the arena. */
struct store_beside *node_port_record_change(
	struct arena *a, struct service_books *b, const struct v1_service *s, const struct v1_service *old);

/* From now on, on `loop`: makes the record when there is none, adds ports that Services have and it has not, and takes out,
 * as patiently as upstream, those that no Service has. Only where the store is shared. */
struct node_port_repair;
struct node_port_repair *node_port_repair_start(
	struct store *store, struct service_books *b, struct loop *loop);
void node_port_repair_free(struct node_port_repair *r); /* NULL-safe; the loop has stopped */

#endif
