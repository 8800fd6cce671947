#include "proxy/iptables_wire.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <netinet/in.h>
#include <stdio.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "proxy/iptables_expr.h"

enum { MESSAGE_MAX = IPTABLES_RULE_BYTES + 512, CHAIN_EMPTY = 1 };

struct iptables_pending {
	uint32_t seq;
	char *key;
};

struct assembler {
	struct iptables_wire *wire;
	struct buf *out;
	uint32_t seq;
	char table[IPTABLES_TABLE_MAX];
	_Alignas(8) char message[MESSAGE_MAX];
	struct nlmsghdr *h;
	char weighed[IPTABLES_NAME_MAX]; /* the chain whose rules are being added up */
	intptr_t balance;
};

/* --- messages --- */

static void begin(struct assembler *a, int type, int flags)
{
	struct nfgenmsg *g;

	a->h = mnl_nlmsg_put_header(a->message);
	a->h->nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | type;
	a->h->nlmsg_flags = NLM_F_REQUEST | flags;
	a->h->nlmsg_seq = a->seq++;
	g = mnl_nlmsg_put_extra_header(a->h, sizeof(*g));
	g->nfgen_family = a->wire->ipv6 ? NFPROTO_IPV6 : NFPROTO_IPV4;
	g->version = NFNETLINK_V0;
}

static void end(struct assembler *a)
{
	buf_add(a->out, a->message, a->h->nlmsg_len);
}

static void put_be32(struct assembler *a, int attr, uint32_t v)
{
	mnl_attr_put_u32(a->h, attr, htonl(v));
}

static void put_str(struct assembler *a, int attr, struct str s)
{
	char text[IPTABLES_NAME_MAX];

	memcpy(text, s.p, s.n);
	text[s.n] = 0;
	mnl_attr_put_strz(a->h, attr, text);
}

/* --- rules --- */

/* A rule weighs one in the chain where it stands and one in that to which it leads: together as
 * much as the kernel says that its chains are in use. */
static int weight_of(struct str spec)
{
	return 1 + (str_find(spec, S("-j KUBE-")) >= 0);
}

static struct str chain_key(const struct assembler *a, struct str chain, char *buf, size_t size)
{
	snprintf(buf, size, "%s " STR_FMT, a->table, STR_ARG(chain));
	return str_c(buf);
}

/* What was added up for one chain goes to the books. */
static void settle(struct assembler *a)
{
	struct iptables_wire *w = a->wire;
	char buf[2 * IPTABLES_NAME_MAX];
	struct str key = chain_key(a, str_c(a->weighed), buf, sizeof(buf));
	intptr_t weight = a->balance ? (intptr_t)map_get(&w->chains, key) : 0;

	if (weight) { /* no base chain */
		map_set(&w->chains, key, (void *)(weight + a->balance));
		w->weight += a->balance;
	}
	a->balance = 0;
}

/* Rules of a chain mostly come together. */
static void weigh(struct assembler *a, struct str chain, int by)
{
	if (!str_eqc(chain, a->weighed)) {
		settle(a);
		memcpy(a->weighed, chain.p, chain.n);
		a->weighed[chain.n] = 0;
	}
	a->balance += by;
}

static char *handle_key(const struct assembler *a, struct str rule)
{
	return xasprintf("%s " STR_FMT, a->table, STR_ARG(rule));
}

/* Rules of shared chains come and go one by one; of others the whole chain does. */
static bool is_wanted_again(struct str chain)
{
	return str_eqc(chain, "KUBE-SERVICES") || str_eqc(chain, "KUBE-NODEPORTS") ||
	       str_eqc(chain, "KUBE-EXTERNAL-SERVICES") || str_eqc(chain, "KUBE-PROXY-FIREWALL");
}

static void expect_handle(struct assembler *a, struct str rule)
{
	struct iptables_wire *w = a->wire;

	if (w->n_pending == w->cap_pending) {
		w->cap_pending = w->cap_pending ? 2 * w->cap_pending : 16;
		w->pending = xrealloc(w->pending, w->cap_pending * sizeof(*w->pending));
	}
	w->pending[w->n_pending++] =
		(struct iptables_pending){a->h->nlmsg_seq, handle_key(a, rule)};
}

static void base_chain(struct assembler *a, struct str name);

/* `text`: "CHAIN SPEC" */
static int add_rule(struct assembler *a, struct str text, bool append)
{
	struct iptables_rule rule;
	struct str chain, spec;
	bool again;

	str_cut(text, ' ', &chain, &spec);
	again = is_wanted_again(chain);
	if (chain.n >= IPTABLES_NAME_MAX || iptables_parse(spec, a->wire->ipv6, &rule) < 0)
		return -EINVAL;
	base_chain(a, chain);
	begin(a, NFT_MSG_NEWRULE,
		NLM_F_CREATE | (append ? NLM_F_APPEND : 0) | (again ? NLM_F_ECHO : 0));
	mnl_attr_put_strz(a->h, NFTA_RULE_TABLE, a->table);
	put_str(a, NFTA_RULE_CHAIN, chain);
	iptables_put_rule(a->h, &rule, a->wire->ipv6);
	if (again)
		expect_handle(a, text);
	end(a);
	weigh(a, chain, weight_of(spec));
	return 0;
}

