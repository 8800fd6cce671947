#include "node/csr_request.h"

#include "loop/loop.h"
#include "types.gen.h"

enum {
	TIMEOUT_MS = 15 * 60 * 1000,
	POLL_MS = 20, /* the controllers of the cluster take a few ms; doubled each time */
	POLL_MAX_MS = 5000,
};

struct csr_request {
	struct csr_request_opts opts;
	struct arena arena;
	struct str key_pem, name, uid;
	struct loop_timer timer;
	int64_t deadline_ms, poll_ms;
	bool asking, cancelled;
};

static void request_free(struct csr_request *q)
{
	loop_timer_stop(&q->timer);
	arena_release(&q->arena);
	free(q);
}

void csr_request_cancel(struct csr_request *q)
{
	if (!q)
		return;
	q->cancelled = true;
	if (!q->asking)
		request_free(q);
}

static void finish(struct csr_request *q, struct str cert_pem, struct err *err)
{
	struct str pem = S("");

	if (!err)
		pem = arena_fmt(&q->arena, STR_FMT STR_FMT, STR_ARG(cert_pem), STR_ARG(q->key_pem));
	q->opts.done(q->opts.user_data, pem, err);
	request_free(q);
}

static void again(struct csr_request *q)
{
	struct err err CLEANUP(err_release) = {0};

	if (loop_now_ms(q->timer.loop) >= q->deadline_ms) {
		err_fmt(&err, 504, "Timeout",
			"certificate request " STR_FMT " was not approved and signed in time",
			STR_ARG(q->name));
		finish(q, S(""), &err);
		return;
	}
	loop_timer_start(&q->timer, q->poll_ms);
	q->poll_ms = MIN(q->poll_ms * 2, (int64_t)POLL_MAX_MS);
}

static const struct certificates_v1_certificate_signing_request_condition *refusal(
	const struct certificates_v1_certificate_signing_request *csr)
{
	for (size_t i = 0; i < csr->status.conditions.n; i++)
		if (str_eqc(csr->status.conditions.v[i].type, "Denied") ||
			str_eqc(csr->status.conditions.v[i].type, "Failed"))
			return &csr->status.conditions.v[i];
	return NULL;
}

static void look(
	struct csr_request *q, const struct certificates_v1_certificate_signing_request *csr)
{
	const struct certificates_v1_certificate_signing_request_condition *no = refusal(csr);
	struct err err CLEANUP(err_release) = {0};

	if (csr->status.certificate.n && x509_key_fits(csr->status.certificate, q->key_pem)) {
		finish(q, csr->status.certificate, NULL);
	} else if (no || csr->status.certificate.n) {
		err_fmt(&err, 403, "Forbidden",
			"certificate request " STR_FMT " was " STR_FMT ": " STR_FMT,
			STR_ARG(q->name), STR_ARG(no ? no->type : S("answered for another key")),
			STR_ARG(no ? no->message : S("")));
		finish(q, S(""), &err);
	} else {
		again(q);
	}
}

static void answered(struct client_call *call)
{
	struct csr_request *q = call->user_data;
	struct certificates_v1_certificate_signing_request *csr = NULL;
	int r = call->result;

	q->asking = false;
	if (q->cancelled) {
		request_free(q);
		return;
	}
	if (r == 0)
		r = schema_decode_json(&certificates_v1_certificate_signing_request_schema,
			call->answer, &call->arena, NULL, (void **)&csr, &call->err);
	/* The request is on its way: a server that is restarted does not end it. */
	if (r < 0 && q->name.n && call->status != 401 && call->status != 403 &&
		call->status != 404) {
		again(q);
		return;
	}
	if (r < 0) {
		call->err.code = call->status;
		finish(q, S(""), &call->err);
		return;
	}
	if (!q->name.n)
		q->name = arena_str(&q->arena, csr->metadata.name);
	look(q, csr);
}

static struct client_call *new_call(struct csr_request *q, const char *verb)
{
	struct client_call *call = client_call_new(q->opts.client);

	call->verb = verb;
	call->resource = &certificates_v1_certificate_signing_request_resource;
	call->done = answered;
	call->user_data = q;
	q->asking = true;
	return call;
}

static void poll(struct loop_timer *t)
{
	struct csr_request *q = container_of(t, struct csr_request, timer);
	struct client_call *call = new_call(q, "get");

	call->name = q->name;
	client_do(q->opts.client, call);
}

static void create(struct csr_request *q, struct str request_pem)
{
	struct client_call *call = new_call(q, "create");
	struct certificates_v1_certificate_signing_request *csr =
		ARENA_NEW(&call->arena, struct certificates_v1_certificate_signing_request);
	bool serving = !strcmp(q->opts.signer, SIGNER_KUBELET_SERVING);

	csr->metadata.generate_name = S("csr-");
	csr->spec.request = request_pem;
	csr->spec.signer_name = str_c(q->opts.signer);
	ARENA_PUSH(&call->arena, &csr->spec.usages, S("digital signature"));
	ARENA_PUSH(&call->arena, &csr->spec.usages, serving ? S("server auth") : S("client auth"));
	call->object = csr;
	client_do(q->opts.client, call);
}

int csr_request_start(
	const struct csr_request_opts *opts, struct csr_request **ret, struct err *err)
{
	struct csr_request *q = xcalloc(1, sizeof(*q));
	struct loop *loop = client_loop(opts->client);
	struct str request_pem;
	int r;

	q->opts = *opts;
	q->poll_ms = POLL_MS;
	q->deadline_ms = loop_now_ms(loop) + (opts->timeout_ms ? opts->timeout_ms : TIMEOUT_MS);
	loop_timer_init(&q->timer, loop, poll);
	r = x509_key_new(&q->arena, &q->key_pem, err);
	if (r == 0)
		r = x509_request_new(q->key_pem, opts->names, &q->arena, &request_pem, err);
	if (r < 0) {
		request_free(q);
		return r;
	}
	create(q, request_pem);
	*ret = q;
	return 0;
}
