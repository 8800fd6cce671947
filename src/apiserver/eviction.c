/* eviction.c: POST pods/eviction: a deletion that asks the pod's disruption budget first. */
#include "api/selector.h"
#include "apiserver/delete.h"
#include "apiserver/subresource.h"
#include "apiserver/write.h"

static const struct body_type eviction_body = {
	.group = {"policy", 6},
	.version = {"v1", 2},
	.kind = {"Eviction", 8},
	.type = &policy_v1_eviction_schema,
};

enum { DISRUPTED_MAX = 2000 }; /* pods that a budget may list as on their way out */

struct eviction {
	struct request *r;
	struct policy_v1_eviction *body;
	struct delete_options o;
	const struct object *pod, *budget; /* references in the request's arena */
};

static int too_many(const struct object *budget, struct err *err, struct arena *a, struct str why)
{
	err_fmt(err, 429, "TooManyRequests",
		"Cannot evict pod as it would violate the pod's disruption budget.");
	err_add_cause(err, "DisruptionBudget", S(""), STR_FMT, STR_ARG(why));
	return -EAGAIN;
}

/* --- the budget --- */

static bool covers(struct eviction *e, const struct object *o)
{
	struct arena *a = e->r->arena;
	const struct policy_v1_pod_disruption_budget *b = object_decode(o, a);
	struct label_selector selector;

	if (label_selector_from(b->spec.selector, a, &selector, NULL) < 0)
		return false;
	return label_selector_matches(&selector, &e->pod->labels);
}

static int find_budget(struct eviction *e, struct err *err)
{
	struct request *r = e->r;
	struct snapshot *s = store_snapshot(r->s->store, &policy_v1_pod_disruption_budget_resource);
	struct snapshot_iter it;
	const struct object *o;
	int n = 0;

	snapshot_iter_init(&it, s, r->ctx.ns, S(""), S(""));
	while ((o = snapshot_next(&it))) {
		if (!covers(e, o))
			continue;
		n++;
		e->budget = object_ref_in(r->arena, o);
	}
	snapshot_unref(s);
	if (n <= 1)
		return 0;
	return err_fmt(err, 500, "",
		"This pod has more than one PodDisruptionBudget, which the eviction subresource "
		"does not support.");
}

static int check_budget(
	struct eviction *e, const struct policy_v1_pod_disruption_budget *b, struct err *err)
{
	struct arena *a = e->r->arena;

	if (b->status.observed_generation < b->metadata.generation) {
		too_many(e->budget, err, a,
			arena_fmt(a,
				"The disruption budget " STR_FMT
				" is still being processed by the server.",
				STR_ARG(b->metadata.name)));
		err->retry_after_s = 10;
		return -EAGAIN;
	}
	if (b->status.disruptions_allowed < 0)
		return err_forbidden(err, S("policy"), S("poddisruptionbudget"), b->metadata.name,
			"pdb disruptions allowed is negative");
	if (b->status.disrupted_pods.n > DISRUPTED_MAX)
		return err_forbidden(err, S("policy"), S("poddisruptionbudget"), b->metadata.name,
			"DisruptedPods map too big - too many evictions not confirmed by PDB "
			"controller");
	if (b->status.disruptions_allowed == 0)
		return too_many(e->budget, err, a,
			arena_fmt(a,
				"The disruption budget " STR_FMT
				" needs %d healthy pods and has %d "
				"currently",
				STR_ARG(b->metadata.name), b->status.desired_healthy,
				b->status.current_healthy));
	return 0;
}

/* --- the deletion --- */

static void deleted(
	struct deletion *d, bool gone, const struct object *o, void *typed, struct err *err)
{
	if (err)
		respond_error(d->r, err);
	else
		respond_json(d->r, 201,
			S("{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},"
			  "\"status\":\"Success\",\"code\":201}"));
}

static void delete_pod(struct eviction *e)
{
	struct deletion *d = ARENA_NEW(e->r->arena, struct deletion);

	*d = (struct deletion){
		.r = e->r, .o = e->o, .ns = e->r->ctx.ns, .name = e->r->ctx.name, .done = deleted};
	deletion_start(d);
}

