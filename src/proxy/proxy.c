#include "proxy/proxy.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "proxy/conntrack.h"
#include "proxy/health.h"
#include "proxy/route.h"

#define LABEL_ZONE "topology.kubernetes.io/zone"
#define TAINT_LEAVING "ToBeDeletedByClusterAutoscaler"

enum { COALESCE_MS = 2, RETRY_MS = 1000, TIDY_MS = 3000, TIDY_SOON_MS = 100 };

/* A service, or slices that name one that is not there (yet). */
struct entry {
	struct str ns, name;
	struct map slices;            /* name -> const struct object *, referenced */
	const struct object *service; /* referenced, or NULL */
	struct arena arena;           /* holds `applied` and `served` */
	struct ruleset applied;       /* what the kernel has */
	struct str served;            /* its UDP endpoints, as text to compare */
	bool dirty, told_sctp;
	struct entry *next_dirty;
};

struct proxy {
	struct loop *loop;
	struct client *client;
	struct proxy_config *config;
	struct proxy_backend *backend;
	struct proxy_health *health;
	struct proxy_stats stats;
	bool own_metrics;
	struct arena arena; /* of what the Node object said */
	struct proxy_place place;
	struct str answered_here;
	bool synced, programmed, alone; /* alone: the other mode's rules have been removed */
	struct map entries;             /* "ns/name" -> struct entry * */
	struct map routed;              /* cluster IPs that were looked at */
	struct entry *dirty;
	struct str_vec unrouted; /* those to look at after this sync, in route_arena */
	struct arena route_arena;
	struct conntrack_stale stale;
	struct loop_timer timer, tidy, look;
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
	if (!p->stats.queued_ms)
		p->stats.queued_ms = loop_now_ms(p->loop);
	p->stats.queued_ns = loop_wall_ns(p->loop);
	if (p->synced && !loop_timer_armed(&p->timer))
		loop_timer_start(&p->timer, COALESCE_MS);
}

static void on_service(void *user_data, const struct store_event *ev)
{
	struct proxy *p = user_data;
	struct entry *e = entry_of(p, ev->object->ns, ev->object->name);

	p->stats.service_changes++;
	p->stats.n_services += (ev->type != STORE_DELETED) - (size_t)(e->service != NULL);
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
	struct proxy *p = user_data;

	p->stats.endpoint_changes++;
	if (ev->prev) /* it may have named another service */
		put_slice(p, ev->prev, false);
	put_slice(p, ev->object, ev->type != STORE_DELETED);
}

/* --- the node --- */

static bool take(struct arena *a, struct str *to, struct str from)
{
	if (str_eq(*to, from))
		return false;
	*to = arena_str(a, from);
	return true;
}

/* What rules depend on; whether it changed. */
static bool read_node(struct proxy *p, const struct v1_node *node)
{
	struct proxy_config *c = p->config;
	const struct str *zone = str_map_get(&node->metadata.labels, S(LABEL_ZONE));
	bool changed = take(&p->arena, &p->place.zone, zone ? *zone : (struct str){0});
	struct str ips[2] = {0};

	for (size_t i = 0; c->detect == PROXY_DETECT_NODE_CIDR && i < node->spec.pod_cidrs.n; i++) {
		struct str cidr = node->spec.pod_cidrs.v[i];

		changed |= take(&p->arena, &c->local_cidr[str_chr(cidr, ':') >= 0], cidr);
	}
	for (size_t i = 0; i < node->status.addresses.n; i++) {
		struct str ip = node->status.addresses.v[i].address;

		if (str_eqc(node->status.addresses.v[i].type, "InternalIP") &&
			!ips[str_chr(ip, ':') >= 0].n)
			ips[str_chr(ip, ':') >= 0] = ip;
	}
	if (c->bind_address.n && !str_eqc(c->bind_address, "0.0.0.0") &&
		!str_eqc(c->bind_address, "::"))
		ips[str_chr(c->bind_address, ':') >= 0] = c->bind_address;
	for (int v6 = 0; v6 < 2; v6++)
		changed |= take(&p->arena, &c->node_ips[v6], ips[v6]);
	return changed;
}

