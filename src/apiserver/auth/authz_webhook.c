/*
 * authz_webhook.c: a SubjectAccessReview to a server outside decides (apiserver
 * plugin/pkg/authorizer/webhook). Its answers are kept for a while, by the question's JSON.
 */
#include "api/selector.h"
#include "apiserver/auth/answer_cache.h"
#include "apiserver/auth/authz_chain.h"
#include "apiserver/auth/match_conditions.h"
#include "apiserver/auth/outside.h"
#include "json/value.h"

enum { ANSWERS_MAX = 8192, KEPT_SIZE_MAX = 10000, REVIEW_MAX = 1 << 20 };

struct authz_webhook {
	struct arena arena;
	struct str name;
	bool v1beta1, deny_on_error;
	int64_t allowed_ttl_ms, refused_ttl_ms;
	struct outside_server *server;
	struct answer_cache *answers;
	struct match_conditions conditions;
};

/* --- the question --- */

static void field_requirements(
	struct arena *a, struct str raw, struct authorization_v1_field_selector_attributes **ret)
{
	struct authorization_v1_field_selector_attributes *out =
		ARENA_NEW(a, struct authorization_v1_field_selector_attributes);
	struct field_selector s = {0};

	if (!raw.n || field_selector_parse(raw, a, &s, NULL) < 0 || !s.n)
		return;
	for (size_t i = 0; i < s.n; i++) {
		struct meta_v1_field_selector_requirement r = {
			.key = s.v[i].field, .operator= s.v[i].negated ? S("NotIn") : S("In")};

		ARENA_PUSH(a, &r.values, s.v[i].value);
		ARENA_PUSH(a, &out->requirements, r);
	}
	*ret = out;
}

static struct str operator_of(enum label_op op)
{
	switch (op) {
	case LABEL_EQUALS:
	case LABEL_IN:
		return S("In");
	case LABEL_NOT_EQUALS:
	case LABEL_NOT_IN:
		return S("NotIn");
	case LABEL_EXISTS:
		return S("Exists");
	case LABEL_NOT_EXISTS:
		return S("DoesNotExist");
	default:
		return S(""); /* what a review cannot say; leaving it out asks for more, not less */
	}
}

static void label_requirements(
	struct arena *a, struct str raw, struct authorization_v1_label_selector_attributes **ret)
{
	struct authorization_v1_label_selector_attributes *out =
		ARENA_NEW(a, struct authorization_v1_label_selector_attributes);
	struct label_selector s = {0};

	if (!raw.n || label_selector_parse(raw, a, &s, NULL) < 0)
		return;
	for (size_t i = 0; i < s.n; i++) {
		struct meta_v1_label_selector_requirement r = {.key = s.v[i].key,
			.operator= operator_of(s.v[i].op),
			.values = s.v[i].values};

		if (r.operator.n)
			ARENA_PUSH(a, &out->requirements, r);
	}
	if (out->requirements.n)
		*ret = out;
}

static void describe_request(struct arena *a, const struct request_info *info,
	struct authorization_v1_subject_access_review_spec *spec)
{
	struct authorization_v1_resource_attributes *r;

	if (!info->is_resource) {
		spec->non_resource_attributes =
			ARENA_NEW(a, struct authorization_v1_non_resource_attributes);
		spec->non_resource_attributes->path = info->path;
		spec->non_resource_attributes->verb = info->verb;
		return;
	}
	r = spec->resource_attributes = ARENA_NEW(a, struct authorization_v1_resource_attributes);
	*r = (struct authorization_v1_resource_attributes){.namespace = info->ns,
		.verb = info->verb,
		.group = info->group,
		.version = info->version,
		.resource = info->resource,
		.subresource = info->subresource,
		.name = info->name};
	field_requirements(a, info->field_selector, &r->field_selector);
	label_requirements(a, info->label_selector, &r->label_selector);
}

/* A question that is asked outlives the decision. */
static struct arena *lasting(const struct auth_question *q)
{
	return q->outside ? q->outside->arena : q->arena;
}

static void describe(
	const struct auth_question *q, struct authorization_v1_subject_access_review_spec *spec)
{
	*spec = (struct authorization_v1_subject_access_review_spec){
		.user = q->user->name, .uid = q->user->uid, .groups = q->user->groups};
	for (size_t i = 0; i < q->user->extra.n; i++)
		ARENA_PUSH(lasting(q), &spec->extra,
			((struct authorization_v1_extra_value_pair){
				q->user->extra.v[i].key, {q->user->extra.v[i].values}}));
	describe_request(lasting(q), q->info, spec);
}

/* The spec as JSON: what a review carries, and the key of its answer. */
static struct str spec_json(const struct authz_webhook *w,
	const struct authorization_v1_subject_access_review_spec *spec, struct arena *a)
{
	struct json_value *v, *groups;
	struct str json;
	struct buf b;

	buf_init(&b, REVIEW_MAX);
	schema_encode_json(&authorization_v1_subject_access_review_spec_schema, spec, &b);
	json = buf_failed(&b) ? S("") : arena_str(a, buf_str(&b));
	buf_release(&b);
	if (!w->v1beta1 || json_parse(json, a, &v, NULL) < 0)
		return json;
	groups = json_getc(v, "groups"); /* called "group" there */
	if (groups) {
		json_remove(v, S("groups"));
		json_set(a, v, S("group"), groups);
	}
	return json_text(v, a);
}

static struct str review_of(const struct authz_webhook *w, struct arena *a, struct str spec)
{
	return arena_fmt(a,
		"{\"kind\":\"SubjectAccessReview\",\"apiVersion\":\"authorization.k8s.io/%s\","
		"\"metadata\":{},\"spec\":" STR_FMT ",\"status\":{\"allowed\":false}}",
		w->v1beta1 ? "v1beta1" : "v1", STR_ARG(spec));
}

