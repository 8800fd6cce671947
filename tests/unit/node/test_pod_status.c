/* test_pod_status.c: pod, observed state and facts in, phase, conditions and container states out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "node/pod_status.h"

struct world {
	struct arena a;
	struct v1_pod pod;
	struct observed o;
	struct container_facts facts[8];
	struct pod_status_input in;
	struct v1_pod_status st;
};

static int set_up(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));

	arena_init(&w->a);
	w->pod.spec.restart_policy = S("Always");
	w->pod.metadata.generation = 3;
	w->in = (struct pod_status_input){.pod = &w->pod,
		.observed = &w->o,
		.facts = w->facts,
		.stopping = true,
		.runtime = S("sampan"),
		.now_ns = 1000000000};
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	arena_release(&w->a);
	free(w);
	return 0;
}

static void has(struct world *w, const char *name, bool init)
{
	struct v1_container c = {.name = str_c(name), .image = S("busybox")};

	if (init)
		ARENA_PUSH(&w->a, &w->pod.spec.init_containers, c);
	else
		ARENA_PUSH(&w->a, &w->pod.spec.containers, c);
}

static void sandbox(struct world *w)
{
	struct cri_sandbox_status *s = ARENA_NEW(&w->a, struct cri_sandbox_status);

	s->id = S("sb");
	s->ready = true;
	s->created_ns = 1;
	ARENA_PUSH(&w->a, &s->ips, S("10.1.0.2"));
	w->o.sandboxes = s;
	w->o.n_sandboxes = 1;
}

static void shows(struct world *w, const char *name, enum cri_state state, int exit_code)
{
	struct {
		struct cri_container_status *v;
		size_t n;
	} all = {w->o.containers, w->o.n_containers};
	struct cri_container_status s = {.name = str_c(name), .state = state, .uid = -1};

	s.id = arena_fmt(&w->a, "%s-%zu", name, all.n);
	s.sandbox_id = S("sb");
	s.exit_code = exit_code;
	s.reason = exit_code ? S("Error") : S("Completed");
	s.created_ns = (int64_t)all.n + 1;
	ARENA_PUSH(&w->a, &all, s);
	w->o.containers = all.v;
	w->o.n_containers = all.n;
	observed_sort(&w->o);
}

/* "Running Ready=False/ContainersNotReady a:waiting(CrashLoopBackOff)" */
static const char *status_text(struct world *w)
{
	const struct v1_pod_condition *ready;
	struct str text;

	pod_status_make(&w->in, &w->a, &w->st);
	ready = status_condition(&w->st, "Ready");
	text = arena_fmt(&w->a, STR_FMT " Ready=" STR_FMT "%s" STR_FMT, STR_ARG(w->st.phase),
		STR_ARG(ready->status), ready->reason.n ? "/" : "", STR_ARG(ready->reason));
	for (size_t k = 0; k < 2; k++) {
		const struct v1_container_status_vec *v =
			k ? &w->st.container_statuses : &w->st.init_container_statuses;

		for (size_t i = 0; i < v->n; i++) {
			const struct v1_container_state *s = &v->v[i].state;

			text = arena_fmt(&w->a, STR_FMT " " STR_FMT ":%s", STR_ARG(text),
				STR_ARG(v->v[i].name),
				s->running      ? "running"
				: s->terminated ? arena_fmt(&w->a, "ended(%d)",
							  s->terminated->exit_code)
							  .p
						: arena_fmt(&w->a, "waiting(" STR_FMT ")",
							  STR_ARG(s->waiting->reason))
							  .p);
		}
	}
	return text.p;
}

static void a_pod_comes_up(void **state)
{
	struct world *w = *state;

	has(w, "a", false);
	assert_string_equal(status_text(w),
		"Pending Ready=False/ContainersNotReady a:waiting(ContainerCreating)");
	assert_true(str_eq(status_condition(&w->st, "Ready")->message,
		S("containers with unready status: [a]")));
	sandbox(w);
	shows(w, "a", CRI_CREATED, 0); /* is not told */
	assert_string_equal(status_text(w),
		"Pending Ready=False/ContainersNotReady a:waiting(ContainerCreating)");
	w->o.n_containers = 0;
	shows(w, "a", CRI_RUNNING, 0);
	assert_string_equal(status_text(w), "Running Ready=True a:running");
	assert_true(str_eq(w->st.pod_ip, S("10.1.0.2")));
	assert_int_equal(w->st.observed_generation, 3);
	assert_true(str_starts(w->st.container_statuses.v[0].container_id, S("sampan://a-")));
}

