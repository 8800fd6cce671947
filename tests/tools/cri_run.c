/*
 * cri_run.c: drives a container runtime through cri.h, without a kubelet: what tests/e2e/runtime.sh
 * uses.
 *
 *     cri_run --data-dir D --run-dir R [--pod-cidr C] [--endpoint unix:…] CMD…
 *
 *     sandbox NAME [host|shared-pid] [PORT:HOSTPORT]     prints the sandbox's id
 *     create SANDBOX NAME IMAGE [key=value…] [-- ARGS…]  prints the container's id; keys: tty stdin
 * user privileged env start|stop|rm|logs-reopen ID, stop-sandbox|rm-sandbox ID exec ID ARGS…,
 * attach ID, forward SANDBOX PORT, ls, sandboxes, images, stats, pull REF bench N IMAGE N pods at
 * once: sandbox, create, start; then away with them
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "node/cri.h"
#include "node/runtime/image/image.h"
#include "node/runtime/pause.h"

static struct loop *loop;
static struct cri *cri;
static struct arena arena;
static int exit_code;
static char log_dir[4096];

static void end(struct err *err)
{
	if (err) {
		fprintf(stderr, "%s\n", err_text(err));
		exit_code = 1;
	}
	loop_stop(loop);
}

static void id_done(void *user_data, struct str id, struct err *err)
{
	if (!err)
		printf(STR_FMT "\n", STR_ARG(id));
	end(err);
}

static void done(void *user_data, struct err *err)
{
	end(err);
}

static int64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000LL + ts.tv_nsec / 1000;
}

static struct cri_sandbox_config sandbox_config(const char *name)
{
	struct cri_sandbox_config cfg = {
		.name = str_c(name),
		.ns = S("default"),
		.uid = arena_strc(&arena, name),
		.hostname = str_c(name),
		.log_directory = arena_fmt(&arena, "%s/%s", log_dir, name ?: ""),
		.cgroup_parent = arena_fmt(&arena, "/sampan-test-%d/pod%s", (int)getuid(), name),
		.pid = CRI_NS_CONTAINER,
		.seccomp.kind = CRI_PROFILE_UNCONFINED,
	};

	return cfg;
}

static void cmd_sandbox(int argc, char **argv)
{
	struct cri_sandbox_config cfg = sandbox_config(argv[0]);
	struct cri_port_mapping port = {.protocol = "TCP"};

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "host"))
			cfg.network = CRI_NS_NODE;
		else if (!strcmp(argv[i], "shared-pid"))
			cfg.pid = CRI_NS_POD;
		else if (sscanf(argv[i], "%d:%d", &port.container_port, &port.host_port) == 2) {
			cfg.ports = &port;
			cfg.n_ports = 1;
		}
	}
	cri->ops->run_sandbox(cri, &cfg, id_done, NULL);
}

static void set_key(struct cri_container_config *cfg, const char *arg)
{
	struct str key, value;

	str_cut(str_c(arg), '=', &key, &value);
	if (str_eqc(key, "tty"))
		cfg->tty = true;
	else if (str_eqc(key, "stdin"))
		cfg->stdin_ = cfg->stdin_once = true;
	else if (str_eqc(key, "privileged"))
		cfg->privileged = true;
	else if (str_eqc(key, "readonly"))
		cfg->readonly_rootfs = true;
	else if (str_eqc(key, "seccomp"))
		cfg->seccomp.kind = CRI_PROFILE_RUNTIME_DEFAULT;
	else if (str_eqc(key, "shared-pid"))
		cfg->pid = CRI_NS_POD;
	else if (str_eqc(key, "memory"))
		str_to_i64(value, &cfg->resources.memory_limit);
	else if (str_eqc(key, "user")) {
		cfg->user.run_as_user = ARENA_NEW(&arena, int64_t);
		str_to_i64(value, cfg->user.run_as_user);
	} else if (str_eqc(key, "env")) {
		struct str_pair pair;

		str_cut(value, ':', &pair.key, &pair.value);
		ARENA_PUSH(&arena, &cfg->envs, pair);
	} else if (str_eqc(key, "mount")) {
		struct {
			struct cri_mount *v;
			size_t n;
		} mounts = {cfg->mounts, cfg->n_mounts};
		struct cri_mount m = {0};

		str_cut(value, ':', &m.host_path, &m.container_path);
		ARENA_PUSH(&arena, &mounts, m);
		cfg->mounts = mounts.v;
		cfg->n_mounts = mounts.n;
	} else {
		fprintf(stderr, "unknown key %s\n", arg);
		exit(2);
	}
}

static struct cri_container_config container_config(int argc, char **argv)
{
	struct cri_container_config cfg = {
		.name = str_c(argv[0]),
		.image = str_c(argv[1]),
		.pid = CRI_NS_CONTAINER,
		.seccomp.kind = CRI_PROFILE_UNCONFINED,
		.log_path = arena_fmt(&arena, "%s/0.log", argv[0]),
	};
	int i = 2;

	for (; i < argc && strcmp(argv[i], "--"); i++)
		set_key(&cfg, argv[i]);
	for (i++; i < argc; i++)
		ARENA_PUSH(&arena, &cfg.command, str_c(argv[i]));
	return cfg;
}

static void cmd_create(int argc, char **argv)
{
	struct cri_container_config cfg = container_config(argc - 1, argv + 1);
	/* a remote runtime takes the folder from here, the built-in one from the sandbox */
	struct cri_sandbox_config sandbox = {.log_directory = str_c(log_dir)};

	cri->ops->create_container(cri, str_c(argv[0]), &cfg, &sandbox, id_done, NULL);
}

