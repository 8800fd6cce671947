/*
 * metrics_api.c: metrics.k8s.io (what metrics-server serves): how much nodes and pods use. Nothing
 * is stored: a request asks the kubelets that it is about for their statistics, and makes objects
 * of them. A node that does not answer is left out, as metrics-server does.
 */
#include "apiserver/list.h"
#include "apiserver/subresource.h"
#include "base/map.h"
#include "http/client.h"
#include "json/value.h"
#include "schema/quantity.h"
#include "schema/time.h"

enum {
	IN_FLIGHT_MAX = 32,
	TIMEOUT_MS = 8000,
	SUMMARY_MAX = 16 << 20,
	WINDOW_DEFAULT_MS = 10000, /* a kubelet that does not tell looks every ten seconds */
};

struct target {
	struct query_run *run;
	struct str node, url;
	struct http_client *client; /* while it is being asked */
	struct json_value *summary; /* NULL: no answer */
};

struct query_run {
	struct request *r;
	struct list_options options;
	bool one; /* GET of a single object */
	struct {
		struct target *v;
		size_t n;
	} targets;
	size_t next, in_flight;
};

/* --- numbers --- */

static uint64_t number(const struct json_value *v, const char *key)
{
	const struct json_value *n = json_getc(v, key);
	uint64_t out = 0;

	if (n && n->kind == JSON_NUMBER)
		str_to_u64(n->text, &out);
	return out;
}

static void add_usage(struct arena *a, struct str_map *to, const char *name, struct quantity q)
{
	ARENA_PUSH(a, to, ((struct str_pair){str_c(name), quantity_text(&q, a)}));
}

/* cpu and memory of a summary's node or container; false when one is not known (yet). */
static bool usage_of(const struct json_value *v, struct arena *a, struct str_map *ret)
{
	const struct json_value *cpu = json_getc(v, "cpu"), *memory = json_getc(v, "memory");
	struct quantity cores = {
		.nano = number(cpu, "usageNanoCores"), .format = QUANTITY_DECIMAL_SI};

	if (!json_getc(cpu, "usageNanoCores") || !json_getc(memory, "workingSetBytes"))
		return false;
	*ret = (struct str_map){0};
	add_usage(a, ret, "cpu", cores);
	add_usage(a, ret, "memory",
		quantity_from_value(
			(int64_t)number(memory, "workingSetBytes"), QUANTITY_BINARY_SI));
	return true;
}

static void times_of(const struct json_value *v, struct request *r, struct k8s_time *ret_time,
	struct str *ret_window)
{
	const struct json_value *cpu = json_getc(v, "cpu");
	int64_t ms = (int64_t)(number(cpu, "windowNanoSeconds") / 1000000);

	if (k8s_time_parse(json_get_str(cpu, "time"), false, ret_time, NULL) < 0)
		*ret_time = time_from_ns(r->now_ns);
	ms = ms ? ms : WINDOW_DEFAULT_MS;
	*ret_window = ms % 1000 ? arena_fmt(r->arena, "%lld.%03llds", (long long)(ms / 1000),
					  (long long)(ms % 1000))
				: arena_fmt(r->arena, "%llds", (long long)(ms / 1000));
}

/* --- objects --- */

/* As if it had been stored just now. */
static const struct object *make_object(struct request *r, const void *typed)
{
	struct err err CLEANUP(err_release) = {0};
	struct object *draft, *o;

	if (object_draft(r->storage, typed, &draft, &err) < 0)
		return NULL;
	o = object_commit(draft, store_revision(r->s->store));
	object_unref(draft);
	object_ref_in(r->arena, o);
	object_unref(o);
	return o;
}

static void fill_meta(struct request *r, const struct object *of, struct meta_v1_object_meta *ret)
{
	ret->name = of->name;
	ret->namespace = of->ns;
	ret->labels = of->labels;
	ret->creation_timestamp = time_from_ns(r->now_ns);
}

