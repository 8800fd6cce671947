#include "proxy/iptables_overlay.h"

#include "network/nft_run.h"

enum { COMMANDS_MAX = 256 << 20 };

/* Of a service that has changed since its rules were last written to iptables' tables. */
struct overlaid {
	struct arena arena;
	struct ruleset there, wanted; /* what those have, and should have */
	struct ruleset here;
};

static void overlaid_free(struct overlaid *s)
{
	arena_release(&s->arena);
	free(s);
}

static void forget_all(struct iptables_overlay *o)
{
	for (struct map_entry *e = map_first(&o->services); e; e = map_next(&o->services, e))
		overlaid_free(e->value);
	map_release(&o->services);
	nft_shared_release(&o->shared);
}

void iptables_overlay_release(struct iptables_overlay *o)
{
	forget_all(o);
	buf_release(&o->commands);
}

int iptables_overlay_lay(struct iptables_overlay *o, struct err *err)
{
	struct buf text;
	int r;

	buf_init(&text, COMMANDS_MAX);
	for (int v6 = 0; v6 <= o->config->ipv6; v6++) {
		nft_delete_tables(v6, &text);
		nft_base(o->config, v6, NFT_BESIDE_IPTABLES, &text);
	}
	r = nft_run(buf_str(&text), err);
	buf_release(&text);
	o->laid = r == 0;
	return r;
}

void iptables_overlay_reset(struct iptables_overlay *o)
{
	for (int v6 = 0; o->laid && v6 <= o->config->ipv6; v6++)
		nft_delete_tables(v6, &o->commands);
	o->laid = false;
	forget_all(o);
}

/* --- items --- */

void iptables_overlay_render(const struct iptables_overlay *o, const struct proxy_service *svc,
	struct ruleset *ret, struct arena *a)
{
	struct ruleset mine = {0};

	nft_render(o->config, svc, &mine, a);
	for (size_t i = 0; i < mine.n; i++) {
		mine.v[i].kind += IPTABLES_OVERLAY_KIND;
		ARENA_PUSH(a, ret, mine.v[i]);
	}
}

/* Items are sorted by kind: those of these tables stand last. */
static struct ruleset part(const struct ruleset *r, bool mine, struct arena *a)
{
	struct ruleset out = {0};
	size_t n = 0;

	while (n < r->n && r->v[n].kind < IPTABLES_OVERLAY_KIND)
		n++;
	if (!mine)
		return (struct ruleset){r->v, n};
	for (size_t i = n; i < r->n; i++) {
		ARENA_PUSH(a, &out, r->v[i]);
		out.v[out.n - 1].kind -= IPTABLES_OVERLAY_KIND;
	}
	return out;
}

/* Whether the tables can hold it: endpoints, and no clients to remember. */
static bool can_hold(const struct ruleset *mine)
{
	bool chains = false;

	for (size_t i = 0; i < mine->n; i++) {
		if (mine->v[i].kind == NFT_SET)
			return false;
		chains |= mine->v[i].kind == NFT_CHAIN;
	}
	return chains;
}

/* --- changes --- */

void iptables_overlay_change(struct iptables_overlay *o, struct str service,
	const struct ruleset *before, const struct ruleset *after, bool full,
	struct iptables_change *ret)
{
	static const struct ruleset none = {0};
	struct arena a = {0};
	struct ruleset mine = part(after, true, &a);
	struct overlaid *s = map_get(&o->services, service);

	*ret = (struct iptables_change){.after = part(after, false, NULL)};
	ret->before = s ? s->there : part(before, false, NULL);
	ret->retire = !full && o->laid && can_hold(&mine);
	ret->was = s;
	nft_diff(&o->shared, s ? &s->here : &none, ret->retire ? &mine : &none, &o->commands);
	if (ret->retire) {
		struct overlaid *now = xcalloc(1, sizeof(*now));

		now->here = ruleset_copy(&mine, &now->arena);
		now->wanted = ruleset_copy(&ret->after, &now->arena);
		map_set(&o->services, service, now);
		ret->now = now;
	} else if (s) {
		map_remove(&o->services, service);
	}
	arena_release(&a);
}

void iptables_overlay_changed(struct iptables_overlay *o, struct iptables_change *c)
{
	if (c->now) {
		ruleset_sort(&c->left);
		c->now->there = ruleset_copy(&c->left, &c->now->arena);
	}
	if (c->was)
		overlaid_free(c->was);
	arena_release(&c->arena);
}

void iptables_overlay_fold(struct iptables_overlay *o, size_t services_max,
	void (*fn)(void *user_data, const struct ruleset *before, const struct ruleset *after),
	void *user_data)
{
	static const struct ruleset none = {0};
	struct arena a = {0};
	struct str_vec done = {0};

	for (struct map_entry *e = map_first(&o->services); e && done.n < services_max;
		e = map_next(&o->services, e)) {
		struct overlaid *s = e->value;

		nft_diff(&o->shared, &s->here, &none, &o->commands);
		fn(user_data, &s->there, &s->wanted);
		ARENA_PUSH(&a, &done, arena_str(&a, str_n(e->key, e->key_len)));
	}
	for (size_t i = 0; i < done.n; i++)
		overlaid_free(map_remove(&o->services, done.v[i]));
	arena_release(&a);
}
