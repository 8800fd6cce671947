#include "apiserver/auth/rbac_index.h"

#include <pthread.h>

enum { CLUSTER_ROLES, ROLES, CLUSTER_BINDINGS, BINDINGS, N_KINDS };

/* One object as read: its strings are views into the object's JSON. */
struct item {
	_Atomic uint32_t refs;
	const struct object *o;
	union {
		struct rbac_role role;
		struct rbac_binding binding;
	};
	struct arena extra; /* strings that are not in the JSON as they are */
};

struct items { /* of one kind, in the order of (ns, name) */
	struct snapshot *from;
	struct item **v;
	size_t n;
};

struct entry { /* one subject of one binding */
	uint64_t hash;
	uint32_t next; /* in its bucket, + 1 */
	uint32_t subject;
	const struct item *binding;
	const struct rbac_role *role;
};

struct rbac_index {
	_Atomic uint32_t refs;
	struct items kinds[N_KINDS];
	struct entry *entries;
	uint32_t n_entries;
	uint32_t *buckets; /* + 1 */
	uint64_t mask;
};

struct rbac {
	struct store *store;
	pthread_mutex_t lock;
	struct rbac_index *current;
	uint64_t checked; /* the store's revision that `current` is known to be right for */
};

static const struct schema_resource *const resources[N_KINDS] = {
	[CLUSTER_ROLES] = &rbac_v1_cluster_role_resource,
	[ROLES] = &rbac_v1_role_resource,
	[CLUSTER_BINDINGS] = &rbac_v1_cluster_role_binding_resource,
	[BINDINGS] = &rbac_v1_role_binding_resource,
};

/* --- items --- */

static struct item *item_unref(struct item *it)
{
	if (atomic_fetch_sub_explicit(&it->refs, 1, memory_order_acq_rel) == 1) {
		object_unref(it->o);
		arena_release(&it->extra);
		free(it);
	}
	return NULL;
}

static struct item *item_ref(struct item *it)
{
	atomic_fetch_add_explicit(&it->refs, 1, memory_order_relaxed);
	return it;
}

static struct str keep(struct item *it, struct str s)
{
	const struct str json = it->o->json;

	if (!s.n || (s.p >= json.p && s.p + s.n <= json.p + json.n))
		return s;
	return arena_str(&it->extra, s);
}

static void keep_list(
	struct item *it, const struct str_vec *from, struct str **at, struct str_vec *to)
{
	*to = (struct str_vec){*at, from->n};
	for (size_t i = 0; i < from->n; i++)
		*(*at)++ = keep(it, from->v[i]);
}

static size_t rule_strings(const struct rbac_v1_policy_rule *r)
{
	return r->verbs.n + r->api_groups.n + r->resources.n + r->resource_names.n +
	       r->non_resource_urls.n;
}

static struct item *item_new(const struct object *o, size_t extra)
{
	struct item *it = xcalloc(1, sizeof(*it) + extra);

	atomic_init(&it->refs, 1);
	it->o = object_ref(o);
	return it;
}

static struct item *read_role(const struct object *o, const struct rbac_v1_policy_rule_vec *rules)
{
	size_t strings = 0;
	struct item *it;
	struct rbac_v1_policy_rule *r;
	struct str *at;

	for (size_t i = 0; i < rules->n; i++)
		strings += rule_strings(&rules->v[i]);
	it = item_new(o, rules->n * sizeof(*r) + strings * sizeof(*at));
	r = (struct rbac_v1_policy_rule *)(it + 1);
	at = (struct str *)(r + rules->n);
	it->role = (struct rbac_role){.ns = o->ns, .name = o->name, .rules = {r, rules->n}};
	for (size_t i = 0; i < rules->n; i++) {
		const struct rbac_v1_policy_rule *from = &rules->v[i];

		keep_list(it, &from->verbs, &at, &r[i].verbs);
		keep_list(it, &from->api_groups, &at, &r[i].api_groups);
		keep_list(it, &from->resources, &at, &r[i].resources);
		keep_list(it, &from->resource_names, &at, &r[i].resource_names);
		keep_list(it, &from->non_resource_urls, &at, &r[i].non_resource_urls);
	}
	return it;
}

