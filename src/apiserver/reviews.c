/* reviews.c: questions that are not stored: who am I, may somebody do something. */
#include "apiserver/options.h"
#include "apiserver/subresource.h"

/* --- SubjectAccessReview and its relatives --- */

static int check_attributes(struct field_errors *errs, bool local, struct str ns,
	const struct authorization_v1_resource_attributes *res,
	const struct authorization_v1_non_resource_attributes *non)
{
	struct field_path spec = FIELD(NULL, "spec"), p = FIELD(&spec, "resourceAttributes");
	struct field_path q = FIELD(&spec, "nonResourceAttributes"), n = FIELD(&p, "namespace");

	if (non && (local || res))
		field_invalid_raw(errs, &q,
			arena_fmt(errs->arena, "{\"Path\":" STR_FMT ",\"Verb\":" STR_FMT "}",
				STR_ARG(go_quote(errs->arena, non->path)),
				STR_ARG(go_quote(errs->arena, non->verb))),
			local ? "disallowed on this kind of request"
			      : "cannot be specified in combination with resourceAttributes");
	else if (!non && !res)
		field_invalid_raw(errs, &p, S("null"),
			"exactly one of nonResourceAttributes or resourceAttributes must be "
			"specified");
	else if (local && !str_eq(res->namespace, ns))
		field_invalid(errs, &n, res->namespace, "must match metadata.namespace");
	return errs->n ? -EINVAL : 0;
}

static struct request_info info_of(const struct authorization_v1_resource_attributes *res,
	const struct authorization_v1_non_resource_attributes *non)
{
	if (non)
		return (struct request_info){.path = non->path, .verb = non->verb};
	return (struct request_info){.is_resource = true,
		.verb = res->verb,
		.group = res->group,
		.version = res->version,
		.ns = res->namespace,
		.resource = res->resource,
		.subresource = res->subresource,
		.name = res->name};
}

static void decide(struct request *r, const struct user_info *user,
	const struct authorization_v1_resource_attributes *res,
	const struct authorization_v1_non_resource_attributes *non,
	struct authorization_v1_subject_access_review_status *ret)
{
	struct request_info info = info_of(res, non);

	*ret = (struct authorization_v1_subject_access_review_status){
		.allowed = authorize(r->s->auth, &info, user, NULL) >= 0};
}

static int refuse(const struct field_errors *errs, struct err *err)
{
	return field_errors_status(errs, S("authorization.k8s.io"), S(""), S(""), err);
}

static int self_access(struct request *r, void *typed, struct err *err)
{
	struct authorization_v1_self_subject_access_review *v = typed;
	struct field_errors errs = {.arena = r->arena};

	if (check_attributes(&errs, false, S(""), v->spec.resource_attributes,
		    v->spec.non_resource_attributes) < 0)
		return refuse(&errs, err);
	decide(r, &r->user, v->spec.resource_attributes, v->spec.non_resource_attributes,
		&v->status);
	return 0;
}

static struct user_info user_of(
	struct arena *a, const struct authorization_v1_subject_access_review_spec *spec)
{
	struct user_info u = {.name = spec->user, .uid = spec->uid, .groups = spec->groups};

	for (size_t i = 0; i < spec->extra.n; i++) {
		struct user_extra e = {
			.key = spec->extra.v[i].key, .values = spec->extra.v[i].value.items};

		ARENA_PUSH(a, &u.extra, e);
	}
	return u;
}

static int subject_access(struct request *r,
	struct authorization_v1_subject_access_review_spec *spec, bool local,
	struct authorization_v1_subject_access_review_status *ret, struct err *err)
{
	struct field_errors errs = {.arena = r->arena};
	struct field_path p = FIELD(NULL, "spec"), user = FIELD(&p, "user");
	struct user_info u = user_of(r->arena, spec);

	check_attributes(
		&errs, local, r->ctx.ns, spec->resource_attributes, spec->non_resource_attributes);
	if (!spec->user.n && !spec->groups.n)
		field_invalid(
			&errs, &user, S(""), "at least one of user or group must be specified");
	if (errs.n)
		return refuse(&errs, err);
	decide(r, &u, spec->resource_attributes, spec->non_resource_attributes, ret);
	return 0;
}

static int any_access(struct request *r, void *typed, struct err *err)
{
	struct authorization_v1_subject_access_review *v = typed;

	return subject_access(r, &v->spec, false, &v->status, err);
}

static int local_access(struct request *r, void *typed, struct err *err)
{
	struct authorization_v1_local_subject_access_review *v = typed;

	v->metadata.namespace = r->ctx.ns;
	return subject_access(r, &v->spec, true, &v->status, err);
}

static bool may(struct request *r, const struct request_info *info)
{
	return authorize(r->s->auth, info, &r->user, NULL) >= 0;
}

