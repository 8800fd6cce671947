/* patch.c: PATCH: JSON patch, merge patch, strategic merge patch on what is stored at the time. */
#include "api/patch.h"

#include "apiserver/apply.h"
#include "apiserver/managed_fields.h"
#include "apiserver/meta.h"
#include "apiserver/patch_check.h"
#include "apiserver/render.h"
#include "apiserver/options.h"
#include "apiserver/write.h"
#include "json/value.h"

struct patch_state {
	enum patch_type how;
	enum field_validation validation;
};

static enum patch_type type_of(struct str content_type)
{
	struct str type, rest;

	str_cut(content_type, ';', &type, &rest);
	type = str_trim(type);
	if (str_eqc(type, "application/json-patch+json"))
		return PATCH_JSON;
	if (str_eqc(type, "application/merge-patch+json"))
		return PATCH_MERGE;
	return PATCH_STRATEGIC;
}

/* 422 in upstream's words: the whole patched object stands in the message, no kind, no name. */
static int refuse(struct write *w, struct str shown, struct str why, struct err *err)
{
	struct field_errors errs = {.arena = w->r->arena};
	struct field_path path = FIELD(NULL, "patch");

	field_invalid(&errs, &path, shown, STR_FMT, STR_ARG(why));
	return field_errors_status(&errs, S(""), S(""), S(""), err);
}

/* What the message shows: the result, but of a strategic patch the patch, as Go prints a map. */
static struct str shown(struct write *w, const struct patch_state *p, struct str patched)
{
	return p->how == PATCH_STRATEGIC ? patch_go_text(w->r->arena, w->r->body) : patched;
}

static int decode(struct write *w, const struct patch_state *p, struct str patched,
	struct str_vec *unknown, void **ret, struct err *err)
{
	struct request *r = w->r;
	const struct body_type want = body_type_of(r->res);
	struct err why CLEANUP(err_release) = {0};
	void *typed;

	if (decode_json_as(r, &want, patched, p->validation, unknown, &typed, &why) < 0)
		return refuse(w, shown(w, p, patched),
			p->how == PATCH_STRATEGIC ? patch_go_error(r->arena, why.message)
						  : why.message,
			err);
	if (unknown->n && p->validation == FIELDS_STRICT)
		return refuse(w, shown(w, p, patched), strict_error_text(r->arena, unknown), err);
	for (size_t i = 0; i < unknown->n; i++)
		request_warn(r, STR_FMT, STR_ARG(unknown->v[i]));
	return convert(r->res, typed, r->storage, r->arena, ret, err);
}

/* The stored object as JSON of the version that is patched. */
static struct str current_json(struct write *w, const void *old)
{
	struct request *r = w->r;

	if (r->res == r->storage)
		return w->existing->json;
	return render_view(r, schema_copy(r->storage->type, old, r->arena), r->arena);
}

/* A patch that takes apiVersion away leaves upstream with an object of no version, whose fields it
 * does not know. */
static int check_versionless(
	struct write *w, const struct patch_state *p, struct str patched, struct err *err)
{
	struct json_value *v;

	if (p->how == PATCH_STRATEGIC || json_parse(patched, w->r->arena, &v, NULL) < 0 ||
		json_get_str(v, "apiVersion").n)
		return 0;
	for (size_t i = 0; p->validation == FIELDS_WARN && i < v->members.n; i++)
		if (!str_eqc(v->members.v[i].key, "kind") &&
			!str_eqc(v->members.v[i].key, "apiVersion"))
			request_warn(w->r, "unknown field \"" STR_FMT "\"",
				STR_ARG(v->members.v[i].key));
	return meta_check_name(&(struct meta_v1_object_meta){0}, w->r, err);
}

static int make(struct write *w, const void *old, void **ret, struct err *err)
{
	struct request *r = w->r;
	struct patch_state *p = w->user_data;
	struct str_vec unknown = {0};
	struct meta_v1_object_meta *m;
	struct str patched;
	int e = 0;

	if (p->validation != FIELDS_IGNORE)
		e = patch_check(p->how, r->body, r->arena, &unknown, err);
	if (e >= 0)
		e = patch_apply(p->how, r->res->type, current_json(w, old), r->body, r->arena,
			&patched, err);
	if (e >= 0)
		e = check_versionless(w, p, patched, err);
	if (e >= 0)
		e = decode(w, p, patched, &unknown, ret, err);
	if (e < 0)
		return e;
	write_default(r, *ret);
	managed_fields_update(r, old, *ret);
	m = meta_of(r->storage, *ret);
	e = meta_ensure_namespace(m, w->ns, err);
	return e < 0 ? e : meta_check_name(m, r, err);
}

void handle_patch(struct request *r)
{
	struct err err CLEANUP(err_release) = {0};
	struct patch_state *p = ARENA_NEW(r->arena, struct patch_state);
	struct write_options opts;
	struct write *w;

	if (negotiate_output(r, &err) < 0 ||
		write_options_read(r, "PatchOptions", &opts, &err) < 0 ||
		check_key_name(r->ctx.name, &err) < 0) {
		respond_error(r, &err);
		return;
	}
	r->ctx.dry_run = opts.dry_run;
	audit_request_patch(r, r->body);
	if (is_apply_patch(r)) {
		handle_apply(r, &opts);
		return;
	}
	p->how = type_of(r->content_type);
	p->validation = opts.validation;
	w = write_new(r);
	w->dry_run = opts.dry_run;
	w->user_data = p;
	w->make = make;
	write_update(w);
}
