#include "apiserver/managed_fields.h"

#include "apiserver/convert.h"
#include "apiserver/patch_check.h"
#include "apiserver/validation/pod.h"
#include "apiserver/write.h"
#include "json/write.h"

enum { MANAGER_MAX = 128, ANNOTATIONS_MAX = 256 * 1024 };

/* --- who --- */

struct str managed_fields_manager(struct request *r, struct str field_manager)
{
	struct str name, rest;
	size_t n = 0;
	char *p;

	if (field_manager.n)
		return field_manager;
	str_cut(r->user_agent, '/', &name, &rest);
	p = arena_alloc(r->arena, name.n + 1);
	for (size_t i = 0; i < name.n; i++) {
		unsigned char c = (unsigned char)name.p[i];

		if (c >= ' ' && c != 0x7f)
			p[n++] = (char)c;
	}
	n = MIN(n, (size_t)MANAGER_MAX);
	while (n && n < name.n && ((unsigned char)p[n] & 0xc0) == 0x80)
		n--; /* no half character */
	return str_n(p, n);
}

/* --- what a strategy keeps from being written (GetResetFields of each) --- */

static const char *const status_only[] = {"status", NULL};
static const char *const spec_only[] = {"spec", NULL};
static const char *const spec_and_metadata[] = {"spec", "metadata", NULL};

static const struct {
	const char *plural, *sub;
	const char *const *resets, *const *allows;
} rules[] = {
	{"certificatesigningrequests", "", (const char *const[]){"spec", "status", NULL}, NULL},
	{"certificatesigningrequests", "status",
		(const char *const[]){"spec", "status.conditions", NULL}, NULL},
	{"certificatesigningrequests", "approval",
		(const char *const[]){"spec", "status.certificate", NULL}, NULL},
	{"deployments", "status", (const char *const[]){"spec", "metadata.labels", NULL}, NULL},
	{"pods", "status",
		(const char *const[]){
			"spec", "metadata.deletionTimestamp", "metadata.ownerReferences", NULL},
		NULL},
	{"pods", "ephemeralcontainers", NULL,
		(const char *const[]){"spec.ephemeralContainers", NULL}},
	{"pods", "resize", NULL,
		(const char *const[]){"spec.containers.*.resources",
			"spec.containers.*.resizePolicy", "spec.initContainers.*.resources",
			"spec.initContainers.*.resizePolicy", NULL}},
	{"namespaces", "finalize", status_only, NULL},
	{"servicecidrs", "status", spec_and_metadata, NULL},
	{"resourceclaims", "status", spec_and_metadata, NULL},
	{"volumeattachments", "status", spec_and_metadata, NULL},
	{"flowschemas", "status", spec_and_metadata, NULL},
	{"prioritylevelconfigurations", "status", spec_and_metadata, NULL},
	{"validatingadmissionpolicies", "status", spec_and_metadata, NULL},
	{"apiservices", "status", spec_and_metadata, NULL},
};

static void set_rules(const struct schema_resource *res, struct field_manager *fm)
{
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		if (!strcmp(rules[i].plural, res->plural) &&
			str_eqc(fm->subresource, rules[i].sub)) {
			fm->resets = rules[i].resets;
			fm->allows = rules[i].allows;
			return;
		}
	if (!res->has_status)
		return;
	if (!fm->subresource.n)
		fm->resets = status_only;
	else if (str_eqc(fm->subresource, "status"))
		fm->resets = spec_only;
}

/* --- versions --- */

static const struct schema_resource *version_of(struct request *r, struct str api_version)
{
	for (size_t i = 0; i < schema_n_resources; i++) {
		const struct schema_resource *res = schema_resources[i];

		/* those of another group (events.k8s.io) are none to upstream */
		if (res->storage_resource == r->storage && !strcmp(res->group, r->res->group) &&
			str_eq(group_version(r->arena, res), api_version) &&
			convert_exists(res, r->storage) && convert_exists(r->storage, res))
			return res;
	}
	return NULL;
}

