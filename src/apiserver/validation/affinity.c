/* affinity.c: where pods may run: node and pod affinity, topology spread, label selectors. */
#include "apiserver/validation/names.h"
#include "apiserver/validation/pod.h"

static bool one_of(struct str s, const char *a, const char *b)
{
	return str_eqc(s, a) || str_eqc(s, b);
}

static void validate_label_values(
	const struct str_vec *values, const struct field_path *p, struct field_errors *e)
{
	for (size_t i = 0; i < values->n; i++)
		field_invalid_each(
			e, AT_INDEX(p, i), values->v[i], is_label_value(e->arena, values->v[i]));
}

static void validate_selector_requirement(const struct meta_v1_label_selector_requirement *r,
	const struct field_path *p, struct field_errors *e)
{
	struct field_path values = FIELD(p, "values");

	if (one_of(r->operator, "In", "NotIn")) {
		if (r->values.n == 0)
			field_required(
				e, &values, "must be specified when `operator` is 'In' or 'NotIn'");
	} else if (one_of(r->operator, "Exists", "DoesNotExist")) {
		if (r->values.n)
			field_forbidden(e, &values,
				"may not be specified when `operator` is 'Exists' or "
				"'DoesNotExist'");
	} else {
		field_invalid(e, AT(p, "operator"), r->operator, "not a valid selector operator");
	}
	validate_qualified_name(r->key, AT(p, "key"), e);
	validate_label_values(&r->values, &values, e);
}

void validate_label_selector(
	const struct meta_v1_label_selector *s, const struct field_path *p, struct field_errors *e)
{
	struct field_path list = FIELD(p, "matchExpressions");

	if (!s)
		return;
	validate_labels(&s->match_labels, AT(p, "matchLabels"), e);
	for (size_t i = 0; i < s->match_expressions.n; i++)
		validate_selector_requirement(&s->match_expressions.v[i], AT_INDEX(&list, i), e);
}

static void validate_node_requirement(const struct v1_node_selector_requirement *r,
	bool check_values, const struct field_path *p, struct field_errors *e)
{
	struct field_path values = FIELD(p, "values");

	if (one_of(r->operator, "In", "NotIn")) {
		if (r->values.n == 0)
			field_required(
				e, &values, "must be specified when `operator` is 'In' or 'NotIn'");
	} else if (one_of(r->operator, "Exists", "DoesNotExist")) {
		if (r->values.n)
			field_forbidden(e, &values,
				"may not be specified when `operator` is 'Exists' or "
				"'DoesNotExist'");
	} else if (one_of(r->operator, "Gt", "Lt")) {
		if (r->values.n != 1)
			field_required(e, &values,
				"must be specified single value when `operator` is 'Lt' or 'Gt'");
	} else {
		field_invalid(e, AT(p, "operator"), r->operator, "not a valid selector operator");
	}
	validate_qualified_name(r->key, AT(p, "key"), e);
	if (check_values)
		validate_label_values(&r->values, &values, e);
}

static void validate_node_field(const struct v1_node_selector_requirement *r,
	const struct field_path *p, struct field_errors *e)
{
	struct field_path values = FIELD(p, "values");

	if (!one_of(r->operator, "In", "NotIn"))
		field_invalid(e, AT(p, "operator"), r->operator, "not a valid selector operator");
	else if (r->values.n != 1)
		field_required(e, &values,
			"must be only one value when `operator` is 'In' or 'NotIn' for node field "
			"selector");
	if (!str_eqc(r->key, "metadata.name")) {
		field_invalid(e, AT(p, "key"), r->key, "not a valid field selector key");
		return;
	}
	for (size_t i = 0; i < r->values.n; i++)
		validate_dns1123_subdomain(r->values.v[i], AT_INDEX(&values, i), e);
}

static void validate_node_term(const struct v1_node_selector_term *t, bool check_values,
	const struct field_path *p, struct field_errors *e)
{
	struct field_path exprs = FIELD(p, "matchExpressions"), fields = FIELD(p, "matchFields");

	for (size_t i = 0; i < t->match_expressions.n; i++)
		validate_node_requirement(
			&t->match_expressions.v[i], check_values, AT_INDEX(&exprs, i), e);
	for (size_t i = 0; i < t->match_fields.n; i++)
		validate_node_field(&t->match_fields.v[i], AT_INDEX(&fields, i), e);
}

