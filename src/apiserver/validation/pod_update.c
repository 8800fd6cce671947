/* pod_update.c: what may change in a pod once it exists. */
#include "apiserver/validation/names.h"
#include "apiserver/validation/pod.h"

static bool is_mirror(const struct v1_pod *pod)
{
	return str_map_get(&pod->metadata.annotations, S("kubernetes.io/config.mirror")) != NULL;
}

static bool specs_equal(const struct v1_pod_spec *a, const struct v1_pod_spec *b)
{
	return schema_equal(&v1_pod_spec_schema, a, b);
}

/* False: the lists cannot be compared, and nothing more is checked. */
static bool validate_container_updates(const struct v1_container_vec *now,
	const struct v1_container_vec *old, const struct field_path *p, struct field_errors *e)
{
	if (now->n != old->n) {
		field_forbidden(e, p, "pod updates may not add or remove containers");
		return false;
	}
	for (size_t i = 0; i < now->n; i++) {
		struct field_path item = FIELD_INDEX(p, i), image = FIELD(&item, "image");

		if (now->v[i].image.n == 0)
			field_required(e, &image, "");
		if (str_trim(now->v[i].image).n != now->v[i].image.n)
			field_invalid(e, &image, now->v[i].image,
				"must not have leading or trailing whitespace");
	}
	return true;
}

/* False: as above. */
static bool validate_deadline(
	const int64_t *now, const int64_t *old, const struct field_path *p, struct field_errors *e)
{
	if (!now) {
		if (old)
			field_invalid_raw(e, p, S("null"),
				"must not update from a positive integer to nil value");
		return true;
	}
	if (*now < 0 || *now > INT32_MAX) {
		field_invalid_int_each(e, p, *now, is_in_range(e->arena, *now, 0, INT32_MAX));
		return false;
	}
	if (old && *old < *now) {
		field_invalid_int(e, p, *now, "must be less than or equal to previous value");
		return false;
	}
	return true;
}

static void validate_gates_deleted(const struct v1_pod_scheduling_gate_vec *now,
	const struct v1_pod_scheduling_gate_vec *old, const struct field_path *p,
	struct field_errors *e)
{
	for (size_t i = 0; i < now->n; i++) {
		struct field_path item = FIELD_INDEX(p, i);
		bool there = false;

		for (size_t k = 0; k < old->n; k++)
			there = there || str_eq(old->v[k].name, now->v[i].name);
		if (!there)
			field_forbidden(e, AT(&item, "name"),
				"only deletion is allowed, but found new scheduling gate '" STR_FMT
				"'",
				STR_ARG(now->v[i].name));
	}
}

static bool term_only_adds(
	const struct v1_node_selector_term *now, const struct v1_node_selector_term *old)
{
	const struct schema_type *type = &v1_node_selector_requirement_schema;

	if (old->match_expressions.n == 0 && old->match_fields.n == 0 &&
		(now->match_expressions.n || now->match_fields.n))
		return false;
	if (now->match_expressions.n < old->match_expressions.n ||
		now->match_fields.n < old->match_fields.n)
		return false;
	for (size_t i = 0; i < old->match_expressions.n; i++)
		if (!schema_equal(type, &now->match_expressions.v[i], &old->match_expressions.v[i]))
			return false;
	for (size_t i = 0; i < old->match_fields.n; i++)
		if (!schema_equal(type, &now->match_fields.v[i], &old->match_fields.v[i]))
			return false;
	return true;
}

static struct str terms_json(struct arena *a, const struct v1_node_selector_term_vec *terms)
{
	struct str out = S("[");

	if (!terms->v)
		return S("null");
	for (size_t i = 0; i < terms->n; i++) {
		struct str item = go_json(a, &v1_node_selector_term_schema, &terms->v[i]);
		out = arena_fmt(a, STR_FMT "%s" STR_FMT, STR_ARG(out), i ? "," : "", STR_ARG(item));
	}
	return arena_fmt(a, STR_FMT "]", STR_ARG(out));
}

/* A gated pod may become pickier about nodes, never less. */
static void validate_node_affinity_change(const struct v1_node_affinity *now,
	const struct v1_node_affinity *old, const struct field_path *p, struct field_errors *e)
{
	static const struct v1_node_selector none;
	struct field_path req = FIELD(p, "requiredDuringSchedulingIgnoredDuringExecution");
	struct field_path terms = FIELD(&req, "nodeSelectorTerms");
	const struct v1_node_selector *was =
		old ? old->required_during_scheduling_ignored_during_execution : NULL;
	const struct v1_node_selector *is =
		now ? now->required_during_scheduling_ignored_during_execution : NULL;

	if (!was)
		return;
	if (!is)
		is = &none;
	if (was->node_selector_terms.n && was->node_selector_terms.n != is->node_selector_terms.n) {
		field_invalid_raw(e, &terms, terms_json(e->arena, &is->node_selector_terms),
			"no additions/deletions to non-empty NodeSelectorTerms list are allowed");
		return;
	}
	for (size_t i = 0; i < was->node_selector_terms.n; i++) {
		const struct v1_node_selector_term *t = &is->node_selector_terms.v[i];
		if (!term_only_adds(t, &was->node_selector_terms.v[i]))
			field_invalid_raw(e, AT_INDEX(&terms, i),
				go_json(e->arena, &v1_node_selector_term_schema, t),
				"only additions are allowed (no mutations or deletions)");
	}
}