/* What the user may do, as far as it can be told without RBAC: everything, or reviews and
 * discovery. */
static int self_rules(struct request *r, void *typed, struct err *err)
{
	struct authorization_v1_self_subject_rules_review *v = typed;
	const struct request_info all = {
		.is_resource = true, .verb = S("*"), .group = S("*"), .resource = S("*")};
	struct authorization_v1_resource_rule rule = {0};
	struct authorization_v1_non_resource_rule paths = {0};
	bool admin = may(r, &all);

	ARENA_PUSH(r->arena, &rule.verbs, admin ? S("*") : S("create"));
	ARENA_PUSH(r->arena, &rule.api_groups, admin ? S("*") : S("authorization.k8s.io"));
	ARENA_PUSH(r->arena, &rule.resources, admin ? S("*") : S("selfsubjectaccessreviews"));
	if (!admin)
		ARENA_PUSH(r->arena, &rule.resources, S("selfsubjectrulesreviews"));
	ARENA_PUSH(r->arena, &v->status.resource_rules, rule);
	ARENA_PUSH(r->arena, &paths.verbs, admin ? S("*") : S("get"));
	ARENA_PUSH(r->arena, &paths.non_resource_urls, admin ? S("*") : S("/version"));
	ARENA_PUSH(r->arena, &v->status.non_resource_rules, paths);
	v->status.incomplete = !admin;
	return 0;
}

/* --- who --- */

static void fill_user(
	struct arena *a, const struct user_info *from, struct authentication_v1_user_info *to)
{
	to->username = from->name;
	to->uid = from->uid;
	to->groups = from->groups;
	for (size_t i = 0; i < from->extra.n; i++) {
		struct authentication_v1_extra_value_pair e = {.key = from->extra.v[i].key};

		e.value.items = from->extra.v[i].values;
		ARENA_PUSH(a, &to->extra, e);
	}
}

static int self_subject(struct request *r, void *typed, struct err *err)
{
	struct authentication_v1_self_subject_review *v = typed;

	v->metadata.creation_timestamp = time_from_ns(r->now_ns);
	fill_user(r->arena, &r->user, &v->status.user_info);
	return 0;
}

static int token_review(struct request *r, void *typed, struct err *err)
{
	struct authentication_v1_token_review *v = typed;
	struct err why CLEANUP(err_release) = {0};
	struct user_info user = {0};
	struct str_vec audiences = {0};

	if (!v->spec.token.n)
		return err_bad_request(err, "token is required for TokenReview in authentication");
	v->metadata.managed_fields.n = 0;
	if (authenticate_token(
		    r->s->auth, r->arena, v->spec.token, r->now_ns, &user, &audiences, &why) < 0) {
		v->status.error = arena_str(r->arena, why.message);
		return 0;
	}
	for (size_t i = 0; i < v->spec.audiences.n; i++)
		if (str_vec_has(&audiences, v->spec.audiences.v[i]))
			ARENA_PUSH(r->arena, &v->status.audiences, v->spec.audiences.v[i]);
	if (v->spec.audiences.n && !v->status.audiences.n) {
		v->status.error =
			S("[invalid bearer token, token audiences are not those asked for]");
		return 0;
	}
	v->status.authenticated = true;
	fill_user(r->arena, &user, &v->status.user);
	return 0;
}

/* --- all of them --- */

static const struct review {
	const struct schema_resource *resource;
	int (*fn)(struct request *r, void *typed, struct err *err);
} reviews[] = {
	{&authorization_v1_self_subject_access_review_resource, self_access},
	{&authorization_v1_subject_access_review_resource, any_access},
	{&authorization_v1_local_subject_access_review_resource, local_access},
	{&authorization_v1_self_subject_rules_review_resource, self_rules},
	{&authentication_v1_self_subject_review_resource, self_subject},
	{&authentication_v1_token_review_resource, token_review},
};

static int run(struct request *r, void **ret, struct err *err)
{
	const struct body_type want = body_type_of(r->res);
	struct write_options opts;
	int e = negotiate_output(r, err);

	if (e >= 0)
		e = write_options_read(r, "CreateOptions", &opts, err);
	if (e >= 0)
		e = decode_body(r, &want, opts.validation, ret, err);
	if (e < 0)
		return e;
	set_type_meta(r->res, *ret, r->arena);
	for (size_t i = 0; i < ARRAY_SIZE(reviews); i++)
		if (reviews[i].resource == r->res)
			return reviews[i].fn(r, *ret, err);
	return err_internal(err, "no answer to a %s", r->res->kind);
}

void handle_review(struct request *r)
{
	struct err err CLEANUP(err_release) = {0};
	void *typed;

	if (run(r, &typed, &err) < 0)
		respond_error(r, &err);
	else
		respond_other(r, 201, r->res->type, typed);
}
