/* backend_iptables.c: iptables mode. Hosts with the nft variant of iptables get netlink messages,
 * one transaction for each sync; hosts with the legacy variant text to iptables-restore. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "proxy/iptables_look.h"
#include "proxy/iptables_overlay.h"
#include "proxy/iptables_rules.h"
#include "proxy/iptables_run.h"
#include "proxy/iptables_wire.h"
#include "proxy/nft_socket.h"
#include "proxy/nft_wire.h"

enum {
	INPUT_MAX = 256 << 20,
	KEEP_MAX = 1 << 20,
	/* About five hundred services: with fewer the kernel takes no notable time. */
	OVERLAY_WEIGHT = 6000,
	BESIDE_SERVICES = 600,
	FOLD_SERVICES = 500, /* a tenth of a second */
};

struct family {
	bool there; /* served, and the programs are installed */
	struct iptables_batch batch;
	struct iptables_top top;
	struct iptables_found found; /* of what was there, and nobody has asked for yet */
	struct buf input;            /* legacy: for iptables-restore */
	struct iptables_wire wire;   /* nft */
	int64_t unexplained;         /* what the kernel's count has more than ours */
};

struct iptables_backend {
	struct proxy_backend base;
	const struct proxy_config *config;
	struct nft_socket *socket; /* of the nft variant; NULL: legacy */
	struct family family[2];
	bool full, beside; /* beside: of a full one, most services go to the overlay */
	bool begun;
	struct buf messages; /* the transaction */
	uint32_t seq;
	uint32_t generation; /* of nftables: nobody has changed anything up to here */
	bool reckoned;       /* generation and unexplained are known */
	bool damaged;        /* since the last full program, before they were */
	struct iptables_overlay overlay;
	int result; /* of what has gone before the commit */
	struct err err;
};

static int fail(struct iptables_backend *n, int r, struct err *err)
{
	if (n->result == 0) {
		n->result = r;
		err_move(&n->err, err);
	}
	err_release(err);
	return r;
}

/* Input for iptables-restore, on its way to the commit. */
static void emit(struct iptables_backend *n, bool ipv6, struct buf *input)
{
	struct family *f = &n->family[ipv6];
	struct err err = {0};
	int r;

	if (!n->socket) {
		buf_add_str(&f->input, buf_str(input));
		f->input.failed |= input->failed;
	} else if (n->result == 0 && input->n) {
		r = iptables_wire_append(&f->wire, buf_str(input), &n->seq, &n->messages, &err);
		n->messages.failed |= input->failed;
		if (r < 0)
			fail(n, r, &err);
	}
	buf_release(input);
}

static void fresh_buf(struct buf *b)
{
	if (b->cap > KEEP_MAX)
		buf_release(b);
	b->max = INPUT_MAX;
	buf_reset(b);
}

static void open_transaction(struct iptables_backend *n)
{
	buf_release(&n->messages);
	buf_init(&n->messages, INPUT_MAX);
	n->seq = nft_batch_begin(&n->messages);
}

static int send_transaction(struct iptables_backend *n, struct err *err)
{
	struct iptables_wire *const wires[] = {&n->family[0].wire, &n->family[1].wire};
	int r;

	if (n->seq == NFT_BATCH_FIRST)
		return 0;
	nft_batch_end(&n->messages, n->seq);
	r = buf_failed(&n->messages)
		    ? err_fmt(err, 500, "InternalError", "iptables: too many rules")
		    : nft_socket_send(n->socket, buf_str(&n->messages), iptables_wire_echo,
			      (void *)wires, err);
	for (int v6 = 0; v6 < 2; v6++)
		iptables_wire_expect_nothing(wires[v6]);
	buf_release(&n->messages);
	return r;
}

/* --- the mode --- */

static void render(struct proxy_backend *b, const struct proxy_service *svc, struct ruleset *ret,
	struct arena *a)
{
	struct iptables_backend *n = container_of(b, struct iptables_backend, base);

	if (!n->family[svc->ipv6].there)
		return;
	iptables_render(n->config, svc, ret, a);
	if (n->overlay.laid)
		iptables_overlay_render(&n->overlay, svc, ret, a);
}

