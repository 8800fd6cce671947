/* PodNodeSelector: the nodes that a namespace's pods may run on, from the namespace's annotation or
 * the cluster's configuration. */
#include "apiserver/admission/plugins.h"
#include "apiserver/server.h"
#include "apiserver/validation/pod.h"
#include "json/value.h"

#define ANNOTATION "scheduler.alpha.kubernetes.io/node-selector"
#define CONFLICT "pod node label selector conflicts with its namespace node label selector"

struct config {
	struct arena arena;
	struct str_map selectors; /* of namespaces, and "clusterDefaultNodeSelector" */
};

static int init(struct apiserver *s, struct str json, void **ret, struct err *err)
{
	struct config *c = xcalloc(1, sizeof(*c));
	struct json_value *v = NULL, *map;

	*ret = c;
	if (json.n && json_parse(arena_str(&c->arena, json), &c->arena, &v, err) < 0)
		return -EINVAL;
	map = json_getc(v, "podNodeSelectorPluginConfig");
	for (size_t i = 0; map && i < map->members.n; i++)
		str_map_put(&c->arena, &c->selectors, map->members.v[i].key,
			map->members.v[i].value->text);
	return 0;
}

static void config_free(void *state)
{
	struct config *c = state;

	arena_release(&c->arena);
	free(c);
}

/* "a=b, c=d" */
static int parse(struct arena *a, struct str text, struct str_map *ret, struct err *err)
{
	struct str rest = text, item, key, value;

	while (rest.n) {
		str_cut(rest, ',', &item, &rest);
		if (!str_cut(item, '=', &key, &value))
			return err_internal(err, "invalid selector: [" STR_FMT "]", STR_ARG(text));
		str_map_put(a, ret, str_trim(key), str_trim(value));
	}
	return 0;
}

static struct str setting(const struct config *c, struct str key)
{
	const struct str *v = str_map_get(&c->selectors, key);

	return v ? *v : S("");
}

static int selector_of(struct admission_attrs *attrs, struct str_map *ret, struct err *err)
{
	const struct v1_namespace *ns =
		admission_get(attrs, &v1_namespace_resource, S(""), attrs->ns);
	const struct str *own;

	if (!ns)
		return err_not_found(err, S(""), S("namespaces"), attrs->ns);
	own = str_map_get(&ns->metadata.annotations, S(ANNOTATION));
	return parse(attrs->arena,
		own ? *own : setting(attrs->state, S("clusterDefaultNodeSelector")), ret, err);
}

static bool conflicts(const struct str_map *a, const struct str_map *b)
{
	for (size_t i = 0; i < a->n; i++) {
		const struct str *other = str_map_get(b, a->v[i].key);

		if (other && !str_eq(*other, a->v[i].value))
			return true;
	}
	return false;
}

static int validate(struct admission_attrs *attrs, struct err *err)
{
	struct v1_pod *pod = attrs->obj;
	struct str_map selector = {0}, allowed = {0};
	const struct str_map *mine = &pod->spec.node_selector;
	int r;

	if (!admission_is(attrs, &v1_pod_resource))
		return 0;
	r = selector_of(attrs, &selector, err);
	if (r >= 0)
		r = parse(attrs->arena, setting(attrs->state, attrs->ns), &allowed, err);
	if (r < 0)
		return r;
	if (conflicts(&selector, mine))
		return admission_forbidden(attrs, err, CONFLICT);
	for (size_t i = 0; allowed.n && i < mine->n; i++) {
		const struct str *v = str_map_get(&allowed, mine->v[i].key);

		if (!v || !str_eq(*v, mine->v[i].value))
			return admission_forbidden(attrs, err,
				"pod node label selector labels conflict with its namespace "
				"whitelist");
	}
	return 0;
}

static int admit(struct admission_attrs *attrs, struct err *err)
{
	struct v1_pod *pod = attrs->obj;
	struct str_map selector = {0};
	int r;

	if (!admission_is(attrs, &v1_pod_resource))
		return 0;
	r = selector_of(attrs, &selector, err);
	if (r < 0)
		return r;
	if (conflicts(&selector, &pod->spec.node_selector))
		return admission_forbidden(attrs, err, CONFLICT);
	for (size_t i = 0; i < selector.n; i++)
		str_map_put(attrs->arena, &pod->spec.node_selector, selector.v[i].key,
			selector.v[i].value);
	return validate(attrs, err);
}

const struct admission_plugin admission_pod_node_selector = {
	.name = "PodNodeSelector",
	.ops = ADMIT_CREATE,
	.off = true,
	.init = init,
	.free = config_free,
	.admit = admit,
	.validate = validate,
};
