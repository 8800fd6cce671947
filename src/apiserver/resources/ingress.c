/* ingress.c: Ingress and IngressClass (pkg/apis/networking/validation). */
#include "apiserver/resources/printers.h"
#include "apiserver/resources/rules.h"
#include "apiserver/validation/ip.h"

#define ANNOTATION_CLASS "kubernetes.io/ingress.class"

enum { CONTROLLER_MAX = 250 };

static bool looks_like_ip(struct str host)
{
	struct ip_addr ip;

	return ip_parse(host, &ip);
}

/* --- backends and paths --- */

/* A reference within the namespace; each part must be a name as it stands in a path. */
static void validate_local_ref(struct str group, struct str kind, struct str name,
	const struct field_path *p, struct field_errors *e)
{
	struct field_path kind_path = FIELD(p, "kind"), name_path = FIELD(p, "name");

	if (group.p)
		field_invalid_each(
			e, AT(p, "apiGroup"), group, is_dns1123_subdomain(e->arena, group));
	if (kind.n == 0)
		field_required(e, &kind_path, "");
	else
		field_invalid_each(e, &kind_path, kind, is_path_segment_name(e->arena, kind));
	if (name.n == 0)
		field_required(e, &name_path, "");
	else
		field_invalid_each(e, &name_path, name, is_path_segment_name(e->arena, name));
}

static void validate_service_backend(const struct networking_v1_ingress_service_backend *s,
	const struct field_path *p, struct field_errors *e)
{
	struct field_path service = FIELD(p, "service"), port = FIELD(&service, "port");

	if (s->name.n == 0)
		field_required(e, AT(&service, "name"), "");
	else
		field_invalid_each(
			e, AT(&service, "name"), s->name, is_dns1123_label(e->arena, s->name));
	if (s->port.name.n && s->port.number)
		field_invalid(e, p, S(""), "cannot set both port name & port number");
	else if (s->port.name.n)
		field_invalid_each(
			e, AT(&port, "name"), s->port.name, is_port_name(e->arena, s->port.name));
	else if (s->port.number)
		field_invalid_int_each(e, AT(&port, "number"), s->port.number,
			is_port_number(e->arena, s->port.number));
	else
		field_required(e, p, "port name or number is required");
}

static void validate_backend(const struct networking_v1_ingress_backend *b,
	const struct field_path *p, struct field_errors *e)
{
	if (b->resource && b->service)
		field_invalid(e, p, S(""), "cannot set both resource and service backends");
	else if (b->resource)
		validate_local_ref(b->resource->api_group, b->resource->kind, b->resource->name,
			AT(p, "resource"), e);
	else if (b->service)
		validate_service_backend(b->service, p, e);
	else
		field_invalid(e, p, S(""), "resource or service backend is required");
}

/* What would be read as another path after it was cleaned. */
static void validate_clean_path(struct str path, const struct field_path *p, struct field_errors *e)
{
	static const char *const sequences[] = {"//", "/./", "/../", "%2f", "%2F"},
				 *const ends[] = {"/..", "/."};

	for (size_t i = 0; i < ARRAY_SIZE(sequences); i++)
		if (str_find(path, str_c(sequences[i])) >= 0)
			field_invalid(e, p, path, "must not contain '%s'", sequences[i]);
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		if (str_ends(path, str_c(ends[i])))
			field_invalid(e, p, path, "cannot end with '%s'", ends[i]);
}

static void validate_path(const struct networking_v1_http_ingress_path *h,
	const struct field_path *p, struct field_errors *e)
{
	static const char *const types[] = {"Exact", "ImplementationSpecific", "Prefix", NULL};
	struct field_path path = FIELD(p, "path"), type = FIELD(p, "pathType");
	bool any = str_eqc(h->path_type, "ImplementationSpecific");

	if (!h->path_type.p) {
		field_required(e, &type, "pathType must be specified");
		return;
	}
	if (field_one_of(e, &type, h->path_type, types)) {
		if (!str_starts(h->path, S("/")) && (h->path.n || !any))
			field_invalid(e, &path, h->path, "must be an absolute path");
		if (!any)
			validate_clean_path(h->path, &path, e);
	}
	validate_backend(&h->backend, AT(p, "backend"), e);
}

static void validate_http(const struct networking_v1_http_ingress_rule_value *http,
	const struct field_path *rule, struct field_errors *e)
{
	struct field_path value = FIELD(rule, "http"), paths = FIELD(&value, "paths");

	if (!http)
		return;
	if (!http->paths.n)
		field_required(e, &paths, "");
	for (size_t i = 0; i < http->paths.n; i++)
		validate_path(&http->paths.v[i], AT_INDEX(&paths, i), e);
}

/* --- Ingress --- */

/* What was allowed once and stands in the object already stays allowed. */
struct ingress_opts {
	bool any_secret_name, any_wildcard_rule;
};

static bool is_wildcard(struct str host)
{
	return str_find(host, S("*")) >= 0;
}

