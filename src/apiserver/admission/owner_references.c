/* OwnerReferencesPermissionEnforcement: who changes owner references must be allowed to delete the
 * object, and who makes one block its owner's deletion, to set the owner's finalizers. */
#include "apiserver/admission/plugins.h"
#include "apiserver/server.h"

struct refs {
	const struct meta_v1_owner_reference *v;
	size_t n;
};

static struct refs refs_of(const struct admission_attrs *attrs, const void *obj)
{
	const struct meta_v1_object_meta *m;

	if (!obj)
		return (struct refs){0};
	m = meta_of_const(attrs->resource, obj);
	return (struct refs){m->owner_references.v, m->owner_references.n};
}

static bool changes(struct refs now, struct refs old)
{
	if (now.n != old.n)
		return true;
	for (size_t i = 0; i < now.n; i++)
		if (!schema_equal(&meta_v1_owner_reference_schema, &now.v[i], &old.v[i]))
			return true;
	return false;
}

static bool blocks(const struct meta_v1_owner_reference *r)
{
	return r->block_owner_deletion && *r->block_owner_deletion;
}

static bool blocked_before(const struct meta_v1_owner_reference *r, struct refs old)
{
	bool found = false;

	for (size_t i = 0; i < old.n; i++)
		if (str_eq(old.v[i].uid, r->uid))
			found = blocks(&old.v[i]);
	return found;
}

static int check_delete(struct admission_attrs *attrs, struct err *err)
{
	struct err why CLEANUP(err_release) = {0};
	struct request_info info = {
		.is_resource = true,
		.verb = S("delete"),
		.group = str_c(attrs->resource->group),
		.version = str_c(attrs->resource->version),
		.ns = attrs->ns,
		.resource = str_c(attrs->resource->plural),
		.subresource = attrs->subresource,
		.name = attrs->name,
	};

	if (authorize(attrs->server->auth, admission_outside(attrs), &info, attrs->user, &why) >= 0)
		return 0;
	return admission_forbidden(
		attrs, err, "cannot set an ownerRef on a resource you can't delete: , <nil>");
}

static bool may_finalize(const struct admission_attrs *attrs, struct request_info *info)
{
	info->is_resource = true;
	info->verb = S("update");
	info->subresource = S("finalizers");
	return authorize(attrs->server->auth, admission_outside(attrs), info, attrs->user, NULL) >=
	       0;
}

static int check_owner(
	struct admission_attrs *attrs, const struct meta_v1_owner_reference *ref, struct err *err)
{
	struct str group, version;
	const struct schema_resource *res;

	if (!str_cut(ref->api_version, '/', &group, &version)) {
		version = group;
		group = S("");
	}
	res = schema_resource_by_kind(group, version, ref->kind);
	if (!res)
		return admission_forbidden(attrs, err,
			"cannot set blockOwnerDeletion in this case because cannot find "
			"RESTMapping for APIVersion " STR_FMT " Kind " STR_FMT
			": no matches for kind \"" STR_FMT "\" in version \"" STR_FMT "\"",
			STR_ARG(ref->api_version), STR_ARG(ref->kind), STR_ARG(ref->kind),
			STR_ARG(ref->api_version));
	struct request_info info = {
		.group = group,
		.version = version,
		.resource = str_c(res->plural),
		.name = ref->name,
		.ns = res->namespaced ? attrs->ns : S(""),
	};
	if (may_finalize(attrs, &info))
		return 0;
	return admission_forbidden(attrs, err,
		"cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't "
		"set finalizers on: , <nil>");
}

static int validate(struct admission_attrs *attrs, struct err *err)
{
	struct request_info anything = {
		.group = S("*"), .version = S("*"), .resource = S("*"), .name = S("*")};
	struct refs now, old;
	bool asked = false;
	int r = 0;

	if (attrs->body ||
		(attrs->resource == &v1_pod_resource && str_eqc(attrs->subresource, "status")))
		return 0;
	now = refs_of(attrs, attrs->obj);
	old = refs_of(attrs, attrs->old);
	if (!changes(now, old))
		return 0;
	if (attrs->op != ADMIT_CREATE)
		r = check_delete(attrs, err);
	for (size_t i = 0; r >= 0 && i < now.n; i++) {
		if (!blocks(&now.v[i]) || blocked_before(&now.v[i], old))
			continue;
		if (!asked && may_finalize(attrs, &anything))
			return 0;
		asked = true;
		r = check_owner(attrs, &now.v[i], err);
	}
	return r;
}

const struct admission_plugin admission_owner_references_permission_enforcement = {
	.name = "OwnerReferencesPermissionEnforcement",
	.ops = ADMIT_CREATE | ADMIT_UPDATE,
	.off = true,
	.validate = validate,
};
