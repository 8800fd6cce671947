/* resources.c: names and amounts of resources: what containers and pods ask for. */
#include "apiserver/validation/names.h"
#include "apiserver/validation/pod.h"
#include "schema/quantity.h"

static const char *const standard[] = {"cpu", "memory", "ephemeral-storage", "requests.cpu",
	"requests.memory", "requests.ephemeral-storage", "limits.cpu", "limits.memory",
	"limits.ephemeral-storage", "pods", "resourcequotas", "services", "replicationcontrollers",
	"secrets", "configmaps", "persistentvolumeclaims", "storage", "requests.storage",
	"services.nodeports", "services.loadbalancers", NULL};
static const char *const integers[] = {"pods", "resourcequotas", "services",
	"replicationcontrollers", "secrets", "configmaps", "persistentvolumeclaims",
	"services.nodeports", "services.loadbalancers", NULL};

static bool one_of(struct str s, const char *const *list)
{
	for (size_t i = 0; list[i]; i++)
		if (str_eqc(s, list[i]))
			return true;
	return false;
}

bool resource_is_huge_page(struct str name)
{
	return str_starts(name, S("hugepages-"));
}

bool resource_is_standard(struct str name)
{
	return one_of(name, standard) || resource_is_huge_page(name) ||
	       str_starts(name, S("requests.hugepages-"));
}

bool resource_is_native(struct str name)
{
	return str_chr(name, '/') < 0 || str_find(name, S("kubernetes.io/")) >= 0;
}

bool resource_overcommit_allowed(struct str name)
{
	return resource_is_native(name) && !resource_is_huge_page(name);
}

bool resource_is_pod_level(struct str name)
{
	return str_eqc(name, "cpu") || str_eqc(name, "memory") || resource_is_huge_page(name);
}

bool resource_is_extended(struct str name)
{
	struct arena a;
	bool ok;

	if (resource_is_native(name) || str_starts(name, S("requests.")))
		return false;
	arena_init(&a);
	ok = is_qualified_name(&a, arena_fmt(&a, "requests." STR_FMT, STR_ARG(name))).n == 0;
	arena_release(&a);
	return ok;
}

void validate_resource_name(struct str name, const struct field_path *p, struct field_errors *e)
{
	size_t before = e->n;

	validate_qualified_name(name, p, e);
	if (e->n == before && str_chr(name, '/') < 0 && !resource_is_standard(name))
		field_invalid(e, p, name, "must be a standard resource type or fully qualified");
}

void validate_container_resource_name(
	struct str name, const struct field_path *p, struct field_errors *e)
{
	validate_resource_name(name, p, e);
	if (str_chr(name, '/') < 0) {
		if (!str_eqc(name, "cpu") && !str_eqc(name, "memory") &&
			!str_eqc(name, "ephemeral-storage") && !resource_is_huge_page(name))
			field_invalid(e, p, name, "must be a standard resource for containers");
	} else if (!resource_is_native(name) && !resource_is_extended(name)) {
		field_invalid(e, p, name, "doesn't follow extended resource name standard");
	}
}

static void validate_pod_resource_name(
	struct str name, const struct field_path *p, struct field_errors *e)
{
	static const char *const supported[] = {"cpu", "hugepages-", "memory", NULL};
	size_t before = e->n;

	validate_resource_name(name, p, e);
	if (e->n == before && !resource_is_pod_level(name))
		field_not_supported(e, p, name, supported);
}

static struct str text_of(struct arena *a, struct str quantity)
{
	struct quantity q = quantity_of(quantity);

	return quantity_text(&q, a);
}

void validate_resource_quantity(
	struct str name, struct str quantity, const struct field_path *p, struct field_errors *e)
{
	struct quantity q = quantity_of(quantity);
	struct str text = quantity_text(&q, e->arena);

	if (q.nano < 0)
		field_invalid(e, p, text, "must be greater than or equal to 0");
	if ((one_of(name, integers) || resource_is_extended(name)) &&
		quantity_milli(&q) % 1000 != 0)
		field_invalid(e, p, text, "must be an integer");
}

