/*
 * pod_status.h: the status of a pod as the API shows it: a pure function of the pod, what was said
 * last, what the runtime shows and what the kubelet remembers (why a container could not be
 * started, what the probes found).
 */
#ifndef SAMPAN_POD_STATUS_H
#define SAMPAN_POD_STATUS_H

#include "node/pod_plan.h"

struct container_facts { /* of one container, by name */
	struct str name;
	struct str wait_reason, wait_message;  /* why it does not start; empty: unknown */
	struct str message_id, message;        /* the termination message of that instance */
	struct probe_results probes;           /* of the instance that runs */
	bool startup_worker, readiness_worker; /* there is such a probe */
};

struct pod_status_input {
	const struct v1_pod *pod;
	const struct v1_pod_status *old; /* what was generated last; NULL: the pod's own */
	const struct observed *observed;
	const struct container_facts *facts;
	size_t n_facts;
	bool terminal; /* nothing of it runs any more, nor will */
	bool stopping; /* something may still run; a terminal phase is not said yet */
	struct str fail_reason, fail_message; /* evicted, deadline exceeded, rejected */
	const struct v1_pod_condition_vec
		*resize; /* PodResizePending, PodResizeInProgress; NULL: none */
	struct str_vec host_ips;
	struct str runtime; /* "containerd" in containerd://<id> */
	int64_t now_ns;
};

void pod_status_make(const struct pod_status_input *in, struct arena *a, struct v1_pod_status *ret);

bool phase_is_terminal(struct str phase);
struct k8s_time k8s_time_of_ns(int64_t ns); /* whole seconds, as the API keeps */
/* The condition of that type, or NULL. */
const struct v1_pod_condition *status_condition(const struct v1_pod_status *s, const char *type);

#endif
