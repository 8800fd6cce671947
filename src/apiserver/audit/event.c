/* event.c: one request on its way through the server, as events of the audit log. */
#include <arpa/inet.h>

#include "apiserver/audit/audit.h"
#include "apiserver/decode.h"
#include "apiserver/server.h"
#include "json/value.h"
#include "json/write.h"

enum { EVENT_MAX = 16 << 20, ANSWER_MAX = 8 << 20, USER_AGENT_MAX = 1024 };

struct audit_sink {
	struct arena arena;
	struct audit_v1_policy *policy;
	struct audit_log *log;
};

/* In the request's arena; the buffer is released at the end. */
struct request_audit {
	struct audit_sink *audit;
	struct audit_verdict verdict;
	struct audit_v1_event event;
	struct str_map annotations;
	const struct http_exchange_ops *ops; /* the transport's */
	struct buf answer;
	bool keeps; /* the answer, whatever it is */
	bool long_running, failed_auth, started;
};

int audit_sink_new(const struct audit_opts *opts, struct audit_sink **ret, struct err *err)
{
	struct audit_sink *a = xcalloc(1, sizeof(*a));
	struct str_vec warnings = {0};
	int r = audit_policy_parse(
		&a->arena, arena_str(&a->arena, opts->policy), &a->policy, &warnings, err);

	for (size_t i = 0; r == 0 && i < warnings.n; i++)
		log_warn("audit policy: " STR_FMT, STR_ARG(warnings.v[i]));
	if (r == 0)
		r = audit_log_open(&opts->log, &a->log, err);
	if (r < 0) {
		audit_sink_free(a);
		return r;
	}
	*ret = a;
	return 0;
}

void audit_sink_free(struct audit_sink *a)
{
	if (!a)
		return;
	audit_log_close(a->log);
	arena_release(&a->arena);
	free(a);
}

/* --- writing an event --- */

static struct k8s_time micro_time(int64_t ns)
{
	return (struct k8s_time){true, ns % 1000000000 / 1000 * 1000, ns / 1000000000};
}

static void sort_annotations(struct str_map *m)
{
	for (size_t i = 1; i < m->n; i++)
		for (size_t k = i; k > 0 && str_cmp(m->v[k - 1].key, m->v[k].key) > 0; k--) {
			struct str_pair t = m->v[k];

			m->v[k] = m->v[k - 1];
			m->v[k - 1] = t;
		}
}

static void emit(struct request *r, enum audit_stage stage, const char *name)
{
	struct request_audit *a = r->audit;
	struct buf b;

	if (a->verdict.omit & stage)
		return;
	a->event.stage = str_c(name);
	a->event.stage_timestamp = stage == AUDIT_RECEIVED ? a->event.request_received_timestamp
							   : micro_time(loop_wall_ns(r->loop));
	metrics_audit_event(r->s->metrics);
	sort_annotations(&a->annotations);
	a->event.annotations = a->annotations;
	buf_init(&b, EVENT_MAX);
	schema_encode_json(&audit_v1_event_schema, &a->event, &b);
	if (!buf_failed(&b))
		audit_log_write(a->audit->log, buf_str(&b));
	buf_release(&b);
}

/* --- what is answered --- */

static struct meta_v1_status *response_status(struct request *r)
{
	struct audit_v1_event *e = &r->audit->event;

	if (!e->response_status)
		e->response_status = ARENA_NEW(r->arena, struct meta_v1_status);
	return e->response_status;
}

static void on_start(struct http_exchange *x)
{
	struct request *r = x->user_data;
	struct request_audit *a = r->audit;

	if (a->started)
		return;
	a->started = true;
	response_status(r)->code = x->status;
	if (a->failed_auth || a->long_running)
		emit(r, AUDIT_STARTED, "ResponseStarted");
}

/* A Status is told at every level, the rest only to the highest. */
static bool keep(struct http_exchange *x)
{
	const struct request *r = x->user_data;

	return !r->audit->long_running && (r->audit->keeps || x->status >= 400);
}

static void ops_start(struct http_exchange *x)
{
	on_start(x);
	((struct request *)x->user_data)->audit->ops->start(x);
}

