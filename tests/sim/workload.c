/*
 * workload.c: the user. Each workload has one request under way at most, so what it must be is
 * known from what was acknowledged: a request that was answered with success has happened, one that
 * was refused (4xx) has not, and one that was not answered, or answered with a server's error, may
 * have.
 */
#include "sim.h"

#include <stdio.h>

enum { PER_KIND = 3, REPLICAS_MAX = 6 };

static const struct schema_resource *const kinds[] = {
	&apps_v1_deployment_resource,
	&apps_v1_replica_set_resource,
	&v1_replication_controller_resource,
};

struct workload {
	struct workloads *list;
	const struct schema_resource *resource;
	char name[16];
	bool busy;
	/* what was acknowledged */
	bool exists;
	int replicas, version;
	bool in_doubt; /* a later request may have happened, or not */
	/* the request under way */
	enum { CREATE, SCALE, ROLL, DELETE } op;
	int new_replicas, new_version;
};

struct workloads {
	struct world *w;
	struct workload v[ARRAY_SIZE(kinds) * PER_KIND];
	size_t n;
};

struct workloads *workloads_new(struct world *w)
{
	struct workloads *l = xcalloc(1, sizeof(*l));

	l->w = w;
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++)
		for (int i = 0; i < PER_KIND; i++) {
			struct workload *x = &l->v[l->n++];

			x->list = l;
			x->resource = kinds[k];
			snprintf(x->name, sizeof(x->name), "%.2s%d", kinds[k]->plural, i);
		}
	return l;
}

void workloads_free(struct workloads *l)
{
	free(l);
}

/* --- requests --- */

static void acknowledge(struct workload *x)
{
	switch (x->op) {
	case CREATE:
		x->exists = true;
		x->replicas = x->new_replicas;
		x->version = x->new_version;
		break;
	case SCALE:
		x->replicas = x->new_replicas;
		break;
	case ROLL:
		x->version = x->new_version;
		break;
	case DELETE:
		x->exists = false;
		break;
	}
	if (x->op == CREATE || x->op == DELETE)
		x->in_doubt = false; /* whatever it was before */
}

static void on_done(struct client_call *call)
{
	static const char *const ops[] = {"create", "scale", "roll", "delete"};
	struct workload *x = call->user_data;

	x->busy = false;
	world_note(x->list->w, "user: %s %s %s: %d %s", ops[x->op], x->resource->kind, x->name,
		call->status, err_text(&call->err));
	if (call->result == 0)
		acknowledge(x);
	else if (call->status == 0 || call->status >= 500)
		x->in_doubt = true;
	else if (call->result == -EEXIST && x->in_doubt)
		x->exists = true; /* the one in doubt had happened; how it was scaled since stays in
				     doubt */
	else if (call->result == -ENOENT && x->in_doubt)
		x->exists = false;
}

static struct client_call *new_call(struct workload *x, const char *verb)
{
	struct client_call *call = client_call_new(x->list->w->user);

	call->verb = verb;
	call->resource = x->resource;
	call->ns = S("default");
	call->name = str_c(x->name);
	call->done = on_done;
	call->user_data = x;
	x->busy = true;
	return call;
}

static void send(
	struct workload *x, struct client_call *call, const char *content_type, struct str body)
{
	call->content_type = content_type;
	call->body = body;
	client_do(x->list->w->user, call);
}

static void create(struct workload *x)
{
	struct client_call *call = new_call(x, "create");
	const struct schema_resource *r = x->resource;
	bool old = r == &v1_replication_controller_resource; /* its selector is a plain map */
	struct str labels = arena_fmt(&call->arena, "{\"app\":\"%s\"}", x->name);

	x->op = CREATE;
	x->new_replicas = (int)world_random(x->list->w, REPLICAS_MAX + 1);
	x->new_version = 1;
	send(x, call, NULL,
		arena_fmt(&call->arena,
			"{\"apiVersion\":\"%s%s%s\",\"kind\":\"%s\",\"metadata\":{\"name\":\"%s\"},"
			"\"spec\":{\"replicas\":%d,\"selector\":%s%s%s,\"template\":{\"metadata\":{"
			"\"labels\":%s},"
			"\"spec\":{\"terminationGracePeriodSeconds\":5,\"containers\":[{\"name\":"
			"\"c\","
			"\"image\":\"app:1\",\"resources\":{\"requests\":{\"cpu\":\"100m\"}}}]}}}}",
			r->group, *r->group ? "/" : "", r->version, r->kind, x->name,
			x->new_replicas, old ? "" : "{\"matchLabels\":", labels.p, old ? "" : "}",
			labels.p));
}

