#include "apiserver/admission/webhook.h"
#include "apiserver/convert.h"
#include "apiserver/write.h"
#include "json/write.h"

enum { REVIEW_MAX = 4 * OBJECT_JSON_MAX };

/* --- out --- */

static void add_string(struct buf *b, const char *name, struct str value)
{
	buf_fmt(b, "%s\"%s\":", b->n && b->p[b->n - 1] != '{' ? "," : "", name);
	json_write_string(b, value);
}

static void add_kind(
	struct buf *b, const char *name, struct str group, struct str version, struct str kind)
{
	buf_fmt(b, ",\"%s\":{", name);
	add_string(b, "group", group);
	add_string(b, "version", version);
	add_string(b, "kind", kind);
	buf_add_char(b, '}');
}

static void add_resource(struct buf *b, const char *name, const struct schema_resource *res)
{
	buf_fmt(b, ",\"%s\":{", name);
	add_string(b, "group", str_c(res->group));
	add_string(b, "version", str_c(res->version));
	add_string(b, "resource", str_c(res->plural));
	buf_add_char(b, '}');
}

/* The kind in that version; a subresource's body has its own. */
static void add_object_kind(struct buf *b, const char *name, const struct admission_attrs *attrs,
	const struct schema_resource *as)
{
	if (attrs->body)
		add_kind(b, name, attrs->body_group, attrs->body_version, attrs->body_kind);
	else
		add_kind(b, name, str_c(as->group), str_c(as->version), str_c(as->kind));
}

static void add_strings(struct buf *b, const struct str_vec *v)
{
	buf_add_char(b, '[');
	for (size_t i = 0; i < v->n; i++) {
		if (i)
			buf_add_char(b, ',');
		json_write_string(b, v->v[i]);
	}
	buf_add_char(b, ']');
}

static void add_user(struct buf *b, const struct user_info *u)
{
	buf_add_c(b, ",\"userInfo\":{");
	add_string(b, "username", u->name);
	if (u->uid.n)
		add_string(b, "uid", u->uid);
	if (u->groups.n) {
		buf_add_c(b, ",\"groups\":");
		add_strings(b, &u->groups);
	}
	for (size_t i = 0; i < u->extra.n; i++) {
		buf_add_c(b, i ? "," : ",\"extra\":{");
		json_write_string(b, u->extra.v[i].key);
		buf_add_char(b, ':');
		add_strings(b, &u->extra.v[i].values);
	}
	buf_add_c(b, u->extra.n ? "}}" : "}");
}

static int add_object(struct buf *b, struct admission_attrs *attrs,
	const struct schema_resource *as, void *obj, struct err *err)
{
	void *typed = obj;
	int r = 0;

	if (!obj) {
		buf_add_c(b, "null");
		return 0;
	}
	if (attrs->body) {
		schema_encode_json(attrs->body, obj, b);
		return 0;
	}
	r = convert(attrs->resource, obj, as, attrs->arena, &typed, err);
	if (r < 0)
		return r;
	set_type_meta(as, typed, attrs->arena);
	schema_encode_json(as->type, typed, b);
	if (typed == obj)
		set_type_meta(attrs->resource, obj, attrs->arena);
	return 0;
}

void webhook_options(struct buf *b, const struct admission_attrs *attrs)
{
	const char *kind = attrs->op == ADMIT_CREATE   ? "CreateOptions"
			   : attrs->op == ADMIT_UPDATE ? "UpdateOptions"
						       : "DeleteOptions";
	const char *const names[] = {"fieldManager", "fieldValidation"};

	if (attrs->op == ADMIT_CONNECT) {
		buf_add_c(b, "null");
		return;
	}
	buf_fmt(b, "{\"kind\":\"%s\",\"apiVersion\":\"meta.k8s.io/v1\"", kind);
	if (attrs->dry_run)
		buf_add_c(b, ",\"dryRun\":[\"All\"]");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct str v = query_get(&attrs->request->query, names[i]);

		if (v.n && attrs->op != ADMIT_DELETE)
			add_string(b, names[i], v);
	}
	buf_add_char(b, '}');
}