/* The budget is debited before the pod goes, so that two evictions cannot share one allowance. */
static int debit(struct write *w, const void *old, void **ret, struct err *err)
{
	struct eviction *e = w->user_data;
	struct policy_v1_pod_disruption_budget *b =
		schema_copy(&policy_v1_pod_disruption_budget_schema, old, w->r->arena);
	struct k8s_time_pair entry = {e->r->ctx.name, time_from_ns(w->r->now_ns)};
	int r = check_budget(e, b, err);

	if (r < 0)
		return r;
	b->status.disruptions_allowed--;
	ARENA_PUSH(w->r->arena, &b->status.disrupted_pods, entry);
	*ret = b;
	return 0;
}

static void debited(struct write *w, int code, const struct object *o, void *typed)
{
	struct eviction *e = w->user_data;

	e->r->storage = &v1_pod_resource;
	e->r->strategy = strategy_find(&v1_pod_resource);
	delete_pod(e);
}

static void start_debit(struct eviction *e)
{
	struct write *w = write_new(e->r);

	e->r->storage = &policy_v1_pod_disruption_budget_resource;
	e->r->strategy = strategy_find(e->r->storage);
	w->name = e->budget->name;
	w->dry_run = e->o.dry_run;
	w->plain = true;
	w->make = debit;
	w->answer = debited;
	w->user_data = e;
	write_update(w);
}

/* --- the request --- */

static int read_eviction(struct eviction *e, struct err *err)
{
	struct request *r = e->r;
	struct write_options opts;
	struct meta_v1_delete_options *d;
	void *typed;
	int x = negotiate_output(r, err);

	if (x >= 0)
		x = write_options_read(r, "CreateOptions", &opts, err);
	if (x >= 0)
		x = decode_body(r, &eviction_body, opts.validation, &typed, err);
	if (x < 0)
		return x;
	e->body = typed;
	if (!str_eq(e->body->metadata.name, r->ctx.name))
		return err_bad_request(err, "name in URL does not match name in Eviction object");
	d = e->body->delete_options;
	e->o = (struct delete_options){.grace_s = -1, .dry_run = opts.dry_run};
	if (d) {
		e->o.dry_run = e->o.dry_run || d->dry_run.n;
		e->o.propagation = d->propagation_policy;
		if (d->grace_period_seconds)
			e->o.grace_s = MAX(*d->grace_period_seconds, 0);
		if (d->preconditions) {
			e->o.uid = d->preconditions->uid;
			e->o.resource_version = d->preconditions->resource_version;
		}
	}
	return 0;
}

static bool needs_no_budget(const struct object *pod)
{
	struct str phase = object_field(pod, S("status.phase"));

	return pod->deletion_ms || str_eqc(phase, "Succeeded") || str_eqc(phase, "Failed") ||
	       str_eqc(phase, "Pending");
}

static void evict(
	struct request *r, struct admission_attrs *attrs, void *user_data, struct err *why)
{
	struct err err CLEANUP(err_release) = {0};
	struct eviction *e = user_data;

	if (why)
		respond_error(r, why);
	else if (!needs_no_budget(e->pod) && find_budget(e, &err) < 0)
		respond_error(r, &err);
	else if (e->budget)
		start_debit(e);
	else
		delete_pod(e);
}

void handle_eviction(struct request *r)
{
	struct err err CLEANUP(err_release) = {0};
	struct eviction *e = ARENA_NEW(r->arena, struct eviction);
	const struct object *pod;

	e->r = r;
	if (read_eviction(e, &err) < 0) {
		respond_error(r, &err);
		return;
	}
	pod = store_get(r->s->store, &v1_pod_resource, r->ctx.ns, r->ctx.name);
	if (!pod) {
		err_not_found(&err, S(""), S("pods"), r->ctx.name);
		respond_error(r, &err);
		return;
	}
	e->pod = object_ref_in(r->arena, pod);
	object_unref(pod);
	r->ctx.dry_run = e->o.dry_run;
	subresource_admission(r, ADMIT_CREATE, &eviction_body, e->body, NULL, evict, e);
}
