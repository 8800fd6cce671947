#include "apiserver/meta.h"

#include "apiserver/validation/names.h"
#include "json/write.h"

enum { GENERATED_MAX = 63, SUFFIX = 5 };

void meta_wipe(struct meta_v1_object_meta *m)
{
	m->creation_timestamp = m->deletion_timestamp = (struct k8s_time){0};
	m->uid = m->self_link = (struct str){0};
	m->deletion_grace_period_seconds = NULL;
}

void meta_fill(struct meta_v1_object_meta *m, struct request *r)
{
	m->uid = uuid_new(r->arena, r->loop);
	m->creation_timestamp = time_from_ns(r->now_ns);
}

int meta_ensure_namespace(struct meta_v1_object_meta *m, struct str ns, struct err *err)
{
	if (m->namespace.n && ns.n && !str_eq(m->namespace, ns))
		return err_bad_request(err, "the namespace of the provided object does not match "
					    "the namespace sent on the request");
	m->namespace = ns;
	return 0;
}

int meta_check_name(const struct meta_v1_object_meta *m, struct request *r, struct err *err)
{
	if (!m->name.n)
		return err_bad_request(err,
			"the name of the object (" STR_FMT
			" based on URL) was undeterminable: name must be provided",
			STR_ARG(r->ctx.name));
	if (!str_eq(m->name, r->ctx.name))
		return err_bad_request(err,
			"the name of the object (" STR_FMT
			") does not match the name on the URL (" STR_FMT ")",
			STR_ARG(m->name), STR_ARG(r->ctx.name));
	return 0;
}

void meta_generate_name(struct meta_v1_object_meta *m, struct request *r)
{
	/* without vowels and what looks like them: no words appear by accident */
	static const char letters[] = "bcdfghjklmnpqrstvwxz2456789";
	struct str base = m->generate_name;
	uint64_t random = loop_random(r->loop);
	char suffix[SUFFIX + 1] = "";

	base.n = MIN(base.n, (size_t)(GENERATED_MAX - SUFFIX));
	for (size_t i = 0; i < SUFFIX; i++) {
		suffix[i] = letters[random % (sizeof(letters) - 1)];
		random /= sizeof(letters) - 1;
	}
	m->name = arena_fmt(r->arena, STR_FMT "%s", STR_ARG(base), suffix);
}

static bool has_owner(
	const struct meta_v1_owner_reference_vec *v, const struct meta_v1_owner_reference *o)
{
	for (size_t i = 0; i < v->n; i++)
		if (schema_equal(&meta_v1_owner_reference_schema, &v->v[i], o))
			return true;
	return false;
}

void meta_dedup_owners(struct meta_v1_object_meta *m, struct request *r)
{
	struct meta_v1_owner_reference_vec kept = {0};
	struct str twice = S("");

	if (m->owner_references.n < 2)
		return;
	for (size_t i = 0; i < m->owner_references.n; i++) {
		const struct meta_v1_owner_reference *o = &m->owner_references.v[i];

		if (has_owner(&kept, o))
			twice = arena_fmt(r->arena, STR_FMT "%s" STR_FMT, STR_ARG(twice),
				twice.n ? ", " : "", STR_ARG(o->uid));
		else
			ARENA_PUSH(r->arena, &kept, *o);
	}
	if (kept.n == m->owner_references.n)
		return;
	m->owner_references = kept;
	request_warn(r,
		".metadata.ownerReferences contains duplicate entries; API server dedups owner "
		"references in 1.20+, and may reject such requests as early as 1.24; please fix "
		"your requests; duplicate UID(s) observed: " STR_FMT,
		STR_ARG(twice));
}

/* --- validation --- */

static struct str owner_json(struct arena *a, const struct meta_v1_owner_reference *o)
{
	struct buf b;
	struct str s;

	buf_init(&b, OBJECT_JSON_MAX);
	schema_encode_json(&meta_v1_owner_reference_schema, o, &b);
	s = arena_str(a, buf_str(&b));
	buf_release(&b);
	return s;
}

static struct str owners_json(struct arena *a, const struct meta_v1_owner_reference_vec *v)
{
	struct str s = S("[");

	for (size_t i = 0; i < v->n; i++)
		s = arena_fmt(a, STR_FMT "%s" STR_FMT, STR_ARG(s), i ? "," : "",
			STR_ARG(owner_json(a, &v->v[i])));
	return arena_fmt(a, STR_FMT "]", STR_ARG(s));
}

