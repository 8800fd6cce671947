#include "proxy/nft_wire.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>

enum {
	LINE_MAX_BYTES =
		1024, /* a longer one is not ours; everything below fits MESSAGE_MAX then */
	MESSAGE_MAX = 8192,
	WORDS_MAX = 64,
	KEY_MAX = 64,
	TYPE_IPV4_ADDR = 7, /* nft's numbers for what a set holds */
	TYPE_IPV6_ADDR = 8,
};

struct asm_state {
	struct buf *out;
	uint32_t seq;
	/* the line */
	struct str words[WORDS_MAX];
	size_t n, at;
	bool ipv6;
	const char *table;
	char text[LINE_MAX_BYTES + 1]; /* NUL-terminated words */
	/* the message */
	_Alignas(8) char message[MESSAGE_MAX];
	struct nlmsghdr *h;
};

/* --- words --- */

static bool split(struct asm_state *s, struct str line)
{
	if (line.n > LINE_MAX_BYTES)
		return false;
	memcpy(s->text, line.p, line.n);
	s->text[line.n] = 0;
	s->n = s->at = 0;
	for (char *p = s->text; *p;) {
		char *end = p + strcspn(p, " ");

		if (end > p && s->n == WORDS_MAX)
			return false;
		if (end > p)
			s->words[s->n++] = str_n(p, end - p);
		if (!*end)
			break;
		*end = 0;
		p = end + 1;
	}
	return true;
}

static struct str peek(const struct asm_state *s)
{
	return s->at < s->n ? s->words[s->at] : (struct str){0};
}

static struct str next(struct asm_state *s)
{
	return s->at < s->n ? s->words[s->at++] : (struct str){0};
}

static bool take_word(struct asm_state *s, const char *word)
{
	if (!str_eqc(peek(s), word))
		return false;
	s->at++;
	return true;
}

/* All of these words, or none. */
static bool take_words(struct asm_state *s, const char *words)
{
	size_t start = s->at;

	for (struct str rest = str_c(words), word; rest.n;) {
		str_cut(rest, ' ', &word, &rest);
		if (!str_eq(next(s), word)) {
			s->at = start;
			return false;
		}
	}
	return true;
}

static bool number(struct asm_state *s, uint32_t *ret)
{
	uint64_t v;

	if (str_to_u64(next(s), &v) < 0 || v > UINT32_MAX)
		return false;
	*ret = v;
	return true;
}

/* --- messages --- */

static void begin_message(struct asm_state *s, int type, int flags)
{
	struct nfgenmsg *g;

	s->h = mnl_nlmsg_put_header(s->message);
	s->h->nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | type;
	s->h->nlmsg_flags = NLM_F_REQUEST | flags;
	s->h->nlmsg_seq = s->seq++;
	g = mnl_nlmsg_put_extra_header(s->h, sizeof(*g));
	g->nfgen_family = s->ipv6 ? NFPROTO_IPV6 : NFPROTO_IPV4;
	g->version = NFNETLINK_V0;
}

static void end_message(struct asm_state *s)
{
	buf_add(s->out, s->message, s->h->nlmsg_len);
}

static void put_be32(struct asm_state *s, int attr, uint32_t v)
{
	mnl_attr_put_u32(s->h, attr, htonl(v));
}

static void put_value(struct asm_state *s, int attr, const void *p, size_t n)
{
	struct nlattr *nest = mnl_attr_nest_start(s->h, attr);

	mnl_attr_put(s->h, NFTA_DATA_VALUE, n, p);
	mnl_attr_nest_end(s->h, nest);
}

static void put_verdict(struct asm_state *s, int attr, int code, struct str chain)
{
	struct nlattr *data = mnl_attr_nest_start(s->h, attr);
	struct nlattr *verdict = mnl_attr_nest_start(s->h, NFTA_DATA_VERDICT);

	put_be32(s, NFTA_VERDICT_CODE, code);
	if (chain.n)
		mnl_attr_put_strz(s->h, NFTA_VERDICT_CHAIN, chain.p);
	mnl_attr_nest_end(s->h, verdict);
	mnl_attr_nest_end(s->h, data);
}

