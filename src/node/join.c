/* join.c: the steps of joining, one after another. */
#include "node/join.h"

#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "client/client.h"
#include "client/kubeconfig.h"
#include "node/csr_request.h"
#include "node/machine.h"
#include "node/volumes/files.h"
#include "base/base64.h"
#include "types.gen.h"

#define NODE_PREFIX "system:node:"

enum { TRIES = 4, TRY_AGAIN_MS = 100 }; /* 1.5 s in all */

struct join {
	struct loop *loop;
	const struct join_opts *opts;
	struct arena arena;
	struct join_discovery *discovery;
	struct client *client;
	struct csr_request *csr;
	struct str server, ca_pem, token; /* the token alone */
	struct loop_timer timer;          /* the next step, on a turn of its own */
	int tries;                        /* of discovery */
	void (*next)(struct join *j);
	struct err *err;
	int result; /* 1: under way */
};

void join_node_names(struct arena *a, struct str node_name, struct x509_names *ret)
{
	*ret = (struct x509_names){
		.common_name = arena_fmt(a, NODE_PREFIX STR_FMT, STR_ARG(node_name))};
	ARENA_PUSH(a, &ret->organizations, S("system:nodes"));
}

static void step(struct join *j, void (*next)(struct join *j))
{
	j->next = next;
	loop_timer_start(&j->timer, 0);
}

static void on_step(struct loop_timer *t)
{
	struct join *j = container_of(t, struct join, timer);

	j->next(j);
}

static void end(struct join *j, int result)
{
	j->result = result;
	loop_stop(j->loop);
}

/* --- the last step: write it down --- */

static int write_kubeconfig(struct join *j, const char *cert_path, struct err *err)
{
	struct buf b;
	int r;

	buf_init(&b, 1 << 20);
	buf_fmt(&b,
		"apiVersion: v1\nkind: Config\nclusters:\n- name: default\n  cluster:\n    "
		"server: " STR_FMT "\n    certificate-authority-data: ",
		STR_ARG(j->server));
	base64_encode(j->ca_pem, &b);
	buf_fmt(&b,
		"\nusers:\n- name: default-auth\n  user:\n    client-certificate: %s\n    "
		"client-key: %s\ncontexts:\n- name: default-context\n  context:\n    cluster: "
		"default\n    user: default-auth\ncurrent-context: default-context\n",
		cert_path, cert_path);
	r = file_write(j->opts->kubeconfig, buf_str(&b), 0600, err);
	buf_release(&b);
	return r;
}

static int write_down(struct join *j, struct str pem, struct err *err)
{
	const struct join_opts *o = j->opts;
	char *cert CLEANUP(free_ptr) = xasprintf("%s/kubelet-client-current.pem", o->cert_dir);
	char *ca CLEANUP(free_ptr) = xasprintf("%s/ca.crt", o->cert_dir);
	int r = files_make_dir(o->cert_dir, 0700);

	if (r < 0)
		return err_errno(err, -r, "making %s", o->cert_dir);
	r = file_write(ca, j->ca_pem, 0644, err);
	if (r == 0)
		r = file_write(cert, pem, 0600, err);
	return r < 0 ? r : write_kubeconfig(j, cert, err); /* last: with it we have joined */
}

/* --- a certificate --- */

static int token_refused(const struct join *j, struct err *err)
{
	if (j->opts->bootstrap_kubeconfig)
		return err_bad_request(err,
			"the API server does not take the credentials in %s (expired?): make new "
			"ones",
			j->opts->bootstrap_kubeconfig);
	return err_bad_request(err,
		"the API server does not take the token " STR_FMT
		" (expired, deleted, or not made for authentication): make one with `sampan token "
		"create` on the control plane",
		STR_ARG(str_sub(j->token, 0, MIN(j->token.n, (size_t)6))));
}

static void got_certificate(void *user_data, struct str pem, struct err *err)
{
	struct join *j = user_data;
	int r;

	j->csr = NULL;
	if (!err)
		r = write_down(j, pem, j->err);
	else if (err->code == 401)
		r = token_refused(j, j->err);
	else if (err->code == 403)
		r = err_bad_request(j->err,
			"the cluster does not give this machine a certificate: %s (are the token's "
			"groups system:bootstrappers:kubeadm:default-node-token?)",
			err_text(err));
	else
		r = err_bad_request(j->err, "no certificate from the cluster: %s", err_text(err));
	end(j, r);
}

