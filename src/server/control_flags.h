/*
 * control_flags.h: the command lines of `sampan control` and kube-apiserver, and of the controllers
 * where both have them. One struct for all; what a flag means is said beside it in control_flags.c.
 */
#ifndef SAMPAN_CONTROL_FLAGS_H
#define SAMPAN_CONTROL_FLAGS_H

#include "client/leader.h"
#include "controllers/flags.h"
#include "server/auth_flags.h"
#include "server/etcd_flags.h"

enum { IO_THREADS_MAX = 4 };

struct control_flags {
	const char *data_dir, *bind_address, *advertise_address;
	int secure_port;
	const char *insecure_bind_address;
	const char *components_bind_address; /* where controllers and scheduler show themselves */
	int controllers_port,
		scheduler_port; /* 0: nowhere; negative: the usual one, if it is free */
	int insecure_port;      /* plain HTTP without authentication; 0: none */
	const char *service_cidr, *node_port_range;
	const char *token_auth_file, *tls_cert_file, *tls_key_file, *client_ca_file;
	const char *sa_signing_key_file;
	const char *kubelet_client_cert_file, *kubelet_client_key_file, *kubelet_ca_file;
	const char *signing_cert_file, *signing_key_file;
	bool bootstrap_tokens;
	int kubelet_port; /* of nodes that do not tell theirs */
	struct auth_flags auth;
	const char *audit_policy_file, *audit_log_path, *audit_log_format;
	int audit_log_maxage, audit_log_maxbackup, audit_log_maxsize;
	const char *tls_min_version;
	struct flag_list tls_ciphers, tls_curves, tls_named_certs;
	struct flag_list tls_sans, admission_on, admission_off, admission_only;
	const char *admission_config_file;
	struct controllers_opts controllers; /* what flags say of them */
	const char *scheduler_config;
	bool allow_privileged;
	struct str text;    /* "name: value" lines of all of them */
	struct arena arena; /* of `text` */
	int io_threads;
	struct etcd_flags etcd;
	struct leader_flags leader; /* of `control`; counts where several may share a store */
};

/* The command line's flags, for as long as `f` and `t` stay where they are. */
enum { CONTROL_FLAGS_MAX = 80 };
struct control_flag_tables {
	struct flag all[CONTROL_FLAGS_MAX]; /* includes the others */
	struct flag alone[16];              /* not in kube-apiserver */
	struct flag election[LEADER_FLAGS_MAX], auth[AUTH_FLAGS_MAX],
		controllers[CONTROLLERS_FLAGS_MAX];
};
struct control_flags control_flags_default(bool with_controllers);
void control_flags_table(
	struct control_flags *f, bool with_controllers, struct control_flag_tables *t);

/* 0, FLAGS_HELP, or negative: it was said on stderr. Strings point into argv. */
int control_flags_parse(
	struct control_flags *f, const char *program, bool with_controllers, int argc, char **argv);

/* Whether other control planes may use the same store: then controllers and scheduler elect a
 * leader. */
bool control_shares_store(const struct control_flags *f);

/* What of upstream's kube-apiserver is not listed there, and why. */
extern const struct flag upstream_flags_apiserver[];

#endif
