/* policy_sync.c: the bootstrap policy into the store, and back to it when something is missing. */
#include "apiserver/auth/policy.h"
#include "apiserver/auth/rbac_rules.h"

enum { RETRY_MS = 100, RETRY_MAX_MS = 5000 };

/* --- what to do --- */

static bool add_pairs(struct arena *a, struct str_map *to, const struct str_map *from)
{
	bool changed = false;

	for (size_t i = 0; i < from->n; i++) {
		size_t at = to->n;

		if (str_map_get(to, from->v[i].key))
			continue;
		ARENA_PUSH(a, to, from->v[i]);
		for (; at > 0 && str_cmp(to->v[at - 1].key, from->v[i].key) > 0; at--)
			to->v[at] = to->v[at - 1];
		to->v[at] = from->v[i];
		changed = true;
	}
	return changed;
}

static bool add_meta(struct arena *a, struct meta_v1_object_meta *there,
	const struct meta_v1_object_meta *wanted)
{
	bool annotations = add_pairs(a, &there->annotations, &wanted->annotations);

	return add_pairs(a, &there->labels, &wanted->labels) || annotations;
}

static bool is_protected(const struct meta_v1_object_meta *m)
{
	const struct str *v =
		str_map_get(&m->annotations, S("rbac.authorization.kubernetes.io/autoupdate"));

	return v && str_eqc(*v, "false");
}

static bool add_rules(struct arena *a, struct rbac_v1_policy_rule_vec *there,
	const struct rbac_v1_policy_rule_vec *wanted)
{
	const struct rbac_v1_policy_rule_vec missing = rbac_missing(a, there, wanted);

	for (size_t i = 0; i < missing.n; i++)
		ARENA_PUSH(a, there, missing.v[i]);
	return missing.n > 0;
}

static bool has_selector(
	const struct rbac_v1_aggregation_rule *r, const struct meta_v1_label_selector *want)
{
	for (size_t i = 0; r && i < r->cluster_role_selectors.n; i++)
		if (schema_equal(
			    &meta_v1_label_selector_schema, &r->cluster_role_selectors.v[i], want))
			return true;
	return false;
}

static bool add_aggregation(struct arena *a, struct rbac_v1_aggregation_rule **there,
	const struct rbac_v1_aggregation_rule *wanted)
{
	bool changed = false;

	if (!wanted) {
		changed = *there;
		*there = NULL;
		return changed;
	}
	for (size_t i = 0; i < wanted->cluster_role_selectors.n; i++) {
		if (has_selector(*there, &wanted->cluster_role_selectors.v[i]))
			continue;
		if (!*there)
			*there = ARENA_NEW(a, struct rbac_v1_aggregation_rule);
		ARENA_PUSH(
			a, &(*there)->cluster_role_selectors, wanted->cluster_role_selectors.v[i]);
		changed = true;
	}
	return changed;
}

static bool add_subjects(struct arena *a, struct rbac_v1_subject_vec *there,
	const struct rbac_v1_subject_vec *wanted)
{
	bool changed = false;

	for (size_t i = 0; i < wanted->n; i++) {
		bool has = false;

		for (size_t k = 0; !has && k < there->n; k++)
			has = schema_equal(&rbac_v1_subject_schema, &there->v[k], &wanted->v[i]);
		if (has)
			continue;
		ARENA_PUSH(a, there, wanted->v[i]);
		changed = true;
	}
	return changed;
}

/* The members of both kinds of role, or of both kinds of binding. */
struct parts {
	struct meta_v1_object_meta *meta;
	struct rbac_v1_policy_rule_vec *rules;
	struct rbac_v1_aggregation_rule **aggregation;
	struct rbac_v1_subject_vec *subjects;
	struct rbac_v1_role_ref *ref;
};

static struct parts parts_of(enum policy_kind kind, void *obj)
{
	struct rbac_v1_cluster_role *cr = obj;
	struct rbac_v1_role *r = obj;
	struct rbac_v1_cluster_role_binding *cb = obj;
	struct rbac_v1_role_binding *b = obj;

	switch (kind) {
	case POLICY_CLUSTER_ROLE:
		return (struct parts){&cr->metadata, &cr->rules, &cr->aggregation_rule};
	case POLICY_ROLE:
		return (struct parts){&r->metadata, &r->rules};
	case POLICY_CLUSTER_BINDING:
		return (struct parts){&cb->metadata, NULL, NULL, &cb->subjects, &cb->role_ref};
	case POLICY_BINDING:
		return (struct parts){&b->metadata, NULL, NULL, &b->subjects, &b->role_ref};
	}
	assert(!"no such kind");
	return (struct parts){0};
}

