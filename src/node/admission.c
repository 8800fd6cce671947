/* admission.c: whether this node takes a pod that was bound to it: the scheduler's predicates once
 * more. */
#include "node/pod.h"
#include "node/resources.h"

/* --- node selector, affinity, taints --- */

static bool expression_matches(
	const struct v1_node_selector_requirement *r, const struct str_map *labels)
{
	const struct str *v = str_map_get(labels, r->key);
	int64_t have, want;

	if (str_eq(r->operator, S("Exists")))
		return v != NULL;
	if (str_eq(r->operator, S("DoesNotExist")))
		return v == NULL;
	if (str_eq(r->operator, S("In")))
		return v && str_vec_has(&r->values, *v);
	if (str_eq(r->operator, S("NotIn")))
		return !v || !str_vec_has(&r->values, *v);
	if (!v || r->values.n != 1 || str_to_i64(*v, &have) < 0 ||
		str_to_i64(r->values.v[0], &want) < 0)
		return false;
	return str_eq(r->operator, S("Gt")) ? have > want : have < want;
}

static bool term_matches(const struct v1_node_selector_term *t, const struct v1_node *node)
{
	if (t->match_expressions.n == 0 && t->match_fields.n == 0)
		return false;
	for (size_t i = 0; i < t->match_expressions.n; i++)
		if (!expression_matches(&t->match_expressions.v[i], &node->metadata.labels))
			return false;
	for (size_t i = 0; i < t->match_fields.n; i++) {
		const struct v1_node_selector_requirement *r = &t->match_fields.v[i];
		bool in = str_vec_has(&r->values, node->metadata.name);

		if (!str_eq(r->key, S("metadata.name")) || in == str_eq(r->operator, S("NotIn")))
			return false;
	}
	return true;
}

static bool affinity_matches(const struct v1_pod *pod, const struct v1_node *node)
{
	const struct v1_affinity *aff = pod->spec.affinity;
	const struct v1_node_selector *s =
		aff && aff->node_affinity
			? aff->node_affinity->required_during_scheduling_ignored_during_execution
			: NULL;

	for (size_t i = 0; i < pod->spec.node_selector.n; i++) {
		const struct str *v =
			str_map_get(&node->metadata.labels, pod->spec.node_selector.v[i].key);

		if (!v || !str_eq(*v, pod->spec.node_selector.v[i].value))
			return false;
	}
	if (!s)
		return true;
	for (size_t i = 0; i < s->node_selector_terms.n; i++)
		if (term_matches(&s->node_selector_terms.v[i], node))
			return true;
	return false;
}

static bool tolerates(const struct v1_pod *pod, const struct v1_taint *t)
{
	for (size_t i = 0; i < pod->spec.tolerations.n; i++) {
		const struct v1_toleration *o = &pod->spec.tolerations.v[i];

		if (!str_empty(o->effect) && !str_eq(o->effect, t->effect))
			continue;
		if (!str_empty(o->key) && !str_eq(o->key, t->key))
			continue;
		if (str_eq(o->operator, S("Exists")) || str_eq(o->value, t->value))
			return true;
	}
	return false;
}

/* --- resources and ports --- */

struct used {
	int64_t cpu_milli, memory, storage, pods;
};

static void add_used(struct used *u, const struct v1_pod *pod)
{
	struct pod_sums s = pod_resource_sums(pod);

	u->cpu_milli += s.cpu_request_milli;
	u->memory += s.memory_request;
	u->storage += s.ephemeral_storage_request;
	u->pods++;
}

static bool ports_clash(const struct v1_pod *a, const struct v1_pod *b)
{
	for (size_t i = 0; i < a->spec.containers.n; i++) {
		const struct v1_container *x = &a->spec.containers.v[i];

		for (size_t j = 0; j < x->ports.n; j++) {
			const struct v1_container_port *p = &x->ports.v[j];

			for (size_t k = 0; p->host_port && k < b->spec.containers.n; k++) {
				const struct v1_container *y = &b->spec.containers.v[k];

				for (size_t l = 0; l < y->ports.n; l++) {
					const struct v1_container_port *q = &y->ports.v[l];
					bool any = str_empty(p->host_ip) || str_empty(q->host_ip) ||
						   str_eq(p->host_ip, S("0.0.0.0")) ||
						   str_eq(q->host_ip, S("0.0.0.0"));

					if (q->host_port == p->host_port &&
						str_eq(q->protocol, p->protocol) &&
						(any || str_eq(p->host_ip, q->host_ip)))
						return true;
				}
			}
		}
	}
	return false;
}

