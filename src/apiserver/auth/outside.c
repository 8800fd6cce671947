/*
 * outside.c: one call at a time for each request, by a client for each loop that keeps its
 * connections. What failed in a way that may pass is tried again, with upstream's pauses (apiserver
 * util/webhook).
 */
#include "apiserver/auth/outside.h"

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/file.h"
#include "client/kubeconfig.h"
#include "http/client.h"
#include "http/server.h"
#include "loop/loop.h"

enum {
	LOOPS_MAX = 16,
	CONNECTIONS_MAX = 8,
	ANSWER_MAX = 3 * 1024 * 1024,
	QUESTIONS_MAX = 64, /* of one request */
	TRIES_MAX = 5,
	POD_FILE_MAX = 256 * 1024,
	PAUSE_MS = 500, /* before the second try, half as long again before each next one */
};

#define POD_ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount"

struct outside_server {
	struct arena arena;
	struct str url, path, token;
	const char *server_name;
	SSL_CTX *ssl;
	int timeout_ms;
	pthread_mutex_t lock; /* of what follows */
	struct {
		struct loop *loop;
		struct http_client *client;
	} clients[LOOPS_MAX];
	size_t n_clients;
};

struct outside_question {
	struct outside *o;
	struct outside_server *server;
	struct str path, body;
	struct outside_answer answer;
	bool answered, stale_retried;
	int tries;
	int64_t pause_ms;
	struct loop_timer timer;
	struct outside_question *next;
};

/* --- servers --- */

static void split_url(struct outside_server *s, const struct outside_server_opts *o)
{
	ssize_t scheme = str_find(o->url, S("://")), slash;
	size_t from = scheme < 0 ? 0 : (size_t)scheme + 3;

	slash = str_chr(str_sub(o->url, from, o->url.n), '/');
	from = slash < 0 ? o->url.n : from + (size_t)slash;
	s->url = arena_str(&s->arena, str_sub(o->url, 0, from));
	s->path = from == o->url.n ? S("/") : str_sub(o->url, from, o->url.n);
	s->path = o->tell_timeout ? arena_fmt(&s->arena, STR_FMT "?timeout=%ds", STR_ARG(s->path),
					    o->timeout_ms / 1000)
				  : arena_str(&s->arena, s->path);
}

