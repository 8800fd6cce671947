#include "client/leader.h"

#include <unistd.h>

#include "client/recorder.h"
#include "types.gen.h"

enum { RELEASE_MAX_MS = 2000, HOST_MAX = 64, HEALTHY_SLACK_MS = 20 * 1000 };

struct leader {
	struct leader_opts opts; /* strings in `arena` */
	struct arena arena;
	struct loop *loop;
	struct client *client;
	struct recorder *recorder;
	struct loop_timer next, deadline;
	bool leads, busy;
	void (*released)(void *user_data);
	void *released_data;

	/* The Lease as it was seen last; revision 0: not yet. */
	struct arena seen_arena;
	struct coordination_v1_lease *seen;
	uint64_t seen_revision;
	int64_t unchanged_since_ms; /* for at least as long it has been as it is */
	int64_t looked_ms;          /* the last look that was answered was begun then; -1: none */
	int64_t asked_ms;           /* the request under way was sent then */
};

static void look(struct leader *l);
static void renew(struct leader *l);

static struct k8s_time now_micro(struct leader *l)
{
	int64_t ns = loop_wall_ns(l->loop);

	return (struct k8s_time){.set = true,
		.sec = ns / 1000000000,
		.nsec = (int32_t)(ns % 1000000000) / 1000 * 1000};
}

static void say(struct leader *l, const char *what)
{
	struct event_about about = {
		.resource = &coordination_v1_lease_resource,
		.ns = str_c(l->opts.ns),
		.name = str_c(l->opts.name),
		.uid = l->seen ? l->seen->metadata.uid : S(""),
		.revision = l->seen_revision,
	};

	log_info("%s %s", l->opts.identity, what);
	recorder_event(
		l->recorder, &about, "Normal", "LeaderElection", "%s %s", l->opts.identity, what);
}

static int32_t transitions(const struct leader *l)
{
	return l->seen && l->seen->spec.lease_transitions ? *l->seen->spec.lease_transitions : 0;
}

/* --- gaining and losing --- */

static void lose(struct leader *l)
{
	if (!l->leads)
		return;
	l->leads = false;
	loop_timer_stop(&l->deadline);
	l->opts.stopped(l->opts.user_data);
	say(l, "stopped leading");
}

static void on_deadline(struct loop_timer *t)
{
	struct leader *l = container_of(t, struct leader, deadline);

	if (l->released) {
		l->released(l->released_data);
		return;
	}
	log_warn("%s: the lease %s/%s could not be renewed", l->opts.identity, l->opts.ns,
		l->opts.name);
	l->looked_ms = -1;
	lose(l);
}

static void on_next(struct loop_timer *t)
{
	struct leader *l = container_of(t, struct leader, next);

	if (l->busy || l->released)
		return;
	if (l->leads)
		renew(l);
	else
		look(l);
}

/* What a candidate has to wait until it may take the lease. */
static int64_t wait_ms(const struct leader *l)
{
	const struct coordination_v1_lease_spec *spec = l->seen ? &l->seen->spec : NULL;
	int64_t duration_ms = l->opts.lease_ms;

	if (!spec || !spec->holder_identity.n)
		return 0;
	if (spec->lease_duration_seconds)
		duration_ms = *spec->lease_duration_seconds * (int64_t)1000;
	return MAX(l->unchanged_since_ms + duration_ms - loop_now_ms(l->loop), 0);
}

/* Again after a while; chance keeps candidates apart. */
static void try_later(struct leader *l, int64_t at_most_ms)
{
	int64_t ms = l->opts.retry_ms;

	if (!l->leads)
		ms += (int64_t)(loop_random(l->loop) % (uint64_t)(l->opts.retry_ms / 5 + 1));
	loop_timer_start(&l->next, MIN(ms, at_most_ms));
}

