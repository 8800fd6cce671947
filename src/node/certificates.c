#include "node/certificates.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "client/kubeconfig.h"
#include "node/csr_request.h"
#include "node/join.h"
#include "node/kubelet_private.h"
#include "node/rotation.h"
#include "node/volumes/files.h"

enum { PEM_MAX = 256 * 1024 };

struct slot {
	struct certificates *c;
	const char *what, *signer; /* what NULL: not renewed */
	char *path;
	struct rotation rotation;
	struct csr_request *request;
	struct client *bootstrap; /* who asks when the certificate itself cannot */
	struct loop_timer timer;
	bool told; /* that it has ended */
};

struct certificates {
	struct kubelet *k;
	struct slot client, serving;
};

static int64_t now_s(const struct slot *s)
{
	return loop_wall_ns(s->c->k->loop) / 1000000000;
}

static void wanted_names(const struct slot *s, struct arena *a, struct x509_names *ret)
{
	struct kubelet *k = s->c->k;

	join_node_names(a, k->node_name, ret);
	if (s != &s->c->serving)
		return;
	ARENA_PUSH(a, &ret->dns, k->node_name);
	ret->ips = k->node_ips;
}

static bool all_in(const struct str_vec *these, const struct str_vec *those)
{
	for (size_t i = 0; i < these->n; i++)
		if (!str_vec_has(those, these->v[i]))
			return false;
	return true;
}

/* When we got it: signers backdate what they issue, which must not make it look old. */
static int64_t since_s(const struct slot *s, const struct x509_info *info)
{
	struct stat st;

	if (stat(s->path, &st) < 0 || st.st_mtim.tv_sec >= info->not_after_s)
		return info->not_before_s;
	return MAX(info->not_before_s, (int64_t)st.st_mtim.tv_sec);
}

/* What is on disk, when it is of this node and its key fits. */
static void load(struct slot *s)
{
	struct arena a = {0};
	struct x509_names want;
	struct x509_info info;
	struct str pem;

	wanted_names(s, &a, &want);
	if (file_read(s->path, PEM_MAX, &a, &pem, NULL) == 0 && x509_key_fits(pem, pem) &&
		x509_info_read(pem, &a, &info, NULL) == 0 &&
		str_eq(info.names.common_name, want.common_name) &&
		all_in(&want.dns, &info.names.dns) && all_in(&want.ips, &info.names.ips))
		rotation_have(&s->rotation, since_s(s, &info), info.not_after_s,
			loop_random(s->c->k->loop));
	arena_release(&a);
}

/* --- asking --- */

static void look(struct slot *s);

static void drop_bootstrap(struct slot *s)
{
	if (s->bootstrap)
		client_free(s->bootstrap);
	s->bootstrap = NULL;
}

static void failed(struct slot *s, const char *why)
{
	rotation_failed(&s->rotation, now_s(s));
	log_warn("node " STR_FMT ": no new %s certificate: %s", STR_ARG(s->c->k->node_name),
		s->what, why);
}

static void got(void *user_data, struct str pem, struct err *err)
{
	struct err why CLEANUP(err_release) = {0};
	struct slot *s = user_data;

	s->request = NULL;
	if (err) {
		if (err->code == 401 && !s->bootstrap)
			rotation_refused(&s->rotation);
		failed(s, err_text(err));
	} else if (file_write(s->path, pem, 0600, &why) < 0) {
		failed(s, err_text(&why));
	} else {
		load(s);
		s->told = false;
		if (now_s(s) >= s->rotation.not_after_s) /* else we would ask for ever */
			failed(s, "the new one has ended already: is this machine's clock right?");
		log_info("node " STR_FMT ": new %s certificate in %s", STR_ARG(s->c->k->node_name),
			s->what, s->path);
	}
	loop_timer_start(&s->timer, 0); /* its client is not freed in here */
}

static void ask(struct slot *s, struct client *client)
{
	struct err err CLEANUP(err_release) = {0};
	struct x509_names names;
	struct arena a = {0};

	wanted_names(s, &a, &names);
	if (csr_request_start(
		    &(struct csr_request_opts){
			    .client = client,
			    .signer = s->signer,
			    .names = &names,
			    .done = got,
			    .user_data = s,
		    },
		    &s->request, &err) < 0)
		failed(s, err_text(&err));
	arena_release(&a);
}

