#include "store/etcd/value.h"

#include "json/reader.h"
#include "types.gen.h"

void etcd_value(const struct object *o, struct buf *out)
{
	static const char member[] = ",\"resourceVersion\":\"";
	size_t n = sizeof(member) - 1, from, to = o->rv_at;

	while (o->json.p[to] != '"')
		to++;
	to++;
	from = o->rv_at - n;
	/* names come first in metadata, so a comma stands before it */
	assert(o->rv_at > n && !memcmp(o->json.p + from, member, n));
	buf_add_str(out, str_sub(o->json, 0, from));
	buf_add_str(out, str_sub(o->json, to, o->json.n));
}

static void read_kind(struct str json, struct arena *a, struct str *api_version, struct str *kind)
{
	struct json_reader r;
	struct str key;

	*api_version = *kind = S("");
	json_reader_init(&r, json, a);
	if (json_peek(&r) != '{' || !json_enter(&r, '{'))
		return;
	while ((!kind->n || !api_version->n) && json_next_key(&r, &key)) {
		if (str_eqc(key, "kind"))
			json_read_string(&r, kind);
		else if (str_eqc(key, "apiVersion"))
			json_read_string(&r, api_version);
		else
			json_skip(&r, NULL);
	}
}

static int decode(const struct schema_resource *as, bool proto, struct str bytes, struct arena *a,
	void **ret, struct err *err)
{
	return proto ? schema_decode_proto(as->type, bytes, a, ret, err)
		     : schema_decode_json(as->type, bytes, a, NULL, ret, err);
}

/* The served resource of a kind as stored, or NULL; *ret_known: the kind at least is that of res.
 */
static const struct schema_resource *stored_as(
	const struct schema_resource *res, struct str api_version, struct str kind, bool *ret_known)
{
	struct str group, version;
	const struct schema_resource *as;

	if (!str_cut(api_version, '/', &group, &version)) {
		version = group;
		group = S("");
	}
	*ret_known = str_eqc(kind, res->kind) && str_eqc(group, res->group);
	as = schema_resource_by_kind(group, version, kind);
	return as && as->storage_resource == res ? as : NULL;
}

static int read_typed(const struct schema_resource *res, struct str value,
	const struct etcd_reader *reader, struct arena *a, void **ret, struct err *err)
{
	struct str api_version, kind, bytes = value;
	bool proto = str_starts(value, str_n("k8s\0", 4)), known;
	const struct schema_resource *as;
	int r = 0;

	if (proto)
		r = schema_unwrap_proto(value, &api_version, &kind, &bytes, err);
	else
		read_kind(value, a, &api_version, &kind);
	if (r < 0)
		return r;
	as = stored_as(res, api_version, kind, &known);
	if (!as && known && reader && reader->decode_other)
		return reader->decode_other(res, api_version, kind, proto, bytes, a, ret, err);
	if (!as)
		return err_bad_request(err, "no kind \"" STR_FMT "\" of \"" STR_FMT "\" is known",
			STR_ARG(kind), STR_ARG(api_version));
	r = decode(as, proto, bytes, a, ret, err);
	if (r < 0 || as == res)
		return r;
	if (!reader || !reader->convert)
		return err_bad_request(err, "cannot convert \"" STR_FMT "\" of \"" STR_FMT "\"",
			STR_ARG(kind), STR_ARG(api_version));
	return reader->convert(as, *ret, res, a, ret, err);
}

int etcd_value_parse(const struct schema_resource *res, struct str ns, struct str name,
	struct str value, const struct etcd_reader *reader, uint64_t revision, struct object **ret,
	struct err *err)
{
	struct arena a CLEANUP(arena_release) = {0};
	const struct schema_field *field = schema_field_find(res->type, S("metadata"));
	struct meta_v1_object_meta *meta;
	struct object *draft;
	void *typed;
	int r = read_typed(res, value, reader, &a, &typed, err);

	if (r < 0)
		return r;
	if (reader && reader->fill)
		reader->fill(res, typed, &a);
	meta = (struct meta_v1_object_meta *)((char *)typed + field->offset);
	meta->name = name;
	meta->namespace = ns;
	r = object_draft(res, typed, &draft, err);
	if (r < 0)
		return r;
	*ret = object_commit(draft, revision);
	object_unref(draft);
	return 0;
}
