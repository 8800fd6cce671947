/* lifecycle.c: a container from CREATED to RUNNING to EXITED. */
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>

#include "base/fs.h"
#include "node/runtime/monitor.h"
#include "node/runtime/record.h"

enum { START_ERROR_CODE = 128, KILL_WAIT_MS = 120000 };

bool container_alive(const struct container *c)
{
	return c->pid > 0 && c->pid_start && process_start_time(c->pid) == c->pid_start;
}

void container_kill(const struct container *c, int signal)
{
	if (container_alive(c))
		kill(c->pid, signal);
}

void container_save_state(struct runtime *rt, const struct container *c)
{
	int r = c->gone ? 0 : container_save_mutable(rt, c);

	if (r < 0)
		log_warn("runtime: cannot save the state of container %s: %s", c->id, strerror(-r));
}

static void tell(struct runtime *rt, const struct container *c)
{
	struct sandbox *s = sandbox_find(rt, c->st.sandbox_id);

	if (rt->cri.on_event && s)
		rt->cri.on_event(rt->cri.event_user_data, s->st.uid, c->st.id);
}

static void unmount(struct runtime *rt, const struct container *c)
{
	char *root CLEANUP(free_ptr) = xasprintf("%s/%s/rootfs", rt->run_containers_dir, c->id);

	umount2(root, MNT_DETACH);
}

/* --- start --- */

struct start_job {
	struct job job;
	struct runtime *rt;
	struct container *ct;
	int pid;
	uint64_t pid_start;
	int64_t started_ns;
	struct err err;
	cri_done *done;
	void *user_data;
};

static void start_run(struct job *job)
{
	struct start_job *j = container_of(job, struct start_job, job);

	if (monitor_launch(j->rt, j->ct, &j->pid, &j->err) < 0) {
		oci_delete(j->rt, j->ct->id);
		unmount(j->rt, j->ct);
		return;
	}
	j->started_ns = wall_ns();
	j->pid_start = process_start_time(j->pid);
}

static void start_done(struct job *job)
{
	struct start_job *j = container_of(job, struct start_job, job);
	struct container *c = j->ct;

	c->starting = false;
	if (err_set(&j->err)) {
		c->st.state = CRI_EXITED;
		c->st.exit_code = START_ERROR_CODE;
		c->st.finished_ns = wall_ns();
		c->st.reason = S("StartError");
		c->st.message = arena_strc(&c->arena, err_text(&j->err));
	} else {
		c->st.state = CRI_RUNNING;
		c->st.started_ns = j->started_ns;
		c->pid = j->pid;
		c->pid_start = j->pid_start;
	}
	container_save_state(j->rt, c);
	j->done(j->user_data, err_set(&j->err) ? &j->err : NULL);
	if (c->st.state == CRI_RUNNING && !c->gone && !monitor_start(j->rt, c))
		container_exit_seen(j->rt, c);
	container_unref(c);
	err_release(&j->err);
	free(j);
}

void container_start(struct cri *cri, struct str id, cri_done *done, void *user_data)
{
	struct runtime *rt = runtime_of(cri);
	struct container *c = container_find(rt, id);
	struct err err CLEANUP(err_release) = {0};
	struct start_job *j;

	if (!c)
		no_container(id, &err);
	else if (c->st.state != CRI_CREATED || c->starting)
		err_fmt(&err, 409, "Conflict", "container %s is not in created state", c->id);
	if (err_set(&err)) {
		later(rt, done, user_data, &err);
		return;
	}
	j = xcalloc(1, sizeof(*j));
	j->rt = rt;
	j->ct = c;
	j->done = done;
	j->user_data = user_data;
	c->refs++;
	c->starting = true;
	job_submit(rt->jobs, &j->job, start_run, start_done);
}

/* --- the end --- */

struct exit_job {
	struct job job;
	struct runtime *rt;
	struct container *ct;
	struct exit_status status;
};

