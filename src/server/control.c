/*
 * Threads of the control plane: the main one (signals, bootstrap), one per I/O loop (connections
 * are pinned to one), the store's commit thread, one for the controllers, one for the scheduler.
 * They share immutable objects and snapshots only.
 */
#include "server/control.h"

#include <arpa/inet.h>
#include <malloc.h>
#include <netdb.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "apiserver/apiserver.h"
#include "base/file.h"
#include "base/notify.h"
#include "client/client.h"
#include "controllers/metrics.h"
#include "http/server.h"
#include "scheduler/config.h"
#include "scheduler/meter.h"
#include "server/addresses.h"
#include "server/components.h"
#include "server/control_flags.h"
#include "server/pki.h"
#include "server/tls_flags.h"
#include "server/worker.h"
#include "loop/thread.h"
#include "store/backend.h"

enum { FILE_MAX = 1 << 20 };

struct io_thread {
	struct loop_thread thread;
	struct http_server *server, *plain; /* plain: --insecure-port, else NULL */
};

struct control {
	const struct control_flags *flags;
	const char *program;
	bool with_controllers;
	struct arena arena;
	struct pki pki;
	struct str advertise; /* address other machines and pods reach us at */
	struct str ca_pem, client_ca_pem, sa_key_pem, signing_cert_pem, signing_key_pem;
	struct auth_opts auth;
	struct str tls_ca_pem; /* whose certificates a client may show */
	struct pki_pair serving, kubelet_client;
	SSL_CTX *ssl, *components_ssl;
	struct store *store;
	struct apiserver *api;
	struct loop *main_loop;
	struct io_thread io[IO_THREADS_MAX];
	int n_io;
	struct worker controllers_worker, scheduler_worker;
	struct controllers_opts controllers_opts;
	struct controllers_face controllers_face; /* .controllers: those that run */
	struct scheduler_config scheduler_config;
	struct scheduler_face scheduler_face; /* .scheduler: the one that runs */
	struct leader_flags controllers_election, scheduler_election;
};

static int read_flag_file(struct control *c, const char *path, struct str *ret, struct err *err)
{
	return path ? file_read(path, FILE_MAX, &c->arena, ret, err) : 0;
}

/* What the serving certificate is for: every name and address a client may know us by. */
static int make_serving_cert(struct control *c, struct err *err)
{
	struct str names[] = {S("localhost"), S("kubernetes"), S("kubernetes.default"),
		S("kubernetes.default.svc"), S("kubernetes.default.svc.cluster.local")};
	struct str_vec dns = {0}, ips = {0};
	char host[256] = "";
	struct str service_ip;

	if (c->flags->tls_cert_file) {
		int r = file_read(
			c->flags->tls_cert_file, FILE_MAX, &c->arena, &c->serving.cert_pem, err);

		return r < 0 ? r
			     : read_flag_file(c, c->flags->tls_key_file, &c->serving.key_pem, err);
	}
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		ARENA_PUSH(&c->arena, &dns, names[i]);
	if (gethostname(host, sizeof(host) - 1) == 0 && host[0])
		ARENA_PUSH(&c->arena, &dns, arena_strc(&c->arena, host));
	addresses_all(&c->arena, &ips);
	if (!str_vec_has(&ips, c->advertise))
		ARENA_PUSH(&c->arena, &ips, c->advertise);
	if (address_in_range(&c->arena, str_c(c->flags->service_cidr), 1, &service_ip) == 0)
		ARENA_PUSH(&c->arena, &ips, service_ip);
	for (size_t i = 0; i < c->flags->tls_sans.n; i++) {
		struct str san = c->flags->tls_sans.v[i];

		ARENA_PUSH(&c->arena, address_is_ip(san) ? &ips : &dns, san);
	}
	return pki_issue_server(&c->pki, &c->arena, "kube-apiserver", &dns, &ips, &c->serving, err);
}

