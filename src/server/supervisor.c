/*
 * `sampan server`: control plane and node agent of one machine under one supervisor. It holds
 * <data-dir>/server.lock as long as it lives (the file holds its pid), which is how `up`, `down`
 * and `status` find it.
 */
#include "server/supervisor.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "base/file.h"
#include "base/flags.h"
#include "base/notify.h"
#include "server/check/check.h"
#include "server/child.h"
#include "server/lockfile.h"
#include "server/pki.h"
#include "server/server_flags.h"

struct server {
	const struct server_flags *flags;
	struct loop *loop;
	struct arena arena;
	char *notify; /* NOTIFY_SOCKET of whoever started us */
	struct child control, node;
	bool with_node, node_started, told;
	int exit_code;
};

static char *path_in(struct server *s, const char *name)
{
	return arena_cstr(&s->arena, arena_fmt(&s->arena, "%s/%s", s->flags->data_dir, name));
}

/* A command line: what is our business, then what was given for that program, which counts where it
 * says the same. */
struct command {
	struct arena *a;
	char **v;
	size_t n;
};

static void add_arg(struct command *c, const char *name, const char *value)
{
	if (value)
		ARENA_PUSH(c->a, c, arena_cstr(c->a, arena_fmt(c->a, "%s=%s", name, value)));
}

static char **with_given(struct command *c, const struct str_vec *given)
{
	for (size_t i = 0; i < given->n; i++)
		ARENA_PUSH(c->a, c, arena_cstr(c->a, given->v[i]));
	ARENA_PUSH(c->a, c, NULL);
	return c->v;
}

static void tell_ready(struct server *s)
{
	if (s->told)
		return;
	s->told = true;
	if (s->notify) {
		setenv("NOTIFY_SOCKET", s->notify, 1);
		notify_supervisor("READY=1");
	}
}

static void on_refused(struct child *c);

static void on_node_ready(struct child *c)
{
	log_info("node ready");
	tell_ready(c->user_data);
}

/* The node agent's own credential: user system:node:<name>, group system:nodes. */
static int write_node_kubeconfig(struct server *s, const char *path, struct err *err)
{
	const struct str nodes[] = {S("system:nodes")};
	const struct str_vec groups = {(struct str *)nodes, 1};
	struct str user = arena_fmt(&s->arena, "system:node:%s", s->flags->node_name);
	struct pki_pair pair;
	struct pki pki;
	int r = pki_open(s->flags->data_dir, &pki, err);

	if (r < 0)
		return r;
	r = pki_issue_client(&pki, &s->arena, user.p, &groups, &pair, err);
	if (r == 0)
		r = kubeconfig_write(path,
			arena_fmt(&s->arena, "https://127.0.0.1:%d", s->flags->control.secure_port),
			pki.ca_cert_pem, &pair, "sampan", user.p, err);
	pki_release(&pki);
	return r;
}

/* --registry-mirror=HOST=URL,… becomes the node's registries.conf. */
static int write_registries(struct server *s, struct err *err)
{
	struct str rest = str_c(s->flags->registry_mirror), one, host, url;
	struct buf b;
	int r = 0;

	buf_init(&b, 1 << 16);
	while (r == 0 && rest.n) {
		str_cut(rest, ',', &one, &rest);
		if (str_cut(one, '=', &host, &url))
			buf_fmt(&b, "mirror " STR_FMT " " STR_FMT "\n", STR_ARG(host),
				STR_ARG(url));
		else
			r = err_bad_request(err,
				"--registry-mirror: \"" STR_FMT "\" is not HOST=URL", STR_ARG(one));
	}
	if (r == 0)
		r = file_write(path_in(s, "node/registries.conf"), buf_str(&b), 0644, err);
	buf_release(&b);
	return r;
}

static int start_node(struct server *s, struct err *err)
{
	struct child *c = &s->node;
	struct command line = {&s->arena};
	char *kubeconfig = path_in(s, "node.kubeconfig");
	int r = write_node_kubeconfig(s, kubeconfig, err);

	if (r < 0)
		return r;
	c->name = "node";
	c->log_path = path_in(s, "log/node.log");
	c->on_ready = on_node_ready;
	c->on_refused = on_refused;
	c->user_data = s;
	ARENA_PUSH(line.a, &line, "sampan");
	ARENA_PUSH(line.a, &line, "node");
	add_arg(&line, "--kubeconfig", kubeconfig);
	add_arg(&line, "--data-dir", path_in(s, "node"));
	add_arg(&line, "--run-dir", server_run_dir(s->flags->data_dir, &s->arena));
	add_arg(&line, "--node-name", s->flags->node_name);
	add_arg(&line, "--node-ip", s->flags->node_ip);
	add_arg(&line, "--v", s->flags->verbosity);
	c->args = with_given(&line, &s->flags->node_args);
	return child_start(c, s->loop, err);
}

