/*
 * recorder.h: tells users what happened, as core/v1 Events, the way client-go does: the same event
 * again raises the count of the one there is, many similar ones are combined, and a source that
 * talks too much about one object is cut off. Everything is best effort: an event that cannot be
 * written is dropped.
 *
 * One thread: the client's loop.
 */
#ifndef SAMPAN_RECORDER_H
#define SAMPAN_RECORDER_H

#include "client/client.h"

struct recorder;

/* What an event is about. The strings are copied. */
struct event_about {
	const struct schema_resource *resource;
	struct str ns, name, uid;
	uint64_t revision;     /* 0 = not told */
	struct str field_path; /* "spec.containers{web}"; may be empty */
};

/* `component` ("kubelet", "replicaset-controller") and `host` (may be NULL) are the source. The
 * client is borrowed. */
struct recorder *recorder_new(struct client *client, const char *component, const char *host);
/* After client_free: no call of the recorder comes back then. */
void recorder_free(struct recorder *r);

/* type: "Normal" or "Warning". */
void recorder_event(struct recorder *r, const struct event_about *about, const char *type,
	const char *reason, const char *fmt, ...) PRINTF_LIKE(5, 6);
void recorder_event_object(struct recorder *r, const struct object *about, const char *type,
	const char *reason, struct str message);

#endif
