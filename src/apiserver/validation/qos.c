/* qos.c: the quality of service class of a pod (pkg/apis/core/helper/qos). */
#include "apiserver/validation/pod.h"
#include "schema/quantity.h"

struct qos {
	struct arena *a;
	struct str_map requests, limits; /* cpu and memory, summed */
	bool guaranteed;
};

static bool is_compute(struct str name)
{
	return str_eqc(name, "cpu") || str_eqc(name, "memory");
}

static void sum(struct qos *q, struct str_map *total, const struct str_map *more)
{
	for (size_t i = 0; i < more->n; i++) {
		struct quantity v = quantity_of(more->v[i].value), t;
		const struct str *have = str_map_get(total, more->v[i].key);

		if (!is_compute(more->v[i].key) || v.nano <= 0)
			continue;
		t = have ? quantity_of(*have) : (struct quantity){.format = v.format};
		quantity_add(&t, &v);
		str_map_put(q->a, total, more->v[i].key, quantity_text(&t, q->a));
	}
}

static void take(struct qos *q, const struct v1_resource_requirements *r)
{
	size_t limited = 0;

	sum(q, &q->requests, &r->requests);
	sum(q, &q->limits, &r->limits);
	for (size_t i = 0; i < r->limits.n; i++)
		limited += is_compute(r->limits.v[i].key) &&
			   quantity_of(r->limits.v[i].value).nano > 0;
	if (limited < 2)
		q->guaranteed = false;
}

struct str pod_qos_class(const struct v1_pod *pod, struct arena *a)
{
	struct qos q = {.a = a, .guaranteed = true};
	const struct v1_pod_spec *spec = &pod->spec;

	if (spec->resources && (spec->resources->requests.n || spec->resources->limits.n)) {
		take(&q, spec->resources);
	} else {
		for (size_t i = 0; i < spec->containers.n; i++)
			take(&q, &spec->containers.v[i].resources);
		for (size_t i = 0; i < spec->init_containers.n; i++)
			take(&q, &spec->init_containers.v[i].resources);
	}
	if (q.requests.n == 0 && q.limits.n == 0)
		return S("BestEffort");
	for (size_t i = 0; q.guaranteed && i < q.requests.n; i++) {
		const struct str *limit = str_map_get(&q.limits, q.requests.v[i].key);
		struct quantity want = quantity_of(q.requests.v[i].value), most;

		if (limit)
			most = quantity_of(*limit);
		if (!limit || quantity_cmp(&want, &most) != 0)
			q.guaranteed = false;
	}
	return q.guaranteed && q.requests.n == q.limits.n ? S("Guaranteed") : S("Burstable");
}
