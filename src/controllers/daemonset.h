/* daemonset.h: what the files of the daemon set controller share. */
#ifndef SAMPAN_CONTROLLERS_DAEMONSET_H
#define SAMPAN_CONTROLLERS_DAEMONSET_H

#include "base/map.h"
#include "controllers/revisions.h"
#include "scheduler/framework.h"

/* A pod of the set; one that ended and is being deleted is none any more. */
struct daemon_pod {
	const struct object *object;
	const struct v1_pod *pod;
	struct str node; /* where it runs or is meant to run */
	bool current;    /* of the current revision */
	bool ready, available;
	bool going; /* being deleted: holds its place until it is gone */
};

struct daemon_node {
	struct str name;
	bool should_run, may_continue;
	struct daemon_pod *pods; /* here, the oldest first */
	size_t n;
};

struct daemon {
	struct view *v;
	struct plan *p;
	const struct object *object;
	struct apps_v1_daemon_set *ds;
	struct v1_pod_spec spec; /* of the pods: with the tolerations that all daemon pods have */
	struct history history;
	struct {
		struct daemon_pod *v;
		size_t n;
	} pods; /* by node, then age */
	struct {
		struct daemon_node *v;
		size_t n;
	} nodes;
	int32_t max_surge, max_unavailable;
};

void daemon_create_pod(struct daemon *d, struct str node);
void daemon_delete_pod(struct daemon *d, const struct daemon_pod *pod);
/* daemonset_update.c: replaces pods of old revisions, as many at once as the strategy allows. */
void daemon_rolling_update(struct daemon *d);

#endif
