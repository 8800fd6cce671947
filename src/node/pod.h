/*
 * pod.h: one pod on this node: what the API wants, what the runtime shows, and what the kubelet
 * remembers of it.
 *
 *     POD_SYNCING      volumes, sandbox, containers: towards what the spec says
 *     POD_TERMINATING  everything is being stopped
 *     POD_TERMINATED   nothing runs; volumes and cgroup go, the last status is written, the API
 * object may go POD_FINISHED     the API object is gone: sandbox, logs and directory go, then the
 * pod itself
 *
 * pod_wake() is all that anybody does with a pod from outside: it looks at everything again on a
 * later turn.
 */
#ifndef SAMPAN_POD_H
#define SAMPAN_POD_H

#include "node/env.h"
#include "node/kubelet_private.h"
#include "node/pod_plan.h"
#include "node/pod_status.h"
#include "node/volumes/volumes.h"

enum pod_state { POD_SYNCING, POD_TERMINATING, POD_TERMINATED, POD_FINISHED };

struct probe;
struct start_op;
struct kill_op;
struct status_writer;

struct backoff {                      /* doubling; see backoff_next */
	int64_t delay_ms, updated_ms; /* Unix ms */
};

struct container_memory { /* of one container name, over its instances */
	struct container_memory *next;
	struct pod *pod;
	char *name;
	enum container_kind kind;
	char *wait_reason, *wait_message; /* NULL: nothing is known */
	char *message_id, *message;       /* the termination message of that instance */
	struct backoff crash, image;
	char *image_error; /* the last pull's, for ImagePullBackOff */
	bool restarting;  /* it was stopped to be started anew: until then the old state is told */
	bool failed;       /* the last start went wrong: not before retry_ms */
	int64_t retry_ms;  /* Unix ms */
	struct kill_op *kill;
	char *probes_id;         /* the instance that the results are of */
	struct probe *probes[3]; /* liveness, readiness, startup; NULL: none */
	struct probe_results results;
	uint32_t probe_totals[3][3]; /* by type and handler_result, for /metrics/probes */
};

struct pod {
	struct pod *next;
	struct kubelet *k;
	struct arena names;
	struct str uid, ns, name;
	const struct object *object; /* the newest from the API or the manifest; NULL: known from
					the runtime only */
	bool is_static;              /* from a manifest; its mirror in the API has another uid */
	bool gone;                   /* the API (or the manifest) has it no more */
	enum pod_state state;
	struct observed observed;
	uint64_t need_relist; /* do nothing before the runtime was asked again */

	struct loop_task task;
	struct loop_timer timer;
	bool queued;
	int ops; /* callbacks under way; the pod cannot go before */

	struct volumes *volumes;
	struct container_memory *containers;
	struct start_op *starting;
	bool sandbox_busy, cgroup_made, cgroup_gone, dirs_made, volumes_gone, admitted,
		api_deleting, removing;
	struct str cgroup; /* in names */
	struct backoff sandbox_backoff;
	int64_t sandbox_retry_ms, mount_wait_since_ms;
	uint64_t labels_hash; /* of labels and annotations, for the downward API */

	int64_t seen_ms; /* of the loop's clock, when it was seen first; 0: it has started */
	int64_t stop_since_ms; /* Unix ms when it began to terminate */
	int64_t grace_s;
	int64_t fail_grace_s; /* -1: the pod's own */
	char *fail_reason, *fail_message;

	struct status_writer *status;
	struct pod_resize *resize; /* resize.c */
};

/* pods.c */
struct pod *pod_new(struct kubelet *k, struct str ns, struct str name, struct str uid);
void pod_free(struct pod *p); /* no operation may be under way */
void pod_wake(struct pod *p);
void pod_wake_in(struct pod *p, int64_t delay_ms); /* the earliest wins */
void pod_ops_begin(struct pod *p);
void pod_ops_end(struct pod *p);    /* and wakes it */
void pod_look_again(struct pod *p); /* the runtime is asked first */
struct container_memory *pod_memory(struct pod *p, struct str name); /* made when it is new */
void pod_set_waiting(struct container_memory *m, const char *reason, struct str message);
void pod_fail(struct pod *p, const char *reason, struct str message);
/* Decodes the newest object. */
struct v1_pod *pod_decode(const struct pod *p, struct arena *a);
struct pod_facts pod_facts(const struct pod *p, const struct v1_pod *spec, struct arena *a);
struct str pod_log_dir(const struct pod *p, struct arena *a);
/* "name_ns(uid)", as messages say. */
struct str pod_text(const struct pod *p, struct arena *a);
void set_string(char **to, struct str s);

