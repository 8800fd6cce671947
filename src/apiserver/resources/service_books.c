/* service_books.c: cluster IPs and node ports that are taken
 * (pkg/registry/core/service/ipallocator, portallocator). */
#include <pthread.h>

#include "apiserver/resources/service_books.h"
#include "types.gen.h"

enum {
	PORT_BAND_MAX = 128, /* the low part of the port range that dynamic allocation spares */
	PORT_BAND_MIN = 16,
	PORT_BAND_DIVISOR = 32,
	IP_BAND_MAX = 256,
	IP_BAND_MIN = 16,
	IP_BAND_DIVISOR = 16,
	HOST_BITS_MAX = 20, /* of an IPv6 range, as upstream: more are not used */
	SLOTS_MIN = 64,
};

/* Offsets into a range, in an open hash table; 0 marks a free slot, so that offset + 1 is stored.
 */
struct offsets {
	uint64_t *slots;
	size_t cap, n;
};

struct ip_book {
	bool present;
	struct ip_net net;
	uint64_t size; /* usable addresses: offsets 1 … size */
	struct offsets taken;
	struct offsets named; /* by IPAddress objects; only where the store is shared */
};

struct service_books {
	pthread_mutex_t lock;
	bool loaded;
	struct snapshot *services, *addresses; /* as last seen; only where the store is shared */
	int primary;
	struct ip_book ips[FAMILIES];
	int port_min, port_max;
	uint8_t *ports; /* a byte per port */
};

/* --- a set of offsets --- */

static size_t slot_of(const struct offsets *o, uint64_t v)
{
	size_t at = (size_t)(v * 0x9e3779b97f4a7c15u) & (o->cap - 1);

	while (o->slots[at] && o->slots[at] != v)
		at = (at + 1) & (o->cap - 1);
	return at;
}

static bool offsets_has(const struct offsets *o, uint64_t v)
{
	return o->cap && o->slots[slot_of(o, v)] == v;
}

