/* Every form of a service, and network namespaces to program them in. */
#include <sched.h>

#include "proxy/backend.h"

/* Every form of a service, chosen by the bits of `step`. */
static inline struct proxy_service service_of(struct arena *a, int step, bool ipv6)
{
	static struct str out4[] = {S("192.0.2.1")}, out6[] = {S("2001:db8::1")};
	static struct str lb4[] = {S("198.51.100.1")}, lb6[] = {S("2001:db8::2")};
	static struct str ranges4[] = {S("203.0.113.0/25"), S("10.0.0.7")};
	static struct str ranges6[] = {S("2001:db8:1::/52"), S("fd00::7")};
	struct proxy_port *p = ARENA_NEW(a, struct proxy_port);
	struct proxy_service s = {.ns = S("a-b"),
		.name = S("x.y"),
		.ipv6 = ipv6,
		.ports = p,
		.n_ports = 1,
		.cluster_ip = ipv6 ? S("fd25::9") : S("10.254.0.9")};

	*p = (struct proxy_port){.full_name = S("a-b/x.y:p"),
		.protocol = step & 1 ? "udp" : "tcp",
		.port = 80,
		.node_port = step & 4 ? 30080 : 0};
	for (int i = 0; i < (step & 3 ? (step & 3) + (step & 4) * 10 : 0); i++)
		ARENA_PUSH(a, &p->cluster,
			((struct proxy_endpoint){
				arena_fmt(a, ipv6 ? "fd01::%d" : "10.1.0.%d", i + 2), 8080, true}));
	p->any = p->cluster.n > 0;
	s.external_local = step & 8;
	if (step & 8)
		p->local = p->cluster;
	s.affinity_s = step & 16 ? 60 : 0;
	if (step & 2) {
		s.external_ips = (struct str_vec){ipv6 ? out6 : out4, 1};
		s.balancer_ips = (struct str_vec){ipv6 ? lb6 : lb4, 1};
		s.source_ranges = (struct str_vec){ipv6 ? ranges6 : ranges4, 2};
	}
	return s;
}

static inline void program(
	struct proxy_backend *b, struct ruleset *before, const struct ruleset *after)
{
	struct err err CLEANUP(err_release) = {0};

	b->ops->begin(b, !before, 1);
	b->ops->change(b, S("a-b/x.y"), before ? before : &(struct ruleset){0}, after);
	if (b->ops->commit(b, &err) < 0)
		fail_msg("%s", err_text(&err));
}

static inline bool in_own_namespace(void)
{
	if (unshare(CLONE_NEWNET) == 0)
		return true;
	fprintf(stderr, "SKIPPED: no right to make a network namespace\n");
	return false;
}

static inline void with_detection(struct proxy_config *c, int step)
{
	c->detect = step % 3 == 0   ? PROXY_DETECT_CLUSTER_CIDR
		    : step % 3 == 1 ? PROXY_DETECT_BRIDGE
				    : PROXY_DETECT_PREFIX;
	c->interface = S("cali");
	c->local_cidr[0] = S("10.1.0.0/17");
	c->local_cidr[1] = S("fd01::/61");
}
