/* What many files of the API server need, and no other owns. */
#include <stdio.h>
#include <time.h>

#include "apiserver/server.h"
#include "apiserver/validation/names.h"

struct meta_v1_object_meta *meta_of(const struct schema_resource *res, void *typed)
{
	const struct schema_field *f = schema_field_find(res->type, S("metadata"));

	assert(f);
	return (struct meta_v1_object_meta *)((char *)typed + f->offset);
}

struct str group_version(struct arena *a, const struct schema_resource *res)
{
	if (!*res->group)
		return str_c(res->version);
	return arena_fmt(a, "%s/%s", res->group, res->version);
}

static void set_string(const struct schema_type *type, void *typed, struct str field, struct str v)
{
	const struct schema_field *f = schema_field_find(type, field);

	if (f)
		*(struct str *)((char *)typed + f->offset) = v;
}

void set_type_meta(const struct schema_resource *res, void *typed, struct arena *a)
{
	set_string(res->type, typed, S("kind"), str_c(res->kind));
	set_string(res->type, typed, S("apiVersion"), group_version(a, res));
}

struct str internal_type_name(struct arena *a, const struct schema_resource *res, const char *kind)
{
	struct str label, rest;

	str_cut(str_c(res->group), '.', &label, &rest);
	return arena_fmt(a, STR_FMT ".%s", STR_ARG(label.n ? label : S("core")), kind);
}

int check_key_name(struct str name, struct err *err)
{
	struct arena a = {0};
	struct str_vec why;
	int r = 0;

	if (!name.n)
		return err_bad_request(err, "Name parameter required.");
	why = is_path_segment_name(&a, name);
	if (why.n)
		r = err_bad_request(err, "Name parameter invalid: \"" STR_FMT "\": " STR_FMT,
			STR_ARG(name), STR_ARG(why.v[0]));
	arena_release(&a);
	return r;
}

struct str time_text(struct arena *a, int64_t unix_s)
{
	time_t t = (time_t)unix_s;
	struct tm tm;

	gmtime_r(&t, &tm);
	return arena_fmt(a, "%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900, tm.tm_mon + 1,
		tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

struct k8s_time time_from_ns(int64_t ns)
{
	return (struct k8s_time){.set = true, .sec = ns / 1000000000};
}

struct str uuid_new(struct arena *a, struct loop *loop)
{
	uint64_t hi = loop_random(loop), lo = loop_random(loop);

	hi = (hi & ~0xf000ULL) | 0x4000;          /* version 4: random */
	lo = (lo & ~(3ULL << 62)) | (2ULL << 62); /* RFC 4122's variant */
	return arena_fmt(a, "%08llx-%04llx-%04llx-%04llx-%012llx", (unsigned long long)hi >> 32,
		(unsigned long long)(hi >> 16) & 0xffff, (unsigned long long)hi & 0xffff,
		(unsigned long long)lo >> 48, (unsigned long long)lo & 0xffffffffffff);
}

bool write_is_dry_run(const struct str_vec *dry_run)
{
	return dry_run->n > 0;
}

void ctx_warn(struct strategy_ctx *ctx, const char *fmt, ...)
{
	va_list ap;
	struct str text;

	va_start(ap, fmt);
	text = arena_vfmt(ctx->arena, fmt, ap);
	va_end(ap);
	if (text.n && !str_vec_has(ctx->warnings, text))
		ARENA_PUSH(ctx->arena, ctx->warnings, text);
}

void request_warn(struct request *r, const char *fmt, ...)
{
	va_list ap;
	struct str text;

	va_start(ap, fmt);
	text = arena_vfmt(r->arena, fmt, ap);
	va_end(ap);
	if (text.n && !str_vec_has(&r->warnings, text))
		ARENA_PUSH(r->arena, &r->warnings, text);
}

struct str request_audit_id(struct request *r)
{
	if (!r->audit_id.n)
		r->audit_id = arena_str(r->arena, http_get_header(r->x, "Audit-ID"));
	if (!r->audit_id.n)
		r->audit_id = uuid_new(r->arena, r->loop);
	return r->audit_id;
}

struct admission_attrs request_admission(
	struct request *r, enum admission_op op, void *obj, const void *old)
{
	return (struct admission_attrs){
		.server = r->s,
		.arena = r->arena,
		.store = r->s->store,
		.op = op,
		.loop = r->loop,
		.resource = r->storage,
		.addressed = r->res,
		.subresource = r->ctx.subresource,
		.ns = r->ctx.ns,
		.name = r->ctx.name,
		.obj = obj,
		.old = old,
		.user = &r->user,
		.now_ns = r->now_ns,
		.dry_run = r->ctx.dry_run,
		.warnings = &r->warnings,
		.request = r,
	};
}
