/* backend_iptables.c: iptables mode: text to iptables-restore, in pieces. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "proxy/iptables_rules.h"
#include "proxy/iptables_run.h"

/* iptables-restore takes time that grows with the square of its input (it looks for each rule's
 * chain in lists of all chains named): ten thousand services in one piece take it ten times as long
 * as in pieces. */
enum { PIECE_SERVICES = 250, PIECE_CHAINS = 1500, SAVED_MAX = 256 << 20 };

struct family {
	bool there; /* served, and the programs are installed */
	struct iptables_batch batch;
	struct iptables_top top;
	struct map stale; /* service chains that the kernel has and nobody has asked for yet */
	bool missing[IPTABLES_JUMPS];
};

struct iptables_backend {
	struct proxy_backend base;
	const struct proxy_config *config;
	struct family family[2];
	bool full;
	int result; /* of the pieces that have gone out already */
	struct err err;
};

static void fail(struct iptables_backend *n, struct err *err)
{
	if (n->result == 0) {
		n->result = -EIO;
		err_move(&n->err, err);
	}
	err_release(err);
}

static void restore(struct iptables_backend *n, bool ipv6, struct buf *input)
{
	struct err err = {0};

	if (n->result == 0 && buf_failed(input)) {
		err_fmt(&err, 500, "InternalError", "iptables: too many rules");
		fail(n, &err);
	} else if (n->result == 0 && input->n && iptables_restore(ipv6, buf_str(input), &err) < 0) {
		fail(n, &err);
	}
	buf_release(input);
}

static void send_piece(struct iptables_backend *n, bool ipv6)
{
	struct family *f = &n->family[ipv6];
	struct buf input;

	buf_init(&input, SAVED_MAX);
	iptables_batch_write(&f->batch, &input);
	restore(n, ipv6, &input);
	iptables_batch_reset(&f->batch);
}

/* --- what is there --- */

struct saved_line {
	struct str table, text;
};

typedef void saved_fn(void *user_data, const struct saved_line *line);

static void each_saved(struct str saved, saved_fn *fn, void *user_data)
{
	struct saved_line l = {0};

	while (saved.n) {
		str_cut(saved, '\n', &l.text, &saved);
		if (l.text.n && l.text.p[0] == '*')
			l.table = str_sub(l.text, 1, l.text.n);
		else if (l.text.n)
			fn(user_data, &l);
	}
}

/* The chain of ":CHAIN - [0:0]"; empty when the line is no such. */
static struct str chain_of(struct str text)
{
	struct str name, rest;

	if (text.p[0] != ':')
		return (struct str){0};
	str_cut(str_sub(text, 1, text.n), ' ', &name, &rest);
	return name;
}

static bool is_jump(const struct saved_line *l, const struct iptables_jump *j)
{
	char head[64], tail[64];

	snprintf(head, sizeof(head), "-A %s ", j->from);
	snprintf(tail, sizeof(tail), " -j %s", j->to);
	return str_eqc(l->table, j->table) && str_starts(l->text, str_c(head)) &&
	       str_ends(l->text, str_c(tail));
}

static void note_saved(void *user_data, const struct saved_line *l)
{
	struct family *f = user_data;
	struct str chain = chain_of(l->text);

	if (chain.n && str_eqc(l->table, "nat") && iptables_is_service_chain(chain))
		map_set(&f->stale, chain, f);
	for (int i = 0; i < IPTABLES_JUMPS; i++)
		if (is_jump(l, &iptables_jumps[i]))
			f->missing[i] = false;
}

static void look(struct iptables_backend *n, bool ipv6)
{
	struct family *f = &n->family[ipv6];
	struct err err = {0};
	struct buf saved;

	map_release(&f->stale);
	for (int i = 0; i < IPTABLES_JUMPS; i++)
		f->missing[i] = true;
	buf_init(&saved, SAVED_MAX);
	if (iptables_save(ipv6, &saved, &err) < 0)
		fail(n, &err);
	each_saved(buf_str(&saved), note_saved, f);
	buf_release(&saved);
}

/* --- the mode --- */

static void render(struct proxy_backend *b, const struct proxy_service *svc, struct ruleset *ret,
	struct arena *a)
{
	struct iptables_backend *n = container_of(b, struct iptables_backend, base);

	if (n->family[svc->ipv6].there)
		iptables_render(n->config, svc, ret, a);
}

