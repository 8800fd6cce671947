/* RuntimeClass: a pod that names one gets its overhead, node selector and tolerations. */
#include "apiserver/admission/plugins.h"

static const struct node_v1_runtime_class *find_class(
	struct admission_attrs *attrs, struct str name, struct err *err)
{
	const struct object *o =
		store_get(attrs->store, &node_v1_runtime_class_resource, S(""), name);
	const struct node_v1_runtime_class *c = NULL;

	if (o)
		c = object_decode(object_ref_in(attrs->arena, o), attrs->arena);
	else
		admission_forbidden(attrs, err,
			"pod rejected: RuntimeClass \"" STR_FMT "\" not found", STR_ARG(name));
	object_unref(o);
	return c;
}

static bool same_overhead(const struct str_map *a, const struct str_map *b)
{
	bool same = a->n == b->n;

	for (size_t i = 0; same && i < a->n; i++)
		same = str_eq(a->v[i].key, b->v[i].key) && str_eq(a->v[i].value, b->v[i].value);
	return same;
}

static int merge_selector(struct admission_attrs *attrs, struct v1_pod *pod,
	const struct str_map *add, struct err *err)
{
	struct str_map out = {0};
	size_t i = 0, j = 0;
	const struct str_map *mine = &pod->spec.node_selector;

	while (i < mine->n || j < add->n) {
		int c = i == mine->n  ? 1
			: j == add->n ? -1
				      : str_cmp(mine->v[i].key, add->v[j].key);

		if (c == 0 && !str_eq(mine->v[i].value, add->v[j].value))
			return admission_forbidden(attrs, err,
				"conflict: runtimeClass.scheduling.nodeSelector[" STR_FMT
				"] = " STR_FMT "; pod.spec.nodeSelector[" STR_FMT "] = " STR_FMT,
				STR_ARG(add->v[j].key), STR_ARG(add->v[j].value),
				STR_ARG(mine->v[i].key), STR_ARG(mine->v[i].value));
		ARENA_PUSH(attrs->arena, &out, c <= 0 ? mine->v[i] : add->v[j]);
		i += c <= 0;
		j += c >= 0;
	}
	pod->spec.node_selector = out;
	return 0;
}

static void merge_tolerations(
	struct arena *a, struct v1_pod *pod, const struct v1_toleration_vec *add)
{
	for (size_t i = 0; i < add->n; i++) {
		bool have = false;

		for (size_t j = 0; j < pod->spec.tolerations.n; j++)
			have |= schema_equal(
				&v1_toleration_schema, &add->v[i], &pod->spec.tolerations.v[j]);
		if (!have)
			ARENA_PUSH(a, &pod->spec.tolerations, add->v[i]);
	}
}

static int admit(struct admission_attrs *attrs, struct err *err)
{
	const struct node_v1_runtime_class *c;
	struct v1_pod *pod = attrs->obj;

	if (attrs->resource != &v1_pod_resource || attrs->subresource.n ||
		!pod->spec.runtime_class_name.n)
		return 0;
	c = find_class(attrs, pod->spec.runtime_class_name, err);
	if (!c)
		return -EACCES;
	if (c->overhead) {
		if (pod->spec.overhead.n &&
			!same_overhead(&pod->spec.overhead, &c->overhead->pod_fixed))
			return admission_forbidden(attrs, err,
				"pod rejected: Pod's Overhead doesn't match RuntimeClass's defined "
				"Overhead");
		pod->spec.overhead = c->overhead->pod_fixed;
	}
	if (!c->scheduling)
		return 0;
	merge_tolerations(attrs->arena, pod, &c->scheduling->tolerations);
	return merge_selector(attrs, pod, &c->scheduling->node_selector, err);
}

static int validate(struct admission_attrs *attrs, struct err *err)
{
	const struct node_v1_runtime_class *c = NULL;
	const struct v1_pod *pod = attrs->obj;

	if (attrs->resource != &v1_pod_resource || attrs->subresource.n)
		return 0;
	if (pod->spec.runtime_class_name.n) {
		c = find_class(attrs, pod->spec.runtime_class_name, err);
		if (!c)
			return -EACCES;
	}
	if (pod->spec.overhead.n && (!c || !c->overhead))
		return admission_forbidden(attrs, err,
			"pod rejected: Pod Overhead set without corresponding RuntimeClass defined "
			"Overhead");
	return 0;
}

const struct admission_plugin admission_runtime_class = {
	.name = "RuntimeClass",
	.ops = ADMIT_CREATE,
	.admit = admit,
	.validate = validate,
};
