/*
 * relist.c: asks the runtime for all sandboxes and containers and hands each pod its part. One
 * question at a time; what is asked meanwhile is answered by the next one. A backend without events
 * is asked every second, others now and then.
 */
#include "node/server.h"

enum { POLL_MS = 1000, POLL_WITH_EVENTS_MS = 20000 };

struct relist {
	struct kubelet *k;
	uint64_t asked, running, done; /* numbers of questions */
	bool busy, queued;
	int64_t failed_ms; /* wait before asking again */
	struct loop_task task;
	struct loop_timer timer;
	struct arena arena; /* sandboxes of the question under way */
	struct {
		struct cri_sandbox_status *v;
		size_t n;
	} sandboxes;
};

static void ask(struct relist *r);

static void task_ran(struct loop_task *t)
{
	struct relist *r = container_of(t, struct relist, task);

	r->queued = false;
	if (!r->busy && r->done < r->asked)
		ask(r);
}

static void timer_fired(struct loop_timer *t)
{
	relist_request(container_of(t, struct relist, timer));
}

static void on_event(void *user_data, struct str pod_uid, struct str container_id)
{
	(void)pod_uid, (void)container_id;
	relist_request(user_data);
}

struct relist *relist_new(struct kubelet *k)
{
	struct relist *r = xcalloc(1, sizeof(*r));

	r->k = k;
	r->task.fn = task_ran;
	arena_init(&r->arena);
	loop_timer_init(&r->timer, k->loop, timer_fired);
	k->cri->on_event = on_event;
	k->cri->event_user_data = r;
	return r;
}

void relist_free(struct relist *r)
{
	if (!r)
		return;
	loop_timer_stop(&r->timer);
	arena_release(&r->arena);
	free(r);
}

uint64_t relist_request(struct relist *r)
{
	/* A question under way may have been asked before what the caller has done. */
	if (r->asked <= r->running)
		r->asked = r->running + 1;
	if (!r->queued && !r->busy && !r->k->stopping) {
		r->queued = true;
		loop_post(r->k->loop, &r->task);
	}
	return r->asked;
}

uint64_t relist_done(const struct relist *r)
{
	return r->done;
}

/* --- distributing --- */

static struct str uid_of(const struct relist *r, const struct cri_container_status *c)
{
	struct str uid = cri_lookup(&c->labels, S(LABEL_POD_UID));

	for (size_t i = 0; str_empty(uid) && i < r->sandboxes.n; i++)
		if (str_eq(r->sandboxes.v[i].id, c->sandbox_id))
			uid = r->sandboxes.v[i].uid;
	return uid;
}

static void collect(struct relist *r, const struct cri_container_status *v, size_t n,
	struct str uid, struct observed *o)
{
	struct {
		struct cri_container_status *v;
		size_t n;
	} mine = {0};
	struct {
		struct cri_sandbox_status *v;
		size_t n;
	} boxes = {0};

	arena_init(&o->arena);
	for (size_t i = 0; i < r->sandboxes.n; i++)
		if (str_eq(r->sandboxes.v[i].uid, uid))
			ARENA_PUSH(
				&o->arena, &boxes, cri_sandbox_copy(&o->arena, &r->sandboxes.v[i]));
	for (size_t i = 0; i < n; i++)
		if (str_eq(uid_of(r, &v[i]), uid))
			ARENA_PUSH(&o->arena, &mine, cri_container_copy(&o->arena, &v[i]));
	o->sandboxes = boxes.v;
	o->n_sandboxes = boxes.n;
	o->containers = mine.v;
	o->n_containers = mine.n;
	observed_sort(o);
}

static void hand_out(struct relist *r, const struct cri_container_status *v, size_t n)
{
	struct observed o;

	for (struct pod *p = r->k->pods; p; p = p->next) {
		bool changed;

		collect(r, v, n, p->uid, &o);
		changed = !observed_equal(&p->observed, &o);
		observed_release(&p->observed);
		p->observed = o;
		if (changed && r->k->server)
			log_streams_look(r->k->server, p);
		if (changed || (p->need_relist && r->done >= p->need_relist))
			pod_wake(p);
	}
}

/* What runs and the API does not know: stopped and removed, once all pods of the API are known. */
static void adopt_orphans(struct relist *r)
{
	if (!r->k->pods_synced)
		return;
	for (size_t i = 0; i < r->sandboxes.n; i++) {
		const struct cri_sandbox_status *s = &r->sandboxes.v[i];
		struct pod *p;

		if (str_empty(s->uid) || pod_by_uid(r->k, s->uid))
			continue;
		p = pod_new(r->k, s->ns, s->name, s->uid);
		p->gone = true;
		pod_look_again(p);
	}
}

static void finished(struct relist *r, bool ok)
{
	bool events = r->k->builtin_runtime;

	r->busy = false;
	arena_release(&r->arena);
	r->sandboxes.v = NULL;
	r->sandboxes.n = 0;
	if (ok && r->done < r->asked)
		relist_request(r);
	else
		loop_timer_start(&r->timer, events && ok ? POLL_WITH_EVENTS_MS : POLL_MS);
}

static void got_containers(
	void *user_data, const struct cri_container_status *v, size_t n, struct err *err)
{
	struct relist *r = user_data;

	if (err) {
		log_warn("listing containers: %s", err_text(err));
		finished(r, false);
		return;
	}
	meter_relist_done(&r->k->meter);
	adopt_orphans(r);
	r->done = r->running;
	hand_out(r, v, n);
	finished(r, true);
}

static void got_sandboxes(
	void *user_data, const struct cri_sandbox_status *v, size_t n, struct err *err)
{
	struct relist *r = user_data;

	if (err) {
		log_warn("listing pod sandboxes: %s", err_text(err));
		finished(r, false);
		return;
	}
	for (size_t i = 0; i < n; i++)
		ARENA_PUSH(&r->arena, &r->sandboxes, cri_sandbox_copy(&r->arena, &v[i]));
	r->k->cri->ops->list_containers(r->k->cri, S(""), got_containers, r);
}

static void ask(struct relist *r)
{
	loop_timer_stop(&r->timer);
	r->busy = true;
	r->running = r->asked;
	meter_relist_begins(&r->k->meter);
	r->k->cri->ops->list_sandboxes(r->k->cri, got_sandboxes, r);
}
