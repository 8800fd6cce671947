/* openapi_types.c: a definition per type. */
#include "json/write.h"
#include "schema/openapi_internal.h"

/* Types that are no messages in the tables, by kind; RAW has several, told by Go's name. */
static const struct builtin {
	enum schema_kind kind;
	const char *go_type; /* NULL: any */
	const char *name, *v2, *v3;
} builtins[] = {
	{SCHEMA_QUANTITY, NULL, "io.k8s.apimachinery.pkg.api.resource.Quantity",
		"{\"type\":\"string\"}",
		"{\"oneOf\":[{\"type\":\"string\"},{\"type\":\"number\"}]}"},
	{SCHEMA_INT_OR_STRING, NULL, "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
		"{\"format\":\"int-or-string\",\"type\":\"string\"}",
		"{\"format\":\"int-or-string\",\"oneOf\":[{\"type\":\"integer\"},{\"type\":"
		"\"string\"}]}"},
	{SCHEMA_TIME, NULL, "io.k8s.apimachinery.pkg.apis.meta.v1.Time",
		"{\"format\":\"date-time\",\"type\":\"string\"}",
		"{\"format\":\"date-time\",\"type\":\"string\"}"},
	{SCHEMA_MICRO_TIME, NULL, "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime",
		"{\"format\":\"date-time\",\"type\":\"string\"}",
		"{\"format\":\"date-time\",\"type\":\"string\"}"},
	{SCHEMA_RAW, "v1.JSON", "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON",
		"{}", "{}"},
	{SCHEMA_RAW, "v1.FieldsV1", "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1",
		"{\"type\":\"object\"}", "{\"type\":\"object\"}"},
	{SCHEMA_RAW, NULL, "io.k8s.apimachinery.pkg.runtime.RawExtension", "{\"type\":\"object\"}",
		"{\"type\":\"object\"}"},
};

