/*
 * outside.h: questions that a request has to servers outside the process: webhooks that know tokens or decide who may do
 * what, and identity providers' documents.
 *
 * Who decides is a function of the request and of the answers that are there. One that needs another answer calls
 * outside_get(), which notes the question and returns NULL; all up to the owner of the request then return as if the
 * answer were no. The owner sees outside_waits(), has the question asked, and decides again from the start when the
 * answer is there, which the next outside_get() then returns:
 *
 *     if (decide(r, &err) < 0 && outside_waits(&r->outside)) {
 *             err_release(&err);
 *             outside_ask(&r->outside, again, r);      // again(r) on a later turn of the same loop
 *             return;
 *     }
 *
 * An answer stays with its request; caches that requests share are the asker's business (answer_cache.h). A struct outside
 * belongs to one loop; a server serves all of them.
 */
#ifndef SAMPAN_AUTH_OUTSIDE_H
#define SAMPAN_AUTH_OUTSIDE_H

#include "base/base.h"

struct loop;
struct outside_server;

/* --- where to ask --- */

struct outside_server_opts {
	struct str url; /* https://host:port/path; the path is what outside_get adds to */
	struct str ca_pem, cert_pem, key_pem, bearer_token; /* may be empty; without a CA the system's are trusted */
	struct str server_name;                             /* in the certificate; empty: the host */
	bool insecure;
	int timeout_ms; /* of one try; upstream's URLs tell it (?timeout=30s) when `tell_timeout` */
	bool tell_timeout;
};

/* All is copied. */
int outside_server_new(const struct outside_server_opts *opts, struct outside_server **ret, struct err *err);
/* From a kubeconfig file, as upstream configures webhooks. Errors are upstream's ("stat x: no such file or directory"). */
int outside_server_from_kubeconfig(
	const char *path, int timeout_ms, struct outside_server **ret, struct err *err);
/* The API of the cluster that this process is a pod of. */
int outside_server_in_cluster(int timeout_ms, struct outside_server **ret, struct err *err);
void outside_server_free(struct outside_server *s); /* NULL-safe; after the loops have stopped */

/* --- asking --- */

struct outside_answer {
	struct str body;
	struct str error; /* as client-go words it; empty: body is the answer of status 2xx */
};

struct outside_question; /* private */
struct outside {
	struct arena *arena; /* of the request */
	struct loop *loop;   /* its own */
	struct outside_question *asked, *wanted;
	void (*done)(void *user_data);
	void *user_data;
};

/* POSTs the JSON body to the server; an empty body: GETs `path` below it (or at its own path when empty). NULL: the
 * answer is not there yet. With `o` NULL nobody can wait: the answer is an error. Body and path must live as long as the
 * arena. */
const struct outside_answer *outside_get(
	struct outside *o, struct outside_server *s, struct str path, struct str body);
/* Whether somebody found that an answer is missing since the last outside_ask or outside_forget. */
bool outside_waits(const struct outside *o);
/* The decision went another way. */
void outside_forget(struct outside *o);
/* Asks what is wanted; done(user_data) comes once, on a later turn, whatever becomes of it. */
void outside_ask(struct outside *o, void (*done)(void *user_data), void *user_data);

/* --- words --- */

/* What http/client.h says of a failed connection, as Go words the usual ones. */
struct str go_network_error(struct arena *a, const char *text);
/* What client-go makes of a status that is not 2xx when the body is no Status. */
struct str go_status_error(struct arena *a, int status, struct str body);

#endif
