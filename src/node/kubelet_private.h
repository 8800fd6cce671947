/* kubelet_private.h: what the kubelet's own files share. One thread: the loop's. */
#ifndef SAMPAN_KUBELET_PRIVATE_H
#define SAMPAN_KUBELET_PRIVATE_H

#include "client/client.h"
#include "client/recorder.h"
#include "node/cgroup.h"
#include "node/cri.h"
#include "node/eviction.h"
#include "node/kubelet.h"
#include "node/meter.h"
#include "node/objects.h"
#include "types.gen.h"

#define KUBELET_VERSION "v1.36.2"

struct pod;
struct relist;
struct node_agent;
struct healthz;
struct kubelet_server;
struct certificates;
struct static_pods;
struct stats;
struct housekeeping;

struct kubelet {
	struct loop *loop;
	struct kubelet_opts opts; /* with defaults filled in */
	struct arena arena;       /* what lives as long as the kubelet */
	struct str node_name;
	struct str_vec node_ips;
	struct str_vec cluster_dns;

	struct client *client;
	struct recorder *recorder;
	struct objects *objects;
	struct cri *cri;
	bool builtin_runtime;
	struct str runtime_version; /* "sampan://0.1.0" */
	struct str runtime_name;    /* "sampan" */
	bool runtime_ready, network_ready, runtime_asked;
	char *runtime_message; /* NULL: none */

	struct str pod_cidr;
	struct v1_container_image
		*node_images; /* for the Node's status; malloc'd, strings in images_arena */
	size_t n_node_images;
	struct arena images_arena;
	bool disk_pressure, memory_pressure;

	struct cgroups cgroups;
	struct relist *relist;
	struct node_agent *node;
	struct kubelet_server *server;
	struct certificates *certificates; /* NULL: none is renewed */
	struct healthz *healthz;           /* NULL: none */
	struct static_pods *static_pods;
	struct housekeeping *housekeeping;
	struct eviction *eviction;
	struct stats *stats;
	struct kubelet_meter meter;

	struct pod *pods; /* linked by next */
	bool pods_synced; /* all pods of the API are known */
	bool stopping;
};

/* pods.c */
struct pod *pod_by_uid(struct kubelet *k, struct str uid);
struct pod *pod_by_name(struct kubelet *k, struct str ns, struct str name);
void pods_on_event(void *user_data, const struct store_event *ev);
void pods_on_synced(struct kubelet *k);
/* A config map or secret has changed: pods that mount it write it again. */
void pods_object_changed(
	struct kubelet *k, const struct schema_resource *res, struct str ns, struct str name);
void pods_wake_all(struct kubelet *k);

/* static_pods.c: pods from manifests. */
int static_pods_start(struct kubelet *k, struct err *err);
void static_pods_free(struct static_pods *s);
void static_pods_mirror_event(struct kubelet *k, const struct store_event *ev);
const struct object *static_pods_mirror_of(struct kubelet *k, struct pod *p); /* NULL: none yet */
void static_pods_node_ready(struct kubelet *k); /* the API server answers: make the mirrors */

/* node_agent.c: the Node object, its status and lease. */
struct node_agent *node_agent_new(struct kubelet *k);
void node_agent_free(struct node_agent *n);
void node_agent_start(struct node_agent *n);
void node_agent_changed(
	struct node_agent *n); /* the runtime's or a pressure's state: say it at once */
void node_on_event(void *user_data, const struct store_event *ev);
const struct str_map *node_allocatable(struct kubelet *k, struct arena *a);
struct v1_node *node_object(struct kubelet *k, struct arena *a); /* NULL: not known yet */
int64_t node_memory_capacity(void);

/* housekeeping.c: log rotation, images, dead containers, directories of pods that are gone. */
struct housekeeping *housekeeping_new(struct kubelet *k);
void housekeeping_free(struct housekeeping *h);

/* server.c: the HTTPS API. */
int kubelet_server_start(struct kubelet *k, struct err *err);
void kubelet_server_free(struct kubelet_server *s);

/* healthz.c */
struct healthz *healthz_start(struct kubelet *k);
void healthz_free(struct healthz *h);

/* relist.c: keeps what the runtime shows. */
struct relist *relist_new(struct kubelet *k);
void relist_free(struct relist *r);
/* Asks the runtime again; returns a number: once relist_done() has reached it, what was done before
 * this call shows. */
uint64_t relist_request(struct relist *r);
uint64_t relist_done(const struct relist *r);

#endif
