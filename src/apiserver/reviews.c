/* reviews.c: resources that are questions: who is this token, may this user do that. Nothing is
 * stored. */
#include "apiserver/managed_fields.h"
#include "apiserver/options.h"
#include "apiserver/subresource.h"

/* --- who is it? --- */

static void copy_user(
	struct arena *a, const struct user_info *u, struct authentication_v1_user_info *ret)
{
	*ret = (struct authentication_v1_user_info){
		.username = u->name, .uid = u->uid, .groups = u->groups};
	for (size_t i = 0; i < u->extra.n; i++)
		ARENA_PUSH(a, &ret->extra,
			((struct authentication_v1_extra_value_pair){
				u->extra.v[i].key, {u->extra.v[i].values}}));
}

static int token_review(struct request *r, void *body, struct err *err)
{
	struct authentication_v1_token_review *t = body;
	struct err why CLEANUP(err_release) = {0};
	struct user_info user;

	if (!t->spec.token.n)
		return err_bad_request(err, "token is required for TokenReview in authentication");
	t->status = (struct authentication_v1_token_review_status){0};
	if (authenticate_token(r->s->auth, &r->outside, r->arena, t->spec.token, &t->spec.audiences,
		    r->now_ns, &user, &t->status.audiences, &why) < 0) {
		t->status.error =
			str_eqc(why.message, "invalid bearer token")
				? S("invalid bearer token")
				: arena_fmt(r->arena, "[invalid bearer token, %s]", err_text(&why));
	} else {
		t->status.authenticated = true;
		copy_user(r->arena, &user, &t->status.user);
	}
	return 0;
}

static int self_review(struct request *r, void *body, struct err *err)
{
	struct authentication_v1_self_subject_review *s = body;

	s->metadata = (struct meta_v1_object_meta){.creation_timestamp = time_from_ns(r->now_ns)};
	copy_user(r->arena, &r->user, &s->status.user_info);
	return 0;
}

/* --- may they? --- */

/* The raw text of a field selector, from whichever form it has. */
static struct str raw_selector(
	struct arena *a, const struct authorization_v1_field_selector_attributes *s)
{
	struct str out = S("");

	if (!s || s->raw_selector.n)
		return s ? s->raw_selector : S("");
	for (size_t i = 0; i < s->requirements.n; i++) {
		const struct meta_v1_field_selector_requirement *q = &s->requirements.v[i];

		if (q->values.n == 1 &&
			(str_eqc(q->operator, "In") || str_eqc(q->operator, "NotIn")))
			out = arena_fmt(a, STR_FMT "%s" STR_FMT "%s" STR_FMT, STR_ARG(out),
				out.n ? "," : "", STR_ARG(q->key),
				str_eqc(q->operator, "In") ? "=" : "!=", STR_ARG(q->values.v[0]));
	}
	return out;
}

static void ask(struct request *r, const struct user_info *user,
	const struct authorization_v1_resource_attributes *res,
	const struct authorization_v1_non_resource_attributes *path,
	struct authorization_v1_subject_access_review_status *ret)
{
	struct request_info info = {0};
	struct auth_answer answer;

	if (res) {
		info.is_resource = true;
		info.verb = res->verb;
		info.group = res->group;
		info.version = res->version;
		info.resource = res->resource;
		info.subresource = res->subresource;
		info.ns = res->namespace;
		info.name = res->name;
		info.field_selector = raw_selector(r->arena, res->field_selector);
	} else {
		info.verb = path->verb;
		info.path = path->path;
	}
	auth_ask(r->s->auth, &r->outside, r->arena, user, &info, &answer);
	*ret = (struct authorization_v1_subject_access_review_status){
		.allowed = answer.decision == AUTH_ALLOW,
		.denied = answer.decision == AUTH_DENY,
		.reason = answer.reason,
		.evaluation_error = answer.error};
}

