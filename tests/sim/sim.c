/* sim.c: one run. First chaos: a user who never rests, failing disks, dead nodes, crashes. Then
 * everything works again, and the cluster has to come to rest as it should be. */
#include "sim.h"

enum {
	PAUSE_MAX_MS = 3000,          /* between two things that happen */
	DOWN_MAX_MS = 20 * 1000,      /* how long a crashed control plane is away */
	FAULTS_MAX_MS = 20 * 1000,    /* how long a disk fails */
	REST_MAX_MS = 30 * 60 * 1000, /* in which everything must have come right */
	REST_STEP_MS = 5000,
};

struct chaos {
	struct world *w;
	int64_t faults_until_ms;
};

static void crash(struct world *w)
{
	world_crash(w);
	world_run(w, (int64_t)world_random(w, DOWN_MAX_MS));
	world_start(w);
}

/* Kills a node, or brings one back. The last that is alive stays. */
static void change_node(struct world *w)
{
	int i = (int)world_random(w, (uint64_t)w->nodes), alive = 0;

	for (int k = 0; k < w->nodes; k++)
		alive += w->alive[k];
	if (w->alive[i] && alive == 1)
		return;
	w->alive[i] = !w->alive[i];
	w->result->kills += !w->alive[i];
	world_note(w, "node-%d %s", i, w->alive[i] ? "comes back" : "dies");
	hollow_set_alive(w->hollow, i, w->alive[i]);
}

static void disk_fails(struct chaos *c)
{
	struct world *w = c->w;

	w->fault_percent = 5 + (int)world_random(w, 60);
	c->faults_until_ms = sim_clock_now_ms(w->clock) + (int64_t)world_random(w, FAULTS_MAX_MS);
	world_note(w, "%d of 100 commits fail", w->fault_percent);
}

static void act(struct chaos *c)
{
	uint64_t dice = world_random(c->w, 100);

	if (c->w->fault_percent && sim_clock_now_ms(c->w->clock) >= c->faults_until_ms)
		c->w->fault_percent = 0;
	if (dice < 2)
		crash(c->w);
	else if (dice < 5)
		change_node(c->w);
	else if (dice < 8)
		disk_fails(c);
	else if (dice < 14 && c->w->elects)
		members_act(c->w);
	else
		workloads_act(c->w->workloads);
}

static void run_chaos(struct world *w)
{
	int64_t until_ms = sim_clock_now_ms(w->clock) + w->opts.chaos_ms;
	struct chaos c = {.w = w};

	while (!world_failed(w) && sim_clock_now_ms(w->clock) < until_ms) {
		world_run(w, (int64_t)world_random(w, PAUSE_MAX_MS));
		act(&c);
	}
}

static void run_rest(struct world *w)
{
	int64_t until_ms = sim_clock_now_ms(w->clock) + REST_MAX_MS;
	const char *why = "nothing was looked at";
	char text[300];

	world_note(w, "all faults are over");
	w->fault_percent = 0;
	members_heal(w);
	for (int i = 0; i < w->nodes; i++) {
		w->alive[i] = true;
		hollow_set_alive(w->hollow, i, true);
	}
	while (why && !world_failed(w) && sim_clock_now_ms(w->clock) < until_ms) {
		world_run(w, REST_STEP_MS);
		why = check_rest(w, text, sizeof(text));
	}
	if (why)
		world_fail(w, "the cluster does not come to rest: %s", why);
}

void sim_run(const struct sim_opts *opts, struct sim_result *ret)
{
	struct world w = {.opts = *opts, .result = ret, .nodes = NODES_MAX};

	*ret = (struct sim_result){0};
	w.clock = sim_clock_new(opts->seed, 1767225600 * INT64_C(1000000000));
	w.disk = memory_disk_new();
	w.nodes = 2 + (int)world_random(&w, NODES_MAX - 1);
	w.elects = opts->seed % 2 == 0;
	w.history_events_max =
		world_percent(&w, 50) ? 2 + world_random(&w, 8) : 0; /* watchers fall behind */
	for (int i = 0; i < w.nodes; i++)
		w.alive[i] = true;
	w.audit = audit_new(&w);
	w.workloads = workloads_new(&w);
	world_start(&w);
	workloads_begin(w.workloads);
	run_chaos(&w);
	if (!world_failed(&w))
		run_rest(&w);
	if (!world_failed(&w)) {
		audit_check(w.audit);
		workloads_check(w.workloads);
	}
	world_stop(&w);
	audit_free(w.audit);
	workloads_free(w.workloads);
	memory_disk_free(w.disk);
	sim_clock_free(w.clock);
}
