#include "apiserver/delete.h"

#include <stdio.h>

#include "apiserver/write.h"

enum { ATTEMPTS_MAX = 64 };

#define ORPHAN "orphan"
#define FOREGROUND "foregroundDeletion"

static void attempt(struct deletion *d);

/* --- what differs by kind --- */

static bool listed(const char *const *names, const char *name)
{
	for (; *names; names++)
		if (!strcmp(*names, name))
			return true;
	return false;
}

bool delete_returns_object(const struct schema_resource *res)
{
	static const char *const core[] = {"namespaces", "persistentvolumeclaims",
		"persistentvolumes", "pods", "podtemplates", "resourcequotas", "serviceaccounts",
		"services", NULL};
	static const char *const storage[] = {"csidrivers", "csinodes", "storageclasses",
		"volumeattachments", "volumeattributesclasses", NULL};

	if (!strcmp(res->group, "resource.k8s.io"))
		return true;
	if (!strcmp(res->group, "storage.k8s.io"))
		return listed(storage, res->plural);
	return !*res->group && listed(core, res->plural);
}

enum garbage_policy { DELETE_DEPENDENTS, ORPHAN_DEPENDENTS, UNSUPPORTED };

static enum garbage_policy policy_of(const struct schema_resource *res)
{
	if (res == &v1_event_resource)
		return UNSUPPORTED;
	if (res == &v1_replication_controller_resource || res == &batch_v1_job_resource)
		return ORPHAN_DEPENDENTS;
	return DELETE_DEPENDENTS;
}

/* --- results --- */

static void finish(
	struct deletion *d, bool gone, const struct object *o, void *typed, struct err *err)
{
	struct request *r = d->r;

	d->done(d, gone, o, typed, err);
	object_unref(d->existing);
	d->existing = NULL;
	request_unref(r);
}

static void committed(struct deletion *d, bool gone)
{
	const struct strategy *st = d->r->strategy;

	if (st && st->committed)
		st->committed(&d->ctx, gone ? NULL : d->obj, d->old);
}

static void submit(struct deletion *d, enum store_op op, struct object *draft);

static void write_done(struct store_write *sw)
{
	struct deletion *d = container_of(sw, struct deletion, sw);
	struct err err CLEANUP(err_release) = {0};
	const struct object *o = sw->object;
	bool gone = sw->op == STORE_DELETE;

	if (sw->result == 0 && d->remove_next) {
		d->remove_next = false;
		d->marked = true;
		object_unref(d->existing);
		d->existing = object_ref(o);
		submit(d, STORE_DELETE, NULL);
	} else if (sw->result == 0) {
		committed(d, gone);
		finish(d, gone, o, NULL, NULL);
	} else if (sw->result == -ENOENT && d->marked) { /* the kubelet was faster */
		finish(d, true, d->existing, NULL, NULL);
	} else if (sw->result == -EBUSY && ++d->attempts < ATTEMPTS_MAX) {
		attempt(d);
	} else {
		write_store_error(d->r, d->name, sw, &err);
		finish(d, false, NULL, NULL, &err);
	}
	object_unref(o);
}

static void submit(struct deletion *d, enum store_op op, struct object *draft)
{
	d->sw = (struct store_write){
		.op = op,
		.resource = d->r->storage,
		.ns = d->ns,
		.name = d->name,
		.draft = draft,
		.expect_revision = d->existing->revision,
		.loop = d->r->loop,
		.done = write_done,
	};
	if (op == STORE_DELETE)
		write_along(&d->ctx, NULL, d->old, &d->sw);
	store_submit(d->r->s->store, &d->sw);
}

/* --- preconditions and grace --- */

/* Namespaces word it their own way. */
static int check_precondition(struct deletion *d, const char *what, const char *how,
	struct str wanted, struct str there, struct err *err)
{
	const struct schema_resource *res = d->r->storage;
	struct str why;