/* The value as a struct. A configuration may hold what no struct can. */
static int to_struct(struct request *r, const struct fvalue *v, const struct schema_type *type,
	void **ret, struct err *err)
{
	struct buf b;
	struct str json;

	buf_init(&b, 2 * OBJECT_JSON_MAX);
	fvalue_write_json(v, &b);
	json = arena_str(r->arena, buf_str(&b));
	buf_release(&b);
	return schema_decode_json(type, json, r->arena, NULL, ret, err);
}

/* A struct of one version in another one; the original stays as it is. */
static int to_version(struct request *r, const struct schema_resource *from, const void *typed,
	const struct schema_resource *to, void **ret, struct err *err)
{
	void *copy = (void *)typed;

	if (from != to)
		copy = schema_copy(from->type, typed, r->arena);
	return convert(from, copy, to, r->arena, ret, err);
}

static int convert_value(const struct field_manager *fm, const struct fvalue *v, struct str from,
	struct str to, const struct schema_type **ret_type, struct fvalue *ret, struct err *err)
{
	struct request *r = fm->user_data;
	const struct schema_resource *source = version_of(r, from), *target = version_of(r, to);
	void *typed;
	int e;

	if (!source || !target)
		return -ENOENT;
	e = to_struct(r, v, source->type, &typed, err);
	if (e >= 0)
		e = convert(source, typed, r->storage, r->arena, &typed, err);
	if (e >= 0)
		e = convert(r->storage, typed, target, r->arena, &typed, err);
	if (e < 0)
		return e;
	set_type_meta(target, typed, r->arena);
	*ret_type = target->type;
	*ret = fvalue_from_struct(target->type, typed, r->arena);
	return 0;
}

static struct field_manager manager_of(struct request *r)
{
	struct field_manager fm = {.arena = r->arena,
		.type = r->res->type,
		.api_version = group_version(r->arena, r->res),
		.subresource = r->ctx.subresource,
		.now = time_from_ns(r->now_ns),
		.convert = convert_value,
		.user_data = r};

	set_rules(r->storage, &fm);
	return fm;
}

/* Upstream's DaemonSets have their template's generation as a number; whoever looks at one sees it
 * as an annotation, 0 at first. */
static void *with_generation(struct request *r, const void *typed)
{
	struct apps_v1_daemon_set *ds = schema_copy(r->storage->type, typed, r->arena);
	const struct str key = S("deprecated.daemonset.template.generation");
	struct str_map all = {0}, *map = &ds->metadata.annotations;

	if (str_map_get(map, key))
		return ds;
	for (size_t i = 0; i < map->n; i++)
		str_map_put(r->arena, &all, map->v[i].key, map->v[i].value);
	str_map_put(r->arena, &all, key, S("0"));
	*map = all;
	return ds;
}

/* The stored object (NULL: the empty one) in the request's version. */
static int view(struct request *r, const void *typed, struct fvalue *ret, struct err *err)
{
	void *there = arena_alloc(r->arena, r->res->type->size);
	int e = typed ? to_version(r, r->storage, typed, r->res, &there, err) : 0;

	if (e < 0)
		return e;
	if (typed && r->storage == &apps_v1_daemon_set_resource)
		there = with_generation(r, there);
	if (typed)
		set_type_meta(r->res, there, r->arena);
	*ret = fvalue_from_struct(r->res->type, there, r->arena);
	return 0;
}

/* --- updates --- */

static bool asks_for_reset(const struct meta_v1_managed_fields_entry_vec *v)
{
	static const struct meta_v1_managed_fields_entry none;

	if (!v->n)
		return v->v != NULL;
	return v->n == 1 && schema_equal(&meta_v1_managed_fields_entry_schema, &v->v[0], &none);
}