static void add_request(struct buf *b, struct admission_attrs *attrs,
	const struct schema_resource *as, struct str uid)
{
	bool is_namespace = attrs->resource == &v1_namespace_resource;
	struct str ns = is_namespace ? attrs->name : attrs->ns;

	add_string(b, "uid", uid);
	add_object_kind(b, "kind", attrs, as);
	add_resource(b, "resource", as);
	if (attrs->subresource.n)
		add_string(b, "subResource", attrs->subresource);
	add_object_kind(b, "requestKind", attrs, attrs->addressed);
	add_resource(b, "requestResource", attrs->addressed);
	if (attrs->subresource.n)
		add_string(b, "requestSubResource", attrs->subresource);
	if (attrs->name.n)
		add_string(b, "name", attrs->name);
	if (ns.n)
		add_string(b, "namespace", ns);
	add_string(b, "operation", str_c(match_operation(attrs->op)));
	add_user(b, attrs->user);
}

static struct str take(struct arena *a, struct buf *b)
{
	struct str s = arena_str(a, buf_str(b));

	buf_release(b);
	return s;
}

int webhook_review(struct admission_attrs *attrs, const struct webhook *w,
	const struct schema_resource *as, struct str uid, struct str *ret, struct err *err)
{
	const char *version = NULL;
	struct buf b;
	int r;

	for (size_t i = 0; i < w->versions.n && !version; i++)
		version = str_eqc(w->versions.v[i], "v1")        ? "v1"
			  : str_eqc(w->versions.v[i], "v1beta1") ? "v1beta1"
								 : NULL;
	if (!version)
		return err_bad_request(err,
			"could not create admission objects: webhook does not accept known "
			"AdmissionReview versions (v1, v1beta1)");
	buf_init(&b, REVIEW_MAX);
	buf_fmt(&b,
		"{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/"
		"%s\",\"request\":{",
		version);
	add_request(&b, attrs, as, uid);
	buf_add_c(&b, ",\"object\":");
	r = add_object(&b, attrs, as, attrs->obj, err);
	buf_add_c(&b, ",\"oldObject\":");
	if (r >= 0)
		r = add_object(&b, attrs, as, (void *)attrs->old, err);
	buf_fmt(&b, ",\"dryRun\":%s,\"options\":", attrs->dry_run ? "true" : "false");
	webhook_options(&b, attrs);
	buf_add_c(&b, "}}\n");
	if (r >= 0 && buf_failed(&b))
		r = err_internal(err, "the review is too large");
	*ret = take(attrs->arena, &b);
	return r;
}

int webhook_object(struct admission_attrs *attrs, const struct schema_resource *as,
	struct str *ret_json, struct err *err)
{
	struct buf b;
	int r;

	buf_init(&b, OBJECT_JSON_MAX);
	r = add_object(&b, attrs, as, attrs->obj, err);
	if (r >= 0 && buf_failed(&b))
		r = err_internal(err, "the object is too large");
	*ret_json = take(attrs->arena, &b);
	return r;
}

int webhook_set_object(struct admission_attrs *attrs, const struct schema_resource *as,
	struct str json, struct str_vec *unknown, struct err *err)
{
	struct schema_decode_opts opts = {.flags = unknown ? SCHEMA_DECODE_STRICT : 0};
	const struct schema_type *type = attrs->body ? attrs->body : as->type;
	void *typed;
	int r = schema_decode_json(type, json, attrs->arena, &opts, &typed, err);

	if (r < 0)
		return r;
	if (unknown)
		*unknown = opts.warnings;
	if (!attrs->body) {
		r = convert(as, typed, attrs->resource, attrs->arena, &typed, err);
		if (r < 0)
			return r;
		write_default(attrs->request, typed);
	}
	attrs->obj = typed;
	return 0;
}

/* --- in --- */

