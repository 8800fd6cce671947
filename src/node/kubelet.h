/*
 * kubelet.h: the node agent. It registers a Node, runs the pods that are bound to it through a
 * container runtime (cri.h), reports what became of them, and serves the kubelet's HTTPS API.
 *
 *     kubelet_main(argc, argv)    a program of its own: `kubelet`, `sampan node`
 *     kubelet_start(loop, …)      on a loop that others share (service proxy, DNS)
 *
 * One thread: the loop's.
 */
#ifndef SAMPAN_KUBELET_H
#define SAMPAN_KUBELET_H

#include "base/base.h"
#include "loop/loop.h"

struct kubelet;

struct kubelet_opts { /* strings are borrowed and must outlive the kubelet; 0 or NULL: the default
			 in brackets */
	const char *kubeconfig; /* how to reach the API server; or server and token: */
	const char *server, *token, *ca_file;
	const char
		*bootstrap_kubeconfig; /* how to get a client certificate for `kubeconfig`; or: */
	const char *bootstrap_token;   /* the token that this machine joined with (join.h) */
	const char *cert_dir;          /* [<root_dir>/pki] */
	bool rotate_certificates, rotate_server_certificates; /* certificates.h */
	const char *node_name;                                /* [host name, lower case] */
	const char *node_ip;  /* [default route's interface, else the first address that is not
				 loopback] */
	const char *data_dir; /* images and containers of the built-in runtime [/var/lib/sampan] */
	const char *root_dir; /* pods' volumes and files [<data_dir>/kubelet] */
	const char *run_dir;  /* what a reboot may lose [/run/sampan] */
	const char *pod_log_dir;      /* [/var/log/pods] */
	const char *runtime_endpoint; /* "unix:///run/containerd/containerd.sock" [built in] */
	const char *cni_conf_dir, *cni_bin_dir;
	const char *oci_runtime, *conmon;
	const char *registry_mirrors; /* "HOST=URL,…" */
	const char *static_pod_path;  /* a directory or file of manifests [none] */
	const char *cgroup_root;      /* where kubepods is made [/] */
	const char *pod_cidr;         /* until the Node has one [none] */
	const char *proxy_mode;       /* of `sampan node`'s service proxy; NULL: nftables */
	const char *network_backend, *ovs_tunnel; /* between machines: network/overlay.h */
	const char
		*cluster_dns; /* comma-separated addresses [of the Service kube-system/kube-dns] */
	const char *cluster_domain; /* [cluster.local] */
	const char *dns_upstreams; /* "IP[:PORT],…": asked for names outside of the cluster [those
				      of resolv_conf] */
	const char *dns_stub_domains; /* "DOMAIN=IP[:PORT],…" */
	const char *resolv_conf;      /* [/etc/resolv.conf] */
	const char *node_labels;      /* k=v,… */
	const char *taints;           /* key=value:Effect,… */
	const char *provider_id;
	const char *bind_address;                 /* of the HTTPS API [0.0.0.0] */
	int port;                                 /* [10250]; -1: none */
	const char *healthz_bind_address;         /* plain HTTP, /healthz only [127.0.0.1] */
	int healthz_port;                         /* [10248]; -1: none */
	const char *tls_cert_file, *tls_key_file; /* what it serves with [its own] */
	const char *client_ca_file; /* who signs those that may ask [the cluster's CA] */
	int max_pods;               /* [110] */
	int image_gc_high_percent, image_gc_low_percent; /* [85, 80] */
	int64_t log_size_max;                            /* bytes [10 MiB] */
	int log_files_max;                               /* [5] */
	struct str flags_text;                           /* "name: value" lines for /flagz */
	bool no_register; /* do not create or change the Node's spec and labels */
};

int kubelet_main(int argc, char **argv);
/* The same with company: `started` (may be NULL) is called on the loop once the kubelet runs, to
 * start what else runs on a node; a negative errno with err ends the program. */
int kubelet_program(int argc, char **argv,
	int (*started)(struct kubelet *k, const struct kubelet_opts *opts, struct err *err));

int kubelet_start(
	struct loop *loop, const struct kubelet_opts *opts, struct kubelet **ret, struct err *err);
/* Stops serving and forgets everything; containers go on running. */
void kubelet_stop(struct kubelet *k);
/* The node's name and first address, valid while the kubelet lives. */
struct str kubelet_node_name(const struct kubelet *k);
struct str kubelet_node_ip(const struct kubelet *k);
/* That of the built-in runtime; NULL with another one, which looks after its pods' network itself.
 */
struct pod_network *kubelet_pod_network(const struct kubelet *k);

#endif
