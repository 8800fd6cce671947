/*
 * admission.h: what looks at each write between decoding and commit (apiserver pkg/admission).
 *
 * Plugins run in the order of the table, first all admit() (may change attrs->obj), then, after
 * validation, all validate() (may not). They run on an I/O thread, must not block, and read other
 * objects through snapshots of attrs->store. One that has to wait (a webhook, a quota's commit)
 * returns ADMISSION_SUSPENDED and calls admission_resume() on a later turn of the request's loop:
 *
 *     w->run.attrs = request_admission(r, ADMIT_CREATE, obj, NULL);
 *     w->run.done = admitted;
 *     admission_admit(&w->run);        // admitted(&w->run, err) now or later; err NULL: go on
 *
 * Whoever runs the plugins keeps the run and its request alive until done. That the peer went away
 * changes nothing: the write goes on.
 */
#ifndef SAMPAN_ADMISSION_H
#define SAMPAN_ADMISSION_H

#include "client/user.h"
#include "loop/loop.h"
#include "store/store.h"
#include "types.gen.h"

struct apiserver;
struct admission;
struct admission_run;
struct request;

enum admission_op {
	ADMIT_CREATE = 1 << 0,
	ADMIT_UPDATE = 1 << 1,
	ADMIT_DELETE = 1 << 2,
	ADMIT_CONNECT = 1 << 3, /* exec, attach, portforward, proxy */
};

enum { ADMISSION_SUSPENDED = 1 };

struct admission_attrs {
	struct apiserver *server;
	struct arena *arena;
	struct store *store;
	struct loop *loop; /* the request's */
	enum admission_op op;
	const struct schema_resource *resource;  /* the storage resource */
	const struct schema_resource *addressed; /* the view that the client used */
	struct str subresource;
	struct str ns, name; /* of the request; name may be empty on create (generateName) */
	void *obj; /* resource->type, or the subresource's own (binding: struct v1_binding); NULL on
		      delete */
	const void *old; /* NULL on create */
	/* What obj is when it is not resource->type; NULL: it is. */
	const struct schema_type *body;
	struct str body_group, body_version, body_kind;
	const struct user_info *user;
	int64_t now_ns;
	bool dry_run;
	struct request *request;
	struct str_vec *warnings;
	struct str_map annotations; /* for the audit log; admission_annotate() */
	struct admission_run *run;
	void *state; /* the running plugin's own, from its init */
};

struct admission_plugin {
	const char *name; /* as in --enable-admission-plugins: "NamespaceLifecycle" */
	uint32_t ops;     /* enum admission_op */
	bool off;         /* not in the default set */
	/* What lives as long as the server; config: its part of --admission-control-config-file as
	 * JSON, empty when there is none. NULL: neither state nor configuration. */
	int (*init)(struct apiserver *s, struct str config, void **ret_state, struct err *err);
	void (*free)(void *state);
	/* 0, ADMISSION_SUSPENDED, or negative errno with err (a whole Status, see
	 * admission_forbidden). Either may be NULL. */
	int (*admit)(struct admission_attrs *attrs, struct err *err);
	int (*validate)(struct admission_attrs *attrs, struct err *err);
};

/* admission/registry.c: all that exist, in the order in which they run; NULL-terminated. */
extern const struct admission_plugin *const admission_plugins[];

/* --- one pass of the plugins over one write --- */

struct admission_run {
	struct admission_attrs attrs;
	void (*done)(struct admission_run *run, struct err *err); /* once per call below */
	void *user_data;

	/* private */
	size_t at;
	bool validating, suspended;
	bool again;     /* a webhook asks for a second pass of the mutating ones */
	bool second;    /* this is it */
	void *webhooks, *policies; /* what they remember from the first pass */
	int64_t began_ns, since_ns; /* the step, and the plugin that runs (metric_now_ns) */
};

void admission_admit(struct admission_run *run);
void admission_validate(struct admission_run *run);
/* The plugin that suspended is done: err NULL (go on) or why not. Not from inside the plugin. */
void admission_resume(struct admission_run *run, struct err *err);

/* --- for plugins --- */

/* 403 in the words of admission.NewForbidden: 'pods "x" is forbidden: why'. */
int admission_forbidden(const struct admission_attrs *attrs, struct err *err, const char *fmt, ...)
	PRINTF_LIKE(3, 4);
/* The same with the text as it is. */
int admission_forbidden_text(const struct admission_attrs *attrs, struct err *err, struct str why);
void admission_warn(struct admission_attrs *attrs, const char *fmt, ...) PRINTF_LIKE(2, 3);
void admission_annotate(struct admission_attrs *attrs, struct str key, struct str value);
/* Decoded in attrs->arena; NULL when it is not there. */
void *admission_get(const struct admission_attrs *attrs, const struct schema_resource *res,
	struct str ns, struct str name);
/* For authorize(): a plugin that ends with no while that waits for an answer is run again. */
struct outside *admission_outside(const struct admission_attrs *attrs);
static inline bool admission_is(
	const struct admission_attrs *attrs, const struct schema_resource *res)
{
	return attrs->resource == res && !attrs->subresource.n;
}

/* --- the server's plugins --- */

struct admission_opts {
	/* NULL-terminated names, or NULL. `only`: the retired --admission-control, which names all
	 * that run (in whatever order: they run in ours). */
	const char *const *enable, *const *disable, *const *only;
	struct str config;      /* --admission-control-config-file's content; may be empty */
	const char *config_dir; /* what paths in it are relative to; NULL = "." */
};

/* Upstream's words about unknown names and flags that exclude each other; all of them, one a line.
 * For flag parsing; admission_new() checks again. */
int admission_check(const struct admission_opts *opts, struct err *err);
int admission_new(struct apiserver *s, const struct admission_opts *opts, struct admission **ret,
	struct err *err);
void admission_free(struct admission *a); /* NULL-safe; after every loop has stopped */
bool admission_enabled(const struct admission *a, const char *name);

#endif
