/* create.c: POST of an object. */
#include "apiserver/convert.h"
#include "apiserver/managed_fields.h"
#include "apiserver/meta.h"
#include "apiserver/options.h"
#include "apiserver/write.h"

/* The body as a clean struct of the storage resource. */
static int read_body(struct request *r, enum field_validation v, void **ret, struct err *err)
{
	const struct body_type want = body_type_of(r->res);
	struct meta_v1_object_meta *m;
	void *typed;
	int e = decode_body(r, &want, v, &typed, err);

	if (e < 0)
		return e;
	e = convert(r->res, typed, r->storage, r->arena, ret, err);
	if (e < 0)
		return e;
	write_default(r, *ret);
	m = meta_of(r->storage, *ret);
	audit_request_object(r, group_version(r->arena, r->storage), str_c(r->storage->kind),
		r->storage->type, *ret, m);
	meta_wipe(m);
	if (r->storage == &v1_namespace_resource)
		m->namespace = S("");
	e = meta_ensure_namespace(m, r->ctx.ns, err);
	if (e < 0)
		return e;
	meta_dedup_owners(m, r);
	managed_fields_update(r, NULL, *ret);
	return 0;
}

static int prepare(struct request *r, struct write_options *opts, void **ret, struct err *err)
{
	int e = negotiate_output(r, err);

	if (e < 0)
		return e;
	e = write_options_read(r, "CreateOptions", opts, err);
	if (e < 0)
		return e;
	r->ctx.dry_run = opts->dry_run;
	e = read_body(r, opts->validation, ret, err);
	if (e < 0)
		return e;
	r->ctx.name = meta_of(r->storage, *ret)->name;
	return 0;
}

void handle_create(struct request *r)
{
	struct err err CLEANUP(err_release) = {0};
	struct write_options opts;
	struct write *w;
	void *obj;

	if (prepare(r, &opts, &obj, &err) < 0) {
		respond_error(r, &err);
		return;
	}
	w = write_new(r);
	w->obj = obj;
	w->dry_run = opts.dry_run;
	write_create(w);
}