static void check_selector(
	struct field_errors *e, const struct field_path *p, struct str raw, bool has_requirements)
{
	if (raw.n && has_requirements)
		field_invalid(e, AT(p, "rawSelector"), raw,
			"may not specified at the same time as requirements");
	if (!raw.n && !has_requirements)
		field_required(e, AT(p, "requirements"),
			"when " STR_FMT " is specified, requirements or rawSelector is required",
			STR_ARG(field_path_text(e->arena, p)));
}

struct attributes {
	const struct authorization_v1_resource_attributes *res;
	const struct authorization_v1_non_resource_attributes *path;
	const struct meta_v1_object_meta *meta;
	bool has_user, local;
};

/* As Go shows upstream's internal type. */
static struct str path_json(
	struct arena *a, const struct authorization_v1_non_resource_attributes *p)
{
	return p ? arena_fmt(a, "{\"Path\":" STR_FMT ",\"Verb\":" STR_FMT "}",
			   STR_ARG(go_quote(a, p->path)), STR_ARG(go_quote(a, p->verb)))
		 : S("null");
}

static void check_spec(const struct attributes *at, struct field_errors *e)
{
	struct field_path spec = FIELD(NULL, "spec"), res = FIELD(&spec, "resourceAttributes"),
			  non = FIELD(&spec, "nonResourceAttributes");
	struct str path = path_json(e->arena, at->path);

	if (at->res && at->path)
		field_invalid_raw(e, &non, path,
			"cannot be specified in combination with resourceAttributes");
	if (!at->res && !at->path)
		field_invalid_raw(e, &res, path,
			"exactly one of nonResourceAttributes or resourceAttributes must be "
			"specified");
	if (!at->has_user)
		field_invalid(e, AT(&spec, "user"), S(""),
			"at least one of user or group must be specified");
	if (at->res && at->res->field_selector)
		check_selector(e, AT(&res, "fieldSelector"), at->res->field_selector->raw_selector,
			at->res->field_selector->requirements.n);
	if (at->res && at->res->label_selector)
		check_selector(e, AT(&res, "labelSelector"), at->res->label_selector->raw_selector,
			at->res->label_selector->requirements.n);
}

static void check_meta(const struct attributes *at, struct field_errors *e)
{
	struct meta_v1_object_meta m = *at->meta;
	const struct meta_v1_object_meta empty = {0};
	struct buf b;

	m.managed_fields.n = 0;
	if (at->local)
		m.namespace = S("");
	if (schema_equal(&meta_v1_object_meta_schema, &m, &empty))
		return;
	buf_init(&b, 1 << 20);
	schema_encode_json(&meta_v1_object_meta_schema, at->meta, &b);
	field_invalid_raw(e, AT(NULL, "metadata"), buf_str(&b),
		at->local ? "must be empty except for namespace" : "must be empty");
	buf_release(&b);
}

static int check_attributes(struct request *r, const struct attributes *at, struct err *err)
{
	struct field_errors errs = {.arena = r->arena};
	struct field_path spec = FIELD(NULL, "spec"), res = FIELD(&spec, "resourceAttributes");

	check_spec(at, &errs);
	check_meta(at, &errs);
	if (at->local && at->res && !str_eq(at->res->namespace, at->meta->namespace))
		field_invalid(&errs, AT(&res, "namespace"), at->res->namespace,
			"must match metadata.namespace");
	if (at->local && at->path)
		field_invalid_raw(&errs, AT(&spec, "nonResourceAttributes"),
			path_json(r->arena, at->path), "disallowed on this kind of request");
	/* upstream's object has lost its kind when it comes here */
	return field_errors_status(&errs, S("authorization.k8s.io"), S(""), S(""), err);
}