static void offsets_add(struct offsets *o, uint64_t v)
{
	if (2 * (o->n + 1) > o->cap) {
		struct offsets bigger = {.cap = o->cap ? 2 * o->cap : SLOTS_MIN};

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

static void offsets_remove(struct offsets *o, uint64_t v)
{
	size_t at;

	if (!offsets_has(o, v))
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

/* --- opening --- */

static void ip_book_init(struct ip_book *book, const struct ip_net *net)
{
	int host_bits = MIN((net->ip.v4 ? 32 : 128) - net->bits, net->ip.v4 ? 31 : HOST_BITS_MAX);

	book->present = true;
	book->net = *net;
	/* Neither the network's own address nor, of IPv4, that of all hosts */
	book->size = (1ULL << host_bits) - (net->ip.v4 ? 2 : 1);
}

int service_books_new(
	const char *ranges, int port_min, int port_max, struct service_books **ret, struct err *err)
{
	struct service_books *b = xcalloc(1, sizeof(*b));
	struct str range, rest = str_c(ranges ? ranges : "10.0.0.0/24");
	bool first = true;

	pthread_mutex_init(&b->lock, NULL);
	b->port_min = port_min;
	b->port_max = port_max;
	b->ports = xcalloc((size_t)(port_max - port_min + 1), 1);
	for (bool more = true; more; first = false) {
		struct ip_net net;

		more = str_cut(rest, ',', &range, &rest);
		if (!ip_net_parse(str_trim(range), &net) ||
			b->ips[net.ip.v4 ? FAMILY_V4 : FAMILY_V6].present ||
			(net.ip.v4 ? 32 : 128) - net.bits < 2) {
			service_books_free(b);
			return err_bad_request(err,
				"service cluster IP range: \"" STR_FMT "\" is no range",
				STR_ARG(range));
		}
		ip_book_init(&b->ips[net.ip.v4 ? FAMILY_V4 : FAMILY_V6], &net);
		if (first)
			b->primary = net.ip.v4 ? FAMILY_V4 : FAMILY_V6;
	}
	*ret = b;
	return 0;
}

void service_books_free(struct service_books *b)
{
	if (!b)
		return;
	for (int i = 0; i < FAMILIES; i++) {
		free(b->ips[i].taken.slots);
		free(b->ips[i].named.slots);
	}
	snapshot_unref(b->services);
	snapshot_unref(b->addresses);
	pthread_mutex_destroy(&b->lock);
	free(b->ports);
	free(b);
}

int service_books_primary(const struct service_books *b)
{
	return b->primary;
}

bool service_books_has(const struct service_books *b, int family)
{
	return b->ips[family].present;
}

void service_books_range(const struct service_books *b, int family, struct ip_net *ret)
{
	*ret = b->ips[family].net;
}

void service_books_port_range(const struct service_books *b, int *min, int *max)
{
	*min = b->port_min;
	*max = b->port_max;
}

/* --- addresses --- */

/* The low 64 bits are enough: a range has at most HOST_BITS_MAX or 31 bits of hosts. */
static uint64_t low_bits(const struct ip_addr *ip)
{
	uint64_t v = 0;

	for (int i = ip->v4 ? 0 : 8; i < (ip->v4 ? 4 : 16); i++)
		v = v << 8 | ip->b[i];
	return v;
}

/* 0: not a usable address of the range. */
static uint64_t offset_of(const struct ip_book *book, const struct ip_addr *ip)
{
	uint64_t offset;

	if (!book->present || !ip_net_contains(&book->net, ip))
		return 0;
	offset = low_bits(ip) - low_bits(&book->net.network);
	return offset <= book->size ? offset : 0;
}

static struct ip_addr address_at(const struct ip_book *book, uint64_t offset)
{
	struct ip_addr ip = book->net.network;

	for (int i = ip.v4 ? 3 : 15; offset; i--) {
		uint64_t sum = ip.b[i] + (offset & 0xff);

		ip.b[i] = (uint8_t)sum;
		offset = (offset >> 8) + (sum >> 8);
	}
	return ip;
}

static bool is_taken(const struct ip_book *book, uint64_t offset)
{
	return offsets_has(&book->taken, offset) || offsets_has(&book->named, offset);
}

enum book_result service_books_take_ip(struct service_books *b, const struct ip_addr *ip, bool look)
{
	struct ip_book *book = &b->ips[ip->v4 ? FAMILY_V4 : FAMILY_V6];
	uint64_t offset = offset_of(book, ip);
	enum book_result r = BOOK_OK;

	if (!offset)
		return BOOK_OUT_OF_RANGE;
	pthread_mutex_lock(&b->lock);
	if (is_taken(book, offset))
		r = BOOK_TAKEN;
	else if (!look)
		offsets_add(&book->taken, offset);
	pthread_mutex_unlock(&b->lock);
	return r;
}

/* A free offset of from … to, the first at or behind a random one; 0: none. */
static uint64_t free_offset(const struct ip_book *book, uint64_t from, uint64_t to, uint64_t seed)
{
	uint64_t n = to >= from ? to - from + 1 : 0;

	for (uint64_t i = 0; i < n; i++) {
		uint64_t offset = from + (seed % n + i) % n;
		if (!is_taken(book, offset))
			return offset;
	}
	return 0;
}

enum book_result service_books_next_ip(
	struct service_books *b, int family, uint64_t seed, struct ip_addr *ret)
{
	struct ip_book *book = &b->ips[family];
	uint64_t all = book->size + 2, offset;
	uint64_t band = MIN(MAX(IP_BAND_MIN, all / IP_BAND_DIVISOR), IP_BAND_MAX);

	if (all <= IP_BAND_MIN)
		band = 0; /* too small to spare any */
	pthread_mutex_lock(&b->lock);
	offset = free_offset(book, band + 1, book->size, seed);
	if (!offset)
		offset = free_offset(book, 1, band, seed);
	if (offset)
		offsets_add(&book->taken, offset);
	pthread_mutex_unlock(&b->lock);
	if (!offset)
		return BOOK_FULL;
	*ret = address_at(book, offset);
	return BOOK_OK;
}

void service_books_release_ip(struct service_books *b, const struct ip_addr *ip)
{
	struct ip_book *book = &b->ips[ip->v4 ? FAMILY_V4 : FAMILY_V6];
	uint64_t offset = offset_of(book, ip);

	pthread_mutex_lock(&b->lock);
	if (offset)
		offsets_remove(&book->taken, offset);
	pthread_mutex_unlock(&b->lock);
}

/* --- ports --- */

enum book_result service_books_take_port(struct service_books *b, int port, bool look)
{
	enum book_result r = BOOK_OK;

	if (port < b->port_min || port > b->port_max)
		return BOOK_OUT_OF_RANGE;
	pthread_mutex_lock(&b->lock);
	if (b->ports[port - b->port_min])
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
		if (!b->ports[port - b->port_min])
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

static void mark_address(
	struct offsets *o, const struct ip_book *book, const struct ip_addr *ip, bool taken)
{
	uint64_t offset = offset_of(book, ip);

	if (offset && taken && !offsets_has(o, offset))
		offsets_add(o, offset);
	else if (offset && !taken)
		offsets_remove(o, offset);
}

static void mark_service(struct service_books *b, const struct v1_service *s, bool taken)
{
	for (size_t i = 0; i < s->spec.cluster_ips.n; i++) {
		struct ip_addr ip;

		if (ip_parse(s->spec.cluster_ips.v[i], &ip)) {
			struct ip_book *book = &b->ips[ip.v4 ? FAMILY_V4 : FAMILY_V6];

			mark_address(&book->taken, book, &ip, taken);
		}
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
		struct ip_book *book = &b->ips[ip.v4 ? FAMILY_V4 : FAMILY_V6];

		mark_address(&book->named, book, &ip, taken);
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

void service_books_load(struct service_books *b, struct store *store)
{
	pthread_mutex_lock(&b->lock);
	if (store_is_shared(store)) {
		follow(b, &b->services, store, &v1_service_resource);
		follow(b, &b->addresses, store, &networking_v1_ip_address_resource);
	} else if (!b->loaded) {
		load_once(b, store);
	}
	b->loaded = true;
	pthread_mutex_unlock(&b->lock);
}