static size_t type_index(const struct schema_type *t)
{
	size_t lo = 0, hi = schema_n_types;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int cmp = strcmp(t->name, schema_types[mid]->name);

		if (cmp == 0)
			return mid;
		if (cmp < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	assert(!"every type is in the table");
	return 0;
}

static const struct builtin *builtin_of(const struct schema_field *f)
{
	const char *go = f->extra ? f->extra->go_type : NULL;

	for (size_t i = 0; i < ARRAY_SIZE(builtins); i++)
		if (builtins[i].kind == f->kind &&
			(!builtins[i].go_type || (go && strstr(go, builtins[i].go_type))))
			return &builtins[i];
	return NULL;
}

void openapi_want(struct openapi *o, const struct schema_type *t)
{
	size_t i = type_index(t);

	if (o->wanted[i])
		return;
	o->wanted[i] = true;
	for (size_t k = 0; k < t->n_fields; k++) {
		const struct builtin *b = builtin_of(&t->fields[k]);

		if (t->fields[k].type)
			openapi_want(o, t->fields[k].type);
		if (b)
			o->builtins |= 1u << (b - builtins);
	}
}

void openapi_ref(struct openapi *o, const char *name)
{
	buf_fmt(o->out, "{\"$ref\":\"#/%s/%s\"}", o->v3 ? "components/schemas" : "definitions",
		name);
}

static void write_reference(struct openapi *o, const char *name)
{
	if (o->v3)
		buf_fmt(o->out, "\"allOf\":[{\"$ref\":\"#/components/schemas/%s\"}]", name);
	else
		buf_fmt(o->out, "\"$ref\":\"#/definitions/%s\"", name);
}

static void write_field(struct openapi *o, const struct schema_field *f);

/* The inside of the schema of one value. */
static void write_value(struct openapi *o, const struct schema_field *f)
{
	static const char *const scalars[] = {
		[SCHEMA_BOOL] = "\"type\":\"boolean\"",
		[SCHEMA_INT32] = "\"format\":\"int32\",\"type\":\"integer\"",
		[SCHEMA_INT64] = "\"format\":\"int64\",\"type\":\"integer\"",
		[SCHEMA_DOUBLE] = "\"format\":\"double\",\"type\":\"number\"",
		[SCHEMA_STRING] = "\"type\":\"string\"",
		[SCHEMA_BYTES] = "\"format\":\"byte\",\"type\":\"string\"",
		[SCHEMA_DURATION] = "\"type\":\"string\"",
	};
	const struct builtin *b = builtin_of(f);

	if (b)
		write_reference(o, b->name);
	else if (f->kind != SCHEMA_MESSAGE)
		buf_add_c(o->out, scalars[f->kind]);
	else if (f->type->flags & SCHEMA_BARE)
		write_field(o, &f->type->fields[0]);
	else
		write_reference(o, f->type->name);
}

static int enum_order(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void write_enum(struct openapi *o, const char *const *values)
{
	const char *sorted[128];
	size_t n = 0;

	while (values[n] && n < ARRAY_SIZE(sorted)) {
		sorted[n] = values[n];
		n++;
	}
	qsort(sorted, n, sizeof(sorted[0]), enum_order);
	buf_add_c(o->out, ",\"enum\":[");
	for (size_t i = 0; i < n; i++) {
		if (i)
			buf_add_char(o->out, ',');
		json_write_string(o->out, str_c(sorted[i]));
	}
	buf_add_char(o->out, ']');
}

static void write_list_rules(struct openapi *o, const struct schema_field *f)
{
	static const char *const types[] = {[SCHEMA_LIST_ATOMIC] = "atomic",
		[SCHEMA_LIST_SET] = "set",
		[SCHEMA_LIST_MAP] = "map"};
	const struct schema_extra *x = f->extra;

	if (f->list_type == SCHEMA_LIST_MAP) {
		buf_add_c(o->out, ",\"x-kubernetes-list-map-keys\":[");
		for (size_t i = 0; x->list_keys[i]; i++)
			buf_fmt(o->out, "%s\"%s\"", i ? "," : "", x->list_keys[i]);
		buf_add_char(o->out, ']');
	}
	if (f->list_type)
		buf_fmt(o->out, ",\"x-kubernetes-list-type\":\"%s\"", types[f->list_type]);
}

static void write_patch_rules(struct openapi *o, const struct schema_field *f)
{
	const char *comma = "";

	if (f->extra && f->extra->merge_key)
		buf_fmt(o->out, ",\"x-kubernetes-patch-merge-key\":\"%s\"", f->extra->merge_key);
	if (!(f->flags & (SCHEMA_PATCH_MERGE | SCHEMA_PATCH_REPLACE | SCHEMA_PATCH_RETAIN_KEYS)))
		return;
	buf_add_c(o->out, ",\"x-kubernetes-patch-strategy\":\"");
	if (f->flags & SCHEMA_PATCH_MERGE) {
		buf_add_c(o->out, "merge");
		comma = ",";
	}
	if (f->flags & SCHEMA_PATCH_REPLACE) {
		buf_fmt(o->out, "%sreplace", comma);
		comma = ",";
	}
	if (f->flags & SCHEMA_PATCH_RETAIN_KEYS)
		buf_fmt(o->out, "%sretainKeys", comma);
	buf_add_char(o->out, '"');
}

/* The inside of a field's schema. */
static void write_field(struct openapi *o, const struct schema_field *f)
{
	const struct schema_extra *x = f->extra;

	if (x && x->description) {
		buf_add_c(o->out, "\"description\":");
		json_write_string(o->out, str_c(x->description));
		buf_add_char(o->out, ',');
	}
	if (f->shape == SCHEMA_ONE) {
		write_value(o, f);
	} else {
		buf_add_c(o->out,
			f->shape == SCHEMA_LIST ? "\"items\":{" : "\"additionalProperties\":{");
		write_value(o, f);
		buf_add_c(o->out,
			f->shape == SCHEMA_LIST ? "},\"type\":\"array\"" : "},\"type\":\"object\"");
	}
	if (x && x->dflt && o->v3)
		buf_fmt(o->out, ",\"default\":%s", x->dflt);
	if (x && x->enums && o->v3 && f->shape == SCHEMA_ONE)
		write_enum(o, x->enums);
	write_list_rules(o, f);
	if (f->flags & SCHEMA_ATOMIC)
		buf_add_c(o->out, ",\"x-kubernetes-map-type\":\"atomic\"");
	write_patch_rules(o, f);
}

/* [{"group":…,"kind":…,"version":…}] of the resources that a type belongs to. */
static void write_kinds(struct openapi *o, const struct schema_type *t)
{
	const char *name = strrchr(t->name, '.') + 1;
	bool first = true;

	for (size_t i = 0; i < schema_n_resources; i++) {
		const struct schema_resource *r = schema_resources[i];

		if (!r->verbs || (r->type != t && r->list_type != t))
			continue;
		buf_fmt(o->out, "%s{\"group\":\"%s\",\"kind\":\"%s\",\"version\":\"%s\"}",
			first ? ",\"x-kubernetes-group-version-kind\":[" : ",", r->group, name,
			r->version);
		first = false;
	}
	if (first && strstr(t->name, ".meta.v1.") &&
		(strcmp(name, "Status") == 0 || strcmp(name, "DeleteOptions") == 0)) {
		buf_fmt(o->out,
			",\"x-kubernetes-group-version-kind\":[{\"group\":\"\",\"kind\":\"%s\","
			"\"version\":\"v1\"}",
			name);
		first = false;
	}
	if (!first)
		buf_add_char(o->out, ']');
}

static void write_type(struct openapi *o, const struct schema_type *t)
{
	bool first = true;

	buf_fmt(o->out, "\"%s\":{", t->name);
	if (t->description) {
		buf_add_c(o->out, "\"description\":");
		json_write_string(o->out, str_c(t->description));
		buf_add_char(o->out, ',');
	}
	if (t->flags & SCHEMA_VARIANT) { /* any of several shapes */
		buf_add_c(o->out, "\"x-kubernetes-preserve-unknown-fields\":true}");
		return;
	}
	buf_add_c(o->out, "\"properties\":{");
	for (size_t i = 0; i < t->n_fields; i++) {
		const struct schema_field *f = &t->fields[t->by_name[i]];

		buf_fmt(o->out, "%s\"%s\":{", i ? "," : "", f->name);
		write_field(o, f);
		buf_add_char(o->out, '}');
	}
	buf_add_char(o->out, '}');
	for (size_t i = 0; i < t->n_fields; i++) {
		const struct schema_field *f = &t->fields[t->by_name[i]];

		if (!(f->flags & SCHEMA_REQUIRED))
			continue;
		buf_fmt(o->out, "%s\"%s\"", first ? ",\"required\":[" : ",", f->name);
		first = false;
	}
	buf_add_c(o->out, first ? ",\"type\":\"object\"" : "],\"type\":\"object\"");
	write_kinds(o, t);
	if (t->flags & SCHEMA_ATOMIC)
		buf_add_c(o->out, ",\"x-kubernetes-map-type\":\"atomic\"");
	if (t->union_discriminator)
		buf_fmt(o->out, ",\"x-kubernetes-unions\":[{\"discriminator\":\"%s\"}]",
			t->union_discriminator);
	buf_add_char(o->out, '}');
}

void openapi_write_types(struct openapi *o)
{
	bool first = true;

	buf_add_char(o->out, '{');
	for (size_t i = 0; i < schema_n_types; i++) {
		if (!o->wanted[i] || schema_types[i]->flags & SCHEMA_BARE)
			continue;
		if (!first)
			buf_add_char(o->out, ',');
		first = false;
		write_type(o, schema_types[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(builtins); i++) {
		if (!(o->builtins >> i & 1))
			continue;
		buf_fmt(o->out, "%s\"%s\":%s", first ? "" : ",", builtins[i].name,
			o->v3 ? builtins[i].v3 : builtins[i].v2);
		first = false;
	}
	buf_add_char(o->out, '}');
}
