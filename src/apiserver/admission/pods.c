/* Small plugins about pods, off unless asked for: AlwaysPullImages, ExtendedResourceToleration,
 * LimitPodHardAntiAffinityTopology, SecurityContextDeny; PodTopologyLabels, which is on. */
#include "apiserver/admission/plugins.h"
#include "apiserver/server.h"
#include "apiserver/validation/pod.h"

#define HOSTNAME "kubernetes.io/hostname"

/* --- AlwaysPullImages --- */

static void pull_always(const struct v1_container *c, const struct field_path *p, void *user_data)
{
	((struct v1_container *)c)->image_pull_policy = S("Always");
}

struct images {
	struct arena *a;
	struct str_vec names;
	bool new;
};

static void collect_image(const struct v1_container *c, const struct field_path *p, void *user_data)
{
	struct images *i = user_data;

	ARENA_PUSH(i->a, &i->names, c->image);
}

static void find_new_image(
	const struct v1_container *c, const struct field_path *p, void *user_data)
{
	struct images *i = user_data;

	i->new |= !str_vec_has(&i->names, c->image);
}

static bool has_new_image(const struct admission_attrs *attrs)
{
	const struct v1_pod *pod = attrs->obj, *old = attrs->old;
	struct images images = {.a = attrs->arena};

	if (attrs->op != ADMIT_UPDATE)
		return true;
	each_container(&old->spec, NULL, collect_image, &images);
	each_container(&pod->spec, NULL, find_new_image, &images);
	return images.new;
}

static int set_pull_always(struct admission_attrs *attrs, struct err *err)
{
	struct v1_pod *pod = attrs->obj;

	if (!admission_is(attrs, &v1_pod_resource) || !has_new_image(attrs))
		return 0;
	each_container(&pod->spec, NULL, pull_always, NULL);
	for (size_t i = 0; i < pod->spec.volumes.n; i++)
		if (pod->spec.volumes.v[i].image)
			pod->spec.volumes.v[i].image->pull_policy = S("Always");
	return 0;
}

static void check_policy(const struct v1_container *c, const struct field_path *p, void *user_data)
{
	static const char *const only[] = {"Always", NULL};

	field_one_of(user_data, AT(p, "imagePullPolicy"), c->image_pull_policy, only);
}

static int check_pull_always(struct admission_attrs *attrs, struct err *err)
{
	struct field_errors errs = {.arena = attrs->arena};
	struct field_path spec = FIELD(NULL, "spec");
	const struct v1_pod *pod = attrs->obj;

	if (!admission_is(attrs, &v1_pod_resource) || !has_new_image(attrs))
		return 0;
	each_container(&pod->spec, &spec, check_policy, &errs);
	if (!errs.n)
		return 0;
	return admission_forbidden_text(attrs, err, field_error_text(attrs->arena, &errs.v[0]));
}

const struct admission_plugin admission_always_pull_images = {
	.name = "AlwaysPullImages",
	.ops = ADMIT_CREATE | ADMIT_UPDATE,
	.off = true,
	.admit = set_pull_always,
	.validate = check_pull_always,
};

/* --- ExtendedResourceToleration --- */

static void collect_extended(
	struct arena *a, const struct v1_container_vec *v, struct str_map *names)
{
	for (size_t i = 0; i < v->n; i++)
		for (size_t k = 0; k < v->v[i].resources.requests.n; k++)
			if (resource_is_extended(v->v[i].resources.requests.v[k].key))
				str_map_put(a, names, v->v[i].resources.requests.v[k].key, S(""));
}

static void tolerate(struct arena *a, struct v1_pod *pod, struct str key)
{
	struct v1_toleration t = {.key = key, .operator= S("Exists"), .effect = S("NoSchedule")};

	for (size_t i = 0; i < pod->spec.tolerations.n; i++)
		if (schema_equal(&v1_toleration_schema, &pod->spec.tolerations.v[i], &t))
			return;
	ARENA_PUSH(a, &pod->spec.tolerations, t);
}

static int tolerate_extended(struct admission_attrs *attrs, struct err *err)
{
	struct v1_pod *pod = attrs->obj;
	struct str_map names = {0};

	if (!admission_is(attrs, &v1_pod_resource))
		return 0;
	collect_extended(attrs->arena, &pod->spec.containers, &names);
	collect_extended(attrs->arena, &pod->spec.init_containers, &names);
	for (size_t i = 0; i < names.n; i++)
		tolerate(attrs->arena, pod, names.v[i].key);
	return 0;
}

