#include "apiserver/server.h"

int admission_forbidden(const struct admission_attrs *attrs, struct err *err, const char *fmt, ...)
{
	struct arena a = {0};
	va_list ap;
	struct str why, name = attrs->name;
	int r;

	va_start(ap, fmt);
	why = arena_vfmt(&a, fmt, ap);
	va_end(ap);
	if (!name.n && attrs->obj && !attrs->subresource.n) {
		const struct meta_v1_object_meta *m = meta_of_const(attrs->resource, attrs->obj);

		name = m->name.n ? m->name : m->generate_name.n ? m->generate_name : S("Unknown");
	}
	r = err_forbidden(err, str_c(attrs->resource->group), str_c(attrs->resource->plural), name,
		STR_FMT, STR_ARG(why));
	arena_release(&a);
	return r;
}

static bool listed(const char *const *names, const char *name)
{
	for (; names && *names; names++)
		if (!strcmp(*names, name))
			return true;
	return false;
}

static int run(struct admission_attrs *attrs, bool validate, struct err *err)
{
	for (const struct admission_plugin *const *p = admission_plugins; *p; p++) {
		int (*fn)(struct admission_attrs *, struct err *) =
			validate ? (*p)->validate : (*p)->admit;
		int r;

		if (!fn || !((*p)->ops & attrs->op) ||
			listed(attrs->server->opts.admission_disable, (*p)->name))
			continue;
		r = fn(attrs, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int admission_admit(struct admission_attrs *attrs, struct err *err)
{
	return run(attrs, false, err);
}

int admission_validate(struct admission_attrs *attrs, struct err *err)
{
	return run(attrs, true, err);
}
