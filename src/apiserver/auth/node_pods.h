/*
 * node_pods.h: which pods run on a node, for the node authorizer: upstream's graph, but only its
 * edges from pods to nodes are kept; what a pod refers to is read from the pod when somebody asks.
 *
 * Brought up to date from the store's history by each question, so it knows every pod that the
 * asking node can know of. Any thread; one question at a time.
 */
#ifndef SAMPAN_NODE_PODS_H
#define SAMPAN_NODE_PODS_H

#include "apiserver/auth/pod_refs.h"
#include "store/store.h"

struct node_pods;

struct node_pods *node_pods_new(struct store *store);
void node_pods_free(struct node_pods *n); /* NULL-safe */

/* Whether a pod on the node refers to the object; mirror pods do not count. */
bool node_refers_to(
	struct node_pods *n, struct str node, enum pod_ref kind, struct str ns, struct str name);

#endif
