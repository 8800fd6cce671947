#include "proxy/iptables_look.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>

#include "proxy/iptables_run.h"
#include "proxy/nft_socket.h"

enum { SAVED_MAX = 256 << 20, KEY_MAX = 256 };

void iptables_found_release(struct iptables_found *f)
{
	map_release(&f->chains);
	map_release(&f->jumps);
	*f = (struct iptables_found){0};
}

struct str iptables_table_of(const struct map_entry *e, struct str *ret_rest)
{
	struct str table;

	str_cut(str_n(e->key, e->key_len), ' ', &table, ret_rest);
	return table;
}

static void found_chain(struct iptables_found *f, struct str table, struct str chain)
{
	char key[KEY_MAX];

	if (!str_starts(chain, S("KUBE-")))
		return;
	snprintf(key, sizeof(key), STR_FMT " " STR_FMT, STR_ARG(table), STR_ARG(chain));
	map_set(&f->chains, str_c(key), f);
}

static void found_jump(
	struct iptables_found *f, struct str table, struct str from, struct str to, struct str how)
{
	char *key;

	for (int i = 0; i < IPTABLES_JUMPS; i++) {
		const struct iptables_jump *j = &iptables_jumps[i];

		if (!str_eqc(table, j->table) || !str_eqc(from, j->from) || !str_eqc(to, j->to))
			continue;
		f->missing[i] = false;
		key = xasprintf(STR_FMT " " STR_FMT " " STR_FMT, STR_ARG(table), STR_ARG(from),
			STR_ARG(how));
		map_set(&f->jumps, str_c(key), (void *)j);
		free(key);
	}
}

/* --- the legacy variant --- */

/* "-A OUTPUT -m … -j KUBE-SERVICES" */
static void read_rule(struct iptables_found *f, struct str table, struct str line)
{
	struct str from, how, to;
	ssize_t at;

	str_cut(str_sub(line, 3, line.n), ' ', &from, &how);
	at = str_find(how, S("-j KUBE-"));
	if (at < 0)
		return;
	str_cut(str_sub(how, (size_t)at + 3, how.n), ' ', &to, &(struct str){0});
	found_jump(f, table, from, to, how);
}

static void read_saved(struct iptables_found *f, struct str saved)
{
	struct str table = {0}, line, chain;

	while (saved.n) {
		str_cut(saved, '\n', &line, &saved);
		if (str_starts(line, S("*"))) {
			table = str_sub(line, 1, line.n);
		} else if (str_starts(line, S(":"))) {
			str_cut(str_sub(line, 1, line.n), ' ', &chain, &(struct str){0});
			found_chain(f, table, chain);
		} else if (str_starts(line, S("-A ")) && !str_starts(line, S("-A KUBE-"))) {
			read_rule(f, table, line);
		}
	}
}

static int look_at_legacy(bool ipv6, struct iptables_found *f, struct err *err)
{
	struct buf saved;
	int r;

	buf_init(&saved, SAVED_MAX);
	r = iptables_save(ipv6, &saved, err);
	if (r == 0)
		read_saved(f, buf_str(&saved));
	buf_release(&saved);
	return r;
}

/* --- the nft variant --- */

static void read_chain(void *user_data, const struct nlmsghdr *h)
{
	struct iptables_found *f = user_data;
	struct str table = {0}, name = {0};
	const struct nlattr *attr;
	uint32_t use = 0;

	mnl_attr_for_each(attr, h, sizeof(struct nfgenmsg))
	{
		int type = mnl_attr_get_type(attr);

		if (type == NFTA_CHAIN_TABLE)
			table = str_c(mnl_attr_get_str(attr));
		else if (type == NFTA_CHAIN_NAME)
			name = str_c(mnl_attr_get_str(attr));
		else if (type == NFTA_CHAIN_USE)
			use = ntohl(mnl_attr_get_u32(attr));
	}
	if (!str_eqc(table, "nat") && !str_eqc(table, "filter") && !str_eqc(table, "mangle"))
		return;
	if (str_starts(name, S("KUBE-")))
		f->in_use += use;
	found_chain(f, table, name);
}

static const struct nlattr *attr_of(const struct nlattr *nest, int type)
{
	const struct nlattr *attr;

	if (!nest)
		return NULL;
	mnl_attr_for_each_nested(attr, nest)
	{
		if (mnl_attr_get_type(attr) == type)
			return attr;
	}
	return NULL;
}

/* Where one of a rule's expressions leads; empty for all but jumps. */
static struct str leads_to(const struct nlattr *expr)
{
	const struct nlattr *name = attr_of(expr, NFTA_EXPR_NAME), *chain;

	if (!name || strcmp(mnl_attr_get_str(name), "immediate") != 0)
		return (struct str){0};
	chain = attr_of(attr_of(attr_of(attr_of(expr, NFTA_EXPR_DATA), NFTA_IMMEDIATE_DATA),
				NFTA_DATA_VERDICT),
		NFTA_VERDICT_CHAIN);
	return chain ? str_c(mnl_attr_get_str(chain)) : (struct str){0};
}

static void read_jump(void *user_data, const struct nlmsghdr *h)
{
	struct iptables_found *f = user_data;
	struct str table = {0}, from = {0};
	const struct nlattr *attr, *exprs = NULL, *expr;
	char number[32] = "";

	mnl_attr_for_each(attr, h, sizeof(struct nfgenmsg))
	{
		int type = mnl_attr_get_type(attr);

		if (type == NFTA_RULE_TABLE)
			table = str_c(mnl_attr_get_str(attr));
		else if (type == NFTA_RULE_CHAIN)
			from = str_c(mnl_attr_get_str(attr));
		else if (type == NFTA_RULE_HANDLE)
			snprintf(number, sizeof(number), "%llu",
				(unsigned long long)be64toh(mnl_attr_get_u64(attr)));
		else if (type == NFTA_RULE_EXPRESSIONS)
			exprs = attr;
	}
	if (!exprs)
		return;
	mnl_attr_for_each_nested(expr, exprs)
	{
		found_jump(f, table, from, leads_to(expr), str_c(number));
	}
}

static int look_at_nft(
	struct nft_socket *socket, bool ipv6, struct iptables_found *f, struct err *err)
{
	int r = nft_socket_dump(socket, NFT_MSG_GETCHAIN, ipv6, NULL, NULL, read_chain, f);

	for (int i = 0; r == 0 && i < IPTABLES_JUMPS; i++) {
		const struct iptables_jump *j = &iptables_jumps[i];
		bool seen = false;

		for (int k = 0; k < i; k++)
			seen |= !strcmp(j->table, iptables_jumps[k].table) &&
				!strcmp(j->from, iptables_jumps[k].from);
		if (!seen)
			r = nft_socket_dump(
				socket, NFT_MSG_GETRULE, ipv6, j->table, j->from, read_jump, f);
		r = r == -ENOENT ? 0 : r;
	}
	return r < 0 ? err_errno(err, -r, "iptables: cannot read the kernel's tables") : 0;
}

int iptables_look(struct nft_socket *socket, bool ipv6, struct iptables_found *ret, struct err *err)
{
	struct iptables_found found = {0};
	int r;

	for (int i = 0; i < IPTABLES_JUMPS; i++)
		found.missing[i] = true;
	r = socket ? look_at_nft(socket, ipv6, &found, err) : look_at_legacy(ipv6, &found, err);
	if (r == 0)
		*ret = found;
	else
		iptables_found_release(&found);
	return r;
}
