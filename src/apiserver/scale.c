/* scale.c: autoscaling/v1 Scale, the replicas of a workload seen alone. */
#include "api/patch.h"
#include "api/selector.h"
#include "apiserver/apply.h"
#include "apiserver/managed_fields.h"
#include "apiserver/meta.h"
#include "apiserver/options.h"
#include "apiserver/patch_check.h"
#include "apiserver/render.h"
#include "apiserver/subresource.h"
#include "apiserver/write.h"
#include "json/write.h"

/* Where a workload keeps what a Scale shows. */
struct scaled {
	int32_t **replicas;
	int32_t status;
	const struct meta_v1_label_selector *selector;
	const struct str_map *map; /* a ReplicationController's selector */
};

static bool scaled_of(const struct schema_resource *res, void *typed, struct scaled *ret)
{
	*ret = (struct scaled){0};
	if (res == &apps_v1_deployment_resource) {
		struct apps_v1_deployment *d = typed;

		*ret = (struct scaled){
			&d->spec.replicas, d->status.replicas, d->spec.selector, NULL};
	} else if (res == &apps_v1_replica_set_resource) {
		struct apps_v1_replica_set *s = typed;

		*ret = (struct scaled){
			&s->spec.replicas, s->status.replicas, s->spec.selector, NULL};
	} else if (res == &apps_v1_stateful_set_resource) {
		struct apps_v1_stateful_set *s = typed;

		*ret = (struct scaled){
			&s->spec.replicas, s->status.replicas, s->spec.selector, NULL};
	} else if (res == &v1_replication_controller_resource) {
		struct v1_replication_controller *c = typed;

		*ret = (struct scaled){
			&c->spec.replicas, c->status.replicas, NULL, &c->spec.selector};
	}
	return ret->replicas;
}

static struct str selector_text(const struct scaled *s, struct arena *a)
{
	struct label_selector selector;

	if (s->map)
		selector = label_selector_from_map(s->map, a);
	else if (label_selector_from(s->selector, a, &selector, NULL) < 0)
		return S("");
	return label_selector_text(&selector, a);
}

static struct autoscaling_v1_scale *scale_from(struct request *r, const void *typed)
{
	struct autoscaling_v1_scale *scale = ARENA_NEW(r->arena, struct autoscaling_v1_scale);
	const struct meta_v1_object_meta *m = meta_of_const(r->storage, typed);
	struct scaled s;

	if (!scaled_of(r->storage, (void *)typed, &s))
		return NULL;
	scale->kind = S("Scale");
	scale->api_version = S("autoscaling/v1");
	scale->metadata.name = m->name;
	scale->metadata.namespace = m->namespace;
	scale->metadata.uid = m->uid;
	scale->metadata.resource_version = m->resource_version;
	scale->metadata.creation_timestamp = m->creation_timestamp;
	scale->spec.replicas = *s.replicas ? **s.replicas : 0;
	scale->status.replicas = s.status;
	scale->status.selector = selector_text(&s, r->arena);
	return scale;
}

static const struct schema_column columns[] = {
	{.name = "Name",
		.type = "string",
		.format = "",
		.description = "Name must be unique within a namespace."},
	{.name = "Desired",
		.type = "integer",
		.format = "",
		.description = "number of desired instances for the scaled object."},
	{.name = "Available",
		.type = "integer",
		.format = "",
		.description = "actual number of observed instances of the scaled object."},
	{.name = "Age",
		.type = "string",
		.format = "",
		.description = "CreationTimestamp is the time when this object was created."},
};

static void scale_row(struct arena *a, const void *typed, int64_t now_ns, struct buf *cells)
{
	const struct autoscaling_v1_scale *s = typed;

	json_write_string(cells, s->metadata.name);
	buf_fmt(cells, ",%d,%d,", s->spec.replicas, s->status.replicas);
	table_age(cells, &s->metadata.creation_timestamp, now_ns);
}

