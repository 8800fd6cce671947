#include "proxy/iptables_expr.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <math.h>
#include <net/if.h>
#include <netinet/in.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/xt_MARK.h>
#include <linux/netfilter/xt_addrtype.h>
#include <linux/netfilter/xt_comment.h>
#include <linux/netfilter/xt_conntrack.h>
#include <linux/netfilter/xt_mark.h>
#include <linux/netfilter/xt_recent.h>
#include <linux/netfilter/xt_sctp.h>
#include <linux/netfilter/xt_statistic.h>
#include <linux/netfilter/xt_tcpudp.h>
#include <linux/netfilter_ipv4/ipt_REJECT.h>
#include <linux/netfilter_ipv6/ip6t_REJECT.h>

struct assembler {
	struct nlmsghdr *h;
	const struct iptables_rule *rule;
	bool ipv6;
};

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

static void put_value(struct assembler *a, int attr, const void *p, size_t n)
{
	struct nlattr *nest = mnl_attr_nest_start(a->h, attr);

	mnl_attr_put(a->h, NFTA_DATA_VALUE, n, p);
	mnl_attr_nest_end(a->h, nest);
}

struct expr {
	struct nlattr *elem, *data;
};

static struct expr expr_begin(struct assembler *a, const char *name)
{
	struct expr e;

	e.elem = mnl_attr_nest_start(a->h, NFTA_LIST_ELEM);
	mnl_attr_put_strz(a->h, NFTA_EXPR_NAME, name);
	e.data = mnl_attr_nest_start(a->h, NFTA_EXPR_DATA);
	return e;
}

static void expr_end(struct assembler *a, struct expr e)
{
	mnl_attr_nest_end(a->h, e.data);
	mnl_attr_nest_end(a->h, e.elem);
}

/* --- what iptables-nft says in nft's own expressions --- */

static void compare(struct assembler *a, bool equal, const void *p, size_t n)
{
	struct expr e = expr_begin(a, "cmp");

	put_be32(a, NFTA_CMP_SREG, NFT_REG_1);
	put_be32(a, NFTA_CMP_OP, equal ? NFT_CMP_EQ : NFT_CMP_NEQ);
	put_value(a, NFTA_CMP_DATA, p, n);
	expr_end(a, e);
}

static void load_meta(struct assembler *a, int key)
{
	struct expr e = expr_begin(a, "meta");

	put_be32(a, NFTA_META_KEY, key);
	put_be32(a, NFTA_META_DREG, NFT_REG_1);
	expr_end(a, e);
}

static void match_interface(struct assembler *a)
{
	struct str name = a->rule->interface;
	bool prefix = str_ends(name, S("+"));
	char value[IFNAMSIZ] = "";

	load_meta(a, NFT_META_IIFNAME);
	memcpy(value, name.p, name.n - prefix);
	compare(a, !a->rule->interface_negated, value, name.n - prefix + !prefix);
}

static void mask(struct assembler *a, const void *bits, size_t n)
{
	static const unsigned char zero[16];
	struct expr e = expr_begin(a, "bitwise");

	put_be32(a, NFTA_BITWISE_SREG, NFT_REG_1);
	put_be32(a, NFTA_BITWISE_DREG, NFT_REG_1);
	put_be32(a, NFTA_BITWISE_LEN, n);
	put_value(a, NFTA_BITWISE_MASK, bits, n);
	put_value(a, NFTA_BITWISE_XOR, zero, n);
	expr_end(a, e);
}

/* A prefix of whole bytes is compared alone, without a mask. */
static void match_address(struct assembler *a, const struct iptables_address *addr, bool source)
{
	bool v6 = a->ipv6;
	size_t size = v6 ? 16 : 4, n = addr->bits % 8 ? size : addr->bits / 8;
	struct expr e;

	if (!addr->bits)
		return;
	e = expr_begin(a, "payload");
	put_be32(a, NFTA_PAYLOAD_DREG, NFT_REG_1);
	put_be32(a, NFTA_PAYLOAD_BASE, NFT_PAYLOAD_NETWORK_HEADER);
	put_be32(a, NFTA_PAYLOAD_OFFSET, v6 ? (source ? 8 : 24) : (source ? 12 : 16));
	put_be32(a, NFTA_PAYLOAD_LEN, n);
	expr_end(a, e);
	if (addr->bits % 8)
		mask(a, addr->mask, size);
	compare(a, !addr->negated, addr->addr, n);
}