/* pod_worker.c */
void pod_work(struct pod *p);

/* pod_stop.c: the states after POD_SYNCING */
void pod_begin_stopping(
	struct pod *p, const struct v1_pod *spec); /* spec NULL: known from the runtime only */
void pod_terminate(struct pod *p, const struct v1_pod *spec);
void pod_clear_away(struct pod *p, const struct v1_pod *spec);
bool pod_finish(struct pod *p, struct arena *a); /* true: the pod is no more */

/* pod_prune.c */
void pod_prune(struct pod *p);
/* In a new sandbox init containers run again from the first: their old instances would say that
 * they are through. True: it goes on. */
bool pod_purge_init_containers(struct pod *p, const struct v1_pod *spec);

/* events.c. container: its name, or {NULL,0} for the pod. */
void pod_event(struct pod *p, struct str container, const char *type, const char *reason,
	const char *fmt, ...) PRINTF_LIKE(5, 6);

/* backoff.c */
bool backoff_active(const struct backoff *b, int64_t event_ms, int64_t now_ms);
void backoff_next(struct backoff *b, int64_t event_ms, int64_t now_ms);
struct str duration_text(struct arena *a, int64_t ms); /* as Go prints it: "1m20s" */

/* sandbox.c */
void sandbox_create(struct pod *p, const struct v1_pod *spec, uint32_t attempt);
/* Stops every sandbox that is ready. */
void sandboxes_stop(struct pod *p);
struct cri_sandbox_config sandbox_config(
	struct pod *p, const struct v1_pod *spec, uint32_t attempt, struct arena *a);
void pod_hostname(const struct pod *p, const struct v1_pod *spec, struct arena *a,
	struct str *ret_host, struct str *ret_domain);

/* container_start.c: pulls, creates, starts, runs postStart; one at a time per pod. */
void pod_start_container(
	struct pod *p, const struct v1_pod *spec, enum container_kind kind, size_t index);
/* The pod is being stopped. False: it is creating or starting a container just now; wait for it. */
bool pod_cancel_start(struct pod *p);

/* container_kill.c: preStop, stop signal, SIGKILL. */
struct kill_request {
	struct str id, name, message; /* message: of the event; empty: the usual one */
	enum kill_reason reason;
	int64_t grace_override_s; /* -1: the pod's, or the probe's */
};
void pod_kill_container(struct pod *p, const struct v1_pod *spec, const struct kill_request *r);
void pod_kill_sooner(struct kill_op *op, int64_t grace_s);

/* admission.c: whether this node takes the pod; else *ret_reason (static) and *ret_message. */
bool pod_admit(struct pod *p, const struct v1_pod *spec, struct arena *a, const char **ret_reason,
	struct str *ret_message);

/* status_writer.c */
struct status_writer *status_writer_new(struct pod *p);
void status_writer_free(struct status_writer *w);
const struct v1_pod_status *status_writer_last(const struct status_writer *w); /* NULL: none yet */
void status_writer_set(
	struct status_writer *w, const struct v1_pod *spec, const struct v1_pod_status *s);
bool status_writer_idle(const struct status_writer *w); /* the API has the last status */

/* probes.c */
void probes_sync(struct pod *p,
	const struct v1_pod *spec);        /* starts and stops probes as containers come and go */
void probes_stop(struct pod *p, bool all); /* all, or all but readiness */

/* resize.c */
void pod_resize_free(struct pod *p);
void pod_resize_sync(struct pod *p, const struct v1_pod *spec);
/* The conditions that say how far it is; NULL: none. */
const struct v1_pod_condition_vec *pod_resize_conditions(
	struct pod *p, const struct v1_pod *spec, struct arena *a);

#endif