static void begin_family(struct iptables_backend *n, bool ipv6)
{
	struct family *f = &n->family[ipv6];
	struct buf input;

	iptables_batch_reset(&f->batch);
	buf_release(&f->top.filter);
	buf_release(&f->top.nat);
	buf_init(&f->top.filter, SAVED_MAX);
	buf_init(&f->top.nat, SAVED_MAX);
	if (!n->full)
		return;
	look(n, ipv6);
	buf_init(&input, SAVED_MAX);
	iptables_base(n->config, &input);
	restore(n, ipv6, &input);
}

static void begin(struct proxy_backend *b, bool full)
{
	struct iptables_backend *n = container_of(b, struct iptables_backend, base);

	n->full = full;
	n->result = 0;
	err_release(&n->err);
	for (int v6 = 0; v6 < 2; v6++)
		if (n->family[v6].there)
			begin_family(n, v6);
}

static void change(
	struct proxy_backend *b, const struct ruleset *before, const struct ruleset *after)
{
	struct iptables_backend *n = container_of(b, struct iptables_backend, base);

	for (size_t i = 0; n->full && i < after->n; i++)
		if (after->v[i].kind == IPTABLES_CHAIN)
			map_remove(&n->family[after->v[i].ipv6].stale, after->v[i].name);
	for (int v6 = 0; v6 < 2; v6++) {
		struct family *f = &n->family[v6];

		if (!f->there)
			continue;
		iptables_diff(before, after, v6, &f->batch, n->full ? &f->top : NULL);
		if (f->batch.n >= PIECE_SERVICES)
			send_piece(n, v6);
	}
}

static bool tcp_is_liberal(void)
{
	char c = '0';
	int fd = open("/proc/sys/net/netfilter/nf_conntrack_tcp_be_liberal", O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		if (read(fd, &c, 1) != 1)
			c = '0';
		close(fd);
	}
	return c == '1';
}

/* Chains refer to each other: all are emptied before the first is deleted. */
static void delete_chains(struct iptables_backend *n, bool ipv6, const struct map *chains)
{
	for (int deleting = 0; deleting < 2; deleting++) {
		struct map_entry *e = map_first(chains);

		while (e) {
			struct buf input;

			buf_init(&input, SAVED_MAX);
			buf_add_c(&input, "*nat\n");
			for (int i = 0; e && i < PIECE_CHAINS; i++, e = map_next(chains, e))
				buf_fmt(&input, deleting ? "-X %s\n" : ":%s - [0:0]\n", e->key);
			buf_add_c(&input, "COMMIT\n");
			restore(n, ipv6, &input);
		}
	}
}

/* Chains of services stand by now; with this the dispatch to them changes at once, and then nothing
 * refers to what is stale. */
static void finish_family(struct iptables_backend *n, bool ipv6)
{
	struct family *f = &n->family[ipv6];
	struct buf input;

	if (f->batch.n)
		send_piece(n, ipv6);
	if (!n->full)
		return;
	buf_init(&input, SAVED_MAX);
	iptables_finish(n->config, ipv6, &f->top, f->missing, tcp_is_liberal(), &input);
	restore(n, ipv6, &input);
	delete_chains(n, ipv6, &f->stale);
	map_release(&f->stale);
}

static int commit(struct proxy_backend *b, struct err *err)
{
	struct iptables_backend *n = container_of(b, struct iptables_backend, base);

	for (int v6 = 0; v6 < 2; v6++)
		if (n->family[v6].there)
			finish_family(n, v6);
	if (n->result < 0)
		err_move(err, &n->err);
	return n->result;
}

static bool intact(struct proxy_backend *b)
{
	return iptables_has_chain(false, "nat", "KUBE-PROXY-CANARY") &&
	       iptables_has_chain(false, "filter", "KUBE-PROXY-CANARY");
}

static void iptables_free(struct proxy_backend *b)
{
	struct iptables_backend *n = container_of(b, struct iptables_backend, base);

	for (int v6 = 0; v6 < 2; v6++) {
		iptables_batch_release(&n->family[v6].batch);
		buf_release(&n->family[v6].top.filter);
		buf_release(&n->family[v6].top.nat);
		map_release(&n->family[v6].stale);
	}
	err_release(&n->err);
	free(n);
}

static const struct proxy_backend_ops ops = {
	.name = "iptables",
	.render = render,
	.begin = begin,
	.change = change,
	.commit = commit,
	.intact = intact,
	.free = iptables_free,
};

int proxy_backend_iptables_new(
	const struct proxy_config *c, struct proxy_backend **ret, struct err *err)
{
	struct iptables_backend *n;
	struct buf saved;
	int r;

	buf_init(&saved, SAVED_MAX);
	r = iptables_save(false, &saved, err); /* also says whether we may */
	buf_release(&saved);
	if (r < 0)
		return r;
	n = xcalloc(1, sizeof(*n));
	n->base.ops = &ops;
	n->config = c;
	n->family[0].there = true;
	n->family[1].there = c->ipv6 && iptables_installed(true);
	*ret = &n->base;
	return 0;
}

