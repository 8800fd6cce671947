/* check.c: the cluster at rest: every workload has its pods, every pod runs and has its workload.
 */
#include "sim.h"

#include <stdio.h>

struct check {
	struct world *w;
	struct arena arena;
	struct snapshot *pods;
	char *text;
	size_t size;
	bool failed;
};

static void not_yet(struct check *c, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void not_yet(struct check *c, const char *fmt, ...)
{
	va_list ap;

	if (c->failed)
		return;
	c->failed = true;
	va_start(ap, fmt);
	vsnprintf(c->text, c->size, fmt, ap);
	va_end(ap);
}

static void each(struct check *c, const struct schema_resource *res,
	void (*fn)(struct check *, const struct object *))
{
	struct snapshot *s = store_snapshot(c->w->store, res);
	struct snapshot_iter it;
	const struct object *o;

	snapshot_iter_init(&it, s, S(""), S(""), S(""));
	while ((o = snapshot_next(&it)))
		fn(c, o);
	snapshot_unref(s);
}

static bool is_there(struct check *c, const struct schema_resource *res, struct str uid)
{
	struct snapshot *s = store_snapshot(c->w->store, res);
	struct snapshot_iter it;
	const struct object *o;

	snapshot_iter_init(&it, s, S(""), S(""), S(""));
	while ((o = snapshot_next(&it)) && !str_eq(o->uid, uid))
		;
	snapshot_unref(s);
	return o;
}

static int pods_of(struct check *c, const struct object *owner)
{
	struct snapshot_iter it;
	const struct object *o;
	int n = 0;

	snapshot_iter_init(&it, c->pods, S(""), S(""), S(""));
	while ((o = snapshot_next(&it)))
		n += str_eq(o->controller_uid, owner->uid);
	return n;
}

static void check_counts(struct check *c, const struct object *o, int want, int total, int ready)
{
	if (total != want || ready != want)
		not_yet(c, "%s " STR_FMT " wants %d replicas and says %d, %d of them ready",
			o->resource->kind, STR_ARG(o->name), want, total, ready);
}

static void check_pods(struct check *c, const struct object *o, int want)
{
	int have = pods_of(c, o);

	if (have != want)
		not_yet(c, "%s " STR_FMT " wants %d pods, and there are %d", o->resource->kind,
			STR_ARG(o->name), want, have);
}

static void check_deployment(struct check *c, const struct object *o)
{
	const struct apps_v1_deployment *d = object_decode(o, &c->arena);

	check_counts(c, o, *d->spec.replicas, d->status.replicas, d->status.ready_replicas);
	if (d->status.updated_replicas != *d->spec.replicas ||
		d->status.observed_generation != d->metadata.generation)
		not_yet(c, "Deployment " STR_FMT ": %d of %d replicas are up to date",
			STR_ARG(o->name), d->status.updated_replicas, *d->spec.replicas);
}

static void check_replica_set(struct check *c, const struct object *o)
{
	const struct apps_v1_replica_set *rs = object_decode(o, &c->arena);

	check_counts(c, o, *rs->spec.replicas, rs->status.replicas, rs->status.ready_replicas);
	check_pods(c, o, *rs->spec.replicas);
	if (o->controller_uid.n && !is_there(c, &apps_v1_deployment_resource, o->controller_uid))
		not_yet(c, "ReplicaSet " STR_FMT " has outlived its Deployment", STR_ARG(o->name));
}

static void check_replication_controller(struct check *c, const struct object *o)
{
	const struct v1_replication_controller *rc = object_decode(o, &c->arena);

	check_counts(c, o, *rc->spec.replicas, rc->status.replicas, rc->status.ready_replicas);
	check_pods(c, o, *rc->spec.replicas);
}

static void check_pod(struct check *c, const struct object *o)
{
	if (str_empty(object_field(o, S("spec.nodeName"))))
		not_yet(c, "pod " STR_FMT " has no node", STR_ARG(o->name));
	else if (o->deletion_ms)
		not_yet(c, "pod " STR_FMT " is still being deleted", STR_ARG(o->name));
	else if (!str_eqc(object_field(o, S("status.phase")), "Running"))
		not_yet(c, "pod " STR_FMT " is " STR_FMT, STR_ARG(o->name),
			STR_ARG(object_field(o, S("status.phase"))));
	else if (o->controller_uid.n &&
		 !is_there(c, &apps_v1_replica_set_resource, o->controller_uid) &&
		 !is_there(c, &v1_replication_controller_resource, o->controller_uid))
		not_yet(c, "pod " STR_FMT " has outlived its owner", STR_ARG(o->name));
}

static int pods_labelled(struct check *c, struct str app)
{
	struct snapshot_iter it;
	const struct object *o;
	const struct str *label;
	int n = 0;

	snapshot_iter_init(&it, c->pods, S(""), S(""), S(""));
	while ((o = snapshot_next(&it))) {
		label = str_map_get(&o->labels, S("app"));
		n += label && str_eq(*label, app);
	}
	return n;
}

static int ready_endpoints(struct check *c, struct str service)
{
	struct snapshot *s = store_snapshot(c->w->store, &discovery_v1_endpoint_slice_resource);
	struct snapshot_iter it;
	const struct object *o;
	const struct str *of;
	int n = 0;

	snapshot_iter_init(&it, s, S("default"), S(""), S(""));
	while ((o = snapshot_next(&it))) {
		const struct discovery_v1_endpoint_slice *slice;

		of = str_map_get(&o->labels, S("kubernetes.io/service-name"));
		if (!of || !str_eq(*of, service))
			continue;
		slice = object_decode(object_ref_in(&c->arena, o), &c->arena);
		for (size_t i = 0; i < slice->endpoints.n; i++)
			n += slice->endpoints.v[i].conditions.ready &&
			     *slice->endpoints.v[i].conditions.ready;
	}
	snapshot_unref(s);
	return n;
}

/* A pod that runs is ready here, so each must be behind its service. */
static void check_service(struct check *c, const struct object *o)
{
	const struct v1_service *service = object_decode(o, &c->arena);
	int want, have;

	if (service->spec.selector.n == 0)
		return;
	want = pods_labelled(c, service->spec.selector.v[0].value);
	have = ready_endpoints(c, o->name);
	if (want != have)
		not_yet(c, "service " STR_FMT " leads to %d pods of %d", STR_ARG(o->name), have,
			want);
}

static void check_node(struct check *c, const struct object *o)
{
	const struct v1_node *node = object_decode(o, &c->arena);

	if (node->spec.taints.n)
		not_yet(c, "node " STR_FMT " has the taint " STR_FMT, STR_ARG(o->name),
			STR_ARG(node->spec.taints.v[0].key));
}

const char *check_rest(struct world *w, char *text, size_t size)
{
	struct check c = {.w = w, .text = text, .size = size};

	c.pods = store_snapshot(w->store, &v1_pod_resource);
	each(&c, &v1_node_resource, check_node);
	each(&c, &v1_pod_resource, check_pod);
	each(&c, &apps_v1_deployment_resource, check_deployment);
	each(&c, &apps_v1_replica_set_resource, check_replica_set);
	each(&c, &v1_replication_controller_resource, check_replication_controller);
	each(&c, &v1_service_resource, check_service);
	snapshot_unref(c.pods);
	arena_release(&c.arena);
	return c.failed ? text : NULL;
}
