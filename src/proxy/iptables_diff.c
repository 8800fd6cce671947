/* iptables_diff.c: from one ruleset to another as input for iptables-restore, and what stands
 * around the services. */
#include "proxy/iptables_rules.h"

enum { INPUT_MAX = 256 << 20 };

#define NEW_ONLY "-m conntrack --ctstate NEW"
const struct iptables_jump iptables_jumps[IPTABLES_JUMPS] = {
	{"filter", "INPUT", "KUBE-EXTERNAL-SERVICES", NEW_ONLY,
		"kubernetes externally-visible service portals"},
	{"filter", "FORWARD", "KUBE-EXTERNAL-SERVICES", NEW_ONLY,
		"kubernetes externally-visible service portals"},
	{"filter", "INPUT", "KUBE-NODEPORTS", NULL, "kubernetes health check service ports"},
	{"filter", "FORWARD", "KUBE-SERVICES", NEW_ONLY, "kubernetes service portals"},
	{"filter", "OUTPUT", "KUBE-SERVICES", NEW_ONLY, "kubernetes service portals"},
	{"filter", "FORWARD", "KUBE-FORWARD", NULL, "kubernetes forwarding rules"},
	{"filter", "INPUT", "KUBE-PROXY-FIREWALL", NEW_ONLY, "kubernetes load balancer firewall"},
	{"filter", "OUTPUT", "KUBE-PROXY-FIREWALL", NEW_ONLY, "kubernetes load balancer firewall"},
	{"filter", "FORWARD", "KUBE-PROXY-FIREWALL", NEW_ONLY, "kubernetes load balancer firewall"},
	{"filter", "INPUT", "KUBE-FIREWALL", NULL, NULL},
	{"filter", "OUTPUT", "KUBE-FIREWALL", NULL, NULL},
	{"nat", "OUTPUT", "KUBE-SERVICES", NULL, "kubernetes service portals"},
	{"nat", "PREROUTING", "KUBE-SERVICES", NULL, "kubernetes service portals"},
	{"nat", "POSTROUTING", "KUBE-POSTROUTING", NULL, "kubernetes postrouting rules"},
};

void iptables_batch_init(struct iptables_batch *b)
{
	buf_init(&b->filter, INPUT_MAX);
	buf_init(&b->nat_chains, INPUT_MAX);
	buf_init(&b->nat_rules, INPUT_MAX);
	buf_init(&b->nat_deletes, INPUT_MAX);
	b->n = 0;
}

void iptables_batch_reset(struct iptables_batch *b)
{
	iptables_batch_release(b);
	iptables_batch_init(b);
}

void iptables_batch_release(struct iptables_batch *b)
{
	buf_release(&b->filter);
	buf_release(&b->nat_chains);
	buf_release(&b->nat_rules);
	buf_release(&b->nat_deletes);
}

void iptables_batch_write(const struct iptables_batch *b, struct buf *out)
{
	if (b->filter.n) {
		buf_add_c(out, "*filter\n");
		buf_add_str(out, buf_str(&b->filter));
		buf_add_c(out, "COMMIT\n");
	}
	if (b->nat_chains.n || b->nat_rules.n || b->nat_deletes.n) {
		buf_add_c(out, "*nat\n");
		buf_add_str(out, buf_str(&b->nat_chains));
		buf_add_str(out, buf_str(&b->nat_rules));
		buf_add_str(out, buf_str(&b->nat_deletes));
		buf_add_c(out, "COMMIT\n");
	}
	out->failed |= b->filter.failed || b->nat_chains.failed || b->nat_rules.failed ||
		       b->nat_deletes.failed;
}

struct walk {
	bool ipv6;
	struct iptables_batch *b;
	struct iptables_top *top;
	bool changed;
};

static void shared_rule(struct walk *w, const struct ruleset_item *i, bool there)
{
	bool filter = i->kind == IPTABLES_FILTER_RULE;
	struct buf *to = filter ? &w->b->filter : &w->b->nat_rules;

	if (w->top)
		buf_fmt(filter ? &w->top->filter : &w->top->nat, "-A " STR_FMT "\n",
			STR_ARG(i->name));
	else
		buf_fmt(to, "-%c " STR_FMT "\n", there ? 'I' : 'D', STR_ARG(i->name));
}

