/* join_discovery.c: which cluster is it, and how do we know? */
#include <openssl/ssl.h>

#include "http/client.h"
#include "http/server.h"
#include "json/value.h"
#include "node/join.h"
#include "pki/bootstrap_token.h"
#include "pki/cluster_info.h"
#include "types.gen.h"

#define PATH "/api/v1/namespaces/kube-public/configmaps/" CLUSTER_INFO

enum { TIMEOUT_MS = 10 * 1000, ANSWER_MAX = 1 << 20 };

struct join_discovery {
	struct http_client *http;
	const struct join_opts *opts;
	void (*done)(void *user_data, const struct join_discovered *d, struct err *err);
	void *user_data;
};

bool join_token_split(struct str token, struct str *ret_token, struct str *ret_ca_hash)
{
	struct bootstrap_token t;

	str_cut(token, '@', ret_token, ret_ca_hash);
	return bootstrap_token_parse(*ret_token, &t);
}

/* --- believing it --- */

static int pin(struct str ca_hash, struct arena *a, struct join_discovered *d, struct err *err)
{
	struct str pem;
	int r = x509_find_pinned(d->ca_pem, ca_hash, a, &pem, err);

	if (r == -ENOENT)
		return err_bad_request(err,
			"the cluster's CA has not the hash " STR_FMT
			": it is another cluster, or somebody poses as it; `sampan token create "
			"--print-join-command` on the control plane shows the right one",
			STR_ARG(ca_hash));
	if (r == 0)
		d->ca_pem = pem;
	return r;
}

int join_verify(struct str json, struct str token, struct str ca_hash, struct arena *a,
	struct join_discovered *ret, struct err *err)
{
	struct v1_config_map *cm;
	struct cluster_info info;
	struct bootstrap_token t;
	struct join_discovered d;
	const struct str *content;
	struct str signature;
	int r;

	if (!bootstrap_token_parse(token, &t))
		return err_bad_request(err,
			"the token has not the form abcdef.0123456789abcdef that `sampan token "
			"create` prints");
	r = schema_decode_json(&v1_config_map_schema, json, a, NULL, (void **)&cm, err);
	if (r < 0)
		return r;
	content = str_map_get(&cm->data, S("kubeconfig"));
	signature = cluster_info_signature(&cm->data, t.id);
	if (!content)
		return err_bad_request(err, "the cluster's cluster-info has no kubeconfig");
	if (!signature.n)
		return err_fmt(err, 404, "NotFound",
			"the cluster does not know the token " STR_FMT
			" (expired, deleted, or of another cluster): make one with `sampan token "
			"create` on the control plane",
			STR_ARG(t.id));
	if (!bootstrap_jws_valid(signature, *content, t))
		return err_bad_request(err,
			"the secret of the token " STR_FMT
			" is wrong: take the whole token as `sampan token list` shows it on the "
			"control plane",
			STR_ARG(t.id));
	r = cluster_info_read(*content, a, &info, err);
	if (r < 0)
		return r;
	d = (struct join_discovered){info.ca_pem, info.pods, info.services};
	if (ca_hash.n)
		r = pin(ca_hash, a, &d, err);
	if (r == 0)
		*ret = d;
	return r;
}

/* --- asking --- */

static int not_kubernetes(const struct join_opts *o, struct str answer, struct err *err)
{
	return err_bad_request(err,
		"%s is not a Kubernetes API server (" STR_FMT "): look at --server", o->server,
		STR_ARG(answer));
}

static int read_answer(
	const struct join_opts *o, const struct http_response *r, struct arena *a, struct err *err)
{
	struct json_value *v = NULL;
	struct str kind;

	if (json_parse(r->body, a, &v, NULL) == 0)
		kind = json_get_str(v, "kind");
	else
		kind = S("");
	if (r->status == 200 && str_eq(kind, S("ConfigMap")))
		return 0;
	if (str_eq(kind, S("Status")))
		return err_bad_request(err,
			"the cluster at %s does not say how to join it (" STR_FMT
			"): is its control plane one of Sampan or kubeadm, and has it started?",
			o->server, STR_ARG(json_get_str(v, "message")));
	return not_kubernetes(o, arena_fmt(a, "it answered with status %d", r->status), err);
}

static int no_answer(const struct join_opts *o, struct err *why, struct err *err)
{
	struct str text = str_c(err_text(why));

	if (str_find(text, S("wrong version number")) >= 0 ||
		str_find(text, S("http request")) >= 0 || str_find(text, S("malformed")) >= 0 ||
		str_find(text, S("status line")) >= 0)
		return not_kubernetes(o, text, err);
	return err_bad_request(err,
		"cannot reach the API server at %s (" STR_FMT
		"): look at --server, whether the control plane runs, and at firewalls between",
		o->server, STR_ARG(text));
}

static void on_response(void *user_data, const struct http_response *r, struct err *why)
{
	struct join_discovery *d = user_data;
	struct err err CLEANUP(err_release) = {0};
	struct str token, ca_hash, given = str_c(d->opts->ca_hash);
	struct join_discovered found;
	struct arena a = {0};
	int ret;

	join_token_split(str_c(d->opts->token), &token, &ca_hash);
	ret = r ? read_answer(d->opts, r, &a, &err) : no_answer(d->opts, why, &err);
	if (ret == 0)
		ret = join_verify(r->body, token, given.n ? given : ca_hash, &a, &found, &err);
	d->done(d->user_data, ret < 0 ? NULL : &found, ret < 0 ? &err : NULL);
	arena_release(&a);
}

int join_discovery_start(struct loop *loop, const struct join_opts *opts,
	void (*done)(void *user_data, const struct join_discovered *d, struct err *err),
	void *user_data, struct join_discovery **ret, struct err *err)
{
	/* Nothing is believed that is not signed, so it does not matter yet who answers. */
	struct http_client_opts http = {.url = str_c(opts->server)};
	struct http_request request = {
		.path = S(PATH),
		.timeout_ms = TIMEOUT_MS,
		.body_max = ANSWER_MAX,
		.on_response = on_response,
	};
	struct join_discovery *d = xcalloc(1, sizeof(*d));
	int r = tls_client_ctx(&(struct tls_client_opts){.insecure = true}, &http.ssl_ctx, err);

	*d = (struct join_discovery){NULL, opts, done, user_data};
	if (r == 0)
		r = http_client_new(loop, &http, &d->http, NULL);
	SSL_CTX_free(http.ssl_ctx);
	if (r < 0) {
		free(d);
		return err_bad_request(err,
			"--server: \"%s\" is not a URL such as https://192.0.2.1:6443",
			opts->server);
	}
	request.user_data = d;
	http_client_do(d->http, &request);
	*ret = d;
	return 0;
}

void join_discovery_free(struct join_discovery *d)
{
	if (!d)
		return;
	http_client_free(d->http);
	free(d);
}
