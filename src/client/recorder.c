#include "client/recorder.h"

#include <inttypes.h>

#include "json/write.h"
#include "schema/time.h"
#include "types.gen.h"

/* As client-go's EventCorrelator. */
enum {
	ENTRIES_MAX = 4096,
	SLOTS = 1024,
	SIMILAR_MAX = 10,
	SIMILAR_INTERVAL_MS = 600 * 1000,
	BURST = 25,
	REFILL_MS = 300 * 1000,
	IN_FLIGHT_MAX = 1000,
	MESSAGE_MAX = 1024,
};

/* What is remembered under one key: three kinds share one least-recently-used list. */
struct entry {
	struct entry *hash_next, *newer, *older;
	uint64_t key;
	int64_t last_ms; /* SIMILAR, SPAM */
	union {
		struct {                /* an event that was written */
			uint64_t stamp; /* in its name */
			int32_t count;
		} seen;
		struct {
			uint64_t messages[SIMILAR_MAX];
			unsigned n;
		} similar;
		double tokens;
	};
};

struct recorder {
	struct client *client;
	char *component, *host;
	struct entry *slots[SLOTS];
	struct entry *newest, *oldest;
	size_t n_entries;
	uint64_t last_stamp;
	size_t in_flight;
};

struct recorder *recorder_new(struct client *client, const char *component, const char *host)
{
	struct recorder *r = xcalloc(1, sizeof(*r));

	r->client = client;
	r->component = xstrdup(component);
	r->host = xstrdup(host ? host : "");
	return r;
}

void recorder_free(struct recorder *r)
{
	if (!r)
		return;
	while (r->newest) {
		struct entry *e = r->newest;

		r->newest = e->older;
		free(e);
	}
	free(r->component);
	free(r->host);
	free(r);
}

static void list_unlink(struct recorder *r, struct entry *e)
{
	*(e->newer ? &e->newer->older : &r->newest) = e->older;
	*(e->older ? &e->older->newer : &r->oldest) = e->newer;
}

static void list_push(struct recorder *r, struct entry *e)
{
	e->newer = NULL;
	e->older = r->newest;
	*(r->newest ? &r->newest->newer : &r->oldest) = e;
	r->newest = e;
}

static void evict(struct recorder *r, struct entry *e)
{
	struct entry **at = &r->slots[e->key % SLOTS];

	while (*at != e)
		at = &(*at)->hash_next;
	*at = e->hash_next;
	list_unlink(r, e);
	free(e);
	r->n_entries--;
}

static struct entry *find(const struct recorder *r, uint64_t key)
{
	struct entry *e = r->slots[key % SLOTS];

	while (e && e->key != key)
		e = e->hash_next;
	return e;
}

/* The entry of a key, as the most recently used; a fresh one is zeroed. */
static struct entry *entry_get(struct recorder *r, uint64_t key, bool *ret_fresh)
{
	struct entry *e = find(r, key);

	*ret_fresh = !e;
	if (e) {
		list_unlink(r, e);
	} else {
		if (r->n_entries == ENTRIES_MAX)
			evict(r, r->oldest);
		e = xcalloc(1, sizeof(*e));
		e->key = key;
		e->hash_next = r->slots[key % SLOTS];
		r->slots[key % SLOTS] = e;
		r->n_entries++;
	}
	list_push(r, e);
	return e;
}

static uint64_t mix(uint64_t h, struct str s)
{
	return (h ^ str_hash(s)) * 0x9e3779b97f4a7c15 + s.n;
}

static uint64_t about_key(const struct event_about *a, const char *type, uint64_t seed)
{
	uint64_t h = seed;

	h = mix(h, str_c(a->resource->kind));
	h = mix(h, a->ns);
	h = mix(h, a->name);
	h = mix(h, a->uid);
	return mix(h, str_c(type));
}

/* A token bucket per object: BURST at once, then one in REFILL_MS. */
static bool is_spam(struct recorder *r, uint64_t key, int64_t now_ms)
{
	bool fresh;
	struct entry *e = entry_get(r, key, &fresh);

	if (fresh)
		e->tokens = BURST;
	else
		e->tokens =
			MIN((double)BURST, e->tokens + (double)(now_ms - e->last_ms) / REFILL_MS);
	e->last_ms = now_ms;
	if (e->tokens < 1)
		return true;
	e->tokens -= 1;
	return false;
}

/* Whether so many different messages of one reason came that they are told as one. */
static bool is_combined(struct recorder *r, uint64_t key, uint64_t message, int64_t now_ms)
{
	bool fresh;
	struct entry *e = entry_get(r, key, &fresh);
	unsigned i = 0;

	if (!fresh && now_ms - e->last_ms > SIMILAR_INTERVAL_MS)
		e->similar.n = 0;
	e->last_ms = now_ms;
	while (i < e->similar.n && e->similar.messages[i] != message)
		i++;
	if (i == e->similar.n)
		e->similar.messages[e->similar.n++] = message;
	if (e->similar.n < SIMILAR_MAX)
		return false;
	e->similar.n--;
	return true;
}

struct pending {
	struct recorder *recorder;
	uint64_t key;
};

static void written(struct client_call *call)
{
	struct pending *p = call->user_data;
	struct recorder *r = p->recorder;
	struct entry *e = call->result == -ENOENT ? find(r, p->key) : NULL;

	/* The event has expired since: the next of its kind is a new one. */
	if (e)
		evict(r, e);
	r->in_flight--;
}