static void cmd_start(int argc, char **argv)
{
	cri->ops->start_container(cri, str_c(argv[0]), done, NULL);
}

static void cmd_stop(int argc, char **argv)
{
	cri->ops->stop_container(cri, str_c(argv[0]), argc > 1 ? atoi(argv[1]) : 2, done, NULL);
}

static void cmd_rm(int argc, char **argv)
{
	cri->ops->remove_container(cri, str_c(argv[0]), done, NULL);
}

static void cmd_reopen(int argc, char **argv)
{
	cri->ops->reopen_log(cri, str_c(argv[0]), done, NULL);
}

static void cmd_stop_sandbox(int argc, char **argv)
{
	cri->ops->stop_sandbox(cri, str_c(argv[0]), done, NULL);
}

static void cmd_rm_sandbox(int argc, char **argv)
{
	cri->ops->remove_sandbox(cri, str_c(argv[0]), done, NULL);
}

static void cmd_update(int argc, char **argv)
{
	struct cri_resources r = {.memory_limit = atoll(argv[1])};

	cri->ops->update_resources(cri, str_c(argv[0]), &r, done, NULL);
}

static void exec_done(void *user_data, int code, struct str out, struct str errout, struct err *err)
{
	fwrite(out.p, 1, out.n, stdout);
	fwrite(errout.p, 1, errout.n, stderr);
	exit_code = code;
	end(err);
}

static void cmd_exec(int argc, char **argv)
{
	struct str_vec command = {0};

	for (int i = 1; i < argc; i++)
		ARENA_PUSH(&arena, &command, str_c(argv[i]));
	cri->ops->exec_sync(cri, str_c(argv[0]), &command, 5000, exec_done, NULL);
}

static void on_out(struct cri_stream *s, struct str bytes)
{
	fwrite(bytes.p, 1, bytes.n, stdout);
	fflush(stdout);
}

static void on_err(struct cri_stream *s, struct str bytes)
{
	fwrite(bytes.p, 1, bytes.n, stderr);
}

static void on_writable(struct cri_stream *s)
{
}

static void on_exit_(struct cri_stream *s, int code, struct err *err)
{
	exit_code = code;
	end(err);
}

static const struct cri_stream_events events = {on_out, on_err, on_writable, on_exit_};

