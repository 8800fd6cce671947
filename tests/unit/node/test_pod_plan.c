/* test_pod_plan.c: pod and observed state in, actions out. */
#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>

#include "node/pod_plan.h"

struct world {
	struct arena a;
	struct v1_pod pod;
	struct observed o;
	struct probe_results probes[8];
	size_t n_probes;
};

static int set_up(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));

	arena_init(&w->a);
	w->pod.spec.restart_policy = S("Always");
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

static void has(struct world *w, enum container_kind kind, const char *name, bool sidecar)
{
	struct v1_container c = {.name = str_c(name), .image = S("busybox")};

	if (sidecar)
		c.restart_policy = S("Always");
	if (kind == CONTAINER_INIT)
		ARENA_PUSH(&w->a, &w->pod.spec.init_containers, c);
	else
		ARENA_PUSH(&w->a, &w->pod.spec.containers, c);
}

static void sandbox(struct world *w, bool ready, uint32_t attempt)
{
	struct {
		struct cri_sandbox_status *v;
		size_t n;
	} all = {w->o.sandboxes, w->o.n_sandboxes};
	struct cri_sandbox_status s = {.id = S("sb"), .attempt = attempt, .ready = ready};

	s.created_ns = 1 + attempt;
	ARENA_PUSH(&w->a, &s.ips, S("10.1.0.2"));
	ARENA_PUSH(&w->a, &all, s);
	w->o.sandboxes = all.v;
	w->o.n_sandboxes = all.n;
	observed_sort(&w->o);
}

static void shows(struct world *w, const char *name, enum cri_state state, int exit_code)
{
	struct {
		struct cri_container_status *v;
		size_t n;
	} all = {w->o.containers, w->o.n_containers};
	struct cri_container_status s = {.name = str_c(name), .id = str_c(name), .state = state};

	s.exit_code = exit_code;
	s.created_ns = (int64_t)all.n + 1;
	ARENA_PUSH(&w->a, &all, s);
	w->o.containers = all.v;
	w->o.n_containers = all.n;
	observed_sort(&w->o);
}

/* The plan as text: "sandbox@0 start:a start:b kill:c kill-pod". */
static const char *plan_text(struct world *w)
{
	struct pod_plan_input in = {&w->pod, &w->o, w->probes, w->n_probes};
	struct pod_plan p;
	struct buf b;
	const char *text;

	pod_plan(&in, &w->a, &p);
	buf_init(&b, 4096);
	buf_add_c(&b, "");
	if (p.kill_pod)
		buf_add_c(&b, " kill-pod");
	if (p.create_sandbox)
		buf_fmt(&b, " sandbox@%u", p.attempt);
	for (size_t i = 0; i < p.kills.n; i++)
		buf_fmt(&b, " kill:" STR_FMT, STR_ARG(p.kills.v[i].name));
	for (size_t i = 0; i < p.starts.n; i++)
		buf_fmt(&b, " start:" STR_FMT,
			STR_ARG(pod_container_at(&w->pod, p.starts.v[i].kind, p.starts.v[i].index)
					->name));
	text = arena_cstr(&w->a, buf_str(&b));
	buf_release(&b);
	return text;
}

static void a_new_pod_gets_a_sandbox_first(void **state)
{
	struct world *w = *state;

	has(w, CONTAINER_REGULAR, "a", false);
	assert_string_equal(plan_text(w), " kill-pod sandbox@0 start:a");
	sandbox(w, true, 0);
	assert_string_equal(plan_text(w), " start:a");
	shows(w, "a", CRI_RUNNING, 0);
	assert_string_equal(plan_text(w), "");
}

static void init_containers_run_one_after_the_other(void **state)
{
	struct world *w = *state;

	has(w, CONTAINER_INIT, "i1", false);
	has(w, CONTAINER_INIT, "i2", false);
	has(w, CONTAINER_REGULAR, "a", false);
	sandbox(w, true, 0);
	assert_string_equal(plan_text(w), " start:i1");
	shows(w, "i1", CRI_RUNNING, 0);
	assert_string_equal(plan_text(w), "");
	shows(w, "i1", CRI_EXITED, 0);
	assert_string_equal(plan_text(w), " start:i2");
	shows(w, "i2", CRI_EXITED, 0);
	assert_string_equal(plan_text(w), " start:a");
}

