#include "controllers/labels.h"

static bool requirement_matches(
	const struct meta_v1_label_selector_requirement *r, const struct str_map *labels)
{
	const struct str *v = str_map_get(labels, r->key);

	if (str_eq(r->operator, S("In")))
		return v && str_vec_has(&r->values, *v);
	if (str_eq(r->operator, S("NotIn")))
		return !v || !str_vec_has(&r->values, *v);
	if (str_eq(r->operator, S("Exists")))
		return v;
	if (str_eq(r->operator, S("DoesNotExist")))
		return !v;
	return false;
}

bool selector_fits(const struct meta_v1_label_selector *s, const struct str_map *labels)
{
	if (!s)
		return false;
	for (size_t i = 0; i < s->match_labels.n; i++) {
		const struct str *v = str_map_get(labels, s->match_labels.v[i].key);

		if (!v || !str_eq(*v, s->match_labels.v[i].value))
			return false;
	}
	for (size_t i = 0; i < s->match_expressions.n; i++)
		if (!requirement_matches(&s->match_expressions.v[i], labels))
			return false;
	return true;
}

bool selector_is_empty(const struct meta_v1_label_selector *s)
{
	return !s || (s->match_labels.n == 0 && s->match_expressions.n == 0);
}
