/* workload.c: what Deployment, ReplicaSet, ReplicationController and their kin share. */
#include "api/selector.h"
#include "apiserver/resources/workload.h"

void validate_restart_always(const struct v1_pod_template_spec *t, const char *what,
	const struct field_path *p, struct field_errors *e)
{
	static const char *const always[] = {"Always", NULL};
	struct field_path spec = FIELD(p, "spec");

	field_one_of(e, AT(&spec, "restartPolicy"), t->spec.restart_policy, always);
	if (t->spec.active_deadline_seconds)
		field_forbidden(e, AT(&spec, "activeDeadlineSeconds"),
			"activeDeadlineSeconds in %s is not Supported", what);
}

void validate_selector_and_template(struct strategy_ctx *ctx,
	const struct meta_v1_label_selector *selector, const struct v1_pod_template_spec *t,
	const struct field_path *spec, struct field_errors *e)
{
	struct field_path p = FIELD(spec, "selector"), template = FIELD(spec, "template");
	struct field_path meta = FIELD(&template, "metadata");
	struct label_selector parsed;
	struct str text;

	if (!selector) {
		field_required(e, &p, "");
	} else {
		text = go_json(e->arena, &meta_v1_label_selector_schema, selector);
		validate_label_selector(selector, &p, e);
		if (selector->match_labels.n + selector->match_expressions.n == 0)
			field_invalid_raw(e, &p, text, "empty selector is invalid for deployment");
		if (label_selector_from(selector, e->arena, &parsed, NULL) < 0) {
			field_invalid_raw(e, &p, text, "invalid label selector");
			return;
		}
		if (!label_selector_is_empty(&parsed) &&
			!label_selector_matches(&parsed, &t->metadata.labels))
			field_invalid_raw(e, AT(&meta, "labels"),
				str_map_json(e->arena, &t->metadata.labels),
				"`selector` does not match template `labels`");
	}
	if (!selector)
		/* LabelSelectorAsSelector(nil) matches nothing, so no labels fit. */
		field_invalid_raw(e, AT(&meta, "labels"),
			str_map_json(e->arena, &t->metadata.labels),
			"`selector` does not match template `labels`");
	validate_pod_template_spec(t, &template, pod_opts_of(ctx, false), e);
	validate_restart_always(t, "ReplicaSet", &template, e);
}

void validate_selector_kept(const struct meta_v1_label_selector *now,
	const struct meta_v1_label_selector *old, struct field_errors *e)
{
	struct field_path spec = FIELD(NULL, "spec");
	const struct schema_type *type = &meta_v1_label_selector_schema;

	if ((!now && !old) || (now && old && schema_equal(type, now, old)))
		return;
	field_invalid_raw(e, AT(&spec, "selector"), now ? go_json(e->arena, type, now) : S("null"),
		"field is immutable");
}

void validate_replica_counts(const struct replica_count *counts, size_t n, int32_t replicas,
	int32_t ready, int32_t available, struct field_errors *e)
{
	struct field_path status = FIELD(NULL, "status");

	for (size_t i = 0; i < n; i++) {
		struct field_path p = {.parent = &status, .name = str_c(counts[i].name)};
		validate_nonnegative(counts[i].value, &p, e);
	}
	for (size_t i = 0; i < n; i++) {
		struct field_path p = {.parent = &status, .name = str_c(counts[i].name)};
		if (counts[i].limited && counts[i].value > replicas)
			field_invalid_int(
				e, &p, counts[i].value, "cannot be greater than status.replicas");
	}
	if (available > ready)
		field_invalid_int(e, AT(&status, "availableReplicas"), available,
			"cannot be greater than readyReplicas");
}

void validate_collision_count(const int32_t *now, const int32_t *old, struct field_errors *e)
{
	struct field_path status = FIELD(NULL, "status");

	if (old && (!now || *now < *old))
		field_invalid_int(
			e, AT(&status, "collisionCount"), now ? *now : 0, "cannot be decremented");
}

void field_invalid_int_or_string(struct field_errors *e, const struct field_path *p,
	const struct int_or_string *v, const char *why)
{
	if (v->is_string)
		field_invalid(e, p, v->s, "%s", why);
	else
		field_invalid_int(e, p, v->i, "%s", why);
}

void validate_int_or_percent(
	const struct int_or_string *v, const struct field_path *p, struct field_errors *e)
{
	if (v->is_string)
		field_invalid_each(e, p, v->s, is_percent(e->arena, v->s));
	else
		validate_nonnegative(v->i, p, e);
}

static bool percent_of(const struct int_or_string *v, int64_t *ret)
{
	return v->is_string && v->s.n > 1 && v->s.p[v->s.n - 1] == '%' &&
	       str_to_i64(str_sub(v->s, 0, v->s.n - 1), ret) == 0 && *ret >= 0;
}

int64_t int_or_percent_value(const struct int_or_string *v)
{
	int64_t n = 0;

	if (percent_of(v, &n) || (v->is_string && str_to_i64(v->s, &n) == 0))
		return n;
	return v->is_string ? 0 : v->i;
}

void validate_max_100_percent(
	const struct int_or_string *v, const struct field_path *p, struct field_errors *e)
{
	int64_t n;

	if (percent_of(v, &n) && n > 100)
		field_invalid_int_or_string(e, p, v, "must not be greater than 100%");
}