static void a_failed_init_container_ends_a_pod_that_never_restarts(void **state)
{
	struct world *w = *state;

	w->pod.spec.restart_policy = S("Never");
	has(w, CONTAINER_INIT, "i1", false);
	has(w, CONTAINER_REGULAR, "a", false);
	sandbox(w, true, 0);
	shows(w, "i1", CRI_EXITED, 1);
	assert_string_equal(plan_text(w), " kill-pod");
	w->pod.spec.restart_policy = S("OnFailure");
	assert_string_equal(plan_text(w), " start:i1");
}

static void a_sidecar_lets_the_next_one_start_while_it_runs(void **state)
{
	struct world *w = *state;

	has(w, CONTAINER_INIT, "side", true);
	has(w, CONTAINER_INIT, "i2", false);
	has(w, CONTAINER_REGULAR, "a", false);
	sandbox(w, true, 0);
	assert_string_equal(plan_text(w), " start:side");
	shows(w, "side", CRI_RUNNING, 0);
	assert_string_equal(plan_text(w), " start:i2");
	shows(w, "i2", CRI_EXITED, 0);
	assert_string_equal(plan_text(w), " start:a");
	shows(w, "a", CRI_RUNNING, 0);
	shows(w, "side", CRI_EXITED, 1);
	assert_string_equal(plan_text(w), " start:side");
}

static void restart_policies_decide_about_what_has_ended(void **state)
{
	struct world *w = *state;

	has(w, CONTAINER_REGULAR, "a", false);
	has(w, CONTAINER_REGULAR, "b", false);
	sandbox(w, true, 0);
	shows(w, "a", CRI_EXITED, 0);
	shows(w, "b", CRI_EXITED, 3);
	assert_string_equal(plan_text(w), " start:a start:b");
	w->pod.spec.restart_policy = S("OnFailure");
	assert_string_equal(plan_text(w), " start:b");
	w->pod.spec.restart_policy = S("Never");
	assert_string_equal(plan_text(w), " kill-pod");
}

static void a_failed_probe_kills_and_restarts(void **state)
{
	struct world *w = *state;

	has(w, CONTAINER_REGULAR, "a", false);
	has(w, CONTAINER_REGULAR, "b", false);
	sandbox(w, true, 0);
	shows(w, "a", CRI_RUNNING, 0);
	shows(w, "b", CRI_RUNNING, 0);
	w->probes[w->n_probes++] = (struct probe_results){S("a"), PROBE_UNKNOWN, PROBE_FAILURE, 0};
	assert_string_equal(plan_text(w), " kill:a start:a");
	w->pod.spec.restart_policy = S("Never");
	assert_string_equal(plan_text(w), " kill:a");
}

static void a_dead_sandbox_is_replaced_unless_the_pod_is_done(void **state)
{
	struct world *w = *state;

	has(w, CONTAINER_REGULAR, "a", false);
	sandbox(w, false, 0);
	shows(w, "a", CRI_EXITED, 0);
	assert_string_equal(plan_text(w), " kill-pod sandbox@1 start:a");
	w->pod.spec.restart_policy = S("OnFailure");
	assert_string_equal(plan_text(w), " kill-pod");
	w->pod.spec.restart_policy = S("Never");
	assert_string_equal(plan_text(w), " kill-pod");
}

static void restart_rules_look_at_exit_codes(void **state)
{
	struct world *w = *state;
	int32_t code = 42;
	struct v1_container_restart_rule_on_exit_codes on = {
		.operator= S("In"), .values = {&code, 1}};
	struct v1_container_restart_rule rule = {.action = S("Restart"), .exit_codes = &on};

	w->pod.spec.restart_policy = S("Never");
	has(w, CONTAINER_REGULAR, "a", false);
	w->pod.spec.containers.v[0].restart_policy_rules =
		(struct v1_container_restart_rule_vec){&rule, 1};
	sandbox(w, true, 0);
	shows(w, "a", CRI_EXITED, 42);
	assert_string_equal(plan_text(w), " start:a");
	shows(w, "a", CRI_EXITED, 1);
	assert_string_equal(plan_text(w), " kill-pod");
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(a_new_pod_gets_a_sandbox_first),
		T(init_containers_run_one_after_the_other),
		T(a_failed_init_container_ends_a_pod_that_never_restarts),
		T(a_sidecar_lets_the_next_one_start_while_it_runs),
		T(restart_policies_decide_about_what_has_ended),
		T(a_failed_probe_kills_and_restarts),
		T(a_dead_sandbox_is_replaced_unless_the_pod_is_done),
		T(restart_rules_look_at_exit_codes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
