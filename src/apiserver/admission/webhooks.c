/*
 * MutatingAdmissionWebhook calls its webhooks one after the other, each with what the one before
 * made; ValidatingAdmissionWebhook calls all at once and waits for all.
 *
 * After a change, everything that mutates runs once more (admission.c); of the webhooks only those
 * that ask for it, and only when somebody else has changed the object since they saw it.
 */
#include "api/patch.h"
#include "apiserver/admission/plugins.h"
#include "apiserver/admission/reinvoke.h"
#include "apiserver/admission/webhook.h"
#include "apiserver/convert.h"
#include "apiserver/write.h"

/* One webhook being called. */
struct invocation {
	struct dispatch *d;
	const struct webhook *w;
	const struct schema_resource *as;
	struct str uid;
	size_t index;
	int64_t since_ns; /* sent, as metric_now_ns */
};

/* All webhooks of one write in one pass. */
struct dispatch {
	struct admission_attrs *attrs;
	struct webhooks all;
	size_t at;               /* mutating: the next one */
	size_t waiting;          /* validating: answers to come */
	struct err err;          /* the first failure */
	struct invocation last;  /* mutating: the one being called */
	struct reinvoke *memory; /* mutating */
};

/* --- failures --- */

/* Why it could not be called: an error, or nothing under failurePolicy Ignore. */
static int call_failed(
	struct dispatch *d, const struct webhook *w, size_t index, struct err *why, struct err *err)
{
	struct arena *a = d->attrs->arena;

	if (w->ignore) {
		log_info("webhook " STR_FMT ": %s, ignored", STR_ARG(w->name), err_text(why));
		admission_annotate(d->attrs,
			arena_fmt(a, "failed-open.%s.webhook.admission.k8s.io/round_%d_index_%zu",
				d->memory ? "mutating" : "validating",
				d->memory && d->attrs->run->second ? 1 : 0, index),
			w->name);
		return 0;
	}
	return err_internal(
		err, "failed calling webhook \"" STR_FMT "\": %s", STR_ARG(w->name), err_text(why));
}

static int check_dry_run(
	const struct admission_attrs *attrs, const struct webhook *w, struct err *err)
{
	if (!attrs->dry_run || str_eqc(w->side_effects, "None") ||
		str_eqc(w->side_effects, "NoneOnDryRun"))
		return 0;
	return err_bad_request(err, "admission webhook \"" STR_FMT "\" does not support dry run",
		STR_ARG(w->name));
}

/* Sends the review. ADMISSION_SUSPENDED; 0 when its failure is ignored. */
static int invoke(struct invocation *i, webhook_done_fn *done, struct err *err)
{
	struct err why CLEANUP(err_release) = {0};
	struct admission_attrs *attrs = i->d->attrs;
	struct str review;
	int r = check_dry_run(attrs, i->w, err);

	if (r < 0)
		return r;
	i->since_ns = metric_now_ns();
	i->uid = uuid_new(attrs->arena, attrs->loop);
	r = webhook_review(attrs, i->w, i->as, i->uid, &review, &why);
	if (r >= 0)
		r = webhook_call(attrs, i->w, review, done, i, &why);
	return r < 0 ? call_failed(i->d, i->w, i->index, &why, err) : ADMISSION_SUSPENDED;
}

static int judge_answer(struct invocation *i, bool mutating, struct str body, struct err *why,
	struct webhook_answer *ret, struct err *err)
{
	struct err bad CLEANUP(err_release) = {0}, wrapped CLEANUP(err_release) = {0};
	struct dispatch *d = i->d;

	*ret = (struct webhook_answer){.allowed = true};
	if (why)
		return call_failed(d, i->w, i->index, why, err);
	if (webhook_answer(d->attrs, i->w, mutating, i->uid, body, ret, &bad) < 0) {
		*ret = (struct webhook_answer){.allowed = true};
		err_fmt(&wrapped, 500, "", "received invalid webhook response: %s", err_text(&bad));
		return call_failed(d, i->w, i->index, &wrapped, err);
	}
	return ret->allowed ? 0 : webhook_denied(d->attrs, i->w, ret->status, err);
}

