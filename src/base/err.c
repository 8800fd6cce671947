#include "base/base.h"

void err_release(struct err *err)
{
	arena_release(&err->arena);
	*err = (struct err){0};
}

static int code_errno(int code, struct str reason)
{
	switch (code) {
	case 400:
	case 422:
		return -EINVAL;
	case 401:
		return -EPERM;
	case 403:
		return -EACCES;
	case 404:
		return -ENOENT;
	case 409:
		return str_eqc(reason, "AlreadyExists") ? -EEXIST : -EBUSY;
	case 410:
		return -ESTALE;
	case 413:
		return -E2BIG;
	case 429:
		return -EAGAIN;
	case 504:
		return -ETIMEDOUT;
	default:
		return -EIO;
	}
}

static int set(struct err *err, int code, const char *reason, const char *fmt, va_list ap)
{
	struct arena old;

	if (!err)
		return code_errno(code, str_c(reason));
	old = err->arena; /* the arguments may point into what is replaced */
	*err = (struct err){.code = code};
	err->reason = arena_strc(&err->arena, reason);
	err->message = arena_vfmt(&err->arena, fmt, ap);
	arena_release(&old);
	return code_errno(code, err->reason);
}

int err_fmt(struct err *err, int code, const char *reason, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = set(err, code, reason, fmt, ap);
	va_end(ap);
	return r;
}

int err_errno(struct err *err, int errnum, const char *fmt, ...)
{
	struct arena a = {0};
	va_list ap;

	va_start(ap, fmt);
	err_fmt(err, 500, "InternalError", "%s: %s", arena_vfmt(&a, fmt, ap).p, strerror(errnum));
	va_end(ap);
	arena_release(&a);
	return -errnum;
}

void err_details(
	struct err *err, struct str group, struct str kind, struct str name, struct str uid)
{
	if (!err)
		return;
	err->has_details = true;
	err->group = arena_str(&err->arena, group);
	err->kind = arena_str(&err->arena, kind);
	err->name = arena_str(&err->arena, name);
	err->uid = arena_str(&err->arena, uid);
}

void err_add_cause(struct err *err, const char *reason, struct str field, const char *fmt, ...)
{
	struct err_cause cause;
	va_list ap;

	if (!err)
		return;
	err->has_details = true;
	va_start(ap, fmt);
	cause.reason = arena_strc(&err->arena, reason);
	cause.message = arena_vfmt(&err->arena, fmt, ap);
	cause.field = arena_str(&err->arena, field);
	va_end(ap);
	ARENA_PUSH(&err->arena, &err->causes, cause);
}

void err_move(struct err *to, struct err *from)
{
	if (to) {
		err_release(to);
		*to = *from;
		*from = (struct err){0};
	} else {
		err_release(from);
	}
}

const char *err_text(const struct err *err)
{
	return err && err->message.p ? err->message.p : "";
}

/* 'pods', or 'deployments.apps' for a group */
static struct str qualified(struct arena *a, struct str group, struct str plural)
{
	return group.n ? arena_fmt(a, STR_FMT "." STR_FMT, STR_ARG(plural), STR_ARG(group))
		       : plural;
}

int err_not_found(struct err *err, struct str group, struct str plural, struct str name)
{
	struct arena a = {0};
	int r = err_fmt(err, 404, "NotFound", STR_FMT " \"" STR_FMT "\" not found",
		STR_ARG(qualified(&a, group, plural)), STR_ARG(name));

	err_details(err, group, plural, name, (struct str){0});
	arena_release(&a);
	return r;
}

int err_already_exists(struct err *err, struct str group, struct str plural, struct str name)
{
	struct arena a = {0};
	int r = err_fmt(err, 409, "AlreadyExists", STR_FMT " \"" STR_FMT "\" already exists",
		STR_ARG(qualified(&a, group, plural)), STR_ARG(name));

	err_details(err, group, plural, name, (struct str){0});
	arena_release(&a);
	return r;
}

int err_conflict(
	struct err *err, struct str group, struct str plural, struct str name, const char *why)
{
	struct arena a = {0};
	int r = err_fmt(err, 409, "Conflict",
		"Operation cannot be fulfilled on " STR_FMT " \"" STR_FMT "\": %s",
		STR_ARG(qualified(&a, group, plural)), STR_ARG(name), why);

	err_details(err, group, plural, name, (struct str){0});
	arena_release(&a);
	return r;
}

int err_bad_request(struct err *err, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = set(err, 400, "BadRequest", fmt, ap);
	va_end(ap);
	return r;
}

int err_forbidden(
	struct err *err, struct str group, struct str plural, struct str name, const char *fmt, ...)
{
	struct arena a = {0};
	va_list ap;
	struct str why;
	int r;

	va_start(ap, fmt);
	why = arena_vfmt(&a, fmt, ap);
	va_end(ap);
	if (!plural.n)
		r = err_fmt(err, 403, "Forbidden", "forbidden: " STR_FMT, STR_ARG(why));
	else if (!name.n)
		r = err_fmt(err, 403, "Forbidden", STR_FMT " is forbidden: " STR_FMT,
			STR_ARG(qualified(&a, group, plural)), STR_ARG(why));
	else
		r = err_fmt(err, 403, "Forbidden",
			STR_FMT " \"" STR_FMT "\" is forbidden: " STR_FMT,
			STR_ARG(qualified(&a, group, plural)), STR_ARG(name), STR_ARG(why));
	err_details(err, group, plural, name, (struct str){0});
	arena_release(&a);
	return r;
}

int err_internal(struct err *err, const char *fmt, ...)
{
	struct arena a = {0};
	va_list ap;
	struct str why;
	int r;

	va_start(ap, fmt);
	why = arena_vfmt(&a, fmt, ap);
	va_end(ap);
	r = err_fmt(err, 500, "InternalError", "Internal error occurred: " STR_FMT, STR_ARG(why));
	err_details(err, (struct str){0}, (struct str){0}, (struct str){0}, (struct str){0});
	err_add_cause(err, "", (struct str){0}, STR_FMT, STR_ARG(why));
	arena_release(&a);
	return r;
}
