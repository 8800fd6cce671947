/*
 * server_logs.c: /containerLogs: reads a container's log in CRI's format and sends the texts, as it
 * grows if asked to.
 *
 * A line is "<time> <stream> <P|F> <text>"; P says that the line goes on in the next one.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "node/server.h"

enum {
	CHUNK = 64 * 1024,
	LINE_MAX_BYTES = 1 << 20,
	PENDING_MAX = 1 << 20,
};

struct log_options {
	bool follow, previous, timestamps;
	int64_t tail;      /* -1: all */
	int64_t since_ns;  /* 0: all */
	int64_t limit;     /* bytes left; -1: no limit */
	struct str stream; /* empty: both */
};

struct log_stream {
	struct log_stream *next;
	struct kubelet_server *s;
	struct http_exchange *x;
	struct log_options o;
	char *path, *id, *uid;
	int fd;
	struct buf rest; /* the beginning of a line */
	bool mid_line;   /* the last text sent was not the end of a line */
	bool ended, watching, queued, closing;
	struct loop_task task;
	uv_fs_event_t watch; /* of the file */
};

/* --- times --- */

static bool digits(struct str s, size_t from, size_t n, int *ret)
{
	*ret = 0;
	if (from + n > s.n)
		return false;
	for (size_t i = from; i < from + n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		*ret = *ret * 10 + (s.p[i] - '0');
	}
	return true;
}

/* RFC 3339 with a fraction -> Unix ns; 0: not one. */
static int64_t parse_time(struct str s)
{
	struct tm tm = {0};
	int64_t frac = 0, scale = 100000000, offset = 0;
	int h, m;
	size_t i = 19;

	if (!digits(s, 0, 4, &tm.tm_year) || !digits(s, 5, 2, &tm.tm_mon) ||
		!digits(s, 8, 2, &tm.tm_mday) || !digits(s, 11, 2, &tm.tm_hour) ||
		!digits(s, 14, 2, &tm.tm_min) || !digits(s, 17, 2, &tm.tm_sec))
		return 0;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	if (i < s.n && s.p[i] == '.')
		for (i++; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++, scale /= 10)
			frac += (s.p[i] - '0') * scale;
	if (i < s.n && (s.p[i] == '+' || s.p[i] == '-') && digits(s, i + 1, 2, &h) &&
		digits(s, i + 4, 2, &m))
		offset = (h * 3600 + m * 60) * (s.p[i] == '-' ? -1 : 1);
	return (timegm(&tm) - offset) * 1000000000 + frac;
}

/* --- lines --- */

static void send_text(struct log_stream *l, struct str text)
{
	if (l->o.limit >= 0 && (int64_t)text.n > l->o.limit)
		text.n = (size_t)l->o.limit;
	if (text.n)
		http_write(l->x, text);
	if (l->o.limit >= 0)
		l->o.limit -= (int64_t)text.n;
}

static void send_line(struct log_stream *l, struct str line)
{
	struct str time, stream, flag, text, rest;
	bool partial;

	if (!str_cut(line, ' ', &time, &rest) || !str_cut(rest, ' ', &stream, &rest))
		return;
	str_cut(rest, ' ', &flag, &text);
	if (!str_empty(l->o.stream) && !str_eq(stream, l->o.stream))
		return;
	if (l->o.since_ns && parse_time(time) < l->o.since_ns)
		return;
	partial = flag.n && flag.p[0] == 'P';
	if (l->o.timestamps && !l->mid_line) {
		/* monitors write UTC as an offset, upstream answers it as Z */
		bool utc = str_ends(time, S("+00:00"));

		send_text(l, utc ? str_sub(time, 0, time.n - 6) : time);
		send_text(l, utc ? S("Z ") : S(" "));
	}
	send_text(l, text);
	if (!partial)
		send_text(l, S("\n"));
	l->mid_line = partial;
}

static void send_lines(struct log_stream *l)
{
	struct str all = buf_str(&l->rest), line, rest = all;
	size_t used = 0;

	while (str_cut(rest, '\n', &line, &rest)) {
		send_line(l, line);
		used += line.n + 1;
	}
	buf_consume(&l->rest, used);
}

/* Where the last `n` lines begin. */
static off_t tail_offset(int fd, off_t size, int64_t n)
{
	char chunk[4096];
	off_t at = size;
	int64_t lines = 0;

	if (n == 0)
		return size;
	while (at > 0) {
		off_t from = at > (off_t)sizeof(chunk) ? at - (off_t)sizeof(chunk) : 0;
		ssize_t got = pread(fd, chunk, (size_t)(at - from), from);

		if (got <= 0)
			return 0;
		for (ssize_t i = got; i-- > 0;) {
			if (chunk[i] != '\n' || from + i == size - 1)
				continue;
			if (++lines == n)
				return from + i + 1;
		}
		at = from;
	}
	return 0;
}