static const struct object *node_metrics(struct request *r, const struct target *t)
{
	const struct json_value *node = json_getc(t->summary, "node");
	struct metrics_v1beta1_node_metrics *m =
		ARENA_NEW(r->arena, struct metrics_v1beta1_node_metrics);
	const struct object *of = store_get(r->s->store, &v1_node_resource, S(""), t->node);

	if (!of)
		return NULL;
	object_ref_in(r->arena, of);
	object_unref(of);
	if (!node || !usage_of(node, r->arena, &m->usage))
		return NULL;
	fill_meta(r, of, &m->metadata);
	times_of(node, r, &m->timestamp, &m->window);
	return make_object(r, m);
}

/* NULL when a container's usage is not known: half a pod would be a wrong sum. */
static const struct object *pod_metrics(struct request *r, const struct json_value *pod)
{
	const struct json_value *ref = json_getc(pod, "podRef"),
				*list = json_getc(pod, "containers");
	struct metrics_v1beta1_pod_metrics *m =
		ARENA_NEW(r->arena, struct metrics_v1beta1_pod_metrics);
	const struct object *of = store_get(r->s->store, &v1_pod_resource,
		json_get_str(ref, "namespace"), json_get_str(ref, "name"));

	if (!of)
		return NULL;
	object_ref_in(r->arena, of);
	object_unref(of);
	if (!list || !list->items.n || !str_eq(of->uid, json_get_str(ref, "uid")))
		return NULL;
	for (size_t i = 0; i < list->items.n; i++) {
		struct metrics_v1beta1_container_metrics c = {
			.name = json_get_str(list->items.v[i], "name")};

		if (!usage_of(list->items.v[i], r->arena, &c.usage))
			return NULL;
		ARENA_PUSH(r->arena, &m->containers, c);
	}
	fill_meta(r, of, &m->metadata);
	times_of(list->items.v[0], r, &m->timestamp, &m->window);
	return make_object(r, m);
}

/* --- the answer --- */

static void take(struct query_run *q, struct object_list *l, const struct object *o)
{
	if (!o || (q->one ? !str_eq(o->name, q->r->ctx.name) || !str_eq(o->ns, q->r->ctx.ns)
			  : !list_options_match(&q->options, o)))
		return;
	ARENA_PUSH(q->r->arena, l, o);
}

static int by_name(const void *pa, const void *pb)
{
	const struct object *const *a = pa, *const *b = pb;
	int c = str_cmp((*a)->ns, (*b)->ns);

	return c ? c : str_cmp((*a)->name, (*b)->name);
}

static void not_known(struct query_run *q)
{
	struct err err CLEANUP(err_release) = {0};
	struct request *r = q->r;

	if (r->storage->namespaced)
		err_not_found(&err, S("metrics.k8s.io"), S("podmetrics"),
			arena_fmt(r->arena, STR_FMT "/" STR_FMT, STR_ARG(r->ctx.ns),
				STR_ARG(r->ctx.name)));
	else
		err_not_found(&err, S("metrics.k8s.io"), S("nodemetrics"), r->ctx.name);
	respond_error(r, &err);
}

static void answer(struct query_run *q)
{
	struct request *r = q->r;
	struct object_list l = {.remaining = -1, .revision = store_revision(r->s->store)};

	for (size_t i = 0; i < q->targets.n; i++) {
		const struct target *t = &q->targets.v[i];
		const struct json_value *pods = json_getc(t->summary, "pods");

		if (!t->summary)
			continue;
		if (!r->storage->namespaced)
			take(q, &l, node_metrics(r, t));
		for (size_t p = 0; r->storage->namespaced && pods && p < pods->items.n; p++)
			take(q, &l, pod_metrics(r, pods->items.v[p]));
	}
	if (l.n)
		qsort(l.v, l.n, sizeof(*l.v), by_name);
	if (!q->one)
		list_respond(r, &l);
	else if (l.n)
		respond_object(r, 200, l.v[0]);
	else
		not_known(q);
}

/* --- asking the kubelets --- */

static void ask_more(struct query_run *q);

static void close_targets(struct query_run *q)
{
	for (size_t i = 0; i < q->targets.n; i++) {
		if (q->targets.v[i].client)
			http_client_free(q->targets.v[i].client);
		q->targets.v[i].client = NULL;
	}
}

static void gone(struct request *r)
{
	close_targets(r->state);
}

