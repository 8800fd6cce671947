#include "network/policy_int.h"

#include <stdlib.h>

#define IP_TYPE(family) ((family) == AF_INET ? "ipv4_addr" : "ipv6_addr")
#define DIGIT(family) ((family) == AF_INET ? '4' : '6')

enum { POD_IPS_MAX = 2 };

struct named_port {
	struct str name, protocol; /* tcp … */
	int port;
};

struct pod {
	struct arena arena;
	struct str ns, name, uid;
	struct str_map labels;
	struct ip_addr ips[POD_IPS_MAX];
	size_t n_ips;
	bool local, started; /* its addresses are what policies_starts said */
	struct {
		struct named_port *v;
		size_t n;
	} ports;
};

struct namespace
{
	struct arena arena;
	struct str_map labels;
};

static const char base[] = "chain forward {\n"
			   "type filter hook forward priority filter\n"
			   "ct state established,related accept\n"
			   "ip saddr vmap @egress4\n"
			   "ip6 saddr vmap @egress6\n"
			   "goto ingress\n}\n";

struct policies *policies_new(struct str node_name)
{
	struct policies *p = xcalloc(1, sizeof(*p));

	p->node_name = arena_str(&p->arena, node_name);
	p->table = nft_table_new("inet sampan_policy", base);
	nft_table_add_set(p->table, S("egress4"), "type ipv4_addr : verdict");
	nft_table_add_set(p->table, S("egress6"), "type ipv6_addr : verdict");
	nft_table_add_set(p->table, S("ingress4"), "type ipv4_addr : verdict");
	nft_table_add_set(p->table, S("ingress6"), "type ipv6_addr : verdict");
	/* it is also where policies send what may leave: hence the accept */
	nft_table_set_chain(p->table, S("ingress"),
		S("ip daddr vmap @ingress4\nip6 daddr vmap @ingress6\naccept\n"));
	return p;
}

static void pod_free(struct pod *pod)
{
	arena_release(&pod->arena);
	free(pod);
}

static void peer_free(struct peer *peer)
{
	map_release(&peer->members);
	arena_release(&peer->arena);
	free(peer);
}

static void policy_free(struct policy *policy)
{
	arena_release(&policy->arena);
	free(policy);
}

void policies_free(struct policies *p)
{
	for (struct map_entry *e = map_first(&p->pods); e; e = map_next(&p->pods, e))
		pod_free(e->value);
	for (struct map_entry *e = map_first(&p->peers); e; e = map_next(&p->peers, e))
		peer_free(e->value);
	for (struct map_entry *e = map_first(&p->policies); e; e = map_next(&p->policies, e))
		policy_free(e->value);
	for (struct map_entry *e = map_first(&p->namespaces); e; e = map_next(&p->namespaces, e)) {
		arena_release(&((struct namespace *)e->value)->arena);
		free(e->value);
	}
	map_release(&p->pods);
	map_release(&p->peers);
	map_release(&p->policies);
	map_release(&p->namespaces);
	map_release(&p->ports);
	nft_table_free(p->table);
	arena_release(&p->arena);
	free(p);
}

static struct str_map copy_labels(const struct str_map *from, struct arena *a)
{
	struct str_map to = {ARENA_ARRAY(a, struct str_pair, from->n), from->n};

	for (size_t i = 0; i < from->n; i++)
		to.v[i] = (struct str_pair){
			arena_str(a, from->v[i].key), arena_str(a, from->v[i].value)};
	return to;
}

/* --- sets of peers --- */

static bool is_member(struct policies *p, const struct peer *peer, const struct pod *pod)
{
	const struct namespace *ns;

	if (peer->ns.n) {
		if (!str_eq(peer->ns, pod->ns))
			return false;
	} else {
		ns = map_get(&p->namespaces, pod->ns);
		if (!ns || !label_selector_matches(&peer->namespaces, &ns->labels))
			return false;
	}
	return label_selector_matches(&peer->pods, &pod->labels);
}

static struct str peer_set(const struct peer *peer, int family, struct arena *a)
{
	return arena_fmt(a, "peer%u-%c", peer->id, DIGIT(family));
}

