/* write_error.c: what the engine's failures are called. */
#include <stdio.h>

#include "apiserver/consistent.h"
#include "apiserver/write.h"

int write_store_error(
	struct request *r, struct str name, const struct store_write *sw, struct err *err)
{
	switch (sw->result) {
	case -EEXIST:
		return err_already_exists(err, r->info.group, r->info.resource, name);
	case -ENOENT:
		return err_not_found(err, r->info.group, r->info.resource, name);
	case -EBUSY:
		return err_conflict(err, r->info.group, r->info.resource, name, WRITE_CONFLICT);
	case -EAGAIN:
		err_fmt(err, 429, "TooManyRequests", "Too many requests, please try again later.");
		if (err)
			err->retry_after_s = 1;
		return -EAGAIN;
	case -ETIMEDOUT:
		return err_request_timeout(err);
	default:
		if (sw->why[0]) /* etcd's words, as upstream hands them on */
			return err_fmt(err, 500, "", "%s", sw->why);
		return err_internal(err, "store: %s", strerror(-sw->result));
	}
}

int write_exists_error(struct write *w, const struct object *there, struct err *err)
{
	const struct request *r = w->r;
	struct str message;

	err_already_exists(err, r->info.group, r->info.resource, w->name);
	if (w->generated) {
		message = arena_fmt(r->arena,
			"%s, the server was not able to generate a unique name for the object",
			err_text(err));
		err_fmt(err, 409, "AlreadyExists", STR_FMT, STR_ARG(message));
		err_details(err, r->info.group, r->info.resource, w->name, S(""));
		err->retry_after_s = 1;
	}
	if (there && there->deletion_ms) {
		message = arena_fmt(r->arena, "object is being deleted: %s", err_text(err));
		err->message = arena_str(&err->arena, message);
	}
	return -EEXIST;
}

/* The directory in etcd under which upstream keeps a resource: it stands in one error message. */
static struct str registry_key(struct write *w)
{
	static const struct {
		const char *plural, *path;
	} paths[] = {{"nodes", "minions"}, {"services", "services/specs"},
		{"endpoints", "services/endpoints"}, {"replicationcontrollers", "controllers"},
		{"ingresses", "ingress"}};
	const char *path = w->r->storage->plural;

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		if (!strcmp(path, paths[i].plural))
			path = paths[i].path;
	return arena_fmt(w->r->arena, "/registry/%s/" STR_FMT "%s" STR_FMT, path, STR_ARG(w->ns),
		w->ns.n ? "/" : "", STR_ARG(w->name));
}

int write_precondition(
	struct write *w, const char *what, struct str wanted, struct str there, struct err *err)
{
	struct str why;

	if (!wanted.n || str_eq(wanted, there))
		return 0;
	why = arena_fmt(w->r->arena,
		"StorageError: invalid object, Code: 4, Key: " STR_FMT
		", ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: %s in "
		"precondition: " STR_FMT ", %s in object meta: " STR_FMT,
		STR_ARG(registry_key(w)), what, STR_ARG(wanted), what, STR_ARG(there));
	return err_conflict(err, w->r->info.group, w->r->info.resource, w->name, why.p);
}
