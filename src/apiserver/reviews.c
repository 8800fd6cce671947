/* reviews.c: resources that are questions: who is this token, may this user do that. Nothing is stored. */
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

/* The audiences that both lists have; false when there is none. */
static bool intersect(struct arena *a, const struct str_vec *want, const struct str_vec *have,
	struct str_vec *ret)
{
	for (size_t i = 0; i < want->n; i++)
		if (str_vec_has(have, want->v[i]))
			ARENA_PUSH(a, ret, want->v[i]);
	return ret->n > 0;
}

static struct str quoted_list(struct arena *a, const struct str_vec *v)
{
	struct str out = S("");

	for (size_t i = 0; i < v->n; i++)
		out = arena_fmt(a, STR_FMT "%s\"" STR_FMT "\"", STR_ARG(out), i ? " " : "",
			STR_ARG(v->v[i]));
	return out;
}

static int token_review(struct request *r, void *body, struct err *err)
{
	struct authentication_v1_token_review *t = body;
	struct err why CLEANUP(err_release) = {0};
	struct str_vec want = t->spec.audiences, have = {0};
	struct user_info user;

	if (!t->spec.token.n)
		return err_bad_request(err, "token is required for TokenReview in authentication");
	if (!want.n)
		ARENA_PUSH(r->arena, &want, auth_issuer(r->s->auth));
	t->status = (struct authentication_v1_token_review_status){0};
	if (authenticate_token(r->s->auth, r->arena, t->spec.token, r->now_ns, &user, &have, &why) <
		0) {
		t->status.error =
			str_eqc(why.message, "invalid bearer token")
				? S("invalid bearer token")
				: arena_fmt(r->arena, "[invalid bearer token, %s]", err_text(&why));
	} else if (!intersect(r->arena, &want, &have, &t->status.audiences)) {
		t->status.error = arena_fmt(r->arena,
			"[invalid bearer token, token audiences [" STR_FMT
			"] is invalid for the target audiences [" STR_FMT "]]",
			STR_ARG(quoted_list(r->arena, &have)),
			STR_ARG(quoted_list(r->arena, &want)));
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

static void ask(struct request *r, const struct user_info *user,
	const struct authorization_v1_resource_attributes *res,
	const struct authorization_v1_non_resource_attributes *path,
	struct authorization_v1_subject_access_review_status *ret)
{
	struct request_info info = {0};

	if (res) {
		info.is_resource = true;
		info.verb = res->verb;
		info.group = res->group;
		info.version = res->version;
		info.resource = res->resource;
		info.subresource = res->subresource;
		info.ns = res->namespace;
		info.name = res->name;
	} else {
		info.verb = path->verb;
		info.path = path->path;
	}
	*ret = (struct authorization_v1_subject_access_review_status){
		.allowed = authorize(r->s->auth, &info, user, NULL) == 0};
}

static int check_attributes(struct request *r, const char *kind, const void *res, const void *path,
	bool has_user, struct err *err)
{
	struct field_errors errs = {.arena = r->arena};
	struct field_path spec = FIELD(NULL, "spec"),
			  attributes = FIELD(&spec, "resourceAttributes"),
			  non = FIELD(&spec, "nonResourceAttributes"), user = FIELD(&spec, "user");

	if (res && path)
		field_invalid(&errs, &non, S(""),
			"cannot be specified in combination with resourceAttributes");
	if (!res && !path)
		field_invalid(&errs, &attributes, S(""),
			"exactly one of nonResourceAttributes or resourceAttributes must be "
			"specified");
	if (!has_user)
		field_invalid(
			&errs, &user, S(""), "at least one of user or group must be specified");
	return field_errors_status(&errs, S("authorization.k8s.io"), str_c(kind), S(""), err);
}

static int access_review(struct request *r, void *body, struct err *err)
{
	struct authorization_v1_subject_access_review *s = body;
	struct user_info user = {
		.name = s->spec.user, .uid = s->spec.uid, .groups = s->spec.groups};
	int e = check_attributes(r, "SubjectAccessReview", s->spec.resource_attributes,
		s->spec.non_resource_attributes, s->spec.user.n || s->spec.groups.n, err);

	if (e == 0)
		ask(r, &user, s->spec.resource_attributes, s->spec.non_resource_attributes,
			&s->status);
	return e;
}

static int local_access_review(struct request *r, void *body, struct err *err)
{
	struct authorization_v1_local_subject_access_review *s = body;

	if (s->spec.resource_attributes &&
		!str_eq(s->spec.resource_attributes->namespace, r->ctx.ns))
		return err_bad_request(err,
			"spec.resourceAttributes.namespace must match namespace: " STR_FMT
			" != " STR_FMT,
			STR_ARG(s->spec.resource_attributes->namespace), STR_ARG(r->ctx.ns));
	return access_review(r, body, err);
}

static int self_access_review(struct request *r, void *body, struct err *err)
{
	struct authorization_v1_self_subject_access_review *s = body;
	int e = check_attributes(r, "SelfSubjectAccessReview", s->spec.resource_attributes,
		s->spec.non_resource_attributes, true, err);

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
		e = review->fn(r, *ret, err);
	if (e == 0)
		set_type_meta(r->res, *ret, r->arena);
	return e;
}

void handle_review(struct request *r)
{
	for (size_t i = 0; i < ARRAY_SIZE(reviews); i++) {
		struct err err CLEANUP(err_release) = {0};
		void *body = NULL;

		if (reviews[i].resource != r->res)
			continue;
		if (review_one(r, &reviews[i], &body, &err) < 0)
			respond_error(r, &err);
		else
			respond_other(r, 201, r->res->type, body);
		return;
	}
	assert(!"a virtual resource that no review answers");
}
