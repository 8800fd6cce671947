#include "serving/delegated.h"

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "http/server.h"
#include "json/write.h"
#include "types.gen.h"

enum {
	ASKING_MAX = 256, /* requests that wait for the API server */
	TOKENS_MAX = 16,  /* those who scrape are few */
	VERDICTS_MAX = 32,
	TOKEN_LENGTH_MAX = 64 * 1024,
	RETRY_MS = 5000,           /* the client CA could not be read */
	LOOK_AGAIN_MS = 60 * 1000, /* a certificate does not verify: has the CA changed? */
	DIGEST = 32,
};

struct identity {
	struct str name, uid;
	struct str_vec groups;
};

/* What the API server said of a token; uid "" and no groups: nobody's. */
struct token_entry {
	unsigned char digest[DIGEST];
	int64_t until_ms;
	bool good;
	struct identity who;
	struct arena arena;
};

struct verdict_entry {
	unsigned char digest[DIGEST]; /* of user, groups, verb and path */
	int64_t until_ms;
	bool allowed;
};

struct asking {
	struct asking *prev, *next;
	struct delegated *d;
	struct http_exchange *x; /* NULL: the client left */
	void (*go_on)(void *user_data, struct http_exchange *x);
	void *user_data;
	unsigned char digest[DIGEST]; /* of the token, then of the question */
	struct identity who;
	struct arena arena;
};

struct delegated {
	struct delegated_opts o;
	struct arena arena;
	struct asking *asking;
	size_t n_asking;
	struct token_entry tokens[TOKENS_MAX];
	struct verdict_entry verdicts[VERDICTS_MAX];
	size_t next_token, next_verdict; /* to be given up */
	struct loop_timer ca_timer;
	bool asking_ca;
	int64_t asked_ca_ms;
};

/* --- answers --- */

static void refuse(struct http_exchange *x, int code, const char *reason, const char *message,
	const char *details)
{
	struct buf b;

	buf_init(&b, 256 * 1024);
	buf_add_c(&b, "{\n  \"kind\": \"Status\",\n  \"apiVersion\": \"v1\",\n  \"metadata\": {},\n"
		      "  \"status\": \"Failure\",\n  \"message\": ");
	json_write_string(&b, str_c(message));
	buf_fmt(&b, ",\n  \"reason\": \"%s\",\n%s  \"code\": %d\n}", reason, details, code);
	http_header(x, "Cache-Control", S("no-cache, private"));
	http_respond(x, code, "application/json", buf_str(&b));
	buf_release(&b);
}

static struct str lower(struct arena *a, struct str s)
{
	struct str copy = arena_str(a, s);

	for (size_t i = 0; i < copy.n; i++)
		if (copy.p[i] >= 'A' && copy.p[i] <= 'Z')
			((char *)copy.p)[i] |= 0x20;
	return copy;
}

static struct str verb_of(struct http_exchange *x)
{
	return lower(&x->arena, x->method);
}

static void forbid(struct http_exchange *x, struct str user)
{
	struct str text = arena_fmt(&x->arena,
		"forbidden: User \"" STR_FMT "\" cannot " STR_FMT " path \"" STR_FMT "\"",
		STR_ARG(user), STR_ARG(verb_of(x)), STR_ARG(x->path));

	http_header(x, "X-Content-Type-Options", S("nosniff"));
	refuse(x, 403, "Forbidden", text.p, "  \"details\": {},\n");
}

/* --- who is waiting --- */

static void left(struct http_exchange *x)
{
	((struct asking *)x->user_data)->x = NULL; /* freed when the answer is there */
}

static void asking_free(struct asking *q)
{
	if (q->x) {
		q->x->on_close = NULL;
		q->x->user_data = NULL;
	}
	if (q->next)
		q->next->prev = q->prev;
	if (q->prev)
		q->prev->next = q->next;
	else
		q->d->asking = q->next;
	q->d->n_asking--;
	arena_release(&q->arena);
	free(q);
}

static struct asking *asking_new(struct delegated *d, struct http_exchange *x,
	void (*go_on)(void *user_data, struct http_exchange *x), void *user_data)
{
	struct asking *q = xcalloc(1, sizeof(*q));

	q->d = d;
	q->x = x;
	q->go_on = go_on;
	q->user_data = user_data;
	q->next = d->asking;
	if (q->next)
		q->next->prev = q;
	d->asking = q;
	d->n_asking++;
	x->user_data = q;
	x->on_close = left;
	return q;
}

