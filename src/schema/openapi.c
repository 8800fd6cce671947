/* openapi.c: the documents and their paths. */
#include "schema/openapi.h"

#include <ctype.h>

#include "schema/openapi_internal.h"
#include "types.gen.h"

enum { DOCUMENT_MAX = 64 * 1024 * 1024 };

/* --- operations --- */

struct operation {
	const char *method; /* get */
	const char *prefix; /* of the operationId: read */
	const char *action; /* x-kubernetes-action */
	uint32_t verb;
	const char *const
		*query; /* names of its parameters, a leading # for integers, ? for booleans */
};

static const char *const list_query[] = {"?allowWatchBookmarks", "continue", "fieldSelector",
	"labelSelector", "#limit", "resourceVersion", "resourceVersionMatch", "?sendInitialEvents",
	"#timeoutSeconds", "?watch", NULL};
static const char *const write_query[] = {"dryRun", "fieldManager", "fieldValidation", NULL};
static const char *const patch_query[] = {
	"dryRun", "fieldManager", "fieldValidation", "?force", NULL};
static const char *const delete_query[] = {
	"dryRun", "#gracePeriodSeconds", "?orphanDependents", "propagationPolicy", NULL};
static const char *const no_query[] = {NULL};

static const struct operation collection_ops[] = {
	{"delete", "deleteCollection", "deletecollection", VERB_DELETECOLLECTION, delete_query},
	{"get", "list", "list", VERB_LIST, list_query},
	{"post", "create", "post", VERB_CREATE, write_query},
};

static const struct operation item_ops[] = {
	{"delete", "delete", "delete", VERB_DELETE, delete_query},
	{"get", "read", "get", VERB_GET, no_query},
	{"patch", "patch", "patch", VERB_PATCH, patch_query},
	{"post", "create", "post", VERB_CREATE, write_query},
	{"put", "replace", "put", VERB_UPDATE, write_query},
};

/* What an operation is about. */
struct subject {
	const struct schema_resource *res;
	const struct schema_subresource *sub; /* or NULL */
	bool one;                             /* an object, else the collection */
	bool all_namespaces;
};

static void write_parameter(
	struct openapi *o, const char *in, const char *name, const char *type, bool first)
{
	bool required = strcmp(in, "path") == 0;

	buf_fmt(o->out, "%s{\"in\":\"%s\",\"name\":\"%s\"", first ? "" : ",", in, name);
	if (required)
		buf_add_c(o->out, ",\"required\":true");
	if (o->v3)
		buf_fmt(o->out, ",\"schema\":{\"type\":\"%s\",\"uniqueItems\":true}}", type);
	else
		buf_fmt(o->out, ",\"type\":\"%s\",\"uniqueItems\":true}", type);
}

static void write_query_parameters(struct openapi *o, const char *const *names)
{
	write_parameter(o, "query", "pretty", "string", true);
	for (; *names; names++) {
		const char *name = *names, *type = *name == '#'   ? "integer"
						   : *name == '?' ? "boolean"
								  : "string";

		write_parameter(o, "query", name + (*name == '#' || *name == '?'), type, false);
	}
}

static const struct schema_type *body_type(const struct subject *s, const struct operation *op)
{
	if (op->verb == VERB_DELETE || op->verb == VERB_DELETECOLLECTION)
		return &meta_v1_delete_options_schema;
	if (op->verb == VERB_GET || op->verb == VERB_LIST)
		return NULL;
	return s->sub ? s->sub->type : s->res->type;
}

static const struct schema_type *answer_type(const struct subject *s, const struct operation *op)
{
	if (op->verb == VERB_DELETE || op->verb == VERB_DELETECOLLECTION)
		return &meta_v1_status_schema;
	if (s->sub)
		return s->sub->type;
	return op->verb == VERB_LIST ? s->res->list_type : s->res->type;
}

static void write_body(struct openapi *o, const struct operation *op, const struct schema_type *t)
{
	static const char patches[] =
		"\"application/json-patch+json\",\"application/merge-patch+json\","
		"\"application/strategic-merge-patch+json\",\"application/apply-patch+yaml\"";
	bool patch = op->verb == VERB_PATCH,
	     required = op->verb != VERB_DELETE && op->verb != VERB_DELETECOLLECTION;

	if (!o->v3) {
		buf_fmt(o->out, ",{\"in\":\"body\",\"name\":\"body\",\"required\":%s,\"schema\":",
			required ? "true" : "false");
		if (patch)
			buf_add_c(o->out, "{\"type\":\"object\"}");
		else
			openapi_ref(o, t->name);
		buf_fmt(o->out, "}],\"consumes\":[%s]", patch ? patches : "\"*/*\"");
		return;
	}
	buf_add_c(o->out, "],\"requestBody\":{\"content\":{");
	if (patch)
		buf_add_c(o->out,
			"\"application/json-patch+json\":{\"schema\":{\"type\":\"object\"}},"
			"\"application/merge-patch+json\":{\"schema\":{\"type\":\"object\"}},"
			"\"application/"
			"strategic-merge-patch+json\":{\"schema\":{\"type\":\"object\"}},"
			"\"application/apply-patch+yaml\":{\"schema\":{\"type\":\"object\"}}");
	else {
		buf_add_c(o->out, "\"*/*\":{\"schema\":");
		openapi_ref(o, t->name);
		buf_add_char(o->out, '}');
	}
	buf_fmt(o->out, "}%s}", required ? ",\"required\":true" : "");
}

