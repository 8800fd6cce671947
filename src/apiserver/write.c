#include "apiserver/write.h"

#include <stdio.h>

#include "apiserver/generic.h"
#include "apiserver/managed_fields.h"
#include "apiserver/meta.h"
#include "apiserver/options.h"
#include "apiserver/validation/names.h"

enum {
	UPDATE_ATTEMPTS_MAX = 64, /* conflicts with other writers before the client hears of them */
	GENERATE_ATTEMPTS_MAX = 8, /* names to try (store.go maxNameGenerationCreateAttempts) */
};

static void create_attempt(struct write *w);
static void update_attempt(struct write *w);

/* --- life --- */

struct write *write_new(struct request *r)
{
	struct write *w = xcalloc(1, sizeof(*w));

	w->r = request_ref(r);
	w->ns = r->ctx.ns;
	w->name = r->ctx.name;
	return w;
}

static void write_free(struct write *w)
{
	object_unref(w->existing);
	request_unref(w->r);
	free(w);
}

static void answer(struct write *w, int code, const struct object *o, void *typed)
{
	if (w->answer)
		w->answer(w, code, o, typed);
	else if (o)
		respond_object(w->r, code, o);
	else
		respond_typed(w->r, code, typed);
	write_free(w);
}

static void attempt_again(void *user_data)
{
	struct write *w = user_data;

	if (w->creating)
		create_attempt(w);
	else
		update_attempt(w);
}

static void fail(struct write *w, struct err *err)
{
	const struct strategy *st = w->r->strategy;

	if (outside_waits(&w->r->outside)) { /* whether he may was not known */
		outside_ask(&w->r->outside, attempt_again, w);
		return;
	}
	if (w->allocated && st->release)
		st->release(&w->r->ctx, w->obj, w->old);
	w->allocated = false;
	if (w->failed)
		w->failed(w, err);
	else
		respond_error(w->r, err);
	write_free(w);
}

/* --- errors --- */

static struct str group_of(const struct request *r)
{
	return r->info.group;
}

static struct str plural_of(const struct request *r)
{
	return r->info.resource;
}

static int invalid(struct write *w, const struct field_errors *errs, struct err *err)
{
	const struct schema_resource *res = w->r->storage;

	return field_errors_status(
		errs, str_c(res->group), str_c(res->kind), meta_of(res, w->obj)->name, err);
}

/* --- create --- */

static int validate_create(struct write *w, struct err *err)
{
	struct request *r = w->r;
	const struct strategy *st = r->strategy;
	const struct meta_v1_object_meta *m = meta_of(r->storage, w->obj);
	struct field_errors errs = {.arena = r->arena};

	meta_validate(m, r->storage->namespaced, generic_name_rule(r), &errs);
	meta_validate_finalizers(m, &errs);
	if (st && st->validate)
		st->validate(&r->ctx, w->obj, &errs);
	if (errs.n)
		return invalid(w, &errs, err);
	meta_validate(m, r->storage->namespaced, name_is_path_segment, &errs);
	return errs.n ? invalid(w, &errs, err) : 0;
}

static int allocate(struct write *w, struct err *err)
{
	const struct strategy *st = w->r->strategy;
	struct field_errors errs = {.arena = w->r->arena};
	int r;

	if (st && st->authorize) {
		r = st->authorize(&w->r->ctx, w->obj, w->old, err);
		if (r < 0)
			return r;
	}
	if (!st || !st->allocate)
		return 0;
	/* what is allocated may turn out to be somebody else's: then from here again */
	if (w->creating && !w->unallocated)
		w->unallocated = schema_copy(w->r->storage->type, w->obj, w->r->arena);
	r = st->allocate(&w->r->ctx, w->obj, w->old, &errs, err);
	if (errs.n)
		return invalid(w, &errs, err);
	w->allocated = r >= 0;
	return r;
}