/* --- the stream --- */

static void watch_closed(uv_handle_t *h)
{
	struct log_stream *l = container_of((uv_fs_event_t *)h, struct log_stream, watch);

	free(l->path);
	free(l->id);
	free(l->uid);
	free(l);
}

static void log_free(struct log_stream *l)
{
	struct log_stream **at = &l->s->logs;

	if (l->closing)
		return;
	l->closing = true;
	while (*at && *at != l)
		at = &(*at)->next;
	if (*at)
		*at = l->next;
	if (l->fd >= 0)
		close(l->fd);
	buf_release(&l->rest);
	if (l->queued)
		return; /* the task frees it */
	uv_close((uv_handle_t *)&l->watch, watch_closed);
}

static void on_close(struct http_exchange *x)
{
	struct log_stream *l = x->user_data;

	l->x = NULL;
	log_free(l);
}

static void end(struct log_stream *l)
{
	struct http_exchange *x = l->x;

	if (l->ended)
		return;
	l->ended = true;
	http_end(x); /* on_close frees it */
}

static void look(struct log_stream *l)
{
	if (l->queued || l->ended)
		return;
	l->queued = true;
	loop_post(l->s->k->loop, &l->task);
}

static bool still_runs(struct log_stream *l)
{
	struct pod *p = pod_by_uid(l->s->k, str_c(l->uid));
	const struct cri_container_status *c =
		p ? observed_by_id(&p->observed, str_c(l->id)) : NULL;

	return c && (c->state == CRI_RUNNING || c->state == CRI_CREATED);
}

