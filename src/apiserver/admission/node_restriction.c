/*
 * NodeRestriction: a kubelet writes its own Node, its lease, its CSINode and its pods only
 * (plugin/pkg/admission/ noderestriction). What it may read is the node authorizer's business.
 */
#include "apiserver/admission/plugins.h"
#include "apiserver/auth.h"
#include "apiserver/auth/pod_refs.h"
#include "apiserver/field.h"
#include "apiserver/server.h"
#include "pki/x509.h"

#define MIRROR "kubernetes.io/config.mirror"
#define FORBID(...) admission_forbidden(at, err, __VA_ARGS__)
#define NODE STR_ARG(node)

static const char *op_name(const struct admission_attrs *at)
{
	return at->op == ADMIT_CREATE   ? "CREATE"
	       : at->op == ADMIT_UPDATE ? "UPDATE"
	       : at->op == ADMIT_DELETE ? "DELETE"
					: "CONNECT";
}

static int not_found(const struct schema_resource *res, struct str name, struct err *err)
{
	return err_not_found(err, str_c(res->group), str_c(res->plural), name);
}

/* --- pods --- */

/* What a mirror pod must not use, since it is the kubelet's own file; NULL: nothing. */
static const char *projected_use(const struct v1_projected_volume_source *p)
{
	for (size_t i = 0; i < p->sources.n; i++) {
		const struct v1_volume_projection *s = &p->sources.v[i];

		if (s->config_map)
			return "configmaps (via projected volumes)";
		if (s->secret)
			return "secrets (via projected volumes)";
		if (s->service_account_token)
			return "serviceaccounts (via projected volumes)";
		if (s->cluster_trust_bundle)
			return "clustertrustbundles";
		if (s->pod_certificate)
			return "podcertificates";
	}
	return NULL;
}

static const char *volume_use(const struct v1_volume *v)
{
	if (v->config_map)
		return "configmaps (via configmap volumes)";
	if (v->secret)
		return "secrets (via secret volumes)";
	if (v->csi)
		return "csidrivers (via CSI volumes)";
	if (v->glusterfs)
		return "endpoints (via glusterFS volumes)";
	if (v->persistent_volume_claim)
		return "persistentvolumeclaims";
	if (v->ephemeral)
		return "persistentvolumeclaims (via ephemeral volumes)";
	if (v->azure_file)
		return "secrets (via azureFile volumes)";
	return v->projected ? projected_use(v->projected) : NULL;
}

static bool has_secret(void *state, enum pod_ref kind, struct str name)
{
	return kind == REF_SECRET;
}

static bool has_config_map(void *state, enum pod_ref kind, struct str name)
{
	return kind == REF_CONFIG_MAP;
}

static const char *pod_use(const struct v1_pod *pod)
{
	const char *use = NULL;

	if (pod->spec.service_account_name.n)
		return "serviceaccounts";
	if (pod_refs(pod, has_secret, NULL))
		return "secrets";
	if (pod_refs(pod, has_config_map, NULL))
		return "configmaps";
	if (pod->spec.resource_claims.n)
		return "resourceclaims";
	for (size_t i = 0; !use && i < pod->spec.volumes.n; i++)
		use = volume_use(&pod->spec.volumes.v[i]);
	return use;
}

static int check_owner(
	struct admission_attrs *at, struct str node, const struct v1_pod *pod, struct err *err)
{
	const struct meta_v1_owner_reference *o = pod->metadata.owner_references.v;
	const struct v1_node *n;

