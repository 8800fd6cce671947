/* termination_message.c: reads message files and the tails of logs. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/termination_message.h"

enum { MESSAGE_MAX = 4096, LOG_TAIL_MAX = 2048, LOG_READ_MAX = 64 * 1024, LOG_LINES_MAX = 80 };

/* The last `max` bytes of a file, or all of it. */
static struct str read_end(const char *path, size_t max, struct arena *a)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	ssize_t n = 0;
	char *p = arena_alloc(a, max + 1);

	if (fd < 0)
		return (struct str){0};
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		n = pread(fd, p, max, st.st_size > (off_t)max ? st.st_size - (off_t)max : 0);
	close(fd);
	return n > 0 ? str_n(p, (size_t)n) : (struct str){0};
}

/* The texts of the last lines of a CRI log. */
static struct str log_tail(const char *path, struct arena *a)
{
	struct str rest = read_end(path, LOG_READ_MAX, a), line, lines[LOG_LINES_MAX];
	bool whole[LOG_LINES_MAX];
	size_t n = 0;
	struct buf b CLEANUP(buf_release) = {0};
	bool more = rest.n > 0;

	buf_init(&b, LOG_READ_MAX);
	while (more) {
		struct str time, stream, flag, text;

		more = str_cut(rest, '\n', &line, &rest);
		if (!str_cut(line, ' ', &time, &text) || !str_cut(text, ' ', &stream, &text) ||
			!str_cut(text, ' ', &flag, &text))
			continue;
		whole[n % LOG_LINES_MAX] = flag.n && flag.p[0] == 'F';
		lines[n++ % LOG_LINES_MAX] = text;
	}
	for (size_t i = n > LOG_LINES_MAX ? n - LOG_LINES_MAX : 0; i < n; i++) {
		buf_add_str(&b, lines[i % LOG_LINES_MAX]);
		if (whole[i % LOG_LINES_MAX])
			buf_add_char(&b, '\n');
	}
	if (b.n > LOG_TAIL_MAX)
		buf_consume(&b, b.n - LOG_TAIL_MAX);
	return arena_str(a, buf_str(&b));
}

static struct str message_of(const struct cri_container_status *c, struct arena *a)
{
	struct str path = cri_lookup(&c->annotations, S(ANNOTATION_MESSAGE_PATH)), text = {0};
	struct str policy = cri_lookup(&c->annotations, S(ANNOTATION_MESSAGE_POLICY));

	for (size_t i = 0; !str_empty(path) && i < c->n_mounts; i++)
		if (str_eq(c->mounts[i].container_path, path))
			text = read_end(arena_cstr(a, c->mounts[i].host_path), MESSAGE_MAX, a);
	if (str_empty(text) && str_eq(policy, S("FallbackToLogsOnError")) && c->exit_code != 0)
		text = log_tail(arena_cstr(a, c->log_path), a);
	return str_empty(text) ? c->message : text;
}

void termination_messages_read(struct pod *p)
{
	for (struct container_memory *m = p->containers; m; m = m->next) {
		const struct cri_container_status *c = observed_find(&p->observed, str_c(m->name));
		struct arena a;

		if (!c || c->state != CRI_EXITED ||
			(m->message_id && str_eqc(c->id, m->message_id)))
			continue;
		arena_init(&a);
		set_string(&m->message_id, c->id);
		set_string(&m->message, message_of(c, &a));
		arena_release(&a);
	}
}