static void ask_certificate(struct join *j)
{
	struct x509_names names;
	int r;

	join_node_names(&j->arena, str_c(j->opts->node_name), &names);
	r = csr_request_start(
		&(struct csr_request_opts){
			.client = j->client,
			.signer = SIGNER_KUBELET_CLIENT,
			.names = &names,
			.done = got_certificate,
			.user_data = j,
		},
		&j->csr, j->err);
	if (r < 0)
		end(j, r);
}

/* --- is the name free? --- */

static bool is_ready(const struct v1_node *n)
{
	for (size_t i = 0; i < n->status.conditions.n; i++)
		if (str_eqc(n->status.conditions.v[i].type, "Ready"))
			return str_eqc(n->status.conditions.v[i].status, "True");
	return false;
}

/* The same machine has the same id, and one of the addresses that it had. */
static bool is_this_machine(const struct join *j, const struct v1_node *n)
{
	struct machine_info m;
	struct arena a = {0};
	bool same_id, same_address = false;

	machine_info(&a, &m);
	same_id = str_eq(m.machine_id, n->status.node_info.machine_id);
	arena_release(&a);
	for (size_t i = 0; i < n->status.addresses.n; i++)
		same_address |= str_vec_has(&j->opts->node_ips, n->status.addresses.v[i].address);
	return same_id && same_address;
}

static struct str first_address(const struct v1_node *n)
{
	return n->status.addresses.n ? n->status.addresses.v[0].address : S("no address");
}

static void got_node(struct client_call *call)
{
	struct join *j = call->user_data;
	struct v1_node *node = NULL;

	if (call->status == 0) {
		end(j, err_bad_request(j->err, "cannot talk to the API server at " STR_FMT ": %s",
			       STR_ARG(j->server), err_text(&call->err)));
		return;
	}
	if (call->status == 401) {
		end(j, token_refused(j, j->err));
		return;
	}
	if (call->result == 0)
		(void)schema_decode_json(&v1_node_schema, call->answer, &call->arena, NULL,
			(void **)&node, &call->err);
	if (node && is_ready(node) && !is_this_machine(j, node)) {
		end(j, err_bad_request(j->err,
			       "the cluster has a node %s that is alive (at " STR_FMT
			       "): give this machine another --node-name, or, if that one is gone, "
			       "wait until it is NotReady or `kubectl delete node %s`",
			       j->opts->node_name, STR_ARG(first_address(node)),
			       j->opts->node_name));
		return;
	}
	step(j, ask_certificate); /* also when it may not look: upstream's clusters differ */
}

static void look_at_node(struct join *j)
{
	struct client_call *call = client_call_new(j->client);

	call->verb = "get";
	call->resource = &v1_node_resource;
	call->name = str_c(j->opts->node_name);
	call->done = got_node;
	call->user_data = j;
	client_do(j->client, call);
}

/* --- which cluster? --- */

static void connect_by_token(struct join *j)
{
	const struct client_http_opts opts = {
		.server = j->server,
		.ca_pem = j->ca_pem,
		.token = j->token,
		.user_agent = "kubelet/" SAMPAN_VERSION,
	};
	int r = client_http_new(j->loop, &opts, &j->client, j->err);

	if (r < 0)
		end(j, r);
	else
		look_at_node(j);
}

static void discover(struct join *j);

static void discovered(void *user_data, const struct join_discovered *d, struct err *err)
{
	struct join *j = user_data;
	int r;

	if (err && err->code == 404 && j->tries < TRIES) {
		/* the token may be so new that it has not signed yet */
		j->next = discover;
		loop_timer_start(&j->timer, TRY_AGAIN_MS << j->tries++);
		return;
	}
	if (err) {
		err_move(j->err, err);
		end(j, -EINVAL);
		return;
	}
	r = join_check_addresses(d->pods, d->services, j->err);
	if (r < 0) {
		end(j, r);
		return;
	}
	j->ca_pem = arena_str(&j->arena, d->ca_pem);
	step(j, connect_by_token);
}

