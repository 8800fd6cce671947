/*
 * status_writer.c: brings a pod's status to the API: only when it differs from what was written
 * last, one write at a time, as a strategic merge patch that touches nothing of what others own.
 */
#include "node/pod.h"

enum { RETRY_MS = 1000, PATCH_MAX = 1 << 20 };

struct status_writer {
	struct pod *pod;
	struct arena arena;         /* of `last` */
	struct v1_pod_status *last; /* the newest generated one */
	struct str mirror_uid;      /* unused for pods of the API */
	bool dirty, busy;
	struct loop_timer timer;
};

static void write_out(struct status_writer *w);

static void timer_fired(struct loop_timer *t)
{
	write_out(container_of(t, struct status_writer, timer));
}

struct status_writer *status_writer_new(struct pod *p)
{
	struct status_writer *w = xcalloc(1, sizeof(*w));

	w->pod = p;
	arena_init(&w->arena);
	loop_timer_init(&w->timer, p->k->loop, timer_fired);
	return w;
}

void status_writer_free(struct status_writer *w)
{
	loop_timer_stop(&w->timer);
	arena_release(&w->arena);
	free(w);
}

const struct v1_pod_status *status_writer_last(const struct status_writer *w)
{
	return w->last;
}

bool status_writer_idle(const struct status_writer *w)
{
	return !w->dirty && !w->busy;
}

/* --- the patch --- */

static bool written_by_others(const struct v1_pod_status *api, const struct v1_pod_condition *c)
{
	static const char *const own[] = {"PodScheduled", "Ready", "Initialized", "ContainersReady",
		"PodReadyToStartContainers", "PodResizePending", "PodResizeInProgress"};

	(void)api;
	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		if (str_eqc(c->type, own[i]))
			return false;
	return true;
}

/* A list of addresses that the API merges by address: those of now, and which of the old ones go.
 */
static void patch_ips(
	struct buf *b, const char *name, const struct str_vec *old, const struct str_vec *now)
{
	size_t n = 0;

	if (!old->n && !now->n)
		return;
	buf_fmt(b, ",\"%s\":[", name);
	for (size_t i = 0; i < now->n; i++)
		buf_fmt(b, "%s{\"ip\":\"" STR_FMT "\"}", n++ ? "," : "", STR_ARG(now->v[i]));
	for (size_t i = 0; i < old->n; i++)
		if (!str_vec_has(now, old->v[i]))
			buf_fmt(b, "%s{\"$patch\":\"delete\",\"ip\":\"" STR_FMT "\"}",
				n++ ? "," : "", STR_ARG(old->v[i]));
	buf_add_char(b, ']');
}

static struct str_vec pod_ips(const struct v1_pod_status *s, struct arena *a)
{
	struct str_vec ips = {0};

	for (size_t i = 0; i < s->pod_ips.n; i++)
		ARENA_PUSH(a, &ips, s->pod_ips.v[i].ip);
	return ips;
}

static struct str_vec host_ips(const struct v1_pod_status *s, struct arena *a)
{
	struct str_vec ips = {0};

	for (size_t i = 0; i < s->host_ips.n; i++)
		ARENA_PUSH(a, &ips, s->host_ips.v[i].ip);
	return ips;
}

static void patch_conditions(
	struct buf *b, const struct v1_pod_status *api, const struct v1_pod_status *s)
{
	size_t n = 0;

	buf_add_c(b, ",\"conditions\":[");
	for (size_t i = 0; i < s->conditions.n; i++) {
		if (written_by_others(api, &s->conditions.v[i]))
			continue;
		if (n++)
			buf_add_char(b, ',');
		/* What is gone since the last time has to be said. */
		if (str_empty(s->conditions.v[i].reason) || str_empty(s->conditions.v[i].message)) {
			size_t at = b->n;

			schema_encode_json(&v1_pod_condition_schema, &s->conditions.v[i], b);
			if (b->n > at && !buf_failed(b))
				b->n--; /* the closing brace */
			buf_fmt(b, "%s%s}",
				str_empty(s->conditions.v[i].reason) ? ",\"reason\":null" : "",
				str_empty(s->conditions.v[i].message) ? ",\"message\":null" : "");
		} else {
			schema_encode_json(&v1_pod_condition_schema, &s->conditions.v[i], b);
		}
	}
	for (size_t i = 0; i < api->conditions.n; i++) {
		const struct v1_pod_condition *c = &api->conditions.v[i];

		if (written_by_others(api, c) || status_condition(s, c->type.p) ||
			!str_starts(c->type, S("PodResize")))
			continue;
		buf_fmt(b, "%s{\"$patch\":\"delete\",\"type\":\"" STR_FMT "\"}", n++ ? "," : "",
			STR_ARG(c->type));
	}
	buf_add_char(b, ']');
}

