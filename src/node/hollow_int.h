/* hollow_int.h: nodes and pods of hollow.h. */
#ifndef SAMPAN_NODE_HOLLOW_INT_H
#define SAMPAN_NODE_HOLLOW_INT_H

#include "base/map.h"
#include "node/hollow.h"
#include "types.gen.h"

struct hollow_node {
	struct hollow *h;
	int index;
	char *name, *ip;
	bool alive, registered, busy; /* busy: a call is under way */
	bool status_due;              /* the API does not show this node as it is */
	int64_t status_at_ms;         /* when the status was last reported */
	struct loop_timer tick;
};

struct hollow_pod {
	struct hollow *h;
	struct hollow_node *node;
	char *key;           /* "ns/name" */
	struct str ns, name; /* in key */
	struct hollow_pod *next_gone;
	bool busy, gone; /* gone: to be freed when the call under way is done */
	struct loop_timer timer;
};

struct hollow {
	struct hollow_opts o;
	struct loop *loop;
	struct hollow_node *nodes;
	struct map by_name;      /* node name -> struct hollow_node */
	struct map pods;         /* "ns/name" -> struct hollow_pod */
	struct hollow_pod *gone; /* calls of theirs are under way still */
	uint64_t addresses;      /* given to pods */
};

/* --- hollow.c --- */
struct client_call *hollow_call(struct hollow *h, const char *verb,
	const struct schema_resource *res, struct str ns, struct str name,
	void (*done)(struct client_call *call), void *user_data);
struct k8s_time hollow_now(struct hollow *h);
int64_t hollow_delay(struct hollow *h, int64_t max_ms); /* random, at least 1 */

/* --- hollow_node.c --- */
void hollow_node_init(struct hollow_node *n, struct hollow *h, int index);
void hollow_node_release(struct hollow_node *n);
void hollow_node_event(void *user_data, const struct store_event *ev);

/* --- hollow_pod.c --- */
void hollow_pod_event(void *user_data, const struct store_event *ev);
void hollow_pod_free(struct hollow_pod *p);
/* The node came back: looks at all its pods again. */
void hollow_pods_of(struct hollow *h, struct hollow_node *n);

#endif