static bool fits(const struct str_map *allocatable, const struct used *used,
	const struct pod_sums *want, struct arena *a, const char **ret_reason,
	struct str *ret_message)
{
	const struct {
		const char *resource, *reason;
		int64_t want, used, capacity;
	} all[] = {
		{"pods", "OutOfpods", 1, used->pods, resource_units(allocatable, "pods")},
		{"cpu", "OutOfcpu", want->cpu_request_milli, used->cpu_milli,
			resource_milli(allocatable, "cpu")},
		{"memory", "OutOfmemory", want->memory_request, used->memory,
			resource_units(allocatable, "memory")},
		{"ephemeral-storage", "OutOfephemeral-storage", want->ephemeral_storage_request,
			used->storage, resource_units(allocatable, "ephemeral-storage")},
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		if (all[i].want == 0 || all[i].want <= all[i].capacity - all[i].used)
			continue;
		*ret_reason = all[i].reason;
		*ret_message = arena_fmt(a,
			"Node didn't have enough resource: %s, requested: %lld, used: %lld, "
			"capacity: %lld",
			all[i].resource, (long long)all[i].want, (long long)all[i].used,
			(long long)all[i].capacity);
		return false;
	}
	return true;
}

/* --- sysctls --- */

static bool sysctl_is_safe(struct str name)
{
	static const char *const safe[] = {"kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range",
		"net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range",
		"net.ipv4.ip_unprivileged_port_start", "net.ipv4.ip_local_reserved_ports",
		"net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout",
		"net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes",
		"net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"};
	char dotted[128];

	if (name.n >= sizeof(dotted))
		return false;
	memcpy(dotted, name.p, name.n);
	dotted[name.n] = 0;
	for (char *c = dotted; *c; c++)
		if (*c == '/')
			*c = '.'; /* both ways of writing are allowed */
	for (size_t i = 0; i < ARRAY_SIZE(safe); i++)
		if (strcmp(dotted, safe[i]) == 0)
			return true;
	return false;
}

static bool sysctls_allowed(const struct v1_pod *spec, struct arena *a, const char **ret_reason,
	struct str *ret_message)
{
	const struct v1_pod_security_context *sc = spec->spec.security_context;

	for (size_t i = 0; sc && i < sc->sysctls.n; i++) {
		if (sysctl_is_safe(sc->sysctls.v[i].name))
			continue;
		*ret_reason = "SysctlForbidden";
		*ret_message = arena_fmt(a, "forbidden sysctl: \"" STR_FMT "\" not allowlisted",
			STR_ARG(sc->sysctls.v[i].name));
		return false;
	}
	return true;
}

bool pod_admit(struct pod *p, const struct v1_pod *spec, struct arena *a, const char **ret_reason,
	struct str *ret_message)
{
	const struct v1_node *node = node_object(p->k, a);
	struct pod_sums want = pod_resource_sums(spec);
	struct used used = {0};
	bool ports = true;

	if (!node || p->is_static)
		return true;
	for (struct pod *q = p->k->pods; q; q = q->next) {
		struct arena other;
		struct v1_pod *s;

		if (q == p || !q->admitted || q->state >= POD_TERMINATED || !q->object ||
			q->fail_reason)
			continue;
		arena_init(&other);
		s = pod_decode(q, &other);
		add_used(&used, s);
		ports &= !ports_clash(spec, s);
		arena_release(&other);
	}
	if (!sysctls_allowed(spec, a, ret_reason, ret_message))
		return false;
	if (!fits(&node->status.allocatable, &used, &want, a, ret_reason, ret_message))
		return false;
	*ret_reason = NULL;
	if (!affinity_matches(spec, node)) {
		*ret_reason = "NodeAffinity";
		*ret_message = S("Predicate NodeAffinity failed: node(s) didn't match Pod's node "
				 "affinity/selector");
	} else if (!ports) {
		*ret_reason = "NodePorts";
		*ret_message = S("Predicate NodePorts failed: node(s) didn't have free ports for "
				 "the requested pod ports");
	}
	for (size_t i = 0; !*ret_reason && i < node->spec.taints.n; i++) {
		const struct v1_taint *t = &node->spec.taints.v[i];

		if (!str_eq(t->effect, S("NoExecute")) || tolerates(spec, t))
			continue;
		*ret_reason = "TaintToleration";
		*ret_message = arena_fmt(a,
			"Predicate TaintToleration failed: node(s) had untolerated taint {" STR_FMT
			": " STR_FMT "}",
			STR_ARG(t->key), STR_ARG(t->value));
	}
	return *ret_reason == NULL;
}