void validate_positive_quantity(
	struct str quantity, const struct field_path *p, struct field_errors *e)
{
	struct quantity q = quantity_of(quantity);

	if (q.nano <= 0)
		field_invalid(e, p, quantity_text(&q, e->arena), "must be greater than zero");
}

static void validate_huge_pages(
	struct str name, struct str quantity, const struct field_path *p, struct field_errors *e)
{
	struct quantity page, q = quantity_of(quantity);
	struct str text = quantity_text(&q, e->arena);

	if (quantity_parse(str_sub(name, strlen("hugepages-"), name.n), &page, NULL) == 0 &&
		page.nano > 0 && quantity_milli(&page) % 1000 == 0 &&
		quantity_value(&q) % quantity_value(&page) == 0)
		return;
	field_invalid(e, p, text, STR_FMT " is not positive integer multiple of " STR_FMT,
		STR_ARG(text), STR_ARG(name));
}

/* A claim may be named once, or once per request. */
static void validate_claim(const struct v1_resource_claim *claim, struct str_vec *seen,
	const struct field_path *p, struct field_errors *e)
{
	struct str key = claim->name;

	if (str_vec_has(seen, claim->name)) {
		field_duplicate(e, p, claim->name);
		return;
	}
	if (claim->request.n) {
		validate_dns1123_label(claim->request, AT(p, "request"), e);
		key = arena_fmt(
			e->arena, STR_FMT "/" STR_FMT, STR_ARG(key), STR_ARG(claim->request));
	}
	if (str_vec_has(seen, key)) {
		field_duplicate(e, p, key);
	} else if (claim->request.n == 0) {
		struct str prefix = arena_fmt(e->arena, STR_FMT "/", STR_ARG(key));
		for (size_t i = 0; i < seen->n; i++)
			if (str_starts(seen->v[i], prefix))
				field_duplicate(e, p, claim->name);
	}
	ARENA_PUSH(e->arena, seen, key);
}

static void validate_claims(const struct v1_resource_claim_vec *claims,
	const struct str_vec *pod_claims, const struct field_path *p, struct field_errors *e)
{
	struct str_vec seen = {0};

	for (size_t i = 0; i < claims->n; i++) {
		struct field_path item = FIELD_INDEX(p, i);
		struct str name = claims->v[i].name, names = S("");

		if (name.n == 0) {
			field_required(e, &item, "");
			continue;
		}
		validate_claim(&claims->v[i], &seen, &item, e);
		if (pod_claims && str_vec_has(pod_claims, name))
			continue;
		for (size_t k = 0; pod_claims && k < pod_claims->n; k++)
			names = arena_fmt(e->arena, STR_FMT "%s" STR_FMT, STR_ARG(names),
				k ? ", " : ": ", STR_ARG(pod_claims->v[k]));
		field_add(e, FIELD_NOT_FOUND, &item, go_quote(e->arena, name),
			"must be one of the names in pod.spec.resourceClaims" STR_FMT,
			STR_ARG(names.n ? names : S(" which is empty")));
	}
}

static bool is_compute(struct str name)
{
	return str_eqc(name, "cpu") || str_eqc(name, "memory");
}

static void validate_request(const struct v1_resource_requirements *r,
	const struct str_pair *request, const struct field_path *p, struct field_errors *e)
{
	const struct str *limit = str_map_get(&r->limits, request->key);
	struct field_path requests = FIELD(p, "requests");
	struct quantity want = quantity_of(request->value), most;
	struct str text = quantity_text(&want, e->arena), most_text;

	if (!limit) {
		if (!resource_overcommit_allowed(request->key))
			field_required(e, AT(p, "limits"),
				"Limit must be set for non overcommitable resources");
		return;
	}
	most = quantity_of(*limit);
	most_text = quantity_text(&most, e->arena);
	if (quantity_cmp(&want, &most) != 0 && !resource_overcommit_allowed(request->key))
		field_invalid(e, &requests, text, "must be equal to " STR_FMT " limit of " STR_FMT,
			STR_ARG(request->key), STR_ARG(most_text));
	else if (quantity_cmp(&want, &most) > 0)
		field_invalid(e, &requests, text,
			"must be less than or equal to " STR_FMT " limit of " STR_FMT,
			STR_ARG(request->key), STR_ARG(most_text));
}