/* Two pods may have one address for a moment, when one's end is told after the other's begin. */
static void count_member(struct policies *p, struct peer *peer, const struct pod *pod, int by)
{
	for (size_t i = 0; i < pod->n_ips; i++) {
		struct arena a CLEANUP(arena_release) = {0};
		struct str ip = addr_str(&pod->ips[i], &a);
		intptr_t n = (intptr_t)map_get(&peer->members, ip) + by;

		if (n > 0)
			map_set(&peer->members, ip, (void *)n);
		else
			map_remove(&peer->members, ip);
		if (n == 1 && by > 0)
			nft_table_put(p->table, peer_set(peer, pod->ips[i].family, &a), ip, S(""));
		else if (n == 0)
			nft_table_remove(p->table, peer_set(peer, pod->ips[i].family, &a), ip);
	}
}

static struct str peer_key(struct str ns, const struct label_selector *namespaces,
	const struct label_selector *pods, struct arena *a)
{
	struct str by = ns.n ? ns : label_selector_text(namespaces, a);
	struct str which = label_selector_text(pods, a);

	return arena_fmt(a, "%s:" STR_FMT ":%s" STR_FMT, ns.n ? "ns" : "sel", STR_ARG(by),
		pods->nothing ? "!" : "", STR_ARG(which));
}

static struct peer *new_peer(struct policies *p, struct str key, struct str ns,
	const struct networking_v1_network_policy_peer *spec)
{
	static const struct meta_v1_label_selector all = {0};
	struct peer *peer = xcalloc(1, sizeof(*peer));
	struct arena *a = &peer->arena;
	/* what a selector was parsed from must live as long as it */
	struct networking_v1_network_policy_peer *own =
		schema_copy(&networking_v1_network_policy_peer_schema, spec, a);

	peer->key = arena_str(a, key);
	peer->id = ++p->last_peer;
	peer->ns = arena_str(a, ns);
	if (!ns.n)
		label_selector_from(own->namespace_selector, a, &peer->namespaces, NULL);
	label_selector_from(own->pod_selector ? own->pod_selector : &all, a, &peer->pods, NULL);
	map_set(&p->peers, key, peer);
	nft_table_add_set(p->table, peer_set(peer, AF_INET, a), "type ipv4_addr");
	nft_table_add_set(p->table, peer_set(peer, AF_INET6, a), "type ipv6_addr");
	for (struct map_entry *e = map_first(&p->pods); e; e = map_next(&p->pods, e))
		if (is_member(p, peer, e->value))
			count_member(p, peer, e->value, 1);
	return peer;
}

struct peer *policies_acquire_peer(struct policies *p, struct policy *policy,
	const struct networking_v1_network_policy_peer *spec)
{
	static const struct meta_v1_label_selector all = {0};
	struct str ns = spec->namespace_selector ? S("") : policy->ns, key;
	struct label_selector namespaces = {0}, pods;
	struct arena a CLEANUP(arena_release) = {0};
	struct peer *peer;

	if ((!ns.n && label_selector_from(spec->namespace_selector, &a, &namespaces, NULL) < 0) ||
		label_selector_from(
			spec->pod_selector ? spec->pod_selector : &all, &a, &pods, NULL) < 0)
		return NULL; /* validation lets none such in */
	key = peer_key(ns, &namespaces, &pods, &a);
	peer = map_get(&p->peers, key);
	if (!peer)
		peer = new_peer(p, key, ns, spec);
	peer->refs++;
	ARENA_PUSH(&policy->arena, &policy->peers, peer);
	return peer;
}

static void release_peers(struct policies *p, struct policy *policy)
{
	for (size_t i = 0; i < policy->peers.n; i++) {
		struct peer *peer = policy->peers.v[i];

		if (--peer->refs)
			continue;
		nft_table_delete_set(p->table, peer_set(peer, AF_INET, &peer->arena));
		nft_table_delete_set(p->table, peer_set(peer, AF_INET6, &peer->arena));
		map_remove(&p->peers, peer->key);
		peer_free(peer);
	}
}

/* --- sets of named ports: of all pods, since a rule that names one also says which pods --- */