/* What a Scale is to the code that shows objects in other forms. */
static const struct schema_resource scale_resource = {
	.group = "autoscaling",
	.version = "v1",
	.kind = "Scale",
	.type = &autoscaling_v1_scale_schema,
	.storage_resource = &scale_resource,
	.columns = columns,
	.n_columns = ARRAY_SIZE(columns),
};
static const struct strategy scale_strategy = {.resource = &scale_resource, .table_row = scale_row};

static void respond_scale(struct request *r, const void *typed)
{
	struct autoscaling_v1_scale *scale = scale_from(r, typed);

	r->res = r->storage = &scale_resource;
	r->strategy = &scale_strategy;
	respond_typed(r, 200, scale);
}

static void answer(struct write *w, int code, const struct object *o, void *typed)
{
	respond_scale(w->r, o ? object_decode(o, w->r->arena) : typed);
}

/* --- changes --- */

struct scale_change {
	struct autoscaling_v1_scale *put; /* NULL: a patch */
	bool apply, force;                /* of server-side apply */
	struct apply_body body;
	enum patch_type how;
	enum field_validation validation;
};

static const struct body_type scale_body = {
	.group = {"autoscaling", 11},
	.version = {"v1", 2},
	.kind = {"Scale", 5},
	.type = &autoscaling_v1_scale_schema,
};

static int validate(struct write *w, const struct autoscaling_v1_scale *scale, struct err *err)
{
	struct field_errors errs = {.arena = w->r->arena};
	struct field_path spec = FIELD(NULL, "spec"), path = FIELD(&spec, "replicas");

	if (scale->spec.replicas < 0)
		field_invalid_int(
			&errs, &path, scale->spec.replicas, "must be greater than or equal to 0");
	return field_errors_status(&errs, S("autoscaling"), S("Scale"), scale->metadata.name, err);
}

static int refuse_patch(struct write *w, struct str shown, struct str why, struct err *err)
{
	struct field_errors errs = {.arena = w->r->arena};
	struct field_path path = FIELD(NULL, "patch");

	field_invalid(&errs, &path, shown, STR_FMT, STR_ARG(why));
	return field_errors_status(&errs, S(""), S(""), S(""), err);
}

static int patch(
	struct write *w, const void *old, struct autoscaling_v1_scale **ret, struct err *err)
{
	struct request *r = w->r;
	const struct scale_change *c = w->user_data;
	struct err why CLEANUP(err_release) = {0};
	struct str_vec unknown = {0};
	struct str patched;
	struct buf b;
	void *typed;
	int e;

	buf_init(&b, OBJECT_JSON_MAX);
	schema_encode_json(&autoscaling_v1_scale_schema, scale_from(r, old), &b);
	e = c->validation == FIELDS_IGNORE ? 0
					   : patch_check(c->how, r->body, r->arena, &unknown, err);
	if (e >= 0)
		e = patch_apply(c->how, &autoscaling_v1_scale_schema,
			arena_str(r->arena, buf_str(&b)), r->body, r->arena, &patched, err);
	buf_release(&b);
	if (e < 0)
		return e;
	if (decode_json_as(r, &scale_body, patched, c->validation, &unknown, &typed, &why) < 0)
		return refuse_patch(w,
			c->how == PATCH_STRATEGIC ? patch_go_text(r->arena, r->body) : patched,
			why.message, err);
	if (unknown.n && c->validation == FIELDS_STRICT)
		return refuse_patch(w, patched, strict_error_text(r->arena, &unknown), err);
	for (size_t i = 0; i < unknown.n; i++)
		request_warn(r, STR_FMT, STR_ARG(unknown.v[i]));
	*ret = typed;
	return 0;
}

static int check_scale_name(
	struct request *r, const struct autoscaling_v1_scale *s, struct err *err)
{
	if (!s->metadata.name.n)
		return err_bad_request(err,
			"the name of the object (" STR_FMT
			" based on URL) was undeterminable: name must be provided",
			STR_ARG(r->ctx.name));
	if (!str_eq(s->metadata.name, r->ctx.name))
		return err_bad_request(err,
			"the name of the object (" STR_FMT
			") does not match the name on the URL (" STR_FMT ")",
			STR_ARG(s->metadata.name), STR_ARG(r->ctx.name));
	return 0;
}

