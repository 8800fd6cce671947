/* copy.h: deep copies into an arena of what cri.h describes. */
#ifndef SAMPAN_RUNTIME_COPY_H
#define SAMPAN_RUNTIME_COPY_H

#include "node/cri.h"

void copy_sandbox_config(
	struct arena *a, const struct cri_sandbox_config *from, struct cri_sandbox_config *to);
void copy_container_config(
	struct arena *a, const struct cri_container_config *from, struct cri_container_config *to);
void copy_resources(struct arena *a, const struct cri_resources *from, struct cri_resources *to);
struct cri_mount *copy_mounts(struct arena *a, const struct cri_mount *from, size_t n);
struct cri_port_mapping *copy_ports(struct arena *a, const struct cri_port_mapping *from, size_t n);

#endif