static void on_summary(void *user_data, const struct http_response *a, struct err *err)
{
	struct target *t = user_data;
	struct query_run *q = t->run;

	http_client_free(t->client);
	t->client = NULL;
	q->in_flight--;
	if (a && a->status == 200)
		json_parse(arena_str(q->r->arena, a->body), q->r->arena, &t->summary, NULL);
	else
		log_debug("metrics of node " STR_FMT ": %s", STR_ARG(t->node),
			err ? err_text(err) : "refused");
	ask_more(q);
}

static bool ask(struct target *t)
{
	struct http_client_opts opts = {
		.url = t->url, .connections_max = 1, .ssl_ctx = t->run->r->s->kubelet_ssl_ctx};
	struct http_request req = {.method = "GET",
		.path = S("/stats/summary?only_cpu_and_memory=true"),
		.timeout_ms = TIMEOUT_MS,
		.body_max = SUMMARY_MAX,
		.on_response = on_summary,
		.user_data = t};

	if (!opts.ssl_ctx || http_client_new(t->run->r->loop, &opts, &t->client, NULL) < 0)
		return false;
	http_client_do(t->client, &req);
	return true;
}

static void ask_more(struct query_run *q)
{
	while (q->in_flight < IN_FLIGHT_MAX && q->next < q->targets.n)
		q->in_flight += ask(&q->targets.v[q->next++]);
	if (!q->in_flight) {
		q->r->on_gone = NULL;
		answer(q);
	}
}

/* --- which kubelets --- */

static void add_target(struct query_run *q, struct map *seen, struct str node)
{
	struct target t = {.run = q, .node = arena_str(q->r->arena, node)};

	if (!node.n || map_set(seen, node, q))
		return;
	if (kubelet_url(q->r, t.node, &t.url, NULL) == 0)
		ARENA_PUSH(q->r->arena, &q->targets, t);
}

static void add_nodes(struct query_run *q, struct map *seen)
{
	struct snapshot *s = store_snapshot(q->r->s->store, &v1_node_resource);
	struct snapshot_iter it;
	const struct object *o;

	snapshot_iter_init(&it, s, S(""), S(""), S(""));
	while ((o = snapshot_next(&it)))
		if (q->one ? str_eq(o->name, q->r->ctx.name) : list_options_match(&q->options, o))
			add_target(q, seen, o->name);
	snapshot_unref(s);
}

static void add_nodes_of_pods(struct query_run *q, struct map *seen)
{
	struct snapshot *s = store_snapshot(q->r->s->store, &v1_pod_resource);
	struct snapshot_iter it;
	const struct object *o;

	snapshot_iter_init(&it, s, q->r->ctx.ns, S(""), S(""));
	while ((o = snapshot_next(&it)))
		if (q->one ? str_eq(o->name, q->r->ctx.name) : list_options_match(&q->options, o))
			add_target(q, seen, object_field(o, S("spec.nodeName")));
	snapshot_unref(s);
}

/* What is not in the cluster at all is not found under its own name. */
static int check_exists(struct request *r, struct err *err)
{
	const struct schema_resource *of =
		r->storage->namespaced ? &v1_pod_resource : &v1_node_resource;
	const struct object *o = store_get(r->s->store, of, r->ctx.ns, r->ctx.name);

	if (o) {
		object_unref(o);
		return 0;
	}
	return err_not_found(err, S(""), str_c(of->plural),
		r->storage->namespaced ? arena_fmt(r->arena, STR_FMT "/" STR_FMT,
						 STR_ARG(r->ctx.ns), STR_ARG(r->ctx.name))
				       : r->ctx.name);
}

void handle_metrics_api(struct request *r)
{
	struct query_run *q = ARENA_NEW(r->arena, struct query_run);
	struct err err CLEANUP(err_release) = {0};
	struct map seen = {0};

	q->r = r;
	q->one = str_eqc(r->info.verb, "get");
	if (negotiate_output(r, &err) < 0 || (q->one && check_exists(r, &err) < 0) ||
		(!q->one && list_options_read(r, false, &q->options, &err) < 0)) {
		respond_error(r, &err);
		return;
	}
	if (r->storage->namespaced)
		add_nodes_of_pods(q, &seen);
	else
		add_nodes(q, &seen);
	map_release(&seen);
	r->state = q;
	r->on_gone = gone;
	ask_more(q);
}
