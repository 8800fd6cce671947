#include "proxy/nft_rules.h"

struct writer {
	const struct proxy_config *config;
	struct ruleset *out;
	const struct proxy_service *svc;
	struct arena *a;
	const char *table; /* of this service's chains */
};

enum { GROUP_MAX = 32 }; /* rules that a packet passes at most on each level */

/* --- one service --- */

/* What all services share is in the main table. */
static void add_shared(struct writer *w, enum nft_kind kind, struct str name, struct str body)
{
	ARENA_PUSH(
		w->a, w->out, ((struct ruleset_item){kind, w->svc->ipv6, NFT_TABLE, name, body}));
}

static void add(struct writer *w, enum nft_kind kind, struct str name, struct str body)
{
	ARENA_PUSH(w->a, w->out, ((struct ruleset_item){kind, w->svc->ipv6, w->table, name, body}));
}

static void add_element(struct writer *w, const char *map, struct str key, struct str value)
{
	struct str name = arena_fmt(w->a, "%s " STR_FMT, map, STR_ARG(key));
	bool own = !strcmp(map, "services") || !strcmp(map, "nodeports");

	if (own)
		add(w, NFT_ELEMENT, name, value);
	else
		add_shared(w, NFT_ELEMENT, name, value);
}

static const char *ip_word(const struct writer *w)
{
	return w->svc->ipv6 ? "ip6" : "ip";
}

/* "svc-default/web/tcp/80" */
static struct str chain_name(struct writer *w, const char *prefix, const struct proxy_port *p)
{
	return arena_fmt(w->a, "%s-" STR_FMT "/" STR_FMT "/%s/%d", prefix, STR_ARG(w->svc->ns),
		STR_ARG(w->svc->name), p->protocol, p->port);
}

static struct str go_to(struct writer *w, struct str chain)
{
	return arena_fmt(w->a, "goto " STR_FMT, STR_ARG(chain));
}

/* `what` for one of those who are left, with probability 1 / left. */
static void one_of(struct buf *b, size_t left, struct str what)
{
	if (left > 1)
		buf_fmt(b, "numgen random mod %zu == 0 ", left);
	buf_fmt(b, STR_FMT "\n", STR_ARG(what));
}

/* What sends a packet to each endpoint. */
static struct str destination(
	struct writer *w, const struct proxy_port *p, const struct proxy_endpoint *e)
{
	bool v6 = w->svc->ipv6;

	return arena_fmt(w->a, "meta l4proto %s dnat to %s" STR_FMT "%s:%d", p->protocol,
		v6 ? "[" : "", STR_ARG(e->ip), v6 ? "]" : "", e->port);
}

/* The same, but the endpoint has a chain and a set of the clients that it has served. Those come
 * first: what finds them again is added to `known`. */
static struct str destination_with_affinity(struct writer *w, const struct proxy_port *p,
	const struct proxy_endpoint *e, struct str chain, struct buf *known)
{
	const char *ip = ip_word(w);
	struct str set, name = arena_fmt(w->a, STR_FMT "/" STR_FMT "/%d", STR_ARG(chain),
				STR_ARG(e->ip), e->port);

	for (char *c = (char *)name.p; *c; c++) /* a colon cannot stand in a name */
		*c = *c == ':' ? '_' : *c;
	set = arena_fmt(w->a, STR_FMT "/%ds", STR_ARG(name), w->svc->affinity_s);
	add(w, NFT_SET, set,
		arena_fmt(w->a, "type %s; flags dynamic,timeout; timeout %ds;",
			w->svc->ipv6 ? "ipv6_addr" : "ipv4_addr", w->svc->affinity_s));
	add(w, NFT_CHAIN, name,
		arena_fmt(w->a, "update @" STR_FMT " { %s saddr }\n" STR_FMT "\n", STR_ARG(set), ip,
			STR_ARG(destination(w, p, e))));
	buf_fmt(known, "%s saddr @" STR_FMT " goto " STR_FMT "\n", ip, STR_ARG(set), STR_ARG(name));
	return go_to(w, name);
}

/*
 * By lot: the first of n with probability 1/n, the next of the others with 1/(n-1), and so on; many
 * endpoints in groups, of which one is drawn first. No map: the kernel would walk through all of a
 * map that many chains use whenever one of them changes, and look for a name for each anonymous one
 * by trying all others.
 */
