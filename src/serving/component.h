/*
 * component.h: what every component shows of itself over HTTP, whoever may ask: /healthz, /livez,
 * /readyz (each with ?verbose, ?exclude= and /<check>), /metrics, /metrics/slis, /statusz, /flagz,
 * /configz, and that /debug/pprof is not there. Who may ask is decided before (delegated.h, or the
 * component's own).
 */
#ifndef SAMPAN_SERVING_COMPONENT_H
#define SAMPAN_SERVING_COMPONENT_H

#include "http/exchange.h"
#include "metrics/metrics.h"

enum component_page { COMPONENT_HEALTHZ = 1, COMPONENT_LIVEZ = 2, COMPONENT_READYZ = 4 };

typedef void component_check_fn(void *to, const char *name, bool ok);

struct component {
	const char *name;        /* "kube-scheduler", as upstream's /statusz says it */
	struct metrics *metrics; /* what is kept; may be NULL */
	/* All below get user_data, on the loop that serves, and may be NULL. */
	void (*collect)(
		void *user_data, struct buf *out); /* metrics that are told when asked for */
	unsigned pages;                            /* enum component_page: those that are there */
	/* Calls each() for each check of that page. */
	void (*checks)(
		void *user_data, enum component_page page, component_check_fn *each, void *to);
	void (*config)(void *user_data, struct buf *out); /* JSON of /configz */
	struct str flags; /* "name: value" lines of /flagz; NULL: the page is not there */
	void *user_data;
	struct metrics *slis; /* component_init's */
};

/* Call once before component_serve; component_release at the end. */
void component_init(struct component *c);
void component_release(struct component *c);
/* Answers a request for one of the pages; false: it is for none of them. */
bool component_serve(struct component *c, struct http_exchange *x);
/* Whether component_serve would answer it. */
bool component_is_page(const struct component *c, struct str path);
/* The paths that /statusz lists, apart by blanks. */
void component_paths(const struct component *c, struct buf *out);
/* 404 as upstream's mux gives it. */
void component_not_found(struct http_exchange *x);
/* What /debug/pprof says instead of profiles. */
#define COMPONENT_NO_PPROF                                                                         \
	"404 page not found: /debug/pprof belongs to Go programs; perf(1) looks into this one\n"

#endif
