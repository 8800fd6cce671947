/*
 * ResourceQuota: what a write adds is charged to the quotas of its namespace before it is
 * committed: their status is updated under its revision, so two writers cannot use the same rest.
 *
 * The writes of one namespace are charged one after the other in this process (a lane each): each
 * sees what the one before it has left, and only other API servers and the quota controller cause
 * conflicts, after which the quota is looked at again.
 */
#include <pthread.h>

#include "api/quota.h"
#include "apiserver/admission/plugins.h"
#include "apiserver/server.h"
#include "base/map.h"

enum { ATTEMPTS_MAX = 32 /* conflicts with others before the client hears of them */ };

/* One write that waits for its turn, or has it. In the request's arena. */
struct charge {
	struct admission_attrs *attrs;
	struct charge *next; /* in the lane */
	struct loop_task task;
	struct store_write sw;
	const struct v1_resource_quota *quota; /* being charged */
	struct str_vec done;                   /* names of quotas that were charged */
	unsigned attempts;
};

/* The writes of one namespace; exists as long as one of them is there. */
struct lane {
	struct charge *last;
};

struct lanes {
	pthread_mutex_t lock;
	struct map by_ns;
};

static void next_quota(struct charge *c);

/* --- lanes --- */

static void take_turn(struct loop_task *t)
{
	next_quota(container_of(t, struct charge, task));
}

static bool enter(struct lanes *lanes, struct charge *c)
{
	struct lane *lane;
	bool first;

	pthread_mutex_lock(&lanes->lock);
	lane = map_get(&lanes->by_ns, c->attrs->ns);
	first = !lane;
	if (first) {
		lane = xcalloc(1, sizeof(*lane));
		map_set(&lanes->by_ns, c->attrs->ns, lane);
	} else {
		lane->last->next = c;
	}
	lane->last = c;
	pthread_mutex_unlock(&lanes->lock);
	return first;
}

static void leave(struct lanes *lanes, struct charge *c)
{
	struct charge *next;

	pthread_mutex_lock(&lanes->lock);
	next = c->next;
	if (!next)
		free(map_remove(&lanes->by_ns, c->attrs->ns));
	pthread_mutex_unlock(&lanes->lock);
	if (next) {
		next->task.fn = take_turn;
		loop_post(next->attrs->loop, &next->task);
	}
}

/* --- what a write costs --- */

static bool handles(const struct admission_attrs *attrs)
{
	const struct v1_pod *pod = attrs->obj, *old = attrs->old;
	const struct schema_resource *res = attrs->resource;

	if (!quota_applies(res) || !attrs->ns.n || attrs->body)
		return false;
	if (res == &v1_pod_resource && str_eqc(attrs->subresource, "resize"))
		return attrs->op == ADMIT_UPDATE;
	if (res == &v1_persistent_volume_claim_resource && str_eqc(attrs->subresource, "status"))
		return attrs->op == ADMIT_UPDATE;
	if (attrs->subresource.n)
		return false;
	if (attrs->op == ADMIT_CREATE)
		return true;
	if (res == &v1_pod_resource)
		return pod_is_terminating(pod) != pod_is_terminating(old);
	return res == &v1_service_resource || res == &v1_persistent_volume_claim_resource;
}

static struct amounts counted(
	const struct admission_attrs *attrs, const struct v1_resource_quota *q)
{
	struct amounts hard = amounts_of(attrs->arena, &q->status.hard), mine = {0};

	for (size_t i = 0; i < hard.n; i++)
		if (quota_counts(attrs->resource, hard.v[i].name))
			ARENA_PUSH(attrs->arena, &mine, hard.v[i]);
	return mine;
}

static bool matches(
	const struct admission_attrs *attrs, const struct v1_resource_quota *q, const void *obj)
{
	return counted(attrs, q).n && quota_in_scope(attrs->arena, &q->spec, attrs->resource, obj);
}

/* What the write adds to the quota, without zeros. */
static struct amounts delta_of(
	const struct admission_attrs *attrs, const struct v1_resource_quota *q)
{
	struct arena *a = attrs->arena;
	struct amounts now = quota_usage(a, attrs->resource, attrs->obj, attrs->now_ns);
	struct amounts hard = amounts_of(a, &q->status.hard), delta = {0}, was;

	if (attrs->op == ADMIT_UPDATE && matches(attrs, q, attrs->old)) {
		was = quota_usage(a, attrs->resource, attrs->old, attrs->now_ns);
		now = amounts_sub(a, &now, &was);
	}
	now = amounts_mask(a, &now, &hard);
	for (size_t i = 0; i < now.n; i++)
		if (now.v[i].q.nano)
			ARENA_PUSH(a, &delta, now.v[i]);
	return delta;
}

