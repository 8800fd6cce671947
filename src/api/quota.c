#include "api/quota.h"

#include "api/selector.h"

#define COUNT "count/"
#define REQUESTS "requests."
#define LIMITS "limits."
#define HUGE_PAGES "hugepages-"
#define BY_CLASS ".storageclass.storage.k8s.io/"

static bool one_of(struct str s, const char *const *names)
{
	for (; *names; names++)
		if (str_eqc(s, *names))
			return true;
	return false;
}

bool quota_applies(const struct schema_resource *res)
{
	return res->namespaced && res->verbs & VERB_LIST && res != &v1_event_resource &&
	       res->storage_resource != &v1_event_resource;
}

/* --- names --- */

static struct str count_name(struct arena *a, const struct schema_resource *res)
{
	return arena_fmt(a, COUNT "%s%s%s", res->plural, *res->group ? "." : "", res->group);
}

static bool is_count_name(const struct schema_resource *res, struct str name)
{
	struct str plural, group;

	if (!str_starts(name, S(COUNT)))
		return false;
	str_cut(str_sub(name, sizeof(COUNT) - 1, name.n), '.', &plural, &group);
	return str_eqc(plural, res->plural) && str_eqc(group, res->group);
}

/* The names from before count/. */
static bool has_old_name(const struct schema_resource *res)
{
	return res == &v1_config_map_resource || res == &v1_resource_quota_resource ||
	       res == &v1_replication_controller_resource || res == &v1_secret_resource;
}

static bool counts_pods(struct str name)
{
	static const char *const names[] = {"pods", "cpu", "memory", "ephemeral-storage",
		"requests.cpu", "requests.memory", "requests.ephemeral-storage", "limits.cpu",
		"limits.memory", "limits.ephemeral-storage", NULL};
	struct str rest = str_starts(name, S(REQUESTS))
				  ? str_sub(name, sizeof(REQUESTS) - 1, name.n)
				  : (struct str){0};

	return one_of(name, names) || str_starts(name, S(HUGE_PAGES)) ||
	       str_starts(rest, S(HUGE_PAGES)) ||
	       (str_chr(rest, '/') >= 0 && str_find(rest, S("kubernetes.io/")) < 0);
}

static bool counts_claims(struct str name)
{
	static const char *const names[] = {"persistentvolumeclaims", "requests.storage", NULL};

	return one_of(name, names) || str_ends(name, S(BY_CLASS "persistentvolumeclaims")) ||
	       str_ends(name, S(BY_CLASS "requests.storage"));
}

bool quota_counts(const struct schema_resource *res, struct str name)
{
	static const char *const services[] = {
		"services", "services.nodeports", "services.loadbalancers", NULL};

	if (!quota_applies(res))
		return false;
	if (is_count_name(res, name))
		return true;
	if (res == &v1_pod_resource)
		return counts_pods(name);
	if (res == &v1_service_resource)
		return one_of(name, services);
	if (res == &v1_persistent_volume_claim_resource)
		return counts_claims(name);
	return has_old_name(res) && str_eqc(name, res->plural);
}

/* --- usage --- */

static struct quantity number(int64_t n)
{
	return quantity_from_value(n, QUANTITY_DECIMAL_SI);
}

/* Failed and succeeded pods, and those whose time to end is over, cost nothing but their count. */
static bool pod_counts(const struct v1_pod *pod, int64_t now_ns)
{
	const struct meta_v1_object_meta *m = &pod->metadata;

	if (str_eqc(pod->status.phase, "Failed") || str_eqc(pod->status.phase, "Succeeded"))
		return false;
	return !m->deletion_timestamp.set || !m->deletion_grace_period_seconds ||
	       now_ns / 1000000000 <= m->deletion_timestamp.sec + *m->deletion_grace_period_seconds;
}

