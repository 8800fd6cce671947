#include "sim.h"
#include "../unit/apiserver/signing_key.h"

#include <stdio.h>

enum { BOOTSTRAP_MAX_MS = 10 * 60 * 1000 };

uint64_t world_random(struct world *w, uint64_t below)
{
	return sim_clock_random(w->clock) % below;
}

bool world_percent(struct world *w, int percent)
{
	return world_random(w, 100) < (uint64_t)percent;
}

static void say(struct world *w, const char *fmt, va_list ap)
{
	int64_t ms = sim_clock_now_ms(w->clock);

	fprintf(stderr, "%6jd.%03d ", (intmax_t)(ms / 1000), (int)(ms % 1000));
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
}

void world_note(struct world *w, const char *fmt, ...)
{
	va_list ap;

	if (!w->opts.verbose)
		return;
	va_start(ap, fmt);
	say(w, fmt, ap);
	va_end(ap);
}

void world_fail(struct world *w, const char *fmt, ...)
{
	int64_t ms = sim_clock_now_ms(w->clock);
	char *to = w->result->failure;
	va_list ap;
	int n;

	if (world_failed(w))
		return;
	n = snprintf(to, sizeof(w->result->failure), "at %jd.%03d s: ", (intmax_t)(ms / 1000),
		(int)(ms % 1000));
	va_start(ap, fmt);
	vsnprintf(to + n, sizeof(w->result->failure) - (size_t)n, fmt, ap);
	va_end(ap);
	world_note(w, "FAILED %s", to);
}

/* --- starting --- */

static int backend_fault(void *user_data)
{
	struct world *w = user_data;

	if (!world_percent(w, w->fault_percent))
		return 0;
	w->result->store_errors++;
	return world_percent(w, 50) ? -EIO : -ENOSPC;
}

static void open_store(struct world *w)
{
	struct err err CLEANUP(err_release) = {0};
	struct store_opts opts = {
		.backend = backend_faulty_new(backend_memory_on(w->disk), backend_fault, w),
		.history_events_max = w->history_events_max,
		.sim_loop = w->api_loop,
	};

	if (store_open(&opts, &w->store, &err) < 0) {
		fprintf(stderr, "store: %s\n", err_text(&err));
		abort();
	}
}

static struct client *client_as(
	struct world *w, struct loop *loop, const char *user, struct str group)
{
	struct str groups[] = {S("system:authenticated"), group};
	struct user_info info = {.name = str_c(user), .groups = {groups, str_empty(group) ? 1 : 2}};

	return client_local_new(loop, w->store, apiserver_handler(w->api), &info);
}

static void on_bootstrapped(void *user_data)
{
	((struct world *)user_data)->bootstrapped = true;
}

/* Nobody could have asked for anything before the namespaces are there; a crash before it finds an
 * empty cluster. */
static void bootstrap(struct world *w)
{
	int64_t until_ms = sim_clock_now_ms(w->clock) + BOOTSTRAP_MAX_MS;
	int faults = w->fault_percent;

	w->fault_percent = 0;
	w->bootstrapped = false;
	apiserver_bootstrap(w->api, w->api_loop, on_bootstrapped, w);
	while (!w->bootstrapped && sim_clock_step(w->clock, until_ms))
		;
	if (!w->bootstrapped)
		world_fail(w, "the API server does not get ready");
	w->fault_percent = faults;
}

static void start_api(struct world *w)
{
	struct err err CLEANUP(err_release) = {0};
	struct apiserver_opts opts = {
		.service_account_key_pem = TEST_SIGNING_KEY,
		.store = w->store,
		.clock = w->api_loop,
		.service_cluster_ip_range = "10.254.0.0/16",
		.ca_pem = S("a certificate"),
	};

	if (apiserver_new(&opts, &w->api, &err) < 0) {
		fprintf(stderr, "API server: %s\n", err_text(&err));
		abort();
	}
}

static void start_components(struct world *w)
{
	struct hollow_opts hollow = {
		.client = client_as(w, w->nodes_loop, "hollow", S("system:masters")),
		.name_prefix = "node-",
		.nodes = w->nodes,
		.cpu = "4",
		.pods = "40",
	};

	members_start(w);
	w->hollow = hollow_start(&hollow);
	for (int i = 0; i < w->nodes; i++)
		hollow_set_alive(w->hollow, i, w->alive[i]);
	w->user = client_as(w, w->user_loop, "kubernetes-admin", S("system:masters"));
}

enum { LOOPS = 3 };

static void loops_of(struct world *w, struct loop **to[LOOPS])
{
	to[0] = &w->api_loop;
	to[1] = &w->nodes_loop;
	to[2] = &w->user_loop;
}

void world_start(struct world *w)
{
	struct loop **loops[LOOPS];

	loops_of(w, loops);
	for (size_t i = 0; i < ARRAY_SIZE(loops); i++)
		*loops[i] = loop_new_sim(w->clock);
	open_store(w);
	audit_attach(w->audit);
	start_api(w);
	bootstrap(w);
	start_components(w);
}

/* --- stopping --- */

/* What has been begun in the API server comes to its end, without anybody to hear of it. */
static void drain(struct world *w)
{
	while (sim_clock_step(w->clock, sim_clock_now_ms(w->clock)))
		;
}

static void take_down(struct world *w)
{
	struct loop **loops[LOOPS];

	members_stop(w);
	hollow_stop(w->hollow);
	client_free(w->user);
	workloads_crash(w->workloads);
	audit_detach(w->audit);
	store_crash(w->store);
	drain(w);
	apiserver_free(w->api);
	store_abandon(w->store);
	members_release(w);
	loops_of(w, loops);
	for (size_t i = 0; i < ARRAY_SIZE(loops); i++) {
		loop_free(*loops[i]);
		*loops[i] = NULL;
	}
	w->store = NULL;
}

void world_crash(struct world *w)
{
	world_note(w, "crash at revision %ju", (uintmax_t)store_revision(w->store));
	w->result->crashes++;
	take_down(w);
}

void world_stop(struct world *w)
{
	take_down(w);
}

void world_run(struct world *w, int64_t ms)
{
	int64_t until_ms = sim_clock_now_ms(w->clock) + ms;

	while (!world_failed(w) && sim_clock_step(w->clock, until_ms))
		;
}
