/* Which plugins run, and one pass of them over one write. */
#include "apiserver/server.h"
#include "base/file.h"
#include "json/value.h"

enum { CONFIG_MAX = 1 << 20 };

struct enabled {
	const struct admission_plugin *plugin;
	size_t place; /* in admission_plugins */
	void *state;
};

struct admission {
	struct arena arena;
	struct {
		struct enabled *v;
		size_t n;
	} chain; /* in order */
};

/* --- for plugins --- */

int admission_forbidden_text(const struct admission_attrs *attrs, struct err *err, struct str why)
{
	struct str name = attrs->name;

	if (!name.n && attrs->obj && !attrs->subresource.n) {
		const struct meta_v1_object_meta *m = meta_of_const(attrs->resource, attrs->obj);

		name = m->name.n ? m->name : m->generate_name.n ? m->generate_name : S("Unknown");
	}
	return err_forbidden(err, str_c(attrs->resource->group), str_c(attrs->resource->plural),
		name, STR_FMT, STR_ARG(why));
}

int admission_forbidden(const struct admission_attrs *attrs, struct err *err, const char *fmt, ...)
{
	struct arena a = {0};
	va_list ap;
	struct str why;
	int r;

	va_start(ap, fmt);
	why = arena_vfmt(&a, fmt, ap);
	va_end(ap);
	r = admission_forbidden_text(attrs, err, why);
	arena_release(&a);
	return r;
}

void admission_warn(struct admission_attrs *attrs, const char *fmt, ...)
{
	va_list ap;
	struct str text;

	va_start(ap, fmt);
	text = arena_vfmt(attrs->arena, fmt, ap);
	va_end(ap);
	if (text.n && !str_vec_has(attrs->warnings, text))
		ARENA_PUSH(attrs->arena, attrs->warnings, text);
}

void admission_annotate(struct admission_attrs *attrs, struct str key, struct str value)
{
	struct str_pair pair = {arena_str(attrs->arena, key), arena_str(attrs->arena, value)};

	if (attrs->request)
		audit_annotate(attrs->request, key, value);
	if (!str_map_get(&attrs->annotations, key))
		ARENA_PUSH(attrs->arena, &attrs->annotations, pair);
}

void *admission_get(const struct admission_attrs *attrs, const struct schema_resource *res,
	struct str ns, struct str name)
{
	const struct object *o = store_get(attrs->store, res, ns, name);
	void *typed = o ? object_decode(object_ref_in(attrs->arena, o), attrs->arena) : NULL;

	object_unref(o);
	return typed;
}

struct outside *admission_outside(const struct admission_attrs *attrs)
{
	return attrs->request ? &attrs->request->outside : NULL;
}

/* --- one pass --- */

static void finish(struct admission_run *run, struct err *err)
{
	metrics_admission_step(run->attrs.server->metrics, run->attrs.op, run->validating,
		err != NULL, run->began_ns);
	run->done(run, err);
}

/* All mutating ones run a second time when a webhook asks for it after it has changed the object
 * (apiserver pkg/admission/reinvocation.go). */
static const struct enabled *next(struct admission_run *run, const struct admission *adm)
{
	if (run->at == adm->chain.n && run->again && !run->second) {
		run->second = true;
		run->at = 0;
	}
	return run->at < adm->chain.n ? &adm->chain.v[run->at++] : NULL;
}

static void advance(struct admission_run *run);

static void ask_again(void *user_data)
{
	struct admission_run *run = user_data;

	run->at--; /* the plugin that wanted to know */
	run->suspended = false;
	advance(run);
}

/* The plugin that ran last is done. */
static void count_plugin(struct admission_run *run, bool rejected)
{
	struct apiserver *s = run->attrs.server;

	run->since_ns = metrics_admission(s->metrics, s->admission->chain.v[run->at - 1].place,
		run->attrs.op, run->validating, rejected, run->since_ns);
}

