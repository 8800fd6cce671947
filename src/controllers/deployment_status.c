/* deployment_status.c: counts and conditions of a deployment. */
#include "controllers/deployment.h"

const struct apps_v1_deployment_condition *deployment_condition(
	const struct apps_v1_deployment_status *s, const char *type)
{
	for (size_t i = 0; i < s->conditions.n; i++)
		if (str_eqc(s->conditions.v[i].type, type))
			return &s->conditions.v[i];
	return NULL;
}

/* The list is copied, never changed: the status as read shares it. */
static void remove_condition(
	struct rollout *r, struct apps_v1_deployment_status *s, const char *type)
{
	struct apps_v1_deployment_condition_vec kept = {0};

	for (size_t i = 0; i < s->conditions.n; i++)
		if (!str_eqc(s->conditions.v[i].type, type))
			ARENA_PUSH(r->v->arena, &kept, s->conditions.v[i]);
	s->conditions = kept;
}

static void replace_condition(struct rollout *r, struct apps_v1_deployment_status *s,
	struct apps_v1_deployment_condition c)
{
	const struct apps_v1_deployment_condition *old = deployment_condition(s, c.type.p);

	if (old && str_eq(old->status, c.status))
		c.last_transition_time = old->last_transition_time;
	remove_condition(r, s, c.type.p);
	ARENA_PUSH(r->v->arena, &s->conditions, c);
}

static struct apps_v1_deployment_condition condition(const struct rollout *r, const char *type,
	const char *status, const char *reason, struct str message)
{
	return (struct apps_v1_deployment_condition){
		.type = str_c(type),
		.status = str_c(status),
		.last_update_time = view_now(r->v),
		.last_transition_time = view_now(r->v),
		.reason = str_c(reason),
		.message = message,
	};
}

void deployment_set_condition(struct rollout *r, struct apps_v1_deployment_status *s,
	const char *type, const char *status, const char *reason, struct str message)
{
	const struct apps_v1_deployment_condition *old = deployment_condition(s, type);

	if (old && str_eqc(old->status, status) && str_eqc(old->reason, reason))
		return;
	replace_condition(r, s, condition(r, type, status, reason, message));
}

bool has_progress_deadline(const struct apps_v1_deployment *d)
{
	return d->spec.progress_deadline_seconds && *d->spec.progress_deadline_seconds != INT32_MAX;
}

/* So that a deployment does not time out for the time that it was paused. */
void rollout_check_paused(struct rollout *r)
{
	struct apps_v1_deployment *d = r->d;
	const struct apps_v1_deployment_condition *c =
		deployment_condition(&d->status, "Progressing");
	bool says_paused = c && str_eq(c->reason, S("DeploymentPaused"));

	if (!has_progress_deadline(d) || (c && str_eq(c->reason, S("ProgressDeadlineExceeded"))))
		return;
	if (d->spec.paused && !says_paused)
		deployment_set_condition(r, &d->status, "Progressing", "Unknown",
			"DeploymentPaused", S("Deployment is paused"));
	else if (!d->spec.paused && says_paused)
		deployment_set_condition(r, &d->status, "Progressing", "Unknown",
			"DeploymentResumed", S("Deployment is resumed"));
}

static int32_t *terminating(const struct rollout *r)
{
	int32_t *n = ARENA_NEW(r->v->arena, int32_t);

	for (size_t i = 0; i < r->all.n; i++) {
		const struct set *s = r->all.v[i];

		if (!s->rs->status.terminating_replicas) {
			if (s->object)
				return NULL;
			continue;
		}
		*n += *s->rs->status.terminating_replicas;
	}
	return n;
}

static struct apps_v1_deployment_status calculate(struct rollout *r)
{
	struct apps_v1_deployment_status s = {
		.observed_generation = r->d->metadata.generation,
		.collision_count = r->d->status.collision_count,
		.conditions = r->d->status.conditions,
		.terminating_replicas = terminating(r),
	};

	for (size_t i = 0; i < r->all.n; i++) {
		const struct apps_v1_replica_set_status *rs = &r->all.v[i]->rs->status;

		s.replicas += rs->replicas;
		s.ready_replicas += rs->ready_replicas;
		s.available_replicas += rs->available_replicas;
		if (r->all.v[i] == r->new_set)
			s.updated_replicas = rs->replicas;
	}
	s.unavailable_replicas = MAX(sets_want(&r->all) - s.available_replicas, 0);
	if (s.available_replicas >= r->want - r->max_unavailable)
		deployment_set_condition(r, &s, "Available", "True", "MinimumReplicasAvailable",
			S("Deployment has minimum availability."));
	else
		deployment_set_condition(r, &s, "Available", "False", "MinimumReplicasUnavailable",
			S("Deployment does not have minimum availability."));
	return s;
}

