/*
 * ValidatingAdmissionPolicy: all policies look at each write; the first that denies makes the
 * answer, but the others warn and annotate, too (apiserver pkg/admission/plugin/policy/validating).
 */
#include "apiserver/admission/plugins.h"
#include "apiserver/admission/policy.h"
#include "apiserver/server.h"
#include "json/write.h"

enum { MESSAGE_MAX = 5 * 1024, ANNOTATION_MAX = 10 * 1024, FAILURE_MAX = 64 * 1024 };

/* One pass over one write. */
struct pass {
	struct admission_attrs *attrs;
	bool denied;
	struct str message, reason; /* of the first denial */
};

/* What audit annotations of one policy have collected, over its bindings and parameters. */
struct annotation {
	struct str key;
	struct str_vec values;
};
struct annotations {
	struct annotation *v;
	size_t n;
};

/* One policy by one binding. */
struct application {
	struct pass *pass;
	const struct policy *policy;
	const struct policy_binding *binding; /* NULL: the policy itself is at fault */
	struct annotations *annotations;
};

/* --- decisions --- */

static void deny(const struct application *ap, struct str message, struct str reason)
{
	struct pass *pass = ap->pass;
	struct arena *a = pass->attrs->arena;

	if (pass->denied)
		return;
	pass->denied = true;
	pass->reason = reason;
	if (ap->binding)
		pass->message = arena_fmt(a,
			"ValidatingAdmissionPolicy '" STR_FMT "' with binding '" STR_FMT
			"' denied request: " STR_FMT,
			STR_ARG(ap->policy->name), STR_ARG(ap->binding->name), STR_ARG(message));
	else
		pass->message = arena_fmt(a,
			"ValidatingAdmissionPolicy '" STR_FMT "' denied request: " STR_FMT,
			STR_ARG(ap->policy->name), STR_ARG(message));
}

static void misconfigured(const struct application *ap, const struct err *why)
{
	if (!ap->policy->ignore)
		deny(ap,
			arena_fmt(ap->pass->attrs->arena, "failed to configure %s: %s",
				ap->binding ? "binding" : "policy", err_text(why)),
			S("Invalid"));
}

static void audit_failure(const struct application *ap, size_t index, struct str message)
{
	struct buf b;

	buf_init(&b, FAILURE_MAX);
	buf_add_c(&b, "[{\"message\":");
	json_write_string(&b, message);
	buf_add_c(&b, ",\"policy\":");
	json_write_string(&b, ap->binding->policy);
	buf_add_c(&b, ",\"binding\":");
	json_write_string(&b, ap->binding->name);
	buf_fmt(&b, ",\"expressionIndex\":%zu,\"validationActions\":[", index);
	for (size_t i = 0; i < ap->binding->actions.n; i++) {
		buf_add_c(&b, i ? "," : "");
		json_write_string(&b, ap->binding->actions.v[i]);
	}
	buf_add_c(&b, "]}]");
	admission_annotate(ap->pass->attrs,
		S("validation.policy.admission.k8s.io/validation_failure"), buf_str(&b));
	buf_release(&b);
}

/* A validation says no, or could not be evaluated: what the binding wants to come of it. */
static void act(const struct application *ap, size_t index, struct str message, struct str reason)
{
	for (size_t i = 0; i < ap->binding->actions.n; i++) {
		struct str action = ap->binding->actions.v[i];

		if (str_eqc(action, "Deny"))
			deny(ap, message, reason);
		else if (str_eqc(action, "Audit"))
			audit_failure(ap, index, message);
		else if (str_eqc(action, "Warn"))
			admission_warn(ap->pass->attrs,
				"Validation failed for ValidatingAdmissionPolicy '" STR_FMT
				"' with binding '" STR_FMT "': " STR_FMT,
				STR_ARG(ap->policy->name), STR_ARG(ap->binding->name),
				STR_ARG(message));
	}
}

static void failed(const struct application *ap, size_t index, struct str why)
{
	if (!ap->policy->ignore)
		act(ap, index, why, S("Invalid"));
}

/* --- validations --- */

/* What messageExpression made, when it can be shown; else the fixed message, else the expression.
 */
static struct str message_of(
	const struct policy_validation *v, const struct cel_value *made, struct arena *a)
{
	struct str s = made->kind == CEL_STRING ? str_trim(made->s) : S("");

	if (s.n && s.n <= MESSAGE_MAX && str_chr(s, '\n') < 0)
		return s;
	if (v->text.n)
		return v->text;
	return arena_fmt(a, "failed expression: " STR_FMT, STR_ARG(str_trim(v->check.text)));
}

