/* service_books.c: cluster IPs and node ports that are taken
 * (pkg/registry/core/service/ipallocator, portallocator). */
#include <pthread.h>

#include "apiserver/resources/ip_book.h"
#include "apiserver/resources/node_port_record.h"
#include "apiserver/resources/service_books.h"
#include "types.gen.h"

enum {
	PORT_BAND_MAX = 128, /* the low part of the port range that dynamic allocation spares */
	PORT_BAND_MIN = 16,
	PORT_BAND_DIVISOR = 32,
};

struct service_books {
	pthread_mutex_t lock;
	bool loaded;
	/* As last seen; services only where the store is shared. */
	struct snapshot *services, *addresses, *ranges;
	int primary;
	bool has[FAMILIES];
	struct ip_net own[FAMILIES];
	struct {
		struct ip_book *v;
		size_t n;
	} books; /* the server's own ranges first */
	int port_min, port_max;
	uint8_t *ports;    /* a byte per port: a Service has it, or is about to */
	uint8_t *recorded; /* the same, of the record that API servers share */
	uint64_t recorded_revision;
};

/* --- opening --- */

static struct ip_book *add_book(struct service_books *b, const struct ip_net *net)
{
	b->books.v = xrealloc(b->books.v, (b->books.n + 1) * sizeof(*b->books.v));
	ip_book_init(&b->books.v[b->books.n], net);
	return &b->books.v[b->books.n++];
}

static int family_of(const struct ip_book *book)
{
	return book->net.ip.v4 ? FAMILY_V4 : FAMILY_V6;
}

static bool add_range(struct service_books *b, struct str range)
{
	struct ip_book *book;
	struct ip_net net;

	if (!ip_net_parse(str_trim(range), &net) || b->has[net.ip.v4 ? FAMILY_V4 : FAMILY_V6] ||
		(net.ip.v4 ? 32 : 128) - net.bits < 2)
		return false;
	book = add_book(b, &net);
	book->own = book->ready = true;
	if (b->books.n == 1)
		b->primary = family_of(book);
	b->has[family_of(book)] = true;
	b->own[family_of(book)] = net;
	return true;
}

int service_books_new(
	const char *ranges, int port_min, int port_max, struct service_books **ret, struct err *err)
{
	struct service_books *b = xcalloc(1, sizeof(*b));
	struct str range, rest = str_c(ranges ? ranges : "10.0.0.0/24");

	pthread_mutex_init(&b->lock, NULL);
	b->port_min = port_min;
	b->port_max = port_max;
	b->ports = xcalloc((size_t)(port_max - port_min + 1), 1);
	b->recorded = xcalloc((size_t)(port_max - port_min + 1), 1);
	for (bool more = true; more;) {
		more = str_cut(rest, ',', &range, &rest);
		if (!add_range(b, range)) {
			service_books_free(b);
			return err_bad_request(err,
				"service cluster IP range: \"" STR_FMT "\" is no range",
				STR_ARG(range));
		}
	}
	*ret = b;
	return 0;
}

void service_books_free(struct service_books *b)
{
	if (!b)
		return;
	for (size_t i = 0; i < b->books.n; i++)
		ip_book_release(&b->books.v[i]);
	free(b->books.v);
	snapshot_unref(b->services);
	snapshot_unref(b->addresses);
	snapshot_unref(b->ranges);
	pthread_mutex_destroy(&b->lock);
	free(b->ports);
	free(b->recorded);
	free(b);
}

/* Own ranges never change: these need no lock. */
int service_books_primary(const struct service_books *b)
{
	return b->primary;
}

bool service_books_has(const struct service_books *b, int family)
{
	return b->has[family];
}

void service_books_range(const struct service_books *b, int family, struct ip_net *ret)
{
	*ret = b->own[family];
}

void service_books_port_range(const struct service_books *b, int *min, int *max)
{
	*min = b->port_min;
	*max = b->port_max;
}

/* --- addresses --- */

static void mark_taken(struct service_books *b, const struct ip_addr *ip, bool taken)
{
	for (size_t i = 0; i < b->books.n; i++) {
		struct ip_book *book = &b->books.v[i];
		uint64_t offset = ip_book_offset(book, ip);

		if (offset && taken)
			offset_set_add(&book->taken, offset);
		else if (offset)
			offset_set_remove(&book->taken, offset);
	}
}