static void seen(struct leader *l, const struct client_call *call, bool ours)
{
	struct err err CLEANUP(err_release) = {0};
	int64_t now = loop_now_ms(l->loop);
	bool recent =
		l->looked_ms >= 0 && now - l->looked_ms <= l->opts.lease_ms - l->opts.renew_ms;
	void *lease;

	if (call->revision != l->seen_revision) {
		arena_release(&l->seen_arena);
		l->seen = NULL;
		l->seen_revision = 0;
		if (schema_decode_json(&coordination_v1_lease_schema,
			    arena_str(&l->seen_arena, call->answer), &l->seen_arena, NULL, &lease,
			    &err) < 0) {
			log_warn("lease %s/%s: %s", l->opts.ns, l->opts.name, err_text(&err));
			l->unchanged_since_ms = now;
			return;
		}
		l->seen = lease;
		l->seen_revision = call->revision;
		l->unchanged_since_ms = ours ? l->asked_ms : recent ? l->looked_ms : now;
	}
	l->looked_ms = l->asked_ms;
}

static void won(struct leader *l)
{
	int64_t left_ms = l->asked_ms + l->opts.renew_ms - loop_now_ms(l->loop);

	if (left_ms <= 0) { /* an answer that took that long is worth nothing */
		lose(l);
		try_later(l, INT64_MAX);
		return;
	}
	loop_timer_start(&l->deadline, left_ms);
	try_later(l, INT64_MAX);
	if (l->leads)
		return;
	l->leads = true;
	say(l, "became leader");
	l->opts.started(l->opts.user_data);
}

/* --- requests --- */

static void fill(struct leader *l, struct client_call *call, const char *verb)
{
	call->verb = verb;
	call->resource = &coordination_v1_lease_resource;
	call->ns = str_c(l->opts.ns);
	if (strcmp(verb, "create"))
		call->name = str_c(l->opts.name);
	call->user_data = l;
	l->asked_ms = loop_now_ms(l->loop);
	l->busy = true;
}

static struct coordination_v1_lease *lease_in(struct leader *l, struct client_call *call)
{
	struct coordination_v1_lease *lease;
	int32_t seconds = (int32_t)(l->opts.lease_ms / 1000), count = transitions(l);

	lease = l->seen ? schema_copy(&coordination_v1_lease_schema, l->seen, &call->arena)
			: ARENA_NEW(&call->arena, struct coordination_v1_lease);
	lease->metadata.name = str_c(l->opts.name);
	lease->metadata.namespace = str_c(l->opts.ns);
	lease->spec = (struct coordination_v1_lease_spec){
		.holder_identity = str_c(l->opts.identity),
		.lease_duration_seconds = arena_memdup(&call->arena, &seconds, sizeof(seconds)),
		.renew_time = now_micro(l),
		.lease_transitions = arena_memdup(&call->arena, &count, sizeof(count)),
	};
	lease->spec.acquire_time = lease->spec.renew_time;
	return lease;
}

static void written(struct client_call *call)
{
	struct leader *l = call->user_data;

	l->busy = false;
	if (l->released)
		return;
	if (call->result == 0) {
		seen(l, call, true);
		if (l->seen)
			won(l);
		else
			try_later(l, INT64_MAX);
		return;
	}
	if (call->status == 409 || call->status == 404) { /* changed by another */
		look(l);
		return;
	}
	log_warn("lease %s/%s: %s", l->opts.ns, l->opts.name, err_text(&call->err));
	try_later(l, INT64_MAX);
}

static void put(struct leader *l, bool takes)
{
	struct client_call *call = client_call_new(l->client);
	struct coordination_v1_lease *lease = lease_in(l, call);

	if (takes)
		++*lease->spec.lease_transitions;
	else
		lease->spec.acquire_time = l->seen->spec.acquire_time;
	fill(l, call, "update");
	call->object = lease;
	call->done = written;
	client_do(l->client, call);
}

static void renew(struct leader *l)
{
	put(l, false);
}

static void create(struct leader *l)
{
	struct client_call *call = client_call_new(l->client);

	arena_release(&l->seen_arena);
	l->seen = NULL;
	l->seen_revision = 0;
	call->object = lease_in(l, call);
	fill(l, call, "create");
	call->done = written;
	client_do(l->client, call);
}