void rollout_sync_status(struct rollout *r)
{
	r->d->status = calculate(r);
}

bool rollout_complete(const struct rollout *r, const struct apps_v1_deployment_status *s)
{
	return s->updated_replicas == r->want && s->replicas == r->want &&
	       s->available_replicas == r->want &&
	       s->observed_generation >= r->d->metadata.generation;
}

static bool is_progressing(
	const struct apps_v1_deployment_status *was, const struct apps_v1_deployment_status *now)
{
	return now->updated_replicas > was->updated_replicas ||
	       now->replicas - now->updated_replicas < was->replicas - was->updated_replicas ||
	       now->ready_replicas > was->ready_replicas ||
	       now->available_replicas > was->available_replicas;
}

static bool is_timed_out(const struct rollout *r, const struct apps_v1_deployment_status *s)
{
	const struct apps_v1_deployment_condition *c = deployment_condition(s, "Progressing");

	if (!c || str_eq(c->reason, S("NewReplicaSetAvailable")))
		return false;
	if (str_eq(c->reason, S("ProgressDeadlineExceeded")))
		return true;
	return (c->last_update_time.sec + *r->d->spec.progress_deadline_seconds) * 1000000000 <
	       r->v->now_ns;
}

static struct str about_new(const struct rollout *r, const char *what)
{
	if (r->new_set)
		return arena_fmt(r->v->arena, "ReplicaSet \"" STR_FMT "\" %s",
			STR_ARG(r->new_set->rs->metadata.name), what);
	return arena_fmt(
		r->v->arena, "Deployment \"" STR_FMT "\" %s", STR_ARG(r->object->name), what);
}

static void estimate_progress(struct rollout *r, struct apps_v1_deployment_status *s)
{
	if (rollout_complete(r, s)) {
		deployment_set_condition(r, s, "Progressing", "True", "NewReplicaSetAvailable",
			about_new(r, "has successfully progressed."));
	} else if (is_progressing(&r->was, s)) {
		/* Each sign of progress moves the time of the last update, the deadline's start. */
		replace_condition(r, s,
			condition(r, "Progressing", "True", "ReplicaSetUpdated",
				about_new(r, "is progressing.")));
	} else if (is_timed_out(r, s)) {
		deployment_set_condition(r, s, "Progressing", "False", "ProgressDeadlineExceeded",
			about_new(r, "has timed out progressing."));
	}
}

static const struct apps_v1_replica_set_condition *failure_of(const struct set *s)
{
	for (size_t i = 0; s && i < s->rs->status.conditions.n; i++)
		if (str_eq(s->rs->status.conditions.v[i].type, S("ReplicaFailure")))
			return &s->rs->status.conditions.v[i];
	return NULL;
}

static void copy_replica_failure(struct rollout *r, struct apps_v1_deployment_status *s)
{
	const struct apps_v1_replica_set_condition *f = failure_of(r->new_set);
	const struct apps_v1_deployment_condition *old = deployment_condition(s, "ReplicaFailure");

	for (size_t i = 0; !f && i < r->all.n; i++)
		f = failure_of(r->all.v[i]);
	if (!f) {
		remove_condition(r, s, "ReplicaFailure");
		return;
	}
	if (old && str_eq(old->status, f->status) && str_eq(old->reason, f->reason))
		return;
	replace_condition(r, s,
		(struct apps_v1_deployment_condition){
			.type = S("ReplicaFailure"),
			.status = f->status,
			.last_update_time = f->last_transition_time,
			.last_transition_time = f->last_transition_time,
			.reason = f->reason,
			.message = f->message,
		});
}

/* Nothing may happen any more before the deadline: ask again then. */
static void requeue_at_deadline(struct rollout *r, const struct apps_v1_deployment_status *s)
{
	const struct apps_v1_deployment_condition *c = deployment_condition(s, "Progressing");

	if (!has_progress_deadline(r->d) || !c || rollout_complete(r, s) ||
		str_eq(c->reason, S("ProgressDeadlineExceeded")))
		return;
	int64_t due_ms = (c->last_update_time.sec + *r->d->spec.progress_deadline_seconds) * 1000;

	plan_requeue(r->p, MAX(due_ms - r->v->now_ns / 1000000, 0) + 1000);
}

void rollout_sync_progress(struct rollout *r)
{
	struct apps_v1_deployment_status s = calculate(r);
	const struct apps_v1_deployment_condition *c =
		deployment_condition(&r->d->status, "Progressing");
	bool complete = s.replicas == s.updated_replicas && c &&
			str_eq(c->reason, S("NewReplicaSetAvailable"));

	if (!has_progress_deadline(r->d))
		remove_condition(r, &s, "Progressing");
	else if (!complete)
		estimate_progress(r, &s);
	copy_replica_failure(r, &s);
	r->d->status = s;
	requeue_at_deadline(r, &s);
}
