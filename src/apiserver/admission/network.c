/* DefaultIngressClass, DenyServiceExternalIPs. */
#include "apiserver/admission/plugins.h"
#include "apiserver/server.h"

#define IS_DEFAULT "ingressclass.kubernetes.io/is-default-class"
#define CLASS_ANNOTATION "kubernetes.io/ingress.class"

/* The newest of those marked as default; of one age, the first by name. */
static struct str default_class(const struct admission_attrs *attrs)
{
	struct snapshot *s = store_snapshot(attrs->store, &networking_v1_ingress_class_resource);
	const struct meta_v1_object_meta *best = NULL;
	struct snapshot_iter it;
	const struct object *o;

	snapshot_iter_init(&it, s, S(""), S(""), S(""));
	while ((o = snapshot_next(&it))) {
		const struct meta_v1_object_meta *m =
			object_meta(object_ref_in(attrs->arena, o), attrs->arena);
		const struct str *mark = str_map_get(&m->annotations, S(IS_DEFAULT));

		if (!mark || !str_eqc(*mark, "true"))
			continue;
		if (!best || m->creation_timestamp.sec > best->creation_timestamp.sec)
			best = m;
	}
	snapshot_unref(s);
	return best ? best->name : (struct str){0};
}

static int set_class(struct admission_attrs *attrs, struct err *err)
{
	struct networking_v1_ingress *i = attrs->obj;

	if (!admission_is(attrs, &networking_v1_ingress_resource) || i->spec.ingress_class_name.p ||
		str_map_get(&i->metadata.annotations, S(CLASS_ANNOTATION)))
		return 0;
	i->spec.ingress_class_name = default_class(attrs);
	return 0;
}

const struct admission_plugin admission_default_ingress_class = {
	.name = "DefaultIngressClass",
	.ops = ADMIT_CREATE,
	.admit = set_class,
};

/* Addresses that were there may stay. */
static int deny_external_ips(struct admission_attrs *attrs, struct err *err)
{
	static const struct str_vec none = {0};
	const struct v1_service *now = attrs->obj, *old = attrs->old;

	if (!admission_is(attrs, &v1_service_resource))
		return 0;
	for (size_t i = 0; i < now->spec.external_ips.n; i++)
		if (!str_vec_has(
			    old ? &old->spec.external_ips : &none, now->spec.external_ips.v[i]))
			return admission_forbidden(
				attrs, err, "Use of external IPs is denied by admission control");
	return 0;
}

const struct admission_plugin admission_deny_service_external_ips = {
	.name = "DenyServiceExternalIPs",
	.ops = ADMIT_CREATE | ADMIT_UPDATE,
	.off = true,
	.validate = deny_external_ips,
};
