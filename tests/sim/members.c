/* members.c: the controller manager and the scheduler: one of each, or two of each that elect a
 * leader, are killed and cut off from the API server. */
#include "sim.h"

#include <stdio.h>

enum {
	TAKEOVER_MAX_MS = 15 * 1000 + 100, /* from a leader's death to the next one */
	SETTLE_MS = 5000,                  /* in which a candidate has looked twice */
};

/* A request of somebody who is cut off: it arrives when the cut is over. */
struct held {
	struct held *next;
	struct http_exchange *x; /* NULL: nobody waits any more */
};

static struct member *member_of(struct http_handler *h)
{
	return container_of(h, struct member, gate);
}

static void nobody_waits(struct http_exchange *x)
{
	((struct held *)x->user_data)->x = NULL;
}

static void pass_gate(struct http_handler *h, struct http_exchange *x)
{
	struct member *m = member_of(h);
	struct http_handler *api = apiserver_handler(m->w->api);
	struct held *held;

	if (!m->cut) {
		api->handle(api, x);
		return;
	}
	held = xcalloc(1, sizeof(*held));
	held->x = x;
	held->next = m->held;
	m->held = held;
	x->user_data = held;
	x->on_close = nobody_waits;
}

/* Whom to hand on to the API server when the cut is over; nobody, when all goes down. */
static void open_gate(struct member *m, struct http_handler *api)
{
	m->cut = false;
	while (m->held) {
		struct held *held = m->held;

		m->held = held->next;
		if (held->x) {
			held->x->on_close = NULL;
			held->x->user_data = NULL;
			if (api)
				api->handle(api, held->x);
		}
		free(held);
	}
}

static struct client *client_as(struct member *m, const char *user)
{
	struct str groups[] = {S("system:authenticated"), S("system:masters")};
	struct user_info info = {.name = str_c(user), .groups = {groups, 2}};

	return client_local_new(m->loop, m->w->store, &m->gate, &info);
}

static struct client *controllers_client(void *user_data, const char *user)
{
	return client_as(user_data, user);
}

static void fail_start(struct err *err)
{
	fprintf(stderr, "controllers, scheduler: %s\n", err_text(err));
	abort();
}

static void work(void *user_data)
{
	struct member *m = user_data;
	const struct controllers_opts controllers = {
		.loop = m->loop,
		.client_for = controllers_client,
		.user_data = m,
		.root_ca_pem = S("a certificate"),
	};
	struct scheduler_opts scheduler = {.loop = m->loop};
	struct err err CLEANUP(err_release) = {0};

	for (int i = 0; i < MEMBERS; i++)
		if (&m->w->members[i] != m && m->w->members[i].schedules == m->schedules &&
			(m->w->members[i].controllers || m->w->members[i].scheduler))
			world_fail(m->w, "two members work at once: %d and %d", i,
				(int)(m - m->w->members));
	world_note(m->w, "member %d works", (int)(m - m->w->members));
	if (m->schedules) {
		scheduler.client = client_as(m, "system:kube-scheduler");
		if (scheduler_start(&scheduler, &m->scheduler, &err) < 0)
			fail_start(&err);
	} else if (controllers_start(&controllers, &m->controllers, &err) < 0) {
		fail_start(&err);
	}
}

static void rest(void *user_data)
{
	struct member *m = user_data;

	if (m->controllers || m->scheduler)
		world_note(m->w, "member %d rests", (int)(m - m->w->members));
	controllers_stop(m->controllers);
	scheduler_stop(m->scheduler);
	m->controllers = NULL;
	m->scheduler = NULL;
}

static void start(struct member *m)
{
	char name[32];

	snprintf(name, sizeof(name), "member-%d-%ju", (int)(m - m->w->members),
		(uintmax_t)world_random(m->w, 1000000));
	m->up = true;
	m->gate.handle = pass_gate;
	if (!m->w->elects) {
		work(m);
		return;
	}
	m->leader = leader_new(&(struct leader_opts){
		.client = client_as(m,
			m->schedules ? "system:kube-scheduler" : "system:kube-controller-manager"),
		.ns = "kube-system",
		.name = m->schedules ? "kube-scheduler" : "kube-controller-manager",
		.identity = name,
		.lease_ms = 15000,
		.renew_ms = 10000,
		.retry_ms = 2000,
		.started = work,
		.stopped = rest,
		.user_data = m,
	});
}

static void die(struct member *m)
{
	if (!m->up)
		return;
	m->up = false;
	leader_free(m->leader);
	m->leader = NULL;
	rest(m);
	open_gate(m, NULL);
}

/* --- the world's --- */

void members_start(struct world *w)
{
	for (int i = 0; i < MEMBERS; i++) {
		struct member *m = &w->members[i];

		*m = (struct member){.w = w, .schedules = i % 2, .loop = loop_new_sim(w->clock)};
		if (i < 2 || w->elects)
			start(m);
	}
}

void members_stop(struct world *w)
{
	for (int i = 0; i < MEMBERS; i++)
		die(&w->members[i]);
}

void members_release(struct world *w)
{
	for (int i = 0; i < MEMBERS; i++) {
		loop_free(w->members[i].loop);
		w->members[i].loop = NULL;
	}
}

void members_heal(struct world *w)
{
	for (int i = 0; i < MEMBERS; i++) {
		open_gate(&w->members[i], apiserver_handler(w->api));
		if (!w->members[i].up && w->elects)
			start(&w->members[i]);
	}
}

/* Everybody stands by; then a leader dies, and the other has to work in time. */
static void kill_leader(struct world *w)
{
	struct member *m = &w->members[world_random(w, MEMBERS)], *other;
	int faults = w->fault_percent;

	members_heal(w);
	w->fault_percent = 0;
	world_run(w, TAKEOVER_MAX_MS + SETTLE_MS);
	if (!leader_leads(m->leader))
		m = &w->members[(m - w->members + 2) % MEMBERS];
	other = &w->members[(m - w->members + 2) % MEMBERS];
	if (!world_failed(w) && !leader_leads(m->leader))
		world_fail(w, "there is no leader");
	if (world_failed(w))
		return;
	world_run(w, (int64_t)world_random(w, 4000));
	world_note(w, "member %d, the leader, dies", (int)(m - w->members));
	w->result->takeovers++;
	die(m);
	world_run(w, TAKEOVER_MAX_MS);
	if (!world_failed(w) && !leader_leads(other->leader))
		world_fail(w, "the leader died and the other does not work");
	w->fault_percent = faults;
}

static void on_released(void *user_data)
{
	*(bool *)user_data = true;
}

/* A clean stop: the other need not wait. */
static void retire(struct world *w, struct member *m)
{
	bool released = false;

	world_note(w, "member %d stops", (int)(m - w->members));
	leader_release(m->leader, on_released, &released);
	world_run(w, 2500);
	if (!released && !world_failed(w))
		world_fail(w, "a member that stops does not come to its end");
	die(m);
}

void members_act(struct world *w)
{
	struct member *m = &w->members[world_random(w, MEMBERS)];
	uint64_t dice = world_random(w, 10);

	if (dice == 0) {
		kill_leader(w);
	} else if (!m->up) {
		start(m);
	} else if (m->cut) {
		world_note(w, "member %d is heard again", (int)(m - w->members));
		open_gate(m, apiserver_handler(w->api));
	} else if (dice < 4) {
		world_note(w, "member %d dies", (int)(m - w->members));
		die(m);
	} else if (dice < 5) {
		retire(w, m);
	} else {
		world_note(w, "member %d is cut off", (int)(m - w->members));
		m->cut = true;
	}
}
