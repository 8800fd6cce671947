#include "apiserver/resources/node_port_record.h"

#include "apiserver/resources/service.h"

enum { PORTS_MAX = 2 * 64 };

/* --- the bits: a big-endian number, as Go's big.Int writes it --- */

static struct str range_text(struct arena *a, int min, int max)
{
	return arena_fmt(a, "%d-%d", min, max);
}

bool node_port_record_read(const struct v1_range_allocation *r, int min, int max, uint8_t *ret)
{
	struct arena a CLEANUP(arena_release) = {0};
	size_t n = (size_t)(max - min + 1);

	if (!str_eq(r->range, range_text(&a, min, max)))
		return false;
	memset(ret, 0, n);
	for (size_t i = 0; i < r->data.n * 8; i++) {
		unsigned char byte = (unsigned char)r->data.p[r->data.n - 1 - i / 8];

		if (!(byte >> (i % 8) & 1))
			continue;
		if (i >= n)
			return false;
		ret[i] = 1;
	}
	return true;
}

struct v1_range_allocation *node_port_record_make(
	struct arena *a, int min, int max, const uint8_t *ports)
{
	struct v1_range_allocation *r = ARENA_NEW(a, struct v1_range_allocation);
	size_t n = (size_t)(max - min + 1), bytes = (n + 7) / 8;
	unsigned char *data = arena_alloc(a, bytes);

	memset(data, 0, bytes);
	for (size_t i = 0; i < n; i++)
		if (ports[i])
			data[bytes - 1 - i / 8] |= (unsigned char)(1u << (i % 8));
	while (bytes && !*data) { /* without leading zeros */
		data++;
		bytes--;
	}
	r->kind = S("RangeAllocation");
	r->api_version = S("v1");
	r->metadata.name = S(NODE_PORT_RECORD);
	r->range = range_text(a, min, max);
	r->data = str_n((const char *)data, bytes);
	return r;
}

static int draft_of(int min, int max, const uint8_t *ports, struct object **ret)
{
	struct arena a CLEANUP(arena_release) = {0};

	return object_draft(&v1_range_allocation_resource,
		node_port_record_make(&a, min, max, ports), ret, NULL);
}

/* --- with a Service --- */

struct port_change {
	struct store_beside beside;
	struct service_books *books;
	int taken[PORTS_MAX], freed[PORTS_MAX];
	size_t n_taken, n_freed;
};

/* Nobody has made the record yet, or it is of another range: what this server knows is its
 * beginning. */
static uint8_t *ports_now(const struct port_change *c, const struct object *current, int min,
	int max, bool *ret_known)
{
	uint8_t *ports = xcalloc((size_t)(max - min + 1), 1);
	struct arena a CLEANUP(arena_release) = {0};

	*ret_known = current && node_port_record_read(object_decode(current, &a), min, max, ports);
	if (!*ret_known)
		service_books_ports(c->books, ports);
	return ports;
}

static int make(
	const struct store_beside *beside, const struct object *current, struct object **ret)
{
	const struct port_change *c = container_of(beside, struct port_change, beside);
	int min, max, r = 0;
	uint8_t *ports;
	bool known;

	service_books_port_range(c->books, &min, &max);
	ports = ports_now(c, current, min, max, &known);
	for (size_t i = 0; r == 0 && i < c->n_taken; i++) {
		uint8_t *bit = &ports[c->taken[i] - min];

		r = known && *bit ? -EADDRINUSE : 0;
		*bit = 1;
	}
	for (size_t i = 0; i < c->n_freed; i++)
		ports[c->freed[i] - min] = 0;
	if (r == 0)
		r = draft_of(min, max, ports, ret);
	free(ports);
	return r;
}

static void add(int *list, size_t *n, int port, const struct port_change *c)
{
	int min, max;

	service_books_port_range(c->books, &min, &max);
	if (port < min || port > max)
		return;
	for (size_t i = 0; i < *n; i++)
		if (list[i] == port)
			return; /* for another protocol */
	if (*n < PORTS_MAX)
		list[(*n)++] = port;
}

/* The ports that `s` has and `other` has not. */
static void difference(const struct v1_service *s, const struct v1_service *other, int *list,
	size_t *n, const struct port_change *c)
{
	for (size_t i = 0; s && i <= s->spec.ports.n; i++) {
		int port = i < s->spec.ports.n ? s->spec.ports.v[i].node_port
					       : s->spec.health_check_node_port;

		if (port && !service_uses_port(other, port))
			add(list, n, port, c);
	}
}

struct store_beside *node_port_record_change(struct arena *a, struct service_books *b,
	const struct v1_service *s, const struct v1_service *old)
{
	struct port_change *c = ARENA_NEW(a, struct port_change);

	c->books = b;
	c->beside = (struct store_beside){.resource = &v1_range_allocation_resource,
		.name = S(NODE_PORT_RECORD),
		.make = make};
	difference(s, old, c->taken, &c->n_taken, c);
	difference(old, s, c->freed, &c->n_freed, c);
	return c->n_taken || c->n_freed ? &c->beside : NULL;
}
