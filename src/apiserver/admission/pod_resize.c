/* PodResizeValidator: a pod cannot be resized beyond what its node could ever give. */
#include "api/amounts.h"
#include "apiserver/admission/plugins.h"
#include "apiserver/server.h"

static int refuse(struct admission_attrs *attrs, struct str why, const char *cause, struct err *err)
{
	int r = admission_forbidden_text(attrs, err, why);

	err_add_cause(err, cause, S(""), "%s", "");
	return r;
}

static int64_t shown(struct str name, const struct quantity *q)
{
	return str_eqc(name, "cpu") ? quantity_milli(q) : quantity_value(q);
}

static int check_allocatable(struct admission_attrs *attrs, const struct v1_pod *pod,
	const struct v1_node *node, struct err *err)
{
	static const char *const names[] = {"cpu", "memory"};
	struct arena *a = attrs->arena;
	struct amounts wanted = pod_amounts(a, pod, (struct pod_amounts_opts){.overhead = true});
	struct amounts have = amounts_of(a, &node->status.allocatable);
	const struct quantity none = {0};
	struct str why = S("");

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct str name = str_c(names[i]);
		const struct quantity *w = amounts_get(&wanted, name);
		const struct quantity *h = amounts_get(&have, name);

		h = h ? h : &none;
		if (w && quantity_cmp(w, h) > 0)
			why = arena_fmt(a, STR_FMT "%s%s, requested: %lld, allocatable: %lld",
				STR_ARG(why), why.n ? "; " : "", names[i],
				(long long)shown(name, w), (long long)shown(name, h));
	}
	if (!why.n)
		return 0;
	return refuse(attrs,
		arena_fmt(
			a, "node didn't have enough allocatable resources: " STR_FMT, STR_ARG(why)),
		"NodeCapacity", err);
}

static int validate(struct admission_attrs *attrs, struct err *err)
{
	const struct v1_pod *pod = attrs->obj, *old = attrs->old;
	const struct v1_node *node;
	const struct str *os;

	if (attrs->resource != &v1_pod_resource || !str_eqc(attrs->subresource, "resize") ||
		!pod->spec.node_name.n || pod->metadata.generation == old->metadata.generation)
		return 0;
	node = admission_get(attrs, &v1_node_resource, S(""), pod->spec.node_name);
	if (!node)
		return admission_forbidden(
			attrs, err, "node \"" STR_FMT "\" not found", STR_ARG(pod->spec.node_name));
	os = str_map_get(&node->metadata.labels, S("kubernetes.io/os"));
	if (os && !str_eqc(*os, "linux"))
		return refuse(attrs,
			arena_fmt(attrs->arena,
				"pod resize is only supported on linux nodes, node \"" STR_FMT
				"\" is \"" STR_FMT "\"",
				STR_ARG(node->metadata.name), STR_ARG(*os)),
			"UnsupportedPlatform", err);
	return check_allocatable(attrs, pod, node, err);
}

const struct admission_plugin admission_pod_resize_validator = {
	.name = "PodResizeValidator",
	.ops = ADMIT_UPDATE,
	.validate = validate,
};
