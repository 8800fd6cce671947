/* token_request.c: POST serviceaccounts/token: a token bound to an object and to a time. */
#include "apiserver/options.h"
#include "apiserver/subresource.h"

enum { EXPIRES_S = 3600, EXPIRES_MIN_S = 600 };
#define EXPIRES_MAX_S (1LL << 32)

static const struct body_type token_body = {
	.group = {"authentication.k8s.io", 21},
	.version = {"v1", 2},
	.kind = {"TokenRequest", 12},
	.type = &authentication_v1_token_request_schema,
};

static int validate(
	struct request *r, const struct authentication_v1_token_request *t, struct err *err)
{
	struct field_errors errs = {.arena = r->arena};
	struct field_path spec = FIELD(NULL, "spec"), path = FIELD(&spec, "expirationSeconds");
	int64_t s = *t->spec.expiration_seconds;

	if (s < EXPIRES_MIN_S)
		field_invalid_int(
			&errs, &path, s, "may not specify a duration less than 10 minutes");
	if (s > EXPIRES_MAX_S)
		field_invalid_int(
			&errs, &path, s, "may not specify a duration larger than 2^32 seconds");
	return field_errors_status(
		&errs, S("authentication.k8s.io"), S("TokenRequest"), S(""), err);
}

static void set_defaults(struct request *r, struct authentication_v1_token_request *t)
{
	if (!t->spec.expiration_seconds) {
		t->spec.expiration_seconds = ARENA_NEW(r->arena, int64_t);
		*t->spec.expiration_seconds = EXPIRES_S;
	}
	if (!t->spec.audiences.n)
		ARENA_PUSH(r->arena, &t->spec.audiences, str_c(r->s->opts.service_account_issuer));
}

/* --- what the token is bound to --- */

static int find_bound(struct request *r, const struct schema_resource *res, struct str ns,
	const struct authentication_v1_bound_object_reference *ref, const struct object **ret,
	struct err *err)
{
	const struct object *o = store_get(r->s->store, res, ns, ref->name);
	struct str why;

	if (!o)
		return err_not_found(err, S(""), str_c(res->plural), ref->name);
	*ret = object_ref_in(r->arena, o);
	object_unref(o);
	if (!ref->uid.n || str_eq(ref->uid, (*ret)->uid))
		return 0;
	why = arena_fmt(r->arena,
		"the UID in the bound object reference (" STR_FMT
		") does not match the UID in record. The object might have been deleted and then "
		"recreated",
		STR_ARG(ref->uid));
	return err_conflict(err, S(""), str_c(res->kind), ref->name, why.p);
}

static int bind_pod(struct request *r, const struct authentication_v1_bound_object_reference *ref,
	struct token_claims *c, struct err *err)
{
	const struct object *o, *node;
	const struct v1_pod *pod;
	int e = find_bound(r, &v1_pod_resource, r->ctx.ns, ref, &o, err);

	if (e < 0)
		return e;
	pod = object_decode(o, r->arena);
	if (!str_eq(pod->spec.service_account_name, r->ctx.name))
		return err_bad_request(err,
			"cannot bind token for serviceaccount \"" STR_FMT
			"\" to pod running with different serviceaccount name.",
			STR_ARG(r->ctx.name));
	c->pod = o->name;
	c->pod_uid = o->uid;
	c->node = pod->spec.node_name;
	node = c->node.n ? store_get(r->s->store, &v1_node_resource, S(""), c->node) : NULL;
	if (node)
		c->node_uid = arena_str(r->arena, node->uid);
	object_unref(node);
	return 0;
}

static int bind_object(struct request *r,
	const struct authentication_v1_bound_object_reference *ref, struct token_claims *c,
	struct err *err)
{
	const struct object *o;
	int e;

	if (str_eqc(ref->api_version, "v1") && str_eqc(ref->kind, "Pod"))
		return bind_pod(r, ref, c, err);
	if (str_eqc(ref->api_version, "v1") && str_eqc(ref->kind, "Secret")) {
		e = find_bound(r, &v1_secret_resource, r->ctx.ns, ref, &o, err);
		if (e < 0)
			return e;
		c->secret = o->name;
		c->secret_uid = o->uid;
		return 0;
	}
	if (str_eqc(ref->api_version, "v1") && str_eqc(ref->kind, "Node")) {
		e = find_bound(r, &v1_node_resource, S(""), ref, &o, err);
		if (e < 0)
			return e;
		c->node = o->name;
		c->node_uid = o->uid;
		return 0;
	}
	return err_bad_request(err,
		"cannot bind token to object of type " STR_FMT ", Kind=" STR_FMT,
		STR_ARG(ref->api_version), STR_ARG(ref->kind));
}

/* --- the answer --- */

static void issue(struct request *r, struct authentication_v1_token_request *t,
	const struct object *account, struct token_claims *c)
{
	const struct meta_v1_object_meta *m = object_meta(account, r->arena);

	c->ns = r->ctx.ns;
	c->service_account = r->ctx.name;
	c->service_account_uid = account->uid;
	c->audiences = t->spec.audiences;
	c->issued_s = r->now_ns / 1000000000;
	c->expires_s = c->issued_s + *t->spec.expiration_seconds;
	t->kind = S("TokenRequest");
	t->api_version = S("authentication.k8s.io/v1");
	t->metadata = (struct meta_v1_object_meta){.name = m->name,
		.namespace = m->namespace,
		.uid = m->uid,
		.creation_timestamp = time_from_ns(r->now_ns)};
	t->status.token = token_sign(r->s->auth, r->arena, c);
	t->status.expiration_timestamp = (struct k8s_time){.set = true, .sec = c->expires_s};
	respond_other(r, 201, &authentication_v1_token_request_schema, t);
}

static int read_token(
	struct request *r, struct authentication_v1_token_request **ret, struct err *err)
{
	struct write_options opts;
	void *typed;
	int e = negotiate_output(r, err);

	if (e >= 0)
		e = write_options_read(r, "CreateOptions", &opts, err);
	if (e >= 0)
		e = decode_body(r, &token_body, opts.validation, &typed, err);
	if (e < 0)
		return e;
	*ret = typed;
	return 0;
}

void handle_token(struct request *r)
{
	struct err err CLEANUP(err_release) = {0};
	struct authentication_v1_token_request *t;
	struct token_claims claims = {0};
	const struct object *account;

	if (read_token(r, &t, &err) < 0) {
		respond_error(r, &err);
		return;
	}
	account = store_get(r->s->store, &v1_service_account_resource, r->ctx.ns, r->ctx.name);
	set_defaults(r, t);
	if (!account)
		err_not_found(&err, S(""), S("serviceaccounts"), r->ctx.name);
	if (!account || validate(r, t, &err) < 0 ||
		(t->spec.bound_object_ref &&
			bind_object(r, t->spec.bound_object_ref, &claims, &err) < 0))
		respond_error(r, &err);
	else
		issue(r, t, account, &claims);
	object_unref(account);
}