static void validate_requirements(const struct v1_resource_requirements *r,
	void (*name_fn)(struct str, const struct field_path *, struct field_errors *),
	const struct str_vec *claims, const struct field_path *p, struct field_errors *e)
{
	struct field_path limits = FIELD(p, "limits"), requests = FIELD(p, "requests");
	bool compute = false, huge = false;

	for (size_t i = 0; i < r->limits.n; i++) {
		struct str name = r->limits.v[i].key;
		struct field_path at = FIELD_KEY(&limits, name);

		name_fn(name, &at, e);
		validate_resource_quantity(name, r->limits.v[i].value, &at, e);
		if (resource_is_huge_page(name))
			validate_huge_pages(name, r->limits.v[i].value, &at, e);
		huge = huge || resource_is_huge_page(name);
		compute = compute || is_compute(name);
	}
	for (size_t i = 0; i < r->requests.n; i++) {
		struct str name = r->requests.v[i].key;
		struct field_path at = FIELD_KEY(&requests, name);

		name_fn(name, &at, e);
		validate_resource_quantity(name, r->requests.v[i].value, &at, e);
		validate_request(r, &r->requests.v[i], p, e);
		if (resource_is_huge_page(name))
			validate_huge_pages(name, r->requests.v[i].value, &at, e);
		huge = huge || resource_is_huge_page(name);
		compute = compute || is_compute(name);
	}
	if (huge && !compute)
		field_forbidden(e, p, "HugePages require cpu or memory");
	validate_claims(&r->claims, claims, AT(p, "claims"), e);
}

void validate_container_resources(const struct v1_resource_requirements *r,
	const struct str_vec *claims, const struct field_path *p, struct field_errors *e)
{
	validate_requirements(r, validate_container_resource_name, claims, p, e);
}

void str_map_put(struct arena *a, struct str_map *m, struct str key, struct str value)
{
	size_t at = 0;

	while (at < m->n && str_cmp(m->v[at].key, key) < 0)
		at++;
	if (at < m->n && str_eq(m->v[at].key, key)) {
		m->v[at].value = value;
		return;
	}
	ARENA_PUSH(a, m, ((struct str_pair){0}));
	memmove(m->v + at + 1, m->v + at, (m->n - 1 - at) * sizeof(*m->v));
	m->v[at] = (struct str_pair){key, value};
}

void str_map_remove(struct str_map *m, struct str key)
{
	for (size_t i = 0; i < m->n; i++)
		if (str_eq(m->v[i].key, key)) {
			memmove(m->v + i, m->v + i + 1, (m->n - 1 - i) * sizeof(*m->v));
			m->n--;
			return;
		}
}

static void list_add(struct arena *a, struct str_map *sum, const struct str_map *more)
{
	for (size_t i = 0; i < more->n; i++) {
		const struct str *have = str_map_get(sum, more->v[i].key);
		struct quantity q = quantity_of(more->v[i].value), total;

		if (have) {
			total = quantity_of(*have);
			quantity_add(&total, &q);
			q = total;
		}
		str_map_put(a, sum, more->v[i].key, quantity_text(&q, a));
	}
}

static void list_max(struct arena *a, struct str_map *m, const struct str_map *other)
{
	for (size_t i = 0; i < other->n; i++) {
		const struct str *have = str_map_get(m, other->v[i].key);
		struct quantity q = quantity_of(other->v[i].value), old;

		if (have)
			old = quantity_of(*have);
		if (!have || quantity_cmp(&q, &old) > 0)
			str_map_put(a, m, other->v[i].key, quantity_text(&q, a));
	}
}

static struct str_map aggregate(const struct v1_pod_spec *spec, bool limits, struct arena *a)
{
	struct str_map sum = {0}, sidecars = {0}, init = {0};