static void unmask_gated(struct v1_pod_spec *now, const struct v1_pod_spec *old,
	const struct field_path *p, struct field_errors *e)
{
	const struct v1_node_affinity *was = old->affinity ? old->affinity->node_affinity : NULL;
	struct field_path affinity = FIELD(p, "affinity");

	for (size_t i = 0; i < old->node_selector.n; i++) {
		const struct str *v = str_map_get(&now->node_selector, old->node_selector.v[i].key);
		if (v && str_eq(*v, old->node_selector.v[i].value))
			continue;
		field_invalid_raw(e, AT(p, "nodeSelector"),
			str_map_json(e->arena, &now->node_selector),
			"only additions to spec.nodeSelector are allowed (no mutations or "
			"deletions)");
		break;
	}
	now->node_selector = old->node_selector;
	validate_node_affinity_change(now->affinity ? now->affinity->node_affinity : NULL, was,
		AT(&affinity, "nodeAffinity"), e);
	if (!now->affinity && was) {
		now->affinity = ARENA_NEW(e->arena, struct v1_affinity);
		now->affinity->node_affinity = old->affinity->node_affinity;
	} else if (now->affinity && !old->affinity && !now->affinity->pod_affinity &&
		   !now->affinity->pod_anti_affinity) {
		now->affinity = NULL;
	} else if (now->affinity) {
		now->affinity->node_affinity = old->affinity ? old->affinity->node_affinity : NULL;
	}
}

/* The new spec with everything that may change as it was. */
static struct v1_pod_spec *munge(const struct v1_pod_spec *spec, const struct v1_pod_spec *old,
	const struct field_path *p, struct field_errors *e)
{
	struct v1_pod_spec *m = schema_copy(&v1_pod_spec_schema, spec, e->arena);

	for (size_t i = 0; i < m->containers.n; i++)
		m->containers.v[i].image = old->containers.v[i].image;
	for (size_t i = 0; i < m->init_containers.n; i++)
		m->init_containers.v[i].image = old->init_containers.v[i].image;
	m->active_deadline_seconds = old->active_deadline_seconds;
	m->scheduling_gates = old->scheduling_gates;
	m->tolerations = old->tolerations;
	if (old->termination_grace_period_seconds && *old->termination_grace_period_seconds < 0 &&
		m->termination_grace_period_seconds && *m->termination_grace_period_seconds == 1)
		m->termination_grace_period_seconds = old->termination_grace_period_seconds;
	/* The deprecated name of the same field */
	m->service_account = old->service_account;
	if (old->scheduling_gates.n)
		unmask_gated(m, old, p, e);
	return m;
}

void validate_pod_update(const struct v1_pod *pod, const struct v1_pod *old, struct pod_opts opts,
	struct field_errors *e)
{
	struct field_path meta = FIELD(NULL, "metadata"), spec = FIELD(NULL, "spec");
	const struct v1_pod_spec *now = &pod->spec, *was = &old->spec;

	validate_pod(pod, opts, e);
	validate_pod_annotations_update(&pod->metadata.annotations, &old->metadata.annotations, now,
		AT(&meta, "annotations"), e);
	if (!validate_container_updates(
		    &now->containers, &was->containers, AT(&spec, "containers"), e) ||
		!validate_container_updates(&now->init_containers, &was->init_containers,
			AT(&spec, "initContainers"), e) ||
		!validate_deadline(now->active_deadline_seconds, was->active_deadline_seconds,
			AT(&spec, "activeDeadlineSeconds"), e))
		return;
	validate_only_added_tolerations(
		&now->tolerations, &was->tolerations, AT(&spec, "tolerations"), e);
	validate_gates_deleted(
		&now->scheduling_gates, &was->scheduling_gates, AT(&spec, "schedulingGates"), e);
	if (specs_equal(now, was))
		return;
	struct v1_pod_spec *munged = munge(now, was, &spec, e);
	if (specs_equal(munged, was))
		return;
	struct str diff = go_diff(e->arena, &v1_pod_spec_schema, was, munged);
	field_forbidden(e, &spec,
		"pod updates may not change fields other than `spec.containers[*].image`,"
		"`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` "
		"(only "
		"additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it "
		"to be "
		"set to 1 if it was previously negative)\n" STR_FMT,
		STR_ARG(diff));
}

