/* server_flags.h: the flags that `sampan server` and `sampan up` share. */
#ifndef SAMPAN_SERVER_FLAGS_H
#define SAMPAN_SERVER_FLAGS_H

#include "node/flags.h"
#include "server/control_flags.h"

struct server_flags {
	const char *data_dir, *node_name, *node_ip, *registry_mirror, *verbosity;
	bool control_only;
	/* What the two programs below are told, in their own flags; each checks its own. */
	struct control_flags control;
	struct kubelet_command node;
	struct str_vec control_args, node_args; /* as given */
};

/* Its own flags, then those of `sampan control` and those of `sampan node`. */
struct server_flag_tables {
	struct flag own[12], node[KUBELET_FLAGS_MAX];
	struct control_flag_tables control;
};

struct server_flags server_flags_default(void);
void server_flags_table(struct server_flags *f, struct server_flag_tables *t);
/* 0, FLAGS_HELP, or negative when something is wrong that can be said before anything is started:
 * one line on standard error did. What it sets lives in argv and `a`. */
int server_flags_parse(
	struct server_flags *f, const char *program, int argc, char **argv, struct arena *a);
/* Fills what was not given and depends on the machine: the node's name. */
void server_flags_finish(struct server_flags *f, struct arena *a);
/* What the server would run, for `sampan check`: finished flags. Borrows. */
struct check_opts;
void server_flags_check_opts(const struct server_flags *f, struct check_opts *ret);
/* What a reboot may lose of the cluster in this data directory: /run/sampan, with a suffix when it
 * is not the default one, so that two clusters of one machine do not meet. */
const char *server_run_dir(const char *data_dir, struct arena *a);

#endif
