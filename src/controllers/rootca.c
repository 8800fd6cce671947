/* rootca.c: root-ca-certificate-publisher-controller: the config map kube-root-ca.crt in each
 * namespace. */
#include "controllers/util.h"

#define CONFIG_MAP "kube-root-ca.crt"
#define ANN_DESCRIPTION "kubernetes.io/description"

static const char description[] = "Contains a CA bundle that can be used to verify the "
				  "kube-apiserver when using internal endpoints such as "
				  "the internal service IP or kubernetes.default.svc. No other "
				  "usage is guaranteed across distributions of "
				  "Kubernetes clusters.";

static bool wanted(const struct controllers_opts *opts)
{
	return opts->root_ca_pem.n > 0;
}

static int reconcile(struct view *v, struct plan_key key, struct plan *p, struct err *err)
{
	const struct object *ns = view_get(v, &v1_namespace_resource, S(""), key.name);
	struct str pem = v->opts->root_ca_pem;

	if (!ns || ns->deletion_ms || str_eq(object_field(ns, S("status.phase")), S("Terminating")))
		return 0;
	struct v1_config_map *was =
		view_decode(v, &v1_config_map_resource, key.name, S(CONFIG_MAP));
	struct v1_config_map *cm = was ? was : ARENA_NEW(v->arena, struct v1_config_map);
	if (was && was->data.n == 1 && str_eq(was->data.v[0].value, pem) &&
		str_eq(was->data.v[0].key, S("ca.crt")) &&
		str_map_get(&was->metadata.annotations, S(ANN_DESCRIPTION)))
		return 0;
	cm->metadata.name = S(CONFIG_MAP);
	cm->metadata.namespace = key.name;
	cm->metadata.annotations = str_map_with(
		cm->metadata.annotations, S(ANN_DESCRIPTION), str_c(description), v->arena);
	cm->data = str_map_with((struct str_map){0}, S("ca.crt"), pem, v->arena);
	struct plan_write *w = plan_add(p, was ? PLAN_UPDATE : PLAN_CREATE, &v1_config_map_resource,
		key.name, S(CONFIG_MAP));
	w->object = cm;
	w->ignore_not_found = true;
	return 0;
}

static void config_map_keys(
	struct view *v, const struct store_event *ev, plan_enqueue_fn *enqueue, void *user_data)
{
	if (str_eq(ev->object->name, S(CONFIG_MAP)) && ev->type != STORE_ADDED)
		enqueue(user_data, S(""), ev->object->ns);
}

static const struct plan_watch watches[] = {
	{.resource = &v1_namespace_resource},
	{.resource = &v1_config_map_resource, .keys = config_map_keys},
	{0},
};

const struct planner rootca_planner = {
	.name = "root-ca-certificate-publisher-controller",
	.user = "root-ca-cert-publisher",
	.watches = watches,
	.wanted = wanted,
	.reconcile = reconcile,
};
