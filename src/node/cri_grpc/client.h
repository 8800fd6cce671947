/*
 * client.h: the state of the gRPC backend, shared by its files. Loop's thread only.
 */
#ifndef SAMPAN_CRI_CLIENT_H
#define SAMPAN_CRI_CLIENT_H

#include "base/map.h"
#include "http/grpc.h"
#include "node/cri_grpc/messages.h"

struct call;
struct cri_grpc {
	struct cri cri;
	struct grpc_client *grpc;
	struct call *calls;       /* under way */
	struct map seen[2];       /* statuses that hold until the state changes: status.c */
	uint64_t changes;         /* of what those statuses say, made by ourselves */
	struct grpc_call *events; /* NULL: the runtime has none, or not now */
	struct loop_timer retry;  /* of events */
	struct session *sessions; /* exec, attach and port-forward: session.c */
};

static inline struct cri_grpc *cri_grpc_of(struct cri *c)
{
	return container_of(c, struct cri_grpc, cri);
}

/* One call. Its arena takes what the reply needs; both go after `reply` returned. */
struct call {
	struct cri_grpc *g;
	struct call *prev, *next;
	struct arena arena;
	struct str message;
	bool answered;
	/* err: the runtime's words; else message is the answer. */
	void (*reply)(struct call *c, struct err *err);
	void (*dropped)(struct call *c); /* instead of reply when the client goes; may be NULL */
	union {                          /* for reply's use */
		cri_done *done;
		cri_id_done *id;
		cri_containers_done *containers;
		cri_sandboxes_done *sandboxes;
		cri_images_done *images;
		cri_exec_done *exec;
		cri_stats_done *stats;
		void (*status)(
			void *ud, bool runtime, bool network, struct str message, struct err *err);
	};
	void *user_data;
	void *extra; /* for reply's use, in the arena */
};

enum { CALL_TIMEOUT_MS = 120 * 1000, CALL_NO_TIMEOUT = -1, CALL_REQUEST_MAX = 4 * 1024 * 1024 };

/* method: "RuntimeService/Version". Returns the call for its union and user_data to be filled. */
struct call *call_start(struct cri_grpc *g, const char *method, const struct wire_type *type,
	const void *request, int timeout_ms, void (*reply)(struct call *c, struct err *err));
struct call *call_start_encoded(struct cri_grpc *g, const char *method, struct str message,
	int timeout_ms, void (*reply)(struct call *c, struct err *err));
/* The answer as a struct of `type` in the call's arena, or NULL with err. */
void *call_decode(struct call *c, const struct wire_type *type, struct err *err);
/* A status of gRPC as the kubelet says it: "rpc error: code = NotFound desc = …". */
void call_error(struct err *err, int status, struct str text);

struct sandbox_message *sandbox_message(struct arena *a, const struct cri_sandbox_config *cfg);

/* status.c */
void grpc_list_sandboxes(struct cri *c, cri_sandboxes_done *done, void *user_data);
void grpc_list_containers(
	struct cri *c, struct str sandbox_id, cri_containers_done *done, void *user_data);
void seen_outdated(struct cri_grpc *g); /* something was changed that a list does not show */
void seen_free(struct cri_grpc *g);

/* images.c */
void grpc_pull_image(struct cri *c, struct str image, const struct cri_auth *auth, size_t n_auth,
	const struct cri_sandbox_config *sandbox_cfg, cri_id_done *done, void *user_data);
void grpc_image_status(struct cri *c, struct str image, cri_images_done *done, void *user_data);
void grpc_list_images(struct cri *c, cri_images_done *done, void *user_data);
void grpc_remove_image(struct cri *c, struct str image, cri_done *done, void *user_data);

/* stream.c, forward.c */

void sessions_free(struct cri_grpc *g);
struct cri_stream *grpc_stream(
	struct cri *c, struct str id, const struct cri_stream_opts *opts, struct err *err);
void grpc_port_forward(struct cri *c, struct str sandbox_id, int port,
	void (*fn)(void *user_data, int fd, struct err *err), void *user_data);

#endif
