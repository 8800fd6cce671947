/*
 * spec.h: the OCI configuration (config.json, runtime-spec 1.0) of a container.
 */
#ifndef SAMPAN_RUNTIME_SPEC_H
#define SAMPAN_RUNTIME_SPEC_H

#include "node/cri.h"
#include "node/runtime/user.h"

enum { SPEC_BYTES_MAX = 4 * 1024 * 1024 };

/* What an image's configuration says (OCI image spec, config.md). */
struct image_defaults {
	struct str_vec entrypoint, cmd, env, volumes;
	struct str user, working_dir, stop_signal;
};
int image_defaults_parse(
	struct str config, struct arena *a, struct image_defaults *ret, struct err *err);

struct spec_input {
	const struct cri_container_config *cfg;
	const struct image_defaults *image;
	struct user_ids user;
	const char *rootfs;
	struct str hostname;
	struct str cgroups_path;
	/* namespaces to enter; NULL: the host's */
	const char *ipc_path, *net_path, *uts_path;
	const char *pid_path; /* with pid_private false: NULL the host's */
	bool pid_private;
	const char *shm_path, *resolv_path, *hostname_path; /* bind-mounted when not NULL */
	int oom_score_adj_min;
	bool seccomp, apparmor; /* the OCI runtime can */
	bool cgroup2;           /* a pure v2 host */
	uint64_t capabilities;  /* that we may give away */
};
/* The command line: 400 "no command specified" when there is none. */
int spec_write(const struct spec_input *in, struct arena *a, struct buf *out, struct err *err);
/* process.json for `exec`: the container's process with another command line and terminal. config:
 * its config.json. */
int spec_write_exec(struct str config, const struct cri_stream_opts *o, struct arena *a,
	struct buf *out, struct err *err);

/* caps.c */
uint64_t caps_default(void);
int cap_number(struct str name);  /* with or without CAP_; -1 unknown */
const char *cap_name(int number); /* "CAP_CHOWN", NULL above the last */
uint64_t caps_ours(void);         /* permitted to this process */

struct jout;
/* mounts.c, devices.c, seccomp.c: their members of the configuration */
int spec_mounts(const struct spec_input *in, struct arena *a, struct jout *j, struct err *err);
void spec_devices(const struct spec_input *in, struct arena *a, struct jout *j);
void spec_device_rules(const struct spec_input *in, struct arena *a, struct jout *j);
int spec_seccomp(const struct spec_input *in, struct arena *a, struct jout *j, struct err *err);

#endif