int outside_server_new(
	const struct outside_server_opts *o, struct outside_server **ret, struct err *err)
{
	struct outside_server *s = xcalloc(1, sizeof(*s));
	const struct tls_client_opts tls = {.ca_pem = o->ca_pem,
		.cert_pem = o->cert_pem,
		.key_pem = o->key_pem,
		.insecure = o->insecure};
	int r = 0;

	pthread_mutex_init(&s->lock, NULL);
	split_url(s, o);
	s->token = arena_str(&s->arena, o->bearer_token);
	s->server_name = o->server_name.n ? arena_cstr(&s->arena, o->server_name) : NULL;
	s->timeout_ms = o->timeout_ms;
	if (str_starts(s->url, S("https://")))
		r = tls_client_ctx(&tls, (void **)&s->ssl, err);
	if (r < 0) {
		outside_server_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

int outside_server_from_kubeconfig(
	const char *path, int timeout_ms, struct outside_server **ret, struct err *err)
{
	struct kubeconfig k CLEANUP(kubeconfig_release) = {0};
	struct outside_server_opts o = {.timeout_ms = timeout_ms, .tell_timeout = true};
	struct stat st;
	int r;

	if (stat(path, &st) < 0)
		return err_bad_request(err, "stat %s: %s", path,
			errno == ENOENT ? "no such file or directory" : strerror(errno));
	r = kubeconfig_read(path, NULL, &k, err);
	if (r < 0)
		return r;
	o.url = k.server;
	o.ca_pem = k.ca_pem;
	o.cert_pem = k.cert_pem;
	o.key_pem = k.key_pem;
	o.bearer_token = k.token;
	o.server_name = k.tls_server_name;
	o.insecure = k.insecure;
	return outside_server_new(&o, ret, err);
}

int outside_server_in_cluster(int timeout_ms, struct outside_server **ret, struct err *err)
{
	const char *host = getenv("KUBERNETES_SERVICE_HOST"),
		   *port = getenv("KUBERNETES_SERVICE_PORT");
	struct outside_server_opts o = {.timeout_ms = timeout_ms, .tell_timeout = true};
	struct arena a = {0};
	int r;

	if (!host || !port || !*host || !*port)
		return err_bad_request(err,
			"unable to load in-cluster configuration, KUBERNETES_SERVICE_HOST and "
			"KUBERNETES_SERVICE_PORT must be defined");
	o.url = arena_fmt(&a, strchr(host, ':') ? "https://[%s]:%s" : "https://%s:%s", host, port);
	r = file_read(POD_ACCOUNT "/token", POD_FILE_MAX, &a, &o.bearer_token, err);
	if (r >= 0)
		r = file_read(POD_ACCOUNT "/ca.crt", POD_FILE_MAX, &a, &o.ca_pem, err);
	if (r >= 0)
		r = outside_server_new(&o, ret, err);
	arena_release(&a);
	return r;
}

void outside_server_free(struct outside_server *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n_clients; i++)
		http_client_free(s->clients[i].client);
	SSL_CTX_free(s->ssl);
	pthread_mutex_destroy(&s->lock);
	arena_release(&s->arena);
	free(s);
}

static int make_client(
	struct outside_server *s, struct loop *loop, struct http_client **ret, struct err *err)
{
	const struct http_client_opts opts = {.url = s->url,
		.ssl_ctx = s->ssl,
		.server_name = s->server_name,
		.bearer_token = s->token,
		.connections_max = CONNECTIONS_MAX};
	int r;

	if (s->n_clients == LOOPS_MAX)
		return err_internal(err, "too many threads ask");
	r = http_client_new(loop, &opts, ret, err);
	if (r < 0)
		return r;
	s->clients[s->n_clients].loop = loop;
	s->clients[s->n_clients++].client = *ret;
	return 0;
}

static int client_of(
	struct outside_server *s, struct loop *loop, struct http_client **ret, struct err *err)
{
	int r = -ENOENT;

	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; r < 0 && i < s->n_clients; i++) {
		if (s->clients[i].loop != loop)
			continue;
		*ret = s->clients[i].client;
		r = 0;
	}
	if (r < 0)
		r = make_client(s, loop, ret, err);
	pthread_mutex_unlock(&s->lock);
	return r;
}

/* --- words --- */

struct str go_network_error(struct arena *a, const char *text)
{
	struct str s = str_c(text), address;
	ssize_t colon;

	if (str_find(s, S("timeout")) >= 0 || str_find(s, S("timed out")) >= 0)
		return S("context deadline exceeded");
	if (str_starts(s, S("dial ")) && str_ends(s, S("Connection refused"))) {
		address = str_sub(s, 5, s.n);
		colon = str_find(address, S(": "));
		address = str_sub(address, 0, colon < 0 ? address.n : (size_t)colon);
		return arena_fmt(
			a, "dial tcp " STR_FMT ": connect: connection refused", STR_ARG(address));
	}
	if (str_find(s, S("certificate")) >= 0)
		return arena_fmt(
			a, "tls: failed to verify certificate: x509: " STR_FMT, STR_ARG(s));
	return arena_str(a, s);
}

