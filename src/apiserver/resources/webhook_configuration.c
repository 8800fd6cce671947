/* webhook_configuration.c: MutatingWebhookConfiguration, ValidatingWebhookConfiguration
 * (pkg/apis/admissionregistration/validation). */
#include "apiserver/resources/match_rules.h"
#include "apiserver/resources/printers.h"
#include "apiserver/resources/rules.h"

enum { TIMEOUT_MAX_S = 30, PORT_MAX = 65535 };

/* What both kinds' webhooks have. */
struct hook {
	struct str name;
	const struct admissionregistration_v1_webhook_client_config *client;
	const struct admissionregistration_v1_rule_with_operations_vec *rules;
	struct str failure_policy, match_policy, side_effects, reinvocation;
	const struct meta_v1_label_selector *namespaces, *objects;
	const int32_t *timeout_s;
	const struct str_vec *versions;
	const struct admissionregistration_v1_match_condition_vec *conditions;
};

struct hooks {
	struct hook *v;
	size_t n;
};

#define HOOK(from, again)                                                                          \
	((struct hook){                                                                            \
		.name = (from)->name,                                                              \
		.client = &(from)->client_config,                                                  \
		.rules = &(from)->rules,                                                           \
		.failure_policy = (from)->failure_policy,                                          \
		.match_policy = (from)->match_policy,                                              \
		.side_effects = (from)->side_effects,                                              \
		.reinvocation = (again),                                                           \
		.namespaces = (from)->namespace_selector,                                          \
		.objects = (from)->object_selector,                                                \
		.timeout_s = (from)->timeout_seconds,                                              \
		.versions = &(from)->admission_review_versions,                                    \
		.conditions = &(from)->match_conditions,                                           \
	})

static bool is_mutating(const struct strategy_ctx *ctx)
{
	return ctx->resource == &admissionregistration_v1_mutating_webhook_configuration_resource;
}

static struct hooks hooks_of(const struct strategy_ctx *ctx, const void *obj)
{
	const struct admissionregistration_v1_mutating_webhook_configuration *m = obj;
	const struct admissionregistration_v1_validating_webhook_configuration *v = obj;
	struct hooks all = {0};

	if (is_mutating(ctx))
		for (size_t i = 0; i < m->webhooks.n; i++)
			ARENA_PUSH(ctx->arena, &all,
				HOOK(&m->webhooks.v[i], m->webhooks.v[i].reinvocation_policy));
	else
		for (size_t i = 0; i < v->webhooks.n; i++)
			ARENA_PUSH(ctx->arena, &all, HOOK(&v->webhooks.v[i], (struct str){0}));
	return all;
}

/* What was allowed once may stay in an update. */
struct leave {
	bool side_effects, versions, names, conditions;
};

/* --- where it is --- */

#define FORM "; desired format: https://host[/path]"

static void validate_url(struct str url, const struct field_path *p, struct field_errors *e)
{
	struct str scheme = S(""), rest = url, host, fragment = S(""), query = S("");
	ssize_t at = str_find(url, S(":")), slash;

	if (at > 0 && str_find(str_sub(url, 0, (size_t)at), S("/")) < 0) {
		scheme = str_lower(e->arena, str_sub(url, 0, (size_t)at));
		rest = str_sub(url, (size_t)at + 1, url.n);
	}
	str_cut(rest, '#', &rest, &fragment);
	str_cut(rest, '?', &rest, &query);
	host = str_starts(rest, S("//")) ? str_sub(rest, 2, rest.n) : S("");
	slash = str_chr(host, '/');
	host = slash < 0 ? host : str_sub(host, 0, (size_t)slash);
	at = str_rchr(host, '@');
	if (!str_eqc(scheme, "https"))
		field_invalid(e, p, scheme, "'https' is the only allowed URL scheme" FORM);
	if (!str_sub(host, (size_t)(at + 1), host.n).n)
		field_invalid(e, p, S(""), "host must be specified" FORM);
	if (at >= 0)
		field_invalid(e, p, str_sub(host, 0, (size_t)at),
			"user information is not permitted in the URL");
	if (fragment.n)
		field_invalid(e, p, fragment, "fragments are not permitted in the URL");
	if (query.n)
		field_invalid(e, p, query, "query parameters are not permitted in the URL");
}

static void validate_path(struct str path, const struct field_path *p, struct field_errors *e)
{
	struct str rest, step;
	bool more = true;

	if (!path.n || str_eqc(path, "/"))
		return;
	if (str_eqc(path, "//")) {
		field_invalid(e, p, path, "segment[0] may not be empty");
		return;
	}
	if (path.p[0] != '/')
		field_invalid(e, p, path, "must start with a '/'");
	rest = str_sub(path, 1, path.n);
	if (str_ends(rest, S("/")))
		rest.n--;
	for (size_t i = 0; more; i++) {
		struct str_vec why;

		more = str_cut(rest, '/', &step, &rest);
		if (!step.n) {
			field_invalid(e, p, path, "segment[%zu] may not be empty", i);
			continue;
		}
		why = is_dns1123_subdomain(e->arena, step);
		for (size_t k = 0; k < why.n; k++)
			field_invalid(e, p, path, "segment[%zu]: " STR_FMT, i, STR_ARG(why.v[k]));
	}
}