static void clear(struct meta_v1_object_meta *m)
{
	m->managed_fields = (struct meta_v1_managed_fields_entry_vec){0};
}

/* The entries to go on from: those of the client when they are valid, else what is stored. */
static struct managed entries_of(
	struct request *r, const struct meta_v1_object_meta *old, struct meta_v1_object_meta *m)
{
	const struct meta_v1_managed_fields_entry_vec none = {0},
						      *live = old ? &old->managed_fields : &none;
	struct managed ret = {0};
	bool sent = m->managed_fields.v && !r->ctx.subresource.n;

	if (sent && asks_for_reset(&m->managed_fields))
		return ret;
	if (sent && m->managed_fields.n == live->n) {
		bool same = true;

		for (size_t i = 0; same && i < live->n; i++)
			same = schema_equal(&meta_v1_managed_fields_entry_schema, &live->v[i],
				&m->managed_fields.v[i]);
		sent = !same;
	}
	if (sent && managed_decode(&m->managed_fields, false, r->arena, &ret, NULL) == 0 && ret.n)
		return ret;
	if (managed_decode(live, true, r->arena, &ret, NULL) < 0)
		return (struct managed){0};
	return ret;
}

void managed_fields_update(struct request *r, const void *old, void *obj)
{
	struct meta_v1_object_meta *m = meta_of(r->storage, obj);
	const struct meta_v1_object_meta *was = old ? meta_of_const(r->storage, old) : NULL;
	struct managed entries = entries_of(r, was, m);
	struct field_manager fm;
	struct fvalue before, after;

	clear(m);
	if (!entries.n && old)
		return; /* nobody's fields are tracked until somebody applies */
	fm = manager_of(r);
	if (view(r, old, &before, NULL) < 0 || view(r, obj, &after, NULL) < 0 ||
		field_manager_update(&fm, &before, &after, r->field_manager, &entries) < 0)
		return;
	managed_encode(&entries, r->arena, &m->managed_fields);
}

void managed_fields_created(struct request *r, const struct schema_type *type,
	struct str api_version, const void *typed, struct meta_v1_object_meta *meta)
{
	struct field_manager fm = {.arena = r->arena,
		.type = type,
		.api_version = api_version,
		.subresource = r->ctx.subresource,
		.now = time_from_ns(r->now_ns)};
	struct fvalue before, after;
	struct managed entries = {0};

	clear(meta);
	before = fvalue_from_struct(type, arena_alloc(r->arena, type->size), r->arena);
	after = fvalue_from_struct(type, typed, r->arena);
	if (field_manager_update(&fm, &before, &after, r->field_manager, &entries) == 0)
		managed_encode(&entries, r->arena, &meta->managed_fields);
}

static bool same_but_for_times(const struct meta_v1_managed_fields_entry_vec *x,
	const struct meta_v1_managed_fields_entry_vec *y)
{
	bool same_times = true;

	if (x->n != y->n || !x->n)
		return false;
	for (size_t i = 0; i < x->n; i++) {
		struct meta_v1_managed_fields_entry e = y->v[i];

		same_times = same_times && x->v[i].time.set == e.time.set &&
			     x->v[i].time.sec == e.time.sec;
		e.time = x->v[i].time;
		if (!schema_equal(&meta_v1_managed_fields_entry_schema, &x->v[i], &e))
			return false;
	}
	return !same_times;
}

void managed_fields_keep_times(struct request *r, const void *old, void *obj)
{
	struct meta_v1_object_meta *m = meta_of(r->storage, obj);
	const struct meta_v1_object_meta *was = meta_of_const(r->storage, old);
	struct meta_v1_managed_fields_entry_vec now = m->managed_fields;

	if (!same_but_for_times(&was->managed_fields, &now))
		return;
	set_type_meta(r->storage, obj, r->arena);
	m->managed_fields = was->managed_fields;
	if (!schema_equal(r->storage->type, obj, old))
		m->managed_fields = now;
}

