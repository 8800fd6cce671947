/* revisions.h: ControllerRevisions: the history of the templates of daemon sets and stateful sets.
 */
#ifndef SAMPAN_CONTROLLERS_REVISIONS_H
#define SAMPAN_CONTROLLERS_REVISIONS_H

#include "controllers/util.h"

#define LABEL_REVISION_HASH "controller-revision-hash"

/* A stable hash of a pod template, in the alphabet that forms no words. */
struct str template_hash(
	const struct v1_pod_template_spec *t, const int32_t *collisions, struct arena *a);

struct revision {
	const struct object *object; /* NULL: to be created */
	struct apps_v1_controller_revision *rev;
};

struct revisions {
	struct revision *v; /* by number, the oldest first */
	size_t n;
};

struct history {
	struct view *v;
	struct plan *p;
	const struct object *owner;
	const struct meta_v1_object_meta *meta; /* the owner's */
	const struct meta_v1_label_selector *selector;
	const struct v1_pod_template_spec *tmpl;
	const int32_t *collisions;
	struct str hash;      /* of tmpl */
	struct revisions all; /* including the current one */
	struct revision current;
};

/* Loads the owner's revisions, adopts, and plans the creation of the current one, or its promotion
 * to the newest. False: its name is taken by another's; *ret_collisions is to be written to the
 * owner's status. */
bool history_sync(struct history *h, int32_t **ret_collisions);
/* Deletes the oldest beyond `limit` that is_live does not want. */
void history_trim(struct history *h, int32_t limit,
	bool (*is_live)(void *user_data, struct str hash), void *user_data);

#endif