/* Upstream hands name and namespace over the wrong way round, so each is missed as the other. */
static void validate_service(const struct admissionregistration_v1_service_reference *s,
	const struct field_path *p, struct field_errors *e)
{
	int32_t port = s->port ? *s->port : 0;

	if (!s->namespace.n)
		field_required(e, AT(p, "name"), "%s", "");
	if (!s->name.n)
		field_required(e, AT(p, "namespace"), "%s", "");
	if (port < 1 || port > PORT_MAX)
		field_invalid_int(e, AT(p, "port"), port,
			"port is not valid: must be between 1 and 65535, inclusive");
	if (s->path.p)
		validate_path(s->path, AT(p, "path"), e);
}

static void validate_client(const struct admissionregistration_v1_webhook_client_config *c,
	const struct field_path *p, struct field_errors *e)
{
	if (!c->url.p == !c->service)
		field_required(e, p, "exactly one of url or service is required");
	else if (c->url.p)
		validate_url(c->url, AT(p, "url"), e);
	else
		validate_service(c->service, AT(p, "service"), e);
}

/* --- the rest --- */

static bool is_known_version(struct str v)
{
	return str_eqc(v, "v1") || str_eqc(v, "v1beta1");
}

static bool has_known_version(const struct str_vec *v)
{
	for (size_t i = 0; i < v->n; i++)
		if (is_known_version(v->v[i]))
			return true;
	return false;
}

static void validate_versions(const struct str_vec *v, bool need_known, const struct field_path *p,
	struct field_errors *e)
{
	if (!v->n) {
		field_required(e, p, "must specify one of v1, v1beta1");
		return;
	}
	for (size_t i = 0; i < v->n; i++) {
		struct field_path at = FIELD_INDEX(p, i);
		struct str_vec before = {v->v, i};

		if (str_vec_has(&before, v->v[i]))
			field_invalid(e, &at, v->v[i], "duplicate version");
		else
			field_invalid_each(e, &at, v->v[i], is_dns1035_label(e->arena, v->v[i]));
	}
	if (need_known && !has_known_version(v))
		field_invalid_raw(e, p, str_vec_json(e->arena, v),
			"must include at least one of v1, v1beta1");
}

static void validate_side_effects(
	struct str s, bool any, const struct field_path *p, struct field_errors *e)
{
	static const char *const all[] = {"None", "NoneOnDryRun", "Some", "Unknown", NULL};
	static const char *const none[] = {"None", "NoneOnDryRun", NULL};

	if (!s.p)
		field_required(e, p, "must specify one of %s",
			any ? "None, NoneOnDryRun, Some, Unknown" : "None, NoneOnDryRun");
	else
		field_one_of(e, p, s, any ? all : none);
}

static void validate_hook(const struct hook *h, const struct leave *leave,
	const struct field_path *p, struct field_errors *e)
{
	static const char *const failure[] = {"Fail", "Ignore", NULL};
	static const char *const match[] = {"Equivalent", "Exact", NULL};
	static const char *const again[] = {"IfNeeded", "Never", NULL};
	struct field_path rules = FIELD(p, "rules");

	validate_fully_qualified_name(h->name, AT(p, "name"), e);
	for (size_t k = 0; k < h->rules->n; k++)
		validate_admission_rule(&h->rules->v[k], AT_INDEX(&rules, k), e);
	if (h->failure_policy.p)
		field_one_of(e, AT(p, "failurePolicy"), h->failure_policy, failure);
	if (h->match_policy.p)
		field_one_of(e, AT(p, "matchPolicy"), h->match_policy, match);
	validate_side_effects(h->side_effects, leave->side_effects, AT(p, "sideEffects"), e);
	if (h->timeout_s && (*h->timeout_s < 1 || *h->timeout_s > TIMEOUT_MAX_S))
		field_invalid_int(e, AT(p, "timeoutSeconds"), *h->timeout_s,
			"the timeout value must be between 1 and 30 seconds");
	if (h->namespaces)
		validate_label_selector(h->namespaces, AT(p, "namespaceSelector"), e);
	if (h->objects)
		validate_label_selector(h->objects, AT(p, "objectSelector"), e);
	if (h->reinvocation.p)
		field_one_of(e, AT(p, "reinvocationPolicy"), h->reinvocation, again);
	validate_client(h->client, AT(p, "clientConfig"), e);
	if (!leave->conditions)
		validate_match_conditions(h->conditions, false, AT(p, "matchConditions"), e);
	validate_versions(h->versions, !leave->versions, AT(p, "admissionReviewVersions"), e);
}

