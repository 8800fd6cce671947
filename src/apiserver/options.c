#include "apiserver/options.h"

#include "apiserver/apply.h"
#include "apiserver/managed_fields.h"

#include "apiserver/validation/names.h"

enum { FIELD_MANAGER_MAX = 128 };

static int status_of(const struct field_errors *errs, const char *kind, struct err *err)
{
	return field_errors_status(errs, S("meta.k8s.io"), str_c(kind), S(""), err);
}

/* --- numbers and flags --- */

bool parse_version(struct str text, uint64_t *ret)
{
	*ret = 0;
	if (!text.n)
		return true;
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] < '0' || text.p[i] > '9')
			return false;
	return str_to_u64(text, ret) == 0;
}

static bool is_digits(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	return s.n > 0;
}

struct str parse_version_error(struct arena *a, struct str text)
{
	return arena_fmt(a, "strconv.ParseUint: parsing " STR_FMT ": %s",
		STR_ARG(go_quote(a, text)),
		is_digits(text) ? "value out of range" : "invalid syntax");
}

static int parse_int(struct request *r, const char *name, int64_t *ret, struct err *err)
{
	struct str v = query_get(&r->query, name), digits = v;

	if (!v.n)
		return v.p ? err_bad_request(err, "strconv.ParseInt: parsing \"\": invalid syntax")
			   : 0;
	if (digits.p[0] == '-' || digits.p[0] == '+')
		digits = str_sub(digits, 1, digits.n);
	if (is_digits(digits) && str_to_i64(v.p[0] == '+' ? digits : v, ret) == 0)
		return 0;
	return err_bad_request(err, "strconv.ParseInt: parsing " STR_FMT ": %s",
		STR_ARG(go_quote(r->arena, v)),
		is_digits(digits) ? "value out of range" : "invalid syntax");
}

int err_version_too_large(struct err *err, uint64_t wanted, uint64_t current)
{
	err_fmt(err, 504, "Timeout", "Timeout: Too large resource version: %llu, current: %llu",
		(unsigned long long)wanted, (unsigned long long)current);
	err_add_cause(err, "ResourceVersionTooLarge", S(""), "Too large resource version");
	if (err)
		err->retry_after_s = 1;
	return -ETIMEDOUT;
}

int err_version_too_old(struct err *err, uint64_t wanted, uint64_t current)
{
	return err_fmt(err, 410, "Expired", "too old resource version: %llu (%llu)",
		(unsigned long long)wanted, (unsigned long long)current);
}

/* --- create, update, patch --- */

/* Go's %v of a list of strings, as field.NotSupported shows one. */
static struct str list_text(struct arena *a, const struct str_vec *v)
{
	struct str s = S("[");

	for (size_t i = 0; i < v->n; i++)
		s = arena_fmt(a, STR_FMT "%s" STR_FMT, STR_ARG(s), i ? "," : "",
			STR_ARG(go_quote(a, v->v[i])));
	return arena_fmt(a, STR_FMT "]", STR_ARG(s));
}

static void check_dry_run(struct field_errors *errs, const struct str_vec *dry_run)
{
	struct field_path path = FIELD(NULL, "dryRun");

	for (size_t i = 0; i < dry_run->n; i++) {
		if (!str_eqc(dry_run->v[i], "All")) {
			field_add(errs, FIELD_NOT_SUPPORTED, &path, list_text(errs->arena, dry_run),
				"supported values: \"All\"");
			return;
		}
	}
}

static void check_field_manager(struct field_errors *errs, struct str manager)
{
	struct field_path path = FIELD(NULL, "fieldManager");

	if (manager.n > FIELD_MANAGER_MAX)
		field_too_long(errs, &path, FIELD_MANAGER_MAX);
	for (size_t i = 0; i < manager.n; i++) {
		unsigned char c = (unsigned char)manager.p[i];

		if (c < 0x20 || c == 0x7f)
			field_invalid(errs, &path, manager,
				"invalid character U+%04X (at position %zu)", c, i);
	}
}

static void read_validation(
	struct request *r, struct field_errors *errs, enum field_validation *ret)
{
	static const char *const values[] = {"", "Ignore", "Strict", "Warn", NULL};
	struct str v = query_get(&r->query, "fieldValidation");
	struct field_path path = FIELD(NULL, "fieldValidation");

	*ret = FIELDS_WARN;
	if (str_eqc(v, "Strict"))
		*ret = FIELDS_STRICT;
	else if (str_eqc(v, "Ignore"))
		*ret = FIELDS_IGNORE;
	else if (v.n && !str_eqc(v, "Warn"))
		field_not_supported(errs, &path, v, values);
}