/* Naming an existing chain empties it. */
static void empty_chain(struct walk *w, const struct ruleset_item *i, bool stays)
{
	buf_fmt(&w->b->nat_chains, ":" STR_FMT " - [0:0]\n", STR_ARG(i->name));
	if (!stays)
		buf_fmt(&w->b->nat_deletes, "-X " STR_FMT "\n", STR_ARG(i->name));
}

static void chain(struct walk *w, const struct ruleset_item *i, bool there)
{
	struct str rest = there ? i->body : (struct str){0}, rule;

	empty_chain(w, i, there);
	while (rest.n) {
		str_cut(rest, '\n', &rule, &rest);
		buf_add_c(&w->b->nat_rules, "-A ");
		buf_add_str(&w->b->nat_rules, i->name);
		buf_add_char(&w->b->nat_rules, ' ');
		buf_add_str(&w->b->nat_rules, rule);
		buf_add_char(&w->b->nat_rules, '\n');
	}
}

static void visit(
	void *user_data, const struct ruleset_item *before, const struct ruleset_item *after)
{
	struct walk *w = user_data;
	const struct ruleset_item *i = after ? after : before;

	if (i->ipv6 != w->ipv6 || (before && after && str_eq(before->body, after->body)))
		return;
	w->changed = true;
	if (i->kind == IPTABLES_CHAIN)
		chain(w, i, after != NULL);
	else
		shared_rule(w, i, after != NULL);
}

void iptables_diff(const struct ruleset *before, const struct ruleset *after, bool ipv6,
	struct iptables_batch *b, struct iptables_top *top)
{
	struct walk w = {ipv6, b, top, false};

	ruleset_compare(before, after, visit, &w);
	b->n += w.changed;
}

/* --- what is outdated --- */

struct retirement {
	struct walk walk;
	struct ruleset *left;
	struct arena *arena;
};

static void retire(
	void *user_data, const struct ruleset_item *before, const struct ruleset_item *after)
{
	struct retirement *r = user_data;
	const struct ruleset_item *i = after ? after : before;
	bool changed = !before || !after || !str_eq(before->body, after->body);
	struct ruleset_item left = *i;

	if (i->ipv6 != r->walk.ipv6)
		return;
	if (changed && (before || i->kind == IPTABLES_FILTER_RULE)) {
		r->walk.changed = true;
		if (i->kind != IPTABLES_CHAIN)
			shared_rule(&r->walk, i, after != NULL);
		else if (before->body.n || !after)
			empty_chain(&r->walk, i, after != NULL);
		left.body = (struct str){0};
	}
	if (after && (before || i->kind == IPTABLES_FILTER_RULE))
		ARENA_PUSH(r->arena, r->left, left);
}

void iptables_retire(const struct ruleset *before, const struct ruleset *after, bool ipv6,
	struct iptables_batch *b, struct iptables_top *top, struct ruleset *left, struct arena *a)
{
	struct retirement r = {{ipv6, b, top, false}, left, a};

	ruleset_compare(before, after, retire, &r);
	b->n += r.walk.changed;
}

void iptables_base(const struct proxy_config *c, struct buf *out)
{
	unsigned mark = 1u << c->masquerade_bit;

	buf_add_c(out, "*mangle\n:KUBE-PROXY-CANARY - [0:0]\nCOMMIT\n"
		       "*nat\n:KUBE-PROXY-CANARY - [0:0]\n:KUBE-MARK-MASQ - [0:0]\n"
		       ":KUBE-POSTROUTING - [0:0]\n");
	buf_fmt(out, "-A KUBE-MARK-MASQ -j MARK --or-mark 0x%08x\n", mark);
	buf_fmt(out,
		"-A KUBE-POSTROUTING -m mark ! --mark 0x%08x/0x%08x -j RETURN\n"
		"-A KUBE-POSTROUTING -j MARK --xor-mark 0x%08x\n",
		mark, mark, mark);
	buf_add_c(out, "-A KUBE-POSTROUTING -m comment --comment \"kubernetes service traffic "
		       "requiring SNAT\" -j MASQUERADE --random-fully\nCOMMIT\n");
}