static void validate_hooks(
	const struct hooks *all, const struct leave *leave, struct field_errors *e)
{
	struct field_path list = FIELD(NULL, "webhooks");
	struct str_vec names = {0};

	for (size_t i = 0; i < all->n; i++) {
		struct field_path p = FIELD_INDEX(&list, i);
		struct str name = all->v[i].name;

		validate_hook(&all->v[i], leave, &p, e);
		if (leave->names || !name.n)
			continue;
		if (str_vec_has(&names, name))
			field_duplicate(e, AT(&p, "name"), name);
		else
			ARENA_PUSH(e->arena, &names, name);
	}
}

static void validate(struct strategy_ctx *ctx, const void *obj, struct field_errors *e)
{
	const struct hooks all = hooks_of(ctx, obj);
	const struct leave nothing = {0};

	validate_hooks(&all, &nothing, e);
}

static bool same_conditions(const struct hooks *x, const struct hooks *y)
{
	for (size_t i = 0; i < x->n && i < y->n; i++)
		if (!match_conditions_equal(x->v[i].conditions, y->v[i].conditions))
			return false;
	return x->n == y->n;
}

static struct leave leave_of(struct arena *a, const struct hooks *now, const struct hooks *old)
{
	struct leave l = {.conditions = same_conditions(now, old)};
	struct str_vec names = {0};

	for (size_t i = 0; i < old->n; i++) {
		struct str s = old->v[i].side_effects;

		l.side_effects |= !str_eqc(s, "None") && !str_eqc(s, "NoneOnDryRun");
		l.versions |= old->v[i].versions->n && !has_known_version(old->v[i].versions);
		l.names |= str_vec_has(&names, old->v[i].name);
		ARENA_PUSH(a, &names, old->v[i].name);
	}
	return l;
}

static void validate_update(
	struct strategy_ctx *ctx, const void *obj, const void *old, struct field_errors *e)
{
	const struct hooks now = hooks_of(ctx, obj), was = hooks_of(ctx, old);
	const struct leave leave = leave_of(e->arena, &now, &was);

	revalidate_meta(ctx, meta_of_const(ctx->resource, obj), e);
	validate_hooks(&now, &leave, e);
}

static void prepare_create(struct strategy_ctx *ctx, void *obj)
{
	meta_of(ctx->resource, obj)->generation = 1;
}

/* Whether the webhooks are the same: all but them is taken away on both sides. */
static bool same_webhooks(const struct strategy_ctx *ctx, const void *obj, const void *old)
{
	const struct admissionregistration_v1_mutating_webhook_configuration *m = obj, *was_m = old;
	const struct admissionregistration_v1_validating_webhook_configuration *v = obj,
									       *was_v = old;
	struct admissionregistration_v1_mutating_webhook_configuration a = {0}, b = {0};
	struct admissionregistration_v1_validating_webhook_configuration x = {0}, y = {0};

	if (is_mutating(ctx)) {
		a.webhooks = m->webhooks;
		b.webhooks = was_m->webhooks;
		return schema_equal(ctx->resource->type, &a, &b);
	}
	x.webhooks = v->webhooks;
	y.webhooks = was_v->webhooks;
	return schema_equal(ctx->resource->type, &x, &y);
}

static void prepare_update(struct strategy_ctx *ctx, void *obj, const void *old)
{
	if (!same_webhooks(ctx, obj, old))
		meta_of(ctx->resource, obj)->generation++;
}

static void warn(struct strategy_ctx *ctx, const void *obj, const void *old)
{
	warn_static_name(ctx, meta_of_const(ctx->resource, obj)->name);
}

static void print(struct arena *a, const struct meta_v1_object_meta *m, size_t webhooks,
	int64_t now_ns, struct buf *cells)
{
	struct row r = {.a = a, .out = cells, .now_ns = now_ns};

	row_str(&r, m->name);
	row_int(&r, (int64_t)webhooks);
	row_age(&r, &m->creation_timestamp);
}

static void print_mutating(struct arena *a, const void *obj, int64_t now_ns, struct buf *cells)
{
	const struct admissionregistration_v1_mutating_webhook_configuration *c = obj;

	print(a, &c->metadata, c->webhooks.n, now_ns, cells);
}

static void print_validating(struct arena *a, const void *obj, int64_t now_ns, struct buf *cells)
{
	const struct admissionregistration_v1_validating_webhook_configuration *c = obj;

	print(a, &c->metadata, c->webhooks.n, now_ns, cells);
}

#define STRATEGY(resource_, row)                                                                   \
	{                                                                                          \
		.resource = (resource_), .no_unconditional_update = true,                          \
		.name_errors = name_is_dns_subdomain, .prepare_create = prepare_create,            \
		.prepare_update = prepare_update, .validate = validate,                            \
		.validate_update = validate_update, .warn = warn, .table_row = (row),              \
	}

const struct strategy mutating_webhook_configuration_strategy =
	STRATEGY(&admissionregistration_v1_mutating_webhook_configuration_resource, print_mutating);
const struct strategy validating_webhook_configuration_strategy = STRATEGY(
	&admissionregistration_v1_validating_webhook_configuration_resource, print_validating);
