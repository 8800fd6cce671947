/*
 * EventRateLimit: events above a rate, of the server, a namespace, a user, or a source about an
 * object, are refused with 429. One token bucket per key; the least recently used key of a full
 * table makes room.
 */
#include <pthread.h>

#include "api/amounts.h"
#include "apiserver/admission/plugins.h"
#include "apiserver/server.h"
#include "base/map.h"
#include "json/value.h"

enum { LIMITS_MAX = 16, CACHE_DEFAULT = 4096 };

enum limit_type { LIMIT_SERVER, LIMIT_NAMESPACE, LIMIT_USER, LIMIT_SOURCE_AND_OBJECT };

static const char *const type_names[] = {"Server", "Namespace", "User", "SourceAndObject"};

struct bucket {
	struct bucket *prev, *next; /* newest use first */
	char *key;
	double tokens;
	int64_t at_ns;
};

struct limit {
	enum limit_type type;
	double qps, burst;
	size_t keys_max;
	struct map buckets;
	struct bucket used; /* the list's head */
};

struct limiter {
	pthread_mutex_t lock;
	struct limit v[LIMITS_MAX];
	size_t n;
};

/* --- configuration --- */

static int64_t number(struct json_value *v, const char *name)
{
	struct json_value *n = json_getc(v, name);
	int64_t ret = 0;

	return n && n->kind == JSON_NUMBER && str_to_i64(n->text, &ret) == 0 ? ret : 0;
}

static int read_limit(struct json_value *v, size_t i, struct limit *l, struct err *err)
{
	struct str type = json_get_str(v, "type");
	bool known = false;

	for (size_t t = 0; t < ARRAY_SIZE(type_names); t++) {
		if (!str_eqc(type, type_names[t]))
			continue;
		l->type = t;
		known = true;
	}
	l->qps = (double)number(v, "qps");
	l->burst = (double)number(v, "burst");
	if (!known)
		return err_bad_request(err,
			"EventRateLimit: limits[%zu].type: Unsupported value: \"" STR_FMT
			"\": supported values: \"Namespace\", \"Server\", \"SourceAndObject\", "
			"\"User\"",
			i, STR_ARG(type));
	if (l->qps <= 0 || l->burst <= 0)
		return err_bad_request(err,
			"EventRateLimit: limits[%zu].%s: Invalid value: must be positive", i,
			l->qps <= 0 ? "qps" : "burst");
	if (number(v, "cacheSize") < 0)
		return err_bad_request(err,
			"EventRateLimit: limits[%zu].cacheSize: Invalid value: must not be "
			"negative",
			i);
	l->keys_max = (size_t)number(v, "cacheSize");
	if (!l->keys_max)
		l->keys_max = CACHE_DEFAULT;
	l->used.prev = l->used.next = &l->used;
	return 0;
}

static int init(struct apiserver *s, struct str json, void **ret, struct err *err)
{
	struct limiter *l = xcalloc(1, sizeof(*l));
	struct json_value *v = NULL, *list;
	struct arena a = {0};
	int r = 0;

	pthread_mutex_init(&l->lock, NULL);
	*ret = l;
	if (json.n)
		r = json_parse(json, &a, &v, err);
	list = json_getc(v, "limits");
	if (r >= 0 && (!list || !list->items.n || list->items.n > LIMITS_MAX))
		r = err_bad_request(err, "EventRateLimit: limits: Invalid value: %s",
			list && list->items.n ? "too many" : "must not be empty");
	for (size_t i = 0; r >= 0 && i < list->items.n; i++) {
		r = read_limit(list->items.v[i], i, &l->v[i], err);
		l->n++;
	}
	arena_release(&a);
	return r;
}

static void drop(struct limit *l, struct bucket *b)
{
	b->prev->next = b->next;
	b->next->prev = b->prev;
	map_remove(&l->buckets, str_c(b->key));
	free(b->key);
	free(b);
}

static void limiter_free(void *state)
{
	struct limiter *l = state;

	for (size_t i = 0; i < l->n; i++) {
		while (l->v[i].used.next && l->v[i].used.next != &l->v[i].used)
			drop(&l->v[i], l->v[i].used.next);
		map_release(&l->v[i].buckets);
	}
	pthread_mutex_destroy(&l->lock);
	free(l);
}

/* --- one event --- */

static struct str key_of(const struct admission_attrs *attrs, enum limit_type type)
{
	const struct v1_event *e = attrs->obj;
	const struct v1_object_reference *o = &e->involved_object;

	switch (type) {
	case LIMIT_SERVER:
		break;
	case LIMIT_NAMESPACE:
		return attrs->ns;
	case LIMIT_USER:
		return attrs->user->name;
	case LIMIT_SOURCE_AND_OBJECT:
		return arena_fmt(attrs->arena,
			STR_FMT STR_FMT STR_FMT STR_FMT STR_FMT STR_FMT STR_FMT,
			STR_ARG(e->source.component), STR_ARG(e->source.host), STR_ARG(o->kind),
			STR_ARG(o->namespace), STR_ARG(o->name), STR_ARG(o->uid),
			STR_ARG(o->api_version));
	}
	return S("");
}

static struct bucket *bucket_of(struct limit *l, struct str key, int64_t now_ns)
{
	struct bucket *b = map_get(&l->buckets, key);

	if (b) {
		b->prev->next = b->next;
		b->next->prev = b->prev;
	} else {
		if (l->buckets.n >= l->keys_max)
			drop(l, l->used.prev);
		b = xcalloc(1, sizeof(*b));
		b->key = xasprintf(STR_FMT, STR_ARG(key));
		b->tokens = l->burst;
		b->at_ns = now_ns;
		map_set(&l->buckets, key, b);
	}
	b->next = l->used.next;
	b->prev = &l->used;
	b->next->prev = b->prev->next = b;
	return b;
}

static bool take(struct limit *l, struct str key, int64_t now_ns)
{
	struct bucket *b = bucket_of(l, key, now_ns);

	if (now_ns > b->at_ns) {
		b->tokens += (double)(now_ns - b->at_ns) / 1e9 * l->qps;
		b->at_ns = now_ns;
	}
	b->tokens = MIN(b->tokens, l->burst);
	if (b->tokens < 1)
		return false;
	b->tokens--;
	return true;
}

static int validate(struct admission_attrs *attrs, struct err *err)
{
	struct limiter *l = attrs->state;
	struct str_vec why = {0};

	if (attrs->addressed != &v1_event_resource || attrs->dry_run)
		return 0;
	pthread_mutex_lock(&l->lock);
	for (size_t i = 0; i < l->n; i++) {
		struct str key = key_of(attrs, l->v[i].type);

		if (!take(&l->v[i], key, attrs->now_ns))
			ARENA_PUSH(attrs->arena, &why,
				arena_fmt(attrs->arena, "limit reached on type %s for key " STR_FMT,
					type_names[l->v[i].type], STR_ARG(key)));
	}
	pthread_mutex_unlock(&l->lock);
	if (!why.n)
		return 0;
	return err_fmt(
		err, 429, "TooManyRequests", STR_FMT, STR_ARG(aggregate_text(attrs->arena, &why)));
}

const struct admission_plugin admission_event_rate_limit = {
	.name = "EventRateLimit",
	.ops = ADMIT_CREATE | ADMIT_UPDATE,
	.off = true,
	.init = init,
	.free = limiter_free,
	.validate = validate,
};