static int load_keys(struct control *c, struct err *err)
{
	const struct str masters[] = {S("system:masters")};
	const struct str_vec groups = {(struct str *)masters, 1};
	int r = pki_open(c->flags->data_dir, &c->pki, err);

	if (r < 0)
		return r;
	c->ca_pem = c->client_ca_pem = c->pki.ca_cert_pem;
	c->sa_key_pem = c->pki.sa_key_pem;
	c->signing_cert_pem = c->pki.ca_cert_pem;
	c->signing_key_pem = c->pki.ca_key_pem;
	r = read_flag_file(c, c->flags->signing_cert_file, &c->signing_cert_pem, err);
	if (r == 0)
		r = read_flag_file(c, c->flags->signing_key_file, &c->signing_key_pem, err);
	if (r < 0)
		return r;
	if (c->flags->client_ca_file) {
		struct str more;

		r = file_read(c->flags->client_ca_file, FILE_MAX, &c->arena, &more, err);
		if (r < 0)
			return r;
		c->client_ca_pem = arena_fmt(
			&c->arena, STR_FMT "\n" STR_FMT, STR_ARG(c->ca_pem), STR_ARG(more));
	}
	r = auth_flags_read(&c->flags->auth, &c->arena, &c->auth, err);
	if (r < 0)
		return r;
	c->auth.token_auth_path = c->flags->token_auth_file;
	c->auth.client_ca_pem = c->tls_ca_pem = c->client_ca_pem;
	if (c->auth.request_header.ca_pem.n)
		c->tls_ca_pem = arena_fmt(&c->arena, STR_FMT "\n" STR_FMT,
			STR_ARG(c->client_ca_pem), STR_ARG(c->auth.request_header.ca_pem));
	r = read_flag_file(c, c->flags->sa_signing_key_file, &c->sa_key_pem, err);
	if (r == 0)
		r = make_serving_cert(c, err);
	if (r == 0 && c->flags->kubelet_client_cert_file) {
		r = read_flag_file(
			c, c->flags->kubelet_client_cert_file, &c->kubelet_client.cert_pem, err);
		return r < 0 ? r
			     : read_flag_file(c, c->flags->kubelet_client_key_file,
				       &c->kubelet_client.key_pem, err);
	}
	if (r == 0)
		r = pki_issue_client(&c->pki, &c->arena, "kube-apiserver-kubelet-client", &groups,
			&c->kubelet_client, err);
	return r;
}

/* <data-dir>/<file> for a user of the cluster. */
static int write_kubeconfig(
	struct control *c, const char *file, const char *user, const char *group, struct err *err)
{
	char *path CLEANUP(free_ptr) = xasprintf("%s/%s", c->flags->data_dir, file);
	bool any =
		!strcmp(c->flags->bind_address, "0.0.0.0") || !strcmp(c->flags->bind_address, "::");
	struct str host = any ? c->advertise : str_c(c->flags->bind_address), one = str_c(group);
	const struct str_vec groups = {&one, group ? 1 : 0};
	bool v6 = str_chr(host, ':') >= 0;
	struct str url = arena_fmt(&c->arena, "https://%s" STR_FMT "%s:%d", v6 ? "[" : "",
		STR_ARG(host), v6 ? "]" : "", http_server_port(c->io[0].server));
	struct pki_pair pair;
	int r = pki_issue_client(&c->pki, &c->arena, user, &groups, &pair, err);

	return r < 0 ? r
		     : kubeconfig_write(path, url, c->ca_pem, &pair, "sampan",
			       file[0] == 'a' ? "admin" : user, err);
}

