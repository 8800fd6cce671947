/* client_ca.c: whose certificates the kubelet's API believes, when neither a flag nor a kubeconfig
 * says: the API server is asked, as the kubelets of 2016 are who know no more of it than an address
 * without TLS. */
#include "node/server.h"

enum { RETRY_MS = 5000 };

static void got(struct client_call *call)
{
	struct kubelet_server *s = call->user_data;
	struct err err CLEANUP(err_release) = {0};
	const struct str *pem = NULL;
	void *cm;

	if (call->result == 0 && schema_decode_json(&v1_config_map_schema, call->answer,
					 &call->arena, NULL, &cm, &err) == 0)
		pem = str_map_get(&((struct v1_config_map *)cm)->data, S("client-ca-file"));
	if (pem && tls_server_trust(s->ssl_ctx, *pem, &err) == 0)
		s->knows_client_ca = true;
	else
		loop_timer_start(&s->ca_timer, RETRY_MS);
}

static void ask(struct loop_timer *t)
{
	struct kubelet_server *s = container_of(t, struct kubelet_server, ca_timer);
	struct client_call *call = client_call_new(s->k->client);

	call->verb = "get";
	call->resource = &v1_config_map_resource;
	call->ns = S("kube-system");
	call->name = S("extension-apiserver-authentication");
	call->done = got;
	call->user_data = s;
	client_do(s->k->client, call);
}

void server_ask_client_ca(struct kubelet_server *s)
{
	loop_timer_init(&s->ca_timer, s->k->loop, ask);
	loop_timer_start(&s->ca_timer, 0);
}
