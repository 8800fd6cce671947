/*
 * rbac_index.h: the four RBAC kinds, ready for questions: who is bound to what.
 *
 * An index is immutable, made from one snapshot of each kind, and shared. Objects that did not
 * change between two indexes are read once: so a change costs a pass over pointers, and a question
 * that finds nothing changed one comparison of revisions.
 *
 *     const struct rbac_index *ix = rbac_get(rbac);
 *     rbac_each(ix, user, ns, visit, state);
 *     rbac_put(rbac, ix);
 */
#ifndef SAMPAN_RBAC_INDEX_H
#define SAMPAN_RBAC_INDEX_H

#include "apiserver/auth/rbac_rules.h"
#include "client/user.h"
#include "store/store.h"

struct rbac;
struct rbac_index;

struct rbac_role {
	struct str ns, name; /* ns is empty for a ClusterRole */
	struct rbac_v1_policy_rule_vec rules;
};

struct rbac_binding {
	struct str ns, name; /* ns is empty for a ClusterRoleBinding */
	struct str role_kind, role_name;
	struct rbac_v1_subject_vec subjects;
};

struct rbac *rbac_new(struct store *store);
void rbac_free(struct rbac *r);

/* The newest state, a reference. Any thread; blocks while another thread makes the index. */
const struct rbac_index *rbac_get(struct rbac *r);
void rbac_put(const struct rbac_index *ix);

/* NULL when there is none. ns is empty for a ClusterRole. */
const struct rbac_role *rbac_find_role(const struct rbac_index *ix, struct str ns, struct str name);

/* A binding that holds for the user in the namespace (empty: in the cluster), the subject that it
 * holds by, and its role, NULL when there is no such role. False stops. */
typedef bool (*rbac_visit)(void *state, const struct rbac_binding *b,
	const struct rbac_v1_subject *subject, const struct rbac_role *role);
/* By the user's name, then his groups; a binding that names several of them comes several times. */
void rbac_each(const struct rbac_index *ix, const struct user_info *user, struct str ns,
	rbac_visit visit, void *state);
/* The same in the order of the bindings' names, each once: slower. */
void rbac_each_binding(const struct rbac_index *ix, const struct user_info *user, struct str ns,
	rbac_visit visit, void *state);

#endif