void validate_node_selector(
	const struct v1_node_selector *s, const struct field_path *p, struct field_errors *e)
{
	struct field_path terms = FIELD(p, "nodeSelectorTerms");

	if (s->node_selector_terms.n == 0)
		field_required(e, &terms, "must have at least one node selector term");
	for (size_t i = 0; i < s->node_selector_terms.n; i++)
		validate_node_term(&s->node_selector_terms.v[i], true, AT_INDEX(&terms, i), e);
}

static void validate_weight(int32_t weight, const struct field_path *p, struct field_errors *e)
{
	if (weight <= 0 || weight > 100)
		field_invalid_int(e, AT(p, "weight"), weight, "must be in the range 1-100");
}

static void validate_node_affinity(
	const struct v1_node_affinity *na, const struct field_path *p, struct field_errors *e)
{
	struct field_path list = FIELD(p, "preferredDuringSchedulingIgnoredDuringExecution");

	if (na->required_during_scheduling_ignored_during_execution)
		validate_node_selector(na->required_during_scheduling_ignored_during_execution,
			AT(p, "requiredDuringSchedulingIgnoredDuringExecution"), e);
	for (size_t i = 0; i < na->preferred_during_scheduling_ignored_during_execution.n; i++) {
		const struct v1_preferred_scheduling_term *t =
			&na->preferred_during_scheduling_ignored_during_execution.v[i];
		struct field_path item = FIELD_INDEX(&list, i);

		validate_weight(t->weight, &item, e);
		validate_node_term(&t->preference, false, AT(&item, "preference"), e);
	}
}

static void validate_label_keys(const struct str_vec *keys, const struct meta_v1_label_selector *s,
	const struct field_path *p, struct field_errors *e)
{
	if (keys->n && !s) {
		field_forbidden(e, p, "must not be specified when labelSelector is not set");
		return;
	}
	for (size_t i = 0; i < keys->n; i++)
		validate_qualified_name(keys->v[i], AT_INDEX(p, i), e);
}

/* Keys whose values the API server merges into the selector must not stand there twice. */
static void validate_match_keys(const struct str_vec *match, const struct str_vec *mismatch,
	const struct meta_v1_label_selector *s, const struct field_path *p, struct field_errors *e)
{
	struct field_path keys = FIELD(p, "matchLabelKeys");

	validate_label_keys(match, s, &keys, e);
	validate_label_keys(mismatch, s, AT(p, "mismatchLabelKeys"), e);
	for (size_t i = 0; s && i < s->match_expressions.n; i++) {
		struct str key = s->match_expressions.v[i].key;
		bool twice = str_map_get(&s->match_labels, key) != NULL;

		for (size_t k = 0; k < i; k++)
			twice = twice || str_eq(s->match_expressions.v[k].key, key);
		for (size_t k = match->n; twice && k > 0; k--)
			if (str_eq(match->v[k - 1], key)) {
				field_invalid(e, AT_INDEX(p, k - 1), key,
					"exists in both matchLabelKeys and labelSelector");
				break;
			}
	}
	for (size_t i = 0; i < match->n; i++)
		if (str_vec_has(mismatch, match->v[i]))
			field_invalid(e, AT_INDEX(&keys, i), match->v[i],
				"exists in both matchLabelKeys and mismatchLabelKeys");
}

static void validate_pod_term(
	const struct v1_pod_affinity_term *t, const struct field_path *p, struct field_errors *e)
{
	validate_label_selector(t->label_selector, AT(p, "labelSelector"), e);
	validate_label_selector(t->namespace_selector, AT(p, "namespaceSelector"), e);
	for (size_t i = 0; i < t->namespaces.n; i++)
		validate_dns1123_label(t->namespaces.v[i], AT(p, "namespace"), e);
	validate_match_keys(&t->match_label_keys, &t->mismatch_label_keys, t->label_selector, p, e);
	if (t->topology_key.n == 0)
		field_required(e, AT(p, "topologyKey"), "can not be empty");
	validate_qualified_name(t->topology_key, AT(p, "topologyKey"), e);
}

