#include "proxy/proxy.h"

#include "base/map.h"
#include "proxy/ruleset.h"

enum { COALESCE_MS = 2, RETRY_MS = 1000, NFT_MAX = 256 << 20 };

/* A service, or slices that name one that is not there (yet). */
struct entry {
	struct str ns, name;
	struct map slices;            /* name -> const struct object *, referenced */
	const struct object *service; /* referenced, or NULL */
	struct arena arena;           /* holds `applied` */
	struct ruleset applied;       /* what the kernel has */
	bool dirty;
	struct entry *next_dirty;
};

struct proxy {
	struct loop *loop;
	struct client *client;
	struct proxy_backend *backend;
	struct arena arena;
	struct str node_name, answered_here;
	bool ipv6, synced, programmed;
	struct map entries; /* "ns/name" -> struct entry * */
	struct map routed;  /* cluster IPs that were looked at */
	struct entry *dirty;
	struct ruleset_shared shared;
	struct loop_timer timer;
	void (*on_synced)(void *user_data);
	void *user_data;
};

static struct entry *entry_of(struct proxy *p, struct str ns, struct str name)
{
	struct arena a = {0};
	struct str key = arena_fmt(&a, STR_FMT "/" STR_FMT, STR_ARG(ns), STR_ARG(name));
	struct entry *e = map_get(&p->entries, key);

	if (!e) {
		e = xcalloc(1, sizeof(*e));
		e->ns = str_n(memcpy(xmalloc(ns.n + name.n + 1), ns.p, ns.n), ns.n);
		memcpy((char *)e->ns.p + ns.n, name.p, name.n);
		e->name = str_n(e->ns.p + ns.n, name.n);
		map_set(&p->entries, key, e);
	}
	arena_release(&a);
	return e;
}

static void entry_free(struct entry *e)
{
	for (struct map_entry *m = map_first(&e->slices); m; m = map_next(&e->slices, m))
		object_unref(m->value);
	map_release(&e->slices);
	object_unref(e->service);
	arena_release(&e->arena);
	free((char *)e->ns.p);
	free(e);
}

static void drop_if_gone(struct proxy *p, struct entry *e)
{
	struct arena a = {0};

	if (e->service || e->slices.n || e->applied.n || e->dirty)
		return;
	map_remove(
		&p->entries, arena_fmt(&a, STR_FMT "/" STR_FMT, STR_ARG(e->ns), STR_ARG(e->name)));
	arena_release(&a);
	entry_free(e);
}

static void mark_dirty(struct proxy *p, struct entry *e)
{
	if (!e->dirty) {
		e->dirty = true;
		e->next_dirty = p->dirty;
		p->dirty = e;
	}
	if (p->synced && !loop_timer_armed(&p->timer))
		loop_timer_start(&p->timer, COALESCE_MS);
}

static void on_service(void *user_data, const struct store_event *ev)
{
	struct proxy *p = user_data;
	struct entry *e = entry_of(p, ev->object->ns, ev->object->name);

	object_unref(e->service);
	e->service = ev->type == STORE_DELETED ? NULL : object_ref(ev->object);
	mark_dirty(p, e);
}

static void put_slice(struct proxy *p, const struct object *o, bool there)
{
	const struct str *name = str_map_get(&o->labels, S("kubernetes.io/service-name"));
	struct entry *e;

	if (!name || !name->n)
		return;
	e = entry_of(p, o->ns, *name);
	object_unref(there ? map_set(&e->slices, o->name, object_ref(o))
			   : map_remove(&e->slices, o->name));
	mark_dirty(p, e);
}

static void on_slice(void *user_data, const struct store_event *ev)
{
	if (ev->prev) /* it may have named another service */
		put_slice(user_data, ev->prev, false);
	put_slice(user_data, ev->object, ev->type != STORE_DELETED);
}

static void ensure_routes(struct proxy *p, const struct proxy_service *svc)
{
	for (size_t i = 0; i < svc->cluster_ips.n; i++) {
		if (map_get(&p->routed, svc->cluster_ips.v[i]))
			continue;
		map_set(&p->routed, svc->cluster_ips.v[i], p);
		p->backend->ensure_route(p->backend, svc->cluster_ips.v[i]);
	}
}

static bool is_answered_here(const struct proxy *p, const struct entry *e)
{
	struct str ns, name;

	return str_cut(p->answered_here, '/', &ns, &name) && str_eq(ns, e->ns) &&
	       str_eq(name, e->name);
}

/* Without rules the packets come to this machine's own sockets. */
static void leave_out_unanswered(struct proxy_service *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_ports; i++)
		if (s->ports[i].internal.n)
			s->ports[n++] = s->ports[i];
	s->n_ports = n;
}