struct str policies_port_set(
	struct policies *p, struct str protocol, struct str name, int family, struct arena *a)
{
	struct str set = arena_fmt(a, "port-" STR_FMT "-" STR_FMT "-%c", STR_ARG(protocol),
		STR_ARG(name), DIGIT(family));

	if (map_get(&p->ports, set))
		return set;
	map_set(&p->ports, set, p);
	nft_table_add_set(p->table, set,
		family == AF_INET ? "type ipv4_addr . inet_service"
				  : "type ipv6_addr . inet_service");
	for (struct map_entry *e = map_first(&p->pods); e; e = map_next(&p->pods, e)) {
		const struct pod *pod = e->value;

		for (size_t i = 0; i < pod->ports.n; i++)
			for (size_t k = 0; k < pod->n_ips; k++)
				if (pod->ips[k].family == family &&
					str_eq(pod->ports.v[i].name, name) &&
					str_eq(pod->ports.v[i].protocol, protocol))
					nft_table_put(p->table, set,
						arena_fmt(a, STR_FMT " . %d",
							STR_ARG(addr_str(&pod->ips[k], a)),
							pod->ports.v[i].port),
						S(""));
	}
	return set;
}

static void change_ports(struct policies *p, const struct pod *pod, bool there)
{
	struct arena a CLEANUP(arena_release) = {0};

	for (size_t i = 0; i < pod->ports.n; i++)
		for (size_t k = 0; k < pod->n_ips; k++) {
			struct str set = arena_fmt(&a, "port-" STR_FMT "-" STR_FMT "-%c",
				STR_ARG(pod->ports.v[i].protocol), STR_ARG(pod->ports.v[i].name),
				DIGIT(pod->ips[k].family));
			struct str key = arena_fmt(&a, STR_FMT " . %d",
				STR_ARG(addr_str(&pod->ips[k], &a)), pod->ports.v[i].port);

			if (!map_get(&p->ports, set))
				continue;
			if (there)
				nft_table_put(p->table, set, key, S(""));
			else
				nft_table_remove(p->table, set, key);
		}
}

/* --- chains of this node's pods --- */

static struct str pod_chain(const struct pod *pod, bool ingress, struct arena *a)
{
	return arena_fmt(a, "%s-pod-" STR_FMT, ingress ? "in" : "eg", STR_ARG(pod->uid));
}

static void set_pod_direction(struct policies *p, const struct pod *pod, bool ingress, bool there)
{
	struct arena a CLEANUP(arena_release) = {0};
	struct str chain = pod_chain(pod, ingress, &a);
	const char *side = ingress ? "saddr" : "daddr";
	struct buf rules CLEANUP(buf_release) = {0};
	bool selected = false;

	buf_init(&rules, 4 << 20);
	for (size_t i = 0; i < pod->n_ips; i++) /* nobody is kept from talking to himself */
		buf_fmt(&rules, "%s %s " STR_FMT " accept\n",
			pod->ips[i].family == AF_INET ? "ip" : "ip6", side,
			STR_ARG(addr_str(&pod->ips[i], &a)));
	for (struct map_entry *e = map_first(&p->policies); e && there;
		e = map_next(&p->policies, e)) {
		const struct policy *policy = e->value;

		if (!(ingress ? policy->ingress : policy->egress) || !str_eq(policy->ns, pod->ns) ||
			!label_selector_matches(&policy->pods, &pod->labels))
			continue;
		selected = true;
		buf_fmt(&rules, "jump " STR_FMT "\n", STR_ARG(policy_chain(policy, ingress, &a)));
	}
	buf_add_c(&rules, "drop\n");
	for (size_t i = 0; i < pod->n_ips; i++) {
		struct str map = arena_fmt(
			&a, "%s%c", ingress ? "ingress" : "egress", DIGIT(pod->ips[i].family));
		struct str ip = addr_str(&pod->ips[i], &a);
		struct str verdict = arena_fmt(&a, "jump " STR_FMT, STR_ARG(chain));
		const char *now = nft_table_get(p->table, map, ip);

		if (selected)
			nft_table_put(p->table, map, ip, verdict);
		else if (now && str_eqc(verdict, now)) /* else another pod has the address by now */
			nft_table_remove(p->table, map, ip);
	}
	if (selected)
		nft_table_set_chain(p->table, chain, buf_str(&rules));
	else
		nft_table_delete_chain(p->table, chain);
}

