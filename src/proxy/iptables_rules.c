#include "proxy/iptables_rules.h"

#include <openssl/sha.h>

struct writer {
	const struct proxy_config *config;
	const struct proxy_service *svc;
	const struct proxy_port *port;
	struct ruleset *out;
	struct arena *a;
	struct str hash;
};

/* The first 80 bits of SHA-256 in base 32, 16 letters: as long as a chain's name allows. */
static struct str hash_of(struct arena *a, struct str text)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
	unsigned char digest[SHA256_DIGEST_LENGTH];
	char *out = arena_alloc(a, 17);

	SHA256((const unsigned char *)text.p, text.n, digest);
	for (int i = 0; i < 16; i++) {
		int bit = i * 5;
		unsigned two = (unsigned)digest[bit / 8] << 8 | digest[bit / 8 + 1];

		out[i] = letters[two >> (11 - bit % 8) & 31];
	}
	return str_n(out, 16);
}

bool iptables_is_service_chain(struct str name)
{
	static const char *const prefixes[] = {
		"KUBE-SVC-", "KUBE-SVL-", "KUBE-SEP-", "KUBE-FW-", "KUBE-EXT-"};

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (str_starts(name, str_c(prefixes[i])))
			return true;
	return false;
}

static struct str chain_name(struct writer *w, const char *prefix)
{
	return arena_fmt(w->a, "KUBE-%s-" STR_FMT, prefix, STR_ARG(w->hash));
}

static struct str endpoint_text(struct writer *w, const struct proxy_endpoint *e)
{
	return arena_fmt(
		w->a, w->svc->ipv6 ? "[" STR_FMT "]:%d" : STR_FMT ":%d", STR_ARG(e->ip), e->port);
}

static struct str endpoint_chain(struct writer *w, const struct proxy_endpoint *e)
{
	struct str hash =
		hash_of(w->a, arena_fmt(w->a, STR_FMT "%s" STR_FMT, STR_ARG(w->port->full_name),
				      w->port->protocol, STR_ARG(endpoint_text(w, e))));

	return arena_fmt(w->a, "KUBE-SEP-" STR_FMT, STR_ARG(hash));
}

static void add_rule(struct writer *w, enum iptables_kind kind, const char *chain, struct str spec)
{
	ARENA_PUSH(w->a, w->out,
		((struct ruleset_item){kind, w->svc->ipv6, NULL,
			arena_fmt(w->a, "%s " STR_FMT, chain, STR_ARG(spec)), {0}}));
}

static void add_chain(struct writer *w, struct str name, struct buf *body)
{
	ARENA_PUSH(w->a, w->out,
		((struct ruleset_item){
			IPTABLES_CHAIN, w->svc->ipv6, NULL, name, arena_str(w->a, buf_str(body))}));
	buf_release(body);
}

/* --- matches --- */

/* `-m comment --comment "default/web:http WHAT" ` */
static struct str comment(struct writer *w, const char *what)
{
	return arena_fmt(
		w->a, "-m comment --comment \"" STR_FMT "%s\" ", STR_ARG(w->port->full_name), what);
}

static struct str to_address(struct writer *w, struct str ip)
{
	return arena_fmt(w->a, "-m %s -p %s -d " STR_FMT " --dport %d ", w->port->protocol,
		w->port->protocol, STR_ARG(ip), w->port->port);
}

static struct str to_node_port(struct writer *w)
{
	return arena_fmt(w->a, "-m %s -p %s --dport %d ", w->port->protocol, w->port->protocol,
		w->port->node_port);
}

/* What matches traffic of this machine's pods, or of everything else; empty when nobody can tell.
 */
static struct str local_match(struct writer *w, bool negated)
{
	const struct proxy_config *c = w->config;
	const char *not = negated ? "! " : "";

	switch (c->detect) {
	case PROXY_DETECT_CLUSTER_CIDR:
	case PROXY_DETECT_NODE_CIDR:
		if (!c->local_cidr[w->svc->ipv6].n)
			break;
		return arena_fmt(
			w->a, "%s-s " STR_FMT " ", not, STR_ARG(c->local_cidr[w->svc->ipv6]));
	case PROXY_DETECT_BRIDGE:
		return arena_fmt(w->a, "%s-i " STR_FMT " ", not, STR_ARG(c->interface));
	case PROXY_DETECT_PREFIX:
		return arena_fmt(w->a, "%s-i " STR_FMT "+ ", not, STR_ARG(c->interface));
	case PROXY_DETECT_NONE:
		break;
	}
	return (struct str){0};
}

static void line(struct buf *b, struct str match1, struct str match2, const char *target)
{
	buf_add_str(b, match1);
	buf_add_str(b, match2);
	buf_fmt(b, "-j %s\n", target);
}

/* --- endpoints --- */