static void probes_decide_about_ready(void **state)
{
	struct world *w = *state;

	has(w, "a", false);
	sandbox(w);
	shows(w, "a", CRI_RUNNING, 0);
	w->facts[0] = (struct container_facts){.name = S("a"), .readiness_worker = true};
	w->facts[0].probes.readiness = PROBE_FAILURE;
	w->in.n_facts = 1;
	assert_string_equal(status_text(w), "Running Ready=False/ContainersNotReady a:running");
	w->facts[0].probes.readiness = PROBE_SUCCESS;
	assert_string_equal(status_text(w), "Running Ready=True a:running");
	w->facts[0].startup_worker = true;
	assert_string_equal(status_text(w), "Running Ready=False/ContainersNotReady a:running");
	assert_false(*w->st.container_statuses.v[0].started);
}

static void a_crash_loop_shows_why_it_waits(void **state)
{
	struct world *w = *state;

	has(w, "a", false);
	sandbox(w);
	shows(w, "a", CRI_EXITED, 7);
	w->facts[0] = (struct container_facts){
		.name = S("a"), .wait_reason = S("CrashLoopBackOff"), .wait_message = S("back-off")};
	w->in.n_facts = 1;
	assert_string_equal(status_text(w),
		"Running Ready=False/ContainersNotReady a:waiting(CrashLoopBackOff)");
	assert_int_equal(w->st.container_statuses.v[0].last_state.terminated->exit_code, 7);
}

static void a_job_is_told_when_nothing_runs_any_more(void **state)
{
	struct world *w = *state;

	w->pod.spec.restart_policy = S("Never");
	w->pod.status.phase = S("Running");
	has(w, "a", false);
	sandbox(w);
	shows(w, "a", CRI_EXITED, 0);
	assert_string_equal(status_text(w), "Running Ready=False/ContainersNotReady a:ended(0)");
	w->in.stopping = false;
	w->in.terminal = true;
	assert_string_equal(status_text(w), "Succeeded Ready=False/PodCompleted a:ended(0)");
	w->o.n_containers = 0;
	shows(w, "a", CRI_EXITED, 2);
	assert_string_equal(status_text(w), "Failed Ready=False/PodFailed a:ended(2)");
}

static void init_containers_hold_a_pod_back(void **state)
{
	struct world *w = *state;

	has(w, "i", true);
	has(w, "a", false);
	sandbox(w);
	shows(w, "i", CRI_RUNNING, 0);
	assert_string_equal(status_text(w), "Pending Ready=False/ContainersNotReady i:running "
					    "a:waiting(PodInitializing)");
	assert_true(str_eq(status_condition(&w->st, "Initialized")->message,
		S("containers with incomplete status: [i]")));
	w->o.n_containers = 0;
	shows(w, "i", CRI_EXITED, 0);
	shows(w, "a", CRI_RUNNING, 0);
	assert_string_equal(status_text(w), "Running Ready=True i:ended(0) a:running");
	w->pod.spec.restart_policy = S("Never");
	w->o.n_containers = 0;
	shows(w, "i", CRI_EXITED, 1);
	w->in.stopping = false;
	assert_string_equal(
		status_text(w), "Failed Ready=False/PodFailed i:ended(1) a:waiting(PodInitializing)");
}

static void times_of_conditions_stay_while_nothing_changes(void **state)
{
	struct world *w = *state;
	struct v1_pod_status first;

	has(w, "a", false);
	sandbox(w);
	shows(w, "a", CRI_RUNNING, 0);
	status_text(w);
	first = w->st;
	w->in.old = &first;
	w->in.now_ns = 9000000000;
	status_text(w);
	assert_int_equal(status_condition(&w->st, "Ready")->last_transition_time.sec, 1);
	assert_true(schema_equal(&v1_pod_status_schema, &first, &w->st));
}

static void readiness_gates_and_foreign_conditions_are_kept(void **state)
{
	struct world *w = *state;
	struct v1_pod_readiness_gate gate = {.condition_type = S("example.com/x")};
	struct v1_pod_condition theirs = {.type = S("example.com/x"), .status = S("False")};

	has(w, "a", false);
	sandbox(w);
	shows(w, "a", CRI_RUNNING, 0);
	ARENA_PUSH(&w->a, &w->pod.spec.readiness_gates, gate);
	assert_string_equal(status_text(w), "Running Ready=False/ReadinessGatesNotReady a:running");
	ARENA_PUSH(&w->a, &w->pod.status.conditions, theirs);
	status_text(w);
	assert_true(str_eq(status_condition(&w->st, "Ready")->message,
		S("the status of pod readiness gate \"example.com/x\" is not \"True\", but False")));
	w->pod.status.conditions.v[0].status = S("True");
	assert_string_equal(status_text(w), "Running Ready=True a:running");
	assert_non_null(status_condition(&w->st, "example.com/x"));
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(a_pod_comes_up),
		T(probes_decide_about_ready),
		T(a_crash_loop_shows_why_it_waits),
		T(a_job_is_told_when_nothing_runs_any_more),
		T(init_containers_hold_a_pod_back),
		T(times_of_conditions_stay_while_nothing_changes),
		T(readiness_gates_and_foreign_conditions_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
