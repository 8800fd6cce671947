/*
 * managed.h: metadata.managedFields, decoded: who manages which fields. Lives in an arena.
 */
#ifndef SAMPAN_APISERVER_FIELDMANAGER_MANAGED_H
#define SAMPAN_APISERVER_FIELDMANAGER_MANAGED_H

#include "apiserver/fieldmanager/field_set.h"
#include "types.gen.h"

/* Manager, operation, subresource and, of updates, the version say which entry it is. */
struct managed_entry {
	struct str manager, api_version, subresource;
	bool applied; /* by Apply, else by Update */
	struct k8s_time time;
	struct field_set set;
	bool is_text;    /* the set was not looked at yet: it is still FieldsV1 … */
	struct str text; /* … here */
};

struct managed {
	struct managed_entry *v;
	size_t n;
};

/* trusted: the entries are the server's own, so their sets may stay text until somebody asks.
 * -EINVAL when one is no valid entry, with the reason in *why (may be NULL). Of entries that are
 * the same one the last counts. */
int managed_decode(const struct meta_v1_managed_fields_entry_vec *from, bool trusted,
	struct arena *a, struct managed *ret, struct str *why);
/* In upstream's order: appliers first, then by time and name. */
void managed_encode(
	const struct managed *m, struct arena *a, struct meta_v1_managed_fields_entry_vec *ret);

const struct field_set *managed_set(struct managed_entry *e, struct arena *a);
/* Replaces the set; an entry without fields is taken out by managed_drop_empty. */
void managed_set_to(struct managed_entry *e, struct field_set set);
void managed_drop_empty(struct managed *m, struct arena *a);
struct managed_entry *managed_find(const struct managed *m, const struct managed_entry *like);
void managed_remove(struct managed *m, struct managed_entry *e);
/* A copy whose entries may be changed without changing m's. */
struct managed managed_copy(const struct managed *m, struct arena *a);
/* What upstream sorts entries by: the entry as JSON. */
struct str managed_identity(const struct managed_entry *e, struct arena *a);
/* '"kubectl" with subresource "scale" using apps/v1', as conflicts name it. */
struct str managed_title(const struct managed_entry *e, struct arena *a);

#endif
