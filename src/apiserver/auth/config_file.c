#include "apiserver/auth/config_file.h"

#include "base/file.h"
#include "json/value.h"

enum { CONFIG_MAX = 4 << 20 };

#define GROUP "apiserver.config.k8s.io/"

int config_read(const char *path, struct arena *a, struct str *ret, struct err *err)
{
	int r = file_read(path, CONFIG_MAX, a, ret, NULL);

	if (r < 0)
		err_bad_request(err, "open %s: %s", path,
			r == -ENOENT ? "no such file or directory" : strerror(-r));
	return r;
}

static bool is_version(struct str version)
{
	return str_eqc(version, GROUP "v1") || str_eqc(version, GROUP "v1beta1") ||
	       str_eqc(version, GROUP "v1alpha1");
}

static int check_kind(const struct config_kind *k, struct str json, struct str text,
	struct arena *a, struct err *err)
{
	struct json_value *v;
	struct str version, kind;
	int r = json_parse(json, a, &v, err);

	if (r < 0)
		return r;
	version = json_get_str(v, "apiVersion");
	kind = json_get_str(v, "kind");
	if (!kind.n || !version.n)
		return err_bad_request(err, "Object '%s' is missing in '" STR_FMT "'",
			kind.n ? "apiVersion" : "Kind", STR_ARG(text));
	if (!is_version(version) || !str_eqc(kind, k->kind))
		return err_bad_request(err,
			"no kind \"" STR_FMT "\" is registered for version \"" STR_FMT
			"\" in scheme \"%s\"",
			STR_ARG(kind), STR_ARG(version), k->scheme);
	return 0;
}

int config_decode(
	const struct config_kind *k, struct str text, struct arena *a, void **ret, struct err *err)
{
	struct schema_decode_opts opts = {.flags = SCHEMA_DECODE_STRICT};
	struct str_vec twice = {0}, all = {0};
	struct str json, list = S("");
	int r = yaml_to_json(text, a, &json, &twice, err);

	if (r >= 0)
		r = check_kind(k, json, text, a, err);
	if (r >= 0)
		r = schema_decode_json(k->type, json, a, &opts, ret, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < twice.n; i++)
		list = arena_fmt(a, STR_FMT "\n  " STR_FMT, STR_ARG(list), STR_ARG(twice.v[i]));
	if (list.n)
		ARENA_PUSH(a, &all, arena_fmt(a, "yaml: unmarshal errors:" STR_FMT, STR_ARG(list)));
	for (size_t i = 0; i < opts.warnings.n; i++)
		ARENA_PUSH(a, &all, opts.warnings.v[i]);
	list = S("");
	for (size_t i = 0; i < all.n; i++)
		list = arena_fmt(
			a, STR_FMT "%s" STR_FMT, STR_ARG(list), i ? ", " : "", STR_ARG(all.v[i]));
	return all.n ? err_bad_request(err, "strict decoding error: " STR_FMT, STR_ARG(list)) : 0;
}

struct str auth_aggregate(struct arena *a, const struct str_vec *v)
{
	struct str_vec once = {0};
	struct str out = S("");

	for (size_t i = 0; i < v->n; i++)
		if (!str_vec_has(&once, v->v[i]))
			ARENA_PUSH(a, &once, v->v[i]);
	if (once.n == 1)
		return once.v[0];
	for (size_t i = 0; i < once.n; i++)
		out = arena_fmt(
			a, STR_FMT "%s" STR_FMT, STR_ARG(out), i ? ", " : "[", STR_ARG(once.v[i]));
	return arena_fmt(a, STR_FMT "]", STR_ARG(out));
}

int config_errors(const struct field_errors *e, struct err *err)
{
	struct str_vec all = {0};

	for (size_t i = 0; i < e->n; i++)
		ARENA_PUSH(e->arena, &all, field_error_text(e->arena, &e->v[i]));
	if (!all.n)
		return 0;
	return err_bad_request(err, STR_FMT, STR_ARG(auth_aggregate(e->arena, &all)));
}

/* --- following --- */

static void take(struct followed_file *f, struct str text)
{
	char *copy = xmalloc(text.n + 1);

	if (text.n)
		memcpy(copy, text.p, text.n);
	copy[text.n] = 0;
	free((char *)f->text.p);
	f->text = str_n(copy, text.n);
}

void followed_file_init(struct followed_file *f, const char *path, struct str text)
{
	*f = (struct followed_file){.path = path};
	if (stat(path, &f->seen) < 0)
		f->seen = (struct stat){0};
	take(f, text);
}

bool followed_file_changed(struct followed_file *f)
{
	struct arena a = {0};
	struct stat now;
	struct str text;
	bool changed = false;

	if (stat(f->path, &now) < 0)
		return false;
	if (now.st_ino == f->seen.st_ino && now.st_size == f->seen.st_size &&
		now.st_mtim.tv_sec == f->seen.st_mtim.tv_sec &&
		now.st_mtim.tv_nsec == f->seen.st_mtim.tv_nsec)
		return false;
	if (file_read(f->path, CONFIG_MAX, &a, &text, NULL) == 0) {
		f->seen = now;
		changed = !str_eq(text, f->text);
		if (changed)
			take(f, text);
	}
	arena_release(&a);
	return changed;
}

void followed_file_release(struct followed_file *f)
{
	free((char *)f->text.p);
	f->text = (struct str){0};
}
