#include <stdio.h>
#include <sys/random.h>
#include <time.h>

#include "base/fs.h"
#include "node/runtime/runtime.h"

void make_id(char id[ID_LEN + 1])
{
	unsigned char raw[ID_LEN / 2];

	if (getrandom(raw, sizeof(raw), 0) != sizeof(raw))
		abort();
	for (size_t i = 0; i < sizeof(raw); i++)
		sprintf(id + 2 * i, "%02x", raw[i]);
}

int64_t wall_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

uint64_t process_start_time(int pid)
{
	struct arena a CLEANUP(arena_release);
	char path[32];
	struct str text;
	const char *p;
	unsigned long long start = 0;

	arena_init(&a);
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (pid <= 0 || fs_read(path, 4096, &a, &text) < 0)
		return 0;
	p = strrchr(text.p, ')'); /* the name may hold anything */
	if (!p || p[1] == '\0' || p[2] == 'Z' || p[2] == 'X')
		return 0;
	p += 2;
	for (int field = 3; field < 22 && p; field++) {
		p = strchr(p, ' ');
		p = p ? p + 1 : NULL;
	}
	if (p)
		sscanf(p, "%llu", &start);
	return start;
}

void copy_pairs(struct arena *a, const struct cri_key_values *from, struct cri_key_values *to)
{
	*to = (struct cri_key_values){.v = ARENA_ARRAY(a, struct str_pair, from->n), .n = from->n};
	for (size_t i = 0; i < from->n; i++) {
		to->v[i].key = arena_str(a, from->v[i].key);
		to->v[i].value = arena_str(a, from->v[i].value);
	}
}

void copy_strs(struct arena *a, const struct str_vec *from, struct str_vec *to)
{
	*to = (struct str_vec){.v = ARENA_ARRAY(a, struct str, from->n), .n = from->n};
	for (size_t i = 0; i < from->n; i++)
		to->v[i] = arena_str(a, from->v[i]);
}

struct later {
	struct loop_task task;
	cri_done *done;
	void *user_data;
	struct err err;
};

static void later_run(struct loop_task *t)
{
	struct later *l = container_of(t, struct later, task);

	l->done(l->user_data, err_set(&l->err) ? &l->err : NULL);
	err_release(&l->err);
	free(l);
}

void later(struct runtime *rt, cri_done *done, void *user_data, struct err *err)
{
	struct later *l = xcalloc(1, sizeof(*l));

	l->task.fn = later_run;
	l->done = done;
	l->user_data = user_data;
	if (err_set(err))
		err_move(&l->err, err);
	loop_post(rt->cri.loop, &l->task);
}

int no_container(struct str id, struct err *err)
{
	return err_fmt(err, 404, "NotFound", "container \"" STR_FMT "\" not found", STR_ARG(id));
}
