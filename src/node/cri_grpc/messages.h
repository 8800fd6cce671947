/*
 * messages.h: the messages of CRI v1 (runtime.v1) that we send and read, as C structs and their
 * tables.
 *
 * Where cri.h has the same content in the same shape, its structs are used as they are; what
 * differs has a struct here.
 */
#ifndef SAMPAN_CRI_MESSAGES_H
#define SAMPAN_CRI_MESSAGES_H

#include "node/cri.h"
#include "node/cri_grpc/wire.h"

/* Every message whose only field that matters is a string with number 1: ids, the streaming URL, an
 * image reference. */
struct text_message {
	struct str text;
};
extern const struct wire_type text_message;

struct version_reply {
	struct str name, version;
};
extern const struct wire_type version_reply;

struct runtime_condition {
	struct str type, reason, message;
	bool status;
};
struct status_reply {
	struct runtime_condition *conditions;
	size_t n_conditions;
};
extern const struct wire_type status_reply;

/* --- sandboxes --- */

struct port_message {
	int protocol, container_port, host_port;
	struct str host_ip;
};
struct sandbox_message { /* PodSandboxConfig */
	struct cri_sandbox_config c;
	struct port_message *ports;
	size_t n_ports;
};
struct run_sandbox_request {
	struct sandbox_message *config;
	struct str runtime_handler;
};
extern const struct wire_type run_sandbox_request;

struct list_item { /* Container, PodSandbox */
	struct str id, sandbox_id;
	int state;
};
struct list_reply {
	struct list_item *v;
	size_t n;
};
extern const struct wire_type list_sandboxes_reply;

struct sandbox_reply { /* PodSandboxStatusResponse; s.ready and s.ips are left to the reader */
	struct cri_sandbox_status s;
	int state; /* 0 = SANDBOX_READY */
	struct str ip;
	struct text_message *more_ips;
	size_t n_more_ips;
};
extern const struct wire_type sandbox_reply;

/* --- containers --- */

struct create_container_request {
	struct str sandbox_id;
	struct cri_container_config c;
	enum cri_namespace network, ipc;
	int stop_signal; /* of enum Signal */
	struct sandbox_message *sandbox;
};
extern const struct wire_type create_container_request;

struct stop_container_request {
	struct str id;
	int64_t timeout_s;
};
extern const struct wire_type stop_container_request;

struct list_containers_request {
	struct str sandbox_id;
};
extern const struct wire_type list_containers_request, list_containers_reply;

struct linux_user {
	int64_t uid, gid;
	int64_t *groups;
	size_t n_groups;
};
struct container_reply { /* ContainerStatusResponse; s.uid and so on are left to the reader */
	struct cri_container_status s;
	struct linux_user *user;
};
extern const struct wire_type container_reply;

struct update_resources_request {
	struct str id;
	struct cri_resources r;
};
extern const struct wire_type update_resources_request;

struct exec_sync_request {
	struct str id;
	struct str_vec command;
	int64_t timeout_s;
};
struct exec_sync_reply {
	struct str out, err;
	int exit_code;
};
extern const struct wire_type exec_sync_request, exec_sync_reply;

struct stream_request { /* ExecRequest, AttachRequest */
	struct str id;
	struct str_vec command;
	bool tty, stdin_, stdout_, stderr_;
};
extern const struct wire_type exec_request, attach_request;

struct forward_request {
	struct str sandbox_id;
	int64_t *ports;
	size_t n_ports;
};
extern const struct wire_type forward_request;

struct stats_reply {
	struct cri_container_stats *v;
	size_t n;
};
extern const struct wire_type stats_reply;

struct event_message { /* ContainerEventResponse */
	struct str container_id, pod_uid;
};
extern const struct wire_type event_message;

/* --- images --- */

struct image_request { /* ImageStatusRequest, RemoveImageRequest, PullImageRequest */
	struct str image;
	const struct cri_auth *auth;
	struct sandbox_message *sandbox;
};
extern const struct wire_type image_request;

struct image_message {
	struct cri_image i;
	int64_t *uid;
};
struct images_reply { /* ListImagesResponse; ImageStatusResponse has at most one */
	struct image_message *v;
	size_t n;
};
extern const struct wire_type images_reply;

/* Number of enum Signal for "SIGTERM"; 0 (RUNTIME_DEFAULT) for a name that it does not have. */
int signal_number(struct str name);

#endif