static void finish(struct asking *q, bool allowed)
{
	void (*go_on)(void *user_data, struct http_exchange *x) = q->go_on;
	void *user_data = q->user_data;
	struct http_exchange *x = q->x;
	struct str user = x ? arena_str(&x->arena, q->who.name) : q->who.name;

	asking_free(q);
	if (x && allowed)
		go_on(user_data, x);
	else if (x)
		forbid(x, user);
}

static void unauthorized(struct asking *q)
{
	struct http_exchange *x = q->x;

	asking_free(q);
	if (x)
		refuse(x, 401, "Unauthorized", "Unauthorized", "");
}

static void digest_of(struct str text, unsigned char ret[DIGEST])
{
	EVP_Digest(text.n ? text.p : "", text.n, ret, NULL, EVP_sha256(), NULL);
}

/* --- authorization --- */

static bool is_open(const struct delegated *d, struct str path)
{
	for (size_t i = 0; i < d->o.open_paths.n; i++) {
		struct str open = d->o.open_paths.v[i];

		if (str_eq(path, open))
			return true;
		if (str_ends(open, S("*")) && str_starts(path, str_sub(open, 0, open.n - 1)))
			return true;
	}
	return false;
}

static void question_digest(struct asking *q)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	buf_fmt(&b, STR_FMT "%c" STR_FMT "%c" STR_FMT "%c" STR_FMT, STR_ARG(q->who.name), 0,
		STR_ARG(q->who.uid), 0, STR_ARG(q->x->method), 0, STR_ARG(q->x->path));
	for (size_t i = 0; i < q->who.groups.n; i++)
		buf_fmt(&b, "%c" STR_FMT, 0, STR_ARG(q->who.groups.v[i]));
	digest_of(buf_str(&b), q->digest);
	buf_release(&b);
}

static struct verdict_entry *find_verdict(struct delegated *d, const unsigned char *digest)
{
	int64_t now = loop_now_ms(d->o.loop);

	for (size_t i = 0; i < VERDICTS_MAX; i++)
		if (d->verdicts[i].until_ms > now && !memcmp(d->verdicts[i].digest, digest, DIGEST))
			return &d->verdicts[i];
	return NULL;
}

static void keep_verdict(struct delegated *d, const unsigned char *digest, bool allowed)
{
	int64_t ttl_ms = allowed ? d->o.allowed_ttl_ms : d->o.denied_ttl_ms;
	struct verdict_entry *e = &d->verdicts[d->next_verdict++ % VERDICTS_MAX];

	memcpy(e->digest, digest, DIGEST);
	e->allowed = allowed;
	e->until_ms = loop_now_ms(d->o.loop) + ttl_ms;
}

static void access_reviewed(struct client_call *call)
{
	struct asking *q = call->user_data;
	struct authorization_v1_subject_access_review *sar = NULL;
	struct http_exchange *x = q->x;

	if (call->result == 0)
		(void)schema_decode_json(&authorization_v1_subject_access_review_schema,
			call->answer, &call->arena, NULL, (void **)&sar, &call->err);
	if (sar) {
		keep_verdict(q->d, q->digest, sar->status.allowed);
		finish(q, sar->status.allowed);
		return;
	}
	log_warn("SubjectAccessReview: %s", err_text(&call->err));
	asking_free(q);
	if (x)
		http_respond(x, 500, "text/plain; charset=utf-8",
			arena_fmt(&x->arena, "Internal Server Error: \"" STR_FMT "\": %s\n",
				STR_ARG(x->path), err_text(&call->err)));
}

static void review_access(struct asking *q)
{
	struct client *client = q->d->o.authorization;
	struct client_call *call = client_call_new(client);
	struct authorization_v1_subject_access_review *sar =
		ARENA_NEW(&call->arena, struct authorization_v1_subject_access_review);

	sar->spec.user = q->who.name;
	sar->spec.uid = q->who.uid;
	sar->spec.groups = q->who.groups;
	sar->spec.non_resource_attributes =
		ARENA_NEW(&call->arena, struct authorization_v1_non_resource_attributes);
	sar->spec.non_resource_attributes->path = q->x->path;
	sar->spec.non_resource_attributes->verb = verb_of(q->x);
	call->verb = "create";
	call->resource = &authorization_v1_subject_access_review_resource;
	call->object = sar;
	call->done = access_reviewed;
	call->user_data = q;
	client_do(client, call);
}

