/*
 * audit.h: the audit log: one line of JSON (audit.k8s.io/v1 Event) per request and stage, as a policy file says
 * (--audit-policy-file, --audit-log-*; apiserver pkg/audit).
 *
 * A request passes through here so:
 *
 *     audit_begin(r, user)           who asks is known: the policy decides, RequestReceived is written
 *     audit_impersonated(r, …)       … who acts as whom
 *     audit_decision(r, …)           … and whether he may
 *     audit_request_object(r, …)     what was sent, as it was understood
 *     audit_end(r)                   when the exchange ends: ResponseComplete
 *
 * What is answered is seen on its way out, whoever answers. All of it runs on the request's loop and does nothing when
 * there is no audit log or the policy says None. A line is on its way to the disk when its function returns.
 */
#ifndef SAMPAN_AUDIT_H
#define SAMPAN_AUDIT_H

#include "apiserver/request.h"
#include "client/user.h"
#include "types.gen.h"

struct request;

enum audit_level { AUDIT_NONE, AUDIT_METADATA, AUDIT_REQUEST, AUDIT_REQUEST_RESPONSE };
enum audit_stage {
	AUDIT_RECEIVED = 1 << 0,
	AUDIT_STARTED = 1 << 1,
	AUDIT_COMPLETE = 1 << 2,
	AUDIT_PANIC = 1 << 3,
};

/* --- the policy: pure --- */

/* YAML or JSON -> *ret in the arena, checked. 400 in upstream's words. Unknown fields are named in *ret_warnings and
 * otherwise left out, as upstream does. */
int audit_policy_parse(struct arena *a, struct str text, struct audit_v1_policy **ret,
	struct str_vec *ret_warnings, struct err *err);
struct audit_verdict {
	enum audit_level level;
	unsigned omit; /* enum audit_stage */
	bool omit_managed_fields;
};
/* The first rule that fits; user NULL: nobody knows. */
struct audit_verdict audit_policy_decide(const struct audit_v1_policy *p, const struct user_info *user,
	const struct request_info *info);

/* --- the file --- */

struct audit_log_opts {
	const char *path;       /* "-": standard output */
	int max_age_days;       /* of rotated files; 0: they are kept */
	int max_backups;        /* how many; 0: all */
	int max_size_mb;        /* before it is rotated; 0: 100 */
};
struct audit_log;
int audit_log_open(const struct audit_log_opts *opts, struct audit_log **ret, struct err *err);
void audit_log_close(struct audit_log *l); /* NULL-safe */
/* A whole line, without its end. Any thread. */
void audit_log_write(struct audit_log *l, struct str line);

/* --- requests --- */

struct audit_opts {
	struct str policy; /* of --audit-policy-file; empty: nothing is written */
	struct audit_log_opts log;
};
struct audit_sink;
int audit_sink_new(const struct audit_opts *opts, struct audit_sink **ret, struct err *err);
void audit_sink_free(struct audit_sink *a); /* NULL-safe */

/* user NULL: authentication failed, and the one line that this gives is written with the answer. */
void audit_begin(struct request *r, const struct user_info *user);
void audit_impersonated(struct request *r, const struct user_info *as, const char *constraint);
void audit_decision(struct request *r, bool allowed, struct str reason);
void audit_annotate(struct request *r, struct str key, struct str value);
/* A struct that was decoded from the body (again when defaults are in); meta NULL: it has none. */
void audit_request_object(struct request *r, struct str api_version, struct str kind, const struct schema_type *type,
	const void *typed, const struct meta_v1_object_meta *meta);
/* The body as it is (a patch). */
void audit_request_patch(struct request *r, struct str body);
/* Whether the answer is kept to be written: then it must not be compressed. */
bool audit_wants_answer(const struct request *r);
void audit_end(struct request *r);

#endif
