/*
 * pod_plan.h: what to do next with a pod: a pure function of the pod as the API has it, what the
 * runtime shows, and what the probes found. The worker (pod_worker.c) carries the actions out,
 * looks again and asks again.
 */
#ifndef SAMPAN_POD_PLAN_H
#define SAMPAN_POD_PLAN_H

#include "node/observed.h"
#include "types.gen.h"

enum container_kind { CONTAINER_REGULAR, CONTAINER_INIT, CONTAINER_EPHEMERAL };

enum probe_result { PROBE_UNKNOWN, PROBE_SUCCESS, PROBE_FAILURE };

struct probe_results { /* of one container instance; UNKNOWN where no probe is or none has run */
	struct str id;
	enum probe_result startup, liveness, readiness;
};

enum kill_reason { KILL_PLAIN, KILL_LIVENESS, KILL_STARTUP, KILL_POST_START, KILL_UNKNOWN_STATE };

struct plan_start {
	enum container_kind kind;
	uint32_t index; /* in the spec's list of that kind */
};

struct plan_kill {
	struct str id, name, message;
	enum kill_reason reason;
};

struct pod_plan {
	bool kill_pod;       /* all containers and the sandbox */
	bool create_sandbox; /* after that */
	uint32_t attempt;    /* of the new sandbox */
	struct {
		struct plan_start *v;
		size_t n;
	} starts; /* in order */
	struct {
		struct plan_kill *v;
		size_t n;
	} kills;
};

struct pod_plan_input {
	const struct v1_pod *pod;
	const struct observed *observed;
	const struct probe_results *probes;
	size_t n_probes;
};

void pod_plan(const struct pod_plan_input *in, struct arena *a, struct pod_plan *ret);

/* --- what the planner and the status agree on --- */

bool container_is_sidecar(
	const struct v1_container *c); /* an init container with restartPolicy Always */
/* Whether a container that ended like that starts again: its own rules and policy, else the pod's.
 */
bool container_restarts(const struct v1_pod *pod, const struct v1_container *c, int exit_code);
/* Whether it should be started, as far as restart policies say. */
bool container_should_start(
	const struct v1_pod *pod, const struct v1_container *c, const struct observed *o);
/* Whether a new sandbox is needed, and its attempt number. */
bool sandbox_needed(const struct v1_pod *pod, const struct observed *o, uint32_t *ret_attempt);
bool any_regular_container_created(const struct v1_pod *pod, const struct observed *o);
/* Of what is restarted when it changes: name and image. */
uint64_t container_hash(const struct v1_container *c);
/* The spec of a container by name, of any kind; NULL when there is none. */
const struct v1_container *pod_container(
	const struct v1_pod *pod, struct str name, enum container_kind *ret_kind);
const struct v1_container *pod_container_at(
	const struct v1_pod *pod, enum container_kind kind, size_t index);

#endif