void validate_pod_ephemeral_update(const struct v1_pod *pod, const struct v1_pod *old,
	struct pod_opts opts, struct field_errors *e)
{
	struct field_path meta = FIELD(NULL, "metadata"), spec = FIELD(NULL, "spec");
	struct field_path p = FIELD(&spec, "ephemeralContainers");
	const struct schema_type *type = &v1_ephemeral_container_schema;
	const struct v1_ephemeral_container_vec *now = &pod->spec.ephemeral_containers;

	validate_pod(pod, opts, e);
	validate_pod_annotations_update(&pod->metadata.annotations, &old->metadata.annotations,
		&pod->spec, AT(&meta, "annotations"), e);
	if (is_mirror(old)) {
		field_errors_truncate(e, 0);
		field_forbidden(e, AT(NULL, ""), "static pods do not support ephemeral containers");
		return;
	}
	for (size_t i = 0; i < old->spec.ephemeral_containers.n; i++) {
		const struct v1_ephemeral_container *was = &old->spec.ephemeral_containers.v[i];
		const struct v1_ephemeral_container *is = NULL;
		struct str name = go_quote(e->arena, was->name);

		for (size_t k = 0; k < now->n; k++)
			if (str_eq(now->v[k].name, was->name))
				is = &now->v[k];
		if (!is) {
			field_forbidden(e, &p,
				"existing ephemeral containers " STR_FMT " may not be removed\n",
				STR_ARG(name));
		} else if (!schema_equal(type, was, is)) {
			struct str diff = go_diff(e->arena, type, was, is);
			field_forbidden(e, &p,
				"existing ephemeral containers " STR_FMT
				" may not be changed\n" STR_FMT,
				STR_ARG(name), STR_ARG(diff));
		}
	}
}

static bool removed(const struct str_map *now, const struct str_map *old)
{
	for (size_t i = 0; i < old->n; i++)
		if (!str_map_get(now, old->v[i].key))
			return true;
	return false;
}

static bool same_order(const struct v1_container_vec *now, const struct v1_container_vec *old,
	const char *what, const struct field_path *p, struct field_errors *e)
{
	size_t before = e->n;

	if (now->n != old->n)
		field_forbidden(e, p, "%s may not be added or removed on resize", what);
	for (size_t i = 0; now->n == old->n && i < old->n; i++) {
		struct field_path item = FIELD_INDEX(p, i);
		if (!str_eq(now->v[i].name, old->v[i].name))
			field_forbidden(e, AT(&item, "name"),
				"%s may not be renamed or reordered on resize", what);
	}
	return e->n == before;
}

static void validate_list_resize(const struct v1_container_vec *now,
	const struct v1_container_vec *old, const struct field_path *p, struct field_errors *e)
{
	for (size_t i = 0; i < old->n; i++) {
		struct field_path item = FIELD_INDEX(p, i), r = FIELD(&item, "resources");

		if (removed(&now->v[i].resources.requests, &old->v[i].resources.requests))
			field_forbidden(
				e, AT(&r, "requests"), "resource requests cannot be removed");
		if (removed(&now->v[i].resources.limits, &old->v[i].resources.limits))
			field_forbidden(e, AT(&r, "limits"), "resource limits cannot be removed");
	}
}

static void keep_compute(struct arena *a, struct str_map *m, const struct str_map *old)
{
	static const struct str compute[] = {{"cpu", 3}, {"memory", 6}};
	struct str_map copy = {0};

	for (size_t i = 0; i < m->n; i++)
		str_map_put(a, &copy, m->v[i].key, m->v[i].value);
	for (size_t i = 0; i < ARRAY_SIZE(compute); i++) {
		const struct str *v = str_map_get(old, compute[i]);

		str_map_remove(&copy, compute[i]);
		if (v)
			str_map_put(a, &copy, compute[i], *v);
	}
	*m = copy;
}

static void validate_pod_level_resize(struct v1_pod_spec *copy, const struct v1_pod_spec *now,
	const struct v1_pod_spec *old, const struct field_path *p, struct field_errors *e)
{
	static const struct v1_resource_requirements none;
	const struct v1_resource_requirements *was = old->resources ? old->resources : &none;
	struct field_path r = FIELD(p, "resources");

	if (old->resources && !now->resources) {
		field_forbidden(e, &r, "pod-level resources cannot be removed");
		return;
	}
	if (!now->resources)
		return;
	if (removed(&now->resources->requests, &was->requests))
		field_forbidden(
			e, AT(&r, "requests"), "pod-level resource requests cannot be removed");
	if (removed(&now->resources->limits, &was->limits))
		field_forbidden(e, AT(&r, "limits"), "pod-level resource limits cannot be removed");
	keep_compute(e->arena, &copy->resources->requests, &was->requests);
	keep_compute(e->arena, &copy->resources->limits, &was->limits);
	if (!old->resources && !copy->resources->requests.n && !copy->resources->limits.n &&
		!copy->resources->claims.n)
		copy->resources = NULL;
	else if (!schema_equal(&v1_resource_requirements_schema, copy->resources, was))
		field_forbidden(e, p, "only cpu and memory resources are mutable at pod-level");
}

