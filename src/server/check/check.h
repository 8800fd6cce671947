/*
 * check.h: `sampan check`: what would go wrong on this machine, found before anything is changed. Each check is a row of
 * the table in check.c; it looks, reports what is wrong and what to do about it, and changes nothing. The quick ones
 * (milliseconds, nothing that may hang) run before `up`, `server` and `node`, too.
 *
 * To add one: a function below, in the file of its topic, and a row.
 */
#ifndef SAMPAN_CHECK_H
#define SAMPAN_CHECK_H

#include "base/base.h"

/* What is going to run here, with which settings; NULL and 0: the default. */
struct check_opts {
	bool control, node;
	const char *data_dir, *bind_address, *node_name, *server;
	int secure_port, kubelet_port;
	const char *service_cidr, *cluster_cidr;
	const char *network_backend, *proxy_mode, *runtime_endpoint;
	struct str_vec etcd_servers;
	struct str_vec certificates; /* files */
};

struct check_report {
	struct arena arena;
	const char *check; /* the one that runs */
	int wrong, doubtful;
};

/* "check: what is wrong: what to do", one line on stderr. A doubt does not fail the check. */
void check_wrong(struct check_report *r, const char *fmt, ...) PRINTF_LIKE(2, 3);
void check_doubt(struct check_report *r, const char *fmt, ...) PRINTF_LIKE(2, 3);

enum { CHECK_CONTROL = 1 << 0, CHECK_NODE = 1 << 1, CHECK_QUICK = 1 << 2 };

/* Runs what applies to opts; with `quick` the quick ones alone. How many things are wrong. */
int checks_run(const struct check_opts *opts, bool quick);

int check_main(int argc, char **argv);

/* --- files.c --- */
void check_data_dir(const struct check_opts *o, struct check_report *r);
void check_certificates(const struct check_opts *o, struct check_report *r);
void check_clock(const struct check_opts *o, struct check_report *r);

/* --- net.c --- */
void check_ports(const struct check_opts *o, struct check_report *r);
void check_ranges(const struct check_opts *o, struct check_report *r);
void check_etcd(const struct check_opts *o, struct check_report *r);
void check_server(const struct check_opts *o, struct check_report *r);
void check_node_name(const struct check_opts *o, struct check_report *r);

/* --- machine.c --- */
void check_root(const struct check_opts *o, struct check_report *r);
void check_runtime(const struct check_opts *o, struct check_report *r);
void check_services(const struct check_opts *o, struct check_report *r);
void check_pod_network(const struct check_opts *o, struct check_report *r);
void check_cgroups(const struct check_opts *o, struct check_report *r);
void check_kernel(const struct check_opts *o, struct check_report *r);

#endif
