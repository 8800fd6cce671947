/*
 * options.h: the query parameters of each verb (meta/v1 ListOptions, CreateOptions …), read and
 * checked.
 */
#ifndef SAMPAN_APISERVER_OPTIONS_H
#define SAMPAN_APISERVER_OPTIONS_H

#include "api/selector.h"
#include "apiserver/decode.h"

struct write_options { /* CreateOptions, UpdateOptions, PatchOptions */
	bool dry_run;
	enum field_validation validation;
	struct str field_manager;
};

/* kind: "CreateOptions" … as the error names it. 400, 422. */
int write_options_read(
	struct request *r, const char *kind, struct write_options *ret, struct err *err);

struct delete_options {
	bool dry_run;
	int64_t grace_s; /* -1: not asked for; negative requests count as 1 */
	bool has_orphan, orphan;
	struct str propagation;           /* Foreground, Background, Orphan or empty */
	struct str uid, resource_version; /* preconditions; p == NULL: none */
};

/* From the body, or the query when there is none. */
int delete_options_read(struct request *r, struct delete_options *ret, struct err *err);

enum version_match { MATCH_UNSET, MATCH_EXACT, MATCH_NOT_OLDER };

struct list_options {
	struct label_selector labels;
	struct field_selector fields;
	struct str resource_version; /* as sent */
	enum version_match match;
	int64_t limit;
	struct str continue_;
	int64_t timeout_s; /* -1: not given */
	bool watch, bookmarks;
	bool has_initial, initial_events; /* sendInitialEvents, also as defaulted */
	struct str ns, name;              /* the only ones that can match; empty: any */
};

/* `watch`: the verb is, whatever ?watch= says. 400, 422. */
int list_options_read(struct request *r, bool watch, struct list_options *ret, struct err *err);
/* Whether the object belongs into the list (namespace, name, selectors). */
bool list_options_match(const struct list_options *o, const struct object *obj);
static inline bool list_options_filter(const struct list_options *o)
{
	return !label_selector_is_empty(&o->labels) || o->fields.n;
}

/* A resource version as sent: 0 when empty. False when it is no number. */
bool parse_version(struct str text, uint64_t *ret);
/* Why not, as Go says it: 'strconv.ParseUint: parsing "x": invalid syntax'. */
struct str parse_version_error(struct arena *a, struct str text);
/* 504 "Too large resource version". */
int err_version_too_large(struct err *err, uint64_t wanted, uint64_t current);
/* 410 "too old resource version: 1 (5)". */
int err_version_too_old(struct err *err, uint64_t wanted, uint64_t current);

#endif
