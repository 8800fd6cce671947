#include "server/control_flags.h"

#include <stdio.h>
#include <unistd.h>

#include "controllers/controllers.h"
#include "controllers/cidr.h"
#include "node/join.h"

bool control_shares_store(const struct control_flags *f)
{
	return f->etcd.servers.n > 0; /* the embedded store has one server */
}

/* Where the nodes' addresses come from and where services' do: only who has the controllers knows
 * both. */
static int check_ranges(const struct control_flags *f, bool with_controllers, struct err *err)
{
	struct controllers_opts o = f->controllers;
	struct str pods = o.cluster_cidr ? str_c(o.cluster_cidr) : S("10.244.0.0/16");
	struct str services = str_c(f->service_cidr);
	int r = with_controllers ? cidrs_check_apart(pods, services, err) : 0;

	o.cluster_cidr = pods.p;
	if (r == 0 && with_controllers)
		r = controllers_check(&o, err);
	return r < 0 || !with_controllers ? r : join_check_addresses(pods, services, err);
}

static int check(const struct control_flags *f, bool with_controllers, const char *program)
{
	struct err err CLEANUP(err_release) = {0};

	if (leader_flags_check(&f->leader, &err) < 0 ||
		check_ranges(f, with_controllers, &err) < 0) {
		fprintf(stderr, "%s: %s\n", program, err_text(&err));
		return -EINVAL;
	}
	if (f->io_threads < 1 || f->io_threads > IO_THREADS_MAX) {
		fprintf(stderr, "%s: --io-threads is 1 to 4\n", program);
		return -EINVAL;
	}
	if (!f->tls_cert_file != !f->tls_key_file) {
		fprintf(stderr, "%s: --tls-cert-file and --tls-private-key-file come together\n",
			program);
		return -EINVAL;
	}
	if (!f->kubelet_client_cert_file != !f->kubelet_client_key_file) {
		fprintf(stderr,
			"%s: --kubelet-client-certificate and --kubelet-client-key come together\n",
			program);
		return -EINVAL;
	}
	if (!f->signing_cert_file != !f->signing_key_file) {
		fprintf(stderr,
			"%s: --cluster-signing-cert-file and --cluster-signing-key-file come "
			"together\n",
			program);
		return -EINVAL;
	}
	if (f->admission_only.n && (f->admission_on.n || f->admission_off.n)) {
		fprintf(stderr,
			"%s: --admission-control and --enable-admission-plugins or "
			"--disable-admission-plugins are mutually exclusive\n",
			program);
		return -EINVAL;
	}
	if (f->insecure_port < 0 || f->insecure_port > 65535) {
		fprintf(stderr, "%s: --insecure-port is 1 to 65535, or 0 for none\n", program);
		return -EINVAL;
	}
	if (f->controllers_port > 65535 || f->scheduler_port > 65535) {
		fprintf(stderr,
			"%s: --controllers-secure-port and --scheduler-secure-port are 1 to "
			"65535, or 0 for none\n",
			program);
		return -EINVAL;
	}
	if (f->insecure_port)
		fprintf(stderr,
			"%s: warning: plain HTTP on %s port %d: whoever reaches it is "
			"system:masters; --secure-port is the one to use\n",
			program, f->insecure_bind_address, f->insecure_port);
	return 0;
}

static int check_audit(const struct control_flags *f, const char *program)
{
	const struct {
		const char *name;
		int value;
	} counts[] = {{"maxage", f->audit_log_maxage}, {"maxbackup", f->audit_log_maxbackup},
		{"maxsize", f->audit_log_maxsize}};

	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		if (counts[i].value >= 0)
			continue;
		fprintf(stderr, "%s: --audit-log-%s %d can't be a negative number\n", program,
			counts[i].name, counts[i].value);
		return -EINVAL;
	}
	if (strcmp(f->audit_log_format, "json")) {
		fprintf(stderr, "%s: invalid audit log format %s, allowed formats are \"json\"\n",
			program, f->audit_log_format);
		return -EINVAL;
	}
	if (f->audit_policy_file && !f->audit_log_path)
		fprintf(stderr,
			"%s: warning: --audit-policy-file without --audit-log-path writes "
			"nothing\n",
			program);
	return 0;
}

