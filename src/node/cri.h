/*
 * cri.h: what the kubelet asks of a container runtime: the shape of CRI v1 (runtime.v1.RuntimeService, ImageService). Two
 * backends: runtime/ (built in, the default) and cri_grpc.c (containerd, CRI-O over their unix socket).
 *
 * Every call is asynchronous: it copies what it needs of its arguments before it returns, and calls `done` exactly once on
 * the kubelet's loop, with err set on failure. Results are valid during done only. One thread: the kubelet's loop.
 */
#ifndef SAMPAN_CRI_H
#define SAMPAN_CRI_H

#include "base/base.h"
#include "loop/loop.h"

enum cri_namespace { CRI_NS_POD, CRI_NS_CONTAINER, CRI_NS_NODE, CRI_NS_TARGET };

struct cri_port_mapping {
	const char *protocol; /* TCP UDP SCTP */
	int container_port, host_port;
	struct str host_ip;
};

struct cri_key_values {
	struct str_pair *v;
	size_t n;
};

struct cri_user { /* NULL pointer members: not given */
	int64_t *run_as_user, *run_as_group;
	struct str run_as_username; /* from the image */
	int64_t *supplemental_groups;
	size_t n_supplemental_groups;
	bool supplemental_groups_strict; /* supplementalGroupsPolicy Strict */
};

struct cri_seccomp { /* profile of seccomp and AppArmor */
	enum { CRI_PROFILE_RUNTIME_DEFAULT, CRI_PROFILE_UNCONFINED, CRI_PROFILE_LOCALHOST } kind;
	struct str path;
};

struct cri_sandbox_config {
	struct str name, ns, uid;     /* of the pod */
	uint32_t attempt;
	struct str hostname;
	struct str log_directory;     /* /var/log/pods/<ns>_<name>_<uid> */
	struct str_vec dns_servers, dns_searches, dns_options;
	struct cri_port_mapping *ports;
	size_t n_ports;
	struct cri_key_values labels, annotations, sysctls;
	struct str cgroup_parent;     /* the pod's cgroup, made by the kubelet: "/kubepods/burstable/pod<uid>" */
	enum cri_namespace network, pid, ipc; /* POD or NODE (pid: CONTAINER too) */
	struct cri_user user;
	struct cri_seccomp seccomp;
	bool privileged;
	struct str runtime_handler;
};

struct cri_mount {
	struct str container_path, host_path;
	bool readonly, recursive_readonly;
	enum { CRI_PROPAGATION_PRIVATE, CRI_PROPAGATION_HOST_TO_CONTAINER, CRI_PROPAGATION_BIDIRECTIONAL } propagation;
	struct str image, image_sub_path; /* an image volume instead of host_path */
};

struct cri_device {
	struct str container_path, host_path, permissions;
};

struct cri_resources { /* LinuxContainerResources; 0 = not given */
	int64_t cpu_period, cpu_quota, cpu_shares;
	int64_t memory_limit, oom_score_adj, memory_swap_limit;
	struct str cpuset_cpus, cpuset_mems;
	struct cri_key_values unified;
};

struct cri_container_config {
	struct str name;
	uint32_t attempt;
	struct str image;           /* an image id that cri_pull_image or cri_image_status gave */
	struct str user_image;      /* as the pod spec says it */
	struct str_vec command, args; /* empty: the image's */
	struct str working_dir;
	struct cri_key_values envs; /* in order; not sorted */
	struct cri_mount *mounts;
	size_t n_mounts;
	struct cri_device *devices;
	size_t n_devices;
	struct cri_key_values labels, annotations;
	struct str log_path;        /* below the sandbox's log_directory: "<container>/0.log" */
	bool stdin_, stdin_once, tty;
	struct cri_resources resources;
	/* security context */
	bool privileged, readonly_rootfs, no_new_privs;
	struct str_vec add_capabilities, drop_capabilities;
	enum cri_namespace pid;     /* POD, CONTAINER, NODE or TARGET */
	struct str target_id;       /* container id for TARGET */
	struct cri_user user;
	struct cri_seccomp seccomp, apparmor;
	struct str_vec masked_paths, readonly_paths;
	bool unmasked_proc;         /* procMount Unmasked */
	struct str stop_signal;
};

enum cri_state { CRI_CREATED, CRI_RUNNING, CRI_EXITED, CRI_UNKNOWN };