	if (!wanted.p || str_eq(wanted, there))
		return 0;
	if (res == &v1_namespace_resource) {
		why = arena_fmt(d->r->arena,
			"Precondition failed: %s in precondition: " STR_FMT
			", %s in object meta: " STR_FMT,
			what, STR_ARG(wanted), what, STR_ARG(there));
		return err_conflict(err, str_c(res->group), str_c(res->plural), d->name, why.p);
	}
	why = arena_fmt(d->r->arena,
		"the %s in the precondition (" STR_FMT ") does not match the %s in record (" STR_FMT
		"). The object might have been %s",
		what, STR_ARG(wanted), what, STR_ARG(there), how);
	/* upstream names the kind where the resource belongs */
	return err_conflict(err, str_c(res->group), str_c(res->kind), d->name, why.p);
}

static int check_preconditions(struct deletion *d, struct err *err)
{
	struct str version =
		arena_fmt(d->r->arena, "%llu", (unsigned long long)d->existing->revision);
	int e = check_precondition(
		d, "UID", "deleted and then recreated", d->o.uid, d->existing->uid, err);

	return e < 0 ? e
		     : check_precondition(d, "ResourceVersion", "modified", d->o.resource_version,
			       version, err);
}

static void set_deletion(struct deletion *d, int64_t at_s, int64_t grace_s)
{
	struct meta_v1_object_meta *m = meta_of(d->r->storage, d->obj);

	m->deletion_timestamp = (struct k8s_time){.set = true, .sec = at_s};
	m->deletion_grace_period_seconds = ARENA_NEW(d->r->arena, int64_t);
	*m->deletion_grace_period_seconds = grace_s;
}

enum grace {
	GRACE_NONE,    /* the kind knows none: remove, or mark for finalizers */
	GRACE_MARKED,  /* marked: *grace_s from now, 0 = remove */
	GRACE_PENDING, /* is being deleted already, and this request changes nothing */
};

/* A second request can only shorten the time that was given. */
static enum grace shorten(struct deletion *d, int64_t *grace_s)
{
	struct meta_v1_object_meta *m = meta_of(d->r->storage, d->obj);
	int64_t now_s = d->r->now_ns / 1000000000, given, at_s;

	if (!m->deletion_grace_period_seconds || !*m->deletion_grace_period_seconds)
		return GRACE_NONE;
	given = *m->deletion_grace_period_seconds;
	if (d->o.grace_s < 0 || d->o.grace_s >= given)
		return GRACE_PENDING;
	*grace_s = d->o.grace_s;
	at_s = m->deletion_timestamp.sec - given + *grace_s;
	if (at_s < now_s) {
		at_s = now_s;
		*grace_s = *grace_s ? 1 : 0;
	}
	set_deletion(d, at_s, *grace_s);
	return GRACE_MARKED;
}

static enum grace apply_grace(struct deletion *d, int64_t *grace_s)
{
	const struct strategy *st = d->r->strategy;
	struct meta_v1_object_meta *m = meta_of(d->r->storage, d->obj);

	if (!st || !st->delete_grace)
		return GRACE_NONE;
	if (m->deletion_timestamp.set)
		return shorten(d, grace_s);
	*grace_s = d->o.grace_s;
	st->delete_grace(&d->ctx, d->obj, grace_s);
	set_deletion(d, d->r->now_ns / 1000000000 + *grace_s, *grace_s);
	if (m->generation > 0)
		m->generation++;
	return GRACE_MARKED;
}

/* --- finalizers of the garbage collector --- */

static bool wants_orphans(const struct deletion *d, const struct meta_v1_object_meta *m)
{
	if (policy_of(d->r->storage) == UNSUPPORTED)
		return false;
	if (d->o.has_orphan)
		return d->o.orphan;
	if (d->o.propagation.n)
		return str_eqc(d->o.propagation, "Orphan");
	for (size_t i = 0; i < m->finalizers.n; i++) {
		if (str_eqc(m->finalizers.v[i], ORPHAN))
			return true;
		if (str_eqc(m->finalizers.v[i], FOREGROUND))
			return false;
	}
	return policy_of(d->r->storage) == ORPHAN_DEPENDENTS;
}

