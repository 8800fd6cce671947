/* bootstrap_signer.c: bootstrap-signer-controller: signs what joining machines are told of the
 * cluster (the config map cluster-info in kube-public) with the secret of each bootstrap token that
 * is made for it. */
#include "controllers/util.h"
#include "pki/bootstrap_token.h"

static const struct str ns = {"kube-public", 11}, name = {CLUSTER_INFO, sizeof(CLUSTER_INFO) - 1};

/* The signatures that should be there, added to `data`; *p asks again when the first token expires.
 */
static void sign(struct view *v, struct plan *p, struct str content, struct str_map *data)
{
	int64_t now_ms = v->now_ns / 1000000;
	struct snapshot_iter it;
	const struct object *o;

	snapshot_iter_init(
		&it, view_snapshot(v, &v1_secret_resource), S("kube-system"), S(""), S(""));
	while ((o = snapshot_next(&it))) {
		struct bootstrap_secret b;

		if (!str_eqc(object_field(o, S("type")), BOOTSTRAP_SECRET_TYPE) ||
			!bootstrap_secret_read(object_decode(o, v->arena), now_ms, &b) ||
			b.expired || !b.for_signing || !bootstrap_token_id_valid(b.token.id))
			continue;
		if (b.expires)
			plan_requeue(p, b.expiration_ms - now_ms);
		*data = str_map_with(*data,
			arena_fmt(v->arena, BOOTSTRAP_JWS_PREFIX STR_FMT, STR_ARG(b.token.id)),
			bootstrap_jws(content, b.token, v->arena), v->arena);
	}
}

static int reconcile(struct view *v, struct plan_key key, struct plan *p, struct err *err)
{
	struct v1_config_map *cm = view_decode(v, &v1_config_map_resource, ns, name);
	const struct str *content = cm ? str_map_get(&cm->data, S("kubeconfig")) : NULL;
	struct str_map data = {0};
	struct plan_write *w;

	if (!content)
		return 0;
	for (size_t i = 0; i < cm->data.n; i++)
		if (!str_starts(cm->data.v[i].key, S(BOOTSTRAP_JWS_PREFIX)))
			ARENA_PUSH(v->arena, &data, cm->data.v[i]);
	sign(v, p, *content, &data);
	if (data.n == cm->data.n && str_map_subset(&data, &cm->data))
		return 0;
	cm->data = data;
	w = plan_add(p, PLAN_UPDATE, &v1_config_map_resource, ns, name);
	w->object = cm;
	w->ignore_not_found = true;
	return 0;
}

static void config_map_keys(
	struct view *v, const struct store_event *ev, plan_enqueue_fn *enqueue, void *user_data)
{
	if (str_eq(ev->object->ns, ns) && str_eq(ev->object->name, name))
		enqueue(user_data, ns, name);
}

static void secret_keys(
	struct view *v, const struct store_event *ev, plan_enqueue_fn *enqueue, void *user_data)
{
	if (str_eq(ev->object->ns, S("kube-system")) &&
		str_eqc(object_field(ev->object, S("type")), BOOTSTRAP_SECRET_TYPE))
		enqueue(user_data, ns, name);
}

static const struct plan_watch watches[] = {
	{.resource = &v1_config_map_resource, .keys = config_map_keys},
	{.resource = &v1_secret_resource, .keys = secret_keys},
	{0},
};

const struct planner bootstrap_signer_planner = {
	.name = "bootstrap-signer-controller",
	.user = "bootstrap-signer",
	.watches = watches,
	.reconcile = reconcile,
};
