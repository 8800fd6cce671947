/*
 * err.h: what a user will see when something is wrong; the content of a Kubernetes Status (meta/v1 Status).
 *
 * Functions that can fail towards a user take `struct err *err` last and return 0 or a negative errno. `err` is
 * untouched on success. A caller that does not care passes NULL. Initialise with {0}; err_release() afterwards
 * (idempotent). Setting an error that is already set replaces it.
 *
 *     struct err err CLEANUP(err_release) = {0};
 *     if (thing_do(t, &err) < 0)
 *             log_warn("thing: %s", err_text(&err));
 */
#ifndef SAMPAN_ERR_H
#define SAMPAN_ERR_H

#include "base/arena.h"

struct err_cause {
	struct str reason;  /* FieldValueInvalid … */
	struct str message; /* Invalid value: "…": … */
	struct str field;   /* spec.containers[0].name */
};

struct err {
	int code;           /* HTTP status, 0 = not set */
	struct str reason;  /* NotFound, Invalid, Conflict …; may be empty */
	struct str message;
	/* details; absent from the Status when has_details is false */
	bool has_details;
	struct str name, group, kind, uid;
	struct {
		struct err_cause *v;
		size_t n;
	} causes;
	int retry_after_s;
	struct str list_continue; /* metadata.continue: how to go on with a list that expired */
	struct arena arena; /* owns all of the above */
};

void err_release(struct err *err);
static inline bool err_set(const struct err *err)
{
	return err && err->code != 0;
}
/* Sets code, reason, message; returns -errno that fits the code (400 -EINVAL, 403 -EACCES, 404 -ENOENT,
 * 409 -EEXIST or -EBUSY, 410 -ESTALE, 422 -EINVAL, 500 -EIO …), for `return err_fmt(…)`. */
int err_fmt(struct err *err, int code, const char *reason, const char *fmt, ...) PRINTF_LIKE(4, 5);
/* For things below the API: code 500, reason InternalError, message "what: strerror". Returns -errnum. */
int err_errno(struct err *err, int errnum, const char *fmt, ...) PRINTF_LIKE(3, 4);
void err_details(struct err *err, struct str group, struct str kind, struct str name, struct str uid);
void err_add_cause(struct err *err, const char *reason, struct str field, const char *fmt, ...)
	PRINTF_LIKE(4, 5);
void err_move(struct err *to, struct err *from);
const char *err_text(const struct err *err); /* the message, "" when not set; valid until err changes */

/* The usual ones, worded as upstream (apimachinery api/errors). kind is the resource's plural ("pods"),
 * as in 'pods "x" not found'. */
int err_not_found(struct err *err, struct str group, struct str plural, struct str name);
int err_already_exists(struct err *err, struct str group, struct str plural, struct str name);
int err_conflict(struct err *err, struct str group, struct str plural, struct str name, const char *why);
int err_bad_request(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);
int err_forbidden(struct err *err, struct str group, struct str plural, struct str name, const char *fmt, ...)
	PRINTF_LIKE(5, 6);
int err_internal(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