static void authorize(struct asking *q)
{
	const struct verdict_entry *known;

	if (!q->x) {
		asking_free(q);
		return;
	}
	if (is_open(q->d, q->x->path) || str_vec_has(&q->who.groups, S("system:masters"))) {
		finish(q, true);
		return;
	}
	if (!q->d->o.authorization) {
		finish(q, false);
		return;
	}
	question_digest(q);
	known = find_verdict(q->d, q->digest);
	if (known)
		finish(q, known->allowed);
	else
		review_access(q);
}

/* --- authentication --- */

static void copy_identity(struct arena *a, const struct identity *from, struct identity *to)
{
	*to = (struct identity){arena_str(a, from->name), arena_str(a, from->uid), {0}};
	for (size_t i = 0; i < from->groups.n; i++)
		ARENA_PUSH(a, &to->groups, arena_str(a, from->groups.v[i]));
}

static struct token_entry *find_token(struct delegated *d, const unsigned char *digest)
{
	int64_t now = loop_now_ms(d->o.loop);

	for (size_t i = 0; i < TOKENS_MAX; i++)
		if (d->tokens[i].until_ms > now && !memcmp(d->tokens[i].digest, digest, DIGEST))
			return &d->tokens[i];
	return NULL;
}

/* who NULL: nobody's. */
static void keep_token(struct delegated *d, const unsigned char *digest, const struct identity *who)
{
	struct token_entry *e = &d->tokens[d->next_token++ % TOKENS_MAX];

	arena_release(&e->arena);
	*e = (struct token_entry){
		.good = who != NULL, .until_ms = loop_now_ms(d->o.loop) + d->o.token_ttl_ms};
	memcpy(e->digest, digest, DIGEST);
	if (who)
		copy_identity(&e->arena, who, &e->who);
}

static void token_reviewed(struct client_call *call)
{
	struct asking *q = call->user_data;
	struct authentication_v1_token_review *t = NULL;
	struct identity who;

	if (call->result == 0)
		(void)schema_decode_json(&authentication_v1_token_review_schema, call->answer,
			&call->arena, NULL, (void **)&t, &call->err);
	if (!t) {
		log_warn("TokenReview: %s", err_text(&call->err));
		unauthorized(q);
		return;
	}
	if (!t->status.authenticated) {
		keep_token(q->d, q->digest, NULL);
		unauthorized(q);
		return;
	}
	who = (struct identity){t->status.user.username, t->status.user.uid, t->status.user.groups};
	keep_token(q->d, q->digest, &who);
	copy_identity(&q->arena, &who, &q->who);
	authorize(q);
}

static void review_token(struct asking *q, struct str token)
{
	struct client *client = q->d->o.authentication;
	struct client_call *call = client_call_new(client);
	struct authentication_v1_token_review *t =
		ARENA_NEW(&call->arena, struct authentication_v1_token_review);

	t->spec.token = token;
	call->verb = "create";
	call->resource = &authentication_v1_token_review_resource;
	call->object = t;
	call->done = token_reviewed;
	call->user_data = q;
	client_do(client, call);
}

static void by_token(struct asking *q, struct str token)
{
	const struct token_entry *known;

	if (!token.n || token.n > TOKEN_LENGTH_MAX) {
		unauthorized(q);
		return;
	}
	digest_of(token, q->digest);
	known = find_token(q->d, q->digest);
	if (!known) {
		review_token(q, token);
	} else if (!known->good) {
		unauthorized(q);
	} else {
		copy_identity(&q->arena, &known->who, &q->who);
		authorize(q);
	}
}

static void subject_names(X509 *cert, int nid, struct arena *a, struct str_vec *ret)
{
	X509_NAME *name = X509_get_subject_name(cert);

	for (int at = -1; (at = X509_NAME_get_index_by_NID(name, nid, at)) >= 0;) {
		const ASN1_STRING *s = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));

		ARENA_PUSH(a, ret,
			arena_str(a, str_n((const char *)ASN1_STRING_get0_data(s),
					     (size_t)ASN1_STRING_length(s))));
	}
}

