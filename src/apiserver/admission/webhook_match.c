#include "apiserver/admission/webhook.h"

enum { TIMEOUT_DEFAULT_S = 10 };

/* --- configurations --- */

/* What is made of one configuration. */
struct configuration {
	struct webhooks hooks;
	struct expressions expressions; /* what all its conditions are compiled against */
};

static struct match_rules rules_of(
	const struct admissionregistration_v1_rule_with_operations_vec *v, struct arena *a)
{
	struct match_rules rules = {0};

	for (size_t i = 0; i < v->n; i++) {
		struct match_rule r = {.rule = v->v[i]};

		ARENA_PUSH(a, &rules, r);
	}
	return rules;
}

#define WEBHOOK(conf, made, from, a)                                                               \
	((struct webhook){                                                                         \
		.configuration = (conf),                                                           \
		.name = (from)->name,                                                              \
		.client = (from)->client_config,                                                   \
		.match = {.rules = rules_of(&(from)->rules, (a)),                                  \
			.namespaces = match_selector_of((from)->namespace_selector, (a)),          \
			.objects = match_selector_of((from)->object_selector, (a)),                \
			.equivalent = !str_eqc((from)->match_policy, "Exact")},                    \
		.conditions = conditions_of(&(from)->match_conditions, &(made)->expressions),      \
		.versions = (from)->admission_review_versions,                                     \
		.side_effects = (from)->side_effects,                                              \
		.timeout_s =                                                                       \
			(from)->timeout_seconds ? *(from)->timeout_seconds : TIMEOUT_DEFAULT_S,    \
		.ignore = str_eqc((from)->failure_policy, "Ignore"),                               \
	})

static struct configuration *configuration_new(struct arena *a)
{
	struct configuration *made = ARENA_NEW(a, struct configuration);

	expressions_init(&made->expressions, a, 0);
	return made;
}

static void *make_mutating(const struct object *o, struct arena *a)
{
	const struct admissionregistration_v1_mutating_webhook_configuration *c =
		object_decode(o, a);
	struct configuration *made = configuration_new(a);

	for (size_t i = 0; i < c->webhooks.n; i++) {
		struct webhook w = WEBHOOK(o->name, made, &c->webhooks.v[i], a);

		w.again = str_eqc(c->webhooks.v[i].reinvocation_policy, "IfNeeded");
		ARENA_PUSH(a, &made->hooks, w);
	}
	return made;
}

static void *make_validating(const struct object *o, struct arena *a)
{
	const struct admissionregistration_v1_validating_webhook_configuration *c =
		object_decode(o, a);
	struct configuration *made = configuration_new(a);

	for (size_t i = 0; i < c->webhooks.n; i++)
		ARENA_PUSH(a, &made->hooks, WEBHOOK(o->name, made, &c->webhooks.v[i], a));
	return made;
}

struct derived *webhooks_new(struct store *store, bool mutating)
{
	if (mutating)
		return derived_new(store,
			&admissionregistration_v1_mutating_webhook_configuration_resource,
			make_mutating);
	return derived_new(store,
		&admissionregistration_v1_validating_webhook_configuration_resource,
		make_validating);
}

struct webhooks webhooks_all(struct admission_attrs *attrs)
{
	struct derived_all all = derived_all(attrs->state, attrs->arena);
	struct webhooks hooks = {0};

	for (size_t i = 0; i < all.n; i++) {
		const struct configuration *c = all.v[i];

		for (size_t k = 0; k < c->hooks.n; k++)
			ARENA_PUSH(attrs->arena, &hooks, c->hooks.v[k]);
	}
	return hooks;
}

/* --- whether one is to be called --- */

static int match_conditions(struct admission_attrs *attrs, const struct webhook *w,
	const struct schema_resource *as, struct err *err)
{
	struct evaluation_input in;
	struct str why;
	int r;

	if (!w->conditions.n)
		return 1;
	r = evaluation_input_init(&in, attrs, as, err);
	if (r < 0)
		return r;
	r = conditions_match(&w->conditions, &in, &why);
	if (r >= 0)
		return r;
	if (w->ignore)
		return 0;
	log_warn("webhook " STR_FMT ": match conditions cannot be evaluated: " STR_FMT,
		STR_ARG(w->name), STR_ARG(why));
	return err_forbidden(err, str_c(attrs->addressed->group), str_c(attrs->addressed->plural),
		attrs->name, STR_FMT, STR_ARG(why));
}

int webhook_matches(struct admission_attrs *attrs, const struct webhook *w,
	const struct schema_resource **ret_as, struct err *err)
{
	int r = match_criteria_match(attrs, &w->match, ret_as, err);

	return r > 0 ? match_conditions(attrs, w, *ret_as, err) : r;
}
