/* probes.c: health checks and lifecycle hooks of containers. */
#include "apiserver/validation/names.h"
#include "apiserver/validation/pod.h"

/* What a probe and a hook have in common. */
struct handler {
	const struct v1_exec_action *exec;
	const struct v1_http_get_action *http_get;
	const struct v1_tcp_socket_action *tcp_socket;
	const struct v1_grpc_action *grpc;
	const struct v1_sleep_action *sleep;
};

void validate_port_num_or_name(
	const struct int_or_string *port, const struct field_path *p, struct field_errors *e)
{
	if (port->is_string)
		field_invalid_each(e, p, port->s, is_port_name(e->arena, port->s));
	else
		field_invalid_int_each(e, p, port->i, is_port_number(e->arena, port->i));
}

static void validate_http_get(
	const struct v1_http_get_action *http, const struct field_path *p, struct field_errors *e)
{
	static const char *const schemes[] = {"HTTP", "HTTPS", NULL};

	if (http->path.n == 0)
		field_required(e, AT(p, "path"), "");
	validate_port_num_or_name(&http->port, AT(p, "port"), e);
	field_one_of(e, AT(p, "scheme"), http->scheme, schemes);
	for (size_t i = 0; i < http->http_headers.n; i++) {
		struct str name = http->http_headers.v[i].name;
		field_invalid_each(
			e, AT(p, "httpHeaders"), name, is_http_header_name(e->arena, name));
	}
}

static void validate_sleep(
	const struct v1_sleep_action *sleep, const struct pod_check *c, const struct field_path *p)
{
	const int64_t *grace = c->spec->termination_grace_period_seconds;

	if (grace && (sleep->seconds < 0 || sleep->seconds > *grace))
		field_invalid_int(c->errs, p, sleep->seconds,
			"must be non-negative and less than terminationGracePeriodSeconds (%lld)",
			(long long)*grace);
}

static void validate_grpc(
	const struct v1_grpc_action *grpc, const struct field_path *p, struct field_errors *e)
{
	struct int_or_string port = {.i = grpc->port};

	validate_port_num_or_name(&port, AT(p, "port"), e);
}

/* True for the first kind of a handler; more are forbidden. */
static bool first_of(size_t *n, const struct field_path *p, struct field_errors *e)
{
	if (*n == 0) {
		(*n)++;
		return true;
	}
	field_forbidden(e, p, "may not specify more than 1 handler type");
	return false;
}

static void validate_handler(
	const struct handler *h, const struct pod_check *c, const struct field_path *p)
{
	struct field_path exec = FIELD(p, "exec"), http = FIELD(p, "httpGet");
	struct field_path tcp = FIELD(p, "tcpSocket"), grpc = FIELD(p, "grpc"),
			  sleep = FIELD(p, "sleep");
	struct field_errors *e = c->errs;
	size_t n = 0;

	if (h->exec && first_of(&n, &exec, e) && h->exec->command.n == 0)
		field_required(e, AT(&exec, "command"), "");
	if (h->http_get && first_of(&n, &http, e))
		validate_http_get(h->http_get, &http, e);
	if (h->tcp_socket && first_of(&n, &tcp, e))
		validate_port_num_or_name(&h->tcp_socket->port, AT(&tcp, "port"), e);
	if (h->grpc && first_of(&n, &grpc, e))
		validate_grpc(h->grpc, &grpc, e);
	if (h->sleep && first_of(&n, &sleep, e))
		validate_sleep(h->sleep, c, &sleep);
	if (n == 0)
		field_required(e, p, "must specify a handler type");
}

static struct handler of_hook(const struct v1_lifecycle_handler *h)
{
	return (struct handler){.exec = h->exec,
		.http_get = h->http_get,
		.tcp_socket = h->tcp_socket,
		.sleep = h->sleep};
}