static void write_answer(struct openapi *o, const struct schema_type *t)
{
	buf_add_c(o->out, ",\"responses\":{\"200\":{\"description\":\"OK\"");
	if (t && o->v3) {
		buf_add_c(o->out, ",\"content\":{\"application/json\":{\"schema\":");
		openapi_ref(o, t->name);
		buf_add_c(o->out, "}}");
	} else if (t) {
		buf_add_c(o->out, ",\"schema\":");
		openapi_ref(o, t->name);
	}
	buf_add_c(o->out, "},\"401\":{\"description\":\"Unauthorized\"}}");
}

static void write_camel(struct buf *b, struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		buf_add_char(b, i == 0 ? (char)toupper((unsigned char)s.p[i]) : s.p[i]);
}

static void write_id(struct openapi *o, const struct subject *s, const struct operation *op)
{
	const struct schema_resource *r = s->res;
	struct str label, rest;

	buf_fmt(o->out, "\"operationId\":\"%s", op->prefix);
	if (str_cut(str_c(r->group), '.', &label, &rest) || *r->group)
		write_camel(o->out, label);
	else
		write_camel(o->out, S("core"));
	write_camel(o->out, str_c(r->version));
	if (r->namespaced && !s->all_namespaces)
		buf_add_c(o->out, "Namespaced");
	buf_add_c(o->out, r->kind);
	if (s->sub)
		write_camel(o->out, str_c(s->sub->name));
	buf_add_c(o->out, s->all_namespaces ? "ForAllNamespaces\"" : "\"");
}

static void write_operation(struct openapi *o, const struct subject *s, const struct operation *op)
{
	const struct schema_type *body = body_type(s, op), *answer = answer_type(s, op);
	const struct schema_subresource *sub = s->sub;
	bool other = sub && sub->group;

	buf_fmt(o->out, "\"%s\":{", op->method);
	write_id(o, s, op);
	buf_add_c(o->out, ",\"parameters\":[");
	write_query_parameters(o, op->query);
	if (body)
		write_body(o, op, body);
	else
		buf_add_char(o->out, ']');
	write_answer(o, answer);
	buf_fmt(o->out,
		",\"x-kubernetes-action\":\"%s\",\"x-kubernetes-group-version-kind\":{\"group\":\"%"
		"s\",\"kind\":\"%s\","
		"\"version\":\"%s\"}}",
		op->action, other ? sub->group : s->res->group,
		sub && sub->kind ? sub->kind : s->res->kind,
		other ? sub->version : s->res->version);
}

/* --- paths --- */

static void write_path(struct openapi *o, const struct subject *s, const struct operation *ops,
	size_t n, bool *first)
{
	const struct schema_resource *r = s->res;
	uint32_t verbs = s->sub ? s->sub->verbs : r->verbs;
	bool namespaced = r->namespaced && !s->all_namespaces, any = false;

	for (size_t i = 0; i < n; i++)
		any |= (verbs & ops[i].verb) && !(s->one && !s->sub && ops[i].verb == VERB_CREATE);
	if (!any)
		return;
	buf_fmt(o->out, "%s\"/%s%s/%s", *first ? "" : ",", *r->group ? "apis/" : "api", r->group,
		r->version);
	*first = false;
	buf_fmt(o->out, "%s/%s%s", namespaced ? "/namespaces/{namespace}" : "", r->plural,
		s->one ? "/{name}" : "");
	if (s->sub)
		buf_fmt(o->out, "/%s", s->sub->name);
	buf_add_c(o->out, "\":{");
	any = false;
	for (size_t i = 0; i < n; i++) {
		if (!(verbs & ops[i].verb) || (s->one && !s->sub && ops[i].verb == VERB_CREATE) ||
			(s->all_namespaces && ops[i].verb != VERB_LIST))
			continue;
		if (any)
			buf_add_char(o->out, ',');
		any = true;
		write_operation(o, s, &ops[i]);
	}
	if (s->one || namespaced) {
		buf_fmt(o->out, "%s\"parameters\":[", any ? "," : "");
		if (s->one)
			write_parameter(o, "path", "name", "string", true);
		if (namespaced)
			write_parameter(o, "path", "namespace", "string", !s->one);
		buf_add_char(o->out, ']');
	}
	buf_add_char(o->out, '}');
}