static struct str names_text(struct arena *a, const struct amounts *v)
{
	struct str s = S("");

	for (size_t i = 0; i < v->n; i++)
		s = arena_fmt(
			a, STR_FMT "%s" STR_FMT, STR_ARG(s), i ? "," : "", STR_ARG(v->v[i].name));
	return s;
}

/* "cpu=1,memory=1Gi" of v, those named by `of`. */
static struct str amounts_text(struct arena *a, const struct amounts *v, const struct amounts *of)
{
	struct str s = S("");

	for (size_t i = 0; i < of->n; i++) {
		const struct quantity *q = amounts_get(v, of->v[i].name);

		if (q)
			s = arena_fmt(a, STR_FMT "%s" STR_FMT "=" STR_FMT, STR_ARG(s),
				s.n ? "," : "", STR_ARG(of->v[i].name),
				STR_ARG(quantity_text(q, a)));
	}
	return s;
}

static int check_limits(struct admission_attrs *attrs, const struct v1_resource_quota *q,
	const struct amounts *delta, struct err *err)
{
	struct arena *a = attrs->arena;
	struct amounts hard = amounts_of(a, &q->status.hard), used, over = {0};

	used = amounts_of(a, &q->status.used);
	for (size_t i = 0; i < delta->n; i++) {
		const struct quantity *before = amounts_get(&used, delta->v[i].name);
		struct quantity sum = delta->v[i].q;

		if (before)
			quantity_add(&sum, before);
		if (quantity_cmp(&sum, amounts_get(&hard, delta->v[i].name)) > 0)
			ARENA_PUSH(a, &over, delta->v[i]);
	}
	if (!over.n || str_eqc(attrs->subresource, "status"))
		return 0;
	return admission_forbidden(attrs, err,
		"exceeded quota: " STR_FMT ", requested: " STR_FMT ", used: " STR_FMT
		", limited: " STR_FMT,
		STR_ARG(q->metadata.name), STR_ARG(amounts_text(a, &over, &over)),
		STR_ARG(amounts_text(a, &used, &over)), STR_ARG(amounts_text(a, &hard, &over)));
}

/* *ret: what has to be added to the quota's usage; nothing when it does not care. */
static int check_quota(struct admission_attrs *attrs, const struct v1_resource_quota *q,
	struct amounts *ret, struct err *err)
{
	struct arena *a = attrs->arena;
	struct amounts mine;
	struct str missing = S("");

	*ret = (struct amounts){0};
	if (!matches(attrs, q, attrs->obj))
		return 0;
	mine = counted(attrs, q);
	if (attrs->resource == &v1_pod_resource)
		missing = quota_missing(a, attrs->obj, &mine);
	if (missing.n)
		return admission_forbidden(attrs, err, "failed quota: " STR_FMT ": " STR_FMT,
			STR_ARG(q->metadata.name), STR_ARG(missing));
	for (size_t i = 0; i < mine.n; i++)
		if (!str_map_get(&q->status.used, mine.v[i].name))
			return admission_forbidden(attrs, err,
				"status unknown for quota: " STR_FMT ", resources: " STR_FMT,
				STR_ARG(q->metadata.name), STR_ARG(names_text(a, &mine)));
	*ret = delta_of(attrs, q);
	return check_limits(attrs, q, ret, err);
}

/* --- the quotas of a namespace --- */

struct quotas {
	const struct v1_resource_quota **v;
	const struct object **o; /* the same, as stored */
	size_t n;
};

static struct quotas quotas_of(const struct admission_attrs *attrs)
{
	struct snapshot *s = store_snapshot(attrs->store, &v1_resource_quota_resource);
	struct {
		const struct object **v;
		size_t n;
	} objects = {0};
	struct {
		const struct v1_resource_quota **v;
		size_t n;
	} all = {0};
	struct snapshot_iter it;
	const struct object *o;

	if (snapshot_count(s)) {
		snapshot_iter_init(&it, s, attrs->ns, S(""), S(""));
		while ((o = snapshot_next(&it))) {
			o = object_ref_in(attrs->arena, o);
			ARENA_PUSH(attrs->arena, &objects, o);
			ARENA_PUSH(attrs->arena, &all, object_decode(o, attrs->arena));
		}
	}
	snapshot_unref(s);
	return (struct quotas){all.v, objects.v, all.n};
}

/* All of them, before any is charged. */
static int check_all(
	struct admission_attrs *attrs, const struct quotas *q, bool *ret_charge, struct err *err)
{
	struct amounts delta;
	int r = 0;

	*ret_charge = false;
	for (size_t i = 0; r >= 0 && i < q->n; i++) {
		r = check_quota(attrs, q->v[i], &delta, err);
		*ret_charge |= delta.n > 0;
	}
	return r;
}