static void ops_write(struct http_exchange *x, struct str bytes)
{
	struct request_audit *a = ((struct request *)x->user_data)->audit;

	if (keep(x))
		buf_add_str(&a->answer, bytes);
	a->ops->write(x, bytes);
}

static void ops_write_object(struct http_exchange *x, struct str bytes, const struct object *o)
{
	struct request_audit *a = ((struct request *)x->user_data)->audit;

	if (keep(x))
		buf_add_str(&a->answer, bytes);
	a->ops->write_object(x, bytes, o);
}

static void ops_flush(struct http_exchange *x)
{
	((struct request *)x->user_data)->audit->ops->flush(x);
}

static void ops_end(struct http_exchange *x)
{
	((struct request *)x->user_data)->audit->ops->end(x);
}

static void ops_respond(struct http_exchange *x, struct str body)
{
	struct request_audit *a = ((struct request *)x->user_data)->audit;

	on_start(x);
	if (keep(x))
		buf_add_str(&a->answer, body);
	a->ops->respond(x, body);
}

static void ops_abort(struct http_exchange *x)
{
	((struct request *)x->user_data)->audit->ops->abort(x);
}

static struct conn *ops_upgrade(struct http_exchange *x, struct err *err)
{
	struct request *r = x->user_data;

	response_status(r)->code = 101;
	if (!r->audit->started && r->audit->long_running) {
		r->audit->started = true;
		emit(r, AUDIT_STARTED, "ResponseStarted");
	}
	return r->audit->ops->upgrade(x, err);
}

static const struct http_exchange_ops watching = {
	.start = ops_start,
	.write = ops_write,
	.write_object = ops_write_object,
	.flush = ops_flush,
	.end = ops_end,
	.respond = ops_respond,
	.abort = ops_abort,
	.upgrade = ops_upgrade,
};
/* For transports that have no respond of their own. */
static const struct http_exchange_ops watching_simple = {
	.start = ops_start,
	.write = ops_write,
	.write_object = ops_write_object,
	.flush = ops_flush,
	.end = ops_end,
	.abort = ops_abort,
	.upgrade = ops_upgrade,
};

/* --- the answer as JSON --- */

static struct str answer_header(const struct http_exchange *x, const char *name)
{
	for (size_t i = 0; i < x->n_out_headers; i++)
		if (str_ieq(x->out_headers[i].name, str_c(name)))
			return x->out_headers[i].value;
	return (struct str){0};
}

static struct str proto_as_json(struct arena *a, struct str body)
{
	struct str version, kind, message, group, v, out = {0};
	const struct schema_type *type;
	void *typed;
	struct buf b;

	if (schema_unwrap_proto(body, &version, &kind, &message, NULL) < 0)
		return out;
	if (!str_cut(version, '/', &group, &v)) {
		v = group;
		group = S("");
	}
	type = type_of_kind(a, group, v, kind);
	if (!type || schema_decode_proto(type, message, a, &typed, NULL) < 0)
		return out;
	buf_init(&b, EVENT_MAX);
	schema_encode_json(type, typed, &b);
	/* the envelope's names, which are not in the message */
	if (b.n > 2 && str_find(buf_str(&b), S("{\"kind\":")) != 0)
		out = arena_fmt(a, "{\"kind\":\"" STR_FMT "\",\"apiVersion\":\"" STR_FMT "\",%s",
			STR_ARG(kind), STR_ARG(version), b.p + 1);
	buf_release(&b);
	return out;
}

static struct str answer_json(struct request *r, struct arena *a)
{
	struct str body = buf_str(&r->audit->answer), type = answer_header(r->x, "Content-Type");
	struct str json = {0};

	if (!body.n || buf_failed(&r->audit->answer))
		return json;
	if (str_starts(type, S("application/json")))
		return str_trim(body);
	if (str_starts(type, S("application/yaml")))
		return yaml_to_json(body, a, &json, NULL, NULL) < 0 ? (struct str){0} : json;
	if (str_starts(type, S("application/vnd.kubernetes.protobuf")))
		return proto_as_json(a, body);
	return json;
}