/* One resource under the names that quotas have for it. */
static void add_request(struct arena *a, struct amounts *v, struct str name, struct quantity q)
{
	static const char *const plain[] = {"cpu", "memory", "ephemeral-storage", NULL};
	bool extended = str_chr(name, '/') >= 0 && str_find(name, S("kubernetes.io/")) < 0;

	if (one_of(name, plain) || str_starts(name, S(HUGE_PAGES)))
		amounts_set(a, v, name, q);
	else if (!extended)
		return;
	amounts_set(a, v, arena_fmt(a, REQUESTS STR_FMT, STR_ARG(name)), q);
}

static void add_limit(struct arena *a, struct amounts *v, struct str name, struct quantity q)
{
	static const char *const plain[] = {"cpu", "memory", "ephemeral-storage", NULL};

	if (one_of(name, plain))
		amounts_set(a, v, arena_fmt(a, LIMITS STR_FMT, STR_ARG(name)), q);
}

static void add_compute(struct arena *a, struct amounts *v, const struct amounts *requests,
	const struct amounts *limits)
{
	amounts_set(a, v, S("pods"), number(1));
	for (size_t i = 0; i < requests->n; i++)
		add_request(a, v, requests->v[i].name, requests->v[i].q);
	for (size_t i = 0; i < limits->n; i++)
		add_limit(a, v, limits->v[i].name, limits->v[i].q);
}

static void pod_usage(struct arena *a, const struct v1_pod *pod, int64_t now_ns, struct amounts *v)
{
	struct pod_amounts_opts opts = {.overhead = true, .status = true};
	struct amounts requests, limits;

	if (!pod_counts(pod, now_ns))
		return;
	requests = pod_amounts(a, pod, opts);
	opts.limits = true;
	limits = pod_amounts(a, pod, opts);
	add_compute(a, v, &requests, &limits);
}

static void service_usage(struct arena *a, const struct v1_service *s, struct amounts *v)
{
	bool balanced = str_eqc(s->spec.type, "LoadBalancer");
	bool all = !s->spec.allocate_load_balancer_node_ports ||
		   *s->spec.allocate_load_balancer_node_ports;
	int64_t ports = 0;

	for (size_t i = 0; i < s->spec.ports.n; i++)
		ports += all || !balanced || s->spec.ports.v[i].node_port;
	if (!balanced && !str_eqc(s->spec.type, "NodePort"))
		ports = 0;
	amounts_set(a, v, S("services"), number(1));
	amounts_set(a, v, S("services.loadbalancers"), number(balanced));
	amounts_set(a, v, S("services.nodeports"), number(ports));
}

static struct str claim_class(const struct v1_persistent_volume_claim *c)
{
	const struct str *beta =
		str_map_get(&c->metadata.annotations, S("volume.beta.kubernetes.io/storage-class"));

	return beta ? *beta : c->spec.storage_class_name;
}

static void claim_usage(
	struct arena *a, const struct v1_persistent_volume_claim *c, struct amounts *v)
{
	const struct str *size = str_map_get(&c->spec.resources.requests, S("storage"));
	const struct str *given = str_map_get(&c->status.allocated_resources, S("storage"));
	struct str class = claim_class(c);
	struct quantity q;

	amounts_set(a, v, S("persistentvolumeclaims"), number(1));
	if (class.n)
		amounts_set(a, v,
			arena_fmt(a, STR_FMT BY_CLASS "persistentvolumeclaims", STR_ARG(class)),
			number(1));
	if (!size)
		return;
	q = quantity_of(*size);
	if (given) {
		struct quantity more = quantity_of(*given);

		q = quantity_cmp(&more, &q) > 0 ? more : q;
	}
	amounts_set(a, v, S("requests.storage"), q);
	if (class.n)
		amounts_set(
			a, v, arena_fmt(a, STR_FMT BY_CLASS "requests.storage", STR_ARG(class)), q);
}

struct amounts quota_usage(
	struct arena *a, const struct schema_resource *res, const void *obj, int64_t now_ns)
{
	struct amounts v = {0};