static void advance(struct admission_run *run)
{
	struct err err CLEANUP(err_release) = {0};
	struct admission_attrs *attrs = &run->attrs;
	const struct admission *adm = attrs->server->admission;

	for (;;) {
		const struct enabled *e = next(run, adm);
		int (*fn)(struct admission_attrs *, struct err *);
		int r;

		if (!e)
			break;
		fn = run->validating ? e->plugin->validate : e->plugin->admit;
		if (!fn || !(e->plugin->ops & attrs->op))
			continue;
		attrs->run = run;
		attrs->state = e->state;
		run->suspended = true;
		r = fn(attrs, &err);
		if (r == ADMISSION_SUSPENDED)
			return;
		if (r < 0 && outside_waits(admission_outside(attrs))) {
			err_release(&err);
			outside_ask(admission_outside(attrs), ask_again, run);
			return;
		}
		run->suspended = false;
		count_plugin(run, r < 0);
		if (r < 0) {
			finish(run, &err);
			return;
		}
	}
	finish(run, NULL);
}

static void start(struct admission_run *run, bool validating)
{
	run->at = 0;
	run->began_ns = run->since_ns = metric_now_ns();
	run->validating = validating;
	run->again = run->second = false;
	advance(run);
}

void admission_admit(struct admission_run *run)
{
	start(run, false);
}

void admission_validate(struct admission_run *run)
{
	start(run, true);
}

void admission_resume(struct admission_run *run, struct err *err)
{
	assert(run->suspended);
	run->suspended = false;
	count_plugin(run, err != NULL);
	if (err)
		finish(run, err);
	else
		advance(run);
}

/* --- which plugins --- */

static bool listed(const char *const *names, const char *name)
{
	for (; names && *names; names++)
		if (!strcmp(*names, name))
			return true;
	return false;
}

static bool is_known(const char *name)
{
	for (const struct admission_plugin *const *p = admission_plugins; *p; p++)
		if (!strcmp((*p)->name, name))
			return true;
	return false;
}

static void check_known(struct buf *why, const char *flag, const char *const *names)
{
	for (; names && *names; names++)
		if (!is_known(*names))
			buf_fmt(why, "%s%s plugin \"%s\" is unknown", why->n ? "\n" : "", flag,
				*names);
}

static void check_overlap(struct buf *why, const struct admission_opts *o)
{
	bool any = false;

	for (const struct admission_plugin *const *p = admission_plugins; *p; p++) {
		if (!listed(o->enable, (*p)->name) || !listed(o->disable, (*p)->name))
			continue;
		buf_fmt(why, "%s%s", any ? " " : why->n ? "\n[" : "[", (*p)->name);
		any = true;
	}
	if (any)
		buf_fmt(why, "] in enable-admission-plugins and disable-admission-plugins "
			     "overlapped");
}

int admission_check(const struct admission_opts *o, struct err *err)
{
	struct buf why CLEANUP(buf_release);
	int r = 0;

	buf_init(&why, CONFIG_MAX);
	if (o->only && (o->enable || o->disable))
		buf_fmt(&why, "admission-control and enable-admission-plugins/"
			      "disable-admission-plugins flags are mutually exclusive");
	check_known(&why, "admission-control", o->only);
	check_known(&why, "enable-admission-plugins", o->enable);
	check_known(&why, "disable-admission-plugins", o->disable);
	check_overlap(&why, o);
	if (why.n)
		r = err_bad_request(err, STR_FMT, STR_ARG(buf_str(&why)));
	return r;
}

static bool wanted(const struct admission_opts *o, const struct admission_plugin *p)
{
	if (o->only)
		return listed(o->only, p->name);
	return p->off ? listed(o->enable, p->name) : !listed(o->disable, p->name);
}

/* --- their configuration: AdmissionConfiguration of apiserver.config.k8s.io/v1 --- */