static bool is_leaving(const struct v1_node *node)
{
	bool leaving = node->metadata.deletion_timestamp.set;

	for (size_t i = 0; i < node->spec.taints.n; i++)
		leaving |= str_eqc(node->spec.taints.v[i].key, TAINT_LEAVING);
	return leaving;
}

static void start_over(struct proxy *p, int64_t after_ms);

static void on_node(void *user_data, const struct store_event *ev)
{
	struct proxy *p = user_data;
	struct arena a = {0};
	const struct v1_node *node;

	if (!str_eq(ev->object->name, p->config->node_name))
		return;
	p->stats.node_known = ev->type != STORE_DELETED;
	if (p->stats.node_known) {
		node = object_decode(ev->object, &a);
		p->stats.node_leaving = is_leaving(node);
		if (read_node(p, node) && p->synced)
			start_over(p, COALESCE_MS);
	}
	arena_release(&a);
}

/* --- rules --- */

static void want_route(struct proxy *p, struct str ip)
{
	if (!ip.n || map_get(&p->routed, ip))
		return;
	map_set(&p->routed, ip, p);
	ARENA_PUSH(&p->route_arena, &p->unrouted, arena_str(&p->route_arena, ip));
}

/* Only programs of this machine need them: the rules come first. */
static void ensure_routes(struct proxy *p)
{
	struct proxy_routes routes = {0};

	for (size_t i = 0; i < p->unrouted.n; i++)
		proxy_ensure_route(&routes, p->unrouted.v[i]);
	proxy_routes_release(&routes);
	p->unrouted = (struct str_vec){0};
	arena_release(&p->route_arena);
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
		if (s->ports[i].any)
			s->ports[n++] = s->ports[i];
	s->n_ports = n;
}

/* Connection tracking must know it, or the kernel cannot send it to another address. */
static bool kernel_has_sctp(const struct proxy *p)
{
	static const char dir[] = "/proc/sys/net/netfilter/";
	char any[64], sctp[64];

	snprintf(any, sizeof(any), "%snf_conntrack_max", dir);
	snprintf(sctp, sizeof(sctp), "%snf_conntrack_sctp_timeout_established", dir);
	return !p->backend->no_sctp && (access(any, F_OK) < 0 || access(sctp, F_OK) == 0);
}

/* Ports of SCTP on a kernel that has none; said once for each service. */
static void leave_out_sctp(struct proxy *p, struct entry *e, struct proxy_service *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_ports; i++)
		if (strcmp(s->ports[i].protocol, "sctp") != 0 || kernel_has_sctp(p))
			s->ports[n++] = s->ports[i];
	if (n < s->n_ports && !e->told_sctp) {
		e->told_sctp = true;
		log_warn("service " STR_FMT "/" STR_FMT
			 ": no rules for its ports of SCTP: this kernel has no SCTP in netfilter",
			STR_ARG(e->ns), STR_ARG(e->name));
	}
	s->n_ports = n;
}

static void note_served(const struct proxy_service *svc, struct buf *b)
{
	for (size_t i = 0; i < svc->n_ports; i++) {
		const struct proxy_port *port = &svc->ports[i];

		if (strcmp(port->protocol, "udp") != 0)
			continue;
		buf_fmt(b, STR_FMT " %d %d", STR_ARG(svc->cluster_ip), port->port, port->node_port);
		for (size_t k = 0; k < port->serving.n; k++)
			buf_fmt(b, " " STR_FMT " %d", STR_ARG(port->serving.v[k].ip),
				port->serving.v[k].port);
	}
}

/* What the kernel should have for one service. */
struct desired {
	struct ruleset rules;
	struct proxy_service views[2];
	int health_port;
	size_t n_local;
	struct buf served;
};

