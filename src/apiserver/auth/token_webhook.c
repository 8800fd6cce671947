/*
 * token_webhook.c: a TokenReview to a server outside says whose a token is (apiserver
 * plugin/pkg/authenticator/token/webhook). Answers are kept for a while, good and bad ones, by a
 * hash of token and audiences: the token itself is not kept.
 */
#include "apiserver/auth/token_webhook.h"

#include <openssl/sha.h>

#include "apiserver/auth/answer_cache.h"
#include "apiserver/auth/outside.h"
#include "json/write.h"

enum { ANSWERS_MAX = 4096, REVIEW_MAX = 64 * 1024, TIMEOUT_MS = 30 * 1000 };

struct token_webhook {
	bool v1beta1;
	int64_t ttl_ms;
	struct outside_server *server;
	struct answer_cache *answers;
};

static struct str review_of(
	const struct token_webhook *w, const struct token_question *q, struct arena *a)
{
	struct str out;
	struct buf b;

	buf_init(&b, REVIEW_MAX);
	buf_fmt(&b,
		"{\"kind\":\"TokenReview\",\"apiVersion\":\"authentication.k8s.io/%s\","
		"\"metadata\":{},\"spec\":{\"token\":",
		w->v1beta1 ? "v1beta1" : "v1");
	json_write_string(&b, q->token);
	for (size_t i = 0; i < q->audiences->n; i++) {
		buf_add_c(&b, i ? "," : ",\"audiences\":[");
		json_write_string(&b, q->audiences->v[i]);
	}
	buf_add_c(&b,
		q->audiences->n ? "]},\"status\":{\"user\":{}}}" : "},\"status\":{\"user\":{}}}");
	out = buf_failed(&b) ? S("") : arena_str(a, buf_str(&b));
	buf_release(&b);
	return out;
}

static int read_review(struct arena *a, struct str json,
	struct authentication_v1_token_review_status *ret, struct err *err)
{
	struct authentication_v1_token_review *t;
	int r = schema_decode_json(
		&authentication_v1_token_review_schema, json, a, NULL, (void **)&t, err);

	if (r < 0)
		return r;
	if (!str_eqc(t->kind, "TokenReview"))
		return err_bad_request(err, "the answer is no TokenReview");
	*ret = t->status;
	return 0;
}

static int decide(const struct token_question *q,
	const struct authentication_v1_token_review_status *s, struct user_info *ret,
	struct str_vec *ret_audiences, struct err *err)
{
	if (!s->authenticated)
		return s->error.n ? err_fmt(err, 401, "Unauthorized", STR_FMT, STR_ARG(s->error))
				  : 0;
	*ret = (struct user_info){
		.name = s->user.username, .uid = s->user.uid, .groups = s->user.groups};
	for (size_t i = 0; i < s->user.extra.n; i++)
		ARENA_PUSH(q->arena, &ret->extra,
			((struct user_extra){
				s->user.extra.v[i].key, s->user.extra.v[i].value.items}));
	*ret_audiences = s->audiences;
	return 1;
}

static int authenticate_webhook(const struct token_question *q, struct user_info *ret,
	struct str_vec *ret_audiences, struct err *err)
{
	const struct token_webhook *w = q->auth->token_webhook;
	struct authentication_v1_token_review_status status;
	unsigned char hash[SHA256_DIGEST_LENGTH];
	const struct outside_answer *answer;
	struct str review, key, kept;

	if (!w || !q->outside)
		return 0;
	review = review_of(w, q, q->outside->arena);
	if (!review.n)
		return 0; /* longer than any token */
	SHA256((const unsigned char *)review.p, review.n, hash);
	key = str_n((const char *)hash, sizeof(hash));
	if (answer_cache_get(w->answers, key, q->now_ns, q->arena, &kept))
		return read_review(q->arena, kept, &status, err) < 0
			       ? 0
			       : decide(q, &status, ret, ret_audiences, err);
	answer = outside_get(q->outside, w->server, S(""), review);
	if (!answer)
		return 0;
	if (answer->error.n) {
		log_warn("Failed to make webhook authenticator request: " STR_FMT,
			STR_ARG(answer->error));
		return err_fmt(err, 401, "Unauthorized", STR_FMT, STR_ARG(answer->error));
	}
	if (read_review(q->arena, answer->body, &status, err) < 0)
		return -EPERM;
	if (w->ttl_ms > 0)
		answer_cache_put(
			w->answers, key, answer->body, q->now_ns + w->ttl_ms * INT64_C(1000000));
	return decide(q, &status, ret, ret_audiences, err);
}

int token_webhook_new(const char *kubeconfig, struct str version, int64_t ttl_ms,
	struct token_webhook **ret, struct err *err)
{
	struct outside_server *server;
	struct token_webhook *w;
	int r;

	if (!version.n)
		version = S("v1beta1");
	if (!str_eqc(version, "v1") && !str_eqc(version, "v1beta1"))
		return err_bad_request(err,
			"unsupported authentication webhook version \"" STR_FMT
			"\", supported versions are \"v1\", \"v1beta1\"",
			STR_ARG(version));
	r = outside_server_from_kubeconfig(kubeconfig, TIMEOUT_MS, &server, err);
	if (r < 0)
		return r;
	w = xcalloc(1, sizeof(*w));
	w->v1beta1 = str_eqc(version, "v1beta1");
	w->ttl_ms = ttl_ms;
	w->server = server;
	w->answers = answer_cache_new(ANSWERS_MAX);
	*ret = w;
	return 0;
}

void token_webhook_free(struct token_webhook *w)
{
	if (!w)
		return;
	outside_server_free(w->server);
	answer_cache_free(w->answers);
	free(w);
}

const struct token_authenticator webhook_tokens = {
	.name = "webhook", .authenticate = authenticate_webhook};
