/*
 * node.c: the node authorizer: a kubelet (system:node:NAME in system:nodes) sees its own Node,
 * lease and pods, and what these pods refer to (plugin/pkg/auth/authorizer/node).
 */
#include "api/selector.h"
#include "apiserver/auth/auth_int.h"
#include "apiserver/auth/node_pods.h"
#include "apiserver/auth/policy.h"
#include "apiserver/auth/rbac_rules.h"

struct node_question {
	struct auth *auth;
	struct arena *arena;
	struct str node;
	const struct request_info *info;
	struct str *reason;
};

bool node_of_user(const struct user_info *user, struct str *ret)
{
	const struct str prefix = S("system:node:");

	if (!str_starts(user->name, prefix) || !user_in_group(user, S("system:nodes")))
		return false;
	*ret = str_sub(user->name, prefix.n, user->name.n);
	return true;
}

static enum auth_decision no(struct node_question *q, const char *fmt, ...) PRINTF_LIKE(2, 3);
static enum auth_decision no(struct node_question *q, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	*q->reason = arena_vfmt(q->arena, fmt, ap);
	va_end(ap);
	return AUTH_NO_OPINION;
}

static bool verb_in(const struct node_question *q, const char *verbs)
{
	struct str rest = str_c(verbs), one;
	bool more = true;

	while (more) {
		more = str_cut(rest, ' ', &one, &rest);
		if (str_eq(one, q->info->verb))
			return true;
	}
	return false;
}

/* --- is the object the node's concern? --- */

static bool same_node(const struct object *o, struct str node, struct str (*node_of)(void *))
{
	struct arena a = {0};
	bool yes = o && str_eq(node_of(object_decode(o, &a)), node);

	arena_release(&a);
	return yes;
}

static struct str pod_node(void *obj)
{
	return ((struct v1_pod *)obj)->spec.node_name;
}

static struct str attachment_node(void *obj)
{
	return ((struct storage_v1_volume_attachment *)obj)->spec.node_name;
}

static struct str slice_node(void *obj)
{
	return ((struct resource_v1_resource_slice *)obj)->spec.node_name;
}

static bool object_on_node(const struct node_question *q, const struct schema_resource *res,
	struct str (*node_of)(void *))
{
	const struct object *o = store_get(q->auth->store, res, q->info->ns, q->info->name);
	bool yes = same_node(o, q->node, node_of);

	object_unref((struct object *)o);
	return yes;
}

static bool refers(const struct node_question *q, enum pod_ref kind, struct str ns, struct str name)
{
	return node_refers_to(q->auth->node_pods, q->node, kind, ns, name);
}

static bool volume_on_node(const struct node_question *q, const struct object *o)
{
	struct arena a = {0};
	const struct v1_persistent_volume *pv = o ? object_decode(o, &a) : NULL;
	const struct v1_object_reference *claim = pv ? pv->spec.claim_ref : NULL;
	bool yes = claim && refers(q, REF_CLAIM, claim->namespace, claim->name);

	arena_release(&a);
	return yes;
}

/* A secret that a volume of one of the node's pods is mounted with. */
static bool secret_by_volume(const struct node_question *q)
{
	struct snapshot *s = store_snapshot(q->auth->store, &v1_persistent_volume_resource);
	struct snapshot_iter it;
	const struct object *o;
	bool yes = false;

	snapshot_iter_init(&it, s, S(""), S(""), S(""));
	while (!yes && (o = snapshot_next(&it))) {
		struct arena a = {0};

		if (str_find(o->json, q->info->name) >= 0 &&
			volume_refers_to_secret(object_decode(o, &a), q->info->ns, q->info->name))
			yes = volume_on_node(q, o);
		arena_release(&a);
	}
	snapshot_unref(s);
	return yes;
}

