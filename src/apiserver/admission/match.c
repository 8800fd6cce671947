#include "apiserver/admission/match.h"
#include "apiserver/convert.h"
#include "apiserver/server.h"

/* --- making --- */

struct match_selector match_selector_of(const struct meta_v1_label_selector *s, struct arena *a)
{
	struct match_selector m = {.from = s};

	m.broken = s && label_selector_from(s, a, &m.parsed, NULL) < 0;
	return m;
}

static struct match_rules rules_of(
	const struct admissionregistration_v1_named_rule_with_operations_vec *v, struct arena *a)
{
	struct match_rules rules = {0};

	for (size_t i = 0; i < v->n; i++) {
		struct match_rule r = {
			.rule = {.operations = v->v[i].operations,
				.api_groups = v->v[i].api_groups,
				.api_versions = v->v[i].api_versions,
				.resources = v->v[i].resources,
				.scope = v->v[i].scope},
			.names = v->v[i].resource_names,
		};

		ARENA_PUSH(a, &rules, r);
	}
	return rules;
}

void match_resources_of(const struct admissionregistration_v1_match_resources *m, struct arena *a,
	struct match_criteria *ret)
{
	*ret = (struct match_criteria){.all = true};
	if (!m)
		return;
	ret->rules = rules_of(&m->resource_rules, a);
	ret->exclude = rules_of(&m->exclude_resource_rules, a);
	ret->namespaces = match_selector_of(m->namespace_selector, a);
	ret->objects = match_selector_of(m->object_selector, a);
	ret->equivalent = str_eqc(m->match_policy, "Equivalent");
}

/* --- selectors --- */

static bool is_namespace(const struct admission_attrs *attrs)
{
	return attrs->resource == &v1_namespace_resource;
}

static int why_broken(const struct match_selector *s, struct arena *a, struct err *err)
{
	struct label_selector parsed;

	return label_selector_from(s->from, a, &parsed, err);
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
	const struct admission_attrs *attrs, const struct match_selector *s, struct err *err)
{
	const struct str_map *labels = NULL;
	int r;

	if (!s->from || (!attrs->ns.n && !is_namespace(attrs)))
		return 1;
	if (s->broken)
		return why_broken(s, attrs->arena, err);
	if (label_selector_is_empty(&s->parsed))
		return 1;
	r = namespace_labels(attrs, &labels, err);
	return r < 0 ? r : label_selector_matches(&s->parsed, labels);
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
	const struct admission_attrs *attrs, const struct match_selector *s, struct err *err)
{
	if (!s->from)
		return 1;
	if (s->broken)
		return why_broken(s, attrs->arena, err);
	return label_selector_is_empty(&s->parsed) ||
	       matches_labels(attrs, attrs->obj, &s->parsed) ||
	       matches_labels(attrs, attrs->old, &s->parsed);
}

/* --- rules --- */

static bool has(const struct str_vec *items, const char *wanted)
{
	return str_vec_has(items, S("*")) || str_vec_has(items, str_c(wanted));
}

const char *match_operation(enum admission_op op)
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

static bool rule_matches(const struct admission_attrs *attrs, const struct match_rule *m,
	const struct schema_resource *as)
{
	const struct admissionregistration_v1_rule_with_operations *r = &m->rule;
	bool namespaced = attrs->ns.n && !is_namespace(attrs);

	if (str_eqc(r->scope, "Namespaced") ? !namespaced
					    : str_eqc(r->scope, "Cluster") && namespaced)
		return false;
	return has(&r->operations, match_operation(attrs->op)) && has(&r->api_groups, as->group) &&
	       has(&r->api_versions, as->version) &&
	       names_resource(&r->resources, as->plural, attrs->subresource) &&
	       (!m->names.n || str_vec_has(&m->names, attrs->name));
}

static bool is_equivalent(const struct admission_attrs *attrs, const struct schema_resource *res)
{
	return res->storage_resource == attrs->resource && res != attrs->addressed &&
	       convert_exists(attrs->resource, res);
}

/* The addressed version when a rule names it, else another one of the same objects. */
static const struct schema_resource *matching_version(
	const struct admission_attrs *attrs, const struct match_rules *rules, bool equivalent)
{
	for (size_t i = 0; i < rules->n; i++)
		if (rule_matches(attrs, &rules->v[i], attrs->addressed))
			return attrs->addressed;
	for (size_t i = 0; equivalent && i < rules->n; i++)
		for (size_t k = 0; k < schema_n_resources; k++)
			if (is_equivalent(attrs, schema_resources[k]) &&
				rule_matches(attrs, &rules->v[i], schema_resources[k]))
				return schema_resources[k];
	return NULL;
}

static const struct schema_resource *matching(
	const struct admission_attrs *attrs, const struct match_criteria *c)
{
	if (matching_version(attrs, &c->exclude, c->equivalent))
		return NULL;
	if (c->all && !c->rules.n)
		return attrs->addressed;
	return matching_version(attrs, &c->rules, c->equivalent);
}

/* Rules are looked at first, because they cost least; that a selector cannot be evaluated matters
 * only where they match. */
int match_criteria_match(const struct admission_attrs *attrs, const struct match_criteria *c,
	const struct schema_resource **ret_as, struct err *err)
{
	struct err no_namespace CLEANUP(err_release) = {0}, no_object CLEANUP(err_release) = {0};
	const struct schema_resource *as = matching(attrs, c);
	int ns = as ? matches_namespace(attrs, &c->namespaces, &no_namespace) : 0;
	int object = ns ? matches_object(attrs, &c->objects, &no_object) : 0;

	if (!ns || !object)
		return 0;
	if (ns < 0 || object < 0) {
		err_move(err, ns < 0 ? &no_namespace : &no_object);
		return -EINVAL;
	}
	*ret_as = as;
	return 1;
}

bool match_is_exempt(const struct admission_attrs *attrs)
{
	return !strcmp(attrs->resource->group, "admissionregistration.k8s.io");
}
