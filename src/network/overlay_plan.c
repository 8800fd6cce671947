/* overlay_plan.c: the pure half of overlay.h. */
#include <stdio.h>
#include <stdlib.h>

#include "network/overlay.h"
#include "types.gen.h"

/* --- from nodes to machines --- */

static void take_ips(struct overlay_machine *m, const struct v1_node *node)
{
	struct ip_addr ip;

	for (size_t i = 0; i < node->status.addresses.n; i++) {
		const struct v1_node_address *a = &node->status.addresses.v[i];

		if (str_eqc(a->type, "InternalIP") && addr_parse(a->address, &ip) == 0 &&
			!overlay_ip(m, ip.family))
			m->ips[m->n_ips++] = ip;
	}
}

static void take_cidrs(struct overlay_machine *m, const struct v1_node *node)
{
	struct ip_prefix p;

	for (size_t i = 0; i < node->spec.pod_cidrs.n; i++)
		if (ip_prefix_parse(node->spec.pod_cidrs.v[i], &p) == 0 &&
			!overlay_cidr(m, p.addr.family))
			m->cidrs[m->n_cidrs++] = p;
	if (!m->n_cidrs && ip_prefix_parse(node->spec.pod_cidr, &p) == 0)
		m->cidrs[m->n_cidrs++] = p;
}

const struct ip_addr *overlay_ip(const struct overlay_machine *m, int family)
{
	for (size_t i = 0; i < m->n_ips; i++)
		if (m->ips[i].family == family)
			return &m->ips[i];
	return NULL;
}

const struct ip_prefix *overlay_cidr(const struct overlay_machine *m, int family)
{
	for (size_t i = 0; i < m->n_cidrs; i++)
		if (m->cidrs[i].addr.family == family)
			return &m->cidrs[i];
	return NULL;
}

void overlay_mac(const struct overlay_machine *m, uint8_t mac[MAC_LEN])
{
	struct ip_addr gateway = ip_prefix_gateway(&m->cidrs[0]);

	addr_mac(&gateway, mac);
}

static const char *overlap(
	const struct overlay_machine *a, const struct overlay_machine *b, char text[IP_TEXT_MAX])
{
	for (size_t i = 0; i < a->n_cidrs; i++)
		for (size_t k = 0; k < b->n_cidrs; k++)
			if (ip_prefixes_overlap(&a->cidrs[i], &b->cidrs[k]))
				return ip_prefix_text(&a->cidrs[i], text);
	return NULL;
}

static const char *same_ip(
	const struct overlay_machine *a, const struct overlay_machine *b, char text[IP_TEXT_MAX])
{
	for (size_t i = 0; i < a->n_ips; i++)
		for (size_t k = 0; k < b->n_ips; k++)
			if (addr_eq(&a->ips[i], &b->ips[k]))
				return addr_text(&a->ips[i], text);
	return NULL;
}

/* Why a machine cannot be among those that are there; NULL: it can. */
static const char *conflict(const struct overlay_view *v, const struct overlay_machine *m,
	const struct overlay_machine *with)
{
	char text[IP_TEXT_MAX];
	const char *what;

	if ((what = overlap(m, with, text)))
		return arena_fmt(v->arena,
			"node " STR_FMT " is left out of the pod network: its pod CIDR %s clashes "
			"with that of node " STR_FMT "; delete its Node object to give it another",
			STR_ARG(m->name), what, STR_ARG(with->name))
			.p;
	if ((what = same_ip(m, with, text)))
		return arena_fmt(v->arena,
			"node " STR_FMT " is left out of the pod network: its address %s is also "
			"that of node " STR_FMT "; give it another with --node-ip",
			STR_ARG(m->name), what, STR_ARG(with->name))
			.p;
	return NULL;
}

static int by_name(const void *a, const void *b)
{
	return str_cmp(((const struct overlay_machine *)a)->name,
		((const struct overlay_machine *)b)->name);
}

/* Peers are taken in the order of their names, but each is checked against this machine first: of
 * two that clash the same one is left out everywhere. */