static struct str make_patch(
	struct status_writer *w, struct str uid, const struct v1_pod_status *api, struct arena *a)
{
	struct v1_pod_status s = *w->last;
	struct buf b CLEANUP(buf_release) = {0};
	struct str_vec old, now;
	size_t at;

	buf_init(&b, PATCH_MAX);
	buf_fmt(&b, "{\"metadata\":{\"uid\":\"" STR_FMT "\"},\"status\":", STR_ARG(uid));
	s.conditions = (struct v1_pod_condition_vec){0};
	s.pod_ips = (struct v1_pod_ip_vec){0};
	s.host_ips = (struct v1_host_ip_vec){0};
	s.resource_claim_statuses = (struct v1_pod_resource_claim_status_vec){0};
	at = b.n;
	schema_encode_json(&v1_pod_status_schema, &s, &b);
	if (b.n > at && !buf_failed(&b))
		b.n--;
	patch_conditions(&b, api, w->last);
	old = pod_ips(api, a);
	now = pod_ips(w->last, a);
	patch_ips(&b, "podIPs", &old, &now);
	old = host_ips(api, a);
	now = host_ips(w->last, a);
	patch_ips(&b, "hostIPs", &old, &now);
	if (str_empty(s.message) && !str_empty(api->message))
		buf_add_c(&b, ",\"message\":null");
	if (str_empty(s.reason) && !str_empty(api->reason))
		buf_add_c(&b, ",\"reason\":null");
	if (str_empty(s.pod_ip) && !str_empty(api->pod_ip))
		buf_add_c(&b, ",\"podIP\":null");
	buf_add_c(&b, "}}");
	return buf_failed(&b) ? (struct str){0} : arena_str(a, buf_str(&b));
}

/* --- writing --- */

static void written(struct client_call *call)
{
	struct pod *p = call->user_data;
	struct status_writer *w = p->status;

	w->busy = false;
	if (call->result < 0 && call->status != 404 && call->status != 409) {
		log_warn("pod " STR_FMT "/" STR_FMT ": writing its status: %s", STR_ARG(p->ns),
			STR_ARG(p->name), err_text(&call->err));
		w->dirty = true;
		loop_timer_start(&w->timer, RETRY_MS);
	} else if (w->dirty) {
		write_out(w);
	}
	pod_ops_end(p);
}

static void write_out(struct status_writer *w)
{
	struct pod *p = w->pod;
	const struct object *target = p->is_static ? static_pods_mirror_of(p->k, p) : p->object;
	struct client_call *call;
	struct v1_pod *now;

	if (w->busy || !w->dirty || p->gone || loop_timer_armed(&w->timer)) /* it failed just now */
		return;
	if (!target) { /* no mirror in the API yet */
		w->dirty = p->is_static;
		return;
	}
	call = client_call_new(p->k->client);
	now = object_decode(object_ref_in(&call->arena, target), &call->arena);
	call->verb = "patch";
	call->resource = &v1_pod_resource;
	call->ns = p->ns;
	call->name = p->name;
	call->subresource = S("status");
	call->content_type = "application/strategic-merge-patch+json";
	call->body = make_patch(w, target->uid, &now->status, &call->arena);
	call->done = written;
	call->user_data = p;
	w->dirty = false;
	w->busy = true;
	pod_ops_begin(p);
	client_do(p->k->client, call);
}

/* Whether the API shows it already: after a restart there is nothing to say. */
static bool shown(const struct v1_pod_status *api, const struct v1_pod_status *s)
{
	return schema_equal(&v1_pod_status_schema, api, s);
}

void status_writer_set(
	struct status_writer *w, const struct v1_pod *spec, const struct v1_pod_status *s)
{
	bool first = w->last == NULL;
	struct arena old = w->arena;

	if (w->last && schema_equal(&v1_pod_status_schema, w->last, s)) {
		write_out(w);
		return;
	}
	arena_init(&w->arena);
	w->last = schema_copy(&v1_pod_status_schema, s, &w->arena);
	arena_release(&old);
	w->dirty = !first || !shown(&spec->status, s);
	write_out(w);
}
