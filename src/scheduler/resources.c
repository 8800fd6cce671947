#include "scheduler/resources.h"

#include "schema/quantity.h"

/* What scoring assumes of a container that asks for nothing, so that such pods spread, too. */
enum { DEFAULT_CPU_MILLI = 100, DEFAULT_MEMORY = 200 * 1024 * 1024 };

static void name_add(struct resource_names *names, struct str name)
{
	names->name[names->n] = arena_str(&names->arena, name);
	names->insufficient[names->n] =
		arena_fmt(&names->arena, "Insufficient " STR_FMT, STR_ARG(name)).p;
	names->n++;
}

void resource_names_init(struct resource_names *names)
{
	*names = (struct resource_names){0};
	arena_init(&names->arena);
	name_add(names, S("cpu"));
	name_add(names, S("memory"));
	name_add(names, S("ephemeral-storage"));
	name_add(names, S("pods"));
	names->insufficient[RES_PODS] = "Too many pods";
}

int resource_index(struct resource_names *names, struct str name)
{
	for (size_t i = 0; i < names->n; i++)
		if (str_eq(names->name[i], name))
			return (int)i;
	if (names->n == RESOURCES_MAX)
		return -1;
	name_add(names, name);
	return (int)names->n - 1;
}

static int64_t amount(int index, struct str text)
{
	return index == RES_CPU ? quantity_milli_of(text) : quantity_value_of(text);
}

void resources_from_map(
	struct resource_names *names, const struct str_map *m, struct resources *ret)
{
	for (size_t i = 0; i < m->n; i++) {
		int at = resource_index(names, m->v[i].key);

		if (at >= 0)
			ret->v[at] = amount(at, m->v[i].value);
	}
}

static void add(struct resources *to, const struct resources *r)
{
	for (size_t i = 0; i < RESOURCES_MAX; i++)
		to->v[i] += r->v[i];
}

static void raise_to(struct resources *to, const struct resources *r)
{
	for (size_t i = 0; i < RESOURCES_MAX; i++)
		to->v[i] = MAX(to->v[i], r->v[i]);
}

/* The sum over a pod's containers. An init container runs beside the sidecars that were started
 * before it. */
static struct resources total(struct resource_names *names, const struct v1_pod_spec *spec,
	int64_t cpu_default, int64_t memory_default)
{
	struct resources sum = {0}, sidecars = {0}, peak = {0};

	for (size_t i = 0; i < spec->containers.n; i++) {
		struct resources r = {.v = {cpu_default, memory_default}};

		resources_from_map(names, &spec->containers.v[i].resources.requests, &r);
		add(&sum, &r);
	}
	for (size_t i = 0; i < spec->init_containers.n; i++) {
		const struct v1_container *c = &spec->init_containers.v[i];
		struct resources r = {.v = {cpu_default, memory_default}};

		resources_from_map(names, &c->resources.requests, &r);
		if (str_eq(c->restart_policy, S("Always"))) {
			add(&sum, &r);
			add(&sidecars, &r);
			raise_to(&peak, &sidecars);
		} else {
			add(&r, &sidecars);
			raise_to(&peak, &r);
		}
	}
	raise_to(&sum, &peak);
	if (spec->resources)
		resources_from_map(names, &spec->resources->requests, &sum);
	return sum;
}

void pod_requests(
	struct resource_names *names, const struct v1_pod_spec *spec, struct pod_info *ret)
{
	struct resources overhead = {0};
	struct resources nonzero = total(names, spec, DEFAULT_CPU_MILLI, DEFAULT_MEMORY);

	ret->request = total(names, spec, 0, 0);
	resources_from_map(names, &spec->overhead, &overhead);
	add(&ret->request, &overhead);
	ret->request.v[RES_PODS] = 1;
	ret->nonzero_cpu = nonzero.v[RES_CPU] + overhead.v[RES_CPU];
	ret->nonzero_memory = nonzero.v[RES_MEMORY] + overhead.v[RES_MEMORY];
}