/* Standard input is sent at once, then closed. */
static void run_stream(const char *id, struct cri_stream_opts *o)
{
	struct err err = {0};
	char text[65536];
	struct cri_stream *s = cri->ops->stream(cri, str_c(id), o, &err);
	size_t n;

	if (!s) {
		end(&err);
		return;
	}
	s->ops->resize(s, 100, 40);
	n = fread(text, 1, sizeof(text), stdin);
	s->ops->write(s, str_n(text, n));
	if (!o->tty)
		s->ops->close_stdin(s);
}

static void cmd_stream(int argc, char **argv)
{
	struct cri_stream_opts o = {
		.stdin_ = true, .stdout_ = true, .stderr_ = true, .events = &events};
	int i = 1;

	if (argc > 1 && !strcmp(argv[1], "tty")) {
		o.tty = true;
		i++;
	}
	for (; i < argc; i++)
		ARENA_PUSH(&arena, &o.command, str_c(argv[i]));
	run_stream(argv[0], &o);
}

static void containers(
	void *user_data, const struct cri_container_status *v, size_t n, struct err *err)
{
	static const char *const states[] = {"created", "running", "exited", "unknown"};

	for (size_t i = 0; i < n; i++)
		printf(STR_FMT " " STR_FMT " %s code=%d reason=" STR_FMT " message=" STR_FMT
			       " uid=%ld\n",
			STR_ARG(v[i].id), STR_ARG(v[i].name), states[v[i].state], v[i].exit_code,
			STR_ARG(v[i].reason), STR_ARG(v[i].message), (long)v[i].uid);
	end(err);
}

static void cmd_ls(int argc, char **argv)
{
	cri->ops->list_containers(cri, argc ? str_c(argv[0]) : S(""), containers, NULL);
}

static void sandboxes(
	void *user_data, const struct cri_sandbox_status *v, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++)
		printf(STR_FMT " " STR_FMT " %s " STR_FMT "\n", STR_ARG(v[i].id),
			STR_ARG(v[i].name), v[i].ready ? "ready" : "notready",
			STR_ARG(v[i].ips.n ? v[i].ips.v[0] : S("-")));
	end(err);
}

static void cmd_sandboxes(int argc, char **argv)
{
	cri->ops->list_sandboxes(cri, sandboxes, NULL);
}

static void images(void *user_data, const struct cri_image *v, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++)
		printf(STR_FMT " " STR_FMT " " STR_FMT " %lu\n", STR_ARG(v[i].id),
			STR_ARG(v[i].tags.n ? v[i].tags.v[0] : S("-")),
			STR_ARG(v[i].digests.n ? v[i].digests.v[0] : S("-")),
			(unsigned long)v[i].size);
	end(err);
}

static void cmd_images(int argc, char **argv)
{
	if (argc)
		cri->ops->image_status(cri, str_c(argv[0]), images, NULL);
	else
		cri->ops->list_images(cri, images, NULL);
}

static void cmd_rmi(int argc, char **argv)
{
	cri->ops->remove_image(cri, str_c(argv[0]), done, NULL);
}

static void cmd_pull(int argc, char **argv)
{
	struct cri_auth auth = {0};

	if (argc > 2) {
		auth.username = str_c(argv[1]);
		auth.password = str_c(argv[2]);
	}
	cri->ops->pull_image(cri, str_c(argv[0]), &auth, argc > 2, NULL, id_done, NULL);
}

static void stats(void *user_data, const struct cri_container_stats *v, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++)
		printf(STR_FMT " cpu=%lu memory=%lu fs=%lu\n", STR_ARG(v[i].name),
			(unsigned long)v[i].cpu_usage_ns, (unsigned long)v[i].memory_working_set,
			(unsigned long)v[i].fs_used_bytes);
	end(err);
}

static void cmd_stats(int argc, char **argv)
{
	cri->ops->container_stats(cri, stats, NULL);
}