static void drop_managed_fields(struct json_value *o)
{
	struct json_value *m = json_getc(o, "metadata"), *items = json_getc(o, "items"),
			  *rows = json_getc(o, "rows");

	if (m)
		json_remove(m, S("managedFields"));
	for (size_t i = 0; items && i < items->items.n; i++)
		drop_managed_fields(items->items.v[i]);
	for (size_t i = 0; rows && i < rows->items.n; i++)
		if (json_getc(rows->items.v[i], "object"))
			drop_managed_fields(json_getc(rows->items.v[i], "object"));
}

/* Compact, without line ends, and as the policy wants it; absent when it is no JSON. */
static struct str clean_json(struct request *r, struct str json)
{
	struct json_value *v;
	struct buf b;
	struct str out = {0};

	if (!json.n || json_parse(json, r->arena, &v, NULL) < 0)
		return out;
	if (r->audit->verdict.omit_managed_fields)
		drop_managed_fields(v);
	buf_init(&b, EVENT_MAX);
	json_write(v, &b);
	if (!buf_failed(&b))
		out = arena_str(r->arena, buf_str(&b));
	buf_release(&b);
	return out;
}

static void take_status(struct request *r, struct str json)
{
	struct meta_v1_status *s, *to = response_status(r);
	void *typed;

	if (schema_decode_json(&meta_v1_status_schema, arena_str(r->arena, json), r->arena,
		    &(struct schema_decode_opts){0}, &typed, NULL) < 0)
		return;
	s = typed;
	if (!str_eqc(s->kind, "Status") || !str_eqc(s->api_version, "v1"))
		return;
	to->status = s->status;
	to->message = s->message;
	to->reason = s->reason;
	to->details = s->details;
}

static void take_answer(struct request *r)
{
	struct request_audit *a = r->audit;
	struct arena scratch = {0};
	struct str json = answer_json(r, &scratch);

	if (json.n && str_find(str_sub(json, 0, MIN(json.n, (size_t)64)), S("\"Status\"")) >= 0)
		take_status(r, json);
	if (json.n && a->verdict.level == AUDIT_REQUEST_RESPONSE)
		a->event.response_object = clean_json(r, json);
	arena_release(&scratch);
}

/* --- the way of a request --- */

static struct str request_uri(struct request *r)
{
	struct http_exchange *x = r->x;
	struct str path = x->raw_path.n ? x->raw_path : x->path;

	return x->query.p && x->query.n
		       ? arena_fmt(r->arena, STR_FMT "?" STR_FMT, STR_ARG(path), STR_ARG(x->query))
		       : arena_str(r->arena, path);
}

static bool is_ip(struct str s)
{
	char text[64];
	unsigned char addr[16];

	if (!s.n || s.n >= sizeof(text))
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = 0;
	return inet_pton(AF_INET, text, addr) == 1 || inet_pton(AF_INET6, text, addr) == 1;
}

/* Whom proxies name, then who really called, none twice. */
static struct str_vec source_ips(struct request *r)
{
	struct str_vec out = {0};
	struct str rest = http_get_header(r->x, "X-Forwarded-For"), one, peer = r->x->peer.address;
	ssize_t colon = str_rchr(peer, ':');

	while (rest.n) {
		str_cut(rest, ',', &one, &rest);
		one = str_trim(one);
		if (is_ip(one))
			ARENA_PUSH(r->arena, &out, arena_str(r->arena, one));
	}
	one = str_trim(http_get_header(r->x, "X-Real-Ip"));
	if (is_ip(one) && !str_vec_has(&out, one))
		ARENA_PUSH(r->arena, &out, arena_str(r->arena, one));
	if (colon > 0)
		peer = str_sub(peer, 0, colon);
	if (peer.n > 2 && peer.p[0] == '[')
		peer = str_sub(peer, 1, peer.n - 1);
	if (is_ip(peer) && !(out.n && str_eq(out.v[out.n - 1], peer)))
		ARENA_PUSH(r->arena, &out, arena_str(r->arena, peer));
	return out;
}

static struct str user_agent(struct request *r)
{
	struct str s = http_get_header(r->x, "User-Agent");

	if (s.n <= USER_AGENT_MAX)
		return arena_str(r->arena, s);
	return arena_fmt(r->arena, STR_FMT "...TRUNCATED", STR_ARG(str_sub(s, 0, USER_AGENT_MAX)));
}

