/* DefaultTolerationSeconds: a pod stays five minutes on a node that went away, unless it says
 * otherwise. */
#include "apiserver/admission/plugins.h"

enum { SECONDS = 300 };

static bool tolerates(const struct v1_pod *pod, struct str key)
{
	for (size_t i = 0; i < pod->spec.tolerations.n; i++) {
		const struct v1_toleration *t = &pod->spec.tolerations.v[i];

		if ((str_eq(t->key, key) || !t->key.n) &&
			(str_eqc(t->effect, "NoExecute") || !t->effect.n))
			return true;
	}
	return false;
}

static int admit(struct admission_attrs *attrs, struct err *err)
{
	static const char *const keys[] = {
		"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"};
	struct v1_pod *pod = attrs->obj;
	int64_t seconds = SECONDS;
	bool add[ARRAY_SIZE(keys)];

	if (attrs->resource != &v1_pod_resource || attrs->subresource.n)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		add[i] = !tolerates(pod, str_c(keys[i]));
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (add[i])
			ARENA_PUSH(attrs->arena, &pod->spec.tolerations,
				((struct v1_toleration){.key = str_c(keys[i]),
					.operator= S("Exists"),
					.effect = S("NoExecute"),
					.toleration_seconds = arena_memdup(
						attrs->arena, &seconds, sizeof(seconds))}));
	return 0;
}

const struct admission_plugin admission_default_toleration_seconds = {
	.name = "DefaultTolerationSeconds",
	.ops = ADMIT_CREATE | ADMIT_UPDATE,
	.admit = admit,
};