static void add_endpoint(struct writer *w, const struct proxy_endpoint *e)
{
	struct str name = endpoint_chain(w, e), about = comment(w, "");
	struct buf b;

	buf_init(&b, 65536);
	/* a pod that reaches itself */
	line(&b, about, arena_fmt(w->a, "-s " STR_FMT " ", STR_ARG(e->ip)), "KUBE-MARK-MASQ");
	buf_add_str(&b, about);
	if (w->svc->affinity_s)
		buf_fmt(&b, "-m recent --name " STR_FMT " --set ", STR_ARG(name));
	buf_fmt(&b, "-m %s -p %s -j DNAT --to-destination " STR_FMT "\n", w->port->protocol,
		w->port->protocol, STR_ARG(endpoint_text(w, e)));
	add_chain(w, name, &b);
}

static struct str arrow(struct writer *w, const struct proxy_endpoint *e)
{
	return arena_fmt(w->a, "-m comment --comment \"" STR_FMT " -> " STR_FMT "\" ",
		STR_ARG(w->port->full_name), STR_ARG(endpoint_text(w, e)));
}

/* Those who were served lately go where they went; the rest by lot: the first of n with
 * probability 1/n, the next of the others with 1/(n-1), and so on. */
static void spread(struct writer *w, const struct proxy_endpoints *e, struct buf *b)
{
	for (size_t i = 0; w->svc->affinity_s && i < e->n; i++) {
		struct str chain = endpoint_chain(w, &e->v[i]);

		line(b, arrow(w, &e->v[i]),
			arena_fmt(w->a,
				"-m recent --name " STR_FMT " --rcheck --seconds %d --reap ",
				STR_ARG(chain), w->svc->affinity_s),
			chain.p);
	}
	for (size_t i = 0; i < e->n; i++) {
		struct str lot = {0};

		if (i + 1 < e->n)
			lot = arena_fmt(w->a, "-m statistic --mode random --probability %.10f ",
				1.0 / (double)(e->n - i));
		line(b, arrow(w, &e->v[i]), lot, endpoint_chain(w, &e->v[i]).p);
	}
}

static struct str add_spread(
	struct writer *w, const char *prefix, const struct proxy_endpoints *e, bool internal)
{
	struct str name = chain_name(w, prefix), outside = local_match(w, true);
	struct buf b;

	buf_init(&b, 64 << 20);
	if (internal && (w->config->masquerade_all || outside.n)) {
		buf_add_str(&b, comment(w, " cluster IP"));
		line(&b, to_address(w, w->svc->cluster_ip),
			w->config->masquerade_all ? (struct str){0} : outside, "KUBE-MARK-MASQ");
	}
	spread(w, e, &b);
	add_chain(w, name, &b);
	for (size_t i = 0; i < e->n; i++)
		add_endpoint(w, &e->v[i]);
	return name;
}

/* --- from outside --- */

static struct str external_chain(struct writer *w, struct str cluster, struct str local)
{
	struct str name = chain_name(w, "EXT"), pods = local_match(w, false), to = cluster;
	struct str from_here = S("-m addrtype --src-type LOCAL ");
	struct buf b;

	buf_init(&b, 65536);
#define ABOUT(what)                                                                                \
	arena_fmt(w->a,                                                                            \
		"-m comment --comment \"" what " for " STR_FMT " external destinations\" ",        \
		STR_ARG(w->port->full_name))
	if (!w->svc->external_local) {
		line(&b, ABOUT("masquerade traffic"), (struct str){0}, "KUBE-MARK-MASQ");
	} else {
		/* what comes from this machine is inside traffic that took the long way */
		if (pods.n && cluster.n)
			line(&b, ABOUT("pod traffic"), pods, cluster.p);
		if (cluster.n) {
			line(&b, ABOUT("masquerade LOCAL traffic"), from_here, "KUBE-MARK-MASQ");
			line(&b, ABOUT("route LOCAL traffic"), from_here, cluster.p);
		}
		to = local;
	}
#undef ABOUT
	if (to.n)
		buf_fmt(&b, "-j " STR_FMT "\n", STR_ARG(to));
	add_chain(w, name, &b);
	return name;
}

static struct str firewall_chain(struct writer *w, struct str external)
{
	struct str name = chain_name(w, "FW"), about = comment(w, " loadbalancer IP");
	const struct str_vec lists[] = {w->svc->source_ranges, w->svc->balancer_ips};
	struct str node = w->config->node_ips[w->svc->ipv6];
	bool with_own = false;
	struct buf b;

	buf_init(&b, 1 << 20);
	for (size_t i = 0; i < lists[0].n; i++)
		with_own |= proxy_cidr_has(lists[0].v[i], node);
	for (int l = 0; l <= with_own; l++)
		for (size_t i = 0; i < lists[l].n; i++)
			line(&b, about, arena_fmt(w->a, "-s " STR_FMT " ", STR_ARG(lists[l].v[i])),
				external.p);
	buf_fmt(&b,
		"-m comment --comment \"other traffic to " STR_FMT
		" will be dropped by KUBE-PROXY-FIREWALL\"\n",
		STR_ARG(w->port->full_name));
	add_chain(w, name, &b);
	return name;
}

static struct str rule_text(struct writer *w, struct str m1, struct str m2, struct str target)
{
	return arena_fmt(
		w->a, STR_FMT STR_FMT "-j " STR_FMT, STR_ARG(m1), STR_ARG(m2), STR_ARG(target));
}