static void require(struct field_errors *errs, const struct field_path *parent, const char *name,
	struct str value, const char *why)
{
	struct field_path path = {.parent = parent, .name = str_c(name)};

	if (!value.n)
		field_invalid(errs, &path, value, "%s", why);
}

static void validate_owner(const struct meta_v1_owner_reference *o, const struct field_path *path,
	struct field_errors *errs)
{
	struct str group, version;

	if (!str_cut(o->api_version, '/', &group, &version))
		version = o->api_version;
	require(errs, path, "apiVersion", version, "version must not be empty");
	require(errs, path, "kind", o->kind, "must not be empty");
	require(errs, path, "name", o->name, "must not be empty");
	require(errs, path, "uid", o->uid, "must not be empty");
	if (str_eqc(o->api_version, "v1") && str_eqc(o->kind, "Event"))
		field_invalid_raw(errs, path, owner_json(errs->arena, o),
			"/v1, Kind=Event is disallowed from being an owner");
}

static void validate_owners(const struct meta_v1_owner_reference_vec *v,
	const struct field_path *path, struct field_errors *errs)
{
	const struct meta_v1_owner_reference *controller = NULL;

	for (size_t i = 0; i < v->n; i++) {
		const struct meta_v1_owner_reference *o = &v->v[i];

		validate_owner(o, path, errs);
		if (!o->controller || !*o->controller)
			continue;
		if (controller)
			field_invalid_raw(errs, path, owners_json(errs->arena, v),
				"Only one reference can have Controller set to true. Found "
				"\"true\" in references for " STR_FMT "/" STR_FMT " and " STR_FMT
				"/" STR_FMT,
				STR_ARG(controller->kind), STR_ARG(controller->name),
				STR_ARG(o->kind), STR_ARG(o->name));
		else
			controller = o;
	}
}

static struct str strings_json(struct arena *a, const struct str_vec *v)
{
	struct str s = S("[");

	for (size_t i = 0; i < v->n; i++)
		s = arena_fmt(a, STR_FMT "%s" STR_FMT, STR_ARG(s), i ? "," : "",
			STR_ARG(go_quote(a, v->v[i])));
	return arena_fmt(a, STR_FMT "]", STR_ARG(s));
}

static void validate_finalizers(
	const struct str_vec *v, const struct field_path *path, struct field_errors *errs)
{
	for (size_t i = 0; i < v->n; i++)
		field_invalid_each(errs, path, v->v[i], is_qualified_name(errs->arena, v->v[i]));
	if (str_vec_has(v, S("orphan")) && str_vec_has(v, S("foregroundDeletion")))
		field_invalid_raw(errs, path, strings_json(errs->arena, v),
			"finalizer orphan and foregroundDeletion cannot be both set");
}

void meta_validate_finalizers(const struct meta_v1_object_meta *m, struct field_errors *errs)
{
	struct field_path meta = FIELD(NULL, "metadata"), list = FIELD(&meta, "finalizers");

	for (size_t i = 0; i < m->finalizers.n; i++) {
		struct field_path item = FIELD_INDEX(&list, i);
		struct str f = m->finalizers.v[i];

		if (str_chr(f, '/') < 0 && !str_eqc(f, "kubernetes") && !str_eqc(f, "orphan") &&
			!str_eqc(f, "foregroundDeletion"))
			field_invalid(errs, &item, f,
				"name is neither a standard finalizer name nor is it fully "
				"qualified");
	}
}

static void validate_names(const struct meta_v1_object_meta *m, const struct field_path *meta,
	name_errors_fn *name_errors, struct field_errors *errs)
{
	struct field_path generate = FIELD(meta, "generateName"), name = FIELD(meta, "name");

	if (m->generate_name.n)
		field_invalid_each(errs, &generate, m->generate_name,
			name_errors(errs->arena, m->generate_name, true));
	if (!m->name.n)
		field_required(errs, &name, "name or generateName is required");
	else
		field_invalid_each(errs, &name, m->name, name_errors(errs->arena, m->name, false));
}

static void validate_namespace(const struct meta_v1_object_meta *m, bool namespaced,
	const struct field_path *meta, struct field_errors *errs)
{
	struct field_path path = FIELD(meta, "namespace");

	if (namespaced && !m->namespace.n)
		field_required(errs, &path, "%s", "");
	else if (namespaced)
		field_invalid_each(errs, &path, m->namespace,
			name_is_dns_label(errs->arena, m->namespace, false));
	else if (m->namespace.n)
		field_forbidden(errs, &path, "not allowed on this type");
}

