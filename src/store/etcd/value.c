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
	json_peek(&r);
	if (!json_enter(&r, '{'))
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

/* The resource of a kind as stored: ours, or another version of it. */
static const struct schema_resource *stored_as(
	const struct schema_resource *res, struct str api_version, struct str kind)
{
	struct str group, version;
	const struct schema_resource *as;

	if (!str_cut(api_version, '/', &group, &version)) {
		version = group;
		group = S("");
	}
	as = schema_resource_by_kind(group, version, kind);
	return as && as->storage_resource == res ? as : NULL;
}

int etcd_value_parse(const struct schema_resource *res, struct str ns, struct str name,
	struct str value, etcd_convert_fn *convert, uint64_t revision, struct object **ret,
	struct err *err)
{
	struct arena a CLEANUP(arena_release) = {0};
	struct str api_version, kind, bytes = value;
	bool proto = str_starts(value, str_n("k8s\0", 4));
	const struct schema_resource *as;
	const struct schema_field *field;
	struct meta_v1_object_meta *meta;
	struct object *draft;
	void *typed;
	int r = 0;

	if (proto)
		r = schema_unwrap_proto(value, &api_version, &kind, &bytes, err);
	else
		read_kind(value, &a, &api_version, &kind);
	if (r < 0)
		return r;
	as = stored_as(res, api_version, kind);
	if (!as)
		return err_bad_request(err, "no kind \"" STR_FMT "\" of \"" STR_FMT "\" is known",
			STR_ARG(kind), STR_ARG(api_version));
	r = decode(as, proto, bytes, &a, &typed, err);
	if (r == 0 && as != res)
		r = convert ? convert(as, typed, res, &a, &typed, err)
			    : err_bad_request(err,
				      "cannot convert \"" STR_FMT "\" of \"" STR_FMT "\"",
				      STR_ARG(kind), STR_ARG(api_version));
	if (r < 0)
		return r;
	field = schema_field_find(res->type, S("metadata"));
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