	for (size_t i = 0; i < spec->containers.n; i++) {
		const struct v1_resource_requirements *r = &spec->containers.v[i].resources;
		list_add(a, &sum, limits ? &r->limits : &r->requests);
	}
	for (size_t i = 0; i < spec->init_containers.n; i++) {
		const struct v1_container *ctr = &spec->init_containers.v[i];
		const struct str_map *want =
			limits ? &ctr->resources.limits : &ctr->resources.requests;
		struct str_map now = {0};

		if (sidecar_container(ctr)) {
			list_add(a, &sum, want);
			list_add(a, &sidecars, want);
		} else {
			list_add(a, &now, want);
		}
		list_add(a, &now, &sidecars);
		list_max(a, &init, &now);
	}
	list_max(a, &sum, &init);
	return sum;
}

struct str_map pod_aggregate_requests(const struct v1_pod_spec *spec, struct arena *a)
{
	return aggregate(spec, false, a);
}

struct str_map pod_aggregate_limits(const struct v1_pod_spec *spec, struct arena *a)
{
	return aggregate(spec, true, a);
}

/* Adds an error for each resource of `sum` of which the pod as a whole has less. */
static void validate_covers(const struct str_map *sum, const struct str_map *pod, bool huge_only,
	const char *what, const struct field_path *p, struct field_errors *e)
{
	for (size_t i = 0; i < sum->n; i++) {
		const struct str *have = str_map_get(pod, sum->v[i].key);
		struct quantity need = quantity_of(sum->v[i].value), got;

		if (!have || (huge_only && !resource_is_huge_page(sum->v[i].key)))
			continue;
		got = quantity_of(*have);
		if (quantity_cmp(&need, &got) > 0) {
			struct str text = quantity_text(&need, e->arena);
			field_invalid(e, AT_KEY(p, sum->v[i].key), quantity_text(&got, e->arena),
				"must be greater than or equal to aggregate container %s "
				"of " STR_FMT,
				what, STR_ARG(text));
		}
	}
}

static void validate_container_limits(
	const struct v1_pod_spec *spec, const struct field_path *p, struct field_errors *e)
{
	struct field_path list = FIELD(p, "containers");

	for (size_t i = 0; i < spec->containers.n; i++) {
		const struct str_map *limits = &spec->containers.v[i].resources.limits;
		for (size_t k = 0; k < limits->n; k++) {
			const struct str *most =
				str_map_get(&spec->resources->limits, limits->v[k].key);
			struct quantity have = quantity_of(limits->v[k].value), max;

			if (!most)
				continue;
			max = quantity_of(*most);
			if (quantity_cmp(&have, &max) > 0) {
				struct field_path item = FIELD_INDEX(&list, i);
				struct field_path key = FIELD_KEY(&item, limits->v[k].key);
				struct str text = text_of(e->arena, *most);
				field_invalid(e, AT(&key, "limits"), quantity_text(&have, e->arena),
					"must be less than or equal to pod limits of " STR_FMT,
					STR_ARG(text));
			}
		}
	}
}

void validate_pod_resources(const struct pod_check *c, const struct field_path *spec_path)
{
	struct field_path p = FIELD(spec_path, "resources");
	const struct v1_pod_spec *spec = c->spec;
	struct field_errors *e = c->errs;

	if (!spec->resources)
		return;
	if (spec->os && str_eqc(spec->os->name, "windows")) {
		field_forbidden(e, &p, "may not be set for a windows pod");
		return;
	}
	if (spec->resources->claims.v)
		field_forbidden(
			e, AT(&p, "claims"), "claims may not be set for Resources at pod-level");
	validate_requirements(spec->resources, validate_pod_resource_name, &c->claims, &p, e);
	struct str_map requests = pod_aggregate_requests(spec, e->arena);
	struct str_map limits = pod_aggregate_limits(spec, e->arena);
	validate_covers(
		&requests, &spec->resources->requests, false, "requests", AT(&p, "requests"), e);
	validate_covers(&limits, &spec->resources->limits, true, "limits", AT(&p, "limits"), e);
	validate_container_limits(spec, &p, e);
}