static int write_kubeconfigs(struct control *c, struct err *err)
{
	static const struct {
		const char *file, *user, *group;
	} all[] = {
		{"admin.kubeconfig", "kubernetes-admin", "system:masters"},
		{"controller-manager.kubeconfig", "system:kube-controller-manager", NULL},
		{"scheduler.kubeconfig", "system:kube-scheduler", NULL},
		{"kube-proxy.kubeconfig", "system:kube-proxy", "system:node-proxier"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		int r = write_kubeconfig(c, all[i].file, all[i].user, all[i].group, err);

		if (r < 0)
			return r;
	}
	return 0;
}

static int open_store(struct control *c, struct err *err)
{
	char *path CLEANUP(free_ptr) = xasprintf("%s/state.db", c->flags->data_dir);
	struct store_opts opts = {0};
	struct etcd_opts etcd;
	int r;

	if (c->flags->etcd.servers.n) {
		r = etcd_flags_opts(&c->flags->etcd, &c->arena, &etcd, err);
		opts.etcd = &etcd;
		return r < 0 ? r : store_open(&opts, &c->store, err);
	}
	r = backend_sqlite_open(path, &opts.backend, err);
	return r < 0 ? r : store_open(&opts, &c->store, err);
}

static int parse_port_range(const char *text, int *min, int *max, struct err *err)
{
	if (sscanf(text, "%d-%d", min, max) != 2 || *min < 1 || *max > 65535 || *min > *max)
		return err_bad_request(err,
			"--service-node-port-range=%s is not a range of ports such as 30000-32767",
			text);
	return 0;
}

/* The list of a flag, and one more name, as a NULL-terminated array of C strings, or NULL. */
static const char *const *names_of(
	struct control *c, const struct flag_list *list, const char *also)
{
	const char **v = ARENA_ARRAY(&c->arena, const char *, list->n + 2);
	size_t n = 0;

	for (size_t i = 0; i < list->n; i++)
		v[n++] = arena_cstr(&c->arena, list->v[i]);
	if (also)
		v[n++] = also;
	return n ? v : NULL;
}

static const char *directory_of(struct control *c, const char *path)
{
	ssize_t slash = str_rchr(str_c(path), '/');

	return slash < 0 ? "." : arena_cstr(&c->arena, str_sub(str_c(path), 0, slash ? slash : 1));
}

/* As kubeadm: a whole cluster keeps kubelets to their own objects, unless told otherwise. */
static bool restricts_nodes(const struct control *c)
{
	for (size_t i = 0; i < c->flags->admission_off.n; i++)
		if (str_eqc(c->flags->admission_off.v[i], "NodeRestriction"))
			return false;
	for (size_t i = 0; i < c->flags->admission_on.n; i++)
		if (str_eqc(c->flags->admission_on.v[i], "NodeRestriction"))
			return false;
	return c->with_controllers && !c->flags->admission_only.n;
}

static int make_apiserver(struct control *c, struct err *err)
{
	const char *restricted = restricts_nodes(c) ? "NodeRestriction" : NULL;
	struct apiserver_opts opts = {
		.store = c->store,
		.clock = c->main_loop,
		.service_cluster_ip_range = c->flags->service_cidr,
		.cluster_cidr = !c->with_controllers ? NULL
				: c->flags->controllers.cluster_cidr
					? c->flags->controllers.cluster_cidr
					: "10.244.0.0/16",
		.advertise_address = arena_cstr(&c->arena, c->advertise),
		.advertise_port = c->flags->secure_port,
		.service_account_issuer = c->auth.service_account_issuer,
		.auth = c->auth,
		.service_account_key_pem = c->sa_key_pem,
		.ca_pem = c->ca_pem,
		.client_ca_pem = c->client_ca_pem,
		.enable_bootstrap_token_auth = c->flags->bootstrap_tokens,
		.bootstrapped_later = true,
		.node_agents = c->with_controllers,
		.components_inside = c->with_controllers,
		.allow_privileged = c->flags->allow_privileged,
		.kubelet_client_cert_pem = c->kubelet_client.cert_pem,
		.kubelet_client_key_pem = c->kubelet_client.key_pem,
		.admission = {.enable = names_of(c, &c->flags->admission_on, restricted),
			.disable = names_of(c, &c->flags->admission_off, NULL),
			.only = names_of(c, &c->flags->admission_only, NULL)},
		.kubelet_port = c->flags->kubelet_port,
		.flags_text = c->flags->text,
		.storage_file = c->flags->etcd.servers.n
					? NULL
					: arena_fmt(&c->arena, "%s/state.db", c->flags->data_dir).p,
	};
	int r = parse_port_range(
		c->flags->node_port_range, &opts.node_port_min, &opts.node_port_max, err);

	if (r == 0)
		r = read_flag_file(c, c->flags->token_auth_file, &opts.token_auth_csv, err);
	if (r == 0)
		r = read_flag_file(c, c->flags->kubelet_ca_file, &opts.kubelet_ca_pem, err);
	if (r == 0)
		r = read_flag_file(c, c->flags->admission_config_file, &opts.admission.config, err);
	if (r == 0 && c->flags->admission_config_file)
		opts.admission.config_dir = directory_of(c, c->flags->admission_config_file);
	if (r == 0 && c->flags->audit_log_path)
		r = read_flag_file(c, c->flags->audit_policy_file, &opts.audit.policy, err);
	opts.audit.log = (struct audit_log_opts){.path = c->flags->audit_log_path,
		.max_age_days = c->flags->audit_log_maxage,
		.max_backups = c->flags->audit_log_maxbackup,
		.max_size_mb = c->flags->audit_log_maxsize};
	return r < 0 ? r : apiserver_new(&opts, &c->api, err);
}

/* SO_REUSEPORT would let a second server share the port without a word: look first. */
static int check_port_free(const char *address, int number, const char *flags, struct err *err)
{
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_PASSIVE,
				.ai_socktype = SOCK_STREAM},
			*ai;
	char port[16];
	int fd, r = 0, on = 1;

	snprintf(port, sizeof(port), "%d", number);
	if (getaddrinfo(address, port, &hints, &ai))
		return err_bad_request(err, "%s is not an IP address (%s)", address, flags);
	fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
		bind(fd, ai->ai_addr, ai->ai_addrlen) < 0)
		r = err_errno(err, errno, "cannot listen on %s port %s (%s)", address, port, flags);
	if (fd >= 0)
		close(fd);
	freeaddrinfo(ai);
	return r;
}

