/*
 * payload.h: what belongs into a configMap, secret, downwardAPI or projected volume: reads the
 * objects, asks for tokens, and hands the files over for writing.
 */
#ifndef SAMPAN_PAYLOAD_H
#define SAMPAN_PAYLOAD_H

#include "node/env.h"
#include "node/objects.h"
#include "node/volumes/atomic_writer.h"

struct payload_op;

struct payload_request { /* everything borrowed but `facts`, whose pod is copied */
	struct client *client;
	struct objects *objects;
	struct pod_facts facts;
	const struct v1_volume *volume; /* inside the pod */
	void *user_data;
	/* Exactly once, on a later turn. refresh_ms: when its tokens want renewal, from now; 0 =
	 * never. */
	void (*done)(void *user_data, const struct payload *p, int64_t refresh_ms, struct err *err);
};

void payload_gather(const struct payload_request *r);
bool volume_is_payload(const struct v1_volume *v);
/* Calls fn for each config map and secret it refers to. */
void payload_references(const struct v1_volume *v,
	void (*fn)(void *user_data, const struct schema_resource *res, struct str name),
	void *user_data);

#endif