/* "goto X", "jump X", "drop", "return" at the present word. */
static bool verdict(struct asm_state *s, int attr)
{
	if (take_word(s, "drop")) {
		put_verdict(s, attr, NF_DROP, (struct str){0});
	} else if (take_word(s, "return")) {
		put_verdict(s, attr, NFT_RETURN, (struct str){0});
	} else {
		int code = str_eqc(peek(s), "goto") ? NFT_GOTO : NFT_JUMP;
		struct str chain;

		if (!take_word(s, "goto") && !take_word(s, "jump"))
			return false;
		chain = next(s);
		if (!chain.n)
			return false;
		put_verdict(s, attr, code, chain);
	}
	return true;
}

/* --- expressions --- */

struct expr {
	struct nlattr *elem, *data;
};

static struct expr expr_begin(struct asm_state *s, const char *name)
{
	struct expr e;

	e.elem = mnl_attr_nest_start(s->h, NFTA_LIST_ELEM);
	mnl_attr_put_strz(s->h, NFTA_EXPR_NAME, name);
	e.data = mnl_attr_nest_start(s->h, NFTA_EXPR_DATA);
	return e;
}

static void expr_end(struct asm_state *s, struct expr e)
{
	mnl_attr_nest_end(s->h, e.data);
	mnl_attr_nest_end(s->h, e.elem);
}

static void load_meta(struct asm_state *s, int key)
{
	struct expr e = expr_begin(s, "meta");

	put_be32(s, NFTA_META_KEY, key);
	put_be32(s, NFTA_META_DREG, NFT_REG_1);
	expr_end(s, e);
}

static void load_payload(struct asm_state *s, int base, int offset, int len)
{
	struct expr e = expr_begin(s, "payload");

	put_be32(s, NFTA_PAYLOAD_DREG, NFT_REG_1);
	put_be32(s, NFTA_PAYLOAD_BASE, base);
	put_be32(s, NFTA_PAYLOAD_OFFSET, offset);
	put_be32(s, NFTA_PAYLOAD_LEN, len);
	expr_end(s, e);
}

static void compare_as(struct asm_state *s, int op, const void *p, size_t n)
{
	struct expr e = expr_begin(s, "cmp");

	put_be32(s, NFTA_CMP_SREG, NFT_REG_1);
	put_be32(s, NFTA_CMP_OP, op);
	put_value(s, NFTA_CMP_DATA, p, n);
	expr_end(s, e);
}

static void compare(struct asm_state *s, bool equal, const void *p, size_t n)
{
	compare_as(s, equal ? NFT_CMP_EQ : NFT_CMP_NEQ, p, n);
}

static void mask(struct asm_state *s, const void *bits, size_t n)
{
	static const unsigned char zero[16];
	struct expr e = expr_begin(s, "bitwise");

	put_be32(s, NFTA_BITWISE_SREG, NFT_REG_1);
	put_be32(s, NFTA_BITWISE_DREG, NFT_REG_1);
	put_be32(s, NFTA_BITWISE_LEN, n);
	put_value(s, NFTA_BITWISE_MASK, bits, n);
	put_value(s, NFTA_BITWISE_XOR, zero, n);
	expr_end(s, e);
}

static void immediate(struct asm_state *s, int reg, const void *p, size_t n)
{
	struct expr e = expr_begin(s, "immediate");

	put_be32(s, NFTA_IMMEDIATE_DREG, reg);
	put_value(s, NFTA_IMMEDIATE_DATA, p, n);
	expr_end(s, e);
}

static void lookup(struct asm_state *s, struct str set)
{
	struct expr e = expr_begin(s, "lookup");

	mnl_attr_put_strz(s->h, NFTA_LOOKUP_SET, set.p);
	put_be32(s, NFTA_LOOKUP_SREG, NFT_REG_1);
	expr_end(s, e);
}

