#include "controllers/root_ca_source.h"

#include "client/kubeconfig.h"
#include "pki/cluster_info.h"
#include "types.gen.h"

struct str root_ca_of_kubeconfig(const char *path, struct arena *a)
{
	struct err err CLEANUP(err_release) = {0};
	struct kubeconfig k CLEANUP(kubeconfig_release) = {0};

	if (!path || kubeconfig_read(path, NULL, &k, &err) < 0 || !k.ca_pem.n)
		return S("");
	return arena_str(a, k.ca_pem);
}

struct asked { /* in the call's arena */
	void (*done)(void *user_data, struct str pem);
	void *user_data;
};

static void told(struct client_call *call)
{
	struct asked *q = call->user_data;
	struct err err CLEANUP(err_release) = {0};
	struct cluster_info info = {.ca_pem = S("")};
	const struct str *text = NULL;
	void *cm;

	if (call->result == 0 && schema_decode_json(&v1_config_map_schema, call->answer,
					 &call->arena, NULL, &cm, &err) == 0)
		text = str_map_get(&((struct v1_config_map *)cm)->data, S("kubeconfig"));
	if (text && cluster_info_read(*text, &call->arena, &info, &err) < 0)
		info.ca_pem = S("");
	q->done(q->user_data, info.ca_pem);
}

void root_ca_ask(
	struct client *client, void (*done)(void *user_data, struct str pem), void *user_data)
{
	struct client_call *call = client_call_new(client);
	struct asked *q = ARENA_NEW(&call->arena, struct asked);

	*q = (struct asked){done, user_data};
	call->verb = "get";
	call->resource = &v1_config_map_resource;
	call->ns = S("kube-public");
	call->name = S("cluster-info");
	call->done = told;
	call->user_data = q;
	client_do(client, call);
}