static bool related(const struct node_question *q)
{
	const struct request_info *i = q->info;
	const struct object *o;
	bool yes;

	if (str_eqc(i->resource, "secrets"))
		return refers(q, REF_SECRET, i->ns, i->name) || secret_by_volume(q);
	if (str_eqc(i->resource, "configmaps"))
		return refers(q, REF_CONFIG_MAP, i->ns, i->name);
	if (str_eqc(i->resource, "persistentvolumeclaims"))
		return refers(q, REF_CLAIM, i->ns, i->name);
	if (str_eqc(i->resource, "serviceaccounts"))
		return refers(q, REF_SERVICE_ACCOUNT, i->ns, i->name);
	if (str_eqc(i->resource, "resourceclaims"))
		return refers(q, REF_RESOURCE_CLAIM, i->ns, i->name);
	if (str_eqc(i->resource, "pods"))
		return object_on_node(q, &v1_pod_resource, pod_node);
	if (str_eqc(i->resource, "volumeattachments"))
		return object_on_node(q, &storage_v1_volume_attachment_resource, attachment_node);
	if (str_eqc(i->resource, "resourceslices"))
		return object_on_node(q, &resource_v1_resource_slice_resource, slice_node);
	assert(str_eqc(i->resource, "persistentvolumes"));
	o = store_get(q->auth->store, &v1_persistent_volume_resource, S(""), i->name);
	yes = volume_on_node(q, o);
	object_unref((struct object *)o);
	return yes;
}

static enum auth_decision if_related(struct node_question *q)
{
	if (!q->info->name.n)
		return no(q, "No Object name found");
	if (!related(q))
		return no(q, "no relationship found between node '" STR_FMT "' and this object",
			STR_ARG(q->node));
	return AUTH_ALLOW;
}

/* --- by resource --- */

static enum auth_decision get_one(struct node_question *q)
{
	if (!verb_in(q, "get"))
		return no(q, "can only get individual resources of this type");
	if (q->info->subresource.n)
		return no(q, "cannot get subresource");
	return if_related(q);
}

static enum auth_decision read_named(struct node_question *q)
{
	if (!verb_in(q, "get list watch"))
		return no(q, "can only read resources of this type");
	if (q->info->subresource.n)
		return no(q, "cannot read subresource");
	if (!q->info->ns.n)
		return no(q, "can only read namespaced object of this type");
	return if_related(q);
}

static enum auth_decision claims(struct node_question *q)
{
	if (!str_eqc(q->info->subresource, "status"))
		return get_one(q);
	if (!verb_in(q, "update patch"))
		return no(q, "can only get/update/patch this type");
	return if_related(q);
}

static enum auth_decision accounts(struct node_question *q)
{
	if (verb_in(q, "get") && !q->info->subresource.n)
		return read_named(q);
	if (!verb_in(q, "create") || !q->info->name.n)
		return no(q, "can only create tokens for individual service accounts");
	if (!str_eqc(q->info->subresource, "token"))
		return no(q, "can only create token subresource of serviceaccount");
	return if_related(q);
}

static enum auth_decision leases(struct node_question *q)
{
	if (!verb_in(q, "get create update patch delete"))
		return no(q, "can only get, create, update, patch, or delete a node lease");
	if (!str_eqc(q->info->ns, "kube-node-lease"))
		return no(q, "can only access leases in the \"kube-node-lease\" system namespace");
	/* the name of a new one is looked at by NodeRestriction */
	if (!verb_in(q, "create") && !str_eq(q->info->name, q->node))
		return no(q, "can only access node lease with the same name as the requesting "
			     "node");
	return AUTH_ALLOW;
}

static enum auth_decision csi_nodes(struct node_question *q)
{
	if (!verb_in(q, "get create update patch delete"))
		return no(q, "can only get, create, update, patch, or delete a CSINode");
	if (q->info->subresource.n)
		return no(q, "cannot authorize CSINode subresources");
	if (!verb_in(q, "create") && !str_eq(q->info->name, q->node))
		return no(q, "can only access CSINode with the same name as the requesting node");
	return AUTH_ALLOW;
}

/* Whether the field selector keeps to this node. */
static bool selects_node(const struct node_question *q, const char *field)
{
	struct field_selector s = {0};

	if (!q->info->field_selector.n ||
		field_selector_parse(q->info->field_selector, q->arena, &s, NULL) < 0)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!s.v[i].negated && str_eqc(s.v[i].field, field) &&
			str_eq(s.v[i].value, q->node))
			return true;
	return false;
}

static enum auth_decision slices(struct node_question *q)
{
	if (q->info->subresource.n)
		return no(q, "cannot authorize ResourceSlice subresources");
	if (verb_in(q, "create"))
		return AUTH_ALLOW; /* NodeRestriction looks at the content */
	if (verb_in(q, "get update patch delete"))
		return if_related(q);
	if (!verb_in(q, "watch list deletecollection"))
		return no(q, "only the following verbs are allowed for a ResourceSlice: get, "
			     "watch, list, create, update, patch, delete, deletecollection");
	if (selects_node(q, "spec.nodeName"))
		return AUTH_ALLOW;
	return no(q, "can only list/watch/deletecollection resourceslices with nodeName field "
		     "selector");
}

