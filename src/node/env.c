/* env.c: the environment of a container. */
#include <ctype.h>

#include "node/env.h"

/* --- what must be read first --- */

static void refer(
	struct env_refs *refs, struct arena *a, bool secret, struct str name, bool *optional)
{
	bool opt = optional && *optional;
	struct env_ref r = {.secret = secret, .name = name, .optional = opt};

	for (size_t i = 0; i < refs->n; i++) {
		if (refs->v[i].secret == secret && str_eq(refs->v[i].name, name)) {
			refs->v[i].optional &= opt;
			return;
		}
	}
	ARENA_PUSH(a, refs, r);
}

struct env_refs env_references(const struct v1_container *c, struct arena *a)
{
	struct env_refs refs = {0};

	for (size_t i = 0; i < c->env_from.n; i++) {
		const struct v1_env_from_source *f = &c->env_from.v[i];

		if (f->config_map_ref)
			refer(&refs, a, false, f->config_map_ref->name,
				f->config_map_ref->optional);
		if (f->secret_ref)
			refer(&refs, a, true, f->secret_ref->name, f->secret_ref->optional);
	}
	for (size_t i = 0; i < c->env.n; i++) {
		const struct v1_env_var_source *s = c->env.v[i].value_from;

		if (s && s->config_map_key_ref)
			refer(&refs, a, false, s->config_map_key_ref->name,
				s->config_map_key_ref->optional);
		if (s && s->secret_key_ref)
			refer(&refs, a, true, s->secret_key_ref->name, s->secret_key_ref->optional);
	}
	return refs;
}

static const struct env_ref *reference(const struct env_input *in, bool secret, struct str name)
{
	for (size_t i = 0; i < in->refs.n; i++)
		if (in->refs.v[i].secret == secret && str_eq(in->refs.v[i].name, name))
			return &in->refs.v[i];
	return NULL;
}

/* --- expansion --- */

static void env_put(struct arena *a, struct cri_key_values *env, struct str key, struct str value)
{
	struct str_pair p = {key, value};

	for (size_t i = 0; i < env->n; i++) {
		if (str_eq(env->v[i].key, key)) {
			env->v[i].value = value;
			return;
		}
	}
	ARENA_PUSH(a, env, p);
}

static const struct str *env_get(const struct cri_key_values *env, struct str key)
{
	for (size_t i = 0; env && i < env->n; i++)
		if (str_eq(env->v[i].key, key))
			return &env->v[i].value;
	return NULL;
}

/* `more` is looked at after `env`. */
static int expand(struct str s, const struct cri_key_values *env, const struct cri_key_values *more,
	bool strict, struct arena *a, struct str *ret, struct err *err)
{
	struct buf b CLEANUP(buf_release) = {0};
	size_t i = 0;

	if (str_chr(s, '$') < 0) {
		*ret = s;
		return 0;
	}
	buf_init(&b, 4 << 20);
	while (i < s.n) {
		struct str rest = str_sub(s, i + 1, s.n);
		const struct str *v;
		ssize_t end;

		if (s.p[i] != '$' || rest.n == 0) {
			buf_add_char(&b, s.p[i++]);
			continue;
		}
		if (rest.p[0] == '$') {
			buf_add_char(&b, '$');
			i += 2;
			continue;
		}
		end = rest.p[0] == '(' ? str_chr(rest, ')') : -1;
		if (end < 0) {
			buf_add_char(&b, s.p[i++]);
			continue;
		}
		v = env_get(env, str_sub(rest, 1, (size_t)end));
		if (!v)
			v = env_get(more, str_sub(rest, 1, (size_t)end));
		if (!v && strict)
			return err_bad_request(err, "missing value for \"" STR_FMT "\"",
				(int)(end - 1), rest.p + 1);
		if (v)
			buf_add_str(&b, *v);
		else
			buf_add(&b, s.p + i, (size_t)end + 2);
		i += (size_t)end + 2;
	}
	*ret = arena_str(a, buf_str(&b));
	return buf_failed(&b) ? err_bad_request(err, "expanded value is too long") : 0;
}

int env_expand(struct str s, const struct cri_key_values *env, bool strict, struct arena *a,
	struct str *ret, struct err *err)
{
	return expand(s, env, NULL, strict, a, ret, err);
}

/* --- services --- */

static struct str env_name(struct arena *a, struct str name)
{
	char *p = arena_cstr(a, name);

	for (char *c = p; *c; c++)
		*c = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
	return str_c(p);
}

static void service_port(
	struct arena *a, struct cri_key_values *env, const struct v1_service *svc, size_t i)
{
	const struct v1_service_port *p = &svc->spec.ports.v[i];
	struct str name = env_name(a, svc->metadata.name), ip = svc->spec.cluster_ip;
	struct str proto = str_empty(p->protocol) ? S("TCP") : p->protocol;
	struct str lower = arena_str(a, proto);
	bool v6 = str_chr(ip, ':') >= 0;
	struct str url, prefix, port = arena_fmt(a, "%d", p->port);

	for (size_t j = 0; j < lower.n; j++)
		((char *)lower.p)[j] = (char)tolower((unsigned char)lower.p[j]);
	url = arena_fmt(a, STR_FMT "://%s" STR_FMT "%s:%d", STR_ARG(lower), v6 ? "[" : "",
		STR_ARG(ip), v6 ? "]" : "", p->port);
	if (i == 0)
		env_put(a, env, arena_fmt(a, STR_FMT "_PORT", STR_ARG(name)), url);
	prefix = arena_fmt(a, STR_FMT "_PORT_%d_" STR_FMT, STR_ARG(name), p->port, STR_ARG(proto));
	env_put(a, env, prefix, url);
	env_put(a, env, arena_fmt(a, STR_FMT "_PROTO", STR_ARG(prefix)), lower);
	env_put(a, env, arena_fmt(a, STR_FMT "_PORT", STR_ARG(prefix)), port);
	env_put(a, env, arena_fmt(a, STR_FMT "_ADDR", STR_ARG(prefix)), ip);
	if (!str_empty(p->name))
		env_put(a, env,
			arena_fmt(a, STR_FMT "_SERVICE_PORT_" STR_FMT, STR_ARG(name),
				STR_ARG(env_name(a, p->name))),
			port);
}