	if (pod->metadata.owner_references.n > 1)
		return FORBID("node \"" STR_FMT "\" can only create pods with a single owner "
			      "reference set to itself",
			NODE);
	if (!o || !str_eqc(o->api_version, "v1") || !str_eqc(o->kind, "Node") ||
		!str_eq(o->name, node))
		return FORBID("node \"" STR_FMT "\" can only create pods with an owner reference "
			      "set to itself",
			NODE);
	if (!o->controller || !*o->controller)
		return FORBID("node \"" STR_FMT "\" can only create pods with a controller owner "
			      "reference set to itself",
			NODE);
	if (o->block_owner_deletion && *o->block_owner_deletion)
		return FORBID("node \"" STR_FMT "\" must not set blockOwnerDeletion on an owner "
			      "reference",
			NODE);
	n = admission_get(at, &v1_node_resource, S(""), node);
	if (!n)
		return not_found(&v1_node_resource, node, err);
	if (!str_eq(o->uid, n->metadata.uid))
		return FORBID("node " STR_FMT " UID mismatch: expected " STR_FMT " got " STR_FMT,
			NODE, STR_ARG(o->uid), STR_ARG(n->metadata.uid));
	return 0;
}

static int pod_create(struct admission_attrs *at, struct str node, struct err *err)
{
	const struct v1_pod *pod = at->obj;
	const char *use;
	int r;

	if (!str_map_get(&pod->metadata.annotations, S(MIRROR)))
		return FORBID("pod does not have \"" MIRROR "\" annotation, node \"" STR_FMT
			      "\" can only create mirror pods",
			NODE);
	if (!str_eq(pod->spec.node_name, node))
		return FORBID("node \"" STR_FMT "\" can only create pods with spec.nodeName set "
			      "to itself",
			NODE);
	r = check_owner(at, node, pod, err);
	if (r < 0)
		return r;
	use = pod_use(pod);
	return use ? FORBID("node \"" STR_FMT "\" can not create pods that reference %s", NODE, use)
		   : 0;
}

static int pod_delete(struct admission_attrs *at, struct str node, struct err *err)
{
	const struct v1_pod *pod = at->old;

	if (!pod && at->name.n)
		pod = admission_get(at, &v1_pod_resource, at->ns, at->name);
	if (!pod)
		return at->name.n ? not_found(&v1_pod_resource, at->name, err) : 0;
	if (!str_eq(pod->spec.node_name, node))
		return FORBID("node \"" STR_FMT "\" can only delete pods with spec.nodeName set "
			      "to itself",
			NODE);
	return 0;
}

static bool same_claims(const struct v1_pod_status *a, const struct v1_pod_status *b)
{
	if (a->resource_claim_statuses.n != b->resource_claim_statuses.n)
		return false;
	for (size_t i = 0; i < a->resource_claim_statuses.n; i++)
		if (!schema_equal(&v1_pod_resource_claim_status_schema,
			    &a->resource_claim_statuses.v[i], &b->resource_claim_statuses.v[i]))
			return false;
	return true;
}

static bool same_extended(const struct v1_pod_status *a, const struct v1_pod_status *b)
{
	const struct v1_pod_extended_resource_claim_status *x = a->extended_resource_claim_status,
							   *y = b->extended_resource_claim_status;

	return x == y ||
	       (x && y && schema_equal(&v1_pod_extended_resource_claim_status_schema, x, y));
}

static bool same_map(const struct str_map *a, const struct str_map *b)
{
	bool same = a->n == b->n;

	for (size_t i = 0; same && i < a->n; i++)
		same = str_eq(a->v[i].key, b->v[i].key) && str_eq(a->v[i].value, b->v[i].value);
	return same;
}

static int pod_status(struct admission_attrs *at, struct str node, struct err *err)
{
	const struct v1_pod *pod = at->obj, *old = at->old;

	if (at->op != ADMIT_UPDATE)
		return FORBID("unexpected operation \"%s\"", op_name(at));
	if (!str_eq(old->spec.node_name, node))
		return FORBID("node \"" STR_FMT "\" can only update pod status for pods with "
			      "spec.nodeName set to itself",
			NODE);
	if (!same_map(&old->metadata.labels, &pod->metadata.labels))
		return FORBID("node \"" STR_FMT "\" cannot update labels through pod status", NODE);
	if (!same_claims(&old->status, &pod->status))
		return FORBID("node \"" STR_FMT "\" cannot update resource claim statues", NODE);
	if (!same_extended(&old->status, &pod->status))
		return FORBID(
			"node \"" STR_FMT "\" cannot update extended resource claim status", NODE);
	return 0;
}