static void set_pod_chains(struct policies *p, const struct pod *pod, bool there)
{
	if (!pod->local)
		return;
	set_pod_direction(p, pod, true, there);
	set_pod_direction(p, pod, false, there);
}

static void set_chains_of_namespace(struct policies *p, struct str ns)
{
	for (struct map_entry *e = map_first(&p->pods); e; e = map_next(&p->pods, e)) {
		const struct pod *pod = e->value;

		if (pod->local && str_eq(pod->ns, ns))
			set_pod_chains(p, pod, true);
	}
}

/* --- what happens in the cluster --- */

static struct str key_of(struct str ns, struct str name, struct arena *a)
{
	return arena_fmt(a, STR_FMT "/" STR_FMT, STR_ARG(ns), STR_ARG(name));
}

static void count_everywhere(struct policies *p, const struct pod *pod, int by)
{
	for (struct map_entry *e = map_first(&p->peers); e; e = map_next(&p->peers, e))
		if (is_member(p, e->value, pod))
			count_member(p, e->value, pod, by);
}

static void take_ports(struct pod *pod, const struct v1_container_vec *containers)
{
	for (size_t i = 0; i < containers->n; i++)
		for (size_t k = 0; k < containers->v[i].ports.n; k++) {
			const struct v1_container_port *c = &containers->v[i].ports.v[k];
			struct named_port port = {.name = arena_str(&pod->arena, c->name),
				.protocol = str_eqc(c->protocol, "UDP")    ? S("udp")
					    : str_eqc(c->protocol, "SCTP") ? S("sctp")
									   : S("tcp"),
				.port = c->container_port};

			if (c->name.n)
				ARENA_PUSH(&pod->arena, &pod->ports, port);
		}
}

static void take_ips(struct pod *pod, const struct v1_pod_status *s)
{
	for (size_t i = 0; i < s->pod_ips.n && pod->n_ips < POD_IPS_MAX; i++)
		if (addr_parse(s->pod_ips.v[i].ip, &pod->ips[pod->n_ips]) == 0)
			pod->n_ips++;
	if (!pod->n_ips && addr_parse(s->pod_ip, &pod->ips[0]) == 0)
		pod->n_ips = 1;
}

static struct pod *new_pod(struct policies *p, const struct v1_pod *from)
{
	struct pod *pod = xcalloc(1, sizeof(*pod));
	struct arena *a = &pod->arena;

	pod->ns = arena_str(a, from->metadata.namespace);
	pod->name = arena_str(a, from->metadata.name);
	pod->uid = arena_str(a, from->metadata.uid);
	pod->labels = copy_labels(&from->metadata.labels, a);
	pod->local = str_eq(from->spec.node_name, p->node_name);
	take_ips(pod, &from->status);
	take_ports(pod, &from->spec.containers);
	take_ports(pod, &from->spec.init_containers);
	return pod;
}

/* One with an address of its own that it still uses. */
static bool counts(const struct pod *pod, const struct v1_pod *from)
{
	return !from->spec.host_network && pod->n_ips &&
	       !str_eqc(from->status.phase, "Succeeded") && !str_eqc(from->status.phase, "Failed");
}

/* Puts `pod` (NULL: nothing) in the place of the one of that name: the old one is taken out as a
 * whole first, since only differences reach the kernel. */
static void replace_pod(struct policies *p, struct str key, struct pod *old, struct pod *pod)
{
	map_remove(&p->pods, key);
	if (old) {
		count_everywhere(p, old, -1);
		change_ports(p, old, false);
		set_pod_chains(p, old, false);
		pod_free(old);
	}
	if (!pod)
		return;
	map_set(&p->pods, key, pod);
	count_everywhere(p, pod, 1);
	change_ports(p, pod, true);
	set_pod_chains(p, pod, true);
}

