#include "apiserver/admission/policy.h"
#include "apiserver/convert.h"
#include "apiserver/server.h"

int policy_check(const struct policy *p, struct err *err)
{
	struct str group, version;

	if (!p->param_kind || p->params)
		return 0;
	if (!str_cut(p->param_kind->api_version, '/', &group, &version)) {
		version = group;
		group = S("");
	}
	return err_fmt(err, 500, "InternalError",
		"failed to find resource referenced by paramKind: '" STR_FMT "/" STR_FMT
		", Kind=" STR_FMT "'",
		STR_ARG(group), STR_ARG(version), STR_ARG(p->param_kind->kind));
}

static int add(const struct admission_attrs *attrs, const struct schema_resource *res,
	const struct object *o, struct policy_params *ret, struct err *err)
{
	struct arena *a = attrs->arena;
	void *typed = object_decode(object_ref_in(a, o), a);
	struct policy_param p = {.ns = o->ns, .name = o->name};
	int r = convert(res->storage_resource, typed, res, a, &typed, err);

	if (r < 0)
		return r;
	set_type_meta(res, typed, a);
	p.value = cel_object(res->type, typed);
	ARENA_PUSH(a, ret, p);
	return 0;
}

static int add_selected(const struct admission_attrs *attrs, const struct schema_resource *res,
	struct str ns, const struct meta_v1_label_selector *selector, struct policy_params *ret,
	struct err *err)
{
	struct label_selector s;
	struct snapshot *all;
	struct snapshot_iter it;
	const struct object *o;
	int r = label_selector_from(selector, attrs->arena, &s, err);

	if (r < 0)
		return r;
	all = store_snapshot(attrs->store, res->storage_resource);
	snapshot_iter_init(&it, all, ns, S(""), S(""));
	while (r >= 0 && (o = snapshot_next(&it)))
		if (label_selector_matches(&s, &o->labels))
			r = add(attrs, res, o, ret, err);
	snapshot_unref(all);
	return r;
}

static int add_named(const struct admission_attrs *attrs, const struct schema_resource *res,
	struct str ns, struct str name, struct policy_params *ret, struct err *err)
{
	const struct object *o = store_get(attrs->store, res->storage_resource, ns, name);
	int r = o ? add(attrs, res, o, ret, err) : 0;

	object_unref(o);
	return r;
}

/* Where the parameters are: where the binding says, else where the object of the write is. */
static int namespace_of(const struct admission_attrs *attrs, const struct schema_resource *res,
	const struct admissionregistration_v1_param_ref *ref, struct str *ret, struct err *err)
{
	struct str ns = attrs->resource == &v1_namespace_resource ? attrs->name : attrs->ns;

	*ret = S("");
	if (!res->namespaced) {
		if (ref->namespace.n)
			return err_fmt(err, 500, "InternalError",
				"paramRef.namespace must not be provided for a "
				"cluster-scoped `paramKind`");
		return 0;
	}
	*ret = ref->namespace.n ? ref->namespace : ns;
	if (!ret->n)
		return err_fmt(err, 500, "InternalError",
			"cannot use namespaced paramRef in policy binding that "
			"matches cluster-scoped resources");
	return 0;
}

int policy_params(const struct admission_attrs *attrs, const struct policy *p,
	const struct policy_binding *b, struct policy_params *ret, struct err *err)
{
	const struct admissionregistration_v1_param_ref *ref = b->param_ref;
	const struct policy_param none = {.value = cel_null()};
	struct str ns;
	int r;

	*ret = (struct policy_params){0};
	if (!p->param_kind || !ref) {
		ARENA_PUSH(attrs->arena, ret, none);
		return 0;
	}
	r = namespace_of(attrs, p->params, ref, &ns, err);
	if (r >= 0 && ref->name.n)
		r = add_named(attrs, p->params, ns, ref->name, ret, err);
	else if (r >= 0)
		r = add_selected(attrs, p->params, ns, ref->selector, ret, err);
	if (r >= 0 && !ret->n && str_eqc(ref->parameter_not_found_action, "Deny"))
		r = err_fmt(err, 500, "InternalError",
			"no params found for policy binding with `Deny` "
			"parameterNotFoundAction");
	return r;
}