static void by_certificate(struct asking *q, X509 *cert)
{
	struct str_vec names = {0};

	subject_names(cert, NID_commonName, &q->arena, &names);
	subject_names(cert, NID_organizationName, &q->arena, &q->who.groups);
	ARENA_PUSH(&q->arena, &q->who.groups, S("system:authenticated"));
	if (!names.n || !names.v[0].n) {
		unauthorized(q);
		return;
	}
	q->who.name = names.v[0];
	authorize(q);
}

static void ask_ca_again(struct delegated *d);

void delegated_ask(struct delegated *d, struct http_exchange *x,
	void (*go_on)(void *user_data, struct http_exchange *x), void *user_data)
{
	struct str header = http_get_header(x, "Authorization");
	struct asking *q;

	if (d->n_asking >= ASKING_MAX) {
		http_respond(x, 429, "text/plain; charset=utf-8",
			S("Too many requests, please try again later.\n"));
		return;
	}
	q = asking_new(d, x, go_on, user_data);
	if (x->peer.x509) {
		by_certificate(q, x->peer.x509);
	} else if (x->peer.x509_error) {
		ask_ca_again(d);
		unauthorized(q);
	} else if (str_starts(header, S("Bearer ")) && d->o.authentication) {
		by_token(q, str_trim(str_sub(header, 7, header.n)));
	} else {
		q->who.name = S("system:anonymous");
		ARENA_PUSH(&q->arena, &q->who.groups, S("system:unauthenticated"));
		authorize(q);
	}
}

/* --- the client CA --- */

static void got_ca(struct client_call *call)
{
	struct delegated *d = call->user_data;
	struct err err CLEANUP(err_release) = {0};
	const struct str *pem = NULL;
	void *cm;

	d->asking_ca = false;
	if (call->result == 0 && schema_decode_json(&v1_config_map_schema, call->answer,
					 &call->arena, NULL, &cm, &err) == 0)
		pem = str_map_get(&((struct v1_config_map *)cm)->data, S("client-ca-file"));
	if (pem && tls_server_trust(d->o.ssl_ctx, *pem, &err) == 0)
		return;
	if (call->result < 0 && call->status != 404 && call->status != 0)
		log_warn("who may ask by certificate is not known: configmap "
			 "kube-system/extension-apiserver-authentication: %s",
			err_text(&call->err));
	loop_timer_start(&d->ca_timer, RETRY_MS);
}

static void ask_ca(struct loop_timer *t)
{
	struct delegated *d = container_of(t, struct delegated, ca_timer);
	struct client_call *call = client_call_new(d->o.authentication);

	d->asking_ca = true;
	d->asked_ca_ms = loop_now_ms(d->o.loop);
	call->verb = "get";
	call->resource = &v1_config_map_resource;
	call->ns = S("kube-system");
	call->name = S("extension-apiserver-authentication");
	call->done = got_ca;
	call->user_data = d;
	client_do(d->o.authentication, call);
}

static void ask_ca_again(struct delegated *d)
{
	if (d->o.ssl_ctx && d->o.authentication && !d->asking_ca &&
		!loop_timer_armed(&d->ca_timer) &&
		loop_now_ms(d->o.loop) - d->asked_ca_ms >= LOOK_AGAIN_MS)
		loop_timer_start(&d->ca_timer, 0);
}

/* --- life --- */

struct delegated *delegated_new(const struct delegated_opts *opts)
{
	struct delegated *d = xcalloc(1, sizeof(*d));

	d->o = *opts;
	d->o.open_paths = (struct str_vec){0};
	for (size_t i = 0; i < opts->open_paths.n; i++)
		ARENA_PUSH(
			&d->arena, &d->o.open_paths, arena_str(&d->arena, opts->open_paths.v[i]));
	loop_timer_init(&d->ca_timer, d->o.loop, ask_ca);
	if (d->o.ssl_ctx && d->o.authentication)
		loop_timer_start(&d->ca_timer, 0);
	return d;
}

void delegated_free(struct delegated *d)
{
	if (!d)
		return;
	loop_timer_stop(&d->ca_timer);
	if (d->o.authorization && d->o.authorization != d->o.authentication)
		client_free(d->o.authorization);
	if (d->o.authentication)
		client_free(d->o.authentication);
	while (d->asking)
		asking_free(d->asking);
	for (size_t i = 0; i < TOKENS_MAX; i++)
		arena_release(&d->tokens[i].arena);
	arena_release(&d->arena);
	free(d);
}