static struct authentication_v1_user_info user_json(struct arena *a, const struct user_info *u)
{
	struct authentication_v1_user_info out = {
		.username = arena_str(a, u->name), .uid = arena_str(a, u->uid)};

	for (size_t i = 0; i < u->groups.n; i++)
		ARENA_PUSH(a, &out.groups, arena_str(a, u->groups.v[i]));
	for (size_t i = 0; i < u->extra.n; i++) {
		struct authentication_v1_extra_value_pair p = {
			arena_str(a, u->extra.v[i].key), {{0}}};

		for (size_t k = 0; k < u->extra.v[i].values.n; k++)
			ARENA_PUSH(a, &p.value.items, arena_str(a, u->extra.v[i].values.v[k]));
		ARENA_PUSH(a, &out.extra, p);
	}
	return out;
}

static struct audit_v1_object_reference *object_ref_of(struct request *r)
{
	struct audit_v1_object_reference *o = ARENA_NEW(r->arena, struct audit_v1_object_reference);

	o->namespace = r->info.ns;
	o->name = r->info.name;
	o->resource = r->info.resource;
	o->subresource = r->info.subresource;
	o->api_group = r->info.group;
	o->api_version = r->info.version;
	return o;
}

/* Answers that go on as long as somebody listens. */
static bool is_long_running(const struct request_info *i)
{
	static const char *const streams[] = {"attach", "exec", "proxy", "log", "portforward"};

	if (!i->is_resource)
		return false;
	if (str_eqc(i->verb, "watch") || str_eqc(i->verb, "proxy"))
		return true;
	for (size_t k = 0; k < ARRAY_SIZE(streams); k++)
		if (str_eqc(i->subresource, streams[k]))
			return true;
	return false;
}

static struct str failed_how(struct request *r)
{
	struct str h = str_trim(http_get_header(r->x, "Authorization")), scheme, rest;
	bool two = str_cut(h, ' ', &scheme, &rest);
	struct str how = S("");

	if (two && str_ieq(scheme, S("Basic")))
		how = S("basic");
	else if (two && str_ieq(scheme, S("Bearer")))
		how = S("bearer");
	if (r->x->peer.x509 || r->x->peer.x509_error)
		how = how.n ? arena_fmt(r->arena, STR_FMT ", x509", STR_ARG(how)) : S("x509");
	return how.n ? arena_fmt(
			       r->arena, "Authentication failed, attempted: " STR_FMT, STR_ARG(how))
		     : S("Authentication failed, no credentials provided");
}

void audit_begin(struct request *r, const struct user_info *user)
{
	struct audit_sink *audit = r->s->audit;
	struct audit_verdict v;
	struct request_audit *a;

	if (!audit)
		return;
	v = audit_policy_decide(audit->policy, user, &r->info);
	if (v.level == AUDIT_NONE)
		return;
	a = r->audit = ARENA_NEW(r->arena, struct request_audit);
	*a = (struct request_audit){.audit = audit,
		.verdict = v,
		.ops = r->x->ops,
		.keeps = v.level == AUDIT_REQUEST_RESPONSE || str_starts(r->info.verb, S("delete")),
		.long_running = is_long_running(&r->info),
		.failed_auth = !user};
	buf_init(&a->answer, ANSWER_MAX);
	r->x->ops = a->ops->respond ? &watching : &watching_simple;
	a->event = (struct audit_v1_event){.kind = S("Event"),
		.api_version = S("audit.k8s.io/v1"),
		.level = v.level == AUDIT_METADATA  ? S("Metadata")
			 : v.level == AUDIT_REQUEST ? S("Request")
						    : S("RequestResponse"),
		.audit_id = request_audit_id(r),
		.request_uri = request_uri(r),
		.verb = r->info.verb,
		.source_ips = source_ips(r),
		.user_agent = user_agent(r),
		.request_received_timestamp = micro_time(r->now_ns)};
	if (r->info.is_resource)
		a->event.object_ref = object_ref_of(r);
	if (!user) {
		response_status(r)->message = failed_how(r);
		return;
	}
	a->event.user = user_json(r->arena, user);
	emit(r, AUDIT_RECEIVED, "RequestReceived");
}