/* --- apply --- */

static struct str kind_text(const struct fvalue *config, struct str *ret_version, struct arena *a)
{
	const struct fvalue *v = fvalue_get(config, S("apiVersion"));
	const struct fvalue *k = fvalue_get(config, S("kind"));
	struct str version = v ? fvalue_text(v) : S(""), kind = k ? fvalue_text(k) : S("");
	struct str group, rest;

	*ret_version = version;
	if (!str_cut(version, '/', &group, &rest))
		return arena_fmt(a, "/" STR_FMT ", Kind=" STR_FMT, STR_ARG(version), STR_ARG(kind));
	if (str_chr(rest, '/') >= 0)
		return S("/, Kind=");
	return arena_fmt(a, STR_FMT ", Kind=" STR_FMT, STR_ARG(version), STR_ARG(kind));
}

static struct str member_text(const struct fvalue *config, const char *name)
{
	const struct fvalue *m = fvalue_get(config, S("metadata"));
	const struct fvalue *v = m ? fvalue_get(m, str_c(name)) : NULL;

	return v ? fvalue_text(v) : S("");
}

/* How upstream names an object in errors: '/a; apps/v1, Kind=Deployment'. */
static struct str title(const struct fvalue *config, struct arena *a)
{
	struct str version, kind = kind_text(config, &version, a);

	return arena_fmt(a, STR_FMT "/" STR_FMT "; " STR_FMT,
		STR_ARG(member_text(config, "namespace")), STR_ARG(member_text(config, "name")),
		STR_ARG(kind));
}

static int check_config(const struct field_manager *fm, const struct fvalue *config,
	struct str kind, struct err *err)
{
	const struct fvalue *meta = fvalue_get(config, S("metadata")), *k, *managed;
	struct str version, text = kind_text(config, &version, fm->arena), why;

	k = fvalue_get(config, S("kind"));
	if (!str_eq(version, fm->api_version) || !k || !str_eq(fvalue_text(k), kind))
		return err_bad_request(err, "invalid object type: " STR_FMT, STR_ARG(text));
	managed = meta ? fvalue_get(meta, S("managedFields")) : NULL;
	if (managed && managed->kind == FVALUE_LIST)
		return err_bad_request(err, "metadata.managedFields must be nil");
	if (typed_validate(config, fplace_of(fm->type), false, fm->arena, &why) < 0)
		return err_fmt(err, 500, "",
			"failed to create typed patch object (" STR_FMT "): " STR_FMT,
			STR_ARG(title(config, fm->arena)), STR_ARG(why));
	return 0;
}

static struct str decode_error(struct arena *a, struct str why)
{
	struct str to = str_ends(why, S(" of type int32"))   ? S("int32")
			: str_ends(why, S(" of type int64")) ? S("int64")
							     : S("");

	if (to.n && str_starts(why, S("json: cannot unmarshal number")))
		return arena_fmt(a, "cannot convert float64 to " STR_FMT, STR_ARG(to));
	return patch_go_error(a, why);
}

/* The merged value as a struct of fm->type. */
static int decode_result(struct request *r, const struct field_manager *fm,
	const struct fvalue *config, const struct fvalue *result, void **ret, struct err *err)
{
	struct err why CLEANUP(err_release) = {0};
	struct str version;

	if (to_struct(r, result, fm->type, ret, &why) == 0)
		return 0;
	return err_fmt(err, 500, "",
		"failed to convert new object (" STR_FMT ") to proper version: unable to convert "
		"unstructured object to " STR_FMT ": " STR_FMT,
		STR_ARG(title(config, r->arena)), STR_ARG(kind_text(config, &version, r->arena)),
		STR_ARG(decode_error(r->arena, why.message)));
}

