#include "apiserver/protobuf.h"

#include <arpa/inet.h>

#include "apiserver/decode.h"
#include "apiserver/render.h"
#include "json/reader.h"

enum { LIST_METADATA = 1, LIST_ITEMS = 2 };               /* of every list kind */
enum { EVENT_TYPE = 1, EVENT_OBJECT = 2, EVENT_RAW = 1 }; /* of WatchEvent and RawExtension */

static void read_kind(struct str json, struct arena *a, struct str *api_version, struct str *kind)
{
	struct json_reader jr;
	struct str key;

	*api_version = *kind = S("");
	json_reader_init(&jr, json, a);
	if (!json_enter(&jr, '{'))
		return;
	while ((!kind->n || !api_version->n) && json_next_key(&jr, &key)) {
		if (str_eqc(key, "kind"))
			json_read_string(&jr, kind);
		else if (str_eqc(key, "apiVersion"))
			json_read_string(&jr, api_version);
		else
			json_skip(&jr, NULL);
	}
}

static int refuse(const struct schema_type *type, struct str kind, struct err *err)
{
	return err_fmt(err, 406, "NotAcceptable",
		"object *" STR_FMT " does not implement the protobuf marshalling interface and "
		"cannot be encoded to a protobuf message",
		STR_ARG(type ? str_c(type->go_name) : kind));
}

/* Discovery and Tables are JSON only: their fields have no numbers. */
static bool has_form(const struct schema_type *type)
{
	for (size_t i = 0; i < type->n_fields; i++)
		if (type->fields[i].number)
			return true;
	return false;
}

int protobuf_from_json(struct str json, struct buf *out, struct err *err)
{
	struct str api_version, kind, group, version;
	const struct schema_type *type;
	struct arena a = {0};
	void *typed;
	int e = 0;

	read_kind(json, &a, &api_version, &kind);
	if (!str_cut(api_version, '/', &group, &version)) {
		version = group;
		group = S("");
	}
	type = type_of_kind(&a, group, version, kind);
	if (type && has_form(type) && schema_decode_json(type, json, &a, NULL, &typed, NULL) >= 0)
		schema_wrap_proto(api_version, kind, type, typed, out);
	else
		e = refuse(type, kind, err);
	arena_release(&a);
	return e;
}

/* --- lists --- */

static void add_list_meta(struct request *r, const struct object_list *l, struct buf *out)
{
	struct meta_v1_list_meta m = {
		.resource_version = arena_fmt(r->arena, "%llu", (unsigned long long)l->revision),
		.continue_ = l->continue_,
	};
	int64_t remaining = l->remaining;
	size_t from = schema_proto_open(out, LIST_METADATA);

	if (remaining >= 0)
		m.remaining_item_count = &remaining;
	schema_encode_proto(&meta_v1_list_meta_schema, &m, out);
	schema_proto_close(out, from);
}

static void add_item(struct request *r, const struct object *o, struct buf *out)
{
	struct arena a = {0};
	size_t from = schema_proto_open(out, LIST_ITEMS);
	void *view = object_decode(o, &a);

	if (r->res == r->storage || convert(r->storage, view, r->res, &a, &view, NULL) >= 0)
		schema_encode_proto(r->res->type, view, out);
	schema_proto_close(out, from);
	arena_release(&a);
}

void protobuf_list(struct request *r, const struct object_list *l, struct buf *out)
{
	size_t from =
		schema_wrap_open(group_version(r->arena, r->res), str_c(r->res->list_kind), out);

	add_list_meta(r, l, out);
	for (size_t i = 0; i < l->n; i++)
		add_item(r, l->v[i], out);
	schema_wrap_close(out, from);
}

/* --- watches --- */

void protobuf_event(const char *type, struct str object, struct buf *out)
{
	struct err err CLEANUP(err_release) = {0};
	size_t start = out->n, event, raw;
	uint32_t n;

	buf_add(out, "\0\0\0\0", 4);
	schema_proto_bytes(out, EVENT_TYPE, str_c(type));
	event = schema_proto_open(out, EVENT_OBJECT);
	raw = schema_proto_open(out, EVENT_RAW);
	protobuf_from_json(object, out, &err);
	schema_proto_close(out, raw);
	schema_proto_close(out, event);
	if (buf_failed(out))
		return;
	n = htonl((uint32_t)(out->n - start - 4));
	memcpy(out->p + start, &n, 4);
}