const struct admission_plugin admission_extended_resource_toleration = {
	.name = "ExtendedResourceToleration",
	.ops = ADMIT_CREATE | ADMIT_UPDATE,
	.off = true,
	.admit = tolerate_extended,
};

/* --- LimitPodHardAntiAffinityTopology --- */

static int check_topology(struct admission_attrs *attrs, struct err *err)
{
	const struct v1_pod *pod = attrs->obj;
	const struct v1_pod_anti_affinity *a;

	if (!admission_is(attrs, &v1_pod_resource) || !pod->spec.affinity ||
		!pod->spec.affinity->pod_anti_affinity)
		return 0;
	a = pod->spec.affinity->pod_anti_affinity;
	for (size_t i = 0; i < a->required_during_scheduling_ignored_during_execution.n; i++) {
		struct str key =
			a->required_during_scheduling_ignored_during_execution.v[i].topology_key;

		if (!str_eqc(key, HOSTNAME))
			return admission_forbidden(attrs, err,
				"affinity.PodAntiAffinity.RequiredDuringScheduling has "
				"TopologyKey " STR_FMT " but only key " HOSTNAME " is allowed",
				STR_ARG(key));
	}
	return 0;
}

const struct admission_plugin admission_limit_pod_hard_anti_affinity_topology = {
	.name = "LimitPodHardAntiAffinityTopology",
	.ops = ADMIT_CREATE | ADMIT_UPDATE,
	.off = true,
	.validate = check_topology,
};

/* --- SecurityContextDeny: gone upstream since 1.30, kept as it was --- */

static const char *denied_pod(const struct v1_pod_security_context *sc)
{
	if (!sc)
		return NULL;
	if (sc->supplemental_groups.n)
		return "pod.Spec.SecurityContext.SupplementalGroups is forbidden";
	if (sc->se_linux_options)
		return "pod.Spec.SecurityContext.SELinuxOptions is forbidden";
	if (sc->run_as_user)
		return "pod.Spec.SecurityContext.RunAsUser is forbidden";
	return sc->fs_group ? "pod.Spec.SecurityContext.FSGroup is forbidden" : NULL;
}

static void deny_container(
	const struct v1_container *c, const struct field_path *p, void *user_data)
{
	const char **why = user_data;

	if (*why || !c->security_context)
		return;
	if (c->security_context->se_linux_options)
		*why = "SecurityContext.SELinuxOptions is forbidden";
	else if (c->security_context->run_as_user)
		*why = "SecurityContext.RunAsUser is forbidden";
}

static int deny_security_context(struct admission_attrs *attrs, struct err *err)
{
	const struct v1_pod *pod = attrs->obj;
	const char *why;

	if (!admission_is(attrs, &v1_pod_resource))
		return 0;
	why = denied_pod(pod->spec.security_context);
	each_container(&pod->spec, NULL, deny_container, &why);
	return why ? admission_forbidden(attrs, err, "%s", why) : 0;
}

const struct admission_plugin admission_security_context_deny = {
	.name = "SecurityContextDeny",
	.ops = ADMIT_CREATE | ADMIT_UPDATE,
	.off = true,
	.validate = deny_security_context,
};

/* --- PodTopologyLabels --- */

static int copy_topology(struct admission_attrs *attrs, struct err *err)
{
	static const char *const keys[] = {
		"topology.kubernetes.io/zone", "topology.kubernetes.io/region"};
	struct v1_binding *binding = attrs->obj;
	bool binds = str_eqc(attrs->subresource, "binding");
	const struct v1_node *node;
	struct str_map *labels;
	struct v1_pod *pod = attrs->obj;
	struct str name;

	if (attrs->resource != &v1_pod_resource || (attrs->subresource.n && !binds))
		return 0;
	name = binds ? binding->target.name : pod->spec.node_name;
	labels = binds ? &binding->metadata.labels : &pod->metadata.labels;
	if (!name.n || (binds && !str_eqc(binding->target.kind, "Node")))
		return 0;
	node = admission_get(attrs, &v1_node_resource, S(""), name);
	for (size_t i = 0; node && i < ARRAY_SIZE(keys); i++) {
		const struct str *v = str_map_get(&node->metadata.labels, str_c(keys[i]));

		if (v)
			str_map_put(attrs->arena, labels, str_c(keys[i]), *v);
	}
	return 0;
}

const struct admission_plugin admission_pod_topology_labels = {
	.name = "PodTopologyLabels",
	.ops = ADMIT_CREATE,
	.admit = copy_topology,
};
