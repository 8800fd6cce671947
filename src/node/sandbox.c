/* sandbox.c: a pod's sandbox: its configuration, making and stopping it. */
#include "node/dns.h"
#include "node/pod.h"

enum { HOSTNAME_MAX = 63 };

void pod_hostname(const struct pod *p, const struct v1_pod *spec, struct arena *a,
	struct str *ret_host, struct str *ret_domain)
{
	struct str host = str_empty(spec->spec.hostname) ? p->name : spec->spec.hostname;

	if (!str_empty(spec->spec.hostname_override)) {
		*ret_host = spec->spec.hostname_override;
		*ret_domain = S("");
		return;
	}
	if (host.n > HOSTNAME_MAX)
		host.n = HOSTNAME_MAX;
	while (host.n && (host.p[host.n - 1] == '-' || host.p[host.n - 1] == '.'))
		host.n--;
	*ret_host = arena_str(a, host);
	*ret_domain = S("");
	if (!str_empty(spec->spec.subdomain))
		*ret_domain = arena_fmt(a, STR_FMT "." STR_FMT ".svc.%s",
			STR_ARG(spec->spec.subdomain), STR_ARG(p->ns), p->k->opts.cluster_domain);
}

static void set_ports(const struct v1_pod *spec, struct arena *a, struct cri_sandbox_config *cfg)
{
	struct {
		struct cri_port_mapping *v;
		size_t n;
	} ports = {0};

	for (int k = 0; k < 2; k++) {
		const struct v1_container *c;

		for (size_t i = 0;
			(c = pod_container_at(spec, k ? CONTAINER_INIT : CONTAINER_REGULAR, i));
			i++) {
			for (size_t j = 0; j < c->ports.n; j++) {
				const struct v1_container_port *p = &c->ports.v[j];
				struct cri_port_mapping m = {
					.protocol = str_empty(p->protocol)
							    ? "TCP"
							    : arena_cstr(a, p->protocol),
					.container_port = p->container_port,
					.host_port = p->host_port,
					.host_ip = p->host_ip,
				};

				if (p->host_port && (k == 0 || container_is_sidecar(c)))
					ARENA_PUSH(a, &ports, m);
			}
		}
	}
	cfg->ports = ports.v;
	cfg->n_ports = ports.n;
}

static void set_security(const struct v1_pod *spec, struct arena *a, struct cri_sandbox_config *cfg)
{
	const struct v1_pod_security_context *sc = spec->spec.security_context;

	for (int kind = CONTAINER_REGULAR; kind <= CONTAINER_INIT; kind++) {
		const struct v1_container *c;

		for (size_t i = 0; (c = pod_container_at(spec, kind, i)); i++)
			cfg->privileged |= c->security_context && c->security_context->privileged &&
					   *c->security_context->privileged;
	}
	cfg->seccomp.kind = CRI_PROFILE_RUNTIME_DEFAULT;
	if (!sc)
		return;
	cfg->user.run_as_user = sc->run_as_user;
	cfg->user.run_as_group = sc->run_as_group;
	for (size_t i = 0; i < sc->sysctls.n; i++) {
		struct str_pair p = {sc->sysctls.v[i].name, sc->sysctls.v[i].value};

		ARENA_PUSH(a, &cfg->sysctls, p);
	}
}

static void add_label(struct arena *a, struct cri_key_values *to, struct str key, struct str value)
{
	struct str_pair p = {key, value};

	ARENA_PUSH(a, to, p);
}

struct cri_sandbox_config sandbox_config(
	struct pod *p, const struct v1_pod *spec, uint32_t attempt, struct arena *a)
{
	const struct v1_pod_spec *s = &spec->spec;
	struct cri_sandbox_config cfg = {
		.name = p->name,
		.ns = p->ns,
		.uid = p->uid,
		.attempt = attempt,
		.log_directory = pod_log_dir(p, a),
		.cgroup_parent = p->cgroup,
		.network = s->host_network ? CRI_NS_NODE : CRI_NS_POD,
		.pid = s->host_pid ? CRI_NS_NODE
		       : s->share_process_namespace && *s->share_process_namespace
			       ? CRI_NS_POD
			       : CRI_NS_CONTAINER,
		.ipc = s->host_ipc ? CRI_NS_NODE : CRI_NS_POD,
	};
	struct dns_config dns;
	struct str host, domain;