/* --- charging --- */

static void finish(struct charge *c, struct err *err)
{
	leave(c->attrs->state, c);
	admission_resume(c->attrs->run, err);
}

static void charged(struct store_write *sw)
{
	struct charge *c = container_of(sw, struct charge, sw);
	struct err err CLEANUP(err_release) = {0};

	if (sw->result == 0)
		ARENA_PUSH(c->attrs->arena, &c->done, c->quota->metadata.name);
	object_unref(sw->object);
	if (sw->result == 0 || sw->result == -ENOENT ||
		(sw->result == -EBUSY && ++c->attempts < ATTEMPTS_MAX)) {
		next_quota(c);
		return;
	}
	if (sw->result == -EBUSY)
		err_conflict(&err, S(""), S("resourcequotas"), c->quota->metadata.name,
			"the object has been modified; please apply your changes to the latest "
			"version and try again");
	else
		err_internal(&err, "cannot charge quota " STR_FMT ": %s",
			STR_ARG(c->quota->metadata.name), strerror(-sw->result));
	finish(c, &err);
}

static int submit(struct charge *c, const struct v1_resource_quota *q, const struct object *o,
	const struct amounts *delta, struct err *err)
{
	struct arena *a = c->attrs->arena;
	struct v1_resource_quota *now = schema_copy(&v1_resource_quota_schema, q, a);
	struct amounts used = amounts_of(a, &q->status.used);
	struct object *draft;
	int r;

	amounts_add(a, &used, delta);
	now->status.used = amounts_map(a, &used);
	r = object_draft(&v1_resource_quota_resource, now, &draft, err);
	if (r < 0)
		return r;
	c->quota = q;
	c->sw = (struct store_write){
		.op = STORE_UPDATE,
		.resource = &v1_resource_quota_resource,
		.ns = q->metadata.namespace,
		.name = q->metadata.name,
		.draft = draft,
		.expect_revision = o->revision,
		.loop = c->attrs->loop,
		.done = charged,
	};
	store_submit(c->attrs->store, &c->sw);
	return ADMISSION_SUSPENDED;
}

/* Charges the first that was not; all are looked at anew each time. */
static int charge_next(struct charge *c, struct err *err)
{
	struct quotas q = quotas_of(c->attrs);
	struct amounts delta;
	int r;

	for (size_t i = 0; i < q.n; i++) {
		if (str_vec_has(&c->done, q.v[i]->metadata.name))
			continue;
		r = check_quota(c->attrs, q.v[i], &delta, err);
		if (r < 0)
			return r;
		if (delta.n)
			return submit(c, q.v[i], q.o[i], &delta, err);
	}
	return 0;
}

static void next_quota(struct charge *c)
{
	struct err err CLEANUP(err_release) = {0};
	struct quotas q = quotas_of(c->attrs);
	bool charge;
	int r = 0;

	if (!c->done.n) /* none is charged when another is exceeded already */
		r = check_all(c->attrs, &q, &charge, &err);
	if (r >= 0)
		r = charge_next(c, &err);
	if (r != ADMISSION_SUSPENDED)
		finish(c, r < 0 ? &err : NULL);
}

static int validate(struct admission_attrs *attrs, struct err *err)
{
	struct quotas q;
	struct charge *c;
	bool charge;
	int r;

	if (!handles(attrs))
		return 0;
	q = quotas_of(attrs);
	r = check_all(attrs, &q, &charge, err);
	if (r < 0 || !charge || attrs->dry_run)
		return r;
	c = ARENA_NEW(attrs->arena, struct charge);
	c->attrs = attrs;
	if (!enter(attrs->state, c))
		return ADMISSION_SUSPENDED; /* until the one before leaves */
	r = charge_next(c, err);
	if (r != ADMISSION_SUSPENDED)
		leave(attrs->state, c);
	return r;
}

static int init(struct apiserver *s, struct str config, void **ret, struct err *err)
{
	struct lanes *l;

	if (config.n)
		return err_bad_request(err,
			"ResourceQuota: limitedResources in its configuration are not supported");
	l = xcalloc(1, sizeof(*l));
	pthread_mutex_init(&l->lock, NULL);
	*ret = l;
	return 0;
}

static void lanes_free(void *state)
{
	struct lanes *l = state;

	for (struct map_entry *e = map_first(&l->by_ns); e; e = map_next(&l->by_ns, e))
		free(e->value);
	map_release(&l->by_ns);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

const struct admission_plugin admission_resource_quota = {
	.name = "ResourceQuota",
	.ops = ADMIT_CREATE | ADMIT_UPDATE,
	.init = init,
	.free = lanes_free,
	.validate = validate,
};