/* A client that is not the node's own: by the token or kubeconfig to join with. */
static int bootstrap_client(struct slot *s, struct err *err)
{
	struct kubelet *k = s->c->k;
	const struct kubelet_opts *o = &k->opts;
	struct kubeconfig own CLEANUP(kubeconfig_release) = {0};
	struct client_http_opts c = {
		.kubeconfig = o->bootstrap_kubeconfig,
		.user_agent = "kubelet/" KUBELET_VERSION " (linux) sampan/" SAMPAN_VERSION,
	};
	struct str hash;
	int r;

	if (!o->bootstrap_kubeconfig && !o->bootstrap_token)
		return err_bad_request(err, "there is no bootstrap token");
	if (!o->bootstrap_kubeconfig) {
		r = kubeconfig_read(o->kubeconfig, NULL, &own, err);
		if (r < 0)
			return r;
		c.server = own.server;
		c.ca_pem = own.ca_pem;
		join_token_split(str_c(o->bootstrap_token), &c.token, &hash);
	}
	return client_http_new(k->loop, &c, &s->bootstrap, err);
}

static void ask_anew(struct slot *s)
{
	struct err err CLEANUP(err_release) = {0};

	if (!s->told)
		log_error(
			"node " STR_FMT
			": the client certificate has ended or is not taken any more: %s; when it "
			"stays so, make a token with `sampan token create` on the control plane "
			"and start this node with --server and --token",
			STR_ARG(s->c->k->node_name),
			s->c->k->opts.bootstrap_token || s->c->k->opts.bootstrap_kubeconfig
				? "joining again with the bootstrap token"
				: "and there is no bootstrap token");
	s->told = true;
	if (bootstrap_client(s, &err) < 0)
		rotation_failed(&s->rotation, now_s(s));
	else
		ask(s, s->bootstrap);
}

static void look(struct slot *s)
{
	enum rotation_step step;
	int64_t wait_s;

	if (s->request)
		return;
	drop_bootstrap(s);
	step = rotation_look(&s->rotation, now_s(s), &wait_s);
	if (step == ROTATION_ENDED && s == &s->c->client)
		ask_anew(s);
	else if (step != ROTATION_WAIT)
		ask(s, s->c->k->client);
	if (!s->request)
		loop_timer_start(&s->timer, wait_s * 1000);
}

static void timer_fired(struct loop_timer *t)
{
	look(container_of(t, struct slot, timer));
}

/* --- life --- */

static void slot_init(struct certificates *c, struct slot *s, const char *what, const char *signer,
	const char *file)
{
	*s = (struct slot){.c = c, .what = what, .signer = signer};
	s->path = xasprintf("%s/%s", c->k->opts.cert_dir, file);
	loop_timer_init(&s->timer, c->k->loop, timer_fired);
	load(s);
	loop_timer_start(&s->timer, 0);
}

/* --rotate-certificates is for certificates that are ours to write. */
static bool client_is_ours(const struct kubelet *k)
{
	struct kubeconfig own CLEANUP(kubeconfig_release) = {0};
	char *path CLEANUP(free_ptr) = xasprintf("%s/kubelet-client-current.pem", k->opts.cert_dir);

	return k->opts.kubeconfig && kubeconfig_read(k->opts.kubeconfig, NULL, &own, NULL) == 0 &&
	       str_eqc(own.cert_file, path);
}

struct certificates *certificates_new(struct kubelet *k)
{
	bool client = k->opts.rotate_certificates && client_is_ours(k);
	bool serving = k->opts.rotate_server_certificates && !k->opts.tls_cert_file;
	struct certificates *c;

	if (!client && !serving)
		return NULL;
	c = xcalloc(1, sizeof(*c));
	c->k = k;
	(void)files_make_dir(k->opts.cert_dir, 0700); /* writing tells when it could not */
	if (client)
		slot_init(c, &c->client, "client", SIGNER_KUBELET_CLIENT,
			"kubelet-client-current.pem");
	if (serving)
		slot_init(c, &c->serving, "serving", SIGNER_KUBELET_SERVING,
			"kubelet-server-current.pem");
	return c;
}

static void slot_release(struct slot *s)
{
	if (!s->what)
		return;
	loop_timer_stop(&s->timer);
	csr_request_cancel(s->request);
	drop_bootstrap(s);
	free(s->path);
}

void certificates_free(struct certificates *c)
{
	if (!c)
		return;
	slot_release(&c->client);
	slot_release(&c->serving);
	free(c);
}

void certificates_refused(struct certificates *c)
{
	if (!c || !c->client.what || c->client.request || c->client.rotation.failures)
		return;
	rotation_refused(&c->client.rotation);
	loop_timer_start(&c->client.timer, 0);
}

const char *certificates_serving_path(const struct certificates *c)
{
	return c ? c->serving.path : NULL;
}