static void insert_jumps(const char *table, const bool *missing, struct buf *out)
{
	for (int i = 0; i < IPTABLES_JUMPS; i++) {
		const struct iptables_jump *j = &iptables_jumps[i];

		if (!missing[i] || strcmp(j->table, table) != 0)
			continue;
		buf_fmt(out, "-I %s %s%s", j->from, j->match ? j->match : "", j->match ? " " : "");
		if (j->comment)
			buf_fmt(out, "-m comment --comment \"%s\" ", j->comment);
		buf_fmt(out, "-j %s\n", j->to);
	}
}

static void finish_filter(const struct proxy_config *c, bool ipv6, bool liberal, struct buf *out)
{
	unsigned mark = 1u << c->masquerade_bit;

	if (!ipv6 && c->localhost_node_ports)
		buf_add_c(out,
			"-A KUBE-FIREWALL -m comment --comment \"block incoming localnet "
			"connections\" -d 127.0.0.0/8 ! -s 127.0.0.0/8 -m conntrack ! --ctstate "
			"RELATED,ESTABLISHED,DNAT -j DROP\n");
	if (!liberal)
		buf_add_c(out, "-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP\n");
	buf_fmt(out,
		"-A KUBE-FORWARD -m comment --comment \"kubernetes forwarding rules\" -m mark "
		"--mark 0x%08x/0x%08x -j ACCEPT\n",
		mark, mark);
	buf_add_c(out, "-A KUBE-FORWARD -m comment --comment \"kubernetes forwarding conntrack "
		       "rule\" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n");
}

/* Node ports answer on this machine's addresses, or on some of them. */
static void node_ports(const struct proxy_config *c, bool ipv6, struct buf *out)
{
	static const char to[] =
		"-A KUBE-SERVICES -m comment --comment \"kubernetes service nodeports; NOTE: this "
		"must be the last rule in this chain\" ";
	const char *loopback = ipv6                      ? "! -d ::1/128 "
			       : c->localhost_node_ports ? ""
							 : "! -d 127.0.0.0/8 ";
	bool any = false;

	for (size_t i = 0; i < c->node_port_cidrs.n; i++) {
		struct str cidr = c->node_port_cidrs.v[i];

		if ((str_chr(cidr, ':') >= 0) != ipv6)
			continue;
		any = true;
		buf_fmt(out, "%s-d " STR_FMT " -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS\n",
			to, STR_ARG(cidr));
	}
	if (!any && c->node_port_primary && c->node_ips[ipv6].n)
		buf_fmt(out, "%s-d " STR_FMT " -j KUBE-NODEPORTS\n", to,
			STR_ARG(c->node_ips[ipv6]));
	else if (!any && !c->node_port_primary)
		buf_fmt(out, "%s-m addrtype --dst-type LOCAL %s-j KUBE-NODEPORTS\n", to, loopback);
}

void iptables_finish(const struct proxy_config *c, bool ipv6, const struct iptables_top *top,
	const bool missing[IPTABLES_JUMPS], bool liberal, struct buf *out)
{
	buf_add_c(out, "*filter\n:KUBE-SERVICES - [0:0]\n:KUBE-EXTERNAL-SERVICES - [0:0]\n"
		       ":KUBE-FORWARD - [0:0]\n:KUBE-NODEPORTS - [0:0]\n"
		       ":KUBE-PROXY-FIREWALL - [0:0]\n:KUBE-PROXY-CANARY - [0:0]\n"
		       ":KUBE-FIREWALL - [0:0]\n");
	buf_add_str(out, buf_str(&top->filter));
	finish_filter(c, ipv6, liberal, out);
	insert_jumps("filter", missing, out);
	buf_add_c(out, "COMMIT\n*nat\n:KUBE-SERVICES - [0:0]\n:KUBE-NODEPORTS - [0:0]\n");
	buf_add_str(out, buf_str(&top->nat));
	node_ports(c, ipv6, out);
	insert_jumps("nat", missing, out);
	buf_add_c(out, "COMMIT\n");
	out->failed |= top->filter.failed || top->nat.failed;
}