static void prepare_create(struct write *w)
{
	struct request *r = w->r;
	const struct strategy *st = r->strategy;
	struct meta_v1_object_meta *m = meta_of(r->storage, w->obj);

	if (st && st->prepare_create)
		st->prepare_create(&r->ctx, w->obj);
	else
		generic_prepare(r, w->obj, NULL);
	if (st && st->generate_generation)
		m->generation = 1;
}

static int build_create(struct write *w, struct err *err)
{
	struct request *r = w->r;
	const struct strategy *st = r->strategy;
	struct meta_v1_object_meta *m;
	int e;

	if (w->unallocated)
		w->obj = schema_copy(r->storage->type, w->unallocated, r->arena);
	m = meta_of(r->storage, w->obj);
	meta_fill(m, r);
	if (m->generate_name.n && (!m->name.n || w->generated)) {
		meta_generate_name(m, r);
		w->generated = true;
	}
	e = meta_ensure_namespace(m, w->ns, err);
	if (e < 0)
		return e;
	r->ctx.name = m->name;
	e = allocate(w, err);
	if (e < 0)
		return e;
	prepare_create(w);
	e = validate_create(w, err);
	if (e < 0)
		return e;
	w->name = m->name;
	if (st && st->warn)
		st->warn(&r->ctx, w->obj, NULL);
	if (st && st->canonicalize)
		st->canonicalize(&r->ctx, w->obj);
	return 0;
}

static void committed(struct write *w)
{
	const struct strategy *st = w->r->strategy;

	if (st && st->committed)
		st->committed(&w->r->ctx, w->sw.op == STORE_DELETE ? NULL : w->obj, w->old);
	w->allocated = false;
}

static void create_done(struct store_write *sw)
{
	struct write *w = container_of(sw, struct write, sw);
	struct err err CLEANUP(err_release) = {0};
	const struct object *o = sw->object;

	if (sw->result == 0) {
		committed(w);
		answer(w, 201, o, NULL);
	} else if (sw->result == -EEXIST && w->allow_create) {
		update_attempt(w); /* somebody else created it: now it is an update */
	} else if (sw->result == -EADDRINUSE && ++w->attempts < UPDATE_ATTEMPTS_MAX) {
		create_attempt(w);
	} else if (sw->result == -EEXIST && w->generated && ++w->attempts < GENERATE_ATTEMPTS_MAX) {
		create_attempt(w);
	} else {
		if (sw->result == -EEXIST)
			write_exists_error(w, o, &err);
		else
			write_store_error(w->r, w->name, sw, &err);
		fail(w, &err);
	}
	object_unref(o);
}

void write_along(struct strategy_ctx *ctx, const void *obj, const void *old, struct store_write *sw)
{
	const struct strategy *st = strategy_find(ctx->resource);
	struct write_along along = {0};

	if (!st || !st->along)
		return;
	st->along(ctx, obj, old, &along);
	sw->along = along.v;
	sw->n_along = along.n;
	sw->beside = along.beside;
}

static void submit(struct write *w, enum store_op op, struct object *draft,
	void (*done)(struct store_write *sw))
{
	w->sw = (struct store_write){
		.op = op,
		.resource = w->r->storage,
		.ns = w->ns,
		.name = w->name,
		.draft = draft,
		.expect_revision = w->existing ? w->existing->revision : 0,
		.loop = w->r->loop,
		.done = done,
	};
	if (!w->plain)
		write_along(&w->r->ctx, op == STORE_DELETE ? NULL : w->obj, w->old, &w->sw);
	store_submit(w->r->s->store, &w->sw);
}

/* Nothing is written: only what the store would have said. */
static void create_dry(struct write *w)
{
	struct err err CLEANUP(err_release) = {0};
	const struct object *there = store_get(w->r->s->store, w->r->storage, w->ns, w->name);

	if (there) {
		write_exists_error(w, there, &err);
		object_unref(there);
		fail(w, &err);
		return;
	}
	if (w->allocated && w->r->strategy->release)
		w->r->strategy->release(&w->r->ctx, w->obj, NULL);
	w->allocated = false;
	meta_of(w->r->storage, w->obj)->resource_version = S("");
	generic_drop_empty(w->r->storage->type, w->obj);
	answer(w, 201, NULL, w->obj);
}

