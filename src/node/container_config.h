/* container_config.h: what the runtime is told about a container: the pod's spec made concrete. */
#ifndef SAMPAN_CONTAINER_CONFIG_H
#define SAMPAN_CONTAINER_CONFIG_H

#include "node/pod.h"

struct container_config_input {
	struct pod *pod;
	const struct v1_pod *spec;
	const struct v1_container *container;
	enum container_kind kind;
	const struct cri_image *image;
	struct cri_key_values env;
	int restart_count;
	struct str target_id; /* of an ephemeral container's target; may be empty */
};

/* Everything lives in the arena. Makes files that are mounted (hosts, termination log, subPaths).
 * 400 in upstream's words: CreateContainerConfigError. */
int container_config(const struct container_config_input *in, struct arena *a,
	struct cri_container_config *ret, struct err *err);
/* Requests and limits as the runtime takes them. */
struct cri_resources container_resources(
	struct pod *p, const struct v1_pod *spec, const struct v1_container *c);
/* Of the pod's hosts file; 0 or negative errno. */
int hosts_file_write(
	struct pod *p, const struct v1_pod *spec, struct arena *a, struct str *ret_path);

#endif