static int delete_rule(struct assembler *a, struct str rule)
{
	char *key = handle_key(a, rule);
	uintptr_t handle = (uintptr_t)map_remove(&a->wire->handles, str_c(key));
	struct str chain, spec;

	free(key);
	if (!handle)
		return -ENOENT;
	str_cut(rule, ' ', &chain, &spec);
	if (chain.n >= IPTABLES_NAME_MAX)
		return -EINVAL;
	begin(a, NFT_MSG_DELRULE, 0);
	mnl_attr_put_strz(a->h, NFTA_RULE_TABLE, a->table);
	put_str(a, NFTA_RULE_CHAIN, chain);
	mnl_attr_put_u64(a->h, NFTA_RULE_HANDLE, htobe64(handle));
	end(a);
	weigh(a, chain, -weight_of(spec));
	return 0;
}

/* --- chains --- */

static bool is_nat(const struct assembler *a)
{
	return strcmp(a->table, "nat") == 0;
}

/* The chains that packets pass: made when the first rule is put there, as iptables-nft does it.
 * What is there stays as it is, also its policy. */
static void base_chain(struct assembler *a, struct str name)
{
	static const struct {
		const char *name;
		int hook;
	} known[] = {{"PREROUTING", NF_INET_PRE_ROUTING}, {"INPUT", NF_INET_LOCAL_IN},
		{"FORWARD", NF_INET_FORWARD}, {"OUTPUT", NF_INET_LOCAL_OUT},
		{"POSTROUTING", NF_INET_POST_ROUTING}};
	size_t i = 0;
	struct nlattr *nest;

	while (i < ARRAY_SIZE(known) && !str_eqc(name, known[i].name))
		i++;
	if (i == ARRAY_SIZE(known))
		return;
	begin(a, NFT_MSG_NEWCHAIN, NLM_F_CREATE);
	mnl_attr_put_strz(a->h, NFTA_CHAIN_TABLE, a->table);
	mnl_attr_put_strz(a->h, NFTA_CHAIN_NAME, known[i].name);
	nest = mnl_attr_nest_start(a->h, NFTA_CHAIN_HOOK);
	put_be32(a, NFTA_HOOK_HOOKNUM, known[i].hook);
	put_be32(a, NFTA_HOOK_PRIORITY,
		!is_nat(a)                              ? 0
		: known[i].hook == NF_INET_POST_ROUTING ? 100
							: (uint32_t)-100);
	mnl_attr_nest_end(a->h, nest);
	mnl_attr_put_strz(a->h, NFTA_CHAIN_TYPE, is_nat(a) ? "nat" : "filter");
	end(a);
}

static int begin_table(struct assembler *a, struct str name)
{
	if (!name.n || name.n >= sizeof(a->table))
		return -EINVAL;
	settle(a);
	memcpy(a->table, name.p, name.n);
	a->table[name.n] = 0;
	begin(a, NFT_MSG_NEWTABLE, NLM_F_CREATE);
	mnl_attr_put_strz(a->h, NFTA_TABLE_NAME, a->table);
	end(a);
	return 0;
}

static void name_chain(struct assembler *a, int type, int flags, int attr, struct str name)
{
	begin(a, type, flags);
	_Static_assert((int)NFTA_CHAIN_TABLE == (int)NFTA_RULE_TABLE, "the same attribute");
	mnl_attr_put_strz(a->h, NFTA_CHAIN_TABLE, a->table);
	put_str(a, attr, name);
	end(a);
}

/* ":CHAIN - [0:0]": made, or emptied. */
static int fresh_chain(struct assembler *a, struct str line)
{
	struct iptables_wire *w = a->wire;
	char buf[2 * IPTABLES_NAME_MAX];
	struct str name, rest, key;
	intptr_t weight;

	str_cut(line, ' ', &name, &rest);
	if (!name.n || name.n >= IPTABLES_NAME_MAX)
		return -EINVAL;
	settle(a);
	key = chain_key(a, name, buf, sizeof(buf));
	weight = (intptr_t)map_set(&w->chains, key, (void *)CHAIN_EMPTY);
	name_chain(a, NFT_MSG_NEWCHAIN, NLM_F_CREATE, NFTA_CHAIN_NAME, name);
	if (weight) {
		name_chain(a, NFT_MSG_DELRULE, 0, NFTA_RULE_CHAIN, name);
		w->weight -= weight - CHAIN_EMPTY;
	}
	map_remove(&w->doomed, key);
	return 0;
}

