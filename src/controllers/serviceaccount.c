/* serviceaccount.c: serviceaccount-controller: the account `default` in each namespace. */
#include "controllers/util.h"

static bool is_active(const struct object *ns)
{
	return ns && ns->deletion_ms == 0 &&
	       !str_eq(object_field(ns, S("status.phase")), S("Terminating"));
}

static int reconcile(struct view *v, struct plan_key key, struct plan *p, struct err *err)
{
	if (!is_active(view_get(v, &v1_namespace_resource, S(""), key.name)) ||
		view_get(v, &v1_service_account_resource, key.name, S("default")))
		return 0;
	struct v1_service_account *sa = ARENA_NEW(v->arena, struct v1_service_account);
	struct plan_write *w =
		plan_add(p, PLAN_CREATE, &v1_service_account_resource, key.name, S("default"));

	sa->metadata.name = S("default");
	sa->metadata.namespace = key.name;
	w->object = sa;
	w->ignore_exists = true;
	return 0;
}

static void account_keys(
	struct view *v, const struct store_event *ev, plan_enqueue_fn *enqueue, void *user_data)
{
	if (ev->type == STORE_DELETED && str_eq(ev->object->name, S("default")))
		enqueue(user_data, S(""), ev->object->ns);
}

static const struct plan_watch watches[] = {
	{.resource = &v1_namespace_resource},
	{.resource = &v1_service_account_resource, .keys = account_keys},
	{0},
};

const struct planner serviceaccount_planner = {
	.name = "serviceaccount-controller",
	.user = "service-account-controller",
	.watches = watches,
	.reconcile = reconcile,
};
