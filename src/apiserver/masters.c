#include "apiserver/masters.h"

#include "client/client.h"

enum { RECONCILE_MS = 2 * 1000, FIRST_MS = 100 };

struct masters {
	struct apiserver *s;
	struct loop_timer timer;
	struct client *client;
	int calls; /* under way */
};

/* --- how they look --- */

static void label(struct arena *a, struct str_map *m, const char *key, const char *value)
{
	ARENA_PUSH(a, m, ((struct str_pair){str_c(key), str_c(value)}));
}

struct v1_endpoints *masters_endpoints(
	struct arena *a, const struct str_vec *addresses, int32_t port)
{
	struct v1_endpoints *e = ARENA_NEW(a, struct v1_endpoints);
	struct v1_endpoint_subset subset = {0};
	struct v1_endpoint_port p = {.name = S("https"), .port = port, .protocol = S("TCP")};

	e->metadata.name = S("kubernetes");
	label(a, &e->metadata.labels, "endpointslice.kubernetes.io/skip-mirror", "true");
	for (size_t i = 0; i < addresses->n; i++)
		ARENA_PUSH(a, &subset.addresses,
			((struct v1_endpoint_address){.ip = addresses->v[i]}));
	ARENA_PUSH(a, &subset.ports, p);
	ARENA_PUSH(a, &e->subsets, subset);
	return e;
}

static void add_endpoint(struct arena *a, struct discovery_v1_endpoint_slice *s, struct str ip)
{
	struct discovery_v1_endpoint e = {0};

	ARENA_PUSH(a, &e.addresses, ip);
	e.conditions.ready = ARENA_NEW(a, bool);
	*e.conditions.ready = true;
	ARENA_PUSH(a, &s->endpoints, e);
}

struct discovery_v1_endpoint_slice *masters_slice(
	struct arena *a, const struct str_vec *addresses, int32_t port)
{
	struct discovery_v1_endpoint_slice *s = ARENA_NEW(a, struct discovery_v1_endpoint_slice);
	struct discovery_v1_endpoint_port p = {.name = S("https"), .protocol = S("TCP")};

	s->metadata.name = S("kubernetes");
	label(a, &s->metadata.labels, "kubernetes.io/service-name", "kubernetes");
	s->address_type = str_chr(addresses->v[0], ':') >= 0 ? S("IPv6") : S("IPv4");
	for (size_t i = 0; i < addresses->n; i++)
		add_endpoint(a, s, addresses->v[i]);
	p.port = ARENA_NEW(a, int32_t);
	*p.port = port;
	ARENA_PUSH(a, &s->ports, p);
	return s;
}

/* --- keeping them so --- */

static void on_done(struct client_call *call)
{
	struct masters *m = call->user_data;

	m->calls--; /* what failed is looked at again the next time */
}

static void put(struct masters *m, const struct schema_resource *res, const struct object *there,
	void *object)
{
	struct client_call *call = client_call_new(m->client);

	call->verb = there ? "update" : "create";
	call->resource = res;
	call->ns = S("default");
	if (there) {
		call->name = S("kubernetes");
		meta_of(res, object)->resource_version =
			arena_fmt(&call->arena, "%llu", (unsigned long long)there->revision);
	}
	call->object = object;
	call->done = on_done;
	call->user_data = m;
	m->calls++;
	client_do(m->client, call);
}

static bool same_addresses(const struct str_vec *a, const struct str_vec *b)
{
	for (size_t i = 0; a->n == b->n && i < a->n; i++)
		if (!str_eq(a->v[i], b->v[i]))
			return false;
	return a->n == b->n;
}

static struct str_vec addresses_of_endpoints(struct arena *a, const struct object *o)
{
	const struct v1_endpoints *e = object_decode(o, a);
	struct str_vec v = {0};

	for (size_t i = 0; i < e->subsets.n; i++)
		for (size_t k = 0; k < e->subsets.v[i].addresses.n; k++)
			ARENA_PUSH(a, &v, e->subsets.v[i].addresses.v[k].ip);
	return v;
}

static struct str_vec addresses_of_slice(struct arena *a, const struct object *o)
{
	const struct discovery_v1_endpoint_slice *s = object_decode(o, a);
	struct str_vec v = {0};

	for (size_t i = 0; i < s->endpoints.n; i++)
		for (size_t k = 0; k < s->endpoints.v[i].addresses.n; k++)
			ARENA_PUSH(a, &v, s->endpoints.v[i].addresses.v[k]);
	return v;
}

static void reconcile(struct masters *m, struct arena *a, const struct str_vec *want)
{
	static const struct {
		const struct schema_resource *resource;
		struct str_vec (*addresses)(struct arena *a, const struct object *o);
	} both[] = {
		{&v1_endpoints_resource, addresses_of_endpoints},
		{&discovery_v1_endpoint_slice_resource, addresses_of_slice},
	};
	int32_t port = m->s->opts.advertise_port;

	for (size_t i = 0; i < ARRAY_SIZE(both); i++) {
		const struct object *o =
			store_get(m->s->store, both[i].resource, S("default"), S("kubernetes"));
		struct str_vec now = {0};

		if (o)
			now = both[i].addresses(a, o);
		if (!o || !same_addresses(&now, want))
			put(m, both[i].resource, o,
				i == 0 ? (void *)masters_endpoints(a, want, port)
				       : masters_slice(a, want, port));
		object_unref((struct object *)o);
	}
}

/* Those of the family of our own. */
static struct str_vec alive(struct masters *m, struct arena *a)
{
	struct str_vec all = store_servers(m->s->store, a), v = {0};
	struct str own = str_c(m->s->opts.advertise_address);
	bool v6 = str_chr(own, ':') >= 0;

	for (size_t i = 0; str_vec_has(&all, own) && i < all.n; i++)
		if ((str_chr(all.v[i], ':') >= 0) == v6)
			ARENA_PUSH(a, &v, all.v[i]);
	return v; /* none, until our own is among them */
}

static void on_timer(struct loop_timer *t)
{
	struct masters *m = container_of(t, struct masters, timer);
	struct arena a CLEANUP(arena_release) = {0};
	struct str_vec want = alive(m, &a);

	if (want.n && m->calls == 0 && store_healthy(m->s->store))
		reconcile(m, &a, &want);
	loop_timer_start(t, want.n ? RECONCILE_MS : FIRST_MS);
}

struct masters *masters_start(struct apiserver *s, struct loop *loop)
{
	struct str groups[] = {S("system:masters")};
	const struct user_info user = {.name = S("system:apiserver"), .groups = {groups, 1}};
	struct masters *m = xcalloc(1, sizeof(*m));

	m->s = s;
	m->client = client_local_new(loop, s->store, apiserver_handler(s), &user);
	store_announce(s->store, str_c(s->opts.advertise_address));
	loop_timer_init(&m->timer, loop, on_timer);
	loop_timer_start(&m->timer, FIRST_MS);
	return m;
}

void masters_free(struct masters *m)
{
	if (!m)
		return;
	loop_timer_stop(&m->timer);
	client_free(m->client);
	free(m);
}
