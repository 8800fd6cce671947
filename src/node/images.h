/*
 * images.h: makes sure that an image is on the node: pull policies, back-off, pull secrets; with
 * upstream's events.
 */
#ifndef SAMPAN_NODE_IMAGES_H
#define SAMPAN_NODE_IMAGES_H

#include "node/pod.h"

struct image_request {
	struct pod *pod;
	const struct v1_pod *spec;                    /* must live until done */
	const struct cri_sandbox_config *sandbox_cfg; /* must live until done */
	struct container_memory *memory;              /* whose back-off counts */
	struct str container, image, policy;          /* must live until done */
	void *user_data;
	/* Exactly once, on a later turn. reason NULL: image is there. Else the waiting state's
	 * reason and message. */
	void (*done)(void *user_data, const struct cri_image *image, const char *reason,
		struct str message);
};

void image_ensure(const struct image_request *r);

/* A reference with its default tag, or an error in upstream's words. */
int image_reference(struct str image, struct arena *a, struct str *ret, struct err *err);
/* The credentials of a .dockerconfigjson or .dockercfg document that fit an image, the most
 * specific first. */
struct cri_auths {
	struct cri_auth *v;
	size_t n;
};
void image_auths(struct str json, struct str image, struct arena *a, struct cri_auths *to);

#endif
