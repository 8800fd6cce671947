/*
 * openapi_proto.c: the OpenAPI v2 document as kubectl reads it: not JSON but the protobuf messages
 * of gnostic (OpenAPIv2.proto), which mirror the document with a wrapper wherever JSON has a choice
 * or a map. The tables below say the field numbers of what our documents have.
 */
#include "json/value.h"
#include "schema/openapi.h"
#include "schema/schema.h"

enum form {
	TEXT,
	BOOL,
	TEXTS, /* repeated string; one string counts as a list of one */
	MESSAGE,
	MESSAGES,   /* repeated message */
	PARAMETERS, /* repeated ParametersItem: which wrappers depends on "in" */
	SCHEMA_OR_BOOL,
};

enum { NAME = 1, VALUE = 2, ANY_YAML = 2 }; /* of every Named… message, of Any */

struct message;

struct field {
	const char *key;
	uint8_t number, form;
	uint8_t wrap; /* the value stands in one more message, under this number; 0: it does not */
	const struct message *type;
};

struct message {
	const struct field *fields; /* ends with a NULL key */
	const struct field *others; /* members of any name: repeated {name, value}; or NULL */
	uint8_t extension;          /* where x-… goes; 0: nowhere */
};

static const struct message schema;

static const struct field schema_named = {.number = 1, .form = MESSAGE, .type = &schema};
static const struct message schema_map = {.others = &schema_named};
static const struct message schema = {
	.fields =
		(const struct field[]){
			{"$ref", 1, TEXT},
			{"format", 2, TEXT},
			{"title", 3, TEXT},
			{"description", 4, TEXT},
			{"required", 19, TEXTS},
			{"additionalProperties", 21, SCHEMA_OR_BOOL},
			{"type", 22, TEXTS, 1},
			{"items", 23, MESSAGE, 1, &schema},
			{"properties", 25, MESSAGE, 0, &schema_map},
			{NULL},
		},
	.extension = 31,
};

static const struct message body_parameter = {
	.fields = (const struct field[]){{"description", 1, TEXT}, {"name", 2, TEXT},
		{"in", 3, TEXT}, {"required", 4, BOOL}, {"schema", 5, MESSAGE, 0, &schema}, {NULL}},
	.extension = 6,
};
static const struct message query_parameter = {
	.fields = (const struct field[]){{"required", 1, BOOL}, {"in", 2, TEXT},
		{"description", 3, TEXT}, {"name", 4, TEXT}, {"type", 6, TEXT}, {"format", 7, TEXT},
		{"uniqueItems", 20, BOOL}, {NULL}},
	.extension = 23,
};
static const struct message path_parameter = {
	.fields = (const struct field[]){{"required", 1, BOOL}, {"in", 2, TEXT},
		{"description", 3, TEXT}, {"name", 4, TEXT}, {"type", 5, TEXT}, {"format", 6, TEXT},
		{"uniqueItems", 19, BOOL}, {NULL}},
	.extension = 22,
};

static const struct message response = {
	.fields = (const struct field[]){{"description", 1, TEXT},
		{"schema", 2, MESSAGE, 1, &schema}, {NULL}},
	.extension = 5,
};
static const struct field response_named = {
	.number = 1, .form = MESSAGE, .wrap = 1, .type = &response};
static const struct message responses = {.others = &response_named, .extension = 2};

static const struct message operation = {
	.fields =
		(const struct field[]){
			{"tags", 1, TEXTS},
			{"summary", 2, TEXT},
			{"description", 3, TEXT},
			{"operationId", 5, TEXT},
			{"produces", 6, TEXTS},
			{"consumes", 7, TEXTS},
			{"parameters", 8, PARAMETERS},
			{"responses", 9, MESSAGE, 0, &responses},
			{"schemes", 10, TEXTS},
			{"deprecated", 11, BOOL},
			{NULL},
		},
	.extension = 13,
};
static const struct message path_item = {
	.fields = (const struct field[]){{"get", 2, MESSAGE, 0, &operation},
		{"put", 3, MESSAGE, 0, &operation}, {"post", 4, MESSAGE, 0, &operation},
		{"delete", 5, MESSAGE, 0, &operation}, {"options", 6, MESSAGE, 0, &operation},
		{"head", 7, MESSAGE, 0, &operation}, {"patch", 8, MESSAGE, 0, &operation},
		{"parameters", 9, PARAMETERS}, {NULL}},
	.extension = 10,
};
static const struct field path_named = {.number = 2, .form = MESSAGE, .type = &path_item};
static const struct message paths = {.others = &path_named, .extension = 1};

static const struct message info = {
	.fields = (const struct field[]){{"title", 1, TEXT}, {"version", 2, TEXT},
		{"description", 3, TEXT}, {NULL}},
	.extension = 7,
};
static const struct message api_key = {
	.fields = (const struct field[]){{"type", 1, TEXT}, {"name", 2, TEXT}, {"in", 3, TEXT},
		{"description", 4, TEXT}, {NULL}},
	.extension = 5,
};
static const struct field api_key_named = {
	.number = 1, .form = MESSAGE, .wrap = 2, .type = &api_key};