static void validate_host(struct str host, const struct field_path *p, struct field_errors *e)
{
	field_invalid_each(e, p, host,
		is_wildcard(host) ? is_wildcard_dns1123_subdomain(e->arena, host)
				  : is_dns1123_subdomain(e->arena, host));
}

static void validate_rules(const struct networking_v1_ingress_rule_vec *rules,
	const struct field_path *p, const struct ingress_opts *opts, struct field_errors *e)
{
	for (size_t i = 0; i < rules->n; i++) {
		struct field_path item = FIELD_INDEX(p, i), host_path = FIELD(&item, "host");
		struct str host = rules->v[i].host;

		if (host.n && looks_like_ip(host))
			field_invalid(e, &host_path, host, "must be a DNS name, not an IP address");
		if (host.n)
			validate_host(host, &host_path, e);
		if (!is_wildcard(host) || !opts->any_wildcard_rule)
			validate_http(rules->v[i].http, &item, e);
	}
}

static struct str_vec secret_name_errors(struct arena *a, struct str name)
{
	return name.n ? is_dns1123_subdomain(a, name) : (struct str_vec){0};
}

static void validate_tls(const struct networking_v1_ingress_tls_vec *tls,
	const struct field_path *p, const struct ingress_opts *opts, struct field_errors *e)
{
	for (size_t i = 0; i < tls->n; i++) {
		const struct networking_v1_ingress_tls *t = &tls->v[i];
		struct field_path item = FIELD_INDEX(p, i), hosts = FIELD(&item, "hosts");

		for (size_t k = 0; k < t->hosts.n; k++)
			validate_host(t->hosts.v[k], AT_INDEX(&hosts, k), e);
		if (!opts->any_secret_name)
			field_invalid_each(e, AT(&item, "secretName"), t->secret_name,
				secret_name_errors(e->arena, t->secret_name));
	}
}

static void validate_ingress(const struct networking_v1_ingress *in,
	const struct ingress_opts *opts, struct field_errors *e)
{
	struct field_path spec = FIELD(NULL, "spec");
	struct str class = in->spec.ingress_class_name;

	if (!in->spec.rules.n && !in->spec.default_backend)
		field_invalid_raw(e, &spec, S("null"),
			"either `defaultBackend` or `rules` must be specified");
	if (in->spec.default_backend)
		validate_backend(in->spec.default_backend, AT(&spec, "defaultBackend"), e);
	validate_rules(&in->spec.rules, AT(&spec, "rules"), opts, e);
	validate_tls(&in->spec.tls, AT(&spec, "tls"), opts, e);
	if (class.p)
		field_invalid_each(e, AT(&spec, "ingressClassName"), class,
			is_dns1123_subdomain(e->arena, class));
}

static void ingress_validate(struct strategy_ctx *ctx, const void *obj, struct field_errors *e)
{
	const struct networking_v1_ingress *in = obj;
	const struct str *by_annotation =
		str_map_get(&in->metadata.annotations, S(ANNOTATION_CLASS));
	struct field_path annotations = FIELD(NULL, "annotations");

	validate_ingress(in, &(struct ingress_opts){0}, e);
	if (by_annotation && in->spec.ingress_class_name.p &&
		!str_eq(*by_annotation, in->spec.ingress_class_name))
		field_invalid(e, AT(&annotations, ANNOTATION_CLASS), *by_annotation,
			"must match `ingressClassName` when both are specified");
}

static bool had_bad_secret_name(const struct networking_v1_ingress *was, struct arena *a)
{
	for (size_t i = 0; i < was->spec.tls.n; i++)
		if (secret_name_errors(a, was->spec.tls.v[i].secret_name).n)
			return true;
	return false;
}

static bool had_bad_wildcard_rule(const struct networking_v1_ingress *was, struct arena *a)
{
	struct field_errors found = {.arena = a};

	for (size_t i = 0; i < was->spec.rules.n; i++)
		if (is_wildcard(was->spec.rules.v[i].host))
			validate_http(was->spec.rules.v[i].http, NULL, &found);
	return found.n;
}

static void validate_ingress_status(const struct networking_v1_ingress *in,
	const struct networking_v1_ingress *was, struct field_errors *e)
{
	const struct networking_v1_ingress_load_balancer_ingress_vec
		*list = &in->status.load_balancer.ingress,
		*old = &was->status.load_balancer.ingress;
	struct field_path status = FIELD(NULL, "status"), lb = FIELD(&status, "loadBalancer"),
			  list_path = FIELD(&lb, "ingress");
	struct str_vec kept = {0};

	for (size_t i = 0; i < old->n; i++)
		ARENA_PUSH(e->arena, &kept, old->v[i].ip);
	for (size_t i = 0; i < list->n; i++) {
		struct field_path item = FIELD_INDEX(&list_path, i),
				  host = FIELD(&item, "hostname");
		struct str name = list->v[i].hostname;

		if (list->v[i].ip.n)
			validate_ip_legacy(list->v[i].ip, &kept, AT(&item, "ip"), e);
		if (name.n)
			field_invalid_each(e, &host, name, is_dns1123_subdomain(e->arena, name));
		if (name.n && looks_like_ip(name))
			field_invalid(e, &host, name, "must be a DNS name, not an IP address");
	}
}