/* --- cleanup --- */

struct cleanup {
	struct buf filter, nat, rest; /* jumps out, and the shared chains emptied */
	struct map service_chains;
	bool any;
};

/* The kubelet has KUBE-FIREWALL, KUBE-KUBELET-CANARY and KUBE-MARK-DROP. */
static bool is_shared_chain(struct str name)
{
	static const char *const names[] = {"KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES",
		"KUBE-FORWARD", "KUBE-NODEPORTS", "KUBE-PROXY-FIREWALL", "KUBE-PROXY-CANARY",
		"KUBE-POSTROUTING", "KUBE-MARK-MASQ"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (str_eqc(name, names[i]))
			return true;
	return false;
}

static struct buf *part_of(struct cleanup *c, struct str table)
{
	return str_eqc(table, "filter") ? &c->filter : str_eqc(table, "nat") ? &c->nat : NULL;
}

static void note_ours(void *user_data, const struct saved_line *l)
{
	struct cleanup *c = user_data;
	struct str chain = chain_of(l->text);
	struct buf *part = part_of(c, l->table);

	if (chain.n && iptables_is_service_chain(chain))
		map_set(&c->service_chains, chain, c);
	if (chain.n && is_shared_chain(chain)) {
		c->any = true;
		if (part)
			buf_fmt(part, ":" STR_FMT " - [0:0]\n", STR_ARG(chain));
		else
			buf_fmt(&c->rest,
				"*" STR_FMT "\n:" STR_FMT " - [0:0]\n-X " STR_FMT "\nCOMMIT\n",
				STR_ARG(l->table), STR_ARG(chain), STR_ARG(chain));
	}
	for (int i = 0; part && i < IPTABLES_JUMPS; i++)
		if (strcmp(iptables_jumps[i].to, "KUBE-FIREWALL") != 0 &&
			is_jump(l, &iptables_jumps[i]))
			buf_fmt(part, "-D " STR_FMT "\n", STR_ARG(str_sub(l->text, 3, l->text.n)));
}

static void delete_shared(void *user_data, const struct saved_line *l)
{
	struct cleanup *c = user_data;
	struct str chain = chain_of(l->text);
	struct buf *part = part_of(c, l->table);

	if (chain.n && part && is_shared_chain(chain))
		buf_fmt(part, "-X " STR_FMT "\n", STR_ARG(chain));
}

/* KUBE-MARK-MASQ is referred to by services' chains: those go first, emptied; then the rest. */
static void clean_family(struct iptables_backend *n, bool ipv6)
{
	struct cleanup c = {0};
	struct buf saved, input;

	buf_init(&saved, SAVED_MAX);
	buf_init(&c.filter, SAVED_MAX);
	buf_init(&c.nat, SAVED_MAX);
	buf_init(&c.rest, SAVED_MAX);
	if (iptables_save(ipv6, &saved, NULL) == 0)
		each_saved(buf_str(&saved), note_ours, &c);
	if (c.any) {
		buf_init(&input, SAVED_MAX);
		buf_add_c(&input, "*filter\n");
		buf_add_str(&input, buf_str(&c.filter));
		buf_add_c(&input, "COMMIT\n*nat\n");
		buf_add_str(&input, buf_str(&c.nat));
		buf_add_c(&input, "COMMIT\n");
		restore(n, ipv6, &input);
		delete_chains(n, ipv6, &c.service_chains);
		buf_reset(&c.filter);
		buf_reset(&c.nat);
		each_saved(buf_str(&saved), delete_shared, &c);
		buf_init(&input, SAVED_MAX);
		buf_add_c(&input, "*filter\n");
		buf_add_str(&input, buf_str(&c.filter));
		buf_add_c(&input, "COMMIT\n*nat\n");
		buf_add_str(&input, buf_str(&c.nat));
		buf_add_c(&input, "COMMIT\n");
		buf_add_str(&input, buf_str(&c.rest));
		restore(n, ipv6, &input);
	}
	map_release(&c.service_chains);
	buf_release(&saved);
	buf_release(&c.filter);
	buf_release(&c.nat);
	buf_release(&c.rest);
}

void proxy_iptables_cleanup(void)
{
	struct iptables_backend n = {0};

	for (int v6 = 0; v6 < 2; v6++)
		if (iptables_installed(v6))
			clean_family(&n, v6);
	if (n.result < 0)
		log_warn("removing the rules of iptables mode: %s", err_text(&n.err));
	err_release(&n.err);
}
