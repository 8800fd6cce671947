/* `sampan node`: the kubelet on the main loop, the service proxy on one of its own (a transaction
 * of nftables blocks it). */
#include "server/node.h"

#include <malloc.h>

#include "base/file.h"
#include "loop/thread.h"
#include "node/kubelet.h"
#include "proxy/proxy.h"

static int start_proxy(struct kubelet *k, const struct kubelet_opts *opts, struct err *err)
{
	static struct loop_thread thread; /* lives as long as the program */
	struct client_http_opts client = {
		.kubeconfig = opts->kubeconfig, .user_agent = "kube-proxy/v1.36.2"};
	struct proxy_opts proxy = {.node_name = kubelet_node_name(k)};
	struct arena a = {0};
	int r = loop_thread_init(&thread, err);

	if (r == 0 && !opts->kubeconfig) {
		client.server = str_c(opts->server);
		client.token = str_c(opts->token);
		if (opts->ca_file)
			r = file_read(opts->ca_file, 1 << 20, &a, &client.ca_pem, err);
	}
	proxy.loop = thread.loop;
	if (r == 0)
		r = proxy_backend_nft_new(&proxy.backend, err);
	if (r == 0)
		r = client_http_new(thread.loop, &client, &proxy.client, err);
	arena_release(&a);
	if (r < 0)
		return r;
	proxy_start(&proxy);
	return loop_thread_start(&thread, "proxy", err);
}

int node_main(int argc, char **argv)
{
	mallopt(M_ARENA_MAX, 2);
	return kubelet_program(argc, argv, start_proxy);
}