/* Sends standard input, prints the answer. */
static void forwarded(void *user_data, int fd, struct err *err)
{
	char text[65536];
	size_t n = err ? 0 : fread(text, 1, sizeof(text), stdin);
	struct pollfd p = {.fd = fd, .events = POLLIN};
	ssize_t got;

	if (!err && write(fd, text, n) == (ssize_t)n)
		while (poll(&p, 1, 5000) > 0 && (got = read(fd, text, sizeof(text))) > 0)
			fwrite(text, 1, got, stdout);
	end(err);
}

static void cmd_forward(int argc, char **argv)
{
	cri->ops->port_forward(cri, str_c(argv[0]), atoi(argv[1]), forwarded, NULL);
}

/* --- bench --- */

struct bench_pod {
	char name[16];
	struct str sandbox, container;
	int64_t began_us, sandbox_us, created_us, started_us;
};
static struct bench_pod *pods;
static int n_pods, n_done;
static const char *bench_image;
static int64_t bench_began_us;

static void bench_gone(void *user_data, struct err *err)
{
	if (err)
		fprintf(stderr, "%s\n", err_text(err));
	if (++n_done == n_pods) {
		printf("all away after %ld ms\n", (long)(now_us() - bench_began_us) / 1000);
		loop_stop(loop);
	}
}

static void bench_stopped(void *user_data, struct err *err)
{
	struct bench_pod *p = user_data;

	cri->ops->remove_sandbox(cri, p->sandbox, bench_gone, p);
}

static void bench_report(void)
{
	int64_t sandbox = 0, create = 0, start = 0, total = 0;

	for (int i = 0; i < n_pods; i++) {
		sandbox += pods[i].sandbox_us - pods[i].began_us;
		create += pods[i].created_us - pods[i].sandbox_us;
		start += pods[i].started_us - pods[i].created_us;
		total += pods[i].started_us - pods[i].began_us;
	}
	printf("%d pods: all running after %ld ms; mean: sandbox %.1f create %.1f start %.1f total "
	       "%.1f ms\n",
		n_pods, (long)(now_us() - bench_began_us) / 1000, sandbox / 1e3 / n_pods,
		create / 1e3 / n_pods, start / 1e3 / n_pods, total / 1e3 / n_pods);
	n_done = 0;
	bench_began_us = now_us();
	for (int i = 0; i < n_pods; i++)
		cri->ops->stop_container(cri, pods[i].container, 0, bench_stopped, &pods[i]);
}

static void bench_started(void *user_data, struct err *err)
{
	struct bench_pod *p = user_data;

	if (err)
		fprintf(stderr, "start: %s\n", err_text(err));
	p->started_us = now_us();
	if (++n_done == n_pods)
		bench_report();
}

static void bench_created(void *user_data, struct str id, struct err *err)
{
	struct bench_pod *p = user_data;

	if (err)
		fprintf(stderr, "create: %s\n", err_text(err));
	p->created_us = now_us();
	p->container = arena_str(&arena, id);
	cri->ops->start_container(cri, p->container, bench_started, p);
}

static void bench_sandboxed(void *user_data, struct str id, struct err *err)
{
	struct bench_pod *p = user_data;
	char *argv[] = {"c", (char *)bench_image};
	struct cri_container_config cfg = container_config(2, argv);
	struct cri_sandbox_config sandbox = {0};

	if (err)
		fprintf(stderr, "sandbox: %s\n", err_text(err));
	p->sandbox_us = now_us();
	p->sandbox = arena_str(&arena, id);
	ARENA_PUSH(&arena, &cfg.command, S("sleep"));
	ARENA_PUSH(&arena, &cfg.command, S("1000"));
	cri->ops->create_container(cri, p->sandbox, &cfg, &sandbox, bench_created, p);
}

