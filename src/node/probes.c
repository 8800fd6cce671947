/* probes.c: startup, readiness and liveness probes: one timer per probe, one run at a time. */
#include "node/handler.h"
#include "node/pod.h"

enum probe_type { LIVENESS, READINESS, STARTUP };

struct probe {
	struct pod *pod;
	struct container_memory *memory;
	enum probe_type type;
	struct loop_timer timer;
	bool running, dead;
	struct arena arena; /* of what a run under way borrows */
	enum handler_result last;
	int in_a_row; /* results like `last` */
	bool on_hold; /* failed for good: waits for the next instance */
};

static const char *const type_names[] = {"Liveness", "Readiness", "Startup"};

static const struct v1_probe *spec_of(const struct v1_container *c, enum probe_type t)
{
	return t == LIVENESS    ? c->liveness_probe
	       : t == READINESS ? c->readiness_probe
				: c->startup_probe;
}

static enum probe_result *result_of(struct container_memory *m, enum probe_type t)
{
	return t == LIVENESS    ? &m->results.liveness
	       : t == READINESS ? &m->results.readiness
				: &m->results.startup;
}

static void probe_free(struct probe *b)
{
	loop_timer_stop(&b->timer);
	arena_release(&b->arena);
	free(b);
}

static void set_result(struct probe *b, enum probe_result to)
{
	enum probe_result *at = result_of(b->memory, b->type);

	if (*at == to)
		return;
	*at = to;
	pod_wake(b->pod);
}

/* --- one run --- */

static void judge(
	struct probe *b, const struct v1_probe *spec, enum handler_result r, struct str output)
{
	b->memory->probe_totals[b->type][r]++;
	if (r != HANDLER_OK)
		pod_event(b->pod, str_c(b->memory->name), "Warning", "Unhealthy",
			r == HANDLER_ERROR
				? "%s probe errored and resulted in unknown state: " STR_FMT
				: "%s probe failed: " STR_FMT,
			type_names[b->type], STR_ARG(output));
	if (r == HANDLER_ERROR)
		return; /* tells nothing */
	b->in_a_row = r == b->last ? b->in_a_row + 1 : 1;
	b->last = r;
	if (r == HANDLER_OK ? b->in_a_row < MAX(spec->success_threshold, 1)
			    : b->in_a_row < MAX(spec->failure_threshold, 1))
		return;
	set_result(b, r == HANDLER_OK ? PROBE_SUCCESS : PROBE_FAILURE);
	if (r != HANDLER_OK && b->type != READINESS) {
		b->on_hold = true;
		b->in_a_row = 0;
	}
	if (r == HANDLER_OK && b->type == STARTUP)
		b->on_hold = true;
}

static void run_done(void *user_data, enum handler_result result, struct str output)
{
	struct probe *b = user_data;
	struct pod *p = b->pod;
	struct v1_pod *spec;
	const struct v1_container *c;
	struct arena a;

	b->running = false;
	arena_release(&b->arena);
	if (b->dead) {
		probe_free(b);
		pod_ops_end(p);
		return;
	}
	arena_init(&a);
	spec = pod_decode(p, &a);
	c = spec ? pod_container(spec, str_c(b->memory->name), NULL) : NULL;
	if (c && spec_of(c, b->type))
		judge(b, spec_of(c, b->type), result, output);
	arena_release(&a);
	pod_ops_end(p);
}

static void run(struct probe *b, const struct v1_pod *spec, const struct v1_container *c,
	const struct v1_probe *s)
{
	struct str_vec ips = pod_facts(b->pod, spec, &b->arena).pod_ips;

	b->running = true;
	pod_ops_begin(b->pod);
	handler_run(b->pod->k, &(struct handler_request){.exec = s->exec,
				       .http_get = s->http_get,
				       .tcp_socket = s->tcp_socket,
				       .grpc = s->grpc,
				       .container = c,
				       .container_id = str_c(b->memory->probes_id),
				       .pod_ip = ips.n ? ips.v[0] : S(""),
				       .timeout_ms = MAX(s->timeout_seconds, 1) * 1000,
				       .probe = true,
				       .user_data = b,
				       .done = run_done});
}