int write_options_read(
	struct request *r, const char *kind, struct write_options *ret, struct err *err)
{
	struct field_errors errs = {.arena = r->arena};
	struct field_path force = FIELD(NULL, "force"), name = FIELD(NULL, "fieldManager");
	bool patch = !strcmp(kind, "PatchOptions"), apply = patch && is_apply_patch(r);
	struct str_vec dry_run = query_all(&r->query, r->arena, "dryRun");

	ret->dry_run = dry_run.n > 0;
	ret->field_manager = query_get(&r->query, "fieldManager");
	if (apply && !ret->field_manager.n)
		field_required(&errs, &name, "is required for apply patch");
	if (patch && !apply && query_has(&r->query, "force"))
		field_forbidden(&errs, &force, "may not be specified for non-apply patch");
	check_field_manager(&errs, ret->field_manager);
	check_dry_run(&errs, &dry_run);
	read_validation(r, &errs, &ret->validation);
	r->field_manager = managed_fields_manager(r, ret->field_manager);
	return status_of(&errs, kind, err);
}

/* --- delete --- */

static int delete_options_query(
	struct request *r, struct meta_v1_delete_options *o, struct err *err)
{
	int64_t grace = 0;

	if (query_has(&r->query, "gracePeriodSeconds")) {
		if (parse_int(r, "gracePeriodSeconds", &grace, err) < 0)
			return -EINVAL;
		o->grace_period_seconds = ARENA_NEW(r->arena, int64_t);
		*o->grace_period_seconds = grace;
	}
	if (query_has(&r->query, "orphanDependents")) {
		o->orphan_dependents = ARENA_NEW(r->arena, bool);
		*o->orphan_dependents = query_bool(&r->query, "orphanDependents");
	}
	o->propagation_policy = query_get(&r->query, "propagationPolicy");
	o->dry_run = query_all(&r->query, r->arena, "dryRun");
	return 0;
}

static void check_propagation(struct field_errors *errs, const struct meta_v1_delete_options *o)
{
	static const char *const values[] = {"Foreground", "Background", "Orphan", "nil", NULL};
	struct field_path path = FIELD(NULL, "propagationPolicy");

	if (!o->propagation_policy.p)
		return;
	if (o->orphan_dependents)
		field_invalid(errs, &path, o->propagation_policy,
			"orphanDependents and deletionPropagation cannot be both set");
	for (size_t i = 0; i < 3; i++)
		if (str_eqc(o->propagation_policy, values[i]))
			return;
	field_not_supported(errs, &path, o->propagation_policy, values);
}

int delete_options_read(struct request *r, struct delete_options *ret, struct err *err)
{
	struct meta_v1_delete_options o = {0};
	struct field_errors errs = {.arena = r->arena};
	int e = r->body.n ? decode_delete_options(r, &o, err) : delete_options_query(r, &o, err);

	if (e < 0)
		return e;
	check_propagation(&errs, &o);
	check_dry_run(&errs, &o.dry_run);
	*ret = (struct delete_options){
		.dry_run = o.dry_run.n > 0,
		.grace_s = -1,
		.has_orphan = o.orphan_dependents,
		.orphan = o.orphan_dependents && *o.orphan_dependents,
		.propagation = o.propagation_policy,
	};
	if (o.grace_period_seconds)
		ret->grace_s = *o.grace_period_seconds < 0 ? 1 : *o.grace_period_seconds;
	if (o.preconditions) {
		ret->uid = o.preconditions->uid;
		ret->resource_version = o.preconditions->resource_version;
	}
	return status_of(&errs, "DeleteOptions", err);
}

/* --- list, watch, deletecollection --- */

static enum version_match parse_match(struct str v)
{
	if (str_eqc(v, "Exact"))
		return MATCH_EXACT;
	return str_eqc(v, "NotOlderThan") ? MATCH_NOT_OLDER : MATCH_UNSET;
}

