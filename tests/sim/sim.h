/*
 * sim.h: a whole cluster in one thread on a virtual clock, from a seed: the API server with the
 * memory store, the controllers, the scheduler and hollow nodes; a user who changes things; faults;
 * and an auditor who looks at everything.
 *
 *     world.c     starts the cluster, crashes it and brings it back from what was durable
 *     members.c   controllers and scheduler, one of each or two that elect a leader; kills them and
 * cuts them off workload.c  the user: makes, scales, changes and deletes workloads, and remembers
 * what was acknowledged audit.c     watches every resource: each event once, in order; no pod bound
 * twice or lost check.c     what must hold when the faults are over and the cluster has come to
 * rest sim.c one run: chaos, then rest
 *
 * A run depends on its seed alone. What is wrong is reported by world_fail(), which keeps the first
 * finding.
 */
#ifndef SAMPAN_SIM_H
#define SAMPAN_SIM_H

#include "api/object.h"
#include "apiserver/apiserver.h"
#include "client/client.h"
#include "client/leader.h"
#include "controllers/controllers.h"
#include "node/hollow.h"
#include "scheduler/scheduler.h"
#include "store/backend.h"
#include "types.gen.h"

struct sim_opts {
	uint64_t seed;
	int64_t chaos_ms; /* how long things go wrong */
	bool verbose;
};

struct sim_result {
	char failure[512]; /* empty: all was well */
	uint64_t trace;    /* hash of everything that happened */
	uint64_t events;
	int crashes, kills, store_errors, resyncs, takeovers;
};

void sim_run(const struct sim_opts *opts, struct sim_result *ret);

/* --- world.c --- */

enum { NODES_MAX = 8, MEMBERS = 4 };

struct held;

/* members.c: a controller manager or a scheduler. Of four, 0 and 2 are of a kind, 1 and 3, too. */
struct member {
	struct world *w;
	bool schedules, up, cut;
	struct loop *loop;
	struct http_handler gate; /* before the API server's */
	struct held *held;
	struct leader *leader; /* NULL: works without election */
	struct controllers *controllers;
	struct scheduler *scheduler;
};

struct audit;
struct workloads;

struct world {
	struct sim_opts opts;
	struct sim_result *result;
	struct sim_clock *clock;
	struct memory_disk *disk; /* outlives crashes, as do the next */
	int nodes;
	bool elects; /* two controller managers and two schedulers */
	bool alive[NODES_MAX];
	int fault_percent; /* of the commits that fail now */
	size_t history_events_max;
	struct audit *audit;
	struct workloads *workloads;

	/* the control plane and what talks to it: new after each crash */
	struct loop *api_loop, *nodes_loop, *user_loop;
	struct store *store;
	struct apiserver *api;
	struct member members[MEMBERS];
	struct hollow *hollow;
	struct client *user;
	bool bootstrapped;
};

uint64_t world_random(struct world *w, uint64_t below);
bool world_percent(struct world *w, int percent);
void world_note(struct world *w, const char *fmt, ...) PRINTF_LIKE(2, 3);
void world_fail(struct world *w, const char *fmt, ...) PRINTF_LIKE(2, 3);
static inline bool world_failed(const struct world *w)
{
	return w->result->failure[0] != 0;
}

void world_start(struct world *w);
void world_crash(struct world *w); /* world_start brings it back */
void world_stop(struct world *w);
/* Lets that much time pass; ends early on a failure. */
void world_run(struct world *w, int64_t ms);

/* --- members.c --- */

void members_start(struct world *w);
void members_stop(struct world *w);    /* they die */
void members_release(struct world *w); /* when nothing runs any more */
void members_act(struct world *w);     /* one random thing; where they elect */
void members_heal(struct world *w);    /* all are up and heard */

/* --- audit.c --- */

struct audit *audit_new(struct world *w);
void audit_free(struct audit *a);
void audit_attach(struct audit *a); /* to the store that was just opened */
void audit_detach(struct audit *a); /* before the store goes */
/* At rest: what was heard of is exactly what is there. */
void audit_check(struct audit *a);

/* --- workload.c --- */

struct workloads *workloads_new(struct world *w);
void workloads_free(struct workloads *l);
/* A service for each workload there may be. */
void workloads_begin(struct workloads *l);
void workloads_act(struct workloads *l);   /* one random thing */
void workloads_crash(struct workloads *l); /* what is under way will not be answered */
/* Every workload is as it was last acknowledged. */
void workloads_check(struct workloads *l);

/* --- check.c --- */

/* NULL when the cluster is at rest and as it should be; else what is not yet. */
const char *check_rest(struct world *w, char *text, size_t size);

#endif