static void look(struct iptables_backend *n, bool ipv6)
{
	struct family *f = &n->family[ipv6];
	struct err err = {0};
	struct str name;
	int r;

	iptables_found_release(&f->found);
	iptables_wire_release(&f->wire);
	r = iptables_look(n->socket, ipv6, &f->found, &err);
	if (r < 0) {
		fail(n, r, &err);
		return;
	}
	for (struct map_entry *e = map_first(&f->found.chains); e;
		e = map_next(&f->found.chains, e)) {
		struct str table = iptables_table_of(e, &name);

		iptables_wire_knows(&f->wire, table, name);
	}
}

static void begin_family(struct iptables_backend *n, bool ipv6)
{
	struct family *f = &n->family[ipv6];
	struct buf input;

	iptables_batch_reset(&f->batch);
	fresh_buf(&f->top.filter);
	fresh_buf(&f->top.nat);
	fresh_buf(&f->input);
	if (!n->full)
		return;
	look(n, ipv6);
	buf_init(&input, INPUT_MAX);
	iptables_base(n->config, &input);
	emit(n, ipv6, &input);
}

/* Many services at the start: unless tables of another mode (or of a run that was killed) are there
 * and at work. */
static void prepare_overlay(struct iptables_backend *n, size_t n_services)
{
	struct err err CLEANUP(err_release) = {0};

	n->beside = n->socket && !n->begun && n_services >= BESIDE_SERVICES &&
		    !nft_socket_has_chain(n->socket, false, NFT_TABLE, "nat_post") &&
		    iptables_overlay_lay(&n->overlay, &err) == 0;
	if (!n->beside)
		iptables_overlay_reset(&n->overlay);
	n->begun = true;
}

static void begin(struct proxy_backend *b, bool full, size_t n_services)
{
	struct iptables_backend *n = container_of(b, struct iptables_backend, base);

	n->full = full;
	n->beside = false;
	n->result = 0;
	err_release(&n->err);
	open_transaction(n);
	fresh_buf(&n->overlay.commands);
	if (full)
		prepare_overlay(n, n_services);
	n->reckoned &= !full;
	n->damaged &= !full;
	for (int v6 = 0; v6 < 2; v6++)
		if (n->family[v6].there)
			begin_family(n, v6);
}

/* Somebody asks for a chain: it is no leftover. */
static void forget_found(struct family *f, struct str chain)
{
	char *key = xasprintf("nat " STR_FMT, STR_ARG(chain));

	map_remove(&f->found.chains, str_c(key));
	free(key);
}