	amounts_set(a, &v, count_name(a, res), number(1));
	if (res == &v1_pod_resource)
		pod_usage(a, obj, now_ns, &v);
	else if (res == &v1_service_resource)
		service_usage(a, obj, &v);
	else if (res == &v1_persistent_volume_claim_resource)
		claim_usage(a, obj, &v);
	else if (has_old_name(res))
		amounts_set(a, &v, str_c(res->plural), number(1));
	return v;
}

/* --- scopes --- */

bool pod_is_terminating(const struct v1_pod *pod)
{
	return pod->spec.active_deadline_seconds && *pod->spec.active_deadline_seconds >= 0;
}

static bool any_compute(const struct str_map *m)
{
	const struct str *cpu = str_map_get(m, S("cpu")), *memory = str_map_get(m, S("memory"));
	struct quantity c = quantity_of(cpu ? *cpu : S(""));
	struct quantity b = quantity_of(memory ? *memory : S(""));

	return c.nano > 0 || b.nano > 0;
}

static bool asks(const struct v1_resource_requirements *r)
{
	return any_compute(&r->requests) || any_compute(&r->limits);
}

static bool is_best_effort(const struct v1_pod *pod)
{
	if (pod->spec.resources)
		return !asks(pod->spec.resources);
	for (size_t i = 0; i < pod->spec.containers.n; i++)
		if (asks(&pod->spec.containers.v[i].resources))
			return false;
	for (size_t i = 0; i < pod->spec.init_containers.n; i++)
		if (asks(&pod->spec.init_containers.v[i].resources))
			return false;
	return true;
}

static bool crosses(const struct v1_pod_affinity_term *t)
{
	return t->namespaces.n || t->namespace_selector;
}

static bool any_crosses(const struct v1_pod_affinity_term_vec *required,
	const struct v1_weighted_pod_affinity_term_vec *preferred)
{
	for (size_t i = 0; i < required->n; i++)
		if (crosses(&required->v[i]))
			return true;
	for (size_t i = 0; i < preferred->n; i++)
		if (crosses(&preferred->v[i].pod_affinity_term))
			return true;
	return false;
}

static bool crosses_namespaces(const struct v1_pod *pod)
{
	const struct v1_pod_affinity *with =
		pod->spec.affinity ? pod->spec.affinity->pod_affinity : NULL;
	const struct v1_pod_anti_affinity *apart =
		pod->spec.affinity ? pod->spec.affinity->pod_anti_affinity : NULL;

	return (with && any_crosses(&with->required_during_scheduling_ignored_during_execution,
				&with->preferred_during_scheduling_ignored_during_execution)) ||
	       (apart && any_crosses(&apart->required_during_scheduling_ignored_during_execution,
				 &apart->preferred_during_scheduling_ignored_during_execution));
}

/* One of the names (none: the label is absent) against In, NotIn, Exists, DoesNotExist. */
static bool names_match(
	const struct v1_scoped_resource_selector_requirement *s, const struct str *names, size_t n)
{
	if (str_eqc(s->operator, "Exists"))
		return n > 0;
	if (str_eqc(s->operator, "DoesNotExist"))
		return n == 0;
	if (!n)
		return str_eqc(s->operator, "NotIn");
	for (size_t i = 0; i < n; i++)
		if (str_vec_has(&s->values, names[i]) == str_eqc(s->operator, "In"))
			return true;
	return false;
}

static bool pod_in(
	const struct v1_scoped_resource_selector_requirement *s, const struct v1_pod *pod)
{
	if (str_eqc(s->scope_name, "Terminating"))
		return pod_is_terminating(pod);
	if (str_eqc(s->scope_name, "NotTerminating"))
		return !pod_is_terminating(pod);
	if (str_eqc(s->scope_name, "BestEffort"))
		return is_best_effort(pod);
	if (str_eqc(s->scope_name, "NotBestEffort"))
		return !is_best_effort(pod);
	if (str_eqc(s->scope_name, "CrossNamespacePodAffinity"))
		return crosses_namespaces(pod);
	return str_eqc(s->scope_name, "PriorityClass") &&
	       names_match(
		       s, &pod->spec.priority_class_name, pod->spec.priority_class_name.n ? 1 : 0);
}

