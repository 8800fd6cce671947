#include "apiserver/table.h"

#include "apiserver/render.h"
#include "json/reader.h"
#include "json/write.h"

/* --- ages --- */

enum { MINUTE = 60, HOUR = 60 * MINUTE, DAY = 24 * HOUR, YEAR = 365 * DAY };

static void two(struct buf *out, int64_t a, const char *unit_a, int64_t b, const char *unit_b)
{
	buf_add_i64(out, a);
	buf_add_c(out, unit_a);
	if (b) {
		buf_add_i64(out, b);
		buf_add_c(out, unit_b);
	}
}

void human_duration(struct buf *out, int64_t s)
{
	if (s < -1)
		buf_add_c(out, "<invalid>");
	else if (s < 0)
		buf_add_c(out, "0s");
	else if (s < 2 * MINUTE)
		two(out, s, "s", 0, "");
	else if (s < 10 * MINUTE)
		two(out, s / MINUTE, "m", s % MINUTE, "s");
	else if (s < 3 * HOUR)
		two(out, s / MINUTE, "m", 0, "");
	else if (s < 8 * HOUR)
		two(out, s / HOUR, "h", s / MINUTE % 60, "m");
	else if (s < 2 * DAY)
		two(out, s / HOUR, "h", 0, "");
	else if (s < 8 * DAY)
		two(out, s / DAY, "d", s / HOUR % 24, "h");
	else if (s < 2 * YEAR)
		two(out, s / DAY, "d", 0, "");
	else if (s < 8 * YEAR)
		two(out, s / YEAR, "y", s / DAY % 365, "d");
	else
		two(out, s / YEAR, "y", 0, "");
}

void table_age(struct buf *cells, const struct k8s_time *since, int64_t now_ns)
{
	if (!since->set) {
		buf_add_c(cells, "\"\\u003cunknown\\u003e\"");
		return;
	}
	buf_add_char(cells, '"');
	human_duration(cells, now_ns / 1000000000 - since->sec);
	buf_add_char(cells, '"');
}

/* --- columns --- */

static const struct schema_column default_columns[] = {
	{.name = "Name",
		.type = "string",
		.format = "name",
		.description = "Name must be unique within a namespace. Is required when creating "
			       "resources, although "
			       "some resources may allow a client to request the generation of an "
			       "appropriate name "
			       "automatically. Name is primarily intended for creation idempotence "
			       "and configuration "
			       "definition. Cannot be updated. More info: "
			       "https://kubernetes.io/docs/concepts/overview/working-with-objects/"
			       "names#names"},
	{.name = "Created At",
		.type = "date",
		.format = "",
		.description =
			"CreationTimestamp is a timestamp representing the server time when this "
			"object was "
			"created. It is not guaranteed to be set in happens-before order across "
			"separate "
			"operations. Clients may not set this value. It is represented in RFC3339 "
			"form and is "
			"in UTC.\n\nPopulated by the system. Read-only. Null for lists. More info: "
			"https://git.k8s.io/community/contributors/devel/sig-architecture/"
			"api-conventions.md#metadata"},
};

static bool is_name_and_age(const struct schema_resource *res)
{
	return res->n_columns == 2 && !strcmp(res->columns[0].name, "Name") &&
	       !strcmp(res->columns[1].name, "Age");
}

static const char *text_or_empty(const char *s)
{
	return s ? s : "";
}

static void write_columns(struct buf *out, const struct schema_column *c, size_t n)
{
	buf_add_c(out, "\"columnDefinitions\":[");
	for (size_t i = 0; i < n; i++) {
		buf_add_c(out, i ? ",{\"name\":" : "{\"name\":");
		json_write_string(out, str_c(c[i].name));
		buf_add_c(out, ",\"type\":");
		json_write_string(out, str_c(text_or_empty(c[i].type)));
		buf_add_c(out, ",\"format\":");
		json_write_string(out, str_c(text_or_empty(c[i].format)));
		buf_add_c(out, ",\"description\":");
		json_write_string(out, str_c(text_or_empty(c[i].description)));
		buf_fmt(out, ",\"priority\":%d}", c[i].priority);
	}
	buf_add_c(out, "],");
}

/* --- the table --- */

static bool has_rows(const struct table *t)
{
	return (t->strategy && t->strategy->table_row && t->res->n_columns) ||
	       is_name_and_age(t->res);
}