static void timer_fired(struct loop_timer *t)
{
	struct probe *b = container_of(t, struct probe, timer);
	struct container_memory *m = b->memory;
	const struct cri_container_status *st = observed_find(&b->pod->observed, str_c(m->name));
	int64_t period_ms = 1000, now_ns = loop_wall_ns(b->pod->k->loop);
	const struct v1_container *c;
	const struct v1_probe *s;
	struct v1_pod *spec;
	struct arena a;

	arena_init(&a);
	spec = pod_decode(b->pod, &a);
	c = spec ? pod_container(spec, str_c(m->name), NULL) : NULL;
	s = c ? spec_of(c, b->type) : NULL;
	if (s)
		period_ms = MAX(s->period_seconds, 1) * 1000;
	loop_timer_start(&b->timer, period_ms);
	if (s && st && st->state == CRI_RUNNING && m->probes_id && str_eqc(st->id, m->probes_id) &&
		!b->running && !b->on_hold) {
		int64_t left_ms = st->started_ns / 1000000 + s->initial_delay_seconds * 1000 -
				  now_ns / 1000000;

		/* Until it has started up only the startup probe speaks. */
		if (b->type != STARTUP && m->probes[STARTUP] && m->results.startup != PROBE_SUCCESS)
			loop_timer_start(&b->timer, MIN(period_ms, 1000));
		else if (left_ms > 0)
			loop_timer_start(&b->timer, left_ms);
		else
			run(b, spec, c, s);
	}
	arena_release(&a);
}

/* --- as containers come and go --- */

static void probe_start(struct pod *p, struct container_memory *m, enum probe_type t)
{
	struct probe *b = xcalloc(1, sizeof(*b));

	b->pod = p;
	b->memory = m;
	b->type = t;
	arena_init(&b->arena);
	loop_timer_init(&b->timer, p->k->loop, timer_fired);
	m->probes[t] = b;
}

static void new_instance(struct container_memory *m, struct str id)
{
	set_string(&m->probes_id, id);
	m->results = (struct probe_results){.id = str_c(m->probes_id)};
	for (size_t t = 0; t < ARRAY_SIZE(m->probes); t++) {
		struct probe *b = m->probes[t];

		if (!b)
			continue;
		b->on_hold = false;
		b->in_a_row = 0;
		b->last = HANDLER_ERROR;
		/* Liveness starts out as success, readiness as failure, startup as unknown. */
		if (t == LIVENESS)
			m->results.liveness = PROBE_SUCCESS;
		if (t == READINESS)
			m->results.readiness = PROBE_FAILURE;
		loop_timer_start(&b->timer, 0);
	}
}

static void sync_one(struct pod *p, const struct v1_container *c)
{
	struct container_memory *m = pod_memory(p, c->name);
	const struct cri_container_status *s = observed_find(&p->observed, c->name);

	for (enum probe_type t = LIVENESS; t <= STARTUP; t++)
		if (spec_of(c, t) && !m->probes[t])
			probe_start(p, m, t);
	if (s && s->state == CRI_RUNNING && (!m->probes_id || !str_eqc(s->id, m->probes_id)))
		new_instance(m, s->id);
}

void probes_sync(struct pod *p, const struct v1_pod *spec)
{
	for (size_t i = 0; i < spec->spec.containers.n; i++)
		sync_one(p, &spec->spec.containers.v[i]);
	for (size_t i = 0; i < spec->spec.init_containers.n; i++)
		if (container_is_sidecar(&spec->spec.init_containers.v[i]))
			sync_one(p, &spec->spec.init_containers.v[i]);
}

void probes_stop(struct pod *p, bool all)
{
	for (struct container_memory *m = p->containers; m; m = m->next) {
		for (size_t t = 0; t < ARRAY_SIZE(m->probes); t++) {
			struct probe *b = m->probes[t];

			if (!b || (t == READINESS && !all))
				continue;
			loop_timer_stop(&b->timer);
			if (all) {
				m->probes[t] = NULL;
				if (b->running)
					b->dead = true;
				else
					probe_free(b);
			} else {
				b->on_hold = true;
			}
		}
	}
}