static bool is_true(const struct cel_value *v)
{
	return v->kind == CEL_BOOL && v->b;
}

/* Messages cost of the same budget. They are evaluated only when somebody will read one. */
static int make_messages(struct evaluation *ev, const struct policy *p, struct cel_value *messages)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < p->validations.n; i++)
		if (p->validations.v[i].message.text.n)
			r = evaluate(ev, &p->validations.v[i].message, &messages[i]);
	if (r < 0)
		messages[0] = cel_error(S("validation failed due to running out of cost budget, "
					  "no further validation rules will be run"));
	return r;
}

static void decide(const struct application *ap, const struct evaluation_input *in,
	struct evaluation *ev, const struct cel_value *results)
{
	const struct policy *p = ap->policy;
	struct arena *a = in->attrs->arena;
	struct cel_value *messages = ARENA_ARRAY(a, struct cel_value, p->validations.n);
	bool spent = make_messages(ev, p, messages) < 0;

	for (size_t i = 0; i < p->validations.n; i++) {
		const struct policy_validation *v = &p->validations.v[i];

		if (results[i].kind == CEL_ERROR)
			failed(ap, i, results[i].s);
		else if (spent)
			failed(ap, i,
				arena_fmt(a, "failed messageExpression: " STR_FMT,
					STR_ARG(messages[0].s)));
		else if (!is_true(&results[i]))
			act(ap, i, message_of(v, &messages[i], a), v->reason);
	}
}

static int check(const struct application *ap, const struct evaluation_input *in)
{
	const struct policy *p = ap->policy;
	struct cel_value *results;
	struct evaluation ev;
	bool all = true;

	if (!p->validations.n)
		return 0;
	results = ARENA_ARRAY(in->attrs->arena, struct cel_value, p->validations.n);
	evaluation_init(&ev, in, &p->expressions, CEL_RUNTIME_BUDGET);
	for (size_t i = 0; i < p->validations.n; i++) {
		int r = evaluate(&ev, &p->validations.v[i].check, &results[i]);

		if (evaluation_waits(in->attrs))
			return -EAGAIN;
		if (r < 0) {
			failed(ap, 0, results[i].s);
			return r;
		}
		all &= is_true(&results[i]);
	}
	if (!all)
		decide(ap, in, &ev, results);
	return 0;
}

/* --- audit annotations --- */

static void collect(struct annotations *all, struct str key, struct str value, struct arena *a)
{
	struct annotation new = {.key = key}, *at = NULL;

	for (size_t i = 0; i < all->n && !at; i++)
		at = str_eq(all->v[i].key, key) ? &all->v[i] : NULL;
	if (!at) {
		ARENA_PUSH(a, all, new);
		at = &all->v[all->n - 1];
	}
	if (!str_vec_has(&at->values, value))
		ARENA_PUSH(a, &at->values, value);
}

static void publish(
	struct admission_attrs *attrs, const struct policy *p, const struct annotations *all)
{
	struct arena *a = attrs->arena;

	for (size_t i = 0; i < all->n; i++) {
		struct str value = S("");

		for (size_t k = 0; k < all->v[i].values.n; k++)
			value = arena_fmt(a, STR_FMT "%s" STR_FMT, STR_ARG(value), k ? ", " : "",
				STR_ARG(all->v[i].values.v[k]));
		admission_annotate(attrs,
			arena_fmt(a, STR_FMT "/" STR_FMT, STR_ARG(p->name), STR_ARG(all->v[i].key)),
			value);
	}
}

static void annotate(const struct application *ap, const struct evaluation_input *in)
{
	const struct policy *p = ap->policy;
	struct evaluation ev;

	if (!p->audits.n)
		return;
	evaluation_init(&ev, in, &p->expressions, CEL_RUNTIME_BUDGET);
	for (size_t i = 0; i < p->audits.n; i++) {
		struct cel_value v;
		int r = evaluate(&ev, &p->audits.v[i].value, &v);

		if (evaluation_waits(in->attrs))
			return;
		if (r < 0) {
			failed(ap, 0, v.s);
			return;
		}
		if (v.kind == CEL_ERROR && !p->ignore)
			deny(ap, v.s, S("Invalid"));
		if (v.kind == CEL_STRING && str_trim(v.s).n)
			collect(ap->annotations, p->audits.v[i].key,
				str_sub(str_trim(v.s), 0, ANNOTATION_MAX), in->attrs->arena);
	}
}