static void draw(struct writer *w, struct str chain, const struct str *to, size_t n, struct buf *b)
{
	struct buf group;

	for (size_t i = 0; n <= GROUP_MAX && i < n; i++)
		one_of(b, n - i, to[i]);
	for (size_t at = 0; n > GROUP_MAX && at < n; at += GROUP_MAX) {
		struct str name = arena_fmt(w->a, STR_FMT "/%zu", STR_ARG(chain), at / GROUP_MAX);
		size_t left = n - at, size = left < GROUP_MAX ? left : GROUP_MAX;

		buf_init(&group, 1 << 20);
		for (size_t i = 0; i < size; i++)
			one_of(&group, size - i, to[at + i]);
		add(w, NFT_CHAIN, name, arena_str(w->a, buf_str(&group)));
		buf_release(&group);
		if (left > size)
			buf_fmt(b, "numgen random mod %zu < %zu ", left, size);
		buf_fmt(b, "goto " STR_FMT "\n", STR_ARG(name));
	}
}

static struct str spread(struct writer *w, const struct proxy_port *p,
	const struct proxy_endpoints *e, struct str chain)
{
	struct str *to = ARENA_ARRAY(w->a, struct str, e->n), text;
	struct buf b;

	buf_init(&b, 64 << 20);
	for (size_t i = 0; i < e->n; i++)
		to[i] = w->svc->affinity_s ? destination_with_affinity(w, p, &e->v[i], chain, &b)
					   : destination(w, p, &e->v[i]);
	draw(w, chain, to, e->n, &b);
	text = arena_str(w->a, buf_str(&b));
	buf_release(&b);
	return text;
}

/* What matches traffic of this machine's pods, or of everything else; empty when nobody can tell.
 */
static struct str local_match(struct writer *w, bool negated)
{
	const struct proxy_config *c = w->config;
	const char *not = negated ? "!= " : "";

	switch (c->detect) {
	case PROXY_DETECT_CLUSTER_CIDR:
	case PROXY_DETECT_NODE_CIDR:
		if (!c->local_cidr[w->svc->ipv6].n)
			break;
		return arena_fmt(w->a, "%s saddr %s" STR_FMT " ", ip_word(w), not,
			STR_ARG(c->local_cidr[w->svc->ipv6]));
	case PROXY_DETECT_BRIDGE:
		return arena_fmt(w->a, "iifname %s\"" STR_FMT "\" ", not, STR_ARG(c->interface));
	case PROXY_DETECT_PREFIX:
		return arena_fmt(w->a, "iifname %s\"" STR_FMT "*\" ", not, STR_ARG(c->interface));
	case PROXY_DETECT_NONE:
		break;
	}
	return (struct str){0};
}

/* Traffic to the cluster address that must come back through this machine. */
static struct str masquerade_cluster_ip(struct writer *w, const struct proxy_port *p)
{
	struct str outside = local_match(w, true);

	if (!w->config->masquerade_all && !outside.n)
		return S("");
	return arena_fmt(w->a, "%s daddr " STR_FMT " %s dport %d " STR_FMT "jump masquerade_it\n",
		ip_word(w), STR_ARG(w->svc->cluster_ip), p->protocol, p->port,
		STR_ARG(w->config->masquerade_all ? (struct str){0} : outside));
}

static struct str add_spread(struct writer *w, const char *prefix, const struct proxy_port *p,
	const struct proxy_endpoints *e, bool internal)
{
	struct str name = chain_name(w, prefix, p);
	struct str body = spread(w, p, e, name);

	add(w, NFT_CHAIN, name,
		arena_fmt(w->a, STR_FMT STR_FMT,
			STR_ARG(internal ? masquerade_cluster_ip(w, p) : (struct str){0}),
			STR_ARG(body)));
	for (size_t i = 0; i < e->n; i++)
		add_shared(w, NFT_HAIRPIN, e->v[i].ip, (struct str){0});
	return name;
}

static struct str address_key(struct writer *w, struct str ip, const struct proxy_port *p)
{
	return arena_fmt(w->a, STR_FMT " . %s . %d", STR_ARG(ip), p->protocol, p->port);
}

/*
 * What comes to an external address. With policy Local the client's address is kept and only this
 * machine's endpoints count; but what comes from this machine itself, or its pods, is inside
 * traffic that only took the long way.
 */
static struct str external_chain(
	struct writer *w, const struct proxy_port *p, struct str cluster, struct str local)
{
	struct str name = chain_name(w, "ext", p), pods = local_match(w, false), to = cluster;
	struct buf b;