struct cri_container_status {
	struct str id, name, sandbox_id;
	uint32_t attempt;
	enum cri_state state;
	int64_t created_ns, started_ns, finished_ns; /* Unix */
	int exit_code;
	struct str image, image_id, image_ref; /* user's name, id, repo digest */
	struct str reason;                     /* Completed, Error, OOMKilled, ContainerCannotRun … */
	struct str message;
	struct str log_path;                   /* absolute */
	struct cri_key_values labels, annotations;
	struct cri_mount *mounts;
	size_t n_mounts;
	struct cri_resources resources;
	int64_t uid, gid;                      /* of the first process, -1 unknown */
	int64_t *supplemental_groups;
	size_t n_supplemental_groups;
};

struct cri_sandbox_status {
	struct str id, name, ns, uid; /* of the pod */
	uint32_t attempt;
	bool ready;
	int64_t created_ns;
	struct str_vec ips;           /* empty for host network */
	struct cri_key_values labels, annotations;
	struct str netns_path;        /* the built-in runtime's; for port-forward. Empty for host network */
};

struct cri_image {
	struct str id;
	struct str_vec tags, digests;
	uint64_t size;
	int64_t uid;          /* of config.User when numeric, else -1 */
	struct str username;  /* else its name */
};

struct cri_auth {
	struct str username, password, auth, server, identity_token, registry_token;
};

struct cri_container_stats {
	struct str id, name;
	int64_t time_ns;
	uint64_t cpu_usage_ns, memory_working_set, memory_usage, memory_rss, page_faults, major_page_faults;
	uint64_t fs_used_bytes, fs_inodes_used;
	uint64_t cpu_periods, cpu_throttled_periods, cpu_throttled_ns; /* of a limit; 0: has none, or it is not told */
};

struct cri;

typedef void cri_done(void *user_data, struct err *err);
typedef void cri_id_done(void *user_data, struct str id, struct err *err);
typedef void cri_containers_done(void *user_data, const struct cri_container_status *v, size_t n, struct err *err);
typedef void cri_sandboxes_done(void *user_data, const struct cri_sandbox_status *v, size_t n, struct err *err);
typedef void cri_images_done(void *user_data, const struct cri_image *v, size_t n, struct err *err);
typedef void cri_exec_done(void *user_data, int exit_code, struct str out, struct str errout, struct err *err);
typedef void cri_stats_done(void *user_data, const struct cri_container_stats *v, size_t n, struct err *err);

/* A running process's or container's streams, for exec, attach: see cri_exec. */
struct cri_stream;
struct cri_stream_events {
	void (*on_stdout)(struct cri_stream *s, struct str bytes);
	void (*on_stderr)(struct cri_stream *s, struct str bytes);
	void (*on_writable)(struct cri_stream *s);                       /* stdin takes more again */
	void (*on_exit)(struct cri_stream *s, int exit_code, struct err *err); /* last call; s is freed after it. err: could
	                                                                    not be started or was lost */
};
struct cri_stream_ops {
	size_t (*write)(struct cri_stream *s, struct str bytes);          /* to stdin; returns what it has queued (≤ 1 MiB) */
	void (*close_stdin)(struct cri_stream *s);
	void (*resize)(struct cri_stream *s, uint16_t width, uint16_t height);
	void (*read_stop)(struct cri_stream *s);                          /* backpressure from the client */
	void (*read_start)(struct cri_stream *s);
	void (*close)(struct cri_stream *s);                              /* detach; ends an exec'd process; no more calls */
};
struct cri_stream {
	const struct cri_stream_ops *ops;
	const struct cri_stream_events *events;
	void *user_data;
};
struct cri_stream_opts {
	struct str_vec command; /* empty: attach */
	bool stdin_, stdout_, stderr_, tty;
	uint16_t width, height; /* of the terminal, from the start; 0: not known */
	const struct cri_stream_events *events;
	void *user_data;
};

struct cri_ops {
	const char *name;
	void (*version)(struct cri *c, cri_id_done *done, void *user_data); /* "containerd://1.6.20", "sampan://0.1.0" */
	void (*status)(struct cri *c, void (*done)(void *ud, bool runtime_ready, bool network_ready, struct str message,
						struct err *err), void *user_data);

	void (*run_sandbox)(struct cri *c, const struct cri_sandbox_config *cfg, cri_id_done *done, void *user_data);
	void (*stop_sandbox)(struct cri *c, struct str id, cri_done *done, void *user_data);   /* idempotent */
	void (*remove_sandbox)(struct cri *c, struct str id, cri_done *done, void *user_data); /* with its containers */
	void (*list_sandboxes)(struct cri *c, cri_sandboxes_done *done, void *user_data);      /* all, with full status */