static struct item *read_binding(const struct object *o, const struct rbac_v1_role_ref *ref,
	const struct rbac_v1_subject_vec *subjects)
{
	struct item *it = item_new(o, subjects->n * sizeof(*subjects->v));
	struct rbac_v1_subject *s = (struct rbac_v1_subject *)(it + 1);

	it->binding = (struct rbac_binding){.ns = o->ns,
		.name = o->name,
		.role_kind = keep(it, ref->kind),
		.role_name = keep(it, ref->name),
		.subjects = {s, subjects->n}};
	for (size_t i = 0; i < subjects->n; i++)
		s[i] = (struct rbac_v1_subject){.kind = keep(it, subjects->v[i].kind),
			.name = keep(it, subjects->v[i].name),
			.namespace = keep(it, subjects->v[i].namespace)};
	return it;
}

static struct item *read_item(const struct object *o, int kind)
{
	struct arena a = {0};
	void *typed = object_decode(o, &a);
	struct item *it = NULL;

	switch (kind) {
	case CLUSTER_ROLES:
		it = read_role(o, &((struct rbac_v1_cluster_role *)typed)->rules);
		break;
	case ROLES:
		it = read_role(o, &((struct rbac_v1_role *)typed)->rules);
		break;
	case CLUSTER_BINDINGS:
		it = read_binding(o, &((struct rbac_v1_cluster_role_binding *)typed)->role_ref,
			&((struct rbac_v1_cluster_role_binding *)typed)->subjects);
		break;
	case BINDINGS:
		it = read_binding(o, &((struct rbac_v1_role_binding *)typed)->role_ref,
			&((struct rbac_v1_role_binding *)typed)->subjects);
		break;
	}
	arena_release(&a);
	return it;
}

static int key_compare(const struct object *a, const struct object *b)
{
	int r = str_cmp(a->ns, b->ns);

	return r ? r : str_cmp(a->name, b->name);
}

/* Both are in the store's order: what is the same object still is taken over. */
static void read_items(struct items *to, struct snapshot *from, const struct items *old, int kind)
{
	struct snapshot_iter iter;
	const struct object *o;
	size_t k = 0;

	to->from = from;
	to->v = xcalloc(snapshot_count(from) + 1, sizeof(*to->v));
	snapshot_iter_init(&iter, from, S(""), S(""), S(""));
	while ((o = snapshot_next(&iter))) {
		size_t at = k;

		while (old && at < old->n && old->v[at]->o != o &&
			key_compare(old->v[at]->o, o) < 0)
			at++;
		if (old && at < old->n && old->v[at]->o == o)
			to->v[to->n++] = item_ref(old->v[at]);
		else
			to->v[to->n++] = read_item(o, kind);
		k = at;
	}
}

/* --- the index --- */

static uint64_t hash_add(uint64_t h, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		h = (h ^ (unsigned char)p[i]) * 0x100000001b3;
	return h;
}

static uint64_t hash_start(char kind, struct str ns)
{
	uint64_t h = hash_add(0xcbf29ce484222325, &kind, 1);

	h = hash_add(h, ns.p, ns.n);
	return hash_add(h, "", 1);
}

static uint64_t hash_name(char kind, struct str ns, struct str name)
{
	return hash_add(hash_start(kind, ns), name.p, name.n);
}

#define ACCOUNT "system:serviceaccount:"

static struct str account_ns(const struct rbac_binding *b, const struct rbac_v1_subject *s)
{
	return s->namespace.n ? s->namespace : b->ns;
}

/* False: a subject that nobody can be. */
static bool hash_subject(
	const struct rbac_binding *b, const struct rbac_v1_subject *s, uint64_t *ret)
{
	struct str ns = account_ns(b, s);
	uint64_t h = hash_start('u', b->ns);

	if (str_eqc(s->kind, "User")) {
		*ret = hash_name('u', b->ns, s->name);
	} else if (str_eqc(s->kind, "Group")) {
		*ret = hash_name('g', b->ns, s->name);
	} else if (str_eqc(s->kind, "ServiceAccount") && ns.n) {
		h = hash_add(h, ACCOUNT, sizeof(ACCOUNT) - 1);
		h = hash_add(h, ns.p, ns.n);
		h = hash_add(h, ":", 1);
		*ret = hash_add(h, s->name.p, s->name.n);
	} else {
		return false;
	}
	return true;
}