/* What came back: allowed, denied, or no answer. */
static int judge(struct invocation *i, bool mutating, struct str body, struct err *why,
	struct webhook_answer *ret, struct err *err)
{
	const struct admission_attrs *attrs = i->d->attrs;
	int r = judge_answer(i, mutating, body, why, ret, err);

	metrics_webhook(attrs->server->metrics, arena_cstr(attrs->arena, i->w->name), attrs->op,
		!mutating, r < 0, i->since_ns);
	return r;
}

/* --- mutating: one after the other --- */

static int step(struct dispatch *d, struct err *err);

static struct str object_text(struct dispatch *d)
{
	struct str json = S("");

	webhook_object(d->attrs, d->attrs->addressed, &json, NULL);
	return json;
}

static struct str key_of(struct dispatch *d, const struct webhook *w)
{
	return arena_fmt(
		d->attrs->arena, STR_FMT "/" STR_FMT, STR_ARG(w->configuration), STR_ARG(w->name));
}

static int apply_patch(struct dispatch *d, struct str patch, bool *ret_changed, struct err *err)
{
	const struct schema_resource *as = d->last.as;
	struct err why CLEANUP(err_release) = {0};
	struct str before, after = S("");
	int r;

	if (!d->attrs->obj)
		return err_internal(err,
			"admission webhook \"" STR_FMT
			"\" attempted to modify the object, which is not supported for this "
			"operation",
			STR_ARG(d->last.w->name));
	r = webhook_object(d->attrs, as, &before, &why);
	if (r >= 0)
		r = patch_apply_json(before, patch, d->attrs->arena, &after, &why);
	if (r >= 0)
		r = webhook_set_object(d->attrs, as, after, NULL, &why);
	if (r < 0)
		return err_internal(err, "%s", err_text(&why));
	r = webhook_object(d->attrs, as, &after, NULL);
	*ret_changed = r < 0 || !str_eq(before, after);
	return 0;
}

static void note_mutation(struct dispatch *d, bool changed)
{
	struct arena *a = d->attrs->arena;

	admission_annotate(d->attrs,
		arena_fmt(a, "mutation.webhook.admission.k8s.io/round_%d_index_%zu",
			d->attrs->run->second ? 1 : 0, d->last.index),
		arena_fmt(a,
			"{\"configuration\":\"" STR_FMT "\",\"webhook\":\"" STR_FMT
			"\",\"mutated\":%s}",
			STR_ARG(d->last.w->configuration), STR_ARG(d->last.w->name),
			changed ? "true" : "false"));
}

static void mutated(void *user_data, struct str body, struct err *why)
{
	struct invocation *i = user_data;
	struct dispatch *d = i->d;
	struct err err CLEANUP(err_release) = {0};
	struct webhook_answer answer;
	bool changed = false;
	int r = judge(i, true, body, why, &answer, &err);

	if (r >= 0 && answer.patch.n)
		r = apply_patch(d, answer.patch, &changed, &err);
	note_mutation(d, changed);
	if (changed)
		reinvoke_changed(d->memory, d->attrs->run);
	if (i->w->again)
		reinvoke_ran(d->memory, d->attrs->run, key_of(d, i->w));
	if (r >= 0)
		r = step(d, &err);
	if (r != ADMISSION_SUSPENDED)
		admission_resume(d->attrs->run, r < 0 ? &err : NULL);
}

static void step_again(void *user_data)
{
	struct dispatch *d = user_data;
	struct err err CLEANUP(err_release) = {0};
	int r = step(d, &err);

	if (r != ADMISSION_SUSPENDED)
		admission_resume(d->attrs->run, r < 0 ? &err : NULL);
}

static int step(struct dispatch *d, struct err *err)
{
	while (d->at < d->all.n) {
		const struct webhook *w = &d->all.v[d->at++];
		const struct schema_resource *as;
		int r = webhook_matches(d->attrs, w, &as, err);

		if (evaluation_waits(d->attrs)) {
			d->at--;
			err_release(err);
			evaluation_wait(d->attrs, step_again, d);
			return ADMISSION_SUSPENDED;
		}
		if (r < 0)
			return r;
		if (!r || !reinvoke_wanted(d->memory, d->attrs->run, key_of(d, w)))
			continue;
		d->last = (struct invocation){.d = d, .w = w, .as = as, .index = d->at - 1};
		r = invoke(&d->last, mutated, err);
		if (r)
			return r;
	}
	d->memory->output = object_text(d);
	return 0;
}