/* The configuration as client-side apply would have left it behind, for clients that still look. */
static void note_last_applied(
	struct request *r, const struct json_value *config, struct meta_v1_object_meta *m)
{
	struct json_value *copy = json_copy(config, r->arena), *meta = json_getc(copy, "metadata");
	struct json_value *annotations = meta ? json_getc(meta, "annotations") : NULL;
	struct str_map *map = &m->annotations, kept = {0};
	struct str value;
	size_t total = 0;
	struct buf b;

	if (annotations && annotations->kind == JSON_OBJECT)
		json_remove(annotations, S(LAST_APPLIED));
	buf_init(&b, 2 * OBJECT_JSON_MAX);
	json_write_sorted(copy, &b);
	buf_add_char(&b, '\n');
	value = arena_str(r->arena, buf_str(&b));
	buf_release(&b);
	for (size_t i = 0; i < map->n; i++) {
		struct str_pair p = map->v[i];

		if (str_eqc(p.key, LAST_APPLIED))
			p.value = value;
		total += p.key.n + p.value.n;
		ARENA_PUSH(r->arena, &kept, p);
	}
	for (size_t i = 0; total > ANNOTATIONS_MAX && i < kept.n; i++)
		if (str_eqc(kept.v[i].key, LAST_APPLIED)) {
			memmove(kept.v + i, kept.v + i + 1, (kept.n - i - 1) * sizeof(*kept.v));
			kept.n--;
		}
	*map = kept;
}

static bool has_last_applied(const struct meta_v1_object_meta *m)
{
	const struct str *s = str_map_get(&m->annotations, S(LAST_APPLIED));

	return s && s->n;
}

/* fm->type's struct `there` in the storage version, with its defaults. */
static int finish(struct request *r, void *there, void **ret, struct err *err)
{
	int e = convert(r->res, there, r->storage, r->arena, ret, err);

	if (e >= 0)
		write_default(r, *ret);
	return e;
}

int managed_fields_apply(struct request *r, const struct json_value *config, bool force,
	const void *old, void **ret, struct err *err)
{
	struct field_manager_apply apply = {.manager = r->field_manager, .force = force};
	const struct meta_v1_managed_fields_entry_vec none = {0};
	const struct meta_v1_object_meta *was = old ? meta_of_const(r->storage, old) : NULL;
	struct fvalue live, given = fvalue_from_json(config, r->arena);
	struct field_manager fm = manager_of(r);
	struct meta_v1_object_meta *m;
	struct managed entries;
	struct str why;
	void *there;
	int e;

	if (managed_decode(was ? &was->managed_fields : &none, true, r->arena, &entries, &why) < 0)
		return err_fmt(
			err, 500, "", "failed to decode managed fields: " STR_FMT, STR_ARG(why));
	e = check_config(&fm, &given, str_c(r->res->kind), err);
	if (e >= 0)
		e = view(r, old, &live, err);
	if (e >= 0)
		e = field_manager_apply(&fm, &live, &given, &apply, &entries, err);
	if (e < 0)
		return e;
	if (apply.unchanged && old) {
		*ret = schema_copy(r->storage->type, old, r->arena);
	} else {
		e = decode_result(r, &fm, &given, &apply.result, &there, err);
		if (e >= 0)
			e = finish(r, there, ret, err);
		if (e < 0)
			return e;
	}
	m = meta_of(r->storage, *ret);
	if (str_eqc(r->field_manager, "kubectl") && has_last_applied(m))
		note_last_applied(r, config, m);
	managed_encode(&entries, r->arena, &m->managed_fields);
	return 0;
}

/* --- scale --- */

static struct field_manager scale_manager(struct request *r)
{
	return (struct field_manager){.arena = r->arena,
		.type = &autoscaling_v1_scale_schema,
		.api_version = S("autoscaling/v1"),
		.subresource = S("scale"),
		.now = time_from_ns(r->now_ns),
		.user_data = r};
}