static void service_env(const struct env_input *in, struct arena *a, struct cri_key_values *env)
{
	bool links = !in->facts.pod->spec.enable_service_links ||
		     *in->facts.pod->spec.enable_service_links;

	for (size_t i = 0; in->services && i < in->services->n; i++) {
		const struct v1_service *s = &in->services->v[i];
		bool master = str_eq(s->metadata.namespace, S("default")) &&
			      str_eq(s->metadata.name, S("kubernetes"));
		struct str name;

		if (str_empty(s->spec.cluster_ip) || str_eq(s->spec.cluster_ip, S("None")) ||
			s->spec.ports.n == 0)
			continue;
		if (!master && (!links || !str_eq(s->metadata.namespace,
						  in->facts.pod->metadata.namespace)))
			continue;
		name = env_name(a, s->metadata.name);
		env_put(a, env, arena_fmt(a, STR_FMT "_SERVICE_HOST", STR_ARG(name)),
			s->spec.cluster_ip);
		env_put(a, env, arena_fmt(a, STR_FMT "_SERVICE_PORT", STR_ARG(name)),
			arena_fmt(a, "%d", s->spec.ports.v[0].port));
		for (size_t p = 0; p < s->spec.ports.n; p++)
			service_port(a, env, s, p);
	}
}

/* --- the parts --- */

static int missing_object(const struct env_input *in, bool secret, struct str name, struct err *err)
{
	(void)in;
	return err_not_found(err, S(""), secret ? S("secret") : S("configmap"), name);
}

static int add_env_from(const struct env_input *in, struct arena *a, struct cri_key_values *env,
	const struct v1_env_from_source *f, struct err *err)
{
	bool secret = f->secret_ref != NULL;
	struct str name = secret              ? f->secret_ref->name
			  : f->config_map_ref ? f->config_map_ref->name
					      : S("");
	bool *optional = secret              ? f->secret_ref->optional
			 : f->config_map_ref ? f->config_map_ref->optional
					     : NULL;
	const struct env_ref *r = reference(in, secret, name);

	if (!r)
		return 0;
	if (!r->data)
		return optional && *optional ? 0 : missing_object(in, secret, name, err);
	for (size_t i = 0; i < r->data->n; i++)
		env_put(a, env,
			arena_fmt(
				a, STR_FMT STR_FMT, STR_ARG(f->prefix), STR_ARG(r->data->v[i].key)),
			r->data->v[i].value);
	return 0;
}

/* 1: there is none, and that is allowed. */
static int object_key(const struct env_input *in, bool secret, struct str name, struct str key,
	bool optional, struct str *ret, struct err *err)
{
	const struct env_ref *r = reference(in, secret, name);
	const struct str *v;

	if (!r || !r->data)
		return optional ? 1 : missing_object(in, secret, name, err);
	v = str_map_get(r->data, key);
	if (!v && optional)
		return 1;
	if (!v)
		return err_bad_request(err,
			"couldn't find key " STR_FMT " in %s " STR_FMT "/" STR_FMT, STR_ARG(key),
			secret ? "Secret" : "ConfigMap", STR_ARG(in->facts.pod->metadata.namespace),
			STR_ARG(name));
	*ret = *v;
	return 0;
}

static int value_from(const struct env_input *in, struct arena *a,
	const struct v1_env_var_source *s, struct str *ret, struct err *err)
{
	if (s->field_ref)
		return downward_field(&in->facts, s->field_ref->field_path, a, ret, err);
	if (s->resource_field_ref)
		return downward_resource(
			&in->facts, in->container, s->resource_field_ref, a, ret, err);
	if (s->config_map_key_ref)
		return object_key(in, false, s->config_map_key_ref->name,
			s->config_map_key_ref->key,
			s->config_map_key_ref->optional && *s->config_map_key_ref->optional, ret,
			err);
	if (s->secret_key_ref)
		return object_key(in, true, s->secret_key_ref->name, s->secret_key_ref->key,
			s->secret_key_ref->optional && *s->secret_key_ref->optional, ret, err);
	return err_bad_request(err, "environment variable source is not supported");
}

int env_make(
	const struct env_input *in, struct arena *a, struct cri_key_values *ret, struct err *err)
{
	struct cri_key_values env = {0}, services = {0};
	const struct v1_container *c = in->container;
	int r;

	service_env(in, a, &services);
	for (size_t i = 0; i < c->env_from.n; i++) {
		r = add_env_from(in, a, &env, &c->env_from.v[i], err);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < c->env.n; i++) {
		const struct v1_env_var *e = &c->env.v[i];
		struct str value = S("");

		r = 0;
		if (!str_empty(e->value))
			r = expand(e->value, &env, &services, false, a, &value, err);
		else if (e->value_from)
			r = value_from(in, a, e->value_from, &value, err);
		if (r < 0)
			return r;
		if (r == 0)
			env_put(a, &env, e->name, value);
	}
	for (size_t i = 0; i < services.n; i++)
		if (!env_get(&env, services.v[i].key))
			env_put(a, &env, services.v[i].key, services.v[i].value);
	*ret = env;
	return 0;
}
