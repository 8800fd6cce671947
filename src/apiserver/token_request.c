/* token_request.c: POST serviceaccounts/NAME/token: a token for a service account, bound to what
 * the request names. */
#include "apiserver/managed_fields.h"
#include "apiserver/meta.h"
#include "apiserver/auth.h"
#include "apiserver/options.h"
#include "apiserver/subresource.h"

enum { SECONDS_DEFAULT = 3600, SECONDS_MIN = 600 };

#define SECONDS_MAX (1LL << 32)

struct binding {
	struct request *r;
	struct token_claims *claims;
	const struct object *pod;
};

static const struct object *get_in(struct request *r, const struct schema_resource *res,
	struct str ns, struct str name, struct err *err)
{
	const struct object *o = store_get(r->s->store, res, ns, name), *kept;

	if (!o) {
		err_not_found(err, str_c(res->group), str_c(res->plural), name);
		return NULL;
	}
	kept = object_ref_in(r->arena, o);
	object_unref(o);
	return kept;
}

static int check_names(
	struct request *r, struct authentication_v1_token_request *req, struct err *err)
{
	struct field_errors errs = {.arena = r->arena};
	struct field_path meta = FIELD(NULL, "metadata"), name = FIELD(&meta, "name");
	int e = meta_ensure_namespace(&req->metadata, r->ctx.ns, err);

	if (e < 0)
		return e;
	if (req->metadata.name.n && !str_eq(req->metadata.name, r->ctx.name))
		field_invalid(&errs, &name, req->metadata.name,
			"must match the service account name if specified");
	return field_errors_status(
		&errs, S("authentication.k8s.io"), S("TokenRequest"), r->ctx.name, err);
}

static int check_spec(
	struct request *r, const struct authentication_v1_token_request *req, struct err *err)
{
	struct field_errors errs = {.arena = r->arena};
	struct field_path spec = FIELD(NULL, "spec"), seconds = FIELD(&spec, "expirationSeconds");
	int64_t n = *req->spec.expiration_seconds;

	if (n < SECONDS_MIN)
		field_invalid_int(
			&errs, &seconds, n, "may not specify a duration less than 10 minutes");
	if (n > SECONDS_MAX)
		field_invalid_int(
			&errs, &seconds, n, "may not specify a duration larger than 2^32 seconds");
	return field_errors_status(
		&errs, S("authentication.k8s.io"), S("TokenRequest"), S(""), err);
}

static int bind_pod(
	struct request *r, const struct object *o, struct token_claims *c, struct err *err)
{
	const struct v1_pod *pod = object_decode(o, r->arena);
	const struct object *node;

	if (!str_eq(pod->spec.service_account_name, r->ctx.name))
		return err_bad_request(err,
			"cannot bind token for serviceaccount \"" STR_FMT
			"\" to pod running with different serviceaccount name.",
			STR_ARG(r->ctx.name));
	c->pod = o->name;
	c->pod_uid = o->uid;
	if (!pod->spec.node_name.n)
		return 0;
	c->node = pod->spec.node_name;
	node = store_get(r->s->store, &v1_node_resource, S(""), c->node);
	if (node)
		c->node_uid = arena_str(r->arena, node->uid);
	object_unref(node);
	return 0;
}

static int bind_token(struct request *r, const struct authentication_v1_bound_object_reference *ref,
	struct token_claims *c, struct err *err)
{
	bool core = str_find(ref->api_version, S("/")) < 0; /* of any version, or none */
	const struct object *o;
	int e = 0;

	if (core && str_eqc(ref->kind, "Pod")) {
		o = get_in(r, &v1_pod_resource, r->ctx.ns, ref->name, err);
		e = o ? bind_pod(r, o, c, err) : -ENOENT;
	} else if (core && str_eqc(ref->kind, "Secret")) {
		o = get_in(r, &v1_secret_resource, r->ctx.ns, ref->name, err);
		if (o) {
			c->secret = o->name;
			c->secret_uid = o->uid;
		}
	} else if (core && str_eqc(ref->kind, "Node")) {
		o = get_in(r, &v1_node_resource, S(""), ref->name, err);
		if (o) {
			c->node = o->name;
			c->node_uid = o->uid;
		}
	} else {
		struct str group = {0}, version;

		if (!str_cut(ref->api_version, '/', &group, &version)) {
			version = group;
			group = S("");
		}
		return err_bad_request(err,
			"cannot bind token to object of type " STR_FMT "/" STR_FMT
			", Kind=" STR_FMT,
			STR_ARG(group), STR_ARG(version), STR_ARG(ref->kind));
	}
	if (!o || e < 0)
		return o ? e : -ENOENT;
	if (ref->uid.n && !str_eq(ref->uid, o->uid)) {
		struct str why = arena_fmt(r->arena,
			"the UID in the bound object reference (" STR_FMT
			") does not match the UID in record. The object might have been deleted "
			"and then recreated",
			STR_ARG(ref->uid));

		return err_conflict(err, S(""), ref->kind, ref->name, why.p);
	}
	return 0;
}