int table_init(struct table *t, struct request *r, struct err *err)
{
	struct str include = query_get(&r->query, "includeObject");

	*t = (struct table){.res = r->res,
		.storage = r->storage,
		.strategy = r->strategy,
		.now_ns = r->now_ns,
		.v1beta1 = r->out.v1beta1};
	if (!include.n || str_eqc(include, "Metadata"))
		t->include = INCLUDE_METADATA;
	else if (str_eqc(include, "Object"))
		t->include = INCLUDE_OBJECT;
	else if (str_eqc(include, "None"))
		t->include = INCLUDE_NONE;
	else
		return err_bad_request(err,
			"Unable to convert to Table as requested: includeObject: Invalid value: "
			"\"" STR_FMT "\": must be 'Metadata', 'Object', 'None', or empty",
			STR_ARG(include));
	return 0;
}

void table_begin(struct table *t, struct buf *out, struct str list_meta, bool headers)
{
	buf_fmt(out,
		"{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/%s\",\"metadata\":" STR_FMT ",",
		t->v1beta1 ? "v1beta1" : "v1", STR_ARG(list_meta));
	if (!headers)
		buf_add_c(out, "\"columnDefinitions\":null,");
	else if (has_rows(t))
		write_columns(out, t->res->columns, t->res->n_columns);
	else
		write_columns(out, default_columns, ARRAY_SIZE(default_columns));
	buf_add_c(out, "\"rows\":[");
}

static void write_cells(struct table *t, struct arena *a, const void *typed, struct buf *out)
{
	const struct meta_v1_object_meta *m = meta_of_const(t->storage, typed);

	if (t->strategy && t->strategy->table_row && t->res->n_columns) {
		t->strategy->table_row(a, typed, t->now_ns, out);
		return;
	}
	json_write_string(out, m->name);
	buf_add_char(out, ',');
	if (is_name_and_age(t->res))
		table_age(out, &m->creation_timestamp, t->now_ns);
	else
		json_write_string(out, time_text(a, m->creation_timestamp.sec));
}

/* What kubectl greys out: pods that have run to their end. */
static void write_conditions(struct table *t, const void *typed, struct buf *out)
{
	const struct v1_pod *pod = typed;
	bool failed;

	if (t->storage != &v1_pod_resource)
		return;
	failed = str_eqc(pod->status.phase, "Failed");
	if (!failed && !str_eqc(pod->status.phase, "Succeeded"))
		return;
	buf_fmt(out,
		",\"conditions\":[{\"type\":\"Completed\",\"status\":\"True\",\"reason\":"
		"\"%s\",\"message\":\"%s\"}]",
		failed ? "Failed" : "Succeeded",
		failed ? "The pod failed." : "The pod has completed successfully.");
}

/* object: the JSON of the row's object in full, metadata: that of its metadata alone. */
void table_row(struct table *t, struct arena *a, const void *typed, struct str object,
	struct str metadata, struct buf *out)
{
	buf_add_c(out, t->n_rows++ ? ",{\"cells\":[" : "{\"cells\":[");
	write_cells(t, a, typed, out);
	buf_add_char(out, ']');
	write_conditions(t, typed, out);
	buf_add_c(out, ",\"object\":");
	if (t->include == INCLUDE_NONE) {
		buf_add_c(out, "null");
	} else if (t->include == INCLUDE_OBJECT) {
		buf_add_str(out, object);
	} else {
		partial_write(out, t->v1beta1, metadata);
	}
	buf_add_char(out, '}');
}

void table_end(struct table *t, struct buf *out)
{
	buf_add_c(out, "]}");
}

void partial_write(struct buf *out, bool v1beta1, struct str metadata)
{
	buf_fmt(out,
		"{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/"
		"%s\",\"metadata\":",
		v1beta1 ? "v1beta1" : "v1");
	buf_add_str(out, metadata);
	buf_add_char(out, '}');
}

struct str metadata_json(struct str json, struct arena *a)
{
	struct json_reader r;
	struct str key, value;

	json_reader_init(&r, json, a);
	if (json_peek(&r) != '{' || !json_enter(&r, '{'))
		return S("{}");
	while (json_next_key(&r, &key)) {
		if (!json_skip(&r, &value))
			break;
		if (str_eqc(key, "metadata"))
			return value;
	}
	return S("{}");
}
