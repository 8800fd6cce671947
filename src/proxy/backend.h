/*
 * backend.h: a mode of the proxy: how services become rules and how rules reach the kernel.
 *
 * The proxy renders a service into a ruleset whenever something about it changes, and hands the old
 * and the new one to `change` between `begin` and `commit`. A backend keeps no services, only what
 * its rules share. One thread: the proxy's loop, which apply calls block for milliseconds.
 */
#ifndef SAMPAN_PROXY_BACKEND_H
#define SAMPAN_PROXY_BACKEND_H

#include "proxy/config.h"
#include "proxy/ruleset.h"
#include "proxy/service.h"

struct proxy_backend;

struct proxy_backend_ops {
	const char *name; /* "nftables" */
	/* What one service of one family is in this mode, appended. */
	void (*render)(struct proxy_backend *b, const struct proxy_service *svc,
		struct ruleset *ret, struct arena *a);
	/* A batch begins, of so many services. `full`: what the kernel has is unknown, and every
	 * service follows with an empty `before`; what works now works on until it is replaced. */
	void (*begin)(struct proxy_backend *b, bool full, size_t n_services);
	/* `service`: "namespace/name" */
	void (*change)(struct proxy_backend *b, struct str service, const struct ruleset *before,
		const struct ruleset *after);
	/* All of it reaches the kernel; negative errno with err: begin again with `full`. */
	int (*commit)(struct proxy_backend *b, struct err *err);
	/* After the first full program: takes away what another mode left. */
	void (*take_over)(struct proxy_backend *b);
	/* A while after a commit: what need not be done at once, such as taking away what was only
	 * emptied. 1: there is more to do, soon. Negative errno with err: begin again with `full`. */
	int (*tidy)(struct proxy_backend *b, struct err *err);
	/* Whether the rules are still there (somebody may have flushed them). */
	bool (*intact)(struct proxy_backend *b);
	void (*free)(struct proxy_backend *b); /* the rules stay */
};

struct proxy_backend {
	const struct proxy_backend_ops *ops;
	bool no_sctp; /* the kernel cannot match ports of SCTP: render must not be given any */
};

/* The kernel's nftables in this network namespace. `c` must outlive it. */
int proxy_backend_nft_new(
	const struct proxy_config *c, struct proxy_backend **ret, struct err *err);
/* The tables of iptables, of the variant (nft or legacy) that is installed. */
int proxy_backend_iptables_new(
	const struct proxy_config *c, struct proxy_backend **ret, struct err *err);
/* The one that c->mode names. */
int proxy_backend_new(const struct proxy_config *c, struct proxy_backend **ret, struct err *err);

/* Removes every rule of a mode, if there are any. */
void proxy_nft_cleanup(void);
void proxy_iptables_cleanup(void);

#endif