static void mark_named(struct service_books *b, const struct ip_addr *ip, bool named)
{
	for (size_t i = 0; i < b->books.n; i++) {
		struct ip_book *book = &b->books.v[i];
		uint64_t offset = ip_book_offset(book, ip);

		if (offset && named)
			offset_set_add(&book->named, offset);
		else if (offset)
			offset_set_remove(&book->named, offset);
	}
}

enum book_result service_books_take_ip(struct service_books *b, const struct ip_addr *ip, bool look)
{
	enum book_result r = BOOK_OUT_OF_RANGE;

	pthread_mutex_lock(&b->lock);
	for (size_t i = 0; i < b->books.n && r == BOOK_OUT_OF_RANGE; i++) {
		const struct ip_book *book = &b->books.v[i];
		uint64_t offset = book->ready ? ip_book_offset(book, ip) : 0;

		if (offset)
			r = ip_book_is_taken(book, offset) ? BOOK_TAKEN : BOOK_OK;
	}
	if (r == BOOK_OK && !look)
		mark_taken(b, ip, true);
	pthread_mutex_unlock(&b->lock);
	return r;
}

enum book_result service_books_next_ip(
	struct service_books *b, int family, uint64_t seed, struct ip_addr *ret)
{
	enum book_result r = BOOK_FULL;

	pthread_mutex_lock(&b->lock);
	for (size_t i = 0; i < b->books.n && r == BOOK_FULL; i++) {
		const struct ip_book *book = &b->books.v[i];
		uint64_t offset = 0;

		if (book->ready && family_of(book) == family)
			offset = ip_book_any(book, seed);
		if (!offset)
			continue;
		*ret = ip_book_address(book, offset);
		mark_taken(b, ret, true);
		r = BOOK_OK;
	}
	pthread_mutex_unlock(&b->lock);
	return r;
}

void service_books_release_ip(struct service_books *b, const struct ip_addr *ip)
{
	pthread_mutex_lock(&b->lock);
	mark_taken(b, ip, false);
	pthread_mutex_unlock(&b->lock);
}

/* --- ports --- */

static bool has_port(const struct service_books *b, int port)
{
	return b->ports[port - b->port_min] || b->recorded[port - b->port_min];
}

void service_books_ports(struct service_books *b, uint8_t *ret)
{
	pthread_mutex_lock(&b->lock);
	memcpy(ret, b->ports, (size_t)(b->port_max - b->port_min + 1));
	pthread_mutex_unlock(&b->lock);
}

enum book_result service_books_take_port(struct service_books *b, int port, bool look)
{
	enum book_result r = BOOK_OK;

	if (port < b->port_min || port > b->port_max)
		return BOOK_OUT_OF_RANGE;
	pthread_mutex_lock(&b->lock);
	if (has_port(b, port))
		r = BOOK_TAKEN;
	else if (!look)
		b->ports[port - b->port_min] = 1;
	pthread_mutex_unlock(&b->lock);
	return r;
}

static int free_port(const struct service_books *b, int from, int to, uint64_t seed)
{
	int n = to - from + 1;

	for (int i = 0; i < n; i++) {
		int port = from + (int)((seed % (uint64_t)n + (uint64_t)i) % (uint64_t)n);
		if (!has_port(b, port))
			return port;
	}
	return 0;
}

enum book_result service_books_next_port(struct service_books *b, uint64_t seed, int *ret)
{
	int size = b->port_max - b->port_min + 1;
	int band = MIN(MAX(PORT_BAND_MIN, size / PORT_BAND_DIVISOR), PORT_BAND_MAX), port;

	if (size <= PORT_BAND_MIN)
		band = 0;
	pthread_mutex_lock(&b->lock);
	port = free_port(b, b->port_min + band, b->port_max, seed);
	if (!port && band)
		port = free_port(b, b->port_min, b->port_min + band - 1, seed);
	if (port)
		b->ports[port - b->port_min] = 1;
	pthread_mutex_unlock(&b->lock);
	*ret = port;
	return port ? BOOK_OK : BOOK_FULL;
}

