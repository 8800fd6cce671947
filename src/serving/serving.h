/*
 * serving.h: the HTTPS port of kube-controller-manager and kube-scheduler: certificate, delegated
 * authentication and authorization (delegated.h), and the pages of component.h; with upstream's
 * flags.
 *
 * One thread: the loop's.
 */
#ifndef SAMPAN_SERVING_H
#define SAMPAN_SERVING_H

#include "base/flags.h"
#include "http/server.h"
#include "serving/component.h"
#include "serving/delegated.h"

struct serving_flags {
	const char *bind_address;
	int port; /* 0: nothing is served */
	bool share_address, share_port;
	const char *cert_dir, *cert_file, *key_file, *client_ca_file;
	const char *authentication_kubeconfig, *authorization_kubeconfig;
	bool skip_lookup;            /* of the published client CA */
	struct flag_list open_paths; /* none given: /healthz, /readyz, /livez */
	int64_t token_ttl_ms, allowed_ttl_ms, denied_ttl_ms;
};

enum { SERVING_FLAGS_MAX = 36 };
/* Upstream's: 0.0.0.0, caches of 10 s. */
struct serving_flags serving_flags_default(int port);
void serving_flags_table(struct serving_flags *f, struct flag table[SERVING_FLAGS_MAX]);
int serving_flags_check(const struct serving_flags *f, struct err *err);

struct serving;

struct serving_opts {
	struct loop *loop;
	const char *bind_address;
	int port;
	bool share_port;
	void *ssl_ctx; /* SSL_CTX *; a reference is taken */
	struct delegated_opts
		delegated; /* clients are taken over, also on failure; loop is filled in */
	struct component *component; /* borrowed; initialised */
};

int serving_start(const struct serving_opts *opts, struct serving **ret, struct err *err);
int serving_port(const struct serving *s);
void serving_free(struct serving *s);

/* The same from flags, for a program of its own: reads or makes its certificate. *ret is NULL when
 * the port is 0. */
int serving_start_flags(struct loop *loop, const struct serving_flags *f,
	struct component *component, struct serving **ret, struct err *err);

#endif