static void exit_run(struct job *job)
{
	struct exit_job *j = container_of(job, struct exit_job, job);

	monitor_exit_status(j->rt, j->ct, &j->status);
	oci_delete(j->rt, j->ct->id); /* also what it left behind in a shared PID namespace */
	unmount(j->rt, j->ct);
}

static void ended(struct runtime *rt, struct container *c, const struct exit_status *e)
{
	c->st.state = CRI_EXITED;
	c->st.exit_code = e->code;
	c->st.finished_ns = e->finished_ns;
	c->st.reason = e->lost         ? S("Unknown")
		       : e->oom_killed ? S("OOMKilled")
		       : e->code == 0  ? S("Completed")
				       : S("Error");
	c->pid = 0;
	container_save_state(rt, c);
	stop_calls_end(rt, c);
	if (!c->gone)
		tell(rt, c);
}

static void exit_done(struct job *job)
{
	struct exit_job *j = container_of(job, struct exit_job, job);

	j->ct->ending = false;
	ended(j->rt, j->ct, &j->status);
	container_unref(j->ct);
	free(j);
}

void container_exit_seen(struct runtime *rt, struct container *c)
{
	struct exit_job *j;

	if (c->ending || c->st.state != CRI_RUNNING)
		return;
	j = xcalloc(1, sizeof(*j));
	j->rt = rt;
	j->ct = c;
	c->refs++;
	c->ending = true;
	job_submit(rt->jobs, &j->job, exit_run, exit_done);
}

void container_ended_before(struct runtime *rt, struct container *c)
{
	struct exit_job j = {.rt = rt, .ct = c};

	exit_run(&j.job);
	ended(rt, c, &j.status);
}

void container_lost(struct runtime *rt, struct container *c)
{
	struct exit_status e = {.code = 255, .lost = true, .finished_ns = wall_ns()};

	ended(rt, c, &e);
}

/* --- stop --- */

struct stop_call {
	struct stop_call *next;
	struct loop_timer timer;
	struct runtime *rt;
	struct container *ct;
	bool killed;
	cri_done *done;
	void *user_data;
};

void stop_calls_end(struct runtime *rt, struct container *c)
{
	while (c->stopping) {
		struct stop_call *s = c->stopping;

		c->stopping = s->next;
		loop_timer_stop(&s->timer);
		s->done(s->user_data, NULL);
		free(s);
	}
}

void container_forget(struct container *c)
{
	monitor_stop(c);
	while (c->stopping) {
		struct stop_call *s = c->stopping;

		c->stopping = s->next;
		loop_timer_stop(&s->timer);
		free(s);
	}
}

static void give_up(struct stop_call *s)
{
	struct err err CLEANUP(err_release) = {0};

	for (struct stop_call **at = &s->ct->stopping; *at; at = &(*at)->next)
		if (*at == s) {
			*at = s->next;
			break;
		}
	err_fmt(&err, 504, "DeadlineExceeded", "container %s does not die", s->ct->id);
	s->done(s->user_data, &err);
	free(s);
}

static void timed_out(struct loop_timer *t)
{
	struct stop_call *s = container_of(t, struct stop_call, timer);

	if (s->killed) {
		give_up(s);
		return;
	}
	s->killed = true;
	container_kill(s->ct, SIGKILL);
	loop_timer_start(&s->timer, KILL_WAIT_MS);
}

void container_stop(
	struct cri *cri, struct str id, int64_t timeout_s, cri_done *done, void *user_data)
{
	struct runtime *rt = runtime_of(cri);
	struct container *c = container_find(rt, id);
	struct stop_call *s;

	if (!c || (c->st.state != CRI_RUNNING && !c->ending)) {
		later(rt, done, user_data, NULL);
		return;
	}
	s = xcalloc(1, sizeof(*s));
	*s = (struct stop_call){
		.next = c->stopping, .rt = rt, .ct = c, .done = done, .user_data = user_data};
	c->stopping = s;
	loop_timer_init(&s->timer, cri->loop, timed_out);
	if (timeout_s > 0)
		container_kill(c, c->stop_signal);
	loop_timer_start(&s->timer, MAX(timeout_s, 0) * 1000);
}