/* --- one policy --- */

static void evaluate_with(
	const struct application *ap, struct evaluation_input *in, const struct policy_param *param)
{
	struct cel_value namespace = in->values[VARIABLE_NAMESPACE];
	struct str why;
	int r;

	in->values[VARIABLE_PARAMS] = param->value;
	in->values[VARIABLE_NAMESPACE] = cel_null(); /* conditions do not see it */
	r = conditions_match(&ap->policy->conditions, in, &why);
	in->values[VARIABLE_NAMESPACE] = namespace;
	if (evaluation_waits(in->attrs))
		return;
	if (r < 0)
		failed(ap, 0, why);
	if (r > 0 && check(ap, in) >= 0)
		annotate(ap, in);
}

static int apply_binding(const struct application *ap, const struct schema_resource *as,
	struct evaluation_input *in, struct err *err)
{
	struct err why CLEANUP(err_release) = {0};
	struct admission_attrs *attrs = ap->pass->attrs;
	const struct schema_resource *ignored;
	struct policy_params params;
	int r = match_criteria_match(attrs, &ap->binding->match, &ignored, &why);

	if (r > 0)
		r = policy_params(attrs, ap->policy, ap->binding, &params, &why);
	else if (!r)
		return 0;
	if (r >= 0 && params.n && !in->attrs) {
		r = evaluation_input_init(in, attrs, as, &why);
		if (r >= 0 && ap->policy->expressions.uses_namespace &&
			evaluation_input_namespace(in, err) < 0)
			return -ENOENT;
	}
	if (r < 0)
		misconfigured(ap, &why);
	for (size_t i = 0; r >= 0 && i < params.n; i++)
		evaluate_with(ap, in, &params.v[i]);
	return 0;
}

static int apply_policy(struct pass *pass, const struct policy_hook *h, struct err *err)
{
	struct err why CLEANUP(err_release) = {0};
	struct annotations annotations = {0};
	struct application ap = {.pass = pass, .policy = h->policy, .annotations = &annotations};
	struct evaluation_input in = {0};
	const struct schema_resource *as = NULL;
	int r = match_criteria_match(pass->attrs, &h->policy->match, &as, &why);

	if (r > 0)
		r = policy_check(h->policy, &why);
	else if (!r)
		return 0;
	if (r < 0) {
		misconfigured(&ap, &why);
		return 0;
	}
	for (size_t i = 0; r >= 0 && i < h->n_bindings; i++) {
		ap.binding = h->bindings[i];
		r = apply_binding(&ap, as, &in, err);
		if (evaluation_waits(pass->attrs))
			return -EAGAIN;
	}
	publish(pass->attrs, h->policy, &annotations);
	return r;
}

/* --- the plugin --- */

static int refuse(const struct pass *pass, struct err *err)
{
	static const struct {
		const char *reason;
		int code;
	} codes[] = {{"Forbidden", 403}, {"Unauthorized", 401}, {"RequestEntityTooLarge", 413}};

	admission_forbidden_text(pass->attrs, err, pass->message);
	err->reason = arena_str(&err->arena, pass->reason);
	err->code = 422;
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
		if (str_eqc(pass->reason, codes[i].reason))
			err->code = codes[i].code;
	err_add_cause(err, "", S(""), STR_FMT, STR_ARG(pass->message));
	return -EACCES;
}

/* -EAGAIN: all of it comes again when an answer is there; what it warns and annotates counts once.
 */
static int validate(struct admission_attrs *attrs, struct err *err)
{
	struct pass pass = {.attrs = attrs};
	struct policy_hooks hooks;
	int r = 0;

	if (policy_is_exempt(attrs))
		return 0;
	hooks = bound_policies_hooks(attrs->state, attrs->arena);
	for (size_t i = 0; r >= 0 && i < hooks.n; i++)
		r = apply_policy(&pass, &hooks.v[i], err);
	return r >= 0 && pass.denied ? refuse(&pass, err) : r;
}

static int init(struct apiserver *s, struct str config, void **ret_state, struct err *err)
{
	*ret_state = bound_policies_new(s->store, false);
	return 0;
}

static void drop(void *state)
{
	bound_policies_free(state);
}

const struct admission_plugin admission_validating_admission_policy = {
	.name = "ValidatingAdmissionPolicy",
	.ops = ADMIT_CREATE | ADMIT_UPDATE | ADMIT_DELETE | ADMIT_CONNECT,
	.init = init,
	.free = drop,
	.validate = validate,
};