static bool is_account(struct str user, struct str ns, struct str name)
{
	struct str prefix = S(ACCOUNT);
	size_t at = prefix.n;

	if (user.n != at + ns.n + 1 + name.n || !str_starts(user, prefix))
		return false;
	return str_eq(str_sub(user, at, at + ns.n), ns) && user.p[at + ns.n] == ':' &&
	       str_eq(str_sub(user, at + ns.n + 1, user.n), name);
}

/* As upstream's appliesToUser. */
static bool applies(
	const struct rbac_binding *b, const struct rbac_v1_subject *s, const struct user_info *user)
{
	struct str ns = account_ns(b, s);

	if (str_eqc(s->kind, "User"))
		return str_eq(user->name, s->name);
	if (str_eqc(s->kind, "Group"))
		return user_in_group(user, s->name);
	return str_eqc(s->kind, "ServiceAccount") && ns.n && is_account(user->name, ns, s->name);
}

const struct rbac_role *rbac_find_role(const struct rbac_index *ix, struct str ns, struct str name)
{
	const struct items *all = &ix->kinds[ns.n ? ROLES : CLUSTER_ROLES];
	size_t from = 0, to = all->n;

	while (from < to) {
		size_t mid = (from + to) / 2;
		int r = str_cmp(all->v[mid]->o->ns, ns);

		r = r ? r : str_cmp(all->v[mid]->o->name, name);
		if (r == 0)
			return &all->v[mid]->role;
		if (r < 0)
			from = mid + 1;
		else
			to = mid;
	}
	return NULL;
}

static const struct rbac_role *role_of(const struct rbac_index *ix, const struct rbac_binding *b)
{
	if (str_eqc(b->role_kind, "ClusterRole"))
		return rbac_find_role(ix, S(""), b->role_name);
	if (str_eqc(b->role_kind, "Role") && b->ns.n)
		return rbac_find_role(ix, b->ns, b->role_name);
	return NULL;
}

static void add_entries(struct rbac_index *ix, const struct item *it)
{
	const struct rbac_binding *b = &it->binding;
	const struct rbac_role *role = role_of(ix, b);

	for (size_t i = 0; i < b->subjects.n; i++) {
		struct entry *e = &ix->entries[ix->n_entries];
		uint32_t *bucket;

		if (!hash_subject(b, &b->subjects.v[i], &e->hash))
			continue;
		bucket = &ix->buckets[e->hash & ix->mask];
		e->binding = it;
		e->subject = i;
		e->role = role;
		e->next = *bucket;
		*bucket = ++ix->n_entries;
	}
}

static void index_subjects(struct rbac_index *ix)
{
	size_t n = 0, cap = 16;

	for (int k = CLUSTER_BINDINGS; k <= BINDINGS; k++)
		for (size_t i = 0; i < ix->kinds[k].n; i++)
			n += ix->kinds[k].v[i]->binding.subjects.n;
	while (cap < n)
		cap *= 2;
	ix->entries = xcalloc(n + 1, sizeof(*ix->entries));
	ix->buckets = xcalloc(cap, sizeof(*ix->buckets));
	ix->mask = cap - 1;
	/* backwards, so that a bucket's list runs in the order of names */
	for (int k = CLUSTER_BINDINGS; k <= BINDINGS; k++)
		for (size_t i = ix->kinds[k].n; i > 0; i--)
			add_entries(ix, ix->kinds[k].v[i - 1]);
}

static struct rbac_index *index_new(struct snapshot *const from[N_KINDS], struct rbac_index *old)
{
	struct rbac_index *ix = xcalloc(1, sizeof(*ix));

	atomic_init(&ix->refs, 1);
	for (int k = 0; k < N_KINDS; k++)
		read_items(&ix->kinds[k], from[k], old ? &old->kinds[k] : NULL, k);
	index_subjects(ix);
	return ix;
}