void audit_impersonated(struct request *r, const struct user_info *as, const char *constraint)
{
	struct audit_v1_event *e = r->audit ? &r->audit->event : NULL;

	if (!e)
		return;
	e->impersonated_user = ARENA_NEW(r->arena, struct authentication_v1_user_info);
	*e->impersonated_user = user_json(r->arena, as);
	if (!constraint)
		return;
	e->authentication_metadata = ARENA_NEW(r->arena, struct audit_v1_authentication_metadata);
	e->authentication_metadata->impersonation_constraint =
		arena_fmt(r->arena, "impersonate:%s", constraint);
}

void audit_annotate(struct request *r, struct str key, struct str value)
{
	if (!r->audit)
		return;
	for (size_t i = 0; i < r->audit->annotations.n; i++)
		if (str_eq(r->audit->annotations.v[i].key, key))
			return; /* the first stays */
	ARENA_PUSH(r->arena, &r->audit->annotations,
		((struct str_pair){
			arena_str(r->arena, key), value.n ? arena_str(r->arena, value) : S("")}));
}

void audit_decision(struct request *r, bool allowed, struct str reason)
{
	audit_annotate(r, S("authorization.k8s.io/decision"), allowed ? S("allow") : S("forbid"));
	audit_annotate(r, S("authorization.k8s.io/reason"), reason);
}

/* With its kind, which a decoded struct may have lost. */
static void encode_named(struct buf *b, struct str api_version, struct str kind,
	const struct schema_type *type, const void *typed)
{
	struct buf raw;

	buf_init(&raw, EVENT_MAX);
	schema_encode_json(type, typed, &raw);
	if (buf_failed(&raw))
		b->failed = true;
	else if (str_find(buf_str(&raw), S("{\"kind\":\"")) == 0 || raw.n < 2)
		buf_add_str(b, buf_str(&raw));
	else
		buf_fmt(b, "{\"kind\":\"" STR_FMT "\",\"apiVersion\":\"" STR_FMT "\"%s%s",
			STR_ARG(kind), STR_ARG(api_version), raw.n > 2 ? "," : "", raw.p + 1);
	buf_release(&raw);
}

void audit_request_object(struct request *r, struct str api_version, struct str kind,
	const struct schema_type *type, const void *typed, const struct meta_v1_object_meta *meta)
{
	struct request_audit *a = r->audit;
	struct audit_v1_object_reference *ref;
	struct buf b;

	if (!a)
		return;
	ref = a->event.object_ref;
	if (ref && meta) {
		if (!ref->namespace.n)
			ref->namespace = meta->namespace;
		if (!ref->name.n)
			ref->name = meta->name;
		if (!ref->uid.n)
			ref->uid = meta->uid;
		if (!ref->resource_version.n)
			ref->resource_version = meta->resource_version;
	}
	if (a->verdict.level < AUDIT_REQUEST)
		return;
	buf_init(&b, EVENT_MAX);
	encode_named(&b, api_version, kind, type, typed);
	if (!buf_failed(&b))
		a->event.request_object = clean_json(r, arena_str(r->arena, buf_str(&b)));
	buf_release(&b);
}

void audit_request_patch(struct request *r, struct str body)
{
	struct str json = body;

	if (!r->audit || r->audit->verdict.level < AUDIT_REQUEST)
		return;
	if (str_find(r->content_type, S("yaml")) >= 0 &&
		yaml_to_json(body, r->arena, &json, NULL, NULL) < 0)
		return;
	r->audit->event.request_object = clean_json(r, arena_str(r->arena, json));
}

bool audit_wants_answer(const struct request *r)
{
	return r->audit && r->audit->keeps && !r->audit->long_running;
}

void audit_end(struct request *r)
{
	struct request_audit *a = r->audit;

	if (!a)
		return;
	if (!a->failed_auth) {
		take_answer(r);
		if (!a->event.response_status) {
			struct meta_v1_status *s = response_status(r);

			s->code = 200;
			s->status = S("Success");
			s->message = S("Connection closed early");
			if (a->long_running)
				emit(r, AUDIT_STARTED, "ResponseStarted");
		}
		emit(r, AUDIT_COMPLETE, "ResponseComplete");
	}
	buf_release(&a->answer);
	r->audit = NULL;
}