static void change(struct proxy_backend *b, struct str service, const struct ruleset *before,
	const struct ruleset *after)
{
	struct iptables_backend *n = container_of(b, struct iptables_backend, base);
	struct iptables_change c;

	iptables_overlay_change(&n->overlay, service, before, after, n->full && !n->beside, &c);
	for (int v6 = 0; v6 < 2; v6++) {
		struct family *f = &n->family[v6];
		struct iptables_top *top = n->full ? &f->top : NULL;

		if (!f->there)
			continue;
		if (c.retire) {
			iptables_retire(&c.before, &c.after, v6, &f->batch, top, &c.left, &c.arena);
			continue;
		}
		for (size_t i = 0; n->full && i < after->n; i++)
			if (after->v[i].kind == IPTABLES_CHAIN && after->v[i].ipv6 == v6)
				forget_found(f, after->v[i].name);
		iptables_diff(&c.before, &c.after, v6, &f->batch, top);
	}
	iptables_overlay_changed(&n->overlay, &c);
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
static void delete_leftovers(struct iptables_backend *n, bool ipv6)
{
	struct map *found = &n->family[ipv6].found.chains;
	struct buf input;
	struct str name;

	buf_init(&input, INPUT_MAX);
	buf_add_c(&input, "*nat\n");
	for (int deleting = 0; deleting < 2; deleting++)
		for (struct map_entry *e = map_first(found); e; e = map_next(found, e))
			if (str_eqc(iptables_table_of(e, &name), "nat") &&
				iptables_is_service_chain(name))
				buf_fmt(&input, deleting ? "-X %s\n" : ":%s - [0:0]\n", name.p);
	buf_add_c(&input, "COMMIT\n");
	emit(n, ipv6, &input);
}

/* Chains of services stand by now; with this the dispatch to them changes at once, and then nothing
 * refers to what is left over. */
static void finish_family(struct iptables_backend *n, bool ipv6)
{
	struct family *f = &n->family[ipv6];
	struct buf input;

	buf_init(&input, INPUT_MAX);
	iptables_batch_write(&f->batch, &input);
	emit(n, ipv6, &input);
	iptables_batch_reset(&f->batch);
	if (!n->full)
		return;
	buf_init(&input, INPUT_MAX);
	iptables_finish(n->config, ipv6, &f->top, f->found.missing, tcp_is_liberal(), &input);
	emit(n, ipv6, &input);
	delete_leftovers(n, ipv6);
	iptables_found_release(&f->found);
}

/* How much more the kernel's chains are in use than our rules explain: jumps to them that were
 * there before, for instance. As long as that does not change, nobody has touched them. */
static int explain(struct iptables_backend *n, bool ipv6, int64_t *ret_unexplained, bool *ret_jumps)
{
	struct iptables_found found;
	int r = iptables_look(n->socket, ipv6, &found, NULL);

	if (r < 0)
		return r;
	*ret_unexplained = found.in_use - n->family[ipv6].wire.weight;
	*ret_jumps = true;
	for (int i = 0; i < IPTABLES_JUMPS; i++)
		*ret_jumps &= !found.missing[i];
	iptables_found_release(&found);
	return 0;
}

/* After a full program the reckoning is left to the first tidying: it takes the time of a look.
 * Less than what we wrote is no state to reckon from: somebody was there in between. */
static void reckon(struct iptables_backend *n)
{
	uint32_t generation = nft_socket_generation(n->socket);
	bool jumps;

	if (n->reckoned)
		return;
	for (int v6 = 0; v6 < 2; v6++) {
		struct family *f = &n->family[v6];

		if (f->there && explain(n, v6, &f->unexplained, &jumps) == 0)
			n->damaged |= !jumps || f->unexplained < 0;
	}
	n->generation = generation;
	n->reckoned = true;
}

static void count_own(struct iptables_backend *n)
{
	uint32_t generation = nft_socket_generation(n->socket);

	if (generation == n->generation + 1)
		n->generation = generation;
}

static int commit_nft(struct iptables_backend *n, struct err *err)
{
	int r = nft_wire_append(buf_str(&n->overlay.commands), &n->seq, &n->messages);

	fresh_buf(&n->overlay.commands);
	if (r < 0)
		return err_errno(err, -r, "iptables: rules beside it");
	r = send_transaction(n, err);
	if (r == 0)
		count_own(n);
	return r;
}

static int commit_legacy(struct iptables_backend *n, struct err *err)
{
	int r = 0;

	for (int v6 = 0; v6 < 2 && r == 0; v6++) {
		struct buf *input = &n->family[v6].input;

		if (buf_failed(input))
			r = err_fmt(err, 500, "InternalError", "iptables: too many rules");
		else if (input->n)
			r = iptables_restore(v6, buf_str(input), err);
	}
	return r;
}

static int commit(struct proxy_backend *b, struct err *err)
{
	struct iptables_backend *n = container_of(b, struct iptables_backend, base);

	for (int v6 = 0; v6 < 2; v6++)
		if (n->family[v6].there)
			finish_family(n, v6);
	if (n->result < 0) {
		err_move(err, &n->err);
		return n->result;
	}
	return n->socket ? commit_nft(n, err) : commit_legacy(n, err);
}

static void move_back(void *user_data, const struct ruleset *before, const struct ruleset *after)
{
	struct iptables_backend *n = user_data;

	for (int v6 = 0; v6 < 2; v6++)
		if (n->family[v6].there)
			iptables_diff(before, after, v6, &n->family[v6].batch, NULL);
}

/* Two transactions: what is deleted must not be referred to when the second begins. */
static int tidy(struct proxy_backend *b, struct err *err)
{
	struct iptables_backend *n = container_of(b, struct iptables_backend, base);
	size_t many = 0;
	int r = 0;

	if (!n->socket)
		return 0;
	reckon(n);
	if (n->overlay.services.n) {
		begin(b, false, 0);
		iptables_overlay_fold(&n->overlay, FOLD_SERVICES, move_back, n);
		r = commit(b, err);
	}
	if (r < 0)
		return r;
	open_transaction(n);
	for (int v6 = 0; v6 < 2; v6++) {
		iptables_wire_tidy(&n->family[v6].wire, &n->seq, &n->messages);
		many += (size_t)n->family[v6].wire.weight;
	}
	nft_tidy(&n->overlay.shared, &n->overlay.commands);
	r = commit_nft(n, err);
	if (r == 0 && !n->overlay.laid && many >= OVERLAY_WEIGHT)
		r = iptables_overlay_lay(&n->overlay, err);
	return r == 0 && n->overlay.services.n ? 1 : r;
}

static void take_over(struct proxy_backend *b)
{
	struct iptables_backend *n = container_of(b, struct iptables_backend, base);

	if (!n->overlay.laid)
		proxy_nft_cleanup();
}

static bool intact_nft(struct iptables_backend *n)
{
	uint32_t generation = nft_socket_generation(n->socket);
	int64_t unexplained;
	bool jumps;

	if (n->damaged)
		return false;
	if (!n->reckoned || generation == n->generation)
		return true;
	if (n->overlay.laid && !nft_socket_has_chain(n->socket, false, NFT_TABLE, "nat_post"))
		return false;
	for (int v6 = 0; v6 < 2; v6++) {
		struct family *f = &n->family[v6];

		if (f->there && explain(n, v6, &unexplained, &jumps) == 0 &&
			(!jumps || unexplained != f->unexplained))
			return false;
	}
	n->generation = generation;
	return true;
}

static bool intact(struct proxy_backend *b)
{
	struct iptables_backend *n = container_of(b, struct iptables_backend, base);

	if (n->socket)
		return intact_nft(n);
	return iptables_has_chain(false, "nat", "KUBE-PROXY-CANARY") &&
	       iptables_has_chain(false, "filter", "KUBE-PROXY-CANARY");
}

/* Nothing is left beside iptables' tables. */
static void close_overlay(struct iptables_backend *n)
{
	struct err err CLEANUP(err_release) = {0};

	begin(&n->base, false, 0);
	iptables_overlay_fold(&n->overlay, SIZE_MAX, move_back, n);
	iptables_overlay_reset(&n->overlay);
	if (commit(&n->base, &err) < 0)
		log_warn("service rules: %s", err_text(&err));
}

static void iptables_free(struct proxy_backend *b)
{
	struct iptables_backend *n = container_of(b, struct iptables_backend, base);

	if (n->overlay.laid)
		close_overlay(n);
	for (int v6 = 0; v6 < 2; v6++) {
		struct family *f = &n->family[v6];

		iptables_batch_release(&f->batch);
		buf_release(&f->top.filter);
		buf_release(&f->top.nat);
		buf_release(&f->input);
		iptables_found_release(&f->found);
		iptables_wire_release(&f->wire);
	}
	iptables_overlay_release(&n->overlay);
	buf_release(&n->messages);
	nft_socket_free(n->socket);
	err_release(&n->err);
	free(n);
}

static const struct proxy_backend_ops ops = {
	.name = "iptables",
	.render = render,
	.begin = begin,
	.change = change,
	.commit = commit,
	.take_over = take_over,
	.tidy = tidy,
	.intact = intact,
	.free = iptables_free,
};

int proxy_backend_iptables_new(
	const struct proxy_config *c, struct proxy_backend **ret, struct err *err)
{
	struct nft_socket *socket = NULL;
	struct iptables_backend *n;
	bool nft;
	int r = iptables_variant(&nft, err);

	if (r == 0 && nft)
		r = nft_socket_new(&socket, err);
	else if (r == 0)
		nft_socket_new(&socket, NULL); /* only to see whether we may */
	if (r == 0 && socket)
		r = nft_socket_may_change(socket, err);
	if (r < 0) {
		nft_socket_free(socket);
		return r;
	}
	n = xcalloc(1, sizeof(*n));
	n->base.ops = &ops;
	n->base.no_sctp = nft && !nft_socket_has_match(socket, "sctp", 0);
	n->config = n->overlay.config = c;
	if (nft)
		n->socket = socket;
	else
		nft_socket_free(socket);
	n->family[0].there = true;
	n->family[1].there = c->ipv6 && iptables_installed(true);
	n->family[1].wire.ipv6 = true;
	buf_init(&n->overlay.commands, INPUT_MAX);
	*ret = &n->base;
	return 0;
}