static void create_validated(struct admission_run *run, struct err *why)
{
	struct write *w = container_of(run, struct write, run);
	struct err err CLEANUP(err_release) = {0};
	struct meta_v1_object_meta *m = meta_of(w->r->storage, w->obj);
	struct object *draft;
	uint64_t version;

	if (why) {
		fail(w, why);
		return;
	}
	if (!w->allow_create && parse_version(m->resource_version, &version) && version) {
		err_fmt(&err, 500, "",
			"resourceVersion should not be set on objects to be created");
		fail(w, &err);
		return;
	}
	if (w->dry_run) {
		create_dry(w);
		return;
	}
	generic_drop_empty(w->r->storage->type, w->obj);
	if (object_draft(w->r->storage, w->obj, &draft, &err) < 0) {
		fail(w, &err);
		return;
	}
	submit(w, STORE_CREATE, draft, create_done);
}

/* The plugins see the write as it is now. */
static void run_admission(struct write *w, enum admission_op op,
	void (*pass)(struct admission_run *), void (*done)(struct admission_run *, struct err *))
{
	w->run = (struct admission_run){
		.attrs = request_admission(w->r, op, w->obj, w->old),
		.done = done,
	};
	pass(&w->run);
}

static void create_attempt(struct write *w)
{
	struct err err CLEANUP(err_release) = {0};

	if (w->allocated && w->r->strategy->release)
		w->r->strategy->release(&w->r->ctx, w->obj, NULL);
	w->allocated = false;
	if (build_create(w, &err) < 0)
		fail(w, &err);
	else
		run_admission(w, ADMIT_CREATE, admission_validate, create_validated);
}

static void create_admitted(struct admission_run *run, struct err *err)
{
	struct write *w = container_of(run, struct write, run);

	if (err) {
		fail(w, err);
		return;
	}
	w->obj = run->attrs.obj;
	create_attempt(w);
}

void write_create(struct write *w)
{
	w->creating = true;
	run_admission(w, ADMIT_CREATE, admission_admit, create_admitted);
}

/* --- update --- */

int write_authorize_create(struct request *r, struct err *err)
{
	struct request_info info = r->info;

	info.verb = S("create");
	return authorize(r->s->auth, &r->outside, &info, &r->user, err);
}

static int check_preconditions(struct write *w, struct err *err)
{
	struct str version =
		arena_fmt(w->r->arena, "%llu", (unsigned long long)w->existing->revision);
	int e = write_precondition(w, "UID", w->uid, w->existing->uid, err);

	return e < 0 ? e : write_precondition(w, "ResourceVersion", w->version, version, err);
}

static int check_version(struct write *w, struct err *err)
{
	struct request *r = w->r;
	struct meta_v1_object_meta *m = meta_of(r->storage, w->obj);
	struct field_path meta = FIELD(NULL, "metadata"), path = FIELD(&meta, "resourceVersion");
	struct field_errors errs = {.arena = r->arena};
	uint64_t version;

	if (!parse_version(m->resource_version, &version))
		return err_fmt(err, 500, "", STR_FMT,
			STR_ARG(parse_version_error(r->arena, m->resource_version)));
	if (version && version != w->existing->revision)
		return err_conflict(err, group_of(r), plural_of(r), w->name, WRITE_CONFLICT);
	if (!version && r->strategy && r->strategy->no_unconditional_update && !w->plain) {
		field_invalid_int(&errs, &path, 0, "must be specified for an update");
		return field_errors_status(&errs, group_of(r), plural_of(r), w->name, err);
	}
	m->resource_version =
		arena_fmt(r->arena, "%llu", (unsigned long long)w->existing->revision);
	return 0;
}

