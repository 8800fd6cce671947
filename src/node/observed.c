/* observed.c: copies of what the runtime said. */
#include "node/observed.h"

void observed_release(struct observed *o)
{
	arena_release(&o->arena);
	*o = (struct observed){0};
}

static struct cri_key_values copy_pairs(struct arena *a, const struct cri_key_values *kv)
{
	struct cri_key_values out = {ARENA_ARRAY(a, struct str_pair, kv->n), kv->n};

	for (size_t i = 0; i < kv->n; i++) {
		out.v[i].key = arena_str(a, kv->v[i].key);
		out.v[i].value = arena_str(a, kv->v[i].value);
	}
	return out;
}

static struct str_vec copy_strings(struct arena *a, const struct str_vec *v)
{
	struct str_vec out = {ARENA_ARRAY(a, struct str, v->n), v->n};

	for (size_t i = 0; i < v->n; i++)
		out.v[i] = arena_str(a, v->v[i]);
	return out;
}

struct cri_sandbox_status cri_sandbox_copy(struct arena *a, const struct cri_sandbox_status *s)
{
	struct cri_sandbox_status o = *s;

	o.id = arena_str(a, s->id);
	o.name = arena_str(a, s->name);
	o.ns = arena_str(a, s->ns);
	o.uid = arena_str(a, s->uid);
	o.ips = copy_strings(a, &s->ips);
	o.labels = copy_pairs(a, &s->labels);
	o.annotations = copy_pairs(a, &s->annotations);
	o.netns_path = arena_str(a, s->netns_path);
	return o;
}

struct cri_container_status cri_container_copy(
	struct arena *a, const struct cri_container_status *c)
{
	struct cri_container_status o = *c;

	o.id = arena_str(a, c->id);
	o.name = arena_str(a, c->name);
	o.sandbox_id = arena_str(a, c->sandbox_id);
	o.image = arena_str(a, c->image);
	o.image_id = arena_str(a, c->image_id);
	o.image_ref = arena_str(a, c->image_ref);
	o.reason = arena_str(a, c->reason);
	o.message = arena_str(a, c->message);
	o.log_path = arena_str(a, c->log_path);
	o.labels = copy_pairs(a, &c->labels);
	o.annotations = copy_pairs(a, &c->annotations);
	o.mounts = ARENA_ARRAY(a, struct cri_mount, c->n_mounts);
	for (size_t i = 0; i < c->n_mounts; i++) {
		o.mounts[i] = c->mounts[i];
		o.mounts[i].container_path = arena_str(a, c->mounts[i].container_path);
		o.mounts[i].host_path = arena_str(a, c->mounts[i].host_path);
		o.mounts[i].image = arena_str(a, c->mounts[i].image);
		o.mounts[i].image_sub_path = arena_str(a, c->mounts[i].image_sub_path);
	}
	o.resources.cpuset_cpus = arena_str(a, c->resources.cpuset_cpus);
	o.resources.cpuset_mems = arena_str(a, c->resources.cpuset_mems);
	o.resources.unified = copy_pairs(a, &c->resources.unified);
	o.supplemental_groups = arena_memdup(a, c->supplemental_groups,
		c->n_supplemental_groups * sizeof(*c->supplemental_groups));
	return o;
}

static int newer_sandbox(const void *a, const void *b)
{
	const struct cri_sandbox_status *x = a, *y = b;

	if (x->created_ns != y->created_ns)
		return x->created_ns > y->created_ns ? -1 : 1;
	return x->attempt > y->attempt ? -1 : x->attempt < y->attempt;
}

static int newer_container(const void *a, const void *b)
{
	const struct cri_container_status *x = a, *y = b;

	if (x->created_ns != y->created_ns)
		return x->created_ns > y->created_ns ? -1 : 1;
	return x->attempt > y->attempt ? -1 : x->attempt < y->attempt;
}

void observed_sort(struct observed *o)
{
	if (o->n_sandboxes > 1)
		qsort(o->sandboxes, o->n_sandboxes, sizeof(*o->sandboxes), newer_sandbox);
	if (o->n_containers > 1)
		qsort(o->containers, o->n_containers, sizeof(*o->containers), newer_container);
}

bool observed_equal(const struct observed *a, const struct observed *b)
{
	if (a->n_sandboxes != b->n_sandboxes || a->n_containers != b->n_containers)
		return false;
	for (size_t i = 0; i < a->n_sandboxes; i++) {
		const struct cri_sandbox_status *x = &a->sandboxes[i], *y = &b->sandboxes[i];

		if (!str_eq(x->id, y->id) || x->ready != y->ready || x->ips.n != y->ips.n)
			return false;
	}
	for (size_t i = 0; i < a->n_containers; i++) {
		const struct cri_container_status *x = &a->containers[i], *y = &b->containers[i];

		if (!str_eq(x->id, y->id) || x->state != y->state ||
			x->started_ns != y->started_ns ||
			x->resources.cpu_shares != y->resources.cpu_shares ||
			x->resources.cpu_quota != y->resources.cpu_quota ||
			x->resources.memory_limit != y->resources.memory_limit)
			return false;
	}
	return true;
}

const struct cri_container_status *observed_find(const struct observed *o, struct str name)
{
	for (size_t i = 0; i < o->n_containers; i++)
		if (str_eq(o->containers[i].name, name))
			return &o->containers[i];
	return NULL;
}

const struct cri_container_status *observed_by_id(const struct observed *o, struct str id)
{
	for (size_t i = 0; i < o->n_containers; i++)
		if (str_eq(o->containers[i].id, id))
			return &o->containers[i];
	return NULL;
}

const struct cri_sandbox_status *observed_ready_sandbox(const struct observed *o)
{
	return o->n_sandboxes && o->sandboxes[0].ready ? &o->sandboxes[0] : NULL;
}

struct str cri_lookup(const struct cri_key_values *kv, struct str key)
{
	for (size_t i = 0; i < kv->n; i++)
		if (str_eq(kv->v[i].key, key))
			return kv->v[i].value;
	return (struct str){0};
}

int cri_restart_count(const struct cri_container_status *c)
{
	int64_t n;

	if (str_to_i64(cri_lookup(&c->annotations, S(ANNOTATION_RESTART_COUNT)), &n) == 0 && n >= 0)
		return (int)n;
	return (int)c->attempt;
}