static void ingress_validate_update(
	struct strategy_ctx *ctx, const void *obj, const void *old, struct field_errors *e)
{
	struct ingress_opts opts = {
		had_bad_secret_name(old, e->arena), had_bad_wildcard_rule(old, e->arena)};

	if (is_status(ctx))
		validate_ingress_status(obj, old, e);
	else
		validate_ingress(obj, &opts, e);
}

static void ingress_warn(struct strategy_ctx *ctx, const void *obj, const void *old)
{
	const struct networking_v1_ingress *in = obj;
	struct field_path status = FIELD(NULL, "status"), lb = FIELD(&status, "loadBalancer"),
			  list = FIELD(&lb, "ingress");

	if (!old && str_map_get(&in->metadata.annotations, S(ANNOTATION_CLASS)) &&
		!in->spec.ingress_class_name.p)
		ctx_warn(ctx, "annotation \"" ANNOTATION_CLASS
			      "\" is deprecated, please use 'spec.ingressClassName' instead");
	for (size_t i = 0; is_status(ctx) && i < in->status.load_balancer.ingress.n; i++) {
		struct str ip = in->status.load_balancer.ingress.v[i].ip;
		struct str line = ip.n ? ip_warning(ctx->arena, AT_INDEX(&list, i), ip) : S("");

		if (line.n)
			ctx_warn(ctx, STR_FMT, STR_ARG(line));
	}
}

static void ingress_prepare_create(struct strategy_ctx *ctx, void *obj)
{
	struct networking_v1_ingress *in = obj;

	in->status = (struct networking_v1_ingress_status){0};
}

static void ingress_prepare_update(struct strategy_ctx *ctx, void *obj, const void *old)
{
	const struct networking_v1_ingress *was = old;
	struct networking_v1_ingress *in = obj;

	if (is_status(ctx))
		in->spec = was->spec;
	else
		in->status = was->status;
}

const struct strategy ingress_strategy = {
	.resource = &networking_v1_ingress_resource,
	.generate_generation = true,
	.name_errors = name_is_dns_subdomain,
	.prepare_create = ingress_prepare_create,
	.prepare_update = ingress_prepare_update,
	.validate = ingress_validate,
	.validate_update = ingress_validate_update,
	.warn = ingress_warn,
	.table_row = print_ingress,
};

/* --- IngressClass --- */

static void validate_parameters(const struct networking_v1_ingress_class_parameters_reference *r,
	const struct field_path *p, struct field_errors *e)
{
	static const char *const scopes[] = {"Cluster", "Namespace", NULL};
	struct field_path ns = FIELD(p, "namespace");

	validate_local_ref(r->api_group, r->kind, r->name, p, e);
	if (!r->scope.p) {
		field_required(e, AT(p, "scope"), "");
		return;
	}
	if (!field_one_of(e, AT(p, "scope"), r->scope, scopes))
		return;
	if (str_eqc(r->scope, "Cluster")) {
		if (r->namespace.p)
			field_forbidden(e, &ns, "`parameters.scope` is set to 'Cluster'");
	} else if (!r->namespace.p) {
		field_required(e, &ns, "`parameters.scope` is set to 'Namespace'");
	} else {
		field_invalid_each(e, &ns, r->namespace, is_dns1123_label(e->arena, r->namespace));
	}
}

static void class_validate(struct strategy_ctx *ctx, const void *obj, struct field_errors *e)
{
	const struct networking_v1_ingress_class *c = obj;
	struct field_path spec = FIELD(NULL, "spec"), controller = FIELD(&spec, "controller");

	if (c->spec.controller.n > CONTROLLER_MAX)
		field_too_long(e, &controller, CONTROLLER_MAX);
	validate_domain_prefixed_path(c->spec.controller, &controller, e);
	if (c->spec.parameters)
		validate_parameters(c->spec.parameters, AT(&spec, "parameters"), e);
}

static void class_validate_update(
	struct strategy_ctx *ctx, const void *obj, const void *old, struct field_errors *e)
{
	const struct networking_v1_ingress_class *c = obj, *was = old;
	struct field_path spec = FIELD(NULL, "spec");

	validate_immutable_str(
		c->spec.controller, was->spec.controller, AT(&spec, "controller"), e);
	revalidate_meta(ctx, &c->metadata, e);
	class_validate(ctx, obj, e);
}

const struct strategy ingress_class_strategy = {
	.resource = &networking_v1_ingress_class_resource,
	.generate_generation = true,
	.name_errors = name_is_dns_subdomain,
	.validate = class_validate,
	.validate_update = class_validate_update,
	.table_row = print_ingress_class,
};