static void write_paths_of(struct openapi *o, const struct schema_resource *r, bool *first)
{
	struct subject s = {.res = r};

	write_path(o, &s, collection_ops, ARRAY_SIZE(collection_ops), first);
	if (r->namespaced && r->verbs & VERB_LIST) {
		s.all_namespaces = true;
		write_path(o, &s, collection_ops, ARRAY_SIZE(collection_ops), first);
		s.all_namespaces = false;
	}
	s.one = true;
	write_path(o, &s, item_ops, ARRAY_SIZE(item_ops), first);
	for (size_t i = 0; i < r->n_subresources; i++) {
		s.sub = &r->subresources[i];
		write_path(o, &s, item_ops, ARRAY_SIZE(item_ops), first);
	}
}

static bool is_of(const struct schema_resource *r, struct str group, struct str version)
{
	return str_eqc(group, r->group) && str_eqc(version, r->version);
}

/* Paths and wanted types of a group-version, or of all (version {NULL,0}); returns the number of
 * resources. */
static size_t write_paths(struct openapi *o, struct str group, struct str version)
{
	bool first = true;
	size_t n = 0;

	buf_add_char(o->out, '{');
	openapi_want(o, &meta_v1_status_schema);
	openapi_want(o, &meta_v1_delete_options_schema);
	for (size_t i = 0; i < schema_n_resources; i++) {
		const struct schema_resource *r = schema_resources[i];

		if (!r->verbs || (version.p && !is_of(r, group, version)))
			continue;
		n++;
		openapi_want(o, r->type);
		if (r->list_type)
			openapi_want(o, r->list_type);
		for (size_t k = 0; k < r->n_subresources; k++)
			if (r->subresources[k].type)
				openapi_want(o, r->subresources[k].type);
		write_paths_of(o, r, &first);
	}
	buf_add_char(o->out, '}');
	return n;
}

/* --- documents --- */

void openapi_v2_write(const char *version, struct buf *out)
{
	struct openapi o = {.out = out, .wanted = xcalloc(schema_n_types, sizeof(bool))};

	buf_fmt(out,
		"{\"swagger\":\"2.0\",\"info\":{\"title\":\"Kubernetes\",\"version\":\"%s\"},"
		"\"paths\":",
		version);
	write_paths(&o, (struct str){0}, (struct str){0});
	buf_add_c(out, ",\"definitions\":");
	openapi_write_types(&o);
	buf_add_c(out, ",\"securityDefinitions\":{\"BearerToken\":{\"description\":\"Bearer Token "
		       "authentication\",\"in\":"
		       "\"header\",\"name\":\"authorization\",\"type\":\"apiKey\"}},\"security\":[{"
		       "\"BearerToken\":[]}]}");
	free(o.wanted);
}

bool openapi_v3_write(
	struct str group, struct str group_version, const char *version, struct buf *out)
{
	struct openapi o = {
		.out = out, .v3 = true, .wanted = xcalloc(schema_n_types, sizeof(bool))};
	size_t n;

	buf_fmt(out,
		"{\"openapi\":\"3.0.0\",\"info\":{\"title\":\"Kubernetes\",\"version\":\"%s\"},"
		"\"paths\":",
		version);
	n = write_paths(&o, group, group_version);
	buf_add_c(out, ",\"components\":{\"schemas\":");
	openapi_write_types(&o);
	buf_add_c(out, ",\"securitySchemes\":{\"BearerToken\":{\"description\":\"Bearer Token "
		       "authentication\",\"in\":"
		       "\"header\",\"name\":\"authorization\",\"type\":\"apiKey\"}}}}");
	free(o.wanted);
	return n > 0;
}

/* Resources of one group-version stand together in the table. */
static bool starts_group_version(size_t i)
{
	const struct schema_resource *r = schema_resources[i];

	return i == 0 || !is_of(schema_resources[i - 1], str_c(r->group), str_c(r->version));
}

void openapi_v3_write_index(const char *version, struct buf *out)
{
	const char *comma = "";

	buf_add_c(out, "{\"paths\":{");
	for (size_t i = 0; i < schema_n_resources; i++) {
		const struct schema_resource *r = schema_resources[i];
		struct buf doc CLEANUP(buf_release) = {0};
		const char *api = *r->group ? "apis/" : "api";

		if (!starts_group_version(i))
			continue;
		buf_init(&doc, DOCUMENT_MAX);
		openapi_v3_write(str_c(r->group), str_c(r->version), version, &doc);
		buf_fmt(out,
			"%s\"%s%s/%s\":{\"serverRelativeURL\":\"/openapi/v3/%s%s/"
			"%s?hash=%016llX%016llX\"}",
			comma, api, r->group, r->version, api, r->group, r->version,
			(unsigned long long)str_hash(buf_str(&doc)), (unsigned long long)doc.n);
		comma = ",";
	}
	buf_add_c(out, "}}");
}
