#include "node/kubelet_join.h"

#include "client/kubeconfig.h"
#include "node/join.h"
#include "node/machine.h"
#include "schema/time.h"

void kubelet_join_flags(
	struct join_flags *f, struct kubelet_opts *o, struct flag table[JOIN_FLAGS_MAX])
{
	const struct flag flags[] = {
		{"ca-cert-hash", FLAG_STRING, &f->ca_hash, "sha256:HEX",
			"the cluster's CA has this hash (may stand behind the token, after an @)"},
		{"discovery-token-ca-cert-hash", FLAG_STRING, &f->ca_hash, "sha256:HEX",
			"the same, kubeadm's flag"},
		{"bootstrap-kubeconfig", FLAG_STRING, &o->bootstrap_kubeconfig, "FILE",
			"with it a certificate is asked for, which then is in --kubeconfig"},
		{"cert-dir", FLAG_STRING, &o->cert_dir, "DIR",
			"the node's certificates [ROOT-DIR/pki]"},
		{"rotate-certificates", FLAG_BOOL, &o->rotate_certificates, NULL,
			"renew the client certificate; a node that joined with a token always "
			"does"},
		{"rotate-server-certificates", FLAG_BOOL, &o->rotate_server_certificates, NULL,
			"have the serving certificate signed by the cluster, and renew it; "
			"likewise"},
		{NULL},
	};

	_Static_assert(ARRAY_SIZE(flags) <= JOIN_FLAGS_MAX, "too many flags");
	memcpy(table, flags, sizeof(flags));
}

static const char *or_path(const char *given, struct arena *a, const char *dir, const char *name)
{
	return given && given[0] ? given : arena_fmt(a, "%s/%s", dir, name).p;
}

static void split(struct arena *a, struct str list, struct str_vec *to)
{
	struct str one;

	while (list.n) {
		str_cut(list, ',', &one, &list);
		if (str_trim(one).n)
			ARENA_PUSH(a, to, arena_str(a, str_trim(one)));
	}
}

/* A way into the cluster was named that needs no joining: a kubeconfig, plain HTTP, a bearer token
 * with its CA. */
static bool needs_no_joining(const struct kubelet_opts *o)
{
	struct str token, hash;

	if (o->bootstrap_kubeconfig)
		return false;
	if (o->kubeconfig || (o->server && str_starts(str_c(o->server), S("http://"))))
		return true;
	return o->server && o->token && o->ca_file &&
	       !join_token_split(str_c(o->token), &token, &hash);
}

/* A client certificate that has ended would only be told by 401s, again and again. */
static int check_kubeconfig(struct loop *loop, const char *path, struct err *err)
{
	struct kubeconfig k CLEANUP(kubeconfig_release) = {0};
	struct x509_info info;
	char text[K8S_TIME_TEXT_MAX];
	struct k8s_time end;
	int r = path ? kubeconfig_read(path, NULL, &k, err) : 0;

	if (r < 0 || !k.cert_pem.n || x509_info_read(k.cert_pem, &k.arena, &info, NULL) < 0 ||
		loop_wall_ns(loop) / 1000000000 < info.not_after_s)
		return r;
	end = k8s_time_from_ms(info.not_after_s * 1000);
	k8s_time_format(&end, false, text);
	return err_bad_request(err,
		"the client certificate in %s has ended at %.20s: take a new kubeconfig, or join "
		"with --server and --token, as `sampan token create --print-join-command` shows "
		"them on the control plane",
		path, text);
}

int kubelet_join(struct loop *loop, const struct join_flags *f, struct kubelet_opts *o,
	struct arena *a, struct err *err)
{
	const char *data_dir = o->data_dir && o->data_dir[0] ? o->data_dir : "/var/lib/sampan";
	const char *root_dir = or_path(o->root_dir, a, data_dir, "kubelet");
	struct join_opts j = {
		.server = o->server,
		.token = o->token,
		.ca_hash = f->ca_hash,
		.bootstrap_kubeconfig = o->bootstrap_kubeconfig,
		.kubeconfig = or_path(o->kubeconfig, a, root_dir, "kubelet.kubeconfig"),
		.cert_dir = or_path(o->cert_dir, a, root_dir, "pki"),
		.data_dir = data_dir,
		.node_name = o->node_name && o->node_name[0] ? o->node_name : machine_hostname(a).p,
		.bind_address = o->bind_address && o->bind_address[0] ? o->bind_address : "0.0.0.0",
		.port = o->port ? o->port : 10250,
	};
	struct str ip;
	int r;

	if (needs_no_joining(o))
		return check_kubeconfig(loop, o->kubeconfig, err);
	split(a, str_c(o->node_ip), &j.node_ips);
	if (!j.node_ips.n && machine_address(a, &ip) == 0)
		ARENA_PUSH(a, &j.node_ips, ip);
	r = join_cluster(loop, &j, err);
	if (r < 0)
		return r;
	if (!o->bootstrap_kubeconfig) {
		o->rotate_certificates = o->rotate_server_certificates = true;
		o->bootstrap_token = o->token;
	}
	o->kubeconfig = j.kubeconfig;
	o->cert_dir = j.cert_dir;
	o->server = o->token = NULL;
	return 0;
}