static bool wants_foreground(const struct deletion *d, const struct meta_v1_object_meta *m)
{
	if (policy_of(d->r->storage) == UNSUPPORTED || d->o.has_orphan)
		return false;
	if (d->o.propagation.n)
		return str_eqc(d->o.propagation, "Foreground");
	for (size_t i = 0; i < m->finalizers.n; i++) {
		if (str_eqc(m->finalizers.v[i], FOREGROUND))
			return true;
		if (str_eqc(m->finalizers.v[i], ORPHAN))
			return false;
	}
	return false;
}

static void set_finalizers(struct deletion *d)
{
	struct meta_v1_object_meta *m = meta_of(d->r->storage, d->obj);
	bool orphan = wants_orphans(d, m), foreground = wants_foreground(d, m);
	struct str_vec kept = {0};

	if (orphan == str_vec_has(&m->finalizers, S(ORPHAN)) &&
		foreground == str_vec_has(&m->finalizers, S(FOREGROUND)))
		return;
	for (size_t i = 0; i < m->finalizers.n; i++)
		if (!str_eqc(m->finalizers.v[i], ORPHAN) &&
			!str_eqc(m->finalizers.v[i], FOREGROUND))
			ARENA_PUSH(d->r->arena, &kept, m->finalizers.v[i]);
	if (orphan)
		ARENA_PUSH(d->r->arena, &kept, S(ORPHAN));
	if (foreground)
		ARENA_PUSH(d->r->arena, &kept, S(FOREGROUND));
	m->finalizers = kept;
}

static void mark_deleting(struct deletion *d)
{
	struct meta_v1_object_meta *m = meta_of(d->r->storage, d->obj);
	int64_t now_s = d->r->now_ns / 1000000000, at_s = now_s;

	if (!m->deletion_timestamp.set && m->generation > 0)
		m->generation++;
	if (m->deletion_timestamp.set)
		at_s = MIN(at_s, m->deletion_timestamp.sec);
	set_deletion(d, at_s, 0);
}

/* --- namespaces: emptied by their controller before they go --- */

static bool namespace_stays(struct deletion *d)
{
	struct v1_namespace *n = d->obj;

	if (d->r->storage != &v1_namespace_resource)
		return false;
	if (!n->metadata.deletion_timestamp.set) {
		n->metadata.deletion_timestamp = time_from_ns(d->r->now_ns);
		if (n->metadata.generation > 0)
			n->metadata.generation++;
	}
	n->status.phase = S("Terminating");
	return n->spec.finalizers.n > 0;
}

/* --- one try --- */

static void update(struct deletion *d)
{
	struct err err CLEANUP(err_release) = {0};
	struct object *draft;

	if (d->o.dry_run)
		finish(d, false, NULL, d->obj, NULL);
	else if (schema_equal(d->r->storage->type, d->obj, d->old))
		finish(d, false, d->existing, NULL, NULL);
	else if (object_draft(d->r->storage, d->obj, &draft, &err) < 0)
		finish(d, false, NULL, NULL, &err);
	else
		submit(d, STORE_UPDATE, draft);
}

/* changed: the last state differs from the stored one, and is what watchers shall see. One that
 * only now got its deletionTimestamp is first updated: nobody shall see it go without. */
static void remove_object(struct deletion *d, bool changed)
{
	struct err err CLEANUP(err_release) = {0};
	struct object *draft = NULL;

	d->remove_next = changed && !d->existing->deletion_ms;
	if (d->o.dry_run)
		finish(d, true, NULL, d->obj, NULL);
	else if (changed && object_draft(d->r->storage, d->obj, &draft, &err) < 0)
		finish(d, false, NULL, NULL, &err);
	else
		submit(d, d->remove_next ? STORE_UPDATE : STORE_DELETE, draft);
}

static void act(struct deletion *d)
{
	struct meta_v1_object_meta *m = meta_of(d->r->storage, d->obj);
	int64_t grace_s = 0;
	enum grace grace = apply_grace(d, &grace_s);

	if (grace == GRACE_PENDING) {
		finish(d, false, d->existing, NULL, NULL);
		return;
	}
	set_finalizers(d);
	if (namespace_stays(d)) {
		update(d);
	} else if (grace == GRACE_MARKED) {
		if (m->finalizers.n || grace_s > 0)
			update(d);
		else
			remove_object(d, true);
	} else if (m->finalizers.n) {
		mark_deleting(d);
		update(d);
	} else {
		remove_object(d, false);
	}
}

