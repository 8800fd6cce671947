/*
 * handler.h: one action of a probe or a lifecycle hook: a command in the container, an HTTP
 * request, a TCP connection, a gRPC health check, or a pause.
 */
#ifndef SAMPAN_HANDLER_H
#define SAMPAN_HANDLER_H

#include "node/kubelet_private.h"

enum handler_result {
	HANDLER_OK,
	HANDLER_FAILED, /* it ran and says no */
	HANDLER_ERROR,  /* it could not be run */
};

struct handler_request { /* borrowed during the call only, but the container id and everything else
			    are copied */
	const struct v1_exec_action *exec;
	const struct v1_http_get_action *http_get;
	const struct v1_tcp_socket_action *tcp_socket;
	const struct v1_grpc_action *grpc;
	const struct v1_sleep_action *sleep;
	const struct v1_container *container; /* for named ports */
	struct str container_id, pod_ip;
	int64_t timeout_ms;
	bool probe; /* its user agent; HTTP status counts */
	void *user_data;
	void (*done)(void *user_data, enum handler_result result, struct str output);
};

/* done comes on a later turn, exactly once. */
void handler_run(struct kubelet *k, const struct handler_request *r);

#endif
