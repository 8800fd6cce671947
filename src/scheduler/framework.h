/*
 * framework.h: what a scheduler plugin sees. A plugin is one file in plugins/ with a constant
 * struct; plugins.c lists them in the order in which they run. The extension points are upstream's
 * (kube-scheduler framework):
 *
 *   pre_enqueue   may the pod enter the queue at all?
 *   pre_filter    once per cycle: prepare, say that filter is not needed (FIT_SKIP),
 *                 or that no node can do
 *   filter        can this node run the pod?
 *   pre_score     once per cycle: prepare, or FIT_SKIP
 *   score         how well a node that can suits; normalize brings what was returned
 *                 into 0 ... SCORE_MAX
 *
 * Making room when no node can (PostFilter) is preemption.c's, binding is writes.c's.
 *
 * A plugin keeps what it prepares in the cycle (cycle_state), in the cycle's arena. Everything is
 * on one thread. The nodes do not change during a cycle, except under preemption, which tells
 * plugins by pod_moved.
 */
#ifndef SAMPAN_SCHEDULER_FRAMEWORK_H
#define SAMPAN_SCHEDULER_FRAMEWORK_H

#include "api/object.h"
#include "base/base.h"
#include "types.gen.h"

enum { SCORE_MAX = 100, RESOURCES_MAX = 16, REASONS_MAX = 8, PLUGINS_MAX = 20 };

/* The first resources have fixed places; extended ones get theirs when first seen. */
enum { RES_CPU, RES_MEMORY, RES_EPHEMERAL, RES_PODS };

struct resource_names {
	struct str name[RESOURCES_MAX];
	const char *insufficient[RESOURCES_MAX]; /* "Insufficient cpu" */
	size_t n;
	struct arena arena;
};

/* CPU in thousandths, everything else in units. */
struct resources {
	int64_t v[RESOURCES_MAX];
};

struct host_port {
	struct str ip, protocol; /* ip: "0.0.0.0" when the pod says none */
	int32_t port;
};

struct host_ports {
	struct host_port *v;
	size_t n, cap;
};

/* A pod as the scheduler knows it: waiting, assumed or running. */
struct pod_info {
	const struct object *object; /* a reference */
	struct v1_pod *pod; /* decoded; NULL for a pod on a node that nobody's affinity concerns */
	struct arena arena; /* of `pod` and the members below */
	int32_t priority;
	uint64_t owner; /* hash of the controller's uid; 0: has none */
	struct resources request;
	/* As scoring counts: with a minimum for what asks for nothing. */
	int64_t nonzero_cpu, nonzero_memory;
	struct host_ports ports;
	bool has_affinity, has_required_anti_affinity;
	bool assumed;           /* on its node by our decision; no event has said so yet */
	struct node_info *node; /* where it runs or is assumed to run */
	size_t node_at;         /* its place in node->pods */
};

struct image_state {
	struct str name;
	int64_t size;
};

struct node_info {
	struct str name;
	const struct object *object; /* NULL: gone, but pods are still on it */
	struct arena arena;          /* of the members that come from the object */
	struct str_map labels;
	struct v1_taint_vec taints;
	bool unschedulable;
	bool has_soft_taints; /* PreferNoSchedule */
	struct resources allocatable, used;
	int64_t nonzero_cpu, nonzero_memory;
	struct {
		struct pod_info **v;
		size_t n, cap;
	} pods;
	size_t n_affinity, n_anti_affinity; /* pods here with (required anti-) affinity to others */
	struct host_ports ports;
	struct {
		struct image_state *v;
		size_t n;
	} images;
	size_t index;               /* in nodes */
	uint64_t place, zone_place; /* for siblings.h */
};

struct nodes {
	struct node_info **v;
	size_t n, cap;
};

enum fit {
	FIT_OK,
	FIT_SKIP,          /* pre_filter, pre_score: this plugin has nothing to say in this cycle */
	FIT_UNSCHEDULABLE, /* not now; removing pods may help */
	FIT_UNRESOLVABLE,  /* removing pods does not help */
};

/* Why a node cannot do. Constant or interned strings: they are counted by their text. */
struct reasons {
	const char *v[REASONS_MAX];
	size_t n;
};
static inline enum fit fit_no(struct reasons *r, enum fit fit, const char *why)
{
	if (r->n < REASONS_MAX)
		r->v[r->n++] = why;
	return fit;
}

/* What may make a pod schedulable that was not. */
enum cluster_event {
	EVENT_NODE_ADD = 1 << 0,
	EVENT_NODE_ALLOCATABLE = 1 << 1,
	EVENT_NODE_LABEL = 1 << 2,
	EVENT_NODE_TAINT = 1 << 3, /* taints, or unschedulable */
	EVENT_POD_ADD = 1 << 4,    /* a pod came to a node */
	EVENT_POD_UPDATE = 1 << 5, /* labels or requests of a pod on a node */
	EVENT_POD_DELETE = 1 << 6,
	EVENT_ALL = (1 << 7) - 1,
};

struct cycle {
	struct arena *arena;
	const struct pod_info *pod;
	const struct nodes *nodes;
	bool any_affinity; /* some pod on some node has terms about others */
	const struct resource_names *names;
	void *state[PLUGINS_MAX];
	size_t plugin;       /* which one is being called */
	const char *message; /* of a pre_filter that refused everything */
	/* How many pods of the pod's controller are on a node, and in a zone: for the default
	 * spreading. */
	int64_t (*siblings_on_node)(
		void *user_data, const struct pod_info *pod, const struct node_info *n);
	int64_t (*siblings_in_zone)(
		void *user_data, const struct pod_info *pod, const struct node_info *n);
	/* Labels of a namespace, for namespaceSelector. */
	const struct str_map *(*namespace_labels)(void *user_data, struct str ns);
	void *user_data;
};
static inline void **cycle_state(struct cycle *c)
{
	return &c->state[c->plugin];
}

struct plugin {
	const char *name;
	int weight;
	uint32_t events; /* enum cluster_event: after which a pod that this plugin refused is tried
			    again */
	const char *(*pre_enqueue)(const struct pod_info *pod); /* NULL or why not */
	enum fit (*pre_filter)(struct cycle *c);
	enum fit (*filter)(struct cycle *c, const struct node_info *n, struct reasons *ret);
	/* Preemption tries what happens when a pod comes to or leaves a node: by = 1 or -1. The
	 * node has changed already. */
	void (*pod_moved)(
		struct cycle *c, const struct pod_info *pod, const struct node_info *n, int by);
	enum fit (*pre_score)(struct cycle *c, struct node_info *const *feasible, size_t n);
	int64_t (*score)(struct cycle *c, const struct node_info *n);
	void (*normalize)(
		struct cycle *c, struct node_info *const *feasible, int64_t *scores, size_t n);
};

extern const struct plugin *const plugins[]; /* plugins.c; NULL-terminated */

/* Scales scores to 0 … SCORE_MAX by their maximum; `reverse`: the highest becomes 0. */
void normalize_by_max(int64_t *scores, size_t n, bool reverse);
/* NodeSelector terms and matchFields of a node; used by more than one plugin. */
bool node_matches_required(const struct node_info *n, const struct v1_pod_spec *spec);
bool node_term_matches(const struct node_info *n, const struct v1_node_selector_term *term);
/* The first taint of the node with one of the effects that the pod does not tolerate, or NULL. */
const struct v1_taint *untolerated_taint(
	const struct node_info *n, const struct v1_pod_spec *spec, bool hard);
bool taint_tolerated(const struct v1_taint *taint, const struct v1_toleration *t);

#endif
