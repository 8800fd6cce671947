/*
 * observed.h: what the container runtime says about one pod: its sandboxes and containers, as one
 * immutable copy in an arena of its own, newest first; and the labels and annotations by which the
 * kubelet finds its own containers again.
 */
#ifndef SAMPAN_OBSERVED_H
#define SAMPAN_OBSERVED_H

#include "node/cri.h"

#define LABEL_POD_NAME "io.kubernetes.pod.name"
#define LABEL_POD_NAMESPACE "io.kubernetes.pod.namespace"
#define LABEL_POD_UID "io.kubernetes.pod.uid"
#define LABEL_CONTAINER_NAME "io.kubernetes.container.name"
#define ANNOTATION_HASH "io.kubernetes.container.hash"
#define ANNOTATION_RESTART_COUNT "io.kubernetes.container.restartCount"
#define ANNOTATION_MESSAGE_PATH "io.kubernetes.container.terminationMessagePath"
#define ANNOTATION_MESSAGE_POLICY "io.kubernetes.container.terminationMessagePolicy"
#define ANNOTATION_GRACE "io.kubernetes.pod.terminationGracePeriod"

struct observed {
	struct arena arena;
	struct cri_sandbox_status *sandboxes;
	size_t n_sandboxes;
	struct cri_container_status *containers;
	size_t n_containers;
};

void observed_release(struct observed *o);

/* Deep copies into an arena. */
struct cri_sandbox_status cri_sandbox_copy(struct arena *a, const struct cri_sandbox_status *s);
struct cri_container_status cri_container_copy(
	struct arena *a, const struct cri_container_status *c);
/* Sorts both lists, newest first. */
void observed_sort(struct observed *o);
/* Whether anything differs that the planner or the status would look at. */
bool observed_equal(const struct observed *a, const struct observed *b);

/* The newest container of that name, or NULL. */
const struct cri_container_status *observed_find(const struct observed *o, struct str name);
const struct cri_container_status *observed_by_id(const struct observed *o, struct str id);
/* The newest sandbox when it is ready, or NULL. */
const struct cri_sandbox_status *observed_ready_sandbox(const struct observed *o);
struct str cri_lookup(const struct cri_key_values *kv, struct str key); /* {NULL,0}: none */
int cri_restart_count(const struct cri_container_status *c);

#endif
