/* PodTolerationRestriction: tolerations that a namespace's pods get, and those that they may have.
 */
#include "apiserver/admission/plugins.h"
#include "apiserver/server.h"
#include "apiserver/validation/pod.h"
#include "json/value.h"

#define DEFAULTS "scheduler.alpha.kubernetes.io/defaultTolerations"
#define WHITELIST "scheduler.alpha.kubernetes.io/tolerationsWhitelist"

struct config {
	struct arena arena;
	struct v1_toleration_vec defaults, whitelist;
};

/* A JSON list is decoded as a pod spec's. */
static int decode(struct arena *a, struct str list, struct v1_toleration_vec *ret, struct err *err)
{
	struct str json = arena_fmt(a, "{\"tolerations\":" STR_FMT "}", STR_ARG(list));
	struct v1_pod_spec *spec;
	int r;

	if (!list.n)
		return 0;
	r = schema_decode_json(&v1_pod_spec_schema, json, a, NULL, (void **)&spec, err);
	if (r >= 0)
		*ret = spec->tolerations;
	return r;
}

static int init(struct apiserver *s, struct str json, void **ret, struct err *err)
{
	struct config *c = xcalloc(1, sizeof(*c));
	struct json_value *v = NULL, *list;
	int r = 0;

	*ret = c;
	if (json.n)
		r = json_parse(arena_str(&c->arena, json), &c->arena, &v, err);
	list = json_getc(v, "default");
	if (r >= 0 && list)
		r = decode(&c->arena, json_text(list, &c->arena), &c->defaults, err);
	list = json_getc(v, "whitelist");
	if (r >= 0 && list)
		r = decode(&c->arena, json_text(list, &c->arena), &c->whitelist, err);
	return r;
}

static void config_free(void *state)
{
	struct config *c = state;

	arena_release(&c->arena);
	free(c);
}

/* The namespace's list by its annotation; false: it has none. */
static int of_namespace(struct admission_attrs *attrs, struct str key,
	struct v1_toleration_vec *ret, bool *ret_found, struct err *err)
{
	const struct v1_namespace *ns =
		admission_get(attrs, &v1_namespace_resource, S(""), attrs->ns);
	const struct str *text;

	if (!ns)
		return err_not_found(err, S(""), S("namespaces"), attrs->ns);
	text = str_map_get(&ns->metadata.annotations, key);
	*ret_found = text != NULL;
	return text ? decode(attrs->arena, *text, ret, err) : 0;
}

/* Whether all that t tolerates is tolerated by `wide`. */
static bool covers(const struct v1_toleration *wide, const struct v1_toleration *t)
{
	bool exists = str_eqc(wide->operator, "Exists");

	if (schema_equal(&v1_toleration_schema, wide, t))
		return true;
	if (!str_eq(t->key, wide->key) && (wide->key.n || !exists))
		return false;
	if (!str_eq(t->effect, wide->effect) && wide->effect.n)
		return false;
	if (str_eqc(wide->effect, "NoExecute") && wide->toleration_seconds &&
		(!t->toleration_seconds || *t->toleration_seconds > *wide->toleration_seconds))
		return false;
	if (exists)
		return true;
	return (!wide->operator.n || str_eqc(wide->operator, "Equal")) &&
	       str_eqc(t->operator, "Equal") && str_eq(t->value, wide->value);
}

static bool covered(const struct v1_toleration_vec *by, size_t from, const struct v1_toleration *t,
	bool or_equal)
{
	for (size_t i = from; i < by->n; i++)
		if (covers(&by->v[i], t) &&
			(or_equal || !schema_equal(&v1_toleration_schema, &by->v[i], t)))
			return true;
	return false;
}

static void merge(struct arena *a, struct v1_pod *pod, const struct v1_toleration_vec *more)
{
	struct v1_toleration_vec all = {0}, kept = {0};

	for (size_t i = 0; i < pod->spec.tolerations.n; i++)
		ARENA_PUSH(a, &all, pod->spec.tolerations.v[i]);
	for (size_t i = 0; i < more->n; i++)
		ARENA_PUSH(a, &all, more->v[i]);
	for (size_t i = 0; i < all.n; i++)
		if (!covered(&kept, 0, &all.v[i], true) && !covered(&all, i + 1, &all.v[i], false))
			ARENA_PUSH(a, &kept, all.v[i]);
	pod->spec.tolerations = kept;
}

static int validate(struct admission_attrs *attrs, struct err *err)
{
	const struct v1_pod *pod = attrs->obj;
	const struct config *c = attrs->state;
	struct v1_toleration_vec list = {0};
	bool own = false;
	int r;

	if (!admission_is(attrs, &v1_pod_resource) || !pod->spec.tolerations.n)
		return 0;
	r = of_namespace(attrs, S(WHITELIST), &list, &own, err);
	if (r < 0)
		return r;
	if (!own)
		list = c->whitelist;
	for (size_t i = 0; list.n && i < pod->spec.tolerations.n; i++)
		if (!covered(&list, 0, &pod->spec.tolerations.v[i], true))
			return err_fmt(err, 500, "",
				"pod tolerations (possibly merged with namespace default "
				"tolerations) conflict with its %s whitelist",
				own ? "namespace" : "cluster");
	return 0;
}

static int admit(struct admission_attrs *attrs, struct err *err)
{
	struct v1_toleration pressure = {.key = S("node.kubernetes.io/memory-pressure"),
		.operator= S("Exists"),
		.effect = S("NoSchedule")};
	const struct config *c = attrs->state;
	struct v1_toleration_vec list = {0}, more = {0};
	struct v1_pod *pod = attrs->obj;
	bool own = false;
	int r;

	if (!admission_is(attrs, &v1_pod_resource))
		return 0;
	if (attrs->op == ADMIT_CREATE) {
		r = of_namespace(attrs, S(DEFAULTS), &list, &own, err);
		if (r < 0)
			return r;
		list = own ? list : c->defaults;
	}
	for (size_t i = 0; i < list.n; i++)
		ARENA_PUSH(attrs->arena, &more, list.v[i]);
	if (!str_eqc(pod_qos_class(pod, attrs->arena), "BestEffort"))
		ARENA_PUSH(attrs->arena, &more, pressure);
	if (more.n)
		merge(attrs->arena, pod, &more);
	return validate(attrs, err);
}

const struct admission_plugin admission_pod_toleration_restriction = {
	.name = "PodTolerationRestriction",
	.ops = ADMIT_CREATE | ADMIT_UPDATE,
	.off = true,
	.init = init,
	.free = config_free,
	.admit = admit,
	.validate = validate,
};