static void check_list(struct request *r, const struct list_options *o, struct field_errors *errs)
{
	static const char *const values[] = {"Exact", "NotOlderThan", "", NULL};
	struct str match = query_get(&r->query, "resourceVersionMatch");
	struct field_path path = FIELD(NULL, "resourceVersionMatch");
	struct field_path initial = FIELD(NULL, "sendInitialEvents");

	if (match.n && !o->resource_version.n)
		field_forbidden(errs, &path,
			"resourceVersionMatch is forbidden unless resourceVersion is provided");
	if (match.n && o->continue_.n)
		field_forbidden(
			errs, &path, "resourceVersionMatch is forbidden when continue is provided");
	if (match.n && o->match == MATCH_UNSET)
		field_not_supported(errs, &path, match, values);
	if (o->match == MATCH_EXACT && str_eqc(o->resource_version, "0"))
		field_forbidden(errs, &path,
			"resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"");
	if (o->has_initial)
		field_forbidden(errs, &initial, "sendInitialEvents is forbidden for list");
}

static void check_watch(struct request *r, const struct list_options *o, struct field_errors *errs)
{
	static const char *const values[] = {"NotOlderThan", NULL};
	struct str match = query_get(&r->query, "resourceVersionMatch");
	struct field_path path = FIELD(NULL, "resourceVersionMatch");

	if (o->has_initial && o->match != MATCH_NOT_OLDER)
		field_forbidden(errs, &path,
			"sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
	if (match.n && !o->has_initial)
		field_forbidden(errs, &path,
			"resourceVersionMatch is forbidden for watch unless sendInitialEvents is "
			"provided");
	if (match.n && o->match != MATCH_NOT_OLDER)
		field_not_supported(errs, &path, match, values);
	if (match.n && o->continue_.n)
		field_forbidden(
			errs, &path, "resourceVersionMatch is forbidden when continue is provided");
}

/* Old clients' watch from "now" or 0 is a watch with initial events. */
static void default_initial_events(struct request *r, struct list_options *o)
{
	if (!o->watch || o->has_initial || query_get(&r->query, "resourceVersionMatch").n)
		return;
	if (o->resource_version.n && !str_eqc(o->resource_version, "0"))
		return;
	o->has_initial = o->initial_events = true;
	o->match = MATCH_NOT_OLDER;
}

/* A name in the path, or as the selector's only possible one, narrows the search. */
static int narrow(struct request *r, struct list_options *o, struct err *err)
{
	struct str ns = field_selector_exact(&o->fields, "metadata.namespace");
	struct str name = field_selector_exact(&o->fields, "metadata.name");

	o->ns = r->ctx.ns;
	if (!o->ns.n && ns.n && r->storage->namespaced)
		o->ns = ns;
	o->name = name;
	if (!r->info.name.n || !r->info.verb_in_path || r->info.parts.n < 2)
		return 0;
	if (o->fields.n && !str_eq(name, r->info.name))
		return err_bad_request(
			err, "fieldSelector metadata.name doesn't match requested name");
	o->name = r->info.name;
	return 0;
}

/* Pods may be selected by status.podIPs, but upstream never gives that field a value. */
static void drop_pod_ips(struct list_options *o)
{
	size_t kept = 0;

	for (size_t i = 0; i < o->fields.n; i++) {
		struct field_requirement *f = &o->fields.v[i];

		if (!str_eqc(f->field, "status.podIPs"))
			o->fields.v[kept++] = *f;
		else if (f->negated == !f->value.n)
			o->labels.nothing = true;
	}
	o->fields.n = kept;
}

static int read_selectors(struct request *r, struct list_options *o, struct err *err)
{
	struct str labels = query_get(&r->query, "labelSelector");
	struct str fields = query_get(&r->query, "fieldSelector");

	if (labels.n && label_selector_parse(labels, r->arena, &o->labels, err) < 0)
		return -EINVAL;
	if (fields.n && field_selector_parse(fields, r->arena, &o->fields, err) < 0)
		return -EINVAL;
	if (r->storage == &v1_pod_resource)
		drop_pod_ips(o);
	return 0;
}

int list_options_read(struct request *r, bool watch, struct list_options *ret, struct err *err)
{
	struct field_errors errs = {.arena = r->arena};
	struct list_options *o = ret;

	*o = (struct list_options){.timeout_s = -1};
	o->watch = watch;
	o->resource_version = query_get(&r->query, "resourceVersion");
	o->match = parse_match(query_get(&r->query, "resourceVersionMatch"));
	o->continue_ = query_get(&r->query, "continue");
	o->bookmarks = query_bool(&r->query, "allowWatchBookmarks");
	o->has_initial = query_has(&r->query, "sendInitialEvents");
	o->initial_events = query_bool(&r->query, "sendInitialEvents");
	if (read_selectors(r, o, err) < 0 || parse_int(r, "limit", &o->limit, err) < 0 ||
		parse_int(r, "timeoutSeconds", &o->timeout_s, err) < 0)
		return -EINVAL;
	default_initial_events(r, o);
	if (o->watch)
		check_watch(r, o, &errs);
	else
		check_list(r, o, &errs);
	if (status_of(&errs, "ListOptions", err) < 0 ||
		field_selector_check(&o->fields, r->res, err) < 0)
		return -EINVAL;
	return narrow(r, o, err);
}

bool list_options_match(const struct list_options *o, const struct object *obj)
{
	if (o->ns.n && !str_eq(o->ns, obj->ns))
		return false;
	if (o->name.n && !str_eq(o->name, obj->name))
		return false;
	return label_selector_matches(&o->labels, &obj->labels) &&
	       field_selector_matches(&o->fields, obj);
}