static void verdict(struct assembler *a, int code, struct str chain)
{
	struct expr e = expr_begin(a, "immediate");
	struct nlattr *data, *nest;

	put_be32(a, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
	data = mnl_attr_nest_start(a->h, NFTA_IMMEDIATE_DATA);
	nest = mnl_attr_nest_start(a->h, NFTA_DATA_VERDICT);
	put_be32(a, NFTA_VERDICT_CODE, code);
	if (chain.n)
		put_str(a, NFTA_VERDICT_CHAIN, chain);
	mnl_attr_nest_end(a->h, nest);
	mnl_attr_nest_end(a->h, data);
	expr_end(a, e);
}

/* --- what it leaves to the kernel's modules of iptables --- */

static void xt_match(
	struct assembler *a, const char *name, int revision, const void *info, size_t n)
{
	static const char padding[8];
	struct expr e = expr_begin(a, "match");
	char padded[512];

	mnl_attr_put_strz(a->h, NFTA_MATCH_NAME, name);
	put_be32(a, NFTA_MATCH_REV, revision);
	assert(n + sizeof(padding) <= sizeof(padded));
	memcpy(padded, info, n);
	memcpy(padded + n, padding, sizeof(padding));
	mnl_attr_put(a->h, NFTA_MATCH_INFO, (n + 7) & ~(size_t)7, padded);
	expr_end(a, e);
}

static void xt_target(
	struct assembler *a, const char *name, int revision, const void *info, size_t n)
{
	struct expr e = expr_begin(a, "target");
	char padded[64] = "";

	mnl_attr_put_strz(a->h, NFTA_TARGET_NAME, name);
	put_be32(a, NFTA_TARGET_REV, revision);
	assert(n <= sizeof(padded) - 8);
	memcpy(padded, info, n);
	mnl_attr_put(a->h, NFTA_TARGET_INFO, (n + 7) & ~(size_t)7, padded);
	expr_end(a, e);
}

static void match_ports(struct assembler *a, const struct iptables_match *m)
{
	const struct xt_tcp tcp = {.spts = {0, UINT16_MAX}, .dpts = {m->ports[0], m->ports[1]}};
	const struct xt_udp udp = {.spts = {0, UINT16_MAX}, .dpts = {m->ports[0], m->ports[1]}};
	struct xt_sctp_info sctp = {.dpts = {m->ports[0], m->ports[1]}, .spts = {0, UINT16_MAX}};

	switch (a->rule->protocol) {
	case IPPROTO_TCP:
		xt_match(a, "tcp", 0, &tcp, sizeof(tcp));
		break;
	case IPPROTO_UDP:
		xt_match(a, "udp", 0, &udp, sizeof(udp));
		break;
	case IPPROTO_SCTP:
		/* a port that may be any is not looked at */
		if (m->ports[0] == m->ports[1])
			sctp.flags = XT_SCTP_DEST_PORTS;
		xt_match(a, "sctp", 0, &sctp, sizeof(sctp));
		break;
	}
}

static void match_comment(struct assembler *a, const struct iptables_match *m)
{
	struct xt_comment_info info = {""};

	memcpy(info.comment, m->text.p, m->text.n);
	xt_match(a, "comment", 0, &info, sizeof(info));
}

static void match_recent(struct assembler *a, const struct iptables_match *m)
{
	struct xt_recent_mtinfo_v1 info = {.seconds = m->value,
		.check_set = m->remember ? XT_RECENT_SET
					 : XT_RECENT_CHECK | (m->reap ? XT_RECENT_REAP : 0),
		.side = XT_RECENT_SOURCE};

	memcpy(info.name, m->text.p, m->text.n);
	memset(&info.mask, 0xff, sizeof(info.mask));
	xt_match(a, "recent", 1, &info, sizeof(info));
}

static void match_statistic(struct assembler *a, const struct iptables_match *m)
{
	struct xt_statistic_info info = {.mode = XT_STATISTIC_MODE_RANDOM};

	info.u.random.probability = (uint32_t)lround(0x80000000 * m->probability);
	xt_match(a, "statistic", 0, &info, sizeof(info));
}

static void match_addrtype(struct assembler *a, const struct iptables_match *m)
{
	const struct xt_addrtype_info_v1 info = {.source = m->source ? XT_ADDRTYPE_LOCAL : 0,
		.dest = m->destination ? XT_ADDRTYPE_LOCAL : 0};

	xt_match(a, "addrtype", 1, &info, sizeof(info));
}

static void match_mark(struct assembler *a, const struct iptables_match *m)
{
	const struct xt_mark_mtinfo1 info = {
		.mark = m->value, .mask = m->mask, .invert = m->negated};

	xt_match(a, "mark", 1, &info, sizeof(info));
}

static void match_conntrack(struct assembler *a, const struct iptables_match *m)
{
	const struct xt_conntrack_mtinfo3 info = {.match_flags = XT_CONNTRACK_STATE,
		.invert_flags = m->negated ? XT_CONNTRACK_STATE : 0,
		.state_mask = m->states};

	xt_match(a, "conntrack", 3, &info, sizeof(info));
}

static void translate_to(struct assembler *a)
{
	struct nf_nat_range2 range = {.flags = NF_NAT_RANGE_MAP_IPS | NF_NAT_RANGE_PROTO_SPECIFIED};

	memcpy(&range.min_addr, a->rule->to, sizeof(a->rule->to));
	memcpy(&range.max_addr, a->rule->to, sizeof(a->rule->to));
	range.min_proto.all = range.max_proto.all = htons(a->rule->to_port);
	xt_target(a, "DNAT", 2, &range, sizeof(range));
}

static void masquerade(struct assembler *a)
{
	struct nf_nat_ipv4_multi_range_compat v4 = {
		.rangesize = 1, .range = {{.flags = NF_NAT_RANGE_PROTO_RANDOM_FULLY}}};
	struct nf_nat_range v6 = {.flags = NF_NAT_RANGE_PROTO_RANDOM_FULLY};

	if (a->ipv6)
		xt_target(a, "MASQUERADE", 0, &v6, sizeof(v6));
	else
		xt_target(a, "MASQUERADE", 0, &v4, sizeof(v4));
}

static void refuse(struct assembler *a)
{
	const struct ipt_reject_info v4 = {IPT_ICMP_PORT_UNREACHABLE};
	const struct ip6t_reject_info v6 = {IP6T_ICMP6_PORT_UNREACH};

	if (a->ipv6)
		xt_target(a, "REJECT", 0, &v6, sizeof(v6));
	else
		xt_target(a, "REJECT", 0, &v4, sizeof(v4));
}

/* --- a rule --- */

/* A comment that is a rule's only match can stand beside the expressions, where it costs the kernel
 * nothing; iptables-save shows it the same. Among others it would be shown after them. */
static bool only_comment(const struct iptables_rule *r)
{
	return r->n == 1 && r->matches[0].kind == IPTABLES_COMMENT &&
	       r->matches[0].text.n + 3 <= NFT_USERDATA_MAXLEN;
}

/* Type, length, and a text with its NUL. */
static void put_comment(struct assembler *a)
{
	enum { TYPE_COMMENT = 0 };
	struct str text = a->rule->matches[0].text;
	unsigned char tlv[NFT_USERDATA_MAXLEN] = {TYPE_COMMENT, (unsigned char)(text.n + 1)};

	memcpy(tlv + 2, text.p, text.n);
	mnl_attr_put(a->h, NFTA_RULE_USERDATA, text.n + 3, tlv);
}

static void put_matches(struct assembler *a)
{
	static void (*const put[])(struct assembler * a, const struct iptables_match *m) = {
		[IPTABLES_COMMENT] = match_comment,
		[IPTABLES_PORTS] = match_ports,
		[IPTABLES_RECENT] = match_recent,
		[IPTABLES_STATISTIC] = match_statistic,
		[IPTABLES_ADDRTYPE] = match_addrtype,
		[IPTABLES_MARK] = match_mark,
		[IPTABLES_CONNTRACK] = match_conntrack,
	};
	const struct iptables_rule *r = a->rule;

	if (r->interface.n)
		match_interface(a);
	if (r->protocol) {
		load_meta(a, NFT_META_L4PROTO);
		compare(a, true, &r->protocol, 1);
	}
	if (r->source.set)
		match_address(a, &r->source, true);
	if (r->destination.set)
		match_address(a, &r->destination, false);
	for (size_t i = 0; i < r->n && !only_comment(r); i++)
		put[r->matches[i].kind](a, &r->matches[i]);
}

static void put_target(struct assembler *a)
{
	const struct xt_mark_tginfo2 mark = {a->rule->mark_value, a->rule->mark_mask};
	struct str target = a->rule->target;

	if (str_eqc(target, "DROP"))
		verdict(a, NF_DROP, (struct str){0});
	else if (str_eqc(target, "ACCEPT"))
		verdict(a, NF_ACCEPT, (struct str){0});
	else if (str_eqc(target, "RETURN"))
		verdict(a, NFT_RETURN, (struct str){0});
	else if (str_eqc(target, "REJECT"))
		refuse(a);
	else if (str_eqc(target, "DNAT"))
		translate_to(a);
	else if (str_eqc(target, "MASQUERADE"))
		masquerade(a);
	else if (str_eqc(target, "MARK"))
		xt_target(a, "MARK", 2, &mark, sizeof(mark));
	else if (target.n)
		verdict(a, NFT_JUMP, target);
}

/* What the kernel's modules want to know of the rule that they stand in. */
static void put_compat(struct assembler *a)
{
	struct nlattr *nest = mnl_attr_nest_start(a->h, NFTA_RULE_COMPAT);

	put_be32(a, NFTA_RULE_COMPAT_PROTO, a->rule->protocol);
	put_be32(a, NFTA_RULE_COMPAT_FLAGS, 0);
	mnl_attr_nest_end(a->h, nest);
}

void iptables_put_rule(struct nlmsghdr *h, const struct iptables_rule *rule, bool ipv6)
{
	struct assembler a = {h, rule, ipv6};
	struct nlattr *list = mnl_attr_nest_start(h, NFTA_RULE_EXPRESSIONS);

	put_matches(&a);
	expr_end(&a, expr_begin(&a, "counter"));
	put_target(&a);
	mnl_attr_nest_end(h, list);
	put_compat(&a);
	if (only_comment(rule))
		put_comment(&a);
}