struct control_flags control_flags_default(bool with_controllers)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	return (struct control_flags){
		.data_dir = "/var/lib/sampan",
		.bind_address = "0.0.0.0",
		.secure_port = 6443,
		.insecure_bind_address = "127.0.0.1",
		.components_bind_address = "127.0.0.1",
		.controllers_port = -1,
		.scheduler_port = -1,
		.service_cidr = "10.254.0.0/16",
		.node_port_range = "30000-32767",
		.kubelet_port = 10250,
		.etcd = {.compaction_interval_ms = 5 * 60 * 1000, .event_ttl_ms = 60 * 60 * 1000},
		.leader = leader_flags_default(NULL), /* a name for each of the two */
		.bootstrap_tokens = with_controllers, /* likewise */
		.allow_privileged = with_controllers, /* upstream's API server alone: false */
		.auth = auth_flags_default(),
		.audit_log_format = "json",
		.audit_log_maxage = 366,
		.audit_log_maxbackup = 100,
		.audit_log_maxsize = 100,
		.io_threads = MAX(1, MIN(cpus, IO_THREADS_MAX)),
	};
}

void control_flags_table(
	struct control_flags *f, bool with_controllers, struct control_flag_tables *t)
{
	const struct flag alone[] = {
		FLAGS_HEADING("Controllers and scheduler"),
		FLAGS_INCLUDE(t->controllers),
		{"cluster-signing-cert-file", FLAG_STRING, &f->signing_cert_file, "FILE",
			"CA that signs certificates; default: the cluster's own"},
		{"cluster-signing-key-file", FLAG_STRING, &f->signing_key_file, "FILE", "its key"},
		{"cluster-signing-duration", FLAG_DURATION, &f->controllers.signing_duration_ms,
			"T", "how long certificates live that are signed; default: 8760h"},
		{"scheduler-config", FLAG_STRING, &f->scheduler_config, "FILE",
			"what --config is to kube-scheduler; how it reaches the API server does "
			"not count"},
		FLAGS_INCLUDE(t->election),
		FLAGS_HEADING("Metrics and health of controllers and scheduler"),
		{"components-bind-address", FLAG_STRING, &f->components_bind_address, "IP",
			"where they are shown; default: 127.0.0.1"},
		{"controllers-secure-port", FLAG_INT, &f->controllers_port, "PORT",
			"of the controllers; 0: none; default: 10257, if it is free"},
		{"scheduler-secure-port", FLAG_INT, &f->scheduler_port, "PORT",
			"of the scheduler; 0: none; default: 10259, if it is free"},
		{NULL},
	};
	const struct flag flags[] = {
		FLAGS_HEADING("State"),
		{"data-dir", FLAG_STRING, &f->data_dir, "DIR",
			"where the cluster's state and keys are kept"},
		ETCD_FLAGS(&f->etcd),
		FLAGS_HEADING("Serving"),
		{"bind-address", FLAG_STRING, &f->bind_address, "IP", "address to serve on"},
		{"secure-port", FLAG_INT, &f->secure_port, "PORT",
			"port to serve HTTPS on; 0: any free one"},
		{"advertise-address", FLAG_STRING, &f->advertise_address, "IP",
			"address that pods and machines reach us at"},
		{"tls-cert-file", FLAG_STRING, &f->tls_cert_file, "FILE",
			"serving certificate instead of our own"},
		{"tls-private-key-file", FLAG_STRING, &f->tls_key_file, "FILE", "its key"},
		{"tls-min-version", FLAG_STRING, &f->tls_min_version, "VERSION",
			"VersionTLS12 (default), VersionTLS13"},
		{"tls-cipher-suites", FLAG_LIST, &f->tls_ciphers, "NAME,…",
			"of TLS 1.2; default: those with forward secrecy and AEAD"},
		{"tls-curve-preferences", FLAG_LIST, &f->tls_curves, "ID,…",
			"23 P-256, 24 P-384, 25 P-521, 29 X25519"},
		{"tls-sni-cert-key", FLAG_TEXTS, &f->tls_named_certs, "CERT,KEY[:NAME,…]",
			"a certificate for the names that a client asks for"},
		{"tls-san", FLAG_LIST, &f->tls_sans, "NAME,…",
			"more names and addresses in the serving certificate"},
		{"io-threads", FLAG_INT, &f->io_threads, "N",
			"threads that serve connections, 1 to 4"},
		{"insecure-port", FLAG_INT, &f->insecure_port, "PORT",
			"serve plain HTTP without authentication, too, as in 2016; 0: no"},
		{"insecure-bind-address", FLAG_STRING, &f->insecure_bind_address, "IP",
			"where; default: 127.0.0.1"},
		{"port", FLAG_INT, &f->insecure_port, "PORT", "--secure-port, or --insecure-port",
			.retired = true},
		{"address", FLAG_STRING, &f->insecure_bind_address, "IP",
			"--bind-address, or --insecure-bind-address", .retired = true},
		{"public-address-override", FLAG_STRING, &f->advertise_address, "IP",
			"--advertise-address", .retired = true},
		FLAGS_HEADING("Who may do what"),
		{"client-ca-file", FLAG_STRING, &f->client_ca_file, "FILE",
			"another CA for client certificates"},
		{"token-auth-file", FLAG_STRING, &f->token_auth_file, "FILE",
			"static tokens: token,user,uid,\"groups\""},
		{"enable-bootstrap-token-auth", FLAG_BOOL, &f->bootstrap_tokens, NULL,
			"take the tokens by which machines join"},
		{"service-account-signing-key-file", FLAG_STRING, &f->sa_signing_key_file, "FILE",
			"key of service account tokens"},
		FLAGS_INCLUDE(t->auth),
		{"enable-admission-plugins", FLAG_LIST, &f->admission_on, "NAME,…",
			"plugins besides the default ones"},
		{"disable-admission-plugins", FLAG_LIST, &f->admission_off, "NAME,…",
			"default plugins to leave out"},
		{"admission-control", FLAG_LIST, &f->admission_only, "NAME,…",
			"--enable-admission-plugins and --disable-admission-plugins",
			.retired = true},
		{"admission-control-config-file", FLAG_STRING, &f->admission_config_file, "FILE",
			"configuration of the plugins"},
		{"allow-privileged", FLAG_BOOL, &f->allow_privileged, NULL,
			"allow privileged containers"},
		FLAGS_HEADING("Audit log"),
		{"audit-policy-file", FLAG_STRING, &f->audit_policy_file, "FILE",
			"which requests are written, and how much of them"},
		{"audit-log-path", FLAG_STRING, &f->audit_log_path, "FILE",
			"where to; -: standard output; default: nowhere"},
		{"audit-log-format", FLAG_STRING, &f->audit_log_format, "FORMAT", "json"},
		{"audit-log-maxage", FLAG_INT, &f->audit_log_maxage, "DAYS",
			"how long rotated files are kept; 0: for ever"},
		{"audit-log-maxbackup", FLAG_INT, &f->audit_log_maxbackup, "N",
			"how many rotated files are kept; 0: all"},
		{"audit-log-maxsize", FLAG_INT, &f->audit_log_maxsize, "MB",
			"how large the file becomes before it is rotated"},
		FLAGS_HEADING("Services"),
		{"service-cluster-ip-range", FLAG_STRING, &f->service_cidr, "CIDR",
			"addresses of services"},
		{"service-node-port-range", FLAG_STRING, &f->node_port_range, "A-B",
			"ports of NodePort services"},
		{"portal-net", FLAG_STRING, &f->service_cidr, "CIDR", "--service-cluster-ip-range",
			.retired = true},
		FLAGS_HEADING("Kubelets"),
		{"kubelet-client-certificate", FLAG_STRING, &f->kubelet_client_cert_file, "FILE",
			"what we show to kubelets instead of our own"},
		{"kubelet-client-key", FLAG_STRING, &f->kubelet_client_key_file, "FILE", "its key"},
		{"kubelet-certificate-authority", FLAG_STRING, &f->kubelet_ca_file, "FILE",
			"CA of kubelets' serving certificates; default: they are not verified"},
		{"kubelet-port", FLAG_INT, &f->kubelet_port, "PORT",
			"nothing: a Node says its own port (this one counts where it does not)",
			.retired = true},
		FLAGS_INCLUDE(with_controllers ? t->alone : NULL),
		FLAGS_HEADING("Log"),
		FLAGS_INCLUDE(flags_logging),
		FLAGS_INCLUDE(upstream_flags_apiserver),
		FLAGS_INCLUDE(flags_component),
		{NULL},
	};

	_Static_assert(ARRAY_SIZE(flags) <= CONTROL_FLAGS_MAX, "too many flags");
	_Static_assert(ARRAY_SIZE(alone) <= ARRAY_SIZE(t->alone), "too many flags");
	memcpy(t->all, flags, sizeof(flags));
	memcpy(t->alone, alone, sizeof(alone));
	leader_flags_table(&f->leader, t->election);
	auth_flags_table(&f->auth, t->auth);
	controllers_flags_table(&f->controllers, t->controllers);
}

int control_flags_parse(
	struct control_flags *f, const char *program, bool with_controllers, int argc, char **argv)
{
	struct control_flag_tables tables;
	int r;

	*f = control_flags_default(with_controllers);
	control_flags_table(f, with_controllers, &tables);
	f->auth.anonymous_given = flags_peek(argc, argv, "anonymous-auth");
	r = flags_parse(tables.all, program, argc, argv, NULL);
	if (r == 0)
		f->text = flags_text(tables.all, &f->arena);
	if (r == 0)
		r = check(f, with_controllers, program);
	return r ? r : check_audit(f, program);
}
