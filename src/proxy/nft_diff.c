/* nft_diff.c: from one ruleset to another in nft's commands, and what stands around services. */
#include "proxy/nft_rules.h"

const char *const nft_shards[NFT_SHARDS] = {NFT_TABLE "_0", NFT_TABLE "_1", NFT_TABLE "_2",
	NFT_TABLE "_3", NFT_TABLE "_4", NFT_TABLE "_5", NFT_TABLE "_6", NFT_TABLE "_7"};

struct walk {
	struct nft_shared *shared;
	struct buf *nft;
	enum { PASS_BEGIN, PASS_DELETE, PASS_ADD, PASS_FINISH_CHAINS, PASS_FINISH_SETS } pass;
};

static const char *family(const struct ruleset_item *i)
{
	return i->ipv6 ? "ip6" : "ip";
}

static struct str stale_key(struct arena *a, const struct ruleset_item *i)
{
	return arena_fmt(a, "%s %s %s " STR_FMT, i->kind == NFT_SET ? "set" : "chain", family(i),
		i->table, STR_ARG(i->name));
}

/* --- elements: services may name the same external address; the first one has it --- */

struct nft_claim {
	struct nft_claim *next;
	char *value;
};

static void claim_free(struct nft_claim *c)
{
	free(c->value);
	free(c);
}

void nft_shared_release(struct nft_shared *s)
{
	for (struct map_entry *e = map_first(&s->claims); e; e = map_next(&s->claims, e))
		for (struct nft_claim *c = e->value, *next; c; c = next) {
			next = c->next;
			claim_free(c);
		}
	map_release(&s->claims);
	map_release(&s->hairpins);
	map_release(&s->stale);
	*s = (struct nft_shared){0};
}

static void write_element(
	const struct ruleset_item *i, const char *verb, const char *value, struct buf *nft)
{
	struct str map, key;

	str_cut(i->name, ' ', &map, &key);
	buf_fmt(nft, "%s element %s %s " STR_FMT " { " STR_FMT, verb, family(i), i->table,
		STR_ARG(map), STR_ARG(key));
	buf_fmt(nft, value ? " : %s }\n" : " }\n", value);
}

static struct str claim_key(struct arena *a, const struct ruleset_item *i)
{
	return arena_fmt(a, "%s %s " STR_FMT, family(i), i->table, STR_ARG(i->name));
}

static void add_element(struct nft_shared *s, const struct ruleset_item *i, struct buf *nft)
{
	struct arena a = {0};
	struct str key = claim_key(&a, i);
	struct nft_claim *c = xcalloc(1, sizeof(*c)), *first = map_get(&s->claims, key);

	c->value = xasprintf(STR_FMT, STR_ARG(i->body));
	if (first) {
		while (first->next)
			first = first->next;
		first->next = c;
	} else {
		map_set(&s->claims, key, c);
		write_element(i, "add", c->value, nft);
	}
	arena_release(&a);
}

static void delete_element(struct nft_shared *s, const struct ruleset_item *i, struct buf *nft)
{
	struct arena a = {0};
	struct str key = claim_key(&a, i);
	struct nft_claim *first = map_get(&s->claims, key), *c = first, *prev = NULL;

	while (c && !str_eqc(i->body, c->value)) {
		prev = c;
		c = c->next;
	}
	if (c && prev) {
		prev->next = c->next;
	} else if (c) {
		write_element(i, "delete", NULL, nft);
		if (c->next) {
			map_set(&s->claims, key, c->next);
			write_element(i, "add", c->next->value, nft);
		} else {
			map_remove(&s->claims, key);
		}
	}
	if (c)
		claim_free(c);
	arena_release(&a);
}

static void write_rules(const struct ruleset_item *i, struct buf *nft)
{
	struct str rest = i->body, line;

	while (rest.n) {
		str_cut(rest, '\n', &line, &rest);
		buf_fmt(nft, "add rule %s %s " STR_FMT " " STR_FMT "\n", family(i), i->table,
			STR_ARG(i->name), STR_ARG(line));
	}
}