	void (*create_container)(struct cri *c, struct str sandbox_id, const struct cri_container_config *cfg,
		const struct cri_sandbox_config *sandbox_cfg, cri_id_done *done, void *user_data);
	void (*start_container)(struct cri *c, struct str id, cri_done *done, void *user_data);
	/* The stop signal, after timeout_s SIGKILL; done when it is gone. */
	void (*stop_container)(struct cri *c, struct str id, int64_t timeout_s, cri_done *done, void *user_data);
	void (*remove_container)(struct cri *c, struct str id, cri_done *done, void *user_data);
	void (*list_containers)(struct cri *c, struct str sandbox_id, cri_containers_done *done, void *user_data); /* full
	                                                                  status; empty id = all */
	void (*update_resources)(struct cri *c, struct str id, const struct cri_resources *r, cri_done *done,
		void *user_data);
	void (*reopen_log)(struct cri *c, struct str id, cri_done *done, void *user_data);

	/* Runs to its end, output bounded to 16 KiB each; timeout -> err 504 (probes, hooks). */
	void (*exec_sync)(struct cri *c, struct str id, const struct str_vec *command, int64_t timeout_ms,
		cri_exec_done *done, void *user_data);
	/* exec or attach; the stream's events come on the loop; NULL and err when it cannot be. */
	struct cri_stream *(*stream)(struct cri *c, struct str id, const struct cri_stream_opts *opts, struct err *err);
	/* A socket connected to localhost:port inside the sandbox's network; fn gets the fd or an err. */
	void (*port_forward)(struct cri *c, struct str sandbox_id, int port,
		void (*fn)(void *user_data, int fd, struct err *err), void *user_data);

	void (*pull_image)(struct cri *c, struct str image, const struct cri_auth *auth, size_t n_auth,
		const struct cri_sandbox_config *sandbox_cfg, cri_id_done *done, void *user_data); /* -> image id; err has
	                                                                  the registry's words */
	void (*image_status)(struct cri *c, struct str image, cri_images_done *done, void *user_data); /* n = 0: not there */
	void (*list_images)(struct cri *c, cri_images_done *done, void *user_data);
	void (*remove_image)(struct cri *c, struct str image, cri_done *done, void *user_data);

	void (*container_stats)(struct cri *c, cri_stats_done *done, void *user_data); /* all running */
	void (*free)(struct cri *c);
};

struct cri {
	const struct cri_ops *ops;
	struct loop *loop;
	/* Set by the kubelet before use: something happened to a container or sandbox of this pod (exit, OOM); the kubelet
	 * looks again. A backend without events leaves it uncalled; the kubelet also relists every second. */
	void (*on_event)(void *user_data, struct str pod_uid, struct str container_id);
	void *event_user_data;
};

/* Backends. */
struct cri_runtime_opts { /* runtime/ */
	const char *data_dir;      /* images, layers, containers: <data-dir>/runtime */
	const char *run_dir;       /* state that a reboot may lose: /run/sampan */
	struct str pod_cidr;       /* changes with cri_runtime_set_pod_cidr; empty: network not ready */
	const char *cni_conf_dir, *cni_bin_dir;
	const char *oci_runtime, *conmon; /* paths, NULL = found by probing */
	const char *registry_mirrors; /* "HOST=URL,…" for pulls; NULL none */
	const char *bridge;           /* of the pods; NULL the default one */
	int mtu;                      /* of pods' interfaces; 0: 1500 */
};
int cri_runtime_new(struct loop *loop, const struct cri_runtime_opts *opts, struct cri **ret, struct err *err);
void cri_runtime_set_pod_cidr(struct cri *c, struct str pod_cidr); /* "CIDR" or "CIDR,CIDR" */
struct pod_network *cri_runtime_network(struct cri *c); /* lives as long as the runtime */
int cri_grpc_new(struct loop *loop, const char *endpoint, struct cri **ret, struct err *err);

/* Notes in the node's data directory where its pods run (empty: the built-in runtime), so that `sampan down` finds them
 * when the node's program is gone. Blocks for a moment. */
int cri_endpoint_record(const char *data_dir, struct str endpoint, struct err *err);
/* What was noted; empty when nothing was. */
struct str cri_endpoint_recorded(const char *data_dir, struct arena *a);

#endif