static void cmd_bench(int argc, char **argv)
{
	n_pods = atoi(argv[0]);
	bench_image = argv[1];
	pods = xcalloc(n_pods, sizeof(*pods));
	bench_began_us = now_us();
	for (int i = 0; i < n_pods; i++) {
		struct cri_sandbox_config cfg;

		snprintf(pods[i].name, sizeof(pods[i].name), "bench%d", i);
		cfg = sandbox_config(pods[i].name);
		pods[i].began_us = now_us();
		cri->ops->run_sandbox(cri, &cfg, bench_sandboxed, &pods[i]);
	}
}

static void wait_exit(void *user_data, struct str pod_uid, struct str container_id)
{
	printf("exited " STR_FMT "\n", STR_ARG(container_id));
	loop_stop(loop);
}

/* Until the next container ends. */
static void cmd_wait(int argc, char **argv)
{
	cri->on_event = wait_exit;
}

static const struct {
	const char *name;
	int args_min;
	void (*run)(int argc, char **argv);
} commands[] = {
	{"sandbox", 1, cmd_sandbox},
	{"create", 3, cmd_create},
	{"start", 1, cmd_start},
	{"stop", 1, cmd_stop},
	{"rm", 1, cmd_rm},
	{"reopen", 1, cmd_reopen},
	{"stop-sandbox", 1, cmd_stop_sandbox},
	{"rm-sandbox", 1, cmd_rm_sandbox},
	{"update", 2, cmd_update},
	{"exec", 2, cmd_exec},
	{"stream", 2, cmd_stream},
	{"attach", 1, cmd_stream},
	{"forward", 2, cmd_forward},
	{"ls", 0, cmd_ls},
	{"sandboxes", 0, cmd_sandboxes},
	{"images", 0, cmd_images},
	{"rmi", 1, cmd_rmi},
	{"pull", 1, cmd_pull},
	{"stats", 0, cmd_stats},
	{"wait", 0, cmd_wait},
	{"bench", 2, cmd_bench},
};

static const char *option(int *argc, char ***argv, const char *name, const char *otherwise)
{
	if (*argc < 2 || strcmp((*argv)[0], name))
		return otherwise;
	otherwise = (*argv)[1];
	*argc -= 2;
	*argv += 2;
	return otherwise;
}

int main(int argc, char **argv)
{
	struct cri_runtime_opts opts = {0};
	const char *endpoint;
	struct err err = {0};
	int r;

	if (argc > 1 && !strcmp(argv[1], "image"))
		return image_main(argc - 1, argv + 1);
	if (argc > 1 && !strcmp(argv[1], "pause"))
		return pause_main(argc - 1, argv + 1);
	argc--;
	argv++;
	arena_init(&arena);
	opts.data_dir = option(&argc, &argv, "--data-dir", "/tmp/cri_run");
	opts.run_dir = option(&argc, &argv, "--run-dir", "/tmp/cri_run/run");
	opts.pod_cidr = str_c(option(&argc, &argv, "--pod-cidr", "10.99.0.0/24"));
	opts.cni_conf_dir = option(&argc, &argv, "--cni-conf-dir", "/nonexistent");
	opts.cni_bin_dir = option(&argc, &argv, "--cni-bin-dir", "/usr/lib/cni");
	opts.registry_mirrors = option(&argc, &argv, "--registry-mirror", NULL);
	endpoint = option(&argc, &argv, "--endpoint", NULL);
	snprintf(log_dir, sizeof(log_dir), "%s/logs", opts.data_dir ?: "");
	loop = loop_new_uv();
	r = endpoint ? cri_grpc_new(loop, endpoint, &cri, &err)
		     : cri_runtime_new(loop, &opts, &cri, &err);
	if (r < 0) {
		fprintf(stderr, "%s\n", err_text(&err));
		return 1;
	}
	for (size_t i = 0; argc && i < ARRAY_SIZE(commands); i++)
		if (!strcmp(argv[0], commands[i].name) && argc > commands[i].args_min) {
			commands[i].run(argc - 1, argv + 1);
			loop_run(loop);
			cri->ops->free(cri);
			return exit_code;
		}
	fprintf(stderr, "usage: see the top of tests/tools/cri_run.c\n");
	return 2;
}
