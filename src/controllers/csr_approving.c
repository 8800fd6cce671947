/*
 * csr_approving.c: certificatesigningrequest-approving-controller: says yes to what nodes ask for
 * themselves. Client certificates: as upstream, when the API server says (SubjectAccessReview) that
 * the requester may `create` certificatesigningrequests/nodeclient (a joining node) or
 * /selfnodeclient (a node that renews). Serving certificates: when all names are the node's own
 * (csr.h), which upstream leaves to a person.
 */
#include "controllers/csr.h"
#include "json/value.h"
#include "schema/time.h"

enum {
	YOUNG_MS = 60 * 1000, /* a node that just asks is waiting for us … */
	AGAIN_YOUNG_MS = 2 * 1000,
	AGAIN_MS = 5 * 60 * 1000, /* … an old request is one that nobody may make */
};

static const struct recognizer {
	const char *subresource, *message;
} recognizers[] = {
	{"selfnodeclient",
		"Auto approving self kubelet client certificate after SubjectAccessReview."},
	{"nodeclient", "Auto approving kubelet client certificate after SubjectAccessReview."},
};

static void ask(struct view *v, struct plan *p, const csr_t *csr, const char *subresource)
{
	struct authorization_v1_subject_access_review *sar =
		ARENA_NEW(v->arena, struct authorization_v1_subject_access_review);
	struct authorization_v1_resource_attributes *attrs =
		ARENA_NEW(v->arena, struct authorization_v1_resource_attributes);
	struct plan_write *w;

	attrs->group = S("certificates.k8s.io");
	attrs->resource = S("certificatesigningrequests");
	attrs->verb = S("create");
	attrs->subresource = str_c(subresource);
	attrs->version = S("*");
	sar->spec.user = csr->spec.username;
	sar->spec.uid = csr->spec.uid;
	sar->spec.groups = csr->spec.groups;
	for (size_t i = 0; i < csr->spec.extra.n; i++) {
		struct authorization_v1_extra_value_pair pair = {.key = csr->spec.extra.v[i].key};

		pair.value.items = csr->spec.extra.v[i].value.items;
		ARENA_PUSH(v->arena, &sar->spec.extra, pair);
	}
	sar->spec.resource_attributes = attrs;
	w = plan_add(
		p, PLAN_CREATE, &authorization_v1_subject_access_review_resource, S(""), S(""));
	w->object = sar;
	w->want_answer = true;
}

/* Which recognizer the last answer is about; -1: none. */
static int answered(const struct view *v, bool *ret_allowed)
{
	struct json_value *sar, *allowed;
	struct str sub;

	if (!v->answer.n || json_parse(v->answer, v->arena, &sar, NULL) < 0)
		return -1;
	sub = json_get_str(json_getc(json_getc(sar, "spec"), "resourceAttributes"), "subresource");
	allowed = json_getc(json_getc(sar, "status"), "allowed");
	*ret_allowed = allowed && allowed->kind == JSON_BOOL && allowed->boolean;
	for (size_t i = 0; i < ARRAY_SIZE(recognizers); i++)
		if (str_eqc(sub, recognizers[i].subresource))
			return (int)i;
	return -1;
}

static void ask_later(const struct view *v, struct plan *p, const csr_t *csr)
{
	int64_t age_ms = v->now_ns / 1000000 - k8s_time_ms(&csr->metadata.creation_timestamp);

	plan_requeue(p, age_ms < YOUNG_MS ? AGAIN_YOUNG_MS : AGAIN_MS);
}

static void look_at_client(
	struct view *v, struct plan *p, csr_t *csr, const struct x509_names *names)
{
	bool self = str_eq(csr->spec.username, names->common_name), allowed = false;
	int done = answered(v, &allowed), next = done < 0 ? (self ? 0 : 1) : done + 1;

	if (allowed && (done > 0 || self))
		csr_add_condition(v, p, csr, "approval", "Approved", "AutoApproved",
			recognizers[done].message);
	else if (next < (int)ARRAY_SIZE(recognizers))
		ask(v, p, csr, recognizers[next].subresource);
	else
		ask_later(v, p, csr);
}

static int reconcile(struct view *v, struct plan_key key, struct plan *p, struct err *err)
{
	csr_t *csr = view_decode(
		v, &certificates_v1_certificate_signing_request_resource, S(""), key.name);
	struct x509_names names;

	if (!csr || csr->metadata.deletion_timestamp.set || csr->status.certificate.n ||
		csr_decided(csr) ||
		x509_request_parse(csr->spec.request, v->arena, &names, NULL) < 0)
		return 0;
	if (str_eqc(csr->spec.signer_name, SIGNER_KUBELET_CLIENT) &&
		!csr_not_kubelet_client(csr, &names))
		look_at_client(v, p, csr, &names);
	else if (str_eqc(csr->spec.signer_name, SIGNER_KUBELET_SERVING) &&
		 !csr_not_kubelet_serving(csr, &names) &&
		 !csr_serving_names_refused(v, csr, &names))
		csr_add_condition(v, p, csr, "approval", "Approved", "AutoApproved",
			"Auto approving kubelet serving certificate: all its names and addresses "
			"are the node's own.");
	return 0;
}

/* A Node that has just got its addresses: its serving certificate may wait for them. */
static void node_keys(
	struct view *v, const struct store_event *ev, plan_enqueue_fn *enqueue, void *user_data)
{
	const struct schema_resource *res = &certificates_v1_certificate_signing_request_resource;
	struct snapshot_iter it;
	const struct object *o;

	if (ev->type == STORE_DELETED)
		return;
	snapshot_iter_init(&it, view_snapshot(v, res), S(""), S(""), S(""));
	while ((o = snapshot_next(&it)))
		if (str_eqc(object_field(o, S("spec.signerName")), SIGNER_KUBELET_SERVING))
			enqueue(user_data, S(""), o->name);
}

static const struct plan_watch watches[] = {
	{.resource = &certificates_v1_certificate_signing_request_resource},
	{.resource = &v1_node_resource, .keys = node_keys},
	{.resource = &v1_service_resource, .silent = true},
	{.resource = &v1_endpoints_resource, .silent = true},
	{0},
};

const struct planner csr_approving_planner = {
	.name = "certificatesigningrequest-approving-controller",
	.user = "certificate-controller",
	.watches = watches,
	.reconcile = reconcile,
};
