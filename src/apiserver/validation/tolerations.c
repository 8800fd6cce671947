/* tolerations.c: tolerations of pods and effects of taints. */
#include "apiserver/validation/names.h"
#include "apiserver/validation/pod.h"

void validate_taint_effect(
	struct str effect, bool allow_empty, const struct field_path *p, struct field_errors *e)
{
	static const char *const effects[] = {"NoSchedule", "PreferNoSchedule", "NoExecute", NULL};

	if (!allow_empty && effect.n == 0)
		field_required(e, p, "");
	else
		field_one_of(e, p, effect, effects);
}

static void validate_operator(
	const struct v1_toleration *t, const struct field_path *p, struct field_errors *e)
{
	static const char *const all[] = {"Equal", "Exists", "Lt", "Gt", NULL};
	static const char *const basic[] = {"Equal", "Exists", NULL};

	if (t->operator.n == 0 || str_eqc(t->operator, "Equal")) {
		struct str_vec msgs = is_label_value(e->arena, t->value);
		if (msgs.n == 2)
			field_invalid(e, p, t->value, STR_FMT ";" STR_FMT, STR_ARG(msgs.v[0]),
				STR_ARG(msgs.v[1]));
		else
			field_invalid_each(e, p, t->value, msgs);
	} else if (str_eqc(t->operator, "Exists")) {
		if (t->value.n)
			field_invalid(
				e, p, t->value, "value must be empty when `operator` is 'Exists'");
	} else {
		bool compare = str_eqc(t->operator, "Lt") || str_eqc(t->operator, "Gt");
		field_not_supported(e, p, t->operator, compare ? all : basic);
	}
}

void validate_tolerations(
	const struct v1_toleration_vec *t, const struct field_path *p, struct field_errors *e)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct v1_toleration *tol = &t->v[i];
		struct field_path item = FIELD_INDEX(p, i);

		if (tol->key.n)
			validate_qualified_name(tol->key, AT(&item, "key"), e);
		else if (!str_eqc(tol->operator, "Exists"))
			field_invalid(e, AT(&item, "operator"), tol->operator,
				"operator must be Exists when `key` is empty, which means \"match "
				"all "
				"values and all keys\"");
		if (tol->toleration_seconds && !str_eqc(tol->effect, "NoExecute"))
			field_invalid(e, AT(&item, "effect"), tol->effect,
				"effect must be 'NoExecute' when `tolerationSeconds` is set");
		validate_operator(tol, AT(&item, "operator"), e);
		if (tol->effect.n)
			validate_taint_effect(tol->effect, true, AT(&item, "effect"), e);
	}
}

static bool same_but_seconds(const struct v1_toleration *a, const struct v1_toleration *b)
{
	return str_eq(a->key, b->key) && str_eq(a->operator, b->operator) &&
	       str_eq(a->value, b->value) && str_eq(a->effect, b->effect);
}

void validate_only_added_tolerations(const struct v1_toleration_vec *t,
	const struct v1_toleration_vec *old, const struct field_path *p, struct field_errors *e)
{
	for (size_t i = 0; i < old->n; i++) {
		bool found = false;

		for (size_t k = 0; !found && k < t->n; k++)
			found = same_but_seconds(&old->v[i], &t->v[k]);
		if (!found) {
			field_forbidden(e, p,
				"existing toleration can not be modified except its "
				"tolerationSeconds");
			return;
		}
	}
	validate_tolerations(t, p, e);
}