static int parse_config(
	const struct admission_opts *o, struct arena *a, struct json_value **ret, struct err *err)
{
	struct json_value *plugins;
	struct str json;
	int r;

	if (!o->config.n)
		return 0;
	r = yaml_to_json(o->config, a, &json, NULL, err);
	if (r >= 0)
		r = json_parse(json, a, ret, err);
	if (r < 0)
		return r;
	if (!str_eqc(json_get_str(*ret, "kind"), "AdmissionConfiguration") ||
		!str_starts(json_get_str(*ret, "apiVersion"), S("apiserver.config.k8s.io/")))
		return err_bad_request(err,
			"--admission-control-config-file: want kind AdmissionConfiguration of "
			"apiserver.config.k8s.io/v1");
	plugins = json_getc(*ret, "plugins");
	*ret = plugins && plugins->kind == JSON_ARRAY ? plugins : NULL;
	return 0;
}

static int read_config(const struct admission_opts *o, struct json_value *entry, struct arena *a,
	struct str *ret, struct err *err)
{
	struct json_value *inner = json_getc(entry, "configuration");
	struct str path = json_get_str(entry, "path"), yaml;
	int r;

	if (inner && inner->kind == JSON_OBJECT) {
		*ret = json_text(inner, a);
		return 0;
	}
	if (!path.n)
		return 0;
	if (path.p[0] != '/')
		path = arena_fmt(
			a, "%s/" STR_FMT, o->config_dir ? o->config_dir : ".", STR_ARG(path));
	r = file_read(arena_cstr(a, path), CONFIG_MAX, a, &yaml, err);
	return r < 0 ? r : yaml_to_json(yaml, a, ret, NULL, err);
}

static int config_of(const struct admission_opts *o, struct json_value *plugins, const char *name,
	struct arena *a, struct str *ret, struct err *err)
{
	*ret = S("");
	for (size_t i = 0; plugins && i < plugins->items.n; i++)
		if (str_eqc(json_get_str(plugins->items.v[i], "name"), name))
			return read_config(o, plugins->items.v[i], a, ret, err);
	return 0;
}

static int enable(struct apiserver *s, struct admission *adm, const struct admission_plugin *p,
	struct str config, struct err *err)
{
	struct enabled e = {.plugin = p};
	int r = p->init ? p->init(s, config, &e.state, err) : 0;

	while (admission_plugins[e.place] != p)
		e.place++;
	if (r >= 0)
		ARENA_PUSH(&adm->arena, &adm->chain, e);
	else if (e.state && p->free)
		p->free(e.state);
	return r;
}

int admission_new(struct apiserver *s, const struct admission_opts *o, struct admission **ret,
	struct err *err)
{
	struct admission *adm = xcalloc(1, sizeof(*adm));
	struct json_value *plugins = NULL;
	struct arena scratch = {0};
	struct str config;
	int r = admission_check(o, err);

	if (r >= 0)
		r = parse_config(o, &scratch, &plugins, err);
	for (const struct admission_plugin *const *p = admission_plugins; r >= 0 && *p; p++) {
		if (!wanted(o, *p))
			continue;
		r = config_of(o, plugins, (*p)->name, &scratch, &config, err);
		if (r >= 0)
			r = enable(s, adm, *p, config, err);
	}
	arena_release(&scratch);
	if (r < 0)
		admission_free(adm);
	else
		*ret = adm;
	return r;
}

void admission_free(struct admission *adm)
{
	if (!adm)
		return;
	for (size_t i = 0; i < adm->chain.n; i++)
		if (adm->chain.v[i].plugin->free)
			adm->chain.v[i].plugin->free(adm->chain.v[i].state);
	arena_release(&adm->arena);
	free(adm);
}

bool admission_enabled(const struct admission *adm, const char *name)
{
	for (size_t i = 0; i < adm->chain.n; i++)
		if (!strcmp(adm->chain.v[i].plugin->name, name))
			return true;
	return false;
}