/* After a rotation another file has the name. */
static bool rotated(struct log_stream *l)
{
	struct stat here, there;
	int fd;

	if (fstat(l->fd, &here) < 0 || stat(l->path, &there) < 0 ||
		(here.st_ino == there.st_ino && here.st_dev == there.st_dev))
		return false;
	fd = open(l->path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	close(l->fd);
	l->fd = fd;
	return true;
}

static void file_changed(uv_fs_event_t *h, const char *name, int events, int status)
{
	(void)name, (void)events, (void)status;
	look(container_of(h, struct log_stream, watch));
}

static void watch(struct log_stream *l)
{
	uv_fs_event_stop(&l->watch);
	uv_fs_event_start(&l->watch, file_changed, l->path, 0);
}

static void pump(struct log_stream *l)
{
	bool running =
		still_runs(l); /* asked before reading: what it wrote last is in the file then */
	char *room;
	ssize_t n;

	for (;;) {
		if (l->x->pending > PENDING_MAX)
			return; /* on_writable comes */
		room = buf_reserve(&l->rest, CHUNK);
		n = room ? read(l->fd, room, CHUNK) : -1;
		if (n > 0) {
			l->rest.n += (size_t)n;
			send_lines(l);
			if (l->o.limit == 0) {
				end(l);
				return;
			}
			continue;
		}
		if (n == 0 && rotated(l)) {
			watch(l);
			continue;
		}
		break;
	}
	if (!l->o.follow || n < 0 || !running) {
		end(l);
		return;
	}
	l->x->ops->flush(l->x);
}

static void task_ran(struct loop_task *t)
{
	struct log_stream *l = container_of(t, struct log_stream, task);

	l->queued = false;
	if (l->closing)
		uv_close((uv_handle_t *)&l->watch, watch_closed);
	else if (!l->ended)
		pump(l);
}

static void on_writable(struct http_exchange *x)
{
	look(x->user_data);
}

void log_streams_look(struct kubelet_server *s, struct pod *p)
{
	for (struct log_stream *l = s->logs; l; l = l->next)
		if (str_eqc(p->uid, l->uid))
			look(l);
}

/* --- the request --- */

static bool flag_in(struct http_exchange *x, const char *name)
{
	struct str v = http_query(x, name);

	return str_eq(v, S("true")) || str_eq(v, S("1"));
}

static int read_options(struct kubelet *k, struct http_exchange *x, struct log_options *o)
{
	struct str tail = http_query(x, "tailLines"), since = http_query(x, "sinceSeconds");
	struct str time = http_query(x, "sinceTime"), limit = http_query(x, "limitBytes");
	int64_t n;

	*o = (struct log_options){.tail = -1, .limit = -1};
	o->follow = flag_in(x, "follow");
	o->previous = flag_in(x, "previous");
	o->timestamps = flag_in(x, "timestamps");
	if (tail.p && (str_to_i64(tail, &o->tail) < 0 || o->tail < 0))
		return -EINVAL;
	if (limit.p && (str_to_i64(limit, &o->limit) < 0 || o->limit < 1))
		return -EINVAL;
	if (since.p) {
		if (str_to_i64(since, &n) < 0 || n < 1)
			return -EINVAL;
		o->since_ns = loop_wall_ns(k->loop) - n * 1000000000;
	}
	if (time.p) {
		o->since_ns = parse_time(time);
		if (!o->since_ns)
			return -EINVAL;
	}
	o->stream = http_query(x, "stream");
	if (str_eq(o->stream, S("All")))
		o->stream = S("");
	else if (str_eq(o->stream, S("Stdout")))
		o->stream = S("stdout");
	else if (str_eq(o->stream, S("Stderr")))
		o->stream = S("stderr");
	return 0;
}

static void begin(struct route_args *r, struct pod *p, const struct cri_container_status *c,
	const struct log_options *o)
{
	struct log_stream *l = xcalloc(1, sizeof(*l));
	struct http_exchange *x = r->x;
	struct stat st;

	l->s = r->s;
	l->x = x;
	l->o = *o;
	set_string(&l->path, c->log_path);
	set_string(&l->id, c->id);
	set_string(&l->uid, p->uid);
	l->task.fn = task_ran;
	buf_init(&l->rest, LINE_MAX_BYTES + CHUNK);
	l->fd = open(l->path, O_RDONLY | O_CLOEXEC);
	uv_fs_event_init(loop_uv(r->s->k->loop), &l->watch);
	l->next = r->s->logs;
	r->s->logs = l;
	if (l->fd < 0) {
		server_error(x, 500, "failed to try resolving symlinks in path \"%s\": %s", l->path,
			strerror(errno));
		l->x = NULL;
		log_free(l);
		return;
	}
	if (o->tail >= 0 && fstat(l->fd, &st) == 0)
		lseek(l->fd, tail_offset(l->fd, st.st_size, o->tail), SEEK_SET);
	x->user_data = l;
	x->on_close = on_close;
	x->on_writable = on_writable;
	http_header(x, "Content-Type", S("text/plain"));
	http_start(x, 200);
	x->ops->flush(x);
	if (o->follow)
		watch(l);
	look(l);
}

void serve_container_logs(struct route_args *r)
{
	struct log_options o;
	struct pod *p;
	struct v1_pod *spec;
	struct str name = r->part[3];
	const struct cri_container_status *found = NULL;
	size_t skip;

	if (read_options(r->s->k, r->x, &o) < 0) {
		server_error(r->x, 422, "{\"message\": \"Invalid request.\"}");
		return;
	}
	p = server_pod(r, NULL);
	if (!p)
		return;
	spec = pod_decode(p, &r->x->arena);
	if (!pod_container(spec, name, NULL)) {
		server_error(r->x, 404,
			"container \"" STR_FMT "\" not found in pod \"" STR_FMT "\"", STR_ARG(name),
			STR_ARG(p->name));
		return;
	}
	skip = o.previous ? 1 : 0;
	for (size_t i = 0; i < p->observed.n_containers && !found; i++)
		if (str_eq(p->observed.containers[i].name, name) &&
			(p->observed.containers[i].state != CRI_CREATED || o.previous) &&
			skip-- == 0)
			found = &p->observed.containers[i];
	if (found) {
		begin(r, p, found, &o);
	} else if (o.previous) {
		server_error(r->x, 400,
			"previous terminated container \"" STR_FMT "\" in pod \"" STR_FMT
			"\" not found",
			STR_ARG(name), STR_ARG(p->name));
	} else {
		const struct container_memory *m = pod_memory(p, name);
		const char *why = m->wait_reason                 ? m->wait_reason
				  : spec->spec.init_containers.n ? "PodInitializing"
								 : "ContainerCreating";

		if (m->wait_reason &&
			(strcmp(why, "ErrImagePull") == 0 || strcmp(why, "ImagePullBackOff") == 0))
			server_error(r->x, 400,
				"container \"" STR_FMT "\" in pod \"" STR_FMT
				"\" is waiting to start: trying and failing to pull image",
				STR_ARG(name), STR_ARG(p->name));
		else
			server_error(r->x, 400,
				"container \"" STR_FMT "\" in pod \"" STR_FMT
				"\" is waiting to start: %s",
				STR_ARG(name), STR_ARG(p->name), why);
	}
}
