#include "node/runtime/monitor.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "json/value.h"
#include "base/fs.h"
#include "base/spawn.h"

enum {
	CREATE_TIMEOUT_MS = 120000,
	RUNTIME_TIMEOUT_MS = 60000,
	MESSAGE_MAX = 16384,
	ARGS_MAX = 40,
	EXIT_LOST = 255
};

static char *const clean_env[] = {
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "_OCI_SYNCPIPE=3",
	NULL};

static const char *bundle_path(
	struct runtime *rt, const struct container *c, const char *name, struct arena *a)
{
	return arena_fmt(a, "%s/%s/%s", rt->run_containers_dir, c->id, name).p;
}

/* The OCI runtime's last error out of what it printed: runc writes logfmt (… msg="…"), crun plain
 * lines. */
struct str oci_words(struct str text, struct arena *a)
{
	const char *c = arena_cstr(a, text), *last = NULL;
	struct buf b CLEANUP(buf_release) = {0};
	struct str words;

	for (const char *p = strstr(c, "msg=\""); p; p = strstr(p + 1, "msg=\""))
		last = p + 5;
	if (!last)
		return str_trim(text);
	buf_init(&b, MESSAGE_MAX);
	for (; *last && *last != '"'; last++) {
		if (*last == '\\' && last[1]) {
			last++;
			buf_add_char(&b, *last == 'n' ? '\n' : *last == 't' ? '\t' : *last);
			continue;
		}
		buf_add_char(&b, *last);
	}
	words = arena_str(a, buf_str(&b));
	return words;
}

/* {"data": pid} or {"data": -1, "message": "what the OCI runtime printed"}, one line. */
static int read_sync(int fd, struct arena *a, int *ret_pid, struct err *err)
{
	char text[MESSAGE_MAX];
	struct json_value *v, *data;
	struct str message;
	size_t n = 0;
	int64_t pid = 0;

	while (n < sizeof(text) && !memchr(text, '\n', n)) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t got = poll(&p, 1, CREATE_TIMEOUT_MS) > 0
				      ? read(fd, text + n, sizeof(text) - n)
				      : 0;

		if (got <= 0)
			break;
		n += got;
	}
	if (!n)
		return err_fmt(
			err, 500, "InternalError", "the container monitor ended without a word");
	if (json_parse(arena_str(a, str_trim(str_n(text, n))), a, &v, NULL) < 0)
		return err_fmt(err, 500, "InternalError", "the container monitor said: %.*s",
			(int)n, text);
	data = json_getc(v, "data") ?: json_getc(v, "pid");
	if (data)
		str_to_i64(data->text, &pid);
	message = oci_words(json_get_str(v, "message"), a);
	if (pid <= 0)
		return err_fmt(err, 500, "InternalError", "OCI runtime create failed: " STR_FMT,
			STR_ARG(message.n ? message : S("the container monitor gives no reason")));
	*ret_pid = pid;
	return 0;
}

static int start_conmon(struct runtime *rt, const struct container *c, int sync_fd, struct arena *a,
	struct err *err)
{
	const char *log = c->st.log_path.n
				  ? arena_fmt(a, "k8s-file:" STR_FMT, STR_ARG(c->st.log_path)).p
				  : "null";
	const char *bundle = arena_fmt(a, "%s/%s", rt->run_containers_dir, c->id).p;
	const char *argv[ARGS_MAX] = {rt->oci.conmon, "--api-version", "1", "-c", c->id, "-u",
		c->id, "-n", c->id, "-r", rt->oci.path, "-b", bundle, "-p",
		bundle_path(rt, c, "pid", a), "-P", bundle_path(rt, c, "conmon.pid", a),
		"--exit-dir", rt->exits_dir, "-l", log, "--full-attach", "--no-sync-log",
		"--log-level", "error", "--runtime-arg", arena_fmt(a, "--root=%s", rt->oci_dir).p};
	struct spawn_opts opts = {.path = rt->oci.conmon,
		.argv = (char *const *)argv,
		.envp = clean_env,
		.dir = bundle,
		.fds = &sync_fd,
		.n_fds = 1};
	size_t n = 0;
	pid_t pid;
	int r;

	while (argv[n])
		n++;
	if (c->tty)
		argv[n++] = "-t";
	if (c->stdin_)
		argv[n++] = "-i";
	if (c->stdin_ && !c->stdin_once)
		argv[n++] = "--leave-stdin-open";
	r = spawn_start(&opts, &pid);
	if (r == 0) /* it forks at once; what lives on is nobody's child */
		r = spawn_wait(pid, RUNTIME_TIMEOUT_MS);
	if (r == 0)
		return 0;
	return r < 0 ? err_errno(err, -r, "cannot start conmon")
		     : err_fmt(err, 500, "InternalError", "conmon failed with exit code %d", r);
}

/* Runs the OCI runtime with one command and the container's id. */
static int run_oci(struct runtime *rt, const char *const *words, const char *id, struct err *err)
{
	const char *argv[8] = {rt->oci.path, "--root", rt->oci_dir};
	struct spawn_opts opts = {
		.path = rt->oci.path, .argv = (char *const *)argv, .envp = clean_env};
	struct buf out CLEANUP(buf_release) = {0};
	struct arena a CLEANUP(arena_release);
	size_t n = 3;
	int r;

	arena_init(&a);
	buf_init(&out, MESSAGE_MAX);
	for (; *words; words++)
		argv[n++] = *words;
	argv[n++] = id;
	r = spawn_run(&opts, S(""), NULL, &out, RUNTIME_TIMEOUT_MS);
	if (r < 0)
		return err_errno(err, -r, "%s", rt->oci.path);
	if (r > 0)
		return err_fmt(err, 500, "InternalError", "OCI runtime %s failed: " STR_FMT,
			argv[3],
			STR_ARG(oci_words(out.n ? buf_str(&out) : S("no reason given"), &a)));
	return 0;
}

