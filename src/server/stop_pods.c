#include "server/stop_pods.h"

#include <mntent.h>
#include <stdio.h>
#include <sys/mount.h>

#include "node/cri.h"

struct stopping {
	struct loop *loop;
	struct cri *cri;
	struct loop_timer limit;
	struct arena arena;
	struct str_vec ids;
	size_t left;
	struct err *err;
	int result;
};

enum { RETRY_MS = 50 };

struct one {
	struct stopping *s;
	struct str id;
	struct loop_timer again;
};

static void finish(struct stopping *s, int result)
{
	s->result = result;
	loop_stop(s->loop);
}

static void removed(void *user_data, struct err *err)
{
	struct one *o = user_data;

	if (err_set(err) && err->code == 409) { /* a container's end is still being worked up */
		loop_timer_start(&o->again, RETRY_MS);
		return;
	}
	if (err_set(err))
		log_warn("pod sandbox " STR_FMT ": %s", STR_ARG(o->id), err_text(err));
	if (--o->s->left == 0)
		finish(o->s, 0);
}

static void try_again(struct loop_timer *t)
{
	struct one *o = container_of(t, struct one, again);

	o->s->cri->ops->remove_sandbox(o->s->cri, o->id, removed, o);
}

static void stopped(void *user_data, struct err *err)
{
	struct one *o = user_data;

	o->s->cri->ops->remove_sandbox(o->s->cri, o->id, removed, o);
}

static void listed(void *user_data, const struct cri_sandbox_status *v, size_t n, struct err *err)
{
	struct stopping *s = user_data;

	if (err_set(err) || n == 0) {
		if (err_set(err))
			err_move(s->err, err);
		finish(s, n || err_set(s->err) ? -EIO : 0);
		return;
	}
	s->left = n;
	for (size_t i = 0; i < n; i++) {
		struct one *o = ARENA_NEW(&s->arena, struct one);

		*o = (struct one){.s = s, .id = arena_str(&s->arena, v[i].id)};
		loop_timer_init(&o->again, s->loop, try_again);
		s->cri->ops->stop_sandbox(s->cri, o->id, stopped, o);
	}
}

static void too_late(struct loop_timer *t)
{
	struct stopping *s = container_of(t, struct stopping, limit);

	err_fmt(s->err, 504, "Timeout", "%zu pods are not gone yet", s->left);
	finish(s, -ETIMEDOUT);
}

/* Volumes in memory: the newest mount first. */
static void unmount_below(const char *dir, struct arena *a)
{
	struct str prefix = arena_fmt(a, "%s/", dir);
	struct str_vec found = {0};
	FILE *f = setmntent("/proc/self/mounts", "re");
	struct mntent *m;

	while (f && (m = getmntent(f)))
		if (str_starts(str_c(m->mnt_dir), prefix))
			ARENA_PUSH(a, &found, arena_strc(a, m->mnt_dir));
	if (f)
		endmntent(f);
	for (size_t i = found.n; i > 0; i--)
		if (umount2(found.v[i - 1].p, MNT_DETACH) < 0)
			log_warn("unmounting %s: %s", found.v[i - 1].p, strerror(errno));
}

int stop_pods(const char *node_data_dir, const char *run_dir, int64_t grace_ms, struct err *err)
{
	const struct cri_runtime_opts opts = {.data_dir = node_data_dir, .run_dir = run_dir};
	struct stopping s = {.loop = loop_new_uv(), .err = err};
	struct str endpoint = cri_endpoint_recorded(node_data_dir, &s.arena);
	int r = endpoint.n ? cri_grpc_new(s.loop, endpoint.p, &s.cri, err)
			   : cri_runtime_new(s.loop, &opts, &s.cri, err);

	if (r < 0)
		return r;
	loop_timer_init(&s.limit, s.loop, too_late);
	loop_timer_start(&s.limit, grace_ms);
	s.cri->ops->list_sandboxes(s.cri, listed, &s);
	loop_run(s.loop);
	if (s.result == 0)
		unmount_below(node_data_dir, &s.arena);
	arena_release(&s.arena); /* the loop and the runtime go with the process */
	return s.result;
}
