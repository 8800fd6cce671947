/* iptables_cleanup.c: takes away what iptables mode has written, of this program or of upstream's.
 */
#include <stdio.h>

#include "proxy/iptables_look.h"
#include "proxy/iptables_rules.h"
#include "proxy/iptables_run.h"
#include "proxy/iptables_wire.h"
#include "proxy/nft_socket.h"

enum { INPUT_MAX = 256 << 20 };

/* KUBE-FIREWALL is shared with upstream's kubelet, which shows by its canary that it is here. */
static bool is_ours(const struct iptables_found *f, struct str chain)
{
	static const char *const names[] = {"KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES",
		"KUBE-FORWARD", "KUBE-NODEPORTS", "KUBE-PROXY-FIREWALL", "KUBE-PROXY-CANARY",
		"KUBE-POSTROUTING", "KUBE-MARK-MASQ"};

	if (str_eqc(chain, "KUBE-FIREWALL"))
		return !map_get(&f->chains, S("mangle KUBE-KUBELET-CANARY"));
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (str_eqc(chain, names[i]))
			return true;
	return iptables_is_service_chain(chain);
}

static size_t write_chains(
	const struct iptables_found *f, const char *table, const char *fmt, struct buf *out)
{
	struct str name;
	size_t n = 0;

	for (struct map_entry *e = map_first(&f->chains); e; e = map_next(&f->chains, e)) {
		if (!str_eqc(iptables_table_of(e, &name), table) || !is_ours(f, name))
			continue;
		buf_fmt(out, fmt, name.p);
		n++;
	}
	return n;
}

static void write_jumps(const struct iptables_found *f, const char *table, struct buf *out)
{
	struct str how;

	for (struct map_entry *e = map_first(&f->jumps); e; e = map_next(&f->jumps, e)) {
		const struct iptables_jump *j = e->value;

		if (str_eqc(iptables_table_of(e, &how), table) && is_ours(f, str_c(j->to)))
			buf_fmt(out, "-D %s\n", how.p);
	}
}

/* Chains refer to each other: all are emptied before the first is deleted. */
static void write_removal(const struct iptables_found *f, struct buf *out)
{
	static const char *const tables[] = {"filter", "nat", "mangle"};

	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		struct buf b;

		buf_init(&b, INPUT_MAX);
		buf_fmt(&b, "*%s\n", tables[i]);
		if (write_chains(f, tables[i], ":%s - [0:0]\n", &b)) {
			write_jumps(f, tables[i], &b);
			write_chains(f, tables[i], "-X %s\n", &b);
			buf_add_c(&b, "COMMIT\n");
			buf_add_str(out, buf_str(&b));
		}
		buf_release(&b);
	}
}

/* The jumps' numbers take the place of their words. */
static void tell_wire(const struct iptables_found *f, struct iptables_wire *w)
{
	struct str rest;

	for (struct map_entry *e = map_first(&f->jumps); e; e = map_next(&f->jumps, e)) {
		uint64_t number = 0;

		iptables_table_of(e, &rest);
		str_to_u64(str_sub(rest, (size_t)str_rchr(rest, ' ') + 1, rest.n), &number);
		if (number)
			map_set(&w->handles, str_n(e->key, e->key_len), (void *)(uintptr_t)number);
	}
	for (struct map_entry *e = map_first(&f->chains); e; e = map_next(&f->chains, e)) {
		struct str table = iptables_table_of(e, &rest);

		iptables_wire_knows(w, table, rest);
	}
}

static int remove_nft(struct nft_socket *socket, bool ipv6, const struct iptables_found *f,
	struct str input, struct err *err)
{
	struct iptables_wire wire = {.ipv6 = ipv6};
	int r = 0;

	tell_wire(f, &wire);
	for (int deleting = 0; deleting < 2 && r == 0; deleting++) {
		struct buf messages;
		uint32_t seq;

		buf_init(&messages, INPUT_MAX);
		seq = nft_batch_begin(&messages);
		if (deleting)
			iptables_wire_tidy(&wire, &seq, &messages);
		else
			r = iptables_wire_append(&wire, input, &seq, &messages, err);
		nft_batch_end(&messages, seq);
		if (r == 0)
			r = nft_socket_send(socket, buf_str(&messages), NULL, NULL, err);
		buf_release(&messages);
	}
	iptables_wire_release(&wire);
	return r;
}

static int clean_family(struct nft_socket *socket, bool ipv6, struct err *err)
{
	struct iptables_found found;
	struct buf input;
	int r = iptables_look(socket, ipv6, &found, err);

	if (r < 0)
		return r;
	buf_init(&input, INPUT_MAX);
	write_removal(&found, &input);
	if (input.n && socket)
		r = remove_nft(socket, ipv6, &found, buf_str(&input), err);
	else if (input.n)
		r = iptables_restore(ipv6, buf_str(&input), err);
	buf_release(&input);
	iptables_found_release(&found);
	return r;
}

void proxy_iptables_cleanup(void)
{
	struct err err CLEANUP(err_release) = {0};
	struct nft_socket *socket = NULL;
	bool nft;
	int r;

	if (!iptables_installed(false))
		return; /* then nothing can have been written */
	r = iptables_variant(&nft, &err);
	if (r == 0 && nft)
		r = nft_socket_new(&socket, &err);
	for (int v6 = 0; v6 < 2 && r == 0; v6++)
		if (iptables_installed(v6))
			r = clean_family(socket, v6, &err);
	if (r < 0)
		log_warn("removing the rules of iptables mode: %s", err_text(&err));
	nft_socket_free(socket);
}