static const struct message security_definitions = {.others = &api_key_named};
static const struct field scopes_named = {.number = 1, .form = TEXTS, .wrap = 1};
static const struct message security_requirement = {.others = &scopes_named};

static const struct message document = {
	.fields =
		(const struct field[]){
			{"swagger", 1, TEXT},
			{"info", 2, MESSAGE, 0, &info},
			{"host", 3, TEXT},
			{"basePath", 4, TEXT},
			{"schemes", 5, TEXTS},
			{"consumes", 6, TEXTS},
			{"produces", 7, TEXTS},
			{"paths", 8, MESSAGE, 0, &paths},
			{"definitions", 9, MESSAGE, 0, &schema_map},
			{"security", 12, MESSAGES, 0, &security_requirement},
			{"securityDefinitions", 13, MESSAGE, 0, &security_definitions},
			{NULL},
		},
	.extension = 16,
};

static void write_members(
	const struct message *t, const struct json_value *object, struct buf *out);

static void write_message(
	const struct message *t, uint8_t number, const struct json_value *v, struct buf *out)
{
	size_t from = schema_proto_open(out, number);

	write_members(t, v, out);
	schema_proto_close(out, from);
}

static void write_texts(uint8_t number, const struct json_value *v, struct buf *out)
{
	if (v->kind == JSON_STRING)
		schema_proto_bytes(out, number, v->text);
	for (size_t i = 0; i < v->items.n; i++)
		schema_proto_bytes(out, number, v->items.v[i]->text);
}

/* ParametersItem{Parameter{BodyParameter, or NonBodyParameter{one of its kinds}}} */
static void write_parameter(uint8_t number, const struct json_value *v, struct buf *out)
{
	struct str in = json_get_str(v, "in");
	size_t item = schema_proto_open(out, number), parameter = schema_proto_open(out, 1), other;

	if (str_eqc(in, "body")) {
		write_message(&body_parameter, 1, v, out);
	} else {
		other = schema_proto_open(out, 2);
		if (str_eqc(in, "path"))
			write_message(&path_parameter, 4, v, out);
		else
			write_message(&query_parameter, 3, v, out);
		schema_proto_close(out, other);
	}
	schema_proto_close(out, parameter);
	schema_proto_close(out, item);
}

static void write_schema_or_bool(uint8_t number, const struct json_value *v, struct buf *out)
{
	size_t from = schema_proto_open(out, number);

	if (v->kind == JSON_OBJECT)
		write_message(&schema, 1, v, out);
	else
		schema_proto_int(out, 2, v->boolean);
	schema_proto_close(out, from);
}

static void write_field(
	const struct field *f, uint8_t number, const struct json_value *v, struct buf *out)
{
	size_t outer = 0;

	if (f->wrap) {
		outer = schema_proto_open(out, number);
		number = f->wrap;
	}
	switch ((enum form)f->form) {
	case TEXT:
		schema_proto_bytes(out, number, v->text);
		break;
	case BOOL:
		schema_proto_int(out, number, v->boolean);
		break;
	case TEXTS:
		write_texts(number, v, out);
		break;
	case MESSAGE:
		write_message(f->type, number, v, out);
		break;
	case MESSAGES:
		for (size_t i = 0; i < v->items.n; i++)
			write_message(f->type, number, v->items.v[i], out);
		break;
	case PARAMETERS:
		for (size_t i = 0; i < v->items.n; i++)
			write_parameter(number, v->items.v[i], out);
		break;
	case SCHEMA_OR_BOOL:
		write_schema_or_bool(number, v, out);
		break;
	}
	if (f->wrap)
		schema_proto_close(out, outer);
}

static void write_named(const struct field *f, const struct json_member *m, struct buf *out)
{
	size_t from = schema_proto_open(out, f->number);

	schema_proto_bytes(out, NAME, m->key);
	write_field(f, VALUE, m->value, out);
	schema_proto_close(out, from);
}

/* Readers parse it as YAML, of which JSON is a part. */
static void write_extension(uint8_t number, const struct json_member *m, struct buf *out)
{
	size_t from = schema_proto_open(out, number), any;
	struct arena a = {0};

	schema_proto_bytes(out, NAME, m->key);
	any = schema_proto_open(out, VALUE);
	schema_proto_bytes(out, ANY_YAML, json_text(m->value, &a));
	schema_proto_close(out, any);
	schema_proto_close(out, from);
	arena_release(&a);
}

static void write_members(const struct message *t, const struct json_value *object, struct buf *out)
{
	for (size_t i = 0; i < object->members.n; i++) {
		const struct json_member *m = &object->members.v[i];
		const struct field *f = t->fields;

		while (f && f->key && !str_eqc(m->key, f->key))
			f++;
		if (f && f->key)
			write_field(f, f->number, m->value, out);
		else if (t->extension && str_starts(m->key, S("x-")))
			write_extension(t->extension, m, out);
		else if (t->others)
			write_named(t->others, m, out);
	}
}

int openapi_v2_to_proto(struct str json, struct buf *out, struct err *err)
{
	struct arena a = {0};
	struct json_value *v;
	int r = json_parse(json, &a, &v, err);

	if (r >= 0)
		write_members(&document, v, out);
	arena_release(&a);
	return r;
}