static void on_control_ready(struct child *c)
{
	struct server *s = c->user_data;
	struct err err CLEANUP(err_release) = {0};

	if (!s->with_node) {
		tell_ready(s);
		return;
	}
	if (s->node_started)
		return;
	if (start_node(s, &err) < 0)
		log_error("node: %s", err_text(&err));
	else
		s->node_started = true;
}

static int start_control(struct server *s, struct err *err)
{
	struct child *c = &s->control;
	struct command line = {&s->arena};
	struct str first, rest;

	c->name = "control";
	c->log_path = path_in(s, "log/control.log");
	c->on_ready = on_control_ready;
	c->on_refused = on_refused;
	c->user_data = s;
	ARENA_PUSH(line.a, &line, "sampan");
	ARENA_PUSH(line.a, &line, "control");
	add_arg(&line, "--data-dir", s->flags->data_dir);
	if (s->flags->node_ip) { /* one of each family: the first is told */
		str_cut(str_c(s->flags->node_ip), ',', &first, &rest);
		add_arg(&line, "--advertise-address", arena_cstr(&s->arena, first));
	}
	add_arg(&line, "--v", s->flags->verbosity);
	c->args = with_given(&line, &s->flags->control_args);
	return child_start(c, s->loop, err);
}

static void on_control_stopped(struct child *c)
{
	loop_stop(((struct server *)c->user_data)->loop);
}

static void on_node_stopped(struct child *c)
{
	struct server *s = c->user_data;

	s->control.on_stopped = on_control_stopped;
	child_stop(&s->control);
}

static void on_signal(uv_signal_t *h, int signum)
{
	struct server *s = h->data;

	uv_signal_stop(h);
	log_info("%s: stopping", strsignal(signum));
	s->node.on_stopped = on_node_stopped;
	if (s->node_started)
		child_stop(&s->node); /* first: it may still write its last states */
	else
		on_node_stopped(&s->node);
}

/* What a program said last. */
static struct str last_line(struct server *s, const char *log_path)
{
	struct str text = {0}, line = {0}, one;

	if (file_read(log_path, CHILD_LOG_MAX, &s->arena, &text, NULL) < 0)
		return S("");
	while (text.n) {
		str_cut(text, '\n', &one, &text);
		if (one.n)
			line = one;
	}
	return line;
}

static void on_refused(struct child *c)
{
	struct server *s = c->user_data;
	struct str why = last_line(s, c->log_path);

	log_error("%s cannot start: " STR_FMT, c->name, STR_ARG(why));
	s->exit_code = c->exit_code;
	s->node.on_stopped = on_node_stopped;
	if (s->node_started)
		child_stop(&s->node);
	else
		on_node_stopped(&s->node);
}

static int make_dirs(struct server *s, struct err *err)
{
	const char *dirs[] = {s->flags->data_dir, path_in(s, "log"), path_in(s, "node")};

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		if (mkdir(dirs[i], 0700) < 0 && errno != EEXIST)
			return err_errno(err, errno, "cannot make %s", dirs[i]);
	return 0;
}

int server_main(int argc, char **argv)
{
	struct server_flags f;
	struct server s = {.flags = &f, .node.user_data = &s};
	struct err err CLEANUP(err_release) = {0};
	uv_signal_t term, interrupt;
	struct check_opts check;
	int r, lock = -1;

	r = server_flags_parse(&f, argv[0], argc, argv, &s.arena);
	if (r)
		return r == FLAGS_HELP ? 0 : 2;
	server_flags_finish(&f, &s.arena);
	server_flags_check_opts(&f, &check);
	if (!lockfile_holder(path_in(&s, "server.lock")) && checks_run(&check, true))
		return 1;
	s.with_node = !f.control_only;
	s.notify = getenv("NOTIFY_SOCKET") ? xstrdup(getenv("NOTIFY_SOCKET")) : NULL;
	s.loop = loop_new_uv();
	r = make_dirs(&s, &err);
	if (r == 0 && f.registry_mirror)
		r = write_registries(&s, &err);
	if (r == 0)
		r = lock = lockfile_take(path_in(&s, "server.lock"), &err);
	if (r >= 0)
		r = start_control(&s, &err);
	if (r < 0) {
		fprintf(stderr, "%s: %s\n", argv[0], err_text(&err));
		return 1;
	}
	uv_signal_init(loop_uv(s.loop), &term);
	uv_signal_init(loop_uv(s.loop), &interrupt);
	term.data = interrupt.data = &s;
	uv_signal_start(&term, on_signal, SIGTERM);
	uv_signal_start(&interrupt, on_signal, SIGINT);
	loop_run(s.loop);
	close(lock);
	return s.exit_code;
}
