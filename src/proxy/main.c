/* kube-proxy as a program of its own. */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
#include <uv.h>

#include "base/flags.h"
#include "base/notify.h"
#include "proxy/proxy.h"

static void on_signal(uv_signal_t *h, int signum)
{
	loop_stop(h->data);
}

static void on_synced(void *user_data)
{
	log_info("kube-proxy: rules are in place");
	notify_supervisor("READY=1");
}

int kube_proxy_main(int argc, char **argv)
{
	char host[254] = "";
	const char *kubeconfig = NULL, *name = NULL, *mode = "nftables";
	const struct flag flags[] = {
		{"kubeconfig", FLAG_STRING, &kubeconfig, "FILE", "how to reach the API server"},
		{"hostname-override", FLAG_STRING, &name, "NAME",
			"this node's name; default: its host name"},
		{"proxy-mode", FLAG_STRING, &mode, "MODE", "nftables"},
		{"cluster-cidr", FLAG_RETIRED, NULL, NULL,
			"which packets to masquerade follows from where they come from"},
		{NULL},
	};
	struct err err CLEANUP(err_release) = {0};
	struct client_http_opts client = {.user_agent = "kube-proxy/v1.36.2"};
	struct proxy_opts opts = {.on_synced = on_synced};
	uv_signal_t term, interrupt;
	int r = flags_parse(flags, "kube-proxy", argc, argv, NULL);

	if (r)
		return r == FLAGS_HELP ? 0 : 2;
	if (!kubeconfig || strcmp(mode, "nftables")) {
		fprintf(stderr, "kube-proxy: %s\n",
			kubeconfig ? "--proxy-mode: nftables is the mode there is"
				   : "--kubeconfig is needed");
		return 2;
	}
	if (!name && gethostname(host, sizeof(host) - 1) == 0)
		name = host;
	signal(SIGPIPE, SIG_IGN);
	opts.loop = loop_new_uv();
	opts.node_name = str_c(name);
	client.kubeconfig = kubeconfig;
	r = proxy_backend_nft_new(&opts.backend, &err);
	if (r == 0)
		r = client_http_new(opts.loop, &client, &opts.client, &err);
	if (r < 0) {
		fprintf(stderr, "kube-proxy: %s\n", err_text(&err));
		return 1;
	}
	proxy_start(&opts);
	uv_signal_init(loop_uv(opts.loop), &term);
	uv_signal_init(loop_uv(opts.loop), &interrupt);
	term.data = interrupt.data = opts.loop;
	uv_signal_start(&term, on_signal, SIGTERM);
	uv_signal_start(&interrupt, on_signal, SIGINT);
	loop_run(opts.loop);
	return 0;
}