static void validate_stop_signal(
	struct str signal, const struct pod_check *c, const struct field_path *p)
{
	static const char *const windows[] = {"SIGKILL", "SIGTERM", NULL};
	static const char *const linux_[] = {"SIGABRT", "SIGALRM", "SIGBUS", "SIGCHLD", "SIGCLD",
		"SIGCONT", "SIGFPE", "SIGHUP", "SIGILL", "SIGINT", "SIGIO", "SIGIOT", "SIGKILL",
		"SIGPIPE", "SIGPOLL", "SIGPROF", "SIGPWR", "SIGQUIT", "SIGRTMAX", "SIGRTMAX-1",
		"SIGRTMAX-10", "SIGRTMAX-11", "SIGRTMAX-12", "SIGRTMAX-13", "SIGRTMAX-14",
		"SIGRTMAX-2", "SIGRTMAX-3", "SIGRTMAX-4", "SIGRTMAX-5", "SIGRTMAX-6", "SIGRTMAX-7",
		"SIGRTMAX-8", "SIGRTMAX-9", "SIGRTMIN", "SIGRTMIN+1", "SIGRTMIN+10", "SIGRTMIN+11",
		"SIGRTMIN+12", "SIGRTMIN+13", "SIGRTMIN+14", "SIGRTMIN+15", "SIGRTMIN+2",
		"SIGRTMIN+3", "SIGRTMIN+4", "SIGRTMIN+5", "SIGRTMIN+6", "SIGRTMIN+7", "SIGRTMIN+8",
		"SIGRTMIN+9", "SIGSEGV", "SIGSTKFLT", "SIGSTOP", "SIGSYS", "SIGTERM", "SIGTRAP",
		"SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGURG", "SIGUSR1", "SIGUSR2", "SIGVTALRM",
		"SIGWINCH", "SIGXCPU", "SIGXFSZ", NULL};

	if (!c->spec->os)
		field_forbidden(
			c->errs, p, "may not be set for containers with empty `spec.os.name`");
	else if (str_eqc(c->spec->os->name, "windows"))
		field_one_of(c->errs, p, signal, windows);
	else if (str_eqc(c->spec->os->name, "linux"))
		field_one_of(c->errs, p, signal, linux_);
}

void validate_lifecycle(
	const struct v1_lifecycle *l, const struct pod_check *c, const struct field_path *p)
{
	if (l->post_start) {
		struct handler h = of_hook(l->post_start);
		validate_handler(&h, c, AT(p, "postStart"));
	}
	if (l->pre_stop) {
		struct handler h = of_hook(l->pre_stop);
		validate_handler(&h, c, AT(p, "preStop"));
	}
	if (l->stop_signal.p)
		validate_stop_signal(l->stop_signal, c, AT(p, "stopSignal"));
}

void validate_probe(const struct v1_probe *probe, enum probe_kind kind, const struct pod_check *c,
	const struct field_path *p)
{
	struct field_errors *e = c->errs;

	if (!probe)
		return;
	struct handler h = {.exec = probe->exec,
		.http_get = probe->http_get,
		.tcp_socket = probe->tcp_socket,
		.grpc = probe->grpc};
	validate_handler(&h, c, p);
	validate_nonnegative(probe->initial_delay_seconds, AT(p, "initialDelaySeconds"), e);
	validate_nonnegative(probe->timeout_seconds, AT(p, "timeoutSeconds"), e);
	validate_nonnegative(probe->period_seconds, AT(p, "periodSeconds"), e);
	validate_nonnegative(probe->success_threshold, AT(p, "successThreshold"), e);
	validate_nonnegative(probe->failure_threshold, AT(p, "failureThreshold"), e);
	const int64_t *grace = probe->termination_grace_period_seconds;
	struct field_path grace_path = FIELD(p, "terminationGracePeriodSeconds");
	if (grace && *grace <= 0)
		field_invalid_int(e, &grace_path, *grace, "must be greater than 0");
	if (kind == PROBE_READINESS && grace)
		field_invalid_int(e, &grace_path, *grace, "must not be set for readinessProbes");
	if (kind != PROBE_READINESS && probe->success_threshold != 1)
		field_invalid_int(
			e, AT(p, "successThreshold"), probe->success_threshold, "must be 1");
}