static void scale(struct workload *x)
{
	struct client_call *call = new_call(x, "patch");

	x->op = SCALE;
	x->new_replicas = (int)world_random(x->list->w, REPLICAS_MAX + 1);
	send(x, call, "application/merge-patch+json",
		arena_fmt(&call->arena, "{\"spec\":{\"replicas\":%d}}", x->new_replicas));
}

static void roll(struct workload *x)
{
	struct client_call *call = new_call(x, "patch");

	x->op = ROLL;
	x->new_version = x->version + 1;
	send(x, call, "application/strategic-merge-patch+json",
		arena_fmt(&call->arena,
			"{\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"c\","
			"\"image\":\"app:%d\"}]}}}}",
			x->new_version));
}

static void service_done(struct client_call *call)
{
	struct workload *x = call->user_data;

	x->busy = false;
	if (call->result < 0 && call->result != -EEXIST)
		world_fail(x->list->w, "service %s: %s", x->name, err_text(&call->err));
}

void workloads_begin(struct workloads *l)
{
	for (size_t i = 0; i < l->n; i++) {
		struct workload *x = &l->v[i];
		struct client_call *call = new_call(x, "create");

		call->resource = &v1_service_resource;
		call->done = service_done;
		send(x, call, NULL,
			arena_fmt(&call->arena,
				"{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{"
				"\"name\":\"%s\"},"
				"\"spec\":{\"selector\":{\"app\":\"%s\"},\"ports\":[{\"port\":80}]}"
				"}",
				x->name, x->name));
	}
	world_run(l->w, 1000);
}

static void delete_it(struct workload *x)
{
	struct client_call *call = new_call(x, "delete");

	x->op = DELETE;
	send(x, call, NULL, S("{\"propagationPolicy\":\"Background\"}"));
}

static void pod_deleted(struct client_call *call)
{
}

/* Some pod, whatever it belongs to. */
static void delete_pod(struct workloads *l)
{
	struct snapshot *s = store_snapshot(l->w->store, &v1_pod_resource);
	size_t n = snapshot_count(s) ? world_random(l->w, snapshot_count(s)) + 1 : 0;
	struct snapshot_iter it;
	const struct object *o = NULL;

	snapshot_iter_init(&it, s, S(""), S(""), S(""));
	while (n-- > 0)
		o = snapshot_next(&it);
	if (o) {
		struct client_call *call = client_call_new(l->w->user);

		call->verb = "delete";
		call->resource = &v1_pod_resource;
		call->ns = o->ns;
		call->name = o->name;
		call->done = pod_deleted;
		world_note(l->w, "user: delete pod " STR_FMT, STR_ARG(o->name));
		client_do(l->w->user, call);
	}
	snapshot_unref(s);
}

void workloads_act(struct workloads *l)
{
	struct workload *x = &l->v[world_random(l->w, l->n)];
	uint64_t dice = world_random(l->w, 10);

	if (dice == 0)
		delete_pod(l);
	else if (x->busy)
		return;
	else if (!x->exists)
		create(x);
	else if (dice < 5)
		scale(x);
	else if (dice < 8 && x->resource == &apps_v1_deployment_resource)
		roll(x);
	else
		delete_it(x);
}

void workloads_crash(struct workloads *l)
{
	for (size_t i = 0; i < l->n; i++) {
		l->v[i].in_doubt |= l->v[i].busy;
		l->v[i].busy = false;
	}
}

/* --- was it kept? --- */

static int replicas_of(const struct object *o, struct arena *a)
{
	const void *v = object_decode(o, a);

	if (o->resource == &apps_v1_deployment_resource)
		return *((const struct apps_v1_deployment *)v)->spec.replicas;
	if (o->resource == &apps_v1_replica_set_resource)
		return *((const struct apps_v1_replica_set *)v)->spec.replicas;
	return *((const struct v1_replication_controller *)v)->spec.replicas;
}

void workloads_check(struct workloads *l)
{
	for (size_t i = 0; i < l->n; i++) {
		struct workload *x = &l->v[i];
		struct arena a CLEANUP(arena_release) = {0};
		const struct object *o =
			store_get(l->w->store, x->resource, S("default"), str_c(x->name));
		int replicas;

		if (o) {
			object_ref_in(&a, o);
			object_unref(o);
		}
		if (x->in_doubt || x->busy)
			continue;
		if (!o != !x->exists) {
			world_fail(l->w, "%s %s %s, which is not what was acknowledged",
				x->resource->kind, x->name, o ? "is there" : "is not there");
			continue;
		}
		replicas = o ? replicas_of(o, &a) : x->replicas;
		if (o && replicas != x->replicas)
			world_fail(l->w, "%s %s has %d replicas, %d were acknowledged",
				x->resource->kind, x->name, replicas, x->replicas);
	}
}
