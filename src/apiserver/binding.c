/* binding.c: a scheduler's decision: POST pods/binding, or of a Binding. */
#include "apiserver/options.h"
#include "apiserver/subresource.h"
#include "apiserver/write.h"

static const struct body_type binding_body = {
	.group = {"", 0},
	.version = {"v1", 2},
	.kind = {"Binding", 7},
	.type = &v1_binding_schema,
};

static int refuse(struct write *w, struct str why, struct err *err)
{
	return err_conflict(err, S(""), S("pods/binding"), w->name, why.p);
}

static int check_pod(struct write *w, const struct v1_pod *pod, struct err *err)
{
	struct arena *a = w->r->arena;
	struct str name = pod->metadata.name;

	if (pod->metadata.deletion_timestamp.set)
		return refuse(w,
			arena_fmt(a,
				"pod " STR_FMT " is being deleted, cannot be assigned to a host",
				STR_ARG(name)),
			err);
	if (pod->spec.node_name.n)
		return refuse(w,
			arena_fmt(a, "pod " STR_FMT " is already assigned to node \"" STR_FMT "\"",
				STR_ARG(name), STR_ARG(pod->spec.node_name)),
			err);
	if (pod->spec.scheduling_gates.n)
		return refuse(w,
			arena_fmt(a, "pod " STR_FMT " has non-empty .spec.schedulingGates",
				STR_ARG(name)),
			err);
	return 0;
}

static void set_scheduled(struct write *w, struct v1_pod *pod)
{
	struct v1_pod_condition_vec *v = &pod->status.conditions;
	struct v1_pod_condition c = {
		.type = S("PodScheduled"),
		.status = S("True"),
		.last_transition_time = time_from_ns(w->r->now_ns),
		.observed_generation = 0,
	};

	for (size_t i = 0; i < v->n; i++) {
		if (!str_eq(v->v[i].type, c.type))
			continue;
		if (str_eqc(v->v[i].status, "True"))
			c.last_transition_time = v->v[i].last_transition_time;
		v->v[i] = c;
		return;
	}
	ARENA_PUSH(w->r->arena, v, c);
}

/* Keys are kept sorted: the annotations of a Binding win over the pod's. */
static void merge(struct arena *a, struct str_map *to, const struct str_map *from)
{
	struct str_map all = {0};
	size_t i = 0, k = 0;

	while (i < to->n || k < from->n) {
		int order = i == to->n     ? 1
			    : k == from->n ? -1
					   : str_cmp(to->v[i].key, from->v[k].key);
		const struct str_pair *next = order < 0 ? &to->v[i] : &from->v[k];

		i += order <= 0;
		k += order >= 0;
		ARENA_PUSH(a, &all, *next);
	}
	*to = all;
}

static int make(struct write *w, const void *old, void **ret, struct err *err)
{
	const struct v1_binding *b = w->user_data;
	struct v1_pod *pod = schema_copy(&v1_pod_schema, old, w->r->arena);
	int e = check_pod(w, pod, err);

	if (e < 0)
		return e;
	pod->spec.node_name = b->target.name;
	merge(w->r->arena, &pod->metadata.annotations, &b->metadata.annotations);
	merge(w->r->arena, &pod->metadata.labels, &b->metadata.labels);
	pod->status.nominated_node_name = S("");
	set_scheduled(w, pod);
	*ret = pod;
	return 0;
}

static void answer(struct write *w, int code, const struct object *o, void *typed)
{
	respond_json(w->r, 201,
		S("{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":"
		  "\"Success\",\"code\":201}"));
}

/* Upstream hands these errors over as they are, so they come as a 500 without a reason. */
static int validate(struct request *r, const struct v1_binding *b, struct err *err)
{
	static const char *const kinds[] = {"Node", "<empty>", NULL};
	struct field_errors errs = {.arena = r->arena};
	struct field_path target = FIELD(NULL, "target"), kind = FIELD(&target, "kind");
	struct field_path name = FIELD(&target, "name");
	struct str text = S("");

	if (b->target.kind.n && !str_eqc(b->target.kind, "Node"))
		field_not_supported(&errs, &kind, b->target.kind, kinds);
	if (!b->target.name.n)
		field_required(&errs, &name, "%s", "");
	if (!errs.n)
		return 0;
	for (size_t i = 0; i < errs.n; i++)
		text = arena_fmt(r->arena, STR_FMT "%s" STR_FMT, STR_ARG(text), i ? ", " : "",
			STR_ARG(field_error_text(r->arena, &errs.v[i])));
	return err_fmt(err, 500, "", errs.n > 1 ? "[" STR_FMT "]" : STR_FMT, STR_ARG(text));
}

static int read_binding(
	struct request *r, struct write_options *opts, struct v1_binding **ret, struct err *err)
{
	void *typed;
	int e = negotiate_output(r, err);

	if (e >= 0)
		e = write_options_read(r, "CreateOptions", opts, err);
	if (e >= 0)
		e = decode_body(r, &binding_body, opts->validation, &typed, err);
	if (e < 0)
		return e;
	*ret = typed;
	if (r->ctx.name.n && !str_eq((*ret)->metadata.name, r->ctx.name))
		return err_bad_request(err, "name in URL does not match name in Binding object");
	r->ctx.name = (*ret)->metadata.name;
	return 0;
}

static void bind(struct request *r, struct admission_attrs *attrs, void *user_data, struct err *why)
{
	struct err err CLEANUP(err_release) = {0};
	struct v1_binding *b = attrs->obj;
	struct write *w;

	if (why) {
		respond_error(r, why);
		return;
	}
	if (validate(r, b, &err) < 0 || check_key_name(r->ctx.name, &err) < 0) {
		respond_error(r, &err);
		return;
	}
	w = write_new(r);
	w->plain = true;
	w->uid = b->metadata.uid;
	w->version = b->metadata.resource_version;
	w->dry_run = r->ctx.dry_run;
	w->make = make;
	w->answer = answer;
	w->user_data = b;
	write_update(w);
}

void handle_binding(struct request *r)
{
	struct err err CLEANUP(err_release) = {0};
	struct write_options opts;
	struct v1_binding *b;

	if (read_binding(r, &opts, &b, &err) < 0) {
		respond_error(r, &err);
		return;
	}
	r->ctx.dry_run = opts.dry_run;
	r->storage = r->res = r->ctx.resource = &v1_pod_resource;
	r->strategy = strategy_find(r->storage);
	r->info.resource = S("pods");
	r->ctx.subresource = S("binding");
	subresource_admission(r, ADMIT_CREATE, &binding_body, b, NULL, bind, NULL);
}