static void choose_peers(struct overlay_view *v, struct overlay_machine *all, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *why = conflict(v, &all[i], &v->self);

		for (size_t k = 0; k < v->peers.n && !why; k++)
			why = conflict(v, &all[i], &v->peers.v[k]);
		if (why)
			ARENA_PUSH(v->arena, &v->problems, str_c(why));
		else
			ARENA_PUSH(v->arena, &v->peers, all[i]);
	}
}

void overlay_view_fill(struct overlay_view *v, struct str self, const struct v1_node *const *nodes,
	size_t n, struct arena *a)
{
	struct overlay_machine *all = ARENA_ARRAY(a, struct overlay_machine, n);
	size_t count = 0;

	*v = (struct overlay_view){.self = {.name = self}, .arena = a};
	for (size_t i = 0; i < n; i++) {
		struct overlay_machine m = {.name = nodes[i]->metadata.name};

		take_ips(&m, nodes[i]);
		take_cidrs(&m, nodes[i]);
		if (str_eq(m.name, self))
			v->self = m;
		else if (m.n_ips && m.n_cidrs) /* the others are still coming */
			all[count++] = m;
	}
	qsort(all, count, sizeof(*all), by_name);
	if (v->self.n_cidrs && v->self.n_ips)
		choose_peers(v, all, count);
}

/* --- items --- */

static bool same_key(const struct overlay_item *a, const struct overlay_item *b)
{
	if (a->kind != b->kind)
		return false;
	switch (a->kind) {
	case OVERLAY_PORT:
		return !strcmp(a->port, b->port);
	case OVERLAY_FDB:
		return !memcmp(a->mac, b->mac, MAC_LEN);
	case OVERLAY_NEIGHBOUR:
	case OVERLAY_ROUTE:
		break;
	}
	return a->table == b->table && ip_prefix_eq(&a->to, &b->to);
}

static bool same_item(const struct overlay_item *a, const struct overlay_item *b)
{
	switch (a->kind) {
	case OVERLAY_PORT:
		return addr_eq(&a->via, &b->via) && addr_eq(&a->src, &b->src) &&
		       str_eq(a->machine, b->machine);
	case OVERLAY_FDB:
		return addr_eq(&a->via, &b->via);
	case OVERLAY_NEIGHBOUR:
		return !memcmp(a->mac, b->mac, MAC_LEN);
	case OVERLAY_ROUTE:
		break;
	}
	return addr_eq(&a->via, &b->via) && addr_eq(&a->src, &b->src) && a->onlink == b->onlink;
}

static int by_key(const void *x, const void *y)
{
	const struct overlay_item *a = x, *b = y;
	int d = (int)a->kind - (int)b->kind;

	if (d == 0)
		d = a->table - b->table;
	if (d == 0)
		d = a->to.addr.family - b->to.addr.family;
	if (d == 0)
		d = memcmp(a->to.addr.b, b->to.addr.b, 16);
	if (d == 0)
		d = a->to.bits - b->to.bits;
	if (d == 0)
		d = memcmp(a->mac, b->mac, MAC_LEN);
	return d ? d : strcmp(a->port, b->port);
}

static struct overlay_items sorted(const struct overlay_items *items, struct arena *a)
{
	struct overlay_items s = {ARENA_ARRAY(a, struct overlay_item, items->n), items->n};

	if (s.n) {
		memcpy(s.v, items->v, s.n * sizeof(*s.v));
		qsort(s.v, s.n, sizeof(*s.v), by_key);
	}
	return s;
}

/* The keys of routes and neighbours order before the mac, those of others have nothing but it or
 * the port: so one comparison serves both sides of the merge, once items are alike in what is no
 * key. */
static int key_order(const struct overlay_item *a, const struct overlay_item *b)
{
	struct overlay_item x = *a, y = *b;

	if (x.kind == OVERLAY_NEIGHBOUR || x.kind == OVERLAY_ROUTE || x.kind == OVERLAY_PORT)
		memset(x.mac, 0, MAC_LEN);
	if (y.kind == OVERLAY_NEIGHBOUR || y.kind == OVERLAY_ROUTE || y.kind == OVERLAY_PORT)
		memset(y.mac, 0, MAC_LEN);
	return by_key(&x, &y);
}

