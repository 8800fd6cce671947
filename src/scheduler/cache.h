/*
 * cache.h: the scheduler's picture of the cluster: nodes with what is left on them, kept
 * incrementally from events, and pods assumed on a node before the API server has said so.
 */
#ifndef SAMPAN_SCHEDULER_CACHE_H
#define SAMPAN_SCHEDULER_CACHE_H

#include "scheduler/framework.h"
#include "store/store.h"

struct cache;

struct cache *cache_new(void);
void cache_free(struct cache *c);
const struct nodes *cache_nodes(const struct cache *c); /* those that exist, in order of arrival */
/* All pods that have a node, and of them those that are assumed. */
void cache_count_pods(const struct cache *c, size_t *ret_all, size_t *ret_assumed);
struct resource_names *cache_names(struct cache *c);

/* Each returns what of the cluster changed, as enum cluster_event. */
uint32_t cache_node_event(struct cache *c, const struct store_event *ev);
/* For pods that have a node; others do not concern the cache. */
uint32_t cache_pod_event(struct cache *c, const struct store_event *ev);

/* Decodes a pod and works out what it asks for. The caller frees it, or hands it to cache_assume.
 */
struct pod_info *pod_info_new(struct cache *c, const struct object *o);
void pod_info_free(struct pod_info *p);

/* The pod counts on the node from now on. Taken over. */
void cache_assume(struct cache *c, struct pod_info *p, struct node_info *n);
/* It did not come to be; the caller owns it again. NULL when an event has replaced it since. */
struct pod_info *cache_forget(struct cache *c, struct str uid);
struct node_info *cache_node(const struct cache *c, struct str name); /* NULL: none */

/* Nodes where pods with (required anti-) affinity are: any at all? */
bool cache_has_affinity(const struct cache *c);

/* How many pods of the pod's controller are on the node, or in the node's zone. */
int64_t cache_siblings_on_node(
	const struct cache *c, const struct pod_info *pod, const struct node_info *n);
int64_t cache_siblings_in_zone(
	const struct cache *c, const struct pod_info *pod, const struct node_info *n);

/* node_info alone, also for preemption's copies */
void node_add_pod(struct node_info *n, struct pod_info *p);
void node_remove_pod(struct node_info *n, struct pod_info *p);
struct node_info *node_copy(
	const struct node_info *n); /* counts and the list of pods; shares the rest */
void node_copy_free(struct node_info *n);

#endif
