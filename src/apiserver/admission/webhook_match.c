#include "api/selector.h"
#include "apiserver/admission/webhook.h"
#include "apiserver/convert.h"

enum { TIMEOUT_DEFAULT_S = 10 };

/* --- configurations --- */

#define COPY_WEBHOOK(w, conf, from)                                                                \
	do {                                                                                       \
		(w)->configuration = (conf);                                                       \
		(w)->name = (from)->name;                                                          \
		(w)->client = (from)->client_config;                                               \
		(w)->rules = (from)->rules;                                                        \
		(w)->namespaces = (from)->namespace_selector;                                      \
		(w)->objects = (from)->object_selector;                                            \
		(w)->versions = (from)->admission_review_versions;                                 \
		(w)->side_effects = (from)->side_effects;                                          \
		(w)->n_conditions = (from)->match_conditions.n;                                    \
		(w)->timeout_s =                                                                   \
			(from)->timeout_seconds ? *(from)->timeout_seconds : TIMEOUT_DEFAULT_S;    \
		(w)->ignore = str_eqc((from)->failure_policy, "Ignore");                           \
		(w)->equivalent = !str_eqc((from)->match_policy, "Exact");                         \
	} while (0)

static void add_mutating(struct arena *a, const struct object *o, struct webhooks *all)
{
	const struct admissionregistration_v1_mutating_webhook_configuration *c =
		object_decode(o, a);

	for (size_t i = 0; i < c->webhooks.n; i++) {
		struct webhook w = {0};

		COPY_WEBHOOK(&w, c->metadata.name, &c->webhooks.v[i]);
		w.again = str_eqc(c->webhooks.v[i].reinvocation_policy, "IfNeeded");
		ARENA_PUSH(a, all, w);
	}
}

static void add_validating(struct arena *a, const struct object *o, struct webhooks *all)
{
	const struct admissionregistration_v1_validating_webhook_configuration *c =
		object_decode(o, a);

	for (size_t i = 0; i < c->webhooks.n; i++) {
		struct webhook w = {0};

		COPY_WEBHOOK(&w, c->metadata.name, &c->webhooks.v[i]);
		ARENA_PUSH(a, all, w);
	}
}

struct webhooks webhooks_all(struct admission_attrs *attrs, bool mutating)
{
	struct snapshot *s = store_snapshot(attrs->store,
		mutating ? &admissionregistration_v1_mutating_webhook_configuration_resource
			 : &admissionregistration_v1_validating_webhook_configuration_resource);
	struct webhooks all = {0};
	struct snapshot_iter it;
	const struct object *o;

	if (snapshot_count(s)) {
		snapshot_iter_init(&it, s, S(""), S(""), S(""));
		while ((o = snapshot_next(&it))) {
			o = object_ref_in(attrs->arena, o);
			if (mutating)
				add_mutating(attrs->arena, o, &all);
			else
				add_validating(attrs->arena, o, &all);
		}
	}
	snapshot_unref(s);
	return all;
}

/* --- selectors --- */

static bool is_namespace(const struct admission_attrs *attrs)
{
	return attrs->resource == &v1_namespace_resource;
}

static int namespace_labels(
	const struct admission_attrs *attrs, const struct str_map **ret, struct err *err)
{
	struct str name = is_namespace(attrs) ? attrs->name : attrs->ns;
	const struct v1_namespace *ns = attrs->obj;

	if (!admission_is(attrs, &v1_namespace_resource) || !ns)
		ns = admission_get(attrs, &v1_namespace_resource, S(""), name);
	if (!ns)
		return err_not_found(err, S(""), S("namespaces"), name);
	*ret = &ns->metadata.labels;
	return 0;
}

static int matches_namespace(
	const struct admission_attrs *attrs, const struct webhook *w, struct err *err)
{
	const struct str_map *labels = NULL;
	struct label_selector s;
	int r;

	if (!w->namespaces || (!attrs->ns.n && !is_namespace(attrs)))
		return 1;
	r = label_selector_from(w->namespaces, attrs->arena, &s, err);
	if (r < 0 || label_selector_is_empty(&s))
		return r < 0 ? r : 1;
	r = namespace_labels(attrs, &labels, err);
	return r < 0 ? r : label_selector_matches(&s, labels);
}