static void fill(struct request *r, struct authentication_v1_token_request *req,
	const struct object *account)
{
	struct meta_v1_object_meta *m = &req->metadata;

	if (!req->spec.audiences.n)
		for (size_t i = 0; i < auth_audiences(r->s->auth)->n; i++)
			ARENA_PUSH(
				r->arena, &req->spec.audiences, auth_audiences(r->s->auth)->v[i]);
	m->name = account->name;
	m->namespace = account->ns;
	m->uid = account->uid;
	m->creation_timestamp = time_from_ns(r->now_ns);
	req->kind = S("TokenRequest");
	req->api_version = S("authentication.k8s.io/v1");
	req->status = (struct authentication_v1_token_request_status){0};
}

static const struct body_type token_body = {
	.group = {"authentication.k8s.io", 21},
	.version = {"v1", 2},
	.kind = {"TokenRequest", 12},
	.type = &authentication_v1_token_request_schema,
};

static int read_request(
	struct request *r, struct authentication_v1_token_request **ret, struct err *err)
{
	struct write_options opts;
	int64_t seconds = SECONDS_DEFAULT;
	void *body;
	int e = negotiate_output(r, err);

	if (e == 0)
		e = write_options_read(r, "CreateOptions", &opts, err);
	if (e == 0)
		e = decode_body(r, &token_body, opts.validation, &body, err);
	if (e < 0)
		return e;
	*ret = body;
	r->ctx.dry_run = opts.dry_run;
	if (!(*ret)->spec.expiration_seconds)
		(*ret)->spec.expiration_seconds = arena_memdup(r->arena, &seconds, sizeof(seconds));
	managed_fields_created(r, token_body.type, S("authentication.k8s.io/v1"), *ret,
		&(*ret)->metadata);
	return 0;
}

static int find_account(struct request *r, const struct authentication_v1_token_request *req,
	const struct object **ret, struct err *err)
{
	const struct object *account;
	struct str why;

	account = get_in(r, &v1_service_account_resource, r->ctx.ns, r->ctx.name, err);
	if (!account)
		return -ENOENT;
	*ret = account;
	if (!req->metadata.uid.n || str_eq(req->metadata.uid, account->uid))
		return 0;
	why = arena_fmt(r->arena,
		"the UID in the token request (" STR_FMT
		") does not match the UID of the service account (" STR_FMT ")",
		STR_ARG(req->metadata.uid), STR_ARG(account->uid));
	return err_conflict(err, S("authentication.k8s.io"), S("TokenRequest"), r->ctx.name, why.p);
}

static int make_token(
	struct request *r, struct authentication_v1_token_request *req, struct err *err)
{
	struct token_claims claims = {.issued_s = r->now_ns / 1000000000};
	const struct object *account = NULL;
	int64_t seconds, max;
	int e = check_names(r, req, err);

	if (e == 0)
		e = find_account(r, req, &account, err);
	if (e < 0)
		return e;
	fill(r, req, account);
	e = check_spec(r, req, err);
	if (e == 0 && req->spec.bound_object_ref)
		e = bind_token(r, req->spec.bound_object_ref, &claims, err);
	if (e < 0)
		return e;
	max = auth_token_seconds_max(r->s->auth);
	if (max && *req->spec.expiration_seconds > max) {
		request_warn(r, "requested expiration of %lld seconds shortened to %lld seconds",
			(long long)*req->spec.expiration_seconds, (long long)max);
		*req->spec.expiration_seconds = max;
	}
	seconds = *req->spec.expiration_seconds;
	claims.ns = account->ns;
	claims.service_account = account->name;
	claims.service_account_uid = account->uid;
	claims.audiences = req->spec.audiences;
	claims.expires_s = claims.issued_s + seconds;
	req->status.token = token_sign(r->s->auth, r->arena, &claims);
	if (!req->status.token.n)
		return err_internal(err, "failed to generate token: no signing key");
	req->status.expiration_timestamp = time_from_ns(r->now_ns + seconds * 1000000000);
	return 0;
}

static void admitted(
	struct request *r, struct admission_attrs *attrs, void *user_data, struct err *why)
{
	struct err err CLEANUP(err_release) = {0};

	if (why)
		respond_error(r, why);
	else if (make_token(r, attrs->obj, &err) < 0)
		respond_error(r, &err);
	else
		respond_other(r, 201, &authentication_v1_token_request_schema, attrs->obj);
}

void handle_token(struct request *r)
{
	struct authentication_v1_token_request *req;
	struct err err CLEANUP(err_release) = {0};

	if (read_request(r, &req, &err) < 0)
		respond_error(r, &err);
	else
		subresource_admission(r, ADMIT_CREATE, &token_body, req, NULL, admitted, NULL);
}