void overlay_diff(const struct overlay_items *now, const struct overlay_items *wanted,
	struct arena *a, struct overlay_ops *ret)
{
	struct overlay_items have = sorted(now, a), want = sorted(wanted, a);
	struct overlay_ops gone = {0}, come = {0};
	size_t i = 0, k = 0;

	while (i < have.n || k < want.n) {
		int d = i == have.n ? 1 : k == want.n ? -1 : key_order(&have.v[i], &want.v[k]);

		if (d == 0)
			assert(same_key(&have.v[i], &want.v[k]));
		if (d < 0)
			ARENA_PUSH(a, &gone, ((struct overlay_op){false, have.v[i]}));
		else if (d > 0 || !same_item(&have.v[i], &want.v[k]))
			ARENA_PUSH(a, &come, ((struct overlay_op){true, want.v[k]}));
		i += d <= 0;
		k += d >= 0;
	}
	for (size_t g = gone.n; g-- > 0;)
		ARENA_PUSH(a, ret, gone.v[g]);
	for (size_t c = 0; c < come.n; c++)
		ARENA_PUSH(a, ret, come.v[c]);
}

struct str overlay_op_text(const struct overlay_op *op, struct arena *a)
{
	const struct overlay_item *i = &op->item;
	const uint8_t *m = i->mac;
	char to[IP_TEXT_MAX], via[IP_TEXT_MAX], src[IP_TEXT_MAX], mac[18];
	const char *sign = op->add ? "+" : "-";

	snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4],
		m[5]);
	addr_text(&i->via, via);
	switch (i->kind) {
	case OVERLAY_PORT:
		return arena_fmt(
			a, "%s port %s to %s of " STR_FMT, sign, i->port, via, STR_ARG(i->machine));
	case OVERLAY_FDB:
		return arena_fmt(a, "%s fdb %s%s%s", sign, mac, via[0] ? " at " : "", via);
	case OVERLAY_NEIGHBOUR:
		return arena_fmt(a, "%s neighbour %s is %s", sign, addr_text(&i->to.addr, to), mac);
	case OVERLAY_ROUTE:
		break;
	}
	return arena_fmt(a, "%s route %s via %s%s%s%s%s", sign, ip_prefix_text(&i->to, to), via,
		i->src.family ? " src " : "", i->src.family ? addr_text(&i->src, src) : "",
		i->onlink ? " onlink" : "", i->table ? " for pods" : "");
}

void overlay_plan_tunnel(
	const struct overlay_view *v, const struct overlay_machine *peer, struct overlay_items *ret)
{
	uint8_t mac[MAC_LEN];

	overlay_mac(peer, mac);
	for (size_t i = 0; i < peer->n_cidrs; i++) {
		int family = peer->cidrs[i].addr.family;
		const struct ip_prefix *own = overlay_cidr(&v->self, family);
		struct ip_addr gateway = ip_prefix_gateway(&peer->cidrs[i]);
		const struct ip_addr *ip = overlay_ip(peer, family);
		struct overlay_item neighbour = {
			.kind = OVERLAY_NEIGHBOUR, .to = {gateway, addr_bits(&gateway)}};
		struct overlay_item route = {.kind = OVERLAY_ROUTE,
			.to = peer->cidrs[i],
			.via = gateway,
			.onlink = true};

		if (!own) /* pods here have no addresses of that family */
			continue;
		memcpy(neighbour.mac, mac, MAC_LEN);
		ARENA_PUSH(v->arena, ret, neighbour);
		route.src = ip_prefix_gateway(own);
		ARENA_PUSH(v->arena, ret, route);
		if (!ip)
			continue;
		route.to = (struct ip_prefix){*ip, addr_bits(ip)};
		route.src = (struct ip_addr){0};
		route.table = OVERLAY_TABLE;
		ARENA_PUSH(v->arena, ret, route);
	}
}