static void hairpin(struct walk *w, const struct ruleset_item *i, int by)
{
	struct str key = i->name;
	intptr_t n = (intptr_t)map_get(&w->shared->hairpins, key), now = n + by;

	if (now > 0)
		map_set(&w->shared->hairpins, key, (void *)now);
	else
		map_remove(&w->shared->hairpins, key);
	if ((n > 0) != (now > 0))
		buf_fmt(w->nft, "%s element %s %s hairpin { " STR_FMT " . " STR_FMT " }\n",
			now > 0 ? "add" : "delete", family(i), i->table, STR_ARG(key),
			STR_ARG(key));
}

/* What must be there before anything refers to it. */
static void begin(struct walk *w, const struct ruleset_item *after)
{
	struct arena a = {0};

	if (after->kind == NFT_SET || after->kind == NFT_CHAIN)
		map_remove(&w->shared->stale, stale_key(&a, after));
	if (after->kind == NFT_SET)
		buf_fmt(w->nft, "add set %s %s " STR_FMT " { " STR_FMT " }\n", family(after),
			after->table, STR_ARG(after->name), STR_ARG(after->body));
	if (after->kind == NFT_CHAIN)
		buf_fmt(w->nft, "add chain %s %s " STR_FMT "\n", family(after), after->table,
			STR_ARG(after->name));
	arena_release(&a);
}

static void take_out(
	struct walk *w, const struct ruleset_item *before, const struct ruleset_item *after)
{
	if (before->kind == NFT_ELEMENT)
		delete_element(w->shared, before, w->nft);
	else if (before->kind == NFT_HAIRPIN)
		hairpin(w, before, -1);
	else if (before->kind == NFT_CHAIN && after)
		buf_fmt(w->nft, "flush chain %s %s " STR_FMT "\n", family(before), before->table,
			STR_ARG(before->name));
}

static void put_in(struct walk *w, const struct ruleset_item *after)
{
	if (after->kind == NFT_ELEMENT)
		add_element(w->shared, after, w->nft);
	else if (after->kind == NFT_HAIRPIN)
		hairpin(w, after, 1);
	else if (after->kind == NFT_CHAIN)
		write_rules(after, w->nft);
}

/* Nothing refers to it any more. */
static void finish(struct walk *w, const struct ruleset_item *before)
{
	struct arena a = {0};

	if (before->kind == NFT_SET) {
		buf_fmt(w->nft, "delete set %s %s " STR_FMT "\n", family(before), before->table,
			STR_ARG(before->name));
	} else {
		buf_fmt(w->nft, "flush chain %s %s " STR_FMT "\n", family(before), before->table,
			STR_ARG(before->name));
		map_set(&w->shared->stale, stale_key(&a, before), w->shared);
	}
	arena_release(&a);
}

static void visit(
	void *user_data, const struct ruleset_item *before, const struct ruleset_item *after)
{
	struct walk *w = user_data;
	bool same = before && after && str_eq(before->body, after->body);

	if (same)
		return;
	switch (w->pass) {
	case PASS_BEGIN:
		if (after && !before)
			begin(w, after);
		break;
	case PASS_DELETE:
		if (before)
			take_out(w, before, after);
		break;
	case PASS_ADD:
		if (after)
			put_in(w, after);
		break;
	case PASS_FINISH_CHAINS:
		if (!after && before->kind == NFT_CHAIN)
			finish(w, before);
		break;
	case PASS_FINISH_SETS:
		if (!after && before->kind == NFT_SET)
			finish(w, before);
		break;
	}
}

void nft_diff(struct nft_shared *s, const struct ruleset *before, const struct ruleset *after,
	struct buf *nft)
{
	struct walk w = {s, nft, PASS_BEGIN};

	for (int pass = PASS_BEGIN; pass <= PASS_FINISH_SETS; pass++) {
		w.pass = pass;
		ruleset_compare(before, after, visit, &w);
	}
}

void nft_tidy(struct nft_shared *s, struct buf *nft)
{
	for (struct map_entry *e = map_first(&s->stale); e; e = map_next(&s->stale, e))
		buf_fmt(nft, "delete %s\n", e->key);
	map_release(&s->stale);
}

