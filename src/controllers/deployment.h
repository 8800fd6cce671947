/* deployment.h: what the files of the deployment controller share. */
#ifndef SAMPAN_CONTROLLERS_DEPLOYMENT_H
#define SAMPAN_CONTROLLERS_DEPLOYMENT_H

#include "controllers/revisions.h"

#define ANN_REVISION "deployment.kubernetes.io/revision"
#define ANN_REVISION_HISTORY "deployment.kubernetes.io/revision-history"
#define ANN_DESIRED "deployment.kubernetes.io/desired-replicas"
#define ANN_MAX "deployment.kubernetes.io/max-replicas"
#define ANN_ROLLBACK_TO "deprecated.deployment.rollback.to"
#define ANN_LAST_APPLIED "kubectl.kubernetes.io/last-applied-configuration"
#define LABEL_HASH "pod-template-hash"

/* A replica set of the deployment: decoded, changed in place by the planner, written at the end. */
struct set {
	const struct object *object; /* NULL: to be created */
	struct apps_v1_replica_set *rs;
	bool changed;
	int32_t scaled_from; /* of this round; -1 = not scaled */
};

struct sets {
	struct set **v;
	size_t n;
};

struct rollout {
	struct view *v;
	struct plan *p;
	const struct object *object;
	struct apps_v1_deployment *d;         /* changed in place */
	struct apps_v1_deployment_status was; /* as read */
	struct str_map annotations_was;
	int32_t want, max_surge, max_unavailable;
	bool rolling;
	struct sets all, old; /* oldest first; all holds new_set, too */
	struct set *new_set;  /* NULL: does not exist */
};

/* deployment_sets.c */
void rollout_load(struct rollout *r); /* adopts, finds the new set, brings revisions up to date */
void rollout_create_set(struct rollout *r);
void rollout_scale(struct rollout *r, struct set *s, int32_t replicas, bool force);
void rollout_cleanup(struct rollout *r); /* revisionHistoryLimit */
void rollout_rollback(struct rollout *r, int64_t revision);
int64_t set_revision(const struct set *s);
bool set_number(
	const struct set *s, struct str annotation, int32_t *ret); /* a non-negative number */
int32_t sets_want(const struct sets *sets);                        /* the sum of spec.replicas */
struct sets sets_active(const struct sets *sets, struct arena *a);
int set_compare_creation(const void *a, const void *b);

/* deployment_scale.c: proportional scaling, rolling update, recreate */
bool rollout_is_scaling(const struct rollout *r);
void rollout_scale_proportionally(struct rollout *r);
void rollout_rolling(struct rollout *r);
void rollout_recreate(struct rollout *r);

/* deployment_status.c */
const struct apps_v1_deployment_condition *deployment_condition(
	const struct apps_v1_deployment_status *s, const char *type);
void deployment_set_condition(struct rollout *r, struct apps_v1_deployment_status *s,
	const char *type, const char *status, const char *reason, struct str message);
bool has_progress_deadline(const struct apps_v1_deployment *d);
void rollout_check_paused(struct rollout *r);
void rollout_sync_status(struct rollout *r);   /* replicas and availability */
void rollout_sync_progress(struct rollout *r); /* and the progress of the rollout */
bool rollout_complete(const struct rollout *r, const struct apps_v1_deployment_status *s);

#endif