void policies_pod(struct policies *p, const struct v1_pod *from, bool gone)
{
	struct arena a CLEANUP(arena_release) = {0};
	struct str key = key_of(from->metadata.namespace, from->metadata.name, &a);
	struct pod *old = map_get(&p->pods, key), *pod = gone ? NULL : new_pod(p, from);

	if (pod && old && old->started && str_eq(old->uid, pod->uid)) {
		memcpy(pod->ips, old->ips, sizeof(pod->ips));
		pod->n_ips = old->n_ips;
		pod->started = true;
	}
	if (pod && !counts(pod, from)) {
		pod_free(pod);
		pod = NULL;
	}
	replace_pod(p, key, old, pod);
}

void policies_starts(struct policies *p, const struct v1_pod *from)
{
	struct arena a CLEANUP(arena_release) = {0};
	struct str key = key_of(from->metadata.namespace, from->metadata.name, &a);
	struct pod *pod = new_pod(p, from);

	pod->local = pod->started = true;
	replace_pod(p, key, map_get(&p->pods, key), pod);
}

static void count_namespace(struct policies *p, struct str ns, int by)
{
	for (struct map_entry *e = map_first(&p->pods); e; e = map_next(&p->pods, e))
		if (str_eq(((struct pod *)e->value)->ns, ns))
			count_everywhere(p, e->value, by);
}

void policies_namespace(
	struct policies *p, struct str name, const struct str_map *labels, bool gone)
{
	struct namespace *old, *ns = NULL;

	count_namespace(p, name, -1);
	old = map_remove(&p->namespaces, name);
	if (old) {
		arena_release(&old->arena);
		free(old);
	}
	if (!gone) {
		ns = xcalloc(1, sizeof(*ns));
		ns->labels = copy_labels(labels, &ns->arena);
		map_set(&p->namespaces, name, ns);
	}
	count_namespace(p, name, 1);
}

static bool has_type(const struct networking_v1_network_policy *n, const char *type)
{
	for (size_t i = 0; i < n->spec.policy_types.n; i++)
		if (str_eqc(n->spec.policy_types.v[i], type))
			return true;
	return false;
}

static struct policy *new_policy(
	struct policies *p, const struct networking_v1_network_policy *from)
{
	struct policy *policy = xcalloc(1, sizeof(*policy));
	struct arena *a = &policy->arena;
	struct networking_v1_network_policy *own =
		schema_copy(&networking_v1_network_policy_schema, from, a);

	policy->ns = own->metadata.namespace;
	policy->name = own->metadata.name;
	policy->uid = own->metadata.uid;
	policy->ingress = has_type(own, "Ingress") || !own->spec.policy_types.n;
	policy->egress = has_type(own, "Egress");
	label_selector_from(&own->spec.pod_selector, a, &policy->pods, NULL);
	if (policy->ingress)
		nft_table_set_chain(p->table, policy_chain(policy, true, a),
			policy_ingress_rules(p, policy, own, a));
	if (policy->egress)
		nft_table_set_chain(p->table, policy_chain(policy, false, a),
			policy_egress_rules(p, policy, own, a));
	return policy;
}

void policies_policy(struct policies *p, const struct networking_v1_network_policy *from, bool gone)
{
	struct arena a CLEANUP(arena_release) = {0};
	struct str key = key_of(from->metadata.namespace, from->metadata.name, &a);
	struct policy *old = map_remove(&p->policies, key), *policy = NULL;

	if (!gone) {
		policy = new_policy(p, from); /* before the old one's peers go: it may share them */
		map_set(&p->policies, key, policy);
	}
	if (old) {
		bool same = policy && str_eq(policy->uid, old->uid);

		if (old->ingress && !(same && policy->ingress))
			nft_table_delete_chain(p->table, policy_chain(old, true, &a));
		if (old->egress && !(same && policy->egress))
			nft_table_delete_chain(p->table, policy_chain(old, false, &a));
		release_peers(p, old);
		policy_free(old);
	}
	set_chains_of_namespace(p, from->metadata.namespace);
}

void policies_changes(struct policies *p, struct buf *nft)
{
	nft_table_changes(p->table, nft);
}

void policies_forget(struct policies *p)
{
	nft_table_forget(p->table);
}
