/*
 * loop.h: one thread's event loop: time, timers, tasks, and a mailbox for other threads.
 *
 * Nothing blocks on a loop thread. There are two kinds behind this header:
 *   loop_new_uv()   the real one (libuv); loop_uv() gives its uv_loop_t to code that opens sockets or children
 *   loop_new_sim()  the simulator's: virtual clock, seeded randomness, every timer and task in one deterministic
 *                   order. Many simulated loops may share one `struct sim_clock`, so a whole cluster runs in a thread.
 *
 * All functions are for the loop's own thread, except loop_post() and loop_stop(), which any thread may call.
 */
#ifndef SAMPAN_LOOP_H
#define SAMPAN_LOOP_H

#include "base/base.h"

struct loop;
typedef struct uv_loop_s uv_loop_t;

/* A task: embed it, set fn, post it. Owned by the caller, must stay alive until fn ran. */
struct loop_task {
	struct loop_task *next; /* private */
	void (*fn)(struct loop_task *t);
};

/* A one-shot timer: embed it; loop_timer_init once; start (again) and stop at will. */
struct loop_timer {
	struct loop *loop;
	void (*fn)(struct loop_timer *t);
	int64_t due_ms;  /* private */
	uint64_t seq;    /* private: orders timers due at the same time */
	size_t heap_at;  /* private: 0 = not armed */
};

struct sim_clock;

struct loop *loop_new_uv(void);
struct loop *loop_new_sim(struct sim_clock *clock);
void loop_free(struct loop *loop); /* asserts that it does not run; pending tasks are dropped */

void loop_run(struct loop *loop);  /* until loop_stop(); the real loop only */
void loop_stop(struct loop *loop); /* any thread */
uv_loop_t *loop_uv(struct loop *loop); /* NULL in the simulator */

int64_t loop_now_ms(struct loop *loop);      /* monotonic; refreshed once per turn */
int64_t loop_wall_ns(struct loop *loop);     /* Unix time in nanoseconds */
uint64_t loop_random(struct loop *loop);     /* real: getrandom(2); simulated: from the seed */

void loop_timer_init(struct loop_timer *t, struct loop *loop, void (*fn)(struct loop_timer *t));
void loop_timer_start(struct loop_timer *t, int64_t delay_ms); /* re-arms; 0 = on the next turn */
void loop_timer_stop(struct loop_timer *t);                    /* idempotent */
static inline bool loop_timer_armed(const struct loop_timer *t)
{
	return t->heap_at != 0;
}

/* Any thread: runs t->fn on the loop's thread, in the order posted (per posting thread). A task that is already
 * posted and has not run yet must not be posted again. */
void loop_post(struct loop *loop, struct loop_task *t);

/* The simulator's clock and scheduler. Not thread-safe. */
struct sim_clock *sim_clock_new(uint64_t seed, int64_t wall_start_ns);
void sim_clock_free(struct sim_clock *c);
/* Runs the next task or timer of any loop on the clock, moving time forward to it. False when nothing is left or
 * the next thing is due after until_ms (time then moves to until_ms). Tasks posted to different loops at the same
 * time run in an order that the seed chooses. */
bool sim_clock_step(struct sim_clock *c, int64_t until_ms);
int64_t sim_clock_now_ms(struct sim_clock *c);
uint64_t sim_clock_random(struct sim_clock *c);

#endif
