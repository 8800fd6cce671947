/* policy_int.h: what policy.c and policy_rules.c share. */
#ifndef SAMPAN_NETWORK_POLICY_INT_H
#define SAMPAN_NETWORK_POLICY_INT_H

#include "api/selector.h"
#include "network/address.h"
#include "network/nft_table.h"
#include "network/policy.h"
#include "types.gen.h"

/* Pods that a rule may name: those of one namespace, or of all that a selector matches. */
struct peer {
	struct arena arena;
	struct str key; /* its canonical text */
	unsigned id;    /* names its sets */
	size_t refs;
	struct str ns; /* empty: by selector */
	struct label_selector namespaces, pods;
	struct map members; /* address -> how many pods have it */
};

struct policy {
	struct arena arena;
	struct str ns, name, uid;
	struct label_selector pods;
	bool ingress, egress;
	struct {
		struct peer **v;
		size_t n;
	} peers; /* a reference each */
};

struct policies {
	struct str node_name;
	struct arena arena;
	struct map pods;       /* "ns/name" -> struct pod (policy.c) */
	struct map namespaces; /* name -> struct namespace (policy.c) */
	struct map policies;   /* "ns/name" -> struct policy */
	struct map peers;      /* key -> struct peer */
	struct map ports;      /* names of sets of named ports -> themselves */
	unsigned last_peer;
	struct nft_table *table;
};

/* The chain's rules of one direction; acquires the peers it names for `policy`. */
struct str policy_ingress_rules(struct policies *p, struct policy *policy,
	const struct networking_v1_network_policy *spec, struct arena *a);
struct str policy_egress_rules(struct policies *p, struct policy *policy,
	const struct networking_v1_network_policy *spec, struct arena *a);
/* "in-<uid>", "eg-<uid>" */
struct str policy_chain(const struct policy *policy, bool ingress, struct arena *a);

/* policy.c: the sets that rules name. The peer belongs to the policy from then on. */
struct peer *policies_acquire_peer(struct policies *p, struct policy *policy,
	const struct networking_v1_network_policy_peer *peer);
struct str policies_port_set(
	struct policies *p, struct str protocol, struct str name, int family, struct arena *a);

#endif