void service_books_release_port(struct service_books *b, int port)
{
	if (port < b->port_min || port > b->port_max)
		return;
	pthread_mutex_lock(&b->lock);
	b->ports[port - b->port_min] = 0;
	pthread_mutex_unlock(&b->lock);
}

/* --- what is stored already --- */

static void mark_service(struct service_books *b, const struct v1_service *s, bool taken)
{
	for (size_t i = 0; i < s->spec.cluster_ips.n; i++) {
		struct ip_addr ip;

		if (ip_parse(s->spec.cluster_ips.v[i], &ip))
			mark_taken(b, &ip, taken);
	}
	for (size_t i = 0; i <= s->spec.ports.n; i++) {
		int port = i < s->spec.ports.n ? s->spec.ports.v[i].node_port
					       : s->spec.health_check_node_port;
		if (port >= b->port_min && port <= b->port_max)
			b->ports[port - b->port_min] = taken;
	}
}

static void mark_object(struct service_books *b, const struct object *o, bool taken)
{
	struct arena a = {0};
	struct ip_addr ip;

	if (o->resource == &v1_service_resource) {
		mark_service(b, object_decode(o, &a), taken);
	} else if (ip_parse(o->name, &ip)) {
		mark_named(b, &ip, taken);
	}
	arena_release(&a);
}

static void forget_old(void *user_data, const struct store_event *ev)
{
	if (ev->prev)
		mark_object(user_data, ev->prev, false);
}

static void mark_new(void *user_data, const struct store_event *ev)
{
	if (ev->type != STORE_DELETED)
		mark_object(user_data, ev->object, true);
}

/* First what is gone, then what is there: an address may have moved from one service to another. */
static void follow(struct service_books *b, struct snapshot **seen, struct store *store,
	const struct schema_resource *res)
{
	struct snapshot *now = store_snapshot(store, res);

	if (!*seen)
		*seen = snapshot_new(res);
	snapshot_diff(*seen, now, forget_old, b);
	snapshot_diff(*seen, now, mark_new, b);
	snapshot_unref(*seen);
	*seen = now;
}

static void load_once(struct service_books *b, struct store *store)
{
	struct snapshot_iter it;
	struct snapshot *s = store_snapshot(store, &v1_service_resource);
	const struct object *o;

	snapshot_iter_init(&it, s, S(""), S(""), S(""));
	while ((o = snapshot_next(&it)))
		mark_object(b, o, true);
	snapshot_unref(s);
}

/* --- ServiceCIDRs --- */

struct wanted_range {
	struct ip_net net;
	bool ready;  /* some ServiceCIDR says so */
	bool closed; /* some ServiceCIDR says that it is not */
};

struct wanted_ranges {
	struct arena arena;
	struct wanted_range *v;
	size_t n;
};

static bool same_net(const struct ip_net *a, const struct ip_net *b)
{
	return a->ip.v4 == b->ip.v4 && a->bits == b->bits &&
	       memcmp(a->network.b, b->network.b, a->ip.v4 ? 4 : 16) == 0;
}

static struct wanted_range *want_range(struct wanted_ranges *w, const struct ip_net *net)
{
	for (size_t i = 0; i < w->n; i++)
		if (same_net(&w->v[i].net, net))
			return &w->v[i];
	ARENA_PUSH(&w->arena, w, ((struct wanted_range){.net = *net}));
	return &w->v[w->n - 1];
}

static void read_range(struct wanted_ranges *w, const struct object *o)
{
	const struct networking_v1_service_cidr *cidr = object_decode(o, &w->arena);
	bool ready = false, closed = o->deletion_ms;

	for (size_t i = 0; i < cidr->status.conditions.n; i++) {
		const struct meta_v1_condition *c = &cidr->status.conditions.v[i];

		if (!str_eqc(c->type, "Ready"))
			continue;
		ready = !closed && str_eqc(c->status, "True");
		closed = closed || str_eqc(c->status, "False");
	}
	for (size_t i = 0; i < cidr->spec.cidrs.n; i++) {
		struct ip_net net;
		struct wanted_range *want;

		if (!ip_net_parse(cidr->spec.cidrs.v[i], &net) ||
			(net.ip.v4 ? 32 : 128) - net.bits < 2)
			continue;
		want = want_range(w, &net);
		want->ready = want->ready || ready;
		want->closed = want->closed || closed;
	}
}

