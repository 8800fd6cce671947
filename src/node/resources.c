/* resources.c: numbers out of quantities. */
#include "node/resources.h"

int64_t resource_milli(const struct str_map *m, const char *name)
{
	const struct str *q = str_map_get(m, str_c(name));

	return q ? quantity_milli_of(*q) : 0;
}

int64_t resource_units(const struct str_map *m, const char *name)
{
	const struct str *q = str_map_get(m, str_c(name));

	return q ? quantity_value_of(*q) : 0;
}

/* --- sums --- */

struct str container_request(const struct v1_container *c, const char *name)
{
	const struct str *q = str_map_get(&c->resources.requests, str_c(name));

	if (!q)
		q = str_map_get(&c->resources.limits, str_c(name));
	return q ? *q : (struct str){0};
}

struct sum {
	int64_t request, limit;
	bool unlimited;
};

static void sum_one(struct sum *s, const struct v1_container *c, const char *name, bool milli)
{
	struct str r = container_request(c, name);
	const struct str *l = str_map_get(&c->resources.limits, str_c(name));

	s->request += milli ? quantity_milli_of(r) : quantity_value_of(r);
	if (l)
		s->limit += milli ? quantity_milli_of(*l) : quantity_value_of(*l);
	else
		s->unlimited = true;
}

static struct sum pod_sum(const struct v1_pod *pod, const char *name, bool milli)
{
	const struct v1_pod_spec *spec = &pod->spec;
	struct sum all = {0}, sidecars = {0}, peak = {0};
	int64_t over = milli ? resource_milli(&spec->overhead, name)
			     : resource_units(&spec->overhead, name);

	for (size_t i = 0; i < spec->containers.n; i++)
		sum_one(&all, &spec->containers.v[i], name, milli);
	for (size_t i = 0; i < spec->init_containers.n; i++) {
		const struct v1_container *c = &spec->init_containers.v[i];
		bool sidecar = str_eq(c->restart_policy, S("Always"));
		struct sum one = sidecars;

		sum_one(&one, c, name, milli);
		if (sidecar)
			sidecars = one;
		peak.request = MAX(peak.request, one.request);
		peak.limit = MAX(peak.limit, one.limit);
		peak.unlimited |= one.unlimited;
	}
	all.request = MAX(all.request + sidecars.request, peak.request) + over;
	all.unlimited |= sidecars.unlimited | peak.unlimited;
	all.limit = MAX(all.limit + sidecars.limit, peak.limit) + over;
	if (spec->resources) { /* pod-level resources */
		const struct str *r = str_map_get(&spec->resources->requests, str_c(name));
		const struct str *l = str_map_get(&spec->resources->limits, str_c(name));

		if (!r)
			r = l;
		if (r)
			all.request =
				(milli ? quantity_milli_of(*r) : quantity_value_of(*r)) + over;
		if (l) {
			all.limit = (milli ? quantity_milli_of(*l) : quantity_value_of(*l)) + over;
			all.unlimited = false;
		}
	}
	return all;
}

struct pod_sums pod_resource_sums(const struct v1_pod *pod)
{
	struct sum cpu = pod_sum(pod, "cpu", true), mem = pod_sum(pod, "memory", false);
	struct sum disk = pod_sum(pod, "ephemeral-storage", false);

	return (struct pod_sums){
		.cpu_request_milli = cpu.request,
		.memory_request = mem.request,
		.cpu_limit_milli = cpu.unlimited ? 0 : cpu.limit,
		.memory_limit = mem.unlimited ? 0 : mem.limit,
		.ephemeral_storage_request = disk.request,
	};
}

/* --- QoS --- */

struct qos_seen {
	bool any, guaranteed;
};

static void qos_look(struct qos_seen *q, const struct v1_container *c)
{
	static const char *const names[] = {"cpu", "memory"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		int64_t l = resource_milli(&c->resources.limits, names[i]);
		int64_t r = quantity_milli_of(container_request(c, names[i]));

		q->any |= l > 0 || r > 0;
		q->guaranteed &= l > 0 && l == r;
	}
}

enum qos pod_qos(const struct v1_pod *pod)
{
	struct qos_seen q = {.guaranteed = true};

	if (!str_empty(pod->status.qos_class))
		return str_eq(pod->status.qos_class, S("Guaranteed"))  ? QOS_GUARANTEED
		       : str_eq(pod->status.qos_class, S("Burstable")) ? QOS_BURSTABLE
								       : QOS_BEST_EFFORT;
	for (size_t i = 0; i < pod->spec.containers.n; i++)
		qos_look(&q, &pod->spec.containers.v[i]);
	for (size_t i = 0; i < pod->spec.init_containers.n; i++)
		qos_look(&q, &pod->spec.init_containers.v[i]);
	return !q.any ? QOS_BEST_EFFORT : q.guaranteed ? QOS_GUARANTEED : QOS_BURSTABLE;
}

struct str qos_name(enum qos q)
{
	return q == QOS_GUARANTEED  ? S("Guaranteed")
	       : q == QOS_BURSTABLE ? S("Burstable")
				    : S("BestEffort");
}

/* --- cgroup arithmetic --- */

int64_t milli_to_shares(int64_t milli)
{
	int64_t shares = milli * 1024 / 1000;

	return shares < 2 ? 2 : MIN(shares, 262144);
}

int64_t milli_to_quota(int64_t milli, int64_t period_us)
{
	if (milli <= 0)
		return 0;
	return MAX(milli * period_us / 1000, 1000);
}