/* What --insecure-port lets in, as upstream did until 1.20. */
static struct str unsecured_groups[] = {{"system:masters", 14}, {"system:authenticated", 20}};
static const struct user_info unsecured = {
	.name = {"system:unsecured", 16}, .groups = {unsecured_groups, 2}};

static int start_servers(
	struct control *c, struct io_thread *io, struct http_server_opts *opts, struct err *err)
{
	struct http_server_opts plain = {
		.bind_address = c->flags->insecure_bind_address,
		.port = c->flags->insecure_port,
		.reuse_port = true,
		.handler = opts->handler,
		.user = &unsecured,
	};
	int r = loop_thread_init(&io->thread, err);

	if (r == 0)
		r = http_server_new(io->thread.loop, opts, &io->server, err);
	if (r == 0 && c->flags->insecure_port)
		r = http_server_new(io->thread.loop, &plain, &io->plain, err);
	if (r == 0)
		opts->port = http_server_port(io->server); /* the same for the next ones */
	return r;
}

static int start_io(struct control *c, struct err *err)
{
	struct tls_server_opts tls = {.cert_pem = c->serving.cert_pem,
		.key_pem = c->serving.key_pem,
		.client_ca_pem = c->tls_ca_pem};
	struct http_server_opts opts = {
		.bind_address = c->flags->bind_address,
		.port = c->flags->secure_port,
		.reuse_port = true,
		.handler = apiserver_handler(c->api),
	};
	int r = check_port_free(opts.bind_address, opts.port, "--bind-address, --secure-port", err);

	if (r == 0 && c->flags->insecure_port)
		r = check_port_free(c->flags->insecure_bind_address, c->flags->insecure_port,
			"--insecure-bind-address, --insecure-port", err);
	if (r == 0)
		r = tls_flags_read(c->flags, &c->arena, &tls, err);
	if (r == 0)
		r = tls_server_ctx(&tls, (void **)&c->ssl, err);
	opts.ssl_ctx = c->ssl;
	for (int i = 0; r == 0 && i < c->flags->io_threads; i++) {
		r = start_servers(c, &c->io[i], &opts, err);
		if (r == 0)
			c->n_io++;
	}
	for (int i = 0; r == 0 && i < c->n_io; i++)
		r = loop_thread_start(&c->io[i].thread, "io", err);
	return r;
}

/* Controllers and scheduler inside this process have their usual names, and the rights of
 * system:masters: whoever could take the default roles from them could stop the process as well. */
static struct client *local_client(struct control *c, struct loop *loop, const char *user)
{
	struct str groups[4] = {S("system:masters"), S("system:authenticated")};
	struct user_info info = {.name = str_c(user), .groups = {groups, 2}};

	if (str_starts(info.name, S("system:serviceaccount:kube-system:"))) {
		groups[info.groups.n++] = S("system:serviceaccounts");
		groups[info.groups.n++] = S("system:serviceaccounts:kube-system");
	}
	return client_local_new(loop, c->store, apiserver_handler(c->api), &info);
}

static struct client *controllers_client(void *user_data, const char *user)
{
	struct control *c = user_data;

	return local_client(c, c->controllers_worker.thread.loop, user);
}