/* --- around the services --- */

struct base {
	const struct proxy_config *config;
	bool ipv6;
	enum nft_place place;
	const char *f, *table; /* "ip" */
	struct buf *nft;
};

static void map(const struct base *b, const char *name, const char *type)
{
	buf_fmt(b->nft, "add map %s %s %s { type %s : verdict; }\n", b->f, b->table, name, type);
}

static const char *address_key_type(const struct base *b)
{
	return b->ipv6 ? "ipv6_addr . inet_proto . inet_service"
		       : "ipv4_addr . inet_proto . inet_service";
}

static void chain(const struct base *b, const char *name, const char *hook)
{
	if (hook)
		buf_fmt(b->nft, "add chain %s %s %s { type %s; }\n", b->f, b->table, name, hook);
	else
		buf_fmt(b->nft, "add chain %s %s %s\n", b->f, b->table, name);
	buf_fmt(b->nft, "flush chain %s %s %s\n", b->f, b->table, name);
}

static void PRINTF_LIKE(3, 4) rule(const struct base *b, const char *to, const char *fmt, ...)
{
	va_list ap;

	buf_fmt(b->nft, "add rule %s %s %s ", b->f, b->table, to);
	va_start(ap, fmt);
	buf_vfmt(b->nft, fmt, ap);
	va_end(ap);
	buf_add_char(b->nft, '\n');
}

/* Node ports answer on this machine's addresses, or on some of them. */
static void node_ports(const struct base *b, const char *chain_name, const char *map)
{
	const struct proxy_config *c = b->config;
	struct str primary = c->node_ips[b->ipv6];
	const char *not_loopback = b->ipv6                   ? "ip6 daddr != ::1 "
				   : c->localhost_node_ports ? ""
							     : "ip daddr != 127.0.0.0/8 ";
	bool any = false;

	for (size_t i = 0; i < c->node_port_cidrs.n; i++) {
		struct str cidr = c->node_port_cidrs.v[i];

		if ((str_chr(cidr, ':') >= 0) != b->ipv6)
			continue;
		any = true;
		rule(b, chain_name,
			"%s daddr " STR_FMT
			" %sfib daddr type local meta l4proto . th dport vmap @%s",
			b->f, STR_ARG(cidr), not_loopback, map);
	}
	if (any)
		return;
	if (c->node_port_primary) {
		if (primary.n)
			rule(b, chain_name, "%s daddr " STR_FMT " meta l4proto . th dport vmap @%s",
				b->f, STR_ARG(primary), map);
		return;
	}
	rule(b, chain_name, "%sfib daddr type local meta l4proto . th dport vmap @%s", not_loopback,
		map);
}

/* A service that nobody answers never reaches routing: refuse where packets enter and where they
 * are made. The same for addresses of load balancers that not everybody may use. */
static void filters(const struct base *b)
{
	map(b, "unanswered", address_key_type(b));
	map(b, "firewall", address_key_type(b));
	map(b, "nodeports_unanswered", "inet_proto . inet_service");
	chain(b, "refuse_it", NULL);
	/* an ICMP message for a connection of this machine arrives before connect(2) is ready for
	 * it, and would be heard a second later only */
	rule(b, "refuse_it", "meta l4proto tcp fib saddr type local reject with tcp reset");
	rule(b, "refuse_it", "reject");
	chain(b, "unanswered_services", NULL);
	rule(b, "unanswered_services", "%s daddr . meta l4proto . th dport vmap @firewall", b->f);
	rule(b, "unanswered_services", "%s daddr . meta l4proto . th dport vmap @unanswered", b->f);
	node_ports(b, "unanswered_services", "nodeports_unanswered");
	chain(b, "refuse_in", "filter hook prerouting priority -110");
	rule(b, "refuse_in", "ct state new jump unanswered_services");
	chain(b, "refuse_out", "filter hook output priority -110");
	rule(b, "refuse_out", "ct state new jump unanswered_services");
}

