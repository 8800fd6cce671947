/* token_cleaner.c: token-cleaner-controller: removes bootstrap tokens when they have expired. */
#include "controllers/util.h"
#include "pki/bootstrap_token.h"

static int reconcile(struct view *v, struct plan_key key, struct plan *p, struct err *err)
{
	const struct v1_secret *s = view_decode(v, &v1_secret_resource, key.ns, key.name);
	int64_t now_ms = v->now_ns / 1000000;
	struct bootstrap_secret b;
	struct plan_write *w;

	if (!s || s->metadata.deletion_timestamp.set || !bootstrap_secret_read(s, now_ms, &b) ||
		!b.expires)
		return 0;
	if (!b.expired) {
		plan_requeue(p, b.expiration_ms - now_ms);
		return 0;
	}
	w = plan_add(p, PLAN_DELETE, &v1_secret_resource, key.ns, key.name);
	w->uid = s->metadata.uid;
	w->grace_s = -1;
	w->ignore_not_found = true;
	return 0;
}

static void secret_keys(
	struct view *v, const struct store_event *ev, plan_enqueue_fn *enqueue, void *user_data)
{
	const struct object *o = ev->object;

	if (ev->type != STORE_DELETED && str_eq(o->ns, S("kube-system")) &&
		str_eqc(object_field(o, S("type")), BOOTSTRAP_SECRET_TYPE))
		enqueue(user_data, o->ns, o->name);
}

static const struct plan_watch watches[] = {
	{.resource = &v1_secret_resource, .keys = secret_keys},
	{0},
};

const struct planner token_cleaner_planner = {
	.name = "token-cleaner-controller",
	.user = "token-cleaner",
	.watches = watches,
	.reconcile = reconcile,
};