static struct controllers_opts controllers_settings(struct control *c)
{
	struct controllers_opts opts = c->flags->controllers;

	opts.client_for = controllers_client;
	opts.user_data = c;
	opts.root_ca_pem = c->ca_pem;
	opts.service_cidr = c->flags->service_cidr;
	for (int i = 0; i < SIGNERS; i++) {
		opts.signing[i].cert_pem = c->signing_cert_pem;
		opts.signing[i].key_pem = c->signing_key_pem;
	}
	return opts;
}

static int start_controllers(struct worker *w, struct err *err)
{
	struct control *c = w->user_data;
	c->controllers_opts.loop = w->thread.loop;
	return controllers_start(&c->controllers_opts, &c->controllers_face.controllers, err);
}

static void stop_controllers(struct worker *w)
{
	struct control *c = w->user_data;

	controllers_stop(c->controllers_face.controllers);
	c->controllers_face.controllers = NULL;
}

static int start_scheduler(struct worker *w, struct err *err)
{
	struct control *c = w->user_data;
	struct scheduler_opts opts = scheduler_config_opts(&c->scheduler_config);

	opts.loop = w->thread.loop;
	opts.client = local_client(c, w->thread.loop, "system:kube-scheduler");
	opts.metrics = c->scheduler_face.component.metrics;
	return scheduler_start(&opts, &c->scheduler_face.scheduler, err);
}

static void stop_scheduler(struct worker *w)
{
	struct control *c = w->user_data;

	scheduler_stop(c->scheduler_face.scheduler);
	c->scheduler_face.scheduler = NULL;
}

/* `user` is the name of the program that does the same alone, and that of its Lease. */
static int start_worker(struct control *c, struct worker *w, const char *thread,
	struct component *component, const struct leader_flags *election, struct err *err)
{
	char *user CLEANUP(free_ptr) = xasprintf("system:%s", component->name);
	bool schedules = w == &c->scheduler_worker;
	struct component_port port = {
		.bind_address = c->flags->components_bind_address,
		.port = schedules ? c->flags->scheduler_port : c->flags->controllers_port,
		.usual_port = schedules ? 10259 : 10257,
		.flag = schedules ? "scheduler-secure-port" : "controllers-secure-port",
		.ssl_ctx = c->components_ssl,
	};
	struct client *lease = NULL;
	int r = worker_init(w, err);

	if (r < 0)
		return r;
	w->user_data = c;
	port.loop = w->thread.loop;
	port.reviews = local_client(c, port.loop, user);
	component->flags = c->flags->text;
	r = component_listen(&port, component, &w->serving, err);
	if (r == 0 && election->elect)
		lease = local_client(c, port.loop, user);
	return r < 0 ? r : worker_start(w, thread, lease, election, err);
}

static void show_controllers(struct control *c)
{
	struct controllers_face *f = &c->controllers_face;

	controllers_face_init(f);
	c->controllers_opts = controllers_settings(c);
	c->controllers_opts.metrics = f->component.metrics;
	f->opts = &c->controllers_opts;
	f->election = &c->controllers_election;
	f->bind_address = c->flags->components_bind_address;
	f->port = c->flags->controllers_port < 0 ? 10257 : c->flags->controllers_port;
	c->controllers_worker.elected = &f->leader;
}

static void show_scheduler(struct control *c)
{
	struct scheduler_face *f = &c->scheduler_face;

	scheduler_face_init(f);
	f->election = &c->scheduler_election;
	f->scheduler_name = c->scheduler_config.scheduler_name;
	f->percentage_of_nodes_to_score = c->scheduler_config.percentage_of_nodes_to_score;
	c->scheduler_worker.elected = &f->leader;
}

/* The API server's certificate; but not the CA of proxies: what it signs is nobody here. */
static int share_context(struct control *c, struct err *err)
{
	struct tls_server_opts tls = {c->serving.cert_pem, c->serving.key_pem, c->client_ca_pem};

	if (c->auth.request_header.ca_pem.n)
		return tls_server_ctx(&tls, (void **)&c->components_ssl, err);
	c->components_ssl = c->ssl;
	return 0;
}

