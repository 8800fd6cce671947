/*
 * MutatingAdmissionPolicy: policies change the object one after the other, each as the one before
 * has left it (apiserver pkg/admission/plugin/policy/mutating). What fails is collected: all of it
 * is told when a policy with failurePolicy Fail is among it.
 */
#include "api/patch.h"
#include "apiserver/admission/plugins.h"
#include "apiserver/admission/policy.h"
#include "apiserver/admission/reinvoke.h"
#include "apiserver/admission/webhook.h"
#include "apiserver/decode.h"
#include "json/write.h"

/* A policy by a binding with one parameter. */
struct invocation {
	const struct policy *policy;
	const struct policy_binding *binding;
	const struct schema_resource *as;
	const struct policy_param *param;
};

struct pass {
	struct admission_attrs *attrs;
	struct reinvoke *memory;
	struct {
		struct invocation *v;
		size_t n;
	} invocations;
	size_t at, mutation;   /* the next one, and the next mutation of it */
	struct str before;     /* the object before its first mutation */
	struct str_vec errors; /* of policies whose failurePolicy is Fail */
	bool invalid;          /* whether the first one is an evaluation's */
};

/* --- errors --- */

static void failed(struct pass *pass, const struct policy *p, const struct policy_binding *b,
	bool invalid, struct str why)
{
	struct arena *a = pass->attrs->arena;
	struct str text;

	if (p->ignore)
		return;
	if (b)
		text = arena_fmt(a,
			"policy '" STR_FMT "' with binding '" STR_FMT "' denied request: " STR_FMT,
			STR_ARG(p->name), STR_ARG(b->name), STR_ARG(why));
	else
		text = arena_fmt(a, "policy \"" STR_FMT "\" denied request: " STR_FMT,
			STR_ARG(p->name), STR_ARG(why));
	if (!pass->errors.n)
		pass->invalid = invalid;
	ARENA_PUSH(a, &pass->errors, text);
}

static void misconfigured(struct pass *pass, const struct policy *p, const struct policy_binding *b,
	const struct err *why)
{
	failed(pass, p, b, false,
		arena_fmt(pass->attrs->arena, "failed to configure %s: %s",
			b ? "binding" : "policy", err_text(why)));
}

static int refuse(const struct pass *pass, struct err *err)
{
	admission_forbidden(pass->attrs, err, "admission request denied by policy");
	err->message = arena_str(&err->arena, pass->errors.v[0]);
	if (pass->invalid)
		err->reason = S("Invalid");
	for (size_t i = 0; i < pass->errors.n; i++)
		err_add_cause(err, "", S(""), STR_FMT, STR_ARG(pass->errors.v[i]));
	return -EACCES;
}

/* --- which --- */

static void add_binding(struct pass *pass, const struct policy *p, const struct policy_binding *b,
	const struct schema_resource *as)
{
	struct err why CLEANUP(err_release) = {0};
	const struct schema_resource *ignored;
	struct policy_params params = {0};
	int r = match_criteria_match(pass->attrs, &b->match, &ignored, &why);

	if (r > 0)
		r = policy_params(pass->attrs, p, b, &params, &why);
	if (r < 0)
		misconfigured(pass, p, b, &why);
	for (size_t i = 0; r >= 0 && i < params.n; i++) {
		struct invocation in = {p, b, as, &params.v[i]};

		ARENA_PUSH(pass->attrs->arena, &pass->invocations, in);
	}
}

static void add_policy(struct pass *pass, const struct policy_hook *h)
{
	struct err why CLEANUP(err_release) = {0};
	const struct schema_resource *as;
	int r = match_criteria_match(pass->attrs, &h->policy->match, &as, &why);

	if (r > 0)
		r = policy_check(h->policy, &why) < 0 ? -EINVAL : 1;
	if (r < 0)
		misconfigured(pass, h->policy, NULL, &why);
	for (size_t i = 0; r > 0 && i < h->n_bindings; i++)
		add_binding(pass, h->policy, h->bindings[i], as);
}

/* --- one mutation --- */

static void add_member(
	struct buf *b, const char *name, struct cel_value op, bool always, struct arena *a)
{
	struct cel_value v = cel_get(op, name, a);

	if (v.kind != CEL_STRING || (!v.s.n && !always))
		v = cel_string(S(""));
	if (!v.s.n && !always)
		return;
	buf_fmt(b, "%s\"%s\":", b->p[b->n - 1] == '{' ? "" : ",", name);
	json_write_string(b, v.s);
}