static enum auth_decision nodes(struct node_question *q)
{
	const struct request_info *i = q->info;

	if (str_eqc(i->subresource, "status"))
		return verb_in(q, "update patch") ? AUTH_ALLOW : AUTH_NO_OPINION;
	if (i->subresource.n)
		return AUTH_NO_OPINION;
	if (verb_in(q, "create update patch"))
		return AUTH_ALLOW; /* NodeRestriction keeps it to its own */
	if (!verb_in(q, "get list watch"))
		return AUTH_NO_OPINION;
	if (str_eq(i->name, q->node))
		return AUTH_ALLOW;
	if (!i->name.n)
		return no(q, "node '" STR_FMT "' cannot read all nodes, only its own Node object",
			STR_ARG(q->node));
	return no(q, "node '" STR_FMT "' cannot read '" STR_FMT "', only its own Node object",
		STR_ARG(q->node), STR_ARG(i->name));
}

static enum auth_decision pods(struct node_question *q)
{
	const struct request_info *i = q->info;

	if (str_eqc(i->subresource, "status"))
		return verb_in(q, "update patch") ? AUTH_ALLOW : AUTH_NO_OPINION;
	if (str_eqc(i->subresource, "eviction"))
		return verb_in(q, "create") ? AUTH_ALLOW : AUTH_NO_OPINION;
	if (i->subresource.n)
		return AUTH_NO_OPINION;
	if (verb_in(q, "get"))
		return get_one(q);
	if (verb_in(q, "create delete"))
		return AUTH_ALLOW; /* NodeRestriction: mirror pods of its own */
	if (!verb_in(q, "list watch"))
		return AUTH_NO_OPINION;
	if (selects_node(q, "spec.nodeName"))
		return AUTH_ALLOW;
	if (i->name.n)
		return if_related(q);
	return no(q, "can only list/watch pods with spec.nodeName field selector");
}

static const struct {
	const char *group, *resource;
	enum auth_decision (*ask)(struct node_question *q);
} divided[] = {
	{"", "secrets", read_named},
	{"", "configmaps", read_named},
	{"", "persistentvolumeclaims", claims},
	{"", "persistentvolumes", get_one},
	{"resource.k8s.io", "resourceclaims", get_one},
	{"storage.k8s.io", "volumeattachments", get_one},
	{"", "serviceaccounts", accounts},
	{"coordination.k8s.io", "leases", leases},
	{"storage.k8s.io", "csinodes", csi_nodes},
	{"resource.k8s.io", "resourceslices", slices},
	{"", "nodes", nodes},
	{"", "pods", pods},
};

void node_rules_init(struct auth *a)
{
	a->node_rules = policy_rules(&a->arena, policy_cluster_roles, "system:node");
}

static enum auth_decision decide(const struct auth_question *asked, struct str *ret_reason)
{
	const struct request_info *info = asked->info;
	struct auth *auth = asked->auth;
	struct node_question q = {
		.auth = auth, .arena = asked->arena, .info = info, .reason = ret_reason};

	if (!node_of_user(asked->user, &q.node))
		return AUTH_NO_OPINION;
	if (!q.node.n)
		return no(&q, "unknown node for user \"" STR_FMT "\"", STR_ARG(asked->user->name));
	for (size_t i = 0; info->is_resource && i < ARRAY_SIZE(divided); i++)
		if (str_eqc(info->group, divided[i].group) &&
			str_eqc(info->resource, divided[i].resource))
			return divided[i].ask(&q);
	for (size_t i = 0; i < auth->node_rules.n; i++)
		if (rbac_rule_allows(&auth->node_rules.v[i], info))
			return AUTH_ALLOW;
	return AUTH_NO_OPINION;
}

static void authorize_node(void *self, const struct auth_question *q, struct auth_answer *ret)
{
	ret->decision = decide(q, &ret->reason);
}

static void rules(void *self, struct auth *auth, struct arena *a, const struct user_info *user,
	struct str ns, struct authorization_v1_subject_rules_review_status *ret)
{
	struct str node;

	if (!node_of_user(user, &node))
		return;
	ret->incomplete = true;
	auth_rules_error(a, ret, S("node authorizer does not support user rule resolution"));
}

const struct authorizer node_authorizer = {
	.mode = "Node", .authorize = authorize_node, .rules = rules};