/* The Scale as it shall be, and in meta who manages it. */
static int change_scale(struct write *w, const void *old, struct meta_v1_object_meta *meta,
	struct autoscaling_v1_scale **ret, struct err *err)
{
	struct request *r = w->r;
	struct scale_change *c = w->user_data;
	int e = 0;

	*ret = c->put;
	if (c->apply)
		e = apply_body_parse(r, c->validation, &c->body, err);
	else if (!c->put)
		e = patch(w, old, ret, err);
	if (e >= 0)
		e = managed_fields_scale(
			r, scale_from(r, old), c->body.config, c->force, ret, meta, err);
	if (e >= 0 && c->apply)
		e = apply_body_check(r, &c->body, err);
	return e;
}

static int make(struct write *w, const void *old, void **ret, struct err *err)
{
	struct request *r = w->r;
	struct meta_v1_object_meta meta = *meta_of_const(r->storage, old);
	struct autoscaling_v1_scale *scale;
	struct scaled s;
	int e = change_scale(w, old, &meta, &scale, err);

	if (e >= 0)
		e = check_scale_name(r, scale, err);
	if (e >= 0)
		e = validate(w, scale, err);
	if (e < 0)
		return e;
	*ret = schema_copy(r->storage->type, old, r->arena);
	scaled_of(r->storage, *ret, &s);
	*s.replicas = ARENA_NEW(r->arena, int32_t);
	**s.replicas = scale->spec.replicas;
	meta_of(r->storage, *ret)->resource_version = scale->metadata.resource_version;
	meta_of(r->storage, *ret)->managed_fields = meta.managed_fields;
	return 0;
}

static enum patch_type patch_type_of(struct str content_type)
{
	if (str_starts(content_type, S("application/json-patch+json")))
		return PATCH_JSON;
	return str_starts(content_type, S("application/merge-patch+json")) ? PATCH_MERGE
									   : PATCH_STRATEGIC;
}

static int read_change(
	struct request *r, struct scale_change *c, struct write_options *opts, struct err *err)
{
	bool put = str_eqc(r->info.verb, "update");
	void *typed;
	int e = write_options_read(r, put ? "UpdateOptions" : "PatchOptions", opts, err);

	if (e < 0)
		return e;
	c->how = patch_type_of(r->content_type);
	c->apply = !put && is_apply_patch(r);
	c->force = c->apply && query_bool(&r->query, "force");
	c->validation = opts->validation;
	if (!put)
		return 0;
	e = decode_body(r, &scale_body, opts->validation, &typed, err);
	if (e < 0)
		return e;
	c->put = typed;
	e = meta_ensure_namespace(&c->put->metadata, r->ctx.ns, err);
	return e < 0 ? e : check_scale_name(r, c->put, err);
}

static void change(struct request *r)
{
	struct err err CLEANUP(err_release) = {0};
	struct scale_change *c = ARENA_NEW(r->arena, struct scale_change);
	struct write_options opts;
	struct write *w;

	if (read_change(r, c, &opts, &err) < 0) {
		respond_error(r, &err);
		return;
	}
	r->ctx.subresource = S(""); /* the rules are those of the workload itself */
	r->ctx.dry_run = opts.dry_run;
	w = write_new(r);
	w->dry_run = opts.dry_run;
	w->uid = c->put ? c->put->metadata.uid : S("");
	w->make = make;
	w->answer = answer;
	w->user_data = c;
	write_update(w);
}

static void get(struct request *r)
{
	struct err err CLEANUP(err_release) = {0};
	const struct object *o = store_get(r->s->store, r->storage, r->ctx.ns, r->ctx.name);

	if (o) {
		respond_scale(r, object_decode(o, r->arena));
		object_unref(o);
		return;
	}
	err_not_found(&err, r->info.group, r->info.resource, r->ctx.name);
	respond_error(r, &err);
}

void handle_scale(struct request *r)
{
	struct err err CLEANUP(err_release) = {0};

	if (negotiate_output(r, &err) < 0 || check_key_name(r->ctx.name, &err) < 0)
		respond_error(r, &err);
	else if (str_eqc(r->info.verb, "get"))
		get(r);
	else
		change(r);
}