	buf_init(&b, 1 << 20);
	if (!w->svc->external_local) {
		buf_add_c(&b, "jump masquerade_it\n");
	} else {
		if (pods.n && cluster.n)
			buf_fmt(&b, STR_FMT "goto " STR_FMT "\n", STR_ARG(pods), STR_ARG(cluster));
		if (cluster.n)
			buf_fmt(&b,
				"fib saddr type local jump masquerade_it\n"
				"fib saddr type local goto " STR_FMT "\n",
				STR_ARG(cluster));
		to = local;
	}
	if (to.n)
		buf_fmt(&b, "goto " STR_FMT "\n", STR_ARG(to));
	else
		buf_add_c(&b, "drop\n");
	add(w, NFT_CHAIN, name, arena_str(w->a, buf_str(&b)));
	buf_release(&b);
	return name;
}

/* Whether one of the addresses of this machine is in a range: then it may use the service's own
 * address as its source, too. */
static struct str firewall_chain(struct writer *w, const struct proxy_port *p)
{
	struct str name = chain_name(w, "fw", p);
	const struct str_vec lists[] = {w->svc->source_ranges, w->svc->balancer_ips};
	struct str node = w->config->node_ips[w->svc->ipv6];
	bool with_own = false;
	struct buf b;

	for (size_t i = 0; i < lists[0].n; i++)
		with_own |= proxy_cidr_has(lists[0].v[i], node);
	buf_init(&b, 1 << 20);
	for (int l = 0; l <= with_own; l++)
		for (size_t i = 0; i < lists[l].n; i++)
			buf_fmt(&b, "%s saddr " STR_FMT " return\n", ip_word(w),
				STR_ARG(lists[l].v[i]));
	buf_add_c(&b, "drop\n");
	add_shared(w, NFT_CHAIN, name, arena_str(w->a, buf_str(&b)));
	buf_release(&b);
	return name;
}

static void add_firewall(struct writer *w, const struct proxy_port *p)
{
	struct str chain = firewall_chain(w, p);

	for (size_t i = 0; i < w->svc->balancer_ips.n; i++)
		add_element(w, "firewall", address_key(w, w->svc->balancer_ips.v[i], p),
			go_to(w, chain));
}

/* Every outside address of the port, with what becomes of traffic to it. */
static void add_external(struct writer *w, const struct proxy_port *p, const char *addresses,
	const char *ports, struct str verdict)
{
	const struct str_vec lists[] = {w->svc->external_ips, w->svc->balancer_ips};

	for (size_t l = 0; l < ARRAY_SIZE(lists); l++)
		for (size_t i = 0; i < lists[l].n; i++)
			add_element(w, addresses, address_key(w, lists[l].v[i], p), verdict);
	if (p->node_port)
		add_element(
			w, ports, arena_fmt(w->a, "%s . %d", p->protocol, p->node_port), verdict);
}

static void add_unanswered(struct writer *w, const struct proxy_port *p)
{
	add_element(w, "unanswered", address_key(w, w->svc->cluster_ip, p), S("goto refuse_it"));
	add_external(w, p, "unanswered", "nodeports_unanswered", S("goto refuse_it"));
}

static void add_port(struct writer *w, const struct proxy_port *p)
{
	bool internal_local = w->svc->internal_local;
	struct str cluster = {0}, local = {0}, internal;

	if (!p->any) {
		add_unanswered(w, p);
		return;
	}
	if (p->cluster.n)
		cluster = add_spread(w, "svc", p, &p->cluster, !internal_local);
	if (p->local.n)
		local = add_spread(w, "loc", p, &p->local, internal_local);
	internal = internal_local ? local : cluster;
	add_element(w, "services", address_key(w, w->svc->cluster_ip, p),
		internal.n ? go_to(w, internal) : S("drop"));
	if (!proxy_port_external(w->svc, p))
		return;
	add_external(w, p, "services", "nodeports", go_to(w, external_chain(w, p, cluster, local)));
	if (w->svc->balancer_ips.n && w->svc->source_ranges.n)
		add_firewall(w, p);
}

void nft_render(const struct proxy_config *c, const struct proxy_service *svc, struct ruleset *ret,
	struct arena *a)
{
	struct str id = arena_fmt(a, STR_FMT "/" STR_FMT, STR_ARG(svc->ns), STR_ARG(svc->name));
	struct writer w = {c, ret, svc, a, nft_shards[str_hash(id) % NFT_SHARDS]};

	for (size_t i = 0; i < svc->n_ports; i++)
		add_port(&w, &svc->ports[i]);
}
