/* NamespaceLifecycle: nothing is made in a namespace that is not there or is being deleted, and the
 * namespaces that the cluster itself lives in stay. */
#include "apiserver/admission/plugins.h"

static bool is_immortal(struct str name)
{
	return str_eqc(name, "default") || str_eqc(name, "kube-system") ||
	       str_eqc(name, "kube-public");
}

static int check_namespace(struct admission_attrs *attrs, const struct object *o, struct err *err)
{
	int r;

	if (attrs->op != ADMIT_CREATE ||
		!str_eqc(object_field(o, S("status.phase")), "Terminating"))
		return 0;
	r = admission_forbidden(attrs, err,
		"unable to create new content in namespace " STR_FMT
		" because it is being terminated",
		STR_ARG(attrs->ns));
	err_add_cause(err, "NamespaceTerminating", S("metadata.namespace"),
		"namespace " STR_FMT " is being terminated", STR_ARG(attrs->ns));
	return r;
}

static int admit(struct admission_attrs *attrs, struct err *err)
{
	const struct object *o;
	int r;

	if (attrs->resource == &v1_namespace_resource) {
		if (attrs->op == ADMIT_DELETE && is_immortal(attrs->name))
			return err_forbidden(err, S(""), S("namespaces"), attrs->name,
				"this namespace may not be deleted");
		return 0;
	}
	if (!attrs->ns.n || attrs->op == ADMIT_DELETE ||
		str_eqc(str_c(attrs->resource->plural), "localsubjectaccessreviews"))
		return 0;
	o = store_get(attrs->store, &v1_namespace_resource, S(""), attrs->ns);
	if (!o)
		return err_not_found(err, S(""), S("namespaces"), attrs->ns);
	r = check_namespace(attrs, o, err);
	object_unref(o);
	return r;
}

const struct admission_plugin admission_namespace_lifecycle = {
	.name = "NamespaceLifecycle",
	.ops = ADMIT_CREATE | ADMIT_UPDATE | ADMIT_DELETE,
	.admit = admit,
};