static void drop_unwanted(struct service_books *b, struct wanted_ranges *w)
{
	size_t kept = 0;

	for (size_t i = 0; i < b->books.n; i++) {
		bool wanted = b->books.v[i].own;

		for (size_t k = 0; k < w->n; k++)
			wanted = wanted || same_net(&w->v[k].net, &b->books.v[i].net);
		if (wanted)
			b->books.v[kept++] = b->books.v[i];
		else
			ip_book_release(&b->books.v[i]);
	}
	b->books.n = kept;
}

/* What is taken in a range that is new to us. */
static void fill_book(struct service_books *b, struct store *store)
{
	const struct schema_resource *both[] = {
		&v1_service_resource, &networking_v1_ip_address_resource};

	for (size_t i = 0; i < ARRAY_SIZE(both); i++) {
		struct snapshot *s = store_snapshot(store, both[i]);
		struct snapshot_iter it;
		const struct object *o;

		snapshot_iter_init(&it, s, S(""), S(""), S(""));
		while ((o = snapshot_next(&it)))
			mark_object(b, o, true);
		snapshot_unref(s);
	}
}

/* Own ranges are open unless their ServiceCIDR is being closed: who starts a cluster has none yet.
 */
static void apply_ranges(struct service_books *b, struct wanted_ranges *w, struct store *store)
{
	bool added = false;

	drop_unwanted(b, w);
	for (size_t i = 0; i < b->books.n; i++)
		b->books.v[i].ready = b->books.v[i].own;
	for (size_t i = 0; i < w->n; i++) {
		struct ip_book *book = NULL;

		for (size_t k = 0; k < b->books.n; k++)
			if (same_net(&b->books.v[k].net, &w->v[i].net))
				book = &b->books.v[k];
		if (!book) {
			book = add_book(b, &w->v[i].net);
			added = true;
		}
		book->ready = w->v[i].ready || (book->own && !w->v[i].closed);
	}
	if (added)
		fill_book(b, store);
}

static void note_change(void *user_data, const struct store_event *ev)
{
	*(bool *)user_data = true;
}

static void follow_ranges(struct service_books *b, struct store *store)
{
	struct snapshot *now = store_snapshot(store, &networking_v1_service_cidr_resource);
	struct wanted_ranges w = {0};
	struct snapshot_iter it;
	const struct object *o;
	bool changed = false;

	if (!b->ranges)
		b->ranges = snapshot_new(&networking_v1_service_cidr_resource);
	snapshot_diff(b->ranges, now, note_change, &changed);
	snapshot_unref(b->ranges);
	b->ranges = now;
	if (!changed)
		return;
	snapshot_iter_init(&it, now, S(""), S(""), S(""));
	while ((o = snapshot_next(&it)))
		read_range(&w, o);
	apply_ranges(b, &w, store);
	arena_release(&w.arena);
}

/* A port in it without a Service is one that another server is about to use. */
static void follow_record(struct service_books *b, struct store *store)
{
	const struct object *o =
		store_get(store, &v1_range_allocation_resource, S(""), S(NODE_PORT_RECORD));
	struct arena a CLEANUP(arena_release) = {0};

	if (o && o->revision != b->recorded_revision) {
		b->recorded_revision = o->revision;
		if (!node_port_record_read(
			    object_decode(o, &a), b->port_min, b->port_max, b->recorded))
			memset(b->recorded, 0, (size_t)(b->port_max - b->port_min + 1));
	}
	object_unref(o);
}

void service_books_load(struct service_books *b, struct store *store)
{
	pthread_mutex_lock(&b->lock);
	follow_ranges(b, store);
	if (store_is_shared(store))
		follow_record(b, store);
	if (store_is_shared(store))
		follow(b, &b->services, store, &v1_service_resource);
	else if (!b->loaded)
		load_once(b, store);
	follow(b, &b->addresses, store, &networking_v1_ip_address_resource);
	b->loaded = true;
	pthread_mutex_unlock(&b->lock);
}
