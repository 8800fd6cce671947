/* cri_proto.h: cri.h's structs as messages of CRI v1 (package runtime.v1) and back. */
#ifndef SAMPAN_CRI_PROTO_H
#define SAMPAN_CRI_PROTO_H

#include "node/cri.h"

void cri_write_sandbox_config(struct buf *b, const struct cri_sandbox_config *cfg);
void cri_write_container_config(struct buf *b, const struct cri_container_config *cfg);
void cri_write_resources(struct buf *b, const struct cri_resources *r);
/* Strings stay views into message or live in the arena. */
void cri_read_sandbox_status(struct str message, struct arena *a, struct cri_sandbox_status *ret);
void cri_read_container_status(
	struct str message, struct arena *a, struct cri_container_status *ret);
void cri_read_image(struct str message, struct arena *a, struct cri_image *ret);
void cri_read_stats(struct str message, struct arena *a, struct cri_container_stats *ret);

#endif
