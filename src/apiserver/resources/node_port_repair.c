/* node_port_repair.c: the record of node ports and the Services say the same
 * (portallocator/controller). */
#include "apiserver/resources/node_port_record.h"

enum {
	FIRST_MS = 100,
	AGAIN_MS = 1000, /* after one that somebody else was faster than */
	INTERVAL_MS = 3 * 60 * 1000,
	CHECKS_BEFORE_FREED = 3, /* a Service that is about to be written may have it */
};

struct node_port_repair {
	struct store *store;
	struct service_books *books;
	struct loop_timer timer;
	struct store_write write;
	bool writing;
	int min, max;
	uint8_t *leaked; /* of each port, how many checks found no Service for it */
};

static void mark(const struct node_port_repair *r, int port, uint8_t *ports)
{
	if (port >= r->min && port <= r->max)
		ports[port - r->min] = 1;
}

static void ports_of_services(const struct node_port_repair *r, uint8_t *ret)
{
	struct snapshot *s = store_snapshot(r->store, &v1_service_resource);
	struct snapshot_iter it;
	const struct object *o;

	snapshot_iter_init(&it, s, S(""), S(""), S(""));
	while ((o = snapshot_next(&it))) {
		struct arena a CLEANUP(arena_release) = {0};
		const struct v1_service *svc = object_decode(o, &a);

		for (size_t i = 0; i < svc->spec.ports.n; i++)
			mark(r, svc->spec.ports.v[i].node_port, ret);
		mark(r, svc->spec.health_check_node_port, ret);
	}
	snapshot_unref(s);
}

/* What the record should be; false: it is that already. */
static bool repaired(struct node_port_repair *r, const struct object *record, uint8_t *ports)
{
	size_t n = (size_t)(r->max - r->min + 1);
	struct arena a CLEANUP(arena_release) = {0};
	uint8_t *recorded = arena_alloc(&a, n);
	bool known = record &&
		     node_port_record_read(object_decode(record, &a), r->min, r->max, recorded);
	bool differs = !known;

	for (size_t i = 0; known && i < n; i++) {
		bool used = ports[i];

		r->leaked[i] = recorded[i] && !used ? r->leaked[i] + 1 : 0;
		if (r->leaked[i] && r->leaked[i] < CHECKS_BEFORE_FREED)
			ports[i] = 1;
		differs = differs || ports[i] != recorded[i];
	}
	return differs;
}

static void on_written(struct store_write *w)
{
	struct node_port_repair *r = container_of(w, struct node_port_repair, write);

	object_unref(w->object);
	r->writing = false;
	loop_timer_start(&r->timer, w->result == 0 ? INTERVAL_MS : AGAIN_MS);
}

static void put(struct node_port_repair *r, const struct object *record, const uint8_t *ports)
{
	struct arena a CLEANUP(arena_release) = {0};

	r->write = (struct store_write){
		.op = record ? STORE_UPDATE : STORE_CREATE,
		.resource = &v1_range_allocation_resource,
		.name = S(NODE_PORT_RECORD),
		.expect_revision = record ? record->revision : 0,
		.loop = r->timer.loop,
		.done = on_written,
	};
	if (object_draft(&v1_range_allocation_resource,
		    node_port_record_make(&a, r->min, r->max, ports), &r->write.draft, NULL) < 0)
		return;
	r->writing = true;
	store_submit(r->store, &r->write);
}

static void on_timer(struct loop_timer *t)
{
	struct node_port_repair *r = container_of(t, struct node_port_repair, timer);
	/* first the record: what is taken after it was read has a Service that is seen */
	const struct object *record;
	uint8_t *ports;

	if (!store_healthy(r->store)) {
		loop_timer_start(t, AGAIN_MS);
		return;
	}
	record = store_get(r->store, &v1_range_allocation_resource, S(""), S(NODE_PORT_RECORD));
	ports = xcalloc((size_t)(r->max - r->min + 1), 1);
	ports_of_services(r, ports);
	if (repaired(r, record, ports))
		put(r, record, ports);
	if (!r->writing)
		loop_timer_start(t, INTERVAL_MS);
	free(ports);
	object_unref(record);
}

struct node_port_repair *node_port_repair_start(
	struct store *store, struct service_books *b, struct loop *loop)
{
	struct node_port_repair *r = xcalloc(1, sizeof(*r));

	r->store = store;
	r->books = b;
	service_books_port_range(b, &r->min, &r->max);
	r->leaked = xcalloc((size_t)(r->max - r->min + 1), 1);
	loop_timer_init(&r->timer, loop, on_timer);
	loop_timer_start(&r->timer, FIRST_MS);
	return r;
}

void node_port_repair_free(struct node_port_repair *r)
{
	if (!r)
		return;
	loop_timer_stop(&r->timer);
	free(r->leaked);
	free(r);
}