/* One line of iptables-restore's input. */
static int line(struct assembler *a, struct str l)
{
	struct str rest = str_sub(l, l.n < 3 ? l.n : 3, l.n);
	char buf[2 * IPTABLES_NAME_MAX];

	if (str_starts(l, S("*")))
		return begin_table(a, str_sub(l, 1, l.n));
	if (str_starts(l, S(":")))
		return fresh_chain(a, str_sub(l, 1, l.n));
	if (str_eqc(l, "COMMIT"))
		return 0;
	if (str_starts(l, S("-A ")))
		return add_rule(a, rest, true);
	if (str_starts(l, S("-I ")))
		return add_rule(a, rest, false);
	if (str_starts(l, S("-D ")))
		return delete_rule(a, rest);
	if (!str_starts(l, S("-X ")) || !rest.n || rest.n >= IPTABLES_NAME_MAX)
		return -EINVAL;
	map_set(&a->wire->doomed, chain_key(a, rest, buf, sizeof(buf)), a->wire);
	return 0;
}

int iptables_wire_append(struct iptables_wire *w, struct str input, uint32_t *seq,
	struct buf *messages, struct err *err)
{
	struct assembler a = {.wire = w, .out = messages, .seq = *seq};
	struct str rest = input, l;
	int r = 0;

	while (r == 0 && rest.n) {
		str_cut(rest, '\n', &l, &rest);
		if (l.n)
			r = line(&a, l);
	}
	settle(&a);
	if (r < 0)
		return err_errno(err, -r, "cannot write the rule \"" STR_FMT "\"", STR_ARG(l));
	*seq = a.seq;
	return 0;
}

void iptables_wire_tidy(struct iptables_wire *w, uint32_t *seq, struct buf *messages)
{
	struct assembler a = {.wire = w, .out = messages, .seq = *seq};

	for (struct map_entry *e = map_first(&w->doomed); e; e = map_next(&w->doomed, e)) {
		struct str key = str_n(e->key, e->key_len), name;

		str_cut(key, ' ', &(struct str){0}, &name);
		snprintf(a.table, sizeof(a.table), "%.*s", (int)(name.p - key.p - 1), key.p);
		name_chain(&a, NFT_MSG_DELCHAIN, 0, NFTA_CHAIN_NAME, name);
		map_remove(&w->chains, key);
	}
	map_release(&w->doomed);
	*seq = a.seq;
}

/* --- what is there --- */

void iptables_wire_knows(struct iptables_wire *w, struct str table, struct str chain)
{
	char key[2 * IPTABLES_NAME_MAX];

	snprintf(key, sizeof(key), STR_FMT " " STR_FMT, STR_ARG(table), STR_ARG(chain));
	map_set(&w->chains, str_c(key), (void *)CHAIN_EMPTY);
}

/* --- what came of it --- */

/* They stand in the order of their numbers. */
static struct iptables_pending *pending_of(struct iptables_wire *w, uint32_t seq)
{
	size_t from = 0, to = w->n_pending;

	while (from < to) {
		size_t middle = (from + to) / 2;

		if (w->pending[middle].seq == seq)
			return &w->pending[middle];
		if (w->pending[middle].seq < seq)
			from = middle + 1;
		else
			to = middle;
	}
	return NULL;
}

void iptables_wire_echo(void *user_data, const struct nlmsghdr *h)
{
	struct iptables_wire *const *wires = user_data;
	const struct nfgenmsg *g = mnl_nlmsg_get_payload(h);
	struct iptables_wire *w = wires[g->nfgen_family == NFPROTO_IPV6];
	const struct iptables_pending *p = w ? pending_of(w, h->nlmsg_seq) : NULL;
	const struct nlattr *attr;

	if (!p || (h->nlmsg_type & 0xff) != NFT_MSG_NEWRULE)
		return;
	mnl_attr_for_each(attr, h, sizeof(*g))
	{
		if (mnl_attr_get_type(attr) == NFTA_RULE_HANDLE)
			map_set(&w->handles, str_c(p->key),
				(void *)(uintptr_t)be64toh(mnl_attr_get_u64(attr)));
	}
}

void iptables_wire_expect_nothing(struct iptables_wire *w)
{
	for (size_t i = 0; i < w->n_pending; i++)
		free(w->pending[i].key);
	w->n_pending = 0;
}

void iptables_wire_release(struct iptables_wire *w)
{
	iptables_wire_expect_nothing(w);
	free(w->pending);
	map_release(&w->handles);
	map_release(&w->doomed);
	map_release(&w->chains);
	*w = (struct iptables_wire){.ipv6 = w->ipv6};
}