static void desire(struct proxy *p, struct entry *e, struct arena *a, struct desired *ret)
{
	const struct discovery_v1_endpoint_slice **slices =
		ARENA_ARRAY(a, const struct discovery_v1_endpoint_slice *, e->slices.n + 1);
	const struct v1_service *svc;
	size_t n = 0;

	buf_init(&ret->served, 16 << 20);
	if (!e->service)
		return;
	svc = object_decode(e->service, a);
	for (struct map_entry *m = map_first(&e->slices); m; m = map_next(&e->slices, m))
		slices[n++] = object_decode(m->value, a);
	for (int v6 = 0; v6 <= p->config->ipv6; v6++) {
		struct proxy_service *view = &ret->views[v6];

		proxy_service_from(svc, slices, n, &p->place, v6, a, view);
		if (is_answered_here(p, e))
			leave_out_unanswered(view);
		leave_out_sctp(p, e, view);
		p->backend->ops->render(p->backend, view, &ret->rules, a);
		want_route(p, view->cluster_ip);
		note_served(view, &ret->served);
		ret->health_port =
			view->health_check_port ? view->health_check_port : ret->health_port;
		ret->n_local += view->n_local_ready;
	}
	ruleset_sort(&ret->rules);
}

static void plan_entry(struct proxy *p, struct entry *e)
{
	struct arena a = {0}, kept = {0};
	struct desired next = {0};
	struct str served;

	desire(p, e, &a, &next);
	p->backend->ops->change(p->backend,
		arena_fmt(&a, STR_FMT "/" STR_FMT, STR_ARG(e->ns), STR_ARG(e->name)), &e->applied,
		&next.rules);
	if (p->health)
		proxy_health_set(p->health, e->ns, e->name, next.health_port, next.n_local);
	p->stats.n_items += next.rules.n - e->applied.n;
	next.rules = ruleset_copy(&next.rules, &kept);
	served = arena_str(&kept, buf_str(&next.served));
	if (p->programmed && !str_eq(served, e->served))
		for (int v6 = 0; v6 <= p->config->ipv6; v6++)
			conntrack_add(&p->stale, &next.views[v6]);
	buf_release(&next.served);
	arena_release(&e->arena);
	e->arena = kept;
	e->applied = next.rules;
	e->served = served;
	arena_release(&a);
}

/* The kernel and we disagree: begin again from nothing. What works goes on working. */
static void start_over(struct proxy *p, int64_t after_ms)
{
	p->programmed = false;
	p->stats.n_items = 0;
	for (struct map_entry *m = map_first(&p->entries); m; m = map_next(&p->entries, m)) {
		struct entry *e = m->value;

		arena_release(&e->arena);
		e->applied = (struct ruleset){0};
		e->served = (struct str){0};
		mark_dirty(p, e);
	}
	loop_timer_start(&p->timer, after_ms);
}

static void clean_conntrack(struct proxy *p)
{
	int n = conntrack_clean(&p->stale);

	if (n < 0)
		log_warn("stale UDP connections: %s", strerror(-n));
	else if (n > 0)
		log_debug("%d stale UDP connections forgotten", n);
	conntrack_release(&p->stale);
}

static double seconds_since(const struct timespec *t)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - t->tv_sec) + (double)(now.tv_nsec - t->tv_nsec) / 1e9;
}

static void after_success(struct proxy *p)
{
	bool first = !p->programmed;

	p->programmed = true;
	p->stats.queued_ms = 0;
	p->stats.synced_ns = loop_wall_ns(p->loop);
	clean_conntrack(p);
	if (!loop_timer_armed(&p->tidy))
		loop_timer_start(&p->tidy, first ? TIDY_SOON_MS : TIDY_MS);
	if (first && !p->alone) {
		p->alone = true;
		p->backend->ops->take_over(p->backend);
		if (p->on_synced)
			p->on_synced(p->user_data);
	}
}