enum policy_step policy_reconcile(
	struct arena *a, enum policy_kind kind, void *there, const void *wanted, void **ret)
{
	const struct parts now = parts_of(kind, there), want = parts_of(kind, (void *)wanted);
	bool changed;

	if (is_protected(now.meta))
		return POLICY_KEEP;
	if (now.ref && !schema_equal(&rbac_v1_role_ref_schema, now.ref, want.ref))
		return POLICY_RECREATE;
	changed = add_meta(a, now.meta, want.meta);
	if (now.rules)
		changed = add_rules(a, now.rules, want.rules) || changed;
	if (now.aggregation)
		changed = add_aggregation(a, now.aggregation, *want.aggregation) || changed;
	if (now.subjects)
		changed = add_subjects(a, now.subjects, want.subjects) || changed;
	*ret = there;
	return changed ? POLICY_UPDATE : POLICY_KEEP;
}

/* --- doing it --- */

struct todo {
	enum policy_kind kind;
	const void *wanted;
	struct str ns, name;
};

struct sync {
	struct arena arena;
	struct client *client;
	struct store *store;
	struct {
		struct todo *v;
		size_t n;
	} todo;
	size_t waiting, failed;
	unsigned passes;
	int64_t delay_ms;
	struct loop_timer again;
	void (*done)(void *user_data);
	void *user_data;
};

static void collect(void *user_data, enum policy_kind kind, void *object)
{
	struct sync *s = user_data;
	const struct meta_v1_object_meta *m = parts_of(kind, object).meta;

	ARENA_PUSH(&s->arena, &s->todo, ((struct todo){kind, object, m->namespace, m->name}));
}

static void called(struct client_call *call)
{
	struct sync *s = call->user_data;

	/* deleting one is half of making it anew */
	if (!strcmp(call->verb, "delete") || (call->result < 0 && call->result != -EEXIST)) {
		s->failed++;
		if (call->result < 0 && s->delay_ms == RETRY_MAX_MS)
			log_warn("bootstrap policy: " STR_FMT ": %s", STR_ARG(call->name),
				err_text(&call->err));
	}
	if (--s->waiting == 0)
		loop_timer_start(&s->again, s->failed || s->passes > 1 ? s->delay_ms : 0);
}

static void call(struct sync *s, const char *verb, const struct todo *t, const void *object)
{
	struct client_call *c = client_call_new(s->client);

	c->verb = verb;
	c->resource = policy_resource(t->kind);
	c->ns = t->ns;
	c->name = strcmp(verb, "create") ? t->name : S("");
	c->object = object;
	c->done = called;
	c->user_data = s;
	s->waiting++;
	client_do(s->client, c);
}

static void sync_one(struct sync *s, const struct todo *t)
{
	struct arena a = {0};
	const struct object *o = store_get(s->store, policy_resource(t->kind), t->ns, t->name);
	void *write = NULL;

	if (!o) {
		call(s, "create", t, t->wanted);
		return;
	}
	switch (policy_reconcile(&a, t->kind, object_decode(o, &a), t->wanted, &write)) {
	case POLICY_KEEP:
		break;
	case POLICY_UPDATE:
		call(s, "update", t, write);
		break;
	case POLICY_RECREATE:
		call(s, "delete", t, NULL);
		break;
	}
	arena_release(&a);
	object_unref(o);
}

static void sync_all(struct sync *s)
{
	s->failed = 0;
	s->passes++;
	for (size_t i = 0; i < s->todo.n; i++)
		sync_one(s, &s->todo.v[i]);
}

static void finish(struct sync *s)
{
	void (*done)(void *user_data) = s->done;
	void *user_data = s->user_data;

	arena_release(&s->arena);
	free(s);
	done(user_data);
}

static void on_timer(struct loop_timer *t)
{
	struct sync *s = container_of(t, struct sync, again);

	s->delay_ms = MIN(s->delay_ms * 2, (int64_t)RETRY_MAX_MS);
	sync_all(s);
	if (!s->waiting)
		finish(s);
}

void policy_sync(struct client *client, struct store *store, bool node_agents,
	void (*done)(void *user_data), void *user_data)
{
	struct sync *s = xcalloc(1, sizeof(*s));

	s->client = client;
	s->store = store;
	s->done = done;
	s->user_data = user_data;
	s->delay_ms = RETRY_MS;
	loop_timer_init(&s->again, client_loop(client), on_timer);
	policy_each(&s->arena, node_agents, collect, s);
	loop_timer_start(&s->again, 0);
}