static bool claim_in(const struct v1_scoped_resource_selector_requirement *s,
	const struct v1_persistent_volume_claim *c)
{
	struct str names[3];
	size_t n = 0;

	if (!str_eqc(s->scope_name, "VolumeAttributesClass"))
		return false;
	if (c->spec.volume_attributes_class_name.n)
		names[n++] = c->spec.volume_attributes_class_name;
	if (c->status.current_volume_attributes_class_name.n)
		names[n++] = c->status.current_volume_attributes_class_name;
	if (c->status.modify_volume_status &&
		c->status.modify_volume_status->target_volume_attributes_class_name.n)
		names[n++] = c->status.modify_volume_status->target_volume_attributes_class_name;
	return names_match(s, names, n);
}

static bool in_scope(const struct v1_scoped_resource_selector_requirement *s,
	const struct schema_resource *res, const void *obj)
{
	if (res == &v1_pod_resource)
		return pod_in(s, obj);
	return res == &v1_persistent_volume_claim_resource && claim_in(s, obj);
}

bool quota_in_scope(struct arena *a, const struct v1_resource_quota_spec *spec,
	const struct schema_resource *res, const void *obj)
{
	for (size_t i = 0; i < spec->scopes.n; i++) {
		struct v1_scoped_resource_selector_requirement s = {
			.scope_name = spec->scopes.v[i], .operator= S("Exists")};

		if (!in_scope(&s, res, obj))
			return false;
	}
	for (size_t i = 0; spec->scope_selector && i < spec->scope_selector->match_expressions.n;
		i++)
		if (!in_scope(&spec->scope_selector->match_expressions.v[i], res, obj))
			return false;
	return true;
}

/* --- what has to be said --- */

static void note_missing(
	struct arena *a, const struct v1_container *c, struct str limit, struct str_vec *names)
{
	struct amounts requests = amounts_of(a, &c->resources.requests);
	struct amounts limits = amounts_of(a, &c->resources.limits), v = {0};

	add_compute(a, &v, &requests, &limits);
	if (!amounts_get(&v, limit) && !str_vec_has(names, c->name))
		ARENA_PUSH(a, names, c->name);
}

static int compare_str(const void *a, const void *b)
{
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

struct str quota_missing(struct arena *a, const struct v1_pod *pod, const struct amounts *limits)
{
	static const char *const needed[] = {
		"cpu", "limits.cpu", "limits.memory", "memory", "requests.cpu", "requests.memory"};
	struct str text = S("");

	if (pod->spec.resources && asks(pod->spec.resources))
		return text;
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		struct str limit = str_c(needed[i]);
		struct str_vec names = {0};

		if (!amounts_get(limits, limit))
			continue;
		for (size_t k = 0; k < pod->spec.containers.n; k++)
			note_missing(a, &pod->spec.containers.v[k], limit, &names);
		for (size_t k = 0; k < pod->spec.init_containers.n; k++)
			note_missing(a, &pod->spec.init_containers.v[k], limit, &names);
		if (!names.n)
			continue;
		qsort(names.v, names.n, sizeof(*names.v), compare_str);
		text = arena_fmt(a, STR_FMT "%s" STR_FMT " for: ", STR_ARG(text),
			text.n ? "; " : "must specify ", STR_ARG(limit));
		for (size_t k = 0; k < names.n; k++)
			text = arena_fmt(a, STR_FMT "%s" STR_FMT, STR_ARG(text), k ? "," : "",
				STR_ARG(names.v[k]));
	}
	return text;
}