void meta_validate(const struct meta_v1_object_meta *m, bool namespaced,
	name_errors_fn *name_errors, struct field_errors *errs)
{
	struct field_path meta = FIELD(NULL, "metadata"), labels = FIELD(&meta, "labels");
	struct field_path annotations = FIELD(&meta, "annotations");
	struct field_path generation = FIELD(&meta, "generation");
	struct field_path owners = FIELD(&meta, "ownerReferences");
	struct field_path finalizers = FIELD(&meta, "finalizers");

	validate_names(m, &meta, name_errors, errs);
	validate_namespace(m, namespaced, &meta, errs);
	validate_nonnegative(m->generation, &generation, errs);
	validate_labels(&m->labels, &labels, errs);
	validate_annotations(&m->annotations, &annotations, errs);
	validate_owners(&m->owner_references, &owners, errs);
	validate_finalizers(&m->finalizers, &finalizers, errs);
}

/* --- updates --- */

static struct str time_json(struct arena *a, const struct k8s_time *t)
{
	return t->set ? go_quote(a, time_text(a, t->sec)) : S("null");
}

static struct str int_json(struct arena *a, const int64_t *v)
{
	return v ? arena_fmt(a, "%lld", (long long)*v) : S("null");
}

static void immutable(struct field_errors *errs, const struct field_path *meta, const char *name,
	struct str new_json, struct str old_json)
{
	struct field_path path = {.parent = meta, .name = str_c(name)};

	if (!str_eq(new_json, old_json))
		field_invalid_raw(errs, &path, new_json, "field is immutable");
}

static void validate_immutable(const struct meta_v1_object_meta *m,
	const struct meta_v1_object_meta *old, const struct field_path *meta,
	struct field_errors *errs)
{
	struct arena *a = errs->arena;

	immutable(errs, meta, "name", go_quote(a, m->name), go_quote(a, old->name));
	immutable(errs, meta, "namespace", go_quote(a, m->namespace), go_quote(a, old->namespace));
	immutable(errs, meta, "uid", go_quote(a, m->uid), go_quote(a, old->uid));
	immutable(errs, meta, "creationTimestamp", time_json(a, &m->creation_timestamp),
		time_json(a, &old->creation_timestamp));
	immutable(errs, meta, "deletionTimestamp", time_json(a, &m->deletion_timestamp),
		time_json(a, &old->deletion_timestamp));
	immutable(errs, meta, "deletionGracePeriodSeconds",
		int_json(a, m->deletion_grace_period_seconds),
		int_json(a, old->deletion_grace_period_seconds));
}

static void forbid_new_finalizers(const struct meta_v1_object_meta *m,
	const struct meta_v1_object_meta *old, const struct field_path *meta,
	struct field_errors *errs)
{
	struct field_path path = FIELD(meta, "finalizers");
	struct str extra = S("");

	for (size_t i = 0; i < m->finalizers.n; i++)
		if (!str_vec_has(&old->finalizers, m->finalizers.v[i]))
			extra = arena_fmt(errs->arena, STR_FMT "%s" STR_FMT, STR_ARG(extra),
				extra.n ? ", " : "",
				STR_ARG(go_quote(errs->arena, m->finalizers.v[i])));
	if (extra.n)
		field_forbidden(errs, &path,
			"no new finalizers can be added if the object is being deleted, found new "
			"finalizers []string{" STR_FMT "}",
			STR_ARG(extra));
}

void meta_validate_update(const struct meta_v1_object_meta *m,
	const struct meta_v1_object_meta *old, struct field_errors *errs)
{
	struct field_path meta = FIELD(NULL, "metadata"), labels = FIELD(&meta, "labels");
	struct field_path annotations = FIELD(&meta, "annotations");
	struct field_path generation = FIELD(&meta, "generation");
	struct field_path owners = FIELD(&meta, "ownerReferences");
	struct field_path version = FIELD(&meta, "resourceVersion");

	if (old->deletion_timestamp.set)
		forbid_new_finalizers(m, old, &meta, errs);
	if (!m->resource_version.n)
		field_invalid(errs, &version, S(""), "must be specified for an update");
	if (m->generation < old->generation)
		field_invalid_int(errs, &generation, m->generation, "must not be decremented");
	validate_immutable(m, old, &meta, errs);
	validate_labels(&m->labels, &labels, errs);
	validate_annotations(&m->annotations, &annotations, errs);
	validate_owners(&m->owner_references, &owners, errs);
}
