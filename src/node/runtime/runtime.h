/*
 * runtime.h: what the files of the built-in runtime share. See README.md for who does what.
 *
 * The tables of sandboxes and containers belong to the loop's thread. Jobs (job.h) work on what
 * they were given and on immutable parts of an entity (its id, its configuration); their results
 * are put in place on the loop. An entity with refs > 0 held by a job is not freed before the job's
 * done.
 */
#ifndef SAMPAN_RUNTIME_H
#define SAMPAN_RUNTIME_H

#include <uv.h>

#include "network/pod_network.h"
#include "node/cri.h"
#include "node/runtime/image/store.h"
#include "node/runtime/job.h"

enum { ID_LEN = 64, JOBS_MAX = 16 };

/* How this machine's OCI runtime is used; found out once at start. */
struct oci_runtime {
	char *path, *conmon;
	char *name, *version; /* "runc" "1.1.5" */
	bool seccomp, apparmor;
	int oom_score_adj_min; /* what we may not go below */
};

struct runtime {
	struct cri cri;
	struct jobs *jobs;
	struct oci_runtime oci;
	struct pod_network *network;
	struct image_store images;
	char *data_dir, *run_dir;             /* <data-dir>/runtime, <run-dir> */
	char *sandboxes_dir, *containers_dir; /* below data_dir */
	char *run_sandboxes_dir, *run_containers_dir, *exits_dir, *oci_dir; /* below run_dir */
	char *base_dir;                                                     /* <data-dir> */
	char *registry_mirrors;                                             /* NULL none */
	struct sandbox *sandboxes;
	struct container *containers;
	struct pull *pulls; /* children under way */
	int cidr_jobs;      /* under way: who asks for the status meanwhile waits for them */
	struct status_call *status_waiting;
};

static inline struct runtime *runtime_of(struct cri *c)
{
	return container_of(c, struct runtime, cri);
}

struct sandbox {
	struct sandbox *next;
	struct arena arena; /* owns what st and the rest point at */
	int refs;
	bool gone; /* not in the table any more */
	char id[ID_LEN + 1];
	struct cri_sandbox_status st;
	enum cri_namespace network, pid, ipc;
	bool privileged;
	struct str hostname, cgroup_parent, log_directory;
	struct cri_port_mapping *ports;
	size_t n_ports;
	int pause_pid; /* of a shared pid namespace; 0 none */
	uint64_t pause_start;
};

struct container {
	struct container *next;
	struct arena arena;
	int refs;
	bool gone, starting, ending; /* ending: its end is being worked up */
	char id[ID_LEN + 1];
	struct cri_container_status st;
	struct str_vec layers; /* chain ids */
	struct str cgroup;     /* cgroupsPath: "/kubepods/…/<id>" */
	bool stdin_, stdin_once, tty;
	int stop_signal;
	int oom_score_adj;
	int pid;                      /* of its first process; 0 none */
	uint64_t fs_bytes, fs_inodes; /* of its writable layer */
	int64_t fs_walked_ns;         /* when that was looked at; 0 never */
	uint64_t pid_start;           /* field 22 of /proc/<pid>/stat: tells a reused pid */
	struct stop_call *stopping;   /* stop_container calls that wait for the end */
	struct monitor *monitor;      /* watches its conmon; NULL when none lives */
};

/* sandbox.c */
struct sandbox *sandbox_find(struct runtime *rt, struct str id);
void sandbox_unref(struct sandbox *s);
void sandbox_run(
	struct cri *c, const struct cri_sandbox_config *cfg, cri_id_done *done, void *user_data);
void sandbox_stop(struct cri *c, struct str id, cri_done *done, void *user_data);
void sandbox_remove(struct cri *c, struct str id, cri_done *done, void *user_data);
void sandbox_list(struct cri *c, cri_sandboxes_done *done, void *user_data);
void sandboxes_load(struct runtime *rt); /* at start */

/* container.c */
struct container *container_find(struct runtime *rt, struct str id);
void container_unref(struct container *c);
void container_create(struct cri *c, struct str sandbox_id, const struct cri_container_config *cfg,
	const struct cri_sandbox_config *sandbox_cfg, cri_id_done *done, void *user_data);
void container_remove(struct cri *c, struct str id, cri_done *done, void *user_data);
void container_list(
	struct cri *c, struct str sandbox_id, cri_containers_done *done, void *user_data);
void containers_load(struct runtime *rt);
void container_save_state(
	struct runtime *rt, const struct container *c); /* blocks briefly: one small file */

/* lifecycle.c */
void container_start(struct cri *c, struct str id, cri_done *done, void *user_data);
void container_stop(
	struct cri *c, struct str id, int64_t timeout_s, cri_done *done, void *user_data);
void container_exit_seen(
	struct runtime *rt, struct container *c); /* its exit file is there, or it never will be */
bool container_alive(const struct container *c);
void container_forget(
	struct container *c); /* the runtime goes: watches and timers end, no calls any more */
void container_kill(const struct container *c, int signal);

/* exec.c, attach.c, forward.c */
void container_exec_sync(struct cri *c, struct str id, const struct str_vec *command,
	int64_t timeout_ms, cri_exec_done *done, void *user_data);
struct cri_stream *container_stream(
	struct cri *c, struct str id, const struct cri_stream_opts *opts, struct err *err);
struct cri_stream *container_attach(struct runtime *rt, struct container *ct,
	const struct cri_stream_opts *opts, struct err *err);
void container_reopen_log(struct cri *c, struct str id, cri_done *done, void *user_data);
void sandbox_port_forward(struct cri *c, struct str sandbox_id, int port,
	void (*fn)(void *user_data, int fd, struct err *err), void *user_data);

/* stats.c */
void container_stats(struct cri *c, cri_stats_done *done, void *user_data);
void container_update_resources(struct cri *c, struct str id, const struct cri_resources *r,
	cri_done *done, void *user_data);

/* images.c */
void images_pull(struct cri *c, struct str image, const struct cri_auth *auth, size_t n_auth,
	const struct cri_sandbox_config *sandbox_cfg, cri_id_done *done, void *user_data);
void images_status(struct cri *c, struct str image, cri_images_done *done, void *user_data);
void images_list(struct cri *c, cri_images_done *done, void *user_data);
void images_remove(struct cri *c, struct str image, cri_done *done, void *user_data);
void images_free(struct runtime *rt); /* ends pulls */

/* oci.c */
int oci_runtime_probe(const char *runtime, const char *conmon, const char *root,
	struct oci_runtime *ret, struct err *err);
void oci_runtime_release(struct oci_runtime *o);

/* util.c */
void make_id(char id[ID_LEN + 1]);
int64_t wall_ns(void);
uint64_t process_start_time(int pid); /* 0: no such process */
/* Calls done on the loop's next turn; takes err's content. */
void later(struct runtime *rt, cri_done *done, void *user_data, struct err *err);
int no_container(struct str id, struct err *err); /* 404 */
void copy_pairs(struct arena *a, const struct cri_key_values *from, struct cri_key_values *to);
void copy_strs(struct arena *a, const struct str_vec *from, struct str_vec *to);

#endif