static void dispatch_external(struct writer *w, struct str external, struct str balancer)
{
	const struct proxy_service *svc = w->svc;

	for (size_t i = 0; i < svc->external_ips.n; i++)
		add_rule(w, IPTABLES_NAT_RULE, "KUBE-SERVICES",
			rule_text(w, comment(w, " external IP"),
				to_address(w, svc->external_ips.v[i]), external));
	for (size_t i = 0; i < svc->balancer_ips.n; i++)
		add_rule(w, IPTABLES_NAT_RULE, "KUBE-SERVICES",
			rule_text(w, comment(w, " loadbalancer IP"),
				to_address(w, svc->balancer_ips.v[i]), balancer));
	if (w->port->node_port)
		add_rule(w, IPTABLES_NAT_RULE, "KUBE-NODEPORTS",
			rule_text(w, comment(w, ""), to_node_port(w), external));
}

/* Traffic to outside addresses that nobody here answers. */
static void refuse_external(struct writer *w, const char *why, struct str target)
{
	const struct str_vec lists[] = {w->svc->external_ips, w->svc->balancer_ips};
	struct str about = comment(w, why);

	for (size_t l = 0; l < ARRAY_SIZE(lists); l++)
		for (size_t i = 0; i < lists[l].n; i++)
			add_rule(w, IPTABLES_FILTER_RULE, "KUBE-EXTERNAL-SERVICES",
				rule_text(w, about, to_address(w, lists[l].v[i]), target));
	if (w->port->node_port)
		add_rule(w, IPTABLES_FILTER_RULE, "KUBE-EXTERNAL-SERVICES",
			arena_fmt(w->a,
				STR_FMT "-m addrtype --dst-type LOCAL " STR_FMT "-j " STR_FMT,
				STR_ARG(about), STR_ARG(to_node_port(w)), STR_ARG(target)));
}

static void add_firewall(struct writer *w, struct str firewall)
{
	const struct proxy_service *svc = w->svc;
	struct str about = arena_fmt(w->a,
		"-m comment --comment \"" STR_FMT " traffic not accepted by " STR_FMT "\" ",
		STR_ARG(w->port->full_name), STR_ARG(firewall));

	for (size_t i = 0; i < svc->balancer_ips.n; i++)
		add_rule(w, IPTABLES_FILTER_RULE, "KUBE-PROXY-FIREWALL",
			rule_text(w, about, to_address(w, svc->balancer_ips.v[i]), S("DROP")));
}

static void add_external(struct writer *w, struct str cluster, struct str local)
{
	struct str external, balancer;

	if (!proxy_port_external(w->svc, w->port))
		return;
	external = balancer = external_chain(w, cluster, local);
	if (w->svc->balancer_ips.n && w->svc->source_ranges.n) {
		balancer = firewall_chain(w, external);
		add_firewall(w, balancer);
	}
	dispatch_external(w, external, balancer);
	if (w->svc->external_local && !local.n)
		refuse_external(w, " has no local endpoints", S("DROP"));
}

static void add_port(struct writer *w)
{
	const struct proxy_port *p = w->port;
	bool internal_local = w->svc->internal_local;
	struct str cluster = {0}, local = {0}, internal;
	struct str about = comment(w, p->any ? " has no local endpoints" : " has no endpoints");

	if (p->cluster.n)
		cluster = add_spread(w, "SVC", &p->cluster, !internal_local);
	if (p->local.n)
		local = add_spread(w, "SVL", &p->local, internal_local);
	internal = internal_local ? local : cluster;
	if (internal.n)
		add_rule(w, IPTABLES_NAT_RULE, "KUBE-SERVICES",
			rule_text(w, comment(w, " cluster IP"), to_address(w, w->svc->cluster_ip),
				internal));
	else
		add_rule(w, IPTABLES_FILTER_RULE, "KUBE-SERVICES",
			rule_text(w, about, to_address(w, w->svc->cluster_ip),
				p->any ? S("DROP") : S("REJECT")));
	if (p->any)
		add_external(w, cluster, local);
	else
		refuse_external(w, " has no endpoints", S("REJECT"));
}

static void add_health_check(struct writer *w)
{
	add_rule(w, IPTABLES_FILTER_RULE, "KUBE-NODEPORTS",
		rule_text(w, comment(w, " health check node port"),
			arena_fmt(w->a, "-m tcp -p tcp --dport %d ", w->svc->health_check_port),
			S("ACCEPT")));
}

void iptables_render(const struct proxy_config *c, const struct proxy_service *svc,
	struct ruleset *ret, struct arena *a)
{
	struct writer w = {.config = c, .svc = svc, .out = ret, .a = a};

	for (size_t i = 0; i < svc->n_ports; i++) {
		w.port = &svc->ports[i];
		w.hash = hash_of(a,
			arena_fmt(a, STR_FMT "%s", STR_ARG(w.port->full_name), w.port->protocol));
		add_port(&w);
		if (svc->health_check_port)
			add_health_check(&w);
	}
}