static int start_workers(struct control *c, struct err *err)
{
	struct leader_flags election = c->flags->leader;
	int r;

	election.elect = election.elect && control_shares_store(c->flags);
	c->controllers_election = c->scheduler_election = election;
	c->controllers_election.name = "kube-controller-manager";
	c->scheduler_election.name = "kube-scheduler";
	show_controllers(c);
	r = controllers_check(&c->controllers_opts, err);
	if (r == 0 && c->flags->scheduler_config)
		r = scheduler_config_read(c->flags->scheduler_config, &c->scheduler_config, err);
	if (r < 0)
		return r;
	show_scheduler(c);
	c->controllers_worker.start = start_controllers;
	c->controllers_worker.stop = stop_controllers;
	c->scheduler_worker.start = start_scheduler;
	c->scheduler_worker.stop = stop_scheduler;
	r = share_context(c, err);
	if (r == 0)
		r = start_worker(c, &c->controllers_worker, "controllers",
			&c->controllers_face.component, &c->controllers_election, err);
	if (r == 0)
		r = start_worker(c, &c->scheduler_worker, "scheduler", &c->scheduler_face.component,
			&c->scheduler_election, err);
	return r;
}

static void bootstrapped(void *user_data)
{
	struct control *c = user_data;

	malloc_trim(0); /* what starting up needed */
	notify_supervisor("READY=1");
	log_info("%s: serving on %s:%d", c->program, c->flags->bind_address,
		http_server_port(c->io[0].server));
}

static void on_signal(uv_signal_t *handle, int signum)
{
	struct control *c = handle->data;

	log_info("%s: %s, stopping", c->program, strsignal(signum));
	loop_stop(c->main_loop);
}

static void stop(struct control *c)
{
	worker_stop(&c->scheduler_worker);
	worker_stop(&c->controllers_worker);
	for (int i = 0; i < c->n_io; i++)
		loop_thread_stop(&c->io[i].thread);
	/* The loops stand still: what is durable is on disk, so the process ends here without
	 * taking everything apart. */
	if (c->store)
		store_close(c->store);
}

static int start(struct control *c, struct err *err)
{
	struct err ignored CLEANUP(err_release) = {0};
	int r;

	if (mkdir(c->flags->data_dir, 0700) < 0 && errno != EEXIST)
		return err_errno(err, errno, "cannot make --data-dir %s", c->flags->data_dir);
	c->main_loop = loop_new_uv();
	c->advertise = c->flags->advertise_address ? str_c(c->flags->advertise_address)
						   : address_of_machine(&c->arena);
	r = open_store(c, err); /* first: it holds the lock of the data directory */
	if (r == 0)
		r = load_keys(c, err);
	if (r == 0)
		r = make_apiserver(c, err);
	if (r == 0)
		r = start_io(c, err);
	if (r == 0)
		r = write_kubeconfigs(c, err);
	if (r == 0 && c->with_controllers)
		r = start_workers(c, err);
	return r;
}

static int run(struct control *c)
{
	struct err err CLEANUP(err_release) = {0};
	uv_signal_t term, interrupt;
	int r = start(c, &err);

	if (r < 0) {
		fprintf(stderr, "%s: %s\n", c->program, err_text(&err));
		stop(c);
		return 1;
	}
	uv_signal_init(loop_uv(c->main_loop), &term);
	uv_signal_init(loop_uv(c->main_loop), &interrupt);
	term.data = interrupt.data = c;
	uv_signal_start(&term, on_signal, SIGTERM);
	uv_signal_start(&interrupt, on_signal, SIGINT);
	apiserver_bootstrap(c->api, c->main_loop, bootstrapped, c);
	loop_run(c->main_loop);
	stop(c);
	return 0;
}

static int program(const char *name, bool with_controllers, int argc, char **argv)
{
	struct control_flags f;
	struct control c = {.flags = &f, .program = name, .with_controllers = with_controllers};
	int r = control_flags_parse(&f, name, with_controllers, argc, argv);

	if (r)
		return r == FLAGS_HELP ? 0 : 2;
	signal(SIGPIPE, SIG_IGN);
	mallopt(M_ARENA_MAX, 2); /* threads share immutable objects; an arena each only spreads them
				    over more pages */
	return run(&c);
}

int control_main(int argc, char **argv)
{
	return program("control", true, argc, argv);
}

int kube_apiserver_main(int argc, char **argv)
{
	return program("kube-apiserver", false, argc, argv);
}
