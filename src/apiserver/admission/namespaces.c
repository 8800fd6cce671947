/* NamespaceExists and NamespaceAutoProvision: what NamespaceLifecycle came after. */
#include "apiserver/admission/plugins.h"
#include "apiserver/meta.h"
#include "apiserver/server.h"

static bool there(const struct admission_attrs *attrs)
{
	const struct object *o = store_get(attrs->store, &v1_namespace_resource, S(""), attrs->ns);

	object_unref(o);
	return o;
}

static bool concerns(const struct admission_attrs *attrs)
{
	return attrs->ns.n && attrs->resource != &v1_namespace_resource;
}

static int exists(struct admission_attrs *attrs, struct err *err)
{
	if (!concerns(attrs) || there(attrs))
		return 0;
	return err_not_found(err, S(""), S("namespaces"), attrs->ns);
}

const struct admission_plugin admission_namespace_exists = {
	.name = "NamespaceExists",
	.ops = ADMIT_CREATE | ADMIT_UPDATE | ADMIT_DELETE,
	.off = true,
	.validate = exists,
};

/* --- NamespaceAutoProvision --- */

struct provision {
	struct admission_attrs *attrs;
	struct store_write sw;
};

static void provisioned(struct store_write *sw)
{
	struct provision *p = container_of(sw, struct provision, sw);
	struct err err CLEANUP(err_release) = {0};

	object_unref(sw->object);
	if (sw->result == 0 || sw->result == -EEXIST) {
		admission_resume(p->attrs->run, NULL);
		return;
	}
	admission_forbidden(p->attrs, &err, "cannot make namespace " STR_FMT ": %s",
		STR_ARG(p->attrs->ns), strerror(-sw->result));
	admission_resume(p->attrs->run, &err);
}

static struct v1_namespace *new_namespace(struct admission_attrs *attrs)
{
	struct v1_namespace *n = ARENA_NEW(attrs->arena, struct v1_namespace);

	n->metadata.name = attrs->ns;
	n->metadata.uid = uuid_new(attrs->arena, attrs->loop);
	n->metadata.creation_timestamp = time_from_ns(attrs->now_ns);
	ARENA_PUSH(attrs->arena, &n->metadata.labels,
		((struct str_pair){S("kubernetes.io/metadata.name"), attrs->ns}));
	ARENA_PUSH(attrs->arena, &n->spec.finalizers, S("kubernetes"));
	n->status.phase = S("Active");
	return n;
}

static int provision(struct admission_attrs *attrs, struct err *err)
{
	struct provision *p;
	struct object *draft;
	int r;

	if (attrs->dry_run || !concerns(attrs) || there(attrs))
		return 0;
	r = object_draft(&v1_namespace_resource, new_namespace(attrs), &draft, err);
	if (r < 0)
		return r;
	p = ARENA_NEW(attrs->arena, struct provision);
	p->attrs = attrs;
	p->sw = (struct store_write){
		.op = STORE_CREATE,
		.resource = &v1_namespace_resource,
		.name = attrs->ns,
		.draft = draft,
		.loop = attrs->loop,
		.done = provisioned,
	};
	store_submit(attrs->store, &p->sw);
	return ADMISSION_SUSPENDED;
}

const struct admission_plugin admission_namespace_auto_provision = {
	.name = "NamespaceAutoProvision",
	.ops = ADMIT_CREATE,
	.off = true,
	.admit = provision,
};