	pod_hostname(p, spec, a, &host, &domain);
	if (!s->host_network)
		cfg.hostname =
			s->set_hostname_as_fqdn && *s->set_hostname_as_fqdn && !str_empty(domain)
				? arena_fmt(a, STR_FMT "." STR_FMT, STR_ARG(host), STR_ARG(domain))
				: host;
	pod_dns(p, spec, a, &dns);
	cfg.dns_servers = dns.servers;
	cfg.dns_searches = dns.searches;
	cfg.dns_options = dns.options;
	set_ports(spec, a, &cfg);
	set_security(spec, a, &cfg);
	for (size_t i = 0; i < spec->metadata.labels.n; i++)
		add_label(a, &cfg.labels, spec->metadata.labels.v[i].key,
			spec->metadata.labels.v[i].value);
	add_label(a, &cfg.labels, S(LABEL_POD_NAME), p->name);
	add_label(a, &cfg.labels, S(LABEL_POD_NAMESPACE), p->ns);
	add_label(a, &cfg.labels, S(LABEL_POD_UID), p->uid);
	for (size_t i = 0; i < spec->metadata.annotations.n; i++)
		add_label(a, &cfg.annotations, spec->metadata.annotations.v[i].key,
			spec->metadata.annotations.v[i].value);
	return cfg;
}

/* --- making --- */

struct create_op {
	struct pod *pod;
	struct arena arena;
	struct cri_sandbox_config cfg;
};

static void created(void *user_data, struct str id, struct err *err)
{
	struct create_op *op = user_data;
	struct pod *p = op->pod;
	int64_t now = loop_wall_ns(p->k->loop) / 1000000;

	(void)id;
	p->sandbox_busy = false;
	if (err) {
		pod_event(p, (struct str){0}, "Warning", "FailedCreatePodSandBox",
			"Failed to create pod sandbox: %s", err_text(err));
		p->sandbox_backoff.delay_ms = p->sandbox_backoff.delay_ms
						      ? MIN(p->sandbox_backoff.delay_ms * 2, 15000)
						      : 1000;
		p->sandbox_retry_ms = now + p->sandbox_backoff.delay_ms;
	}
	pod_look_again(p);
	arena_release(&op->arena);
	free(op);
	pod_ops_end(p);
}

static void got_class(void *user_data, const void *typed, struct err *err)
{
	struct create_op *op = user_data;
	const struct node_v1_runtime_class *rc = typed;

	if (!rc) {
		created(op, S(""), err);
		return;
	}
	op->cfg.runtime_handler = arena_str(&op->arena, rc->handler);
	op->pod->k->cri->ops->run_sandbox(op->pod->k->cri, &op->cfg, created, op);
}

void sandbox_create(struct pod *p, const struct v1_pod *spec, uint32_t attempt)
{
	struct create_op *op = xcalloc(1, sizeof(*op));

	arena_init(&op->arena);
	op->pod = p;
	object_ref_in(&op->arena, p->object);
	op->cfg = sandbox_config(p, pod_decode(p, &op->arena), attempt, &op->arena);
	p->sandbox_busy = true;
	pod_ops_begin(p);
	if (!str_empty(spec->spec.runtime_class_name))
		objects_get(p->k->objects, &node_v1_runtime_class_resource, S(""),
			spec->spec.runtime_class_name, got_class, op);
	else
		p->k->cri->ops->run_sandbox(p->k->cri, &op->cfg, created, op);
}

static void stopped(void *user_data, struct err *err)
{
	struct pod *p = user_data;

	if (err)
		log_warn("pod " STR_FMT "/" STR_FMT ": stopping its sandbox: %s", STR_ARG(p->ns),
			STR_ARG(p->name), err_text(err));
	p->sandbox_busy = false;
	pod_look_again(p);
	pod_ops_end(p);
}

void sandboxes_stop(struct pod *p)
{
	for (size_t i = 0; i < p->observed.n_sandboxes; i++) {
		if (!p->observed.sandboxes[i].ready)
			continue;
		p->sandbox_busy = true;
		pod_ops_begin(p);
		p->k->cri->ops->stop_sandbox(p->k->cri, p->observed.sandboxes[i].id, stopped, p);
		return; /* the next one at the next look */
	}
}