static struct client_call *new_call(struct recorder *r, uint64_t key, const char *verb)
{
	struct client_call *call = client_call_new(r->client);
	struct pending *p = ARENA_NEW(&call->arena, struct pending);

	r->in_flight++;
	*p = (struct pending){r, key};
	call->verb = verb;
	call->resource = &v1_event_resource;
	call->done = written;
	call->user_data = p;
	return call;
}

static void count_again(struct recorder *r, const struct entry *e, struct str ns, struct str name,
	struct str message, int64_t sec)
{
	struct client_call *call = new_call(r, e->key, "patch");
	struct buf b;
	const struct k8s_time t = {.set = true, .sec = sec};
	char when[K8S_TIME_TEXT_MAX];

	k8s_time_format(&t, false, when);
	buf_init(&b, 16 * MESSAGE_MAX);
	buf_fmt(&b, "{\"count\":%" PRId32 ",\"lastTimestamp\":\"%s\",\"message\":", e->seen.count,
		when);
	json_write_string(&b, message);
	buf_add_char(&b, '}');
	call->ns = arena_str(&call->arena, ns);
	call->name = arena_str(&call->arena, name);
	call->content_type = "application/merge-patch+json";
	call->body = arena_str(&call->arena, buf_str(&b));
	buf_release(&b);
	client_do(r->client, call);
}

/* The message and name of `like` stand in the caller's memory: the call gets copies. */
static void create(struct recorder *r, uint64_t key, const struct event_about *about,
	const struct v1_event *like)
{
	struct client_call *call = new_call(r, key, "create");
	const struct schema_resource *res = about->resource;
	struct arena *a = &call->arena;
	struct v1_event *ev = ARENA_NEW(a, struct v1_event);

	*ev = *like;
	ev->metadata.name = arena_str(a, like->metadata.name);
	call->ns = ev->metadata.namespace = arena_str(a, like->metadata.namespace);
	ev->message = arena_str(a, like->message);
	ev->reason = arena_str(a, like->reason);
	ev->involved_object = (struct v1_object_reference){
		.kind = str_c(res->kind),
		.namespace = arena_str(a, about->ns),
		.name = arena_str(a, about->name),
		.uid = arena_str(a, about->uid),
		.api_version = res->group[0] ? arena_fmt(a, "%s/%s", res->group, res->version)
					     : str_c(res->version),
		.field_path = arena_str(a, about->field_path),
	};
	if (about->revision)
		ev->involved_object.resource_version = arena_fmt(a, "%" PRIu64, about->revision);
	ev->source.component = ev->reporting_component = arena_strc(a, r->component);
	ev->source.host = ev->reporting_instance = arena_strc(a, r->host);
	ev->last_timestamp = ev->first_timestamp;
	ev->count = 1;
	call->object = ev;
	client_do(r->client, call);
}

static void record(struct recorder *r, const struct event_about *about, const char *type,
	const char *reason, struct str message)
{
	struct loop *loop = client_loop(r->client);
	int64_t now_ms = loop_now_ms(loop), wall_ns = loop_wall_ns(loop);
	struct v1_event ev = {.reason = str_c(reason), .message = message, .type = str_c(type)};
	uint64_t similar = mix(about_key(about, type, 1), ev.reason);
	uint64_t key = mix(mix(similar, about->field_path), message);
	struct arena a;
	bool fresh;

	if (r->in_flight >= IN_FLIGHT_MAX)
		return;
	arena_init(&a);
	if (is_combined(r, similar, str_hash(message), now_ms)) {
		key = mix(similar, S("combined"));
		ev.message =
			arena_fmt(&a, "(combined from similar events): " STR_FMT, STR_ARG(message));
	}
	bool spam = is_spam(r, about_key(about, type, 2), now_ms);
	struct entry *e = entry_get(r, key, &fresh);
	if (fresh)
		e->seen.stamp = r->last_stamp = MAX((uint64_t)wall_ns, r->last_stamp + 1);
	e->seen.count++;
	if (!spam) {
		/* A name may have 253 characters. */
		struct str n = str_sub(about->name, 0, MIN(about->name.n, (size_t)230));

		ev.metadata.name = arena_fmt(&a, STR_FMT ".%" PRIx64, STR_ARG(n), e->seen.stamp);
		ev.metadata.namespace = str_empty(about->ns) ? S("default") : about->ns;
		ev.first_timestamp = (struct k8s_time){.set = true, .sec = wall_ns / 1000000000};
		if (e->seen.count > 1)
			count_again(r, e, ev.metadata.namespace, ev.metadata.name, ev.message,
				ev.first_timestamp.sec);
		else
			create(r, key, about, &ev);
	}
	arena_release(&a);
}

void recorder_event(struct recorder *r, const struct event_about *about, const char *type,
	const char *reason, const char *fmt, ...)
{
	struct arena a;
	va_list ap;

	arena_init(&a);
	va_start(ap, fmt);
	struct str message = arena_vfmt(&a, fmt, ap);
	va_end(ap);
	while (message.n > MESSAGE_MAX ||
		(message.n == MESSAGE_MAX && (message.p[message.n] & 0xc0) == 0x80))
		message.n--; /* at the beginning of a character */
	record(r, about, type, reason, message);
	arena_release(&a);
}

void recorder_event_object(struct recorder *r, const struct object *about, const char *type,
	const char *reason, struct str message)
{
	struct event_about a = {
		.resource = about->resource,
		.ns = about->ns,
		.name = about->name,
		.uid = about->uid,
		.revision = about->revision,
	};

	recorder_event(r, &a, type, reason, STR_FMT, STR_ARG(message));
}