static int check_review(const struct admission_v1_admission_review *v, const struct webhook *w,
	bool mutating, struct str uid, struct err *err)
{
	const struct admission_v1_admission_response *r = v->response;
	bool old = str_eqc(v->api_version, "admission.k8s.io/v1beta1") &&
		   str_vec_has(&w->versions, S("v1beta1"));

	if (!r)
		return err_bad_request(err, "webhook response was absent");
	if (!old && !str_eq(r->uid, uid))
		return err_bad_request(err,
			"expected response.uid=\"" STR_FMT "\", got \"" STR_FMT "\"", STR_ARG(uid),
			STR_ARG(r->uid));
	if (!old && (!str_eqc(v->kind, "AdmissionReview") ||
			    !str_eqc(v->api_version, "admission.k8s.io/v1")))
		return err_bad_request(err,
			"expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, "
			"got " STR_FMT ", Kind=" STR_FMT,
			STR_ARG(v->api_version), STR_ARG(v->kind));
	if (!mutating && (r->patch.n || r->patch_type.p))
		return err_bad_request(err, "validating webhook may not return response.%s",
			r->patch.n ? "patch" : "patchType");
	if (!mutating || old)
		return 0;
	if (r->patch.n && !r->patch_type.p)
		return err_bad_request(
			err, "webhook returned response.patch but not response.patchType");
	if (!r->patch.n && r->patch_type.p)
		return err_bad_request(
			err, "webhook returned response.patchType but not response.patch");
	if (r->patch_type.p && !str_eqc(r->patch_type, "JSONPatch"))
		return err_bad_request(err,
			"webhook returned invalid response.patchType of \"" STR_FMT "\"",
			STR_ARG(r->patch_type));
	return 0;
}

int webhook_answer(struct admission_attrs *attrs, const struct webhook *w, bool mutating,
	struct str uid, struct str body, struct webhook_answer *ret, struct err *err)
{
	struct admission_v1_admission_review *v;
	struct admission_v1_admission_response *a;
	struct arena *arena = attrs->arena;
	int r = schema_decode_json(&admission_v1_admission_review_schema, arena_str(arena, body),
		arena, NULL, (void **)&v, err);

	if (r >= 0)
		r = check_review(v, w, mutating, uid, err);
	if (r < 0)
		return r;
	a = v->response;
	for (size_t i = 0; i < a->audit_annotations.n; i++)
		admission_annotate(attrs,
			arena_fmt(arena, STR_FMT "/" STR_FMT, STR_ARG(w->name),
				STR_ARG(a->audit_annotations.v[i].key)),
			a->audit_annotations.v[i].value);
	for (size_t i = 0; i < a->warnings.n; i++)
		admission_warn(attrs, STR_FMT, STR_ARG(a->warnings.v[i]));
	*ret = (struct webhook_answer){
		.allowed = a->allowed, .status = a->status, .patch = a->patch};
	return 0;
}

int webhook_denied(const struct admission_attrs *attrs, const struct webhook *w,
	const struct meta_v1_status *s, struct err *err)
{
	static const struct meta_v1_status none;
	struct str why;
	int r;

	if (!s)
		s = &none;
	why = s->message.n ? s->message : s->reason;
	r = err_fmt(err, s->code < 400 ? 400 : s->code, arena_cstr(attrs->arena, s->reason),
		"admission webhook \"" STR_FMT "\" denied the request%s" STR_FMT, STR_ARG(w->name),
		why.n ? ": " : " ", STR_ARG(why.n ? why : S("without explanation")));
	if (!s->details)
		return r;
	err_details(err, s->details->group, s->details->kind, s->details->name, s->details->uid);
	for (size_t i = 0; i < s->details->causes.n; i++) {
		const struct meta_v1_status_cause *c = &s->details->causes.v[i];

		err_add_cause(err, arena_cstr(attrs->arena, c->reason), c->field, STR_FMT,
			STR_ARG(c->message));
	}
	return r;
}