static bool owns_replicas(struct managed_entry *e, const struct field_set *path, struct arena *a)
{
	return field_set_intersection(managed_set(e, a), path, a).n > 0;
}

/* Who manages the parent's replicas manages those of its Scale. */
static struct managed scale_entries(struct request *r, struct managed *parent, struct str version)
{
	struct field_set path = field_set_of_path("spec.replicas", r->arena);
	struct managed ret = {0};

	for (size_t i = 0; i < parent->n; i++) {
		struct managed_entry e = parent->v[i];

		if (!str_eq(e.api_version, version) ||
			!owns_replicas(&parent->v[i], &path, r->arena))
			continue;
		e.api_version = S("autoscaling/v1");
		managed_set_to(&e, path);
		ARENA_PUSH(r->arena, &ret, e);
	}
	return ret;
}

/* And the other way round. An updater's entry is not known again, its version being another one: it
 * comes back as a new one without a time, as upstream leaves it. */
static struct managed parent_entries(
	struct request *r, struct managed *parent, struct managed *scale, struct str version)
{
	struct field_set path = field_set_of_path("spec.replicas", r->arena);
	struct managed ret = {0};

	for (size_t i = 0; i < parent->n; i++) {
		struct managed_entry e = parent->v[i], *there;

		if (!str_eq(e.api_version, version))
			continue;
		there = managed_find(scale, &e);
		if (there && owns_replicas(&e, &path, r->arena)) {
			managed_remove(scale, there);
		} else if (owns_replicas(&e, &path, r->arena)) {
			managed_set_to(&e, field_set_difference(&e.set, &path, r->arena));
			if (!e.set.n)
				continue;
		}
		ARENA_PUSH(r->arena, &ret, e);
	}
	for (size_t i = 0; i < scale->n; i++) {
		struct managed_entry e = scale->v[i];

		if (!owns_replicas(&e, &path, r->arena))
			continue;
		e.api_version = version;
		e.time = (struct k8s_time){0};
		managed_set_to(&e, path);
		ARENA_PUSH(r->arena, &ret, e);
	}
	return ret;
}

static int apply_scale(struct request *r, const struct field_manager *fm, const struct fvalue *live,
	const struct json_value *config, bool force, struct managed *entries,
	struct autoscaling_v1_scale **ret, struct err *err)
{
	struct field_manager_apply apply = {.manager = r->field_manager, .force = force};
	struct fvalue given = fvalue_from_json(config, r->arena);
	void *there;
	int e = check_config(fm, &given, S("Scale"), err);

	if (e >= 0)
		e = field_manager_apply(fm, live, &given, &apply, entries, err);
	if (e >= 0)
		e = decode_result(r, fm, &given, &apply.result, &there, err);
	if (e >= 0)
		*ret = there;
	return e;
}

int managed_fields_scale(struct request *r, const struct autoscaling_v1_scale *old,
	const struct json_value *config, bool force, struct autoscaling_v1_scale **new_,
	struct meta_v1_object_meta *meta, struct err *err)
{
	struct field_manager fm = scale_manager(r);
	struct fvalue live = fvalue_from_struct(fm.type, old, r->arena), after;
	struct str version = group_version(r->arena, r->storage);
	struct managed parent, entries;
	int e = 0;

	if (managed_decode(&meta->managed_fields, true, r->arena, &parent, NULL) < 0)
		parent = (struct managed){0};
	entries = scale_entries(r, &parent, version);
	if (config) {
		e = apply_scale(r, &fm, &live, config, force, &entries, new_, err);
	} else if (entries.n) { /* an update of what nobody manages is not tracked */
		after = fvalue_from_struct(fm.type, *new_, r->arena);
		field_manager_update(&fm, &live, &after, r->field_manager, &entries);
	}
	if (e < 0)
		return e;
	entries = parent_entries(r, &parent, &entries, version);
	managed_encode(&entries, r->arena, &meta->managed_fields);
	return 0;
}