/* --- the answer --- */

/* As upstream weighs it: what makes the question large is not kept. */
static bool worth_keeping(const struct auth_question *q)
{
	const struct request_info *i = q->info;

	return i->ns.n + i->verb.n + i->group.n + i->version.n + i->resource.n + i->subresource.n +
		       i->name.n + i->path.n <
	       KEPT_SIZE_MAX;
}

static void keep(const struct authz_webhook *w, const struct auth_question *q, struct str spec,
	struct str answer, bool allowed)
{
	int64_t ttl_ms = allowed ? w->allowed_ttl_ms : w->refused_ttl_ms;

	if (ttl_ms > 0 && worth_keeping(q))
		answer_cache_put(w->answers, spec, answer, q->now_ns + ttl_ms * INT64_C(1000000));
}

static int read_answer(struct arena *a, struct str json,
	struct authorization_v1_subject_access_review_status *ret, struct err *err)
{
	struct authorization_v1_subject_access_review *review;
	struct err why CLEANUP(err_release) = {0};
	int r = schema_decode_json(&authorization_v1_subject_access_review_schema, json, a, NULL,
		(void **)&review, &why);

	if (r >= 0 && !str_eqc(review->kind, "SubjectAccessReview"))
		r = err_bad_request(&why, "the answer is no SubjectAccessReview");
	if (r < 0)
		return err_bad_request(err, "%s", err_text(&why));
	*ret = review->status;
	return 0;
}

static void failed(const struct authz_webhook *w, struct str error, struct auth_answer *ret)
{
	log_warn("authorization webhook " STR_FMT ": " STR_FMT, STR_ARG(w->name), STR_ARG(error));
	ret->decision = w->deny_on_error ? AUTH_DENY : AUTH_NO_OPINION;
	ret->error = error;
}

static void decide(
	const struct authorization_v1_subject_access_review_status *s, struct auth_answer *ret)
{
	ret->reason = s->reason;
	ret->decision = s->denied ? AUTH_DENY : s->allowed ? AUTH_ALLOW : AUTH_NO_OPINION;
	if (s->denied && s->allowed)
		ret->error =
			S("webhook subject access review returned both allow and deny response");
}

static void authorize_webhook(void *self, const struct auth_question *q, struct auth_answer *ret)
{
	const struct authz_webhook *w = self;
	struct authorization_v1_subject_access_review_status status;
	struct err err CLEANUP(err_release) = {0};
	struct authorization_v1_subject_access_review_spec asked;
	const struct outside_answer *answer;
	struct str spec, kept, error;

	describe(q, &asked);
	if (!match_conditions_hold(&w->conditions, &asked, q->arena, &error)) {
		if (error.n)
			failed(w, error, ret);
		return;
	}
	spec = spec_json(w, &asked, lasting(q));
	if (q->outside && answer_cache_get(w->answers, spec, q->now_ns, q->arena, &kept)) {
		if (read_answer(q->arena, kept, &status, NULL) == 0)
			decide(&status, ret);
		return;
	}
	answer = outside_get(q->outside, w->server, S(""), review_of(w, lasting(q), spec));
	if (!answer)
		return;
	if (answer->error.n) {
		failed(w, answer->error, ret);
	} else if (read_answer(q->arena, answer->body, &status, &err) < 0) {
		failed(w, arena_strc(q->arena, err_text(&err)), ret);
	} else {
		keep(w, q, spec, answer->body, status.allowed);
		decide(&status, ret);
	}
}

static void no_rules(void *self, struct auth *auth, struct arena *a, const struct user_info *user,
	struct str ns, struct authorization_v1_subject_rules_review_status *ret)
{
	ret->incomplete = true;
	auth_rules_error(a, ret, S("webhook authorizer does not support user rule resolution"));
}

static void webhook_free(void *self)
{
	struct authz_webhook *w = self;

	outside_server_free(w->server);
	answer_cache_free(w->answers);
	match_conditions_release(&w->conditions);
	arena_release(&w->arena);
	free(w);
}

int authz_webhook_new(const struct authz_webhook_opts *o, void **ret, struct err *err)
{
	struct authz_webhook *w;
	struct outside_server *server;
	int r;

	if (!str_eqc(o->version, "v1") && !str_eqc(o->version, "v1beta1"))
		return err_bad_request(err,
			"unsupported webhook authorizer version \"" STR_FMT
			"\", supported versions are \"v1\", \"v1beta1\"",
			STR_ARG(o->version));
	r = o->kubeconfig
		    ? outside_server_from_kubeconfig(o->kubeconfig, o->timeout_ms, &server, err)
		    : outside_server_in_cluster(o->timeout_ms, &server, err);
	if (r < 0)
		return r;
	w = xcalloc(1, sizeof(*w));
	w->name = arena_str(&w->arena, o->name);
	w->v1beta1 = str_eqc(o->version, "v1beta1");
	w->deny_on_error = o->deny_on_error;
	w->allowed_ttl_ms = o->allowed_ttl_ms;
	w->refused_ttl_ms = o->refused_ttl_ms;
	w->server = server;
	w->answers = answer_cache_new(ANSWERS_MAX);
	r = match_conditions_init(&w->conditions, &o->conditions, err);
	if (r < 0)
		webhook_free(w);
	else
		*ret = w;
	return r;
}

const struct authorizer webhook_authorizer = {
	.mode = "Webhook",
	.authorize = authorize_webhook,
	.rules = no_rules,
	.free = webhook_free,
};