static int add_operation(struct buf *b, struct cel_value op, struct arena *a, struct err *err)
{
	struct cel_value value = cel_get(op, "value", a);

	buf_add_char(b, '{');
	add_member(b, "op", op, true, a);
	add_member(b, "path", op, true, a);
	add_member(b, "from", op, false, a);
	if (value.kind != CEL_UNSET) {
		buf_add_c(b, ",\"value\":");
		if (!cel_write_json(value, b, a))
			return err_fmt(err, 422, "Invalid",
				"JSONPath valueExpression evaluated to a type that could not "
				"marshal to JSON");
	}
	buf_add_char(b, '}');
	return 0;
}

static int patch_text(struct cel_value list, struct arena *a, struct str *ret, struct err *err)
{
	struct buf b;
	int r = 0;

	buf_init(&b, OBJECT_JSON_MAX);
	buf_add_char(&b, '[');
	for (size_t i = 0; r >= 0 && i < cel_size(list); i++) {
		if (i)
			buf_add_char(&b, ',');
		r = add_operation(&b, cel_list_at(list, i, a), a, err);
	}
	buf_add_char(&b, ']');
	if (r >= 0 && buf_failed(&b))
		r = err_fmt(err, 422, "Invalid", "the patch is too large");
	*ret = arena_str(a, buf_str(&b));
	buf_release(&b);
	return r;
}

/* A failed test means that there is nothing to do. */
static int json_patched(struct admission_attrs *attrs, struct str before,
	struct cel_value operations, struct str *ret, struct err *err)
{
	struct err why CLEANUP(err_release) = {0};
	struct str patch;
	int r = patch_text(operations, attrs->arena, &patch, err);

	if (r < 0)
		return r;
	*ret = before;
	r = patch_apply_json(before, patch, attrs->arena, ret, &why);
	return r >= 0 || r == -ECANCELED
		       ? 0
		       : err_fmt(err, 422, "Invalid", "JSON Patch: %s", err_text(&why));
}

/* 0; -EINVAL: the policy failed; -EIO: the whole request does, with err as its answer; -EAGAIN: it
 * has to wait. */
static int mutate(struct pass *pass, const struct invocation *in, const struct policy_mutation *m,
	struct evaluation_input *input, struct err *err)
{
	struct admission_attrs *attrs = pass->attrs;
	struct str_vec unknown = {0};
	struct cel_value v;
	struct evaluation ev;
	struct str before, after, wrong;

	if (!m->patch.program)
		return err_fmt(err, 422, "Invalid", STR_FMT, STR_ARG(m->patch.error));
	evaluation_init(&ev, input, &in->policy->expressions, CEL_RUNTIME_BUDGET);
	evaluate(&ev, &m->patch, &v);
	if (evaluation_waits(attrs))
		return -EAGAIN;
	if (v.kind == CEL_ERROR)
		return err_fmt(err, 422, "Invalid", STR_FMT, STR_ARG(v.s));
	wrong = cel_program_wrong_names(m->patch.program, attrs->arena);
	if (wrong.n)
		return err_fmt(err, 422, "Invalid", "type mismatch: " STR_FMT, STR_ARG(wrong));
	if (webhook_object(attrs, in->as, &before, err) < 0)
		return -EINVAL;
	if (m->apply ? policy_apply(attrs->body ? attrs->body : in->as->type, before, v,
			       attrs->arena, &after, err) < 0
		     : json_patched(attrs, before, v, &after, err) < 0)
		return -EINVAL;
	if (webhook_set_object(attrs, in->as, after, &unknown, err) < 0) {
		struct str text = arena_strc(attrs->arena, err_text(err));

		err_internal(err, STR_FMT, STR_ARG(text));
		return -EIO;
	}
	if (unknown.n) {
		err_internal(err, STR_FMT, STR_ARG(strict_error_text(attrs->arena, &unknown)));
		return -EIO;
	}
	return 0;
}

/* --- one invocation --- */

static int prepare(struct pass *pass, const struct invocation *in, struct evaluation_input *ret,
	struct err *err)
{
	int r = evaluation_input_init(ret, pass->attrs, in->as, err);

	ret->values[VARIABLE_PARAMS] = in->param->value;
	return r;
}

static int run_mutations(struct pass *pass, const struct invocation *in, struct err *err)
{
	struct evaluation_input input;
	int r;

	for (; pass->attrs->obj && pass->mutation < in->policy->mutations.n; pass->mutation++) {
		struct err why CLEANUP(err_release) = {0};

		r = prepare(pass, in, &input, err);
		if (r >= 0 && in->policy->expressions.uses_namespace)
			r = evaluation_input_namespace(&input, err);
		if (r < 0)
			return r;
		r = mutate(pass, in, &in->policy->mutations.v[pass->mutation], &input, &why);
		if (r == -EAGAIN)
			return ADMISSION_SUSPENDED;
		if (r == -EIO) {
			err_move(err, &why);
			return r;
		}
		if (r < 0)
			failed(pass, in->policy, in->binding, true,
				arena_strc(pass->attrs->arena, err_text(&why)));
	}
	return 0;
}