static void keep_system_fields(struct meta_v1_object_meta *m, const struct meta_v1_object_meta *old)
{
	if (!m->uid.n)
		m->uid = old->uid;
	if (old->creation_timestamp.set)
		m->creation_timestamp = old->creation_timestamp;
	if (old->deletion_timestamp.set)
		m->deletion_timestamp = old->deletion_timestamp;
	if (old->deletion_grace_period_seconds && !m->deletion_grace_period_seconds)
		m->deletion_grace_period_seconds = old->deletion_grace_period_seconds;
	m->self_link = (struct str){0};
}

static void prepare_update(struct write *w)
{
	struct request *r = w->r;
	const struct strategy *st = r->strategy;
	struct meta_v1_object_meta *m = meta_of(r->storage, w->obj);
	const struct meta_v1_object_meta *old = meta_of(r->storage, w->old);

	m->generation = old->generation;
	if (w->plain)
		;
	else if (st && st->prepare_update)
		st->prepare_update(&r->ctx, w->obj, w->old);
	else
		generic_prepare(r, w->obj, w->old);
	if (!w->plain && st && st->generate_generation && m->generation == old->generation &&
		!generic_same_member(r->storage->type, w->obj, w->old, S("spec")))
		m->generation++;
	keep_system_fields(m, old);
}

/* Upstream looks at metadata once for all kinds, and again in each kind's own validation. */
static int validate_update(struct write *w, struct err *err)
{
	struct request *r = w->r;
	const struct strategy *st = r->strategy;
	const struct meta_v1_object_meta *m = meta_of(r->storage, w->obj);
	const struct meta_v1_object_meta *old = meta_of(r->storage, w->old);
	struct field_errors errs = {.arena = r->arena};

	meta_validate(m, r->storage->namespaced, name_is_path_segment, &errs);
	meta_validate_update(m, old, &errs);
	meta_validate_update(m, old, &errs);
	meta_validate_finalizers(m, &errs);
	if (st && st->validate_update)
		st->validate_update(&r->ctx, w->obj, w->old, &errs);
	return errs.n ? invalid(w, &errs, err) : 0;
}

static int finish_update(struct write *w, struct err *err)
{
	struct request *r = w->r;
	const struct strategy *st = r->strategy;
	int e = validate_update(w, err);

	if (e < 0)
		return e;
	if (st && st->warn)
		st->warn(&r->ctx, w->obj, w->old);
	if (st && st->canonicalize)
		st->canonicalize(&r->ctx, w->obj);
	managed_fields_keep_times(r, w->old, w->obj);
	return 0;
}

static int make_update(struct write *w, struct err *err)
{
	int e = check_preconditions(w, err);

	if (e < 0)
		return e;
	w->old = object_decode(w->existing, w->r->arena);
	return w->make(w, w->old, &w->obj, err);
}

static int build_update(struct write *w, struct err *err)
{
	struct request *r = w->r;
	int e;

	if (!w->plain)
		meta_dedup_owners(meta_of(r->storage, w->obj), r);
	e = check_version(w, err);
	if (e < 0)
		return e;
	e = meta_ensure_namespace(meta_of(r->storage, w->obj), w->ns, err);
	if (e < 0)
		return e;
	e = w->plain ? 0 : allocate(w, err);
	if (e < 0)
		return e;
	prepare_update(w);
	return w->plain ? 0 : finish_update(w, err);
}

/* The last finalizer of something that is being deleted went: it is removed instead of updated. */
static bool removes(struct write *w)
{
	const struct meta_v1_object_meta *m = meta_of(w->r->storage, w->obj);
	const struct meta_v1_object_meta *old = meta_of(w->r->storage, w->old);

	if (m->finalizers.n || !old->deletion_timestamp.set)
		return false;
	if (w->r->storage == &v1_namespace_resource &&
		((const struct v1_namespace *)w->obj)->spec.finalizers.n)
		return false;
	return !old->deletion_grace_period_seconds || !*old->deletion_grace_period_seconds;
}