/* What the kernel should have for one service. */
static void desired(struct proxy *p, struct entry *e, struct arena *a, struct ruleset *ret)
{
	const struct discovery_v1_endpoint_slice **slices =
		ARENA_ARRAY(a, const struct discovery_v1_endpoint_slice *, e->slices.n + 1);
	const struct v1_service *svc;
	size_t n = 0;

	if (!e->service)
		return;
	svc = object_decode(e->service, a);
	for (struct map_entry *m = map_first(&e->slices); m; m = map_next(&e->slices, m))
		slices[n++] = object_decode(m->value, a);
	for (int v6 = 0; v6 <= p->ipv6; v6++) {
		struct proxy_service view;

		proxy_service_from(svc, slices, n, p->node_name, v6, a, &view);
		if (is_answered_here(p, e))
			leave_out_unanswered(&view);
		ensure_routes(p, &view);
		ruleset_add_service(ret, &view, a);
	}
	ruleset_sort(ret);
}

static struct ruleset copy_ruleset(const struct ruleset *r, struct arena *a)
{
	struct ruleset out = {ARENA_ARRAY(a, struct ruleset_item, r->n), r->n};

	for (size_t i = 0; i < r->n; i++) {
		out.v[i] = r->v[i];
		out.v[i].name = arena_str(a, r->v[i].name);
		out.v[i].body = arena_str(a, r->v[i].body);
	}
	return out;
}

static void plan_entry(struct proxy *p, struct entry *e, struct buf *nft)
{
	struct arena a = {0}, kept = {0};
	struct ruleset next = {0};

	desired(p, e, &a, &next);
	ruleset_diff(&e->applied, &next, &p->shared, nft);
	next = copy_ruleset(&next, &kept);
	arena_release(&e->arena);
	e->arena = kept;
	e->applied = next;
	arena_release(&a);
}

/* The kernel and we disagree: begin again from nothing. */
static void start_over(struct proxy *p)
{
	map_release(&p->shared.hairpins);
	p->programmed = false;
	for (struct map_entry *m = map_first(&p->entries); m; m = map_next(&p->entries, m)) {
		struct entry *e = m->value;

		arena_release(&e->arena);
		e->applied = (struct ruleset){0};
		mark_dirty(p, e);
	}
	loop_timer_start(&p->timer, RETRY_MS);
}

static void sync_rules(struct proxy *p)
{
	struct err err CLEANUP(err_release) = {0};
	struct entry *all = p->dirty, *next;
	struct buf nft;

	buf_init(&nft, NFT_MAX);
	if (!p->programmed)
		for (int v6 = 0; v6 <= p->ipv6; v6++)
			ruleset_base(v6, &nft);
	for (struct entry *e = all; e; e = e->next_dirty)
		plan_entry(p, e, &nft);
	p->dirty = NULL;
	for (struct entry *e = all; e; e = next) {
		next = e->next_dirty;
		e->dirty = false;
		drop_if_gone(p, e);
	}
	if (buf_failed(&nft) || (nft.n && p->backend->apply(p->backend, buf_str(&nft), &err) < 0)) {
		log_error("service rules: %s", buf_failed(&nft) ? "too many" : err_text(&err));
		start_over(p);
	} else if (!p->programmed) {
		p->programmed = true;
		if (p->on_synced)
			p->on_synced(p->user_data);
	}
	buf_release(&nft);
}

static void on_timer(struct loop_timer *t)
{
	sync_rules(container_of(t, struct proxy, timer));
}

static void on_synced(void *user_data)
{
	struct proxy *p = user_data;

	p->synced = true;
	sync_rules(p);
}

struct proxy *proxy_start(const struct proxy_opts *opts)
{
	struct proxy *p = xcalloc(1, sizeof(*p));

	p->loop = opts->loop;
	p->client = opts->client;
	p->backend = opts->backend;
	p->node_name = arena_str(&p->arena, opts->node_name);
	p->answered_here = arena_str(&p->arena, opts->answered_here);
	p->ipv6 = opts->ipv6;
	p->on_synced = opts->on_synced;
	p->user_data = opts->user_data;
	loop_timer_init(&p->timer, p->loop, on_timer);
	client_subscribe(p->client, &v1_service_resource, NULL, on_service, p);
	client_subscribe(p->client, &discovery_v1_endpoint_slice_resource, NULL, on_slice, p);
	client_start(p->client, on_synced, p);
	return p;
}

void proxy_stop(struct proxy *p)
{
	loop_timer_stop(&p->timer);
	client_free(p->client);
	for (struct map_entry *m = map_first(&p->entries); m; m = map_next(&p->entries, m))
		entry_free(m->value);
	map_release(&p->entries);
	map_release(&p->routed);
	map_release(&p->shared.hairpins);
	p->backend->free(p->backend);
	arena_release(&p->arena);
	free(p);
}
