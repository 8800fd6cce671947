/* Priority: a pod's priority is its class's number; a class may be the default of all pods, but
 * only one. */
#include "apiserver/admission/plugins.h"

/* The class marked globalDefault (of several, the one with the lowest value), or NULL. */
static const struct scheduling_v1_priority_class *default_class(
	struct admission_attrs *attrs, struct str except)
{
	struct snapshot *s = store_snapshot(attrs->store, &scheduling_v1_priority_class_resource);
	const struct scheduling_v1_priority_class *best = NULL;
	struct snapshot_iter it;
	const struct object *o;

	snapshot_iter_init(&it, s, S(""), S(""), S(""));
	while ((o = snapshot_next(&it))) {
		const struct scheduling_v1_priority_class *c =
			object_decode(object_ref_in(attrs->arena, o), attrs->arena);

		if (c->global_default && !str_eq(c->metadata.name, except) &&
			(!best || c->value < best->value))
			best = c;
	}
	snapshot_unref(s);
	return best;
}

static const struct scheduling_v1_priority_class *find_class(
	struct admission_attrs *attrs, struct str name, struct err *err)
{
	const struct object *o =
		store_get(attrs->store, &scheduling_v1_priority_class_resource, S(""), name);
	const struct scheduling_v1_priority_class *c = NULL;

	if (o)
		c = object_decode(object_ref_in(attrs->arena, o), attrs->arena);
	else
		admission_forbidden(attrs, err, "no PriorityClass with name " STR_FMT " was found",
			STR_ARG(name));
	object_unref(o);
	return c;
}

static int admit_create(struct admission_attrs *attrs, struct v1_pod *pod, struct err *err)
{
	const struct scheduling_v1_priority_class *c;
	struct str policy = S("PreemptLowerPriority");
	int32_t priority = 0;

	if (pod->spec.priority_class_name.n) {
		c = find_class(attrs, pod->spec.priority_class_name, err);
		if (!c)
			return -EACCES;
	} else {
		c = default_class(attrs, S(""));
		if (c)
			pod->spec.priority_class_name = c->metadata.name;
	}
	if (c) {
		priority = c->value;
		if (c->preemption_policy.n)
			policy = c->preemption_policy;
	}
	if (pod->spec.priority && *pod->spec.priority != priority)
		return admission_forbidden(attrs, err,
			"the integer value of priority (%d) must not be provided in pod spec; "
			"priority admission controller "
			"computed %d from the given PriorityClass name",
			*pod->spec.priority, priority);
	pod->spec.priority = arena_memdup(attrs->arena, &priority, sizeof(priority));
	if (pod->spec.preemption_policy.n && !str_eq(pod->spec.preemption_policy, policy))
		return admission_forbidden(attrs, err,
			"the string value of PreemptionPolicy (" STR_FMT
			") must not be provided in pod spec; priority admission controller "
			"computed " STR_FMT " from the given PriorityClass name",
			STR_ARG(pod->spec.preemption_policy), STR_ARG(policy));
	pod->spec.preemption_policy = policy;
	return 0;
}

static int admit(struct admission_attrs *attrs, struct err *err)
{
	struct v1_pod *pod = attrs->obj;
	const struct v1_pod *old = attrs->old;

	if (attrs->resource != &v1_pod_resource || attrs->subresource.n)
		return 0;
	if (attrs->op == ADMIT_CREATE)
		return admit_create(attrs, pod, err);
	/* an update that leaves the computed fields out means them as they are */
	if (!pod->spec.priority && old->spec.priority)
		pod->spec.priority = old->spec.priority;
	if (!pod->spec.preemption_policy.n)
		pod->spec.preemption_policy = old->spec.preemption_policy;
	return 0;
}

static int validate(struct admission_attrs *attrs, struct err *err)
{
	const struct scheduling_v1_priority_class *c = attrs->obj, *other;

	if (attrs->resource != &scheduling_v1_priority_class_resource || !c->global_default)
		return 0;
	other = default_class(attrs, c->metadata.name);
	if (other)
		return admission_forbidden(attrs, err,
			"PriorityClass " STR_FMT
			" is already marked as default. Only one default can exist",
			STR_ARG(other->metadata.name));
	return 0;
}

const struct admission_plugin admission_priority = {
	.name = "Priority",
	.ops = ADMIT_CREATE | ADMIT_UPDATE,
	.admit = admit,
	.validate = validate,
};
