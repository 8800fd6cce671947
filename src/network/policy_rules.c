/* policy_rules.c: a policy's rules as nftables' (policy.h). */
#include <ctype.h>

#include "network/policy_int.h"

enum { RULES_MAX = 16 << 20 };

struct matches {
	struct match {
		int family; /* 0: both */
		struct str text;
	} * v;
	size_t n;
};

struct writer {
	struct policies *p;
	struct policy *policy;
	struct arena *a;
	struct buf rules;
	bool ingress;
};

struct str policy_chain(const struct policy *policy, bool ingress, struct arena *a)
{
	return arena_fmt(a, "%s-" STR_FMT, ingress ? "in" : "eg", STR_ARG(policy->uid));
}

static const char *word(int family)
{
	return family == AF_INET6 ? "ip6" : "ip";
}

/* --- who --- */

static void add_block(struct writer *w, const struct networking_v1_ip_block *b, struct matches *to)
{
	const char *side = w->ingress ? "saddr" : "daddr";
	char text[IP_TEXT_MAX];
	struct ip_prefix p, except;
	struct match m;

	if (ip_prefix_parse(b->cidr, &p) < 0)
		return;
	m.family = p.addr.family;
	m.text = p.bits ? arena_fmt(
				  w->a, "%s %s %s ", word(m.family), side, ip_prefix_text(&p, text))
			: arena_fmt(w->a, "meta nfproto ipv%c ", m.family == AF_INET ? '4' : '6');
	for (size_t i = 0; i < b->except.n; i++)
		if (ip_prefix_parse(b->except.v[i], &except) == 0 && except.addr.family == m.family)
			m.text = arena_fmt(w->a, STR_FMT "%s %s != %s ", STR_ARG(m.text),
				word(m.family), side, ip_prefix_text(&except, text));
	ARENA_PUSH(w->a, to, m);
}

static void add_peer(
	struct writer *w, const struct networking_v1_network_policy_peer *peer, struct matches *to)
{
	static const int families[] = {AF_INET, AF_INET6};
	const char *side = w->ingress ? "saddr" : "daddr";
	const struct peer *set;

	if (peer->ip_block) {
		add_block(w, peer->ip_block, to);
		return;
	}
	set = policies_acquire_peer(w->p, w->policy, peer);
	for (size_t i = 0; set && i < ARRAY_SIZE(families); i++)
		ARENA_PUSH(w->a, to,
			((struct match){families[i],
				arena_fmt(w->a, "%s %s @peer%u-%c ", word(families[i]), side,
					set->id, families[i] == AF_INET ? '4' : '6')}));
}

/* --- what --- */

static struct str lower(struct str s, struct arena *a)
{
	char *c = arena_cstr(a, s.n ? s : S("TCP"));

	for (char *p = c; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return str_c(c);
}

static void add_port(
	struct writer *w, const struct networking_v1_network_policy_port *port, struct matches *to)
{
	static const int families[] = {AF_INET, AF_INET6};
	struct str protocol = lower(port->protocol, w->a);

	if (!port->port) {
		ARENA_PUSH(w->a, to,
			((struct match){0,
				arena_fmt(w->a, "meta l4proto " STR_FMT " ", STR_ARG(protocol))}));
		return;
	}
	if (!port->port->is_string) {
		int last = port->end_port ? *port->end_port : port->port->i;

		ARENA_PUSH(w->a, to,
			((struct match){0, last > port->port->i
						   ? arena_fmt(w->a, STR_FMT " dport %d-%d ",
							     STR_ARG(protocol), port->port->i, last)
						   : arena_fmt(w->a, STR_FMT " dport %d ",
							     STR_ARG(protocol), port->port->i)}));
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		struct str set =
			policies_port_set(w->p, protocol, port->port->s, families[i], w->a);

		ARENA_PUSH(w->a, to,
			((struct match){families[i],
				arena_fmt(w->a,
					"meta l4proto " STR_FMT " %s daddr . th dport @" STR_FMT
					" ",
					STR_ARG(protocol), word(families[i]), STR_ARG(set))}));
	}
}

static void add_rule(struct writer *w, const struct networking_v1_network_policy_peer_vec *peers,
	const struct networking_v1_network_policy_port_vec *ports)
{
	const struct match any = {0, S("")};
	struct matches who = {0}, what = {0};

	for (size_t i = 0; i < peers->n; i++)
		add_peer(w, &peers->v[i], &who);
	for (size_t i = 0; i < ports->n; i++)
		add_port(w, &ports->v[i], &what);
	if (!peers->n)
		ARENA_PUSH(w->a, &who, any);
	if (!ports->n)
		ARENA_PUSH(w->a, &what, any);
	for (size_t i = 0; i < who.n; i++)
		for (size_t k = 0; k < what.n; k++) {
			if (who.v[i].family && what.v[k].family &&
				who.v[i].family != what.v[k].family)
				continue;
			/* what may leave must still be let in by its destination */
			buf_fmt(&w->rules, STR_FMT STR_FMT "%s\n", STR_ARG(who.v[i].text),
				STR_ARG(what.v[k].text), w->ingress ? "accept" : "goto ingress");
		}
}

static struct str finish(struct writer *w)
{
	struct str text = S("");

	if (buf_failed(&w->rules)) /* nothing is allowed rather than too much */
		log_error("network policy " STR_FMT "/" STR_FMT ": too many rules",
			STR_ARG(w->policy->ns), STR_ARG(w->policy->name));
	else if (w->rules.n)
		text = arena_str(w->a, buf_str(&w->rules));
	buf_release(&w->rules);
	return text;
}

struct str policy_ingress_rules(struct policies *p, struct policy *policy,
	const struct networking_v1_network_policy *spec, struct arena *a)
{
	struct writer w = {.p = p, .policy = policy, .a = a, .ingress = true};

	buf_init(&w.rules, RULES_MAX);
	for (size_t i = 0; i < spec->spec.ingress.n; i++)
		add_rule(&w, &spec->spec.ingress.v[i].from, &spec->spec.ingress.v[i].ports);
	return finish(&w);
}

struct str policy_egress_rules(struct policies *p, struct policy *policy,
	const struct networking_v1_network_policy *spec, struct arena *a)
{
	struct writer w = {.p = p, .policy = policy, .a = a};

	buf_init(&w.rules, RULES_MAX);
	for (size_t i = 0; i < spec->spec.egress.n; i++)
		add_rule(&w, &spec->spec.egress.v[i].to, &spec->spec.egress.v[i].ports);
	return finish(&w);
}
