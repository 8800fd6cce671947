/* What the event recorder writes, as client-go would: counts, combined events, the cut-off. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "client/recorder.h"
#include "types.gen.h"

struct fixture {
	struct client client;
	struct sim_clock *clock;
	struct recorder *recorder;
	struct client_call *calls[256];
	size_t n, created, patched;
	char body[2048]; /* of the last patch, or the message of the last creation */
};

static void do_call(struct client *c, struct client_call *call)
{
	struct fixture *f = container_of(c, struct fixture, client);
	const struct v1_event *ev = call->object;
	struct str text = ev ? ev->message : call->body;

	f->created += !strcmp(call->verb, "create");
	f->patched += !strcmp(call->verb, "patch");
	snprintf(f->body, sizeof(f->body), STR_FMT, STR_ARG(text));
	assert_true(f->n < ARRAY_SIZE(f->calls));
	f->calls[f->n++] = call;
}

/* Answers all calls; status 0: success. */
static void answer(struct fixture *f, int status)
{
	for (size_t i = 0; i < f->n; i++) {
		struct client_call *call = f->calls[i];

		call->status = status;
		call->result = status == 404 ? -ENOENT : status ? -EIO : 0;
		call->done(call);
		arena_release(&call->arena);
		free(call);
	}
	f->n = 0;
}

static const struct client_ops ops = {.do_call = do_call};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->clock = sim_clock_new(1, 1767225600000000000);
	f->client.ops = &ops;
	f->client.loop = loop_new_sim(f->clock);
	f->recorder = recorder_new(&f->client, "tester", "host");
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	answer(f, 0);
	recorder_free(f->recorder);
	loop_free(f->client.loop);
	sim_clock_free(f->clock);
	free(f);
	return 0;
}

static const struct event_about pod = {
	.resource = &v1_pod_resource, .ns = {"default", 7}, .name = {"web", 3}, .uid = {"u", 1}};

static void test_counts(void **state)
{
	struct fixture *f = *state;

	recorder_event(f->recorder, &pod, "Warning", "BackOff", "restarting \"%s\"", "web");
	const struct v1_event *ev = f->calls[0]->object;
	assert_int_equal(ev->count, 1);
	assert_true(str_eqc(ev->involved_object.kind, "Pod"));
	assert_true(str_eqc(ev->source.component, "tester"));
	assert_true(str_starts(ev->metadata.name, S("web.")));
	recorder_event(f->recorder, &pod, "Warning", "BackOff", "restarting \"%s\"", "web");
	assert_int_equal(f->created, 1);
	assert_int_equal(f->patched, 1);
	assert_string_equal(f->body, "{\"count\":2,\"lastTimestamp\":\"2026-01-01T00:00:00Z\","
				     "\"message\":\"restarting \\\"web\\\"\"}");
	/* it has expired: the next is a new one */
	answer(f, 404);
	recorder_event(f->recorder, &pod, "Warning", "BackOff", "restarting \"%s\"", "web");
	assert_int_equal(f->created, 2);
}

static void test_combined(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 9; i++)
		recorder_event(f->recorder, &pod, "Normal", "Pulled", "image %d", i);
	assert_int_equal(f->created, 9);
	recorder_event(f->recorder, &pod, "Normal", "Pulled", "image %d", 9);
	assert_string_equal(f->body, "(combined from similar events): image 9");
	assert_int_equal(f->created, 10);
	recorder_event(f->recorder, &pod, "Normal", "Pulled", "image %d", 10);
	assert_int_equal(f->created, 10);
	assert_int_equal(f->patched, 1);
	/* another reason is another matter */
	recorder_event(f->recorder, &pod, "Normal", "Started", "image %d", 10);
	assert_string_equal(f->body, "image 10");
}

static void test_cut_off(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 100; i++)
		recorder_event(f->recorder, &pod, "Warning", "Unhealthy", "probe failed");
	assert_int_equal(f->created + f->patched, 25);
	sim_clock_step(f->clock, 300 * 1000); /* one more every five minutes */
	recorder_event(f->recorder, &pod, "Warning", "Unhealthy", "probe failed");
	recorder_event(f->recorder, &pod, "Warning", "Unhealthy", "probe failed");
	assert_int_equal(f->created + f->patched, 26);
	assert_non_null(strstr(f->body, "\"count\":101"));
}

static void test_long(void **state)
{
	struct fixture *f = *state;
	char text[4096];

	memset(text, 'x', sizeof(text));
	memcpy(text + 1023, "\xc3\xa9", 2); /* a character over the edge */
	text[sizeof(text) - 1] = 0;
	recorder_event(f->recorder, &pod, "Normal", "Long", "%s", text);
	assert_int_equal(strlen(f->body), 1023);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(test_counts), CASE(test_combined), CASE(test_cut_off), CASE(test_long)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