static bool matches_labels(
	const struct admission_attrs *attrs, const void *obj, const struct label_selector *s)
{
	const struct schema_type *type = attrs->body ? attrs->body : attrs->resource->type;
	const struct schema_field *f = schema_field_find(type, S("metadata"));
	const struct meta_v1_object_meta *m;

	if (!obj || !f)
		return false;
	m = (const struct meta_v1_object_meta *)((const char *)obj + f->offset);
	return label_selector_matches(s, &m->labels);
}

static int matches_object(
	const struct admission_attrs *attrs, const struct webhook *w, struct err *err)
{
	struct label_selector s;
	int r;

	if (!w->objects)
		return 1;
	r = label_selector_from(w->objects, attrs->arena, &s, err);
	if (r < 0 || label_selector_is_empty(&s))
		return r < 0 ? r : 1;
	return matches_labels(attrs, attrs->obj, &s) || matches_labels(attrs, attrs->old, &s);
}

/* --- rules --- */

static bool has(const struct str_vec *items, const char *wanted)
{
	return str_vec_has(items, S("*")) || str_vec_has(items, str_c(wanted));
}

static const char *operation_name(enum admission_op op)
{
	switch (op) {
	case ADMIT_CREATE:
		return "CREATE";
	case ADMIT_UPDATE:
		return "UPDATE";
	case ADMIT_DELETE:
		return "DELETE";
	case ADMIT_CONNECT:
		break;
	}
	return "CONNECT";
}

static bool names_resource(const struct str_vec *items, const char *plural, struct str subresource)
{
	for (size_t i = 0; i < items->n; i++) {
		struct str res, sub;

		str_cut(items->v[i], '/', &res, &sub);
		if ((str_eqc(res, "*") || str_eqc(res, plural)) &&
			(str_eqc(sub, "*") || str_eq(sub, subresource)))
			return true;
	}
	return false;
}

static bool rule_matches(const struct admission_attrs *attrs,
	const struct admissionregistration_v1_rule_with_operations *r,
	const struct schema_resource *as)
{
	bool namespaced = attrs->ns.n && !is_namespace(attrs);

	if (str_eqc(r->scope, "Namespaced") ? !namespaced
					    : str_eqc(r->scope, "Cluster") && namespaced)
		return false;
	return has(&r->operations, operation_name(attrs->op)) && has(&r->api_groups, as->group) &&
	       has(&r->api_versions, as->version) &&
	       names_resource(&r->resources, as->plural, attrs->subresource);
}

/* The addressed version when a rule names it, else another one of the same objects. */
static const struct schema_resource *matching_version(
	const struct admission_attrs *attrs, const struct webhook *w)
{
	for (size_t i = 0; i < w->rules.n; i++)
		if (rule_matches(attrs, &w->rules.v[i], attrs->addressed))
			return attrs->addressed;
	for (size_t i = 0; w->equivalent && i < w->rules.n; i++) {
		for (size_t k = 0; k < schema_n_resources; k++) {
			const struct schema_resource *res = schema_resources[k];

			if (res->storage_resource == attrs->resource && res != attrs->addressed &&
				convert_exists(attrs->resource, res) &&
				rule_matches(attrs, &w->rules.v[i], res))
				return res;
		}
	}
	return NULL;
}

int webhook_matches(struct admission_attrs *attrs, const struct webhook *w,
	const struct schema_resource **ret_as, struct err *err)
{
	struct err no_namespace CLEANUP(err_release) = {0}, no_object CLEANUP(err_release) = {0};
	int ns = matches_namespace(attrs, w, &no_namespace);
	int object = ns ? matches_object(attrs, w, &no_object) : 0;

	*ret_as = ns && object ? matching_version(attrs, w) : NULL;
	if (!*ret_as)
		return 0;
	if (ns < 0 || object < 0) {
		err_move(err, ns < 0 ? &no_namespace : &no_object);
		return -EINVAL;
	}
	if (!w->n_conditions)
		return 1;
	if (w->ignore)
		return 0;
	return admission_forbidden(attrs, err,
		"webhook \"" STR_FMT "\" has matchConditions: this server does not evaluate CEL",
		STR_ARG(w->name));
}