/* Whether the draft is what is stored, but for the revision. */
static bool unchanged(const struct object *draft, const struct object *o)
{
	size_t digits = o->json.n - draft->json.n, at = draft->rv_at;

	if (o->json.n < draft->json.n || o->rv_at != at || at > draft->json.n)
		return false;
	return !memcmp(draft->json.p, o->json.p, at) &&
	       !memcmp(draft->json.p + at, o->json.p + at + digits, draft->json.n - at);
}

static void update_done(struct store_write *sw)
{
	struct write *w = container_of(sw, struct write, sw);
	struct err err CLEANUP(err_release) = {0};
	const struct object *o = sw->object;

	if (sw->result == 0) {
		committed(w);
		if (sw->op == STORE_DELETE)
			answer(w, 200, NULL, w->obj);
		else
			answer(w, 200, o, NULL);
	} else if ((sw->result == -EBUSY || sw->result == -ENOENT || sw->result == -EADDRINUSE) &&
		   ++w->attempts < UPDATE_ATTEMPTS_MAX) {
		update_attempt(w);
	} else {
		write_store_error(w->r, w->name, sw, &err);
		fail(w, &err);
	}
	object_unref(o);
}

static void commit_update(struct write *w)
{
	struct err err CLEANUP(err_release) = {0};
	struct object *draft;

	generic_drop_empty(w->r->storage->type, w->obj);
	if (removes(w)) {
		if (w->dry_run)
			answer(w, 200, NULL, w->obj);
		else
			submit(w, STORE_DELETE, NULL, update_done);
		return;
	}
	if (object_draft(w->r->storage, w->obj, &draft, &err) < 0) {
		fail(w, &err);
	} else if (unchanged(draft, w->existing)) {
		object_unref(draft);
		w->allocated = false;
		answer(w, 200, w->existing, NULL);
	} else if (w->dry_run) {
		object_unref(draft);
		if (w->allocated && w->r->strategy->release)
			w->r->strategy->release(&w->r->ctx, w->obj, w->old);
		w->allocated = false;
		answer(w, 200, NULL, w->obj);
	} else {
		submit(w, STORE_UPDATE, draft, update_done);
	}
}

static void update_validated(struct admission_run *run, struct err *err)
{
	struct write *w = container_of(run, struct write, run);

	if (err)
		fail(w, err);
	else
		commit_update(w);
}

static void update_admitted(struct admission_run *run, struct err *why)
{
	struct write *w = container_of(run, struct write, run);
	struct err err CLEANUP(err_release) = {0};

	if (why) {
		fail(w, why);
		return;
	}
	w->obj = run->attrs.obj;
	if (build_update(w, &err) < 0)
		fail(w, &err);
	else
		run_admission(w, ADMIT_UPDATE, admission_validate, update_validated);
}

static void update_missing(struct write *w)
{
	struct err err CLEANUP(err_release) = {0};

	if (!w->allow_create) {
		err_not_found(&err, group_of(w->r), plural_of(w->r), w->name);
		fail(w, &err);
	} else if (w->make(w, NULL, &w->obj, &err) < 0 || write_authorize_create(w->r, &err) < 0) {
		fail(w, &err);
	} else {
		write_create(w);
	}
}

static void update_existing(struct write *w)
{
	struct err err CLEANUP(err_release) = {0};

	if (make_update(w, &err) < 0)
		fail(w, &err);
	else if (!w->plain)
		run_admission(w, ADMIT_UPDATE, admission_admit, update_admitted);
	else if (build_update(w, &err) < 0)
		fail(w, &err);
	else
		commit_update(w);
}

static void update_attempt(struct write *w)
{
	const struct strategy *st = w->r->strategy;

	if (w->allocated && st->release)
		st->release(&w->r->ctx, w->obj, w->old);
	w->allocated = w->creating = false;
	object_unref(w->existing);
	w->old = NULL;
	w->existing = store_get(w->r->s->store, w->r->storage, w->ns, w->name);
	if (w->existing)
		update_existing(w);
	else
		update_missing(w);
}

void write_update(struct write *w)
{
	update_attempt(w);
}