/* Other changes than of cpu and memory; afterwards the copies are as they should be. */
static void validate_only_compute(struct v1_container_vec *copy, const struct v1_container_vec *old,
	bool init, const struct field_path *p, struct field_errors *e)
{
	const struct schema_type *type = &v1_container_schema;
	struct field_path list = FIELD(p, "initContainers");

	for (size_t i = 0; i < old->n; i++) {
		struct v1_container *c = &copy->v[i];
		bool modified = !schema_equal(type, c, &old->v[i]);

		keep_compute(e->arena, &c->resources.limits, &old->v[i].resources.limits);
		keep_compute(e->arena, &c->resources.requests, &old->v[i].resources.requests);
		c->resources.claims = (struct v1_resource_claim_vec){0};
		if (!schema_equal(type, c, &old->v[i])) {
			if (init)
				field_forbidden(e, AT_INDEX(&list, i),
					"only cpu and memory resources for init or sidecar "
					"containers are "
					"mutable");
			else
				field_forbidden(e, p, "only cpu and memory resources are mutable");
		}
		for (size_t k = 0;
			init && modified && !sidecar_container(c) && k < c->resize_policy.n; k++)
			if (str_eqc(c->resize_policy.v[k].restart_policy, "RestartContainer"))
				field_forbidden(e, AT_INDEX(&list, i),
					"non-sidecar init containers with a resize policy of "
					"RestartContainer cannot be resized");
	}
}

static bool resize_supported(const struct v1_pod *pod)
{
	for (size_t i = 0; i < pod->status.container_statuses.n; i++)
		if (pod->status.container_statuses.v[i].state.running)
			return pod->status.container_statuses.v[i].resources;
	return true;
}

static bool has_pod_resources(const struct v1_pod_spec *s)
{
	return s->resources && s->resources->requests.n + s->resources->limits.n > 0;
}

/* False: nothing else matters. */
static bool validate_resizable(const struct v1_pod *old, struct field_errors *e)
{
	bool windows = old->spec.os && str_eqc(old->spec.os->name, "windows");

	if (!is_mirror(old) && !windows)
		return true;
	field_errors_truncate(e, 0);
	field_forbidden(e, AT(NULL, ""),
		windows && !is_mirror(old) ? "windows pods cannot be resized"
					   : "static pods cannot be resized");
	return false;
}

void validate_pod_resize(const struct v1_pod *pod, const struct v1_pod *old, struct pod_opts opts,
	struct field_errors *e)
{
	struct field_path p = FIELD(NULL, "spec");
	const struct v1_pod_spec *now = &pod->spec, *was = &old->spec;
	struct str qos = old->status.qos_class;

	validate_pod(pod, opts, e);
	if (!validate_resizable(old, e))
		return;
	if (qos.n == 0)
		qos = pod_qos_class(old, e->arena);
	if (!str_eq(qos, pod_qos_class(pod, e->arena)))
		field_invalid(e, &p, pod->status.qos_class,
			"Pod QOS Class may not change as a result of resizing");
	if (!resize_supported(old))
		field_forbidden(e, &p, "Pod running on node without support for resize");
	struct v1_pod_spec *copy = schema_copy(&v1_pod_spec_schema, now, e->arena);
	if (has_pod_resources(was) || has_pod_resources(now))
		validate_pod_level_resize(copy, now, was, &p, e);
	if (old->status.node_allocatable_resource_claim_statuses.n)
		field_forbidden(
			e, &p, "pods with node allocatable resource claims cannot be resized");
	bool ordered = same_order(
		&now->containers, &was->containers, "containers", AT(&p, "containers"), e);
	if (!same_order(&now->init_containers, &was->init_containers, "initContainers",
		    AT(&p, "initContainers"), e) ||
		!ordered)
		return;
	validate_list_resize(
		&now->init_containers, &was->init_containers, AT(&p, "initContainers"), e);
	validate_list_resize(&now->containers, &was->containers, AT(&p, "containers"), e);
	validate_only_compute(&copy->containers, &was->containers, false, &p, e);
	validate_only_compute(&copy->init_containers, &was->init_containers, true, &p, e);
	if (e->n == 0 && !specs_equal(copy, was))
		field_forbidden(e, &p, "only cpu and memory resources are mutable");
}
