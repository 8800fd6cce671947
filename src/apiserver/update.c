/* update.c: PUT of an object or of its status (and of other subresources that are the object
 * itself). */
#include "apiserver/convert.h"
#include "apiserver/managed_fields.h"
#include "apiserver/meta.h"
#include "apiserver/options.h"
#include "apiserver/write.h"

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
	e = meta_ensure_namespace(m, r->ctx.ns, err);
	if (e < 0)
		return e;
	e = meta_check_name(m, r, err);
	if (e < 0)
		return e;
	meta_dedup_owners(m, r);
	return 0;
}

static int make(struct write *w, const void *old, void **ret, struct err *err)
{
	*ret = schema_copy(w->r->storage->type, w->user_data, w->r->arena);
	managed_fields_update(w->r, old, *ret);
	return 0;
}

void handle_update(struct request *r)
{
	struct err err CLEANUP(err_release) = {0};
	struct write_options opts;
	struct write *w;
	void *obj;

	if (negotiate_output(r, &err) < 0 ||
		write_options_read(r, "UpdateOptions", &opts, &err) < 0 ||
		read_body(r, opts.validation, &obj, &err) < 0 ||
		check_key_name(r->ctx.name, &err) < 0) {
		respond_error(r, &err);
		return;
	}
	r->ctx.dry_run = opts.dry_run;
	w = write_new(r);
	w->dry_run = opts.dry_run;
	w->allow_create = (!r->sub || !strcmp(r->sub->name, "status")) && r->strategy &&
			  r->strategy->create_on_update;
	w->uid = meta_of(r->storage, obj)->uid;
	w->user_data = obj;
	w->make = make;
	write_update(w);
}