static void nat(struct asm_state *s, int addr_reg, int port_reg)
{
	struct expr e = expr_begin(s, "nat");

	put_be32(s, NFTA_NAT_TYPE, NFT_NAT_DNAT);
	put_be32(s, NFTA_NAT_FAMILY, s->ipv6 ? NFPROTO_IPV6 : NFPROTO_IPV4);
	put_be32(s, NFTA_NAT_REG_ADDR_MIN, addr_reg);
	put_be32(s, NFTA_NAT_REG_PROTO_MIN, port_reg);
	expr_end(s, e);
}

/* --- what stands in a rule --- */

static bool protocol_number(struct str word, uint8_t *ret)
{
	*ret = str_eqc(word, "tcp")    ? IPPROTO_TCP
	       : str_eqc(word, "udp")  ? IPPROTO_UDP
	       : str_eqc(word, "sctp") ? IPPROTO_SCTP
				       : 0;
	return *ret != 0;
}

static bool match_protocol(struct asm_state *s, struct str word)
{
	uint8_t protocol;

	if (!protocol_number(word, &protocol))
		return false;
	load_meta(s, NFT_META_L4PROTO);
	compare(s, true, &protocol, 1);
	return true;
}

static bool match_dport(struct asm_state *s)
{
	struct str protocol = next(s);
	uint32_t port;
	uint16_t be;

	if (!take_word(s, "dport") || !number(s, &port) || !match_protocol(s, protocol))
		return false;
	be = htons(port);
	load_payload(s, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2);
	compare(s, true, &be, 2);
	return true;
}

static size_t address_size(const struct asm_state *s)
{
	return s->ipv6 ? 16 : 4;
}

static void load_address(struct asm_state *s, bool source)
{
	int offset = s->ipv6 ? (source ? 8 : 24) : (source ? 12 : 16);

	load_payload(s, NFT_PAYLOAD_NETWORK_HEADER, offset, address_size(s));
}

static bool parse_address(const struct asm_state *s, const char *p, unsigned char *ret)
{
	return inet_pton(s->ipv6 ? AF_INET6 : AF_INET, p, ret) == 1;
}

/* "ip saddr [!=] 10.0.0.0/8", "ip daddr 10.0.0.1", "ip saddr @set" */
static bool match_address(struct asm_state *s)
{
	bool source, equal;
	struct str word, text, length;
	uint64_t bits = address_size(s) * 8;
	unsigned char addr[16], m[16] = {0};
	char host[INET6_ADDRSTRLEN];

	next(s); /* ip, ip6 */
	word = next(s);
	source = str_eqc(word, "saddr");
	if (!source && !str_eqc(word, "daddr"))
		return false;
	load_address(s, source);
	equal = !take_word(s, "!=");
	word = next(s);
	if (word.n > 1 && word.p[0] == '@') {
		lookup(s, str_sub(word, 1, word.n));
		return equal;
	}
	if (str_cut(word, '/', &text, &length) && str_to_u64(length, &bits) < 0)
		return false;
	if (text.n >= sizeof(host) || bits > address_size(s) * 8)
		return false;
	snprintf(host, sizeof(host), STR_FMT, STR_ARG(text));
	if (!parse_address(s, host, addr))
		return false;
	for (size_t i = 0; i < bits; i++)
		m[i / 8] |= 0x80 >> i % 8;
	for (size_t i = 0; i < address_size(s); i++)
		addr[i] &= m[i];
	if (bits < address_size(s) * 8)
		mask(s, m, address_size(s));
	compare(s, equal, addr, address_size(s));
	return true;
}

/* iifname "eth0", iifname != "veth*" */
static bool match_interface(struct asm_state *s)
{
	char name[IFNAMSIZ] = "";
	bool equal;
	struct str word;

	next(s);
	equal = !take_word(s, "!=");
	word = next(s);
	if (word.n < 3 || word.n - 2 >= IFNAMSIZ)
		return false;
	memcpy(name, word.p + 1, word.n - 2);
	load_meta(s, NFT_META_IIFNAME);
	if (name[word.n - 3] == '*')
		compare(s, equal, name, word.n - 3);
	else
		compare(s, equal, name, sizeof(name));
	return true;
}