static struct str object_text(const struct pass *pass, const struct schema_resource *as)
{
	struct str json = S("");

	webhook_object(pass->attrs, as, &json, NULL);
	return json;
}

/* 1: its mutations are to be run. */
static int is_wanted(
	struct pass *pass, const struct invocation *in, struct str key, struct err *err)
{
	struct evaluation_input input;
	struct str why;
	int r = prepare(pass, in, &input, err);

	if (r < 0)
		return r;
	r = conditions_match(&in->policy->conditions, &input, &why);
	if (evaluation_waits(pass->attrs))
		return ADMISSION_SUSPENDED;
	if (r < 0)
		failed(pass, in->policy, in->binding, true, why);
	if (r <= 0 || !reinvoke_wanted(pass->memory, pass->attrs->run, key))
		pass->mutation = in->policy->mutations.n;
	return 0;
}

static int invoke(struct pass *pass, const struct invocation *in, struct err *err)
{
	struct admission_run *run = pass->attrs->run;
	struct str key = arena_fmt(pass->attrs->arena, STR_FMT "/" STR_FMT "/" STR_FMT "/" STR_FMT,
		STR_ARG(in->policy->name), STR_ARG(in->binding->name), STR_ARG(in->param->ns),
		STR_ARG(in->param->name));
	int r = 0;

	if (!pass->before.p) {
		r = is_wanted(pass, in, key, err);
		if (r || pass->mutation)
			return r;
		pass->before = object_text(pass, in->as);
	}
	r = run_mutations(pass, in, err);
	if (r == ADMISSION_SUSPENDED)
		return r;
	if (!str_eq(pass->before, object_text(pass, in->as)))
		reinvoke_changed(pass->memory, run);
	if (in->policy->again)
		reinvoke_ran(pass->memory, run, key);
	return r;
}

/* --- the plugin --- */

static void again(void *user_data);

static int go_on(struct pass *pass, struct err *err)
{
	int r = 0;

	for (; pass->at < pass->invocations.n; pass->at++) {
		r = invoke(pass, &pass->invocations.v[pass->at], err);
		if (r == ADMISSION_SUSPENDED)
			evaluation_wait(pass->attrs, again, pass);
		if (r)
			return r;
		pass->mutation = 0;
		pass->before = (struct str){0};
	}
	if (pass->memory)
		pass->memory->output = object_text(pass, pass->attrs->addressed);
	return pass->errors.n ? refuse(pass, err) : 0;
}

static void again(void *user_data)
{
	struct pass *pass = user_data;
	struct err err CLEANUP(err_release) = {0};
	int r = go_on(pass, &err);

	if (r != ADMISSION_SUSPENDED)
		admission_resume(pass->attrs->run, r < 0 ? &err : NULL);
}

static int admit(struct admission_attrs *attrs, struct err *err)
{
	struct policy_hooks hooks;
	struct pass *pass;

	if (policy_is_exempt(attrs))
		return 0;
	hooks = bound_policies_hooks(attrs->state, attrs->arena);
	if (!hooks.n)
		return 0;
	pass = ARENA_NEW(attrs->arena, struct pass);
	pass->attrs = attrs;
	for (size_t i = 0; i < hooks.n; i++)
		add_policy(pass, &hooks.v[i]);
	if (pass->invocations.n) {
		if (!attrs->run->policies)
			attrs->run->policies = ARENA_NEW(attrs->arena, struct reinvoke);
		pass->memory = attrs->run->policies;
		reinvoke_begin(pass->memory, attrs->run, object_text(pass, attrs->addressed));
	}
	return go_on(pass, err);
}

static int init(struct apiserver *s, struct str config, void **ret_state, struct err *err)
{
	*ret_state = bound_policies_new(s->store, true);
	return 0;
}

static void drop(void *state)
{
	bound_policies_free(state);
}

const struct admission_plugin admission_mutating_admission_policy = {
	.name = "MutatingAdmissionPolicy",
	.ops = ADMIT_CREATE | ADMIT_UPDATE | ADMIT_DELETE | ADMIT_CONNECT,
	.init = init,
	.free = drop,
	.admit = admit,
};