static int answer_review(struct request *r, struct authorization_v1_subject_access_review *s,
	bool local, struct err *err)
{
	struct user_info user = {
		.name = s->spec.user, .uid = s->spec.uid, .groups = s->spec.groups};
	const struct attributes at = {.res = s->spec.resource_attributes,
		.path = s->spec.non_resource_attributes,
		.meta = &s->metadata,
		.has_user = s->spec.user.n || s->spec.groups.n,
		.local = local};
	int e = check_attributes(r, &at, err);

	for (size_t i = 0; i < s->spec.extra.n; i++) {
		struct user_extra x = {
			.key = s->spec.extra.v[i].key, .values = s->spec.extra.v[i].value.items};

		ARENA_PUSH(r->arena, &user.extra, x);
	}
	if (e == 0)
		ask(r, &user, s->spec.resource_attributes, s->spec.non_resource_attributes,
			&s->status);
	return e;
}

static int access_review(struct request *r, void *body, struct err *err)
{
	return answer_review(r, body, false, err);
}

static int local_access_review(struct request *r, void *body, struct err *err)
{
	struct authorization_v1_local_subject_access_review *s = body;

	if (s->metadata.namespace.n && !str_eq(s->metadata.namespace, r->ctx.ns))
		return err_bad_request(err, "the namespace of the provided object does not match "
					    "the namespace sent on the request");
	s->metadata.namespace = r->ctx.ns;
	/* both kinds have the same members */
	return answer_review(r, body, true, err);
}

static int self_access_review(struct request *r, void *body, struct err *err)
{
	struct authorization_v1_self_subject_access_review *s = body;
	const struct attributes at = {.res = s->spec.resource_attributes,
		.path = s->spec.non_resource_attributes,
		.meta = &s->metadata,
		.has_user = true};
	int e = check_attributes(r, &at, err);

	if (e == 0)
		ask(r, &r->user, s->spec.resource_attributes, s->spec.non_resource_attributes,
			&s->status);
	return e;
}

static int rules_review(struct request *r, void *body, struct err *err)
{
	struct authorization_v1_self_subject_rules_review *s = body;

	if (!s->spec.namespace.n)
		return err_bad_request(err, "no namespace on request");
	auth_rules(r->s->auth, r->arena, &r->user, s->spec.namespace, &s->status);
	s->spec.namespace = S(""); /* upstream answers with a new object */
	s->metadata = (struct meta_v1_object_meta){0};
	return 0;
}

/* --- */

static const struct review {
	const struct schema_resource *resource;
	int (*fn)(struct request *r, void *body, struct err *err);
} reviews[] = {
	{&authentication_v1_token_review_resource, token_review},
	{&authentication_v1_self_subject_review_resource, self_review},
	{&authorization_v1_subject_access_review_resource, access_review},
	{&authorization_v1_local_subject_access_review_resource, local_access_review},
	{&authorization_v1_self_subject_access_review_resource, self_access_review},
	{&authorization_v1_self_subject_rules_review_resource, rules_review},
};

static int review_one(struct request *r, const struct review *review, void **ret, struct err *err)
{
	const struct body_type want = body_type_of(r->res);
	struct write_options opts;
	int e = negotiate_output(r, err);

	if (e == 0)
		e = write_options_read(r, "CreateOptions", &opts, err);
	if (e == 0)
		e = decode_body(r, &want, opts.validation, ret, err);
	if (e == 0)
		managed_fields_update(r, NULL, *ret);
	if (e == 0)
		e = review->fn(r, *ret, err);
	if (e == 0)
		set_type_meta(r->res, *ret, r->arena);
	return e;
}

static void review_again(void *user_data)
{
	struct request *r = user_data;

	if (r->x)
		handle_review(r);
	request_unref(r);
}

void handle_review(struct request *r)
{
	for (size_t i = 0; i < ARRAY_SIZE(reviews); i++) {
		struct err err CLEANUP(err_release) = {0};
		void *body = NULL;

		if (reviews[i].resource != r->res)
			continue;
		if (review_one(r, &reviews[i], &body, &err) < 0 && !outside_waits(&r->outside))
			respond_error(r, &err);
		else if (outside_waits(&r->outside))
			outside_ask(&r->outside, review_again, request_ref(r));
		else
			respond_other(r, 201, r->res->type, body);
		return;
	}
	assert(!"a virtual resource that no review answers");
}
