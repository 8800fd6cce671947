#include "proxy/ruleset.h"

#define TABLE "sampan_proxy"
#define MASQUERADE_MARK "0x00004000"

struct writer {
	struct ruleset *out;
	const struct proxy_service *svc;
	struct arena *a;
};

static void add(struct writer *w, enum ruleset_kind kind, struct str name, struct str body)
{
	ARENA_PUSH(w->a, w->out, ((struct ruleset_item){kind, w->svc->ipv6, name, body}));
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

static struct str endpoint_text(struct writer *w, const struct proxy_endpoint *e, const char *join)
{
	return arena_fmt(w->a, STR_FMT "%s%d", STR_ARG(e->ip), join, e->port);
}

/* One rule for the whole spread: a random number picks the destination. */
static struct str spread(
	struct writer *w, const struct proxy_port *p, const struct proxy_endpoints *e)
{
	struct buf b;
	struct str text;

	buf_init(&b, 4 << 20);
	buf_fmt(&b, "meta l4proto %s dnat %s addr . port to numgen random mod %zu map { ",
		p->protocol, ip_word(w), e->n);
	for (size_t i = 0; i < e->n; i++)
		buf_fmt(&b, "%s%zu : " STR_FMT, i ? ", " : "", i,
			STR_ARG(endpoint_text(w, &e->v[i], " . ")));
	buf_add_c(&b, " }\n");
	text = arena_str(w->a, buf_str(&b));
	buf_release(&b);
	return text;
}

/* With affinity each endpoint has a chain and a set of the clients that it has served. */
static struct str spread_with_affinity(struct writer *w, const struct proxy_port *p,
	const struct proxy_endpoints *e, struct str chain)
{
	struct buf b;
	struct str text, *names = ARENA_ARRAY(w->a, struct str, e->n);

	buf_init(&b, 4 << 20);
	for (size_t i = 0; i < e->n; i++) {
		const char *ip = ip_word(w);
		bool v6 = w->svc->ipv6;

		/* a colon cannot stand in a name */
		names[i] = endpoint_text(w, &e->v[i], "/");
		for (char *c = (char *)names[i].p; *c; c++)
			*c = *c == ':' ? '_' : *c;
		names[i] = arena_fmt(w->a, STR_FMT "/" STR_FMT, STR_ARG(chain), STR_ARG(names[i]));
		add(w, RULESET_SET, names[i],
			arena_fmt(w->a, "type %s; flags dynamic,timeout; timeout %ds;",
				v6 ? "ipv6_addr" : "ipv4_addr", w->svc->affinity_s));
		add(w, RULESET_CHAIN, names[i],
			arena_fmt(w->a,
				"update @" STR_FMT
				" { %s saddr }\nmeta l4proto %s dnat to %s" STR_FMT "%s:%d\n",
				STR_ARG(names[i]), ip, p->protocol, v6 ? "[" : "",
				STR_ARG(e->v[i].ip), v6 ? "]" : "", e->v[i].port));
		buf_fmt(&b, "%s saddr @" STR_FMT " goto " STR_FMT "\n", ip, STR_ARG(names[i]),
			STR_ARG(names[i]));
	}
	buf_fmt(&b, "numgen random mod %zu vmap { ", e->n);
	for (size_t i = 0; i < e->n; i++)
		buf_fmt(&b, "%s%zu : goto " STR_FMT, i ? ", " : "", i, STR_ARG(names[i]));
	buf_add_c(&b, " }\n");
	text = arena_str(w->a, buf_str(&b));
	buf_release(&b);
	return text;
}

static struct str add_spread(struct writer *w, const char *prefix, const struct proxy_port *p,
	const struct proxy_endpoints *e)
{
	struct str name = chain_name(w, prefix, p);

	add(w, RULESET_CHAIN, name,
		w->svc->affinity_s ? spread_with_affinity(w, p, e, name) : spread(w, p, e));
	for (size_t i = 0; i < e->n; i++)
		add(w, RULESET_HAIRPIN, e->v[i].ip, (struct str){0});
	return name;
}

static void add_element(struct writer *w, const char *map, struct str key, struct str verdict)
{
	add(w, RULESET_ELEMENT, arena_fmt(w->a, "%s " STR_FMT, map, STR_ARG(key)), verdict);
}

static struct str address_key(struct writer *w, struct str ip, const struct proxy_port *p)
{
	return arena_fmt(w->a, STR_FMT " . %s . %d", STR_ARG(ip), p->protocol, p->port);
}

static struct str go_to(struct writer *w, struct str chain)
{
	return arena_fmt(w->a, "goto " STR_FMT, STR_ARG(chain));
}

/* Where nobody answers: refused; but dropped where only this node has nobody (a traffic policy
 * Local). */
static struct str unanswered(const struct proxy_port *p)
{
	return p->has_endpoints_elsewhere ? S("drop") : S("goto refuse_it");
}

static void add_internal(struct writer *w, const struct proxy_port *p, struct str chain)
{
	for (size_t i = 0; i < w->svc->cluster_ips.n; i++) {
		struct str key = address_key(w, w->svc->cluster_ips.v[i], p);

		if (p->internal.n)
			add_element(w, "services", key, go_to(w, chain));
		else
			add_element(w, "unanswered", key, unanswered(p));
	}
}

/* What comes from outside passes a chain that lets in only the ranges allowed, and marks for
 * masquerading unless the client's address is to be kept. */
static struct str external_chain(struct writer *w, const struct proxy_port *p, struct str chain)
{
	struct str name = chain_name(w, "ext", p), mark = {0}, ranges = {0};
	struct buf b;

	if (!p->external_local_only)
		mark = S("meta mark set meta mark or " MASQUERADE_MARK "\n");
	if (w->svc->source_ranges.n) {
		buf_init(&b, 1 << 20);
		buf_fmt(&b, "%s saddr != { ", ip_word(w));
		for (size_t i = 0; i < w->svc->source_ranges.n; i++)
			buf_fmt(&b, "%s" STR_FMT, i ? ", " : "",
				STR_ARG(w->svc->source_ranges.v[i]));
		buf_add_c(&b, " } drop\n");
		ranges = arena_str(w->a, buf_str(&b));
		buf_release(&b);
	}
	add(w, RULESET_CHAIN, name,
		arena_fmt(w->a, STR_FMT STR_FMT "goto " STR_FMT "\n", STR_ARG(ranges),
			STR_ARG(mark), STR_ARG(chain)));
	return name;
}

static void add_external(struct writer *w, const struct proxy_port *p, struct str chain)
{
	struct str ext = {0}, node_key;

	if (!w->svc->external_ips.n && !p->node_port)
		return;
	if (p->external.n)
		ext = external_chain(w, p, chain);
	for (size_t i = 0; i < w->svc->external_ips.n; i++) {
		struct str key = address_key(w, w->svc->external_ips.v[i], p);

		add_element(w, p->external.n ? "services" : "unanswered", key,
			p->external.n ? go_to(w, ext) : unanswered(p));
	}
	if (!p->node_port)
		return;
	node_key = arena_fmt(w->a, "%s . %d", p->protocol, p->node_port);
	add_element(w, p->external.n ? "nodeports" : "nodeports_unanswered", node_key,
		p->external.n ? go_to(w, ext) : unanswered(p));
}

static bool same_endpoints(const struct proxy_endpoints *a, const struct proxy_endpoints *b)
{
	bool same = a->n == b->n;

	for (size_t i = 0; same && i < a->n; i++)
		same = str_eq(a->v[i].ip, b->v[i].ip) && a->v[i].port == b->v[i].port;
	return same;
}

void ruleset_add_service(struct ruleset *r, const struct proxy_service *svc, struct arena *a)
{
	struct writer w = {r, svc, a};

	for (size_t i = 0; i < svc->n_ports; i++) {
		const struct proxy_port *p = &svc->ports[i];
		bool external = svc->external_ips.n || p->node_port;
		struct str chain = {0}, outside;

		if (p->internal.n)
			chain = add_spread(&w, "svc", p, &p->internal);
		outside = chain;
		if (external && p->external.n && !same_endpoints(&p->internal, &p->external))
			outside = add_spread(&w, "out", p, &p->external);
		add_internal(&w, p, chain);
		add_external(&w, p, outside);
	}
}

static int compare(const void *pa, const void *pb)
{
	const struct ruleset_item *a = pa, *b = pb;

	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	if (a->ipv6 != b->ipv6)
		return a->ipv6 ? 1 : -1;
	return str_cmp(a->name, b->name);
}

void ruleset_sort(struct ruleset *r)
{
	size_t n = 0;

	if (r->n)
		qsort(r->v, r->n, sizeof(*r->v), compare);
	for (size_t i = 0; i < r->n; i++) /* two ports may share an endpoint's address */
		if (!n || compare(&r->v[n - 1], &r->v[i]))
			r->v[n++] = r->v[i];
	r->n = n;
}

/* --- the difference --- */

static const char *family(const struct ruleset_item *i)
{
	return i->ipv6 ? "ip6" : "ip";
}

static void write_element(
	const struct ruleset_item *i, const char *verb, bool with_verdict, struct buf *nft)
{
	struct str map, key;

	str_cut(i->name, ' ', &map, &key);
	buf_fmt(nft, "%s element %s " TABLE " " STR_FMT " { " STR_FMT, verb, family(i),
		STR_ARG(map), STR_ARG(key));
	if (with_verdict)
		buf_fmt(nft, " : " STR_FMT, STR_ARG(i->body));
	buf_add_c(nft, " }\n");
}

static void write_rules(const struct ruleset_item *i, struct buf *nft)
{
	struct str rest = i->body, line;

	while (rest.n) {
		str_cut(rest, '\n', &line, &rest);
		buf_fmt(nft, "add rule %s " TABLE " " STR_FMT " " STR_FMT "\n", family(i),
			STR_ARG(i->name), STR_ARG(line));
	}
}

static void hairpin(
	struct ruleset_shared *shared, const struct ruleset_item *i, int by, struct buf *nft)
{
	struct str key = i->name;
	intptr_t n = (intptr_t)map_get(&shared->hairpins, key), now = n + by;

	if (now > 0)
		map_set(&shared->hairpins, key, (void *)now);
	else
		map_remove(&shared->hairpins, key);
	if ((n > 0) != (now > 0))
		buf_fmt(nft, "%s element %s " TABLE " hairpin { " STR_FMT " . " STR_FMT " }\n",
			now > 0 ? "add" : "delete", family(i), STR_ARG(key), STR_ARG(key));
}

/* What must be there before anything refers to it. */
static void begin(
	const struct ruleset_item *before, const struct ruleset_item *after, struct buf *nft)
{
	if (!after)
		return;
	if (after->kind == RULESET_SET && !before)
		buf_fmt(nft, "add set %s " TABLE " " STR_FMT " { " STR_FMT " }\n", family(after),
			STR_ARG(after->name), STR_ARG(after->body));
	if (after->kind == RULESET_CHAIN && !before)
		buf_fmt(nft, "add chain %s " TABLE " " STR_FMT "\n", family(after),
			STR_ARG(after->name));
}

static void change(const struct ruleset_item *before, const struct ruleset_item *after,
	struct ruleset_shared *shared, struct buf *nft)
{
	const struct ruleset_item *i = after ? after : before;
	bool same = before && after && str_eq(before->body, after->body);

	if (same)
		return;
	switch (i->kind) {
	case RULESET_SET:
		break;
	case RULESET_CHAIN:
		if (before)
			buf_fmt(nft, "flush chain %s " TABLE " " STR_FMT "\n", family(i),
				STR_ARG(i->name));
		if (after)
			write_rules(after, nft);
		break;
	case RULESET_ELEMENT:
		if (before)
			write_element(before, "delete", false, nft);
		if (after)
			write_element(after, "add", true, nft);
		break;
	case RULESET_HAIRPIN:
		hairpin(shared, i, after ? 1 : -1, nft);
		break;
	}
}

/* What nothing refers to any more. A set whose type changed (another timeout) keeps its first one:
 * nft cannot change it while it is used, and its clients are remembered for the old time only until
 * they are forgotten. */
static void finish(
	const struct ruleset_item *before, const struct ruleset_item *after, struct buf *nft)
{
	if (!before || after)
		return;
	if (before->kind == RULESET_CHAIN || before->kind == RULESET_SET)
		buf_fmt(nft, "delete %s %s " TABLE " " STR_FMT "\n",
			before->kind == RULESET_CHAIN ? "chain" : "set", family(before),
			STR_ARG(before->name));
}

enum pass { PASS_BEGIN, PASS_CHANGE, PASS_FINISH_CHAINS, PASS_FINISH_SETS };

static void visit(enum pass pass, const struct ruleset_item *before,
	const struct ruleset_item *after, struct ruleset_shared *shared, struct buf *nft)
{
	enum ruleset_kind kind = before ? before->kind : after->kind;

	if (pass == PASS_BEGIN)
		begin(before, after, nft);
	else if (pass == PASS_CHANGE)
		change(before, after, shared, nft);
	else if (kind == (pass == PASS_FINISH_CHAINS ? RULESET_CHAIN : RULESET_SET))
		finish(before, after, nft);
}

void ruleset_diff(const struct ruleset *before, const struct ruleset *after,
	struct ruleset_shared *shared, struct buf *nft)
{
	for (enum pass pass = PASS_BEGIN; pass <= PASS_FINISH_SETS; pass++) {
		size_t i = 0, j = 0;

		while (i < before->n || j < after->n) {
			int c = i == before->n  ? 1
				: j == after->n ? -1
						: compare(&before->v[i], &after->v[j]);

			visit(pass, c <= 0 ? &before->v[i] : NULL, c >= 0 ? &after->v[j] : NULL,
				shared, nft);
			i += c <= 0;
			j += c >= 0;
		}
	}
}

void ruleset_base(bool ipv6, struct buf *nft)
{
	const char *f = ipv6 ? "ip6" : "ip", *addr = ipv6 ? "ipv6_addr" : "ipv4_addr";

	buf_fmt(nft, "add table %s " TABLE "\ndelete table %s " TABLE "\n", f, f);
	buf_fmt(nft, "table %s " TABLE " {\n", f);
	buf_fmt(nft, "map services {\ntype %s . inet_proto . inet_service : verdict\n}\n", addr);
	buf_fmt(nft, "map unanswered {\ntype %s . inet_proto . inet_service : verdict\n}\n", addr);
	buf_add_c(nft, "map nodeports {\ntype inet_proto . inet_service : verdict\n}\n"
		       "map nodeports_unanswered {\ntype inet_proto . inet_service : verdict\n}\n");
	buf_fmt(nft, "set hairpin {\ntype %s . %s\n}\n", addr, addr);
	buf_add_c(nft, "chain refuse_it {\nmeta l4proto tcp reject with tcp reset\nreject\n}\n");
	buf_fmt(nft,
		"chain unanswered_services {\n%s daddr . meta l4proto . th dport vmap @unanswered\n"
		"fib daddr type local meta l4proto . th dport vmap @nodeports_unanswered\n}\n",
		f);
	/* a service nobody answers never reaches routing: refuse where packets enter and where they
	 * are made */
	buf_add_c(nft, "chain refuse_in {\ntype filter hook prerouting priority -110\nct state new "
		       "jump unanswered_services\n}\n"
		       "chain refuse_out {\ntype filter hook output priority -110\nct state new "
		       "jump unanswered_services\n}\n");
	buf_fmt(nft,
		"chain dispatch {\n%s daddr . meta l4proto . th dport vmap @services\n"
		"fib daddr type local meta l4proto . th dport vmap @nodeports\n}\n",
		f);
	buf_add_c(nft, "chain nat_in {\ntype nat hook prerouting priority -100\njump dispatch\n}\n"
		       "chain nat_out {\ntype nat hook output priority -100\njump dispatch\n}\n"
		       "chain nat_post {\ntype nat hook postrouting priority 100\n"
		       "meta mark & " MASQUERADE_MARK " == " MASQUERADE_MARK " masquerade\n");
	buf_fmt(nft, "%s saddr . %s daddr @hairpin masquerade\n", f, f);
	/* a node port reached over the loopback address: answers must find back */
	if (!ipv6)
		buf_add_c(
			nft, "oifname != \"lo\" ip saddr 127.0.0.0/8 ct status dnat masquerade\n");
	buf_add_c(nft, "}\n");
	/* route_localnet, which that needs, must not open the loopback addresses to the network */
	if (!ipv6)
		buf_add_c(nft,
			"chain guard_loopback {\ntype filter hook input priority 0\n"
			"iifname != \"lo\" ip daddr 127.0.0.0/8 ct status & dnat == 0 drop\n}\n");
	buf_add_c(nft, "}\n");
}