static int pod_eviction(struct admission_attrs *at, struct str node, struct err *err)
{
	const struct v1_pod *pod;

	if (at->op != ADMIT_CREATE)
		return FORBID("unexpected operation %s", op_name(at));
	pod = admission_get(at, &v1_pod_resource, at->ns, at->name);
	if (!pod)
		return not_found(&v1_pod_resource, at->name, err);
	if (!str_eq(pod->spec.node_name, node))
		return FORBID("node " STR_FMT
			      " can only evict pods with spec.nodeName set to itself",
			NODE);
	return 0;
}

static int pods(struct admission_attrs *at, struct str node, struct err *err)
{
	if (str_eqc(at->subresource, "status"))
		return pod_status(at, node, err);
	if (str_eqc(at->subresource, "eviction"))
		return pod_eviction(at, node, err);
	if (at->subresource.n)
		return FORBID("unexpected pod subresource \"" STR_FMT
			      "\", only 'status' and 'eviction' are allowed",
			STR_ARG(at->subresource));
	if (at->op == ADMIT_CREATE)
		return pod_create(at, node, err);
	if (at->op == ADMIT_DELETE)
		return pod_delete(at, node, err);
	return FORBID("unexpected operation \"%s\", node \"" STR_FMT
		      "\" can only create and delete mirror pods",
		op_name(at), NODE);
}

/* --- nodes --- */

static struct str label_domain(struct str key)
{
	struct str domain, name;

	return str_cut(key, '/', &domain, &name) ? domain : S("");
}

static bool in_domain(struct str domain, const char *name)
{
	struct str n = str_c(name);

	return str_eq(domain, n) ||
	       (domain.n > n.n && str_ends(domain, n) && domain.p[domain.n - n.n - 1] == '.');
}

static bool is_kubelets(struct str key)
{
	static const char *const names[] = {"kubernetes.io/hostname", "topology.kubernetes.io/zone",
		"topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/zone",
		"failure-domain.beta.kubernetes.io/region", "beta.kubernetes.io/instance-type",
		"node.kubernetes.io/instance-type", "kubernetes.io/os", "kubernetes.io/arch",
		"beta.kubernetes.io/os", "beta.kubernetes.io/arch"};
	struct str domain = label_domain(key);

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (str_eqc(key, names[i]))
			return true;
	return in_domain(domain, "kubelet.kubernetes.io") ||
	       in_domain(domain, "node.kubernetes.io");
}

static bool is_forbidden(struct str key)
{
	struct str domain = label_domain(key);

	if (in_domain(domain, "node-restriction.kubernetes.io"))
		return true;
	return (in_domain(domain, "kubernetes.io") || in_domain(domain, "k8s.io")) &&
	       !is_kubelets(key);
}

static void note(struct admission_attrs *at, struct str_vec *list, const struct str_map *a,
	const struct str_map *b)
{
	for (size_t i = 0; i < a->n; i++) {
		const struct str *other = b ? str_map_get(b, a->v[i].key) : NULL;

		if (is_forbidden(a->v[i].key) && !(other && str_eq(*other, a->v[i].value)) &&
			!str_vec_has(list, a->v[i].key))
			ARENA_PUSH(at->arena, list, a->v[i].key);
	}
}