static void discover(struct join *j)
{
	int r;

	join_discovery_free(j->discovery);
	j->discovery = NULL;
	r = join_discovery_start(j->loop, j->opts, discovered, j, &j->discovery, j->err);
	if (r < 0)
		end(j, r);
}

static int begin_by_token(struct join *j, struct err *err)
{
	struct str hash;

	j->server = str_c(j->opts->server);
	if (!join_token_split(str_c(j->opts->token), &j->token, &hash))
		return err_bad_request(err,
			"the token has not the form abcdef.0123456789abcdef that `sampan token "
			"create` prints");
	step(j, discover);
	return 0;
}

static int begin_by_kubeconfig(struct join *j, struct err *err)
{
	struct kubeconfig k CLEANUP(kubeconfig_release) = {0};
	const struct client_http_opts opts = {
		.kubeconfig = j->opts->bootstrap_kubeconfig,
		.user_agent = "kubelet/" SAMPAN_VERSION,
	};
	int r = kubeconfig_read(j->opts->bootstrap_kubeconfig, NULL, &k, err);

	if (r == 0)
		r = client_http_new(j->loop, &opts, &j->client, err);
	if (r < 0)
		return r;
	j->server = arena_str(&j->arena, k.server);
	j->ca_pem = arena_str(&j->arena, k.ca_pem);
	j->token = arena_str(&j->arena, k.token);
	step(j, look_at_node);
	return 0;
}

/* --- have we joined? --- */

/* 1: yes; 0: no (yet, or any more); negative: it is of another node. */
static int has_joined(const struct join_opts *o, int64_t now_s, struct err *err)
{
	struct kubeconfig k CLEANUP(kubeconfig_release) = {0};
	struct err ignored CLEANUP(err_release) = {0};
	struct str prefix = S(NODE_PREFIX), name;
	struct x509_info info;

	if (access(o->kubeconfig, F_OK) < 0 ||
		kubeconfig_read(o->kubeconfig, NULL, &k, &ignored) < 0)
		return 0;
	if (k.token.n && !k.cert_pem.n)
		return 1; /* not one of ours: the user knows */
	if (x509_info_read(k.cert_pem, &k.arena, &info, &ignored) < 0)
		return 0;
	name = info.names.common_name;
	if (str_starts(name, prefix))
		name = str_sub(name, prefix.n, name.n);
	if (str_starts(info.names.common_name, prefix) && !str_eqc(name, o->node_name))
		return err_bad_request(err,
			"%s is of node " STR_FMT
			", and this is to be node %s: give --node-name " STR_FMT
			", or another --data-dir",
			o->kubeconfig, STR_ARG(name), o->node_name, STR_ARG(name));
	return now_s < info.not_after_s;
}

static int cannot_join(const struct join_opts *o, struct err *err)
{
	if (access(o->kubeconfig, F_OK) == 0)
		return err_bad_request(err,
			"the certificate of node %s has ended (%s): make a token with `sampan "
			"token "
			"create` on the control plane and start this node with --server and "
			"--token",
			o->node_name, o->kubeconfig);
	return err_bad_request(err,
		"this machine has not joined a cluster (%s is not there): give --server and "
		"--token, as `sampan token create --print-join-command` shows them on the control "
		"plane",
		o->kubeconfig);
}

int join_cluster(struct loop *loop, const struct join_opts *opts, struct err *err)
{
	struct join j = {.loop = loop, .opts = opts, .err = err, .result = 1};
	int r = has_joined(opts, loop_wall_ns(loop) / 1000000000, err);

	if (r != 0)
		return r < 0 ? r : 0;
	if (!opts->bootstrap_kubeconfig && (!opts->server || !opts->token))
		return cannot_join(opts, err);
	r = join_check_machine(opts, err);
	if (r < 0)
		return r;
	loop_timer_init(&j.timer, loop, on_step);
	r = opts->bootstrap_kubeconfig ? begin_by_kubeconfig(&j, err) : begin_by_token(&j, err);
	if (r == 0) {
		loop_run(loop);
		r = j.result == 1 ? -EINTR : j.result;
	}
	loop_timer_stop(&j.timer);
	csr_request_cancel(j.csr);
	join_discovery_free(j.discovery);
	if (j.client)
		client_free(j.client);
	arena_release(&j.arena);
	return r;
}
