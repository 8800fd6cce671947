/*
 * field_manager.h: what a write does to metadata.managedFields, and server-side apply
 * (apimachinery util/managedfields, structured-merge-diff merge/update.go).
 *
 * Values are those of one kind in the version that the request speaks. Nothing here knows of HTTP
 * or of the store; everything lies in fm->arena.
 */
#ifndef SAMPAN_APISERVER_FIELDMANAGER_FIELD_MANAGER_H
#define SAMPAN_APISERVER_FIELDMANAGER_FIELD_MANAGER_H

#include "apiserver/fieldmanager/managed.h"
#include "apiserver/fieldmanager/typed.h"

struct field_manager {
	struct arena *arena;
	const struct schema_type *type; /* in the request's version */
	struct str api_version;         /* "apps/v1" */
	struct str subresource;
	struct k8s_time now;
	/* Fields that the resource or subresource keeps from being written ("status",
	 * "metadata.labels"), or the only ones that it lets be written
	 * ("spec.containers.*.resources"). NULL-terminated, or NULL. */
	const char *const *resets, *const *allows;
	/* The value, which is of the version `from`, in the version `to`, and its type; -ENOENT
	 * when there is no such version (any more), other errors when it cannot be converted. NULL:
	 * the kind has one version. */
	int (*convert)(const struct field_manager *fm, const struct fvalue *v, struct str from,
		struct str to, const struct schema_type **ret_type, struct fvalue *ret,
		struct err *err);
	void *user_data;
};

/* live became new_ by an update of `manager`. 0, or an error of convert: then m is as it was. */
int field_manager_update(const struct field_manager *fm, const struct fvalue *live,
	const struct fvalue *new_, struct str manager, struct managed *m);

/* Lays what `manager` applies over live (the empty object when there is none): *ret is the new
 * object as far as the configuration says, or unchanged is true. Errors: 400, 409 with a cause for
 * each conflict, 500 without a reason for what is not of its type. m is changed on success only. */
struct field_manager_apply {
	struct str manager;
	bool force;
	struct fvalue result;
	bool unchanged;
};
int field_manager_apply(const struct field_manager *fm, const struct fvalue *live,
	const struct fvalue *config, struct field_manager_apply *apply, struct managed *m,
	struct err *err);

/* --- between the files of this folder --- */

struct managed_entry field_manager_entry(
	const struct field_manager *fm, struct str manager, bool applied);
struct field_set field_manager_filter(const struct field_manager *fm, const struct field_set *s);
/* What no manager ever owns: name, uid … */
struct field_set field_manager_strip(const struct field_manager *fm, const struct field_set *s);
/* v in the version `to`: -ENOENT when there is none. */
int field_manager_convert(const struct field_manager *fm, const struct fvalue *v, struct str from,
	struct str to, const struct schema_type **ret_type, struct fvalue *ret, struct err *err);

/* Sets as the schema has them today: what lies below an atomic place becomes that place. Unless
 * all, only those that somebody sent: what is stored went through here before. */
int field_manager_reconcile(const struct field_manager *fm, const struct fvalue *live,
	struct managed *m, bool all, struct err *err);

/* Takes from everybody but `self` (may be NULL) what changed or went, each in his own version;
 * *ret is the difference in the request's. Without force conflicts are reported instead, in
 * *conflicts: what each entry would lose. Entries of versions that are gone go, too. */
struct conflict {
	struct managed_entry entry;
	struct field_set set;
};
struct conflicts {
	struct conflict *v;
	size_t n;
};
int field_manager_take(const struct field_manager *fm, const struct fvalue *live,
	const struct fvalue *new_, const struct managed_entry *self, struct managed *m,
	struct conflicts *conflicts, struct typed_diff *ret, struct err *err);
/* What kubectl's client-side apply says it owns, if the object still has it: conflicts over these
 * are kubectl's own. False when the object does not say. */
bool field_manager_last_applied(
	const struct field_manager *fm, const struct fvalue *live, struct field_set *ret);

#define LAST_APPLIED "kubectl.kubernetes.io/last-applied-configuration"

#endif