static void validate_pod_affinity(const struct v1_pod_affinity_term_vec *required,
	const struct v1_weighted_pod_affinity_term_vec *preferred, const struct field_path *p,
	struct field_errors *e)
{
	struct field_path req = FIELD(p, "requiredDuringSchedulingIgnoredDuringExecution");
	struct field_path pref = FIELD(p, "preferredDuringSchedulingIgnoredDuringExecution");

	for (size_t i = 0; i < required->n; i++)
		validate_pod_term(&required->v[i], AT_INDEX(&req, i), e);
	for (size_t i = 0; i < preferred->n; i++) {
		struct field_path item = FIELD_INDEX(&pref, i);

		validate_weight(preferred->v[i].weight, &item, e);
		validate_pod_term(
			&preferred->v[i].pod_affinity_term, AT(&item, "podAffinityTerm"), e);
	}
}

void validate_affinity(
	const struct v1_affinity *a, const struct field_path *p, struct field_errors *e)
{
	if (!a)
		return;
	if (a->node_affinity)
		validate_node_affinity(a->node_affinity, AT(p, "nodeAffinity"), e);
	if (a->pod_affinity)
		validate_pod_affinity(
			&a->pod_affinity->required_during_scheduling_ignored_during_execution,
			&a->pod_affinity->preferred_during_scheduling_ignored_during_execution,
			AT(p, "podAffinity"), e);
	if (a->pod_anti_affinity)
		validate_pod_affinity(
			&a->pod_anti_affinity->required_during_scheduling_ignored_during_execution,
			&a->pod_anti_affinity->preferred_during_scheduling_ignored_during_execution,
			AT(p, "podAntiAffinity"), e);
}

static void validate_positive(int64_t v, const struct field_path *p, struct field_errors *e)
{
	if (v <= 0)
		field_invalid_int(e, p, v, "must be greater than zero");
}

static void validate_spread_repeat(const struct v1_topology_spread_constraint_vec *v, size_t i,
	const struct field_path *p, struct field_errors *e)
{
	const struct v1_topology_spread_constraint *c = &v->v[i];

	for (size_t k = i + 1; k < v->n; k++)
		if (str_eq(c->topology_key, v->v[k].topology_key) &&
			str_eq(c->when_unsatisfiable, v->v[k].when_unsatisfiable)) {
			field_duplicate(e, AT(p, "{topologyKey, whenUnsatisfiable}"),
				arena_fmt(e->arena, "{" STR_FMT ", " STR_FMT "}",
					STR_ARG(c->topology_key), STR_ARG(c->when_unsatisfiable)));
			return;
		}
}

static void validate_min_domains(const struct v1_topology_spread_constraint *c,
	const struct field_path *p, struct field_errors *e)
{
	if (!c->min_domains)
		return;
	validate_positive(*c->min_domains, p, e);
	if (!str_eqc(c->when_unsatisfiable, "DoNotSchedule"))
		field_invalid_int(e, p, *c->min_domains,
			"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not " STR_FMT,
			STR_ARG(c->when_unsatisfiable));
}

void validate_topology_spread(const struct v1_topology_spread_constraint_vec *v,
	const struct field_path *p, struct field_errors *e)
{
	static const char *const actions[] = {"DoNotSchedule", "ScheduleAnyway", NULL};
	static const char *const policies[] = {"Honor", "Ignore", NULL};
	static const struct str_vec none;

	for (size_t i = 0; i < v->n; i++) {
		const struct v1_topology_spread_constraint *c = &v->v[i];
		struct field_path item = FIELD_INDEX(p, i);

		validate_positive(c->max_skew, AT(&item, "maxSkew"), e);
		if (c->topology_key.n == 0)
			field_required(e, AT(&item, "topologyKey"), "can not be empty");
		field_one_of(e, AT(&item, "whenUnsatisfiable"), c->when_unsatisfiable, actions);
		validate_spread_repeat(v, i, &item, e);
		validate_min_domains(c, AT(&item, "minDomains"), e);
		if (c->node_affinity_policy.p)
			field_one_of(e, AT(&item, "nodeAffinityPolicy"), c->node_affinity_policy,
				policies);
		if (c->node_taints_policy.p)
			field_one_of(
				e, AT(&item, "nodeTaintsPolicy"), c->node_taints_policy, policies);
		validate_match_keys(&c->match_label_keys, &none, c->label_selector, &item, e);
		validate_label_selector(c->label_selector, AT(&item, "labelSelector"), e);
	}
}
