/* last_applied.c: what client-side apply left behind in an annotation: an object managed by it can
 * be taken over by `kubectl apply --server-side` without conflicts. */
#include "apiserver/fieldmanager/field_manager.h"

static struct str annotation(const struct fvalue *object)
{
	const struct fvalue *v = fvalue_get(object, S("metadata"));

	v = v ? fvalue_get(v, S("annotations")) : NULL;
	v = v ? fvalue_get(v, S(LAST_APPLIED)) : NULL;
	return v ? fvalue_text(v) : S("");
}

bool field_manager_last_applied(
	const struct field_manager *fm, const struct fvalue *live, struct field_set *ret)
{
	struct str text = annotation(live), why;
	struct fplace place = fplace_of(fm->type);
	const struct fvalue *version;
	struct json_value *json;
	struct typed_diff diff;
	struct fvalue last;

	if (!text.n || json_parse(text, fm->arena, &json, NULL) < 0 || json->kind != JSON_OBJECT)
		return false;
	last = fvalue_from_json(json, fm->arena);
	version = fvalue_get(&last, S("apiVersion"));
	if (!version || !str_eq(fvalue_text(version), fm->api_version) ||
		typed_validate(live, place, false, fm->arena, &why) < 0 ||
		typed_validate(&last, place, false, fm->arena, &why) < 0)
		return false;
	*ret = typed_fields(&last, place, fm->arena);
	diff = typed_compare(&last, live, place, fm->arena);
	*ret = field_set_difference(ret, &diff.changed, fm->arena);
	*ret = field_set_difference(ret, &diff.removed, fm->arena);
	return true;
}