void rbac_put(const struct rbac_index *index)
{
	struct rbac_index *ix = (struct rbac_index *)index;

	if (!ix || atomic_fetch_sub_explicit(&ix->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (int k = 0; k < N_KINDS; k++) {
		for (size_t i = 0; i < ix->kinds[k].n; i++)
			item_unref(ix->kinds[k].v[i]);
		free(ix->kinds[k].v);
		snapshot_unref(ix->kinds[k].from);
	}
	free(ix->entries);
	free(ix->buckets);
	free(ix);
}

/* --- the newest one --- */

struct rbac *rbac_new(struct store *store)
{
	struct rbac *r = xcalloc(1, sizeof(*r));

	r->store = store;
	pthread_mutex_init(&r->lock, NULL);
	return r;
}

void rbac_free(struct rbac *r)
{
	if (!r)
		return;
	rbac_put(r->current);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

static void refresh(struct rbac *r)
{
	struct snapshot *now[N_KINDS];
	struct rbac_index *old = r->current;
	bool same = old;

	for (int k = 0; k < N_KINDS; k++) {
		now[k] = store_snapshot(r->store, resources[k]);
		same = same && snapshot_same(now[k], old->kinds[k].from);
	}
	if (same) {
		for (int k = 0; k < N_KINDS; k++)
			snapshot_unref(now[k]);
		return;
	}
	r->current = index_new(now, old);
	rbac_put(old);
}

const struct rbac_index *rbac_get(struct rbac *r)
{
	uint64_t revision = store_revision(r->store);
	struct rbac_index *ix;

	pthread_mutex_lock(&r->lock);
	if (!r->current || r->checked < revision) {
		refresh(r);
		r->checked = revision;
	}
	ix = r->current;
	atomic_fetch_add_explicit(&ix->refs, 1, memory_order_relaxed);
	pthread_mutex_unlock(&r->lock);
	return ix;
}

/* --- questions --- */

static bool each_subject(const struct rbac_index *ix, uint64_t hash, struct str ns,
	const struct user_info *user, rbac_visit visit, void *state)
{
	for (uint32_t at = ix->buckets[hash & ix->mask]; at; at = ix->entries[at - 1].next) {
		const struct entry *e = &ix->entries[at - 1];
		const struct rbac_binding *b = &e->binding->binding;
		const struct rbac_v1_subject *s = &b->subjects.v[e->subject];

		if (e->hash == hash && str_eq(b->ns, ns) && applies(b, s, user) &&
			!visit(state, b, s, e->role))
			return false;
	}
	return true;
}

static bool each_in(const struct rbac_index *ix, const struct user_info *user, struct str ns,
	rbac_visit visit, void *state)
{
	if (!each_subject(ix, hash_name('u', ns, user->name), ns, user, visit, state))
		return false;
	for (size_t i = 0; i < user->groups.n; i++)
		if (!each_subject(
			    ix, hash_name('g', ns, user->groups.v[i]), ns, user, visit, state))
			return false;
	return true;
}

void rbac_each(const struct rbac_index *ix, const struct user_info *user, struct str ns,
	rbac_visit visit, void *state)
{
	if (each_in(ix, user, S(""), visit, state) && ns.n)
		each_in(ix, user, ns, visit, state);
}

static bool each_binding(const struct rbac_index *ix, int kind, const struct user_info *user,
	struct str ns, rbac_visit visit, void *state)
{
	for (size_t i = 0; i < ix->kinds[kind].n; i++) {
		const struct rbac_binding *b = &ix->kinds[kind].v[i]->binding;

		for (size_t k = 0; str_eq(b->ns, ns) && k < b->subjects.n; k++) {
			if (!applies(b, &b->subjects.v[k], user))
				continue;
			if (!visit(state, b, &b->subjects.v[k], role_of(ix, b)))
				return false;
			break;
		}
	}
	return true;
}

void rbac_each_binding(const struct rbac_index *ix, const struct user_info *user, struct str ns,
	rbac_visit visit, void *state)
{
	if (each_binding(ix, CLUSTER_BINDINGS, user, S(""), visit, state) && ns.n)
		each_binding(ix, BINDINGS, user, ns, visit, state);
}