static bool match_local_source(struct asm_state *s)
{
	uint32_t type = RTN_LOCAL;
	struct expr e = expr_begin(s, "fib");

	put_be32(s, NFTA_FIB_DREG, NFT_REG_1);
	put_be32(s, NFTA_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
	put_be32(s, NFTA_FIB_FLAGS, NFTA_FIB_F_SADDR);
	expr_end(s, e);
	compare(s, true, &type, sizeof(type));
	return true;
}

/* Comparing "less" goes byte by byte from the left. */
static void to_big_endian(struct asm_state *s)
{
	struct expr e = expr_begin(s, "byteorder");

	put_be32(s, NFTA_BYTEORDER_SREG, NFT_REG_1);
	put_be32(s, NFTA_BYTEORDER_DREG, NFT_REG_1);
	put_be32(s, NFTA_BYTEORDER_OP, NFT_BYTEORDER_HTON);
	put_be32(s, NFTA_BYTEORDER_LEN, 4);
	put_be32(s, NFTA_BYTEORDER_SIZE, 4);
	expr_end(s, e);
}

/* "mod 3 == 0" or "mod 40 < 32", after "numgen random" */
static bool match_drawn(struct asm_state *s)
{
	uint32_t modulus, limit;
	bool less;
	struct expr e;

	if (!take_word(s, "mod") || !number(s, &modulus))
		return false;
	less = take_word(s, "<");
	if ((!less && !take_word(s, "==")) || !number(s, &limit))
		return false;
	e = expr_begin(s, "numgen");
	put_be32(s, NFTA_NG_DREG, NFT_REG_1);
	put_be32(s, NFTA_NG_MODULUS, modulus);
	put_be32(s, NFTA_NG_TYPE, NFT_NG_RANDOM);
	put_be32(s, NFTA_NG_OFFSET, 0);
	expr_end(s, e);
	if (less) {
		to_big_endian(s);
		limit = htonl(limit);
	}
	compare_as(s, less ? NFT_CMP_LT : NFT_CMP_EQ, &limit, sizeof(limit));
	return true;
}

/* "1.2.3.4:80" or "[fd00::1]:80" */
static bool translate_to(struct asm_state *s)
{
	struct str to = next(s), host;
	ssize_t colon = str_rchr(to, ':');
	unsigned char addr[16];
	char text[INET6_ADDRSTRLEN];
	uint64_t port;
	uint16_t be;

	if (colon < 0 || str_to_u64(str_sub(to, colon + 1, to.n), &port) < 0)
		return false;
	host = s->ipv6 && colon > 2 ? str_sub(to, 1, colon - 1) : str_sub(to, 0, colon);
	if (host.n >= sizeof(text))
		return false;
	snprintf(text, sizeof(text), STR_FMT, STR_ARG(host));
	if (!parse_address(s, text, addr))
		return false;
	be = htons(port);
	immediate(s, NFT_REG_1, addr, address_size(s));
	immediate(s, NFT_REG_2, &be, sizeof(be));
	nat(s, NFT_REG_1, NFT_REG_2);
	return true;
}

/* "update @set { ip saddr }" */
static bool remember(struct asm_state *s)
{
	struct str set = next(s);
	struct expr e;

	if (set.n < 2 || set.p[0] != '@' ||
		!take_words(s, s->ipv6 ? "{ ip6 saddr }" : "{ ip saddr }"))
		return false;
	load_address(s, true);
	e = expr_begin(s, "dynset");
	mnl_attr_put_strz(s->h, NFTA_DYNSET_SET_NAME, set.p + 1);
	put_be32(s, NFTA_DYNSET_OP, NFT_DYNSET_OP_UPDATE);
	put_be32(s, NFTA_DYNSET_SREG_KEY, NFT_REG_1);
	expr_end(s, e);
	return true;
}

static bool verdict_statement(struct asm_state *s)
{
	struct expr e = expr_begin(s, "immediate");
	bool ok;

	put_be32(s, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
	ok = verdict(s, NFTA_IMMEDIATE_DATA);
	expr_end(s, e);
	return ok;
}

static bool statement(struct asm_state *s)
{
	struct str word = peek(s);

	if (take_words(s, "meta l4proto"))
		return match_protocol(s, next(s));
	if (take_words(s, "fib saddr type local"))
		return match_local_source(s);
	if (take_words(s, "dnat to"))
		return translate_to(s);
	if (take_words(s, "numgen random"))
		return match_drawn(s);
	if (take_word(s, "update"))
		return remember(s);
	if (str_eqc(word, s->ipv6 ? "ip6" : "ip"))
		return match_address(s);
	if (str_eqc(word, "iifname"))
		return match_interface(s);
	if (str_eqc(word, "tcp") || str_eqc(word, "udp") || str_eqc(word, "sctp"))
		return match_dport(s);
	return verdict_statement(s);
}

/* --- commands --- */

static bool add_rule(struct asm_state *s)
{
	struct str chain = next(s);
	struct nlattr *list;

	begin_message(s, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
	mnl_attr_put_strz(s->h, NFTA_RULE_TABLE, s->table);
	mnl_attr_put_strz(s->h, NFTA_RULE_CHAIN, chain.p ? chain.p : "");
	list = mnl_attr_nest_start(s->h, NFTA_RULE_EXPRESSIONS);
	while (s->at < s->n)
		if (!statement(s))
			return false;
	mnl_attr_nest_end(s->h, list);
	end_message(s);
	return true;
}

/* An attribute that names something in the table. */
static bool simple(struct asm_state *s, int type, int flags, int table_attr, int name_attr)
{
	struct str name = next(s);

	if (!name.n || s->at < s->n)
		return false;
	begin_message(s, type, flags);
	mnl_attr_put_strz(s->h, table_attr, s->table);
	mnl_attr_put_strz(s->h, name_attr, name.p);
	end_message(s);
	return true;
}

/* Parts joined by " . ", each padded to whole registers; a number is a port. */
static bool key(struct asm_state *s, unsigned char *ret, size_t *ret_n)
{
	size_t n = 0;

	memset(ret, 0, KEY_MAX);
	do {
		struct str word = next(s);
		uint64_t v;

		if (n + 16 > KEY_MAX)
			return false;
		if (protocol_number(word, &ret[n])) {
			n += 4;
		} else if (str_to_u64(word, &v) == 0 && v <= UINT16_MAX) {
			uint16_t port = htons(v);

			memcpy(&ret[n], &port, sizeof(port));
			n += 4;
		} else if (word.n && parse_address(s, word.p, &ret[n])) {
			n += address_size(s);
		} else {
			return false;
		}
	} while (take_word(s, "."));
	*ret_n = n;
	return true;
}

/* "MAP { KEY : VALUE }", "SET { KEY }" */
static bool element(struct asm_state *s, int type)
{
	struct str set = next(s);
	unsigned char bytes[KEY_MAX];
	struct nlattr *list, *elem;
	size_t n;
	bool ok = true;

	if (!set.n || !take_word(s, "{") || !key(s, bytes, &n))
		return false;
	begin_message(s, type, type == NFT_MSG_NEWSETELEM ? NLM_F_CREATE : 0);
	mnl_attr_put_strz(s->h, NFTA_SET_ELEM_LIST_TABLE, s->table);
	mnl_attr_put_strz(s->h, NFTA_SET_ELEM_LIST_SET, set.p);
	list = mnl_attr_nest_start(s->h, NFTA_SET_ELEM_LIST_ELEMENTS);
	elem = mnl_attr_nest_start(s->h, NFTA_LIST_ELEM);
	put_value(s, NFTA_SET_ELEM_KEY, bytes, n);
	if (take_word(s, ":"))
		ok = verdict(s, NFTA_SET_ELEM_DATA);
	mnl_attr_nest_end(s->h, elem);
	mnl_attr_nest_end(s->h, list);
	end_message(s);
	return ok && take_word(s, "}") && s->at == s->n;
}

/* "NAME { type ipv4_addr; flags dynamic,timeout; timeout 60s; }" */
static bool add_set(struct asm_state *s)
{
	struct str name = next(s), timeout;
	uint64_t seconds;

	if (!name.n || !take_words(s, s->ipv6 ? "{ type ipv6_addr; flags dynamic,timeout; timeout"
					      : "{ type ipv4_addr; flags dynamic,timeout; timeout"))
		return false;
	timeout = next(s);
	if (timeout.n < 3 || str_to_u64(str_sub(timeout, 0, timeout.n - 2), &seconds) < 0 ||
		!take_word(s, "}"))
		return false;
	begin_message(s, NFT_MSG_NEWSET, NLM_F_CREATE);
	mnl_attr_put_strz(s->h, NFTA_SET_TABLE, s->table);
	mnl_attr_put_strz(s->h, NFTA_SET_NAME, name.p);
	put_be32(s, NFTA_SET_FLAGS, NFT_SET_EVAL | NFT_SET_TIMEOUT);
	put_be32(s, NFTA_SET_KEY_TYPE, s->ipv6 ? TYPE_IPV6_ADDR : TYPE_IPV4_ADDR);
	put_be32(s, NFTA_SET_KEY_LEN, address_size(s));
	put_be32(s, NFTA_SET_ID, s->seq);
	mnl_attr_put_u64(s->h, NFTA_SET_TIMEOUT, htobe64(seconds * 1000));
	end_message(s);
	return true;
}

static bool table_itself(struct asm_state *s, int type, int flags)
{
	if (s->at < s->n)
		return false;
	begin_message(s, type, flags);
	mnl_attr_put_strz(s->h, NFTA_TABLE_NAME, s->table);
	end_message(s);
	return true;
}

static bool command(struct asm_state *s)
{
	struct str verb = next(s), what = next(s), family = next(s), table = next(s);

	s->ipv6 = str_eqc(family, "ip6");
	s->table = table.p;
	if (!table.n || (!s->ipv6 && !str_eqc(family, "ip")))
		return false;
	if (str_eqc(what, "table"))
		return str_eqc(verb, "add")      ? table_itself(s, NFT_MSG_NEWTABLE, NLM_F_CREATE)
		       : str_eqc(verb, "delete") ? table_itself(s, NFT_MSG_DELTABLE, 0)
						 : false;
	if (str_eqc(verb, "add")) {
		if (str_eqc(what, "rule"))
			return add_rule(s);
		if (str_eqc(what, "element"))
			return element(s, NFT_MSG_NEWSETELEM);
		if (str_eqc(what, "chain"))
			return simple(s, NFT_MSG_NEWCHAIN, NLM_F_CREATE, NFTA_CHAIN_TABLE,
				NFTA_CHAIN_NAME);
		return str_eqc(what, "set") && add_set(s);
	}
	if (str_eqc(verb, "flush")) {
		if (str_eqc(what, "chain"))
			return simple(s, NFT_MSG_DELRULE, 0, NFTA_RULE_TABLE, NFTA_RULE_CHAIN);
		return simple(
			s, NFT_MSG_DELSETELEM, 0, NFTA_SET_ELEM_LIST_TABLE, NFTA_SET_ELEM_LIST_SET);
	}
	if (!str_eqc(verb, "delete"))
		return false;
	if (str_eqc(what, "element"))
		return element(s, NFT_MSG_DELSETELEM);
	if (str_eqc(what, "chain"))
		return simple(s, NFT_MSG_DELCHAIN, 0, NFTA_CHAIN_TABLE, NFTA_CHAIN_NAME);
	return str_eqc(what, "set") && simple(s, NFT_MSG_DELSET, 0, NFTA_SET_TABLE, NFTA_SET_NAME);
}

int nft_wire_append(struct str commands, uint32_t *seq, struct buf *messages)
{
	struct asm_state s = {.out = messages, .seq = *seq};
	struct str rest = commands, line;

	while (rest.n) {
		str_cut(rest, '\n', &line, &rest);
		if (line.n && (!split(&s, line) || !command(&s)))
			return -ENOTSUP;
	}
	*seq = s.seq;
	return 0;
}