static void sync_rules(struct proxy *p)
{
	struct err err CLEANUP(err_release) = {0};
	struct entry *all = p->dirty, *next;
	bool full = !p->programmed;
	struct timespec began;
	int r;

	clock_gettime(CLOCK_MONOTONIC, &began);
	p->backend->ops->begin(p->backend, full, p->entries.n);
	for (struct entry *e = all; e; e = e->next_dirty)
		plan_entry(p, e);
	p->dirty = NULL;
	for (struct entry *e = all; e; e = next) {
		next = e->next_dirty;
		e->dirty = false;
		drop_if_gone(p, e);
	}
	r = p->backend->ops->commit(p->backend, &err);
	proxy_stats_sync(&p->stats, full, seconds_since(&began));
	ensure_routes(p);
	if (r < 0) {
		p->stats.failures++;
		log_error("service rules: %s", err_text(&err));
		conntrack_release(&p->stale);
		start_over(p, RETRY_MS);
	} else {
		log_debug("service rules: %s in %.1f ms", full ? "all" : "changes",
			seconds_since(&began) * 1e3);
		after_success(p);
	}
}

static void on_timer(struct loop_timer *t)
{
	sync_rules(container_of(t, struct proxy, timer));
}

static void on_tidy(struct loop_timer *t)
{
	struct proxy *p = container_of(t, struct proxy, tidy);
	struct err err CLEANUP(err_release) = {0};
	int r = p->programmed ? p->backend->ops->tidy(p->backend, &err) : 0;

	if (r > 0)
		loop_timer_start(t, TIDY_SOON_MS);
	if (r >= 0)
		return;
	p->stats.failures++;
	log_error("service rules: %s", err_text(&err));
	start_over(p, RETRY_MS);
}

/* Somebody may have flushed the rules. */
static void on_look(struct loop_timer *t)
{
	struct proxy *p = container_of(t, struct proxy, look);

	if (p->programmed && !p->backend->ops->intact(p->backend)) {
		log_warn("service rules are gone: writing them again");
		start_over(p, 0);
	}
	loop_timer_start(t, p->config->sync_period_ms);
}

static void on_synced(void *user_data)
{
	struct proxy *p = user_data;

	p->synced = true;
	loop_timer_start(&p->look, p->config->sync_period_ms);
	sync_rules(p);
}

struct proxy *proxy_start(const struct proxy_opts *opts, struct err *err)
{
	struct proxy *p = xcalloc(1, sizeof(*p));
	struct arena a = {0};

	p->loop = opts->loop;
	p->client = opts->client;
	p->config = opts->config;
	p->backend = opts->backend;
	p->place.node_name = arena_str(&p->arena, opts->config->node_name);
	p->answered_here = arena_str(&p->arena, opts->answered_here);
	p->stats.mode = p->backend->ops->name;
	p->stats.config = p->config;
	p->stats.metrics = opts->metrics ? opts->metrics : metrics_new();
	p->own_metrics = !opts->metrics;
	p->on_synced = opts->on_synced;
	p->user_data = opts->user_data;
	loop_timer_init(&p->timer, p->loop, on_timer);
	loop_timer_init(&p->tidy, p->loop, on_tidy);
	loop_timer_init(&p->look, p->loop, on_look);
	if (proxy_health_new(p->loop, p->config, &p->stats, &p->health, err) < 0) {
		proxy_stop(p);
		return NULL;
	}
	client_subscribe(p->client, &v1_service_resource, NULL, on_service, p);
	client_subscribe(p->client, &discovery_v1_endpoint_slice_resource, NULL, on_slice, p);
	client_subscribe(p->client, &v1_node_resource,
		arena_fmt(&a, "metadata.name=" STR_FMT, STR_ARG(p->place.node_name)).p, on_node, p);
	arena_release(&a);
	client_start(p->client, on_synced, p);
	return p;
}

void proxy_stop(struct proxy *p)
{
	loop_timer_stop(&p->timer);
	loop_timer_stop(&p->tidy);
	loop_timer_stop(&p->look);
	client_free(p->client);
	proxy_health_free(p->health);
	for (struct map_entry *m = map_first(&p->entries); m; m = map_next(&p->entries, m))
		entry_free(m->value);
	map_release(&p->entries);
	map_release(&p->routed);
	conntrack_release(&p->stale);
	p->backend->ops->free(p->backend);
	if (p->own_metrics)
		metrics_free(p->stats.metrics);
	arena_release(&p->route_arena);
	arena_release(&p->arena);
	free(p);
}