static void run_admission(struct deletion *d, void (*pass)(struct admission_run *),
	void (*done)(struct admission_run *, struct err *))
{
	d->run = (struct admission_run){
		.attrs = request_admission(d->r, ADMIT_DELETE, NULL, d->old),
		.done = done,
	};
	d->run.attrs.ns = d->ns;
	d->run.attrs.name = d->name;
	d->run.attrs.dry_run = d->o.dry_run;
	pass(&d->run);
}

static void validated(struct admission_run *run, struct err *err)
{
	struct deletion *d = container_of(run, struct deletion, run);

	if (err)
		finish(d, false, NULL, NULL, err);
	else
		act(d);
}

static void admitted(struct admission_run *run, struct err *err)
{
	struct deletion *d = container_of(run, struct deletion, run);

	if (err)
		finish(d, false, NULL, NULL, err);
	else
		run_admission(d, admission_validate, validated);
}

static int check(struct deletion *d, struct err *err)
{
	const struct strategy *st = d->r->strategy;
	int e = check_preconditions(d, err);

	return e < 0 || !st || !st->check_delete ? e : st->check_delete(&d->ctx, d->old, err);
}

static void attempt(struct deletion *d)
{
	struct err err CLEANUP(err_release) = {0};
	struct request *r = d->r;

	const struct object *now = store_get(r->s->store, r->storage, d->ns, d->name);

	if (d->marked && (!now || !str_eq(now->uid, d->existing->uid))) {
		object_unref(now);
		finish(d, true, d->existing, NULL, NULL);
		return;
	}
	object_unref(d->existing);
	d->existing = now;
	if (!now) {
		err_not_found(&err, r->info.group, r->info.resource, d->name);
		finish(d, false, NULL, NULL, &err);
		return;
	}
	d->old = object_decode(d->existing, r->arena);
	d->obj = schema_copy(r->storage->type, d->old, r->arena);
	if (check(d, &err) < 0)
		finish(d, false, NULL, NULL, &err);
	else
		run_admission(d, admission_admit, admitted);
}

void deletion_start(struct deletion *d)
{
	request_ref(d->r);
	d->ctx = d->r->ctx;
	d->ctx.ns = d->ns;
	d->ctx.name = d->name;
	d->ctx.dry_run = d->o.dry_run;
	attempt(d);
}

/* --- DELETE of one --- */

static void one_done(
	struct deletion *d, bool gone, const struct object *o, void *typed, struct err *err)
{
	struct request *r = d->r;
	struct str uid = d->existing ? d->existing->uid : S("");
	int code = !gone && d->o.has_orphan && !d->o.orphan ? 202 : 200;

	if (err)
		respond_error(r, err);
	else if (gone && !delete_returns_object(r->storage))
		respond_deleted(r, code, d->name, uid);
	else if (o)
		respond_object(r, code, o);
	else
		respond_typed(r, code, typed);
}

static void warn_orphans(struct request *r, const struct delete_options *o)
{
	if (r->storage == &batch_v1_job_resource && !o->has_orphan && !o->propagation.p)
		request_warn(r, "child pods are preserved by default when jobs are deleted; set "
				"propagationPolicy=Background to remove them or set "
				"propagationPolicy=Orphan to suppress this warning");
}

void handle_delete(struct request *r)
{
	struct err err CLEANUP(err_release) = {0};
	struct deletion *d = ARENA_NEW(r->arena, struct deletion);

	if (negotiate_output(r, &err) < 0 || delete_options_read(r, &d->o, &err) < 0 ||
		check_key_name(r->ctx.name, &err) < 0) {
		respond_error(r, &err);
		return;
	}
	warn_orphans(r, &d->o);
	d->r = r;
	d->ns = r->ctx.ns;
	d->name = r->ctx.name;
	d->done = one_done;
	deletion_start(d);
}
