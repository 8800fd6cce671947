/* get.c: GET of one object: its stored bytes, untouched wherever possible. */
#include "apiserver/options.h"

/* ?resourceVersion=: not older than that. Nothing here is older than what was committed. */
static int check_version(struct request *r, struct err *err)
{
	struct str text = query_get(&r->query, "resourceVersion");
	uint64_t version, current;

	if (!text.n || str_eqc(text, "0"))
		return 0;
	if (!parse_version(text, &version))
		return err_fmt(err, 500, "",
			"resourceVersion: Invalid value: " STR_FMT ": " STR_FMT,
			STR_ARG(go_quote(r->arena, text)),
			STR_ARG(parse_version_error(r->arena, text)));
	current = store_revision(r->s->store);
	return version > current ? err_version_too_large(err, version, current) : 0;
}

static int check_export(struct request *r, struct err *err)
{
	if (query_bool(&r->query, "export"))
		return err_bad_request(err,
			"the export parameter, deprecated since v1.14, is no longer supported");
	return 0;
}

void handle_get(struct request *r)
{
	struct err err CLEANUP(err_release) = {0};
	const struct object *o;

	if (negotiate_output(r, &err) < 0 || check_export(r, &err) < 0 ||
		check_key_name(r->ctx.name, &err) < 0 || check_version(r, &err) < 0) {
		respond_error(r, &err);
		return;
	}
	o = store_get(r->s->store, r->storage, r->ctx.ns, r->ctx.name);
	if (o) {
		respond_object(r, 200, o);
		object_unref(o);
		return;
	}
	err_not_found(&err, r->info.group, r->info.resource, r->ctx.name);
	respond_error(r, &err);
}