struct str go_status_error(struct arena *a, int status, struct str body)
{
	static const struct {
		int status;
		const char *text;
	} known[] = {
		{400, "the server rejected our request for an unknown reason"},
		{401, "the server has asked for the client to provide credentials"},
		{404, "the server could not find the requested resource"},
		{405, "the server does not allow this method on the requested resource"},
		{409, "the server reported a conflict"},
		{415, "the body of the request was in an unknown format"},
		{429, "the server has received too many requests and has asked us to try again "
		      "later"},
		{503, "the server is currently unable to handle the request"},
		{504, "the server was unable to return a response in the time allotted, but may "
		      "still be processing the request"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (known[i].status == status)
			return str_c(known[i].text);
	body = str_trim(body);
	if (status == 403)
		return body.n ? arena_str(a, body) : S("forbidden");
	if (status >= 500)
		return arena_fmt(a,
			"an error on the server (\"" STR_FMT
			"\") has prevented the request from succeeding",
			STR_ARG(body.n ? body : S("unknown")));
	return arena_fmt(a,
		"the server responded with the status code %d but did not return more "
		"information",
		status);
}

/* --- asking --- */

const struct outside_answer *outside_get(
	struct outside *o, struct outside_server *s, struct str path, struct str body)
{
	static const struct outside_answer nobody = {.error = {"nobody waits for an answer here",
							     31}},
					   too_many = {.error = {"too many questions", 18}};
	struct outside_question *q;
	size_t n = 0;

	if (!o)
		return &nobody;
	for (q = o->asked; q; q = q->next, n++)
		if (q->server == s && str_eq(q->path, path) && str_eq(q->body, body))
			return q->answered ? &q->answer : NULL;
	if (n >= QUESTIONS_MAX)
		return &too_many;
	if (o->wanted)
		return NULL; /* one after the other: what comes next may depend on it */
	q = ARENA_NEW(o->arena, struct outside_question);
	*q = (struct outside_question){.o = o, .server = s, .path = path, .body = body};
	o->wanted = q;
	return NULL;
}

bool outside_waits(const struct outside *o)
{
	return o && o->wanted;
}

void outside_forget(struct outside *o)
{
	o->wanted = NULL;
}

static void ask(struct outside_question *q);

static void on_pause_over(struct loop_timer *t)
{
	ask(container_of(t, struct outside_question, timer));
}

static void finish(struct outside_question *q, struct str body, struct str error)
{
	struct outside *o = q->o;

	q->answer = (struct outside_answer){body, error};
	q->answered = true;
	o->done(o->user_data);
}

static bool try_again(struct outside_question *q)
{
	if (q->tries >= TRIES_MAX)
		return false;
	q->pause_ms = q->pause_ms ? q->pause_ms * 3 / 2 : PAUSE_MS;
	loop_timer_start(&q->timer, q->pause_ms);
	return true;
}

static bool is_reset(const char *text)
{
	return strstr(text, "closed") || strstr(text, "reset") || strstr(text, "EOF");
}

static void on_response(void *user_data, const struct http_response *r, struct err *why)
{
	struct outside_question *q = user_data;
	struct arena *a = q->o->arena;

	if (!r && is_reset(err_text(why))) {
		bool first = !q->stale_retried;

		q->stale_retried = true;
		if (first) { /* a kept connection that the server has given up */
			loop_timer_start(&q->timer, 0);
			return;
		}
		if (try_again(q))
			return;
	}
	if (!r) {
		finish(q, S(""),
			arena_fmt(a, "%s \"" STR_FMT STR_FMT "\": " STR_FMT,
				q->body.n ? "Post" : "Get", STR_ARG(q->server->url),
				STR_ARG(q->path.n ? q->path : q->server->path),
				STR_ARG(go_network_error(a, err_text(why)))));
		return;
	}
	if (r->status >= 200 && r->status <= 299) {
		finish(q, arena_str(a, r->body), S(""));
		return;
	}
	if ((r->status == 429 || r->status == 500 || r->status == 504) && try_again(q))
		return;
	finish(q, S(""), go_status_error(a, r->status, r->body));
}

static void ask(struct outside_question *q)
{
	const struct http_header headers[] = {{S("Accept"), S("application/json, */*")},
		{S("Content-Type"), S("application/json")}};
	struct outside_server *s = q->server;
	struct err err CLEANUP(err_release) = {0};
	struct http_client *client;
	const struct http_request req = {
		.method = q->body.n ? "POST" : "GET",
		.path = q->path.n ? q->path : s->path,
		.body = q->body,
		.headers = headers,
		.n_headers = q->body.n ? 2 : 1,
		.timeout_ms = s->timeout_ms,
		.body_max = ANSWER_MAX,
		.on_response = on_response,
		.user_data = q,
	};

	q->tries++;
	if (client_of(s, q->o->loop, &client, &err) < 0)
		finish(q, S(""), arena_strc(q->o->arena, err_text(&err)));
	else
		http_client_do(client, &req);
}

void outside_ask(struct outside *o, void (*done)(void *user_data), void *user_data)
{
	struct outside_question *q = o->wanted;

	assert(q);
	o->wanted = NULL;
	o->done = done;
	o->user_data = user_data;
	q->next = o->asked;
	o->asked = q;
	loop_timer_init(&q->timer, o->loop, on_pause_over);
	loop_timer_start(&q->timer, 0); /* never from inside the decision */
}
