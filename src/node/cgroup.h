/*
 * cgroup.h: the kubepods hierarchy: <root>/kubepods[/burstable|/besteffort]/pod<uid>, on cgroup v1,
 * v2 and hybrid hosts. The runtime makes the containers' own groups below a pod's.
 */
#ifndef SAMPAN_NODE_CGROUP_H
#define SAMPAN_NODE_CGROUP_H

#include "node/resources.h"

enum { CGROUP_CONTROLLERS_MAX = 16 };

struct cgroup_mount {
	char controller[24]; /* cpu, memory …; v2: "" */
	char path[128];      /* where it is mounted */
};

struct cgroups {
	bool v2;        /* the controllers are on the unified hierarchy */
	char root[256]; /* "" for / */
	struct cgroup_mount mounts[CGROUP_CONTROLLERS_MAX];
	size_t n_mounts;
	char unified[128];   /* of a hybrid host: the runtime makes groups there too; "": none */
	int oom_score_min; /* the kubelet's own: without CAP_SYS_RESOURCE nothing can go below it */
};

/* Looks at the mounts and makes kubepods and its QoS groups. */
int cgroups_init(struct cgroups *c, const char *root, struct err *err);
/* The pod's group, relative to the hierarchy's root: "/kubepods/burstable/pod<uid>". */
struct str cgroup_of_pod(const struct cgroups *c, struct arena *a, enum qos q, struct str uid);
/* Makes it and sets the sums' limits. Idempotent; also for a resize. */
int cgroup_pod_make(
	struct cgroups *c, struct str path, const struct pod_sums *sums, struct err *err);
/* Removes it with what is left below. Nothing may run in it. */
void cgroup_pod_remove(struct cgroups *c, struct str path);
/* A container's part in a score of how willingly the kernel kills it: -997 … 1000, as upstream. */
int oom_score_adj(enum qos q, int64_t memory_request, int64_t memory_capacity, int min);

/* Usage of a group, for statistics; members stay 0 where it cannot be read. */
struct cgroup_usage {
	uint64_t cpu_ns, memory_usage, memory_working_set, memory_rss, page_faults,
		major_page_faults;
};
void cgroup_usage(const struct cgroups *c, const char *path, struct cgroup_usage *ret);
/* The whole machine's: of the root group, and of /proc where that does not tell (cgroup v2). */
void cgroup_machine_usage(const struct cgroups *c, struct cgroup_usage *ret);
/* Some process in the groups right below that one; 0: there is none. */
int cgroup_any_process(const struct cgroups *c, const char *path);

#endif