void oci_delete(struct runtime *rt, const char *id)
{
	static const char *const words[] = {"delete", "--force", NULL};

	run_oci(rt, words, id, NULL);
}

static int make_log_dir(const struct container *c, struct arena *a, struct err *err)
{
	char *dir = arena_cstr(a, c->st.log_path), *slash = strrchr(dir, '/');
	int r;

	if (!slash)
		return 0;
	*slash = '\0';
	r = fs_mkdirs(dir, 0755);
	return r < 0 ? err_errno(err, -r, "cannot make %s", dir) : 0;
}

int monitor_launch(struct runtime *rt, const struct container *c, int *ret_pid, struct err *err)
{
	static const char *const words[] = {"start", NULL};
	int sync[2] = {-1, -1}, pid = 0, r;
	struct arena a CLEANUP(arena_release);

	arena_init(&a);
	r = make_log_dir(c, &a, err);
	if (r < 0)
		return r;
	if (pipe2(sync, O_CLOEXEC) < 0)
		return err_errno(err, errno, "pipe");
	r = start_conmon(rt, c, sync[1], &a, err);
	fd_close(&sync[1]);
	if (r == 0)
		r = read_sync(sync[0], &a, &pid, err);
	fd_close(&sync[0]);
	if (r == 0)
		r = run_oci(rt, words, c->id, err);
	if (r == 0)
		*ret_pid = pid;
	return r;
}

/* --- watching conmon --- */

struct monitor {
	uv_poll_t poll;
	struct runtime *rt;
	struct container *ct;
	int fd;
};

static void closed(uv_handle_t *h)
{
	struct monitor *m = container_of((uv_poll_t *)h, struct monitor, poll);

	fd_close(&m->fd);
	free(m);
}

void monitor_stop(struct container *c)
{
	if (!c->monitor)
		return;
	uv_poll_stop(&c->monitor->poll);
	uv_close((uv_handle_t *)&c->monitor->poll, closed);
	c->monitor = NULL;
}

static void gone(uv_poll_t *poll, int status, int events)
{
	struct monitor *m = container_of(poll, struct monitor, poll);
	struct container *c = m->ct;

	monitor_stop(c);
	container_exit_seen(m->rt, c);
}

static int conmon_pidfd(struct runtime *rt, const struct container *c)
{
	struct arena a CLEANUP(arena_release);
	struct str text, cmdline;
	int64_t pid;
	int fd;

	arena_init(&a);
	if (fs_read(bundle_path(rt, c, "conmon.pid", &a), 64, &a, &text) < 0 ||
		str_to_i64(str_trim(text), &pid) < 0)
		return -1;
	fd = syscall(SYS_pidfd_open, (pid_t)pid, 0);
	/* The number may be another process's by now: conmon's command line names the container. */
	if (fd >= 0 &&
		(fs_read(arena_fmt(&a, "/proc/%d/cmdline", (int)pid).p, 65536, &a, &cmdline) < 0 ||
			str_find(cmdline, str_c(c->id)) < 0))
		fd_close(&fd);
	return fd;
}

bool monitor_start(struct runtime *rt, struct container *c)
{
	int fd = conmon_pidfd(rt, c);
	struct monitor *m;

	if (fd < 0)
		return false;
	m = xcalloc(1, sizeof(*m));
	m->rt = rt;
	m->ct = c;
	m->fd = fd;
	c->monitor = m;
	uv_poll_init(loop_uv(rt->cri.loop), &m->poll, fd);
	uv_poll_start(&m->poll, UV_READABLE, gone);
	return true;
}

/* --- how it ended --- */

static bool counted(const char *path, const char *word, struct arena *a)
{
	struct str text;
	const char *at;
	long n = 0;

	if (fs_read(path, 65536, a, &text) < 0)
		return false;
	at = strstr(text.p, word);
	return at && sscanf(at + strlen(word), "%ld", &n) == 1 && n > 0;
}

static bool oom_killed(struct runtime *rt, const struct container *c, struct arena *a)
{
	return fs_exists(bundle_path(rt, c, "oom", a)) ||
	       counted(arena_fmt(a, "/sys/fs/cgroup/memory%s/memory.oom_control", c->cgroup.p).p,
		       "oom_kill ", a) ||
	       counted(arena_fmt(a, "/sys/fs/cgroup%s/memory.events", c->cgroup.p).p, "oom_kill ",
		       a);
}

void monitor_exit_status(struct runtime *rt, const struct container *c, struct exit_status *ret)
{
	struct arena a CLEANUP(arena_release);
	struct str text;
	struct stat st;
	int64_t code;
	const char *path;

	arena_init(&a);
	path = arena_fmt(&a, "%s/%s", rt->exits_dir, c->id).p;
	*ret = (struct exit_status){.oom_killed = oom_killed(rt, c, &a)};
	if (fs_read(path, 64, &a, &text) < 0 || str_to_i64(str_trim(text), &code) < 0 ||
		stat(path, &st) < 0) {
		ret->lost = true;
		ret->code = EXIT_LOST;
		ret->finished_ns = wall_ns();
		return;
	}
	ret->code = code;
	ret->finished_ns = st.st_mtim.tv_sec * 1000000000LL + st.st_mtim.tv_nsec;
}

int monitor_control(
	struct runtime *rt, const struct container *c, const char *fifo, const char *line)
{
	struct arena a CLEANUP(arena_release);
	int fd CLEANUP(fd_close) = -1;

	arena_init(&a);
	fd = open(bundle_path(rt, c, fifo, &a), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return write(fd, line, strlen(line)) < 0 ? -errno : 0;
}
