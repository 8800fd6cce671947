/* apply.c: PATCH application/apply-patch+yaml: server-side apply. */
#include "apiserver/apply.h"

#include "apiserver/managed_fields.h"
#include "apiserver/meta.h"
#include "apiserver/write.h"

struct apply_state {
	struct apply_body body;
	bool force;
};

bool is_apply_patch(const struct request *r)
{
	struct str type, rest;

	str_cut(r->content_type, ';', &type, &rest);
	return str_eqc(str_trim(type), "application/apply-patch+yaml");
}

static const char *go_kind(const struct json_value *v)
{
	static const char *const names[] = {"null", "bool", "number", "string", "array", "object"};

	return names[v->kind];
}

int apply_body_parse(
	struct request *r, enum field_validation v, struct apply_body *ret, struct err *err)
{
	struct err why CLEANUP(err_release) = {0};
	struct str json;

	*ret = (struct apply_body){.validation = v};
	if (yaml_to_json(r->body, r->arena, &json, &ret->twice, &why) < 0)
		return err_bad_request(err,
			"error decoding YAML: error converting YAML to JSON: " STR_FMT,
			STR_ARG(why.message));
	if (json_parse(json, r->arena, &ret->config, &why) < 0)
		return err_bad_request(err,
			"error decoding YAML: error unmarshaling JSON: while decoding "
			"JSON: " STR_FMT,
			STR_ARG(why.message));
	if (ret->config->kind == JSON_NULL)
		ret->config = json_new(r->arena, JSON_OBJECT);
	if (ret->config->kind != JSON_OBJECT)
		return err_bad_request(err,
			"error decoding YAML: error unmarshaling JSON: while decoding JSON: json: "
			"cannot unmarshal %s into Go value of type map[string]interface {}",
			go_kind(ret->config));
	return 0;
}

int apply_body_check(struct request *r, struct apply_body *b, struct err *err)
{
	struct str text = S("yaml: unmarshal errors:");

	if (!b->twice.n || b->validation == FIELDS_IGNORE)
		return 0;
	for (size_t i = 0; i < b->twice.n; i++)
		text = arena_fmt(
			r->arena, STR_FMT "\n  " STR_FMT, STR_ARG(text), STR_ARG(b->twice.v[i]));
	if (b->validation == FIELDS_STRICT)
		return err_bad_request(err,
			"error strict decoding YAML: error converting YAML to JSON: " STR_FMT,
			STR_ARG(text));
	for (size_t i = 0; !b->warned && i < b->twice.n; i++)
		request_warn(r, STR_FMT, STR_ARG(b->twice.v[i]));
	b->warned = true; /* a conflict in the store brings us here again */
	return 0;
}

static int make(struct write *w, const void *old, void **ret, struct err *err)
{
	struct request *r = w->r;
	struct apply_state *s = w->user_data;
	struct meta_v1_object_meta *m;
	int e = s->body.config ? 0 : apply_body_parse(r, s->body.validation, &s->body, err);

	if (e >= 0)
		e = managed_fields_apply(r, s->body.config, s->force, old, ret, err);
	if (e >= 0)
		e = apply_body_check(r, &s->body, err);
	if (e < 0)
		return e;
	m = meta_of(r->storage, *ret);
	if (!old && m->uid.n)
		return err_conflict(err, r->info.group, r->info.resource, r->ctx.name,
			arena_cstr(r->arena,
				arena_fmt(r->arena,
					"uid mismatch: the provided object specified uid " STR_FMT
					", and no existing object was found",
					STR_ARG(m->uid))));
	e = meta_ensure_namespace(m, w->ns, err);
	return e < 0 ? e : meta_check_name(m, r, err);
}

void handle_apply(struct request *r, const struct write_options *opts)
{
	struct apply_state *s = ARENA_NEW(r->arena, struct apply_state);
	struct write *w = write_new(r);

	s->body.validation = opts->validation;
	s->force = query_bool(&r->query, "force");
	w->dry_run = opts->dry_run;
	w->allow_create = !r->sub;
	w->user_data = s;
	w->make = make;
	write_update(w);
}