static int compare_str(const void *a, const void *b)
{
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* The labels that were set, changed or taken away and are not the kubelet's; empty: none. */
static struct str forbidden_labels(
	struct admission_attrs *at, const struct str_map *now, const struct str_map *old)
{
	struct str_vec list = {0};
	struct str out = S("");

	note(at, &list, now, old);
	if (old)
		note(at, &list, old, now);
	if (list.n)
		qsort(list.v, list.n, sizeof(*list.v), compare_str);
	for (size_t i = 0; i < list.n; i++)
		out = arena_fmt(at->arena, STR_FMT "%s" STR_FMT, STR_ARG(out), i ? ", " : "",
			STR_ARG(list.v[i]));
	return out;
}

static bool same_taints(const struct v1_taint_vec *a, const struct v1_taint_vec *b)
{
	bool same = a->n == b->n;

	for (size_t i = 0; same && i < a->n; i++)
		same = schema_equal(&v1_taint_schema, &a->v[i], &b->v[i]);
	return same;
}

static bool same_owners(
	const struct meta_v1_owner_reference_vec *a, const struct meta_v1_owner_reference_vec *b)
{
	bool same = a->n == b->n;

	for (size_t i = 0; same && i < a->n; i++)
		same = schema_equal(&meta_v1_owner_reference_schema, &a->v[i], &b->v[i]);
	return same;
}

static int node_create(struct admission_attrs *at, struct str node, struct err *err)
{
	const struct v1_node *n = at->obj;
	struct str labels = forbidden_labels(at, &n->metadata.labels, NULL);

	if (n->spec.config_source)
		return FORBID("node \"" STR_FMT "\" is not allowed to create pods with a non-nil "
			      "configSource",
			NODE);
	if (labels.n)
		return FORBID("node \"" STR_FMT
			      "\" is not allowed to set the following labels: " STR_FMT,
			NODE, STR_ARG(labels));
	return 0;
}

static int node_update(struct admission_attrs *at, struct str node, struct err *err)
{
	const struct v1_node *n = at->obj, *old = at->old;
	struct str labels;

	if (n->spec.config_source &&
		!(old->spec.config_source &&
			schema_equal(&v1_node_config_source_schema, n->spec.config_source,
				old->spec.config_source)))
		return FORBID("node \"" STR_FMT "\" is not allowed to update configSource to a new "
			      "non-nil configSource",
			NODE);
	if (!same_taints(&n->spec.taints, &old->spec.taints))
		return FORBID("node \"" STR_FMT "\" is not allowed to modify taints", NODE);
	if (!same_owners(&n->metadata.owner_references, &old->metadata.owner_references))
		return FORBID(
			"node \"" STR_FMT "\" is not allowed to modify ownerReferences", NODE);
	labels = forbidden_labels(at, &n->metadata.labels, &old->metadata.labels);
	if (labels.n)
		return FORBID("is not allowed to modify labels: " STR_FMT, STR_ARG(labels));
	return 0;
}

static struct str name_of(const struct admission_attrs *at)
{
	if (at->name.n || !at->obj || at->body)
		return at->name;
	return meta_of_const(at->resource, at->obj)->name;
}

static int nodes(struct admission_attrs *at, struct str node, struct err *err)
{
	struct str name = name_of(at);

	if (!str_eq(name, node))
		return FORBID("node \"" STR_FMT "\" is not allowed to modify node \"" STR_FMT "\"",
			NODE, STR_ARG(name));
	if (at->op == ADMIT_CREATE && !at->subresource.n)
		return node_create(at, node, err);
	return at->op == ADMIT_UPDATE ? node_update(at, node, err) : 0;
}

/* --- the rest --- */

static int claims(struct admission_attrs *at, struct str node, struct err *err)
{
	struct v1_persistent_volume_claim *a, *b;
	const struct schema_type *type = &v1_persistent_volume_claim_schema;

	if (!str_eqc(at->subresource, "status"))
		return FORBID("may only update PVC status");
	if (at->op != ADMIT_UPDATE)
		return FORBID("unexpected operation \"%s\"", op_name(at));
	a = schema_copy(type, at->obj, at->arena);
	b = schema_copy(type, at->old, at->arena);
	a->metadata.resource_version = b->metadata.resource_version;
	a->metadata.managed_fields = b->metadata.managed_fields;
	a->status.capacity = b->status.capacity;
	a->status.conditions = b->status.conditions;
	a->status.allocated_resource_statuses = b->status.allocated_resource_statuses;
	a->status.allocated_resources = b->status.allocated_resources;
	if (!schema_equal(type, a, b))
		return FORBID("node \"" STR_FMT "\" is not allowed to update fields other than "
			      "status.quantity and status.conditions",
			NODE);
	return 0;
}

static bool mounts_audience(
	const struct admission_attrs *at, const struct v1_pod *pod, struct str audience)
{
	for (size_t i = 0; i < pod->spec.volumes.n; i++) {
		const struct v1_projected_volume_source *p = pod->spec.volumes.v[i].projected;

		for (size_t k = 0; p && k < p->sources.n; k++)
			if (p->sources.v[k].service_account_token &&
				str_eq(p->sources.v[k].service_account_token->audience, audience))
				return true;
	}
	return false;
}

static struct str driver_of_claim(const struct admission_attrs *at, struct str ns, struct str claim)
{
	const struct v1_persistent_volume_claim *c =
		admission_get(at, &v1_persistent_volume_claim_resource, ns, claim);
	const struct v1_persistent_volume *pv =
		c ? admission_get(at, &v1_persistent_volume_resource, S(""), c->spec.volume_name)
		  : NULL;

	return pv && pv->spec.csi ? pv->spec.csi->driver : S("");
}

static bool driver_wants(const struct admission_attrs *at, struct str driver, struct str audience)
{
	const struct storage_v1_csi_driver *d =
		driver.n ? admission_get(at, &storage_v1_csi_driver_resource, S(""), driver) : NULL;

	for (size_t i = 0; d && i < d->spec.token_requests.n; i++)
		if (str_eq(d->spec.token_requests.v[i].audience, audience))
			return true;
	return false;
}

static bool drivers_want(
	const struct admission_attrs *at, const struct v1_pod *pod, struct str audience)
{
	for (size_t i = 0; i < pod->spec.volumes.n; i++) {
		const struct v1_volume *v = &pod->spec.volumes.v[i];
		struct str driver = v->csi ? v->csi->driver : S("");

		if (v->persistent_volume_claim)
			driver =
				driver_of_claim(at, at->ns, v->persistent_volume_claim->claim_name);
		else if (v->ephemeral)
			driver = driver_of_claim(at, at->ns,
				arena_fmt(at->arena, STR_FMT "-" STR_FMT,
					STR_ARG(pod->metadata.name), STR_ARG(v->name)));
		if (driver_wants(at, driver, audience))
			return true;
	}
	return false;
}

static int check_audience(struct admission_attrs *at, const struct v1_pod *pod,
	const struct str_vec *audiences, struct err *err)
{
	struct str audience = audiences->n ? audiences->v[0] : S("");
	const struct request_info info = {.is_resource = true,
		.verb = S("request-serviceaccounts-token-audience"),
		.version = S("v1"),
		.resource = audience,
		.ns = at->ns,
		.name = at->name};

	if (audiences->n > 1)
		return FORBID("node may only request 0 or 1 audiences");
	if (mounts_audience(at, pod, audience) || drivers_want(at, pod, audience) ||
		authorize(at->server->auth, admission_outside(at), &info, at->user, NULL) == 0)
		return 0;
	return FORBID("audience " STR_FMT " not found in pod spec volume, " STR_FMT
		      " is not authorized to request tokens for this audience",
		STR_ARG(go_quote(at->arena, audience)), STR_ARG(at->user->name));
}

static int accounts(struct admission_attrs *at, struct str node, struct err *err)
{
	const struct authentication_v1_token_request *tr = at->obj;
	const struct authentication_v1_bound_object_reference *ref;
	const struct v1_pod *pod;

	if (at->op != ADMIT_CREATE || !str_eqc(at->subresource, "token"))
		return 0;
	ref = tr->spec.bound_object_ref;
	if (!ref || !str_eqc(ref->api_version, "v1") || !str_eqc(ref->kind, "Pod") || !ref->name.n)
		return FORBID("node requested token not bound to a pod");
	if (!ref->uid.n)
		return FORBID("node requested token with a pod binding without a uid");
	pod = admission_get(at, &v1_pod_resource, at->ns, ref->name);
	if (!pod)
		return not_found(&v1_pod_resource, ref->name, err);
	if (!str_eq(ref->uid, pod->metadata.uid))
		return FORBID("the UID in the bound object reference (" STR_FMT
			      ") does not match the UID in record. The object might have been "
			      "deleted and then recreated",
			STR_ARG(ref->uid));
	if (!str_eq(pod->spec.node_name, node))
		return FORBID("node requested token bound to a pod scheduled on a different node");
	return check_audience(at, pod, &tr->spec.audiences, err);
}

static int leases(struct admission_attrs *at, struct str node, struct err *err)
{
	if (!str_eqc(at->ns, "kube-node-lease"))
		return FORBID("can only access leases in the \"kube-node-lease\" system namespace");
	if (!str_eq(name_of(at), node))
		return FORBID(
			"can only access node lease with the same name as the requesting node");
	return 0;
}

static int csi_nodes(struct admission_attrs *at, struct str node, struct err *err)
{
	if (!str_eq(name_of(at), node))
		return FORBID("can only access CSINode with the same name as the requesting node");
	return 0;
}

static int slices(struct admission_attrs *at, struct str node, struct err *err)
{
	const struct resource_v1_resource_slice *s = at->op == ADMIT_CREATE   ? at->obj
						     : at->op == ADMIT_DELETE ? at->old
									      : NULL;

	if (s && !str_eq(s->spec.node_name, node))
		return FORBID("can only %s ResourceSlice with the same NodeName as the requesting "
			      "node",
			at->op == ADMIT_CREATE ? "create" : "delete");
	return 0;
}

static int requests(struct admission_attrs *at, struct str node, struct err *err)
{
	const struct certificates_v1_certificate_signing_request *csr = at->obj;
	struct err why CLEANUP(err_release) = {0};
	struct x509_names names = {0};

	if (at->op != ADMIT_CREATE || at->subresource.n ||
		(!str_eqc(csr->spec.signer_name, "kubernetes.io/kubelet-serving") &&
			!str_eqc(csr->spec.signer_name,
				"kubernetes.io/kube-apiserver-client-kubelet")))
		return 0;
	if (x509_request_parse(csr->spec.request, at->arena, &names, &why) < 0)
		return FORBID("unable to parse csr: %s", err_text(&why));
	if (!str_starts(names.common_name, S("system:node:")) ||
		!str_eq(str_sub(names.common_name, 12, names.common_name.n), node))
		return FORBID("can only create a node CSR with CN=system:node:" STR_FMT, NODE);
	return 0;
}

static const struct {
	const struct schema_resource *resource;
	int (*check)(struct admission_attrs *at, struct str node, struct err *err);
} checks[] = {
	{&v1_pod_resource, pods},
	{&v1_node_resource, nodes},
	{&v1_persistent_volume_claim_resource, claims},
	{&v1_service_account_resource, accounts},
	{&coordination_v1_lease_resource, leases},
	{&storage_v1_csi_node_resource, csi_nodes},
	{&resource_v1_resource_slice_resource, slices},
	{&certificates_v1_certificate_signing_request_resource, requests},
};

static int admit(struct admission_attrs *at, struct err *err)
{
	struct str node;

	if (!node_of_user(at->user, &node))
		return 0;
	if (!node.n)
		return FORBID("could not determine node from user \"" STR_FMT "\"",
			STR_ARG(at->user->name));
	for (size_t i = 0; i < ARRAY_SIZE(checks); i++)
		if (checks[i].resource == at->resource)
			return checks[i].check(at, node, err);
	return 0;
}

const struct admission_plugin admission_node_restriction = {
	.name = "NodeRestriction",
	.ops = ADMIT_CREATE | ADMIT_UPDATE | ADMIT_DELETE,
	.off = true,
	.admit = admit,
};
