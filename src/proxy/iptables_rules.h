/*
 * iptables_rules.h: services in iptables mode, as text for iptables-restore, in the chains and with
 * the comments that people know from kube-proxy: KUBE-SERVICES finds the service, KUBE-SVC-…
 * (policy Cluster) or KUBE-SVL-… (Local) draws an endpoint, KUBE-SEP-… is one, KUBE-EXT-… is where
 * traffic to an external address goes first, KUBE-FW-… lets in who may use a load balancer.
 */
#ifndef SAMPAN_PROXY_IPTABLES_RULES_H
#define SAMPAN_PROXY_IPTABLES_RULES_H

#include "proxy/backend.h"

enum iptables_kind {
	IPTABLES_FILTER_RULE, /* name: "KUBE-SERVICES -m …": a rule in a shared chain of filter */
	IPTABLES_NAT_RULE,    /* the same of nat */
	IPTABLES_CHAIN,       /* of nat; body: its rules, one a line, without "-A NAME " */
};

/* The items of one service (of one family), appended. */
void iptables_render(const struct proxy_config *c, const struct proxy_service *svc,
	struct ruleset *ret, struct arena *a);

/* Input for iptables-restore --noflush, in the order in which it must stand. */
struct iptables_batch {
	struct buf filter, nat_chains, nat_rules, nat_deletes;
	size_t n; /* services in it */
};
void iptables_batch_init(struct iptables_batch *b);
void iptables_batch_reset(struct iptables_batch *b);
void iptables_batch_release(struct iptables_batch *b);
void iptables_batch_write(const struct iptables_batch *b, struct buf *out);

/* What makes `before` into `after` for one family. With `top` (a full program) rules of shared
 * chains are appended to it instead. */
struct iptables_top {
	struct buf filter, nat;
};
void iptables_diff(const struct ruleset *before, const struct ruleset *after, bool ipv6,
	struct iptables_batch *b, struct iptables_top *top);

/* Only takes away what `before` has and `after` has not, or not so, but in table filter does the
 * rest, too. What then is there is appended to `left`, in no order: a chain that is to have other
 * rules is empty. */
void iptables_retire(const struct ruleset *before, const struct ruleset *after, bool ipv6,
	struct iptables_batch *b, struct iptables_top *top, struct ruleset *left, struct arena *a);

/* The chains that services' chains need: marking and masquerading. */
void iptables_base(const struct proxy_config *c, struct buf *out);
/* Everything around the services, and the rules of the shared chains, at once; `missing`: the jumps
 * to insert, by iptables_jumps' index. `liberal`: conntrack takes packets that are out of window.
 */
enum { IPTABLES_JUMPS = 14 };
struct iptables_jump {
	const char *table, *from, *to, *match, *comment;
};
extern const struct iptables_jump iptables_jumps[IPTABLES_JUMPS];
void iptables_finish(const struct proxy_config *c, bool ipv6, const struct iptables_top *top,
	const bool missing[IPTABLES_JUMPS], bool liberal, struct buf *out);

/* Whether a chain is made for a service (or one of its endpoints). */
bool iptables_is_service_chain(struct str name);

#endif