/* Where a part of the services is. */
static void shard(const struct base *b)
{
	bool beside = b->place == NFT_BESIDE_IPTABLES;

	map(b, "services", address_key_type(b));
	map(b, "nodeports", "inet_proto . inet_service");
	chain(b, "masquerade_it", NULL);
	rule(b, "masquerade_it", "meta mark set meta mark or 0x%08x",
		1u << b->config->masquerade_bit);
	chain(b, "dispatch", NULL);
	rule(b, "dispatch", "%s daddr . meta l4proto . th dport vmap @services", b->f);
	node_ports(b, "dispatch", "nodeports");
	chain(b, "nat_in",
		beside ? "nat hook prerouting priority -99" : "nat hook prerouting priority -100");
	rule(b, "nat_in", "jump dispatch");
	chain(b, "nat_out",
		beside ? "nat hook output priority -99" : "nat hook output priority -100");
	rule(b, "nat_out", "jump dispatch");
}

static void masquerading(const struct base *b)
{
	const char *addr = b->ipv6 ? "ipv6_addr" : "ipv4_addr";
	unsigned mark = 1u << b->config->masquerade_bit;

	buf_fmt(b->nft, "add set %s %s hairpin { type %s . %s; }\n", b->f, b->table, addr, addr);
	chain(b, "marked", NULL);
	rule(b, "marked", "meta mark set meta mark xor 0x%08x", mark);
	rule(b, "marked", "masquerade fully-random");
	chain(b, "nat_post", "nat hook postrouting priority 100");
	rule(b, "nat_post", "meta mark & 0x%08x == 0x%08x goto marked", mark, mark);
	rule(b, "nat_post", "%s saddr . %s daddr @hairpin masquerade", b->f, b->f);
	/* a node port reached over the loopback address: answers must find back */
	if (!b->ipv6)
		rule(b, "nat_post",
			"oifname != \"lo\" ip saddr 127.0.0.0/8 ct status dnat masquerade");
}

void nft_base(const struct proxy_config *c, bool ipv6, enum nft_place place, struct buf *nft)
{
	struct base b = {c, ipv6, place, ipv6 ? "ip6" : "ip", NFT_TABLE, nft};

	buf_fmt(nft, "add table %s %s\n", b.f, b.table);
	if (place == NFT_BESIDE_IPTABLES)
		chain(&b, NFT_BESIDE_IPTABLES_MARK, NULL);
	filters(&b);
	masquerading(&b);
	/* route_localnet, which node ports on 127.0.0.1 need, must not open the loopback addresses
	 * to the network */
	if (!ipv6) {
		chain(&b, "guard_loopback", "filter hook input priority 0");
		rule(&b, "guard_loopback",
			"iifname != \"lo\" ip daddr 127.0.0.0/8 ct status & dnat == 0 drop");
	}
	for (int i = 0; i < NFT_SHARDS; i++) {
		b.table = nft_shards[i];
		buf_fmt(nft, "add table %s %s\n", b.f, b.table);
		shard(&b);
	}
}

void nft_flush_maps(bool ipv6, struct buf *nft)
{
	static const char *const all[] = {
		"map unanswered", "map firewall", "map nodeports_unanswered", "set hairpin"};
	const char *f = ipv6 ? "ip6" : "ip";

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		buf_fmt(nft, "flush %.3s %s " NFT_TABLE " %s\n", all[i], f, all[i] + 4);
	for (int i = 0; i < NFT_SHARDS; i++)
		buf_fmt(nft, "flush map %s %s services\nflush map %s %s nodeports\n", f,
			nft_shards[i], f, nft_shards[i]);
}

void nft_delete_tables(bool ipv6, struct buf *nft)
{
	const char *f = ipv6 ? "ip6" : "ip";

	buf_fmt(nft, "add table %s " NFT_TABLE "\ndelete table %s " NFT_TABLE "\n", f, f);
	for (int i = 0; i < NFT_SHARDS; i++)
		buf_fmt(nft, "add table %s %s\ndelete table %s %s\n", f, nft_shards[i], f,
			nft_shards[i]);
}