static bool held_by_us(const struct leader *l)
{
	return l->seen && str_eqc(l->seen->spec.holder_identity, l->opts.identity);
}

static void looked(struct client_call *call)
{
	struct leader *l = call->user_data;

	l->busy = false;
	if (l->released)
		return;
	if (call->status == 404) {
		lose(l); /* deleted under us: nobody may be told to go on */
		create(l);
		return;
	}
	if (call->result < 0) {
		log_debug("lease %s/%s: %s", l->opts.ns, l->opts.name, err_text(&call->err));
		try_later(l, INT64_MAX);
		return;
	}
	seen(l, call, false);
	if (l->leads && held_by_us(l)) {
		renew(l);
		return;
	}
	lose(l);
	/* Our own name in a lease that we do not hold comes from an answer that was lost, or from a
	 * store that was set back: another may hold it still, so it is waited for, too. */
	if (l->seen && wait_ms(l) == 0)
		put(l, true);
	else
		try_later(l, MAX(wait_ms(l), 1));
}

static void look(struct leader *l)
{
	struct client_call *call = client_call_new(l->client);

	fill(l, call, "get");
	call->done = looked;
	client_do(l->client, call);
}

/* --- life --- */

static const char *make_identity(struct leader *l)
{
	uint64_t a = loop_random(l->loop), b = loop_random(l->loop);
	char host[HOST_MAX + 1] = "";

	gethostname(host, HOST_MAX);
	return arena_fmt(&l->arena, "%s_%08x-%04x-4%03x-%04x-%012llx", host, (unsigned)(a >> 32),
		(unsigned)(a >> 16) & 0xffff, (unsigned)a & 0xfff,
		((unsigned)(b >> 48) & 0x3fff) | 0x8000, (unsigned long long)(b & 0xffffffffffff))
		.p;
}

struct leader *leader_new(const struct leader_opts *opts)
{
	struct leader *l = xcalloc(1, sizeof(*l));

	l->opts = *opts;
	l->client = opts->client;
	l->loop = client_loop(opts->client);
	l->looked_ms = -1;
	l->opts.ns = arena_strc(&l->arena, opts->ns).p;
	l->opts.name = arena_strc(&l->arena, opts->name).p;
	l->opts.identity =
		opts->identity ? arena_strc(&l->arena, opts->identity).p : make_identity(l);
	l->recorder = recorder_new(l->client, l->opts.name, NULL);
	loop_timer_init(&l->next, l->loop, on_next);
	loop_timer_init(&l->deadline, l->loop, on_deadline);
	client_start(l->client, NULL, NULL);
	loop_timer_start(&l->next, 0);
	return l;
}

bool leader_leads(const struct leader *l)
{
	return l->leads;
}

bool leader_healthy(const struct leader *l)
{
	return !l->leads ||
	       loop_now_ms(l->loop) - l->unchanged_since_ms <= l->opts.lease_ms + HEALTHY_SLACK_MS;
}

static void given_back(struct client_call *call)
{
	struct leader *l = call->user_data;

	loop_timer_start(&l->deadline, 0);
}

void leader_release(struct leader *l, void (*done)(void *user_data), void *user_data)
{
	bool led = l->leads;

	lose(l);
	loop_timer_stop(&l->next);
	l->released = done;
	l->released_data = user_data;
	loop_timer_start(&l->deadline, led ? RELEASE_MAX_MS : 0);
	if (led && l->seen) {
		struct client_call *call = client_call_new(l->client);
		struct coordination_v1_lease *lease = lease_in(l, call);

		lease->spec.holder_identity = S("");
		*lease->spec.lease_duration_seconds = 1;
		fill(l, call, "update");
		call->object = lease;
		call->done = given_back;
		client_do(l->client, call);
	}
}

void leader_free(struct leader *l)
{
	if (!l)
		return;
	loop_timer_stop(&l->next);
	loop_timer_stop(&l->deadline);
	client_free(l->client);
	recorder_free(l->recorder);
	arena_release(&l->seen_arena);
	arena_release(&l->arena);
	free(l);
}