static int admit(struct admission_attrs *attrs, struct err *err)
{
	struct webhooks all;
	struct dispatch *d;

	if (match_is_exempt(attrs))
		return 0;
	all = webhooks_all(attrs);
	if (!all.n)
		return 0;
	d = ARENA_NEW(attrs->arena, struct dispatch);
	*d = (struct dispatch){.attrs = attrs, .all = all};
	if (!attrs->run->webhooks)
		attrs->run->webhooks = ARENA_NEW(attrs->arena, struct reinvoke);
	d->memory = attrs->run->webhooks;
	reinvoke_begin(d->memory, attrs->run, object_text(d));
	return step(d, err);
}

static int init_mutating(struct apiserver *s, struct str config, void **ret_state, struct err *err)
{
	*ret_state = webhooks_new(s->store, true);
	return 0;
}

static void drop(void *state)
{
	derived_free(state);
}

const struct admission_plugin admission_mutating_webhook = {
	.name = "MutatingAdmissionWebhook",
	.ops = ADMIT_CREATE | ADMIT_UPDATE | ADMIT_DELETE | ADMIT_CONNECT,
	.init = init_mutating,
	.free = drop,
	.admit = admit,
};

/* --- validating: all at once --- */

static void keep_first(struct dispatch *d, struct err *err)
{
	if (!err_set(&d->err))
		err_move(&d->err, err);
}

static void finish(struct dispatch *d)
{
	struct err err CLEANUP(err_release) = {0};

	if (err_set(&d->err))
		err_move(&err, &d->err);
	admission_resume(d->attrs->run, err_set(&err) ? &err : NULL);
}

static void validated(void *user_data, struct str body, struct err *why)
{
	struct invocation *i = user_data;
	struct err err CLEANUP(err_release) = {0};
	struct webhook_answer answer;

	if (judge(i, false, body, why, &answer, &err) < 0)
		keep_first(i->d, &err);
	if (!--i->d->waiting)
		finish(i->d);
}

struct invocations {
	struct invocation *v;
	size_t n;
};

static int collect(struct dispatch *d, struct invocations *ret, struct err *err)
{
	for (size_t i = 0; i < d->all.n; i++) {
		const struct schema_resource *as;
		int r = webhook_matches(d->attrs, &d->all.v[i], &as, err);

		if (evaluation_waits(d->attrs))
			return -EAGAIN;
		if (r < 0)
			return r;
		if (r)
			ARENA_PUSH(d->attrs->arena, ret,
				((struct invocation){
					.d = d, .w = &d->all.v[i], .as = as, .index = i}));
	}
	return 0;
}

/* Calls give their answers on later turns only: `waiting` cannot fall to zero meanwhile. */
static int validate(struct admission_attrs *attrs, struct err *err)
{
	struct invocations wanted = {0};
	struct webhooks all;
	struct dispatch *d;
	int r;

	if (match_is_exempt(attrs))
		return 0;
	all = webhooks_all(attrs);
	if (!all.n)
		return 0;
	d = ARENA_NEW(attrs->arena, struct dispatch);
	*d = (struct dispatch){.attrs = attrs, .all = all};
	r = collect(d, &wanted, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < wanted.n; i++) {
		struct err why CLEANUP(err_release) = {0};

		r = invoke(&wanted.v[i], validated, &why);
		if (r < 0)
			keep_first(d, &why);
		d->waiting += r == ADMISSION_SUSPENDED;
	}
	if (d->waiting)
		return ADMISSION_SUSPENDED;
	if (!err_set(&d->err))
		return 0;
	err_move(err, &d->err);
	return -EIO;
}

static int init_validating(
	struct apiserver *s, struct str config, void **ret_state, struct err *err)
{
	*ret_state = webhooks_new(s->store, false);
	return 0;
}

const struct admission_plugin admission_validating_webhook = {
	.name = "ValidatingAdmissionWebhook",
	.ops = ADMIT_CREATE | ADMIT_UPDATE | ADMIT_DELETE | ADMIT_CONNECT,
	.init = init_validating,
	.free = drop,
	.validate = validate,
};
